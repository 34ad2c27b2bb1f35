//! The outbound queue, and the attempts at one message.

use std::collections::HashMap;

use sea_orm::{ColumnTrait, DatabaseConnection, EntityTrait, QueryFilter, QueryOrder, QuerySelect};

use super::{Clause, Found, Page, Span, Way, in_order, walk};
use crate::clock::Millis;
use crate::domain::delivery::Failure;
use crate::domain::ids::{ConversationId, MessageId};
use crate::domain::outbound::Priority;
use crate::store::entity::{attempt, message, queue};
use crate::store::{Error, QueueState, Store, bulk};

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
    /// A page of the queue, in the order of the messages' ids.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn list_queue(&self, filter: QueueFilter, page: Page) -> Result<Found<QueuedMessage>, Error> {
        self.list(move |db| async move {
            let found = walk(&db, &[way(&filter)], Span::default(), &page).await?;
            let mut rows = Vec::with_capacity(found.keys.len());
            for part in bulk::parts(&found.keys) {
                rows.extend(queued(&db, part).await?);
            }
            let rows = in_order(rows, &found.keys, &page, |row| row.id.0);
            Ok(Found { rows, rest: found.rest })
        })
        .await
    }

    /// The row of the queue of this message; `None` when it waits for nothing any more.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn find_queued(&self, id: MessageId) -> Result<Option<QueuedMessage>, Error> {
        self.read(move |db| async move { Ok(queued(&db, &[id.0]).await?.pop()) }).await
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

/// How rows are found: by their state, else from the newest on.
fn way(filter: &QueueFilter) -> Way {
    let state = filter.state.map(|state| Clause::new("state = ?", [state.as_str().into()]));
    let mut rest = Vec::new();
    if let Some(number) = &filter.phone_number_id {
        rest.push(Clause::new("phone_number_id = ?", [number.as_str().into()]));
    }
    if let Some(conversation) = filter.conversation {
        rest.push(Clause::new("conversation_id = ?", [conversation.0.into()]));
    }
    if let Some(code) = filter.code {
        let failed = [Clause::plain("message.id = queue.id"), Clause::new("error_code = ?", [code.into()])];
        rest.push(Clause::select("select 1 from message", &failed).exists());
    }
    Way::along("queue", "id", state.into_iter().collect(), rest)
}

async fn queued(db: &DatabaseConnection, ids: &[i64]) -> Result<Vec<QueuedMessage>, Error> {
    let rows = queue::Entity::find().filter(queue::Column::Id.is_in(ids.iter().copied())).all(db).await?;
    let messages: Vec<(i64, String, Option<String>)> = message::Entity::find()
        .select_only()
        .columns([message::Column::Id, message::Column::Kind, message::Column::Error])
        .filter(message::Column::Id.is_in(ids.iter().copied()))
        .into_tuple()
        .all(db)
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
}
