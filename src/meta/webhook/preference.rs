//! One entry of `user_preferences[]`: a person told WhatsApp whether they want our marketing messages.
//! Source: Meta, webhooks reference "user preferences", 2026.

use super::{contacts, message};
use crate::clock::Millis;
use crate::domain::contact::Identity;
use crate::meta::object::Object;

/// What Meta calls the only category that there is.
const MARKETING: &str = "marketing_messages";

/// What a person wants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Preference {
    /// The person.
    pub person: Identity,
    /// Whether they want no marketing messages any more.
    pub opted_out: bool,
    /// When they said so, by Meta's clock.
    pub at: Millis,
}

/// What an entry says; `None` when it does not say who, what or when, or is about something else.
pub(super) fn read(entry: &Object<'_>) -> Option<Preference> {
    if entry.text("category").is_some_and(|category| category != MARKETING) {
        return None;
    }
    let opted_out = match entry.text("value")?.as_str() {
        "stop" => true,
        "resume" | "signup" => false,
        _ => return None,
    };
    let person = contacts::identity(entry, "wa_id", "user_id", "parent_user_id");
    person.is_known().then_some(Preference { person, opted_out, at: message::time(entry)? })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn preference(json: &str) -> Option<Preference> {
        read(&Object::parse(json).unwrap())
    }

    #[test]
    fn stop_and_resume_are_read_and_what_is_incomplete_is_not() {
        let stop = preference(
            r#"{"wa_id":"491111111","detail":"User requested to stop marketing messages",
                "category":"marketing_messages","value":"stop","timestamp":1750000000}"#,
        );
        let person = Identity::phone("491111111");
        assert_eq!(stop, Some(Preference { person, opted_out: true, at: 1_750_000_000_000 }));
        let resume =
            r#"{"user_id":"US.1","category":"marketing_messages","value":"resume","timestamp":1750000000}"#;
        assert!(preference(resume).is_some_and(|preference| !preference.opted_out));
        for odd in [
            r#"{"wa_id":"491111111","category":"marketing_messages","value":"perhaps","timestamp":1750000000}"#,
            r#"{"wa_id":"491111111","category":"other","value":"stop","timestamp":1750000000}"#,
            r#"{"category":"marketing_messages","value":"stop","timestamp":1750000000}"#,
            r#"{"wa_id":"491111111","category":"marketing_messages","value":"stop"}"#,
        ] {
            assert_eq!(preference(odd), None, "{odd}");
        }
    }
}
