//! `GET /api/whatsapp/queue`: what waits to leave, is held, or failed (`?state=dead`: the dead letters), and what a person can
//! do about it: `POST …/queue/resend` and `…/queue/discard` for many, `POST …/messages/{id}/resend` and `…/discard` for one.
//!
//! A message is sent again as a new message in the place of the failed one, which keeps its failure and says by which one it
//! was followed. Asked twice, it happens once.

use actix_web::web::{Bytes, Data, Path};
use actix_web::{HttpRequest, HttpResponse};
use serde::Serialize;
use serde_json::Value;

use super::command::{self, Asked};
use super::messages;
use super::page::{PAGE_MAX, Window};
use super::params::Params;
use super::problem::Problem;
use super::view::QueuedView;
use crate::domain::event::Command;
use crate::domain::ids::{ConversationId, EventId, MessageId};
use crate::domain::outbound::{Fields, Message, Priority};
use crate::domain::window::Outside;
use crate::store::read::{Page, QueueFilter, StoredMessage};
use crate::store::{QueueState, Store, Target};

#[derive(Serialize)]
struct SentAgain {
    id: MessageId,
    resend_of: MessageId,
    event_id: EventId,
    conversation_id: ConversationId,
    status: &'static str,
}

/// What was asked for many, and whether there are more of them.
#[derive(Serialize)]
struct Many {
    messages: Vec<MessageId>,
    more: bool,
}

/// Handler: a page of the queue, the newest message first.
pub(super) async fn list(request: HttpRequest, store: Data<Store>) -> Result<HttpResponse, Problem> {
    let known = ["state", "phone_number_id", "conversation", "code", "order", "limit", "cursor"];
    let params = Params::of(&request, &known)?;
    let window = Window::of("queue", &params)?;
    let states = QueueState::ALL.map(QueueState::as_str).join("`, `");
    let filter = QueueFilter {
        state: params.parsed("state", &format!("one of `{states}`"), QueueState::parse)?,
        phone_number_id: params.text("phone_number_id"),
        conversation: params.conversation()?,
        code: params
            .parsed("code", "an error code: Meta's, or one of ours below zero", |text| text.parse().ok())?,
    };
    let found = store.list_queue(filter, window.page()).await?;
    Ok(window.answer::<_, QueuedView>(&request, &params, found, |row| row.id.0))
}

/// Handler: 202 once the wish to send this failed message again is on disk.
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
    let Some((Command::Send { message_id, resend_of: Some(resend_of), .. }, event, conversation)) =
        receipts.into_iter().next()
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

/// Handler: 200 once this message will not be sent any more.
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

/// Handler: 202 once the wishes to send these failed messages again are on disk.
pub(super) async fn resend_many(
    request: HttpRequest,
    body: Bytes,
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
        .filter_map(|(command, ..)| match command {
            Command::Send { message_id, .. } => Some(message_id),
            _ => None,
        })
        .collect();
    Ok(HttpResponse::Accepted().json(Many { messages, more }))
}

/// Handler: 200 once these failed messages are not shown as such any more.
pub(super) async fn discard_many(
    request: HttpRequest,
    body: Bytes,
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
    let mut fields = command::fields(body)?;
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
        dedupe_key: format!("r:{}", failed.id),
        target: Target::Conversation(failed.conversation),
        command,
    })
}
