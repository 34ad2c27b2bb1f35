//! What can be set about templates over plain HTTP: what a reviewer at Meta, or the people who read them, would do.

use actix_web::HttpResponse;
use actix_web::web::{Bytes, Data, Path};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{BadTemplate, Review, Templates};
use crate::sandbox::control::{bad_request, read};
use crate::sandbox::lock;

/// `GET /templates`: all of them, with everything that Meta would tell.
pub(in crate::sandbox) async fn list(templates: Data<Templates>) -> HttpResponse {
    shown(&templates)
}

fn shown(templates: &Templates) -> HttpResponse {
    HttpResponse::Ok().json(json!({"review": lock(&templates.book).review, "templates": templates.all()}))
}

/// `POST /templates`: a definition as Meta takes it, examples left out if you like. It is approved, and no webhook tells.
pub(in crate::sandbox) async fn add(body: Bytes, templates: Data<Templates>) -> HttpResponse {
    match read::<Value>(&body).and_then(|body| templates.add(&body).map_err(|error| error.to_string())) {
        Ok(id) => HttpResponse::Created().json(json!({"id": id})),
        Err(detail) => bad_request(&detail),
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Reviewer {
    review: Review,
}

/// `PUT /templates` `{"review":"wait"}`: what becomes of templates that are created or edited.
pub(in crate::sandbox) async fn set_review(body: Bytes, templates: Data<Templates>) -> HttpResponse {
    match read::<Reviewer>(&body) {
        Ok(reviewer) => {
            lock(&templates.book).review = reviewer.review;
            shown(&templates)
        }
        Err(detail) => bad_request(&detail),
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Event {
    event: String,
    reason: Option<String>,
}

/// `POST /templates/{id}/status` `{"event":"PAUSED"}`: sets a status, and tells by webhook.
pub(in crate::sandbox) async fn status(
    path: Path<String>,
    body: Bytes,
    templates: Data<Templates>,
) -> HttpResponse {
    done(read::<Event>(&body), &path, &templates, |Event { event, reason }| {
        templates.change(&path, &event, reason.as_deref()).map(drop)
    })
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Quality {
    score: String,
}

/// `POST /templates/{id}/quality` `{"score":"RED"}`: sets the quality, and tells by webhook.
pub(in crate::sandbox) async fn quality(
    path: Path<String>,
    body: Bytes,
    templates: Data<Templates>,
) -> HttpResponse {
    done(read::<Quality>(&body), &path, &templates, |quality| templates.rate(&path, &quality.score))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Recategorized {
    category: String,
}

/// `POST /templates/{id}/category` `{"category":"MARKETING"}`: sets the category, and tells by webhook.
pub(in crate::sandbox) async fn category(
    path: Path<String>,
    body: Bytes,
    templates: Data<Templates>,
) -> HttpResponse {
    done(read::<Recategorized>(&body), &path, &templates, |new| templates.recategorize(&path, &new.category))
}

/// Does it, and shows what became of the template; it may be gone.
fn done<T>(
    body: Result<T, String>,
    id: &str,
    templates: &Templates,
    act: impl FnOnce(T) -> Result<(), BadTemplate>,
) -> HttpResponse {
    match body.and_then(|body| act(body).map_err(|error| error.to_string())) {
        Ok(()) => HttpResponse::Ok().json(json!({"template": templates.node(id)})),
        Err(detail) => bad_request(&detail),
    }
}
