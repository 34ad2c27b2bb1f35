//! Files on their way from a phone.

use actix_web::web::Bytes;
use serde_json::{Value, json};

use super::rules::{kind_of, moves};
use super::samples::sample;
use super::{File, Files, Source};

/// A file that every phone has at hand; small, and real.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Media {
    /// A photo.
    Image,
    /// A film.
    Video,
    /// A voice note.
    Voice,
    /// A document.
    Document,
    /// A sticker.
    Sticker,
}

/// A file on its way from a phone.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::sandbox) struct Sent {
    pub(in crate::sandbox) file: File,
    /// Where it can be fetched for five minutes.
    pub(in crate::sandbox) address: String,
    /// Meta's type.
    pub(in crate::sandbox) kind: &'static str,
    pub(in crate::sandbox) caption: Option<String>,
    /// Whether a sound was spoken into the phone.
    pub(in crate::sandbox) voice: bool,
}

impl Sent {
    /// One of the files that every phone has.
    pub(in crate::sandbox) fn sample(files: &Files, media: Media, caption: Option<String>) -> Self {
        let (mime_type, name, bytes) = sample(media);
        Self::file(files, mime_type, Some(name), Bytes::from_static(bytes), caption, media == Media::Voice)
    }

    /// Any file.
    pub(in crate::sandbox) fn file(
        files: &Files,
        mime_type: &str,
        name: Option<&str>,
        bytes: Bytes,
        caption: Option<String>,
        voice: bool,
    ) -> Self {
        let file = files.keep(Source::Webhook, mime_type, name, bytes);
        Self { address: files.address(&file), kind: kind_of(mime_type), file, caption, voice }
    }

    /// The node of a webhook (Meta, "Webhooks reference: messages"): sounds always say whether they are spoken, stickers
    /// whether they move.
    pub(in crate::sandbox) fn node(&self) -> Value {
        let file = &self.file;
        let mut node = json!({
            "id": file.id, "mime_type": file.mime_type, "sha256": file.sha256, "url": self.address,
        });
        match self.kind {
            "audio" => node["voice"] = json!(self.voice),
            "sticker" => node["animated"] = json!(moves(&file.bytes)),
            "document" => node["filename"] = json!(file.name),
            _ => {}
        }
        // Meta's apps take no caption with these.
        if let Some(caption) = &self.caption
            && !matches!(self.kind, "audio" | "sticker")
        {
            node["caption"] = json!(caption);
        }
        node
    }
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD as BASE64;
    use sha2::{Digest as _, Sha256};

    use super::*;
    use crate::clock::Clock;

    #[test]
    fn files_have_metas_nodes_and_the_hash_of_their_bytes() {
        let files = Files::new("http://127.0.0.1:1", Clock::system());
        let of = |media| Sent::sample(&files, media, Some("look".into()));
        let (voice, node) = (of(Media::Voice), of(Media::Voice).node());
        assert_eq!((voice.kind, &node["voice"], &node["caption"]), ("audio", &json!(true), &Value::Null));
        assert!(node["id"].as_str().unwrap().bytes().all(|b| b.is_ascii_digit()));
        let hash = BASE64.encode(Sha256::digest(sample(Media::Voice).2));
        assert_eq!((&node["sha256"], &node["mime_type"]), (&json!(hash), &json!("audio/ogg; codecs=opus")));
        let node = of(Media::Document).node();
        assert_eq!((&node["filename"], &node["caption"]), (&json!("document.pdf"), &json!("look")));
        assert_eq!(of(Media::Sticker).node()["animated"], false);
        assert!(node["url"].as_str().unwrap().starts_with("http://127.0.0.1:1/"));
    }
}
