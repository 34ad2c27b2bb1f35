//! Multi-row statements of few sizes, so that a few prepared statements serve every batch; each stays far below the
//! databases' limits on bound values (SQLite 32,766, PostgreSQL 65,535).
//!
//! All rows go into one statement of the next size, because each statement costs two wake-ups of a thread or a way to a server
//! and back. The places that are left over are null, and a row whose first column is null is none; in a list of ids, the last is
//! there again. What is not bound SQLite reads as null; PostgreSQL wants a value for each place.
//!
//! On SQLite, a row that is refused fails the statement where it is (`or fail`), because the whole batch is then rolled back:
//! undoing the statement alone would cost a copy of every page that it changes.

use sea_orm::{
    ActiveModelTrait, ActiveValue, ConnectionTrait, DatabaseTransaction, DbBackend, DbErr, EntityName,
    EntityTrait, IdenStatic, Iterable, QueryResult, Statement, Value,
};

/// Rows in one statement at the most.
pub(crate) const ROWS_MAX: usize = 256;

/// `rows` in parts of 256, 192, 128, 96, 64, … 4, 3, 2, 1: with two sizes per doubling, two or three parts make most batches.
pub(crate) fn parts<T>(mut rows: &[T]) -> impl Iterator<Item = &[T]> {
    std::iter::from_fn(move || {
        let (part, rest) = rows.split_at(size_within(rows.len())?);
        rows = rest;
        Some(part)
    })
}

/// The largest size of a statement that so many rows fill.
fn size_within(rows: usize) -> Option<usize> {
    let power = 1usize << rows.checked_ilog2()?;
    let between = power + power / 2;
    Some(if rows >= between { between } else { power }.min(ROWS_MAX))
}

/// The smallest size of a statement that has place for so many rows, which are at most [`ROWS_MAX`].
fn size_around(rows: usize) -> usize {
    match size_within(rows) {
        Some(size) if size < rows => {
            let power = rows.next_power_of_two();
            let between = power / 4 * 3;
            if rows <= between { between } else { power }
        }
        within => within.unwrap_or(0),
    }
}

/// How many of so many rows go into the next statement, and the size of that; none when there are no rows.
fn next_part(rows: usize) -> Option<(usize, usize)> {
    let part = rows.min(ROWS_MAX);
    (part > 0).then(|| (part, size_around(part)))
}

/// Takes `rows` apart for statements of the sizes that come with them; the values are those of all rows, with nulls for the
/// places that are left over where the database wants them.
fn in_parts(backend: DbBackend, rows: Vec<Vec<Value>>) -> impl Iterator<Item = (Vec<Value>, usize)> {
    let mut rows = rows.into_iter();
    std::iter::from_fn(move || {
        let (part, size) = next_part(rows.len())?;
        let columns = rows.as_slice().first().map_or(0, Vec::len);
        let mut values = Vec::with_capacity(size * columns);
        values.extend(rows.by_ref().take(part).flatten());
        if backend != DbBackend::Sqlite {
            let nulls: Vec<Value> = values.iter().take(columns).map(Value::as_null).collect();
            values.extend(nulls.into_iter().cycle().take((size - part) * columns));
        }
        Some((values, size))
    })
}

/// A list of bound values. PostgreSQL wants them numbered, from `after` + 1 on. SQLite is given `?`: it takes a number for a
/// name, and finds each by walking all of them.
fn list(backend: DbBackend, after: usize, count: usize) -> String {
    use std::fmt::Write as _;
    let mut text = String::with_capacity(count * 6);
    for number in after + 1..=after + count {
        let separator = if number == after + 1 { "" } else { ", " };
        // Writing to a String cannot fail.
        let _ = match backend {
            DbBackend::Sqlite => write!(text, "{separator}?"),
            _ => write!(text, "{separator}${number}"),
        };
    }
    text
}

