//! `GET /api/whatsapp/webhooks` and `/webhooks/{id}`: the accepted events and what became of them; `POST …/retry` takes a
//! quarantined one up again, `…/discard` puts it away.

use actix_web::web::{Data, Path};
use actix_web::{HttpRequest, HttpResponse};
use serde::Serialize;
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};

use super::named;
use super::openapi::words::{ConversationIdText, EventIdText, EventStateText};
use super::page::{PageQuery, Paged, Window};
use super::params::Params;
use super::problem::Problem;
use super::view::Time;
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
        let text = row.payload.take().unwrap_or_default();
        let payload = serde_json::from_str(&text).unwrap_or(Value::String(text));
        Self { event: row.into(), payload }
    }
}

/// Which events.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "for the document; parameters are read one by one")]
struct EventQuery {
    /// In this state.
    #[param(value_type = Option<EventStateText>)]
    state: Option<String>,
    /// Of this kind: `message`, `status`, `command`, `timer`, or a field of Meta's.
    #[param(min_length = 1, example = "message")]
    r#type: Option<String>,
    /// Of this conversation.
    #[param(value_type = Option<ConversationIdText>)]
    conversation: Option<String>,
    /// Of this number of ours.
    #[param(min_length = 1)]
    phone_number_id: Option<String>,
    /// With these words in the reason, in capitals or not.
    #[param(min_length = 1, example = "panicked")]
    reason: Option<String>,
    /// Accepted at this time or later.
    #[param(value_type = Option<Time>)]
    since: Option<String>,
    /// Accepted before this time.
    #[param(value_type = Option<Time>)]
    until: Option<String>,
}

/// A page of accepted events of every kind, newest first.
#[utoipa::path(
    get,
    path = "/api/whatsapp/webhooks",
    params(EventQuery, PageQuery),
    responses((status = 200, description = "The page.", body = Paged<EventView>))
)]
pub(super) async fn list(request: HttpRequest, store: Data<Store>) -> Result<HttpResponse, Problem> {
    let params = Params::of(&request, &PARAMS)?;
    let window = Window::of("webhooks", &params)?;
    let filter = EventFilter {
        state: params.word("state", &EVENT_STATES)?,
        kind: params.text("type"),
        conversation: params.conversation()?,
        phone_number_id: params.text("phone_number_id"),
        reason: params.text("reason"),
        times: params.times()?,
    };
    let found = store.list_events(filter, window.page()).await?;
    Ok(window.answer::<_, EventView>(&request, &params, found, |row| row.id.0))
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

/// Puts a quarantined event away for good: it is `ignored` from then on, and its `reason` says that it was discarded and why
/// it had been put aside. It needs no idempotency key: asked twice, the second is a 409.
#[utoipa::path(
    post,
    path = "/api/whatsapp/webhooks/{id}/discard",
    params(("id" = EventIdText, Path, description = "The event.")),
    responses(
        (status = 200, description = "The event, put away.", body = EventWithPayload),
        (status = 409, description = "It is not quarantined.")
    )
)]
pub(super) async fn discard(
    request: HttpRequest,
    id: Path<String>,
    store: Data<Store>,
) -> Result<HttpResponse, Problem> {
    Params::of(&request, &[])?;
    let event = find(&store, &id).await?;
    if !store.discard_event(event.id).await? {
        let detail = format!("{} is not quarantined; only a quarantined event can be discarded", event.id);
        return Err(Problem::conflict(detail));
    }
    let event = find(&store, &id).await?;
    Ok(HttpResponse::Ok().json(EventWithPayload::from(event)))
}

async fn find(store: &Store, id: &str) -> Result<StoredEvent, Problem> {
    named::find("event", id, async |id| store.find_event_by_id(id).await).await
}
