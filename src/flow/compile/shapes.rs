//! JSON in a file whose texts are templates: read as a [`Shape`], and judged before it is ever filled in.
//!
//! It is judged by the very constructors that judge it when it is said, with a placeholder where a template is: what is wrong
//! however the templates turn out is a mistake of the file.

use std::collections::BTreeSet;

use serde_json::Value;

use super::{Compiler, help};
use crate::domain::outbound::Invalid;
use crate::flow::fields;
use crate::flow::shape::Shape;
use crate::flow::template::{has_code, lone_expression};
use crate::flow::words::did_you_mean;
use crate::flow::yaml::{Node, Span, Yaml};

/// Under this name, values keep their kind: it is JSON of the business's own, for a screen of a form.
const FREE: &str = "data";
/// Under this one, names are those of a template's parameters.
const NAMED: &str = "body";

/// A place in JSON, as in `buttons[1].title`.
enum Step<'p> {
    Key(&'p str),
    Entry(usize),
}

impl Compiler<'_> {
    /// Reads a part of a message. `what` is its field, for messages.
    pub(super) fn shape(&mut self, node: &Node, what: &str) -> Option<Shape> {
        self.shape_within(node, what, false)
    }

    fn shape_within(&mut self, node: &Node, what: &str, free: bool) -> Option<Shape> {
        match &node.value {
            Yaml::Nothing => Some(Shape::Fixed(String::new())),
            Yaml::Scalar(text) if !has_code(text) => Some(Shape::Fixed(text.trim().to_owned())),
            Yaml::Scalar(text) => match lone_expression(text).filter(|_| free) {
                Some(expression) => self.expression_in(expression, node, what).map(Shape::Value),
                None => self.template(node, what).map(Shape::Text),
            },
            Yaml::List(items) => {
                // All of them are read before one that cannot be ends it: each mistake is told.
                let read: Vec<_> = items.iter().map(|item| self.shape_within(item, what, free)).collect();
                read.into_iter().collect::<Option<_>>().map(Shape::List)
            }
            Yaml::Map(entries) => {
                let entries = fields::entries_once(entries, &format!("`{what}`"), &mut self.report);
                let read: Vec<_> = entries
                    .into_iter()
                    .filter(|(_, node)| !matches!(node.value, Yaml::Nothing))
                    .map(|(key, node)| {
                        let free = free || (key.name == FREE && what != NAMED);
                        let shape = self.shape_within(node, &key.name, free)?;
                        Some((key.name.clone(), shape))
                    })
                    .collect();
                read.into_iter().collect::<Option<_>>().map(Shape::Map)
            }
        }
    }

    /// Reports everything that `read` refuses in the part `name` of a message, whatever its templates come to. `at` is where
    /// to point when something is missing.
    pub(super) fn judge<T>(
        &mut self,
        name: &str,
        (node, at): (&Node, &Span),
        shape: &Shape,
        read: impl Fn(Value) -> Result<T, Invalid>,
    ) {
        let Some(mut sample) = sample(shape, name) else { return };
        let mut told = BTreeSet::new();
        while let Err(invalid) = read(sample.clone()) {
            let field = invalid.field().to_owned();
            let path = steps(&field);
            let is_unknown = matches!(invalid, Invalid::Unknown { .. });
            if (is_open(shape, &path) && !is_unknown) || !told.insert(field.clone()) {
                break;
            }
            // The rest is judged with something right in this place; where nothing is right, the field should not be there.
            let mut mended = sample.clone();
            let value = path.iter().rev().find_map(Step::key).and_then(placeholder);
            let is_needless = is_unknown
                || !set(&mut mended, &path, value.map(Value::from))
                || matches!(read(mended.clone()), Err(again) if again.field() == field);
            let invalid = if name.is_empty() { invalid } else { invalid.under(name) };
            self.refuse(place(node, at, &path, is_needless), &invalid);
            if is_needless && !set(&mut sample, &path, None) {
                break;
            }
            if !is_needless {
                sample = mended;
            }
        }
    }

    /// Reports what a constructor refused.
    fn refuse(&mut self, at: &Span, invalid: &Invalid) {
        let told = invalid.to_string();
        let (message, mend) = told.split_once("; ").map_or((&*told, None), |(told, mend)| (told, Some(mend)));
        let near = match invalid {
            Invalid::Unknown { field, known } => {
                let name = field.rsplit('.').next().unwrap_or_default();
                did_you_mean(name, known.iter().copied())
            }
            _ => None,
        };
        help(self.report.error(at, message), near.or_else(|| mend.map(str::to_owned)));
    }
}

