//! The names that templates and expressions see.

use std::collections::BTreeMap;

use jiff::ToSpan;
use minijinja::value::{Serde, Value};
use minijinja::{Error, ErrorKind};
use serde_json::json;

use super::Context;
use super::functions::day;
use crate::domain::inbound::{Content, InboundMessage};

/// Names that no variable can have.
pub(super) const RESERVED: [&str; 6] = ["contact", "event", "now", "today", "in_days", "phone_number_id"];
/// What is known of a person: `contact.…`; each may be none.
pub(super) const CONTACT: [&str; 5] = ["id", "phone", "name", "user_id", "username"];
/// What is known of the message that began the turn: `event.…`; each may be none.
pub(super) const EVENT: [&str; 4] = ["id", "kind", "text", "media"];
/// How far `in_days` reaches.
const DAYS_MAX: i32 = 36_500;

/// The message of a turn as `event`; none for a turn that silence began.
pub(super) fn event(message: Option<&InboundMessage>) -> serde_json::Value {
    let content = message.map(|message| &message.content);
    json!({
        "id": message.and_then(|message| message.wamid.as_deref()),
        "kind": content.map(Content::kind),
        "text": content.and_then(Content::text),
        "media": content.and_then(media),
    })
}

/// A file that a person sent, as it is saved in a variable.
pub(super) fn media(content: &Content) -> Option<serde_json::Value> {
    let Content::Media(media) = content else { return None };
    Some(json!({
        "id": media.file,
        "meta_id": media.id,
        "kind": media.kind.as_str(),
        "mime_type": media.mime_type,
        "caption": media.caption,
        "filename": media.filename,
    }))
}

/// A place that a person sent, as it is saved in a variable.
pub(super) fn place(content: &Content) -> Option<serde_json::Value> {
    let Content::Location { latitude, longitude, name, address } = content else { return None };
    Some(json!({ "latitude": latitude, "longitude": longitude, "name": name, "address": address }))
}

/// Contact cards that a person sent, as they are saved in a variable: what matters most of the first, and all as they came.
pub(super) fn card(content: &Content) -> Option<serde_json::Value> {
    let Content::Contacts(cards) = content else { return None };
    let first = cards.get(0)?;
    let phone = first.pointer("/phones/0");
    Some(json!({
        "name": first.pointer("/name/formatted_name"),
        "phone": phone.and_then(|phone| phone.get("phone")),
        "wa_id": phone.and_then(|phone| phone.get("wa_id")),
        "cards": cards,
    }))
}

/// All names with their values. A variable of the flow that was not saved yet is none.
pub(super) fn scope<'a>(
    variables: impl Iterator<Item = &'a str>,
    saved: &serde_json::Map<String, serde_json::Value>,
    event: &serde_json::Value,
    context: &Context<'_>,
) -> Value {
    let person = context.contact;
    let id = person.wa_id.as_ref().or(person.user_id.as_ref()).or(person.parent_user_id.as_ref());
    let contact = json!({
        "id": id,
        "phone": person.wa_id,
        "name": person.name,
        "user_id": person.user_id,
        "username": person.username,
    });
    let today = day(context.now);
    let in_days = move |days: i32| -> Result<String, Error> {
        let refused = || Error::new(ErrorKind::InvalidOperation, "`in_days` is out of range");
        let span = (-DAYS_MAX..=DAYS_MAX).contains(&days).then(|| days.days()).ok_or_else(refused)?;
        let day = today.and_then(|today| today.checked_add(span).ok()).ok_or_else(refused)?;
        Ok(day.to_string())
    };
    let mut names: BTreeMap<String, Value> = variables
        .map(|name| {
            (name.to_owned(), saved.get(name).map_or(Value::from(()), |value| Value::from(Serde(value))))
        })
        .collect();
    names.extend([
        ("contact".to_owned(), Value::from(Serde(contact))),
        ("event".to_owned(), Value::from(Serde(event))),
        ("now".to_owned(), Value::from(context.now)),
        ("today".to_owned(), Value::from(today.map(|today| today.to_string()).unwrap_or_default())),
        ("in_days".to_owned(), Value::from_function(in_days)),
        ("phone_number_id".to_owned(), Value::from(context.phone_number_id)),
    ]);
    Value::from(names)
}
