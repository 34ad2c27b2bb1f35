//! What Meta checks in `POST /{phone_number_id}/messages`, for everything but interactive messages ([`super::interactive`]).
//!
//! Written from Meta's pages and not from our request builder, because it is there to catch that builder's mistakes.
//! Limits: Meta, "Send messages" and the reference page of each type, 2026; lengths are counted in characters.

use serde_json::Value;

use super::entry::Content;
use super::interactive;
use super::param::{Checked, Param};
use super::refusal::Refusal;
use super::templates::Wish;

/// Characters in a text message.
const TEXT_MAX: usize = 4096;
/// Characters in a caption.
const CAPTION_MAX: usize = 1024;
/// Characters in `biz_opaque_callback_data`.
const CALLBACK_DATA_MAX: usize = 512;
/// Characters in a template's name.
const TEMPLATE_NAME_MAX: usize = 512;
/// Contact cards in one message.
const CONTACTS_MAX: usize = 5;
/// Digits of a phone number (ITU-T E.164: 15; fewer than 5 is no subscriber anywhere).
const PHONE_DIGITS: std::ops::RangeInclusive<usize> = 5..=15;
/// Characters of strings that Meta sets no documented limit for.
const STRING_MAX: usize = 4096;

const TYPES: &[&str] = &[
    "text",
    "image",
    "video",
    "audio",
    "document",
    "sticker",
    "location",
    "contacts",
    "reaction",
    "interactive",
    "template",
];
const ENVELOPE: &[&str] = &[
    "messaging_product",
    "recipient_type",
    "to",
    "recipient",
    "type",
    "context",
    "biz_opaque_callback_data",
    "recipient_identity_key_hash",
    "message_activity_sharing",
    "category",
];

/// Whom a message is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Recipient {
    /// A phone number: as it was given, and its digits.
    Phone { input: String, wa_id: String },
    /// A business-scoped user id.
    UserId(String),
}

/// A request that passed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Request {
    /// A message to deliver.
    Message(Box<Outgoing>),
    /// The business has read a phone's message, and everything before it.
    MarkRead { wamid: String, typing: bool },
}

/// A message that passed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Outgoing {
    pub(super) recipient: Recipient,
    pub(super) content: Content,
    pub(super) context: Option<String>,
    pub(super) callback_data: Option<String>,
    /// The template that it asks for; its content is only an outline until that is filled in.
    pub(super) template: Option<Wish>,
    /// Why it will fail after it was taken.
    pub(super) fails: Option<Refusal>,
}

/// Checks one request body.
pub(super) fn check(body: &Value) -> Checked<Request> {
    let root = Param::root(body);
    if !body.is_object() {
        return Err(Refusal::of(100).details("The request body must be a JSON object."));
    }
    match root.find("messaging_product") {
        None => return Err(Refusal::of(100).details("The parameter messaging_product is required.")),
        Some(product) => product.one_of(&["whatsapp"])?,
    };
    if let Some(status) = root.find("status") {
        return mark_read(&root, &status);
    }
    if let Some(kind) = root.find("recipient_type") {
        kind.one_of(&["individual"])?;
    }
    let kind = match root.find("type") {
        None => "text",
        Some(kind) => kind.one_of(TYPES)?,
    };
    root.only(&[ENVELOPE, &[kind]].concat())?;
    let recipient = recipient(&root)?;
    let node = root.need(kind)?;
    let (content, target) = content(kind, &node)?;
    let wish = || Wish {
        name: node.value()["name"].as_str().unwrap_or_default().to_owned(),
        language: node.value()["language"]["code"].as_str().unwrap_or_default().to_owned(),
        components: node.value()["components"].clone(),
        to_user_id: matches!(recipient, Recipient::UserId(_)),
    };
    let template = (kind == "template").then(wish);
    let context = match root.find("context") {
        None => target,
        Some(context) => Some(context.need("message_id")?.text(STRING_MAX)?.to_owned()),
    };
    let callback_data = root.text_at("biz_opaque_callback_data", CALLBACK_DATA_MAX)?.map(str::to_owned);
    Ok(Request::Message(Box::new(Outgoing {
        recipient,
        content,
        context,
        callback_data,
        template,
        fails: None,
    })))
}

