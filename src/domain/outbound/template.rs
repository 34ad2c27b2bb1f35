//! Template messages: what was approved by Meta, filled in. Whether such a template exists and what it wants to be filled
//! in is not judged here. Source: Meta, "template messages", 2026.

use std::collections::BTreeMap;

use serde::ser::{SerializeMap, Serializer};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::button::TemplateButton;
use super::fields::{Fields, missing, wrong};
use super::interactive::{HEADER_TEXT_MAX, header};
use super::invalid::{Invalid, check, counted, distinct, filled};
use super::media::Media;
use super::place::Location;

/// Characters in the name of a template.
pub const TEMPLATE_NAME_MAX: usize = 512;
/// Characters in a language code such as `pt_BR`. Ours: Meta's have up to seven.
pub const LANGUAGE_MAX: usize = 16;
/// Characters in one parameter. Source: Meta, template reference: the body as a whole may have so many.
pub const PARAMETER_MAX: usize = 1024;
/// Spaces in a row that a parameter may have. Source: Meta's refusal 132018: "Param text cannot have new-line/tab
/// characters or more than 4 consecutive spaces".
pub const PARAMETER_SPACES_MAX: usize = 4;
/// Parameters of the body. Ours: Meta documents none.
pub const PARAMETERS_MAX: usize = 100;
/// Buttons of a template. Source: Meta, template reference.
pub const TEMPLATE_BUTTONS_MAX: usize = 10;

/// What stands in one place of a template.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Parameter {
    /// Money; JSON: `{"currency":{"code":"EUR","amount_1000":12990,"fallback":"12.99 €"}}`.
    Currency {
        /// ISO 4217, three capitals.
        code: String,
        /// The amount, times 1,000.
        amount_1000: i64,
        /// What is shown where it cannot be written the person's way.
        fallback: String,
    },
    /// A moment in words; JSON: `{"date_time":"Monday, 9:00"}`.
    DateTime(String),
    /// Text; JSON: a string.
    #[serde(untagged)]
    Text(String),
}

impl Parameter {
    fn of(value: Value) -> Result<Self, Invalid> {
        match value {
            Value::String(text) => one_line("", text, PARAMETER_MAX).map(Self::Text),
            Value::Object(_) => Fields::whole(value, Self::read),
            other => Err(wrong("", "a string, `{\"currency\": …}` or `{\"date_time\": …}`", &other)),
        }
    }

    fn read(fields: &mut Fields) -> Result<Self, Invalid> {
        match fields.first_of(&["currency", "date_time"]) {
            Some("currency") => fields
                .object("currency", |money| {
                    let code = money.text("code")?;
                    if code.len() != 3 || !code.bytes().all(|b| b.is_ascii_uppercase()) {
                        return Err(Invalid::wrong("code", "has to be three capitals, such as `EUR`"));
                    }
                    let amount = money.optional_integer("amount_1000")?;
                    let amount_1000 = amount.ok_or_else(|| missing("amount_1000"))?;
                    let fallback = one_line("fallback", money.text("fallback")?, PARAMETER_MAX)?;
                    Ok(Self::Currency { code, amount_1000, fallback })
                })?
                .ok_or_else(|| missing("currency")),
            Some(_) => one_line("date_time", fields.text("date_time")?, PARAMETER_MAX).map(Self::DateTime),
            None => Err(missing("currency")),
        }
    }
}

/// A text as a parameter may have it.
fn one_line(field: &str, text: String, limit: usize) -> Result<String, Invalid> {
    if text.contains(['\n', '\r', '\t']) || text.contains(&" ".repeat(PARAMETER_SPACES_MAX + 1)) {
        let why = format!(
            "goes into a template, where line breaks, tabs and more than {PARAMETER_SPACES_MAX} spaces in a row are not \
             allowed"
        );
        return Err(Invalid::wrong(field, why));
    }
    filled(field, text, limit)
}

/// What is filled into the body.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Parameters {
    /// For `{{1}}`, `{{2}}`, …; JSON: a list.
    Positional(Vec<Parameter>),
    /// For `{{customer}}` and the like; JSON: an object.
    Named(BTreeMap<String, Parameter>),
}

impl Default for Parameters {
    fn default() -> Self {
        Self::Positional(Vec::new())
    }
}

impl Parameters {
    /// How many.
    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            Self::Positional(list) => list.len(),
            Self::Named(map) => map.len(),
        }
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn of(value: Value) -> Result<Self, Invalid> {
        let parameters = match value {
            Value::Array(list) => list
                .into_iter()
                .enumerate()
                .map(|(at, value)| Parameter::of(value).map_err(|e| e.under(&format!("body[{at}]"))))
                .collect::<Result<_, _>>()
                .map(Self::Positional)?,
            Value::Object(map) => map
                .into_iter()
                .map(|(name, value)| {
                    let parameter = Parameter::of(value).map_err(|e| e.under(&format!("body.{name}")))?;
                    check("body", &name, PARAMETER_MAX)?;
                    Ok((name, parameter))
                })
                .collect::<Result<_, _>>()
                .map(Self::Named)?,
            other => return Err(wrong("body", "a list, or an object of named parameters", &other)),
        };
        if !parameters.is_empty() {
            counted("body", parameters.len(), PARAMETERS_MAX)?;
        }
        Ok(parameters)
    }
}

