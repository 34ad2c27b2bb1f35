//! The listing for `switchboard config`: every setting with its value, rule, default, source and meaning.
//!
//! It is itself a `switchboard.toml`: what it shows can be saved, changed and read again. What holds a secret, and what
//! is not set, stands in it as a comment.

use std::fmt::Write as _;

use super::number;
use super::outlet;
use super::rule::Shown;
use super::setting::{Group, Setting};
use super::source::Source;
use super::table::{Config, GROUPS};

impl Config {
    /// All settings as text. Holds no secret.
    #[must_use]
    pub fn listing(&self) -> String {
        let mut out = String::new();
        for group in GROUPS {
            heading(&mut out, group);
            for row in group.settings {
                let source = self.sources.of(&group.key(row));
                setting(&mut out, row, (row.show)(self), source);
            }
        }
        for group in number::GROUPS {
            heading(&mut out, group);
            write_line(&mut out, format_args!("# Each stands in a [[numbers]] table with these keys:"));
            for row in group.settings {
                let allowed = (row.about)().allowed;
                write_line(&mut out, format_args!("#   {}:{} Allowed: {allowed}.", row.field, row.doc));
            }
        }
        for entry in &self.numbers {
            out.push_str("\n[[numbers]]\n");
            for row in number::GROUPS.iter().flat_map(|group| group.settings) {
                value(&mut out, row.field, (row.show)(entry));
            }
        }
        for group in outlet::GROUPS {
            heading(&mut out, group);
            write_line(&mut out, format_args!("# Each stands in an [[outlets]] table with these keys:"));
            for row in group.settings {
                let allowed = (row.about)().allowed;
                write_line(&mut out, format_args!("#   {}:{} Allowed: {allowed}.", row.field, row.doc));
            }
        }
        for entry in &self.outlets {
            out.push_str("\n[[outlets]]\n");
            for row in outlet::GROUPS.iter().flat_map(|group| group.settings) {
                value(&mut out, row.field, (row.show)(entry));
            }
        }
        out
    }
}

fn heading<T>(out: &mut String, group: &Group<T>) {
    if !out.is_empty() {
        out.push('\n');
    }
    write_line(out, format_args!("##{}", group.doc));
    if !group.name.is_empty() {
        write_line(out, format_args!("[{}]", group.name));
    }
}

fn setting(out: &mut String, row: &Setting<Config>, shown: Shown, source: &Source) {
    let default = if row.default.is_empty() { "none" } else { row.default };
    let allowed = (row.about)().allowed;
    out.push('\n');
    write_line(out, format_args!("#{}", row.doc));
    write_line(out, format_args!("# Allowed: {allowed}."));
    write_line(out, format_args!("# Default: {default}. Environment: {}. Now from: {source}.", row.env));
    value(out, row.field, shown);
}

fn value(out: &mut String, field: &str, shown: Shown) {
    match shown {
        Shown::NotSet => write_line(out, format_args!("# {field}: not set")),
        Shown::Hidden(what) => write_line(out, format_args!("# {field}: {what}")),
        Shown::Plain(text) => write_line(out, format_args!("{field} = {}", toml_value(&text))),
    }
}

/// A number as a number, all else as a TOML string. Rules let no control characters pass.
fn toml_value(text: &str) -> String {
    let number = text.parse::<i64>().is_ok_and(|number| number.to_string() == text);
    if number { text.to_owned() } else { format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"")) }
}

fn write_line(out: &mut String, line: std::fmt::Arguments<'_>) {
    writeln!(out, "{line}").expect("a String takes whatever is written to it");
}
