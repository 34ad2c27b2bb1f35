//! `GET /api/whatsapp/templates` and `/templates/{id}`, and `POST /templates/sync`.

use actix_web::web::{Data, Path};
use actix_web::{HttpRequest, HttpResponse};
use serde::Serialize;

use super::page::Window;
use super::params::Params;
use super::problem::Problem;
use super::view::TemplateView;
use crate::domain::ids::TemplateId;
use crate::domain::template::Status;
use crate::store::{Store, TemplateFilter};
use crate::template::Book;

#[derive(Serialize)]
struct Asked {
    status: &'static str,
}

/// Handler: a page of templates, the newest known first.
pub(super) async fn list(request: HttpRequest, store: Data<Store>) -> Result<HttpResponse, Problem> {
    let params = Params::of(&request, &["name", "language", "status", "limit", "cursor"])?;
    let window = Window::of("templates", &params)?;
    let filter = TemplateFilter {
        name: params.get("name").map(str::to_owned),
        language: params.get("language").map(str::to_owned),
        status: params.get("status").map(Status::of),
    };
    let rows = store.list_templates(filter, window.page()).await?;
    Ok(window.answer::<_, TemplateView>(&request, &params, rows, |row| row.id.0))
}

/// Handler: one template.
pub(super) async fn one(
    request: HttpRequest,
    id: Path<String>,
    store: Data<Store>,
) -> Result<HttpResponse, Problem> {
    Params::of(&request, &[])?;
    let unknown = || Problem::not_found("id", format!("there is no template `{id}`"));
    let known: TemplateId = id.parse().map_err(|_| unknown())?;
    let row = store.find_template(known).await?.ok_or_else(unknown)?;
    Ok(HttpResponse::Ok().json(TemplateView::from(row)))
}

/// Handler: 202 once Meta's list is asked for.
pub(super) async fn sync(request: HttpRequest, templates: Data<Book>) -> Result<HttpResponse, Problem> {
    Params::of(&request, &[])?;
    if !templates.has_accounts() {
        let why = "no business account is set, so there is no list to read; set WHATSAPP_BUSINESS_ACCOUNT_ID";
        return Err(Problem::conflict(why.to_owned()));
    }
    templates.look_now();
    Ok(HttpResponse::Accepted().json(Asked { status: "asked" }))
}
