//! The door for Meta: verify the raw bytes, parse, accept, answer.
//!
//! A 200 means that every event of the body is on disk. Anything else makes Meta send it again, for up to 7 days: that is
//! the spool for a sick database or a full house, and the reason why nothing else is ever answered to a body that is
//! signed. What is signed and cannot be read is kept and answered 200, because sending it again would not mend it.
//!
//! What is deliberately not here: work. No event is acted on before it is accepted, and none after it by this room.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use actix_web::http::header::RETRY_AFTER;
use actix_web::{HttpRequest, HttpResponse, web};
use serde::Deserialize;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use crate::config::Secret;
use crate::domain::consent::{By, Change, Scope};
use crate::domain::dedupe::DedupeKey;
use crate::meta::signature::{self, AppSecret};
use crate::meta::webhook::{Body, Item, Preference, parse};
use crate::store::{Incoming, IncomingBody, Store};
use crate::telemetry::{Metrics, Refusal};

/// Where Meta posts to.
pub const PATH: &str = "/api/whatsapp/webhook";
/// The header that holds Meta's signature.
const SIGNATURE_HEADER: &str = "X-Hub-Signature-256";
/// How long Meta is kept waiting for a commit before it is told to come again: the commit may still happen, and then the
/// second coming is a duplicate.
const COMMIT_TIMEOUT: Duration = Duration::from_secs(10);

/// What the door works with.
pub struct Door {
    /// Where events are accepted.
    pub store: Store,
    /// What is counted.
    pub metrics: Metrics,
    /// What signatures are checked with.
    pub app_secret: AppSecret,
    /// What Meta says when it asks whether this is the right address.
    pub verify_token: Secret,
    /// Our numbers: events for others are kept and ignored.
    pub numbers: HashSet<String>,
    /// Our business accounts: news of others' templates are kept and ignored.
    pub accounts: HashSet<String>,
    /// Bytes of a body at the most.
    pub body_max: usize,
    /// What a 503 says about coming again.
    pub retry_after: Duration,
}

/// Puts the door into `config`.
pub fn mount(config: &mut web::ServiceConfig, door: Arc<Door>) {
    let limit = web::PayloadConfig::new(door.body_max);
    let resource = web::resource(PATH)
        .app_data(limit)
        .app_data(web::Data::from(door))
        .route(web::get().to(verify))
        .route(web::post().to(receive))
        .default_service(web::to(HttpResponse::MethodNotAllowed));
    config.service(resource);
}

/// What Meta asks when the address is entered in its dashboard.
#[derive(Deserialize)]
struct Handshake {
    #[serde(rename = "hub.mode")]
    mode: Option<String>,
    #[serde(rename = "hub.challenge")]
    challenge: Option<String>,
    #[serde(rename = "hub.verify_token")]
    token: Option<String>,
}

async fn verify(door: web::Data<Door>, asked: web::Query<Handshake>) -> HttpResponse {
    let Handshake { mode, challenge, token } = asked.into_inner();
    let right = same(token.as_deref().unwrap_or_default(), door.verify_token.expose());
    match (mode.as_deref(), challenge) {
        (Some("subscribe"), Some(challenge)) if right => {
            tracing::info!("Meta has verified the webhook address");
            HttpResponse::Ok().content_type("text/plain; charset=utf-8").body(challenge)
        }
        _ => {
            tracing::warn!(
                "a webhook verification was refused: the verify token is not ours, or it is no verification"
            );
            HttpResponse::Forbidden().body("verification refused\n")
        }
    }
}

/// Whether two texts are the same, without telling how much of them is.
fn same(one: &str, other: &str) -> bool {
    Sha256::digest(one).ct_eq(&Sha256::digest(other)).into()
}

async fn receive(
    request: HttpRequest,
    body: Result<web::Bytes, actix_web::Error>,
    door: web::Data<Door>,
) -> HttpResponse {
    let began_at = door.store.clock().now();
    let answer = answer(&request, body, &door).await;
    let took = door.store.clock().now() - began_at;
    door.metrics.acknowledged(Duration::from_millis(took.unsigned_abs()).as_secs_f64());
    answer
}

async fn answer(
    request: &HttpRequest,
    body: Result<web::Bytes, actix_web::Error>,
    door: &Door,
) -> HttpResponse {
    let body = match body {
        Ok(body) => body,
        Err(error) if error.as_response_error().status_code() == 413 => {
            door.metrics.refused(Refusal::TooLarge);
            return HttpResponse::PayloadTooLarge()
                .body(format!("a body may have {} bytes\n", door.body_max));
        }
        Err(error) => return HttpResponse::from_error(error),
    };
    let header = request.headers().get(SIGNATURE_HEADER).and_then(|value| value.to_str().ok());
    if let Err(refusal) = door.app_secret.verify(header, &body) {
        door.metrics.refused(Refusal::Signature);
        tracing::warn!(%refusal, bytes = body.len(), "a webhook was refused");
        return match refusal {
            signature::Refusal::Missing => HttpResponse::Unauthorized().body("the signature is missing\n"),
            signature::Refusal::Malformed | signature::Refusal::Mismatch => {
                HttpResponse::Forbidden().body("the signature does not match\n")
            }
        };
    }
    accept(door, &body).await
}

