//! What can be set about the local Meta over plain HTTP while it runs: its limits and its tokens.

use std::time::Duration;

use actix_web::HttpResponse;
use actix_web::web::{Bytes, Data};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::control::{bad_request, read};
use super::graph::Gate;
use super::limits::{Limiter, Limits, PAIR_REFILL_MAX_MS};

/// `GET /limits`: the limits, and how many requests the local Meta has refused by itself, by code.
pub(super) async fn limits(gate: Data<Gate>) -> HttpResponse {
    shown(&gate.limiter)
}

/// `PUT /limits` `{"messages_per_second":20}`: sets what the body names; the rest stays.
pub(super) async fn set_limits(body: Bytes, gate: Data<Gate>) -> HttpResponse {
    let limiter = &gate.limiter;
    let wanted = read::<Map<String, Value>>(&body).and_then(|changes| {
        let mut whole = json!(limiter.limits());
        whole.as_object_mut().into_iter().for_each(|whole| whole.extend(changes.clone()));
        serde_json::from_value::<Limits>(whole).map_err(|error| format!("these are no limits: {error}"))
    });
    match wanted {
        Ok(limits) if limits.pair_refill_ms > PAIR_REFILL_MAX_MS => {
            bad_request(&format!("`pair_refill_ms` has to be at most {PAIR_REFILL_MAX_MS}"))
        }
        Ok(limits) => {
            limiter.set(limits);
            shown(limiter)
        }
        Err(detail) => bad_request(&detail),
    }
}

fn shown(limiter: &Limiter) -> HttpResponse {
    HttpResponse::Ok().json(json!({"limits": limiter.limits(), "refusals": limiter.refusals()}))
}

/// A token to make valid.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wanted {
    /// Absent: the one that the local Meta was started with.
    token: Option<String>,
    /// Absent: without an end.
    expires_in_seconds: Option<u64>,
}

/// `GET /token`: how many are valid. They are not shown.
pub(super) async fn token(gate: Data<Gate>) -> HttpResponse {
    HttpResponse::Ok().json(gate.tokens.count())
}

/// `POST /token` `{"token":"…","expires_in_seconds":3600}`: makes a token valid, beside those that are.
pub(super) async fn add_token(body: Bytes, gate: Data<Gate>) -> HttpResponse {
    match read::<Wanted>(&body) {
        Ok(Wanted { token: Some(token), .. }) if token.is_empty() => bad_request("`token` must not be empty"),
        Ok(wanted) => {
            let lifetime = wanted.expires_in_seconds.map(Duration::from_secs);
            gate.tokens.add(wanted.token.as_deref().unwrap_or(&gate.first_token), lifetime);
            HttpResponse::Ok().json(gate.tokens.count())
        }
        Err(detail) => bad_request(&detail),
    }
}

/// `DELETE /token`: every token has expired.
pub(super) async fn expire_tokens(gate: Data<Gate>) -> HttpResponse {
    gate.tokens.expire();
    HttpResponse::Ok().json(gate.tokens.count())
}
