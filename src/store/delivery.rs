//! Deliveries: what an outlet is to be told, each with how far it has come. They are taken over from the feed in order, with
//! how far that has come in the same transaction, so that none is left out and none is there twice.

use sea_orm::{
    ColumnTrait, ConnectionTrait, DbErr, EntityTrait, QueryFilter, QueryOrder, Set, Statement, Value,
};
use tokio::sync::watch;

use crate::clock::Millis;
use crate::domain::ids::{ConversationId, DeliveryId};
use crate::domain::notice::{Alarm, News, NoticeId};
use crate::store::batch::{Reply, Scope};
use crate::store::entity::delivery::{ActiveModel, Column, Entity};
use crate::store::identity::execute;
use crate::store::read::stored_delivery;
use crate::store::request::Request;
use crate::store::{Error, Store, bulk, text};

/// Rows that one job drops.
const DROPPED_AT_ONCE: i64 = 1_000;

/// How far a delivery has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeliveryState {
    /// It is to be made, or was tried and will be again.
    Waiting,
    /// The outlet took it.
    Delivered,
    /// It was not taken until the deadline; a person can send it again.
    Dead,
    /// What it would tell of was erased.
    Erased,
}

impl DeliveryState {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Waiting, Self::Delivered, Self::Dead, Self::Erased];

    /// As stored and shown.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Delivered => "delivered",
            Self::Dead => "dead",
            Self::Erased => "erased",
        }
    }

    /// The state with this name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == name)
    }
}

/// A delivery that is to be made.
#[derive(Debug, Clone, PartialEq)]
pub struct Delivery {
    /// Its row.
    pub id: DeliveryId,
    /// What it tells: the same id however often it is tried, and for whichever outlet.
    pub notice: NoticeId,
    /// What happened.
    pub news: News,
    /// When.
    pub happened_at: Millis,
    /// The line in which it stands: its conversation's, or that of everything without one.
    pub lane: Option<ConversationId>,
    /// How often it was tried.
    pub attempts: u32,
    /// Not before this moment.
    pub due_at: Millis,
    /// From when on its deadline counts.
    pub since: Millis,
}

/// What became of an attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeliverySettle {
    /// Of which delivery.
    pub id: DeliveryId,
    /// To which outlet.
    pub outlet: String,
    /// How far it has come.
    pub state: DeliveryState,
    /// How often it was tried.
    pub attempts: u32,
    /// When it is tried next, where it waits.
    pub due_at: Millis,
    /// The HTTP status of the answer, if there was one.
    pub status: Option<u16>,
    /// What is the matter.
    pub reason: Option<String>,
}

/// What is to be written about deliveries.
#[derive(Debug, Clone)]
pub(crate) enum DeliveryWrite {
    Fill { outlet: String, come_to: NoticeId, deliveries: Vec<Delivery>, missed: bool },
    Settle(Vec<DeliverySettle>),
    Again(DeliveryId),
    Forget(Millis),
}

impl Store {
    /// Changes whenever a delivery is to be made again.
    #[must_use]
    pub fn again(&self) -> watch::Receiver<u64> {
        self.0.gauge.again.subscribe()
    }

    /// How far an outlet has taken over the feed, and what it is to be told, in order. `None` for an outlet that is new.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn find_outlet(&self, name: &str) -> Result<Option<(NoticeId, Vec<Delivery>)>, Error> {
        let name = name.to_owned();
        self.list(move |db| async move {
            let sql = "select come_to, place from outlet where name = $1";
            let statement =
                Statement::from_sql_and_values(db.get_database_backend(), sql, [name.as_str().into()]);
            let Some(row) = db.query_one_raw(statement).await? else { return Ok(None) };
            let place: i64 = row.try_get_by_index(1)?;
            let come_to =
                NoticeId { commit: row.try_get_by_index(0)?, place: place.try_into().unwrap_or(u32::MAX) };
            let rows = Entity::find()
                .filter(Column::Outlet.eq(name))
                .filter(Column::State.eq(DeliveryState::Waiting.as_str()))
                .order_by_asc(Column::Id)
                .all(&db)
                .await?;
            let waiting: Result<Vec<Delivery>, Error> =
                rows.into_iter().map(|row| Ok(stored_delivery(row)?.delivery)).collect();
            Ok(Some((come_to, waiting?)))
        })
        .await
    }

    /// Takes over from the feed what an outlet is to be told, up to `come_to`. `missed` says that the feed no longer had all
    /// of it.
    ///
    /// # Errors
    /// When the database refuses. Whether it was done is then unknown: ask with [`Store::find_outlet`].
    pub async fn fill_outlet(
        &self,
        outlet: &str,
        come_to: NoticeId,
        deliveries: Vec<Delivery>,
        missed: bool,
    ) -> Result<(), Error> {
        let outlet = outlet.to_owned();
        self.ask(Request::Delivery(DeliveryWrite::Fill { outlet, come_to, deliveries, missed }))
            .await
            .map(drop)
    }

    /// Writes down what became of attempts.
    ///
    /// # Errors
    /// When the database refuses: ask again, or the deliveries are made once more.
    pub async fn settle_deliveries(&self, settles: Vec<DeliverySettle>) -> Result<(), Error> {
        self.ask(Request::Delivery(DeliveryWrite::Settle(settles))).await.map(drop)
    }

    /// A delivery that is done with is made once more, under the same id. False when it waits, or is not there.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn deliver_again(&self, id: DeliveryId) -> Result<bool, Error> {
        self.changed(Request::Delivery(DeliveryWrite::Again(id))).await
    }

    /// Drops deliveries that were done with before `at`.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn forget_deliveries(&self, at: Millis) -> Result<(), Error> {
        while self.changed(Request::Delivery(DeliveryWrite::Forget(at))).await? {}
        Ok(())
    }
}

