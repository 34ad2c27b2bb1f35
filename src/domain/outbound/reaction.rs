//! What is about a message of the person: a reaction to it, or that we have read it.

use serde::Serialize;

use super::fields::Fields;
use super::invalid::{Invalid, OTHER_TEXT_MAX, filled};

/// Code points of one emoji: the longest that are in use, such as flags of regions, have about so many.
pub const EMOJI_MAX: usize = 16;

/// A reaction. JSON: `{"type":"reaction","message_id":"wamid.…","emoji":"👍"}`; an empty emoji takes it back.
/// Source: Meta's OpenAPI of the Cloud API, 2026.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Reaction {
    message_id: String,
    emoji: String,
}

impl Reaction {
    /// A reaction to Meta's message `message_id`, or its end.
    ///
    /// # Errors
    /// When the id is empty or too long, or `emoji` is not one.
    pub fn new(message_id: impl Into<String>, emoji: impl Into<String>) -> Result<Self, Invalid> {
        let message_id = filled("message_id", message_id.into(), OTHER_TEXT_MAX)?;
        let emoji = emoji.into();
        let length = emoji.chars().count();
        if length > EMOJI_MAX {
            return Err(Invalid::TooLong { field: "emoji".to_owned(), length, limit: EMOJI_MAX });
        }
        // Some emoji count as letters (ℹ, 🅰), but not those of any script.
        let plain = |c: char| (c.is_alphabetic() && c < '\u{2000}') || c.is_whitespace() || c.is_control();
        if !emoji.is_empty() && (emoji.is_ascii() || emoji.contains(plain)) {
            return Err(Invalid::wrong("emoji", "has to be one emoji, or empty to take a reaction back"));
        }
        Ok(Self { message_id, emoji })
    }

    pub(super) fn read(fields: &mut Fields) -> Result<Self, Invalid> {
        Self::new(fields.text("message_id")?, fields.text("emoji")?)
    }

    /// The message it is about.
    #[must_use]
    pub fn message_id(&self) -> &str {
        &self.message_id
    }

    /// The emoji; empty takes the reaction back.
    #[must_use]
    pub fn emoji(&self) -> &str {
        &self.emoji
    }
}

/// Marks a message, and all before it, as read; `typing` shows for up to 25 s that we write. A request of its own to
/// Meta: it gets no id and no status. JSON: `{"type":"read","message_id":"wamid.…","typing":true}`.
/// Source: Meta, "mark messages as read" and "typing indicators", 2026.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Read {
    message_id: String,
    typing: bool,
}

impl Read {
    /// The mark on Meta's message `message_id`.
    ///
    /// # Errors
    /// When the id is empty or too long.
    pub fn new(message_id: impl Into<String>, typing: bool) -> Result<Self, Invalid> {
        Ok(Self { message_id: filled("message_id", message_id.into(), OTHER_TEXT_MAX)?, typing })
    }

    pub(super) fn of(fields: &mut Fields) -> Result<Self, Invalid> {
        Self::new(fields.text("message_id")?, fields.flag("typing")?)
    }

    /// The message.
    #[must_use]
    pub fn message_id(&self) -> &str {
        &self.message_id
    }

    /// Whether the person sees us type.
    #[must_use]
    pub fn typing(&self) -> bool {
        self.typing
    }
}
