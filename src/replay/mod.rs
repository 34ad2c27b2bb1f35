//! Replay: what a flow would say to what people wrote, beside what was said to them then.
//!
//! The stored events of a conversation are taken through the very turn that a conversation takes, from a fresh start, with
//! the flow that is tried. Nothing is committed, sent or written down: queries are answered from what is stored now, writes
//! are taken to have been made, and the numbers of sequences are made up and count as equal to those that were given then.
//! Waits are over when they would have been.
//!
//! What this room deliberately does not do: know what an operator changed beside the conversation (an opt-out over the API),
//! or what a query was answered then.

use std::sync::Arc;
use std::time::Duration;

use regex::Regex;
use serde_json::Value;
use tokio::sync::Semaphore;

use crate::clock::{Millis, SECOND};
use crate::connector::Rehearsal;
use crate::conversation::Desk;
use crate::conversation::flows::Flows;
use crate::conversation::memory::Memory;
use crate::conversation::turn;
use crate::domain::consent::Words;
use crate::domain::event::{Command, Event, Input};
use crate::domain::ids::{ConversationId, EventId};
use crate::domain::outbound::Message;
use crate::flow::{Flow, Problems, Snapshot};
use crate::store::read::{PastEvent, Times};
use crate::store::{Error, Session, Store, TimerChange};
use crate::telemetry::Metrics;
use crate::template::Book;

/// Events of one conversation that are replayed at once, at the most.
pub const REPLAYED_MAX: u64 = 1_000;
/// A wait that is over this shortly before the next message may have been overtaken by it then, and is left out.
const OVERTAKEN: Millis = 2 * SECOND;
/// Waits in a row that may be over before the next message: a bot that goes on talking to nobody is cut short.
const WAITS_MAX: usize = 20;
/// What stands for a number of a sequence where it is shown.
const ANY_NUMBER: &str = "…";

/// How replays are made.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The words of STOP and START.
    pub words: Words,
    /// How long a turn may take.
    pub turn_timeout: Duration,
}

/// A flow on trial.
pub struct Replay {
    desk: Desk,
    flow: Arc<Flow>,
    rehearsal: Rehearsal,
}

/// A conversation, replayed.
#[derive(Debug)]
pub struct Replayed {
    /// Which.
    pub conversation: ConversationId,
    /// What was heard and said, in order.
    pub exchanges: Vec<Exchange>,
    /// Whether there are later events.
    pub more: bool,
}

/// What was heard, what was said to it then, and what the flow on trial would say.
#[derive(Debug)]
pub struct Exchange {
    /// The event.
    pub event: EventId,
    /// When it was accepted.
    pub at: Millis,
    /// What was heard, for a reader.
    pub heard: String,
    /// What was said then, until the next event.
    pub then: Vec<Message>,
    /// What the flow on trial would say.
    pub now: Vec<Message>,
    /// Why the turn would break, if it would.
    pub trouble: Option<String>,
    /// Whether both are the same.
    pub same: bool,
}

impl Replayed {
    /// The exchanges that differ.
    pub fn differences(&self) -> impl Iterator<Item = &Exchange> {
        self.exchanges.iter().filter(|exchange| !exchange.same)
    }
}

impl Replay {
    /// Puts the flow in `source` on trial.
    ///
    /// # Errors
    /// When the flow has mistakes: all of them.
    pub fn of_source(store: Store, source: &str, settings: &Settings) -> Result<Self, Problems> {
        Flow::parse(source, "flow").map(|flow| Self::new(store, flow, settings))
    }

    /// Puts `flow` on trial.
    #[must_use]
    pub fn new(store: Store, flow: Flow, settings: &Settings) -> Self {
        let Settings { words, turn_timeout } = settings.clone();
        let flows = Flows::of_one(store.clone(), flow);
        let flow = flows.current("");
        let desk = Desk {
            store,
            flows,
            words,
            services: None,
            templates: Book::new([]),
            metrics: Metrics::new(),
            attempts_max: 1,
            turn_timeout,
            suspects: Semaphore::new(1),
        };
        Self { desk, flow, rehearsal: Rehearsal::default() }
    }

