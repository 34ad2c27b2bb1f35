//! Fetching what people sent: a job of its own, driven by the rows that say what is wanted. A restart loses nothing, and
//! what is fetched twice is kept once.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use tokio::sync::Notify;
use tokio::task::{self, JoinSet};

use super::Limits;
use super::vault::{Draft, Vault, VaultError};
use crate::clock::{HOUR, Millis, SECOND};
use crate::domain::ids::MediaId;
use crate::meta::client::{Client, Trouble};
use crate::meta::failure::Policy;
use crate::store::{self, Kept, Store, StoredMedia};
use crate::telemetry::{FetchOutcome, Metrics};

/// How long Meta keeps what a person sent. Source: Meta, "Media", 2026.
const META_KEEPS: Millis = 7 * 24 * HOUR;
/// The first pause after a failure; doubled with each one.
const BACKOFF: Millis = SECOND;
/// The longest pause.
const BACKOFF_MAX: Millis = HOUR;
/// Addresses that are asked for in one attempt: one that is no longer good is replaced at once.
const ADDRESSES: usize = 2;

/// What fetching works with.
pub struct Fetcher {
    /// Where the rows are.
    pub store: Store,
    /// Where the bytes go.
    pub vault: Vault,
    /// The way to Meta for each of our numbers.
    pub clients: HashMap<String, Client>,
    /// The limits that are kept.
    pub limits: Limits,
    /// What is counted.
    pub metrics: Metrics,
}

/// Why a file was not fetched.
#[derive(Debug)]
enum Miss {
    /// Trying again may help.
    Later(String),
    /// Nothing will help.
    Never(String),
}

impl From<Trouble> for Miss {
    fn from(trouble: Trouble) -> Self {
        match &trouble {
            Trouble::Refused(refused) if refused.policy() == Policy::Permanent => {
                Self::Never(trouble.to_string())
            }
            Trouble::Stranger(_) => Self::Never(trouble.to_string()),
            Trouble::Refused(_) | Trouble::Unanswered(_) | Trouble::Gone => Self::Later(trouble.to_string()),
        }
    }
}

impl From<VaultError> for Miss {
    fn from(error: VaultError) -> Self {
        match error {
            VaultError::TooLarge { .. } => Self::Never(error.to_string()),
            // Half a file is one that came in only half.
            VaultError::Empty | VaultError::Mismatch | VaultError::Storage(_) => {
                Self::Later(error.to_string())
            }
        }
    }
}

/// For ever: fetches what is wanted and due. Looks when it is woken, when a fetch has ended, and every `every`.
pub async fn fetch(fetcher: Arc<Fetcher>, wake: Arc<Notify>, every: Duration) {
    let mut under_way = JoinSet::new();
    let mut in_hand: HashMap<task::Id, MediaId> = HashMap::new();
    loop {
        match due(&fetcher, &in_hand).await {
            Ok(files) => {
                for file in files {
                    let id = file.id;
                    let fetcher = Arc::clone(&fetcher);
                    let task = under_way.spawn(async move { fetcher.attend(file).await });
                    in_hand.insert(task.id(), id);
                }
            }
            Err(store::Error::Closed) => return,
            Err(error) => tracing::error!(%error, "cannot look for files to fetch"),
        }
        tokio::select! {
            Some(ended) = under_way.join_next_with_id() => match ended {
                Ok((task, ())) => _ = in_hand.remove(&task),
                Err(error) => {
                    let file = in_hand.remove(&error.id());
                    fetcher.broke_down(file, &error).await;
                }
            },
            () = wake.notified() => {}
            () = fetcher.store.clock().sleep(every) => {}
        }
    }
}

/// What is due and in nobody's hand, as much as there is room for.
async fn due(
    fetcher: &Fetcher,
    in_hand: &HashMap<task::Id, MediaId>,
) -> Result<Vec<StoredMedia>, store::Error> {
    let room = fetcher.limits.fetches_max.saturating_sub(in_hand.len());
    if room == 0 {
        return Ok(Vec::new());
    }
    // What is in hand is among the longest due.
    let mut files =
        fetcher.store.wanted_media(fetcher.store.clock().now(), fetcher.limits.fetches_max as u64).await?;
    files.retain(|file| in_hand.values().all(|id| *id != file.id));
    files.truncate(room);
    Ok(files)
}

impl Fetcher {
    /// Makes one attempt at a file, and writes down what it came to.
    async fn attend(&self, file: StoredMedia) {
        let written = match self.attempt(&file).await {
            Ok((mime_type, kept)) => {
                self.metrics.fetched(FetchOutcome::Ready);
                self.store.media_fetched(file.id, mime_type, kept).await
            }
            Err(miss) => self.missed(&file, miss).await,
        };
        if let Err(error) = written {
            // The row still says that it is wanted, and the next look finds it.
            tracing::error!(media = %file.id, %error, "what became of a file cannot be written down");
            self.store.clock().sleep(Duration::from_secs(1)).await;
        }
    }

