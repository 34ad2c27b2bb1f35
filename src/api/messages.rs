//! `GET /api/whatsapp/messages` and `/messages/{id}`.

use actix_web::web::{Data, Path};
use actix_web::{HttpRequest, HttpResponse};
use utoipa::IntoParams;

use super::named;
use super::openapi::words::{ConversationIdText, DirectionText, MessageIdText};
use super::page::{PageQuery, Paged, Window};
use super::params::Params;
use super::problem::Problem;
use super::view::{MessageView, MessageWithAttempts, Time};
use crate::domain::delivery::Status;
use crate::domain::search::{SEARCH_CHARS_MAX, Search};
use crate::store::read::{MessageFilter, StoredMessage};
use crate::store::{Sighting, Sought, Store, WORDS_OF_BEGINNING_MAX};

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
        statuses: params.list("status", &format!("one of `{}`", statuses()), Status::parse)?,
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

fn statuses() -> String {
    let mut names: Vec<&str> = Status::ALL.map(Status::as_str).into();
    // Two of them are shown as `failed`.
    names.sort_unstable();
    names.dedup();
    names.join("`, `")
}
