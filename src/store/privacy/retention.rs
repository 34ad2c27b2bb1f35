//! What is old goes, some rows at a time. Nothing that is unfinished goes, whatever its age: events that are not done or put
//! aside, messages that are in the queue, files that something is still going to send; and nothing that tells a repeated webhook
//! from a new one, whatever the settings say.
//!
//! Ids grow with time, so what is older than a moment has the lower ids, and a pass walks them once.

use sea_orm::{ConnectionTrait, DbErr, QueryResult, Statement, Value};

use crate::clock::{Ids, Millis};
use crate::store::batch::{Reply, Scope};
use crate::store::privacy::remove::{self, Doomed};
use crate::store::privacy::tombstone::REPEATED_FOR;
use crate::store::request::Request;
use crate::store::{Error, Store, bulk};

/// Rows that are looked at in one transaction: some milliseconds of the writer's time.
const ROWS_AT_ONCE: i64 = 500;
/// Messages: each has rows in several tables, and words that are looked up.
const MESSAGES_AT_ONCE: i64 = 100;

/// A kind of data that can go when it is old.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Prunable {
    /// Raw events that are done with.
    Events,
    /// Messages of both directions, with their events, attempts and files.
    Messages,
    /// The contents of files. What is known of them stays with their messages.
    Files,
    /// Failed attempts to send.
    Attempts,
    /// The audit log, and what is kept of erasings.
    Audit,
    /// API keys that have ended.
    Keys,
    /// Counts by the hour; those of all time stay.
    Hours,
    /// What is remembered of the erased, each as long as it says itself.
    Tombstones,
}

impl Prunable {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::Events,
        Self::Messages,
        Self::Files,
        Self::Attempts,
        Self::Audit,
        Self::Keys,
        Self::Hours,
        Self::Tombstones,
    ];

    /// As shown.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Events => "events",
            Self::Messages => "messages",
            Self::Files => "files",
            Self::Attempts => "attempts",
            Self::Audit => "audit",
            Self::Keys => "keys",
            Self::Hours => "hours",
            Self::Tombstones => "tombstones",
        }
    }
}

/// Some rows of a kind that are to go.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Prune {
    pub(crate) kind: Prunable,
    /// What is older than this.
    pub(crate) before: Millis,
    /// Behind this id, or this hour.
    pub(crate) after: i64,
}

/// What went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pruned {
    /// How many rows.
    pub rows: u64,
    /// Where to go on; `None` when there is no more.
    pub next: Option<i64>,
}

impl Store {
    /// Removes some of what is older than `before` of this kind, behind `after` (0 at the beginning of a pass).
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn prune(&self, kind: Prunable, before: Millis, after: i64) -> Result<Pruned, Error> {
        match self.ask(Request::Prune(Prune { kind, before, after })).await? {
            Reply::Pruned(pruned) => Ok(pruned),
            _ => Err(Error::Closed),
        }
    }
}

pub(crate) async fn prune(scope: &mut Scope<'_>, wanted: &Prune) -> Result<Reply, DbErr> {
    let before = match wanted.kind {
        // Meta may repeat them.
        Prunable::Events | Prunable::Messages => wanted.before.min(scope.now - REPEATED_FOR),
        _ => wanted.before,
    };
    let old = Old { before, id: Ids::first_at(before), after: wanted.after };
    let pruned = match wanted.kind {
        Prunable::Events => events(scope, old).await?,
        Prunable::Messages => messages(scope, old).await?,
        Prunable::Files => files(scope, old).await?,
        Prunable::Attempts => by_id(scope, "attempt", old).await?,
        Prunable::Audit => {
            let sql = "delete from erasure where state in ('done', 'refused') and id < $1";
            execute(scope, sql, [old.id.into()]).await?;
            by_id(scope, "audit", old).await?
        }
        Prunable::Keys => {
            let sql = "delete from api_key where revoked_at < $1 or expires_at < $2";
            let rows = execute(scope, sql, [old.before.into(), old.before.into()]).await?;
            Pruned { rows, next: None }
        }
        Prunable::Hours => hours(scope, old).await?,
        Prunable::Tombstones => {
            let sql = "delete from tombstone where hash in (select hash from tombstone where until <= $1 order by until limit $2)";
            let rows = execute(scope, sql, [scope.now.into(), ROWS_AT_ONCE.into()]).await?;
            Pruned { rows, next: (rows.cast_signed() == ROWS_AT_ONCE).then_some(0) }
        }
    };
    scope.after.removed |= pruned.rows > 0;
    Ok(Reply::Pruned(pruned))
}

/// What is old, and where the pass is.
#[derive(Clone, Copy)]
struct Old {
    before: Millis,
    /// The first id that is not old.
    id: i64,
    after: i64,
}

async fn events(scope: &Scope<'_>, old: Old) -> Result<Pruned, DbErr> {
    let (ids, next) = part(scope, "webhook", old, ROWS_AT_ONCE).await?;
    let sql = "delete from webhook where state in ('done', 'ignored', 'parked') and id in ({ids})";
    Ok(Pruned { rows: bulk::with_ids(scope.tx, sql, &[], &ids).await?, next })
}

