//! The outbound queue, and the attempts at one message.

use std::collections::HashMap;

use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect};

use super::{Page, page};
use crate::clock::Millis;
use crate::domain::delivery::Failure;
use crate::domain::ids::{ConversationId, MessageId};
use crate::domain::outbound::Priority;
use crate::store::entity::{attempt, message, queue};
use crate::store::{Error, QueueState, Store};

/// Which rows of the queue.
#[derive(Debug, Clone, Default)]
pub struct QueueFilter {
    /// In this state.
    pub state: Option<QueueState>,
    /// Of this number of ours.
    pub phone_number_id: Option<String>,
    /// Of this conversation.
    pub conversation: Option<ConversationId>,
    /// That failed with this code: Meta's, or one of ours below zero.
    pub code: Option<i64>,
}

/// A message that waits to leave, is held, or failed and was not sent again.
#[derive(Debug, Clone)]
pub struct QueuedMessage {
    /// The message.
    pub id: MessageId,
    /// Its conversation.
    pub conversation: ConversationId,
    /// The number that it leaves from.
    pub phone_number_id: String,
    /// What becomes of it.
    pub state: QueueState,
    /// Its type.
    pub kind: String,
    /// Its class.
    pub priority: Priority,
    /// How often it was posted, or may have been.
    pub attempts: i32,
    /// When it is tried next; for one that is held, since when it is.
    pub due_at: Millis,
    /// When the event behind it was accepted.
    pub event_accepted_at: Millis,
    /// What was the matter last.
    pub reason: Option<String>,
    /// Why it failed.
    pub error: Option<Failure>,
}

/// One attempt at a message that did not end with Meta's id.
#[derive(Debug, Clone)]
pub struct StoredAttempt {
    /// When.
    pub at: Millis,
    /// `refused`, `not_sent`, `ambiguous`, `given_up` or `withheld`.
    pub outcome: String,
    /// Meta's code, or one of ours below zero.
    pub code: Option<i64>,
    /// Why, in Meta's words where Meta spoke.
    pub reason: String,
    /// Meta's `fbtrace_id`.
    pub trace: Option<String>,
}

impl Store {
    /// A page of the queue, the newest message first.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn list_queue(&self, filter: QueueFilter, page: Page) -> Result<Vec<QueuedMessage>, Error> {
        self.read(move |db| async move {
            let mut select = page!(queue::Entity::find(), queue::Column::Id, page);
            if let Some(state) = filter.state {
                select = select.filter(queue::Column::State.eq(state.as_str()));
            }
            if let Some(number) = &filter.phone_number_id {
                select = select.filter(queue::Column::PhoneNumberId.eq(number.as_str()));
            }
            if let Some(conversation) = filter.conversation {
                select = select.filter(queue::Column::ConversationId.eq(conversation.0));
            }
            if let Some(code) = filter.code {
                let failed = message::Entity::find()
                    .select_only()
                    .column(message::Column::Id)
                    .filter(message::Column::ErrorCode.eq(code));
                select =
                    select.filter(queue::Column::Id.in_subquery(sea_orm::QueryTrait::into_query(failed)));
            }
            let rows = select.all(&db).await?;
            let messages: Vec<(i64, String, Option<String>)> = message::Entity::find()
                .select_only()
                .columns([message::Column::Id, message::Column::Kind, message::Column::Error])
                .filter(message::Column::Id.is_in(rows.iter().map(|row| row.id)))
                .into_tuple()
                .all(&db)
                .await?;
            let mut messages: HashMap<i64, (String, Option<String>)> =
                messages.into_iter().map(|(id, kind, error)| (id, (kind, error))).collect();
            let view = |row: queue::Model| {
                let (kind, error) = messages.remove(&row.id).unwrap_or_default();
                Some(QueuedMessage {
                    id: MessageId(row.id),
                    conversation: ConversationId(row.conversation_id),
                    phone_number_id: row.phone_number_id,
                    state: QueueState::parse(&row.state)?,
                    kind,
                    priority: Priority::of_rank(row.priority),
                    attempts: row.attempts,
                    due_at: row.due_at,
                    event_accepted_at: row.event_accepted_at,
                    reason: row.reason,
                    error: error.and_then(|text| serde_json::from_str(&text).ok()),
                })
            };
            Ok(rows.into_iter().filter_map(view).collect())
        })
        .await
    }

    /// The row of the queue of this message; `None` when it waits for nothing any more.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn find_queued(&self, id: MessageId) -> Result<Option<QueuedMessage>, Error> {
        let page = Page { before: Some(id.0.saturating_add(1)), limit: 1 };
        let found = self.list_queue(QueueFilter::default(), page).await?;
        Ok(found.into_iter().find(|queued| queued.id == id))
    }

    /// The attempts at a message that did not end with Meta's id, the first one first.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn attempts(&self, message: MessageId) -> Result<Vec<StoredAttempt>, Error> {
        self.read(move |db| async move {
            let rows = attempt::Entity::find()
                .filter(attempt::Column::MessageId.eq(message.0))
                .order_by_asc(attempt::Column::Id)
                .all(&db)
                .await?;
            let view = |row: attempt::Model| StoredAttempt {
                at: row.at,
                outcome: row.outcome,
                code: row.code,
                reason: row.reason,
                trace: row.trace,
            };
            Ok(rows.into_iter().map(view).collect())
        })
        .await
    }
}
