//! What readers may see: pages ordered by id, newest first, by keyset and never by offset; and the counts.

use std::collections::BTreeMap;

use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect, Select};
use serde_json::{Value, json};

use crate::clock::Millis;
use crate::domain::contact::Identity;
use crate::domain::delivery::{Failure, Status};
use crate::domain::ids::{ContactId, ConversationId, EventId, MessageId};
use crate::domain::inbound::Content;
use crate::store::entity::{contact, counter, message, queue, session, webhook};
use crate::store::statuses::{of_rank, rank};
use crate::store::{Error, Store, response_bucket_ms};

/// Which page: up to `limit` rows below `before`, newest first.
#[derive(Debug, Clone, Copy)]
pub struct Page {
    /// Rows with a lower id than this; `None` for the newest.
    pub before: Option<i64>,
    /// Rows at the most.
    pub limit: u64,
}

/// Which messages.
#[derive(Debug, Clone, Default)]
pub struct MessageFilter {
    /// Of this conversation.
    pub conversation: Option<ConversationId>,
    /// Of this person.
    pub contact: Option<ContactId>,
    /// From or to this phone number (digits) or business-scoped id.
    pub person: Option<String>,
    /// Through this number of ours.
    pub phone_number_id: Option<String>,
    /// `in` or `out`.
    pub direction: Option<String>,
    /// Of this type.
    pub kind: Option<String>,
    /// That have come exactly this far.
    pub status: Option<Status>,
}

/// A stored message.
#[derive(Debug, Clone)]
pub struct StoredMessage {
    /// Its id.
    pub id: MessageId,
    /// Its conversation.
    pub conversation: ConversationId,
    /// The person.
    pub contact: ContactId,
    /// Our number.
    pub phone_number_id: String,
    /// The event that it is, or that it answers.
    pub event: EventId,
    /// `in` or `out`.
    pub direction: String,
    /// Its type.
    pub kind: String,
    /// The words in it.
    pub body: Option<String>,
    /// The whole of it, as JSON.
    pub content: Option<Value>,
    /// Meta's id.
    pub wamid: Option<String>,
    /// The `wamid` that it answers to.
    pub reply_to: Option<String>,
    /// How far it has come.
    pub status: Status,
    /// Why it failed.
    pub error: Option<Failure>,
    /// When it was stored.
    pub created_at: Millis,
    /// When Meta took it.
    pub accepted_at: Option<Millis>,
    /// When it left (by Meta's clock); for an inbound one, when the person sent it.
    pub sent_at: Option<Millis>,
    /// When it reached the device.
    pub delivered_at: Option<Millis>,
    /// When it was seen or played.
    pub read_at: Option<Millis>,
    /// When it failed.
    pub failed_at: Option<Millis>,
}

/// A stored person.
#[derive(Debug, Clone)]
pub struct StoredContact {
    /// Their id.
    pub id: ContactId,
    /// Who they are.
    pub identity: Identity,
    /// When they asked for silence.
    pub opted_out_at: Option<Millis>,
    /// When they first wrote or were written to.
    pub created_at: Millis,
}

/// A stored conversation.
#[derive(Debug, Clone)]
pub struct StoredConversation {
    /// Its id.
    pub id: ConversationId,
    /// The person.
    pub contact: ContactId,
    /// Who they are.
    pub identity: Identity,
    /// Our number.
    pub phone_number_id: String,
    /// Turns committed.
    pub version: i64,
    /// Where its flow stands.
    pub state: Option<String>,
    /// Whether a person has taken over.
    pub handed_off: bool,
    /// When the person last wrote.
    pub last_inbound_at: Option<Millis>,
    /// When it began.
    pub created_at: Millis,
    /// When it last changed.
    pub updated_at: Millis,
}

/// A stored event.
#[derive(Debug, Clone)]
pub struct StoredEvent {
    /// Its id.
    pub id: EventId,
    /// `message`, `status`, `command`, `timer`, `unreadable`, or Meta's field.
    pub kind: String,
    /// `accepted`, `done`, `ignored`, `parked` or `quarantined`.
    pub state: String,
    /// Its conversation.
    pub conversation: Option<ConversationId>,
    /// Our number.
    pub phone_number_id: Option<String>,
    /// Attempts at its turn after the first.
    pub attempts: i32,
    /// Why it is in its state.
    pub reason: Option<String>,
    /// It, as it came.
    pub payload: String,
    /// When it was accepted.
    pub accepted_at: Millis,
    /// When it was done with.
    pub done_at: Option<Millis>,
}