async fn accept(door: &Door, body: &[u8]) -> HttpResponse {
    let incoming = read(door, body);
    let wanted =
        incoming.iter().filter(|incoming| matches!(incoming.body, IncomingBody::Message { .. })).count();
    let Some(room) = door.store.reserve(wanted) else {
        door.metrics.refused(Refusal::Overload);
        return come_again(door);
    };
    match door.store.clock().within(COMMIT_TIMEOUT, door.store.accept(incoming, room)).await {
        Some(Ok(_)) => HttpResponse::Ok().finish(),
        Some(Err(error)) => {
            tracing::error!(%error, "a webhook could not be committed");
            door.metrics.refused(Refusal::Storage);
            come_again(door)
        }
        None => {
            tracing::error!(timeout = ?COMMIT_TIMEOUT, "a webhook waited too long for its commit");
            door.metrics.refused(Refusal::Storage);
            come_again(door)
        }
    }
}

fn come_again(door: &Door) -> HttpResponse {
    let seconds = door.retry_after.as_secs().max(1);
    HttpResponse::ServiceUnavailable().insert_header((RETRY_AFTER, seconds)).finish()
}

/// Every event of a body.
fn read(door: &Door, body: &[u8]) -> Vec<Incoming> {
    match parse(body) {
        Ok(items) => items.into_iter().map(|item| incoming(item, door)).collect(),
        Err(unreadable) => {
            tracing::warn!(
                reason = unreadable.reason,
                bytes = body.len(),
                "a signed body cannot be read; it is kept"
            );
            let digest = Sha256::digest(body);
            let hash: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
            vec![Incoming {
                dedupe_key: DedupeKey::of(&format!("u:{hash}")),
                payload: String::from_utf8_lossy(body).into_owned(),
                body: IncomingBody::Kept {
                    kind: "unreadable".to_owned(),
                    phone_number_id: None,
                    reason: unreadable.reason,
                },
            }]
        }
    }
}

fn incoming(item: Item, door: &Door) -> Incoming {
    let Item { dedupe_key, phone_number_id, business_account_id, payload, body } = item;
    let foreign = phone_number_id.as_ref().is_some_and(|number| !door.numbers.contains(number));
    let body = match (body, phone_number_id) {
        (body, phone_number_id) if foreign => IncomingBody::Kept {
            kind: match body {
                Body::Message(_) => "message".to_owned(),
                Body::Status(_) => "status".to_owned(),
                Body::Preference(_) => "user_preferences".to_owned(),
                Body::Template { field, .. } | Body::Other { field } => field,
            },
            phone_number_id,
            reason:
                "this phone number id is not one of ours; name it in WHATSAPP_PHONE_NUMBER_ID or [[numbers]]"
                    .to_owned(),
        },
        (Body::Message(message), Some(phone_number_id)) => IncomingBody::Message { phone_number_id, message },
        (Body::Message(_), None) => IncomingBody::Kept {
            kind: "message".to_owned(),
            phone_number_id: None,
            reason: "it does not say which number of ours it is for".to_owned(),
        },
        (Body::Status(update), phone_number_id) => IncomingBody::Status { phone_number_id, update },
        (Body::Preference(Preference { person, opted_out, at }), phone_number_id) => {
            let change = Change { scope: Scope::Marketing, opted_out, by: By::Meta, at };
            IncomingBody::Preference { phone_number_id, identity: person, change }
        }
        (Body::Template { field: kind, news }, phone_number_id) => {
            match business_account_id.filter(|account| door.accounts.contains(account)) {
                Some(business_account_id) => IncomingBody::Template { kind, business_account_id, news },
                None => IncomingBody::Kept {
                    kind,
                    phone_number_id,
                    reason: "this business account is not one of ours; name it in WHATSAPP_BUSINESS_ACCOUNT_ID or [[numbers]]"
                        .to_owned(),
                },
            }
        }
        (Body::Other { field }, phone_number_id) => {
            let reason = if matches!(field.as_str(), "messages" | "statuses") {
                tracing::warn!(
                    field,
                    "a part of a webhook cannot be acted on; it is kept, and nobody is answered"
                );
                "it names no single person or no message: it is of a group, or Meta's format has changed"
            } else {
                "nothing acts on this kind"
            };
            IncomingBody::Kept { kind: field, phone_number_id, reason: reason.to_owned() }
        }
    };
    Incoming { dedupe_key, payload, body }
}
