//! What can be set about the local Meta over plain HTTP while it runs: its limits, its tokens, how statuses are told, and
//! how webhooks are posted.

use std::time::Duration;

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::web::{Bytes, Data, Path};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::control::{bad_request, problem, read};
use super::courier::{BATCH_MAX, Courier, Posting, webhook_url};
use super::graph::Gate;
use super::limits::{Limiter, Limits, PAIR_REFILL_MAX_MS};
use super::statuses::{StatusRule, Teller};

/// `GET /limits`: the limits, and how many requests the local Meta has refused by itself, by code.
pub(super) async fn limits(gate: Data<Gate>) -> HttpResponse {
    shown(&gate.limiter)
}

/// `PUT /limits` `{"messages_per_second":20}`: sets what the body names; the rest stays.
pub(super) async fn set_limits(body: Bytes, gate: Data<Gate>) -> HttpResponse {
    let limiter = &gate.limiter;
    match read::<Map<String, Value>>(&body).and_then(|changes| changed::<Limits>(limiter.limits(), changes)) {
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

/// What there was, with some of its members set otherwise.
fn changed<T: Serialize + DeserializeOwned>(before: T, changes: Map<String, Value>) -> Result<T, String> {
    let mut whole = json!(before);
    whole.as_object_mut().into_iter().for_each(|whole| whole.extend(changes.clone()));
    serde_json::from_value(whole).map_err(|error| format!("this cannot be set: {error}"))
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

/// `GET /status-rules`.
pub(super) async fn status_rules(teller: Data<Teller>) -> HttpResponse {
    HttpResponse::Ok().json(json!({"rules": teller.list()}))
}

/// `POST /status-rules`: a [`StatusRule`] as JSON, such as `{"times":{"share":0.1},"effect":{"delay":{"ms":5000}}}`.
pub(super) async fn add_status_rule(body: Bytes, teller: Data<Teller>) -> HttpResponse {
    match read::<StatusRule>(&body).and_then(|rule| teller.add(rule).map_err(|error| error.to_string())) {
        Ok(id) => HttpResponse::Created().json(json!({"id": id, "rules": teller.list()})),
        Err(detail) => bad_request(&detail),
    }
}

/// `DELETE /status-rules`.
pub(super) async fn remove_status_rules(teller: Data<Teller>) -> HttpResponse {
    HttpResponse::Ok().json(json!({"removed": teller.remove(None)}))
}

/// `DELETE /status-rules/{id}`.
pub(super) async fn remove_status_rule(path: Path<u64>, teller: Data<Teller>) -> HttpResponse {
    match teller.remove(Some(*path)) {
        0 => problem(StatusCode::NOT_FOUND, &format!("there is no status rule {path}")),
        removed => HttpResponse::Ok().json(json!({"removed": removed})),
    }
}

/// `GET /webhook`: where webhooks go, how they are posted, and how that went.
pub(super) async fn webhook(courier: Data<Courier>) -> HttpResponse {
    let Posting { paused, duplicate_every, batch_max } = courier.posting();
    HttpResponse::Ok().json(json!({
        "url": courier.url(), "paused": paused, "duplicate_every": duplicate_every, "batch_max": batch_max,
        "delivered": courier.delivered(),
    }))
}

/// `PUT /webhook` `{"paused":true}`: sets what the body names: `url`, or how webhooks are posted ([`Posting`]).
pub(super) async fn set_webhook(body: Bytes, courier: Data<Courier>) -> HttpResponse {
    let wanted = read::<Map<String, Value>>(&body).and_then(|mut changes| {
        let url = changes.remove("url");
        let url =
            url.map(|url| webhook_url(url.as_str().unwrap_or_default()).map_err(|error| error.to_string()));
        Ok((url.transpose()?, changed::<Posting>(courier.posting(), changes)?))
    });
    match wanted {
        Ok((_, posting)) if !(1..=BATCH_MAX).contains(&posting.batch_max) => {
            bad_request(&format!("`batch_max` has to be from 1 to {BATCH_MAX}"))
        }
        Ok((url, posting)) => {
            courier.set_posting(posting);
            url.into_iter().for_each(|url| courier.set_url(url));
            webhook(courier).await
        }
        Err(detail) => bad_request(&detail),
    }
}
