//! What is filled into the buttons of a template.

use serde::Serialize;
use serde_json::{Map, Value};

use super::fields::{Fields, missing, wrong};
use super::invalid::{Invalid, OTHER_TEXT_MAX, URL_MAX, filled, perhaps};
use super::template::TEMPLATE_BUTTONS_MAX;

/// Characters in the payload of a quick reply.
pub const PAYLOAD_MAX: usize = 256;
/// Characters in a code to copy. Source: Meta, "coupon templates", 2026.
pub const CODE_MAX: usize = 15;

/// What a button is given. JSON: exactly one of `payload`, `url`, `flow`, `code`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ButtonParameter {
    /// Quick reply: what comes back when it is pressed.
    Payload(String),
    /// The variable end of a button's address.
    Url(String),
    /// A WhatsApp Flow: what it is begun with.
    Flow {
        /// Comes back with the answer.
        #[serde(skip_serializing_if = "Option::is_none")]
        token: Option<String>,
        /// What its first screen is given.
        #[serde(skip_serializing_if = "Option::is_none")]
        data: Option<Map<String, Value>>,
    },
    /// The code that the button copies.
    Code(String),
}

/// A button of a template that has something to be filled in. JSON: `{"index":0,"payload":"yes"}`; without `index` it is
/// the entry's place in the list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TemplateButton {
    index: Option<u8>,
    #[serde(flatten)]
    parameter: ButtonParameter,
}

impl TemplateButton {
    pub(super) fn read(fields: &mut Fields) -> Result<Self, Invalid> {
        let index = match fields.optional_integer("index")? {
            None => None,
            Some(index) => match u8::try_from(index) {
                Ok(index) if usize::from(index) < TEMPLATE_BUTTONS_MAX => Some(index),
                _ => {
                    let last = TEMPLATE_BUTTONS_MAX - 1;
                    return Err(Invalid::wrong("index", format!("has to be 0 to {last}, not {index}")));
                }
            },
        };
        let parameter = match fields.first_of(&["payload", "url", "flow", "code"]) {
            None => return Err(missing("payload")),
            Some("payload") => {
                ButtonParameter::Payload(filled("payload", fields.text("payload")?, PAYLOAD_MAX)?)
            }
            Some("url") => ButtonParameter::Url(filled("url", fields.text("url")?, URL_MAX)?),
            Some("code") => ButtonParameter::Code(filled("code", fields.text("code")?, CODE_MAX)?),
            Some(_) => fields.object("flow", form)?.ok_or_else(|| missing("flow"))?,
        };
        Ok(Self { index, parameter })
    }

    /// Gives a button that has no index its place in the list.
    pub(super) fn number(&mut self, place: usize) -> Result<(), Invalid> {
        if self.index.is_none() {
            let index = u8::try_from(place).map_err(|_| Invalid::wrong("buttons", "are too many"))?;
            self.index = Some(index);
        }
        Ok(())
    }

    /// Which of the template's buttons, from 0.
    #[must_use]
    pub fn index(&self) -> u8 {
        self.index.unwrap_or_default()
    }

    /// What it is given.
    #[must_use]
    pub fn parameter(&self) -> &ButtonParameter {
        &self.parameter
    }
}

fn form(fields: &mut Fields) -> Result<ButtonParameter, Invalid> {
    let token = perhaps("token", fields.optional_text("token")?, OTHER_TEXT_MAX)?;
    let data = match fields.take("data") {
        None => None,
        Some(Value::Object(data)) => Some(data),
        Some(other) => return Err(wrong("data", "an object", &other)),
    };
    Ok(ButtonParameter::Flow { token, data })
}
