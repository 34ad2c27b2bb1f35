//! `GET /api/whatsapp/health`: for people and monitors, without a key. `/health/live` says that the program runs, which is for
//! whoever would start it again; `/health/ready` says whether it can take in messages now, which is for load balancers.
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
    /// Of the oldest reply that has not left: since what it answers was accepted.
    oldest_unsent_reply_age_seconds: Option<f64>,
    queue: Option<Queue>,
    numbers: Vec<NumberView>,
}

/// That it runs.
#[derive(Debug, Serialize, ToSchema)]
struct Live {
    #[schema(examples("ok"))]
    status: &'static str,
}

/// Whether it can take in messages now.
#[derive(Debug, Serialize, ToSchema)]
struct Ready {
    /// `ready` or `not ready`.
    #[schema(examples("ready"))]
    status: &'static str,
    /// Why not, in words.
    reasons: Vec<&'static str>,
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
    let backlog = backlog(&store).await;
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
        oldest_unsent_reply_age_seconds: backlog
            .as_ref()
            .and_then(|backlog| backlog.oldest_reply_at)
            .map(|at| age_seconds(now, at)),
        quarantined_events: backlog.as_ref().map(|backlog| backlog.quarantined),
        queue: backlog.as_ref().map(|backlog| Queue::new(backlog, now)),
        numbers,
    };
    Ok(HttpResponse::build(code).json(health))
}

/// That it runs. It looks at nothing: while the database is away, starting the program again would not help.
#[utoipa::path(
    get,
    path = "/api/whatsapp/health/live",
    responses((status = 200, description = "It runs.", body = Live))
)]
pub(super) async fn live(request: HttpRequest) -> Result<HttpResponse, Problem> {
    Params::of(&request, &[])?;
    Ok(HttpResponse::Ok().json(Live { status: "ok" }))
}

/// Whether it can take in messages now: the database is read and written, and there is room for events.
#[utoipa::path(
    get,
    path = "/api/whatsapp/health/ready",
    responses(
        (status = 200, description = "It can.", body = Ready),
        (status = 503, description = "It cannot; Meta keeps what it would tell, and tells it later.", body = Ready)
    )
)]
pub(super) async fn ready(request: HttpRequest, store: Data<Store>) -> Result<HttpResponse, Problem> {
    Params::of(&request, &[])?;
    let mut reasons = Vec::new();
    if backlog(&store).await.is_none() {
        reasons.push("the database cannot be read");
    }
    if !store.is_writing() {
        reasons.push("the database takes no writes");
    }
    if store.reserve(1).is_none() {
        reasons.push("too many events are unfinished");
    }
    let (code, status) = if reasons.is_empty() {
        (StatusCode::OK, "ready")
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "not ready")
    };
    Ok(HttpResponse::build(code).json(Ready { status, reasons }))
}

/// What waits, if the database answers in time.
async fn backlog(store: &Store) -> Option<Backlog> {
    match tokio::time::timeout(DATABASE_WAIT_MAX, store.backlog()).await {
        Ok(Ok(backlog)) => Some(backlog),
        Ok(Err(error)) => {
            tracing::error!(%error, "health: the database cannot be read");
            None
        }
        Err(_) => {
            tracing::error!("health: the database does not answer in time");
            None
        }
    }
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
