//! Meta's webhook body, split into items: one for every message, status, error or other change in it.
//!
//! The webhook door calls [`parse`] on the verified bytes; recovery and replay call [`parse_payload`] on what was stored.
//! One body may hold up to 1,000 updates, for several phone numbers, from several accounts.
//! Source: Meta, webhooks overview and reference `messages`, 2026.
//!
//! What is deliberately not here: checking the signature ([`super::signature`]) and dedupe, which is a unique key in the
//! store; here that key is only made.
//!
//! Invariants:
//! - No body makes this panic, and a body with anything signed in it gives at least one item.
//! - An item that is malformed or unknown is kept raw and harms no other.
//! - [`Item::payload`] alone gives the same item again: same key, same body.

mod contacts;
mod content;
mod key;
mod message;
mod preference;
mod split;
mod status;
mod template;
#[cfg(test)]
mod tests;

use crate::domain::dedupe::DedupeKey;
use crate::domain::delivery::StatusUpdate;
use crate::domain::inbound::InboundMessage;
use crate::domain::template::News;
use crate::meta::object::Object;
pub use preference::Preference;
use split::Change;

/// One thing that Meta told us.
#[derive(Debug, Clone, PartialEq)]
pub struct Item {
    /// The same for every delivery of the same thing, and for nothing else: of `m:<number>:<wamid>` for a message, of
    /// `s:<number>:<wamid>:<status>[:<participant>…]` for a status, of everything that tells it from others for all else.
    pub dedupe_key: DedupeKey,
    /// Our phone number that it is about, as Meta's id; account-level changes have none.
    pub phone_number_id: Option<String>,
    /// The WhatsApp Business Account that it came from.
    pub business_account_id: Option<String>,
    /// This item alone, shaped like one change of Meta's envelope, its own part verbatim:
    /// `{"id":"<account>","field":"messages","value":{"metadata":{…},"contacts":[{…}],"messages":[{…}]}}`, with the `time`
    /// of its entry where Meta gives one.
    pub payload: String,
    /// What it is.
    pub body: Body,
}

/// What an item is.
#[derive(Debug, Clone, PartialEq)]
pub enum Body {
    /// A person wrote to us.
    Message(InboundMessage),
    /// One of our messages went a step further.
    Status(StatusUpdate),
    /// A person told WhatsApp whether they want our marketing messages.
    Preference(Preference),
    /// One of the account's templates changed.
    Template {
        /// Meta's field, such as `message_template_status_update`.
        field: String,
        /// What changed.
        news: News,
    },
    /// Something to keep and not to act on.
    Other {
        /// Meta's field (`account_update`, …); `messages` and `statuses` for one of those that names nobody or nothing, or
        /// was sent to a group; `errors` for an error report; `unknown` for what has no field.
        field: String,
    },
}

/// A body that cannot be split into items.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the webhook body is unreadable: {reason}")]
pub struct Unreadable {
    /// What is wrong with it, and where.
    pub reason: String,
}

/// Splits one body into its items, in Meta's order.
///
/// # Errors
/// When it is not UTF-8, not JSON, or not a JSON object. Any object gives items, even a strange one.
pub fn parse(body: &[u8]) -> Result<Vec<Item>, Unreadable> {
    let unreadable = |reason: String| Unreadable { reason };
    let text = std::str::from_utf8(body)
        .map_err(|e| unreadable(format!("it is not UTF-8 from byte {} on", e.valid_up_to())))?;
    let envelope = Object::parse(text).map_err(|e| unreadable(format!("it is not a JSON object: {e}")))?;
    let items = split::envelope(text.trim(), &envelope);
    // A name is read more leniently than a whole value: a control character in one comes to light here.
    if items.is_empty() { Err(unreadable("it is not JSON as a whole".to_owned())) } else { Ok(items) }
}

/// The item that a stored [`Item::payload`] holds; `None` when `payload` is not one of those.
#[must_use]
pub fn parse_payload(payload: &str) -> Option<Item> {
    let object = Object::parse(payload).ok()?;
    let change = Change::read(&object, object.get("id"), object.get("time"))?;
    let mut items = Vec::with_capacity(1);
    split::change(&change, &mut items);
    if items.len() == 1 { items.pop() } else { None }
}
