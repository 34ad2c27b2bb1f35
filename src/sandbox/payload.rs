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
    /// The phone that it is about: the lane that keeps it in order.
    pub(super) phone: String,
    pub(super) wamid: String,
    pub(super) kind: Kind,
    /// The item of `contacts[]`; a failed status has none.
    pub(super) contact: Option<Value>,
    pub(super) item: Value,
}

/// The list of `value` in which an update stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Message,
    Status,
}

impl Kind {
    fn list(self) -> &'static str {
        match self {
            Self::Message => "messages",
            Self::Status => "statuses",
        }
    }
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
            json!({"billable": true, "pricing_model": "PMP", "type": "regular", "category": "utility"})
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
/// there is always about the one person.
pub(super) fn envelope(number: &Number, updates: &[Update]) -> Value {
    let alike = |a: &Update, b: &Update| a.phone == b.phone && a.kind == b.kind && a.contact == b.contact;
    let changes: Vec<Value> = updates
        .chunk_by(alike)
        .map(|group| {
            let mut value = json!({
                "messaging_product": "whatsapp",
                "metadata": {
                    "display_phone_number": number.display_phone_number, "phone_number_id": number.phone_number_id,
                },
            });
            if let Some(contact) = &group[0].contact {
                value["contacts"] = json!([contact]);
            }
            value[group[0].kind.list()] = group.iter().map(|update| update.item.clone()).collect();
            json!({"field": "messages", "value": value})
        })
        .collect();
    json!({"object": "whatsapp_business_account", "entry": [{"id": number.business_account_id, "changes": changes}]})
}

/// Times in messages and statuses are strings of Unix seconds.
fn seconds(at: Millis) -> String {
    at.div_euclid(SECOND).to_string()
}
