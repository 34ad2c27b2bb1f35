//! All that is kept of one person, row by row and part by part. Every column of every row is shown: times as RFC 3339, ids as
//! the API shows them, what is stored as JSON as JSON; a raw event as it came.

use jiff::Timestamp;
use sea_orm::{ConnectionTrait, DatabaseConnection, DbErr, Statement, Value};
use serde_json::{Map, Value as Json};

use crate::clock::Millis;
use crate::domain::ids::ContactId;
use crate::store::privacy::redact::{self, Left};
use crate::store::statuses::of_rank;
use crate::store::{Error, Store, bulk, sql};

/// Messages that are read at once, with all that hangs on them.
const MESSAGES_AT_ONCE: i64 = 100;
/// Other rows that are read at once.
const ROWS_AT_ONCE: i64 = 200;
/// Events that are looked at in one go for those that tell of the person.
const LOOKED_AT: i64 = 2_000;
/// Columns that hold JSON.
const JSON: [&str; 5] = ["content", "error", "pricing", "snapshot", "outside"];
/// Columns whose ids are of this kind, by what their text begins with.
const IDS: [(&str, &str); 8] = [
    ("contact_id", "con_"),
    ("conversation_id", "cnv_"),
    ("event_id", "evt_"),
    ("media_id", "med_"),
    ("message_id", "msg_"),
    ("resend_of", "msg_"),
    ("resent_as", "msg_"),
    ("key_id", "key_"),
];

/// Where a person is found.
#[derive(Debug, Clone)]
pub struct Place {
    /// Who it is.
    pub contact: ContactId,
    /// Them and those who turned out to be them.
    contacts: Vec<i64>,
    conversations: Vec<i64>,
    /// The ids under which they are known.
    pub ids: Vec<String>,
}

/// The parts, in the order in which they are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// Who they are and what they want to be sent, the ids, the conversations with their state, and their waits.
    Person,
    /// Messages, with their attempts, their places in the queue, their events and their files.
    Messages,
    /// What their conversations were asked.
    Asked,
    /// What else the journal tells of them: statuses, wishes that they told Meta.
    Traces,
    /// What was done to them, by the audit log.
    Deeds,
}

impl Part {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Person, Self::Messages, Self::Asked, Self::Traces, Self::Deeds];
}

/// A row of one kind.
#[derive(Debug, Clone)]
pub struct Line {
    /// What it is.
    pub kind: &'static str,
    /// Its columns.
    pub row: Map<String, Json>,
}

impl Store {
    /// Where this person is found; `None` when there is no such person.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn place_of(&self, contact: ContactId) -> Result<Option<Place>, Error> {
        self.list(move |db| async move {
            let one = "select coalesce(merged_into, id) from contact where id in ({ids})";
            let Some(contact) = numbers(&db, one, &[contact.0]).await?.first().copied() else { return Ok(None) };
            let all = "select id from contact where id in ({ids}) union select id from contact where merged_into in ({ids})";
            let contacts = numbers(&db, all, &[contact]).await?;
            let lines = "select id from session where contact_id in ({ids})";
            let conversations = numbers(&db, lines, &contacts).await?;
            let aliases = "select value from alias where contact_id in ({ids})";
            let mut ids = Vec::new();
            for row in query(&db, aliases, &[], &contacts).await? {
                ids.push(row.try_get_by_index(0)?);
            }
            Ok(Some(Place { contact: ContactId(contact), contacts, conversations, ids }))
        })
        .await
    }

    /// Some rows of a part, behind `after` (0 at its beginning), and where to go on; `None` at its end.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn export_part(
        &self,
        place: &Place,
        part: Part,
        after: i64,
    ) -> Result<(Vec<Line>, Option<i64>), Error> {
        let place = place.clone();
        self.list(move |db| async move {
            Ok(match part {
                Part::Person => (person(&db, &place).await?, None),
                Part::Messages => messages(&db, &place, after).await?,
                Part::Asked => asked(&db, &place, after).await?,
                Part::Traces => traces(&db, &place, after).await?,
                Part::Deeds => (deeds(&db, &place).await?, None),
            })
        })
        .await
    }
}

async fn person(db: &DatabaseConnection, place: &Place) -> Result<Vec<Line>, DbErr> {
    let mut lines = Vec::new();
    for (kind, sql, ids) in [
        ("person", "select * from contact where id in ({ids})", &place.contacts),
        ("identity", "select * from alias where contact_id in ({ids})", &place.contacts),
        ("conversation", "select * from session where contact_id in ({ids})", &place.contacts),
        ("wait", "select * from timer where conversation_id in ({ids})", &place.conversations),
    ] {
        lines.extend(of_ids(db, kind, sql, ids).await?);
    }
    Ok(lines)
}

