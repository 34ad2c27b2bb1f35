//! Lists of rows.

use serde::Serialize;

use super::buttons::BUTTON_TITLE_MAX;
use super::{Frame, Header};
use crate::domain::outbound::fields::{Fields, missing};
use crate::domain::outbound::invalid::{Invalid, check, counted, distinct, filled};

/// Rows in a list, over all its sections.
pub const LIST_ROWS_MAX: usize = 10;
/// Sections in a list.
pub const LIST_SECTIONS_MAX: usize = 10;
/// Characters in the title of a section.
pub const SECTION_TITLE_MAX: usize = 24;
/// Characters in the title of a list row.
pub const ROW_TITLE_MAX: usize = 24;
/// Characters in the description of a list row.
pub const ROW_DESCRIPTION_MAX: usize = 72;
/// Characters in the id of a list row.
pub const ROW_ID_MAX: usize = 200;

/// A row of a list: what comes back is its id.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Row {
    /// Comes back when it is chosen; 1 to [`ROW_ID_MAX`] characters, unique in the message.
    pub id: String,
    /// What it says; 1 to [`ROW_TITLE_MAX`] characters.
    pub title: String,
    /// A second line; up to [`ROW_DESCRIPTION_MAX`] characters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
}

/// Rows under a title of their own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Section {
    /// Up to [`SECTION_TITLE_MAX`] characters.
    pub title: String,
    /// At least one.
    pub rows: Vec<Row>,
}

/// Text with a button that opens a list.
/// JSON: `{"type":"list","body":"What?","button":"Choose","rows":[{"id":"1","title":"Orders"}]}`, or in place of `rows`
/// `"sections":[{"title":"Orders","rows":[…]}]`. Its header is text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct List {
    #[serde(flatten)]
    frame: Frame,
    button: String,
    /// Without sections; else empty.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    rows: Vec<Row>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    sections: Vec<Section>,
}

impl List {
    /// A text of up to [`super::INTERACTIVE_BODY_MAX`] characters, a button that opens the list, and one to
    /// [`LIST_ROWS_MAX`] rows.
    ///
    /// # Errors
    /// When a field is empty, too long or there twice, or there are too many rows.
    pub fn new(
        body: impl Into<String>,
        button: impl Into<String>,
        rows: Vec<Row>,
        footer: Option<String>,
    ) -> Result<Self, Invalid> {
        Self::plain(Frame::new(body, footer)?, button.into(), rows)
    }

    fn plain(frame: Frame, button: String, rows: Vec<Row>) -> Result<Self, Invalid> {
        counted("rows", rows.len(), LIST_ROWS_MAX)?;
        check_rows("rows", &rows)?;
        distinct("rows[].id", rows.iter().map(|r| r.id.as_str()))?;
        Self { frame, button: String::new(), rows, sections: Vec::new() }.opened_by(button)
    }

    fn in_sections(frame: Frame, button: String, sections: Vec<Section>) -> Result<Self, Invalid> {
        counted("sections", sections.len(), LIST_SECTIONS_MAX)?;
        for (at, section) in sections.iter().enumerate() {
            check(&format!("sections[{at}].title"), &section.title, SECTION_TITLE_MAX)?;
            let rows = format!("sections[{at}].rows");
            counted(&rows, section.rows.len(), LIST_ROWS_MAX)?;
            check_rows(&rows, &section.rows)?;
        }
        let all = || sections.iter().flat_map(|section| &section.rows);
        counted("sections[].rows", all().count(), LIST_ROWS_MAX)?;
        distinct("sections[].rows[].id", all().map(|r| r.id.as_str()))?;
        Self { frame, button: String::new(), rows: Vec::new(), sections }.opened_by(button)
    }

    fn opened_by(mut self, button: String) -> Result<Self, Invalid> {
        if let Some(Header::Media(_)) = self.frame.header() {
            return Err(Invalid::wrong("header", "has to be text: a list has no other"));
        }
        self.button = filled("button", button, BUTTON_TITLE_MAX)?;
        Ok(self)
    }

    /// The same with the line `header` above the text.
    ///
    /// # Errors
    /// When it is empty or too long.
    pub fn with_header(mut self, header: impl Into<String>) -> Result<Self, Invalid> {
        self.frame.header = Some(Header::text(header).map_err(|e| e.under("header"))?);
        Ok(self)
    }

    pub(in crate::domain::outbound) fn read(fields: &mut Fields) -> Result<Self, Invalid> {
        let frame = Frame::read(fields)?;
        let button = fields.text("button")?;
        let rows = fields.optional_list("rows", row)?;
        let sections = fields.optional_list("sections", |section| {
            Ok(Section { title: section.text("title")?, rows: section.list("rows", row)? })
        })?;
        match (rows, sections) {
            (Some(rows), None) => Self::plain(frame, button, rows),
            (None, Some(sections)) => Self::in_sections(frame, button, sections),
            (None, None) => Err(missing("rows")),
            (Some(_), Some(_)) => {
                Err(Invalid::wrong("sections", "is one too many: give `rows` or `sections`"))
            }
        }
    }

    /// Header, text and small print.
    #[must_use]
    pub fn frame(&self) -> &Frame {
        &self.frame
    }

    /// The text.
    #[must_use]
    pub fn body(&self) -> &str {
        self.frame.body()
    }

    /// What the button that opens the list says.
    #[must_use]
    pub fn button(&self) -> &str {
        &self.button
    }

    /// The rows, when the list has no sections.
    #[must_use]
    pub fn rows(&self) -> &[Row] {
        &self.rows
    }

    /// The sections; empty when the list is plain rows.
    #[must_use]
    pub fn sections(&self) -> &[Section] {
        &self.sections
    }
}

fn row(entry: &mut Fields) -> Result<Row, Invalid> {
    Ok(Row {
        id: entry.text("id")?,
        title: entry.text("title")?,
        description: entry.optional_text("description")?,
    })
}

fn check_rows(path: &str, rows: &[Row]) -> Result<(), Invalid> {
    for (at, row) in rows.iter().enumerate() {
        check(&format!("{path}[{at}].id"), &row.id, ROW_ID_MAX)?;
        check(&format!("{path}[{at}].title"), &row.title, ROW_TITLE_MAX)?;
        if let Some(description) = &row.description {
            check(&format!("{path}[{at}].description"), description, ROW_DESCRIPTION_MAX)?;
        }
    }
    Ok(())
}
