//! The JSON of Meta's webhooks (Meta, "Webhooks reference: messages" and "status messages", Graph v24 and later).

use std::sync::Arc;

use serde_json::{Value, json};
use tokio::sync::watch;

use super::entry::{Entry, Status};
use super::refusal::Refusal;
use super::said::Wire;
use super::wire::to_wire;
use crate::clock::{Millis, SECOND};

/// Which of our numbers a webhook speaks about.
#[derive(Debug, Clone)]
pub(super) struct Number {
    pub(super) business_account_id: String,
    pub(super) phone_number_id: String,
    pub(super) display_phone_number: String,
}

/// Bytes around an update that has a `changes[]` item of its own.
const AROUND: usize = 300;

/// One thing to tell the receiver.
#[derive(Debug, Clone)]
pub(super) struct Update {
    /// What keeps it in order: that of the phone that it is about, or the account's.
    pub(super) lane: String,
    pub(super) wamid: String,
    pub(super) kind: Kind,
    /// The item of `contacts[]`; a failed status has none.
    pub(super) contact: Option<Value>,
    pub(super) item: Value,
    /// The `errors` beside the list.
    pub(super) errors: Option<Value>,
    /// Told when the receiver has answered 200 for it.
    pub(super) arrival: Option<Arc<watch::Sender<bool>>>,
}

impl Update {
    /// About how many bytes it takes on the wire, with what stands around it.
    pub(super) fn weight(&self) -> usize {
        let contact = self.contact.as_ref().map_or(0, |contact| to_wire(contact).len());
        to_wire(&self.item).len() + contact + AROUND
    }

    pub(super) fn has_arrived(&self) {
        if let Some(arrival) = &self.arrival {
            arrival.send_replace(true);
        }
    }

    /// News of the account: the `value` of a field such as `message_template_status_update`, and when it happened.
    pub(super) fn of_account(account: &str, field: &'static str, at: Millis, value: Value) -> Self {
        let kind = Kind::Account { field, at };
        Self {
            lane: account.to_owned(),
            wamid: String::new(),
            kind,
            contact: None,
            item: value,
            errors: None,
            arrival: None,
        }
    }
}

/// Where an update stands: in a list of the number's `value`, or as the `value` of a field of the account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Message,
    Status,
    Preference,
    Account { field: &'static str, at: Millis },
}

/// A person as webhooks know them.
pub(super) struct Person<'a> {
    pub(super) lane: &'a str,
    /// Absent when the person hides the number.
    pub(super) wa_id: Option<&'a str>,
    pub(super) user_id: &'a str,
    pub(super) parent_user_id: Option<&'a str>,
    pub(super) name: &'a str,
    pub(super) username: Option<&'a str>,
}

impl Person<'_> {
    fn contact(&self) -> Value {
        let mut contact = json!({"profile": {"name": self.name}, "user_id": self.user_id});
        put(&mut contact["profile"], "username", self.username);
        put(&mut contact, "wa_id", self.wa_id);
        put(&mut contact, "parent_user_id", self.parent_user_id);
        contact
    }
}

/// Sets a member, if there is something to set.
fn put(object: &mut Value, key: &str, value: Option<&str>) {
    if let Some(value) = value {
        object[key] = json!(value);
    }
}

/// A message from a phone.
pub(super) fn message(person: &Person<'_>, entry: &Entry, wire: Wire) -> Update {
    let Wire { kind, members, errors } = wire;
    let mut item = json!({
        "from_user_id": person.user_id, "id": entry.wamid, "timestamp": seconds(entry.at), "type": kind,
    });
    put(&mut item, "from", person.wa_id);
    put(&mut item, "from_parent_user_id", person.parent_user_id);
    if let Some(item) = item.as_object_mut() {
        item.extend(members);
        item.retain(|_, value| !value.is_null());
    }
    Update {
        lane: person.lane.to_owned(),
        wamid: entry.wamid.clone(),
        kind: Kind::Message,
        contact: Some(person.contact()),
        item,
        errors,
        arrival: None,
    }
}

