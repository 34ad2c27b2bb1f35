//! How Meta lists templates: as nodes with fields, filtered, in pages with cursors.

use std::collections::HashMap;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use super::{Category, Template, Templates};
use crate::clock::SECOND;
use crate::sandbox::lock;
use crate::sandbox::param::Checked;
use crate::sandbox::refusal::Refusal;

/// Templates in a page that does not say how many.
const PAGE: usize = 25;
/// Templates in a page, whatever it says.
const PAGE_MAX: usize = 100;

/// One page, and which cursors lead on from it.
pub(super) struct Page {
    pub(super) nodes: Vec<Value>,
    pub(super) before: Option<String>,
    pub(super) after: Option<String>,
    pub(super) has_earlier: bool,
    pub(super) has_later: bool,
    /// How many pass the filters, on all pages.
    pub(super) found: usize,
    /// How many there are.
    pub(super) kept: usize,
}

impl Templates {
    /// Every template, in the order in which they came.
    pub(in crate::sandbox) fn all(&self) -> Vec<Value> {
        lock(&self.book).templates.iter().map(Template::node).collect()
    }

    /// The template with this id.
    pub(in crate::sandbox) fn node(&self, id: &str) -> Option<Value> {
        lock(&self.book).templates.iter().find(|one| one.id == id).map(Template::node)
    }

    /// The page that a query asks for.
    pub(super) fn page(&self, query: &HashMap<String, String>) -> Checked<Page> {
        let wanted = |key: &str| query.get(key).map(String::as_str).filter(|value| !value.is_empty());
        let limit = match wanted("limit") {
            None => PAGE,
            Some(limit) => {
                limit.parse::<usize>().ok().filter(|limit| *limit > 0).ok_or_else(|| bad("limit"))?
            }
        }
        .min(PAGE_MAX);
        let cursor = |key: &str| wanted(key).map(|cursor| decode(cursor).ok_or_else(|| bad(key))).transpose();
        let (after, before) = (cursor("after")?, cursor("before")?);
        let book = lock(&self.book);
        let mut found = Vec::new();
        for template in &book.templates {
            if matches(template, &wanted)? {
                found.push(template);
            }
        }
        let start = match (after, before) {
            (Some(after), _) => found.partition_point(|one| one.number <= after),
            (None, Some(before)) => found.partition_point(|one| one.number < before).saturating_sub(limit),
            (None, None) => 0,
        };
        let end = match (after, before) {
            (None, Some(before)) => found.partition_point(|one| one.number < before),
            _ => (start + limit).min(found.len()),
        };
        let shown = &found[start..end];
        Ok(Page {
            nodes: shown.iter().map(|template| template.node()).collect(),
            before: shown.first().map(|template| encode(template.number)),
            after: shown.last().map(|template| encode(template.number)),
            has_earlier: start > 0,
            has_later: end < found.len(),
            found: found.len(),
            kept: book.templates.len(),
        })
    }
}

impl Template {
    /// The template with all of its fields.
    fn node(&self) -> Value {
        let mut node = json!({
            "name": self.name,
            "parameter_format": if self.shape.named { "NAMED" } else { "POSITIONAL" },
            "components": self.components,
            "language": self.language,
            "status": self.status,
            "category": self.category.word(),
            "id": self.id,
            "quality_score": {"score": self.quality, "date": self.rated_at.div_euclid(SECOND)},
            "rejected_reason": self.rejected_reason,
        });
        if let Some(previous) = self.previous_category {
            node["previous_category"] = json!(previous.word());
        }
        node
    }
}

/// Whether a template passes the filters: `name` whole, `name_or_content` as a part, the others as words out of a list.
fn matches<'a>(template: &Template, wanted: &impl Fn(&str) -> Option<&'a str>) -> Checked<bool> {
    if let Some(category) = wanted("category")
        && words(category).iter().any(|word| Category::read(word).is_none())
    {
        return Err(bad("category"));
    }
    let is_one_of =
        |key: &str, value: &str| wanted(key).is_none_or(|list| words(list).iter().any(|word| word == value));
    let contains = |part: &str| {
        template.name.contains(part) || template.shape.body.text.to_lowercase().contains(&part.to_lowercase())
    };
    Ok(wanted("name").is_none_or(|name| name == template.name)
        && wanted("name_or_content").is_none_or(contains)
        && is_one_of("status", template.status)
        && is_one_of("language", &template.language)
        && is_one_of("category", template.category.word())
        && is_one_of("quality_score", template.quality))
}

/// The words of a filter: one, several with commas, or a JSON list.
fn words(list: &str) -> Vec<String> {
    serde_json::from_str(list)
        .unwrap_or_else(|_| list.split(',').map(|word| word.trim().to_owned()).collect())
}

fn bad(key: &str) -> Refusal {
    Refusal::of(100).details(format!("Param {key} is not valid."))
}

/// A cursor is opaque to those who use it.
fn encode(number: u64) -> String {
    URL_SAFE_NO_PAD.encode(format!("t{number}"))
}

fn decode(cursor: &str) -> Option<u64> {
    let bytes = URL_SAFE_NO_PAD.decode(cursor).ok()?;
    std::str::from_utf8(&bytes).ok()?.strip_prefix('t')?.parse().ok()
}
