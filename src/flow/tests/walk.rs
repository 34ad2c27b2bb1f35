//! Random walks through the factory bot: whatever people do, they get an answer, and the same one every time.

use super::*;

/// Numbers that look random and are the same in every run (xorshift64).
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 33).unwrap() % limit
    }
}

const TYPED: [&str; 14] = [
    "hi",
    "1",
    "2",
    "3",
    "4",
    "5",
    "skip",
    "back",
    "ORD-001",
    "It is broken",
    "",
    "🦀",
    "9999999999999999999999",
    "agent",
];

fn content(dice: &mut Dice, states: &[&str]) -> Content {
    match dice.below(10) {
        0 => photo(),
        1 => Content::Location { latitude: 1.0, longitude: 2.0, name: None, address: None },
        2 => Content::Choice {
            id: format!("{}#{}", states[dice.below(states.len())], dice.below(7)),
            title: "Old".into(),
        },
        3 => typed(&"long ".repeat(2000)),
        _ => typed(TYPED[dice.below(TYPED.len())]),
    }
}

/// Answers with rows that hold every column, with values that differ in kind.
fn database(name: &str, call: &PendingCall) -> CallResult {
    let mixed = json!({
        "number": "N-1", "customer_name": null, "product": "P", "quantity": 1, "status": "s", "line": "L",
        "ordered_on": "2026-01-02", "promised_on": null, "delivered_on": null, "order_number": "O",
        "description": "D", "media_id": "m", "reported_at": 0, "day": "2026-03-12", "shift": "early",
        "planned": 0, "produced": 5,
    });
    match (name, call.connector().1, call.params().len() + call.state().len()) {
        (_, Connector::Sequence { .. }, _) => CallResult::Value(json!("DEF-000001")),
        (_, Connector::Write { .. }, _) => CallResult::Written,
        (_, _, size) if size % 5 == 0 => CallResult::Failed("down".into()),
        (_, _, size) if size % 3 == 0 => CallResult::Rows(Vec::new()),
        _ => rows(json!([mixed, mixed])),
    }
}

#[test]
fn every_message_is_answered_and_no_walk_ends_in_trouble() {
    let flow = Flow::factory();
    let states: Vec<&str> = flow.states().map(|(name, _)| name).collect();
    let mut seen = std::collections::BTreeSet::new();
    for seed in 1..=40 {
        let mut dice = Dice(seed * 0x9E37_79B9);
        let mut talk = Talk::with(&flow, database);
        for _ in 0..100 {
            let muted = talk.snapshot.handed_off;
            let before = talk.snapshot.clone();
            let content = content(&mut dice, &states);
            let effects = talk.send(content.clone());
            assert_eq!(troubles(&effects), [""; 0], "{before:?} {content:?}");
            assert_eq!(sent(&effects).is_empty(), muted, "{before:?} {content:?}");
            seen.extend(talk.snapshot.state.clone());
            let mut again = Talk { snapshot: before, ..Talk::with(&flow, database) };
            assert_eq!(again.send(content), effects);
            assert_eq!(again.snapshot, talk.snapshot);
            match dice.below(20) {
                0 => drop(talk.turn(&Input::Released)),
                1 => drop(talk.turn(&Input::Timeout)),
                _ => {}
            }
        }
    }
    let resting = flow.states().filter(|(_, kind)| kind.rests()).count();
    assert_eq!(seen.len(), resting, "the walks should come to rest in every state that rests: {seen:?}");
}