/// The fate of a message to a phone. Pricing comes with `sent` and `delivered` only, as Meta does it.
pub(super) fn status(
    person: &Person<'_>,
    entry: &Entry,
    status: Status,
    failure: Option<&Refusal>,
    now: Millis,
) -> Update {
    let mut item = json!({"id": entry.wamid, "status": status.word(), "timestamp": seconds(now)});
    // Whoever wrote to a number knows it; to a user id, only what the person shows.
    put(&mut item, "recipient_id", entry.to.as_deref().or(person.wa_id));
    if let Some(data) = &entry.callback_data {
        item["biz_opaque_callback_data"] = json!(data);
    }
    if matches!(status, Status::Sent | Status::Delivered) {
        item["pricing"] = if entry.content.kind == "template" {
            let category = entry.content.category.as_deref().unwrap_or("utility");
            json!({"billable": true, "pricing_model": "PMP", "type": "regular", "category": category})
        } else {
            json!({"billable": false, "pricing_model": "PMP", "type": "free_customer_service", "category": "service"})
        };
    }
    if let Some(failure) = failure {
        item["errors"] = json!([failure.status_error()]);
    }
    if failure.is_none() || entry.to.is_none() {
        item["recipient_user_id"] = json!(person.user_id);
        put(&mut item, "recipient_parent_user_id", person.parent_user_id);
    }
    let contact = failure.is_none().then(|| person.contact());
    Update {
        lane: person.lane.to_owned(),
        wamid: entry.wamid.clone(),
        kind: Kind::Status,
        contact,
        item,
        errors: None,
        arrival: None,
    }
}

/// A person's number or id has changed: `system` is what stands in the node, `old_wa_id` the number until then. Such a
/// message has no `contacts` (Meta, "Webhooks reference: system messages").
pub(super) fn system(lane: &str, entry: &Entry, old_wa_id: Option<&str>, system: Value) -> Update {
    let mut item = json!({
        "id": entry.wamid, "timestamp": seconds(entry.at), "type": "system", "system": system,
    });
    put(&mut item, "from", old_wa_id);
    let (lane, wamid) = (lane.to_owned(), entry.wamid.clone());
    Update { lane, wamid, kind: Kind::Message, contact: None, item, errors: None, arrival: None }
}

/// A person wants marketing, or no more (Meta, "Webhooks reference: user_preferences"); the time is a number here.
pub(super) fn preference(person: &Person<'_>, value: &str, now: Millis) -> Update {
    let detail = format!("User requested to {value} marketing messages");
    let mut item = json!({
        "detail": detail, "category": "marketing_messages", "value": value, "timestamp": now.div_euclid(SECOND),
    });
    put(&mut item, "wa_id", person.wa_id);
    item["user_id"] = json!(person.user_id);
    Update {
        lane: person.lane.to_owned(),
        wamid: String::new(),
        kind: Kind::Preference,
        contact: Some(person.contact()),
        item,
        errors: None,
        arrival: None,
    }
}

/// Meta's envelope around `updates`. Neighbours of one phone and kind share a `changes[]` item, so that `contacts[]`
/// there is always about the one person. News of the account stand in an entry of their own, which alone has a time.
pub(super) fn envelope(number: &Number, updates: &[Update]) -> Value {
    let alike = |a: &Update, b: &Update| {
        a.lane == b.lane && a.kind == b.kind && a.contact == b.contact && a.errors == b.errors
    };
    let (mut changes, mut entries) = (Vec::new(), Vec::new());
    for group in updates.chunk_by(alike) {
        match group[0].kind {
            Kind::Message => changes.push(change(number, "messages", "messages", group)),
            Kind::Status => changes.push(change(number, "messages", "statuses", group)),
            Kind::Preference => changes.push(change(number, "user_preferences", "user_preferences", group)),
            Kind::Account { field, at } => entries.extend(group.iter().map(|update| {
                let changes = json!([{"field": field, "value": update.item}]);
                json!({"id": number.business_account_id, "time": at.div_euclid(SECOND), "changes": changes})
            })),
        }
    }
    if !changes.is_empty() {
        entries.insert(0, json!({"id": number.business_account_id, "changes": changes}));
    }
    json!({"object": "whatsapp_business_account", "entry": entries})
}

/// One item of `changes[]`: what a number has to tell of one phone.
fn change(number: &Number, field: &str, list: &str, group: &[Update]) -> Value {
    let mut value = json!({
        "messaging_product": "whatsapp",
        "metadata": {
            "display_phone_number": number.display_phone_number, "phone_number_id": number.phone_number_id,
        },
    });
    if let Some(contact) = &group[0].contact {
        value["contacts"] = json!([contact]);
    }
    value[list] = group.iter().map(|update| update.item.clone()).collect();
    if let Some(errors) = &group[0].errors {
        value["errors"] = errors.clone();
    }
    json!({"field": field, "value": value})
}

/// Times in messages and statuses are strings of Unix seconds.
fn seconds(at: Millis) -> String {
    at.div_euclid(SECOND).to_string()
}
