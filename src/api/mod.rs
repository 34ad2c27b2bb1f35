//! The door for REST clients: everything under `/api` but Meta's webhook, and `GET /metrics`.
//!
//! The composition calls [`configure`] with [`Deps`] and mounts what it returns; the order in which other doors are
//! mounted does not matter. Each handler is handed only what it may touch. Reads go straight to the store; whatever
//! touches a conversation (send, hand off, release, reset) is accepted as an event like a person's message and takes its
//! turn in that conversation's line.
//!
//! Deliberately not here: what a command does (the conversation decides), the webhook (its own door), pages for people.
//!
//! Invariants:
//! - nothing but `GET /api/whatsapp/health` is answered without a key, not even that a path does not exist;
//! - every refusal is an `application/problem+json` ([`Problem`]) that names what is to blame, and none tells what
//!   happened inside;
//! - what is not understood is refused: unknown query parameters and unknown fields are never ignored;
//! - a 202 means that the event is on disk.

mod auth;
mod command;
mod contacts;
mod conversations;
pub mod cursor;
mod digest;
mod download;
mod health;
mod idempotency;
mod media;
mod messages;
mod metrics;
mod page;
mod params;
mod problem;
mod queue;
mod send;
mod stats;
mod view;
mod webhooks;

use std::sync::Arc;
use std::time::Duration;

use actix_web::guard::{self, GuardContext};
use actix_web::middleware::{DefaultHeaders, Next, from_fn};
use actix_web::web::{self, Data, JsonConfig, PathConfig, ServiceConfig};
use actix_web::{Handler, Resource, Responder, Route};

use crate::media::library::Library;
use crate::store::Store;
use crate::telemetry::Metrics;

pub use auth::ApiKeys;
pub use health::{HealthOfNumbers, NumberHealth};
pub use page::{PAGE_DEFAULT, PAGE_MAX};
pub use problem::Problem;

/// Bytes in a request body, at the most. The longest message that Meta takes is some 50 KB when every character of it is
/// written as an escape.
pub const BODY_MAX_BYTES: usize = 256 << 10;

/// Meta's door, which is not ours although it lies under our prefix.
const WEBHOOK_PATH: &str = "/api/whatsapp/webhook";

/// A phone number of ours, as far as clients may know it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Number {
    /// Meta's id of it.
    pub phone_number_id: String,
    /// The number as people dial it, if told.
    pub display: Option<String>,
}

/// How long before the end of a person's 24-hour window nothing free-form is taken any more.
#[derive(Debug, Clone, Copy)]
struct WindowMargin(Duration);

/// What this door needs.
#[derive(Clone)]
pub struct Deps {
    /// Where everything is read from and accepted into.
    pub store: Store,
    /// Who may come in.
    pub keys: ApiKeys,
    /// Our numbers; when there is one, a client need not name it.
    pub numbers: Arc<[Number]>,
    /// Files.
    pub library: Library,
    /// What `/metrics` shows, and where the requests to this door are counted.
    pub metrics: Metrics,
    /// How long before the end of a person's 24-hour window nothing free-form is taken any more.
    pub window_margin: Duration,
    /// How the numbers fare, asked at each `/health`.
    pub health: HealthOfNumbers,
}

