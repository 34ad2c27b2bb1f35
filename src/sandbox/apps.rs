//! The app of the local Meta: what its tokens may do, whether it is told of what happens to the account, and the proof that
//! somebody has its secret (Meta, "debug token", "WhatsApp Business Account: subscribed apps", "securing Graph API requests").
//!
//! Deliberately not here: an app that is not subscribed is told all the same, so that a test loses nothing.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use actix_web::web::{Data, Path, Query};
use actix_web::{HttpRequest, HttpResponse};
use serde::Deserialize;
use serde_json::json;

use super::answer::refuse;
use super::courier::Courier;
use super::graph::Gate;
use super::refusal::Refusal;

/// The app's id and name.
const APP_ID: &str = "670843887433847";
const APP_NAME: &str = "Local Meta";
/// What every token is allowed.
const SCOPES: [&str; 2] = ["whatsapp_business_management", "whatsapp_business_messaging"];

/// Whether the app is told of what happens to the account.
#[derive(Clone)]
pub(super) struct Subscription(Arc<AtomicBool>);

impl Default for Subscription {
    fn default() -> Self {
        Self(Arc::new(AtomicBool::new(true)))
    }
}

/// The query of [`debug_token`].
#[derive(Deserialize)]
pub(super) struct Inspected {
    input_token: String,
}

/// `GET /{version}/debug_token?input_token=…`.
pub(super) async fn debug_token(
    request: HttpRequest,
    query: Query<Inspected>,
    gate: Data<Gate>,
) -> HttpResponse {
    if let Err(refusal) = gate.check_token(&request) {
        return refuse(&refusal);
    }
    let data = match gate.tokens.check(Some(&query.input_token)) {
        Ok(()) => {
            let ends = gate.tokens.ends_at(&query.input_token).map_or(0, |at| at / 1_000);
            json!({"app_id": APP_ID, "type": "SYSTEM_USER", "application": APP_NAME, "is_valid": true,
                   "expires_at": ends, "scopes": SCOPES})
        }
        Err(refusal) => json!({
            "is_valid": false, "scopes": [],
            "error": {"code": refusal.code, "message": refusal.message, "subcode": refusal.subcode},
        }),
    };
    HttpResponse::Ok().json(json!({"data": data}))
}

/// `GET /{version}/{business_account_id}/subscribed_apps`.
pub(super) async fn subscribed(
    request: HttpRequest,
    path: Path<(String, String)>,
    gate: Data<Gate>,
    subscription: Data<Subscription>,
) -> HttpResponse {
    if let Err(refusal) = gate.check_account(&request, &path.1) {
        return refuse(&refusal);
    }
    let app = json!({"whatsapp_business_api_data": {"id": APP_ID, "name": APP_NAME}});
    let apps = if subscription.0.load(Ordering::Relaxed) { vec![app] } else { Vec::new() };
    HttpResponse::Ok().json(json!({"data": apps}))
}

/// `POST` of the same: the app is told from here on.
pub(super) async fn subscribe(
    request: HttpRequest,
    path: Path<(String, String)>,
    gate: Data<Gate>,
    subscription: Data<Subscription>,
) -> HttpResponse {
    set(&request, &path.1, &gate, &subscription, true)
}

/// `DELETE` of the same.
pub(super) async fn unsubscribe(
    request: HttpRequest,
    path: Path<(String, String)>,
    gate: Data<Gate>,
    subscription: Data<Subscription>,
) -> HttpResponse {
    set(&request, &path.1, &gate, &subscription, false)
}

fn set(
    request: &HttpRequest,
    account: &str,
    gate: &Gate,
    subscription: &Subscription,
    subscribed: bool,
) -> HttpResponse {
    if let Err(refusal) = gate.check_account(request, account) {
        return refuse(&refusal);
    }
    subscription.0.store(subscribed, Ordering::Relaxed);
    HttpResponse::Ok().json(json!({"success": true}))
}

/// Passes a request without `appsecret_proof`, or with the right one: the HMAC-SHA256 of the token, in hex.
pub(super) fn check_proof(request: &HttpRequest, courier: &Courier) -> Result<(), Refusal> {
    let query = Query::<Vec<(String, String)>>::from_query(request.query_string());
    let given = query.ok().and_then(|query| {
        query.0.into_iter().find_map(|(name, value)| (name == "appsecret_proof").then_some(value))
    });
    let Some(given) = given else { return Ok(()) };
    let header = request.headers().get("Authorization").and_then(|value| value.to_str().ok());
    let token = header.and_then(|value| value.strip_prefix("Bearer ")).unwrap_or_default();
    if courier.sign(token.as_bytes()) == format!("sha256={given}") {
        return Ok(());
    }
    let message = "Invalid appsecret_proof provided in the API argument".to_owned();
    Err(Refusal::saying(400, 100, None, message))
}
