//! The words of messages: an index beside the messages, written a moment after them.
//!
//! It is kept by a follower: once a second a job is put among the writer's, which takes the messages that came since, in the
//! order in which they were committed, and writes their words in the transaction of that batch. So no turn waits for it, and
//! none is missed: how far it has come stands in a row of the same database.
//!
//! SQLite keeps it as FTS5 without contents, PostgreSQL as a GIN index over a `tsvector`. Neither takes words apart: that is
//! done here, by [`words`], and alike for both.

use std::collections::BTreeSet;
use std::sync::Weak;
use std::sync::atomic::Ordering;
use std::time::Duration;

use sea_orm::{
    ColumnTrait, ConnectionTrait, DbBackend, DbErr, EntityTrait, QueryFilter, QueryOrder, QuerySelect,
    Statement, Value,
};

use crate::clock::Clock;
use crate::domain::search::{Search, Term, words};
use crate::store::batch::{Reply, Scope};
use crate::store::entity::message;
use crate::store::identity::execute;
use crate::store::read::Clause;
use crate::store::request::Request;
use crate::store::{Error, Inner, Store, bulk};

/// How often new messages are looked for: a message is found by its words a moment after it is stored, this at the most.
const FOLLOW_EVERY: Duration = Duration::from_secs(1);
/// Messages that one job takes: some milliseconds of the writer's time.
const FOLLOWED_AT_ONCE: u64 = 500;
/// Words that one beginning may stand for.
pub const WORDS_OF_BEGINNING_MAX: usize = 100;
/// The name under which it is written down how far the index has come.
const FOLLOWER: &str = "search";

/// What is searched for, with the stored words that its beginnings stand for.
#[derive(Debug, Clone)]
pub struct Sought {
    search: Search,
    /// For each of its terms the words of which a message has to have one.
    alternatives: Vec<Vec<String>>,
}

/// What became of looking for the words that a search stands for.
#[derive(Debug, Clone)]
pub enum Sighting {
    /// They are these.
    Sought(Sought),
    /// More than [`WORDS_OF_BEGINNING_MAX`] words begin like this.
    TooMany(String),
}

impl Sought {
    /// As it was asked for.
    pub(super) fn search(&self) -> &Search {
        &self.search
    }

    /// The column of a message's position in the index.
    pub(super) fn key(&self, backend: DbBackend) -> &'static str {
        if backend == DbBackend::Postgres { "position" } else { "rowid" }
    }

    /// As a condition on the index; `None` where no message can have it.
    pub(super) fn clause(&self, backend: DbBackend) -> Option<Clause> {
        if self.alternatives.iter().any(Vec::is_empty) {
            return None;
        }
        // Words are letters and digits: in quotes, neither database can take them for anything else.
        let (quote, or, and, sql) = match backend {
            DbBackend::Postgres => ('\'', " | ", " & ", "words @@ cast(? as tsquery)"),
            _ => ('"', " OR ", " AND ", "search match ?"),
        };
        let one_of = |words: &Vec<String>| {
            let words: Vec<String> = words.iter().map(|word| format!("{quote}{word}{quote}")).collect();
            format!("({})", words.join(or))
        };
        let all: Vec<String> = self.alternatives.iter().map(one_of).collect();
        Some(Clause::new(sql, [all.join(and).into()]))
    }
}

impl Store {
    /// Looks up what the beginnings in `search` stand for.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn look_for(&self, search: Search) -> Result<Sighting, Error> {
        self.list(move |db| async move {
            let mut alternatives = Vec::with_capacity(search.terms().len());
            for term in search.terms() {
                let start = match term {
                    Term::Word(word) => {
                        alternatives.push(vec![word.clone()]);
                        continue;
                    }
                    Term::Beginning(start) => start,
                };
                let sql =
                    "select word from search_word where word >= $1 and word < $2 order by word limit $3";
                let values = [
                    Value::from(start.as_str()),
                    format!("{start}{}", char::MAX).into(),
                    (WORDS_OF_BEGINNING_MAX as u64 + 1).into(),
                ];
                let statement = Statement::from_sql_and_values(db.get_database_backend(), sql, values);
                let rows = db.query_all_raw(statement).await?;
                if rows.len() > WORDS_OF_BEGINNING_MAX {
                    return Ok(Sighting::TooMany(start.clone()));
                }
                let words: Result<Vec<String>, DbErr> =
                    rows.iter().map(|row| row.try_get_by_index(0)).collect();
                alternatives.push(words?);
            }
            Ok(Sighting::Sought(Sought { search, alternatives }))
        })
        .await
    }
}

/// Follows the messages until the store is closed.
pub(super) async fn follow(store: Weak<Inner>, clock: Clock) {
    loop {
        clock.sleep(FOLLOW_EVERY).await;
        let Some(store) = store.upgrade().map(|inner| Store(inner, None)) else { return };
        if store.0.gauge.unfollowed.swap(false, Ordering::Relaxed)
            && let Err(error) = catch_up(&store).await
        {
            store.0.gauge.unfollowed.store(true, Ordering::Relaxed);
            tracing::warn!(%error, "the words of new messages are not kept yet; tried again in a moment");
        }
    }
}

