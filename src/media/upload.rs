//! Files of ours on their way out: each is uploaded to Meta when a message first needs it, once per number, and its id is
//! used while Meta keeps it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::Value;

use super::vault::Vault;
use super::{Limits, types};
use crate::clock::{HOUR, Millis};
use crate::domain::delivery::Refusal;
use crate::domain::ids::MediaId;
use crate::meta::client::{self, Client, Outcome, Trouble};
use crate::meta::failure::Refused;
use crate::store::{MediaState, Store, StoredMedia, Upload};

/// How long an id is used: Meta keeps an uploaded file for 30 days, and a message may wait a day. Source: Meta, "Media",
/// 2026.
const ID_LIVES: Millis = 29 * 24 * HOUR;
/// What Meta says of a media id that it does not know: it cannot get the file, or the parameter is wrong. Source: Meta,
/// "Error codes", 2026.
const UNKNOWN_ID: [i64; 2] = [131_053, 100];
/// The HTTP status that our own refusals are judged by: none of them is helped by trying again.
const OURS: u16 = 400;

/// A file and the number that it is uploaded for.
type Key = (MediaId, String);

/// What sends messages with files of ours in them.
pub struct Uploads {
    /// Where rows are kept.
    pub store: Store,
    /// Where bytes are kept.
    pub vault: Vault,
    /// The limits that are kept.
    pub limits: Limits,
    /// Who is uploading what: the others wait, and find the id.
    under_way: Mutex<HashMap<Key, Arc<tokio::sync::Mutex<()>>>>,
}

/// Meta's id of a file.
#[derive(Debug, Clone)]
struct Known {
    meta_id: String,
    /// Whether it was made for an earlier message, so that Meta may have forgotten it.
    is_old: bool,
}

impl Uploads {
    /// What uploads these files.
    #[must_use]
    pub fn new(store: Store, vault: Vault, limits: Limits) -> Self {
        Self { store, vault, limits, under_way: Mutex::default() }
    }

    /// Makes one attempt to send the message whose file is `file`, from our number `number`: `body` makes the request's body
    /// with Meta's id of the file. An id that Meta does not know any more is replaced, once.
    ///
    /// A file that is missing is a refusal of ours ([`Refusal::MediaUnavailable`]); one that is still being fetched, and an
    /// upload that fails for trouble, was not sent.
    pub async fn send(
        &self,
        client: &Client,
        number: &str,
        file: MediaId,
        body: impl Fn(&str) -> Value,
    ) -> Outcome {
        let sent = async {
            let known = self.known(client, number, file).await?;
            let outcome = client.send(number, &body(&known.meta_id)).await;
            if !known.is_old || !names_an_unknown_id(&outcome) {
                return Ok(outcome);
            }
            tracing::info!(media = %file, number, "Meta does not know an uploaded file any more");
            self.store.forget_upload(file, number, &known.meta_id).await.map_err(trouble)?;
            let renewed = self.known(client, number, file).await?;
            Ok(client.send(number, &body(&renewed.meta_id)).await)
        };
        sent.await.unwrap_or_else(|outcome: Outcome| outcome)
    }

    /// Meta's id of a file for this number: the one that it has, or a new one.
    async fn known(&self, client: &Client, number: &str, media: MediaId) -> Result<Known, Outcome> {
        let found = async || self.store.find_upload(media, number, self.store.clock().now()).await;
        if let Some(meta_id) = found().await.map_err(trouble)? {
            return Ok(Known { meta_id, is_old: true });
        }
        let turn = self.turn((media, number.to_owned()));
        let _held = turn.held.lock().await;
        // Whoever went before may have made one.
        if let Some(meta_id) = found().await.map_err(trouble)? {
            return Ok(Known { meta_id, is_old: true });
        }
        let meta_id = self.upload(client, number, media).await?;
        let expires_at = self.store.clock().now() + ID_LIVES;
        let upload =
            Upload { media, phone_number_id: number.to_owned(), meta_id: meta_id.clone(), expires_at };
        self.store.keep_upload(upload).await.map_err(trouble)?;
        Ok(Known { meta_id, is_old: false })
    }

