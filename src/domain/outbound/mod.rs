//! What we can send. A message that Meta would refuse for its length or count cannot be built: the constructors check
//! Meta's limits and name the field, what it has and what is allowed. Lengths are counted in characters.
//!
//! Limits: Meta, message reference pages "text", "interactive reply buttons" and "interactive list", 2026.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

mod priority;

pub use priority::Priority;

/// Characters in the body of a text message.
pub const TEXT_BODY_MAX: usize = 4096;
/// Characters in the body of an interactive message. Meta's pages disagree for lists (1024 or 4096); the lower is safe.
pub const INTERACTIVE_BODY_MAX: usize = 1024;
/// Characters in a footer.
pub const FOOTER_MAX: usize = 60;
/// Reply buttons under one message.
pub const BUTTONS_MAX: usize = 3;
/// Characters on a reply button, and on the button that opens a list.
pub const BUTTON_TITLE_MAX: usize = 20;
/// Characters in the id of a reply button.
pub const BUTTON_ID_MAX: usize = 256;
/// Rows in a list, over all its sections.
pub const LIST_ROWS_MAX: usize = 10;
/// Characters in the title of a list row.
pub const ROW_TITLE_MAX: usize = 24;
/// Characters in the description of a list row.
pub const ROW_DESCRIPTION_MAX: usize = 72;
/// Characters in the id of a list row.
pub const ROW_ID_MAX: usize = 200;

/// Why a message cannot be built.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Invalid {
    /// A field has to hold something.
    #[error("`{field}` is empty; write something there")]
    Empty {
        /// The field.
        field: &'static str,
    },
    /// A field is too long.
    #[error("`{field}` has {length} characters, {limit} are allowed; shorten it")]
    TooLong {
        /// The field.
        field: &'static str,
        /// What it has.
        length: usize,
        /// What Meta allows.
        limit: usize,
    },
    /// Too many of something.
    #[error("`{field}` has {count} entries, 1 to {limit} are allowed")]
    Count {
        /// The field.
        field: &'static str,
        /// How many there are.
        count: usize,
        /// How many Meta allows.
        limit: usize,
    },
    /// Two entries that have to differ do not.
    #[error("`{field}` holds `{value}` twice; each has to be different")]
    Twice {
        /// The field.
        field: &'static str,
        /// What is there twice.
        value: String,
    },
}

/// One message to one person.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Message {
    /// Plain text.
    Text(Text),
    /// Text with up to three reply buttons.
    Buttons(Buttons),
    /// Text with a button that opens a list of up to ten rows.
    List(List),
}

/// Plain text. JSON: `{"type":"text","body":"Hello","preview_url":false}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "RawText")]
pub struct Text {
    body: String,
    preview_url: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawText {
    body: String,
    #[serde(default)]
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

impl TryFrom<RawText> for Text {
    type Error = Invalid;

    fn try_from(raw: RawText) -> Result<Self, Invalid> {
        Self::with_preview(raw.body, raw.preview_url)
    }
}

/// A reply button: what comes back is its id.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Button {
    /// Comes back when it is pressed; 1 to [`BUTTON_ID_MAX`] characters, unique in the message.
    pub id: String,
    /// What it says; 1 to [`BUTTON_TITLE_MAX`] characters, unique in the message.
    pub title: String,
}

/// Text with reply buttons.
/// JSON: `{"type":"buttons","body":"Sure?","buttons":[{"id":"y","title":"Yes"}],"footer":null}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "RawButtons")]
pub struct Buttons {
    body: String,
    buttons: Vec<Button>,
    #[serde(skip_serializing_if = "Option::is_none")]
    footer: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawButtons {
    body: String,
    buttons: Vec<Button>,
    #[serde(default)]
    footer: Option<String>,
}

impl Buttons {
    /// A text of up to [`INTERACTIVE_BODY_MAX`] characters with one to [`BUTTONS_MAX`] buttons.
    ///
    /// # Errors
    /// When a field is empty, too long or there twice, or there are too many buttons.
    pub fn new(
        body: impl Into<String>,
        buttons: Vec<Button>,
        footer: Option<String>,
    ) -> Result<Self, Invalid> {
        counted("buttons", buttons.len(), BUTTONS_MAX)?;
        for button in &buttons {
            check("buttons[].id", &button.id, BUTTON_ID_MAX)?;
            check("buttons[].title", &button.title, BUTTON_TITLE_MAX)?;
        }
        distinct("buttons[].id", buttons.iter().map(|b| b.id.as_str()))?;
        distinct("buttons[].title", buttons.iter().map(|b| b.title.as_str()))?;
        Ok(Self {
            body: filled("body", body.into(), INTERACTIVE_BODY_MAX)?,
            buttons,
            footer: footer.map(|text| filled("footer", text, FOOTER_MAX)).transpose()?,
        })
    }

    /// The text.
    #[must_use]
    pub fn body(&self) -> &str {
        &self.body
    }

    /// The buttons, in order.
    #[must_use]
    pub fn buttons(&self) -> &[Button] {
        &self.buttons
    }

    /// The small print.
    #[must_use]
    pub fn footer(&self) -> Option<&str> {
        self.footer.as_deref()
    }
}

impl TryFrom<RawButtons> for Buttons {
    type Error = Invalid;