fn mark_read(root: &Param<'_>, status: &Param<'_>) -> Checked<Request> {
    root.only(&["messaging_product", "status", "message_id", "typing_indicator"])?;
    status.one_of(&["read"])?;
    let wamid = root.need("message_id")?.text(STRING_MAX)?.to_owned();
    let typing = root.find("typing_indicator");
    if let Some(typing) = &typing {
        typing.need("type")?.one_of(&["text"])?;
    }
    Ok(Request::MarkRead { wamid, typing: typing.is_some() })
}

/// `to` wins over `recipient` when both are there (Meta, "Business-scoped user ids").
fn recipient(root: &Param<'_>) -> Checked<Recipient> {
    if let Some(to) = root.find("to") {
        let input = to.string()?;
        let wa_id = digits(input).ok_or_else(|| to.bad("is not a valid phone number"))?;
        return Ok(Recipient::Phone { input: input.to_owned(), wa_id });
    }
    let Some(recipient) = root.find("recipient") else {
        return Err(Refusal::missing("to"));
    };
    let id = recipient.string()?;
    if is_user_id(id) {
        Ok(Recipient::UserId(id.to_owned()))
    } else {
        Err(recipient.bad("is not a valid user id"))
    }
}

/// Whether this is a business-scoped user id: two letters of a country, a dot, perhaps `ENT.`, and letters and digits.
pub(super) fn is_user_id(id: &str) -> bool {
    id.split_once('.').is_some_and(|(country, rest)| {
        let tail = rest.strip_prefix("ENT.").unwrap_or(rest);
        country.len() == 2
            && country.bytes().all(|b| b.is_ascii_uppercase())
            && (1..=128).contains(&tail.len())
            && tail.bytes().all(|b| b.is_ascii_alphanumeric())
    })
}

/// The digits of a phone number written with `+`, spaces, `-` and brackets, or `None`.
pub(super) fn digits(phone: &str) -> Option<String> {
    let bare = phone.strip_prefix('+').unwrap_or(phone);
    let digits: String = bare.chars().filter(|c| !matches!(c, ' ' | '-' | '(' | ')')).collect();
    (PHONE_DIGITS.contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit())).then_some(digits)
}

/// What the message shows, and the wamid that it is about by its nature.
fn content(kind: &str, node: &Param<'_>) -> Checked<(Content, Option<String>)> {
    let mut target = None;
    let mut content = match kind {
        "text" => text(node)?,
        "location" => location(node)?,
        "contacts" => contacts(node)?,
        "interactive" => return Ok((interactive::check(node)?, None)),
        "template" => template(node)?,
        "reaction" => {
            node.only(&["message_id", "emoji"])?;
            target = Some(node.need("message_id")?.text(STRING_MAX)?.to_owned());
            // An empty emoji takes the reaction back.
            Content { text: node.need("emoji")?.string()?.to_owned(), ..Content::default() }
        }
        media => asset(media, node)?,
    };
    kind.clone_into(&mut content.kind);
    Ok((content, target))
}

fn text(node: &Param<'_>) -> Checked<Content> {
    node.only(&["body", "preview_url"])?;
    let body = node.need("body")?;
    // Meta refuses this one length with 100 and all others with 131009.
    let text =
        body.text(TEXT_MAX).map_err(|refusal| Refusal { details: refusal.details, ..Refusal::of(100) })?;
    Ok(Content { text: text.to_owned(), ..Content::default() })
}

fn location(node: &Param<'_>) -> Checked<Content> {
    node.only(&["latitude", "longitude", "name", "address"])?;
    let latitude = node.need("latitude")?.degrees(90.0)?;
    let longitude = node.need("longitude")?.degrees(180.0)?;
    let name = node.text_at("name", STRING_MAX)?;
    let address = node.text_at("address", STRING_MAX)?;
    let place = [name, address].into_iter().flatten().collect::<Vec<_>>().join(", ");
    Ok(Content { text: format!("{place} ({latitude}, {longitude})").trim().to_owned(), ..Content::default() })
}

fn contacts(node: &Param<'_>) -> Checked<Content> {
    let mut names = Vec::new();
    for card in node.items(CONTACTS_MAX)? {
        names.push(card.need("name")?.need("formatted_name")?.text(STRING_MAX)?);
    }
    Ok(Content { text: names.join(", "), ..Content::default() })
}