/// The counts of all time.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Statistics {
    /// Messages from people.
    pub received: i64,
    /// Messages to people.
    pub sent: i64,
    /// Conversations begun: people, per number of ours.
    pub contacts: i64,
    /// Received, by type.
    pub received_by_type: BTreeMap<String, i64>,
    /// Sent, by type.
    pub sent_by_type: BTreeMap<String, i64>,
    /// Sent, by how far they have come.
    pub sent_by_status: BTreeMap<String, i64>,
    /// Menu options, by state and label, and how often each was chosen.
    pub chosen: Vec<(String, String, i64)>,
    /// Replies whose response time is known.
    pub responses: i64,
    /// Accept to Meta's id, in milliseconds: the median, to within 9 %.
    pub response_p50_ms: Option<Millis>,
    /// The 95th percentile.
    pub response_p95_ms: Option<Millis>,
    /// The 99th percentile.
    pub response_p99_ms: Option<Millis>,
}

/// What waits to be sent.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Backlog {
    /// Rows by state.
    pub by_state: BTreeMap<String, i64>,
    /// The oldest that is not dead: when the event behind it was accepted.
    pub oldest_at: Option<Millis>,
    /// The oldest event that is accepted and not done.
    pub oldest_unfinished_at: Option<Millis>,
    /// Events put aside.
    pub quarantined: i64,
}

macro_rules! page {
    ($select:expr, $column:expr, $page:expr) => {{
        let page: Page = $page;
        let mut select = $select.order_by_desc($column).limit(page.limit);
        if let Some(before) = page.before {
            select = select.filter($column.lt(before));
        }
        select
    }};
}

