//! The Graph API's side of templates: `/{version}/{business_account_id}/message_templates` and `/{version}/{template_id}`.

use std::collections::HashMap;

use actix_web::web::{Bytes, Data, Path, Query};
use actix_web::{HttpRequest, HttpResponse};
use reqwest::Url;
use serde_json::{Value, json};

use super::list::Page;
use super::{TEMPLATES_MAX, Templates};
use crate::sandbox::answer::refuse;
use crate::sandbox::faults::{Endpoint, Faults};
use crate::sandbox::graph::{Gate, fields};
use crate::sandbox::refusal::Refusal;

type Words = Query<HashMap<String, String>>;

/// `GET /{version}/{business_account_id}/message_templates`.
pub(in crate::sandbox) async fn list(
    request: HttpRequest,
    path: Path<(String, String)>,
    query: Words,
    gate: Data<Gate>,
    templates: Data<Templates>,
    faults: Data<Faults>,
) -> HttpResponse {
    if let Err(refusal) = gate.check_account(&request, &path.1) {
        return refuse(&refusal);
    }
    let list = async || match templates.page(&query) {
        Ok(page) => paged(&request, &query, page),
        Err(refusal) => refuse(&refusal),
    };
    faults.answer(Endpoint::Templates, list).await
}

fn paged(request: &HttpRequest, query: &Words, page: Page) -> HttpResponse {
    let wanted = query.get("fields").map(String::as_str);
    let data: Vec<Value> = page.nodes.into_iter().map(|node| fields(node, wanted)).collect();
    let mut answer = json!({"data": data});
    if let (Some(before), Some(after)) = (&page.before, &page.after) {
        answer["paging"] = json!({"cursors": {"before": before, "after": after}});
        // Without a neighbour there is no address, which is how a reader knows the end.
        let leads =
            [("next", "after", after, page.has_later), ("previous", "before", before, page.has_earlier)];
        for (name, key, cursor, is_there) in leads {
            if is_there && let Some(address) = address(request, query, key, cursor) {
                answer["paging"][name] = json!(address);
            }
        }
    }
    if let Some(asked) = query.get("summary") {
        let mut summary = json!({
            "total_count": page.found,
            "message_template_count": page.kept,
            "message_template_limit": TEMPLATES_MAX,
            "are_translations_complete": true,
        });
        if let Some(members) = summary.as_object_mut() {
            members.retain(|key, _| asked.split(',').any(|field| field.trim() == key));
        }
        answer["summary"] = summary;
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
    faults: Data<Faults>,
) -> HttpResponse {
    if let Err(refusal) = gate.check_account(&request, &path.1) {
        return refuse(&refusal);
    }
    let create = async || match json_of(&body).and_then(|definition| templates.create(&definition)) {
        Ok(answer) => HttpResponse::Ok().json(answer),
        Err(refusal) => refuse(&refusal),
    };
    faults.answer(Endpoint::Templates, create).await
}

/// `DELETE /{version}/{business_account_id}/message_templates?name=…&hsm_id=…`.
pub(in crate::sandbox) async fn delete(
    request: HttpRequest,
    path: Path<(String, String)>,
    query: Words,
    gate: Data<Gate>,
    templates: Data<Templates>,
    faults: Data<Faults>,
) -> HttpResponse {
    if let Err(refusal) = gate.check_account(&request, &path.1) {
        return refuse(&refusal);
    }
    let Some(name) = query.get("name") else {
        return refuse(&Refusal::of(100).details("The parameter name is required."));
    };
    let only = query.get("hsm_id").map(String::as_str);
    faults.answer(Endpoint::Templates, async || success(templates.delete(name, only))).await
}

fn success(done: Result<(), Refusal>) -> HttpResponse {
    match done {
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
    faults: Data<Faults>,
) -> HttpResponse {
    if let Err(refusal) = gate.check_token(&request) {
        return refuse(&refusal);
    }
    let edit = async || success(json_of(&body).and_then(|change| templates.edit(&path.1, &change)));
    faults.answer(Endpoint::Templates, edit).await
}

/// A body that has to be a JSON object.
fn json_of(body: &[u8]) -> Result<Value, Refusal> {
    let value = serde_json::from_slice(body).ok().filter(Value::is_object);
    value.ok_or_else(|| Refusal::of(100).details("The request body is not a JSON object."))
}
