//! The door for REST clients: everything under `/api` but Meta's webhook, and `GET /metrics`.
//!
//! The composition calls [`configure`] with [`Deps`] and mounts what it returns; the order in which other doors are
//! mounted does not matter. Each handler is handed only what it may touch. Reads go straight to the store; whatever
//! touches a conversation (send, hand off, release, reset) is accepted as an event like a person's message and takes its
//! turn in that conversation's line.
//!
//! An endpoint is a handler with its description beside it (`utoipa::path`) and a line in `endpoints`, which says who may
//! use it. From the two come its mount, its check, its notes in the audit log, and its part of the OpenAPI document.
//!
//! Deliberately not here: what a command does (the conversation decides), the webhook (its own door), pages for people.
//!
//! Invariants:
//! - nothing but `GET /api/whatsapp/health` is answered without a key, not even that a path does not exist; the page at
//!   `/docs` is a form that asks for one, and shows nothing by itself;
//! - what a key may do is decided before the handler is called, and what it asked for is in the audit log;
//! - every refusal is an `application/problem+json` ([`Problem`]) that names what is to blame, and none tells what
//!   happened inside;
//! - what is not understood is refused: unknown query parameters and unknown fields are never ignored;
//! - a 202 means that the event is on disk.

mod audit;
mod auth;
mod body;
mod command;
mod contacts;
mod conversations;
pub mod cursor;
mod deliveries;
mod digest;
mod download;
mod endpoints;
mod events;
mod health;
mod idempotency;
mod keys;
mod media;
mod messages;
mod metrics;
mod named;
mod notice;
mod numbers;
mod openapi;
mod page;
mod params;
mod problem;
mod queue;
mod rate;
mod reference;
mod replay;
mod request_id;
mod send;
mod stats;
mod templates;
mod view;
mod webhooks;

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use actix_web::guard::{self, GuardContext};
use actix_web::middleware::{DefaultHeaders, Next, from_fn};
use actix_web::web::{self, Data, JsonConfig, PathConfig, ServiceConfig};

use crate::api::endpoints::Endpoint;
use crate::feed::Feed;
use crate::media::library::Library;
use crate::privacy::erase::Eraser;
use crate::privacy::export::Exporter;
use crate::store::Store;
use crate::telemetry::Metrics;
use crate::template::Book;

pub use auth::ApiKeys;
pub use notice::{notice_json, notice_type};
pub use numbers::{HealthOfNumbers, NumberHealth, NumberPause, SendLimits, SetToken, Setting, TokenRefused};
pub use openapi::text as openapi_document;
pub use page::{PAGE_DEFAULT, PAGE_MAX};
pub use problem::Problem;
pub use rate::Rate;

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
    /// What happens.
    pub feed: Feed,
    /// Who may come in.
    pub keys: ApiKeys,
    /// Our numbers; when there is one, a client need not name it.
    pub numbers: Arc<[Number]>,
    /// Files.
    pub library: Library,
    /// Who erases people.
    pub eraser: Eraser,
    /// Who shows all that is kept of a person.
    pub exporter: Exporter,
    /// Who knows which templates Meta would take.
    pub templates: Book,
    /// What `/metrics` shows, and where the requests to this door are counted.
    pub metrics: Metrics,
    /// How long before the end of a person's 24-hour window nothing free-form is taken any more.
    pub window_margin: Duration,
    /// How a flow is tried on what was heard before.
    pub replay: crate::replay::Settings,
    /// How the numbers fare, asked at each `/health`.
    pub health: HealthOfNumbers,
    /// What hands a number another token.
    pub set_token: SetToken,
    /// The limits of sending, to be shown.
    pub limits: SendLimits,
}

/// What there is to ask for, and the document of it: the same in every app of a process.
static WHOLE: LazyLock<(Vec<Endpoint>, Data<openapi::Document>)> = LazyLock::new(|| {
    let (endpoints, document) = openapi::build();
    (endpoints, Data::new(openapi::Document::of(&document)))
});

/// What mounts this door: `App::new().configure(api::configure(deps))`. It is cloned once per worker.
pub fn configure(deps: Deps) -> impl FnOnce(&mut ServiceConfig) + Clone + Send + 'static {
    let Deps {
        store,
        feed,
        keys,
        numbers,
        library,
        eraser,
        exporter,
        templates,
        metrics,
        window_margin,
        replay,
        health,
        set_token,
        limits,
    } = deps;
    let replay = Data::new(replay);
    let window_margin = Data::new(WindowMargin(window_margin));
    let (store, keys, metrics) = (Data::new(store), Data::new(keys), Data::new(metrics));
    let (library, templates, feed) = (Data::new(library), Data::new(templates), Data::new(feed));
    let (eraser, exporter) = (Data::new(eraser), Data::new(exporter));
    let (limits, set_token) = (Data::new(limits), Data::from(set_token));
    let (numbers, health): (Data<[Number]>, Data<_>) = (Data::from(numbers), Data::from(health));
    let (endpoints, document) = &*WHOLE;
    let document = document.clone();
    move |app: &mut ServiceConfig| {
        let counted = metrics.clone();
        let mut api = web::scope("/api")
            .guard(guard::fn_guard(is_ours))
            .app_data(store.clone())
            .app_data(numbers)
            .app_data(health)
            .app_data(library)
            .app_data(feed)
            .app_data(keys.clone())
            .app_data(metrics.clone())
            .app_data(eraser)
            .app_data(exporter)
            .app_data(window_margin)
            .app_data(replay)
            .app_data(templates)
            .app_data(limits)
            .app_data(set_token)
            .app_data(document)
            .app_data(JsonConfig::default().limit(BODY_MAX_BYTES).error_handler(problem::of_json))
            .app_data(PathConfig::default().error_handler(|error, _| problem::of_path(&error).into()));
        let mut keyed = web::scope("");
        for (path, needs_key, resource) in endpoints::resources(endpoints) {
            if !path.starts_with("/api/") {
                let keys = keys.clone();
                let alone = resource
                    .app_data(store.clone())
                    .app_data(metrics.clone())
                    .wrap(from_fn(move |request, next: Next<_>| {
                        auth::require_key(keys.clone(), request, next)
                    }))
                    .wrap(headers())
                    .wrap(from_fn(request_id::attach));
                app.service(alone);
            } else if needs_key {
                keyed = keyed.service(resource);
            } else {
                api = api.service(resource);
            }
        }
        let keyed = keyed
            .default_service(web::to(|| async { problem::unknown_path() }))
            .wrap(from_fn(move |request, next: Next<_>| auth::require_key(keys.clone(), request, next)));
        app.service(
            api.service(keyed)
                .wrap(headers())
                .wrap(from_fn(request_id::attach))
                .wrap(from_fn(move |request, next: Next<_>| metrics::count(counted.clone(), request, next))),
        );
        reference::mount(app);
    }
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
