//! `GET /api/whatsapp/contacts`.

use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};

use super::page::Window;
use super::params::Params;
use super::problem::Problem;
use super::view::ContactView;
use crate::store::Store;

/// Handler: a page of people, newest first.
pub(super) async fn list(request: HttpRequest, store: Data<Store>) -> Result<HttpResponse, Problem> {
    let params = Params::of(&request, &["limit", "cursor"])?;
    let window = Window::of("contacts", &params)?;
    let rows = store.list_contacts(window.page()).await?;
    Ok(window.answer::<_, ContactView>(&request, &params, rows, |row| row.id.0))
}