/// What is filled into the header. JSON: `{"text":"Ada"}` (perhaps with `"parameter":"customer"`, its name),
/// `{"image":{"link":"https://…"}}` (also `video`, `document`), or `{"location":{…}}`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TemplateHeader {
    /// Its only parameter, and the name of that, where it is not `{{1}}`.
    Text(String, Option<String>),
    /// A picture, video or document.
    Media(Media),
    /// A place.
    Location(Location),
}

impl TemplateHeader {
    fn read(fields: &mut Fields) -> Result<Self, Invalid> {
        match fields.first_of(&["text", "image", "video", "document", "location"]) {
            None => Err(missing("text")),
            Some("text") => {
                let text = one_line("text", fields.text("text")?, HEADER_TEXT_MAX)?;
                Ok(Self::Text(text, fields.optional_text("parameter")?))
            }
            Some("location") => {
                let place = fields.object("location", Location::read)?;
                place.map(Self::Location).ok_or_else(|| missing("location"))
            }
            Some(name) => match header::Header::media(header::media(name, fields)?)? {
                header::Header::Media(media) => Ok(Self::Media(media)),
                header::Header::Text(_) => Err(missing(name)),
            },
        }
    }
}

impl Serialize for TemplateHeader {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        match self {
            Self::Text(text, parameter) => {
                map.serialize_entry("text", text)?;
                if let Some(parameter) = parameter {
                    map.serialize_entry("parameter", parameter)?;
                }
            }
            Self::Media(media) => map.serialize_entry(media.kind().as_str(), media)?,
            Self::Location(location) => map.serialize_entry("location", location)?,
        }
        map.end()
    }
}

/// A template, filled in.
/// JSON: `{"type":"template","name":"order_ready","language":"en","header":{…},"body":["Ada"],"buttons":[{"index":0,…}]}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Value")]
pub struct Template {
    name: String,
    language: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    header: Option<TemplateHeader>,
    #[serde(skip_serializing_if = "Parameters::is_empty")]
    body: Parameters,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    buttons: Vec<TemplateButton>,
}

impl Template {
    /// A template with nothing to fill in, in a language such as `en` or `pt_BR`.
    ///
    /// # Errors
    /// When the name or language cannot be one.
    pub fn new(name: impl Into<String>, language: impl Into<String>) -> Result<Self, Invalid> {
        let name = filled("name", name.into(), TEMPLATE_NAME_MAX)?;
        if !name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_') {
            return Err(Invalid::wrong("name", "may hold lowercase letters, digits and `_` only"));
        }
        let language = filled("language", language.into(), LANGUAGE_MAX)?;
        if !language.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_') {
            return Err(Invalid::wrong("language", "has to be a code such as `en` or `pt_BR`"));
        }
        Ok(Self { name, language, header: None, body: Parameters::default(), buttons: Vec::new() })
    }

    pub(super) fn read(fields: &mut Fields) -> Result<Self, Invalid> {
        let mut template = Self::new(fields.text("name")?, fields.text("language")?)?;
        template.header = fields.object("header", TemplateHeader::read)?;
        template.body = fields.take("body").map(Parameters::of).transpose()?.unwrap_or_default();
        template.buttons = fields.optional_list("buttons", TemplateButton::read)?.unwrap_or_default();
        for (at, button) in template.buttons.iter_mut().enumerate() {
            button.number(at)?;
        }
        if !template.buttons.is_empty() {
            counted("buttons", template.buttons.len(), TEMPLATE_BUTTONS_MAX)?;
        }
        let indices: Vec<String> = template.buttons.iter().map(|b| b.index().to_string()).collect();
        distinct("buttons[].index", indices.iter().map(String::as_str))?;
        Ok(template)
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The code of its language.
    #[must_use]
    pub fn language(&self) -> &str {
        &self.language
    }

    /// What is filled into the header.
    #[must_use]
    pub fn header(&self) -> Option<&TemplateHeader> {
        self.header.as_ref()
    }

    pub(super) fn header_mut(&mut self) -> Option<&mut TemplateHeader> {
        self.header.as_mut()
    }

    /// What is filled into the body.
    #[must_use]
    pub fn body(&self) -> &Parameters {
        &self.body
    }

    /// What is filled into the buttons.
    #[must_use]
    pub fn buttons(&self) -> &[TemplateButton] {
        &self.buttons
    }
}

impl TryFrom<Value> for Template {
    type Error = Invalid;

    /// Without `type`, as under the key `template` of a flow.
    fn try_from(value: Value) -> Result<Self, Invalid> {
        Fields::whole(value, Self::read)
    }
}