impl Store {
    /// A page of messages, newest first.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn list_messages(
        &self,
        filter: MessageFilter,
        page: Page,
    ) -> Result<Vec<StoredMessage>, Error> {
        self.read(move |db| async move {
            let mut select = page!(message::Entity::find(), message::Column::Id, page);
            let mut contact = filter.contact.map(|id| id.0);
            if let Some(person) = &filter.person {
                use crate::store::entity::alias;
                let row =
                    alias::Entity::find().filter(alias::Column::Value.eq(person.as_str())).one(&db).await?;
                let Some(row) = row else { return Ok(Vec::new()) };
                contact = Some(row.contact_id);
            }
            if let Some(contact) = contact {
                let lines: Vec<i64> = session::Entity::find()
                    .filter(session::Column::ContactId.eq(contact))
                    .select_only()
                    .column(session::Column::Id)
                    .into_tuple()
                    .all(&db)
                    .await?;
                select = select.filter(message::Column::ConversationId.is_in(lines));
            }
            if let Some(conversation) = filter.conversation {
                select = select.filter(message::Column::ConversationId.eq(conversation.0));
            }
            select = narrowed(select, &filter);
            Ok(select.all(&db).await?.into_iter().map(stored_message).collect())
        })
        .await
    }

    /// A message by its id.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn find_message(&self, id: MessageId) -> Result<Option<StoredMessage>, Error> {
        self.read(move |db| async move {
            Ok(message::Entity::find_by_id(id.0).one(&db).await?.map(stored_message))
        })
        .await
    }

    /// A page of people, newest first.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn list_contacts(&self, page: Page) -> Result<Vec<StoredContact>, Error> {
        self.read(move |db| async move {
            let rows = page!(contact::Entity::find(), contact::Column::Id, page).all(&db).await?;
            let view = |row: contact::Model| StoredContact {
                id: ContactId(row.id),
                opted_out_at: row.opted_out_at,
                created_at: row.created_at,
                identity: identity(row),
            };
            Ok(rows.into_iter().map(view).collect())
        })
        .await
    }

    /// A page of conversations, the newest begun first; of one person or one id where asked.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn list_conversations(
        &self,
        id: Option<ConversationId>,
        page: Page,
    ) -> Result<Vec<StoredConversation>, Error> {
        self.read(move |db| async move {
            let mut select = page!(session::Entity::find(), session::Column::Id, page);
            if let Some(id) = id {
                select = select.filter(session::Column::Id.eq(id.0));
            }
            let rows = select.all(&db).await?;
            let people = contact::Entity::find()
                .filter(contact::Column::Id.is_in(rows.iter().map(|row| row.contact_id)))
                .all(&db)
                .await?;
            let people: BTreeMap<i64, contact::Model> = people.into_iter().map(|row| (row.id, row)).collect();
            let view = |row: session::Model| StoredConversation {
                id: ConversationId(row.id),
                contact: ContactId(row.contact_id),
                identity: people.get(&row.contact_id).cloned().map(identity).unwrap_or_default(),
                phone_number_id: row.phone_number_id,
                version: row.version,
                state: row.state,
                handed_off: row.handed_off,
                last_inbound_at: row.last_inbound_at,
                created_at: row.created_at,
                updated_at: row.updated_at,
            };
            Ok(rows.into_iter().map(view).collect())
        })
        .await
    }

    /// A page of events, newest first; in one state where asked.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn list_events(&self, state: Option<String>, page: Page) -> Result<Vec<StoredEvent>, Error> {
        self.read(move |db| async move {
            let mut select = page!(webhook::Entity::find(), webhook::Column::Id, page);
            if let Some(state) = state {
                select = select.filter(webhook::Column::State.eq(state));
            }
            Ok(select.all(&db).await?.into_iter().map(stored_event).collect())
        })
        .await
    }

    /// The event that was accepted under this key.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn find_event(&self, dedupe_key: &str) -> Result<Option<StoredEvent>, Error> {
        let key = dedupe_key.to_owned();
        self.read(move |db| async move {
            let row = webhook::Entity::find().filter(webhook::Column::DedupeKey.eq(key)).one(&db).await?;
            Ok(row.map(stored_event))
        })
        .await
    }

    /// The counts of all time, of one number of ours or of all together.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn statistics(&self, phone_number_id: Option<String>) -> Result<Statistics, Error> {
        self.read(move |db| async move {
            let mut select = counter::Entity::find().filter(counter::Column::Hour.eq(0));
            if let Some(number) = phone_number_id {
                select = select.filter(counter::Column::PhoneNumberId.eq(number));
            }
            let mut counts: BTreeMap<String, i64> = BTreeMap::new();
            for row in select.all(&db).await? {
                *counts.entry(row.name).or_default() += row.value;
            }
            Ok(statistics(counts))
        })
        .await
    }

    /// What waits to be sent or to be done.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn backlog(&self) -> Result<Backlog, Error> {
        self.read(move |db| async move {
            let by_state: Vec<(String, i64)> = queue::Entity::find()
                .select_only()
                .column(queue::Column::State)
                .column_as(queue::Column::Id.count(), "rows")
                .group_by(queue::Column::State)
                .into_tuple()
                .all(&db)
                .await?;
            let oldest = queue::Entity::find()
                .select_only()
                .column_as(queue::Column::EventAcceptedAt.min(), "oldest")
                .filter(queue::Column::State.ne("dead"))
                .into_tuple::<Option<i64>>()
                .one(&db)
                .await?;
            let unfinished = webhook::Entity::find()
                .select_only()
                .column_as(webhook::Column::AcceptedAt.min(), "oldest")
                .filter(webhook::Column::State.eq("accepted"))
                .into_tuple::<Option<i64>>()
                .one(&db)
                .await?;
            let quarantined = webhook::Entity::find()
                .select_only()
                .column_as(webhook::Column::Id.count(), "rows")
                .filter(webhook::Column::State.eq("quarantined"))
                .into_tuple::<i64>()
                .one(&db)
                .await?;
            Ok(Backlog {
                by_state: by_state.into_iter().collect(),
                oldest_at: oldest.flatten(),
                oldest_unfinished_at: unfinished.flatten(),
                quarantined: quarantined.unwrap_or(0),
            })
        })
        .await
    }
}

fn narrowed(mut select: Select<message::Entity>, filter: &MessageFilter) -> Select<message::Entity> {
    if let Some(number) = &filter.phone_number_id {
        select = select.filter(message::Column::PhoneNumberId.eq(number.as_str()));
    }
    if let Some(direction) = &filter.direction {
        select = select.filter(message::Column::Direction.eq(direction.as_str()));
    }
    if let Some(kind) = &filter.kind {
        select = select.filter(message::Column::Kind.eq(kind.as_str()));
    }
    if let Some(status) = filter.status {
        select = select.filter(message::Column::Status.eq(rank(status)));
    }
    select
}

fn identity(row: contact::Model) -> Identity {
    Identity {
        wa_id: row.wa_id,
        user_id: row.user_id,
        parent_user_id: row.parent_user_id,
        name: row.name,
        username: row.username,
    }
}

