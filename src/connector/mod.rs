//! What a flow may call. A call runs inside the turn that asks for it, with a limit of rows and of time, and its result goes
//! back into the flow. A write is not run here: it is handed to the turn, whose transaction it joins.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::flow::{CallResult, Connector};
use crate::store::{Error, SqlWrite, Store};

/// What a call came to.
#[derive(Debug)]
pub enum Called {
    /// This goes back into the flow.
    Result(CallResult),
    /// This joins the turn's transaction.
    Write(SqlWrite),
}

/// Calls `connector`, which the flow knows as `name`.
///
/// # Errors
/// When the store does not give a number: that is none of the flow's business, and the turn waits for the store.
pub async fn call(
    store: &Store,
    name: &str,
    connector: &Connector,
    params: &BTreeMap<String, Value>,
) -> Result<Called, Error> {
    let result = match connector {
        Connector::Query { sql, rows_max, timeout } => {
            store.query(sql, params, *rows_max, *timeout).await.map(CallResult::Rows)
        }
        Connector::Sequence { prefix, digits } => {
            let number = store.next_number(name).await?;
            Ok(CallResult::Value(format!("{prefix}-{number:0digits$}").into()))
        }
        Connector::Write { sql } => {
            return Ok(Called::Write(SqlWrite {
                connector: name.to_owned(),
                sql: sql.clone(),
                params: params.clone(),
            }));
        }
    };
    Ok(Called::Result(result.unwrap_or_else(|error| {
        tracing::warn!(connector = name, error, "a connector failed");
        CallResult::Failed(error)
    })))
}
