//! Outlets: systems of the user's own that are told what happens, by signed POSTs ("webhooks out").
//!
//! What an outlet wants is taken over from the feed into rows of its own (deliveries), in order and with how far that has come
//! in one transaction, and posted from there. So nothing is left out over a crash; what was posted when the program ended
//! is posted again, under the same id: *at least once*. Within a conversation the order is kept: what fails holds up what
//! comes behind it in the same conversation (`lanes`), until it is taken or its deadline is over. One outlet never waits for
//! another.
//!
//! The signature is that of Standard Webhooks 1.0.0 (`sign`), so that their libraries verify it. The body is the notice as
//! the event stream shows it, as it is stored when it is posted.
//!
//! The address is the operator's own: it comes from `switchboard.toml`, never over the API. Even so, redirects are not
//! followed, and an address within a private network is reached only where the outlet is set to (`post`).
//!
//! Deliberately not here: what a notice looks like, and who may see the log of deliveries.

mod lanes;
mod post;
mod sign;
mod worker;

use std::time::Duration;

use crate::feed::Filter;

pub use post::Unfit;
pub use sign::{BadSecret, Signer};
pub use worker::{Worker, run};

/// An outlet, ready to be told.
#[derive(Debug, Clone)]
pub struct Outlet {
    /// Its name.
    pub name: String,
    /// Where it is told.
    pub url: String,
    /// What signs what it is told.
    pub signer: Signer,
    /// What it wants to be told.
    pub filter: Filter,
    /// Whether it may be in a private network.
    pub private: bool,
}

/// The limits that hold for each outlet.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Posts at once.
    pub in_flight_max: usize,
    /// How long a post may take.
    pub timeout: Duration,
    /// How long connecting may take.
    pub connect_timeout: Duration,
    /// How long a delivery is tried.
    pub deadline: Duration,
    /// The longest pause between two attempts.
    pub pause_max: Duration,
    /// Deliveries that are taken over and not made; the rest stays in the feed.
    pub backlog_max: usize,
}
