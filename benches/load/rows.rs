//! Rows by the million, written by the database itself from a few statements; its indexes are made afterwards.

use anyhow::Context as _;
use sea_orm::{
    ConnectOptions, ConnectionTrait, Database as Connect, DatabaseConnection, DbBackend, Statement,
};

use crate::database::{Database, Engine};

/// Rows that one statement writes.
const STEP: u64 = 500_000;
/// Bits of an id below its millisecond, as `clock::Ids` has them.
pub(crate) const ID_BITS: u32 = 12;

/// A migrated database that is being filled.
pub(crate) struct Rows {
    db: DatabaseConnection,
    /// Name and definition of those that were taken away.
    indexes: Vec<(String, String)>,
}

impl Rows {
    /// Begins to fill these tables.
    pub(crate) async fn begin(database: &Database, tables: &[&str]) -> anyhow::Result<Self> {
        let mut options = ConnectOptions::new(database.url());
        options.max_connections(1).sqlx_logging(false);
        let db = Connect::connect(options).await?;
        if database.engine() == Engine::Sqlite {
            // It is written once, and whoever loses power here begins again.
            for pragma in ["journal_mode=off", "synchronous=off", "cache_size=-524288", "temp_store=memory"] {
                db.query_all_raw(Statement::from_string(DbBackend::Sqlite, format!("pragma {pragma}")))
                    .await?;
            }
        }
        let indexes = indexes(&db, tables).await?;
        for (name, _) in &indexes {
            db.execute_unprepared(&format!("drop index {name}")).await?;
        }
        Ok(Self { db, indexes })
    }

    /// Runs `insert into … select … from n`, where `n.i` counts from 0 to `count`.
    pub(crate) async fn insert(&self, count: u64, into: &str, select: &str) -> anyhow::Result<()> {
        for from in (0..count).step_by(usize::try_from(STEP)?) {
            let last = (from + STEP).min(count) - 1;
            let sql = format!(
                "with recursive n(i) as (select cast({from} as bigint) union all select i + 1 from n where i < {last}) \
                 insert into {into} select {select} from n"
            );
            self.execute(&sql).await?;
        }
        Ok(())
    }

    /// Runs one statement.
    pub(crate) async fn execute(&self, sql: &str) -> anyhow::Result<()> {
        self.db.execute_unprepared(sql).await?;
        Ok(())
    }

    /// A dedupe key of nothing, in this database's words.
    pub(crate) fn random_key(&self) -> &'static str {
        match self.db.get_database_backend() {
            DbBackend::Postgres => "uuid_send(gen_random_uuid())",
            _ => "randomblob(16)",
        }
    }

    /// Makes the indexes anew.
    pub(crate) async fn index(&self) -> anyhow::Result<()> {
        for (_, definition) in &self.indexes {
            self.execute(definition).await?;
        }
        Ok(())
    }

    /// Nothing more is to be written, by the system either: what it still had to write of this would be measured with the rest.
    pub(crate) async fn end(self, database: &Database) -> anyhow::Result<()> {
        if database.engine() == Engine::Postgres {
            self.execute("checkpoint").await?;
        }
        self.db.close().await.context("the filled database")?;
        if let Some(file) = database.file() {
            std::fs::File::open(file)?.sync_all().context("the filled database")?;
        }
        Ok(())
    }
}

/// Name and definition of what can be made anew.
async fn indexes(db: &DatabaseConnection, tables: &[&str]) -> anyhow::Result<Vec<(String, String)>> {
    let backend = db.get_database_backend();
    let tables = format!("'{}'", tables.join("', '"));
    let sql = if backend == DbBackend::Postgres {
        format!(
            "select indexname, indexdef from pg_indexes where tablename in ({tables}) and indexname not like '%_pkey'"
        )
    } else {
        format!(
            "select name, sql from sqlite_master where type = 'index' and sql is not null and tbl_name in ({tables})"
        )
    };
    let rows = db.query_all_raw(Statement::from_string(backend, sql)).await?;
    rows.iter().map(|row| Ok((row.try_get_by_index(0)?, row.try_get_by_index(1)?))).collect()
}

/// The id of the row `i` of `count` that are spread over `past` milliseconds from `began_at` on.
pub(crate) fn id(began_at: u64, past: u64, i: &str, count: u64) -> String {
    let first = began_at << ID_BITS;
    let step = (past << ID_BITS) / count.max(1);
    format!("({first} + ({i}) * {step})")
}

/// The phone number of the person `i`.
pub(crate) fn phone(i: &str) -> String {
    format!("cast(4915100000000 + {i} as text)")
}
