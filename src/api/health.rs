//! `GET /api/whatsapp/health`: for load balancers and people, without a key.
//!
//! `ok`; `degraded` (200) while a number is paused, because its conversations wait but nothing is lost (that one is only slowed
//! is told beside it); `unavailable` (503) when the database cannot be read, because then nothing can be accepted.

use std::time::Duration;

use actix_web::http::StatusCode;
use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use serde::Serialize;
use utoipa::ToSchema;

use super::Number;
use super::numbers::{NumberView, Teller, shown};
use super::params::Params;
use super::problem::Problem;
use super::stats::Queue;
use super::view::age_seconds;
use crate::clock::Millis;
use crate::store::Store;
use crate::store::read::Backlog;

/// How long the database may take to answer before it counts as unreadable.
const DATABASE_WAIT_MAX: Duration = Duration::from_secs(3);

#[derive(Debug, Serialize, ToSchema)]
struct Health {
    /// `ok`; `degraded` while a number is paused; `unavailable` when the database cannot be read or written.
    #[schema(examples("ok"))]
    status: &'static str,
    database: Database,
    unfinished_events: i64,
    oldest_unfinished_age_seconds: Option<f64>,
    quarantined_events: Option<i64>,
    queue: Option<Queue>,
    numbers: Vec<NumberView>,
}

#[derive(Debug, Serialize, ToSchema)]
struct Database {
    /// `sqlite` or `postgres`.
    #[schema(examples("sqlite"))]
    engine: &'static str,
    ok: bool,
}

/// How it goes. The one endpoint that needs no key: it is for load balancers.
#[utoipa::path(
    get,
    path = "/api/whatsapp/health",
    responses(
        (status = 200, description = "It runs, though a number may be paused.", body = Health),
        (status = 503, description = "The database cannot be read or written: nothing can be accepted.", body = Health)
    )
)]
pub(super) async fn health(
    request: HttpRequest,
    store: Data<Store>,
    numbers: Data<[Number]>,
    teller: Data<Teller>,
) -> Result<HttpResponse, Problem> {
    Params::of(&request, &[])?;
    let backlog = match tokio::time::timeout(DATABASE_WAIT_MAX, store.backlog()).await {
        Ok(Ok(backlog)) => Some(backlog),
        Ok(Err(error)) => {
            tracing::error!(%error, "health: the database cannot be read");
            None
        }
        Err(_) => {
            tracing::error!("health: the database does not answer in time");
            None
        }
    };
    let now = store.clock().now();
    let numbers = shown(&numbers, teller(), now);
    // The last transaction tells what reads cannot: a full disk, a primary that became read-only.
    let database_ok = backlog.is_some() && store.is_writing();
    let (code, status) = verdict(database_ok, &numbers);
    let health = Health {
        status,
        database: Database { engine: store.engine(), ok: database_ok },
        unfinished_events: store.unfinished(),
        oldest_unfinished_age_seconds: backlog.as_ref().and_then(|backlog| oldest_unfinished(backlog, now)),
        quarantined_events: backlog.as_ref().map(|backlog| backlog.quarantined),
        queue: backlog.as_ref().map(|backlog| Queue::new(backlog, now)),
        numbers,
    };
    Ok(HttpResponse::build(code).json(health))
}

fn oldest_unfinished(backlog: &Backlog, now: Millis) -> Option<f64> {
    backlog.oldest_unfinished_at.map(|at| age_seconds(now, at))
}

fn verdict(database_ok: bool, numbers: &[NumberView]) -> (StatusCode, &'static str) {
    if !database_ok {
        (StatusCode::SERVICE_UNAVAILABLE, "unavailable")
    } else if numbers.iter().any(NumberView::is_paused) {
        (StatusCode::OK, "degraded")
    } else {
        (StatusCode::OK, "ok")
    }
}
