//! The thing that the id in a path names.

use std::str::FromStr;

use super::problem::Problem;
use crate::store::Error;

/// What `read` finds under `id`; 404 where that is no id of this kind, or leads to nothing.
pub(super) async fn find<Id: FromStr, Row>(
    kind: &str,
    id: &str,
    read: impl AsyncFnOnce(Id) -> Result<Option<Row>, Error>,
) -> Result<Row, Problem> {
    let unknown = || Problem::not_found("id", format!("there is no {kind} `{id}`"));
    let known = id.parse().map_err(|_| unknown())?;
    read(known).await?.ok_or_else(unknown)
}