    /// Replays what happened in `conversation` in these times; `None` where there is no such conversation. One that became
    /// part of another is replayed with it.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn conversation(
        &self,
        conversation: ConversationId,
        times: Times,
    ) -> Result<Option<Replayed>, Error> {
        let store = &self.desk.store;
        let Some(mut found) = store.activate(conversation).await? else { return Ok(None) };
        if let Some(into) = found.merged_into {
            let Some(successor) = store.activate(into).await? else { return Ok(None) };
            found = successor;
        }
        let past = store.past(found.session.conversation, times, REPLAYED_MAX).await?;
        let more = past.rest.is_some();
        let mut line = Line::new(self, found.session);
        for event in past.rows {
            line.take(event).await;
        }
        let end = if more { None } else { Some(times.until.unwrap_or_else(|| store.clock().now())) };
        if let Some(end) = end {
            line.wait_until(end).await;
        }
        let conversation = line.memory.session.conversation;
        let exchanges = line.exchanges.into_iter().map(|exchange| self.judged(exchange)).collect();
        Ok(Some(Replayed { conversation, exchanges, more }))
    }

    /// Says whether both are the same, and takes the made-up numbers out.
    fn judged(&self, mut exchange: Exchange) -> Exchange {
        let made_up: Vec<String> = self.rehearsal.given().collect();
        let alike = exchange.then.len() == exchange.now.len()
            && exchange.then.iter().zip(&exchange.now).all(|(then, now)| are_alike(then, now, &made_up));
        exchange.same = alike && exchange.trouble.is_none();
        if exchange.same {
            exchange.now.clone_from(&exchange.then);
        }
        exchange
    }

    /// Names the flow on trial.
    #[must_use]
    pub fn hash(&self) -> &str {
        self.flow.hash()
    }

    /// What a message is to a reader: its words, what can be pressed, and its kind where that is not plain. Made-up numbers
    /// are left out.
    #[must_use]
    pub fn shown(&self, message: &Message) -> String {
        let made_up: Vec<String> = self.rehearsal.given().collect();
        let mut text = shown(message);
        for number in &made_up {
            text = text.replace(number, ANY_NUMBER);
        }
        text
    }
}

/// A conversation on its way through its past.
struct Line<'a> {
    replay: &'a Replay,
    memory: Memory,
    /// When the wait is over that the last turn asked for.
    waits_until: Option<Millis>,
    exchanges: Vec<Exchange>,
}

impl<'a> Line<'a> {
    /// As it was before its first event.
    fn new(replay: &'a Replay, session: Session) -> Self {
        let Session { conversation, contact, phone_number_id, identity, .. } = session;
        let session = Session::begun(conversation, contact, phone_number_id, identity);
        let memory = Memory { session, snapshot: Snapshot::default(), flow: Arc::clone(&replay.flow) };
        Self { replay, memory, waits_until: None, exchanges: Vec::new() }
    }

    async fn take(&mut self, past: PastEvent) {
        let PastEvent { event, said } = past;
        if let Input::Timer { .. } = &*event.input {
            // What was said then belongs to what was heard before. Waits have their own time here; one that is over by now was
            // not overtaken.
            if let Some(exchange) = self.exchanges.last_mut() {
                exchange.then.extend(said);
            }
            return self.wait_until(event.accepted_at).await;
        }
        self.wait_until(event.accepted_at - OVERTAKEN).await;
        self.exchanges.push(Exchange {
            event: event.id,
            at: event.accepted_at,
            heard: heard(&event.input),
            then: said,
            now: Vec::new(),
            trouble: None,
            same: false,
        });
        self.turn(&event).await;
    }

    /// Lets waits be over until `end`.
    async fn wait_until(&mut self, end: Millis) {
        for _ in 0..WAITS_MAX {
            let Some(due_at) = self.waits_until.filter(|due_at| *due_at <= end) else { return };
            self.waits_until = None;
            let Some(last) = self.exchanges.last() else { return };
            let event = Event {
                id: last.event,
                conversation: self.memory.session.conversation,
                accepted_at: due_at,
                attempts: 0,
                recovered: false,
                input: Arc::new(Input::Timer { generation: self.memory.session.timer_generation }),
            };
            self.turn(&event).await;
        }
    }

