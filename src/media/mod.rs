//! Files: kept once, found by their hash, fetched from Meta and uploaded to it.
//!
//! [`vault`] holds the bytes, in a folder or a bucket. [`fetch`] is the job that gets what people sent: the row that the
//! accepting transaction wrote says what is wanted, so a restart loses nothing. [`library`] takes and gives files at the
//! REST door. [`upload`] is what the sender asks when a message holds one of our files: it finds or makes Meta's id of it.
//! [`types`] knows the kinds of file that Meta takes.
//!
//! Invariants: a row is `ready` only when its bytes are in the vault under their hash, which is the one that Meta promised;
//! no webhook waits for a file and no message fails for one that came in; a file of ours is uploaded once per number while
//! Meta keeps it.

pub mod fetch;
pub mod library;
pub mod types;
pub mod upload;
pub mod vault;

use std::time::Duration;

/// The limits that are kept on files.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Bytes in a file, in either direction.
    pub size_max: u64,
    /// The MIME types that are kept: `image/png`, `image/*` or `*`.
    pub types: Vec<String>,
    /// Files that are fetched at the same time.
    pub fetches_max: usize,
    /// How often fetching one may fail.
    pub attempts_max: u32,
    /// How long one transfer may take.
    pub transfer_timeout: Duration,
}

impl Limits {
    /// Whether files of this type are kept.
    #[must_use]
    pub fn allow(&self, mime_type: &str) -> bool {
        types::matches(&self.types, mime_type)
    }
}
