//! One level of a JSON object, borrowed: names, and the raw text of their values.
//!
//! A field is looked at only when it is asked for, and what has another type than expected is absent. So one odd field
//! costs itself and never its neighbours, and the raw text stays as Meta sent it. Nested values are skipped without
//! recursion, so depth costs no stack.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

/// A JSON object of Meta's.
#[derive(Debug)]
pub(super) struct Object<'a>(Vec<(Cow<'a, str>, &'a RawValue)>);

impl<'a> Object<'a> {
    /// Reads `text`, which has to be one object.
    pub(super) fn parse(text: &'a str) -> Result<Self, serde_json::Error> {
        serde_json::from_str(text)
    }

    /// Reads `raw`, if it is an object.
    pub(super) fn read(raw: &'a RawValue) -> Option<Self> {
        raw.get().starts_with('{').then(|| Self::parse(raw.get()).ok()).flatten()
    }

    /// All fields, in the order in which they were sent.
    pub(super) fn fields(&self) -> impl Iterator<Item = (&str, &'a RawValue)> {
        self.0.iter().map(|(name, value)| (name.as_ref(), *value))
    }

    /// The field `name`; `null` is absent, and of two the last counts.
    pub(super) fn get(&self, name: &str) -> Option<&'a RawValue> {
        self.0.iter().rfind(|(given, _)| given == name).map(|(_, raw)| *raw).filter(|raw| raw.get() != "null")
    }

    /// The field `name`, if it is an object.
    pub(super) fn object(&self, name: &str) -> Option<Object<'a>> {
        Object::read(self.get(name)?)
    }

    /// The entries of the field `name`; none when it is not a list.
    pub(super) fn list(&self, name: &str) -> Vec<&'a RawValue> {
        self.get(name).and_then(list).unwrap_or_default()
    }

    /// The field `name`, if it is a string, even an empty one.
    pub(super) fn string(&self, name: &str) -> Option<String> {
        self.get(name).and_then(string).map(Cow::into_owned)
    }

    /// The field `name` as text: a string that is not empty, or a number in its own digits. Meta writes some ids and
    /// times one way here and the other way there.
    pub(super) fn text(&self, name: &str) -> Option<String> {
        let raw = self.get(name)?;
        if is_number(raw) {
            return Some(raw.get().to_owned());
        }
        string(raw).map(Cow::into_owned).filter(|text| !text.is_empty())
    }

    /// The field `name` as a whole number, also if it is written as a string.
    pub(super) fn integer(&self, name: &str) -> Option<i64> {
        self.text(name)?.trim().parse().ok()
    }

    /// The field `name` as a finite number, also if it is written as a string.
    pub(super) fn number(&self, name: &str) -> Option<f64> {
        self.text(name)?.trim().parse().ok().filter(|number: &f64| number.is_finite())
    }

    /// Whether the field `name` is `true`.
    pub(super) fn flag(&self, name: &str) -> bool {
        self.get(name).is_some_and(|raw| raw.get() == "true")
    }

    /// The field `name` as a tree, if it is not too deep for one (127 levels, `serde_json`'s limit).
    pub(super) fn tree(&self, name: &str) -> Option<serde_json::Value> {
        serde_json::from_str(self.get(name)?.get()).ok()
    }
}

/// The entries of `raw`, if it is a list.
pub(super) fn list(raw: &RawValue) -> Option<Vec<&RawValue>> {
    raw.get().starts_with('[').then(|| serde_json::from_str(raw.get()).ok()).flatten()
}

/// Whether `raw` is a number.
pub(super) fn is_number(raw: &RawValue) -> bool {
    raw.get().starts_with(|c: char| c == '-' || c.is_ascii_digit())
}

/// What `raw` says, if it is a string.
pub(super) fn string(raw: &RawValue) -> Option<Cow<'_, str>> {
    raw.get().starts_with('"').then(|| serde_json::from_str(raw.get()).ok().map(|Text(text)| text)).flatten()
}

/// A JSON string, read so that no string is unreadable: half of a surrogate pair and `\u0000` (which PostgreSQL cannot
/// keep in a text) become U+FFFD.
struct Text<'a>(Cow<'a, str>);

impl<'de> Deserialize<'de> for Text<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;

        impl<'de> Visitor<'de> for Reader {
            type Value = Text<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string")
            }

            fn visit_borrowed_bytes<E>(self, bytes: &'de [u8]) -> Result<Self::Value, E> {
                Ok(Text(without_nul(String::from_utf8_lossy(bytes))))
            }

            fn visit_bytes<E>(self, bytes: &[u8]) -> Result<Self::Value, E> {
                Ok(Text(without_nul(Cow::Owned(String::from_utf8_lossy(bytes).into_owned()))))
            }
        }

        // As bytes, because as text half a surrogate pair would be an error.
        deserializer.deserialize_bytes(Reader)
    }
}

fn without_nul(text: Cow<'_, str>) -> Cow<'_, str> {
    if text.contains('\0') { Cow::Owned(text.replace('\0', "\u{fffd}")) } else { text }
}

impl<'de> Deserialize<'de> for Object<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;

        impl<'de> Visitor<'de> for Reader {
            type Value = Object<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut fields = Vec::new();
                while let Some(Text(name)) = map.next_key()? {
                    fields.push((name, map.next_value()?));
                }
                Ok(Object(fields))
            }
        }

        deserializer.deserialize_map(Reader)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_of_a_wrong_type_are_absent_and_harm_no_other() {
        let object =
            Object::parse(r#"{"a":[1],"b":"x","c":null,"d":7,"e":"9","f":{"g":true},"h":""}"#).unwrap();
        assert_eq!(object.text("a"), None);
        assert_eq!(object.text("b").as_deref(), Some("x"));
        assert!(object.get("c").is_none() && object.get("z").is_none());
        assert_eq!((object.text("d").as_deref(), object.integer("e")), (Some("7"), Some(9)));
        assert!(object.object("f").unwrap().flag("g"));
        assert_eq!((object.text("h"), object.string("h").as_deref()), (None, Some("")));
        assert_eq!((object.list("a").len(), object.list("b").len()), (1, 0));
    }

    #[test]
    fn escapes_are_decoded_in_names_and_values() {
        let object = Object::parse(r#"{"n\u0061me":"caf\u00e9 a\/b \ud83d\ude00"}"#).unwrap();
        assert_eq!(object.text("name").as_deref(), Some("café a/b 😀"));
    }

    #[test]
    fn half_a_surrogate_pair_and_nul_are_replaced_and_the_rest_is_kept() {
        let object = Object::parse(r#"{"a":"x\ud83dy","b":"x\u0000y"}"#).unwrap();
        let a = object.text("a").unwrap();
        assert!(a.starts_with('x') && a.ends_with('y') && a.contains('\u{fffd}'), "{a}");
        assert_eq!(object.text("b").as_deref(), Some("x\u{fffd}y"));
    }

    #[test]
    fn depth_costs_no_stack() {
        let deep = format!(r#"{{"a":{}{},"b":"x"}}"#, "[".repeat(100_000), "]".repeat(100_000));
        let object = Object::parse(&deep).unwrap();
        assert_eq!(object.text("b").as_deref(), Some("x"));
        assert_eq!(object.tree("a"), None);
        assert_eq!(object.list("a").len(), 1);
    }
}