    async fn upload(&self, client: &Client, number: &str, media: MediaId) -> Result<String, Outcome> {
        let file = self.store.find_media(media).await.map_err(trouble)?;
        let file = file.ok_or_else(|| unavailable(format!("there is no file {media}")))?;
        let content = match (file.state, &file.sha256, file.size) {
            (MediaState::Ready, Some(sha256), Some(size)) => {
                self.vault.read(sha256, None).await.map_err(trouble)?.map(|bytes| (bytes, size))
            }
            // It is on its way: it will be there, or it will have failed.
            (MediaState::Wanted, ..) => return Err(trouble(format!("{media} is not fetched yet"))),
            _ => return Err(unavailable(never_fetched(&file))),
        };
        let (bytes, size) = content.ok_or_else(|| unavailable(format!("the bytes of {media} are gone")))?;
        let mime_type = file.mime_type.as_deref().unwrap_or("application/octet-stream");
        let filename =
            file.filename.clone().unwrap_or_else(|| format!("{media}.{}", types::ending(mime_type)));
        let upload = client::Upload { filename: &filename, mime_type, size };
        client.upload(number, upload, bytes, self.limits.transfer_timeout).await.map_err(|trouble| {
            match trouble {
                Trouble::Refused(refused) => Outcome::Refused(refused),
                // Nothing was sent to anybody yet: it can be tried again without fear.
                other => Outcome::NotSent(format!("uploading {media}: {other}")),
            }
        })
    }

    fn turn(&self, key: Key) -> Turn<'_> {
        let mut under_way = self.under_way.lock().unwrap_or_else(PoisonError::into_inner);
        let held = Arc::clone(under_way.entry(key.clone()).or_default());
        Turn { uploads: self, key, held }
    }
}

/// A place in the line of those who need the same file. The last one to leave takes the line down.
struct Turn<'a> {
    uploads: &'a Uploads,
    key: Key,
    held: Arc<tokio::sync::Mutex<()>>,
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        let mut under_way = self.uploads.under_way.lock().unwrap_or_else(PoisonError::into_inner);
        // Ours and the map's: nobody else is in line.
        if Arc::strong_count(&self.held) <= 2 {
            under_way.remove(&self.key);
        }
    }
}

/// Nothing left us, and trying again may help.
fn trouble(error: impl std::fmt::Display) -> Outcome {
    Outcome::NotSent(error.to_string())
}

fn unavailable(details: String) -> Outcome {
    let failure = Refusal::MediaUnavailable.failure(Some(details));
    Outcome::Refused(Refused { http_status: OURS, failure, retry_after: None })
}

fn never_fetched(file: &StoredMedia) -> String {
    let reason = file.reason.as_deref().map(|reason| format!(": {reason}")).unwrap_or_default();
    format!("{} was never fetched{reason}", file.id)
}

/// Whether Meta may have refused because it does not know a media id.
fn names_an_unknown_id(outcome: &Outcome) -> bool {
    matches!(outcome, Outcome::Refused(refused) if UNKNOWN_ID.contains(&refused.failure.code))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::delivery::Failure;

    #[test]
    fn only_a_refusal_of_the_file_has_it_uploaded_again() {
        let refused = |code| {
            let failure = Failure { code, ..Failure::default() };
            Outcome::Refused(Refused { http_status: 400, failure, retry_after: None })
        };
        assert!(names_an_unknown_id(&refused(100)) && names_an_unknown_id(&refused(131_053)));
        assert!(!names_an_unknown_id(&refused(131_047)));
        // It may have been sent.
        assert!(!names_an_unknown_id(&Outcome::Ambiguous("cut".into())));
    }
}
