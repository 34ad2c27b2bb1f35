//! The limits of the constructors, and the way to JSON and back.

use serde_json::{Value, json};

use super::*;

fn button(id: &str, title: &str) -> Button {
    Button { id: id.into(), title: title.into() }
}

#[test]
fn a_text_at_the_limit_is_built_and_one_character_more_is_refused_by_name() {
    assert!(Text::new("é".repeat(TEXT_BODY_MAX)).is_ok());
    let refused = Text::new("é".repeat(TEXT_BODY_MAX + 1)).unwrap_err();
    assert_eq!(refused.to_string(), "`body` has 4097 characters, 4096 are allowed; shorten it");
    assert_eq!(Text::new(" \n"), Err(Invalid::Empty { field: "body".into() }));
}

#[test]
fn buttons_are_one_to_three_and_differ() {
    assert!(Buttons::new("b", vec![button("1", "A"), button("2", "B"), button("3", "C")], None).is_ok());
    assert!(matches!(Buttons::new("b", vec![], None), Err(Invalid::Count { count: 0, .. })));
    assert!(matches!(
        Buttons::new("b", vec![button("1", "A"), button("2", "A")], None),
        Err(Invalid::Twice { field, .. }) if field == "buttons[].title"
    ));
}

#[test]
fn json_cannot_smuggle_in_what_the_constructors_refuse() {
    let long = json!({"type": "text", "body": "x".repeat(TEXT_BODY_MAX + 1)});
    assert!(serde_json::from_value::<Message>(long).is_err());
    let good = json!({"type": "list", "body": "b", "button": "Open", "rows": [{"id": "1", "title": "A"}]});
    let message: Message = serde_json::from_value(good.clone()).unwrap();
    assert_eq!(serde_json::to_value(message).unwrap(), good);
}

/// One of each type, in every shape that its JSON has.
fn samples() -> Vec<Value> {
    vec![
        json!({"type": "text", "body": "Hi", "preview_url": true}),
        json!({"type": "image", "id": "17", "caption": "c"}),
        json!({"type": "video", "link": "https://a.example/v.mp4"}),
        json!({"type": "audio", "media": "med_17", "voice": true}),
        json!({"type": "document", "link": "https://a.example/d", "caption": "c", "filename": "d.pdf"}),
        json!({"type": "sticker", "id": "17"}),
        json!({"type": "location", "latitude": 52.5, "longitude": -13.4, "name": "Works"}),
        json!({"type": "contacts", "contacts": [{
            "name": {"formatted_name": "Ada Byron", "first_name": "Ada"},
            "phones": [{"phone": "+4917", "type": "WORK"}], "org": {"company": "Mill"}, "birthday": "1815-12-10",
        }]}),
        json!({"type": "reaction", "message_id": "wamid.1", "emoji": "👍🏽"}),
        json!({"type": "buttons", "header": {"image": {"id": "17"}}, "body": "b", "footer": "f",
            "buttons": [{"id": "y", "title": "Yes"}]}),
        json!({"type": "list", "header": {"text": "h"}, "body": "b", "button": "Open",
            "sections": [{"title": "A", "rows": [{"id": "1", "title": "a", "description": "d"}]},
                {"title": "B", "rows": [{"id": "2", "title": "b"}]}]}),
        json!({"type": "cta_url", "body": "b", "button": "Open", "url": "https://a.example/?x=1"}),
        json!({"type": "location_request", "body": "Where?"}),
        json!({"type": "contact_request", "body": "Who?"}),
        json!({"type": "flow", "body": "b", "button": "Open", "flow_id": "17", "mode": "draft", "flow_token": "t",
            "screen": "FIRST", "data": {"a": [1]}}),
        json!({"type": "template", "name": "order_ready", "language": "pt_BR", "header": {"text": "Ada"},
            "body": ["Ada", {"currency": {"code": "EUR", "amount_1000": 12990, "fallback": "12,99"}},
                {"date_time": "Monday"}],
            "buttons": [{"index": 0, "payload": "p"}, {"index": 1, "url": "17"}, {"index": 2, "code": "SAVE"},
                {"index": 3, "flow": {"token": "t"}}]}),
        json!({"type": "template", "name": "hello", "language": "en", "body": {"customer": "Ada"},
            "header": {"location": {"latitude": 1.0, "longitude": 2.0}}}),
        json!({"type": "read", "message_id": "wamid.1", "typing": true}),
    ]
}

#[test]
fn every_type_goes_to_json_and_back_unchanged() {
    let mut seen = std::collections::BTreeSet::new();
    for sample in samples() {
        let message: Message =
            serde_json::from_value(sample.clone()).unwrap_or_else(|e| panic!("{sample}: {e}"));
        assert_eq!(serde_json::to_value(&message).unwrap(), sample);
        seen.insert(message.kind());
    }
    assert_eq!(seen, Message::KINDS.into_iter().collect());
}

