//! The names that templates and expressions see.

use std::sync::Arc;

use jiff::ToSpan;
use minijinja::value::{Enumerator, Object, Serde, Value};
use minijinja::{Error, ErrorKind};
use serde_json::json;

use super::functions::day;
use crate::clock::Millis;
use crate::domain::contact::Identity;
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

/// All names of a turn. Each value is made when it is asked for: a text asks for few of them.
#[derive(Debug)]
pub(super) struct Names {
    /// The variables of the flow, in order. One that was not saved yet is none.
    pub(super) variables: Arc<[String]>,
    pub(super) saved: serde_json::Map<String, serde_json::Value>,
    pub(super) event: Arc<serde_json::Value>,
    pub(super) person: Arc<Identity>,
    pub(super) phone_number_id: Arc<str>,
    pub(super) now: Millis,
}

impl Names {
    /// As templates and expressions take it.
    pub(super) fn into_scope(self) -> Value {
        Value::from_object(self)
    }

    fn contact(&self) -> Value {
        let person = &self.person;
        let id = person.wa_id.as_ref().or(person.user_id.as_ref()).or(person.parent_user_id.as_ref());
        Value::from(Serde(json!({
            "id": id,
            "phone": person.wa_id,
            "name": person.name,
            "user_id": person.user_id,
            "username": person.username,
        })))
    }

    fn in_days(&self) -> Value {
        let today = day(self.now);
        Value::from_function(move |days: i32| -> Result<String, Error> {
            let refused = || Error::new(ErrorKind::InvalidOperation, "`in_days` is out of range");
            let span = (-DAYS_MAX..=DAYS_MAX).contains(&days).then(|| days.days()).ok_or_else(refused)?;
            let day = today.and_then(|today| today.checked_add(span).ok()).ok_or_else(refused)?;
            Ok(day.to_string())
        })
    }

    fn variable(&self, name: &str) -> Option<Value> {
        self.variables.binary_search_by(|variable| variable.as_str().cmp(name)).ok()?;
        Some(self.saved.get(name).map_or(Value::from(()), |value| Value::from(Serde(value))))
    }
}

impl Object for Names {
    fn get_value(self: &Arc<Self>, name: &Value) -> Option<Value> {
        self.get_value_by_str(name.as_str()?)
    }

    fn get_value_by_str(self: &Arc<Self>, name: &str) -> Option<Value> {
        match name {
            "contact" => Some(self.contact()),
            "event" => Some(Value::from(Serde(&*self.event))),
            "now" => Some(Value::from(self.now)),
            "today" => Some(Value::from(day(self.now).map(|today| today.to_string()).unwrap_or_default())),
            "in_days" => Some(self.in_days()),
            "phone_number_id" => Some(Value::from(&*self.phone_number_id)),
            variable => self.variable(variable),
        }
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        let names = RESERVED.into_iter().chain(self.variables.iter().map(String::as_str));
        Enumerator::Values(names.map(Value::from).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reserved_name_has_a_value_and_no_other_but_the_variables() {
        let names = Names {
            variables: ["order", "size"].map(str::to_owned).into(),
            saved: serde_json::from_value(json!({"order": "ORD-001", "stray": 1})).unwrap(),
            event: Arc::new(event(None)),
            person: Arc::new(Identity { wa_id: Some("49170".to_owned()), ..Identity::default() }),
            phone_number_id: "1".into(),
            now: 1_773_273_600_000,
        };
        let scope = names.into_scope();
        for name in RESERVED {
            assert!(!scope.get_attr(name).unwrap().is_undefined(), "{name}");
        }
        assert_eq!(scope.get_attr("order").unwrap().as_str(), Some("ORD-001"));
        assert!(scope.get_attr("size").unwrap().is_none());
        assert!(scope.get_attr("stray").unwrap().is_undefined());
        assert_eq!(scope.get_attr("today").unwrap().as_str(), Some("2026-03-12"));
        let contact = scope.get_attr("contact").unwrap();
        assert_eq!(contact.get_attr("id").unwrap().as_str(), Some("49170"));
    }
}
