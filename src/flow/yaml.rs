//! YAML as a tree that knows where everything stands, so that every mistake in a file can be told at once.
//!
//! The one place that names the YAML library. Scalars keep the spelling of the file (`007` stays `007`, `no` is a word).

use std::fmt;
use std::ops::Range;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_saphyr::options::DuplicateKeyPolicy;
use serde_saphyr::{Location, SnippetMode, Spanned, UserMessageFormatter};

use super::problem::Report;

/// Bytes of a flow file.
pub(super) const SOURCE_BYTES_MAX: usize = 1 << 20;

/// Bytes of the source.
pub(super) type Span = Range<usize>;

#[derive(Debug)]
pub(super) struct Node {
    pub(super) value: Yaml,
    pub(super) at: Span,
}

#[derive(Debug)]
pub(super) enum Yaml {
    Nothing,
    Scalar(String),
    List(Vec<Node>),
    Map(Vec<(Key, Node)>),
}

#[derive(Debug)]
pub(super) struct Key {
    pub(super) name: String,
    pub(super) at: Span,
}

impl Node {
    /// What it is, for people.
    pub(super) fn kind(&self) -> &'static str {
        match self.value {
            Yaml::Nothing => "nothing",
            Yaml::Scalar(_) => "a text",
            Yaml::List(_) => "a list",
            Yaml::Map(_) => "a map",
        }
    }

    /// Where `part` of the decoded text of this scalar stands in the source. Escapes and indentation make the two differ,
    /// so it is found as the same occurrence of the same words.
    pub(super) fn part(&self, source: &str, text: &str, part: Span) -> Span {
        let found = (|| {
            let fragment = text.get(part.clone())?.lines().next().filter(|line| !line.trim().is_empty())?;
            let before = text.get(..part.start)?.matches(fragment).count();
            let (offset, _) = source.get(self.at.clone())?.match_indices(fragment).nth(before)?;
            Some(self.at.start + offset..self.at.start + offset + fragment.len())
        })();
        found.unwrap_or_else(|| self.at.clone())
    }
}

/// Reads the tree; a file that is not YAML is reported and gives `None`.
pub(super) fn read(report: &mut Report<'_>) -> Option<Node> {
    let source = report.source();
    if source.len() > SOURCE_BYTES_MAX {
        report.error(&(0..0), format!("the file has {} bytes, {SOURCE_BYTES_MAX} are allowed", source.len()));
        return None;
    }
    let options = serde_saphyr::options! {
        duplicate_keys: DuplicateKeyPolicy::PassThrough,
        strict_booleans: true,
        with_snippet: false,
    };
    match serde_saphyr::from_str_with_options::<Spanned<Raw>>(source, options) {
        Ok(raw) => Some(node(source, raw)),
        Err(error) => {
            let formatter = UserMessageFormatter;
            let plain = serde_saphyr::render_options! { formatter: &formatter, snippets: SnippetMode::Off };
            let told = error.render_with_options(plain);
            let message = told.rsplit_once(" at line ").map_or(told.as_str(), |(message, _)| message);
            let at = error.location().map_or(0..0, |location| span(source, &location));
            report
                .error(&at, format!("this is not YAML: {message}"))
                .help("put texts that hold `: `, ` #`, `{` or that begin with `*`, `&`, `@`, `!` in quotes or under `|`");
            None
        }
    }
}

fn node(source: &str, raw: Spanned<Raw>) -> Node {
    let at = span(source, &raw.defined);
    let value = match raw.value {
        Raw::Nothing => Yaml::Nothing,
        Raw::Plain => Yaml::Scalar(source.get(at.clone()).unwrap_or_default().to_owned()),
        Raw::Text(text) => Yaml::Scalar(text),
        Raw::List(items) => Yaml::List(items.into_iter().map(|item| node(source, item)).collect()),
        Raw::Map(entries) => Yaml::Map(
            entries
                .into_iter()
                .map(|(key, value)| {
                    (Key { name: key.value, at: span(source, &key.defined) }, node(source, value))
                })
                .collect(),
        ),
    };
    Node { value, at }
}

