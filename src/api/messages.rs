//! `GET /api/whatsapp/messages` and `/messages/{id}`, and `POST …/read`, which marks a person's message as read.

use actix_web::web::{Data, Path};
use actix_web::{HttpRequest, HttpResponse};
use serde_json::json;
use utoipa::{IntoParams, ToSchema};

use super::body::{self, Raw};
use super::command;
use super::conversations::Asked;
use super::idempotency::{IdempotencyHeader, IdempotencyKey};
use super::named;
use super::openapi::words::{ConversationIdText, DirectionText, MessageIdText};
use super::page::{PageQuery, Paged, Window};
use super::params::{Params, one_of};
use super::problem::Problem;
use super::view::{MessageView, MessageWithAttempts, Time};
use crate::domain::delivery::Status;
use crate::domain::event::Command;
use crate::domain::ids::MessageId;
use crate::domain::outbound::{Message, Priority};
use crate::domain::search::{SEARCH_CHARS_MAX, Search};
use crate::domain::window::Outside;
use crate::store::read::{MessageFilter, StoredMessage};
use crate::store::{Sighting, Sought, Store, Target, WORDS_OF_BEGINNING_MAX};

const PARAMS: [&str; 12] = [
    "contact",
    "conversation",
    "phone_number_id",
    "direction",
    "type",
    "status",
    "since",
    "until",
    "q",
    "order",
    "limit",
    "cursor",
];

/// Which messages.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "for the document; parameters are read one by one")]
struct MessageQuery {
    /// With this person: the id of a contact, a phone number or a user id.
    #[param(min_length = 1, example = "+49 170 1234567")]
    contact: Option<String>,
    /// In this conversation.
    #[param(value_type = Option<ConversationIdText>)]
    conversation: Option<String>,
    /// With this number of ours.
    #[param(min_length = 1)]
    phone_number_id: Option<String>,
    /// From a person (`in`) or from us.
    #[param(value_type = Option<DirectionText>)]
    direction: Option<String>,
    /// Of this type, or of these, with commas between them.
    #[param(min_length = 1, example = "text,image")]
    r#type: Option<String>,
    /// That have come so far: one of the statuses of a message, or several, with commas between them.
    #[param(min_length = 1, example = "delivered,read")]
    status: Option<String>,
    /// Stored at this time or later.
    #[param(value_type = Option<Time>)]
    since: Option<String>,
    /// Stored before this time.
    #[param(value_type = Option<Time>)]
    until: Option<String>,
    /// In which all of these words are, in capitals or not; `gear*` is a word that begins so.
    #[param(min_length = 1, max_length = 200, example = "order gear*")]
    q: Option<String>,
}

const _: () = assert!(SEARCH_CHARS_MAX == 200, "the document says so");

/// A page of messages of both directions, newest first.
#[utoipa::path(
    get,
    path = "/api/whatsapp/messages",
    params(MessageQuery, PageQuery),
    responses((status = 200, description = "The page.", body = Paged<MessageView>))
)]
pub(super) async fn list(request: HttpRequest, store: Data<Store>) -> Result<HttpResponse, Problem> {
    let params = Params::of(&request, &PARAMS)?;
    let window = Window::of("messages", &params)?;
    let filter = MessageFilter { words: words(&params, &store).await?, ..filter(&params)? };
    let found = store.list_messages(filter, window.page()).await?;
    Ok(window.answer::<_, MessageView>(&request, &params, found, |row| row.position))
}

/// One message, with how far it has come and the attempts that failed.
#[utoipa::path(
    get,
    path = "/api/whatsapp/messages/{id}",
    params(("id" = MessageIdText, Path, description = "The message.")),
    responses((status = 200, description = "The message.", body = MessageWithAttempts))
)]
pub(super) async fn one(
    request: HttpRequest,
    id: Path<String>,
    store: Data<Store>,
) -> Result<HttpResponse, Problem> {
    Params::of(&request, &[])?;
    let row = find(&store, &id).await?;
    let attempts = store.attempts(row.id).await?;
    Ok(HttpResponse::Ok().json(MessageWithAttempts::new(row, attempts)))
}

