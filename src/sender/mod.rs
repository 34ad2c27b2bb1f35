//! The sender: everything that goes out to Meta goes through here, in order per conversation and within Meta's limits.
//!
//! [`actor`] is the shell. [`lanes`] holds what waits, head of line: the next message of a conversation leaves after the one
//! before has its Meta id, or has failed for good. [`pacing`] keeps the limits per number and per pair in advance. [`post`]
//! makes one attempt: durable claim, POST, settle. [`verdict`] decides what an outcome means; it is pure.
//!
//! Invariants: nothing is posted without a durable claim on a row that is still open; a refusal delays a lane or a number,
//! never one message within its lane; an outcome that nobody knows is written down as such, and is settled by Meta's status
//! or, after a grace, by policy.

pub mod actor;
pub mod lanes;
pub mod pacing;
pub mod post;
pub mod reconcile;
pub mod verdict;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::clock::Millis;
use crate::config::AmbiguousPolicy;
use crate::meta::client::Client;

/// One of our numbers, as the sender sees it.
#[derive(Clone)]
pub struct Number {
    /// Meta's id of it.
    pub phone_number_id: Arc<str>,
    /// Messages per second; 0 for no pacing.
    pub messages_per_second: u32,
    /// The way to Meta, with this number's token.
    pub client: Client,
}

/// The limits that the sender keeps.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Whether the pair limit is kept.
    pub pair_pacing: bool,
    /// Posts under way at the same time, per number.
    pub in_flight_max: usize,
    /// Attempts at one message.
    pub attempts_max: u32,
    /// How long after its event a message is still worth sending.
    pub deadline: Duration,
    /// How long a status may take to settle an ambiguous send.
    pub ambiguous_grace: Duration,
    /// What becomes of it then.
    pub ambiguous_policy: AmbiguousPolicy,
}

/// How a number is doing, for those who look.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NumberState {
    /// Why nothing leaves it, and until when.
    pub paused: Option<(String, Millis)>,
    /// Messages that wait or are under way.
    pub waiting: usize,
}

/// How the numbers are doing; written by the sender, read by the health page.
#[derive(Debug, Clone, Default)]
pub struct Board(Arc<Mutex<HashMap<Arc<str>, NumberState>>>);

impl Board {
    /// All numbers and how they are doing.
    #[must_use]
    pub fn numbers(&self) -> Vec<(Arc<str>, NumberState)> {
        let board = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut numbers: Vec<_> =
            board.iter().map(|(number, state)| (Arc::clone(number), state.clone())).collect();
        numbers.sort_by(|a, b| a.0.cmp(&b.0));
        numbers
    }

    pub(crate) fn update(&self, number: &Arc<str>, change: impl FnOnce(&mut NumberState)) {
        let mut board = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        change(board.entry(Arc::clone(number)).or_default());
    }
}