/// Errors of the parser come with character offsets only, everything else with bytes.
fn span(source: &str, location: &Location) -> Span {
    let span = location.span();
    let whole = |number: u64| usize::try_from(number).unwrap_or(usize::MAX);
    if let (Some(start), Some(length)) = (span.byte_offset(), span.byte_len()) {
        return whole(start)..whole(start.saturating_add(length));
    }
    let byte_at = |chars: u64| source.char_indices().nth(whole(chars)).map_or(source.len(), |(byte, _)| byte);
    byte_at(span.offset())..byte_at(span.offset().saturating_add(span.len()))
}

enum Raw {
    Nothing,
    /// A boolean or number: its spelling is taken from the source.
    Plain,
    Text(String),
    List(Vec<Spanned<Raw>>),
    Map(Vec<(Spanned<String>, Spanned<Raw>)>),
}

impl<'de> Deserialize<'de> for Raw {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(RawVisitor)
    }
}

struct RawVisitor;

impl<'de> Visitor<'de> for RawVisitor {
    type Value = Raw;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text, a list or a map")
    }

    fn visit_bool<E>(self, _: bool) -> Result<Raw, E> {
        Ok(Raw::Plain)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Raw, E> {
        Ok(Raw::Plain)
    }

    fn visit_i128<E>(self, _: i128) -> Result<Raw, E> {
        Ok(Raw::Plain)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Raw, E> {
        Ok(Raw::Plain)
    }

    fn visit_u128<E>(self, _: u128) -> Result<Raw, E> {
        Ok(Raw::Plain)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Raw, E> {
        Ok(Raw::Plain)
    }

    fn visit_str<E>(self, text: &str) -> Result<Raw, E> {
        Ok(Raw::Text(text.to_owned()))
    }

    fn visit_unit<E>(self) -> Result<Raw, E> {
        Ok(Raw::Nothing)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Raw, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element()? {
            list.push(item);
        }
        Ok(Raw::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Raw, A::Error> {
        let mut map = Vec::new();
        while let Some(entry) = entries.next_entry()? {
            map.push(entry);
        }
        Ok(Raw::Map(map))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(source: &str) -> Node {
        let mut report = Report::new(source);
        let node = read(&mut report);
        node.unwrap_or_else(|| panic!("{}", report.into_problems("t.yaml")))
    }

    #[test]
    fn scalars_keep_their_spelling_and_know_their_place() {
        let source = "a: [007, no, 1.50, true, ~]\n0: 'é'\n";
        let Yaml::Map(entries) = tree(source).value else { panic!() };
        let Yaml::List(items) = &entries[0].1.value else { panic!() };
        let spelt: Vec<_> = items
            .iter()
            .map(|item| if let Yaml::Scalar(text) = &item.value { text.as_str() } else { "-" })
            .collect();
        assert_eq!(spelt, ["007", "no", "1.50", "true", "-"]);
        assert_eq!((entries[1].0.name.as_str(), &source[entries[1].1.at.clone()]), ("0", "'é'"));
    }

    #[test]
    fn a_part_of_a_block_text_is_found_in_the_file() {
        let source = "text: |\n    one ${ x }\n    two ${ x }\n";
        let Yaml::Map(entries) = tree(source).value else { panic!() };
        let Yaml::Scalar(text) = &entries[0].1.value else { panic!() };
        let second = text.rfind("${ x }").unwrap();
        let at = entries[0].1.part(source, text, second..second + 6);
        assert_eq!((at.start, &source[at]), (source.rfind("${ x }").unwrap(), "${ x }"));
    }

    #[test]
    fn what_is_not_yaml_is_told_with_its_place() {
        let mut report = Report::new("ü: 1\na: *bold* x\n");
        assert!(read(&mut report).is_none());
        let problems = report.into_problems("t.yaml");
        let problem = problems.iter().next().unwrap();
        assert_eq!((problem.line, problem.column), (2, 4), "{problems}");
        assert!(
            problem.message.starts_with("this is not YAML: reference to unknown value"),
            "{}",
            problem.message
        );
    }
}