impl<'p> Step<'p> {
    fn key(&self) -> Option<&'p str> {
        if let Self::Key(name) = self { Some(name) } else { None }
    }
}

/// The steps of a path; it ends where it names no certain entry (`buttons[].title`).
fn steps(path: &str) -> Vec<Step<'_>> {
    let mut steps = Vec::new();
    for part in path.split('.').filter(|part| !part.is_empty()) {
        let (name, entries) = part.split_once('[').map_or((part, None), |(name, rest)| (name, Some(rest)));
        steps.push(Step::Key(name));
        for entry in entries.into_iter().flat_map(|entries| entries.split('[')) {
            let Ok(number) = entry.trim_end_matches(']').parse() else { return steps };
            steps.push(Step::Entry(number));
        }
    }
    steps
}

/// What a shape may come to.
fn sample(shape: &Shape, name: &str) -> Option<Value> {
    Some(match shape {
        Shape::Fixed(text) => Value::from(text.as_str()),
        Shape::Text(_) | Shape::Value(_) => Value::from(placeholder(name)?),
        Shape::List(items) => items.iter().filter_map(|item| sample(item, name)).collect(),
        Shape::Map(entries) => {
            entries.iter().filter_map(|(name, shape)| Some((name.clone(), sample(shape, name)?))).collect()
        }
    })
}

/// A text that is right wherever a field has this name; none where it is best left out.
fn placeholder(name: &str) -> Option<&'static str> {
    Some(match name {
        "link" | "url" => "https://example.com/",
        "media" => "med_1",
        "id" | "latitude" | "longitude" | "amount_1000" => "1",
        "emoji" => "👍",
        "preview_url" | "voice" => "on",
        "mode" => "published",
        "code" => "EUR",
        "language" => "en",
        // Each is another, and by itself the place in the list.
        "index" => return None,
        _ => "x",
    })
}

/// Whether the value at `path`, or what it is in, is yet to be filled in.
fn is_open(shape: &Shape, path: &[Step<'_>]) -> bool {
    match (shape, path) {
        (Shape::Text(_) | Shape::Value(_), _) => true,
        (Shape::Map(entries), [Step::Key(name), rest @ ..]) => {
            entries.iter().find(|(key, _)| key == name).is_some_and(|(_, shape)| is_open(shape, rest))
        }
        (Shape::List(items), [Step::Entry(place), rest @ ..]) => {
            items.get(*place).is_some_and(|shape| is_open(shape, rest))
        }
        _ => false,
    }
}

/// Puts a value there, or takes it away; false where that cannot be.
fn set(value: &mut Value, path: &[Step<'_>], new: Option<Value>) -> bool {
    match (path, value) {
        ([Step::Key(name)], Value::Object(map)) => match new {
            Some(new) => {
                map.insert((*name).to_owned(), new);
                true
            }
            None => map.remove(*name).is_some(),
        },
        ([Step::Entry(place)], Value::Array(list)) => match (list.get_mut(*place), new) {
            (Some(entry), Some(new)) => {
                *entry = new;
                true
            }
            _ => false,
        },
        ([Step::Key(name), rest @ ..], Value::Object(map)) => {
            map.get_mut(*name).is_some_and(|inner| set(inner, rest, new))
        }
        ([Step::Entry(place), rest @ ..], Value::Array(list)) => {
            list.get_mut(*place).is_some_and(|inner| set(inner, rest, new))
        }
        _ => false,
    }
}

/// Where a path leads in the file, or as far as it does: the value, or its key.
fn place<'n>(node: &'n Node, at: &'n Span, path: &[Step<'_>], to_the_key: bool) -> &'n Span {
    match (path, &node.value) {
        ([Step::Key(name), rest @ ..], Yaml::Map(entries)) => {
            match entries.iter().find(|(key, _)| key.name == *name) {
                Some((key, _)) if rest.is_empty() && to_the_key => &key.at,
                Some((key, inner)) => place(inner, &key.at, rest, to_the_key),
                // Missing.
                None => at,
            }
        }
        ([Step::Entry(number), rest @ ..], Yaml::List(items)) => {
            items.get(*number).map_or(at, |inner| place(inner, beginning(inner), rest, to_the_key))
        }
        _ if node.at.is_empty() => at,
        _ => &node.at,
    }
}

/// Where an entry of a list begins: a map that is written over several lines does so with its first key.
pub(super) fn beginning(node: &Node) -> &Span {
    match &node.value {
        Yaml::Map(entries) if node.at.is_empty() => entries.first().map_or(&node.at, |(key, _)| &key.at),
        _ => &node.at,
    }
}
