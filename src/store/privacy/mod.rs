//! What the store does for people's privacy: a person is erased ([`erase`]), shown all that is kept of them ([`export`]), and
//! what is old goes by itself.
//!
//! Erasing is an order in a table of its own (`erasure`), carried out step by step, so that an end of the program in the middle
//! of it is taken up at the next start. The first step is one transaction that cuts the person off: from its commit on nothing
//! leads to them any more, no turn of theirs can be committed, and whoever writes from their number is somebody new. What they
//! left behind goes after it, in parts that hold nobody up.
//!
//! What keeps it from coming back is remembered as keyed hashes ([`tombstone`]): Meta tells of a message for days after.

pub(crate) mod erase;
pub(crate) mod export;
pub(crate) mod redact;
pub(crate) mod remove;
pub(crate) mod scrub;
pub(crate) mod sweep;
pub(crate) mod tombstone;
pub(crate) mod waste;

pub use erase::{Erasure, ErasureState, Parted};
pub use export::{Line, Part, Place};
pub use scrub::Scrubbed;
pub use sweep::Found;
pub use tombstone::HashKey;
