//! Templates: kept in step with Meta, and asked before one is sent.
//!
//! [`keeper`] is the job that reads Meta's list: at the start, from time to time, and when news or a person ask for it.
//! Between two readings Meta's webhooks tell of changes; the accepting transaction writes them down. [`book`] is what is
//! written down, in memory: it says whether a template would be taken, without a read.
//!
//! Deliberately not here: making, editing and deleting templates, which is done at Meta's. A message is not changed or held
//! here; who sends it decides what a verdict means for it.
//!
//! Invariants: what nobody has told us of is never refused; a list that was not read to its end deletes nothing; a restart
//! knows what was known before it, whether or not Meta can be reached.

pub mod book;
pub mod keeper;

pub use book::{Book, Verdict};
