//! A step of the built-in flow is a function of what goes in, ends, stays within its limits and never panics, whatever is
//! written, wherever the conversation stands and whatever the connectors answer.

use serde_json::{Map, Value, json};
use switchboard::domain::contact::Identity;
use switchboard::domain::inbound::{Content, InboundMessage, Media, MediaKind};
use switchboard::flow::{
    CallResult, Connector, Context, Effect, Flow, HOPS_MAX, Input, Snapshot, Step, Transition,
    VARIABLE_BYTES_MAX, step,
};

use crate::cases;
use crate::dice::Dice;

const NOW: i64 = 1_795_337_387_000;
/// Messages of one turn: every state that it visits may say a long text in up to four.
const MESSAGES_MAX: usize = 4 * (HOPS_MAX + 1);

/// What people write, and what nobody would.
fn text(dice: &mut Dice, flow: &Flow) -> String {
    let words = [
        "hi",
        "menu",
        "0",
        "1",
        "2",
        "3",
        "4",
        "5",
        "6",
        "99",
        "-1",
        "order",
        "ORD-001",
        "def-000001",
        "skip",
        "back",
        "agent",
        "help",
        "  Order Status  ",
        "View recent orders",
        "${ 1/0 }",
        "{% for",
        "'; drop table orders; --",
        "\u{202e}\u{0}\u{feff}",
        "🤷🏽‍♀️",
        "é",
        "\n\n",
    ];
    match dice.below(6) {
        0 => "x".repeat(dice.below(5_000)),
        1 => {
            let states: Vec<&str> = flow.states().map(|(name, _)| name).collect();
            format!("{}:{}", dice.pick(&states), dice.below(12))
        }
        2 => (0..dice.below(4)).map(|_| *dice.pick(&words)).collect::<Vec<_>>().join(" "),
        _ => (*dice.pick(&words)).to_owned(),
    }
}

fn content(dice: &mut Dice, flow: &Flow) -> Content {
    match dice.below(8) {
        0 => Content::Choice { id: text(dice, flow), title: text(dice, flow) },
        1 => Content::Media(Media {
            kind: *dice.pick(&[MediaKind::Image, MediaKind::Document, MediaKind::Audio]),
            id: text(dice, flow),
            file: None,
            mime_type: None,
            sha256: None,
            caption: Some(text(dice, flow)),
            filename: None,
            voice: false,
        }),
        2 => Content::Location { latitude: f64::MAX, longitude: -0.0, name: None, address: None },
        3 => Content::Unknown { kind: text(dice, flow) },
        4 => Content::Contacts(json!([{"name": {}}])),
        _ => Content::Text { body: text(dice, flow) },
    }
}

/// Any value that a variable could have had at some time, in this flow or in an earlier one.
fn value(dice: &mut Dice, flow: &Flow) -> Value {
    match dice.below(8) {
        0 => Value::Null,
        1 => json!(dice.next()),
        2 => json!(-1.5),
        3 => json!([]),
        4 => json!([{"number": "ORD-1"}, {"number": null}, 7]),
        5 => json!({"number": {"number": []}}),
        6 => json!(true),
        _ => json!(text(dice, flow)),
    }
}

fn snapshot(dice: &mut Dice, flow: &Flow) -> Snapshot {
    let states: Vec<&str> = flow.states().map(|(name, _)| name).collect();
    let names =
        ["found", "order_no", "report_no", "defect_no", "defect_about", "defect_text", "photo", "order", "x"];
    let mut vars = Map::new();
    for _ in 0..dice.below(6) {
        vars.insert((*dice.pick(&names)).to_owned(), value(dice, flow));
    }
    let state = match dice.below(8) {
        0 => None,
        1 => Some(text(dice, flow)),
        _ => Some((*dice.pick(&states)).to_owned()),
    };
    Snapshot { state, vars, misses: *dice.pick(&[0, 1, 2, 3, u32::MAX]), handed_off: dice.chance(10) }
}

