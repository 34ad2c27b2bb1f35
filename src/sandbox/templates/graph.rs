//! The Graph API's side of templates: `/{version}/{business_account_id}/message_templates` and `/{version}/{template_id}`.

use std::collections::HashMap;

use actix_web::web::{Bytes, Data, Path, Query};
use actix_web::{HttpRequest, HttpResponse};
use reqwest::Url;
use serde_json::{Value, json};

use super::Templates;
use crate::sandbox::graph::{Gate, fields, refuse};
use crate::sandbox::refusal::Refusal;

type Words = Query<HashMap<String, String>>;

/// `GET /{version}/{business_account_id}/message_templates`.
pub(in crate::sandbox) async fn list(
    request: HttpRequest,
    path: Path<(String, String)>,
    query: Words,
    gate: Data<Gate>,
    templates: Data<Templates>,
) -> HttpResponse {
    let page = gate.check_account(&request, &path.1).and_then(|()| templates.page(&query));
    let page = match page {
        Ok(page) => page,
        Err(refusal) => return refuse(&refusal),
    };
    let wanted = query.get("fields").map(String::as_str);
    let data: Vec<Value> = page.nodes.into_iter().map(|node| fields(node, wanted)).collect();
    let mut answer = json!({"data": data});
    if let (Some(before), Some(after)) = (&page.before, &page.after) {
        answer["paging"] = json!({"cursors": {"before": before, "after": after}});
        // Without a neighbour there is no address, which is how a reader knows the end.
        let leads =
            [("next", "after", after, page.has_later), ("previous", "before", before, page.has_earlier)];
        for (name, key, cursor, is_there) in leads {
            if is_there && let Some(address) = address(&request, &query, key, cursor) {
                answer["paging"][name] = json!(address);
            }
        }
    }
    HttpResponse::Ok().json(answer)
}

/// The address of a neighbouring page: the same question with another cursor.
fn address(request: &HttpRequest, query: &Words, key: &str, cursor: &str) -> Option<String> {
    let host = request.headers().get("host")?.to_str().ok()?;
    let mut url = Url::parse(&format!("http://{host}{}", request.path())).ok()?;
    let kept = query.iter().filter(|(name, _)| !matches!(name.as_str(), "after" | "before"));
    url.query_pairs_mut().extend_pairs(kept).append_pair(key, cursor);
    Some(url.into())
}

/// `POST /{version}/{business_account_id}/message_templates`.
pub(in crate::sandbox) async fn create(
    request: HttpRequest,
    path: Path<(String, String)>,
    body: Bytes,
    gate: Data<Gate>,
    templates: Data<Templates>,
) -> HttpResponse {
    let created = gate
        .check_account(&request, &path.1)
        .and_then(|()| json_of(&body))
        .and_then(|definition| templates.create(&definition));
    match created {
        Ok(answer) => HttpResponse::Ok().json(answer),
        Err(refusal) => refuse(&refusal),
    }
}

/// `DELETE /{version}/{business_account_id}/message_templates?name=…&hsm_id=…`.
pub(in crate::sandbox) async fn delete(
    request: HttpRequest,
    path: Path<(String, String)>,
    query: Words,
    gate: Data<Gate>,
    templates: Data<Templates>,
) -> HttpResponse {
    let deleted = gate.check_account(&request, &path.1).and_then(|()| {
        let missing = || Refusal::of(100).details("The parameter name is required.");
        templates.delete(query.get("name").ok_or_else(missing)?, query.get("hsm_id").map(String::as_str))
    });
    match deleted {
        Ok(()) => HttpResponse::Ok().json(json!({"success": true})),
        Err(refusal) => refuse(&refusal),
    }
}

/// `POST /{version}/{template_id}`: an edit.
pub(in crate::sandbox) async fn edit(
    request: HttpRequest,
    path: Path<(String, String)>,
    body: Bytes,
    gate: Data<Gate>,
    templates: Data<Templates>,
) -> HttpResponse {
    let edited = gate
        .check_token(&request)
        .and_then(|()| json_of(&body))
        .and_then(|change| templates.edit(&path.1, &change));
    match edited {
        Ok(()) => HttpResponse::Ok().json(json!({"success": true})),
        Err(refusal) => refuse(&refusal),
    }
}

/// A body that has to be a JSON object.
fn json_of(body: &[u8]) -> Result<Value, Refusal> {
    let value = serde_json::from_slice(body).ok().filter(Value::is_object);
    value.ok_or_else(|| Refusal::of(100).details("The request body is not a JSON object."))
}
