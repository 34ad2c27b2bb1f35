//! Whole bodies: batches of good and bad, what Meta's bytes really look like, and the way back from a payload.

use std::collections::HashSet;

use serde_json::json;

use super::*;
use crate::domain::contact::Identity;
use crate::domain::delivery::Status;
use crate::domain::inbound::Content;
use crate::domain::template::{self, Change};

const METADATA: &str = r#"{"display_phone_number":"15550783881","phone_number_id":"106"}"#;
const MESSAGE: &str =
    r#"{"from":"491111111","id":"wamid.A","timestamp":"1750000000","type":"text","text":{"body":"Hi"}}"#;

/// A body with one change of the field `messages`, whose value has these members beside the metadata.
fn envelope(members: &str) -> String {
    format!(
        r#"{{"object":"whatsapp_business_account","entry":[{{"id":"waba","changes":[{{"field":"messages","value":{{"messaging_product":"whatsapp","metadata":{METADATA},{members}}}}}]}}]}}"#
    )
}

/// The items of `body`, each of which has to come back from its payload unchanged, key by key.
fn items(body: &str) -> Vec<Item> {
    let items = parse(body.as_bytes()).unwrap();
    assert!(!items.is_empty(), "{body}");
    for item in &items {
        assert_eq!(parse_payload(&item.payload).as_ref(), Some(item), "{}", item.payload);
        assert!(serde_json::from_str::<serde::de::IgnoredAny>(&item.payload).is_ok(), "{}", item.payload);
    }
    items
}

fn kinds(items: &[Item]) -> Vec<String> {
    let kind = |item: &Item| match &item.body {
        Body::Message(message) => message.content.kind().to_owned(),
        Body::Status(update) => format!("status {:?}", update.status),
        Body::Preference(preference) => format!("preference {}", preference.opted_out),
        Body::Template { field, .. } => format!("template {field}"),
        Body::Other { field } => format!("other {field}"),
    };
    items.iter().map(kind).collect()
}

#[test]
fn a_message_comes_with_its_number_account_and_sender() {
    let body = envelope(&format!(
        r#""contacts":[{{"profile":{{"name":"Ann"}},"wa_id":"491111111","user_id":"DE.1"}}],"messages":[{MESSAGE}]"#
    ));
    let items = items(&body);
    assert_eq!(items.len(), 1);
    assert_eq!(items[0].dedupe_key, DedupeKey::of("m:106:wamid.A"));
    assert_eq!(
        (items[0].phone_number_id.as_deref(), items[0].business_account_id.as_deref()),
        (Some("106"), Some("waba"))
    );
    let Body::Message(message) = &items[0].body else { panic!() };
    assert_eq!((message.wamid.as_deref(), message.sent_at), (Some("wamid.A"), Some(1_750_000_000_000)));
    assert_eq!(
        (message.sender.name.as_deref(), message.sender.user_id.as_deref()),
        (Some("Ann"), Some("DE.1"))
    );
    assert_eq!(message.content, Content::Text { body: "Hi".into() });
}

#[test]
fn the_payload_holds_this_item_only_and_verbatim() {
    let odd = r#"{ "from" : "491111111",  "id":"wamid.B","type":"image","image":{"id":"1","mime_type":"image\/jpeg","caption":"caf\u00e9"} }"#;
    let body = envelope(&format!(
        r#""contacts":[{{"wa_id":"492222222"}},{{"wa_id":"491111111"}}],"messages":[{MESSAGE},{odd}]"#
    ));
    let items = items(&body);
    assert!(items[1].payload.contains(odd) && !items[1].payload.contains("wamid.A"), "{}", items[1].payload);
    let payload: serde_json::Value = serde_json::from_str(&items[1].payload).unwrap();
    assert_eq!((&payload["id"], &payload["field"]), (&json!("waba"), &json!("messages")));
    assert_eq!(payload["value"]["contacts"], json!([{"wa_id": "491111111"}]));
    let Body::Message(message) = &items[1].body else { panic!() };
    assert_eq!(message.content.text(), Some("café"));
}