    async fn turn(&mut self, event: &Event) {
        let outcome = turn::rehearse(&self.replay.desk, &self.memory, event, &self.replay.rehearsal).await;
        let Some(exchange) = self.exchanges.last_mut() else { return };
        match outcome {
            Ok((turn, memory)) => {
                exchange.now.extend(turn.messages.into_iter().map(|outgoing| (*outgoing.message).clone()));
                self.memory = memory;
                match turn.timer {
                    TimerChange::Keep => {}
                    TimerChange::Clear => self.waits_until = None,
                    TimerChange::Set(due_at) => self.waits_until = Some(due_at),
                }
            }
            Err(trouble) => exchange.trouble = Some(trouble),
        }
    }
}

/// Whether `now` is `then`, whatever number stands where one of those that are `made_up` does.
fn are_alike(then: &Message, now: &Message, made_up: &[String]) -> bool {
    if then == now {
        return true;
    }
    let (Ok(then), Ok(now)) = (serde_json::to_string(then), serde_json::to_string(now)) else { return false };
    let mut pattern = regex::escape(&now);
    for number in made_up {
        pattern = pattern.replace(number, "[0-9]+");
    }
    Regex::new(&format!("^{pattern}$")).is_ok_and(|pattern| pattern.is_match(&then))
}

/// What was heard, for a reader.
fn heard(input: &Input) -> String {
    match input {
        Input::Message(message) => {
            let (kind, text) = (message.content.kind(), message.content.text());
            match (kind, text) {
                ("text", Some(text)) => text.to_owned(),
                (kind, Some(text)) => format!("[{kind}] {text}"),
                (kind, None) => format!("[{kind}]"),
            }
        }
        Input::Command(Command::Send { .. }) => "(a message was sent over the API)".to_owned(),
        Input::Command(Command::HandOff { .. }) => "(a person took over)".to_owned(),
        Input::Command(Command::Release) => "(the bot was to answer again)".to_owned(),
        Input::Command(Command::Reset) => "(the conversation was reset)".to_owned(),
        Input::Timer { .. } => "(a wait was over)".to_owned(),
    }
}

fn shown(message: &Message) -> String {
    let mut text = match message.kind() {
        "text" | "buttons" | "list" => message.body().to_owned(),
        kind => format!("[{kind}] {}", message.body()).trim_end().to_owned(),
    };
    let mut titles = Vec::new();
    collect_titles(&serde_json::to_value(message).unwrap_or_default(), &mut titles);
    for title in titles {
        text.push_str(&format!(" [{title}]"));
    }
    text
}

/// What can be pressed, by its title.
fn collect_titles(value: &Value, titles: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            let is_pressed = fields.contains_key("id");
            for (name, value) in fields {
                match value {
                    Value::String(title) if name == "title" && is_pressed => titles.push(title.clone()),
                    value => collect_titles(value, titles),
                }
            }
        }
        Value::Array(values) => values.iter().for_each(|value| collect_titles(value, titles)),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(body: &str) -> Message {
        Message::text(body).unwrap()
    }

    #[test]
    fn a_made_up_number_counts_as_any_and_nothing_else_does() {
        let made_up = ["9000000000000".to_owned(), "9000000000001".to_owned()];
        let now = text("Report DEF-9000000000000 (as before 9000000000001) is taken.");
        assert!(are_alike(&text("Report DEF-0007 (as before 12) is taken."), &now, &made_up));
        assert!(!are_alike(&text("Report DEF-A (as before 12) is taken."), &now, &made_up));
        assert!(!are_alike(&text("Report DEF-0007 (as before 12) is taken!"), &now, &made_up));
        assert!(are_alike(&text("a.b"), &text("a.b"), &[]));
        assert!(!are_alike(&text("axb"), &text("a.b"), &[]));
    }

    #[test]
    fn a_message_is_shown_with_what_can_be_pressed() {
        let buttons = serde_json::json!({"type": "buttons", "body": "Which one?",
                                         "buttons": [{"id": "1", "title": "Red"}, {"id": "2", "title": "Blue"}]});
        let buttons: Message = serde_json::from_value(buttons).unwrap();
        assert_eq!(shown(&buttons), "Which one? [Red] [Blue]");
        assert_eq!(shown(&text("hello")), "hello");
    }
}
