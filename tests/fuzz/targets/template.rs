//! A template, as the text of a flow that says it: it is refused by the check, or it ends, within its budget, whatever it does.
#![no_main]

use libfuzzer_sys::fuzz_target;
use switchboard::domain::contact::Identity;
use switchboard::domain::inbound::{Content, InboundMessage};
use switchboard::flow::{Context, Flow, Input, Snapshot, Step, step};

fuzz_target!(|template: &str| {
    // JSON's strings are YAML's.
    let said = serde_json::Value::from(template);
    let file = format!("switchboard: 1\nbot: b\nstart: s\nstates:\n  s: {{ end: {said} }}\n");
    let Ok(flow) = Flow::parse(&file, "file.yaml") else { return };
    let contact = Identity { wa_id: Some("1".to_owned()), ..Identity::default() };
    let context = Context { contact: &contact, phone_number_id: "1", now: 1_795_337_387_000 };
    let message = InboundMessage {
        wamid: None,
        sent_at: None,
        sender: contact.clone(),
        reply_to: None,
        content: Content::Text { body: "hi".to_owned() },
    };
    let said = step(&flow, &Snapshot::default(), &Input::Message(&message), &context);
    let Step::Done(transition) = said else { panic!("a flow without connectors calls nothing") };
    assert!(transition.effects.len() <= 8);
});
