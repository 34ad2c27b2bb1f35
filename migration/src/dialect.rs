//! The few words in which the two databases differ.

use sea_orm_migration::prelude::*;
use sea_orm_migration::sea_orm::DbBackend;

/// Runs the statements of `sql`, which are separated by `;` (lines that begin with `--` are comments), after putting this database's word for a 64-bit primary
/// key in the place of `{id}` (SQLite's row id is only spelt `integer primary key`), of `{keyed}` behind a table whose primary
/// key is its only order, and of `{text}` for text that is ordered by its bytes.
pub(crate) async fn run(manager: &SchemaManager<'_>, sql: &str) -> Result<(), DbErr> {
    let sqlite = manager.get_database_backend() == DbBackend::Sqlite;
    let code: Vec<&str> = sql.lines().filter(|line| !line.trim_start().starts_with("--")).collect();
    let sql = code
        .join("\n")
        .replace("{id}", if sqlite { "integer primary key" } else { "bigint primary key" })
        .replace("{keyed}", if sqlite { "without rowid" } else { "" })
        .replace("{text}", if sqlite { "text" } else { "text collate \"C\"" });
    for statement in sql.split(';').map(str::trim).filter(|statement| !statement.is_empty()) {
        manager.get_connection().execute_unprepared(statement).await?;
    }
    Ok(())
}