    /// What breaks on one file must not be begun again at once.
    async fn broke_down(&self, file: Option<MediaId>, error: &task::JoinError) {
        tracing::error!(?file, %error, "fetching a file broke down");
        let due_at = self.store.clock().now() + BACKOFF_MAX;
        if let Some(id) = file
            && let Err(error) = self.store.media_later(id, due_at, "fetching it broke down".to_owned()).await
        {
            tracing::error!(media = %id, %error, "what became of a file cannot be written down");
        }
    }

    async fn missed(&self, file: &StoredMedia, miss: Miss) -> Result<(), store::Error> {
        let now = self.store.clock().now();
        let due_at = now + backoff(file.attempts);
        let (reason, over) = match miss {
            Miss::Never(reason) => (reason, true),
            Miss::Later(reason) if due_at - file.created_at > META_KEEPS => {
                (format!("{reason}; Meta keeps it for 7 days"), true)
            }
            Miss::Later(reason) => {
                let attempts = file.attempts + 1;
                let over = attempts >= self.limits.attempts_max;
                (if over { format!("{reason}; it was tried {attempts} times") } else { reason }, over)
            }
        };
        if over {
            tracing::warn!(media = %file.id, reason, "a file will not be fetched");
            self.metrics.fetched(FetchOutcome::Failed);
            self.store.media_given_up(file.id, reason).await
        } else {
            tracing::info!(media = %file.id, reason, "a file is fetched later");
            self.metrics.fetched(FetchOutcome::Retried);
            self.store.media_later(file.id, due_at, reason).await
        }
    }

    /// Fetches a file into the vault: its type, where only Meta's answer tells it, and what is kept.
    async fn attempt(&self, file: &StoredMedia) -> Result<(Option<String>, Kept), Miss> {
        let (number, meta_id) = file
            .phone_number_id
            .as_deref()
            .zip(file.meta_id.as_deref())
            .ok_or_else(|| Miss::Never("nobody knows where it is".to_owned()))?;
        let client = self.clients.get(number).ok_or_else(|| {
            Miss::Later(format!("the number {number} it came to is not among our numbers any more"))
        })?;
        self.allowed(file.mime_type.as_deref())?;
        let mut trouble = Trouble::Gone;
        for _ in 0..ADDRESSES {
            let info = client.media_info(meta_id, number).await?;
            if info.size.is_some_and(|size| size > self.limits.size_max) {
                return Err(VaultError::TooLarge { limit: self.limits.size_max }.into());
            }
            self.allowed(info.mime_type.as_deref())?;
            let promised = file.promised.as_deref().or(info.sha256.as_deref());
            match client.download(&info.url, self.limits.transfer_timeout).await {
                Ok(mut download) => {
                    let mut draft = self.vault.begin(self.limits.size_max).await?;
                    if let Err(miss) = pour(&mut download, &mut draft).await {
                        draft.discard().await;
                        return Err(miss);
                    }
                    let kept = draft.finish(promised.and_then(hash).as_deref()).await?;
                    return Ok((info.mime_type.filter(|_| file.mime_type.is_none()), kept));
                }
                Err(Trouble::Gone) => trouble = Trouble::Gone,
                Err(other) => return Err(other.into()),
            }
        }
        Err(trouble.into())
    }

    fn allowed(&self, mime_type: Option<&str>) -> Result<(), Miss> {
        match mime_type.filter(|mime_type| !self.limits.allow(mime_type)) {
            Some(wrong) => {
                Err(Miss::Never(format!("files of the type `{wrong}` are not kept (`media.types`)")))
            }
            None => Ok(()),
        }
    }
}

async fn pour(download: &mut crate::meta::client::Download, draft: &mut Draft) -> Result<(), Miss> {
    while let Some(bytes) = download.chunk().await? {
        draft.write(&bytes).await?;
    }
    Ok(())
}

/// The bytes of Meta's base64; nothing where it is none, because then there is nothing to hold a file against.
fn hash(promised: &str) -> Option<Vec<u8>> {
    BASE64.decode(promised.trim()).ok().filter(|bytes| bytes.len() == 32)
}

/// 1 s, 2 s, 4 s, … up to an hour.
fn backoff(attempts: u32) -> Millis {
    BACKOFF.saturating_mul(1 << attempts.min(20)).min(BACKOFF_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_an_hour() {
        assert_eq!([0, 1, 5, 11, 12, 99].map(backoff), [1_000, 2_000, 32_000, 2_048_000, HOUR, HOUR]);
    }

    #[test]
    fn metas_hash_is_base64_and_what_is_none_promises_nothing() {
        let hex = |text| hash(text).map(|bytes| bytes.len());
        assert_eq!(hex("ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0="), Some(32));
        assert_eq!((hex("q+0="), hex("no base64!")), (None, None));
    }
}
