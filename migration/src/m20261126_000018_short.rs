//! Short keys for the two indexes whose keys are in no order of time: of each new entry the page is another one, and the longer
//! the keys, the less of an index is in memory.
//!
//! An event that was erased before this and is told once more after it is not recognised: what was remembered of it is a hash
//! of the long key.

use sea_orm_migration::prelude::*;
use sea_orm_migration::sea_orm::{DbBackend, QueryResult, Statement};
use sha2::{Digest, Sha256};

use crate::dialect::run;

/// Rows that are changed by one statement.
const STEP: i64 = 1_000;

/// See the module.
#[derive(DeriveMigrationName)]
pub struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        match manager.get_database_backend() {
            DbBackend::Postgres => {
                run(manager, "alter table webhook add column short bytea not null default ''").await?;
            }
            _ => {
                run(manager, "alter table webhook add column short blob not null default x''").await?;
                run(manager, SQLITE).await?;
            }
        }
        shorten(manager).await?;
        run(manager, UP).await
    }

    async fn down(&self, _manager: &SchemaManager) -> Result<(), DbErr> {
        Err(DbErr::Migration("what the dedupe keys were is not kept".to_owned()))
    }
}

/// Of Meta's id of a message of ours, the index has the last twenty characters: its random part. (PostgreSQL has no statistics
/// of what is computed, and would rather walk the whole table for many of them.)
const SQLITE: &str = "
drop index message_wamid;
create index message_wamid on message (substr(wamid, -20)) where direction = 'out' and wamid is not null;
";

const UP: &str = "
drop index webhook_dedupe;
alter table webhook drop column dedupe_key;
alter table webhook rename column short to dedupe_key;
create unique index webhook_dedupe on webhook (dedupe_key);
";

/// Gives every event its short key.
async fn shorten(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    let (db, backend) = (manager.get_connection(), manager.get_database_backend());
    let (before, after) = if backend == DbBackend::Postgres { (r"'\x", "'::bytea") } else { ("x'", "'") };
    let mut last = i64::MIN;
    loop {
        let sql = "select id, dedupe_key from webhook where id > $1 order by id limit $2";
        let part = db
            .query_all_raw(Statement::from_sql_and_values(backend, sql, [last.into(), STEP.into()]))
            .await?;
        let row = |row: &QueryResult| -> Result<String, DbErr> {
            let (id, key): (i64, String) = (row.try_get_by_index(0)?, row.try_get_by_index(1)?);
            let key: String = short(&key).iter().map(|byte| format!("{byte:02x}")).collect();
            Ok(format!("({id}, {before}{key}{after})"))
        };
        let rows: Vec<String> = part.iter().map(row).collect::<Result<_, _>>()?;
        match part.last() {
            Some(newest) => last = newest.try_get_by_index(0)?,
            None => return Ok(()),
        }
        let rows = rows.join(", ");
        db.execute_unprepared(&format!(
            "with v(id, short) as (values {rows}) update webhook set short = v.short from v where webhook.id = v.id"
        ))
        .await?;
    }
}

/// As `domain::dedupe` makes it: half of the SHA-256 of the name; of what is told of a message of ours, the id of the message
/// and a quarter of it.
fn short(key: &str) -> [u8; 16] {
    let told_of = || {
        let (number, rest) = key.strip_prefix("s:")?.split_once(':')?;
        let (id, rest) = rest.strip_prefix("msg_")?.split_once(':')?;
        Some((id.parse::<i64>().ok()?, format!("s:{number}:{rest}")))
    };
    match told_of() {
        Some((id, name)) => {
            let mut short = half(&name);
            short[..8].copy_from_slice(&id.to_be_bytes());
            short
        }
        None => half(key),
    }
}

fn half(name: &str) -> [u8; 16] {
    let hash = Sha256::digest(name);
    std::array::from_fn(|place| hash[place])
}