async fn messages(
    db: &DatabaseConnection,
    place: &Place,
    after: i64,
) -> Result<(Vec<Line>, Option<i64>), DbErr> {
    // The ids of several conversations, of each the first ones.
    let first = "select id from message where conversation_id in ({ids}) and id > $1 order by id limit $2";
    let mut ids = Vec::new();
    for row in query(db, first, &[after.into(), MESSAGES_AT_ONCE.into()], &place.conversations).await? {
        ids.push(row.try_get_by_index::<i64>(0)?);
    }
    ids.sort_unstable();
    ids.truncate(MESSAGES_AT_ONCE.unsigned_abs().try_into().unwrap_or(usize::MAX));
    let mut lines = Vec::new();
    for (kind, sql) in [
        ("message", "select * from message where id in ({ids}) order by id"),
        ("attempt", "select * from attempt where message_id in ({ids}) order by id"),
        ("queued", "select * from queue where id in ({ids}) order by id"),
        ("event", "select * from webhook where id in ({ids}) order by id"),
        ("file", "select * from media where direction = 'in' and id in ({ids}) order by id"),
        (
            "file",
            "select * from media where id in (select media_id from message where media_id is not null and id in ({ids}))",
        ),
        (
            "upload",
            "select * from media_upload where media_id in (select media_id from message \
             where media_id is not null and id in ({ids}))",
        ),
    ] {
        lines.extend(of_ids(db, kind, sql, &ids).await?);
    }
    lines.extend(deeds_to(db, "msg_", &ids).await?);
    let next = ids.last().copied().filter(|_| i64::try_from(ids.len()).is_ok_and(|n| n == MESSAGES_AT_ONCE));
    Ok((lines, next))
}

async fn asked(
    db: &DatabaseConnection,
    place: &Place,
    after: i64,
) -> Result<(Vec<Line>, Option<i64>), DbErr> {
    let sql = "select * from webhook where kind in ('command', 'timer') and conversation_id in ({ids}) and id > $1 \
               order by id limit $2";
    let mut rows = Vec::new();
    for row in query(db, sql, &[after.into(), ROWS_AT_ONCE.into()], &place.conversations).await? {
        rows.push(sql::columns(&row)?);
    }
    let id = |row: &Map<String, Json>| row.get("id").and_then(Json::as_i64).unwrap_or(0);
    rows.sort_by_key(id);
    rows.truncate(ROWS_AT_ONCE.unsigned_abs().try_into().unwrap_or(usize::MAX));
    let full = i64::try_from(rows.len()).is_ok_and(|n| n == ROWS_AT_ONCE);
    let next = rows.last().map(id).filter(|_| full);
    Ok((rows.into_iter().map(|row| line("event", row)).collect(), next))
}

/// Of an event that tells of others as well, their part.
async fn traces(
    db: &DatabaseConnection,
    place: &Place,
    after: i64,
) -> Result<(Vec<Line>, Option<i64>), DbErr> {
    let backend = db.get_database_backend();
    let last = "select id from webhook where id > $1 order by id limit 1 offset $2";
    let values = [Value::from(after), (LOOKED_AT - 1).into()];
    let last = db.query_one_raw(Statement::from_sql_and_values(backend, last, values)).await?;
    let next: Option<i64> = last.map(|row| row.try_get_by_index(0)).transpose()?;
    let mut lines = Vec::new();
    if !place.ids.is_empty() {
        let likes: Vec<String> = (3..place.ids.len() + 3).map(|i| format!("payload like ${i}")).collect();
        let sql = format!(
            "select * from webhook where id > $1 and id <= $2 and \
             (kind not in ('message', 'command', 'timer') or state = 'ignored') and ({}) order by id",
            likes.join(" or ")
        );
        let patterns = place.ids.iter().map(|id| Value::from(format!("%{id}%")));
        let values = [Value::from(after), next.unwrap_or(i64::MAX).into()].into_iter().chain(patterns);
        for row in db.query_all_raw(Statement::from_sql_and_values(backend, sql, values)).await? {
            let mut row = sql::columns(&row)?;
            let payload = row.get("payload").and_then(Json::as_str).unwrap_or_default();
            match redact::without(payload, &place.ids) {
                Left::Untouched => continue,
                Left::Nothing => {}
                Left::Part { theirs, .. } => _ = row.insert("payload".to_owned(), theirs.into()),
            }
            lines.push(line("event", row));
        }
    }
    Ok((lines, next))
}

