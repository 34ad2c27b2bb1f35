//! Files as Meta keeps them: uploaded by the business or sent by a phone, found by a media id, fetched at an address that is
//! good for five minutes, gone after a while.
//!
//! Source: Meta, "Media", 2026. They are kept in memory; beyond [`FILES_BYTES_MAX`] the oldest go first.

pub(super) mod graph;
mod mentioned;
mod multipart;
mod rules;
mod samples;
mod sent;

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use actix_web::web::Bytes;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use uuid::Uuid;

pub use self::rules::UPLOAD_MAX;
pub use self::sent::Media;
pub(super) use self::sent::Sent;
use super::param::Checked;
use super::refusal::Refusal;
use super::{lock, wire};
use crate::clock::{Clock, HOUR, MINUTE, Millis, SECOND};

/// Bytes that are kept of all files together.
pub const FILES_BYTES_MAX: usize = 512 << 20;
/// Where the bytes are, below the local Meta's address; Meta's own path.
pub(super) const PLACE: &str = "/whatsapp_business/attachments/";
/// How long an address is good.
const ADDRESS_LIFE: Millis = 5 * MINUTE;
const DAY: Millis = 24 * HOUR;
const NAME_MAX: usize = 240;

/// Where a file came from, which decides how long its id lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Source {
    /// Uploaded by the business: 30 days.
    Upload,
    /// Sent by a phone: 7 days.
    Webhook,
}

impl Source {
    fn life(self) -> Millis {
        match self {
            Self::Upload => 30 * DAY,
            Self::Webhook => 7 * DAY,
        }
    }

    /// The word in the address.
    fn word(self) -> &'static str {
        match self {
            Self::Upload => "getMedia",
            Self::Webhook => "webhook",
        }
    }
}

/// A file that is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct File {
    pub(super) id: String,
    pub(super) mime_type: String,
    pub(super) name: Option<String>,
    pub(super) bytes: Bytes,
    /// Base64 of the SHA-256, as Meta writes it.
    pub(super) sha256: String,
    source: Source,
    kept_at: Millis,
}

/// The files, and who can tell their addresses.
#[derive(Clone)]
pub(super) struct Files {
    kept: Arc<Mutex<Kept>>,
    clock: Clock,
    /// Where the local Meta is: `http://127.0.0.1:8001`.
    base: Arc<str>,
    /// What addresses are signed with, so that nobody can make one up.
    seal: Arc<str>,
}

#[derive(Default)]
struct Kept {
    files: VecDeque<File>,
    bytes: usize,
}

impl Files {
    pub(super) fn new(base: &str, clock: Clock) -> Self {
        Self { kept: Arc::default(), clock, base: base.into(), seal: Uuid::new_v4().to_string().into() }
    }

    /// Keeps a file under a new id.
    pub(super) fn keep(&self, source: Source, mime_type: &str, name: Option<&str>, bytes: Bytes) -> File {
        let file = File {
            id: new_id(),
            mime_type: mime_type.to_owned(),
            name: name.map(tame),
            sha256: BASE64.encode(Sha256::digest(&bytes)),
            bytes,
            source,
            kept_at: self.clock.now(),
        };
        let kept = &mut *lock(&self.kept);
        kept.bytes += file.bytes.len();
        kept.files.push_back(file.clone());
        while kept.bytes > FILES_BYTES_MAX && kept.files.len() > 1 {
            if let Some(oldest) = kept.files.pop_front() {
                kept.bytes -= oldest.bytes.len();
            }
        }
        file
    }

    /// The file, as long as its id lives.
    pub(super) fn find(&self, id: &str) -> Option<File> {
        let now = self.clock.now();
        let kept = lock(&self.kept);
        kept.files.iter().find(|file| file.id == id && now - file.kept_at < file.source.life()).cloned()
    }

    /// Takes a file away; false when there is none.
    pub(super) fn remove(&self, id: &str) -> bool {
        if self.find(id).is_none() {
            return false;
        }
        let kept = &mut *lock(&self.kept);
        kept.files.retain(|file| file.id != id);
        kept.bytes = kept.files.iter().map(|file| file.bytes.len()).sum();
        true
    }

    /// Everything that Meta tells of a file (`GET /{media_id}`).
    pub(super) fn node(&self, id: &str) -> Option<Value> {
        let file = self.find(id)?;
        Some(json!({
            "messaging_product": "whatsapp", "url": self.address(&file), "mime_type": file.mime_type,
            "sha256": file.sha256, "file_size": file.bytes.len(), "id": file.id,
        }))
    }

    /// Where the file can be fetched, with a token, for five minutes from now.
    pub(super) fn address(&self, file: &File) -> String {
        let ends = (self.clock.now() + ADDRESS_LIFE).div_euclid(SECOND);
        let hash = self.sealed(&file.id, ends);
        format!("{}{PLACE}?mid={}&source={}&ext={ends}&hash={hash}", self.base, file.id, file.source.word())
    }

    /// The file behind an address that is still good.
    fn open(&self, id: &str, ends: i64, hash: &str) -> Option<File> {
        let is_good = self.clock.now() < ends.saturating_mul(SECOND) && hash == self.sealed(id, ends);
        if is_good { self.find(id) } else { None }
    }

    fn sealed(&self, id: &str, ends: i64) -> String {
        let seal = wire::sign(&self.seal, format!("{id} {ends}").as_bytes());
        seal.trim_start_matches("sha256=")[..32].to_owned()
    }

    /// Checks every file that a send names by its id. A file that is there but of the wrong kind fails later, by status,
    /// as Meta's conversion of it would; that failure is the answer.
    pub(super) fn check(&self, body: &Value) -> Checked<Option<Refusal>> {
        let mut late = None;
        for mention in mentioned::mentioned(body) {
            let Some(file) = self.find(&mention.id) else { return Err(mention.refusal()) };
            if late.is_none() && !rules::can_be(mention.kind, &file.mime_type) {
                late = Some(rules::wrong_kind(mention.kind, &file.mime_type));
            }
        }
        Ok(late)
    }
}

/// A file name without what would end a header or a path.
fn tame(name: &str) -> String {
    let good = |c: &char| !c.is_control() && !matches!(c, '"' | '\\' | '/');
    name.chars().filter(good).take(NAME_MAX).collect()
}

/// Media ids are strings of digits.
fn new_id() -> String {
    (1_000_000_000_000_000 + Uuid::new_v4().as_u128() % 9_000_000_000_000_000).to_string()
}

#[cfg(test)]
mod tests;
