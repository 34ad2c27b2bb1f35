//! Where the bytes of files are: in a folder or a bucket, each content once, under its SHA-256.
//!
//! A file is written beside its place while it comes in, because its hash is known at its end, and then moved there. In a
//! folder, both are on disk before the writing ends.

use std::ops::Range;
use std::path::{Path as FilePath, PathBuf};
use std::sync::Arc;

use futures_util::TryStreamExt;
use futures_util::stream::BoxStream;
use object_store::aws::AmazonS3Builder;
use object_store::client::SpawnedReqwestConnector;
use object_store::local::LocalFileSystem;
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::prefix::PrefixStore;
use object_store::{GetOptions, GetRange, ObjectStore, ObjectStoreExt, WriteMultipart};
use sha2::{Digest, Sha256};

use crate::store::Kept;

/// Bytes that are written at once. No part of an upload to a bucket may be smaller, but for the last.
const PART_BYTES: usize = 5 << 20;
/// Parts of one file that are under way at the same time.
const PARTS_MAX: usize = 2;
/// Where files are while they come in.
const ARRIVING: &str = "arriving";
/// Where files are.
const KEPT: &str = "sha256";

/// Why bytes are not kept or not there.
#[derive(Debug, thiserror::Error)]
pub enum VaultError {
    /// The folder or bucket refuses or is away.
    #[error("the media store: {0}")]
    Storage(#[from] object_store::Error),
    /// The file is larger than allowed.
    #[error("it has more than the {limit} bytes that are allowed")]
    TooLarge {
        /// What is allowed.
        limit: u64,
    },
    /// There is nothing in it.
    #[error("it is empty")]
    Empty,
    /// It is not what was promised.
    #[error("its SHA-256 is not the one that was promised")]
    Mismatch,
}

/// An address that no vault can be at.
#[derive(Debug, thiserror::Error)]
pub enum BadVault {
    /// The folder cannot be used.
    #[error("the media folder {} cannot be used: {error}; set SWITCHBOARD_MEDIA_URL to another", .folder.display())]
    Folder {
        /// The folder.
        folder: PathBuf,
        /// Why.
        error: std::io::Error,
    },
    /// The address or the credentials for it are wrong.
    #[error("the media store `{url}` cannot be used: {error}")]
    Address {
        /// The address.
        url: String,
        /// Why.
        error: object_store::Error,
    },
}

/// The bytes of a file, part by part.
pub type Bytes = BoxStream<'static, Result<Vec<u8>, VaultError>>;

/// A handle on the bytes; cheap to clone.
#[derive(Debug, Clone)]
pub struct Vault(Arc<dyn ObjectStore>);

impl Vault {
    /// The vault at `url`: a folder (`media`, `file:///var/lib/media`), which is made if it is not there, or a bucket
    /// (`s3://bucket/folder`), whose region and credentials the environment names (`AWS_REGION`, `AWS_ACCESS_KEY_ID`,
    /// `AWS_SECRET_ACCESS_KEY`, `AWS_ENDPOINT`, …). Has to be called on the runtime that is to hold its sockets.
    ///
    /// # Errors
    /// When the folder cannot be made or the address or credentials cannot be used. A bucket is not asked yet.
    pub fn open(url: &str) -> Result<Self, BadVault> {
        if url.starts_with("s3://") {
            let bad = |error| BadVault::Address { url: url.to_owned(), error };
            return bucket(url).map_err(bad);
        }
        let folder = FilePath::new(url.strip_prefix("file://").unwrap_or(url));
        let bad = |error| BadVault::Folder { folder: folder.to_owned(), error };
        std::fs::create_dir_all(folder).map_err(bad)?;
        // What was arriving when the program ended is fetched again from its beginning.
        match std::fs::remove_dir_all(folder.join(ARRIVING)) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(bad(error)),
            _ => {}
        }
        // A folder that cannot be written to is better found now than at the first file.
        std::fs::create_dir(folder.join(ARRIVING)).map_err(bad)?;
        let store = LocalFileSystem::new_with_prefix(folder)
            .map_err(|error| BadVault::Address { url: url.to_owned(), error })?;
        Ok(Self(Arc::new(store.with_fsync(true))))
    }

