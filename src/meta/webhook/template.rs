//! News of templates: the fields `message_template_status_update`, `message_template_quality_update`,
//! `message_template_components_update` and `template_category_update`. They are about the account, not about a number.
//! Source: Meta, webhooks reference of each, 2026.

use serde_json::value::RawValue;

use super::message;
use crate::clock::Millis;
use crate::domain::template::{Category, Change, News, Status, language};
use crate::meta::object::{self, Object};
use crate::meta::template::reason;

/// What `value`, of a change of this `field` that happened at `at`, tells of a template; `None` when the field is another
/// one or it does not say of which template.
pub(super) fn read(field: &str, value: &Object<'_>, at: Option<Millis>) -> Option<News> {
    let change = match field {
        "message_template_status_update" => status(value),
        "message_template_quality_update" => {
            value.text("new_quality_score").map_or(Change::Unclear, Change::Quality)
        }
        // Of a change that is only announced, `new_category` is the present one.
        "template_category_update" => value
            .text("new_category")
            .map_or(Change::Unclear, |category| Change::Category(Category::of(&category))),
        // It tells the text, but not whether the header is a file or which buttons are quick replies.
        "message_template_components_update" => Change::Unclear,
        _ => return None,
    };
    let meta_id = value.text("message_template_id");
    let name = value.text("message_template_name");
    let language = value.text("message_template_language").map(|code| language(&code));
    let is_told = meta_id.is_some() || (name.is_some() && language.is_some());
    is_told.then_some(News { meta_id, name, language, at, change })
}

/// The `time` of an entry.
pub(super) fn time(raw: &RawValue) -> Option<Millis> {
    let digits = object::string(raw).unwrap_or_else(|| raw.get().into());
    message::moment(digits.trim().parse().ok()?)
}

fn status(value: &Object<'_>) -> Change {
    let event = value.text("event").unwrap_or_default();
    let status = match Status::of(&event) {
        Status::Other(event) if event == "REINSTATED" => Status::Approved,
        // UNARCHIVED gives it the status of before; FLAGGED, LOCKED and LIMIT_EXCEEDED take none away.
        Status::Other(_) => return Change::Unclear,
        known => known,
    };
    let detail = value
        .object("rejection_info")
        .and_then(|info| info.text("reason"))
        .or_else(|| value.object("other_info").and_then(|info| info.text("description")));
    let reason = match (reason(value, "reason"), detail) {
        (Some(reason), Some(detail)) => Some(format!("{reason}: {detail}")),
        (reason, detail) => reason.or(detail),
    };
    Change::Status(status, reason)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn news(field: &str, value: &str) -> News {
        read(field, &Object::parse(value).unwrap(), Some(1)).unwrap()
    }

    fn of_status(members: &str) -> Change {
        let value = format!(r#"{{"message_template_id":1689556908129832,{members}}}"#);
        news("message_template_status_update", &value).change
    }

    #[test]
    fn a_status_names_its_template_and_says_why() {
        let rejected = news(
            "message_template_status_update",
            r#"{"event":"REJECTED","message_template_id":1689556908129835,"message_template_name":"abandoned_cart",
                "message_template_language":"en-US","reason":"INVALID_FORMAT","message_template_category":"MARKETING",
                "rejection_info":{"reason":"Variables are side by side.","recommendation":"Separate them."}}"#,
        );
        assert_eq!(rejected.meta_id.as_deref(), Some("1689556908129835"));
        assert_eq!(
            (rejected.name.as_deref(), rejected.language.as_deref()),
            (Some("abandoned_cart"), Some("en_US"))
        );
        let reason = Some("INVALID_FORMAT: Variables are side by side.".to_owned());
        assert_eq!(rejected.change, Change::Status(Status::Rejected, reason));
        let paused = r#""event":"PAUSED","reason":"NONE","other_info":{"title":"FIRST_PAUSE","description":"It is paused."}"#;
        assert_eq!(of_status(paused), Change::Status(Status::Paused, Some("It is paused.".into())));
        assert_eq!(
            of_status(r#""event":"PENDING_DELETION","reason":null"#),
            Change::Status(Status::PendingDeletion, None)
        );
    }

    #[test]
    fn what_does_not_tell_whether_it_may_be_sent_has_to_be_looked_up() {
        assert_eq!(
            of_status(r#""event":"REINSTATED","reason":"NONE""#),
            Change::Status(Status::Approved, None)
        );
        for event in ["UNARCHIVED", "FLAGGED", "LOCKED", "LIMIT_EXCEEDED", "SOMETHING_NEW", ""] {
            assert_eq!(of_status(&format!(r#""event":"{event}""#)), Change::Unclear, "{event}");
        }
    }

    #[test]
    fn an_announced_category_is_not_yet_the_category() {
        let field = "template_category_update";
        let announced = r#"{"message_template_id":1,"correct_category":"MARKETING","new_category":"UTILITY","category_update_timestamp":1760711433}"#;
        assert_eq!(news(field, announced).change, Change::Category(Category::Utility));
        let done = r#"{"message_template_id":1,"previous_category":"UTILITY","new_category":"MARKETING"}"#;
        assert_eq!(news(field, done).change, Change::Category(Category::Marketing));
    }

    #[test]
    fn quality_and_components_are_told_too() {
        let quality =
            r#"{"previous_quality_score":"GREEN","new_quality_score":"RED","message_template_id":"1"}"#;
        let told = news("message_template_quality_update", quality);
        assert_eq!(told.change, Change::Quality("RED".into()));
        let edited = r#"{"message_template_name":"x","message_template_language":"de","message_template_element":"Hi {{1}}"}"#;
        let told = news("message_template_components_update", edited);
        assert_eq!((told.change, told.meta_id), (Change::Unclear, None));
    }

    #[test]
    fn news_of_nothing_in_particular_are_none() {
        let value = Object::parse(r#"{"event":"PAUSED","message_template_name":"x"}"#).unwrap();
        assert_eq!(read("message_template_status_update", &value, None), None);
        let value = Object::parse(r#"{"message_template_id":1}"#).unwrap();
        assert_eq!(read("account_update", &value, None), None);
    }

    #[test]
    fn the_time_of_an_entry_is_read_whatever_its_type() {
        for given in ["1750000000", r#""1750000000""#, "1750000000000"] {
            assert_eq!(time(serde_json::from_str(given).unwrap()), Some(1_750_000_000_000), "{given}");
        }
        for wrong in [r#""soon""#, "1e9", "0"] {
            assert_eq!(time(serde_json::from_str(wrong).unwrap()), None, "{wrong}");
        }
    }
}