fn stored_message(row: message::Model) -> StoredMessage {
    StoredMessage {
        id: MessageId(row.id),
        conversation: ConversationId(row.conversation_id),
        contact: ContactId(row.contact_id),
        phone_number_id: row.phone_number_id,
        event: EventId(row.event_id),
        direction: row.direction,
        kind: row.kind,
        body: row.body,
        content: row.content.and_then(|text| serde_json::from_str(&text).ok()),
        wamid: row.wamid,
        reply_to: row.reply_to,
        status: of_rank(row.status),
        error: row.error.and_then(|text| serde_json::from_str(&text).ok()),
        created_at: row.created_at,
        accepted_at: row.accepted_at,
        sent_at: row.sent_at,
        delivered_at: row.delivered_at,
        read_at: row.read_at,
        failed_at: row.failed_at,
    }
}

fn stored_event(row: webhook::Model) -> StoredEvent {
    StoredEvent {
        id: EventId(row.id),
        kind: row.kind,
        state: row.state,
        conversation: row.conversation_id.map(ConversationId),
        phone_number_id: row.phone_number_id,
        attempts: row.attempts,
        reason: row.reason,
        payload: row.payload,
        accepted_at: row.accepted_at,
        done_at: row.done_at,
    }
}

fn statistics(counts: BTreeMap<String, i64>) -> Statistics {
    let mut all = Statistics::default();
    let mut responses: BTreeMap<i64, i64> = BTreeMap::new();
    for (name, value) in counts.into_iter().filter(|(_, value)| *value != 0) {
        match name.split_once(':') {
            None if name == "in" => all.received = value,
            None if name == "out" => all.sent = value,
            None if name == "contacts" => all.contacts = value,
            Some(("in", kind)) => _ = all.received_by_type.insert(kind.to_owned(), value),
            Some(("out", kind)) => _ = all.sent_by_type.insert(kind.to_owned(), value),
            Some(("status", status)) => _ = all.sent_by_status.insert(status.to_owned(), value),
            Some(("response", bucket)) => _ = responses.insert(bucket.parse().unwrap_or(0), value),
            Some(("chosen", choice)) => {
                let (state, option) = choice.split_once(':').unwrap_or((choice, ""));
                all.chosen.push((state.to_owned(), option.to_owned(), value));
            }
            None | Some(_) => {}
        }
    }
    all.chosen.sort_by(|a, b| b.2.cmp(&a.2).then_with(|| a.cmp(b)));
    all.responses = responses.values().sum();
    all.response_p50_ms = percentile(&responses, 50);
    all.response_p95_ms = percentile(&responses, 95);
    all.response_p99_ms = percentile(&responses, 99);
    all
}

fn percentile(buckets: &BTreeMap<i64, i64>, percent: i64) -> Option<Millis> {
    let total: i64 = buckets.values().sum();
    let wanted = (total * percent + 99) / 100;
    let mut seen = 0;
    buckets.iter().find_map(|(bucket, count)| {
        seen += count;
        (seen >= wanted.max(1)).then(|| response_bucket_ms(*bucket))
    })
}

/// What of an inbound message's content is not in its text; the raw JSON stays with its event.
pub(crate) fn inbound_content(content: &Content) -> Option<String> {
    let value = match content {
        Content::Text { .. } => return None,
        Content::Media(media) => serde_json::to_value(media).ok()?,
        Content::Location { latitude, longitude, name, address } => {
            json!({"latitude": latitude, "longitude": longitude, "name": name, "address": address})
        }
        Content::Contacts(cards) => cards.clone(),
        Content::Reaction { wamid, emoji } => json!({"wamid": wamid, "emoji": emoji}),
        Content::Choice { id, title } => json!({"id": id, "title": title}),
        Content::Form { data } => data.clone(),
        Content::Order(order) => order.clone(),
        Content::System { kind, previous, body, now } => {
            json!({"kind": kind, "previous": previous, "body": body, "now": now})
        }
        Content::Edit { wamid, text } => json!({"wamid": wamid, "text": text}),
        Content::Revoke { wamid } => json!({"wamid": wamid}),
        Content::Unsupported { kind, code } => json!({"kind": kind, "code": code}),
        Content::Unknown { kind } => json!({"kind": kind}),
    };
    Some(value.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_read_off_the_buckets() {
        let counts: BTreeMap<String, i64> = [("response:0", 50), ("response:8", 45), ("response:80", 5)]
            .map(|(k, v)| (k.to_owned(), v))
            .into();
        let all = statistics(counts);
        assert_eq!((all.responses, all.response_p50_ms, all.response_p95_ms), (100, Some(0), Some(1)));
        assert_eq!(all.response_p99_ms, Some(1023));
        assert_eq!(statistics(BTreeMap::new()).response_p50_ms, None);
    }
}
