//! What is one person's in a payload that may be about several: taken out, and the rest is left as it was.

use serde_json::Value;

use crate::domain::contact::phone_digits;

/// What stands in the place of a payload of which nothing may stay.
pub(crate) const ERASED: &str = r#"{"erased":true}"#;

/// What is left of a payload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Left {
    /// All of it: the person is not in it.
    Untouched,
    /// This, without what was theirs.
    Part {
        /// The payload of the others.
        left: String,
        /// Their entries.
        theirs: Vec<Value>,
    },
    /// Nothing: it was about them.
    Nothing,
}

/// Takes the person with these `ids` out of `payload`: of every list, the innermost entries that name them. What names them
/// outside of any list, or is no JSON, goes as a whole.
pub(crate) fn without(payload: &str, ids: &[String]) -> Left {
    if !ids.iter().any(|id| payload.contains(id.as_str())) {
        return Left::Untouched;
    }
    let Ok(mut whole) = serde_json::from_str::<Value>(payload) else { return Left::Nothing };
    let mut entries = Entries::default();
    match strip(&mut whole, ids, &mut entries) {
        Stripped::Clean if entries.theirs.is_empty() => Left::Untouched,
        // The last entries were theirs: what is left says nothing of anybody else.
        Stripped::Clean if entries.seen == entries.gone => Left::Nothing,
        Stripped::Clean => Left::Part { left: whole.to_string(), theirs: entries.theirs },
        Stripped::Theirs => Left::Nothing,
    }
}

#[derive(PartialEq, Eq)]
enum Stripped {
    Clean,
    /// It names the person, outside of any list in it.
    Theirs,
}

/// The entries of lists.
#[derive(Default)]
struct Entries {
    /// Objects among them.
    seen: usize,
    /// Those of these that went.
    gone: usize,
    /// What went.
    theirs: Vec<Value>,
}

fn strip(value: &mut Value, ids: &[String], entries: &mut Entries) -> Stripped {
    match value {
        Value::Array(list) => {
            let mut theirs = false;
            list.retain_mut(|entry| {
                let is_object = entry.is_object();
                let (whole, seen, gone) = (entry.clone(), entries.seen, entries.gone);
                let inner = entries.theirs.len();
                entries.seen += usize::from(is_object);
                let stripped = strip(entry, ids, entries);
                if stripped == Stripped::Theirs {
                    theirs |= !is_object;
                    // With all that is in it.
                    entries.gone = gone + entries.seen - seen;
                    entries.theirs.truncate(inner);
                    entries.theirs.push(whole);
                }
                stripped == Stripped::Clean
            });
            // A plain list of ids belongs to what it stands in.
            if theirs { Stripped::Theirs } else { Stripped::Clean }
        }
        Value::Object(fields) => {
            let mut stripped = Stripped::Clean;
            for field in fields.values_mut() {
                if strip(field, ids, entries) == Stripped::Theirs {
                    stripped = Stripped::Theirs;
                }
            }
            stripped
        }
        Value::String(text) => named(text, ids),
        Value::Number(number) => named(&number.to_string(), ids),
        Value::Null | Value::Bool(_) => Stripped::Clean,
    }
}

fn named(text: &str, ids: &[String]) -> Stripped {
    let digits = phone_digits(text);
    let is_theirs = ids.iter().any(|id| id == text || Some(id) == digits.as_ref());
    if is_theirs { Stripped::Theirs } else { Stripped::Clean }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn left(payload: &str) -> Left {
        without(payload, &["4915112345001".to_owned(), "DE.7".to_owned()])
    }

    #[test]
    fn only_their_entries_go_out_of_what_is_about_several() {
        let both = r#"{"field":"history","value":{"threads":[{"id":"4915112345001","messages":[{"text":"a"}]},{"id":"4915112345002","messages":[{"text":"b"}]}]}}"#;
        let other =
            r#"{"field":"history","value":{"threads":[{"id":"4915112345002","messages":[{"text":"b"}]}]}}"#;
        let Left::Part { left: part, theirs } = left(both) else { panic!("{:?}", left(both)) };
        let json = |text: &str| serde_json::from_str::<Value>(text).unwrap();
        assert_eq!(json(&part), json(other));
        assert_eq!(theirs, [json(r#"{"id":"4915112345001","messages":[{"text":"a"}]}"#)]);
        assert_eq!(left(other), Left::Untouched);
    }

    #[test]
    fn what_is_about_them_alone_or_cannot_be_read_goes_as_a_whole() {
        for payload in [
            r#"{"field":"x","value":{"contacts":[{"wa_id":"4915112345001"}],"statuses":[{"recipient_id":"4915112345001"}]}}"#,
            r#"{"field":"x","value":{"user":"DE.7"}}"#,
            r#"{"field":"x","value":{"phone":"+49 151 12345001"}, "n": "4915112345001"}"#,
            r#"{"field":"x","value":{"numbers":["4915112345001"]}}"#,
            r#"{"field":"x","n":4915112345001}"#,
            "half a {body: 4915112345001",
        ] {
            assert_eq!(left(payload), Left::Nothing, "{payload}");
        }
    }

    #[test]
    fn a_longer_number_is_another_ones() {
        let payload = r#"{"field":"x","value":{"list":[{"id":"49151123450019"}]}}"#;
        assert_eq!(left(payload), Left::Untouched);
    }
}
