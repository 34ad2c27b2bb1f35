//! Looks through the journal for what else tells of a person: statuses of their messages, what they told Meta they want, and
//! what was kept as it came. Nothing but their ids in its payload leads to such an event, so the journal is read from end to
//! end, part by part, by a connection that holds nobody up. Messages of others stay as they are, even if they speak of them.

use sea_orm::{ConnectionTrait, DbErr, Statement, Value};

use crate::store::batch::Scope;
use crate::store::identity::execute;
use crate::store::privacy::redact::{self, ERASED, Left};
use crate::store::privacy::tombstone::{self, Grave};
use crate::store::{Error, Store, bulk};

/// Events that are looked at in one go.
const LOOKED_AT: u64 = 2_000;

/// An event that tells of a person who is to be erased.
#[derive(Debug, Clone)]
pub struct Found {
    id: i64,
    /// What is left of its payload; `None` where it goes as a whole.
    left: Option<String>,
}

impl Store {
    /// The events behind `after` that tell of the person with these ids, out of as many as are looked at in one go; and the
    /// last that was looked at, `None` at the end.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn find_traces(&self, ids: &[String], after: i64) -> Result<(Vec<Found>, Option<i64>), Error> {
        let ids = ids.to_vec();
        self.list(move |db| async move {
            let last = last_of_part(&db, after).await?;
            let mut found = Vec::new();
            if !ids.is_empty() {
                let up_to = last.unwrap_or(i64::MAX);
                let likes: Vec<String> = (3..ids.len() + 3).map(|i| format!("payload like ${i}")).collect();
                let sql = format!(
                    "select id, kind, state, payload from webhook where id > $1 and id <= $2 \
                     and (kind not in ('message', 'command', 'timer') or state = 'ignored') and ({})",
                    likes.join(" or ")
                );
                let patterns = ids.iter().map(|id| Value::from(format!("%{id}%")));
                let values = [Value::from(after), up_to.into()].into_iter().chain(patterns);
                let statement = Statement::from_sql_and_values(db.get_database_backend(), sql, values);
                for row in db.query_all_raw(statement).await? {
                    let payload: String = row.try_get_by_index(3)?;
                    let left = match redact::without(&payload, &ids) {
                        Left::Untouched => continue,
                        Left::Nothing => None,
                        Left::Part { left, .. } => Some(left),
                    };
                    found.push(Found { id: row.try_get_by_index(0)?, left });
                }
            }
            Ok((found, last))
        })
        .await
    }
}

/// The id of the last event of the part behind `after`; `None` where the journal ends before.
async fn last_of_part(db: &impl ConnectionTrait, after: i64) -> Result<Option<i64>, DbErr> {
    let sql = "select id from webhook where id > $1 order by id limit 1 offset $2";
    let values = [Value::from(after), Value::from(LOOKED_AT.cast_signed() - 1)];
    let statement = Statement::from_sql_and_values(db.get_database_backend(), sql, values);
    db.query_one_raw(statement).await?.map(|row| row.try_get_by_index(0)).transpose()
}

/// Takes the person out of these events. How many went as a whole.
pub(crate) async fn erase(scope: &mut Scope<'_>, found: &[Found]) -> Result<i64, DbErr> {
    let whole: Vec<i64> = found.iter().filter(|event| event.left.is_none()).map(|event| event.id).collect();
    let gone = "delete from webhook where id in ({ids}) returning dedupe_key";
    let mut keys = Vec::with_capacity(whole.len());
    for row in bulk::returning_ids(scope.tx, gone, &whole).await? {
        keys.push(row.try_get_by_index::<Vec<u8>>(0)?);
    }
    let graves: Vec<Grave<'_>> = keys.iter().map(|key| Grave::Event(key)).collect();
    tombstone::bury(scope, &graves).await?;
    for event in found {
        if let Some(left) = &event.left {
            let rest = "update webhook set payload = $1 where id = $2";
            execute(scope, rest, [left.clone().into(), event.id.into()]).await?;
        }
    }
    Ok(i64::try_from(keys.len()).unwrap_or(i64::MAX))
}

/// Ends what waits for its turn in these conversations, whose person is no more.
pub(crate) async fn end_unfinished(scope: &mut Scope<'_>, conversations: &[i64]) -> Result<(), DbErr> {
    let sql = "update webhook set state = 'done', done_at = $1, reason = 'its person was erased', payload = $2 \
               where state = 'accepted' and conversation_id in ({ids})";
    let ended = bulk::with_ids(scope.tx, sql, &[scope.now.into(), ERASED.into()], conversations).await?;
    scope.after.open_delta -= i64::try_from(ended).unwrap_or(0);
    Ok(())
}

/// Removes what these conversations were asked: commands and waits. How many that were.
pub(crate) async fn erase_asked(scope: &mut Scope<'_>, conversations: &[i64]) -> Result<i64, DbErr> {
    let sql = "delete from webhook where kind in ('command', 'timer') and conversation_id in ({ids}) \
               returning dedupe_key";
    let mut keys = Vec::new();
    for row in bulk::returning_ids(scope.tx, sql, conversations).await? {
        keys.push(row.try_get_by_index::<Vec<u8>>(0)?);
    }
    let graves: Vec<Grave<'_>> = keys.iter().map(|key| Grave::Asked(key)).collect();
    tombstone::bury(scope, &graves).await?;
    Ok(i64::try_from(keys.len()).unwrap_or(i64::MAX))
}

/// Forgets these statuses: the messages that they are about are not here any more.
pub(crate) async fn forget_statuses(scope: &mut Scope<'_>, events: &[i64]) -> Result<(), DbErr> {
    let sql = "delete from webhook where id in ({ids}) returning wamid";
    let mut wamids = Vec::new();
    for row in bulk::returning_ids(scope.tx, sql, events).await? {
        wamids.extend(row.try_get_by_index::<Option<String>>(0)?);
    }
    let graves: Vec<Grave<'_>> = wamids.iter().map(|wamid| Grave::Message(wamid)).collect();
    tombstone::bury(scope, &graves).await
}
