//! What a flow may call. A call runs inside the turn that asks for it, with a limit of rows or bytes and of time, and its result
//! goes back into the flow. A write is not run here: it is handed to the turn, whose transaction it joins.
//!
//! A turn may be worked out more than once, so a call may be made more than once: queries and `GET` change nothing, and a `POST`
//! carries a name that is the same each time.

mod http;

use std::collections::BTreeMap;

use serde_json::Value;

pub use http::{ANSWER_MAX, Services, Variables};

use crate::flow::{CallResult, Connector};
use crate::store::{SqlWrite, Store};

/// What a call came to.
#[derive(Debug)]
pub enum Called {
    /// This goes back into the flow.
    Result(CallResult),
    /// This joins the turn's transaction.
    Write(SqlWrite),
}

/// Calls `connector`, which the flow knows as `name`. `key` names this very call, and is the same when its turn is tried again.
pub async fn call(
    store: &Store,
    services: &Services,
    name: &str,
    connector: &Connector,
    params: &BTreeMap<String, Value>,
    key: &str,
) -> Called {
    let result = match connector {
        Connector::Query { sql, rows_max, timeout } => {
            store.query(sql, params, *rows_max, *timeout).await.map(CallResult::Rows)
        }
        Connector::Sequence { prefix, digits } => store
            .next_number(name)
            .await
            .map(|number| CallResult::Value(format!("{prefix}-{number:0digits$}").into()))
            .map_err(|error| error.to_string()),
        Connector::Http(service) => services.ask(service, params, key).await.map(CallResult::Value),
        Connector::Write { sql } => {
            return Called::Write(SqlWrite {
                connector: name.to_owned(),
                sql: sql.clone(),
                params: params.clone(),
            });
        }
    };
    Called::Result(result.unwrap_or_else(|error| {
        tracing::warn!(connector = name, error, "a connector failed");
        CallResult::Failed(error)
    }))
}
