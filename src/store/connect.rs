//! Opening the database: one connection that writes, several that read, and the settings on which the promises rest.

use std::time::Duration;

use sea_orm::sqlx::pool::PoolOptions;
use sea_orm::sqlx::sqlite::{SqliteJournalMode, SqliteSynchronous};
use sea_orm::sqlx::{Connection as _, Sqlite};
use sea_orm::{ConnectOptions, ConnectionTrait, Database, DatabaseConnection, DbBackend, Statement};

use crate::store::Error;

/// How long a connection waits for a lock or for a place in the pool before it gives up.
const WAIT_MAX: Duration = Duration::from_secs(5);
/// Prepared statements kept per connection: each of the writer's comes in up to sixteen sizes.
const STATEMENTS_KEPT: usize = 256;
/// Write-ahead log pages after which SQLite checkpoints: 32 MiB. A page that is written again within that is copied into the
/// database once; SQLite's own default of 1,000 pages copies nearly each one each time.
const CHECKPOINT_PAGES: &str = "8000";
/// Connections for lists, searches and statistics.
const LIST_CONNECTIONS: u32 = 2;
/// Connections for the queries of flows.
const FLOW_CONNECTIONS: u32 = 2;
/// How long a PostgreSQL statement may wait for a row that somebody else has locked: a flow may write to tables that others
/// use, and there is one writer.
const LOCK_TIMEOUT: &str = "5s";
/// How long a PostgreSQL statement may take.
const STATEMENT_TIMEOUT: &str = "30s";
/// Page cache of the writer and of each reader, in KiB (negative is SQLite's way of saying KiB).
const CACHE_KIB: &str = "-16384";

