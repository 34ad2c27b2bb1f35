//! `GET /api/whatsapp/webhooks` and `/webhooks/{id}`: the accepted events and what became of them; `POST …/retry` takes a
//! quarantined one up again.

use actix_web::web::{Data, Path};
use actix_web::{HttpRequest, HttpResponse};
use serde::Serialize;

use super::page::Window;
use super::params::Params;
use super::problem::Problem;
use super::view::{EventView, EventWithPayload};
use crate::domain::ids::{ConversationId, EventId};
use crate::store::Store;
use crate::store::read::{EVENT_STATES, EventFilter, StoredEvent};

const PARAMS: [&str; 10] = [
    "state",
    "type",
    "conversation",
    "phone_number_id",
    "reason",
    "since",
    "until",
    "order",
    "limit",
    "cursor",
];

#[derive(Serialize)]
struct TakenUp {
    event_id: EventId,
    conversation_id: Option<ConversationId>,
    status: &'static str,
}

/// Handler: a page of events, newest first.
pub(super) async fn list(request: HttpRequest, store: Data<Store>) -> Result<HttpResponse, Problem> {
    let params = Params::of(&request, &PARAMS)?;
    let window = Window::of("webhooks", &params)?;
    let states = EVENT_STATES.join("`, `");
    let filter = EventFilter {
        state: params.parsed("state", &format!("one of `{states}`"), |text| {
            EVENT_STATES.contains(&text).then(|| text.to_owned())
        })?,
        kind: params.text("type"),
        conversation: params.conversation()?,
        phone_number_id: params.text("phone_number_id"),
        reason: params.text("reason"),
        times: params.times()?,
    };
    let found = store.list_events(filter, window.page()).await?;
    Ok(window.answer::<_, EventView>(&request, &params, found, |row| row.id.0))
}

/// Handler: one event, with its payload.
pub(super) async fn one(
    request: HttpRequest,
    id: Path<String>,
    store: Data<Store>,
) -> Result<HttpResponse, Problem> {
    Params::of(&request, &[])?;
    let row = find(&store, &id).await?;
    Ok(HttpResponse::Ok().json(EventWithPayload::from(row)))
}

/// Handler: 202 once the event waits for its turn again. It needs no idempotency key: asked twice, the second is a 409.
pub(super) async fn retry(
    request: HttpRequest,
    id: Path<String>,
    store: Data<Store>,
) -> Result<HttpResponse, Problem> {
    Params::of(&request, &[])?;
    let event = find(&store, &id).await?;
    if !store.retry_event(event.id).await? {
        let detail = format!("{} is not quarantined; only a quarantined event can be retried", event.id);
        return Err(Problem::conflict(detail));
    }
    let taken_up = TakenUp { event_id: event.id, conversation_id: event.conversation, status: "accepted" };
    Ok(HttpResponse::Accepted().json(taken_up))
}

async fn find(store: &Store, id: &str) -> Result<StoredEvent, Problem> {
    let unknown = || Problem::not_found("id", format!("there is no event `{id}`"));
    let known: EventId = id.parse().map_err(|_| unknown())?;
    store.find_event_by_id(known).await?.ok_or_else(unknown)
}
