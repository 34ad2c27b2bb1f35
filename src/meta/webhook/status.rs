//! One entry of `statuses[]`. Source: Meta, webhooks reference "status messages", 2026.

use crate::domain::delivery::{Status, StatusUpdate};
use crate::meta::failure;
use crate::meta::object::Object;

/// The fields that tell the participants of a group apart.
const PARTICIPANT: [&str; 3] =
    ["recipient_participant_id", "recipient_participant_user_id", "recipient_participant_parent_user_id"];

/// What a status says; `None` when it does not say of which message.
pub(super) fn read(status: &Object<'_>) -> Option<StatusUpdate> {
    Some(StatusUpdate {
        wamid: status.text("id")?,
        status: status.text("status").and_then(|name| known(&name)),
        at: super::message::time(status),
        callback: status.text("biz_opaque_callback_data"),
        error: status
            .list("errors")
            .first()
            .and_then(|raw| Object::read(raw))
            .map(|error| failure::read(&error)),
        pricing: status.get("pricing").map(|raw| raw.get().to_owned()),
    })
}

/// The participants of a group that it is about, in a fixed order.
pub(super) fn participants(status: &Object<'_>) -> Vec<String> {
    PARTICIPANT.iter().filter_map(|name| status.text(name)).collect()
}

/// Meta's words only: a status of our own (`queued`) on the wire would be a mistake of somebody's.
fn known(name: &str) -> Option<Status> {
    match name {
        "sent" => Some(Status::Sent),
        "delivered" => Some(Status::Delivered),
        "read" => Some(Status::Read),
        "played" => Some(Status::Played),
        "failed" => Some(Status::Failed),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn update(json: &str) -> StatusUpdate {
        read(&Object::parse(json).unwrap()).unwrap()
    }

    #[test]
    fn a_sent_brings_our_id_and_the_price() {
        let sent = update(
            r#"{"id":"wamid.1","status":"sent","timestamp":"1750000000","recipient_id":"491111111",
                "biz_opaque_callback_data":"msg_7","pricing":{"billable": true,"category":"utility"},
                "conversation":{"id":"c","expiration_timestamp":1750000000,"origin":{"type":"utility"}}}"#,
        );
        assert_eq!((sent.status, sent.at), (Some(Status::Sent), Some(1_750_000_000_000)));
        assert_eq!(sent.callback.as_deref(), Some("msg_7"));
        assert_eq!(sent.pricing.as_deref(), Some(r#"{"billable": true,"category":"utility"}"#));
        assert_eq!(sent.error, None);
    }

    #[test]
    fn a_failure_has_metas_words() {
        let failed = update(
            r#"{"id":"wamid.1","status":"failed","timestamp":1750000000,"errors":[{"code":131047,
                "title":"Re-engagement message","message":"Re-engagement message",
                "error_data":{"details":"More than 24 hours have passed"},"href":"https:\/\/x"}]}"#,
        );
        let error = failed.error.unwrap();
        assert_eq!((failed.status, error.code), (Some(Status::Failed), 131_047));
        assert_eq!(error.title, "Re-engagement message");
        assert_eq!(error.details.as_deref(), Some("More than 24 hours have passed"));
    }

    #[test]
    fn all_of_metas_words_are_known_and_ours_are_not() {
        for (word, status) in [
            ("sent", Some(Status::Sent)),
            ("delivered", Some(Status::Delivered)),
            ("read", Some(Status::Read)),
            ("played", Some(Status::Played)),
            ("failed", Some(Status::Failed)),
            ("deleted", None),
            ("queued", None),
            ("READ", None),
        ] {
            assert_eq!(update(&format!(r#"{{"id":"w","status":"{word}"}}"#)).status, status, "{word}");
        }
    }

    #[test]
    fn odd_parts_are_left_out_and_the_rest_is_read() {
        let odd = update(r#"{"id":"w","status":["sent"],"timestamp":{},"errors":"none","pricing":null}"#);
        assert_eq!(odd.wamid, "w");
        assert_eq!((odd.status, odd.at, odd.error, odd.pricing), (None, None, None, None));
        assert!(read(&Object::parse(r#"{"status":"sent"}"#).unwrap()).is_none());
    }
}
