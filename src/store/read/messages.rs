//! Messages, of either direction.

use sea_orm::{ColumnTrait, DatabaseConnection, EntityTrait, QueryFilter, QueryOrder, QuerySelect, Select};
use serde_json::{Value, json};

use super::{Page, page};
use crate::clock::Millis;
use crate::domain::delivery::{Failure, Status};
use crate::domain::ids::{ContactId, ConversationId, EventId, MediaId, MessageId};
use crate::domain::inbound::Content;
use crate::store::entity::{alias, contact, message, session};
use crate::store::statuses::{of_rank, rank};
use crate::store::{Error, MediaState, Store, media};

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
    /// The file that the person sent, and how far it has come.
    pub media: Option<(MediaId, MediaState)>,
    /// Meta's id.
    pub wamid: Option<String>,
    /// The `wamid` that it answers to.
    pub reply_to: Option<String>,
    /// How far it has come.
    pub status: Status,
    /// Why it failed.
    pub error: Option<Failure>,
    /// What Meta told of its price, as it came.
    pub pricing: Option<Value>,
    /// The failed message in whose place it was sent.
    pub resend_of: Option<MessageId>,
    /// The message that was sent in its place.
    pub resent_as: Option<MessageId>,
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
                let row =
                    alias::Entity::find().filter(alias::Column::Value.eq(person.as_str())).one(&db).await?;
                let Some(row) = row else { return Ok(Vec::new()) };
                contact = Some(row.contact_id);
            }
            if let Some(contact) = contact {
                let row = contact::Entity::find_by_id(contact).one(&db).await?;
                let contact = row.and_then(|row| row.merged_into).unwrap_or(contact);
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
                let row = session::Entity::find_by_id(conversation.0).one(&db).await?;
                let conversation = row.and_then(|row| row.merged_into).unwrap_or(conversation.0);
                select = select.filter(message::Column::ConversationId.eq(conversation));
            }
            select = narrowed(select, &filter);
            let mut messages = select.all(&db).await?.into_iter().map(stored_message).collect::<Vec<_>>();
            with_files(&db, &mut messages).await?;
            Ok(messages)
        })
        .await
    }

    /// A message by its id.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn find_message(&self, id: MessageId) -> Result<Option<StoredMessage>, Error> {
        self.read(move |db| async move {
            let mut found = message::Entity::find_by_id(id.0).one(&db).await?.map(stored_message);
            with_files(&db, found.as_mut_slice()).await?;
            Ok(found)
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
        let ranks = Status::ALL.into_iter().filter(|other| other.as_str() == status.as_str()).map(rank);
        select = select.filter(message::Column::Status.is_in(ranks));
    }
    select
}

/// Adds how far the files in inbound messages have come.
async fn with_files(db: &DatabaseConnection, messages: &mut [StoredMessage]) -> Result<(), Error> {
    let came = messages.iter().filter(|message| message.direction == "in").map(|message| message.id.0);
    let states = media::states(db, came.collect()).await?;
    for message in messages {
        // An inbound file has the id of its message.
        message.media = states.get(&message.id.0).map(|state| (MediaId(message.id.0), *state));
    }
    Ok(())
}

fn stored_message(row: message::Model) -> StoredMessage {
    let status = of_rank(row.status);
    // A failure that Meta's later word has overtaken is none: it stays among the attempts.
    let error = row.error.filter(|_| status.is_failure());
    StoredMessage {
        id: MessageId(row.id),
        conversation: ConversationId(row.conversation_id),
        contact: ContactId(row.contact_id),
        phone_number_id: row.phone_number_id,
        event: EventId(row.event_id),
        direction: row.direction,
        kind: row.kind,
        body: row.body,
        media: None,
        content: row.content.and_then(|text| serde_json::from_str(&text).ok()),
        wamid: row.wamid,
        reply_to: row.reply_to,
        status,
        error: error.and_then(|text| serde_json::from_str(&text).ok()),
        pricing: row.pricing.and_then(|text| serde_json::from_str(&text).ok()),
        resend_of: row.resend_of.map(MessageId),
        resent_as: row.resent_as.map(MessageId),
        created_at: row.created_at,
        accepted_at: row.accepted_at,
        sent_at: row.sent_at,
        delivered_at: row.delivered_at,
        read_at: row.read_at,
        failed_at: row.failed_at,
    }
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
