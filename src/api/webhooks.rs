//! `GET /api/whatsapp/webhooks` and `/webhooks/{id}`: the accepted events and what became of them; `POST …/retry` takes a
//! quarantined one up again.

use actix_web::web::{Data, Path};
use actix_web::{HttpRequest, HttpResponse};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::named;
use super::openapi::words::{ConversationIdText, EventIdText, EventStateText};
use super::page::{PageQuery, Paged, Window};
use super::params::Params;
use super::problem::Problem;
use super::view::Time;
use crate::domain::ids::{ConversationId, EventId};
use crate::store::Store;
use crate::store::read::{Page, StoredEvent};

/// The states of an event.
pub(super) const STATES: [&str; 5] = ["accepted", "done", "ignored", "parked", "quarantined"];

/// A quarantined event that waits for its turn again.
#[derive(Serialize, ToSchema)]
struct TakenUp {
    #[schema(value_type = EventIdText)]
    event_id: EventId,
    #[schema(value_type = Option<ConversationIdText>)]
    conversation_id: Option<ConversationId>,
    #[schema(examples("accepted"))]
    status: &'static str,
}

/// An accepted event, in the list of them: without its payload, which can be megabytes.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Event)]
struct EventView {
    #[schema(value_type = EventIdText)]
    id: EventId,
    /// `message`, `status`, `command`, `timer`, or the field of Meta's that it came in.
    #[schema(examples("message"))]
    r#type: String,
    #[schema(value_type = EventStateText)]
    state: String,
    /// Why it is in this state.
    reason: Option<String>,
    #[schema(value_type = Option<ConversationIdText>)]
    conversation_id: Option<ConversationId>,
    phone_number_id: Option<String>,
    attempts: i32,
    accepted_at: Time,
    done_at: Option<Time>,
}

impl From<StoredEvent> for EventView {
    fn from(row: StoredEvent) -> Self {
        Self {
            id: row.id,
            r#type: row.kind,
            state: row.state,
            reason: row.reason,
            conversation_id: row.conversation,
            phone_number_id: row.phone_number_id,
            attempts: row.attempts,
            accepted_at: Time(row.accepted_at),
            done_at: row.done_at.map(Time),
        }
    }
}

/// One accepted event, whole.
#[derive(Debug, Serialize, ToSchema)]
struct EventWithPayload {
    #[serde(flatten)]
    event: EventView,
    /// As it came: JSON where it is JSON, else its text.
    #[schema(value_type = Value)]
    payload: Value,
}

impl From<StoredEvent> for EventWithPayload {
    fn from(mut row: StoredEvent) -> Self {
        let text = std::mem::take(&mut row.payload);
        let payload = serde_json::from_str(&text).unwrap_or(Value::String(text));
        Self { event: row.into(), payload }
    }
}

/// A page of accepted events of every kind, newest first.
#[utoipa::path(
    get,
    path = "/api/whatsapp/webhooks",
    params(("state" = Option<EventStateText>, Query, description = "In this state."), PageQuery),
    responses((status = 200, description = "The page.", body = Paged<EventView>))
)]
pub(super) async fn list(request: HttpRequest, store: Data<Store>) -> Result<HttpResponse, Problem> {
    let params = Params::of(&request, &["state", "limit", "cursor"])?;
    let window = Window::of("webhooks", &params)?;
    let state = params.parsed("state", &format!("one of `{}`", STATES.join("`, `")), |text| {
        STATES.contains(&text).then(|| text.to_owned())
    })?;
    let rows = store.list_events(state, window.page()).await?;
    Ok(window.answer::<_, EventView>(&request, &params, rows, |row| row.id.0))
}

/// One event, with its payload as it came.
#[utoipa::path(
    get,
    path = "/api/whatsapp/webhooks/{id}",
    params(("id" = EventIdText, Path, description = "The event.")),
    responses((status = 200, description = "The event.", body = EventWithPayload))
)]
pub(super) async fn one(
    request: HttpRequest,
    id: Path<String>,
    store: Data<Store>,
) -> Result<HttpResponse, Problem> {
    Params::of(&request, &[])?;
    let row = find(&store, &id).await?;
    Ok(HttpResponse::Ok().json(EventWithPayload::from(row)))
}

/// Takes a quarantined event up again. It needs no idempotency key: asked twice, the second is a 409.
#[utoipa::path(
    post,
    path = "/api/whatsapp/webhooks/{id}/retry",
    params(("id" = EventIdText, Path, description = "The event.")),
    responses(
        (status = 202, description = "It waits for its turn again.", body = TakenUp),
        (status = 409, description = "It is not quarantined.")
    )
)]
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
    let read = async |id: EventId| {
        // The first row at or below the id is the event, or there is none with that id.
        let page = Page { before: Some(id.0.saturating_add(1)), limit: 1 };
        let row = store.list_events(None, page).await?.into_iter().next();
        Ok(row.filter(|row| row.id == id))
    };
    named::find("event", id, read).await
}