/// `image`, `video`, `audio`, `document` and `sticker`: by `id` or by `link`, never by both. Whether there is such a file
/// is [`super::media`]'s to say.
pub(super) fn asset(kind: &str, node: &Param<'_>) -> Checked<Content> {
    let extra: &[&str] = match kind {
        "document" => &["caption", "filename"],
        "audio" => &["voice"],
        "sticker" => &[],
        _ => &["caption"],
    };
    node.only(&[&["id", "link"], extra].concat())?;
    let mut media = None;
    let url = match (node.find("id"), node.find("link")) {
        (Some(id), None) => {
            media = Some(id.text(STRING_MAX)?.to_owned());
            None
        }
        (None, Some(link)) => Some(web_address(&link)?.to_owned()),
        (None, None) => {
            return Err(Refusal::missing(&format!("{0}['id'] or {0}['link']", node.path())));
        }
        (Some(_), Some(_)) => return Err(node.bad("must have either id or link, not both")),
    };
    let caption = node.text_at("caption", CAPTION_MAX)?;
    let filename = node.text_at("filename", STRING_MAX)?;
    let text = caption.or(filename).unwrap_or_default().to_owned();
    let voice = node.find("voice").is_some_and(|voice| *voice.value() == Value::Bool(true));
    Ok(Content { kind: kind.to_owned(), text, url, media, voice, ..Content::default() })
}

/// An absolute http or https address.
pub(super) fn web_address<'a>(link: &Param<'a>) -> Checked<&'a str> {
    let text = link.text(STRING_MAX)?;
    match reqwest::Url::parse(text) {
        Ok(url) if matches!(url.scheme(), "http" | "https") && url.has_host() => Ok(text),
        _ => Err(link.bad("must be a valid http or https URL")),
    }
}