/// Any answer that fits the kind of connector, and rows of columns that nobody asked for.
fn answer(dice: &mut Dice, flow: &Flow, connector: &Connector) -> CallResult {
    if dice.chance(15) {
        return CallResult::Failed("simulated".to_owned());
    }
    match connector {
        Connector::Query { .. } => {
            let columns = [
                "number",
                "product",
                "quantity",
                "status",
                "promised_on",
                "delivered_on",
                "description",
                "day",
                "line",
                "shift",
                "planned",
                "produced",
                "customer_name",
                "ordered_on",
                "reported_at",
                "order_number",
                "media_id",
            ];
            let row = |dice: &mut Dice| -> Map<String, Value> {
                let whole = dice.chance(70);
                let mut row = Map::new();
                for name in columns {
                    if whole || dice.chance(50) {
                        row.insert(name.to_owned(), value(dice, flow));
                    }
                }
                row
            };
            CallResult::Rows((0..dice.below(4)).map(|_| row(dice)).collect())
        }
        Connector::Sequence { .. } | Connector::Http(_) => CallResult::Value(value(dice, flow)),
        Connector::Write { .. } => CallResult::Written,
    }
}

/// The whole turn, with calls answered by dice that begin at `seed`.
fn turn(
    flow: &Flow,
    snapshot: &Snapshot,
    input: &Input<'_>,
    context: &Context<'_>,
    seed: u64,
) -> (Transition, usize) {
    let mut dice = Dice::new(seed);
    let mut calls = 0;
    let mut now = step(flow, snapshot, input, context);
    loop {
        match now {
            Step::Done(transition) => return (transition, calls),
            Step::Call(call) => {
                calls += 1;
                let result = answer(&mut dice, flow, call.connector().1);
                now = call.resume(flow, context, result);
            }
        }
    }
}

#[test]
fn a_turn_is_the_same_twice_ends_and_keeps_its_limits() {
    let flow = Flow::factory();
    for case in 0..cases(4_000) {
        let mut dice = Dice::new(case);
        let before = snapshot(&mut dice, &flow);
        let contact = Identity {
            wa_id: dice.chance(70).then(|| "4915112345001".to_owned()),
            user_id: Some("DE.1".to_owned()),
            name: dice.chance(50).then(|| text(&mut dice, &flow)),
            ..Identity::default()
        };
        let message = InboundMessage {
            wamid: None,
            sent_at: None,
            sender: contact.clone(),
            reply_to: None,
            content: content(&mut dice, &flow),
        };
        let input = match dice.below(10) {
            0 => Input::Timeout,
            1 => Input::Released,
            _ => Input::Message(&message),
        };
        let context = Context { contact: &contact, phone_number_id: "1", now: NOW };
        let (one, calls) = turn(&flow, &before, &input, &context, case);
        let (other, _) = turn(&flow, &before, &input, &context, case);
        assert_eq!(one, other, "case {case}");
        assert!(calls <= HOPS_MAX, "case {case}: {calls} calls");

        let said = one.effects.iter().filter(|effect| matches!(effect, Effect::Send { .. })).count();
        assert!(said <= MESSAGES_MAX, "case {case}: {said} messages");
        let silent = before.handed_off && !matches!(input, Input::Released);
        assert!(
            !silent || one.effects.is_empty(),
            "case {case}: it speaks while a person has the conversation"
        );
        // Where nothing is to be done (a wait is over in a state that is no more), the conversation stays where it stood.
        if let Some(state) = &one.snapshot.state
            && one.snapshot.state != before.state
        {
            assert!(flow.states().any(|(name, _)| name == state), "case {case}: there is no state {state}");
        }
        for (name, value) in &one.snapshot.vars {
            let was_there = before.vars.get(name) == Some(value);
            let size = value.to_string().len();
            assert!(was_there || size <= VARIABLE_BYTES_MAX, "case {case}: {name} has {size} bytes");
        }
        let kept = serde_json::to_string(&one.snapshot).unwrap();
        let read: Snapshot = serde_json::from_str(&kept).unwrap();
        assert_eq!(read, one.snapshot, "case {case}: what is kept is not what is read");
    }
}
