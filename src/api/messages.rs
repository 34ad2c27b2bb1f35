//! `GET /api/whatsapp/messages` and `/messages/{id}`.

use actix_web::web::{Data, Path};
use actix_web::{HttpRequest, HttpResponse};
use utoipa::IntoParams;

use super::named;
use super::openapi::words::{ConversationIdText, DirectionText, MessageIdText, StatusText};
use super::page::{PageQuery, Paged, Window};
use super::params::Params;
use super::problem::Problem;
use super::view::{MessageView, MessageWithAttempts};
use crate::domain::contact::{is_user_id, phone_digits};
use crate::domain::delivery::Status;
use crate::store::Store;
use crate::store::read::{MessageFilter, StoredMessage};

const PARAMS: [&str; 8] =
    ["contact", "conversation", "phone_number_id", "direction", "type", "status", "limit", "cursor"];

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
    /// Of this type.
    #[param(min_length = 1, example = "text")]
    r#type: Option<String>,
    /// That have come so far.
    #[param(value_type = Option<StatusText>)]
    status: Option<String>,
}

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
    let rows = store.list_messages(filter(&params)?, window.page()).await?;
    Ok(window.answer::<_, MessageView>(&request, &params, rows, |row| row.id.0))
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
    let mut filter = MessageFilter {
        conversation: params
            .parsed("conversation", "the id of a conversation (`cnv_…`)", |id| id.parse().ok())?,
        phone_number_id: params.get("phone_number_id").map(str::to_owned),
        direction: params.parsed("direction", "`in` or `out`", |text| {
            matches!(text, "in" | "out").then(|| text.to_owned())
        })?,
        kind: params.get("type").map(str::to_owned),
        status: params.parsed("status", &format!("one of `{}`", statuses()), Status::parse)?,
        ..MessageFilter::default()
    };
    let contact =
        params.parsed("contact", "a contact's id (`con_…`), a phone number or a user id", |text| {
            let id = text.parse().ok();
            let person = if is_user_id(text) { Some(text.to_owned()) } else { phone_digits(text) };
            (id.is_some() || person.is_some()).then_some((id, person))
        })?;
    (filter.contact, filter.person) = contact.unwrap_or_default();
    Ok(filter)
}

fn statuses() -> String {
    Status::ALL.map(Status::as_str).join("`, `")
}