pub(crate) async fn write(scope: &mut Scope<'_>, write: &DeliveryWrite) -> Result<Reply, DbErr> {
    match write {
        DeliveryWrite::Fill { outlet, come_to, deliveries, missed } => {
            if *missed {
                scope.news.push(News::Alarm(Alarm::OutletMissed(outlet.clone())));
            }
            fill(scope, outlet, *come_to, deliveries).await.map(|()| Reply::Unit)
        }
        DeliveryWrite::Settle(settles) => settle(scope, settles).await.map(|()| Reply::Unit),
        DeliveryWrite::Again(id) => again(scope, *id).await.map(Reply::Changed),
        DeliveryWrite::Forget(at) => {
            let sql = "delete from delivery where id in \
                       (select id from delivery where done_at < $1 order by done_at limit $2)";
            let dropped = execute(scope, sql, [(*at).into(), DROPPED_AT_ONCE.into()]).await?;
            Ok(Reply::Changed(i64::try_from(dropped) == Ok(DROPPED_AT_ONCE)))
        }
    }
}

async fn fill(
    scope: &Scope<'_>,
    outlet: &str,
    come_to: NoticeId,
    deliveries: &[Delivery],
) -> Result<(), DbErr> {
    let mut rows = Vec::with_capacity(deliveries.len());
    for delivery in deliveries {
        let news = serde_json::to_string(&delivery.news).map_err(|error| DbErr::Json(error.to_string()))?;
        rows.push(ActiveModel {
            id: Set(delivery.id.0),
            outlet: Set(outlet.to_owned()),
            commit_id: Set(delivery.notice.commit),
            place: Set(delivery.notice.place.into()),
            news: Set(news),
            happened_at: Set(delivery.happened_at),
            lane: Set(delivery.lane.map_or(0, |lane| lane.0)),
            state: Set(DeliveryState::Waiting.as_str().to_owned()),
            attempts: Set(0),
            due_at: Set(delivery.due_at),
            since: Set(delivery.since),
            created_at: Set(scope.now),
            done_at: Set(None),
            status: Set(None),
            reason: Set(None),
        });
    }
    for part in bulk::parts(&rows) {
        Entity::insert_many(part.iter().cloned()).exec_without_returning(scope.tx).await?;
    }
    let sql = "insert into outlet (name, come_to, place) values ($1, $2, $3) \
               on conflict (name) do update set come_to = excluded.come_to, place = excluded.place";
    let place = i64::from(come_to.place);
    execute(scope, sql, [outlet.into(), come_to.commit.into(), place.into()]).await.map(drop)
}

async fn settle(scope: &mut Scope<'_>, settles: &[DeliverySettle]) -> Result<(), DbErr> {
    let rows: Vec<Vec<Value>> = settles
        .iter()
        .map(|settle| {
            let done_at = (settle.state != DeliveryState::Waiting).then_some(scope.now);
            vec![
                settle.id.0.into(),
                settle.state.as_str().into(),
                i32::try_from(settle.attempts).unwrap_or(i32::MAX).into(),
                settle.due_at.into(),
                done_at.into(),
                settle.status.map(i32::from).into(),
                settle.reason.as_deref().map(text).into(),
            ]
        })
        .collect();
    let columns = ["id", "state", "attempts", "due_at", "done_at", "status", "reason"];
    let set = "update delivery set state = v.state, attempts = v.attempts, due_at = v.due_at, done_at = v.done_at, \
               status = v.status, reason = v.reason from v where delivery.id = v.id and delivery.state = 'waiting'";
    bulk::with_values(scope.tx, &columns, rows, set).await?;
    let mut dead: Vec<&str> = settles
        .iter()
        .filter(|settle| settle.state == DeliveryState::Dead)
        .map(|settle| settle.outlet.as_str())
        .collect();
    dead.dedup();
    scope.news.extend(dead.into_iter().map(|outlet| News::Alarm(Alarm::DeliveryDead(outlet.to_owned()))));
    Ok(())
}

async fn again(scope: &mut Scope<'_>, id: DeliveryId) -> Result<bool, DbErr> {
    let sql = "update delivery set state = 'waiting', attempts = 0, due_at = $1, since = $2, done_at = null \
               where state <> 'waiting' and id = $3";
    let changed = execute(scope, sql, [scope.now.into(), scope.now.into(), id.0.into()]).await? > 0;
    scope.after.again |= changed;
    Ok(changed)
}
