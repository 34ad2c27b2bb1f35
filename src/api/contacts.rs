//! `GET /api/whatsapp/contacts` and `/contacts/{id}`, and what an operator can say of a person's wishes: `POST …/opt-out` and
//! `…/opt-in`, `{"scope": "all"}` or `{"scope": "marketing"}`.

use actix_web::web::{Data, Path};
use actix_web::{HttpRequest, HttpResponse};
use utoipa::{IntoParams, ToSchema};

use super::body::{self, Raw};
use super::named;
use super::openapi::words::{ConsentScopeText, ContactIdText};
use super::page::{PageQuery, Paged, Window};
use super::params::Params;
use super::problem::Problem;
use super::view::ContactView;
use crate::domain::consent::{By, Change, Scope};
use crate::store::Store;
use crate::store::read::{ContactFilter, StoredContact};

const PARAMS: [&str; 8] =
    ["name", "phone", "user_id", "opted_out", "marketing_opted_out", "order", "limit", "cursor"];

/// Which people.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "for the document; parameters are read one by one")]
struct ContactQuery {
    /// Whose name begins so, in capitals or not.
    #[param(min_length = 1, pattern = r"\S", example = "ann")]
    name: Option<String>,
    /// Who has, or had, a phone number that begins so, with the country code.
    #[param(min_length = 1, example = "+49 170")]
    phone: Option<String>,
    /// Who has, or had, a business-scoped id that begins so, of their own or their parent's.
    #[param(min_length = 1, example = "US.")]
    user_id: Option<String>,
    /// Who wants no messages, or who takes them.
    opted_out: Option<bool>,
    /// Who wants no marketing, or who takes it.
    marketing_opted_out: Option<bool>,
}

/// A page of the people who wrote or were written to, newest first.
#[utoipa::path(
    get,
    path = "/api/whatsapp/contacts",
    params(ContactQuery, PageQuery),
    responses((status = 200, description = "The page.", body = Paged<ContactView>))
)]
pub(super) async fn list(request: HttpRequest, store: Data<Store>) -> Result<HttpResponse, Problem> {
    let params = Params::of(&request, &PARAMS)?;
    let window = Window::of("contacts", &params)?;
    let filter = ContactFilter {
        name: params.parsed("name", "the beginning of a name", |text| {
            (!text.trim().is_empty()).then(|| text.to_owned())
        })?,
        phone: params.parsed(
            "phone",
            "the first digits of a phone number, with the country code",
            beginning,
        )?,
        user_id: params.text("user_id"),
        opted_out: params.flag("opted_out")?,
        marketing_opted_out: params.flag("marketing_opted_out")?,
    };
    let found = store.list_contacts(filter, window.page()).await?;
    Ok(window.answer::<_, ContactView>(&request, &params, found, |row| row.id.0))
}

/// The digits of the beginning of a phone number, as people write it.
fn beginning(text: &str) -> Option<String> {
    let text = text.trim();
    let text = text.strip_prefix('+').unwrap_or(text);
    let digits: String = text.chars().filter(|c| !matches!(c, ' ' | '-' | '(' | ')' | '.')).collect();
    (!digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit())).then_some(digits)
}

/// One person; where they turned out to be another one, that one.
#[utoipa::path(
    get,
    path = "/api/whatsapp/contacts/{id}",
    params(("id" = ContactIdText, Path, description = "The person.")),
    responses((status = 200, description = "The person.", body = ContactView))
)]
pub(super) async fn one(
    request: HttpRequest,
    id: Path<String>,
    store: Data<Store>,
) -> Result<HttpResponse, Problem> {
    Params::of(&request, &[])?;
    let row = find(&store, &id).await?;
    Ok(HttpResponse::Ok().json(ContactView::from(row)))
}

/// What a person's wish is about.
#[derive(ToSchema)]
#[serde(deny_unknown_fields)]
#[expect(
    dead_code,
    reason = "it is read field by field, so that a refusal can name one; this is for the document"
)]
struct ConsentRequest {
    /// All messages, which is meant when it is left out, or those of marketing alone.
    #[schema(value_type = Option<ConsentScopeText>)]
    scope: Option<String>,
}

/// Opts a person out: they get no more messages, or no more marketing.
#[utoipa::path(
    post,
    path = "/api/whatsapp/contacts/{id}/opt-out",
    params(("id" = ContactIdText, Path, description = "The person.")),
    request_body(content = Option<ConsentRequest>, example = json!({"scope": "all"})),
    responses((status = 200, description = "The person, as they are from here on.", body = ContactView))
)]
pub(super) async fn opt_out(
    request: HttpRequest,
    id: Path<String>,
    body: Raw,
    store: Data<Store>,
) -> Result<HttpResponse, Problem> {
    change(&request, &id, &body, &store, true).await
}

/// Opts a person in again, to all messages or to marketing.
#[utoipa::path(
    post,
    path = "/api/whatsapp/contacts/{id}/opt-in",
    params(("id" = ContactIdText, Path, description = "The person.")),
    request_body(content = Option<ConsentRequest>, example = json!({"scope": "marketing"})),
    responses((status = 200, description = "The person, as they are from here on.", body = ContactView))
)]
pub(super) async fn opt_in(
    request: HttpRequest,
    id: Path<String>,
    body: Raw,
    store: Data<Store>,
) -> Result<HttpResponse, Problem> {
    change(&request, &id, &body, &store, false).await
}

/// 200 with the person as they are from here on.
async fn change(
    request: &HttpRequest,
    id: &str,
    body: &[u8],
    store: &Store,
    opted_out: bool,
) -> Result<HttpResponse, Problem> {
    Params::of(request, &[])?;
    let mut fields = body::perhaps(body)?;
    let scope = match fields.optional_text("scope")?.as_deref() {
        None | Some("all") => Scope::All,
        Some("marketing") => Scope::Marketing,
        Some(_) => return Err(Problem::field("scope", "`scope` has to be `all` or `marketing`")),
    };
    fields.finish()?;
    let contact = find(store, id).await?.id;
    let change = Change { scope, opted_out, by: By::Operator, at: store.clock().now() };
    store.change_consent(contact, change).await?;
    let row = find(store, id).await?;
    Ok(HttpResponse::Ok().json(ContactView::from(row)))
}

async fn find(store: &Store, id: &str) -> Result<StoredContact, Problem> {
    named::find("contact", id, async |id| store.find_contact(id).await).await
}