#[test]
fn bad_items_are_kept_raw_and_harm_no_neighbour() {
    let bad = [
        "5",
        "null",
        r#""text""#,
        "[]",
        "{}",
        r#"{"id":"wamid.X","type":"text","text":{"body":"from nobody"}}"#,
        r#"{"from":["491111111"],"id":"wamid.Y","type":"text"}"#,
    ];
    let all = format!("{MESSAGE},{},{}", bad.join(","), MESSAGE.replace("wamid.A", "wamid.B"));
    let items = items(&envelope(&format!(r#""contacts":"none","messages":[{all}]"#)));
    let mut expected = vec!["text"];
    expected.extend(["other messages"; 7]);
    expected.extend(["text", "other messages"]);
    assert_eq!(kinds(&items), expected);
    for (item, raw) in items[1..8].iter().zip(bad) {
        assert!(item.payload.contains(&format!(r#""messages":[{raw}]"#)), "{}", item.payload);
    }
    assert!(items[9].payload.contains(r#""contacts":"none""#), "{}", items[9].payload);
    let keys: HashSet<DedupeKey> = items.iter().map(|item| item.dedupe_key).collect();
    assert_eq!(keys.len(), items.len());
}

#[test]
fn every_change_of_every_entry_keeps_its_own_number_and_account() {
    let change = |number: &str, wamid: &str| {
        format!(
            r#"{{"value":{{"metadata":{{"phone_number_id":{number}}},"messages":[{}]}},"field":"messages"}}"#,
            MESSAGE.replace("wamid.A", wamid)
        )
    };
    let body = format!(
        r#"{{"entry":[{{"id":"a","changes":[{},{}]}},7,{{"id":8,"changes":[{},{{"field":7}},"x"]}},{{"id":"c"}}]}}"#,
        change(r#""1""#, "w1"),
        change("2", "w2"),
        change("null", "w3"),
    );
    let items = items(&body);
    let seen: Vec<_> = items
        .iter()
        .map(|item| (item.business_account_id.as_deref(), item.phone_number_id.as_deref(), item.dedupe_key))
        .collect();
    assert_eq!(seen[0], (Some("a"), Some("1"), DedupeKey::of("m:1:w1")));
    assert_eq!(seen[1], (Some("a"), Some("2"), DedupeKey::of("m:2:w2")));
    assert_eq!(seen[3], (Some("8"), None, DedupeKey::of("m::w3")));
    let others = ["text", "text", "other unknown", "text", "other unknown", "other unknown", "other unknown"];
    assert_eq!(kinds(&items), others);
    assert!(items[6].payload.contains(r#"{"id":"c"}"#), "{}", items[6].payload);
}

#[test]
fn messages_statuses_errors_and_news_in_one_value_are_items_of_their_own() {
    let items = items(&envelope(&format!(
        r#""statuses":[{{"id":"wamid.S","status":"read","timestamp":"1750000000"}},{{"status":"read"}},{{"id":"wamid.S","status":"vanished"}}],
            "messages":[{MESSAGE}],"errors":[{{"code":131000,"title":"Unsupported webhook payload"}}],"news":[{{"a":1}}]"#
    )));
    assert_eq!(
        kinds(&items),
        ["status Some(Read)", "other statuses", "status None", "text", "other errors", "other messages"]
    );
    assert_eq!(items[0].dedupe_key, DedupeKey::of("s:106:wamid.S:read"));
    assert_eq!(items[2].dedupe_key, DedupeKey::of("s:106:wamid.S:vanished"));
    assert!(items[5].payload.contains(r#""news":[{"a":1}]"#), "{}", items[5].payload);
    assert!(items.iter().all(|item| item.phone_number_id.as_deref() == Some("106")));
}

#[test]
fn a_broken_interactive_message_and_its_error_are_both_kept() {
    let items = items(&envelope(
        r#""messages":[{"from":"491111111","id":"w","type":"interactive"}],"errors":[{"code":131000}]"#,
    ));
    assert_eq!(kinds(&items), ["unknown", "other errors"]);
}

#[test]
fn participants_of_a_group_have_statuses_of_their_own() {
    let status = |who: &str| {
        format!(
            r#"{{"id":"w","status":"read","recipient_type":"group","recipient_id":"g","recipient_participant_id":"{who}"}}"#
        )
    };
    let items = items(&envelope(&format!(r#""statuses":[{},{}]"#, status("491"), status("492"))));
    assert_eq!(items[0].dedupe_key, DedupeKey::of("s:106:w:read:491"));
    assert_eq!(items[1].dedupe_key, DedupeKey::of("s:106:w:read:492"));
}

#[test]
fn a_message_to_a_group_is_kept_with_its_sender_and_not_answered() {
    let items = items(&envelope(
        r#""contacts":[{"wa_id":"491111111"}],"messages":[{"from":"491111111","group_id":"g","id":"w","type":"text","text":{"body":"x"}}]"#,
    ));
    assert_eq!(kinds(&items), ["other messages"]);
    assert!(items[0].payload.contains(r#""contacts":[{"wa_id":"491111111"}]"#));
}

#[test]
fn a_person_without_a_phone_is_found_by_their_id() {
    let items = items(&envelope(
        r#""contacts":[{"profile":{"name":"Sheena","username":"sheena"},"user_id":"US.1","parent_user_id":"US.ENT.1"}],
           "messages":[{"from_user_id":"US.1","from_parent_user_id":"US.ENT.1","id":"w","timestamp":"1750000000","type":"text","text":{"body":"x"}}]"#,
    ));
    let Body::Message(message) = &items[0].body else { panic!() };
    assert_eq!(
        message.sender,
        Identity {
            wa_id: None,
            user_id: Some("US.1".into()),
            parent_user_id: Some("US.ENT.1".into()),
            name: Some("Sheena".into()),
            username: Some("sheena".into()),
        }
    );
}

#[test]
fn news_of_a_template_are_kept_whole_and_dated() {
    let update = r#"{"event":"PAUSED","message_template_id":1234567890123456789,"reason":null}"#;
    let body = |time: i64| {
        format!(
            r#"{{"object":"whatsapp_business_account","entry":[{{"id":"waba","time":{time},"changes":[{{"field":"message_template_status_update","value":{update}}}]}}]}}"#
        )
    };
    let first = items(&body(1));
    assert_eq!(kinds(&first), ["template message_template_status_update"]);
    assert!(first[0].payload.contains(update) && first[0].payload.contains(r#""time":1"#));
    let Body::Template { news, .. } = &first[0].body else { panic!() };
    assert_eq!((news.at, news.change.clone()), (Some(1_000), Change::Status(template::Status::Paused, None)));
    assert_eq!(first[0].business_account_id.as_deref(), Some("waba"));
    assert_eq!(items(&body(1))[0].dedupe_key, first[0].dedupe_key);
    assert_ne!(items(&body(2))[0].dedupe_key, first[0].dedupe_key, "the same again later is another event");
}

#[test]
fn other_fields_are_kept_whole() {
    for (field, update) in [
        ("account_update", r#"{"event":"DISABLED_UPDATE"}"#),
        ("message_template_status_update", r#"{"event":"PAUSED"}"#),
        ("message_template_status_update", "7"),
    ] {
        let items = items(&format!(
            r#"{{"entry":[{{"id":"waba","changes":[{{"field":"{field}","value":{update}}}]}}]}}"#
        ));
        assert_eq!(kinds(&items), [format!("other {field}")]);
        assert!(items[0].payload.contains(update), "{}", items[0].payload);
    }
}

#[test]
fn an_object_without_usable_entries_is_kept_as_one_item() {
    for body in [
        "{}",
        r#"{"entry":[]}"#,
        r#"{"entry":null}"#,
        r#"{"entry":{"id":"a"}}"#,
        r#" {"object":"page","x":[1, 2]} "#,
    ] {
        let items = items(body);
        assert_eq!(kinds(&items), ["other unknown"], "{body}");
        assert!(items[0].payload.contains(body.trim()), "{}", items[0].payload);
    }
    for value in ["{}", "5", r#"{"messages":[]}"#, r#"{"messages":7}"#] {
        let items = items(&format!(
            r#"{{"entry":[{{"id":"a","changes":[{{"field":"messages","value":{value}}}]}}]}}"#
        ));
        assert_eq!(kinds(&items), ["other messages"], "{value}");
        assert!(items[0].payload.contains(value), "{}", items[0].payload);
    }
}

#[test]
fn what_is_no_json_object_is_unreadable_and_the_reason_says_where() {
    let whole = envelope(&format!(r#""messages":[{MESSAGE}]"#));
    for length in 0..whole.len() {
        assert!(parse(&whole.as_bytes()[..length]).is_err(), "{length}");
    }
    for body in ["", "[]", "5", "null", "hello", "{} {}", "\u{feff}{}", "{'a':1}"] {
        assert!(parse(body.as_bytes()).is_err(), "{body}");
    }
    let mut bytes = whole.into_bytes();
    bytes[10] = 0xff;
    assert_eq!(parse(&bytes).unwrap_err().reason, "it is not UTF-8 from byte 10 on");
}

#[test]
fn depth_is_no_danger() {
    let deep = format!("{}{}", r#"{"a":["#.repeat(10_000), "]}".repeat(10_000));
    let items = items(&envelope(&format!(
        r#""messages":[{{"from":"491111111","id":"w1","type":"order","order":{deep}}},{{"from":"491111111","id":"w2","type":"nested","x":{deep}}},{MESSAGE}],"news":{deep}"#
    )));
    assert_eq!(kinds(&items), ["unknown", "unknown", "text", "other messages"]);
    assert!(parse("[".repeat(1_000_000).as_bytes()).is_err());
    assert_eq!(parse(deep.as_bytes()).unwrap().len(), 1);
}

#[test]
fn of_two_members_with_one_name_neither_is_lost() {
    let second = MESSAGE.replace("wamid.A", "wamid.B");
    let items = items(&envelope(&format!(r#""messages":[{MESSAGE}],"messages":[{second}]"#)));
    assert_eq!(kinds(&items), ["text", "text"]);
}

#[test]
fn a_thousand_items_come_out_in_order_each_with_its_own_person() {
    let (contacts, messages): (Vec<String>, Vec<String>) = (0..1000)
        .map(|n| {
            (
                format!(r#"{{"wa_id":"49{n:08}","profile":{{"name":"P{n}"}}}}"#),
                format!(r#"{{"from":"49{n:08}","id":"wamid.{n}","timestamp":"1750000000","type":"text","text":{{"body":"{n}"}}}}"#),
            )
        })
        .unzip();
    let body =
        envelope(&format!(r#""contacts":[{}],"messages":[{}]"#, contacts.join(","), messages.join(",")));
    let items = items(&body);
    assert_eq!(items.len(), 1000);
    for (n, item) in items.iter().enumerate() {
        let Body::Message(message) = &item.body else { panic!() };
        assert_eq!(item.dedupe_key, DedupeKey::of(&format!("m:106:wamid.{n}")));
        assert_eq!(message.sender.name, Some(format!("P{n}")));
        assert_eq!(message.content, Content::Text { body: n.to_string() });
    }
}

#[test]
fn a_status_round_trips_with_its_failure() {
    let items = items(&envelope(
        r#""contacts":[{"wa_id":"491111111"}],"statuses":[{"id":"w","status":"failed","timestamp":"1750000000","recipient_id":"491111111",
            "biz_opaque_callback_data":"msg_7","errors":[{"code":131026,"title":"Undeliverable"}]}]"#,
    ));
    let Body::Status(update) = &items[0].body else { panic!() };
    assert_eq!((update.status, update.callback.as_deref()), (Some(Status::Failed), Some("msg_7")));
    assert_eq!(update.error.as_ref().map(|error| error.code), Some(131_026));
}

#[test]
fn what_was_never_a_payload_gives_nothing() {
    for payload in ["", "{}", "[]", r#"{"field":"messages"}"#, r#"{"value":{}}"#] {
        assert_eq!(parse_payload(payload), None, "{payload}");
    }
    let two = format!(r#"{{"field":"messages","value":{{"messages":[{MESSAGE},{MESSAGE}]}}}}"#);
    assert_eq!(parse_payload(&two), None);
}
