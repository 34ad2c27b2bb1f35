//! Takes Meta's envelope apart: `entry[] × changes[]`, and of the field `messages` every message, status and error.
//!
//! Every level is read on its own and leniently. What does not have the expected shape becomes one item that holds it,
//! and the rest goes on.

use std::fmt::Write as _;

use serde_json::value::RawValue;

use super::contacts::{self, Contacts};
use super::{Body, Item, key, message, preference, status, template};
use crate::domain::dedupe::DedupeKey;
use crate::meta::object::{self, Object};

/// The field whose value holds messages, statuses and errors.
const MESSAGES: &str = "messages";
/// The field, and the list in it, of what people want to be sent.
const PREFERENCES: &str = "user_preferences";
/// The field of what has none.
const UNKNOWN: &str = "unknown";

/// One change of the envelope, not yet split.
pub(super) struct Change<'a> {
    /// The `id` of its entry: the business account.
    account: Option<&'a RawValue>,
    /// The `time` of its entry.
    time: Option<&'a RawValue>,
    field: String,
    value: &'a RawValue,
}

/// All items of the body `text`, whose one object is `envelope`; at least one.
pub(super) fn envelope(text: &str, envelope: &Object<'_>) -> Vec<Item> {
    let mut items = Vec::new();
    for raw in envelope.list("entry") {
        entry(raw, &mut items);
    }
    if items.is_empty()
        && let Ok(whole) = serde_json::from_str(text)
    {
        change(&Change::unknown(None, whole), &mut items);
    }
    items
}

fn entry(raw: &RawValue, items: &mut Vec<Item>) {
    let before = items.len();
    if let Some(entry) = Object::read(raw) {
        let account = entry.get("id").filter(|raw| is_scalar(raw));
        for raw in entry.list("changes") {
            let object = Object::read(raw);
            let known = object.as_ref().and_then(|object| Change::read(object, account, entry.get("time")));
            change(&known.unwrap_or_else(|| Change::unknown(account, raw)), items);
        }
    }
    if items.len() == before {
        change(&Change::unknown(None, raw), items);
    }
}

/// All items of one change; at least one.
pub(super) fn change(change: &Change<'_>, items: &mut Vec<Item>) {
    let Some(value) = Object::read(change.value) else {
        return items.push(change.whole(None));
    };
    let number = value.object("metadata").and_then(|metadata| metadata.text("phone_number_id"));
    let at = change.time.and_then(template::time);
    if let Some(news) = template::read(&change.field, &value, at) {
        let body = Body::Template { field: change.field.clone(), news };
        return items.push(Item { body, ..change.whole(number) });
    }
    let before = items.len();
    let batch = Batch {
        change,
        number: number.clone(),
        metadata: value.get("metadata"),
        contacts: Contacts::read(&value.list("contacts")),
    };
    if change.field == PREFERENCES {
        items.extend(value.list(PREFERENCES).into_iter().map(|raw| batch.preference(raw)));
    }
    if change.field != MESSAGES {
        if items.len() == before {
            items.push(change.whole(number));
        }
        return;
    }
    let mut rest = String::new();
    for (name, raw) in value.fields() {
        if matches!(name, "messaging_product" | "metadata") || raw.get() == "null" {
            continue;
        }
        match (name, object::list(raw)) {
            ("contacts", Some(_)) => {}
            ("messages", Some(list)) => {
                items.extend(list.iter().map(|raw| batch.message(raw, list.len() == 1)));
            }
            ("statuses", Some(list)) => {
                items.extend(list.iter().map(|raw| batch.status(raw, list.len() == 1)));
            }
            ("errors", Some(list)) => items.extend(list.iter().map(|raw| batch.raw("errors", None, raw))),
            _ => member(&mut rest, name, raw.get()),
        }
    }
    if !rest.is_empty() {
        items.push(batch.rest(&rest));
    }
    if items.len() == before {
        items.push(change.whole(number));
    }
}

/// The field `messages` of one change: what its items share.
struct Batch<'a> {
    change: &'a Change<'a>,
    number: Option<String>,
    metadata: Option<&'a RawValue>,
    contacts: Contacts<'a>,
}

impl<'a> Batch<'a> {
    fn message(&self, raw: &'a RawValue, alone: bool) -> Item {
        let Some(object) = Object::read(raw) else {
            return self.raw(MESSAGES, None, raw);
        };
        let told = message::told(&object);
        let contact = self.contacts.find(&told, alone);
        let contact_raw = contact.map(|contact| contact.raw);
        let Some(message) = message::read(&object, told, contact) else {
            return self.raw(MESSAGES, contact_raw, raw);
        };
        let number = self.number.as_deref();
        let dedupe_key = match &message.wamid {
            Some(wamid) => key::message(number, wamid),
            None => self.change.key(MESSAGES, number, raw.get()),
        };
        let payload = self.payload(contact_raw, MESSAGES, raw);
        self.item(dedupe_key, payload, Body::Message(message))
    }

