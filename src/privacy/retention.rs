//! What is old goes by itself, each kind of data after its own time: some rows, a rest, some more, so that nobody waits for it.

use std::time::Duration;

use super::waste;
use crate::clock::duration_ms;
use crate::media::vault::Vault;
use crate::store::{self, Prunable, Store};

/// How long the rest between two passes is.
const PASS_EVERY: Duration = Duration::from_mins(10);
/// How much longer a rest is while events wait for their turn.
const YIELD: u32 = 10;

/// Who lets go of what is old.
pub struct Retention {
    /// Where rows are.
    pub store: Store,
    /// Where files are.
    pub vault: Vault,
    /// How long each kind is kept; what is not named is kept for ever.
    pub kept_for: Vec<(Prunable, Duration)>,
    /// How long the rest between two transactions is.
    pub pause: Duration,
}

impl Retention {
    /// For ever: a pass over all kinds, and a rest.
    pub async fn keep(self) {
        loop {
            for (kind, kept_for) in &self.kept_for {
                match self.pass(*kind, *kept_for).await {
                    Ok(0) => {}
                    Ok(rows) => {
                        tracing::info!(kind = kind.as_str(), rows, "what was too old to be kept is gone")
                    }
                    Err(store::Error::Closed) => return,
                    Err(error) => tracing::error!(kind = kind.as_str(), %error, "what is old cannot go"),
                }
            }
            if let Err(trouble) = waste::clear(&self.store, &self.vault).await {
                tracing::error!(%trouble, "files that nobody has any more cannot go");
            }
            self.store.clock().sleep(PASS_EVERY).await;
        }
    }

    /// Lets go of what is old of one kind. How many rows that were.
    async fn pass(&self, kind: Prunable, kept_for: Duration) -> Result<u64, store::Error> {
        let before = self.store.clock().now() - duration_ms(kept_for);
        let (mut rows, mut after) = (0, 0);
        loop {
            let pruned = self.store.prune(kind, before, after).await?;
            rows += pruned.rows;
            let Some(next) = pruned.next else { return Ok(rows) };
            after = next;
            let is_quiet = self.store.unfinished() == 0;
            self.store.clock().sleep(if is_quiet { self.pause } else { self.pause * YIELD }).await;
        }
    }
}