    /// The same beside a program that has it open: files that are arriving there are left alone.
    ///
    /// # Errors
    /// As [`Vault::open`].
    pub fn look_into(url: &str) -> Result<Self, BadVault> {
        if url.starts_with("s3://") {
            return Self::open(url);
        }
        let folder = FilePath::new(url.strip_prefix("file://").unwrap_or(url));
        std::fs::create_dir_all(folder)
            .map_err(|error| BadVault::Folder { folder: folder.to_owned(), error })?;
        let store = LocalFileSystem::new_with_prefix(folder)
            .map_err(|error| BadVault::Address { url: url.to_owned(), error })?;
        Ok(Self(Arc::new(store.with_fsync(true))))
    }

    /// A vault that is gone with the program.
    #[must_use]
    pub fn in_memory() -> Self {
        Self(Arc::new(InMemory::new()))
    }

    /// Begins to keep a file of up to `limit` bytes.
    ///
    /// # Errors
    /// When the folder or bucket refuses.
    pub async fn begin(&self, limit: u64) -> Result<Draft, VaultError> {
        let place = Path::from_iter([ARRIVING.to_owned(), uuid::Uuid::new_v4().simple().to_string()]);
        let upload = self.0.put_multipart(&place).await?;
        Ok(Draft {
            vault: self.clone(),
            place,
            writing: WriteMultipart::new_with_chunk_size(upload, PART_BYTES),
            hash: Sha256::new(),
            size: 0,
            limit,
        })
    }

