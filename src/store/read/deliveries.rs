//! The log of deliveries.

use sea_orm::{ColumnTrait, DatabaseConnection, EntityTrait, QueryFilter};

use super::{Clause, Found, Page, Span, Way, in_order, walk};
use crate::clock::Millis;
use crate::domain::ids::{ConversationId, DeliveryId};
use crate::domain::notice::NoticeId;
use crate::store::entity::delivery::{Column, Entity, Model};
use crate::store::{Delivery, DeliveryState, Error, Store, bulk};

/// A delivery as it is stored.
#[derive(Debug, Clone)]
pub struct StoredDelivery {
    /// It.
    pub delivery: Delivery,
    /// To which outlet.
    pub outlet: String,
    /// How far it has come.
    pub state: DeliveryState,
    /// When it was taken over from the feed.
    pub created_at: Millis,
    /// When it was done with.
    pub done_at: Option<Millis>,
    /// The HTTP status of the last answer.
    pub status: Option<u16>,
    /// What was the matter last.
    pub reason: Option<String>,
}

/// Which deliveries.
#[derive(Debug, Clone, Default)]
pub struct DeliveryFilter {
    /// To this outlet.
    pub outlet: Option<String>,
    /// That have come so far.
    pub state: Option<DeliveryState>,
}

impl Store {
    /// A page of the delivery log, in the order in which deliveries were taken over.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn list_deliveries(
        &self,
        filter: DeliveryFilter,
        page: Page,
    ) -> Result<Found<StoredDelivery>, Error> {
        self.list(move |db| async move {
            let found = walk(&db, &[way(&filter)], Span::default(), &page).await?;
            let mut rows = Vec::with_capacity(found.keys.len());
            for part in bulk::parts(&found.keys) {
                rows.extend(by_id(&db, part).await?);
            }
            let rows = in_order(rows, &found.keys, &page, |row| row.delivery.id.0);
            Ok(Found { rows, rest: found.rest })
        })
        .await
    }

    /// A delivery by its id.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn find_delivery(&self, id: DeliveryId) -> Result<Option<StoredDelivery>, Error> {
        self.read(move |db| async move { Ok(by_id(&db, &[id.0]).await?.pop()) }).await
    }
}

/// How deliveries are found: by the outlet, else the dead by an index of their own, else from the newest on.
fn way(filter: &DeliveryFilter) -> Way {
    let state = filter.state.map(|state| Clause::plain(format!("state = '{}'", state.as_str())));
    let few = matches!(filter.state, Some(DeliveryState::Dead));
    let outlet = filter.outlet.as_ref().map(|outlet| Clause::new("outlet = ?", [outlet.as_str().into()]));
    let (on, rest): (Vec<Clause>, Vec<Clause>) = match (outlet, state) {
        (Some(outlet), Some(state)) if few => (vec![state], vec![outlet]),
        (None, Some(state)) if few => (vec![state], Vec::new()),
        (Some(outlet), state) => (vec![outlet], state.into_iter().collect()),
        (None, state) => (Vec::new(), state.into_iter().collect()),
    };
    Way::along("delivery", "id", on, rest)
}

async fn by_id(db: &DatabaseConnection, ids: &[i64]) -> Result<Vec<StoredDelivery>, Error> {
    let rows = Entity::find().filter(Column::Id.is_in(ids.iter().copied())).all(db).await?;
    rows.into_iter().map(stored_delivery).collect()
}

pub(in crate::store) fn stored_delivery(row: Model) -> Result<StoredDelivery, Error> {
    let unreadable = |reason: String| Error::Corrupt { what: "delivery", id: row.id, reason };
    let news = serde_json::from_str(&row.news).map_err(|error| unreadable(error.to_string()))?;
    let state = DeliveryState::parse(&row.state).ok_or_else(|| unreadable(format!("state {}", row.state)))?;
    Ok(StoredDelivery {
        delivery: Delivery {
            id: DeliveryId(row.id),
            notice: NoticeId { commit: row.commit_id, place: row.place.try_into().unwrap_or(u32::MAX) },
            news,
            happened_at: row.happened_at,
            lane: (row.lane != 0).then_some(ConversationId(row.lane)),
            attempts: row.attempts.try_into().unwrap_or(0),
            due_at: row.due_at,
            since: row.since,
        },
        outlet: row.outlet,
        state,
        created_at: row.created_at,
        done_at: row.done_at,
        status: row.status.and_then(|status| status.try_into().ok()),
        reason: row.reason,
    })
}
