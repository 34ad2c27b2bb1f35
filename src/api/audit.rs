//! `GET /api/whatsapp/audit`: who asked for what, and what became of it.

use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use serde::Serialize;
use utoipa::{IntoParams, ToSchema};

use super::openapi::words::{ActorText, DeedIdText, EventIdText, KeyIdText, OutcomeText};
use super::page::{PageQuery, Paged, Window};
use super::params::Params;
use super::problem::Problem;
use super::view::Time;
use crate::domain::ids::{DeedId, EventId, KeyId};
use crate::store::{Actor, DeedFilter, Outcome, Store, StoredDeed};

const PARAMS: [&str; 10] =
    ["actor", "key", "action", "target", "outcome", "since", "until", "order", "limit", "cursor"];

/// An entry of the audit log. Bodies and secrets are never in it.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Deed)]
pub(super) struct DeedView {
    #[schema(value_type = DeedIdText)]
    id: DeedId,
    at: Time,
    /// Who: somebody with a key of the table, with the key of the environment, or at the command line.
    #[schema(value_type = ActorText)]
    actor: String,
    #[schema(value_type = Option<KeyIdText>)]
    key_id: Option<KeyId>,
    /// The key's name.
    key_name: Option<String>,
    /// What was asked for: the `operationId` of an endpoint.
    #[schema(examples("conversations.hand_off"))]
    action: String,
    /// The id of what it was done to, or of what it made.
    #[schema(examples("cnv_7353703253942274"))]
    target: Option<String>,
    /// The event that it was accepted as; what became of that stands there.
    #[schema(value_type = Option<EventIdText>)]
    event_id: Option<EventId>,
    #[schema(value_type = OutcomeText)]
    outcome: String,
    /// Why it was refused or has failed: the end of the problem's `type`.
    #[schema(examples("not_found"))]
    reason: Option<String>,
    /// The `X-Request-Id` of the request.
    request_id: Option<String>,
}

impl From<StoredDeed> for DeedView {
    fn from(row: StoredDeed) -> Self {
        Self {
            id: row.id,
            at: Time(row.at),
            actor: row.actor,
            key_id: row.key,
            key_name: row.key_name,
            action: row.action,
            target: row.target,
            event_id: row.event,
            outcome: row.outcome,
            reason: row.reason,
            request_id: row.request_id,
        }
    }
}

/// Which entries.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "for the document; parameters are read one by one")]
struct DeedQuery {
    /// By whom.
    #[param(value_type = Option<ActorText>)]
    actor: Option<String>,
    /// With this key.
    #[param(value_type = Option<KeyIdText>)]
    key: Option<String>,
    /// Of this kind.
    #[param(example = "send.send", min_length = 1)]
    action: Option<String>,
    /// Done to this.
    #[param(min_length = 1)]
    target: Option<String>,
    /// With this outcome.
    #[param(value_type = Option<OutcomeText>)]
    outcome: Option<String>,
    /// Not before this time.
    #[param(value_type = Option<Time>)]
    since: Option<String>,
    /// Before this time.
    #[param(value_type = Option<Time>)]
    until: Option<String>,
}

/// A page of the audit log, newest first: every request that was to change something, by whom, and its outcome.
#[utoipa::path(
    get,
    path = "/api/whatsapp/audit",
    params(DeedQuery, PageQuery),
    responses((status = 200, description = "The page.", body = Paged<DeedView>))
)]
pub(super) async fn list(request: HttpRequest, store: Data<Store>) -> Result<HttpResponse, Problem> {
    let params = Params::of(&request, &PARAMS)?;
    let window = Window::of("audit", &params)?;
    let found = store.list_deeds(filter(&params)?, window.page()).await?;
    Ok(window.answer::<_, DeedView>(&request, &params, found, |row| row.id.0))
}

fn filter(params: &Params) -> Result<DeedFilter, Problem> {
    Ok(DeedFilter {
        actor: params.word("actor", &Actor::KINDS)?,
        key: params.parsed("key", "the id of a key (`key_…`)", |text| text.parse().ok())?,
        action: params.text("action"),
        target: params.text("target"),
        outcome: params.one_of("outcome", &Outcome::ALL.map(Outcome::as_str), Outcome::parse)?,
        times: params.times()?,
    })
}