/// Name, language and the outline of the components. Whether there is such a template, and whether this fills it, is
/// [`super::templates`]'s to say.
fn template(node: &Param<'_>) -> Checked<Content> {
    node.only(&["name", "language", "components"])?;
    let name = node.need("name")?;
    let text = name.text(TEMPLATE_NAME_MAX)?;
    if !text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_') {
        return Err(name.bad("may hold lowercase letters, digits and underscores only"));
    }
    let language = node.need("language")?.need("code")?.text(STRING_MAX)?;
    let mut shown = format!("[template {text}, {language}]");
    if let Some(components) = node.find("components") {
        for component in components.items(STRING_MAX)? {
            // Clients in the field write them in capitals, and Meta takes that.
            component.need("type")?.word(&[
                "header",
                "body",
                "button",
                "carousel",
                "limited_time_offer",
                "order_status",
            ])?;
            let Some(parameters) = component.find("parameters") else {
                continue;
            };
            for parameter in parameters.items(STRING_MAX)? {
                parameter.need("type")?.text(STRING_MAX)?;
                if let Some(value) = parameter.text_at("text", STRING_MAX)? {
                    shown.push('\n');
                    shown.push_str(value);
                }
            }
        }
    }
    Ok(Content { text: shown, ..Content::default() })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn base(extra: Value) -> Value {
        let mut body = json!({"messaging_product": "whatsapp", "to": "+49 (151) 2345-678"});
        body.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        body
    }

    fn accepted(extra: Value) -> Outgoing {
        match check(&base(extra)).unwrap() {
            Request::Message(message) => *message,
            other => panic!("{other:?}"),
        }
    }

    fn refused(extra: Value) -> (u32, String) {
        let refusal = check(&base(extra)).unwrap_err();
        (refusal.code, refusal.details.unwrap())
    }

    #[test]
    fn a_text_passes_with_its_callback_data_and_context() {
        let message = accepted(json!({
            "type": "text", "text": {"body": "hi"}, "biz_opaque_callback_data": "msg_1", "context": {"message_id": "wamid.1"},
        }));
        assert_eq!(
            message.recipient,
            Recipient::Phone { input: "+49 (151) 2345-678".into(), wa_id: "491512345678".into() }
        );
        assert_eq!((&*message.content.kind, &*message.content.text), ("text", "hi"));
        assert_eq!(message.context.as_deref(), Some("wamid.1"));
        assert_eq!(message.callback_data.as_deref(), Some("msg_1"));
    }

    #[test]
    fn a_phone_number_wins_over_a_business_scoped_id_and_either_is_needed() {
        let text = json!({"body": "x"});
        assert!(matches!(
            accepted(json!({"recipient": "US.1", "text": text})).recipient,
            Recipient::Phone { .. }
        ));
        let alone = json!({"messaging_product": "whatsapp", "recipient": "US.ENT.1a", "text": text});
        assert!(
            matches!(check(&alone), Ok(Request::Message(m)) if m.recipient == Recipient::UserId("US.ENT.1a".into()))
        );
        let neither = json!({"messaging_product": "whatsapp", "text": text});
        assert_eq!(check(&neither).unwrap_err(), Refusal::missing("to"));
        assert_eq!(refused(json!({"to": "abc", "text": text})).0, 131_009);
    }

    #[test]
    fn refusals_name_the_parameter_that_is_wrong() {
        for (extra, code, named) in [
            (json!({"messaging_product": "sms"}), 100, "messaging_product"),
            (json!({"type": "fax"}), 100, "Param type"),
            (json!({"type": "text"}), 131_008, "text"),
            (json!({"type": "text", "text": {}}), 131_008, "text['body']"),
            (json!({"type": "text", "text": {"body": ""}}), 100, "text['body']"),
            (json!({"type": "text", "text": {"body": 5}}), 100, "text['body']"),
            (json!({"type": "text", "text": {"body": "é".repeat(4097)}}), 100, "4096"),
            (json!({"type": "text", "text": {"body": "x"}, "image": {"id": "1"}}), 100, "\"image\""),
            (
                json!({"type": "text", "text": {"body": "x"}, "biz_opaque_callback_data": "x".repeat(513)}),
                131_009,
                "512",
            ),
            (json!({"type": "image", "image": {}}), 131_008, "image['id'] or image['link']"),
            (
                json!({"type": "image", "image": {"id": "1", "link": "https://a.example/b.png"}}),
                131_009,
                "not both",
            ),
            (json!({"type": "image", "image": {"link": "ftp://a.example/b"}}), 131_009, "image['link']"),
            (
                json!({"type": "image", "image": {"id": "1", "caption": "x".repeat(1025)}}),
                131_009,
                "image['caption']",
            ),
            (json!({"type": "sticker", "sticker": {"id": "1", "caption": "no"}}), 100, "\"caption\""),
            (json!({"type": "reaction", "reaction": {"emoji": "👍"}}), 131_008, "reaction['message_id']"),
            (
                json!({"type": "location", "location": {"latitude": 91, "longitude": 0}}),
                131_009,
                "location['latitude']",
            ),
            (json!({"type": "template", "template": {"name": "Big Sale"}}), 131_009, "template['name']"),
            (json!({"type": "template", "template": {"name": "sale"}}), 131_008, "template['language']"),
        ] {
            let (got, details) = refused(extra.clone());
            assert_eq!(got, code, "{extra}: {details}");
            assert!(details.contains(named), "{extra}: {details}");
        }
    }

    #[test]
    fn the_longest_text_a_voice_note_and_a_taken_back_reaction_pass() {
        accepted(json!({"type": "text", "text": {"body": "é".repeat(4096)}}));
        accepted(json!({"type": "audio", "audio": {"id": "17", "voice": true}}));
        let capitals = json!([{"type": "BODY", "parameters": [{"type": "text", "text": "x"}]}]);
        accepted(json!({"type": "template", "template": {
            "name": "sale", "language": {"code": "en"}, "components": capitals}}));
        let reaction =
            accepted(json!({"type": "reaction", "reaction": {"message_id": "wamid.2", "emoji": ""}}));
        assert_eq!(reaction.context.as_deref(), Some("wamid.2"));
        accepted(
            json!({"type": "location", "location": {"latitude": "52.5", "longitude": 13.4, "name": "Plant"}}),
        );
    }

    #[test]
    fn a_read_receipt_may_carry_a_typing_indicator() {
        let read = json!({
            "messaging_product": "whatsapp", "status": "read", "message_id": "wamid.3", "typing_indicator": {"type": "text"},
        });
        assert_eq!(check(&read).unwrap(), Request::MarkRead { wamid: "wamid.3".into(), typing: true });
        let bad = json!({"messaging_product": "whatsapp", "status": "seen", "message_id": "wamid.3"});
        assert_eq!(check(&bad).unwrap_err().code, 100);
    }
}
