//! A look at a database from outside: whether it is there, as the program needs it, and when something last came in. It
//! changes nothing, and makes no file.

use std::collections::HashSet;

use migration::MigratorTrait;
use sea_orm::{ConnectionTrait, DatabaseConnection, DbBackend, DbErr, Statement};

use crate::clock::Millis;
use crate::store::{Error, connect};

/// What a look at a database told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Condition {
    /// `sqlite` or `postgres`.
    pub engine: &'static str,
    /// Migrations of this program that were not applied.
    pub pending: usize,
    /// Migrations that were applied and that this program does not know: those of a later one.
    pub unknown: usize,
    /// Why it could lose what was acknowledged, if it could.
    pub not_durable: Option<String>,
    /// When Meta last told something: a message or a status.
    pub last_told_at: Option<Millis>,
    /// Since when the oldest event waits to be done.
    pub oldest_unfinished_at: Option<Millis>,
    /// Events that were put aside.
    pub quarantined: i64,
}

/// Looks at the database at `url`.
///
/// # Errors
/// When there is none, or it cannot be reached or read.
pub async fn inspect(url: &str) -> Result<Condition, Error> {
    let db = connect::open_reader(url).await?;
    let condition = condition(&db).await;
    db.close().await?;
    condition
}

/// The phone numbers of those who have written since then, and when they last did, by what is stored in the database at `url`;
/// nobody, where the tables are not those of this version.
///
/// # Errors
/// When there is no database, or it cannot be reached or read.
pub async fn last_heard(url: &str, since: Millis) -> Result<Vec<(String, Millis)>, Error> {
    let db = connect::open_reader(url).await?;
    let heard = if condition(&db).await?.pending == 0 { heard_since(&db, since).await? } else { Vec::new() };
    db.close().await?;
    Ok(heard)
}

async fn heard_since(db: &DatabaseConnection, since: Millis) -> Result<Vec<(String, Millis)>, DbErr> {
    let sql = "select c.wa_id, max(m.created_at) from message m join contact c on c.id = m.contact_id \
               where m.direction = 'in' and m.created_at >= $1 and c.wa_id is not null group by c.wa_id";
    let statement = Statement::from_sql_and_values(db.get_database_backend(), sql, [since.into()]);
    let rows = db.query_all_raw(statement).await?;
    rows.iter().map(|row| Ok((row.try_get_by_index(0)?, row.try_get_by_index(1)?))).collect()
}

async fn condition(db: &DatabaseConnection) -> Result<Condition, Error> {
    let known: HashSet<String> =
        migration::Migrator::migrations().iter().map(|migration| migration.name().to_owned()).collect();
    let applied = applied(db).await?;
    let pending = known.difference(&applied).count();
    let mut condition = Condition {
        engine: if db.get_database_backend() == DbBackend::Postgres { "postgres" } else { "sqlite" },
        pending,
        unknown: applied.difference(&known).count(),
        not_durable: connect::assert_durable(db).await.err().map(|error| error.to_string()),
        last_told_at: None,
        oldest_unfinished_at: None,
        quarantined: 0,
    };
    // Before all migrations are there, the tables may be others.
    if pending == 0 {
        let told = "select max(accepted_at) from webhook where id = \
                    (select max(id) from webhook where kind in ('message', 'status'))";
        condition.last_told_at = number(db, told).await?;
        let unfinished = "select min(accepted_at) from webhook where state = 'accepted'";
        condition.oldest_unfinished_at = number(db, unfinished).await?;
        let quarantined = "select count(*) from webhook where state = 'quarantined'";
        condition.quarantined = number(db, quarantined).await?.unwrap_or(0);
    }
    Ok(condition)
}

/// The names of the migrations that were applied; none where there never was one.
async fn applied(db: &DatabaseConnection) -> Result<HashSet<String>, Error> {
    let backend = db.get_database_backend();
    let table = if backend == DbBackend::Postgres {
        "select count(*) from information_schema.tables where table_name = 'seaql_migrations'"
    } else {
        "select count(*) from sqlite_master where name = 'seaql_migrations'"
    };
    if number(db, table).await? == Some(0) {
        return Ok(HashSet::new());
    }
    let rows =
        db.query_all_raw(Statement::from_string(backend, "select version from seaql_migrations")).await?;
    let names: Result<HashSet<String>, DbErr> = rows.iter().map(|row| row.try_get_by_index(0)).collect();
    Ok(names?)
}

async fn number(db: &DatabaseConnection, sql: &str) -> Result<Option<i64>, Error> {
    let row = db.query_one_raw(Statement::from_string(db.get_database_backend(), sql)).await?;
    Ok(row.map_or(Ok(None), |row| row.try_get_by_index(0))?)
}