/// What mounts this door: `App::new().configure(api::configure(deps))`. It is cloned once per worker.
pub fn configure(deps: Deps) -> impl FnOnce(&mut ServiceConfig) + Clone + Send + 'static {
    let Deps { store, keys, numbers, library, metrics, window_margin, health } = deps;
    let window_margin = Data::new(WindowMargin(window_margin));
    let (store, keys, metrics) = (Data::new(store), Data::new(keys), Data::new(metrics));
    let library = Data::new(library);
    let (numbers, health): (Data<[Number]>, Data<_>) = (Data::from(numbers), Data::from(health));
    move |app: &mut ServiceConfig| {
        let counted = metrics.clone();
        let checked = keys.clone();
        let keyed = routes(web::scope(""))
            .default_service(web::to(|| async { problem::unknown_path() }))
            .wrap(from_fn(move |request, next: Next<_>| auth::require_key(checked.clone(), request, next)));
        let api = web::scope("/api")
            .guard(guard::fn_guard(is_ours))
            .app_data(store.clone())
            .app_data(numbers)
            .app_data(health)
            .app_data(library)
            .app_data(window_margin)
            .app_data(JsonConfig::default().limit(BODY_MAX_BYTES).error_handler(problem::of_json))
            .app_data(PathConfig::default().error_handler(|error, _| problem::of_path(&error).into()))
            .service(read("/whatsapp/health", health::health))
            .service(keyed)
            .wrap(headers())
            .wrap(from_fn(move |request, next: Next<_>| metrics::count(counted.clone(), request, next)));
        app.service(api);

        let figures = read("/metrics", metrics::show)
            .app_data(store)
            .app_data(metrics)
            .wrap(from_fn(move |request, next: Next<_>| auth::require_key(keys.clone(), request, next)))
            .wrap(headers());
        app.service(figures);
    }
}

fn routes(scope: actix_web::Scope) -> actix_web::Scope {
    scope
        .service(act("/whatsapp/send", send::send))
        .service(read("/whatsapp/messages", messages::list))
        .service(read("/whatsapp/messages/{id}", messages::one))
        .service(act("/whatsapp/messages/{id}/resend", queue::resend))
        .service(act("/whatsapp/messages/{id}/discard", queue::discard))
        .service(read("/whatsapp/queue", queue::list))
        .service(act("/whatsapp/queue/resend", queue::resend_many))
        .service(act("/whatsapp/queue/discard", queue::discard_many))
        .service(read("/whatsapp/contacts", contacts::list))
        .service(read("/whatsapp/contacts/{id}", contacts::one))
        .service(act("/whatsapp/contacts/{id}/opt-out", contacts::opt_out))
        .service(act("/whatsapp/contacts/{id}/opt-in", contacts::opt_in))
        .service(read("/whatsapp/conversations", conversations::list))
        .service(read("/whatsapp/conversations/{id}", conversations::one))
        .service(act("/whatsapp/conversations/{id}/handoff", conversations::hand_off))
        .service(act("/whatsapp/conversations/{id}/release", conversations::release))
        .service(act("/whatsapp/conversations/{id}/reset", conversations::reset))
        .service(media::collection("/whatsapp/media"))
        .service(read("/whatsapp/media/{id}", media::one))
        .service(read("/whatsapp/media/{id}/content", media::content))
        .service(act("/whatsapp/media/{id}/fetch", media::fetch))
        .service(read("/whatsapp/webhooks", webhooks::list))
        .service(read("/whatsapp/webhooks/{id}", webhooks::one))
        .service(act("/whatsapp/webhooks/{id}/retry", webhooks::retry))
        .service(read("/whatsapp/stats", stats::stats))
}

/// Something to look at.
fn read<F, Args>(path: &str, handler: F) -> Resource
where
    F: Handler<Args>,
    Args: actix_web::FromRequest + 'static,
    F::Output: Responder + 'static,
{
    only(path, web::route().guard(guard::Any(guard::Get()).or(guard::Head())).to(handler), "GET, HEAD")
}

/// Something to do.
fn act<F, Args>(path: &str, handler: F) -> Resource
where
    F: Handler<Args>,
    Args: actix_web::FromRequest + 'static,
    F::Output: Responder + 'static,
{
    only(path, web::post().to(handler), "POST")
}

fn only(path: &str, route: Route, allow: &'static str) -> Resource {
    web::resource(path)
        .route(route)
        .default_service(web::to(move || async move { problem::wrong_method(allow) }))
}

fn is_ours(context: &GuardContext<'_>) -> bool {
    context.head().uri.path() != WEBHOOK_PATH
}

/// Answers hold what people wrote: no cache may keep them, no browser may guess at them.
fn headers() -> DefaultHeaders {
    DefaultHeaders::new().add(("Cache-Control", "no-store")).add(("X-Content-Type-Options", "nosniff"))
}

#[cfg(test)]
mod tests;
