//! The JSON bodies that we POST to `/{version}/{phone_number_id}/messages`. Source: Meta, "send messages", 2026.

use serde_json::{Map, Value, json};

use crate::domain::contact::Address;
use crate::domain::outbound::{
    ButtonParameter, Buttons, CtaUrl, Flow, FlowMode, FlowName, Frame, Header, List, Media, Message,
    Parameter, Parameters, Source, Template, TemplateButton, TemplateHeader, Text,
};

/// Characters in `biz_opaque_callback_data`. Source: Meta, WhatsApp changelog.
pub const CALLBACK_MAX: usize = 512;
/// The edition of the form messages. Source: Meta's OpenAPI of the Cloud API, 2026.
const FLOW_MESSAGE_VERSION: &str = "3";

/// The body that sends `message` to `to`, as an answer to the message `reply_to` if there is one.
///
/// Meta repeats `callback` on every status of the message, which is how an unanswered send is settled. One that is longer
/// than [`CALLBACK_MAX`] is left out, because Meta would refuse the whole message for it. A [`Message::Read`] is a request
/// of another form, which names neither a person nor a callback.
#[must_use]
pub fn body(message: &Message, to: &Address, reply_to: Option<&str>, callback: &str) -> Value {
    let (kind, content) = match message {
        Message::Read(read) => return mark_read(read.message_id(), read.typing()),
        Message::Text(text) => ("text", text_node(text)),
        Message::Media(media) => (media.kind().as_str(), media_node(media)),
        // These serialise as Meta wants them.
        Message::Location(location) => ("location", json!(location)),
        Message::Contacts(contacts) => ("contacts", json!(contacts.cards())),
        Message::Reaction(reaction) => ("reaction", json!(reaction)),
        Message::Buttons(buttons) => ("interactive", buttons_node(buttons)),
        Message::List(list) => ("interactive", list_node(list)),
        Message::CtaUrl(link) => ("interactive", link_node(link)),
        Message::LocationRequest(request) => {
            ("interactive", request_node("location_request_message", request.body(), "send_location"))
        }
        Message::ContactRequest(request) => {
            ("interactive", request_node("request_contact_info", request.body(), "request_contact_info"))
        }
        Message::Flow(flow) => ("interactive", flow_node(flow)),
        Message::Template(template) => ("template", template_node(template)),
    };
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

fn media_node(media: &Media) -> Value {
    let mut node = match media.source() {
        Source::Id(id) => json!({"id": id}),
        Source::Link(link) => json!({"link": link}),
        // It should have been exchanged for Meta's id; Meta refuses ours by name.
        Source::Media(file) => json!({"id": file}),
    };
    if let Some(caption) = media.caption() {
        node["caption"] = caption.into();
    }
    if let Some(filename) = media.filename() {
        node["filename"] = filename.into();
    }
    if media.voice() {
        node["voice"] = true.into();
    }
    node
}

fn buttons_node(message: &Buttons) -> Value {
    let buttons: Vec<Value> = message
        .buttons()
        .iter()
        .map(|button| json!({"type": "reply", "reply": {"id": button.id, "title": button.title}}))
        .collect();
    framed("button", message.frame(), &json!({"buttons": buttons}))
}

fn list_node(message: &List) -> Value {
    // Rows and sections serialise as Meta wants them.
    let sections = match message.sections() {
        [] => json!([{"rows": message.rows()}]),
        sections => json!(sections),
    };
    framed("list", message.frame(), &json!({"button": message.button(), "sections": sections}))
}

fn link_node(message: &CtaUrl) -> Value {
    let parameters = json!({"display_text": message.button(), "url": message.url()});
    framed("cta_url", message.frame(), &json!({"name": "cta_url", "parameters": parameters}))
}

fn request_node(kind: &str, body: &str, action: &str) -> Value {
    json!({"type": kind, "body": {"text": body}, "action": {"name": action}})
}

fn flow_node(message: &Flow) -> Value {
    let mut parameters = json!({"flow_message_version": FLOW_MESSAGE_VERSION, "flow_cta": message.button()});
    match message.name() {
        FlowName::Id(id) => parameters["flow_id"] = id.as_str().into(),
        FlowName::Name(name) => parameters["flow_name"] = name.as_str().into(),
    }
    if let Some(token) = message.flow_token() {
        parameters["flow_token"] = token.into();
    }
    match message.mode() {
        Some(FlowMode::Draft) => parameters["mode"] = "draft".into(),
        Some(FlowMode::Published) => parameters["mode"] = "published".into(),
        None => {}
    }
    if let Some(start) = message.start() {
        parameters["flow_action"] = "navigate".into();
        parameters["flow_action_payload"] = json!(start);
    } else {
        parameters["flow_action"] = "data_exchange".into();
    }
    framed("flow", message.frame(), &json!({"name": "flow", "parameters": parameters}))
}

fn framed(kind: &str, frame: &Frame, action: &Value) -> Value {
    let mut node = json!({"type": kind, "body": {"text": frame.body()}, "action": action});
    match frame.header() {
        Some(Header::Text(text)) => node["header"] = json!({"type": "text", "text": text}),
        Some(Header::Media(media)) => {
            let kind = media.kind().as_str();
            node["header"] = json!({"type": kind, kind: media_node(media)});
        }
        None => {}
    }
    if let Some(footer) = frame.footer() {
        node["footer"] = json!({"text": footer});
    }
    node
}

fn template_node(template: &Template) -> Value {
    let mut components = Vec::new();
    if let Some(header) = template.header() {
        components.push(json!({"type": "header", "parameters": [header_parameter(header)]}));
    }
    let parameters: Vec<Value> = match template.body() {
        Parameters::Positional(list) => list.iter().map(parameter).collect(),
        Parameters::Named(map) => map.iter().map(|(name, value)| named(parameter(value), name)).collect(),
    };
    if !parameters.is_empty() {
        components.push(json!({"type": "body", "parameters": parameters}));
    }
    components.extend(template.buttons().iter().map(button_component));
    let mut node = json!({"name": template.name(), "language": {"code": template.language()}});
    if !components.is_empty() {
        node["components"] = components.into();
    }
    node
}

fn header_parameter(header: &TemplateHeader) -> Value {
    match header {
        TemplateHeader::Text(text, None) => json!({"type": "text", "text": text}),
        TemplateHeader::Text(text, Some(name)) => named(json!({"type": "text", "text": text}), name),
        TemplateHeader::Location(location) => json!({"type": "location", "location": location}),
        TemplateHeader::Media(media) => {
            let kind = media.kind().as_str();
            json!({"type": kind, kind: media_node(media)})
        }
    }
}

fn named(mut parameter: Value, name: &str) -> Value {
    parameter["parameter_name"] = name.into();
    parameter
}

fn parameter(parameter: &Parameter) -> Value {
    match parameter {
        Parameter::Text(text) => json!({"type": "text", "text": text}),
        Parameter::Currency { code, amount_1000, fallback } => {
            let currency = json!({"fallback_value": fallback, "code": code, "amount_1000": amount_1000});
            json!({"type": "currency", "currency": currency})
        }
        Parameter::DateTime(text) => json!({"type": "date_time", "date_time": {"fallback_value": text}}),
    }
}

fn button_component(button: &TemplateButton) -> Value {
    let (sub_type, parameter) = match button.parameter() {
        ButtonParameter::Payload(payload) => ("quick_reply", json!({"type": "payload", "payload": payload})),
        ButtonParameter::Url(text) => ("url", json!({"type": "text", "text": text})),
        ButtonParameter::Code(code) => ("copy_code", json!({"type": "coupon_code", "coupon_code": code})),
        ButtonParameter::Flow { token, data } => {
            let mut action = Map::new();
            if let Some(token) = token {
                action.insert("flow_token".into(), token.as_str().into());
            }
            if let Some(data) = data {
                action.insert("flow_action_data".into(), json!(data));
            }
            ("flow", json!({"type": "action", "action": action}))
        }
    };
    let index = button.index().to_string();
    json!({"type": "button", "sub_type": sub_type, "index": index, "parameters": [parameter]})
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
