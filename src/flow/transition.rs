//! What goes into a step and what comes out of it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::definition::Connector;
use super::step::Progress;
use crate::clock::Millis;
use crate::domain::contact::Identity;
use crate::domain::inbound::InboundMessage;
use crate::domain::outbound::Message;
use crate::domain::window::Outside;

/// What is kept of a conversation between turns. Small, and the same JSON for the same content; what is mostly zero or
/// false is left out while it is: `{"state":"main","vars":{"order_no":"ORD-001"}}`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Snapshot {
    /// The state that the person stands in; `None` when the conversation has not begun or has ended.
    pub state: Option<String>,
    /// The saved variables.
    pub vars: Map<String, Value>,
    /// How many inputs in a row were not understood.
    #[serde(skip_serializing_if = "is_default")]
    pub misses: u32,
    /// Whether a colleague has taken over, so that the flow is silent.
    #[serde(skip_serializing_if = "is_default")]
    pub handed_off: bool,
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// What begins a turn.
#[derive(Debug, Clone, Copy)]
pub enum Input<'a> {
    /// The person wrote something that [wants an answer](crate::domain::inbound::Content::wants_answer).
    Message(&'a InboundMessage),
    /// The wait that the last transition asked for is over, and the person wrote nothing.
    Timeout,
    /// The operator gave the conversation back to the flow, or the time of the hand-off is over.
    Released,
}

/// What a step may know besides.
#[derive(Debug, Clone, Copy)]
pub struct Context<'a> {
    /// The person.
    pub contact: &'a Identity,
    /// Our phone number's id, by Meta.
    pub phone_number_id: &'a str,
    /// The time of the turn.
    pub now: Millis,
}

/// How far a turn has come.
#[derive(Debug)]
pub enum Step {
    /// To its end.
    Done(Transition),
    /// To a connector call, whose result it needs to go on.
    Call(PendingCall),
}

/// The end of a turn.
#[derive(Debug, Clone, PartialEq)]
pub struct Transition {
    /// What is kept.
    pub snapshot: Snapshot,
    /// What is to be done, in this order.
    pub effects: Vec<Effect>,
}

/// A wish of the flow.
#[derive(Debug, Clone, PartialEq)]
#[expect(clippy::large_enum_variant, reason = "nearly all are sends, and none lives long")]
pub enum Effect {
    /// Send this to the person.
    Send {
        /// The message.
        message: Message,
        /// The message of the person that it quotes, by Meta's id.
        reply_to: Option<String>,
        /// What becomes of it when their 24-hour window is closed at the moment of leaving.
        outside: Outside,
    },
    /// Let a colleague take over.
    HandOff {
        /// For how long, counted from the turn; then [`Input::Released`] is due. None: until an operator says so.
        for_ms: Option<Millis>,
    },
    /// Come back with [`Input::Timeout`] if the person writes nothing for so long. It replaces the timer of the turn
    /// before; a transition without it wants no timer.
    Timeout {
        /// How long, counted from the turn.
        after_ms: Millis,
    },
    /// The person chose something; for statistics.
    Chose {
        /// Where.
        state: String,
        /// What, by its label.
        option: String,
    },
    /// The flow made a mistake that no check can find; for the operator. The person gets an apology and the start, unless
    /// only the template of an `outside_window` is wrong: then they get what there is to say.
    Trouble(String),
}

/// What a connector answered.
#[derive(Debug, Clone, PartialEq)]
pub enum CallResult {
    /// The rows of a query.
    Rows(Vec<Map<String, Value>>),
    /// The next of a sequence, or what a service answered. Nothing and an empty list count as no rows do.
    Value(Value),
    /// A write joined the transaction of the turn.
    Written,
    /// It failed, in words for the operator.
    Failed(String),
}

/// A turn that waits for a connector. It owns all it needs, so that the caller can await in between.
#[derive(Debug, Clone)]
pub struct PendingCall {
    pub(super) state: String,
    pub(super) name: String,
    pub(super) connector: Connector,
    pub(super) params: BTreeMap<String, Value>,
    pub(super) progress: Progress,
}

impl PendingCall {
    /// The connector to call, with its name in the file.
    #[must_use]
    pub fn connector(&self) -> (&str, &Connector) {
        (&self.name, &self.connector)
    }

    /// The values to bind, by the names of the parameters.
    #[must_use]
    pub fn params(&self) -> &BTreeMap<String, Value> {
        &self.params
    }

    /// The state that calls.
    #[must_use]
    pub fn state(&self) -> &str {
        &self.state
    }
}
