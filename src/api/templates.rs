//! `GET /api/whatsapp/templates` and `/templates/{id}`, and `POST /templates/sync`.

use actix_web::web::{Data, Path};
use actix_web::{HttpRequest, HttpResponse};
use serde::Serialize;
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};

use super::named;
use super::openapi::wishes::TemplateWishes;
use super::openapi::words::TemplateIdText;
use super::page::{PageQuery, Paged, Window};
use super::params::Params;
use super::problem::Problem;
use super::view::Time;
use crate::domain::ids::TemplateId;
use crate::domain::template::{Status, Wants};
use crate::meta::template::wants;
use crate::store::{Store, StoredTemplate, TemplateFilter};
use crate::template::Book;

/// Meta's list is asked for.
#[derive(Serialize, ToSchema)]
#[schema(as = ListAsked)]
struct Asked {
    #[schema(examples("asked"))]
    status: &'static str,
}

/// Which templates.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "for the document; parameters are read one by one")]
struct TemplateQuery {
    /// Called so.
    #[param(min_length = 1, example = "order_ready")]
    name: Option<String>,
    /// In this language.
    #[param(min_length = 1, example = "en")]
    language: Option<String>,
    /// In this state, in Meta's words.
    #[param(min_length = 1, example = "APPROVED")]
    status: Option<String>,
}

/// A template.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Template)]
struct TemplateView {
    #[schema(value_type = TemplateIdText)]
    id: TemplateId,
    business_account_id: String,
    /// Meta's id of it.
    meta_id: Option<String>,
    #[schema(examples("order_ready"))]
    name: String,
    #[schema(examples("en"))]
    language: String,
    /// In Meta's words, as the next two.
    #[schema(examples("UTILITY"))]
    category: String,
    #[schema(examples("APPROVED"))]
    status: String,
    quality: Option<String>,
    reason: Option<String>,
    /// What a message has to fill in; null where that cannot be read.
    #[schema(value_type = Option<TemplateWishes>)]
    wants: Option<Wants>,
    /// As Meta has it.
    #[schema(value_type = Value)]
    components: Value,
    created_at: Time,
    updated_at: Time,
    synced_at: Time,
}

impl From<StoredTemplate> for TemplateView {
    fn from(row: StoredTemplate) -> Self {
        let template = row.template;
        Self {
            id: row.id,
            business_account_id: row.business_account_id,
            wants: wants(&template),
            meta_id: template.meta_id,
            name: template.name,
            language: template.language,
            category: template.category.as_str().to_owned(),
            status: template.status.as_str().to_owned(),
            quality: template.quality,
            reason: template.reason,
            components: serde_json::from_str(&template.components).unwrap_or_default(),
            created_at: Time(row.created_at),
            updated_at: Time(row.updated_at),
            synced_at: Time(row.synced_at),
        }
    }
}

/// A page of the templates of our business accounts, the newest known first.
#[utoipa::path(
    get,
    path = "/api/whatsapp/templates",
    params(TemplateQuery, PageQuery),
    responses((status = 200, description = "The page.", body = Paged<TemplateView>))
)]
pub(super) async fn list(request: HttpRequest, store: Data<Store>) -> Result<HttpResponse, Problem> {
    let params = Params::of(&request, &["name", "language", "status", "order", "limit", "cursor"])?;
    let window = Window::of("templates", &params)?;
    let filter = TemplateFilter {
        name: params.text("name"),
        language: params.text("language"),
        status: params.get("status").map(Status::of),
    };
    let found = store.list_templates(filter, window.page()).await?;
    Ok(window.answer::<_, TemplateView>(&request, &params, found, |row| row.id.0))
}

/// One template, with what a message has to fill in.
#[utoipa::path(
    get,
    path = "/api/whatsapp/templates/{id}",
    params(("id" = TemplateIdText, Path, description = "The template.")),
    responses((status = 200, description = "The template.", body = TemplateView))
)]
pub(super) async fn one(
    request: HttpRequest,
    id: Path<String>,
    store: Data<Store>,
) -> Result<HttpResponse, Problem> {
    Params::of(&request, &[])?;
    let row = named::find("template", &id, async |id| store.find_template(id).await).await?;
    Ok(HttpResponse::Ok().json(TemplateView::from(row)))
}

/// Asks Meta for its list of templates now.
#[utoipa::path(
    post,
    path = "/api/whatsapp/templates/sync",
    responses(
        (status = 202, description = "It is asked for.", body = Asked),
        (status = 409, description = "No business account is set.")
    )
)]
pub(super) async fn sync(request: HttpRequest, templates: Data<Book>) -> Result<HttpResponse, Problem> {
    Params::of(&request, &[])?;
    if !templates.has_accounts() {
        let why = "no business account is set, so there is no list to read; set WHATSAPP_BUSINESS_ACCOUNT_ID";
        return Err(Problem::conflict(why.to_owned()));
    }
    templates.look_now();
    Ok(HttpResponse::Accepted().json(Asked { status: "asked" }))
}