/// `($1, $2), ($3, $4)` for `rows` rows of `columns` columns.
fn placeholders(backend: DbBackend, rows: usize, columns: usize) -> String {
    if backend == DbBackend::Sqlite {
        let row = format!("({}), ", list(backend, 0, columns));
        return row.repeat(rows).trim_end_matches(", ").to_owned();
    }
    let rows: Vec<String> =
        (0..rows).map(|row| format!("({})", list(backend, row * columns, columns))).collect();
    rows.join(", ")
}

/// An `update` that is not undone by itself when it fails.
fn failing(backend: DbBackend, sql: &str) -> String {
    match sql.strip_prefix("update ") {
        Some(rest) if backend == DbBackend::Sqlite => format!("update or fail {rest}"),
        _ => sql.to_owned(),
    }
}

/// `sql` with `ids` ids where it says `{ids}`, after the `fixed` values that it names `$1`, `$2`, ….
fn with_list(backend: DbBackend, sql: &str, fixed: usize, ids: usize) -> String {
    let sql = failing(backend, sql);
    if backend == DbBackend::Sqlite
        && let Some(unnamed) = unnamed(&sql, fixed)
    {
        return unnamed.replace("{ids}", &list(backend, fixed, ids));
    }
    sql.replace("{ids}", &list(DbBackend::Postgres, fixed, ids))
}

/// `sql` with `?` for `$1`, `$2`, …; `None` where they do not come once each, in order and before the ids.
fn unnamed(sql: &str, fixed: usize) -> Option<String> {
    let mut text = String::with_capacity(sql.len());
    let (mut rest, list) = sql.split_at(sql.find("{ids}")?);
    for number in 1..=fixed {
        let (before, after) = rest.split_once('$')?;
        rest = after.strip_prefix(&number.to_string())?;
        text.push_str(before);
        text.push('?');
    }
    (!rest.contains('$') && !list.contains('$')).then(|| text + rest + list)
}

/// Runs `with v(columns) as (values …) statement` over all `rows` and returns how many rows it changed. `statement` speaks of
/// the given rows as `v`, and finds rows of a table by the first column.
pub(crate) async fn with_values(
    tx: &DatabaseTransaction,
    columns: &[&str],
    rows: Vec<Vec<Value>>,
    statement: &str,
) -> Result<u64, DbErr> {
    let mut changed = 0;
    for statement in of_values(tx.get_database_backend(), columns, rows, statement) {
        changed += tx.execute_raw(statement).await?.rows_affected();
    }
    Ok(changed)
}

/// As [`with_values`], and returns the rows that the statement returns.
pub(crate) async fn returning_values(
    tx: &DatabaseTransaction,
    columns: &[&str],
    rows: Vec<Vec<Value>>,
    statement: &str,
) -> Result<Vec<QueryResult>, DbErr> {
    let mut returned = Vec::with_capacity(rows.len());
    for statement in of_values(tx.get_database_backend(), columns, rows, statement) {
        returned.extend(tx.query_all_raw(statement).await?);
    }
    Ok(returned)
}

fn of_values(
    backend: DbBackend,
    columns: &[&str],
    rows: Vec<Vec<Value>>,
    statement: &str,
) -> impl Iterator<Item = Statement> {
    let statement = failing(backend, statement);
    in_parts(backend, rows).map(move |(values, size)| {
        let places = placeholders(backend, size, columns.len());
        let sql = format!("with v({}) as (values {places}) {statement}", columns.join(", "));
        Statement::from_sql_and_values(backend, sql, values)
    })
}

/// Runs `insert into table (columns) values … tail` over all `rows`, whose first column is never null, and returns how many
/// were inserted.
pub(crate) async fn insert(
    tx: &DatabaseTransaction,
    table: &str,
    columns: &[&str],
    rows: Vec<Vec<Value>>,
    tail: &str,
) -> Result<u64, DbErr> {
    let backend = tx.get_database_backend();
    let mut inserted = 0;
    for (values, size) in in_parts(backend, rows) {
        let sql = insert_sql(backend, table, columns, size, tail);
        let statement = Statement::from_sql_and_values(backend, sql, values);
        inserted += tx.execute_raw(statement).await?.rows_affected();
    }
    Ok(inserted)
}

