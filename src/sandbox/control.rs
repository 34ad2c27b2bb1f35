//! The phones over plain HTTP, for the page and for scripts: a conversation can be held with `curl`.
//!
//! No key is asked for: the server listens on this machine only, and [`super::server`] turns away other sites' pages.

use std::time::Duration;

use actix_web::http::StatusCode;
use actix_web::web::{Bytes, Data, Path, Query};
use actix_web::{HttpRequest, HttpResponse, HttpResponseBuilder};
use futures_util::stream;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

use super::DemoPhone;
use super::courier::Courier;
use super::entry::{Entry, Side};
use super::faults::{Endpoint, Faults, Rule};
use super::graph::{Gate, Record};
use super::media::{Files, Sent};
use super::phones::{CannotSay, NewIds, Phones, Profile, Seen, TRANSCRIPT_MAX};
use super::said::{Beside as Alongside, Said};
use super::words::Words;

/// How long `POST /phones/{wa_id}/messages` waits for a first reply when `wait` does not say.
pub const WAIT_DEFAULT_MS: u64 = 5_000;
/// The most that `wait` can ask for.
pub const WAIT_MAX_MS: u64 = 60_000;
/// Replies count as complete when none came for so long after the last one.
pub const QUIET: Duration = Duration::from_millis(300);
/// Silence on an event stream is broken this often, so that a dead reader is noticed.
const HEARTBEAT: Duration = Duration::from_secs(15);
/// The shortest time between two events: a busy bot changes things thousands of times a second.
const BEAT: Duration = Duration::from_millis(100);
/// Phones that the page lists.
pub const PHONES_LISTED: usize = 200;

#[derive(Deserialize)]
pub(super) struct Wait {
    wait: Option<u64>,
}

#[derive(Deserialize)]
pub(super) struct Last {
    last: Option<usize>,
}

/// `GET /phones`: the number, how its webhook fares, and the first [`PHONES_LISTED`] phones.
pub(super) async fn list(phones: Data<Phones>, courier: Data<Courier>, gate: Data<Gate>) -> HttpResponse {
    HttpResponse::Ok().json(json!({
        "business": {
            "display_phone_number": gate.number.display_phone_number, "phone_number_id": gate.number.phone_number_id,
        },
        "webhook": {"url": courier.url(), "delivered": courier.delivered()},
        "phones": phones.list(PHONES_LISTED),
    }))
}

/// `POST /phones` `{"wa_id":"4915112345009","name":"Kim"}`: one more phone.
pub(super) async fn add(body: Bytes, phones: Data<Phones>) -> HttpResponse {
    match read::<DemoPhone>(&body).and_then(|phone| phones.add(&phone).map_err(|error| error.to_string())) {
        Ok(()) => HttpResponse::Created().json(json!({"phones": phones.list(PHONES_LISTED)})),
        Err(detail) => bad_request(&detail),
    }
}

/// `POST /phones/{wa_id}/messages?wait=ms`: says something, then waits for the replies.
///
/// They are complete when none came for [`QUIET`] after the last one; a first one is waited for up to `wait`
/// (0: not at all), which bounds the whole call.
pub(super) async fn say(
    path: Path<String>,
    query: Query<Wait>,
    body: Bytes,
    phones: Data<Phones>,
    files: Data<Files>,
) -> HttpResponse {
    match read::<Words>(&body).and_then(|words| words.said(&files).map_err(str::to_owned)) {
        Ok((said, beside)) => answered(&path, said, &beside, query.wait, &phones).await,
        Err(detail) => bad_request(&detail),
    }
}

/// The query of [`send_file`].
#[derive(Deserialize)]
pub(super) struct Beside {
    wait: Option<u64>,
    caption: Option<String>,
    filename: Option<String>,
    #[serde(default)]
    voice: bool,
}

/// `POST /phones/{wa_id}/media?caption=…&filename=…&voice=true`: sends the body as a file of its `Content-Type`, then
/// waits for the replies as [`say`] does.
pub(super) async fn send_file(
    request: HttpRequest,
    path: Path<String>,
    query: Query<Beside>,
    body: Bytes,
    phones: Data<Phones>,
    files: Data<Files>,
) -> HttpResponse {
    let header = request.headers().get("Content-Type").and_then(|value| value.to_str().ok());
    let Some(mime_type) =
        header.filter(|value| value.contains('/') && !value.contains("x-www-form-urlencoded"))
    else {
        return bad_request("the header `Content-Type` has to tell the type of the file, such as image/png");
    };
    if body.is_empty() {
        return bad_request("the body has to be the file; curl sends one with --data-binary @photo.png");
    }
    let Beside { wait, caption, filename, voice } = query.into_inner();
    let sent = Sent::file(&files, mime_type, filename.as_deref(), body, caption, voice);
    answered(&path, Said::File(Box::new(sent)), &Alongside::default(), wait, &phones).await
}

