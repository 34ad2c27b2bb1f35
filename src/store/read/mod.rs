//! What readers may see: pages ordered by id, newest first, by keyset and never by offset; and the counts.

mod events;
mod messages;
mod people;
mod queue;
mod statistics;

pub use events::StoredEvent;
pub(crate) use messages::inbound_content;
pub use messages::{MessageFilter, StoredMessage};
pub(in crate::store) use people::identity;
pub use people::{Standing, StoredContact, StoredConversation};
pub use queue::{QueueFilter, QueuedMessage, StoredAttempt};
pub use statistics::{Backlog, Statistics};

/// Which page: up to `limit` rows below `before`, newest first.
#[derive(Debug, Clone, Copy)]
pub struct Page {
    /// Rows with a lower id than this; `None` for the newest.
    pub before: Option<i64>,
    /// Rows at the most.
    pub limit: u64,
}

/// A page of `select`, newest first by the id in `column`.
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
pub(super) use page;
