//! Messages with something to press. Source: Meta, message reference pages "interactive …", 2026.

mod ask;
mod buttons;
mod form;
pub(super) mod header;
mod link;
mod list;

pub use ask::{ContactRequest, LocationRequest};
pub use buttons::{BUTTON_ID_MAX, BUTTON_TITLE_MAX, BUTTONS_MAX, Button, Buttons};
pub use form::{FLOW_BUTTON_MAX, Flow, FlowMode, FlowName, FlowStart};
pub use header::{HEADER_TEXT_MAX, Header};
pub use link::{CTA_BUTTON_MAX, CtaUrl};
pub use list::{
    LIST_ROWS_MAX, LIST_SECTIONS_MAX, List, ROW_DESCRIPTION_MAX, ROW_ID_MAX, ROW_TITLE_MAX, Row,
    SECTION_TITLE_MAX, Section,
};

use serde::Serialize;

use super::fields::Fields;
use super::invalid::{Invalid, filled, perhaps};

/// Characters in the body of an interactive message. Meta's pages disagree for lists (1024 or 4096); the lower is safe.
pub const INTERACTIVE_BODY_MAX: usize = 1024;
/// Characters in a footer.
pub const FOOTER_MAX: usize = 60;

/// What interactive messages have in common: a body, perhaps something above it and small print below.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Frame {
    #[serde(skip_serializing_if = "Option::is_none")]
    header: Option<Header>,
    body: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    footer: Option<String>,
}

impl Frame {
    /// A body of up to [`INTERACTIVE_BODY_MAX`] characters, and a footer of up to [`FOOTER_MAX`].
    ///
    /// # Errors
    /// When a text is empty or too long.
    pub fn new(body: impl Into<String>, footer: Option<String>) -> Result<Self, Invalid> {
        Ok(Self {
            header: None,
            body: filled("body", body.into(), INTERACTIVE_BODY_MAX)?,
            footer: perhaps("footer", footer, FOOTER_MAX)?,
        })
    }

    fn read(fields: &mut Fields) -> Result<Self, Invalid> {
        let header = Header::read_from(fields)?;
        let frame = Self::new(fields.text("body")?, fields.optional_text("footer")?)?;
        Ok(Self { header, ..frame })
    }

    /// What stands above the body.
    #[must_use]
    pub fn header(&self) -> Option<&Header> {
        self.header.as_ref()
    }

    pub(super) fn header_mut(&mut self) -> Option<&mut Header> {
        self.header.as_mut()
    }

    /// The text.
    #[must_use]
    pub fn body(&self) -> &str {
        &self.body
    }

    /// The small print.
    #[must_use]
    pub fn footer(&self) -> Option<&str> {
        self.footer.as_deref()
    }
}
