//! `GET /api/whatsapp/messages` and `/messages/{id}`.

use actix_web::web::{Data, Path};
use actix_web::{HttpRequest, HttpResponse};

use super::page::Window;
use super::params::Params;
use super::problem::Problem;
use super::view::{MessageView, MessageWithAttempts};
use crate::domain::delivery::Status;
use crate::domain::ids::MessageId;
use crate::domain::search::Search;
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

/// Handler: a page of messages, newest first.
pub(super) async fn list(request: HttpRequest, store: Data<Store>) -> Result<HttpResponse, Problem> {
    let params = Params::of(&request, &PARAMS)?;
    let window = Window::of("messages", &params)?;
    let filter = MessageFilter { words: words(&params, &store).await?, ..filter(&params)? };
    let found = store.list_messages(filter, window.page()).await?;
    Ok(window.answer::<_, MessageView>(&request, &params, found, |row| row.position))
}

/// Handler: one message.
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
    let unknown = || Problem::not_found("id", format!("there is no message `{id}`"));
    let known: MessageId = id.parse().map_err(|_| unknown())?;
    store.find_message(known).await?.ok_or_else(unknown)
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
