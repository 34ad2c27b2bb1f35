//! What a flow may call. A call runs inside the turn that asks for it, with a limit of rows or bytes and of time, and its result
//! goes back into the flow. A write is not run here: it is handed to the turn, whose transaction it joins.
//!
//! A turn may be worked out more than once, so a call may be made more than once: queries and `GET` change nothing, and a `POST`
//! carries a name that is the same each time.

mod http;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};

use serde_json::Value;

pub use http::{ANSWER_MAX, Services, Variables};

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

/// The first number that a rehearsal gives. No sequence of a business comes to it, so that it is known in what is said.
const REHEARSED_FIRST: u64 = 9_000_000_000_000;

/// Calls that leave no trace: queries are answered from what is stored now, writes are taken to have been made, sequences
/// give numbers that are nobody's, and services are not asked.
#[derive(Debug, Default)]
pub struct Rehearsal {
    given: AtomicU64,
}

impl Rehearsal {
    /// As [`call`], without a trace.
    ///
    /// # Errors
    /// As [`call`].
    pub async fn call(
        &self,
        store: &Store,
        name: &str,
        connector: &Connector,
        params: &BTreeMap<String, Value>,
    ) -> Result<Called, Error> {
        match connector {
            Connector::Sequence { prefix, .. } => {
                let number = REHEARSED_FIRST + self.given.fetch_add(1, Ordering::Relaxed);
                Ok(Called::Result(CallResult::Value(format!("{prefix}-{number}").into())))
            }
            // A write is only handed back, and nobody commits it.
            Connector::Query { .. } | Connector::Write { .. } | Connector::Http(_) => {
                call(store, None, name, connector, params, "").await
            }
        }
    }

    /// The numbers that were given so far, as they stand in texts.
    pub fn given(&self) -> impl Iterator<Item = String> {
        (0..self.given.load(Ordering::Relaxed)).map(|place| (REHEARSED_FIRST + place).to_string())
    }
}

/// Calls `connector`, which the flow knows as `name`. `key` names this very call, and is the same when its turn is tried again.
/// Without `services`, none is asked.
///
/// # Errors
/// When the store does not give a number: that is none of the flow's business, and the turn waits for the store.
pub async fn call(
    store: &Store,
    services: Option<&Services>,
    name: &str,
    connector: &Connector,
    params: &BTreeMap<String, Value>,
    key: &str,
) -> Result<Called, Error> {
    let result = match connector {
        Connector::Query { sql, rows_max, timeout } => {
            store.query(sql, params, *rows_max, *timeout).await.map(CallResult::Rows)
        }
        Connector::Sequence { prefix, digits } => {
            let number = store.next_number(name).await?;
            Ok(CallResult::Value(format!("{prefix}-{number:0digits$}").into()))
        }
        Connector::Http(service) => match services {
            Some(services) => services.ask(service, params, key).await.map(CallResult::Value),
            None => Err("services are not asked in a dry run".to_owned()),
        },
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
