//! Reply buttons.

use serde::Serialize;

use super::{Frame, Header};
use crate::domain::outbound::fields::Fields;
use crate::domain::outbound::invalid::{Invalid, check, counted, distinct};

/// Reply buttons under one message.
pub const BUTTONS_MAX: usize = 3;
/// Characters on a reply button, and on the button that opens a list.
pub const BUTTON_TITLE_MAX: usize = 20;
/// Characters in the id of a reply button.
pub const BUTTON_ID_MAX: usize = 256;

/// A reply button: what comes back is its id.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Button {
    /// Comes back when it is pressed; 1 to [`BUTTON_ID_MAX`] characters, unique in the message.
    pub id: String,
    /// What it says; 1 to [`BUTTON_TITLE_MAX`] characters, unique in the message.
    pub title: String,
}

/// Text with reply buttons.
/// JSON: `{"type":"buttons","body":"Sure?","buttons":[{"id":"y","title":"Yes"}],"footer":null,"header":null}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Buttons {
    #[serde(flatten)]
    frame: Frame,
    buttons: Vec<Button>,
}

impl Buttons {
    /// A text of up to [`super::INTERACTIVE_BODY_MAX`] characters with one to [`BUTTONS_MAX`] buttons.
    ///
    /// # Errors
    /// When a field is empty, too long or there twice, or there are too many buttons.
    pub fn new(
        body: impl Into<String>,
        buttons: Vec<Button>,
        footer: Option<String>,
    ) -> Result<Self, Invalid> {
        Self::framed(Frame::new(body, footer)?, buttons)
    }

    fn framed(frame: Frame, buttons: Vec<Button>) -> Result<Self, Invalid> {
        counted("buttons", buttons.len(), BUTTONS_MAX)?;
        for (at, button) in buttons.iter().enumerate() {
            check(&format!("buttons[{at}].id"), &button.id, BUTTON_ID_MAX)?;
            check(&format!("buttons[{at}].title"), &button.title, BUTTON_TITLE_MAX)?;
        }
        distinct("buttons[].id", buttons.iter().map(|b| b.id.as_str()))?;
        distinct("buttons[].title", buttons.iter().map(|b| b.title.as_str()))?;
        Ok(Self { frame, buttons })
    }

    /// The same with `header` above the text.
    #[must_use]
    pub fn with_header(mut self, header: Header) -> Self {
        self.frame.header = Some(header);
        self
    }

    pub(in crate::domain::outbound) fn read(fields: &mut Fields) -> Result<Self, Invalid> {
        let frame = Frame::read(fields)?;
        let buttons = fields
            .list("buttons", |entry| Ok(Button { id: entry.text("id")?, title: entry.text("title")? }))?;
        Self::framed(frame, buttons)
    }

    /// Header, text and small print.
    #[must_use]
    pub fn frame(&self) -> &Frame {
        &self.frame
    }

    pub(in crate::domain::outbound) fn frame_mut(&mut self) -> &mut Frame {
        &mut self.frame
    }

    /// The text.
    #[must_use]
    pub fn body(&self) -> &str {
        self.frame.body()
    }

    /// The buttons, in order.
    #[must_use]
    pub fn buttons(&self) -> &[Button] {
        &self.buttons
    }
}
