//! SQL that a flow file brings: named parameters are bound, never pasted; reads run where nothing can be written, under a
//! limit of rows and of time; writes run in the transaction of their turn.

use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::{StreamExt, TryStreamExt};
use sea_orm::{
    ConnectionTrait, DatabaseTransaction, DbBackend, DbErr, FromQueryResult, JsonValue, QueryResult,
    Statement, Value,
};
use serde_json::Map;

use crate::store::{Error, SqlWrite, Store};

/// Characters of a database's error that a reader is shown.
const ERROR_LENGTH_MAX: usize = 300;

impl Store {
    /// Runs a flow's query: up to `rows_max` rows, each a map from column to value, within `timeout`.
    ///
    /// # Errors
    /// The database's words, or that it took too long. Nothing can have been written.
    pub async fn query(
        &self,
        sql: &str,
        params: &BTreeMap<String, serde_json::Value>,
        rows_max: usize,
        timeout: Duration,
    ) -> Result<Vec<Map<String, serde_json::Value>>, String> {
        let (sql, params) = (sql.to_owned(), params.clone());
        let db = self.0.flows.clone();
        let rows = self.on_its_runtime(async move {
            let statement = bind(db.get_database_backend(), trimmed(&sql), &params);
            let rows = async {
                let stream = sea_orm::StreamTrait::stream_raw(&db, statement).await?;
                let rows = stream.take(rows_max).map(|row| columns(&row?));
                rows.try_collect::<Vec<Map<String, JsonValue>>>().await
            };
            match tokio::time::timeout(timeout, rows).await {
                Ok(rows) => Ok(rows?),
                Err(_) => Err(Error::Setup(format!("the query took longer than {timeout:?}"))),
            }
        });
        rows.await.map_err(|error| shortened(&error.to_string()))
    }
}

/// A row as a map. SeaORM reads by declared types and leaves out what has none or an unknown one; on SQLite that is every
/// computed column (`sum(planned)`), which is read by the type of its value here.
pub(crate) fn columns(row: &QueryResult) -> Result<Map<String, JsonValue>, DbErr> {
    let JsonValue::Object(mut columns) = JsonValue::from_query_result(row, "")? else {
        return Err(DbErr::Type("a row is not a map of columns".to_owned()));
    };
    for (index, name) in row.column_names().into_iter().enumerate() {
        if !columns.contains_key(&name) {
            let value = computed(row, index).ok_or_else(|| {
                DbErr::Type(format!("the type of column `{name}` cannot be read; cast it to text or bigint"))
            })?;
            columns.insert(name, value);
        }
    }
    Ok(columns)
}

fn computed(row: &QueryResult, index: usize) -> Option<JsonValue> {
    let whole = row.try_get_by_index::<Option<i64>>(index).map(JsonValue::from);
    let number = || row.try_get_by_index::<Option<f64>>(index).map(JsonValue::from);
    let text = || row.try_get_by_index::<Option<String>>(index).map(JsonValue::from);
    whole.or_else(|_| number()).or_else(|_| text()).ok()
}

/// Runs a flow's write within the turn's transaction.
pub(crate) async fn write(tx: &DatabaseTransaction, write: &SqlWrite) -> Result<(), DbErr> {
    let statement = bind(tx.get_database_backend(), trimmed(&write.sql), &write.params);
    tx.execute_raw(statement).await.map(drop)
}

/// The next number of a sequence.
pub(crate) async fn next_number(db: &impl ConnectionTrait, name: &str) -> Result<i64, DbErr> {
    let sql = "insert into sequence (name, value) values ($1, 1) \
               on conflict (name) do update set value = sequence.value + 1 returning value";
    let statement = Statement::from_sql_and_values(db.get_database_backend(), sql, [Value::from(name)]);
    let row = db.query_one_raw(statement).await?;
    row.ok_or(DbErr::RecordNotInserted)?.try_get_by_index(0)
}

fn trimmed(sql: &str) -> &str {
    sql.trim().trim_end_matches(';')
}