    fn try_from(raw: RawButtons) -> Result<Self, Invalid> {
        Self::new(raw.body, raw.buttons, raw.footer)
    }
}

/// A row of a list: what comes back is its id.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Row {
    /// Comes back when it is chosen; 1 to [`ROW_ID_MAX`] characters, unique in the message.
    pub id: String,
    /// What it says; 1 to [`ROW_TITLE_MAX`] characters.
    pub title: String,
    /// A second line; up to [`ROW_DESCRIPTION_MAX`] characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
}

/// Text with a button that opens a list.
/// JSON: `{"type":"list","body":"What?","button":"Choose","rows":[{"id":"1","title":"Orders"}]}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "RawList")]
pub struct List {
    body: String,
    button: String,
    rows: Vec<Row>,
    #[serde(skip_serializing_if = "Option::is_none")]
    footer: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawList {
    body: String,
    button: String,
    rows: Vec<Row>,
    #[serde(default)]
    footer: Option<String>,
}

impl List {
    /// A text of up to [`INTERACTIVE_BODY_MAX`] characters, a button that opens the list, and one to [`LIST_ROWS_MAX`] rows.
    ///
    /// # Errors
    /// When a field is empty, too long or there twice, or there are too many rows.
    pub fn new(
        body: impl Into<String>,
        button: impl Into<String>,
        rows: Vec<Row>,
        footer: Option<String>,
    ) -> Result<Self, Invalid> {
        counted("rows", rows.len(), LIST_ROWS_MAX)?;
        for row in &rows {
            check("rows[].id", &row.id, ROW_ID_MAX)?;
            check("rows[].title", &row.title, ROW_TITLE_MAX)?;
            if let Some(description) = &row.description {
                check("rows[].description", description, ROW_DESCRIPTION_MAX)?;
            }
        }
        distinct("rows[].id", rows.iter().map(|r| r.id.as_str()))?;
        Ok(Self {
            body: filled("body", body.into(), INTERACTIVE_BODY_MAX)?,
            button: filled("button", button.into(), BUTTON_TITLE_MAX)?,
            rows,
            footer: footer.map(|text| filled("footer", text, FOOTER_MAX)).transpose()?,
        })
    }

    /// The text.
    #[must_use]
    pub fn body(&self) -> &str {
        &self.body
    }

    /// What the button that opens the list says.
    #[must_use]
    pub fn button(&self) -> &str {
        &self.button
    }

    /// The rows, in order.
    #[must_use]
    pub fn rows(&self) -> &[Row] {
        &self.rows
    }

    /// The small print.
    #[must_use]
    pub fn footer(&self) -> Option<&str> {
        self.footer.as_deref()
    }
}

impl TryFrom<RawList> for List {
    type Error = Invalid;

    fn try_from(raw: RawList) -> Result<Self, Invalid> {
        Self::new(raw.body, raw.button, raw.rows, raw.footer)
    }
}

impl Message {
    /// A plain text message.
    ///
    /// # Errors
    /// When it is empty or too long.
    pub fn text(body: impl Into<String>) -> Result<Self, Invalid> {
        Text::new(body).map(Self::Text)
    }

    /// The type by which messages are listed and counted.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Text(_) => "text",
            Self::Buttons(_) => "buttons",
            Self::List(_) => "list",
        }
    }

    /// The words in it, as a reader would want to see and search them.
    #[must_use]
    pub fn body(&self) -> &str {
        match self {
            Self::Text(text) => text.body(),
            Self::Buttons(buttons) => buttons.body(),
            Self::List(list) => list.body(),
        }
    }
}

fn check(field: &'static str, text: &str, limit: usize) -> Result<(), Invalid> {
    if text.trim().is_empty() {
        return Err(Invalid::Empty { field });
    }
    let length = text.chars().count();
    if length > limit { Err(Invalid::TooLong { field, length, limit }) } else { Ok(()) }
}

fn filled(field: &'static str, text: String, limit: usize) -> Result<String, Invalid> {
    check(field, &text, limit).map(|()| text)
}

fn counted(field: &'static str, count: usize, limit: usize) -> Result<(), Invalid> {
    if (1..=limit).contains(&count) { Ok(()) } else { Err(Invalid::Count { field, count, limit }) }
}

fn distinct<'a>(field: &'static str, values: impl Iterator<Item = &'a str>) -> Result<(), Invalid> {
    let mut seen = BTreeSet::new();
    for value in values {
        if !seen.insert(value) {
            return Err(Invalid::Twice { field, value: value.to_owned() });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn button(id: &str, title: &str) -> Button {
        Button { id: id.into(), title: title.into() }
    }

    #[test]
    fn a_text_at_the_limit_is_built_and_one_character_more_is_refused_by_name() {
        assert!(Text::new("é".repeat(TEXT_BODY_MAX)).is_ok());
        let refused = Text::new("é".repeat(TEXT_BODY_MAX + 1)).unwrap_err();
        assert_eq!(refused.to_string(), "`body` has 4097 characters, 4096 are allowed; shorten it");
        assert_eq!(Text::new(" \n"), Err(Invalid::Empty { field: "body" }));
    }

    #[test]
    fn buttons_are_one_to_three_and_differ() {
        assert!(Buttons::new("b", vec![button("1", "A"), button("2", "B"), button("3", "C")], None).is_ok());
        assert!(matches!(Buttons::new("b", vec![], None), Err(Invalid::Count { count: 0, .. })));
        assert!(matches!(
            Buttons::new("b", vec![button("1", "A"), button("2", "A")], None),
            Err(Invalid::Twice { field: "buttons[].title", .. })
        ));
    }

    #[test]
    fn json_cannot_smuggle_in_what_the_constructors_refuse() {
        let long = serde_json::json!({"type": "text", "body": "x".repeat(TEXT_BODY_MAX + 1)});
        assert!(serde_json::from_value::<Message>(long).is_err());
        let good = serde_json::json!({"type": "list", "body": "b", "button": "Open", "rows": [{"id": "1", "title": "A"}]});
        let message: Message = serde_json::from_value(good.clone()).unwrap();
        assert_eq!(serde_json::to_value(message).unwrap(), good);
    }
}
