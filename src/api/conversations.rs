//! `GET /api/whatsapp/conversations`, `/conversations/{id}` and `/conversations/{id}/messages`, and what an operator can ask
//! of one: `POST …/handoff`, `…/release`, `…/reset`.

use actix_web::http::header::LOCATION;
use actix_web::web::{Data, Path};
use actix_web::{HttpRequest, HttpResponse};
use serde::Serialize;
use utoipa::{IntoParams, ToSchema};

use super::body::{self, Raw};
use super::command::{self, Receipt};
use super::idempotency::{IdempotencyHeader, IdempotencyKey};
use super::named;
use super::openapi::words::{ConversationIdText, EventIdText};
use super::page::{PageQuery, Paged, Window};
use super::params::Params;
use super::problem::Problem;
use super::view::{ConversationView, ConversationWithSession, MessageView, Time};
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

/// Something that was asked of a conversation: it is on disk, and takes its turn.
#[derive(Serialize, ToSchema)]
pub(super) struct Asked {
    /// The event that it was accepted as.
    #[schema(value_type = EventIdText)]
    event_id: EventId,
    #[schema(value_type = ConversationIdText)]
    conversation_id: ConversationId,
    #[schema(examples("accepted"))]
    status: &'static str,
}

impl Asked {
    /// The answer to something that was accepted.
    pub(super) fn answer(receipt: &Receipt) -> HttpResponse {
        let (event_id, conversation_id) = (receipt.event, receipt.conversation);
        HttpResponse::Accepted().json(Self { event_id, conversation_id, status: "accepted" })
    }
}

/// Where a conversation went.
#[derive(Serialize, ToSchema)]
struct Moved {
    #[schema(value_type = ConversationIdText)]
    id: ConversationId,
    /// The conversation that it became part of.
    #[schema(value_type = ConversationIdText)]
    merged_into: ConversationId,
}

/// Which conversations.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "for the document; parameters are read one by one")]
struct ConversationQuery {
    /// With this person: the id of a contact, a phone number or a user id.
    #[param(min_length = 1, example = "+49 170 1234567")]
    contact: Option<String>,
    /// With this number of ours.
    #[param(min_length = 1)]
    phone_number_id: Option<String>,
    /// Whose flow stands in this state.
    #[param(min_length = 1, example = "main")]
    state: Option<String>,
    /// Whether a person has taken over.
    handed_off: Option<bool>,
    /// In which the person wrote at this time or later.
    #[param(value_type = Option<Time>)]
    active_since: Option<String>,
}

/// A page of conversations, the newest begun first.
#[utoipa::path(
    get,
    path = "/api/whatsapp/conversations",
    params(ConversationQuery, PageQuery),
    responses((status = 200, description = "The page.", body = Paged<ConversationView>))
)]
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

/// One conversation, with where it stands and what its flow remembers.
#[utoipa::path(
    get,
    path = "/api/whatsapp/conversations/{id}",
    params(("id" = ConversationIdText, Path, description = "The conversation.")),
    responses(
        (status = 200, description = "The conversation.", body = ConversationWithSession),
        (
            status = 308,
            description = "It became part of another one, because both were with the same person.",
            body = Moved,
            headers(("Location" = String, description = "Where that one is."))
        )
    )
)]
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

/// A page of what was said in one conversation, the oldest first unless told otherwise.
#[utoipa::path(
    get,
    path = "/api/whatsapp/conversations/{id}/messages",
    params(("id" = ConversationIdText, Path, description = "The conversation."), PageQuery),
    responses(
        (status = 200, description = "The page.", body = Paged<MessageView>),
        (
            status = 308,
            description = "It became part of another one, because both were with the same person.",
            body = Moved,
            headers(("Location" = String, description = "Where the same is of that one."))
        )
    )
)]
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

/// For how long a person takes over.
#[derive(ToSchema)]
#[serde(deny_unknown_fields)]
#[expect(
    dead_code,
    reason = "it is read field by field, so that a refusal can name one; this is for the document"
)]
struct HandOffRequest {
    /// Until then, 1 second to 30 days from now.
    #[schema(value_type = Option<Time>)]
    until: Option<String>,
    /// So long, in place of `until`.
    #[schema(minimum = 1, maximum = 2_592_000)]
    for_seconds: Option<i64>,
}

const _: () = assert!(HAND_OFF_MAX == 2_592_000 * SECOND, "the document says so");

/// Hands a conversation off: a person takes over, and the bot is silent until the time that is given or else until it is
/// released.
#[utoipa::path(
    post,
    path = "/api/whatsapp/conversations/{id}/handoff",
    params(("id" = ConversationIdText, Path, description = "The conversation."), IdempotencyHeader),
    request_body(content = Option<HandOffRequest>, example = json!({"for_seconds": 7200})),
    responses((status = 202, description = "It is on disk and takes its turn.", body = Asked))
)]
pub(super) async fn hand_off(
    request: HttpRequest,
    id: Path<String>,
    body: Raw,
    store: Data<Store>,
) -> Result<HttpResponse, Problem> {
    Params::of(&request, &[])?;
    let mut fields = body::perhaps(&body)?;
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

/// Releases a conversation: the bot answers again.
#[utoipa::path(
    post,
    path = "/api/whatsapp/conversations/{id}/release",
    params(("id" = ConversationIdText, Path, description = "The conversation."), IdempotencyHeader),
    responses((status = 202, description = "It is on disk and takes its turn.", body = Asked))
)]
pub(super) async fn release(
    request: HttpRequest,
    id: Path<String>,
    store: Data<Store>,
) -> Result<HttpResponse, Problem> {
    ask(&request, &id, &store, Command::Release).await
}

/// Resets a conversation: it forgets where it stood and starts afresh.
#[utoipa::path(
    post,
    path = "/api/whatsapp/conversations/{id}/reset",
    params(("id" = ConversationIdText, Path, description = "The conversation."), IdempotencyHeader),
    responses((status = 202, description = "It is on disk and takes its turn.", body = Asked))
)]
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
    Ok(Asked::answer(&receipt))
}

pub(super) async fn find(store: &Store, id: &str) -> Result<StoredConversation, Problem> {
    named::find("conversation", id, async |id| store.find_conversation(id).await).await
}
