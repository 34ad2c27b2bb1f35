//! The JSON bodies that we POST to `/{version}/{phone_number_id}/messages`. Source: Meta, "send messages", 2026.

use serde_json::{Map, Value, json};

use crate::domain::contact::Address;
use crate::domain::outbound::{Buttons, List, Message, Text};

/// Characters in `biz_opaque_callback_data`. Source: Meta, WhatsApp changelog.
pub const CALLBACK_MAX: usize = 512;

/// The body that sends `message` to `to`, as an answer to the message `reply_to` if there is one.
///
/// Meta repeats `callback` on every status of the message, which is how an unanswered send is settled. One that is longer
/// than [`CALLBACK_MAX`] is left out, because Meta would refuse the whole message for it.
#[must_use]
pub fn body(message: &Message, to: &Address, reply_to: Option<&str>, callback: &str) -> Value {
    let mut body = Map::new();
    body.insert("messaging_product".into(), "whatsapp".into());
    body.insert("recipient_type".into(), "individual".into());
    match to {
        // Without the `+`, Meta puts the business's own country code in front.
        Address::Phone(digits) => {
            body.insert("to".into(), format!("+{}", digits.trim_start_matches('+')).into())
        }
        Address::User(id) => body.insert("recipient".into(), id.as_str().into()),
    };
    if let Some(wamid) = reply_to {
        body.insert("context".into(), json!({"message_id": wamid}));
    }
    if !callback.is_empty() && callback.chars().count() <= CALLBACK_MAX {
        body.insert("biz_opaque_callback_data".into(), callback.into());
    }
    let (kind, content) = match message {
        Message::Text(text) => ("text", text_node(text)),
        Message::Buttons(buttons) => ("interactive", buttons_node(buttons)),
        Message::List(list) => ("interactive", list_node(list)),
    };
    body.insert("type".into(), kind.into());
    body.insert(kind.into(), content);
    Value::Object(body)
}

/// The body that marks the message `wamid`, and every one before it, as read. With `typing`, the person sees us type for
/// up to 25 s or until we answer; Meta offers that only together with the mark.
#[must_use]
pub fn mark_read(wamid: &str, typing: bool) -> Value {
    let mut body = json!({"messaging_product": "whatsapp", "status": "read", "message_id": wamid});
    if typing {
        body["typing_indicator"] = json!({"type": "text"});
    }
    body
}

fn text_node(text: &Text) -> Value {
    json!({"body": text.body(), "preview_url": text.preview_url()})
}

fn buttons_node(message: &Buttons) -> Value {
    let buttons: Vec<Value> = message
        .buttons()
        .iter()
        .map(|button| json!({"type": "reply", "reply": {"id": button.id, "title": button.title}}))
        .collect();
    interactive("button", message.body(), message.footer(), &json!({"buttons": buttons}))
}

fn list_node(message: &List) -> Value {
    // `Row` serialises as Meta wants it: id, title, and a description if there is one.
    let action = json!({"button": message.button(), "sections": [{"rows": message.rows()}]});
    interactive("list", message.body(), message.footer(), &action)
}

fn interactive(kind: &str, body: &str, footer: Option<&str>, action: &Value) -> Value {
    let mut node = json!({"type": kind, "body": {"text": body}, "action": action});
    if let Some(footer) = footer {
        node["footer"] = json!({"text": footer});
    }
    node
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::outbound::{Button, Row};

    fn phone() -> Address {
        Address::Phone("4917012345".into())
    }

    #[test]
    fn a_text_goes_to_a_phone_with_its_plus() {
        assert_eq!(
            body(&Message::text("Hi").unwrap(), &phone(), Some("wamid.1"), "msg_7"),
            json!({
                "messaging_product": "whatsapp", "recipient_type": "individual", "to": "+4917012345",
                "context": {"message_id": "wamid.1"}, "biz_opaque_callback_data": "msg_7",
                "type": "text", "text": {"body": "Hi", "preview_url": false},
            })
        );
    }

    #[test]
    fn a_person_without_a_phone_is_a_recipient() {
        let sent = body(&Message::text("Hi").unwrap(), &Address::User("US.1".into()), None, "msg_7");
        assert_eq!(sent["recipient"], "US.1");
        assert!(sent.get("to").is_none() && sent.get("context").is_none());
    }

    #[test]
    fn buttons_and_footer_have_metas_shape() {
        let button = Button { id: "y".into(), title: "Yes".into() };
        let message = Message::Buttons(Buttons::new("Sure?", vec![button], Some("small".into())).unwrap());
        let sent = body(&message, &phone(), None, "msg_7");
        assert_eq!(sent["type"], "interactive");
        assert_eq!(
            sent["interactive"],
            json!({
                "type": "button", "body": {"text": "Sure?"}, "footer": {"text": "small"},
                "action": {"buttons": [{"type": "reply", "reply": {"id": "y", "title": "Yes"}}]},
            })
        );
    }

    #[test]
    fn a_list_is_one_section_of_rows() {
        let rows = vec![
            Row { id: "1".into(), title: "Orders".into(), description: Some("open ones".into()) },
            Row { id: "2".into(), title: "Help".into(), description: None },
        ];
        let message = Message::List(List::new("What?", "Choose", rows, None).unwrap());
        assert_eq!(
            body(&message, &phone(), None, "msg_7")["interactive"],
            json!({
                "type": "list", "body": {"text": "What?"},
                "action": {"button": "Choose", "sections": [{"rows": [
                    {"id": "1", "title": "Orders", "description": "open ones"}, {"id": "2", "title": "Help"},
                ]}]},
            })
        );
    }

    #[test]
    fn a_callback_that_meta_would_refuse_does_not_take_the_message_with_it() {
        let with = |length| body(&Message::text("Hi").unwrap(), &phone(), None, &"x".repeat(length));
        assert!(with(CALLBACK_MAX).get("biz_opaque_callback_data").is_some());
        assert!(with(CALLBACK_MAX + 1).get("biz_opaque_callback_data").is_none());
    }

    #[test]
    fn typing_comes_with_the_mark() {
        assert!(mark_read("wamid.1", false).get("typing_indicator").is_none());
        assert_eq!(
            mark_read("wamid.1", true),
            json!({"messaging_product": "whatsapp", "status": "read", "message_id": "wamid.1", "typing_indicator": {"type": "text"}})
        );
    }
}
