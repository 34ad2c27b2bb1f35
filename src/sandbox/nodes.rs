//! `/{version}/{id}`: whatever has that id answers, as in Meta's graph; and every path that is none.

use actix_web::web::{Data, Path, Query};
use actix_web::{HttpRequest, HttpResponse};
use serde::Deserialize;
use serde_json::{Value, json};

use super::answer::refuse;
use super::apps::check_proof;
use super::courier::Courier;
use super::faults::{Endpoint, Faults};
use super::graph::{Gate, fields};
use super::media::Files;
use super::refusal::Refusal;
use super::templates::Templates;

/// The query of [`get`].
#[derive(Default, Deserialize)]
struct Wanted {
    fields: Option<String>,
    /// With a media id: the number that the file came to or was uploaded for.
    phone_number_id: Option<String>,
}

/// `GET /{version}/{id}?fields=a,b`: the number, the account, a file or a template as Meta shows it.
pub(super) async fn get(
    request: HttpRequest,
    path: Path<(String, String)>,
    gate: Data<Gate>,
    templates: Data<Templates>,
    files: Data<Files>,
    faults: Data<Faults>,
    courier: Data<Courier>,
) -> HttpResponse {
    if let Err(refusal) = gate.check_token(&request).and_then(|()| check_proof(&request, &courier)) {
        return refuse(&refusal);
    }
    let query =
        Query::<Wanted>::from_query(request.query_string()).map(Query::into_inner).unwrap_or_default();
    let id = &path.1;
    let shown = |node: Value| HttpResponse::Ok().json(fields(node, query.fields.as_deref()));
    if *id == gate.number.phone_number_id {
        return shown(number(&gate, courier.url()));
    }
    if *id == gate.number.business_account_id {
        return shown(json!({"id": id, "name": "Local Meta", "message_template_namespace": id}));
    }
    if let Some(template) = templates.node(id) {
        return faults.answer(Endpoint::Templates, async || shown(template)).await;
    }
    let is_ours = query.phone_number_id.as_ref().is_none_or(|asked| *asked == gate.number.phone_number_id);
    let look_up = async || match files.node(id).filter(|_| is_ours) {
        Some(node) => shown(node),
        None => refuse(&Refusal::unknown_object(id)),
    };
    faults.answer(Endpoint::Media, look_up).await
}

fn number(gate: &Gate, webhook_url: Option<String>) -> Value {
    let told = webhook_url.map_or_else(|| json!({}), |url| json!({"application": url}));
    json!({
        "id": gate.number.phone_number_id,
        "display_phone_number": gate.number.display_phone_number,
        "verified_name": "Local Meta",
        "quality_rating": "GREEN",
        "code_verification_status": "VERIFIED",
        "platform_type": "CLOUD_API",
        "status": "CONNECTED",
        "webhook_configuration": told,
        "throughput": {"level": "STANDARD"},
    })
}

/// Any other Graph path.
pub(super) async fn elsewhere(request: HttpRequest) -> HttpResponse {
    let message = format!("Unknown path components: {}", request.path());
    refuse(&Refusal::saying(400, 2500, None, message))
}
