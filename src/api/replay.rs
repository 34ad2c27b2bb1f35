//! `POST /api/whatsapp/conversations/{id}/replay`: what another flow would have said in a conversation. A dry run: nothing is
//! sent, written or kept of it.

use actix_web::web::{Data, Json, Path};
use actix_web::{HttpRequest, HttpResponse};
use serde::Serialize;
use utoipa::ToSchema;

use super::body::{self, Body};
use super::conversations;
use super::openapi::words::{ConversationIdText, EventIdText};
use super::params::Params;
use super::problem::Problem;
use super::view::Time;
use crate::domain::ids::{ConversationId, EventId};
use crate::domain::outbound::{Fields, Message};
use crate::replay::{Exchange, Replay, Settings};
use crate::store::Store;
use crate::store::read::Times;

/// What is to be tried.
#[derive(ToSchema)]
#[serde(deny_unknown_fields)]
#[expect(
    dead_code,
    reason = "it is read field by field, so that a refusal can name one; this is for the document"
)]
pub(super) struct ReplayRequest {
    /// The flow: the text of its YAML file.
    #[schema(min_length = 1)]
    flow: String,
    /// From this time on.
    #[schema(value_type = Option<Time>)]
    since: Option<String>,
    /// Until this time.
    #[schema(value_type = Option<Time>)]
    until: Option<String>,
}

/// A conversation, replayed.
#[derive(Serialize, ToSchema)]
struct Replayed {
    #[schema(value_type = ConversationIdText)]
    conversation_id: ConversationId,
    /// Names the flow that was tried.
    flow_hash: String,
    /// How many exchanges would be different.
    differences: usize,
    /// Whether there are later events: 1,000 are replayed at once.
    more: bool,
    exchanges: Vec<ExchangeView>,
}

/// What was heard, what was said to it then, and what the flow would say.
#[derive(Serialize, ToSchema)]
#[schema(as = Exchange)]
struct ExchangeView {
    #[schema(value_type = EventIdText)]
    event_id: EventId,
    at: Time,
    /// What was heard, for a reader.
    #[schema(examples("hi"))]
    heard: String,
    /// Whether the flow would say what was said.
    same: bool,
    /// The messages of then.
    #[schema(value_type = Vec<Object>)]
    then: Vec<Message>,
    /// The messages of the flow.
    #[schema(value_type = Vec<Object>)]
    now: Vec<Message>,
    /// Why the turn would break, if it would.
    trouble: Option<String>,
}

impl From<Exchange> for ExchangeView {
    fn from(exchange: Exchange) -> Self {
        let Exchange { event, at, heard, then, now, trouble, same } = exchange;
        Self { event_id: event, at: Time(at), heard, same, then, now, trouble }
    }
}

/// Tries a flow on a conversation: what it would say to what was heard, beside what was said. Nothing is sent, written or kept.
/// Queries of the flow are answered from what is stored now. Asked again, it is made again.
#[utoipa::path(
    post,
    path = "/api/whatsapp/conversations/{id}/replay",
    params(("id" = ConversationIdText, Path, description = "The conversation.")),
    request_body(
        content = ReplayRequest,
        example = json!({"flow": "switchboard: 1\nbot: small\nstart: hello\nstates:\n  hello: { end: Hello! }\n"})
    ),
    responses((status = 200, description = "Both, side by side.", body = Replayed))
)]
pub(super) async fn replay(
    request: HttpRequest,
    id: Path<String>,
    body: Json<Body>,
    store: Data<Store>,
    settings: Data<Settings>,
) -> Result<HttpResponse, Problem> {
    Params::of(&request, &[])?;
    let mut fields = body::fields(body.into_inner().0)?;
    let flow = fields.text("flow")?;
    let times = Times { since: time(&mut fields, "since")?, until: time(&mut fields, "until")? };
    fields.finish()?;
    let conversation = conversations::find(&store, &id).await?.id;
    let replay = Replay::of_source(store.get_ref().clone(), &flow, &settings)
        .map_err(|mistakes| Problem::field("flow", format!("`flow` has mistakes:\n{mistakes}")))?;
    let replayed = replay.conversation(conversation, times).await?;
    let replayed = replayed.ok_or_else(|| Problem::internal("a conversation that was there is not"))?;
    Ok(HttpResponse::Ok().json(Replayed {
        conversation_id: replayed.conversation,
        flow_hash: replay.hash().to_owned(),
        differences: replayed.differences().count(),
        more: replayed.more,
        exchanges: replayed.exchanges.into_iter().map(ExchangeView::from).collect(),
    }))
}

fn time(fields: &mut Fields, name: &'static str) -> Result<Option<i64>, Problem> {
    let Some(text) = fields.optional_text(name)? else { return Ok(None) };
    let time: Result<jiff::Timestamp, _> = text.parse();
    let wrong = |_| Problem::field(name, format!("`{name}` has to be a time such as 2027-01-31T18:00:00Z"));
    time.map(|time| Some(time.as_millisecond())).map_err(wrong)
}
