//! The JSON of Meta's webhooks (Meta, "Webhooks reference: messages" and "status messages", Graph v24 and later).

use serde_json::{Value, json};

use super::entry::{Entry, Status};
use super::refusal::Refusal;
use crate::clock::{Millis, SECOND};

/// Which of our numbers a webhook speaks about.
#[derive(Debug, Clone)]
pub(super) struct Number {
    pub(super) business_account_id: String,
    pub(super) phone_number_id: String,
    pub(super) display_phone_number: String,
}

/// One thing to tell the receiver.
#[derive(Debug, Clone)]
pub(super) struct Update {
    /// The phone that it is about, or the account: the lane that keeps it in order.
    pub(super) phone: String,
    pub(super) wamid: String,
    pub(super) kind: Kind,
    /// The item of `contacts[]`; a failed status has none.
    pub(super) contact: Option<Value>,
    pub(super) item: Value,
}

impl Update {
    /// News of the account: the `value` of a field such as `message_template_status_update`, and when it happened.
    pub(super) fn of_account(account: &str, field: &'static str, at: Millis, value: Value) -> Self {
        let kind = Kind::Account { field, at };
        Self { phone: account.to_owned(), wamid: String::new(), kind, contact: None, item: value }
    }
}

/// Where an update stands: in a list of the number's `value`, or as the `value` of a field of the account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Message,
    Status,
    Account { field: &'static str, at: Millis },
}

/// A person as webhooks know them.
pub(super) struct Person<'a> {
    pub(super) wa_id: &'a str,
    pub(super) user_id: &'a str,
    pub(super) name: &'a str,
}

impl Person<'_> {
    fn contact(&self) -> Value {
        json!({"profile": {"name": self.name}, "wa_id": self.wa_id, "user_id": self.user_id})
    }
}

/// A message from a phone. `node` is what stands under the type, such as `{"body":"hi"}` under `text`; `context` the
/// wamid that it answers, of a message that `display_phone_number` wrote.
pub(super) fn message(
    person: &Person<'_>,
    entry: &Entry,
    wire_type: &str,
    node: Value,
    business: Option<&str>,
) -> Update {
    let mut item = json!({
        "from": person.wa_id, "from_user_id": person.user_id, "id": entry.wamid,
        "timestamp": seconds(entry.at), "type": wire_type,
    });
    item[wire_type] = node;
    if let (Some(wamid), Some(business)) = (&entry.context, business) {
        item["context"] = json!({"from": business, "id": wamid});
    }
    Update {
        phone: person.wa_id.to_owned(),
        wamid: entry.wamid.clone(),
        kind: Kind::Message,
        contact: Some(person.contact()),
        item,
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
    let mut item = json!({
        "id": entry.wamid, "status": status.word(), "timestamp": seconds(now), "recipient_id": person.wa_id,
    });
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
    } else {
        item["recipient_user_id"] = json!(person.user_id);
    }
    let contact = failure.is_none().then(|| person.contact());
    Update { phone: person.wa_id.to_owned(), wamid: entry.wamid.clone(), kind: Kind::Status, contact, item }
}

/// Meta's envelope around `updates`. Neighbours of one phone and kind share a `changes[]` item, so that `contacts[]`
/// there is always about the one person. News of the account stand in an entry of their own, which alone has a time.
pub(super) fn envelope(number: &Number, updates: &[Update]) -> Value {
    let alike = |a: &Update, b: &Update| a.phone == b.phone && a.kind == b.kind && a.contact == b.contact;
    let (mut changes, mut entries) = (Vec::new(), Vec::new());
    for group in updates.chunk_by(alike) {
        match group[0].kind {
            Kind::Message => changes.push(change(number, "messages", group)),
            Kind::Status => changes.push(change(number, "statuses", group)),
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
fn change(number: &Number, list: &str, group: &[Update]) -> Value {
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
    json!({"field": "messages", "value": value})
}

/// Times in messages and statuses are strings of Unix seconds.
fn seconds(at: Millis) -> String {
    at.div_euclid(SECOND).to_string()
}
