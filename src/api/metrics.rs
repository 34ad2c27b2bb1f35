//! `GET /metrics`, and the counting of requests to this door.

use actix_web::body::MessageBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::middleware::Next;
use actix_web::web::Data;
use actix_web::{Error, HttpRequest, HttpResponse};

use super::params::Params;
use super::problem::Problem;
use super::view::age_seconds;
use crate::store::Store;
use crate::store::read::Backlog;
use crate::telemetry::{CONTENT_TYPE, Metrics};

/// The route under which requests are counted that no route matched.
const NO_ROUTE: &str = "none";

/// The metrics in OpenMetrics text, for Prometheus. They are shown even when the database cannot be read: that is when they
/// are needed most.
#[utoipa::path(
    get,
    path = "/metrics",
    responses((
        status = 200,
        description = "The metrics.",
        body = String,
        content_type = "application/openmetrics-text"
    ))
)]
pub(super) async fn show(
    request: HttpRequest,
    store: Data<Store>,
    metrics: Data<Metrics>,
) -> Result<HttpResponse, Problem> {
    Params::of(&request, &[])?;
    match store.backlog().await {
        Ok(backlog) => refresh(&metrics, &backlog, &store),
        Err(error) => tracing::warn!(%error, "the gauges of the queue are old: the database cannot be read"),
    }
    Ok(HttpResponse::Ok().content_type(CONTENT_TYPE).body(metrics.encode()))
}

fn refresh(metrics: &Metrics, backlog: &Backlog, store: &Store) {
    let waiting = backlog.waiting();
    let oldest = backlog.oldest_at.map_or(0.0, |at| age_seconds(store.clock().now(), at));
    metrics.queue(waiting, oldest);
    metrics.ambiguous_sends(backlog.by_state.get("ambiguous").copied().unwrap_or(0));
    metrics.unfinished_events(store.unfinished());
}

/// Middleware: counts an answer under the pattern that matched, never under the path.
pub(super) async fn count<B: MessageBody>(
    metrics: Data<Metrics>,
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<B>, Error> {
    let response = next.call(request).await?;
    let route = response.request().match_pattern();
    metrics.http_request(route.as_deref().unwrap_or(NO_ROUTE), response.status().as_u16());
    Ok(response)
}
