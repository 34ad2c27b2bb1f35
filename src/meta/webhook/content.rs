//! The content of a message, by its `type`. Source of every shape: Meta, webhooks reference `messages`, 2026.

use serde_json::Value;

use crate::domain::inbound::{Content, Media, MediaKind};
use crate::meta::object::Object;

/// What a message of type `kind` says. What cannot be read is [`Content::Unsupported`] if Meta says why, else
/// [`Content::Unknown`].
pub(super) fn read(kind: &str, message: &Object<'_>) -> Content {
    understood(kind, message).unwrap_or_else(|| not_understood(kind, message))
}

fn understood(kind: &str, message: &Object<'_>) -> Option<Content> {
    if let Some(media) = media_kind(kind) {
        return self::media(media, &message.object(kind)?);
    }
    match kind {
        "text" => Some(Content::Text { body: message.object("text")?.string("body")? }),
        "location" => location(&message.object("location")?),
        "contacts" => message.tree("contacts").filter(Value::is_array).map(Content::Contacts),
        "reaction" => reaction(&message.object("reaction")?),
        "interactive" => interactive(&message.object("interactive")?),
        "button" => quick_reply(&message.object("button")?),
        "order" => message.tree("order").filter(Value::is_object).map(Content::Order),
        "edit" => edit(&message.object("edit")?),
        "revoke" => Some(Content::Revoke { wamid: message.object("revoke")?.text("original_message_id")? }),
        _ => None,
    }
}

/// `unknown` is the older name of `unsupported`. A known type can carry errors too, when Meta could not fetch its file.
fn not_understood(kind: &str, message: &Object<'_>) -> Content {
    let errors = message.list("errors");
    let nameless = matches!(kind, "unsupported" | "unknown");
    if !nameless && errors.is_empty() {
        return Content::Unknown { kind: kind.to_owned() };
    }
    let told = message.object("unsupported").and_then(|node| node.text("type"));
    Content::Unsupported {
        kind: told.or_else(|| (!nameless && !kind.is_empty()).then(|| kind.to_owned())),
        code: errors.first().and_then(|raw| Object::read(raw)).and_then(|error| error.integer("code")),
    }
}

fn media_kind(kind: &str) -> Option<MediaKind> {
    [MediaKind::Image, MediaKind::Video, MediaKind::Audio, MediaKind::Document, MediaKind::Sticker]
        .into_iter()
        .find(|media| media.as_str() == kind)
}

fn media(kind: MediaKind, node: &Object<'_>) -> Option<Content> {
    Some(Content::Media(Media {
        kind,
        id: node.text("id")?,
        file: None,
        mime_type: node.text("mime_type"),
        sha256: node.text("sha256"),
        caption: node.text("caption"),
        filename: node.text("filename"),
        voice: node.flag("voice"),
    }))
}

fn location(node: &Object<'_>) -> Option<Content> {
    Some(Content::Location {
        latitude: node.number("latitude")?,
        longitude: node.number("longitude")?,
        name: node.text("name"),
        address: node.text("address"),
    })
}

/// Taken back: Meta's reference leaves `emoji` out, others have seen it empty.
fn reaction(node: &Object<'_>) -> Option<Content> {
    Some(Content::Reaction { wamid: node.text("message_id")?, emoji: node.text("emoji") })
}

fn interactive(node: &Object<'_>) -> Option<Content> {
    let chosen = node.object("button_reply").or_else(|| node.object("list_reply"));
    if let Some(chosen) = chosen {
        let title = chosen.string("title").unwrap_or_default();
        return Some(Content::Choice { id: chosen.text("id")?, title });
    }
    if let Some(form) = node.object("nfm_reply") {
        return self::form(&form).map(|data| Content::Form { data });
    }
    node.tree("call_permission_reply").filter(Value::is_object).map(|data| Content::Form { data })
}

/// `response_json` is JSON inside a string.
fn form(node: &Object<'_>) -> Option<Value> {
    match node.string("response_json") {
        Some(text) => Some(serde_json::from_str(&text).unwrap_or(Value::String(text))),
        None => node.tree("response_json"),
    }
}

