//! Plain text.

use serde::Serialize;

use super::fields::Fields;
use super::invalid::{Invalid, filled};

/// Characters in the body of a text message. Source: Meta, message reference "text", 2026.
pub const TEXT_BODY_MAX: usize = 4096;

/// Plain text. JSON: `{"type":"text","body":"Hello","preview_url":false}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Text {
    body: String,
    preview_url: bool,
}

impl Text {
    /// A text of 1 to [`TEXT_BODY_MAX`] characters.
    ///
    /// # Errors
    /// When it is empty or too long.
    pub fn new(body: impl Into<String>) -> Result<Self, Invalid> {
        Self::with_preview(body, false)
    }

    /// As [`Text::new`], with a preview of the first link in it.
    ///
    /// # Errors
    /// When it is empty or too long.
    pub fn with_preview(body: impl Into<String>, preview_url: bool) -> Result<Self, Invalid> {
        Ok(Self { body: filled("body", body.into(), TEXT_BODY_MAX)?, preview_url })
    }

    pub(super) fn read(fields: &mut Fields) -> Result<Self, Invalid> {
        Self::with_preview(fields.text("body")?, fields.flag("preview_url")?)
    }

    /// The text.
    #[must_use]
    pub fn body(&self) -> &str {
        &self.body
    }

    /// Whether a link in it is previewed.
    #[must_use]
    pub fn preview_url(&self) -> bool {
        self.preview_url
    }
}
