//! The Graph API's side: `POST` and `GET /{version}/{phone_number_id}…`.
//!
//! The order of the checks is Meta's: who asks (190), about which number (100/33), is the request well formed (100,
//! 131008, 131009), and then may it go out now (130429, 131056, 131047: [`super::limits`]). Error rules are met before the
//! last, since an outage meets good requests, and what it stops uses up nothing.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use actix_web::http::StatusCode;
use actix_web::web::{Bytes, Data, Path, Query};
use actix_web::{HttpRequest, HttpResponse};
use futures_util::stream;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::faults::{Faults, Outcome};
use super::limits::Limiter;
use super::lock;
use super::payload::Number;
use super::phones::Phones;
use super::refusal::Refusal;
use super::tokens::Tokens;
use super::validate::{self, Outgoing, Recipient};
use crate::clock::{Clock, Millis};

/// Requests kept in the record; the oldest go first.
pub const REQUESTS_KEPT: usize = 20_000;
/// How long a hanging answer hangs. Every client gives up long before.
const HANG: Duration = Duration::from_secs(600);

/// One request that came to `/messages`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Received {
    /// When, in milliseconds since the Unix epoch.
    pub at: Millis,
    /// The body; a JSON null when it was none.
    pub body: Value,
    /// The HTTP status of the answer; absent when the connection was cut or left hanging.
    pub answered: Option<u16>,
    /// The wamid given to it, when it was taken.
    pub wamid: Option<String>,
}

/// The record of what came in.
#[derive(Clone)]
pub(super) struct Record {
    /// What is kept, and how many there were in all.
    requests: Arc<Mutex<(VecDeque<Received>, usize)>>,
    clock: Clock,
}

impl Record {
    pub(super) fn new(clock: Clock) -> Self {
        Self { requests: Arc::default(), clock }
    }

    fn add(&self, body: Value, answered: Option<u16>, wamid: Option<String>) {
        let (kept, total) = &mut *lock(&self.requests);
        if kept.len() >= REQUESTS_KEPT {
            kept.pop_front();
        }
        kept.push_back(Received { at: self.clock.now(), body, answered, wamid });
        *total += 1;
    }

    pub(super) fn all(&self) -> Vec<Received> {
        lock(&self.requests).0.iter().cloned().collect()
    }

    pub(super) fn count(&self) -> usize {
        lock(&self.requests).1
    }
}

/// What a request has to know before it may speak for the number.
#[derive(Clone)]
pub(super) struct Gate {
    pub(super) number: Number,
    pub(super) tokens: Tokens,
    pub(super) limiter: Limiter,
    /// The token that the local Meta was started with.
    pub(super) first_token: Arc<str>,
}

impl Gate {
    fn check(&self, request: &HttpRequest, phone_number_id: &str) -> Result<(), Refusal> {
        let header = request.headers().get("Authorization").and_then(|value| value.to_str().ok());
        self.tokens.check(header.and_then(|value| value.strip_prefix("Bearer ")))?;
        if phone_number_id == self.number.phone_number_id {
            return Ok(());
        }
        Err(Refusal::unknown_object(phone_number_id))
    }
}

/// What is done with a request in the end.
enum Answer {
    Json(u16, Value),
    Cut,
    Hang,
}

/// `POST /{version}/{phone_number_id}/messages`.
pub(super) async fn messages(
    request: HttpRequest,
    path: Path<(String, String)>,
    body: Bytes,
    gate: Data<Gate>,
    phones: Data<Phones>,
    faults: Data<Faults>,
    record: Data<Record>,
) -> HttpResponse {
    let body: Option<Value> = serde_json::from_slice(&body).ok();
    let checked = gate.check(&request, &path.1).and_then(|()| match &body {
        Some(body) => validate::check(body),
        None => Err(Refusal::of(100).details("The request body is not valid JSON.")),
    });
    let mut wamid = None;
    let answer = match checked {
        Err(refusal) => refused(&refusal, &gate.limiter),
        Ok(validate::Request::MarkRead { wamid, typing }) => {
            if phones.mark_read(&wamid, typing) {
                Answer::Json(200, json!({"success": true}))
            } else {
                refused(
                    &Refusal::value("message_id", "is not a message that this number received"),
                    &gate.limiter,
                )
            }
        }
        Ok(validate::Request::Message(message)) => {
            send(&message, &phones, &faults, &gate.limiter, &mut wamid).await
        }
    };
    let answered = if let Answer::Json(status, _) = &answer { Some(*status) } else { None };
    record.add(body.unwrap_or_default(), answered, wamid);
    respond(answer, &faults).await
}

