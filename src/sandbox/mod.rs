//! The local Meta: a server on this machine that speaks the WhatsApp Cloud API over real HTTP, and phones to type on.
//!
//! Developers, tests and `switchboard sandbox` use it in place of an account with Meta. Towards the program under test it
//! is the Graph API (messages, files and templates) and the sender of signed webhooks; towards people and
//! scripts it is a page (`GET /`) and a small HTTP interface (`POST /phones/{wa_id}/messages`); towards tests it is a
//! [`LocalMeta`].
//!
//! ```sh
//! curl -d '{"text":"hi"}' localhost:8001/phones/4915112345001/messages      # waits for the replies and shows them
//! curl -d '{"press":"track"}' localhost:8001/phones/4915112345001/messages  # a button or row, by id or title
//! curl -d '{"times":{"next":3},"outcome":{"error":{"code":131000}}}' localhost:8001/rules
//! curl -d '{"event":"PAUSED"}' localhost:8001/templates/{id}/status         # GET /templates lists them
//! ```
//!
//! Called by the command line's `sandbox` and by tests. It deliberately shares nothing with `meta/`: it was written from
//! Meta's pages, so that a mistake in our parser or request builder cannot hide behind the same mistake here.
//!
//! Invariants:
//! - it listens on this machine only, and posts to this machine only;
//! - what a phone says is posted until it is answered 200, and never overtaken by what that phone says later;
//! - a send is either refused with Meta's error, or delivered exactly once, whatever then happens to its answer;
//! - nothing in it is random but ids.

mod answer;
mod apps;
mod control;
mod counted;
mod courier;
mod entry;
mod faults;
mod graph;
mod handle;
mod interactive;
mod lanes;
mod levers;
mod limits;
mod media;
mod nodes;
mod page;
mod param;
mod parts;
mod payload;
mod phones;
mod refusal;
mod said;
mod server;
mod settings;
mod statuses;
mod templates;
mod timetable;
mod tokens;
mod validate;
mod wire;
mod words;

use std::sync::{Mutex, MutexGuard, PoisonError};

pub use control::{PHONES_LISTED, QUIET, WAIT_DEFAULT_MS, WAIT_MAX_MS};
pub use counted::{BadRule, RULES_MAX, Standing, Times};
pub use courier::{
    BATCH_MAX, BadWebhookUrl, Delivered, IN_FLIGHT_MAX, POST_TIMEOUT, Posting, RETRY_FIRST, RETRY_MAX,
};
pub use entry::{Choice, Content, Entry, Side, Status};
pub use faults::{DELAY_MAX_MS, Endpoint, Outcome, Placed, Rule};
pub use graph::{REQUESTS_KEPT, Received};
pub use handle::{LocalMeta, Undelivered};
pub use limits::{Limits, PAIR_REFILL_MAX_MS, Window};
pub use media::{FILES_BYTES_MAX, Media, UPLOAD_MAX};
pub use phones::{CannotSay, PhoneSummary, TRANSCRIPT_MAX};
pub use settings::{DemoPhone, Settings};
pub use statuses::{Effect, HELD_MAX_MS, REPEAT_MAX, SHUFFLE_MAX, StatusRule};
pub use templates::{BadTemplate, Review, TEMPLATES_MAX};

/// Locks, whatever became of the thread that held the lock before: what is behind these locks is whole after every
/// statement.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
