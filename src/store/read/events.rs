//! Events, as they came and with what became of them.

use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect};

use super::{Page, page};
use crate::clock::Millis;
use crate::domain::ids::{ConversationId, EventId};
use crate::store::entity::webhook;
use crate::store::{Error, Store};

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

impl Store {
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
