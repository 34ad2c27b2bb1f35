//! `GET /api/whatsapp/queue`: what waits to leave, is held, or failed (`?state=dead`: the dead letters), and what a person can
//! do about it: `POST …/queue/resend` and `…/queue/discard` for many, `POST …/messages/{id}/resend` and `…/discard` for one.
//!
//! A message is sent again as a new message in the place of the failed one, which keeps its failure and says by which one it
//! was followed. Asked twice, it happens once.

use actix_web::web::{Data, Path};
use actix_web::{HttpRequest, HttpResponse};
use serde::Serialize;
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};

use super::body::{self, Raw};
use super::command::{self, Asked, Receipt};
use super::messages;
use super::openapi::words::{ConversationIdText, EventIdText, MessageIdText, QueueStateText};
use super::page::{PAGE_MAX, PageQuery, Paged, Window};
use super::params::Params;
use super::problem::Problem;
use super::view::QueuedView;
use crate::domain::dedupe::DedupeKey;
use crate::domain::event::Command;
use crate::domain::ids::{ConversationId, EventId, MessageId};
use crate::domain::outbound::{Fields, Message, Priority};
use crate::domain::window::Outside;
use crate::store::read::{Page, QueueFilter, StoredMessage};
use crate::store::{QueueState, Store, Target};

/// A failed message that is sent again.
#[derive(Serialize, ToSchema)]
struct SentAgain {
    /// The new message.
    #[schema(value_type = MessageIdText)]
    id: MessageId,
    /// The failed one.
    #[schema(value_type = MessageIdText)]
    resend_of: MessageId,
    #[schema(value_type = EventIdText)]
    event_id: EventId,
    #[schema(value_type = ConversationIdText)]
    conversation_id: ConversationId,
    #[schema(examples("queued"))]
    status: &'static str,
}

/// What was asked for many, and whether there are more of them.
#[derive(Serialize, ToSchema)]
struct Many {
    /// The messages: where they are sent again, the new ones.
    #[schema(value_type = Vec<MessageIdText>)]
    messages: Vec<MessageId>,
    /// Whether there are more: ask again.
    more: bool,
}

/// Which part of the queue.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "for the document; parameters are read one by one")]
struct QueueQuery {
    /// In this state; `dead` are those that failed.
    #[param(value_type = Option<QueueStateText>)]
    state: Option<String>,
    /// From this number of ours.
    #[param(min_length = 1)]
    phone_number_id: Option<String>,
    /// Of this conversation.
    #[param(value_type = Option<ConversationIdText>)]
    conversation: Option<String>,
    /// Failed with this code: Meta's, or one of ours below zero.
    #[param(example = 131_026)]
    code: Option<i64>,
}

/// Which failed messages; with nothing given, all.
#[derive(ToSchema)]
#[serde(deny_unknown_fields)]
#[expect(
    dead_code,
    reason = "it is read field by field, so that a refusal can name one; this is for the document"
)]
struct ManyRequest {
    /// From this number of ours.
    phone_number_id: Option<String>,
    /// Of this conversation.
    #[schema(value_type = Option<ConversationIdText>)]
    conversation: Option<String>,
    /// Failed with this code: Meta's, or one of ours below zero.
    code: Option<i64>,
    /// So many at the most, the newest first.
    #[schema(minimum = 1, maximum = 200)]
    limit: Option<i64>,
}

/// A page of what waits to leave, is held, or has failed, the newest message first.
#[utoipa::path(
    get,
    path = "/api/whatsapp/queue",
    params(QueueQuery, PageQuery),
    responses((status = 200, description = "The page.", body = Paged<QueuedView>))
)]
pub(super) async fn list(request: HttpRequest, store: Data<Store>) -> Result<HttpResponse, Problem> {
    let known = ["state", "phone_number_id", "conversation", "code", "order", "limit", "cursor"];
    let params = Params::of(&request, &known)?;
    let window = Window::of("queue", &params)?;
    let filter = QueueFilter {
        state: params.one_of("state", &QueueState::ALL.map(QueueState::as_str), QueueState::parse)?,
        phone_number_id: params.text("phone_number_id"),
        conversation: params.conversation()?,
        code: params
            .parsed("code", "an error code: Meta's, or one of ours below zero", |text| text.parse().ok())?,
    };
    let found = store.list_queue(filter, window.page()).await?;
    Ok(window.answer::<_, QueuedView>(&request, &params, found, |row| row.id.0))
}

/// Sends a failed message again, as a new one in its place.
#[utoipa::path(
    post,
    path = "/api/whatsapp/messages/{id}/resend",
    params(("id" = MessageIdText, Path, description = "The failed message.")),
    responses(
        (status = 202, description = "It is on disk and takes its turn.", body = SentAgain),
        (status = 409, description = "It has not failed, or was sent again or discarded already.")
    )
)]
pub(super) async fn resend(
    request: HttpRequest,
    id: Path<String>,
    store: Data<Store>,
) -> Result<HttpResponse, Problem> {
    Params::of(&request, &[])?;
    let failed = messages::find(&store, &id).await?;
    if let Some(earlier) = failed.resent_as {
        return Err(Problem::conflict(format!("{} was sent again already, as {earlier}", failed.id)));
    }
    let queued = store.find_queued(failed.id).await?;
    if queued.is_none_or(|queued| queued.state != QueueState::Dead) {
        let detail =
            format!("{} has not failed, or was discarded; only a failed message is sent again", failed.id);
        return Err(Problem::conflict(detail));
    }
    let asked = again(&store, failed)?;
    let receipts = command::accept_all(&store, vec![asked]).await?;
    let Some(Receipt {
        command: Command::Send { message_id, resend_of: Some(resend_of), .. },
        event,
        conversation,
    }) = receipts.into_iter().next()
    else {
        return Err(Problem::internal("the receipt of a resend is for something else"));
    };
    let sent = SentAgain {
        id: message_id,
        resend_of,
        event_id: event,
        conversation_id: conversation,
        status: "queued",
    };
    Ok(HttpResponse::Accepted().json(sent))
}

