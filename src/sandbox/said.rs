//! What a person can do on a phone, and how it looks on Meta's wire.

use serde_json::{Value, json};
use uuid::Uuid;

use super::entry::{Choice, Content};

/// The SHA-256, in base64, of the demo files: they have no bytes, so it is the hash of nothing.
const SHA256_OF_NOTHING: &str = "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=";

/// A file that a phone can send. Its bytes are not kept anywhere: only its id travels.
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
}

impl Media {
    /// Meta's type and the MIME type.
    fn wire(self) -> (&'static str, &'static str) {
        match self {
            Self::Image => ("image", "image/jpeg"),
            Self::Video => ("video", "video/mp4"),
            Self::Voice => ("audio", "audio/ogg; codecs=opus"),
            Self::Document => ("document", "application/pdf"),
        }
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
    Media { media: Media, caption: Option<String> },
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
            Self::Media { media, caption } => (media.wire().0, caption.clone().unwrap_or_default()),
            Self::Location { latitude, longitude, name } => {
                let name = name.as_deref().unwrap_or_default();
                ("location", format!("{name} ({latitude}, {longitude})").trim_start().to_owned())
            }
            Self::Reaction { emoji, .. } => ("reaction", emoji.clone()),
        };
        Content { kind: kind.to_owned(), text, ..Content::default() }
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
            Self::Media { media, caption } => {
                let (kind, mime_type) = media.wire();
                let mut node = json!({"id": media_id(), "mime_type": mime_type, "sha256": SHA256_OF_NOTHING});
                match media {
                    Media::Voice => node["voice"] = json!(true),
                    Media::Document => node["filename"] = json!("document.pdf"),
                    Media::Image | Media::Video => {}
                }
                if let Some(caption) = caption {
                    node["caption"] = json!(caption);
                }
                (kind, node)
            }
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

/// Media ids are strings of digits.
fn media_id() -> String {
    (Uuid::new_v4().as_u128() >> 72).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_taken_back_reaction_has_no_emoji_on_the_wire() {
        let back = Said::Reaction { wamid: "wamid.1".into(), emoji: String::new() };
        assert_eq!(back.node(), ("reaction", json!({"message_id": "wamid.1"})));
    }

    #[test]
    fn a_voice_note_is_an_audio_message_that_says_so() {
        let (kind, node) = Said::Media { media: Media::Voice, caption: None }.node();
        assert_eq!((kind, &node["voice"]), ("audio", &json!(true)));
        assert!(node["id"].as_str().unwrap().bytes().all(|b| b.is_ascii_digit()));
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
