//! `switchboard.toml` as text by key, with the line of each. What a value means is for its rule to say.

use std::collections::BTreeMap;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::nearest::nearest;
use super::problem::Problem;
use super::source::Source;
use super::table::GROUPS;

/// The array of tables in which several numbers stand.
const NUMBERS: &str = "numbers";
/// That of the systems that are told what happens.
const OUTLETS: &str = "outlets";

/// A value as it was written.
pub(super) struct Given {
    /// The value as text.
    pub(super) text: String,
    /// Where it stands.
    pub(super) source: Source,
}

/// An entry of `[[numbers]]` or `[[outlets]]`.
pub(super) struct Table {
    /// Where it begins.
    pub(super) place: String,
    /// Its values by key.
    pub(super) values: BTreeMap<String, Given>,
}

/// What a file says.
#[derive(Default)]
pub(super) struct File {
    /// Values of known settings, by dotted key.
    pub(super) values: BTreeMap<String, Given>,
    /// Entries of `[[numbers]]`.
    pub(super) numbers: Vec<Table>,
    /// Entries of `[[outlets]]`.
    pub(super) outlets: Vec<Table>,
}

/// Reads the file called `name`. What cannot be used goes to `problems`; a file that is not TOML says nothing.
pub(super) fn read(name: &str, text: &str, problems: &mut Vec<Problem>) -> File {
    let mut reader = Reader { name, text, file: File::default(), problems };
    let (table, errors) = DeTable::parse_recoverable(text);
    for error in &errors {
        let place = reader.place(error.span().map_or(0, |span| span.start));
        // The message only: the whole error quotes the line, which may hold a secret.
        reader.problems.push(Problem::Syntax { place, reason: error.message().to_owned() });
    }
    if errors.is_empty() {
        reader.top(table.get_ref());
    }
    reader.file
}

struct Reader<'a> {
    name: &'a str,
    text: &'a str,
    file: File,
    problems: &'a mut Vec<Problem>,
}

impl Reader<'_> {
    fn top(&mut self, table: &DeTable<'_>) {
        for (key, value) in table {
            let name = key.get_ref().as_ref();
            match value.get_ref() {
                DeValue::Array(entries) if name == NUMBERS => {
                    self.file.numbers =
                        entries.iter().filter_map(|entry| self.entry(NUMBERS, entry)).collect();
                }
                DeValue::Array(entries) if name == OUTLETS => {
                    self.file.outlets =
                        entries.iter().filter_map(|entry| self.entry(OUTLETS, entry)).collect();
                }
                _ if name == NUMBERS => self.shape(name, key.span().start, "written as [[numbers]]"),
                _ if name == OUTLETS => self.shape(name, key.span().start, "written as [[outlets]]"),
                DeValue::Table(group) if GROUPS.iter().any(|known| known.name == name) => {
                    for (field, value) in group {
                        let key = format!("{name}.{}", field.get_ref());
                        self.setting(key, field.span().start, value.get_ref());
                    }
                }
                _ if GROUPS.iter().any(|known| known.name == name) => {
                    self.shape(name, key.span().start, "a table");
                }
                value => self.setting(name.to_owned(), key.span().start, value),
            }
        }
    }

    fn setting(&mut self, key: String, at: usize, value: &DeValue<'_>) {
        let known = GROUPS.iter().any(|group| group.settings.iter().any(|row| group.key(row) == key));
        if !known {
            let suggestion = meant(&key);
            self.problems.push(Problem::UnknownKey { key, place: self.place(at), suggestion });
        } else if let Some(text) = plain_text(value) {
            let source = self.source(at);
            self.file.values.insert(key, Given { text, source });
        } else {
            self.shape(&key, at, "a single value");
        }
    }

    fn entry(&mut self, of: &str, entry: &Spanned<DeValue<'_>>) -> Option<Table> {
        let at = entry.span().start;
        let DeValue::Table(table) = entry.get_ref() else {
            self.shape(of, at, "written as a table, in double brackets");
            return None;
        };
        let mut entry = Table { place: self.place(at), values: BTreeMap::new() };
        for (key, value) in table {
            let at = key.span().start;
            let field = key.get_ref().to_string();
            match plain_text(value.get_ref()) {
                Some(text) => {
                    entry.values.insert(field, Given { text, source: self.source(at) });
                }
                None => self.shape(&format!("{of}.{field}"), at, "a single value"),
            }
        }
        Some(entry)
    }

    fn shape(&mut self, key: &str, at: usize, wanted: &'static str) {
        let place = self.place(at);
        self.problems.push(Problem::Shape { key: key.to_owned(), place, wanted });
    }

    fn source(&self, at: usize) -> Source {
        let line = 1 + self.text.bytes().take(at).filter(|byte| *byte == b'\n').count();
        Source::File { name: self.name.to_owned(), line }
    }

    fn place(&self, at: usize) -> String {
        self.source(at).to_string()
    }
}

/// The key or table that an unknown `key` was probably meant to be; its environment variable is understood too.
fn meant(key: &str) -> Option<String> {
    let rows =
        || GROUPS.iter().flat_map(|group| group.settings.iter().map(move |row| (group.key(row), row.env)));
    if let Some((key, _)) = rows().find(|(_, env)| env.eq_ignore_ascii_case(key)) {
        return Some(key);
    }
    let tables =
        GROUPS.iter().map(|group| group.name).filter(|name| !name.is_empty()).chain([NUMBERS, OUTLETS]);
    let names: Vec<String> = rows().map(|(key, _)| key).chain(tables.map(str::to_owned)).collect();
    nearest(key, names.iter().map(String::as_str)).map(str::to_owned)
}

/// A single value as one would write it into the environment.
fn plain_text(value: &DeValue<'_>) -> Option<String> {
    match value {
        DeValue::String(text) => Some(text.trim().to_owned()),
        DeValue::Integer(number) => Some(number.to_string()),
        DeValue::Float(number) => Some(number.to_string()),
        DeValue::Boolean(on) => Some(if *on { "on" } else { "off" }.to_owned()),
        DeValue::Datetime(time) => Some(time.to_string()),
        DeValue::Array(_) | DeValue::Table(_) => None,
    }
}