/// Discards a message: it will not be sent any more.
#[utoipa::path(
    post,
    path = "/api/whatsapp/messages/{id}/discard",
    params(("id" = MessageIdText, Path, description = "The message.")),
    responses(
        (status = 200, description = "It is discarded.", body = Many),
        (status = 409, description = "It is under way, or waits for nothing any more.")
    )
)]
pub(super) async fn discard(
    request: HttpRequest,
    id: Path<String>,
    store: Data<Store>,
) -> Result<HttpResponse, Problem> {
    Params::of(&request, &[])?;
    let message = messages::find(&store, &id).await?;
    let messages = store.discard(vec![message.id]).await?;
    if messages.is_empty() {
        let detail = format!("{} is under way, or waits for nothing any more", message.id);
        return Err(Problem::conflict(detail));
    }
    Ok(HttpResponse::Ok().json(Many { messages, more: false }))
}

/// Sends many failed messages again, each as a new one in its place.
#[utoipa::path(
    post,
    path = "/api/whatsapp/queue/resend",
    request_body(content = Option<ManyRequest>, example = json!({"code": -1, "limit": 100})),
    responses((status = 202, description = "They are on disk and take their turn.", body = Many))
)]
pub(super) async fn resend_many(
    request: HttpRequest,
    body: Raw,
    store: Data<Store>,
) -> Result<HttpResponse, Problem> {
    let (found, more) = wanted(&request, &body, &store).await?;
    let mut asked = Vec::with_capacity(found.len());
    for id in &found {
        if let Some(failed) = store.find_message(*id).await? {
            asked.push(again(&store, failed)?);
        }
    }
    let receipts = command::accept_all(&store, asked).await?;
    let messages = receipts
        .into_iter()
        .filter_map(|receipt| match receipt.command {
            Command::Send { message_id, .. } => Some(message_id),
            _ => None,
        })
        .collect();
    Ok(HttpResponse::Accepted().json(Many { messages, more }))
}

/// Discards many failed messages: they are not shown as such any more.
#[utoipa::path(
    post,
    path = "/api/whatsapp/queue/discard",
    request_body(content = Option<ManyRequest>, example = json!({"code": 131_026})),
    responses((status = 200, description = "They are discarded.", body = Many))
)]
pub(super) async fn discard_many(
    request: HttpRequest,
    body: Raw,
    store: Data<Store>,
) -> Result<HttpResponse, Problem> {
    let (found, more) = wanted(&request, &body, &store).await?;
    let messages = store.discard(found).await?;
    Ok(HttpResponse::Ok().json(Many { messages, more }))
}

/// The failed messages that `{"phone_number_id": …, "conversation": …, "code": …, "limit": …}` means, the newest first, and
/// whether there are more.
async fn wanted(
    request: &HttpRequest,
    body: &[u8],
    store: &Store,
) -> Result<(Vec<MessageId>, bool), Problem> {
    Params::of(request, &[])?;
    let mut fields = body::perhaps(body)?;
    let filter = QueueFilter {
        state: Some(QueueState::Dead),
        phone_number_id: fields.optional_text("phone_number_id")?,
        conversation: fields.optional_text("conversation")?.map(|id| conversation(&id)).transpose()?,
        code: fields.optional_integer("code")?,
    };
    let limit = limit(&mut fields)?;
    fields.finish()?;
    let found = store.list_queue(filter, Page::newest(limit as u64)).await?;
    Ok((found.rows.into_iter().map(|row| row.id).collect(), found.rest.is_some()))
}

fn limit(fields: &mut Fields) -> Result<usize, Problem> {
    let Some(limit) = fields.optional_integer("limit")? else { return Ok(PAGE_MAX) };
    usize::try_from(limit)
        .ok()
        .filter(|limit| (1..=PAGE_MAX).contains(limit))
        .ok_or_else(|| Problem::field("limit", format!("`limit` has to be a number from 1 to {PAGE_MAX}")))
}

fn conversation(id: &str) -> Result<ConversationId, Problem> {
    id.parse().map_err(|_| Problem::field("conversation", "`conversation` has to be an id like `cnv_…`"))
}

/// The wish to send `failed` again; the same wish for the same message, however often it is made.
fn again(store: &Store, failed: StoredMessage) -> Result<Asked, Problem> {
    let unreadable = |what: &str| Problem::internal(&format!("{} cannot be sent again: {what}", failed.id));
    let content: Value = failed.content.clone().ok_or_else(|| unreadable("it has no content"))?;
    let message = Message::try_from(content).map_err(|invalid| unreadable(&invalid.to_string()))?;
    let command = Command::Send {
        message_id: MessageId(store.ids().next()),
        priority: Priority::of(&message),
        message,
        reply_to: failed.reply_to.clone(),
        outside: Outside::Fail,
        resend_of: Some(failed.id),
    };
    Ok(Asked {
        dedupe_key: DedupeKey::of(&format!("r:{}", failed.id)),
        target: Target::Conversation(failed.conversation),
        command,
    })
}
