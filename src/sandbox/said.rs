//! What a person can do on a phone, and how it looks on Meta's wire.

use actix_web::web::Bytes;
use serde_json::{Value, json};

use super::entry::{Choice, Content};
use super::media::{File, Files, Source, kind_of, moves, sample};

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
pub(super) struct Sent {
    pub(super) file: File,
    /// Where it can be fetched for five minutes.
    pub(super) address: String,
    /// Meta's type.
    pub(super) kind: &'static str,
    pub(super) caption: Option<String>,
    /// Whether a sound was spoken into the phone.
    pub(super) voice: bool,
}

impl Sent {
    /// One of the files that every phone has.
    pub(super) fn sample(files: &Files, media: Media, caption: Option<String>) -> Self {
        let (mime_type, name, bytes) = sample(media);
        Self::file(files, mime_type, Some(name), Bytes::from_static(bytes), caption, media == Media::Voice)
    }

    /// Any file.
    pub(super) fn file(
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
    fn node(&self) -> Value {
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

/// What something that can be pressed stood under.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Under {
    Buttons,
    List,
    Template,
}

/// One thing done on a phone.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Said {
    /// Typed.
    Text(String),
    /// Wants to press the button or row with this id or title; becomes [`Said::Pressed`] once it is found.
    Press(String),
    /// Pressed a button, or chose a row of a list.
    Pressed { choice: Choice, under: Under },
    /// Sent a file.
    File(Box<Sent>),
    /// Shared a place.
    Location { latitude: f64, longitude: f64, name: Option<String> },
    /// Reacted to a message; an empty emoji takes the reaction back.
    Reaction { wamid: String, emoji: String },
}

impl Under {
    /// What stands under a message of this kind.
    pub(super) fn of(content: &Content) -> Self {
        match content.kind.as_str() {
            "list" => Self::List,
            "template" => Self::Template,
            _ => Self::Buttons,
        }
    }

    fn kind(self) -> &'static str {
        match self {
            Self::Buttons => "button_reply",
            Self::List => "list_reply",
            Self::Template => "quick_reply",
        }
    }
}

impl Said {
    /// What the transcript shows.
    pub(super) fn shown(&self) -> Content {
        let (kind, text) = match self {
            Self::Text(text) => ("text", text.clone()),
            Self::Press(id) => ("button_reply", id.clone()),
            Self::Pressed { choice, under } => (under.kind(), choice.title.clone()),
            Self::File(sent) => (sent.kind, sent.caption.clone().unwrap_or_default()),
            Self::Location { latitude, longitude, name } => {
                let name = name.as_deref().unwrap_or_default();
                ("location", format!("{name} ({latitude}, {longitude})").trim_start().to_owned())
            }
            Self::Reaction { emoji, .. } => ("reaction", emoji.clone()),
        };
        let sent = if let Self::File(sent) = self { Some(sent) } else { None };
        let media = sent.map(|sent| sent.file.id.clone());
        let voice = sent.is_some_and(|sent| sent.voice);
        Content { kind: kind.to_owned(), text, media, voice, ..Content::default() }
    }

    /// Meta's type, and what stands under it in the webhook.
    pub(super) fn node(&self) -> (&'static str, Value) {
        match self {
            Self::Text(text) | Self::Press(text) => ("text", json!({"body": text})),
            Self::Pressed { choice, under: Under::Template } => {
                ("button", json!({"payload": choice.id, "text": choice.title}))
            }
            Self::Pressed { choice, under: Under::Buttons } => {
                let reply = json!({"id": choice.id, "title": choice.title});
                ("interactive", json!({"type": "button_reply", "button_reply": reply}))
            }
            Self::Pressed { choice, under: Under::List } => {
                let mut reply = json!({"id": choice.id, "title": choice.title});
                if let Some(description) = &choice.description {
                    reply["description"] = json!(description);
                }
                ("interactive", json!({"type": "list_reply", "list_reply": reply}))
            }
            Self::File(sent) => (sent.kind, sent.node()),
            Self::Location { latitude, longitude, name } => {
                let mut node = json!({"latitude": latitude, "longitude": longitude});
                if let Some(name) = name {
                    node["name"] = json!(name);
                }
                ("location", node)
            }
            Self::Reaction { wamid, emoji } if emoji.is_empty() => ("reaction", json!({"message_id": wamid})),
            Self::Reaction { wamid, emoji } => ("reaction", json!({"message_id": wamid, "emoji": emoji})),
        }
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
    fn a_taken_back_reaction_has_no_emoji_on_the_wire() {
        let back = Said::Reaction { wamid: "wamid.1".into(), emoji: String::new() };
        assert_eq!(back.node(), ("reaction", json!({"message_id": "wamid.1"})));
    }

    #[test]
    fn files_have_metas_nodes_and_the_hash_of_their_bytes() {
        let files = Files::new("http://127.0.0.1:1", Clock::system());
        let of = |media| Sent::sample(&files, media, Some("look".into()));
        let (kind, node) = Said::File(Box::new(of(Media::Voice))).node();
        assert_eq!((kind, &node["voice"], &node["caption"]), ("audio", &json!(true), &Value::Null));
        assert!(node["id"].as_str().unwrap().bytes().all(|b| b.is_ascii_digit()));
        let hash = BASE64.encode(Sha256::digest(sample(Media::Voice).2));
        assert_eq!((&node["sha256"], &node["mime_type"]), (&json!(hash), &json!("audio/ogg; codecs=opus")));
        let node = of(Media::Document).node();
        assert_eq!((&node["filename"], &node["caption"]), (&json!("document.pdf"), &json!("look")));
        assert_eq!(of(Media::Sticker).node()["animated"], false);
        assert!(node["url"].as_str().unwrap().starts_with("http://127.0.0.1:1/"));
    }

    #[test]
    fn a_chosen_row_carries_its_description_and_a_button_has_none() {
        let choice =
            Choice { id: "r".into(), title: "Row".into(), description: Some("More".into()), section: None };
        let row = Said::Pressed { choice: choice.clone(), under: Under::List }.node().1;
        assert_eq!(row["list_reply"], json!({"id": "r", "title": "Row", "description": "More"}));
        let button = Said::Pressed { choice, under: Under::Buttons }.node().1;
        assert_eq!(button["button_reply"], json!({"id": "r", "title": "Row"}));
    }
}