/// Says it, waits for the replies, and shows both.
async fn answered(
    path: &str,
    said: Said,
    beside: &Alongside,
    wait: Option<u64>,
    phones: &Phones,
) -> HttpResponse {
    let watched = phones.watch(path).and_then(|watch| {
        let before = watch.borrow().replies;
        phones.say(path, said, beside).map(|wamid| (watch, before, wamid))
    });
    let (watch, before, wamid) = match watched {
        Ok(watched) => watched,
        Err(error) => return bad_request(&error.to_string()),
    };
    let wait = Duration::from_millis(wait.unwrap_or(WAIT_DEFAULT_MS).min(WAIT_MAX_MS));
    let replies = settled(watch.clone(), before, wait).await - before;
    let transcript = phones.transcript(path, TRANSCRIPT_MAX);
    let sent = transcript.iter().find(|entry| entry.wamid == wamid).cloned();
    HttpResponse::Ok().json(json!({"sent": sent, "replies": newest_replies(transcript, replies)}))
}

/// Waits for a first reply after `before`, then for silence; the answer is how many replies there are then.
async fn settled(mut watch: watch::Receiver<Seen>, before: usize, wait: Duration) -> usize {
    let silence = async {
        let mut count = before;
        // The first reply has no limit of its own here: `wait` bounds the whole.
        while let Ok(seen) = watch.wait_for(|seen| seen.replies > count).await.map(|seen| seen.replies) {
            count = seen;
            if timeout(QUIET, watch.wait_for(|seen| seen.replies > count)).await.is_err() {
                return;
            }
        }
    };
    // Running out of time is no failure: what has come so far is the answer.
    timeout(wait, silence).await.ok();
    watch.borrow().replies
}

fn newest_replies(transcript: Vec<Entry>, count: usize) -> Vec<Entry> {
    let mut replies: Vec<Entry> =
        transcript.into_iter().filter(|entry| entry.from == Side::Business).collect();
    replies.split_off(replies.len().saturating_sub(count))
}

/// `PUT /phones/{wa_id}` `{"hides_number":true,"username":"ada"}`: sets what the body names of the person's profile.
pub(super) async fn set_profile(path: Path<String>, body: Bytes, phones: Data<Phones>) -> HttpResponse {
    done(read::<Profile>(&body).and_then(|profile| {
        phones
            .set_profile(&path, profile)
            .map(|()| json!({"phones": phones.list(PHONES_LISTED)}))
            .map_err(text)
    }))
}

/// `POST /phones/{wa_id}/change` `{"wa_id":"4915112345009"}` (or `user_id`): another number or user id, with the system
/// message that tells of it.
pub(super) async fn change(path: Path<String>, body: Bytes, phones: Data<Phones>) -> HttpResponse {
    done(read::<NewIds>(&body).and_then(|to| {
        phones.change(&path, &to).map(|wamid| json!({"sent": {"wamid": wamid}})).map_err(text)
    }))
}

/// The body of [`preferences`].
#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum Preference {
    Marketing(Wish),
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum Wish {
    Stop,
    Resume,
}

/// `POST /phones/{wa_id}/preferences` `{"marketing":"stop"}` (or `resume`), with the webhook that tells of it.
pub(super) async fn preferences(path: Path<String>, body: Bytes, phones: Data<Phones>) -> HttpResponse {
    done(read::<Preference>(&body).and_then(|Preference::Marketing(wish)| {
        let wanted = matches!(wish, Wish::Resume);
        phones.set_marketing(&path, wanted).map(|()| json!({"marketing": wanted})).map_err(text)
    }))
}

fn text(error: CannotSay) -> String {
    error.to_string()
}

fn done(outcome: Result<Value, String>) -> HttpResponse {
    match outcome {
        Ok(shown) => HttpResponse::Ok().json(shown),
        Err(detail) => bad_request(&detail),
    }
}