async fn deeds(db: &DatabaseConnection, place: &Place) -> Result<Vec<Line>, DbErr> {
    let mut lines = deeds_to(db, "con_", &place.contacts).await?;
    lines.extend(deeds_to(db, "cnv_", &place.conversations).await?);
    Ok(lines)
}

/// What was done to the things with these ids.
async fn deeds_to(db: &DatabaseConnection, prefix: &str, ids: &[i64]) -> Result<Vec<Line>, DbErr> {
    let mut lines = Vec::new();
    for part in bulk::parts(ids) {
        let list: Vec<String> = (1..=part.len()).map(|i| format!("${i}")).collect();
        let sql = format!("select * from audit where target in ({}) order by id", list.join(", "));
        let targets = part.iter().map(|id| Value::from(format!("{prefix}{id}")));
        let statement = Statement::from_sql_and_values(db.get_database_backend(), sql, targets);
        for row in db.query_all_raw(statement).await? {
            lines.push(line("deed", sql::columns(&row)?));
        }
    }
    Ok(lines)
}

/// Runs a query with `{ids}` in it, part by part; the `fixed` values come first as `$1`, `$2`, ….
async fn query(
    db: &DatabaseConnection,
    sql: &str,
    fixed: &[Value],
    ids: &[i64],
) -> Result<Vec<sea_orm::QueryResult>, DbErr> {
    let mut rows = Vec::new();
    for part in bulk::parts(ids) {
        let list: Vec<String> =
            (fixed.len() + 1..=fixed.len() + part.len()).map(|i| format!("${i}")).collect();
        let sql = sql.replace("{ids}", &list.join(", "));
        let values = fixed.iter().cloned().chain(part.iter().map(|id| Value::from(*id)));
        let statement = Statement::from_sql_and_values(db.get_database_backend(), sql, values);
        rows.extend(db.query_all_raw(statement).await?);
    }
    Ok(rows)
}

async fn numbers(db: &DatabaseConnection, sql: &str, ids: &[i64]) -> Result<Vec<i64>, DbErr> {
    query(db, sql, &[], ids).await?.iter().map(|row| row.try_get_by_index(0)).collect()
}

async fn of_ids(
    db: &DatabaseConnection,
    kind: &'static str,
    sql: &str,
    ids: &[i64],
) -> Result<Vec<Line>, DbErr> {
    let rows = query(db, sql, &[], ids).await?;
    rows.iter().map(|row| Ok(line(kind, sql::columns(row)?))).collect()
}

/// The row as it is shown.
fn line(kind: &'static str, row: Map<String, Json>) -> Line {
    let own = match kind {
        "person" => "con_",
        "conversation" => "cnv_",
        "message" | "queued" => "msg_",
        "event" => "evt_",
        "file" => "med_",
        "deed" => "aud_",
        _ => "",
    };
    let shown = row.into_iter().map(|(name, value)| {
        let prefix = if name == "id" { own } else { prefix_of(&name) };
        let value = match value {
            Json::Number(number) if !prefix.is_empty() => format!("{prefix}{number}").into(),
            Json::Number(number) if name == "status" => status(&number),
            Json::Number(number) if name == "at" || name.ends_with("_at") || name.ends_with("_until") => {
                number.as_i64().map_or(Json::Null, time)
            }
            Json::String(text) if JSON.contains(&name.as_str()) && !text.is_empty() => {
                serde_json::from_str(&text).unwrap_or(Json::String(text))
            }
            other => other,
        };
        (name, value)
    });
    Line { kind, row: shown.collect() }
}

fn prefix_of(column: &str) -> &'static str {
    let known = if column == "merged_into" { None } else { IDS.iter().find(|(name, _)| *name == column) };
    known.map_or("", |(_, prefix)| prefix)
}

fn status(rank: &serde_json::Number) -> Json {
    let rank = rank.as_i64().and_then(|rank| i16::try_from(rank).ok());
    rank.map_or(Json::Null, |rank| of_rank(rank).as_str().into())
}

fn time(at: Millis) -> Json {
    Timestamp::from_millisecond(at).map_or(Json::Null, |at| format!("{at:.3}").into())
}
