//! Giving and taking files at the REST door.

use std::ops::Range;

use super::vault::{Bytes, Draft, Vault, VaultError};
use super::{Limits, types};
use crate::domain::ids::MediaId;
use crate::domain::inbound::MediaKind;
use crate::store::{self, GivenFile, Store, StoredMedia};

/// Characters in the name of a file that is given to us.
pub const FILENAME_MAX: usize = 240;

/// Why a file is not taken.
#[derive(Debug, thiserror::Error)]
pub enum Refused {
    /// Files of this type are not taken.
    #[error("{0}")]
    Type(String),
    /// Its name cannot be one.
    #[error("`filename` has to be 1 to {FILENAME_MAX} characters without control characters")]
    Filename,
    /// Its content is refused, or cannot be kept.
    #[error(transparent)]
    Content(#[from] VaultError),
    /// Its row cannot be kept.
    #[error(transparent)]
    Store(#[from] store::Error),
}

/// Files, as the REST door sees them.
#[derive(Debug, Clone)]
pub struct Library {
    /// Their bytes.
    pub vault: Vault,
    /// The limits that are kept.
    pub limits: Limits,
}

/// A file that is being given to us.
#[derive(Debug)]
pub struct Gift {
    draft: Draft,
    kind: MediaKind,
    mime_type: String,
    filename: Option<String>,
}

impl Library {
    /// Begins to take a file that is to be sent.
    ///
    /// # Errors
    /// When Meta takes no files of this type or they are not allowed here, the name cannot be one, or the vault refuses.
    pub async fn take(&self, mime_type: &str, filename: Option<&str>) -> Result<Gift, Refused> {
        let known = types::is_mime_type(mime_type).then(|| types::sendable(mime_type)).flatten();
        let (kind, meta_max) = known.ok_or_else(|| {
            Refused::Type(format!(
                "Meta takes no files of the type `{mime_type}`; it takes JPEG and PNG, WebP stickers, MP4 and 3GPP \
                 videos, AAC, AMR, MP3, MP4 and Ogg sounds, and documents"
            ))
        })?;
        if !self.limits.allow(mime_type) {
            let why = format!("files of the type `{mime_type}` are not allowed here (`media.types`)");
            return Err(Refused::Type(why));
        }
        let fits = |name: &str| {
            (1..=FILENAME_MAX).contains(&name.chars().count()) && !name.chars().any(char::is_control)
        };
        if filename.is_some_and(|name| !fits(name)) {
            return Err(Refused::Filename);
        }
        Ok(Gift {
            draft: self.vault.begin(meta_max.min(self.limits.size_max)).await?,
            kind,
            mime_type: mime_type.to_owned(),
            filename: filename.map(str::to_owned),
        })
    }

    /// The bytes of a file, or those in `range`; `None` when it is not kept.
    ///
    /// # Errors
    /// When the vault refuses.
    pub async fn read(
        &self,
        file: &StoredMedia,
        range: Option<Range<u64>>,
    ) -> Result<Option<Bytes>, VaultError> {
        let Some(sha256) = &file.sha256 else { return Ok(None) };
        self.vault.read(sha256, range).await
    }
}

impl Gift {
    /// The next bytes of it.
    ///
    /// # Errors
    /// When it is too large for a file of its type, or the vault refuses.
    pub async fn write(&mut self, bytes: &[u8]) -> Result<(), VaultError> {
        self.draft.write(bytes).await
    }

    /// The end of it: its id, and whether it is new.
    ///
    /// # Errors
    /// When it is empty, or the vault or the store refuses.
    pub async fn keep(self, store: &Store) -> Result<(MediaId, bool), Refused> {
        let Self { draft, kind, mime_type, filename } = self;
        let content = draft.finish(None).await?;
        Ok(store.keep_media(GivenFile { kind, mime_type, filename, content }).await?)
    }

    /// Gives it up.
    pub async fn discard(self) {
        self.draft.discard().await;
    }
}
