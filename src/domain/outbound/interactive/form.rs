//! A button that opens a WhatsApp Flow, which is a form of Meta's.

use serde::Serialize;
use serde_json::{Map, Value};

use super::Frame;
use crate::domain::outbound::fields::{Fields, missing, wrong};
use crate::domain::outbound::invalid::{Invalid, OTHER_TEXT_MAX, check, filled, perhaps};

/// Characters on the button. Source: Meta's OpenAPI of the Cloud API, 2026.
pub const FLOW_BUTTON_MAX: usize = 30;

/// Which form.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub enum FlowName {
    /// By Meta's id.
    #[serde(rename = "flow_id")]
    Id(String),
    /// By its name.
    #[serde(rename = "flow_name")]
    Name(String),
}

/// Which edition of a form.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum FlowMode {
    /// The one that is being written; for tests.
    Draft,
    /// The published one.
    Published,
}

/// How a form begins.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FlowStart {
    /// The first screen.
    pub screen: String,
    /// What that screen is given; never an empty object.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data: Option<Map<String, Value>>,
}

/// Text with a button that opens a form. JSON: `{"type":"flow","body":"Tell us more","button":"Open","flow_id":"17"}`,
/// perhaps `header`, `footer`, `flow_name` in place of the id, `flow_token`, `mode` (`draft`, `published`), and `screen`
/// with `data`. Without a screen, Meta asks the form's own endpoint for the first one (`data_exchange`). What is filled in
/// comes back as a `form`. Source: Meta's OpenAPI of the Cloud API, 2026.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Flow {
    #[serde(flatten)]
    frame: Frame,
    button: String,
    #[serde(flatten)]
    name: FlowName,
    #[serde(skip_serializing_if = "Option::is_none")]
    flow_token: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    mode: Option<FlowMode>,
    #[serde(flatten)]
    start: Option<FlowStart>,
}

impl Flow {
    /// A button of up to [`FLOW_BUTTON_MAX`] characters that opens the form `name`.
    ///
    /// # Errors
    /// When a text is empty or too long.
    pub fn new(frame: Frame, button: impl Into<String>, name: FlowName) -> Result<Self, Invalid> {
        match &name {
            FlowName::Id(id) => check("flow_id", id, OTHER_TEXT_MAX)?,
            FlowName::Name(name) => check("flow_name", name, OTHER_TEXT_MAX)?,
        }
        let button = filled("button", button.into(), FLOW_BUTTON_MAX)?;
        Ok(Self { frame, button, name, flow_token: None, mode: None, start: None })
    }

    pub(in crate::domain::outbound) fn read(fields: &mut Fields) -> Result<Self, Invalid> {
        let frame = Frame::read(fields)?;
        let button = fields.text("button")?;
        let name = match (fields.optional_text("flow_id")?, fields.optional_text("flow_name")?) {
            (Some(id), None) => FlowName::Id(id),
            (None, Some(name)) => FlowName::Name(name),
            (None, None) => return Err(missing("flow_id")),
            (Some(_), Some(_)) => {
                return Err(Invalid::wrong("flow_name", "is one too many: give `flow_id` or `flow_name`"));
            }
        };
        let mut flow = Self::new(frame, button, name)?;
        flow.flow_token = perhaps("flow_token", fields.optional_text("flow_token")?, OTHER_TEXT_MAX)?;
        flow.mode = match fields.optional_text("mode")?.as_deref() {
            None => None,
            Some("draft") => Some(FlowMode::Draft),
            Some("published") => Some(FlowMode::Published),
            Some(_) => return Err(Invalid::wrong("mode", "has to be `draft` or `published`")),
        };
        let screen = perhaps("screen", fields.optional_text("screen")?, OTHER_TEXT_MAX)?;
        let data = match fields.take("data") {
            None => None,
            Some(Value::Object(data)) if data.is_empty() => {
                return Err(Invalid::wrong("data", "is empty: leave it out"));
            }
            Some(Value::Object(data)) => Some(data),
            Some(other) => return Err(wrong("data", "an object", &other)),
        };
        flow.start = match (screen, data) {
            (Some(screen), data) => Some(FlowStart { screen, data }),
            (None, None) => None,
            (None, Some(_)) => return Err(Invalid::wrong("data", "is for a `screen`: name it")),
        };
        Ok(flow)
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

    /// Which form.
    #[must_use]
    pub fn name(&self) -> &FlowName {
        &self.name
    }

    /// What comes back with the answer.
    #[must_use]
    pub fn flow_token(&self) -> Option<&str> {
        self.flow_token.as_deref()
    }

    /// Which edition.
    #[must_use]
    pub fn mode(&self) -> Option<FlowMode> {
        self.mode
    }

    /// The first screen, if it is named.
    #[must_use]
    pub fn start(&self) -> Option<&FlowStart> {
        self.start.as_ref()
    }
}