fn shortened(error: &str) -> String {
    error.chars().take(ERROR_LENGTH_MAX).collect()
}

/// Replaces `:name` by this database's placeholder, outside of quotes, comments and `::` casts.
fn bind(backend: DbBackend, sql: &str, params: &BTreeMap<String, serde_json::Value>) -> Statement {
    let mut text = String::with_capacity(sql.len());
    let mut values = Vec::new();
    let mut rest = sql;
    while let Some(next) = rest.chars().next() {
        let skipped = match next {
            '\'' | '"' => quoted(rest, next),
            '-' if rest.starts_with("--") => rest.find('\n').unwrap_or(rest.len()),
            '/' if rest.starts_with("/*") => rest.find("*/").map_or(rest.len(), |end| end + 2),
            ':' if rest.starts_with("::") => 2,
            ':' => {
                let name = name_at(&rest[1..]);
                if let Some(value) = params.get(name) {
                    text.push_str(&placeholder(backend, value, &mut values));
                    rest = &rest[1 + name.len()..];
                    continue;
                }
                1
            }
            other => other.len_utf8(),
        };
        text.push_str(&rest[..skipped]);
        rest = &rest[skipped..];
    }
    Statement::from_sql_and_values(backend, text, values)
}

fn quoted(text: &str, quote: char) -> usize {
    text[1..].find(quote).map_or(text.len(), |end| end + 2)
}

fn name_at(text: &str) -> &str {
    let end = text.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(text.len());
    &text[..end]
}

/// The placeholder of a value, which it adds to `values`. PostgreSQL is told the type: it keeps a prepared statement by its
/// text, and would read a later value of another type as if it were of the first one's.
fn placeholder(backend: DbBackend, value: &serde_json::Value, values: &mut Vec<Value>) -> String {
    if value.is_null() {
        return "null".to_owned();
    }
    values.push(bound(value));
    let number = values.len();
    match (backend, values.last()) {
        (DbBackend::Postgres, Some(Value::BigInt(_))) => format!("${number}::bigint"),
        (DbBackend::Postgres, Some(Value::Double(_))) => format!("${number}::double precision"),
        (DbBackend::Postgres, Some(Value::Bool(_))) => format!("${number}::boolean"),
        (DbBackend::Postgres, _) => format!("${number}::text"),
        _ => format!("${number}"),
    }
}

fn bound(value: &serde_json::Value) -> Value {
    match value {
        serde_json::Value::Bool(flag) => Value::from(*flag),
        serde_json::Value::Number(number) => match number.as_i64() {
            Some(whole) => Value::from(whole),
            None => Value::from(number.as_f64()),
        },
        serde_json::Value::String(text) => Value::from(text.clone()),
        serde_json::Value::Null | serde_json::Value::Array(_) | serde_json::Value::Object(_) => {
            Value::from(value.to_string())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_bound_and_quotes_comments_and_casts_are_left_alone() {
        let params =
            BTreeMap::from([("me".to_owned(), "49'; drop table x".into()), ("n".to_owned(), 3.into())]);
        let sql =
            "select ':me', a::text -- :me\n from t /* :n */ where p = :me and n in (:n, :n) and x = :other";
        let bound = bind(DbBackend::Sqlite, sql, &params);
        assert_eq!(
            bound.sql,
            "select ':me', a::text -- :me\n from t /* :n */ where p = $1 and n in ($2, $3) and x = :other"
        );
        assert_eq!(bound.values.map(|values| values.0.len()), Some(3));
    }

    #[test]
    fn postgres_is_told_the_type_of_each_value_and_null_is_written_out() {
        let params = [("a", 3.into()), ("b", 3.5.into()), ("c", "x".into()), ("d", serde_json::Value::Null)];
        let params = params.map(|(name, value)| (name.to_owned(), value)).into();
        let bound = bind(DbBackend::Postgres, "values (:a, :b, :c, :d)", &params);
        assert_eq!(bound.sql, "values ($1::bigint, $2::double precision, $3::text, null)");
    }
}
