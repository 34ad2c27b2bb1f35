//! One conversation: a supervised actor that takes the events of one line one at a time, in the order in which they were
//! accepted.
//!
//! [`actor`] is the shell: mailbox, restart, pause. [`turn`] is what happens for one event: load, step, call, commit.
//! [`memory`] is what stays in memory between turns, and [`flows`] finds the flow that a session is pinned to. The router
//! starts actors and stops the idle ones; a conversation knows nothing of it.
//!
//! Invariants: what is in memory is what was committed, or it is dropped; an event leaves `pending` only when it is done,
//! quarantined, or found not to be open; a panic, a loop or a hang in one turn costs that turn an attempt and nobody else
//! anything.

pub mod actor;
pub mod flows;
pub mod memory;
mod pause;
pub mod turn;

use std::time::Duration;

use tokio::sync::Semaphore;

use crate::connector::Services;
use crate::conversation::flows::Flows;
use crate::domain::consent::Words;
use crate::store::Store;
use crate::telemetry::Metrics;
use crate::template::Book;

/// What every conversation works with.
pub struct Desk {
    /// Where everything is kept.
    pub store: Store,
    /// The flows.
    pub flows: Flows,
    /// The services that flows ask over HTTP; without them, none is asked.
    pub services: Option<Services>,
    /// The words by which people opt out and in again.
    pub words: Words,
    /// Who knows which templates are marketing.
    pub templates: Book,
    /// What is counted.
    pub metrics: Metrics,
    /// Attempts at a turn, the first included, before its event is quarantined.
    pub attempts_max: u32,
    /// How long a turn may take.
    pub turn_timeout: Duration,
    /// Held by a turn that was begun in two earlier runs of the program and ended in neither: one at a time in the whole
    /// program, so that if it takes the process down again, no other event is charged with that.
    pub suspects: Semaphore,
}
