//! The feed: what happened, for those who listen, in the order in which it was committed.
//!
//! Every commit that there is something to tell of writes one row for all of it, in its own transaction: what is told
//! happened, and what happened is told. There is one writer, and the id of the row is given within the transaction, so what
//! is seen at an id has nothing uncommitted before it. The row holds ids and no contents ([`News`]): it is small, one insert
//! serves a batch of hundreds, and what is erased elsewhere is not here.
//!
//! The feed has an end: [`Store::forget_feed`] drops what is old, and writes down how far it has come.

use sea_orm::{
    ColumnTrait, ConnectionTrait, DatabaseConnection, DbErr, EntityTrait, QueryFilter, QueryOrder,
    QuerySelect, Select, SelectGetableTuple, Selector, Statement,
};
use tokio::sync::watch;

use crate::clock::{Ids, Millis};
use crate::domain::ids::{ConversationId, EventId, MessageId};
use crate::domain::notice::News;
use crate::store::batch::Scope;
use crate::store::entity::feed::{Column, Entity, Model};
use crate::store::identity::execute;
use crate::store::read::{self, StoredConversation, StoredEvent, StoredMessage};
use crate::store::request::Request;
use crate::store::{Error, Store};

/// Rows that one job drops: some milliseconds of the writer's time.
const DROPPED_AT_ONCE: u64 = 1_000;
/// The name under which it is written down how far the feed has been dropped.
const FORGOTTEN: &str = "feed";

/// What one commit tells.
#[derive(Debug, Clone)]
pub struct FeedRow {
    /// The commit.
    pub commit: i64,
    /// When that was.
    pub at: Millis,
    /// What happened, in order.
    pub news: Vec<News>,
}

/// What is kept of the feed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FeedEnds {
    /// Everything up to this commit has been dropped; 0 when nothing was.
    pub forgotten: i64,
    /// The newest commit that is told of.
    pub newest: i64,
}

/// What news are about, as it is stored now. What is not there any more is missing.
#[derive(Debug, Clone, Default)]
pub struct Subjects {
    /// The messages.
    pub messages: Vec<StoredMessage>,
    /// The conversations.
    pub conversations: Vec<StoredConversation>,
    /// The events.
    pub events: Vec<StoredEvent>,
}

impl Store {
    /// Changes whenever there may be more in the feed, or the database begins or ceases to take writes.
    #[must_use]
    pub fn told(&self) -> watch::Receiver<u64> {
        self.0.gauge.told.subscribe()
    }

    /// Where the feed begins and ends.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn feed_ends(&self) -> Result<FeedEnds, Error> {
        self.list(|db| async move { ends(&db).await }).await
    }

    /// What was told from the commit `from` on, `limit` commits at the most, with where the feed begins and ends.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn read_feed(&self, from: i64, limit: u64) -> Result<(Vec<FeedRow>, FeedEnds), Error> {
        self.list(move |db| async move {
            // The ends first: what is dropped after this is in the rows, or is seen to be missing the next time.
            let ends = ends(&db).await?;
            let rows = Entity::find()
                .filter(Column::Id.gte(from))
                .order_by_asc(Column::Id)
                .limit(limit)
                .all(&db)
                .await?;
            Ok((rows.into_iter().map(row).collect::<Result<_, _>>()?, ends))
        })
        .await
    }

    /// What these news are about.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn look_up(&self, wanted: Wanted) -> Result<Subjects, Error> {
        self.list(move |db| async move {
            Ok(Subjects {
                messages: read::messages_by_id(&db, &wanted.messages).await?,
                conversations: read::conversations_by_id(&db, &wanted.conversations).await?,
                events: read::events_by_id(&db, &wanted.events).await?,
            })
        })
        .await
    }

    /// Drops what was told before `at`, and all but the newest `rows` commits.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn forget_feed(&self, at: Millis, rows: u64) -> Result<(), Error> {
        let edge = self.list(move |db| async move {
            let old = Entity::find().filter(Column::Id.lt(Ids::lowest_at(at)));
            let old = newest(old).one(&db).await?;
            let many = newest(Entity::find().offset(rows)).one(&db).await?;
            Ok(old.max(many))
        });
        let Some(edge) = edge.await? else { return Ok(()) };
        while self.changed(Request::ForgetFeed(edge)).await? {}
        Ok(())
    }
}

/// The ids of what news are about, each kind for itself.
#[derive(Debug, Clone, Default)]
pub struct Wanted {
    /// Messages.
    pub messages: Vec<MessageId>,
    /// Conversations.
    pub conversations: Vec<ConversationId>,
    /// Events.
    pub events: Vec<EventId>,
}

/// The id of the newest of these rows.
fn newest(rows: Select<Entity>) -> Selector<SelectGetableTuple<i64>> {
    rows.select_only().column(Column::Id).order_by_desc(Column::Id).limit(1).into_tuple()
}

async fn ends(db: &DatabaseConnection) -> Result<FeedEnds, Error> {
    let newest = newest(Entity::find()).one(db).await?;
    let sql = "select position from follower where name = $1";
    let backend = db.get_database_backend();
    let row = db.query_one_raw(Statement::from_sql_and_values(backend, sql, [FORGOTTEN.into()])).await?;
    let forgotten = row.map_or(Ok(0), |row| row.try_get_by_index(0))?;
    Ok(FeedEnds { forgotten, newest: newest.unwrap_or(forgotten) })
}

fn row(row: Model) -> Result<FeedRow, Error> {
    let unreadable =
        |error: serde_json::Error| Error::Corrupt { what: "feed", id: row.id, reason: error.to_string() };
    let news = serde_json::from_str(&row.news).map_err(unreadable)?;
    Ok(FeedRow { commit: row.id, at: row.at, news })
}

/// Writes down what this batch has to tell.
pub(crate) async fn write(scope: &mut Scope<'_>) -> Result<(), DbErr> {
    if scope.news.is_empty() {
        return Ok(());
    }
    let news = serde_json::to_string(&std::mem::take(&mut scope.news))
        .map_err(|error| DbErr::Json(error.to_string()))?;
    let sql = "insert into feed (id, at, news) values ($1, $2, $3)";
    execute(scope, sql, [scope.ids.next().into(), scope.now.into(), news.into()]).await?;
    scope.after.told = true;
    Ok(())
}

/// Drops some of what was told up to the commit `edge`; true when there may be more of it.
pub(crate) async fn forget(scope: &Scope<'_>, edge: i64) -> Result<bool, DbErr> {
    let last: Option<i64> = Entity::find()
        .select_only()
        .column(Column::Id)
        .filter(Column::Id.lte(edge))
        .order_by_asc(Column::Id)
        .offset(DROPPED_AT_ONCE - 1)
        .limit(1)
        .into_tuple()
        .one(scope.tx)
        .await?;
    let upto = last.unwrap_or(edge);
    let dropped = execute(scope, "delete from feed where id <= $1", [upto.into()]).await?;
    if dropped > 0 {
        let sql = "insert into follower (name, position) values ($1, $2) \
                   on conflict (name) do update set position = excluded.position";
        execute(scope, sql, [FORGOTTEN.into(), upto.into()]).await?;
    }
    Ok(last.is_some())
}
