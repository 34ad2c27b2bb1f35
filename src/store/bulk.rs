//! Multi-row statements. Rows are taken in parts whose size is a power of two, so that a few prepared statements serve
//! every batch size; a part stays far below the databases' limits on bound values (SQLite 32,766, PostgreSQL 65,535).

use sea_orm::{ConnectionTrait, DatabaseTransaction, DbErr, QueryResult, Statement, Value};

/// Rows in one statement at the most.
pub(crate) const ROWS_MAX: usize = 256;

/// `rows` in parts of 256, 128, … 2, 1.
pub(crate) fn parts<T>(mut rows: &[T]) -> impl Iterator<Item = &[T]> {
    std::iter::from_fn(move || {
        let largest = 1usize << rows.len().checked_ilog2()?;
        let (part, rest) = rows.split_at(largest.min(ROWS_MAX));
        rows = rest;
        Some(part)
    })
}

/// `($1, $2), ($3, $4)` for `rows` rows of `columns` columns.
fn placeholders(rows: usize, columns: usize) -> String {
    use std::fmt::Write as _;
    let mut text = String::with_capacity(rows * columns * 6);
    for row in 0..rows {
        text.push_str(if row == 0 { "(" } else { ", (" });
        for column in 0..columns {
            let separator = if column == 0 { "" } else { ", " };
            // Writing to a String cannot fail.
            let _ = write!(text, "{separator}${}", row * columns + column + 1);
        }
        text.push(')');
    }
    text
}

/// Runs `with v(columns) as (values …) statement` over all `rows`, part by part, and returns how many rows it changed.
/// `statement` speaks of the given rows as `v`.
pub(crate) async fn with_values(
    tx: &DatabaseTransaction,
    columns: &[&str],
    rows: Vec<Vec<Value>>,
    statement: &str,
) -> Result<u64, DbErr> {
    let mut changed = 0;
    for part in parts(&rows) {
        let values = placeholders(part.len(), columns.len());
        let sql = format!("with v({}) as (values {values}) {statement}", columns.join(", "));
        let values = part.iter().flatten().cloned();
        let statement = Statement::from_sql_and_values(tx.get_database_backend(), sql, values);
        changed += tx.execute_raw(statement).await?.rows_affected();
    }
    Ok(changed)
}

/// Runs `insert into table (columns) values … tail` over all `rows`, part by part.
pub(crate) async fn insert(
    tx: &DatabaseTransaction,
    table: &str,
    columns: &[&str],
    rows: Vec<Vec<Value>>,
    tail: &str,
) -> Result<(), DbErr> {
    for part in parts(&rows) {
        let values = placeholders(part.len(), columns.len());
        let sql = format!("insert into {table} ({}) values {values} {tail}", columns.join(", "));
        let values = part.iter().flatten().cloned();
        tx.execute_raw(Statement::from_sql_and_values(tx.get_database_backend(), sql, values)).await?;
    }
    Ok(())
}

/// Runs a statement with `{ids}` in it over all `ids`, part by part, and returns the rows that it returns.
pub(crate) async fn returning_ids(
    tx: &DatabaseTransaction,
    sql: &str,
    ids: &[i64],
) -> Result<Vec<QueryResult>, DbErr> {
    let mut rows = Vec::new();
    for part in parts(ids) {
        let sql = sql.replace("{ids}", &id_list(0, part.len()));
        let values = part.iter().map(|id| Value::from(*id));
        let statement = Statement::from_sql_and_values(tx.get_database_backend(), sql, values);
        rows.extend(tx.query_all_raw(statement).await?);
    }
    Ok(rows)
}

fn id_list(after: usize, count: usize) -> String {
    let list: Vec<String> = (after + 1..=after + count).map(|i| format!("${i}")).collect();
    list.join(", ")
}

/// Runs a statement that ends in `in (ids)` over all `ids`, part by part; `sql` has `{ids}` where the list belongs, and
/// the `fixed` values come first as `$1`, `$2`, …. Returns how many rows it changed.
pub(crate) async fn with_ids(
    tx: &DatabaseTransaction,
    sql: &str,
    fixed: &[Value],
    ids: &[i64],
) -> Result<u64, DbErr> {
    let mut changed = 0;
    for part in parts(ids) {
        let sql = sql.replace("{ids}", &id_list(fixed.len(), part.len()));
        let values = fixed.iter().cloned().chain(part.iter().map(|id| Value::from(*id)));
        let statement = Statement::from_sql_and_values(tx.get_database_backend(), sql, values);
        changed += tx.execute_raw(statement).await?.rows_affected();
    }
    Ok(changed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_powers_of_two_and_together_everything() {
        let rows: Vec<usize> = (0..1000).collect();
        let sizes: Vec<usize> = parts(&rows).map(<[usize]>::len).collect();
        assert_eq!(sizes, [256, 256, 256, 128, 64, 32, 8]);
        assert_eq!(parts(&rows).flatten().count(), 1000);
        assert_eq!(parts::<usize>(&[]).count(), 0);
    }

    #[test]
    fn placeholders_count_through() {
        assert_eq!(placeholders(2, 2), "($1, $2), ($3, $4)");
    }
}
