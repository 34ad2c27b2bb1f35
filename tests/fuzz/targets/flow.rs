//! A flow file: it is read or refused, and one that is read takes three messages of a person.
#![no_main]

use libfuzzer_sys::fuzz_target;
use switchboard::domain::contact::Identity;
use switchboard::domain::inbound::{Content, InboundMessage};
use switchboard::flow::{CallResult, Context, Flow, Input, Snapshot, Step, step};

fuzz_target!(|file: &str| {
    let flow = match Flow::parse(file, "file.yaml") {
        Ok(flow) => flow,
        Err(problems) => {
            assert!(problems.has_errors());
            // Showing it is a program of its own: lines, carets, mends.
            assert!(!problems.to_string().is_empty());
            return;
        }
    };
    let contact = Identity { wa_id: Some("1".to_owned()), ..Identity::default() };
    let context = Context { contact: &contact, phone_number_id: "1", now: 1_795_337_387_000 };
    let mut snapshot = Snapshot::default();
    for body in ["hi", "1", "7"] {
        let message = InboundMessage {
            wamid: None,
            sent_at: None,
            sender: contact.clone(),
            reply_to: None,
            content: Content::Text { body: body.to_owned() },
        };
        let mut now = step(&flow, &snapshot, &Input::Message(&message), &context);
        snapshot = loop {
            match now {
                Step::Done(transition) => break transition.snapshot,
                Step::Call(call) => now = call.resume(&flow, &context, CallResult::Rows(Vec::new())),
            }
        };
    }
});
