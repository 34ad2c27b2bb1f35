//! What readers may see: pages ordered by a key that grows with time, by keyset and never by offset; and the counts.
//!
//! A page is found in two steps: first the keys of its rows (`walk`), then the rows. Each list says by which index it walks
//! for which filter, and what it has to look at row by row; how many rows it looks at for one page has a limit, so that a
//! page takes the same time wherever it is and however large the table.

mod access;
mod contacts;
mod conversations;
mod deliveries;
mod events;
mod media;
mod messages;
mod queue;
mod statistics;
mod templates;
mod walk;

pub use contacts::{ContactFilter, Standing, StoredContact, Who};
pub(in crate::store) use contacts::{identity, name_key};
pub(in crate::store) use conversations::conversations_by_id;
pub use conversations::{ConversationFilter, StoredConversation, StoredSession};
pub(in crate::store) use deliveries::stored_delivery;
pub use deliveries::{DeliveryFilter, StoredDelivery};
pub(in crate::store) use events::events_by_id;
pub use events::{EventFilter, PastEvent, STATES as EVENT_STATES, StoredEvent};
pub(crate) use messages::inbound_content;
pub(in crate::store) use messages::messages_by_id;
pub use messages::{MessageFilter, StoredMessage};
pub use queue::{QueueFilter, QueuedMessage, StoredAttempt};
pub use statistics::{Backlog, Every, Period, Statistics};
pub(in crate::store) use walk::Clause;
use walk::{Span, Way, in_order, walk};

use sea_orm::{ColumnTrait, DatabaseConnection, EntityTrait, QueryFilter};

use crate::clock::Millis;
use crate::store::{Error, bulk};

/// Which page of a list, which is ordered by a key that grows with time.
#[derive(Debug, Clone, Copy)]
pub struct Page {
    /// In which order the list is shown.
    pub order: Order,
    /// Where in the list.
    pub place: Place,
    /// Rows at the most.
    pub limit: u64,
}

/// The order of a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// Falling keys.
    NewestFirst,
    /// Growing keys.
    OldestFirst,
}

/// Where a page is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// At the beginning of the list.
    Start,
    /// The rows that come next after this key, in the order of the list.
    After(i64),
    /// The rows that come last before this key, in the order of the list.
    Before(i64),
}

impl Page {
    /// The newest `limit` rows.
    #[must_use]
    pub const fn newest(limit: u64) -> Self {
        Self { order: Order::NewestFirst, place: Place::Start, limit }
    }

    /// Whether its rows are looked for by falling keys.
    fn falls(&self) -> bool {
        (self.order == Order::NewestFirst) != matches!(self.place, Place::Before(_))
    }
}

/// A page.
#[derive(Debug, Clone)]
pub struct Found<T> {
    /// The rows, in the order of the list.
    pub rows: Vec<T>,
    /// The key behind which the list goes on, in the direction in which it was looked through: the last row's, or that of the
    /// last row that was looked at in vain. `None` at the end of the list.
    pub rest: Option<i64>,
}

impl<T> Found<T> {
    fn none() -> Self {
        Self { rows: Vec::new(), rest: None }
    }
}

/// The rows of a list's table with these keys, in no order.
async fn rows_of<E: EntityTrait>(
    db: &DatabaseConnection,
    key: E::Column,
    keys: &[i64],
) -> Result<Vec<E::Model>, Error> {
    let mut rows = Vec::with_capacity(keys.len());
    for part in bulk::parts(keys) {
        rows.extend(E::find().filter(key.is_in(part.iter().copied())).all(db).await?);
    }
    Ok(rows)
}

/// From when until when, the latter left out.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Times {
    /// At this time or later.
    pub since: Option<Millis>,
    /// Before this time.
    pub until: Option<Millis>,
}
