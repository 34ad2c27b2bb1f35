//! `GET /api/whatsapp/contacts` and `/contacts/{id}`, and what an operator can say of a person's wishes: `POST …/opt-out` and
//! `…/opt-in`, `{"scope": "all"}` or `{"scope": "marketing"}`. Beside them what a person can ask of us: to see all that is kept
//! of them (`GET …/export`), and that it be no more (`DELETE`).

use std::sync::Arc;
use std::time::Duration;

use actix_web::http::header::{ContentDisposition, DispositionParam, DispositionType};
use actix_web::web::{Bytes, Data, Path};
use actix_web::{HttpMessage as _, HttpRequest, HttpResponse};
use futures_util::stream;
use serde::Serialize;
use utoipa::{IntoParams, ToSchema};

use super::auth::Caller;
use super::body::{self, Raw};
use super::named;
use super::openapi::words::{ConsentScopeText, ContactIdText, ErasureStateText};
use super::page::{PageQuery, Paged, Window};
use super::params::Params;
use super::problem::Problem;
use super::request_id::RequestId;
use super::view::{ContactView, Time};
use crate::domain::consent::{By, Change, Scope};
use crate::domain::ids::ContactId;
use crate::privacy::erase::Eraser;
use crate::privacy::export::{Exporter, Trouble};
use crate::store::read::{ContactFilter, StoredContact};
use crate::store::{Deed, Erasure, ErasureState, Outcome, Store};

/// How long whoever asks for an erasing is kept waiting for its end: a large database takes longer, and goes on by itself.
const ERASE_PATIENCE: Duration = Duration::from_secs(20);

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

/// All that is kept of a person, as one file of JSON Lines: each line is an object with a `kind` and a `row`. The last line is
/// of the kind `end`; a file without it was cut off.
#[utoipa::path(
    get,
    path = "/api/whatsapp/contacts/{id}/export",
    params(("id" = ContactIdText, Path, description = "The person.")),
    responses(
        (status = 200, description = "The file.", body = String, content_type = "application/x-ndjson"),
        (status = 409, description = "A statement of the flow (`on_export`) is refused by the database.")
    )
)]
pub(super) async fn export(
    request: HttpRequest,
    id: Path<String>,
    store: Data<Store>,
    exporter: Data<Exporter>,
) -> Result<HttpResponse, Problem> {
    Params::of(&request, &[])?;
    let begin = async |id: ContactId| match exporter.begin(id).await {
        Ok(begun) => Ok(begun.map(Ok)),
        Err(Trouble::Store(error)) => Err(error),
        Err(trouble) => Ok(Some(Err(Problem::conflict(trouble.to_string())))),
    };
    let export = named::find("contact", &id, begin).await??;
    // Who took a look at all of a person's data is noted, although it changes nothing.
    let caller = request.extensions().get::<Caller>().cloned();
    if let Some(caller) = caller {
        let asked_by = RequestId::of(&request);
        let deed = Deed::new(caller.actor, "contacts.export", Some(export.contact().to_string()), asked_by);
        store.note(Arc::new(deed), Outcome::Done, None).await?;
    }
    let filename = format!("{}.jsonl", export.contact());
    let disposition = ContentDisposition {
        disposition: DispositionType::Attachment,
        parameters: vec![DispositionParam::Filename(filename)],
    };
    let lines = stream::unfold(export.lines(), async |mut lines| {
        let line = lines.recv().await?.map(Bytes::from);
        Some((line.map_err(|trouble| std::io::Error::other(trouble.to_string())), lines))
    });
    Ok(HttpResponse::Ok()
        .content_type("application/x-ndjson")
        .insert_header(disposition)
        .streaming(Box::pin(lines)))
}

/// How the erasing of a person goes. It names nobody.
#[derive(Serialize, ToSchema)]
#[schema(as = Erasure)]
struct ErasureView {
    /// Whom it is of; the id leads nowhere any more.
    #[schema(value_type = ContactIdText)]
    contact_id: ContactId,
    /// `done`, or how far it has come.
    #[schema(value_type = ErasureStateText)]
    state: &'static str,
    /// Messages that are gone.
    messages: i64,
    /// Raw events that are gone.
    events: i64,
    /// Files that are gone.
    files: i64,
    wanted_at: Time,
    done_at: Option<Time>,
}

impl From<&Erasure> for ErasureView {
    fn from(erasure: &Erasure) -> Self {
        Self {
            contact_id: erasure.contact,
            state: erasure.state.as_str(),
            messages: erasure.messages,
            events: erasure.events,
            files: erasure.files,
            wanted_at: Time(erasure.wanted_at),
            done_at: erasure.done_at.map(Time),
        }
    }
}

/// Erases a person everywhere: their ids, conversations, messages, raw events and files, and what the flow's `on_erase` says of
/// the business's own tables. It cannot be undone. Counts stay as they are. From its first moment on, whoever writes from their
/// number is somebody new.
#[utoipa::path(
    delete,
    path = "/api/whatsapp/contacts/{id}",
    params(("id" = ContactIdText, Path, description = "The person.")),
    responses(
        (status = 200, description = "Nothing of them is left.", body = ErasureView),
        (status = 202, description = "It is ordered and goes on by itself; asked again, it is told how far it has come.", body = ErasureView),
        (status = 409, description = "A statement of the flow (`on_erase`) is refused by the database. Nothing has changed.")
    )
)]
pub(super) async fn erase(
    request: HttpRequest,
    id: Path<String>,
    store: Data<Store>,
    eraser: Data<Eraser>,
) -> Result<HttpResponse, Problem> {
    Params::of(&request, &[])?;
    let erase = async |id| eraser.erase(&store, id, ERASE_PATIENCE).await;
    let erasure = named::find("contact", &id, erase).await?;
    match (erasure.state, &erasure.reason) {
        (ErasureState::Refused, reason) => {
            let reason = reason.as_deref().unwrap_or_default();
            let detail =
                format!("nothing was erased: the database refuses a statement of `on_erase`: {reason}");
            Err(Problem::conflict(detail))
        }
        (ErasureState::Done, _) => Ok(HttpResponse::Ok().json(ErasureView::from(&erasure))),
        _ => Ok(HttpResponse::Accepted().json(ErasureView::from(&erasure))),
    }
}