    fn status(&self, raw: &'a RawValue, alone: bool) -> Item {
        let Some(object) = Object::read(raw) else {
            return self.raw("statuses", None, raw);
        };
        let Some(update) = status::read(&object) else {
            return self.raw("statuses", None, raw);
        };
        let number = self.number.as_deref();
        let dedupe_key = match object.text("status") {
            Some(name) => {
                let participants = status::participants(&object);
                let participants = participants.iter().map(String::as_str);
                key::status(number, update.callback.as_deref(), &update.wamid, &name, participants)
            }
            None => self.change.key("statuses", number, raw.get()),
        };
        let told =
            contacts::identity(&object, "recipient_id", "recipient_user_id", "recipient_parent_user_id");
        let contact = self.contacts.find(&told, alone).map(|contact| contact.raw);
        let payload = self.payload(contact, "statuses", raw);
        self.item(dedupe_key, payload, Body::Status(update))
    }

    fn preference(&self, raw: &'a RawValue) -> Item {
        let Some(preference) = Object::read(raw).and_then(|entry| preference::read(&entry)) else {
            return self.raw(PREFERENCES, None, raw);
        };
        let dedupe_key = self.change.key(PREFERENCES, self.number.as_deref(), raw.get());
        self.item(dedupe_key, self.payload(None, PREFERENCES, raw), Body::Preference(preference))
    }

    /// A message, status or error of which only the raw text is kept.
    fn raw(&self, list: &str, contact: Option<&RawValue>, raw: &RawValue) -> Item {
        let dedupe_key = self.change.key(list, self.number.as_deref(), raw.get());
        let payload = self.payload(contact, list, raw);
        self.item(dedupe_key, payload, Body::Other { field: list.to_owned() })
    }

    /// The members of the value that are none of the known ones.
    fn rest(&self, members: &str) -> Item {
        let dedupe_key = self.change.key(MESSAGES, self.number.as_deref(), members);
        let mut value = self.metadata_member();
        if !value.is_empty() {
            value.push(',');
        }
        value.push_str(members);
        let payload = self.change.payload(&format!("{{{value}}}"));
        self.item(dedupe_key, payload, Body::Other { field: MESSAGES.to_owned() })
    }

    fn item(&self, dedupe_key: DedupeKey, payload: String, body: Body) -> Item {
        self.change.item(self.number.clone(), dedupe_key, payload, body)
    }

    fn payload(&self, contact: Option<&RawValue>, list: &str, raw: &RawValue) -> String {
        let mut value = self.metadata_member();
        if let Some(contact) = contact {
            member(&mut value, "contacts", &format!("[{}]", contact.get()));
        }
        member(&mut value, list, &format!("[{}]", raw.get()));
        self.change.payload(&format!("{{{value}}}"))
    }

    fn metadata_member(&self) -> String {
        let mut value = String::new();
        if let Some(metadata) = self.metadata {
            member(&mut value, "metadata", metadata.get());
        }
        value
    }
}

impl<'a> Change<'a> {
    /// The change that `object` is, of an entry with this `id` and `time`; `None` without a field or a value.
    pub(super) fn read(
        object: &Object<'a>,
        account: Option<&'a RawValue>,
        time: Option<&'a RawValue>,
    ) -> Option<Self> {
        Some(Self {
            account: account.filter(|raw| is_scalar(raw)),
            time: time.filter(|raw| is_scalar(raw)),
            field: object.string("field").filter(|field| !field.is_empty())?,
            value: object.get("value")?,
        })
    }

    fn unknown(account: Option<&'a RawValue>, raw: &'a RawValue) -> Self {
        Self { account, time: None, field: UNKNOWN.to_owned(), value: raw }
    }

    /// This change as one item.
    fn whole(&self, number: Option<String>) -> Item {
        let dedupe_key = self.key(&self.field, number.as_deref(), self.value.get());
        let payload = self.payload(self.value.get());
        self.item(number, dedupe_key, payload, Body::Other { field: self.field.clone() })
    }

    fn item(
        &self,
        phone_number_id: Option<String>,
        dedupe_key: DedupeKey,
        payload: String,
        body: Body,
    ) -> Item {
        Item {
            dedupe_key,
            phone_number_id,
            business_account_id: self.account.and_then(scalar),
            payload,
            body,
        }
    }

    /// The key of a part that has no id. The account and the entry's time belong to it: the same template can be paused
    /// twice, and that is told twice in the same words.
    fn key(&self, field: &str, number: Option<&str>, raw: &str) -> DedupeKey {
        let text = |raw: Option<&'a RawValue>| raw.map_or("", RawValue::get);
        key::text(&[field, text(self.account), text(self.time), number.unwrap_or_default(), raw])
    }

    fn payload(&self, value: &str) -> String {
        let mut members = String::with_capacity(value.len() + 128);
        if let Some(account) = self.account {
            member(&mut members, "id", account.get());
        }
        if let Some(time) = self.time {
            member(&mut members, "time", time.get());
        }
        member(&mut members, "field", &quoted(&self.field));
        member(&mut members, "value", value);
        format!("{{{members}}}")
    }
}

fn is_scalar(raw: &RawValue) -> bool {
    scalar(raw).is_some()
}

fn scalar(raw: &RawValue) -> Option<String> {
    if object::is_number(raw) { Some(raw.get().to_owned()) } else { object::string(raw).map(Into::into) }
}

/// Adds `"name":raw` to the members of an object.
fn member(members: &mut String, name: &str, raw: &str) {
    if !members.is_empty() {
        members.push(',');
    }
    write!(members, "{}:{raw}", quoted(name)).expect("writing to a string does not fail");
}

fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}