/// The ways into the database for those who read.
pub(crate) struct Readers {
    /// For what the program itself has to know.
    pub(crate) ours: DatabaseConnection,
    /// For lists, searches and statistics: a slow one holds up others of its kind and nothing else.
    pub(crate) lists: DatabaseConnection,
    /// For the queries of flows: a slow one holds up other flows' queries and nothing else.
    pub(crate) flows: DatabaseConnection,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Role {
    Migrator,
    Writer,
    Reader,
    List,
    Flow,
}

/// Opens the connection that writes: before all others, because switching SQLite to its write-ahead log needs the file for
/// itself.
pub(crate) async fn open_writer(url: &str) -> Result<DatabaseConnection, Error> {
    let writer = Database::connect(options(url, Role::Writer, 1)).await?;
    assert_durable(&writer).await?;
    Ok(writer)
}

/// Opens those that read.
pub(crate) async fn open_readers(url: &str, connections: u32) -> Result<Readers, Error> {
    let ours = Database::connect(options(url, Role::Reader, connections.max(1))).await?;
    let lists = Database::connect(options(url, Role::List, LIST_CONNECTIONS)).await?;
    let flows = Database::connect(options(url, Role::Flow, FLOW_CONNECTIONS)).await?;
    Ok(Readers { ours, lists, flows })
}

/// Opens one connection for migrations, which may take their time.
pub(crate) async fn open_migrator(url: &str) -> Result<DatabaseConnection, Error> {
    Ok(Database::connect(options(url, Role::Migrator, 1)).await?)
}

/// Opens one connection that only reads, and makes no file.
pub(crate) async fn open_reader(url: &str) -> Result<DatabaseConnection, Error> {
    Ok(Database::connect(options(url, Role::Reader, 1)).await?)
}

fn options(url: &str, role: Role, connections: u32) -> ConnectOptions {
    let writes = matches!(role, Role::Migrator | Role::Writer);
    let mut options = ConnectOptions::new(url);
    options
        .min_connections(u32::from(role == Role::Writer))
        .max_connections(connections)
        // Opened when they are first wanted: whether the database can be read shows in the readers.
        .connect_lazy(matches!(role, Role::List | Role::Flow))
        .connect_timeout(WAIT_MAX)
        .acquire_timeout(WAIT_MAX)
        .idle_timeout(None::<Duration>)
        .max_lifetime(None::<Duration>)
        .sqlx_logging(false)
        .record_stmt_in_spans(false)
        .set_application_name(format!("switchboard {role:?}").to_lowercase());
    if url.starts_with("sqlite:") {
        options.test_before_acquire(false).map_sqlx_sqlite_pool_opts(unless_in_transaction);
        options.map_sqlx_sqlite_opts(move |sqlite| {
            let sqlite = sqlite
                .busy_timeout(WAIT_MAX)
                .statement_cache_capacity(STATEMENTS_KEPT)
                .synchronous(SqliteSynchronous::Full)
                .pragma("cache_size", CACHE_KIB)
                .pragma("temp_store", "memory");
            if writes {
                // What is deleted is overwritten, so that nothing of a person stays behind in the file.
                let sqlite = sqlite.pragma("secure_delete", "on");
                sqlite.journal_mode(SqliteJournalMode::Wal).pragma("wal_autocheckpoint", CHECKPOINT_PAGES)
            } else {
                sqlite.create_if_missing(false).pragma("query_only", "on")
            }
        });
    } else {
        let settings: &[(&str, &str)] = match role {
            Role::Migrator => &[],
            Role::Writer => &[
                ("lock_timeout", LOCK_TIMEOUT),
                ("statement_timeout", STATEMENT_TIMEOUT),
                // What is written is found by its key. A statement that was planned while its table was small would go on
                // walking the whole of it while it grows, until its statistics are renewed: what a plan costs is therefore
                // how many rows it looks at.
                ("enable_seqscan", "off"),
                ("enable_hashjoin", "off"),
                ("enable_mergejoin", "off"),
                ("cpu_tuple_cost", "1"),
                ("cpu_index_tuple_cost", "1"),
                // Where there is no index to walk, that is a price for which PostgreSQL would compile: half a second.
                ("jit", "off"),
            ],
            Role::Reader => &[("default_transaction_read_only", "on")],
            // How a list is best walked depends on what is asked for: how frequent a word is, how far back a page.
            Role::List => &[
                ("default_transaction_read_only", "on"),
                ("statement_timeout", STATEMENT_TIMEOUT),
                ("plan_cache_mode", "force_custom_plan"),
            ],
            Role::Flow => {
                &[("default_transaction_read_only", "on"), ("statement_timeout", STATEMENT_TIMEOUT)]
            }
        };
        options.test_before_acquire_if_idle_for(Duration::from_secs(30)).map_sqlx_postgres_opts(|postgres| {
            postgres.statement_cache_capacity(STATEMENTS_KEPT).options(settings.iter().copied())
        });
    }
    options
}

/// Lets go of a connection that cannot write, so that the next one is a new one: where its file could only be read when it was
/// opened, SQLite can only read for as long as it is open.
pub(crate) async fn renew(db: &DatabaseConnection) {
    // PostgreSQL tells at each statement whether it can be written to.
    if db.get_database_backend() == DbBackend::Sqlite
        && let Ok(connection) = db.get_sqlite_connection_pool().acquire().await
    {
        let _ = connection.close().await;
    }
}

/// A connection is not used again while it takes itself to be in a transaction. Where a COMMIT fails (a full disk), SQLite may
/// have rolled back by itself; the ROLLBACK that follows then fails as well, and sqlx goes on counting a transaction that is no
/// more. The next one would be a savepoint, whose release looks like a commit and writes nothing.
fn unless_in_transaction(pool: PoolOptions<Sqlite>) -> PoolOptions<Sqlite> {
    pool.before_acquire(|connection, _| {
        let is_free = !connection.is_in_transaction();
        Box::pin(async move { Ok(is_free) })
    })
}

/// A 200 to Meta is a promise that the event is on disk. Refuse to start on a database that is set to lose it.
pub(crate) async fn assert_durable(db: &DatabaseConnection) -> Result<(), Error> {
    match db.get_database_backend() {
        DbBackend::Sqlite => {
            expect_setting(db, "pragma synchronous", &["2"]).await?;
            expect_setting(db, "pragma journal_mode", &["wal"]).await
        }
        DbBackend::Postgres => {
            let synced = ["on", "local", "remote_write", "remote_apply"];
            expect_setting(db, "show synchronous_commit", &synced).await?;
            warn_unless(db, "show fsync", "on").await
        }
        _ => Err(Error::Setup("only sqlite: and postgres: are supported".into())),
    }
}

async fn setting(db: &DatabaseConnection, sql: &str) -> Result<String, Error> {
    let backend = db.get_database_backend();
    let row = db.query_one_raw(Statement::from_string(backend, sql)).await?;
    let row = row.ok_or_else(|| Error::Setup(format!("`{sql}` gave no answer")))?;
    match row.try_get_by_index::<i32>(0) {
        Ok(number) => Ok(number.to_string()),
        Err(_) => Ok(row.try_get_by_index::<String>(0)?),
    }
}

async fn expect_setting(db: &DatabaseConnection, sql: &str, allowed: &[&str]) -> Result<(), Error> {
    let found = setting(db, sql).await?;
    if allowed.contains(&found.as_str()) {
        return Ok(());
    }
    Err(Error::Setup(format!(
        "`{sql}` is `{found}`, which can lose what was acknowledged; set it to `{}`",
        allowed.join("` or `")
    )))
}

async fn warn_unless(db: &DatabaseConnection, sql: &str, wanted: &str) -> Result<(), Error> {
    let found = setting(db, sql).await?;
    if found != wanted {
        tracing::warn!(
            setting = sql,
            found,
            wanted,
            "the database server can lose commits when the machine fails"
        );
    }
    Ok(())
}
