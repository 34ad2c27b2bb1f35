//! `GET /api/whatsapp/conversations`, `/conversations/{id}` and `/conversations/{id}/messages`, and what an operator can ask of one: `POST …/handoff`,
//! `…/release`, `…/reset`.

use actix_web::http::header::LOCATION;
use actix_web::web::{Bytes, Data, Path};
use actix_web::{HttpRequest, HttpResponse};
use serde::Serialize;

use super::command;
use super::idempotency::IdempotencyKey;
use super::page::Window;
use super::params::Params;
use super::problem::Problem;
use super::view::{ConversationView, ConversationWithSession, MessageView};
use crate::clock::{HOUR, Millis, SECOND};
use crate::domain::event::Command;
use crate::domain::ids::{ConversationId, EventId};
use crate::domain::outbound::Fields;
use crate::store::read::{ConversationFilter, MessageFilter, Order, StoredConversation};
use crate::store::{Store, Target};

const PARAMS: [&str; 8] =
    ["contact", "phone_number_id", "state", "handed_off", "active_since", "order", "limit", "cursor"];

/// The longest hand-off that ends by itself.
const HAND_OFF_MAX: Millis = 30 * 24 * HOUR;

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
    let params = Params::of(&request, &PARAMS)?;
    let window = Window::of("conversations", &params)?;
    let filter = ConversationFilter {
        who: params.contact()?,
        phone_number_id: params.text("phone_number_id"),
        state: params.text("state"),
        handed_off: params.flag("handed_off")?,
        active_since: params.time("active_since")?,
    };
    let found = store.list_conversations(filter, window.page()).await?;
    Ok(window.answer::<_, ConversationView>(&request, &params, found, |row| row.id.0))
}

/// Handler: one conversation, with what its flow remembers; 308 where it became part of another one.
pub(super) async fn one(
    request: HttpRequest,
    id: Path<String>,
    store: Data<Store>,
) -> Result<HttpResponse, Problem> {
    Params::of(&request, &[])?;
    let row = find(&store, &id).await?;
    if let Some(into) = row.merged_into {
        return Ok(moved(&request, row.id, into));
    }
    let session = store.find_session(row.id).await?;
    Ok(HttpResponse::Ok().json(ConversationWithSession::new(row, session)))
}

/// Handler: a page of what was said in one conversation, the oldest first; 308 where it became part of another one.
pub(super) async fn transcript(
    request: HttpRequest,
    id: Path<String>,
    store: Data<Store>,
) -> Result<HttpResponse, Problem> {
    let params = Params::of(&request, &["order", "limit", "cursor"])?;
    let row = find(&store, &id).await?;
    if let Some(into) = row.merged_into {
        return Ok(moved(&request, row.id, into));
    }
    let window = Window::ordered(&format!("messages of {}", row.id), &params, Order::OldestFirst)?;
    let filter = MessageFilter { conversation: Some(row.id), ..MessageFilter::default() };
    let found = store.list_messages(filter, window.page()).await?;
    Ok(window.answer::<_, MessageView>(&request, &params, found, |row| row.position))
}

/// Where a conversation is now.
fn moved(request: &HttpRequest, id: ConversationId, into: ConversationId) -> HttpResponse {
    let location = request.path().replace(&id.to_string(), &into.to_string());
    HttpResponse::PermanentRedirect()
        .insert_header((LOCATION, location))
        .json(Moved { id, merged_into: into })
}

/// Handler: a person takes over, until the time in `{"until": "2027-01-31T18:00:00Z"}` or for `{"for_seconds": 7200}`; without
/// either, until it is released.
pub(super) async fn hand_off(
    request: HttpRequest,
    id: Path<String>,
    body: Bytes,
    store: Data<Store>,
) -> Result<HttpResponse, Problem> {
    let mut fields = command::fields(&body)?;
    let until = until(&mut fields, store.clock().now())?;
    fields.finish()?;
    ask(&request, &id, &store, Command::HandOff { until }).await
}

/// When a hand-off that is asked for at `now` ends.
fn until(fields: &mut Fields, now: Millis) -> Result<Option<Millis>, Problem> {
    let given = fields.optional_text("until")?;
    let seconds = fields.optional_integer("for_seconds")?;
    let (field, until) = match (given, seconds) {
        (None, None) => return Ok(None),
        (Some(_), Some(_)) => {
            return Err(Problem::field("for_seconds", "give `until` or `for_seconds`, not both"));
        }
        (Some(text), None) => {
            let time: jiff::Timestamp = text.parse().map_err(|_| {
                Problem::field("until", "`until` has to be a time such as 2027-01-31T18:00:00Z")
            })?;
            ("until", time.as_millisecond())
        }
        (None, Some(seconds)) => ("for_seconds", now.saturating_add(seconds.saturating_mul(SECOND))),
    };
    if (now + SECOND..=now + HAND_OFF_MAX).contains(&until) {
        return Ok(Some(until));
    }
    Err(Problem::field(field, format!("`{field}` has to end the hand-off 1 second to 30 days from now")))
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
    store.find_conversation(known).await?.ok_or_else(unknown)
}
