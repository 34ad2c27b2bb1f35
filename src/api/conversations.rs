//! `GET /api/whatsapp/conversations` and `/conversations/{id}`, and what an operator can ask of one: `POST …/handoff`,
//! `…/release`, `…/reset`.

use actix_web::http::header::LOCATION;
use actix_web::web::{Data, Path};
use actix_web::{HttpRequest, HttpResponse};
use serde::Serialize;

use super::command;
use super::idempotency::IdempotencyKey;
use super::page::Window;
use super::params::Params;
use super::problem::Problem;
use super::view::ConversationView;
use crate::domain::event::Command;
use crate::domain::ids::{ConversationId, EventId};
use crate::store::read::{Page, StoredConversation};
use crate::store::{Store, Target};

#[derive(Serialize)]
struct Asked {
    event_id: EventId,
    conversation_id: ConversationId,
    status: &'static str,
}

/// Where a conversation went.
#[derive(Serialize)]
struct Moved {
    id: ConversationId,
    merged_into: ConversationId,
}

/// Handler: a page of conversations, the newest begun first.
pub(super) async fn list(request: HttpRequest, store: Data<Store>) -> Result<HttpResponse, Problem> {
    let params = Params::of(&request, &["limit", "cursor"])?;
    let window = Window::of("conversations", &params)?;
    let rows = store.list_conversations(None, window.page()).await?;
    Ok(window.answer::<_, ConversationView>(&request, &params, rows, |row| row.id.0))
}

/// Handler: one conversation; 308 where it became part of another one.
pub(super) async fn one(
    request: HttpRequest,
    id: Path<String>,
    store: Data<Store>,
) -> Result<HttpResponse, Problem> {
    Params::of(&request, &[])?;
    let row = find(&store, &id).await?;
    if let Some(into) = row.merged_into {
        let moved = Moved { id: row.id, merged_into: into };
        let location = request.path().replace(&row.id.to_string(), &into.to_string());
        return Ok(HttpResponse::PermanentRedirect().insert_header((LOCATION, location)).json(moved));
    }
    Ok(HttpResponse::Ok().json(ConversationView::from(row)))
}

/// Handler: a person takes over.
pub(super) async fn hand_off(
    request: HttpRequest,
    id: Path<String>,
    store: Data<Store>,
) -> Result<HttpResponse, Problem> {
    ask(&request, &id, &store, Command::HandOff { until: None }).await
}

/// Handler: the bot answers again.
pub(super) async fn release(
    request: HttpRequest,
    id: Path<String>,
    store: Data<Store>,
) -> Result<HttpResponse, Problem> {
    ask(&request, &id, &store, Command::Release).await
}

/// Handler: the conversation starts afresh.
pub(super) async fn reset(
    request: HttpRequest,
    id: Path<String>,
    store: Data<Store>,
) -> Result<HttpResponse, Problem> {
    ask(&request, &id, &store, Command::Reset).await
}

/// 202 once the command is on disk.
async fn ask(
    request: &HttpRequest,
    id: &str,
    store: &Store,
    command: Command,
) -> Result<HttpResponse, Problem> {
    Params::of(request, &[])?;
    let key = IdempotencyKey::of(request)?;
    let conversation = find(store, id).await?.id;
    let receipt = command::accept(store, Target::Conversation(conversation), command, key).await?;
    let asked = Asked { event_id: receipt.event, conversation_id: receipt.conversation, status: "accepted" };
    Ok(HttpResponse::Accepted().json(asked))
}

async fn find(store: &Store, id: &str) -> Result<StoredConversation, Problem> {
    let unknown = || Problem::not_found("id", format!("there is no conversation `{id}`"));
    let known: ConversationId = id.parse().map_err(|_| unknown())?;
    let rows = store.list_conversations(Some(known), Page { before: None, limit: 1 }).await?;
    rows.into_iter().next().ok_or_else(unknown)
}