/// A template's quick reply. Its text stands in for a payload that the template does not define.
fn quick_reply(node: &Object<'_>) -> Option<Content> {
    let title = node.string("text").unwrap_or_default();
    let id = node.text("payload").or_else(|| Some(title.clone()).filter(|text| !text.is_empty()))?;
    Some(Content::Choice { id, title })
}

fn edit(node: &Object<'_>) -> Option<Content> {
    let text = node.object("message").and_then(|message| {
        let kind = message.text("type").unwrap_or_else(|| "text".to_owned());
        let content = message.object(&kind)?;
        content.string("body").or_else(|| content.string("caption"))
    });
    Some(Content::Edit { wamid: node.text("original_message_id")?, text })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// The content of a message of type `kind` with these members.
    fn content(kind: &str, members: &str) -> Content {
        read(kind, &Object::parse(&format!("{{{members}}}")).unwrap())
    }

    #[test]
    fn text() {
        let wire = r#""text":{"body":"caf\u00e9 \ud83d\ude00 a\/b"}"#;
        assert_eq!(content("text", wire), Content::Text { body: "café 😀 a/b".into() });
    }

    #[test]
    fn every_kind_of_file() {
        for kind in ["image", "video", "audio", "document", "sticker"] {
            let wire = format!(
                r#""{kind}":{{"id":"1","mime_type":"image\/jpeg","sha256":"q+0=","caption":"c","filename":"f.pdf","voice":true,"url":"https:\/\/x"}}"#
            );
            let Content::Media(media) = content(kind, &wire) else { panic!("{kind}") };
            assert_eq!((media.kind.as_str(), media.id.as_str()), (kind, "1"));
            assert_eq!(media.mime_type.as_deref(), Some("image/jpeg"));
            assert_eq!(media.sha256.as_deref(), Some("q+0="));
            assert_eq!((media.caption.as_deref(), media.filename.as_deref()), (Some("c"), Some("f.pdf")));
            assert!(media.voice);
        }
    }

    #[test]
    fn a_place_in_numbers_or_strings() {
        let place =
            Content::Location { latitude: 52.5, longitude: -13.25, name: Some("Dom".into()), address: None };
        assert_eq!(
            content("location", r#""location":{"latitude":52.5,"longitude":-13.25,"name":"Dom"}"#),
            place
        );
        assert_eq!(
            content("location", r#""location":{"latitude":"52.5","longitude":"-13.25","name":"Dom"}"#),
            place
        );
    }

    #[test]
    fn contact_cards_and_orders_as_sent() {
        let cards = r#""contacts":[{"phones":[{"phone":"+49 1"}],"origin":"other"}]"#;
        assert_eq!(
            content("contacts", cards),
            Content::Contacts(json!([{"phones": [{"phone": "+49 1"}], "origin": "other"}]))
        );
        let order = r#""order":{"catalog_id":"1","text":"","product_items":[{"product_retailer_id":"a","quantity":2,"item_price":1.5,"currency":"EUR"}]}"#;
        let Content::Order(order) = content("order", order) else { panic!() };
        assert_eq!(order["product_items"][0]["quantity"], 2);
    }

    #[test]
    fn a_reaction_and_both_ways_to_take_it_back() {
        let reaction =
            |emoji: Option<&str>| Content::Reaction { wamid: "w".into(), emoji: emoji.map(Into::into) };
        assert_eq!(
            content("reaction", r#""reaction":{"message_id":"w","emoji":"\ud83d\udc4d"}"#),
            reaction(Some("👍"))
        );
        assert_eq!(content("reaction", r#""reaction":{"message_id":"w"}"#), reaction(None));
        assert_eq!(content("reaction", r#""reaction":{"message_id":"w","emoji":""}"#), reaction(None));
    }

    #[test]
    fn buttons_rows_and_quick_replies_are_choices() {
        let choice = Content::Choice { id: "1".into(), title: "Yes".into() };
        for (kind, wire) in [
            (
                "interactive",
                r#""interactive":{"type":"button_reply","button_reply":{"id":"1","title":"Yes"}}"#,
            ),
            (
                "interactive",
                r#""interactive":{"type":"list_reply","list_reply":{"id":"1","title":"Yes","description":"d"}}"#,
            ),
            ("button", r#""button":{"payload":"1","text":"Yes"}"#),
        ] {
            assert_eq!(content(kind, wire), choice, "{wire}");
        }
        let without_payload = Content::Choice { id: "Yes".into(), title: "Yes".into() };
        assert_eq!(content("button", r#""button":{"text":"Yes"}"#), without_payload);
    }

    #[test]
    fn forms_are_decoded_and_kept_as_text_where_they_are_not_json() {
        let form = |response: &str| {
            content(
                "interactive",
                &format!(
                    r#""interactive":{{"type":"nfm_reply","nfm_reply":{{"name":"flow","response_json":{response}}}}}"#
                ),
            )
        };
        assert_eq!(form(r#""{\"a\":1}""#), Content::Form { data: json!({"a": 1}) });
        assert_eq!(form(r#""oh no""#), Content::Form { data: json!("oh no") });
        assert_eq!(form(r#"{"a":1}"#), Content::Form { data: json!({"a": 1}) });
        assert_eq!(
            content(
                "interactive",
                r#""interactive":{"type":"call_permission_reply","call_permission_reply":{"response":"accept","expiration_timestamp":1750000000}}"#
            ),
            Content::Form { data: json!({"response": "accept", "expiration_timestamp": 1_750_000_000}) }
        );
    }

    #[test]
    fn edits_and_deletions_name_their_message() {
        assert_eq!(
            content(
                "edit",
                r#""edit":{"original_message_id":"w","message":{"type":"text","text":{"body":"new"}}}"#
            ),
            Content::Edit { wamid: "w".into(), text: Some("new".into()) }
        );
        assert_eq!(
            content(
                "edit",
                r#""edit":{"original_message_id":"w","message":{"type":"image","image":{"id":"1","caption":"new"}}}"#
            ),
            Content::Edit { wamid: "w".into(), text: Some("new".into()) }
        );
        assert_eq!(
            content("revoke", r#""revoke":{"original_message_id":"w"}"#),
            Content::Revoke { wamid: "w".into() }
        );
    }

    #[test]
    fn what_meta_could_not_pass_on_has_its_reason() {
        let errors = r#""errors":[{"code":131051,"title":"Message type unknown"}]"#;
        let unsupported =
            |kind: Option<&str>, code| Content::Unsupported { kind: kind.map(Into::into), code };
        assert_eq!(
            content("unsupported", &format!(r#"{errors},"unsupported":{{"type":"poll_creation"}}"#)),
            unsupported(Some("poll_creation"), Some(131_051))
        );
        assert_eq!(content("unsupported", errors), unsupported(None, Some(131_051)));
        assert_eq!(content("unknown", errors), unsupported(None, Some(131_051)));
        assert_eq!(
            content("image", r#""errors":[{"code":131052}]"#),
            unsupported(Some("image"), Some(131_052))
        );
    }

    #[test]
    fn a_broken_or_new_type_is_unknown_by_its_name() {
        for (kind, wire) in [
            ("interactive", ""),
            ("interactive", r#""interactive":{"type":"button_reply"}"#),
            ("interactive", r#""interactive":{"type":"button_reply","button_reply":{"title":"no id"}}"#),
            ("text", r#""text":"bare""#),
            ("text", r#""text":{"body":7}"#),
            ("image", r#""image":{"caption":"no id"}"#),
            ("location", r#""location":{"latitude":"north"}"#),
            ("contacts", r#""contacts":{}"#),
            ("hologram", r#""hologram":{"id":"1"}"#),
            ("", ""),
        ] {
            assert_eq!(content(kind, wire), Content::Unknown { kind: kind.into() }, "{wire}");
        }
    }
}
