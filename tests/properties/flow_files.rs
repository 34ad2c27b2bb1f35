//! A flow file, however it is bent, is read or refused with its mistakes, and one that is read can be run.

use switchboard::domain::contact::Identity;
use switchboard::domain::inbound::{Content, InboundMessage};
use switchboard::flow::{CallResult, Context, Flow, Input, Snapshot, Step, step};

use crate::cases;
use crate::dice::Dice;

const FILES: [&str; 3] = [
    Flow::FACTORY_SOURCE,
    include_str!("../fuzz/seeds/flow/small.yaml"),
    include_str!("../fuzz/seeds/flow/everything.yaml"),
];

/// One of these.
fn one<'a>(dice: &mut Dice, of: &[&'a str]) -> &'a str {
    of[dice.below(of.len())]
}

/// Bends a file: lines go, come twice, change places, or get a mistake within.
fn bent(dice: &mut Dice, file: &str) -> String {
    let mut lines: Vec<String> = file.lines().map(str::to_owned).collect();
    for _ in 0..1 + dice.below(4) {
        let (here, there) = (dice.below(lines.len()), dice.below(lines.len()));
        match dice.below(7) {
            0 => _ = lines.remove(here),
            1 => lines.insert(there, lines[here].clone()),
            2 => lines.swap(here, there),
            3 => {
                lines[here] = lines[here].replace(':', one(dice, &["", " :", ": &a", ": !!binary ", ": *a"]))
            }
            4 => lines[here] = lines[here].replace(['$', '}', '"'], one(dice, &["", "${", "{%", "'"])),
            5 => lines[here].insert_str(0, one(dice, &[" ", "  ", "\t", "- ", "? "])),
            _ => lines[here].push_str(one(dice, &[" }", " ]", " | upper", " #", "\u{0}", "${ a b }"])),
        }
        if lines.is_empty() {
            break;
        }
    }
    lines.join("\n")
}

#[test]
fn a_bent_file_is_read_or_refused_and_what_is_read_runs() {
    let (mut read, mut refused) = (0, 0);
    for case in 0..cases(600) {
        let mut dice = Dice::new(case);
        let file = *dice.pick(&FILES);
        let file = bent(&mut dice, file);
        match Flow::parse(&file, "bent.yaml") {
            Err(problems) => {
                refused += 1;
                let told = problems.to_string();
                assert!(problems.has_errors() && told.contains("bent.yaml"), "case {case}: {told}");
            }
            Ok(flow) => {
                read += 1;
                say_hello(&flow);
            }
        }
    }
    assert!(
        read > 0 && refused > 0,
        "{read} files were read and {refused} refused: they are bent too much or too little"
    );
}

/// Two turns of a person who writes what fits nearly everywhere.
fn say_hello(flow: &Flow) {
    let contact = Identity { wa_id: Some("1".to_owned()), ..Identity::default() };
    let context = Context { contact: &contact, phone_number_id: "1", now: 0 };
    let mut snapshot = Snapshot::default();
    for body in ["1", "7"] {
        let message = InboundMessage {
            wamid: None,
            sent_at: None,
            sender: contact.clone(),
            reply_to: None,
            content: Content::Text { body: body.to_owned() },
        };
        let mut now = step(flow, &snapshot, &Input::Message(&message), &context);
        snapshot = loop {
            match now {
                Step::Done(transition) => break transition.snapshot,
                Step::Call(call) => now = call.resume(flow, &context, CallResult::Rows(Vec::new())),
            }
        };
    }
}