async fn messages(scope: &mut Scope<'_>, old: Old) -> Result<Pruned, DbErr> {
    let (ids, next) = part(scope, "message", old, MESSAGES_AT_ONCE).await?;
    let sql = "select id, direction, position, body from message where id in ({ids}) \
               and not exists (select 1 from queue where queue.id = message.id) \
               and not exists (select 1 from webhook where webhook.id = message.id and state in ('accepted', 'quarantined'))";
    let mut doomed = Vec::new();
    for row in bulk::returning_ids(scope.tx, sql, &ids).await? {
        let is_inbound = row.try_get_by_index::<String>(1)? == "in";
        let (id, position, body) =
            (row.try_get_by_index(0)?, row.try_get_by_index(2)?, row.try_get_by_index(3)?);
        doomed.push(Doomed { id, is_inbound, wamid: None, media: None, position, body });
    }
    let removed = remove::messages(scope, &doomed, false).await?;
    Ok(Pruned { rows: removed.messages.unsigned_abs(), next })
}

async fn files(scope: &Scope<'_>, old: Old) -> Result<Pruned, DbErr> {
    let (ids, next) = part(scope, "media", old, ROWS_AT_ONCE).await?;
    // One that was given to be sent is as old as the last message that it went along with.
    let unused = format!(
        "select id, sha256 from media where state = 'ready' and id in ({{ids}}) and (direction = 'in' or ( \
         not exists (select 1 from message where message.media_id = media.id and message.id >= {first}) \
         and not exists (select 1 from message join queue on queue.id = message.id where message.media_id = media.id) \
         and not exists (select 1 from flow where source like '%med_' || cast(media.id as text) || '%') \
         and not exists (select 1 from webhook where state = 'accepted' \
         and payload like '%med_' || cast(media.id as text) || '%')))",
        first = old.id,
    );
    let mut gone = Vec::new();
    let mut contents = Vec::new();
    for row in bulk::returning_ids(scope.tx, &unused, &ids).await? {
        gone.push(row.try_get_by_index::<i64>(0)?);
        contents.extend(row.try_get_by_index::<Option<String>>(1)?);
    }
    let sql = "update media set state = 'failed', reason = 'it was too old to be kept any longer', filename = null, \
               sha256 = null, size = null, ready_at = null where id in ({ids})";
    let rows = bulk::with_ids(scope.tx, sql, &[], &gone).await?;
    bulk::with_ids(scope.tx, "delete from media_upload where media_id in ({ids})", &[], &gone).await?;
    remove::waste(scope, &contents).await?;
    Ok(Pruned { rows, next })
}

async fn by_id(scope: &Scope<'_>, table: &str, old: Old) -> Result<Pruned, DbErr> {
    let (ids, next) = part(scope, table, old, ROWS_AT_ONCE).await?;
    let sql = format!("delete from {table} where id in ({{ids}})");
    Ok(Pruned { rows: bulk::with_ids(scope.tx, &sql, &[], &ids).await?, next })
}

/// One hour of all numbers at a time.
async fn hours(scope: &Scope<'_>, old: Old) -> Result<Pruned, DbErr> {
    let sql = "select min(hour) from counter where hour > 0 and hour < $1";
    let hour: Option<i64> = one(scope, sql, [old.before.into()]).await?;
    let Some(hour) = hour else { return Ok(Pruned { rows: 0, next: None }) };
    let rows = execute(scope, "delete from counter where hour = $1", [hour.into()]).await?;
    Ok(Pruned { rows, next: Some(hour) })
}

/// The next ids of a table that are old, and the last of them where there may be more.
async fn part(
    scope: &Scope<'_>,
    table: &str,
    old: Old,
    at_once: i64,
) -> Result<(Vec<i64>, Option<i64>), DbErr> {
    let sql = format!("select id from {table} where id > $1 and id < $2 order by id limit $3");
    let values = [old.after.into(), old.id.into(), at_once.into()];
    let statement = Statement::from_sql_and_values(scope.tx.get_database_backend(), sql, values);
    let rows: Vec<QueryResult> = scope.tx.query_all_raw(statement).await?;
    let ids: Vec<i64> = rows.iter().map(|row| row.try_get_by_index(0)).collect::<Result<_, DbErr>>()?;
    let next = ids.last().copied().filter(|_| i64::try_from(ids.len()).is_ok_and(|n| n == at_once));
    Ok((ids, next))
}

async fn one(
    scope: &Scope<'_>,
    sql: &str,
    values: impl IntoIterator<Item = Value>,
) -> Result<Option<i64>, DbErr> {
    let statement = Statement::from_sql_and_values(scope.tx.get_database_backend(), sql, values);
    let row = scope.tx.query_one_raw(statement).await?;
    row.map_or(Ok(None), |row| row.try_get_by_index(0))
}

async fn execute(
    scope: &Scope<'_>,
    sql: &str,
    values: impl IntoIterator<Item = Value>,
) -> Result<u64, DbErr> {
    crate::store::identity::execute(scope, sql, values).await
}
