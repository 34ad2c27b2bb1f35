//! A button that opens an address.

use serde::Serialize;

use super::Frame;
use crate::domain::outbound::fields::Fields;
use crate::domain::outbound::invalid::{Invalid, address, filled};

/// Characters on the button.
pub const CTA_BUTTON_MAX: usize = 20;

/// Text with a button that opens an address.
/// JSON: `{"type":"cta_url","body":"Your invoice","button":"Open","url":"https://…"}`, perhaps `header` and `footer`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CtaUrl {
    #[serde(flatten)]
    frame: Frame,
    button: String,
    url: String,
}

impl CtaUrl {
    /// A button of up to [`CTA_BUTTON_MAX`] characters that opens the `http` or `https` address `url`.
    ///
    /// # Errors
    /// When the button is empty or too long, or the address is none.
    pub fn new(frame: Frame, button: impl Into<String>, url: impl Into<String>) -> Result<Self, Invalid> {
        let url = url.into();
        address("url", &url, &["https://", "http://"])?;
        Ok(Self { frame, button: filled("button", button.into(), CTA_BUTTON_MAX)?, url })
    }

    pub(in crate::domain::outbound) fn read(fields: &mut Fields) -> Result<Self, Invalid> {
        Self::new(Frame::read(fields)?, fields.text("button")?, fields.text("url")?)
    }

    /// Header, text and small print.
    #[must_use]
    pub fn frame(&self) -> &Frame {
        &self.frame
    }

    pub(in crate::domain::outbound) fn frame_mut(&mut self) -> &mut Frame {
        &mut self.frame
    }

    /// What the button says.
    #[must_use]
    pub fn button(&self) -> &str {
        &self.button
    }

    /// What it opens.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }
}
