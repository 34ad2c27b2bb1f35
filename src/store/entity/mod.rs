//! The rows, column for column as in the `migration` crate. Plain columns only: ids and statuses become domain types at
//! the edge of the store.
#![expect(unreachable_pub, reason = "the macros of the entities write `pub`")]

pub(crate) mod alias;
pub(crate) mod api_key;
pub(crate) mod attempt;
pub(crate) mod audit;
pub(crate) mod contact;
pub(crate) mod delivery;
pub(crate) mod erasure;
pub(crate) mod feed;
pub(crate) mod flow;
pub(crate) mod media;
pub(crate) mod media_upload;
pub(crate) mod message;
pub(crate) mod opt_out_mark;
pub(crate) mod queue;
pub(crate) mod session;
pub(crate) mod template;
pub(crate) mod timer;
pub(crate) mod token_pause;
pub(crate) mod webhook;
