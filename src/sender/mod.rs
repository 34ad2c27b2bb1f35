//! The sender: everything that goes out to Meta goes through here, in order per conversation and within Meta's limits.
//!
//! [`actor`] is the shell. [`lanes`] holds what waits, head of line: the next message of a conversation leaves after the one
//! before has its Meta id, or has failed for good; replies leave before bulk. [`pacing`] keeps the limits per number and per
//! pair in advance. [`token`] holds a number back whose token Meta refuses. [`post`] makes one attempt: durable claim, POST,
//! settle. [`verdict`] decides what an outcome means; it is pure.
//!
//! Invariants: nothing is posted without a durable claim on a row that is still open; a refusal delays a lane or a number,
//! never one message within its lane; an outcome that nobody knows is written down as such, and is settled by Meta's status
//! or, after a grace, by policy; while a number's token is refused, no message of it fails or grows late.

pub mod actor;
pub mod lanes;
pub mod pacing;
pub mod post;
pub mod reconcile;
pub mod token;
pub mod verdict;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::clock::Millis;
use crate::config::AmbiguousPolicy;
use crate::meta::client::Client;
use crate::telemetry::NumberGauges;

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

/// Messages that wait or are under way, by class.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Depth {
    /// Someone waits for them.
    pub reply: usize,
    /// The others.
    pub bulk: usize,
}

/// Why nothing leaves a number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pause {
    /// Whether it is for want of a good token; else for having been too fast.
    pub for_token: bool,
    /// Meta's words, and the cause in plain ones.
    pub why: String,
    /// Since when.
    pub since: Millis,
    /// When it is tried again.
    pub until: Millis,
}

/// How a number is doing, for those who look.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NumberState {
    /// Why nothing leaves it.
    pub paused: Option<Pause>,
    /// Why messages leave it more slowly than it is allowed.
    pub slowed: Option<String>,
    /// What waits or is under way.
    pub waiting: Depth,
    /// What of that is under way.
    pub in_flight: usize,
    /// When the oldest event was accepted for which a message waits.
    pub oldest_at: Option<Millis>,
    /// Messages per second that Meta allows, both directions together; `None` for no limit.
    pub allowed: Option<u32>,
    /// What is used of that now, in thousandths of a message per second.
    pub rate_milli: Option<u64>,
    /// How long it takes until everything that waits has left; `None` while nobody knows.
    pub drained_in: Option<Duration>,
}

impl NumberState {
    /// The same in numbers, at `now`.
    fn gauges(&self, now: Millis) -> NumberGauges {
        let seconds = |ms: Millis| Duration::from_millis(ms.max(0).unsigned_abs()).as_secs_f64();
        NumberGauges {
            reply: self.waiting.reply,
            bulk: self.waiting.bulk,
            oldest_seconds: self.oldest_at.map_or(0.0, |at| seconds(now - at)),
            is_paused: self.paused.is_some(),
            rate: self.rate_milli.map(|rate| Duration::from_millis(rate).as_secs_f64()),
            drain_seconds: self.drained_in.map(|time| time.as_secs_f64()),
        }
    }
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

    /// Writes down how a number is doing now.
    pub(crate) fn set(&self, number: &Arc<str>, state: NumberState) {
        let mut board = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        board.insert(Arc::clone(number), state);
    }
}
