//! How a request to the Graph API is answered in the end, if at all: what error rules make of it.

use std::time::Duration;

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::web::Bytes;
use futures_util::stream;
use serde_json::Value;

use super::faults::{Endpoint, Faults, Outcome};
use super::refusal::Refusal;

/// How long a hanging answer hangs. Every client gives up long before.
const HANG: Duration = Duration::from_secs(600);

/// What is done with a request in the end.
pub(super) enum Answer {
    Whole(HttpResponse),
    Cut,
    Hang,
}

impl Answer {
    pub(super) fn json(status: u16, body: &Value) -> Self {
        let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        Self::Whole(HttpResponse::build(status).json(body))
    }

    pub(super) fn refused(refusal: &Refusal) -> Self {
        Self::json(refusal.status, &refusal.body())
    }

    /// The HTTP status, if there is an answer.
    pub(super) fn status(&self) -> Option<u16> {
        if let Self::Whole(response) = self { Some(response.status().as_u16()) } else { None }
    }
}

/// Meta's error as the answer.
pub(super) fn refuse(refusal: &Refusal) -> HttpResponse {
    let status = StatusCode::from_u16(refusal.status).unwrap_or(StatusCode::BAD_REQUEST);
    HttpResponse::build(status).json(refusal.body())
}

impl Faults {
    /// Does what a good request wants, unless a rule has other plans; `wa_id` is whom a send is for.
    pub(super) async fn around(
        &self,
        at: Endpoint,
        wa_id: &str,
        act: impl AsyncFnOnce() -> HttpResponse,
    ) -> Answer {
        let outcome = self.meet(at, wa_id);
        match outcome {
            Some(Outcome::Error { code, status }) => {
                return Answer::refused(&Outcome::refusal(code, status));
            }
            Some(Outcome::ComeBack { code, status, after_seconds }) => {
                let mut answer = refuse(&Outcome::refusal(code, status));
                answer.headers_mut().insert(actix_web::http::header::RETRY_AFTER, after_seconds.into());
                return Answer::Whole(answer);
            }
            Some(Outcome::CutBefore) => return Answer::Cut,
            Some(Outcome::HangBefore) => return Answer::Hang,
            Some(Outcome::Delay { ms }) => self.pause(Duration::from_millis(ms)).await,
            Some(Outcome::CutAfter | Outcome::HangAfter) | None => {}
        }
        let answer = act().await;
        match outcome {
            Some(Outcome::CutAfter) if answer.status().is_success() => Answer::Cut,
            Some(Outcome::HangAfter) if answer.status().is_success() => Answer::Hang,
            _ => Answer::Whole(answer),
        }
    }

    /// [`Faults::around`] for requests that are no sends.
    pub(super) async fn answer(&self, at: Endpoint, act: impl AsyncFnOnce() -> HttpResponse) -> HttpResponse {
        let answer = self.around(at, "", act).await;
        self.respond(answer).await
    }

    /// Lets an answer out, cuts the connection, or lets it hang.
    pub(super) async fn respond(&self, answer: Answer) -> HttpResponse {
        match answer {
            Answer::Whole(response) => response,
            Answer::Cut => cut(),
            Answer::Hang => {
                self.pause(HANG).await;
                cut()
            }
        }
    }
}

/// An answer that never is one: its body fails before the first byte, and the server closes the connection.
fn cut() -> HttpResponse {
    let failing = stream::once(async { Err::<Bytes, _>(std::io::Error::other("cut by an error rule")) });
    HttpResponse::Ok().streaming(failing)
}
