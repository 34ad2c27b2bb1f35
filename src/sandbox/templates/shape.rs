//! What a template looks like once its definition is read: texts with places to fill, a header, buttons.

use std::collections::HashMap;

/// What a template is for, which decides what it costs (Meta, "Template categorization").
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::sandbox) enum Category {
    Authentication,
    Marketing,
    Utility,
}

impl Category {
    /// Meta's words.
    pub(in crate::sandbox) const WORDS: &[&str] = &["AUTHENTICATION", "MARKETING", "UTILITY"];

    pub(in crate::sandbox) fn word(self) -> &'static str {
        match self {
            Self::Authentication => "AUTHENTICATION",
            Self::Marketing => "MARKETING",
            Self::Utility => "UTILITY",
        }
    }

    pub(in crate::sandbox) fn read(word: &str) -> Option<Self> {
        [Self::Authentication, Self::Marketing, Self::Utility].into_iter().find(|one| one.word() == word)
    }
}

/// A text with places such as `{{1}}` or `{{name}}`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::sandbox) struct Text {
    pub(super) text: String,
    /// The names of the places in their order, each once.
    pub(super) places: Vec<String>,
}

impl Text {
    pub(super) fn new(text: &str) -> Self {
        let mut places: Vec<String> = Vec::new();
        for piece in pieces(text) {
            if let Piece::Place(name) = piece
                && !places.iter().any(|known| known == name)
            {
                places.push(name.to_owned());
            }
        }
        Self { text: text.to_owned(), places }
    }

    /// The text with its places filled; a place without a value stays as it is.
    pub(super) fn filled(&self, values: &HashMap<String, String>) -> String {
        let mut filled = String::with_capacity(self.text.len());
        for piece in pieces(&self.text) {
            match piece {
                Piece::Plain(text) => filled.push_str(text),
                Piece::Place(name) => match values.get(name) {
                    Some(value) => filled.push_str(value),
                    None => filled.push_str(&format!("{{{{{name}}}}}")),
                },
            }
        }
        filled
    }

    /// Whether it begins or ends with a place.
    pub(super) fn has_bare_end(&self) -> bool {
        let trimmed = pieces(self.text.trim());
        let is_place = |piece: Option<&Piece<'_>>| matches!(piece, Some(Piece::Place(_)));
        is_place(trimmed.first()) || is_place(trimmed.last())
    }
}

enum Piece<'a> {
    Plain(&'a str),
    Place(&'a str),
}

/// Cuts a text at its places. Braces that do not close, or hold nothing, are plain text.
fn pieces(text: &str) -> Vec<Piece<'_>> {
    let mut pieces = Vec::new();
    let mut rest = text;
    while let Some(start) = rest.find("{{")
        && let Some(length) = rest[start + 2..].find("}}")
    {
        let name = rest[start + 2..start + 2 + length].trim();
        let end = start + length + 4;
        if name.is_empty() || name.contains(['{', '}']) {
            pieces.push(Piece::Plain(&rest[..end]));
        } else {
            if start > 0 {
                pieces.push(Piece::Plain(&rest[..start]));
            }
            pieces.push(Piece::Place(name));
        }
        rest = &rest[end..];
    }
    if !rest.is_empty() {
        pieces.push(Piece::Plain(rest));
    }
    pieces
}

/// What stands above the body.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::sandbox) enum Header {
    #[default]
    None,
    Text(Text),
    /// `image`, `video` or `document`: given with every send.
    File(&'static str),
    Location,
}

/// What a button does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::sandbox) enum Action {
    QuickReply,
    /// Opens an address, which may have one place at its end.
    Url(Text),
    /// Copies the coupon code of the send.
    CopyCode,
    /// Copies the one-time password of the send.
    Otp,
    /// Opens a form of Meta's.
    Flow,
    /// Calls, or anything else that a send cannot change.
    Fixed,
}

/// One button.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::sandbox) struct Button {
    pub(super) label: String,
    pub(super) action: Action,
}

/// Everything of a template that a send is checked against.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::sandbox) struct Shape {
    /// Whether its places have names instead of numbers.
    pub(super) named: bool,
    pub(super) header: Header,
    pub(super) body: Text,
    pub(super) footer: Option<String>,
    pub(super) buttons: Vec<Button>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_found_once_each_and_filled() {
        let text = Text::new("Hi {{1}}, {{ 2 }} and {{1}} {{}} {{open");
        assert_eq!(text.places, ["1", "2"]);
        let values =
            HashMap::from([("1".to_owned(), "Ada".to_owned()), ("2".to_owned(), "{{1}}".to_owned())]);
        assert_eq!(text.filled(&values), "Hi Ada, {{1}} and Ada {{}} {{open");
        assert_eq!(Text::new("{{1}} and {{2}}!").filled(&HashMap::new()), "{{1}} and {{2}}!");
    }

    #[test]
    fn a_place_at_either_end_is_seen() {
        for (text, bare) in [("{{1}} hi", true), ("hi {{name}} ", true), ("hi {{1}}!", false), ("hi", false)]
        {
            assert_eq!(Text::new(text).has_bare_end(), bare, "{text}");
        }
    }
}