async fn catch_up(store: &Store) -> Result<(), Error> {
    while let Reply::Changed(true) = store.ask(Request::Follow).await? {}
    Ok(())
}

/// Takes the messages that came since the last time; true when there may be more.
pub(super) async fn advance(scope: &Scope<'_>) -> Result<bool, DbErr> {
    let come_to = come_to(scope).await?;
    let new: Vec<(i64, Option<String>)> = message::Entity::find()
        .select_only()
        .columns([message::Column::Position, message::Column::Body])
        .filter(message::Column::Position.gt(come_to))
        .order_by_asc(message::Column::Position)
        .limit(FOLLOWED_AT_ONCE)
        .into_tuple()
        .all(scope.tx)
        .await?;
    let Some((last, _)) = new.last() else { return Ok(false) };
    let sql = "insert into follower (name, position) values ($1, $2) \
               on conflict (name) do update set position = excluded.position";
    execute(scope, sql, [FOLLOWER.into(), (*last).into()]).await?;
    let texts: Vec<(i64, BTreeSet<String>)> =
        new.iter().map(|(position, body)| (*position, words(body.as_deref().unwrap_or_default()))).collect();
    insert(scope, &texts).await?;
    Ok(new.len() as u64 == FOLLOWED_AT_ONCE)
}

/// How far the index has come.
async fn come_to(scope: &Scope<'_>) -> Result<i64, DbErr> {
    let sql = "select position from follower where name = $1";
    let backend = scope.tx.get_database_backend();
    let row = scope.tx.query_one_raw(Statement::from_sql_and_values(backend, sql, [FOLLOWER.into()])).await?;
    row.map_or(Ok(0), |row| row.try_get_by_index(0))
}

/// The message at `position` says `now`, and said `before` when it was stored.
pub(super) async fn reworded(scope: &Scope<'_>, position: i64, before: &str, now: &str) -> Result<(), DbErr> {
    if position > come_to(scope).await? {
        return Ok(());
    }
    let before = words(before);
    if !before.is_empty() {
        take_out(scope, position, &before).await?;
    }
    insert(scope, &[(position, words(now))]).await
}

/// The messages at these positions, which say this, go: what they alone said is found in no word any more.
pub(super) async fn forget(scope: &Scope<'_>, messages: &[(i64, String)]) -> Result<(), DbErr> {
    let come_to = come_to(scope).await?;
    let mut said = BTreeSet::new();
    for (position, body) in messages.iter().filter(|(position, _)| *position <= come_to) {
        let words = words(body);
        if !words.is_empty() {
            take_out(scope, *position, &words).await?;
            said.extend(words);
        }
    }
    let said: Vec<String> = said.into_iter().collect();
    let unsaid = match scope.tx.get_database_backend() {
        DbBackend::Postgres => "words @@ cast(quote_literal(word) as tsquery)",
        _ => r#"search match '"' || word || '"'"#,
    };
    for part in bulk::parts(&said) {
        let list: Vec<String> = (1..=part.len()).map(|i| format!("${i}")).collect();
        let sql = format!(
            "delete from search_word where word in ({}) and not exists (select 1 from search where {unsaid})",
            list.join(", ")
        );
        execute(scope, &sql, part.iter().map(|word| Value::from(word.as_str()))).await?;
    }
    Ok(())
}

/// The message at `position` is found by these words no more, which are all that it is found by.
async fn take_out(scope: &Scope<'_>, position: i64, words: &BTreeSet<String>) -> Result<(), DbErr> {
    let (sql, values) = match scope.tx.get_database_backend() {
        DbBackend::Postgres => ("delete from search where position = $1", vec![position.into()]),
        _ => (
            "insert into search (search, rowid, words) values ('delete', $1, $2)",
            vec![position.into(), joined(words).into()],
        ),
    };
    execute(scope, sql, values).await.map(drop)
}

async fn insert(scope: &Scope<'_>, texts: &[(i64, BTreeSet<String>)]) -> Result<(), DbErr> {
    let known: BTreeSet<&String> = texts.iter().flat_map(|(_, words)| words).collect();
    let known = known.into_iter().map(|word| vec![Value::from(word.as_str())]).collect();
    bulk::insert(scope.tx, "search_word", &["word"], known, "on conflict (word) do nothing").await?;
    let texts = texts.iter().filter(|(_, words)| !words.is_empty());
    let rows = texts.map(|(position, words)| vec![(*position).into(), joined(words).into()]).collect();
    match scope.tx.get_database_backend() {
        DbBackend::Postgres => {
            let insert = "insert into search (position, words) select position, cast(words as tsvector) from v \
                          where position is not null";
            bulk::with_values(scope.tx, &["position", "words"], rows, insert).await.map(drop)
        }
        _ => bulk::insert(scope.tx, "search", &["rowid", "words"], rows, "").await.map(drop),
    }
}

fn joined(words: &BTreeSet<String>) -> String {
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    words.join(" ")
}
