//! The Graph API's side of files: upload, delete and fetch. What is told of one is in [`crate::sandbox::nodes`].

use actix_web::web::{Bytes, Data, Path, Query};
use actix_web::{HttpRequest, HttpResponse};
use serde::Deserialize;
use serde_json::json;

use super::{Files, Source, multipart, rules};
use crate::sandbox::answer::refuse;
use crate::sandbox::faults::{Endpoint, Faults};
use crate::sandbox::graph::Gate;
use crate::sandbox::param::Checked;
use crate::sandbox::refusal::Refusal;

/// `POST /{version}/{phone_number_id}/media`: a form of `messaging_product`, `type` and `file`. The answer is the id.
pub(in crate::sandbox) async fn upload(
    request: HttpRequest,
    path: Path<(String, String)>,
    body: Bytes,
    gate: Data<Gate>,
    files: Data<Files>,
    faults: Data<Faults>,
) -> HttpResponse {
    if let Err(refusal) = gate.check(&request, &path.1) {
        return refuse(&refusal);
    }
    let upload = async || match keep(&request, &body, &files) {
        Ok(id) => HttpResponse::Ok().json(json!({"id": id})),
        Err(refusal) => refuse(&refusal),
    };
    faults.answer(Endpoint::Uploads, upload).await
}

fn keep(request: &HttpRequest, body: &Bytes, files: &Files) -> Checked<String> {
    let header =
        request.headers().get("Content-Type").and_then(|value| value.to_str().ok()).unwrap_or_default();
    let parts = multipart::boundary(header).and_then(|boundary| multipart::parts(body, &boundary));
    let Some(parts) = parts else {
        return Err(Refusal::of(100).details("The request body must be whole multipart/form-data."));
    };
    let find = |name: &str| parts.iter().find(|part| part.name == name);
    let need = |name: &str| {
        find(name).ok_or_else(|| Refusal::of(100).details(format!("The parameter {name} is required.")))
    };
    if need("messaging_product")?.text() != "whatsapp" {
        return Err(Refusal::shape("messaging_product", "must be one of {whatsapp}"));
    }
    let (told, file) = (need("type")?.text(), need("file")?);
    // The type of the file's own part is what counts, where it has one.
    let mime_type = rules::bare(file.content_type.as_deref().unwrap_or(&told));
    rules::check(&mime_type, &file.bytes)?;
    Ok(files.keep(Source::Upload, &mime_type, file.filename.as_deref(), file.bytes.clone()).id)
}

/// The query of [`delete`].
#[derive(Deserialize)]
pub(in crate::sandbox) struct Scope {
    phone_number_id: Option<String>,
}

/// `DELETE /{version}/{media_id}[?phone_number_id=…]`.
pub(in crate::sandbox) async fn delete(
    request: HttpRequest,
    path: Path<(String, String)>,
    query: Query<Scope>,
    gate: Data<Gate>,
    files: Data<Files>,
    faults: Data<Faults>,
) -> HttpResponse {
    if let Err(refusal) = gate.check_token(&request) {
        return refuse(&refusal);
    }
    let delete = async || {
        let is_ours = query.phone_number_id.as_ref().is_none_or(|id| *id == gate.number.phone_number_id);
        if is_ours && files.remove(&path.1) {
            HttpResponse::Ok().json(json!({"success": true}))
        } else {
            refuse(&Refusal::unknown_object(&path.1))
        }
    };
    faults.answer(Endpoint::Media, delete).await
}

/// The query of an address that [`Files::address`] has told.
#[derive(Deserialize)]
pub(in crate::sandbox) struct Address {
    mid: String,
    ext: i64,
    hash: String,
}

/// `GET` of such an address: the bytes, to those who have a token, as long as it is good; else 404.
pub(in crate::sandbox) async fn download(
    request: HttpRequest,
    query: Query<Address>,
    gate: Data<Gate>,
    files: Data<Files>,
    faults: Data<Faults>,
) -> HttpResponse {
    if let Err(refusal) = gate.check_token(&request) {
        return refuse(&refusal);
    }
    let download = async || match files.open(&query.mid, query.ext, &query.hash) {
        Some(file) => HttpResponse::Ok().content_type(file.mime_type).body(file.bytes),
        None => HttpResponse::NotFound().finish(),
    };
    faults.answer(Endpoint::Downloads, download).await
}

/// `GET /files/{media_id}`: the bytes for the page, which has no token and is this machine's alone. Only pictures, films
/// and sounds are shown; everything else is for saving.
pub(in crate::sandbox) async fn show(path: Path<String>, files: Data<Files>) -> HttpResponse {
    let Some(file) = files.find(&path) else { return HttpResponse::NotFound().finish() };
    let is_shown = rules::is_shown(&file.mime_type);
    let name = file.name.as_deref().filter(|name| name.is_ascii()).unwrap_or("file");
    let disposition = format!("{}; filename=\"{name}\"", if is_shown { "inline" } else { "attachment" });
    HttpResponse::Ok()
        .content_type(if is_shown { file.mime_type.as_str() } else { "application/octet-stream" })
        .insert_header(("Content-Disposition", disposition))
        .insert_header(("Cache-Control", "no-store"))
        .body(file.bytes)
}
