//! `GET /api/whatsapp/contacts` and `/contacts/{id}`, and what an operator can say of a person's wishes: `POST …/opt-out` and
//! `…/opt-in`, `{"scope": "all"}` or `{"scope": "marketing"}`.

use actix_web::web::{Bytes, Data, Path};
use actix_web::{HttpRequest, HttpResponse};

use super::command;
use super::page::Window;
use super::params::Params;
use super::problem::Problem;
use super::view::ContactView;
use crate::domain::consent::{By, Change, Scope};
use crate::domain::ids::ContactId;
use crate::store::Store;
use crate::store::read::{ContactFilter, StoredContact};

const PARAMS: [&str; 8] =
    ["name", "phone", "user_id", "opted_out", "marketing_opted_out", "order", "limit", "cursor"];

/// Handler: a page of people, newest first.
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

/// Handler: one person; where they turned out to be another one, that one.
pub(super) async fn one(
    request: HttpRequest,
    id: Path<String>,
    store: Data<Store>,
) -> Result<HttpResponse, Problem> {
    Params::of(&request, &[])?;
    let row = find(&store, &id).await?;
    Ok(HttpResponse::Ok().json(ContactView::from(row)))
}

/// Handler: the person gets no more messages, or no more marketing.
pub(super) async fn opt_out(
    request: HttpRequest,
    id: Path<String>,
    body: Bytes,
    store: Data<Store>,
) -> Result<HttpResponse, Problem> {
    change(&request, &id, &body, &store, true).await
}

/// Handler: the person gets messages again, or marketing again.
pub(super) async fn opt_in(
    request: HttpRequest,
    id: Path<String>,
    body: Bytes,
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
    let mut fields = command::fields(body)?;
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
    let unknown = || Problem::not_found("id", format!("there is no contact `{id}`"));
    let known: ContactId = id.parse().map_err(|_| unknown())?;
    store.find_contact(known).await?.ok_or_else(unknown)
}