fn insert_sql(backend: DbBackend, table: &str, columns: &[&str], rows: usize, tail: &str) -> String {
    let values = placeholders(backend, rows, columns.len());
    let names = columns.join(", ");
    let insert = if backend == DbBackend::Sqlite { "insert or fail" } else { "insert" };
    format!(
        "{insert} into {table} ({names}) select * from (values {values}) as v where column1 is not null {tail}"
    )
}

type Column<A> = <<A as ActiveModelTrait>::Entity as EntityTrait>::Column;

/// As [`insert`], of models in which the same columns are set. What SeaORM's own `insert_many` does, without building a
/// syntax tree of every value first: that costs as much as the insert.
pub(crate) async fn insert_models<A: ActiveModelTrait>(
    tx: &DatabaseTransaction,
    models: Vec<A>,
    tail: &str,
) -> Result<u64, DbErr> {
    let Some(first) = models.first() else { return Ok(0) };
    let columns: Vec<Column<A>> =
        Column::<A>::iter().filter(|column| first.get(*column) != ActiveValue::NotSet).collect();
    let names: Vec<&str> = columns.iter().map(IdenStatic::as_str).collect();
    let row = |mut model: A| columns.iter().filter_map(|column| model.take(*column).into_value()).collect();
    let rows: Vec<Vec<Value>> = models.into_iter().map(row).collect();
    insert(tx, A::Entity::default().table_name(), &names, rows, tail).await
}

/// Runs a statement with `{ids}` in it over all `ids` and returns the rows that it returns.
pub(crate) async fn returning_ids<K: Clone + Into<Value>>(
    tx: &DatabaseTransaction,
    sql: &str,
    ids: &[K],
) -> Result<Vec<QueryResult>, DbErr> {
    let mut rows = Vec::new();
    for statement in of_ids(tx.get_database_backend(), sql, &[], ids) {
        rows.extend(tx.query_all_raw(statement).await?);
    }
    Ok(rows)
}

/// Runs a statement over all `ids`; `sql` has `{ids}` where their list belongs, and the `fixed` values come first as `$1`,
/// `$2`, …. Returns how many rows it changed.
pub(crate) async fn with_ids(
    tx: &DatabaseTransaction,
    sql: &str,
    fixed: &[Value],
    ids: &[i64],
) -> Result<u64, DbErr> {
    let mut changed = 0;
    for statement in of_ids(tx.get_database_backend(), sql, fixed, ids) {
        changed += tx.execute_raw(statement).await?.rows_affected();
    }
    Ok(changed)
}