#[test]
fn a_refusal_names_the_path_the_length_and_the_limit() {
    for (json, words) in [
        (
            json!({"type": "buttons", "body": "b", "buttons": [{"id": "1", "title": "A"}, {"id": "2", "title": "x".repeat(21)}]}),
            "`buttons[1].title` has 21 characters, 20 are allowed; shorten it",
        ),
        (
            json!({"type": "image", "link": "https://a.example/i", "caption": "x".repeat(1025)}),
            "`caption` has 1025 characters, 1024 are allowed; shorten it",
        ),
        (
            json!({"type": "image", "link": "http://a.example/i"}),
            "`link` has to be a web address that begins with `https://`",
        ),
        (
            json!({"type": "sticker", "id": "1", "caption": "c"}),
            "`caption` is not known here; known are `type`, `id`, `link`, `media`",
        ),
        (
            json!({"type": "location", "latitude": 91, "longitude": 0}),
            "`latitude` has to be degrees from -90 to 90, not 91",
        ),
        (
            json!({"type": "list", "body": "b", "button": "o", "sections": [{"title": "A", "rows": []}]}),
            "`sections[0].rows` has 0 entries, 1 to 10 are allowed",
        ),
        (
            json!({"type": "contacts", "contacts": [{"name": "A", "phones": [{"type": "HOME"}]}]}),
            "`contacts[0].phones[0].phone` is missing",
        ),
        (
            json!({"type": "template", "name": "a", "language": "en", "body": ["x", ""]}),
            "`body[1]` is empty; write something there",
        ),
        (
            json!({"type": "template", "name": "a", "language": "en", "buttons": [{"code": "x".repeat(16)}]}),
            "`buttons[0].code` has 16 characters, 15 are allowed; shorten it",
        ),
        (
            json!({"type": "template", "name": "a", "language": "en", "buttons": [{"index": 1, "url": "x"}, {"payload": "x"}]}),
            "`buttons[].index` holds `1` twice; each has to be different",
        ),
        (
            json!({"type": "reaction", "message_id": "w", "emoji": "ok"}),
            "`emoji` has to be one emoji, or empty to take a reaction back",
        ),
        (
            json!({"type": "buttons", "header": {"image": {"id": "x"}}, "body": "b", "buttons": [{"id": "1", "title": "A"}]}),
            "`header.image.id` has to be Meta's id of an uploaded file: digits",
        ),
        (
            json!({"type": "flow", "body": "b", "button": "x".repeat(31), "flow_id": "1"}),
            "`button` has 31 characters, 30 are allowed; shorten it",
        ),
    ] {
        assert_eq!(Message::try_from(json.clone()).unwrap_err().to_string(), words, "{json}");
    }
}

#[test]
fn a_stored_file_is_found_and_exchanged_wherever_it_is() {
    for json in [
        json!({"type": "image", "media": "med_7"}),
        json!({"type": "buttons", "header": {"video": {"media": "med_7"}}, "body": "b", "buttons": [{"id": "1", "title": "A"}]}),
        json!({"type": "template", "name": "a", "language": "en", "header": {"document": {"media": "med_7"}}}),
    ] {
        let message = Message::try_from(json).unwrap();
        assert_eq!(message.file(), Some(MediaId(7)));
        let ready = message.with_file("99");
        assert_eq!(ready.file(), None);
        assert!(serde_json::to_string(&ready).unwrap().contains(r#""id":"99""#));
    }
    assert_eq!(Message::text("x").unwrap().file(), None);
}

#[test]
fn an_emoji_is_no_word() {
    for good in ["👍", "👍🏽", "ℹ️", "1️⃣", "🇩🇪", "👨‍👩‍👧‍👦", ""] {
        assert!(Reaction::new("w", good).is_ok(), "{good}");
    }
    for bad in ["ok", "1", "é", "👍 👍", "😀x"] {
        assert!(Reaction::new("w", bad).is_err(), "{bad}");
    }
}

#[test]
fn what_goes_into_a_template_is_one_line() {
    let template = |parts: Value| {
        let mut whole = json!({"name": "a", "language": "en"});
        whole.as_object_mut().unwrap().extend(parts.as_object().unwrap().clone());
        Template::try_from(whole)
    };
    assert!(template(json!({"body": ["four    spaces"]})).is_ok());
    for (parts, field) in [
        (json!({"body": ["fine", "two\nlines"]}), "body[1]"),
        (json!({"body": {"customer": "a\ttab"}}), "body.customer"),
        (json!({"body": [{"date_time": "five     spaces"}]}), "body[0].date_time"),
        (json!({"header": {"text": "two\r\nlines"}}), "header.text"),
    ] {
        assert_eq!(template(parts).unwrap_err().field(), field);
    }
}
