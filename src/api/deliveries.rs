//! `GET /api/whatsapp/deliveries`: what outlets were told and are to be told, with what became of it; `POST …/resend` tells
//! one once more.

use actix_web::web::{Data, Path};
use actix_web::{HttpRequest, HttpResponse};
use serde::Serialize;
use utoipa::{IntoParams, ToSchema};

use super::named;
use super::openapi::words::{ConversationIdText, DeliveryIdText, DeliveryStateText};
use super::page::{PageQuery, Paged, Window};
use super::params::Params;
use super::problem::Problem;
use super::view::Time;
use crate::domain::ids::{ConversationId, DeliveryId};
use crate::store::read::{DeliveryFilter, StoredDelivery};
use crate::store::{DeliveryState, Store};

/// Something that an outlet was told, or is to be.
#[derive(Serialize, ToSchema)]
#[schema(as = Delivery)]
struct DeliveryView {
    #[schema(value_type = DeliveryIdText)]
    id: DeliveryId,
    /// The name of the outlet.
    #[schema(examples("crm"))]
    outlet: String,
    /// The `webhook-id` under which it is posted, and its id in the event stream.
    #[schema(examples("ntc_7353703260274688-0"))]
    event_id: String,
    /// `message`, `status`, `conversation` or `alarm`.
    #[schema(examples("message"))]
    kind: &'static str,
    /// The line in which it stands; `null` for what is about no conversation.
    #[schema(value_type = Option<ConversationIdText>)]
    conversation_id: Option<ConversationId>,
    #[schema(value_type = DeliveryStateText)]
    state: &'static str,
    /// How often it was posted.
    attempts: u32,
    /// The HTTP status of the last answer.
    status: Option<u16>,
    /// What was the matter last.
    error: Option<String>,
    /// When it is posted next, where it waits.
    next_attempt_at: Option<Time>,
    happened_at: Time,
    created_at: Time,
    done_at: Option<Time>,
}

impl From<StoredDelivery> for DeliveryView {
    fn from(row: StoredDelivery) -> Self {
        let waits = row.state == DeliveryState::Waiting;
        Self {
            id: row.delivery.id,
            outlet: row.outlet,
            event_id: row.delivery.notice.to_string(),
            kind: row.delivery.news.kind().as_str(),
            conversation_id: row.delivery.lane,
            state: row.state.as_str(),
            attempts: row.delivery.attempts,
            status: row.status,
            error: row.reason,
            next_attempt_at: waits.then_some(Time(row.delivery.due_at)),
            happened_at: Time(row.delivery.happened_at),
            created_at: Time(row.created_at),
            done_at: row.done_at.map(Time),
        }
    }
}

/// A delivery that is made once more.
#[derive(Serialize, ToSchema)]
struct DeliveredAgain {
    #[schema(value_type = DeliveryIdText)]
    id: DeliveryId,
    #[schema(examples("waiting"))]
    state: &'static str,
}

/// Which deliveries.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "for the document; parameters are read one by one")]
struct DeliveriesQuery {
    /// To the outlet with this name.
    #[param(min_length = 1)]
    outlet: Option<String>,
    /// In this state; `dead` are those that were given up.
    #[param(value_type = Option<DeliveryStateText>)]
    state: Option<String>,
}

/// A page of the log of deliveries: what outlets were told and are to be told, newest first.
#[utoipa::path(
    get,
    path = "/api/whatsapp/deliveries",
    params(DeliveriesQuery, PageQuery),
    responses((status = 200, description = "The page.", body = Paged<DeliveryView>))
)]
pub(super) async fn list(request: HttpRequest, store: Data<Store>) -> Result<HttpResponse, Problem> {
    let params = Params::of(&request, &["outlet", "state", "order", "limit", "cursor"])?;
    let window = Window::of("deliveries", &params)?;
    let filter = DeliveryFilter {
        outlet: params.text("outlet"),
        state: params.one_of(
            "state",
            &DeliveryState::ALL.map(DeliveryState::as_str),
            DeliveryState::parse,
        )?,
    };
    let found = store.list_deliveries(filter, window.page()).await?;
    Ok(window.answer::<_, DeliveryView>(&request, &params, found, |row| row.delivery.id.0))
}

/// One delivery.
#[utoipa::path(
    get,
    path = "/api/whatsapp/deliveries/{id}",
    params(("id" = DeliveryIdText, Path, description = "The delivery.")),
    responses((status = 200, description = "The delivery.", body = DeliveryView))
)]
pub(super) async fn one(
    request: HttpRequest,
    id: Path<String>,
    store: Data<Store>,
) -> Result<HttpResponse, Problem> {
    Params::of(&request, &[])?;
    Ok(HttpResponse::Ok().json(DeliveryView::from(find(&store, &id).await?)))
}

/// Tells an outlet once more what it was told, or what was given up: under the same `webhook-id`, with a new deadline.
#[utoipa::path(
    post,
    path = "/api/whatsapp/deliveries/{id}/resend",
    params(("id" = DeliveryIdText, Path, description = "The delivery.")),
    responses(
        (status = 202, description = "It waits to be posted.", body = DeliveredAgain),
        (status = 409, description = "It waits already.")
    )
)]
pub(super) async fn resend(
    request: HttpRequest,
    id: Path<String>,
    store: Data<Store>,
) -> Result<HttpResponse, Problem> {
    Params::of(&request, &[])?;
    let id = find(&store, &id).await?.delivery.id;
    if !store.deliver_again(id).await? {
        return Err(Problem::conflict(format!("{id} waits to be posted already")));
    }
    Ok(HttpResponse::Accepted().json(DeliveredAgain { id, state: DeliveryState::Waiting.as_str() }))
}

async fn find(store: &Store, id: &str) -> Result<StoredDelivery, Problem> {
    named::find("delivery", id, async |id: DeliveryId| store.find_delivery(id).await).await
}