/// How a message is marked as read.
#[derive(ToSchema)]
#[serde(deny_unknown_fields)]
#[expect(
    dead_code,
    reason = "it is read field by field, so that a refusal can name one; this is for the document"
)]
struct ReadRequest {
    /// Whether the person sees that somebody writes.
    typing: Option<bool>,
}

/// Marks a person's message as read: they see two blue ticks, also at all that they wrote before it.
#[utoipa::path(
    post,
    path = "/api/whatsapp/messages/{id}/read",
    params(("id" = MessageIdText, Path, description = "The person's message."), IdempotencyHeader),
    request_body(content = Option<ReadRequest>, example = json!({"typing": true})),
    responses(
        (status = 202, description = "It is on disk and takes its turn.", body = Asked),
        (status = 409, description = "It is not a person's message, or Meta has told no id of it.")
    )
)]
pub(super) async fn read(
    request: HttpRequest,
    id: Path<String>,
    body: Raw,
    store: Data<Store>,
) -> Result<HttpResponse, Problem> {
    Params::of(&request, &[])?;
    let key = IdempotencyKey::of(&request)?;
    let mut fields = body::perhaps(&body)?;
    let typing = fields.flag("typing")?;
    fields.finish()?;
    let row = find(&store, &id).await?;
    let Some(wamid) = row.wamid.filter(|_| row.direction == "in") else {
        let detail =
            format!("{} is not a message of a person; only what a person wrote is marked as read", row.id);
        return Err(Problem::conflict(detail));
    };
    let mark = json!({"type": "read", "message_id": wamid, "typing": typing});
    let message = Message::try_from(mark).map_err(|invalid| Problem::internal(&invalid.to_string()))?;
    let command = Command::Send {
        message_id: MessageId(store.ids().next()),
        priority: Priority::of(&message),
        message,
        reply_to: None,
        outside: Outside::default(),
        resend_of: None,
    };
    let receipt = command::accept(&store, Target::Conversation(row.conversation), command, key).await?;
    Ok(Asked::answer(&receipt))
}

pub(super) async fn find(store: &Store, id: &str) -> Result<StoredMessage, Problem> {
    named::find("message", id, async |id| store.find_message(id).await).await
}

fn filter(params: &Params) -> Result<MessageFilter, Problem> {
    Ok(MessageFilter {
        who: params.contact()?,
        conversation: params.conversation()?,
        phone_number_id: params.text("phone_number_id"),
        direction: params.parsed("direction", "`in` or `out`", |text| {
            matches!(text, "in" | "out").then(|| text.to_owned())
        })?,
        kinds: params.list("type", "a type such as `text` or `image`", |kind| {
            (!kind.is_empty()).then(|| kind.to_owned())
        })?,
        statuses: params.list("status", &one_of(&statuses()), Status::parse)?,
        times: params.times()?,
        words: None,
    })
}

/// The words that `q` asks for.
async fn words(params: &Params, store: &Store) -> Result<Option<Sought>, Problem> {
    let Some(text) = params.get("q") else { return Ok(None) };
    let wrong = |why: String| Problem::parameter("q", format!("`q` cannot be searched for: {why}"));
    let search = Search::parse(text).map_err(|invalid| wrong(invalid.to_string()))?;
    match store.look_for(search).await? {
        Sighting::Sought(sought) => Ok(Some(sought)),
        Sighting::TooMany(start) => Err(wrong(format!(
            "more than {WORDS_OF_BEGINNING_MAX} different words begin with `{start}`; write more of it"
        ))),
    }
}

fn statuses() -> Vec<&'static str> {
    let mut names: Vec<&'static str> = Status::ALL.map(Status::as_str).into();
    // Two of them are shown as `failed`.
    names.sort_unstable();
    names.dedup();
    names
}
