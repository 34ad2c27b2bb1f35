//! What a person can send us. Source of every kind: Meta, webhooks reference `messages`, 2026.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::clock::Millis;
use crate::domain::contact::Identity;
use crate::domain::ids::{EventId, MediaId};

/// One message from a person.
#[derive(Debug, Clone, PartialEq)]
pub struct InboundMessage {
    /// Meta's message id, opaque; absent only in malformed items, which are kept.
    pub wamid: Option<String>,
    /// When the person sent it, by Meta's clock.
    pub sent_at: Option<Millis>,
    /// Who sent it.
    pub sender: Identity,
    /// What it answers to: the `wamid` in its `context`.
    pub reply_to: Option<String>,
    /// What it says.
    pub content: Content,
}

impl InboundMessage {
    /// This message as the accepted event `event`: from here on the file in it has an id of ours, which is that of the
    /// event.
    #[must_use]
    pub fn accepted_as(mut self, event: EventId) -> Self {
        if let Content::Media(media) = &mut self.content {
            media.file = Some(MediaId(event.0));
        }
        self
    }
}

/// The content of a message from a person.
#[derive(Debug, Clone, PartialEq)]
pub enum Content {
    /// Typed text.
    Text {
        /// The text.
        body: String,
    },
    /// A picture, video, sound, document or sticker.
    Media(Media),
    /// A place.
    Location {
        /// Degrees north.
        latitude: f64,
        /// Degrees east.
        longitude: f64,
        /// Its name, if it has one.
        name: Option<String>,
        /// Its address, if it has one.
        address: Option<String>,
    },
    /// Contact cards, as sent.
    Contacts(Value),
    /// A reaction to a message; `emoji` is `None` when it was taken back.
    Reaction {
        /// The message it is about.
        wamid: String,
        /// The emoji.
        emoji: Option<String>,
    },
    /// A button or list row that we offered, or a quick reply of a template (there, `id` is the payload).
    Choice {
        /// Our own id of what was chosen.
        id: String,
        /// Its label.
        title: String,
    },
    /// A completed WhatsApp Flow: the form's data.
    Form {
        /// `response_json`, decoded where it is JSON, else the text.
        data: Value,
    },
    /// An order from a catalogue, as sent.
    Order(Value),
    /// Something that happened to the person's account (`user_changed_number`, …).
    System {
        /// Meta's `system.type`.
        kind: String,
        /// The person's id before the change, if told.
        previous: Option<String>,
        /// Meta's sentence about it.
        body: Option<String>,
        /// Who the person is after the change.
        now: Identity,
    },
    /// The person edited an earlier message.
    Edit {
        /// The message that was edited.
        wamid: String,
        /// The new text or caption, if it has one.
        text: Option<String>,
    },
    /// The person deleted an earlier message.
    Revoke {
        /// The message that was deleted.
        wamid: String,
    },
    /// Meta could not pass it on; it says why.
    Unsupported {
        /// Meta's `unsupported.type`, if told.
        kind: Option<String>,
        /// Meta's error code (131051, 131060, …), if told.
        code: Option<i64>,
    },
    /// A type that this version does not know, or a known one that it could not read. Its raw JSON is kept with the event.
    Unknown {
        /// The `type` as Meta wrote it.
        kind: String,
    },
}

/// A file that a person sent. It is not here: it has to be fetched by its id.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Media {
    /// What kind of file.
    pub kind: MediaKind,
    /// Meta's media id, valid for 7 days.
    pub id: String,
    /// Our own id of it, which lasts; known from acceptance on.
    #[serde(skip)]
    pub file: Option<MediaId>,
    /// MIME type.
    pub mime_type: Option<String>,
    /// Base64 of the file's SHA-256.
    pub sha256: Option<String>,
    /// The text under it.
    pub caption: Option<String>,
    /// The name of a document.
    pub filename: Option<String>,
    /// Whether a sound is a voice message.
    #[serde(default)]
    pub voice: bool,
}

/// The kinds of file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MediaKind {
    /// A picture.
    Image,
    /// A video.
    Video,
    /// A sound or voice message.
    Audio,
    /// Any other file.
    Document,
    /// A sticker.
    Sticker,
}

impl MediaKind {
    /// As on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Image => "image",
            Self::Video => "video",
            Self::Audio => "audio",
            Self::Document => "document",
            Self::Sticker => "sticker",
        }
    }
}

impl Content {
    /// The type by which messages are listed and counted.
    #[must_use]
    pub fn kind(&self) -> &str {
        match self {
            Self::Text { .. } => "text",
            Self::Media(media) => media.kind.as_str(),
            Self::Location { .. } => "location",
            Self::Contacts(_) => "contacts",
            Self::Reaction { .. } => "reaction",
            Self::Choice { .. } => "choice",
            Self::Form { .. } => "form",
            Self::Order(_) => "order",
            Self::System { .. } => "system",
            Self::Edit { .. } => "edit",
            Self::Revoke { .. } => "revoke",
            Self::Unsupported { .. } => "unsupported",
            Self::Unknown { .. } => "unknown",
        }
    }

    /// The words in it, as a reader would want to see and search them.
    #[must_use]
    pub fn text(&self) -> Option<&str> {
        match self {
            Self::Text { body } => Some(body),
            Self::Media(media) => media.caption.as_deref(),
            Self::Choice { title, .. } => Some(title),
            Self::Reaction { emoji, .. } => emoji.as_deref(),
            Self::Location { name, .. } => name.as_deref(),
            Self::System { body, .. } => body.as_deref(),
            Self::Edit { text, .. } => text.as_deref(),
            Self::Contacts(_)
            | Self::Form { .. }
            | Self::Order(_)
            | Self::Revoke { .. }
            | Self::Unsupported { .. }
            | Self::Unknown { .. } => None,
        }
    }

    /// Whether it opens the 24-hour window. Meta says that a person's message does; that a reaction does is nowhere written,
    /// and an edit, a deletion and an account notice are no messages. Source: Meta, customer service windows, 2026.
    #[must_use]
    pub fn opens_window(&self) -> bool {
        match self {
            Self::Text { .. }
            | Self::Media(_)
            | Self::Location { .. }
            | Self::Contacts(_)
            | Self::Choice { .. }
            | Self::Form { .. }
            | Self::Order(_)
            | Self::Unsupported { .. }
            | Self::Unknown { .. } => true,
            Self::Reaction { .. } | Self::System { .. } | Self::Edit { .. } | Self::Revoke { .. } => false,
        }
    }

    /// The types of message that do not open it.
    pub const WINDOWLESS: [&str; 4] = ["reaction", "system", "edit", "revoke"];

    /// Whether it is something said to us, which a flow answers. Reactions, edits, deletions, account notices and what
    /// Meta could not pass on are kept and shown, but no flow answers them.
    #[must_use]
    pub fn wants_answer(&self) -> bool {
        match self {
            Self::Text { .. }
            | Self::Media(_)
            | Self::Location { .. }
            | Self::Contacts(_)
            | Self::Choice { .. }
            | Self::Form { .. }
            | Self::Order(_)
            | Self::Unknown { .. } => true,
            Self::Reaction { .. }
            | Self::System { .. }
            | Self::Edit { .. }
            | Self::Revoke { .. }
            | Self::Unsupported { .. } => false,
        }
    }
}
