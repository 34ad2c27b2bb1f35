//! `GET /api/whatsapp/numbers`: how our numbers fare, and the limits they keep. `PUT …/numbers/{id}/token`: another token.
//!
//! A token that is set here is used at once and forgotten at the end of the program; it is in no answer and no log.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use actix_web::web::{Data, Json, Path};
use actix_web::{HttpRequest, HttpResponse};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::Number;
use super::body::{self, Body};
use super::params::Params;
use super::problem::Problem;
use super::view::{Time, age_seconds};
use crate::clock::Millis;
use crate::config::Secret;
use crate::store::Store;

/// How a number of ours fares.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct NumberHealth {
    /// Which.
    pub phone_number_id: String,
    /// Why nothing leaves from it, if so.
    pub paused: Option<NumberPause>,
    /// Why messages leave it more slowly than Meta allows, if so.
    pub slowed: Option<String>,
    /// Replies that wait to leave from it or are under way.
    pub waiting_reply: usize,
    /// Other messages that do.
    pub waiting_bulk: usize,
    /// How many of both are under way.
    pub in_flight: usize,
    /// When the oldest event was accepted for which a message waits.
    pub oldest_at: Option<Millis>,
    /// Messages per second that Meta allows, both directions together; `None` where no limit is kept.
    pub allowed: Option<u32>,
    /// Messages per second at which it sends and hears now at the most.
    pub rate: Option<f64>,
    /// How long it takes until all that waits has left; `None` while nobody knows.
    pub drained_in: Option<Duration>,
}

/// Why nothing leaves from a number.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NumberPause {
    /// Meta's words, and the cause in plain ones.
    pub why: String,
    /// Since when.
    pub since: Millis,
    /// When it is tried again.
    pub until: Millis,
}

/// Tells how the numbers fare right now. It is asked at every health request, so it has to be quick.
pub type HealthOfNumbers = Arc<Teller>;

pub(super) type Teller = dyn Fn() -> Vec<NumberHealth> + Send + Sync;

/// Hands a number of ours another token.
pub type SetToken = Arc<TokenSetter>;

pub(super) type TokenSetter = dyn Fn(String, Secret) -> Setting + Send + Sync;

/// A token on its way to the sender; the error is what is wrong with it.
pub type Setting = Pin<Box<dyn Future<Output = Result<(), TokenRefused>> + Send>>;

/// Why a token was not taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TokenRefused {
    /// It cannot be one, for this reason, which does not repeat it.
    Bad(String),
    /// The program is ending.
    Ending,
}

/// The limits of sending that hold for all numbers.
#[derive(Debug, Clone, Copy)]
pub struct SendLimits {
    /// Whether the limit per person is kept.
    pub pair_pacing: bool,
    /// Requests to Meta under way at once, per number.
    pub in_flight_max: usize,
    /// Attempts at one message.
    pub attempts_max: u32,
    /// How long a message is worth sending.
    pub deadline: Duration,
    /// Messages that may wait before clients are turned away.
    pub queue_max: usize,
}

/// Our numbers, and the limits of all.
#[derive(Serialize, ToSchema)]
struct Numbers {
    data: Vec<NumberView>,
    next_cursor: Option<String>,
    limits: LimitsView,
}

/// How a number of ours fares.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Number)]
pub(super) struct NumberView {
    phone_number_id: String,
    display_phone_number: Option<String>,
    /// `ok`, `slowed` or `paused`.
    #[schema(examples("ok"))]
    status: &'static str,
    /// Why nothing leaves from it, or slowly.
    reason: Option<String>,
    paused_since: Option<Time>,
    next_attempt_at: Option<Time>,
    /// Messages that wait to leave from it or are under way.
    waiting: usize,
    waiting_by_class: ByClass,
    in_flight: usize,
    oldest_age_seconds: Option<f64>,
    messages_per_second: Option<f64>,
    messages_per_second_allowed: Option<u32>,
    expected_drain_seconds: Option<f64>,
}

#[derive(Debug, Serialize, ToSchema)]
struct ByClass {
    reply: usize,
    bulk: usize,
}

/// The limits of sending that hold for all numbers.
#[derive(Serialize, ToSchema)]
#[schema(as = SendLimits)]
struct LimitsView {
    pair_pacing: bool,
    sends_in_flight: usize,
    send_attempts: u32,
    send_deadline_seconds: u64,
    outbound_queue: usize,
}

/// A token that is used from here on.
#[derive(Serialize, ToSchema)]
#[schema(as = TokenTaken)]
struct Taken<'a> {
    phone_number_id: &'a str,
    status: &'static str,
    holds_until: &'static str,
    for_good: &'static str,
}

/// Our numbers: how each fares, and the limits that are kept.
#[utoipa::path(
    get,
    path = "/api/whatsapp/numbers",
    responses((status = 200, description = "The numbers.", body = Numbers))
)]
pub(super) async fn list(
    request: HttpRequest,
    store: Data<Store>,
    numbers: Data<[Number]>,
    teller: Data<Teller>,
    limits: Data<SendLimits>,
) -> Result<HttpResponse, Problem> {
    Params::of(&request, &[])?;
    let data = shown(&numbers, teller(), store.clock().now());
    let limits = LimitsView {
        pair_pacing: limits.pair_pacing,
        sends_in_flight: limits.in_flight_max,
        send_attempts: limits.attempts_max,
        send_deadline_seconds: limits.deadline.as_secs(),
        outbound_queue: limits.queue_max,
    };
    Ok(HttpResponse::Ok().json(Numbers { data, next_cursor: None, limits }))
}

/// A token.
#[derive(ToSchema)]
#[serde(deny_unknown_fields)]
#[expect(
    dead_code,
    reason = "it is read field by field, so that a refusal can name one; this is for the document"
)]
struct TokenRequest {
    #[schema(min_length = 1)]
    token: String,
}

