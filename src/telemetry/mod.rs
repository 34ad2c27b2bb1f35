//! What the program says of itself: log lines ([`init_tracing`]) and numbers ([`Metrics`]).
//!
//! The composition starts logging once and makes one [`Metrics`], of which every room gets a clone. Nothing here is
//! global but the subscriber, which `tracing` wants so. Nothing here measures time: callers bring seconds from their
//! own clock. Masking of phone numbers belongs to `domain::contact`, that of secrets to their type.
//!
//! Invariant: the values of a label come from a small fixed set or from the configuration, never from what people or Meta send.

mod label;
mod logging;
mod metrics;

pub use label::{DeliveryOutcome, FetchOutcome, Refusal, SendOutcome, SyncOutcome, TurnOutcome};
pub use logging::{LogFormat, LoggingError, init_tracing, is_filter};
pub use metrics::{CONTENT_TYPE, Metrics, NumberGauges};