fn of_ids<K: Clone + Into<Value>>(
    backend: DbBackend,
    sql: &str,
    fixed: &[Value],
    mut ids: &[K],
) -> impl Iterator<Item = Statement> {
    std::iter::from_fn(move || {
        let (part, size) = next_part(ids.len())?;
        let (part, rest) = ids.split_at(part);
        ids = rest;
        let again = part.last().into_iter().cycle().take(size - part.len());
        let values = fixed.iter().cloned().chain(part.iter().chain(again).cloned().map(Into::into));
        Some(Statement::from_sql_and_values(backend, with_list(backend, sql, fixed.len(), size), values))
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    const SIZES: [usize; 16] = [1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256];

    #[test]
    fn parts_are_of_few_sizes_and_together_everything() {
        let rows: Vec<usize> = (0..1000).collect();
        let sizes: Vec<usize> = parts(&rows).map(<[usize]>::len).collect();
        assert_eq!(sizes, [256, 256, 256, 192, 32, 8]);
        assert_eq!(parts(&rows).flatten().count(), 1000);
        assert_eq!(parts::<usize>(&[]).count(), 0);
        let rows = || (0..300i64).map(|id| vec![id.into(), "x".into()]).collect::<Vec<Vec<Value>>>();
        let sizes = |backend| in_parts(backend, rows()).map(|(values, size)| (values.len(), size)).collect();
        let (sqlite, postgres): (Vec<_>, Vec<_>) = (sizes(DbBackend::Sqlite), sizes(DbBackend::Postgres));
        assert_eq!((sqlite, postgres), (vec![(512, 256), (88, 48)], vec![(512, 256), (96, 48)]));
        assert_eq!(next_part(0), None);
    }

    #[test]
    fn a_statement_is_little_larger_than_its_rows() {
        let mut around = BTreeSet::new();
        for rows in 1..=ROWS_MAX {
            let size = size_around(rows);
            assert!(size >= rows && size <= rows + rows / 2, "{rows} {size}");
            around.insert(size);
        }
        assert_eq!(around, SIZES.into());
        assert_eq!((1..=1000).filter_map(size_within).collect::<BTreeSet<usize>>(), SIZES.into());
    }

    #[test]
    fn values_are_numbered_for_postgres_and_unnamed_for_sqlite() {
        assert_eq!(placeholders(DbBackend::Postgres, 2, 2), "($1, $2), ($3, $4)");
        assert_eq!(placeholders(DbBackend::Sqlite, 2, 2), "(?, ?), (?, ?)");
        let sql = "update t set a = $1, b = $2 where id in ({ids})";
        let postgres = with_list(DbBackend::Postgres, sql, 2, 3);
        assert_eq!(postgres, "update t set a = $1, b = $2 where id in ($3, $4, $5)");
        assert_eq!(
            with_list(DbBackend::Sqlite, sql, 2, 3),
            "update or fail t set a = ?, b = ? where id in (?, ?, ?)"
        );
    }

    #[test]
    fn values_that_are_named_out_of_order_keep_their_names() {
        for sql in [
            "a = $1 and b = $1 and id in ({ids})",
            "id in ({ids}) and a = $1",
            "a = $2, b = $1, id in ({ids})",
        ] {
            let fixed = if sql.contains("$2") { 2 } else { 1 };
            let named = sql.replace("{ids}", &format!("${}, ${}", fixed + 1, fixed + 2));
            assert_eq!(with_list(DbBackend::Sqlite, sql, fixed, 2), named);
        }
    }

    #[tokio::test]
    async fn places_that_are_left_over_are_no_rows() {
        use sea_orm::TransactionTrait as _;
        let db = sea_orm::Database::connect("sqlite::memory:").await.unwrap();
        db.execute_unprepared("create table t (id integer primary key, a text not null, b bigint)")
            .await
            .unwrap();
        let tx = db.begin().await.unwrap();
        let row = |id: i64| vec![id.into(), format!("a{id}").into(), (id * 10).into()];
        // 5 rows go into a statement of 6.
        let inserted = insert(&tx, "t", &["id", "a", "b"], (1..=5).map(row).collect(), "").await.unwrap();
        let again =
            insert(&tx, "t", &["id", "a", "b"], (1..=7).map(row).collect(), "on conflict (id) do nothing");
        assert_eq!((inserted, again.await.unwrap()), (5, 2));
        let set = "update t set b = v.b from v where t.id = v.id";
        let rows = (3..=7).map(|id: i64| vec![id.into(), 0i64.into()]).collect();
        assert_eq!(with_values(&tx, &["id", "b"], rows, set).await.unwrap(), 5);
        let zero =
            returning_ids(&tx, "select id from t where b = 0 and id in ({ids})", &[1, 2, 3, 4, 5]).await;
        assert_eq!(zero.unwrap().len(), 3);
        let (fixed, ids) = ([7i64.into()], [1, 2, 3, 8, 9]);
        let gone = with_ids(&tx, "delete from t where b <> $1 and id in ({ids})", &fixed, &ids).await;
        assert_eq!(gone.unwrap(), 3);
    }
}