/// Gives a number another token, which is used at once, until the next restart.
#[utoipa::path(
    put,
    path = "/api/whatsapp/numbers/{id}/token",
    params(("id" = String, Path, description = "The number, by Meta's id of it.")),
    request_body(content = TokenRequest, example = json!({"token": "EAAG…"})),
    responses((status = 200, description = "It is used from here on.", body = Taken<'static>))
)]
pub(super) async fn set_token(
    request: HttpRequest,
    id: Path<String>,
    body: Json<Body>,
    numbers: Data<[Number]>,
    setter: Data<TokenSetter>,
) -> Result<HttpResponse, Problem> {
    Params::of(&request, &[])?;
    if !numbers.iter().any(|number| number.phone_number_id == *id) {
        let known: Vec<&str> = numbers.iter().map(|number| number.phone_number_id.as_str()).collect();
        let detail = format!("this is not one of our numbers; those are `{}`", known.join("`, `"));
        return Err(Problem::not_found("phone_number_id", detail));
    }
    let token = token(body.into_inner().0)?;
    match setter(id.clone(), token).await {
        Ok(()) => Ok(HttpResponse::Ok().json(Taken {
            phone_number_id: &id,
            status: "used",
            holds_until: "the next restart",
            for_good: "set WHATSAPP_API_TOKEN in the environment or .env, or `token` in the number's [[numbers]] entry of \
                       switchboard.toml",
        })),
        Err(TokenRefused::Bad(detail)) => Err(Problem::field("token", detail)),
        Err(TokenRefused::Ending) => Err(Problem::unavailable("the program is ending; try again soon")),
    }
}

/// `{"token": "…"}`.
fn token(body: Value) -> Result<Secret, Problem> {
    let mut fields = body::fields(body)?;
    let token = fields.text("token")?;
    fields.finish()?;
    Secret::new(token).ok_or_else(|| Problem::field("token", "`token` is empty"))
}

/// Our numbers with what is known of each; one of which nothing is told has nothing to complain of.
pub(super) fn shown(numbers: &[Number], told: Vec<NumberHealth>, now: Millis) -> Vec<NumberView> {
    let view = |number: &Number| {
        let told = told.iter().find(|told| told.phone_number_id == number.phone_number_id);
        let told = told
            .cloned()
            .unwrap_or_else(|| NumberHealth { drained_in: Some(Duration::ZERO), ..NumberHealth::default() });
        let status = match (&told.paused, &told.slowed) {
            (Some(_), _) => "paused",
            (None, Some(_)) => "slowed",
            (None, None) => "ok",
        };
        NumberView {
            phone_number_id: number.phone_number_id.clone(),
            display_phone_number: number.display.clone(),
            status,
            paused_since: told.paused.as_ref().map(|pause| Time(pause.since)),
            next_attempt_at: told.paused.as_ref().map(|pause| Time(pause.until)),
            reason: told.paused.map(|pause| pause.why).or(told.slowed),
            waiting: told.waiting_reply + told.waiting_bulk,
            waiting_by_class: ByClass { reply: told.waiting_reply, bulk: told.waiting_bulk },
            in_flight: told.in_flight,
            oldest_age_seconds: told.oldest_at.map(|at| age_seconds(now, at)),
            messages_per_second: told.rate,
            messages_per_second_allowed: told.allowed,
            expected_drain_seconds: told.drained_in.map(|time| time.as_secs_f64()),
        }
    };
    numbers.iter().map(view).collect()
}

impl NumberView {
    /// Whether nothing leaves from it.
    pub(super) fn is_paused(&self) -> bool {
        self.status == "paused"
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_token_is_a_text_alone_and_no_refusal_repeats_it() {
        assert_eq!(token(json!({"token": "EAA1"})).unwrap().expose(), "EAA1");
        for (body, field) in [
            (json!({}), "`token`"),
            (json!({"token": ""}), "`token`"),
            (json!({"token": ["EAA1"]}), "`token`"),
            (json!({"token": "EAA1", "for": "EAA1"}), "`for`"),
            (json!(["EAA1"]), "JSON object"),
        ] {
            let refused = token(body).unwrap_err().to_string();
            assert!(refused.contains(field) && !refused.contains("EAA1"), "{refused}");
        }
    }

    #[test]
    fn a_paused_number_says_so_before_a_slow_one() {
        let numbers = [Number { phone_number_id: "1".into(), display: None }];
        let slow = NumberHealth {
            phone_number_id: "1".into(),
            slowed: Some("too fast".into()),
            waiting_reply: 2,
            waiting_bulk: 3,
            oldest_at: Some(1_000),
            rate: Some(38.4),
            ..NumberHealth::default()
        };
        let show =
            |told: &NumberHealth| serde_json::to_value(shown(&numbers, vec![told.clone()], 3_500)).unwrap();
        let view = show(&slow)[0].clone();
        assert_eq!(
            (&view["status"], &view["reason"], &view["waiting"]),
            (&json!("slowed"), &json!("too fast"), &json!(5))
        );
        assert_eq!((&view["oldest_age_seconds"], &view["messages_per_second"]), (&json!(2.5), &json!(38.4)));
        assert_eq!(view["expected_drain_seconds"], json!(null));
        let pause = NumberPause { why: "no token".into(), since: 0, until: 60_000 };
        let view = show(&NumberHealth { paused: Some(pause), ..slow })[0].clone();
        assert_eq!((&view["status"], &view["reason"]), (&json!("paused"), &json!("no token")));
        assert_eq!(view["paused_since"], "1970-01-01T00:00:00.000Z");
        assert_eq!(view["next_attempt_at"], "1970-01-01T00:01:00.000Z");
    }
}