/// Delivers one message, unless an error rule has other plans.
async fn send(
    message: &Outgoing,
    phones: &Phones,
    faults: &Faults,
    limiter: &Limiter,
    wamid: &mut Option<String>,
) -> Answer {
    let outcome = faults.meet(&phones.resolve(&message.recipient));
    match outcome {
        Some(Outcome::Error { code, status }) => {
            let refusal = Outcome::refusal(code, status);
            return Answer::Json(refusal.status, refusal.body());
        }
        Some(Outcome::CutBefore) => return Answer::Cut,
        Some(Outcome::HangBefore) => return Answer::Hang,
        Some(Outcome::Delay { ms }) => faults.pause(Duration::from_millis(ms)).await,
        Some(Outcome::CutAfter | Outcome::HangAfter) | None => {}
    }
    let (wa_id, user_id, id) = match phones.receive(message) {
        Ok(received) => received,
        Err(refusal) => return refused(&refusal, limiter),
    };
    *wamid = Some(id.clone());
    let contact = match &message.recipient {
        Recipient::Phone { input, .. } => json!({"input": input, "wa_id": wa_id, "user_id": user_id}),
        Recipient::UserId(input) => json!({"input": input, "user_id": user_id}),
    };
    match outcome {
        Some(Outcome::CutAfter) => Answer::Cut,
        Some(Outcome::HangAfter) => Answer::Hang,
        _ => {
            let answer =
                json!({"messaging_product": "whatsapp", "contacts": [contact], "messages": [{"id": id}]});
            Answer::Json(200, answer)
        }
    }
}

fn refused(refusal: &Refusal, limiter: &Limiter) -> Answer {
    limiter.count_refusal(refusal.code);
    Answer::Json(refusal.status, refusal.body())
}

async fn respond(answer: Answer, faults: &Faults) -> HttpResponse {
    match answer {
        Answer::Json(status, body) => {
            let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
            HttpResponse::build(status).json(body)
        }
        Answer::Cut => cut(),
        Answer::Hang => {
            faults.pause(HANG).await;
            cut()
        }
    }
}

/// An answer that never is one: its body fails before the first byte, and the server closes the connection.
fn cut() -> HttpResponse {
    let failing = stream::once(async { Err::<Bytes, _>(std::io::Error::other("cut by an error rule")) });
    HttpResponse::Ok().streaming(failing)
}

/// The query of [`number`].
#[derive(Deserialize)]
pub(super) struct Fields {
    fields: Option<String>,
}

/// `GET /{version}/{phone_number_id}?fields=a,b`: the number as Meta shows it.
pub(super) async fn number(
    request: HttpRequest,
    path: Path<(String, String)>,
    query: Query<Fields>,
    gate: Data<Gate>,
) -> HttpResponse {
    if let Err(refusal) = gate.check(&request, &path.1) {
        return respond_json(&refusal);
    }
    let mut node = json!({
        "id": gate.number.phone_number_id,
        "display_phone_number": gate.number.display_phone_number,
        "verified_name": "Local Meta",
        "quality_rating": "GREEN",
        "code_verification_status": "VERIFIED",
        "platform_type": "CLOUD_API",
        "throughput": {"level": "STANDARD"},
    });
    if let (Some(fields), Some(node)) = (&query.fields, node.as_object_mut()) {
        node.retain(|key, _| key == "id" || fields.split(',').any(|field| field.trim() == key));
    }
    HttpResponse::Ok().json(node)
}

/// Any other Graph path.
pub(super) async fn elsewhere(request: HttpRequest) -> HttpResponse {
    let message = format!("Unknown path components: {}", request.path());
    respond_json(&Refusal { status: 400, code: 2500, subcode: None, message, details: None })
}

fn respond_json(refusal: &Refusal) -> HttpResponse {
    let status = StatusCode::from_u16(refusal.status).unwrap_or(StatusCode::BAD_REQUEST);
    HttpResponse::build(status).json(refusal.body())
}
