//! Conversations through the step, with connectors that answer from a table.

mod check;
mod factory;
mod messages;
mod rules;
mod services;
mod speech;
mod walk;

use serde_json::{Map, Value, json};

use super::*;
use crate::clock::Millis;
use crate::domain::contact::Identity;
use crate::domain::ids::MediaId;
use crate::domain::inbound::{Content, InboundMessage, Media, MediaKind};
use crate::domain::outbound::Message;

/// 12 March 2026, noon in UTC.
const NOW: Millis = 1_773_316_800_000;

/// A conversation with a flow: what a phone and a database would be.
struct Talk<'f> {
    flow: &'f Flow,
    contact: Identity,
    snapshot: Snapshot,
    answer: fn(&str, &PendingCall) -> CallResult,
    /// The calls of the last turn.
    calls: Vec<(String, Value)>,
}

impl<'f> Talk<'f> {
    fn new(flow: &'f Flow) -> Self {
        Self::with(flow, |_, _| CallResult::Rows(Vec::new()))
    }

    fn with(flow: &'f Flow, answer: fn(&str, &PendingCall) -> CallResult) -> Self {
        let contact = Identity { name: Some("Ada".into()), ..Identity::phone("4917012345678") };
        Self { flow, contact, snapshot: Snapshot::default(), answer, calls: Vec::new() }
    }

    fn turn(&mut self, input: &Input<'_>) -> Vec<Effect> {
        let context = Context { contact: &self.contact, phone_number_id: "100", now: NOW };
        self.calls.clear();
        let mut step = step(self.flow, &self.snapshot, input, &context);
        loop {
            match step {
                Step::Done(transition) => {
                    self.snapshot = transition.snapshot;
                    return transition.effects;
                }
                Step::Call(call) => {
                    let name = call.connector().0.to_owned();
                    self.calls.push((name.clone(), json!(call.params())));
                    let result = (self.answer)(&name, &call);
                    step = call.resume(self.flow, &context, result);
                }
            }
        }
    }

    fn send(&mut self, content: Content) -> Vec<Effect> {
        self.turn(&Input::Message(&message(content)))
    }

    /// Types a text and returns the bodies of the answers.
    fn says(&mut self, text: &str) -> Vec<String> {
        bodies(&self.send(typed(text)))
    }

    fn says_all(&mut self, texts: &[&str]) {
        for text in texts {
            self.says(text);
        }
    }

    fn presses(&mut self, id: &str) -> Vec<String> {
        bodies(&self.send(Content::Choice { id: id.into(), title: "Pressed".into() }))
    }

    fn state(&self) -> &str {
        self.snapshot.state.as_deref().unwrap_or("-")
    }
}

fn message(content: Content) -> InboundMessage {
    InboundMessage { wamid: None, sent_at: None, sender: Identity::default(), reply_to: None, content }
}

fn typed(text: &str) -> Content {
    Content::Text { body: text.into() }
}

fn photo() -> Content {
    Content::Media(Media {
        kind: MediaKind::Image,
        id: "media-1".into(),
        file: Some(MediaId(1)),
        mime_type: Some("image/jpeg".into()),
        sha256: None,
        caption: None,
        filename: None,
        voice: false,
    })
}

fn sent(effects: &[Effect]) -> Vec<&Message> {
    effects
        .iter()
        .filter_map(|effect| if let Effect::Send { message, .. } = effect { Some(message) } else { None })
        .collect()
}

fn bodies(effects: &[Effect]) -> Vec<String> {
    sent(effects).into_iter().map(|message| message.body().to_owned()).collect()
}

fn troubles(effects: &[Effect]) -> Vec<&str> {
    effects
        .iter()
        .filter_map(|effect| if let Effect::Trouble(told) = effect { Some(told.as_str()) } else { None })
        .collect()
}

fn rows(rows: Value) -> CallResult {
    CallResult::Rows(serde_json::from_value::<Vec<Map<String, Value>>>(rows).unwrap())
}

/// A flow whose `states` are given; the rest is as short as it can be.
fn flow_of(top: &str, states: &str) -> Flow {
    let source = format!("switchboard: 1\nbot: t\nstart: main\n{top}\nstates:\n{states}");
    Flow::parse(&source, "t.yaml").unwrap_or_else(|problems| panic!("{problems}"))
}
