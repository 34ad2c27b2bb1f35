//! `GET /api/whatsapp/stats`: the counts of all time, and what waits now.

use std::collections::BTreeMap;

use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use serde::Serialize;
use utoipa::ToSchema;

use super::params::Params;
use super::problem::Problem;
use super::view::age_seconds;
use crate::clock::Millis;
use crate::store::Store;
use crate::store::read::{Backlog, Statistics};

/// `messages`, `unique_contacts`, `response_time_ms` and `menu_options` are of the number asked for, or of all; the rest
/// is of all.
#[derive(Serialize, ToSchema)]
struct Stats {
    phone_number_id: Option<String>,
    messages: Messages,
    unique_contacts: i64,
    response_time_ms: ResponseTime,
    menu_options: Vec<MenuOption>,
    queue: Queue,
    unfinished_events: i64,
    oldest_unfinished_age_seconds: Option<f64>,
    quarantined_events: i64,
    ambiguous_messages: i64,
}

#[derive(Serialize, ToSchema)]
#[schema(as = MessageCounts)]
struct Messages {
    received: i64,
    sent: i64,
    received_by_type: BTreeMap<String, i64>,
    sent_by_type: BTreeMap<String, i64>,
    sent_by_status: BTreeMap<String, i64>,
}

/// From accepting what a person wrote to Meta's id of the reply.
#[derive(Serialize, ToSchema)]
struct ResponseTime {
    p50: Option<Millis>,
    p95: Option<Millis>,
    p99: Option<Millis>,
    count: i64,
}

#[derive(Serialize, ToSchema)]
struct MenuOption {
    state: String,
    option: String,
    count: i64,
}

/// What waits to be sent.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Queue {
    by_state: BTreeMap<String, i64>,
    oldest_age_seconds: Option<f64>,
}

impl Queue {
    pub(super) fn new(backlog: &Backlog, now: Millis) -> Self {
        Self {
            by_state: backlog.by_state.clone(),
            oldest_age_seconds: backlog.oldest_at.map(|at| age_seconds(now, at)),
        }
    }
}

/// The counts of all time, of one number or of all, and what waits now.
#[utoipa::path(
    get,
    path = "/api/whatsapp/stats",
    params(("phone_number_id" = Option<String>, Query, min_length = 1, description = "Of this number; else of all.")),
    responses((status = 200, description = "The counts.", body = Stats))
)]
pub(super) async fn stats(request: HttpRequest, store: Data<Store>) -> Result<HttpResponse, Problem> {
    let params = Params::of(&request, &["phone_number_id"])?;
    let number = params.get("phone_number_id").map(str::to_owned);
    let counts = store.statistics(number.clone()).await?;
    let backlog = store.backlog().await?;
    let now = store.clock().now();
    Ok(HttpResponse::Ok().json(Stats {
        phone_number_id: number,
        unique_contacts: counts.contacts,
        response_time_ms: ResponseTime {
            p50: counts.response_p50_ms,
            p95: counts.response_p95_ms,
            p99: counts.response_p99_ms,
            count: counts.responses,
        },
        menu_options: counts.chosen.iter().map(option).collect(),
        messages: Messages::from(counts),
        queue: Queue::new(&backlog, now),
        unfinished_events: store.unfinished(),
        oldest_unfinished_age_seconds: backlog.oldest_unfinished_at.map(|at| age_seconds(now, at)),
        quarantined_events: backlog.quarantined,
        ambiguous_messages: backlog.by_state.get("ambiguous").copied().unwrap_or(0),
    }))
}

fn option((state, option, count): &(String, String, i64)) -> MenuOption {
    MenuOption { state: state.clone(), option: option.clone(), count: *count }
}

impl From<Statistics> for Messages {
    fn from(counts: Statistics) -> Self {
        Self {
            received: counts.received,
            sent: counts.sent,
            received_by_type: counts.received_by_type,
            sent_by_type: counts.sent_by_type,
            sent_by_status: counts.sent_by_status,
        }
    }
}