    /// The bytes of the file with this SHA-256 (hex), or those in `range`; `None` when there is no such file.
    ///
    /// # Errors
    /// When the folder or bucket refuses.
    pub async fn read(&self, sha256: &str, range: Option<Range<u64>>) -> Result<Option<Bytes>, VaultError> {
        let options = GetOptions { range: range.map(GetRange::Bounded), ..GetOptions::default() };
        match self.0.get_opts(&kept_at(sha256), options).await {
            Ok(found) => Ok(Some(Box::pin(found.into_stream().map_ok(Vec::from).map_err(VaultError::from)))),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Removes the file with this SHA-256 (hex), if it is there.
    ///
    /// # Errors
    /// When the folder or bucket refuses.
    pub async fn remove(&self, sha256: &str) -> Result<(), VaultError> {
        match self.0.delete(&kept_at(sha256)).await {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}

/// The folder in the path of `url` in its bucket.
fn bucket(url: &str) -> Result<Vault, object_store::Error> {
    // Its client speaks TLS; the first provider that is installed serves the whole program.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let store = AmazonS3Builder::from_env()
        .with_url(url)
        .with_http_connector(SpawnedReqwestConnector::new(tokio::runtime::Handle::current()))
        .build()?;
    let folder = url.trim_start_matches("s3://").split_once('/').map_or("", |(_, folder)| folder);
    Ok(Vault(Arc::new(PrefixStore::new(store, Path::parse(folder.trim_matches('/'))?))))
}

fn kept_at(sha256: &str) -> Path {
    let family: String = sha256.chars().take(2).collect();
    Path::from_iter([KEPT, &family, sha256])
}

/// A file that is coming in. Nothing of it is there until it is finished.
#[derive(Debug)]
pub struct Draft {
    vault: Vault,
    place: Path,
    writing: WriteMultipart,
    hash: Sha256,
    size: u64,
    limit: u64,
}

impl Draft {
    /// The next bytes of it.
    ///
    /// # Errors
    /// When it is too large by now, or the folder or bucket refuses.
    pub async fn write(&mut self, bytes: &[u8]) -> Result<(), VaultError> {
        self.size += bytes.len() as u64;
        if self.size > self.limit {
            return Err(VaultError::TooLarge { limit: self.limit });
        }
        self.hash.update(bytes);
        self.writing.wait_for_capacity(PARTS_MAX).await?;
        self.writing.write(bytes);
        Ok(())
    }

    /// The end of it: keeps it, once whoever has the same. `promised` is the SHA-256 that it has to have.
    ///
    /// # Errors
    /// When it is empty or not what was promised, or the folder or bucket refuses. Then nothing is kept.
    pub async fn finish(self, promised: Option<&[u8]>) -> Result<Kept, VaultError> {
        let Self { vault, place, writing, hash, size, .. } = self;
        let hash = hash.finalize();
        let wrong = if size == 0 {
            Some(VaultError::Empty)
        } else {
            promised.filter(|promised| *promised != hash.as_slice()).map(|_| VaultError::Mismatch)
        };
        if let Some(wrong) = wrong {
            // What is left of it is removed at the next start.
            let _ = writing.abort().await;
            return Err(wrong);
        }
        writing.finish().await?;
        let kept = Kept { sha256: hash.iter().map(|byte| format!("{byte:02x}")).collect(), size };
        let there = kept_at(&kept.sha256);
        if matches!(vault.0.head(&there).await, Ok(known) if known.size == size) {
            vault.0.delete(&place).await?;
        } else {
            vault.0.rename(&place, &there).await?;
        }
        Ok(kept)
    }

    /// Gives it up.
    pub async fn discard(self) {
        let _ = self.writing.abort().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn keep(vault: &Vault, bytes: &[u8], limit: u64) -> Result<Kept, VaultError> {
        let mut draft = vault.begin(limit).await?;
        for part in bytes.chunks(1 << 20) {
            draft.write(part).await?;
        }
        draft.finish(None).await
    }

    async fn all(vault: &Vault, sha256: &str, range: Option<Range<u64>>) -> Vec<u8> {
        let bytes = vault.read(sha256, range).await.unwrap().unwrap();
        bytes.try_concat().await.unwrap()
    }

    fn files(folder: &FilePath) -> usize {
        let entries = std::fs::read_dir(folder).map(|entries| entries.flatten().collect::<Vec<_>>());
        let count = |entry: std::fs::DirEntry| if entry.path().is_dir() { files(&entry.path()) } else { 1 };
        entries.unwrap_or_default().into_iter().map(count).sum()
    }

    #[tokio::test]
    async fn the_same_content_is_kept_once_and_found_by_its_hash() {
        let folder = tempfile::tempdir().unwrap();
        let vault = Vault::open(&format!("file://{}", folder.path().display())).unwrap();
        let large: Vec<u8> = (0..12_000_000_u32).map(|i| (i % 251) as u8).collect();
        let first = keep(&vault, &large, 20_000_000).await.unwrap();
        assert_eq!(keep(&vault, &large, 20_000_000).await.unwrap(), first);
        assert_eq!(files(folder.path()), 1);
        assert_eq!(all(&vault, &first.sha256, None).await, large);
        assert_eq!(all(&vault, &first.sha256, Some(3..6)).await, large[3..6]);
        let abc = keep(&vault, b"abc", 3).await.unwrap();
        assert_eq!(abc.sha256, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
        assert!(vault.read("00", None).await.unwrap().is_none());
        vault.remove(&abc.sha256).await.unwrap();
        vault.remove(&abc.sha256).await.unwrap();
        assert!(vault.read(&abc.sha256, None).await.unwrap().is_none());
        assert_eq!(files(folder.path()), 1);
    }

    #[tokio::test]
    async fn what_is_too_large_empty_or_not_what_was_promised_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let vault = Vault::open(&folder.path().display().to_string()).unwrap();
        assert!(matches!(keep(&vault, b"abcd", 3).await, Err(VaultError::TooLarge { limit: 3 })));
        assert!(matches!(keep(&vault, b"", 3).await, Err(VaultError::Empty)));
        let mut draft = vault.begin(9).await.unwrap();
        draft.write(b"abc").await.unwrap();
        assert!(matches!(draft.finish(Some(&[0; 32])).await, Err(VaultError::Mismatch)));
        assert_eq!(files(folder.path()), 0);
    }

    #[tokio::test]
    async fn what_was_arriving_at_the_last_end_is_gone_at_the_next_start() {
        let folder = tempfile::tempdir().unwrap();
        let url = folder.path().display().to_string();
        let vault = Vault::open(&url).unwrap();
        let kept = keep(&vault, b"abc", 3).await.unwrap();
        let mut draft = vault.begin(9).await.unwrap();
        draft.write(b"abc").await.unwrap();
        std::mem::forget(draft);
        assert_eq!(files(folder.path()), 2);
        let again = Vault::open(&url).unwrap();
        assert_eq!((files(folder.path()), all(&again, &kept.sha256, None).await), (1, b"abc".to_vec()));
    }

    #[tokio::test]
    async fn a_bucket_takes_its_credentials_from_the_environment_and_a_wrong_one_is_named() {
        assert!(Vault::open("s3://bucket/some/folder").is_ok());
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        std::fs::write(&file, "x").unwrap();
        let refused = Vault::open(&file.join("below").display().to_string()).unwrap_err();
        assert!(refused.to_string().contains("SWITCHBOARD_MEDIA_URL"), "{refused}");
    }
}
