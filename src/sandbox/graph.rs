//! The Graph API's side of messages: `POST /{version}/{phone_number_id}/messages`.
//!
//! The order of the checks is Meta's: who asks (190), about which number (100/33), is the request well formed (100,
//! 131008, 131009), are there such files (100) and such a template (132000 and so on), and then may it go out now
//! (130429, 131056, 131047: [`super::limits`]). Error rules are met before the last, since an outage meets good requests,
//! and what it stops uses up nothing.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use actix_web::web::{Bytes, Data, Path};
use actix_web::{HttpRequest, HttpResponse};
use serde::Serialize;
use serde_json::{Value, json};
use tokio::time::timeout;

use super::answer::{Answer, refuse};
use super::courier::POST_TIMEOUT as ARRIVAL_TIMEOUT;
use super::faults::{Endpoint, Faults};
use super::limits::Limiter;
use super::lock;
use super::media::Files;
use super::payload::Number;
use super::phones::Phones;
use super::refusal::Refusal;
use super::templates::Templates;
use super::tokens::Tokens;
use super::validate::{self, Outgoing, Recipient};
use crate::clock::{Clock, Millis};

/// Requests kept in the record; the oldest go first.
pub const REQUESTS_KEPT: usize = 20_000;

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
    /// Passes those who have a token.
    pub(super) fn check_token(&self, request: &HttpRequest) -> Result<(), Refusal> {
        let header = request.headers().get("Authorization").and_then(|value| value.to_str().ok());
        self.tokens.check(header.and_then(|value| value.strip_prefix("Bearer ")))
    }

    /// Passes those who have a token and speak of our number.
    pub(super) fn check(&self, request: &HttpRequest, phone_number_id: &str) -> Result<(), Refusal> {
        self.check_object(request, phone_number_id, &self.number.phone_number_id)
    }

    /// Passes those who have a token and speak of our account.
    pub(super) fn check_account(&self, request: &HttpRequest, account: &str) -> Result<(), Refusal> {
        self.check_object(request, account, &self.number.business_account_id)
    }

    fn check_object(&self, request: &HttpRequest, asked: &str, ours: &str) -> Result<(), Refusal> {
        self.check_token(request)?;
        if asked == ours { Ok(()) } else { Err(Refusal::unknown_object(asked)) }
    }
}

/// Everything that a request for a message passes by.
#[derive(Clone)]
pub(super) struct Desk {
    pub(super) gate: Gate,
    pub(super) phones: Phones,
    pub(super) templates: Templates,
    pub(super) files: Files,
    pub(super) faults: Faults,
    pub(super) record: Record,
}

/// `POST /{version}/{phone_number_id}/messages`.
pub(super) async fn messages(
    request: HttpRequest,
    path: Path<(String, String)>,
    body: Bytes,
    desk: Data<Desk>,
) -> HttpResponse {
    let Desk { gate, phones, faults, record, .. } = &**desk;
    let body: Option<Value> = serde_json::from_slice(&body).ok();
    let checked = gate.check(&request, &path.1).and_then(|()| match &body {
        Some(body) => validate::check(body).and_then(|wanted| desk.look_up(wanted, body)),
        None => Err(Refusal::of(100).details("The request body is not valid JSON.")),
    });
    let (answer, wamid) = match checked {
        Err(refusal) => (refused(&refusal, &gate.limiter), None),
        Ok(validate::Request::MarkRead { wamid, typing }) => {
            let receipt = async || mark_read(phones, &wamid, typing, &gate.limiter);
            (faults.around(Endpoint::Receipts, "", receipt).await, None)
        }
        Ok(validate::Request::Message(message)) => send(&message, phones, faults, &gate.limiter).await,
    };
    record.add(body.unwrap_or_default(), answer.status(), wamid);
    faults.respond(answer).await
}

impl Desk {
    /// A message whose files and whose template, if it names any, are there; the template is filled in.
    fn look_up(&self, wanted: validate::Request, body: &Value) -> Result<validate::Request, Refusal> {
        match wanted {
            validate::Request::Message(mut message) => {
                message.fails = self.files.check(body)?;
                if let Some(wish) = &message.template
                    && let Some(content) = self.templates.fill(wish)?
                {
                    message.content = content;
                }
                Ok(validate::Request::Message(message))
            }
            other @ validate::Request::MarkRead { .. } => Ok(other),
        }
    }
}

fn mark_read(phones: &Phones, wamid: &str, typing: bool, limiter: &Limiter) -> HttpResponse {
    if phones.mark_read(wamid, typing) {
        return HttpResponse::Ok().json(json!({"success": true}));
    }
    let refusal = Refusal::value("message_id", "is not a message that this number received");
    limiter.count_refusal(refusal.code);
    refuse(&refusal)
}

/// Delivers one message, unless an error rule has other plans. The answer is that of the request, and the wamid.
async fn send(
    message: &Outgoing,
    phones: &Phones,
    faults: &Faults,
    limiter: &Limiter,
) -> (Answer, Option<String>) {
    let mut wamid = None;
    let deliver = async || {
        let taken = match phones.receive(message) {
            Ok(taken) => taken,
            Err(refusal) => {
                limiter.count_refusal(refusal.code);
                return refuse(&refusal);
            }
        };
        wamid = Some(taken.wamid.clone());
        for mut arrival in taken.awaited {
            // It may never come, and then the answer comes all the same.
            timeout(ARRIVAL_TIMEOUT, arrival.wait_for(|has_arrived| *has_arrived)).await.ok();
        }
        let (wa_id, user_id) = (&taken.wa_id, &taken.user_id);
        let contact = match &message.recipient {
            Recipient::Phone { input, .. } => json!({"input": input, "wa_id": wa_id, "user_id": user_id}),
            Recipient::UserId(input) => json!({"input": input, "user_id": user_id}),
        };
        let mut told = json!({"id": taken.wamid});
        // Only templates have one (Meta, "Send messages": the response).
        if message.template.is_some() {
            told["message_status"] = json!("accepted");
        }
        HttpResponse::Ok().json(json!({
            "messaging_product": "whatsapp", "contacts": [contact], "messages": [told],
        }))
    };
    let answer = faults.around(Endpoint::Messages, &phones.resolve(&message.recipient), deliver).await;
    (answer, wamid)
}

fn refused(refusal: &Refusal, limiter: &Limiter) -> Answer {
    limiter.count_refusal(refusal.code);
    Answer::refused(refusal)
}

/// The members of `node` that a request wants; its id is always among them.
pub(super) fn fields(mut node: Value, wanted: Option<&str>) -> Value {
    if let (Some(wanted), Some(members)) = (wanted, node.as_object_mut()) {
        members.retain(|key, _| key == "id" || wanted.split(',').any(|field| field.trim() == key));
    }
    node
}