/// `GET /phones/{wa_id}/messages?last=n`: the transcript, oldest first.
pub(super) async fn transcript(path: Path<String>, query: Query<Last>, phones: Data<Phones>) -> HttpResponse {
    HttpResponse::Ok()
        .json(json!({"messages": phones.transcript(&path, query.last.unwrap_or(TRANSCRIPT_MAX))}))
}

/// The query of [`play`].
#[derive(Deserialize)]
pub(super) struct Note {
    wamid: Option<String>,
}

/// `POST /phones/{wa_id}/play?wamid=…`: the person listens to a voice note of the bot, or to all of them.
pub(super) async fn play(path: Path<String>, query: Query<Note>, phones: Data<Phones>) -> HttpResponse {
    HttpResponse::Ok().json(json!({"played": phones.play(&path, query.wamid.as_deref())}))
}

/// `POST /phones/{wa_id}/open`: the person looks at it, so what arrived becomes read.
pub(super) async fn open(path: Path<String>, phones: Data<Phones>) -> HttpResponse {
    HttpResponse::Ok().json(json!({"read": phones.open(&path)}))
}

/// `GET /events`: a server-sent event whenever anything has changed; several changes may share one.
pub(super) async fn events(phones: Data<Phones>) -> HttpResponse {
    let mut pulse = phones.pulse();
    pulse.mark_changed();
    let beats = stream::unfold(pulse, |mut pulse| async move {
        let line = match timeout(HEARTBEAT, pulse.changed()).await {
            Ok(Ok(())) => {
                sleep(BEAT).await;
                format!("data: {}\n\n", *pulse.borrow_and_update())
            }
            Ok(Err(_)) => return None,
            Err(_) => String::from(": still here\n\n"),
        };
        Some((Ok::<_, std::io::Error>(Bytes::from(line)), pulse))
    });
    HttpResponse::Ok()
        .content_type("text/event-stream")
        .insert_header(("Cache-Control", "no-store"))
        .streaming(beats)
}

/// `GET /requests`: what came in at `/messages`, newest last.
pub(super) async fn requests(record: Data<Record>) -> HttpResponse {
    HttpResponse::Ok().json(json!({"count": record.count(), "requests": record.all()}))
}

/// `POST /rules`: a [`Rule`] as JSON, with `at` for other requests than sends: `{"at":"uploads","outcome":"cut_after"}`.
pub(super) async fn add_rule(body: Bytes, faults: Data<Faults>) -> HttpResponse {
    let placed = read::<Map<String, Value>>(&body).and_then(|mut rule| {
        let at = rule.remove("at").map_or(Ok(Endpoint::default()), serde_json::from_value);
        let rule = serde_json::from_value::<Rule>(Value::Object(rule));
        at.and_then(|at| rule.map(|rule| (at, rule))).map_err(|error| format!("this is no rule: {error}"))
    });
    match placed.and_then(|(at, rule)| faults.add(at, rule).map_err(|error| error.to_string())) {
        Ok(id) => HttpResponse::Created().json(json!({"id": id, "rules": faults.list()})),
        Err(detail) => bad_request(&detail),
    }
}

/// `GET /rules`.
pub(super) async fn list_rules(faults: Data<Faults>) -> HttpResponse {
    HttpResponse::Ok().json(json!({"rules": faults.list()}))
}

/// `DELETE /rules`.
pub(super) async fn remove_rules(faults: Data<Faults>) -> HttpResponse {
    HttpResponse::Ok().json(json!({"removed": faults.remove(None)}))
}

/// `DELETE /rules/{id}`.
pub(super) async fn remove_rule(path: Path<u64>, faults: Data<Faults>) -> HttpResponse {
    match faults.remove(Some(*path)) {
        0 => problem(StatusCode::NOT_FOUND, &format!("there is no rule {path}")),
        removed => HttpResponse::Ok().json(json!({"removed": removed})),
    }
}

/// Reads a JSON body whatever its content type says, since `curl -d` says that it is a form.
pub(super) fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, String> {
    serde_json::from_slice(body).map_err(|error| format!("the body is not what is expected here: {error}"))
}

pub(super) fn bad_request(detail: &str) -> HttpResponse {
    problem(StatusCode::BAD_REQUEST, detail)
}

/// An error as RFC 9457 wants it.
pub(super) fn problem(status: StatusCode, detail: &str) -> HttpResponse {
    let title = status.canonical_reason().unwrap_or("Error");
    let body: Value = json!({"title": title, "status": status.as_u16(), "detail": detail});
    HttpResponseBuilder::new(status).content_type("application/problem+json").body(body.to_string())
}
