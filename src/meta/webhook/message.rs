//! One entry of `messages[]`: who, when, in answer to what; its content is [`super::content`]'s.

use super::contacts::{self, Contact};
use super::content;
use crate::clock::{Millis, SECOND};
use crate::domain::contact::Identity;
use crate::domain::inbound::{Content, InboundMessage};
use crate::meta::object::Object;

/// From this on a time on the wire is in milliseconds; in seconds it would be the year 33658.
const MILLISECONDS_FROM: i64 = 1_000_000_000_000;
/// From this on it is neither.
const TIME_END: i64 = 1_000_000_000_000_000;

/// Whom the message itself names as its sender.
pub(super) fn told(message: &Object<'_>) -> Identity {
    contacts::identity(message, "from", "from_user_id", "from_parent_user_id")
}

/// What a message says; `None` when it does not say who sent it, or was sent to a group: a private answer to what was
/// said among several people would be a surprise.
pub(super) fn read(
    message: &Object<'_>,
    told: Identity,
    contact: Option<&Contact<'_>>,
) -> Option<InboundMessage> {
    if message.text("group_id").is_some() {
        return None;
    }
    let mut sender = match contact {
        Some(contact) => contact.complete(told),
        None => told,
    };
    let kind = message.text("type").unwrap_or_default();
    let content = match message.object("system") {
        Some(system) if kind == "system" => account_change(&system, &mut sender),
        _ => content::read(&kind, message),
    };
    sender.is_known().then(|| InboundMessage {
        wamid: message.text("id"),
        sent_at: time(message),
        sender,
        reply_to: message.object("context").and_then(|context| context.text("id")),
        content,
    })
}

/// The field `timestamp`: a string or a number, of seconds or of milliseconds.
pub(super) fn time(object: &Object<'_>) -> Option<Millis> {
    moment(object.integer("timestamp")?)
}

/// A moment that is given in seconds or in milliseconds.
pub(super) fn moment(given: i64) -> Option<Millis> {
    match given {
        seconds @ 1..MILLISECONDS_FROM => Some(seconds * SECOND),
        millis @ MILLISECONDS_FROM..TIME_END => Some(millis),
        _ => None,
    }
}

/// A `system` message: the person has another number or id than before. It has no `contacts[]`, and often no `from`;
/// `sender` becomes who the person was, so that their conversation is found.
/// Source: Meta, webhooks reference "system messages"; `customer_changed_number` and `new_wa_id` are the older names.
fn account_change(system: &Object<'_>, sender: &mut Identity) -> Content {
    let mut now = contacts::identity(system, "wa_id", "user_id", "parent_user_id");
    if now.wa_id.is_none() {
        now.wa_id = contacts::phone(system, "new_wa_id");
    }
    let before = contacts::identity(system, "customer", "previous_user_id", "previous_parent_user_id");
    let changed_phone = sender
        .wa_id
        .clone()
        .or_else(|| before.wa_id.clone())
        .filter(|old| now.wa_id.as_ref().is_some_and(|new| new != old));
    let previous = before.user_id.clone().or_else(|| before.parent_user_id.clone()).or(changed_phone);

    sender.wa_id = sender.wa_id.take().or(before.wa_id);
    sender.user_id = before.user_id.or_else(|| sender.user_id.take());
    sender.parent_user_id = before.parent_user_id.or_else(|| sender.parent_user_id.take());
    if !now.is_known() {
        now = sender.clone();
    } else if !sender.is_known() {
        *sender = now.clone();
    }
    let kind = system.text("type").unwrap_or_default();
    Content::System { kind, previous, body: system.text("body"), now }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(json: &str) -> InboundMessage {
        let object = Object::parse(json).unwrap();
        read(&object, told(&object), None).unwrap()
    }

    #[test]
    fn times_are_strings_or_numbers_of_seconds_or_milliseconds() {
        let at = |given: &str| time(&Object::parse(&format!(r#"{{"timestamp":{given}}}"#)).unwrap());
        for given in [r#""1750000000""#, "1750000000", "1750000000000", r#""1750000000000""#] {
            assert_eq!(at(given), Some(1_750_000_000_000), "{given}");
        }
        for wrong in
            ["0", "-5", r#""soon""#, "9223372036854775807", "99999999999999999999", "null", "{}", "1e30"]
        {
            assert_eq!(at(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn an_answer_names_what_it_answers_and_a_forwarded_one_does_not() {
        let answer = message(
            r#"{"from":"491111111","id":"w","type":"text","text":{"body":"x"},"context":{"from":"1","id":"wamid.0"}}"#,
        );
        assert_eq!(answer.reply_to.as_deref(), Some("wamid.0"));
        let forwarded = message(
            r#"{"from":"491111111","id":"w","type":"text","text":{"body":"x"},"context":{"forwarded":true}}"#,
        );
        assert_eq!(forwarded.reply_to, None);
    }

    #[test]
    fn a_changed_number_comes_from_the_old_one() {
        for json in [
            r#"{"from":"491111111","id":"w","type":"system","system":{"type":"user_changed_number","body":"A changed","wa_id":"492222222"}}"#,
            r#"{"from":"491111111","id":"w","type":"system","system":{"type":"customer_changed_number","body":"A changed","new_wa_id":492222222}}"#,
            r#"{"id":"w","type":"system","system":{"type":"customer_changed_number","body":"A changed","customer":"491111111","wa_id":"492222222"}}"#,
        ] {
            let message = message(json);
            assert_eq!(message.sender, Identity::phone("491111111"), "{json}");
            let Content::System { previous, now, body, .. } = message.content else { panic!("{json}") };
            assert_eq!((previous.as_deref(), body.as_deref()), (Some("491111111"), Some("A changed")));
            assert_eq!(now, Identity::phone("492222222"));
        }
    }

    #[test]
    fn a_changed_id_without_a_from_comes_from_the_previous_id() {
        let message = message(
            r#"{"id":"w","timestamp":"1750000000","type":"system","system":{"type":"user_changed_user_id","body":"b",
                "user_id":"DE.2","parent_user_id":"DE.ENT.2","previous_user_id":"DE.1","previous_parent_user_id":"DE.ENT.1"}}"#,
        );
        assert_eq!(
            (message.sender.user_id.as_deref(), message.sender.parent_user_id.as_deref()),
            (Some("DE.1"), Some("DE.ENT.1"))
        );
        let Content::System { kind, previous, now, .. } = message.content else { panic!() };
        assert_eq!((kind.as_str(), previous.as_deref()), ("user_changed_user_id", Some("DE.1")));
        assert_eq!(now.user_id.as_deref(), Some("DE.2"));
    }

    #[test]
    fn a_notice_without_ids_is_about_its_sender() {
        let message = message(
            r#"{"from":"491111111","id":"w","type":"system","system":{"type":"customer_identity_changed","body":"b"},
                "identity":{"acknowledged":true,"created_timestamp":1,"hash":"h"}}"#,
        );
        let Content::System { previous, now, .. } = message.content else { panic!() };
        assert_eq!((previous, now), (None, Identity::phone("491111111")));
    }

    #[test]
    fn a_message_of_nobody_or_to_a_group_is_not_a_message_to_us() {
        for json in [
            r#"{"id":"w","type":"text","text":{"body":"x"}}"#,
            r#"{"from":"491111111","group_id":"g","id":"w","type":"text","text":{"body":"x"}}"#,
        ] {
            let object = Object::parse(json).unwrap();
            assert!(read(&object, told(&object), None).is_none(), "{json}");
        }
    }
}
