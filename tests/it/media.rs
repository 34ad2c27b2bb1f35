//! Files, in both directions: given to us and taken from us, fetched from Meta, uploaded to it.

use std::time::Duration;

use reqwest::Response;
use serde_json::{Value, json};
use switchboard::app::Parts;
use switchboard::clock::{Clock, Hand};
use switchboard::config::{Config, Secret};
use switchboard::domain::delivery::Refusal;
use switchboard::domain::ids::MediaId;
use switchboard::flow::Flow;
use switchboard::media::Limits;
use switchboard::media::upload::Uploads;
use switchboard::media::vault::Vault;
use switchboard::meta::client::{Client, Outcome, Settings};
use switchboard::meta::failure::Policy;

use crate::support::app::{API_KEY, TestApp, local_meta};
use crate::support::database::{Database, on_both};
use crate::support::program::Program;
use crate::support::shelf::{Mishap, Shelf};
use crate::support::{door, flows, shelf, until, wire};

const NOW: i64 = 1_795_337_387_000;
const ANN: &str = "4915112345001";
const BEN: &str = "4915112345002";

fn url(test: &TestApp, path: &str) -> String {
    format!("http://{}/api/whatsapp/media{path}", test.app.addr())
}

async fn give(test: &TestApp, mime_type: &str, query: &str, bytes: impl Into<reqwest::Body>) -> (u16, Value) {
    let request = test.http.post(url(test, query)).bearer_auth(API_KEY).header("Content-Type", mime_type);
    let answer = request.body(bytes).send().await.unwrap();
    (answer.status().as_u16(), answer.json().await.unwrap())
}

async fn take(test: &TestApp, id: &str, range: Option<&str>) -> Response {
    let mut request = test.http.get(url(test, &format!("/{id}/content"))).bearer_auth(API_KEY);
    if let Some(range) = range {
        request = request.header("Range", range);
    }
    request.send().await.unwrap()
}

on_both!(what_is_given_is_kept_once_and_served_to_a_key_only, |database| async {
    let test = door::start(database).await;
    let large: Vec<u8> = (0..9_000_000_u32).map(|i| u8::try_from(i % 251).unwrap()).collect();
    let (status, given) = give(&test, "application/pdf", "?filename=M%C3%BCller.pdf", large.clone()).await;
    assert_eq!((status, &given["type"], &given["state"]), (201, &"document".into(), &"ready".into()));
    let id = given["id"].as_str().unwrap();
    let again = give(&test, "application/pdf", "?filename=M%C3%BCller.pdf", large.clone()).await;
    assert_eq!((again.0, &again.1["id"]), (200, &given["id"]));
    let (_, renamed) = give(&test, "application/pdf", "", large.clone()).await;
    assert_ne!(renamed["id"], given["id"]);
    assert_eq!(renamed["sha256"], given["sha256"]);
    let (_, same) = test.get(&format!("/media?sha256={}", given["sha256"].as_str().unwrap())).await;
    assert_eq!(same["data"].as_array().unwrap().len(), 2);

    let answer = take(&test, id, None).await;
    assert_eq!(answer.status(), 200);
    let header = |name: &str| answer.headers()[name].to_str().unwrap().to_owned();
    assert_eq!(header("content-type"), "application/pdf");
    assert_eq!(
        header("content-disposition"),
        "attachment; filename=\"M_ller.pdf\"; filename*=UTF-8''M%C3%BCller.pdf"
    );
    assert_eq!(
        (header("x-content-type-options"), header("cache-control")),
        ("nosniff".into(), "no-store".into())
    );
    assert_eq!(answer.bytes().await.unwrap(), large);
    let part = take(&test, id, Some("bytes=100-103")).await;
    assert_eq!(
        (part.status().as_u16(), part.headers()["content-range"].to_str().unwrap()),
        (206, "bytes 100-103/9000000")
    );
    assert_eq!(part.bytes().await.unwrap(), large[100..104]);
    assert_eq!(take(&test, id, Some("bytes=9000000-")).await.status(), 416);
    for path in ["", &format!("/{id}"), &format!("/{id}/content")] {
        assert_eq!(test.http.get(url(&test, path)).send().await.unwrap().status(), 401, "{path}");
    }
    test.stop().await;
});

on_both!(what_meta_would_not_take_is_refused_at_the_door, |database| async {
    let test = door::start(database).await;
    let (status, problem) = give(&test, "image/jpeg", "", vec![0; (5 << 20) + 1]).await;
    assert_eq!((status, &problem["limit"]), (413, &(5 << 20).into()), "{problem}");
    let (status, problem) = give(&test, "image/gif", "", "GIF89a").await;
    assert_eq!((status, &problem["field"]), (415, &"Content-Type".into()), "{problem}");
    assert_eq!(give(&test, "image/png", "", "").await.0, 422);
    let (status, problem) = give(&test, "image/png", "?filename=a%0D%0Ab", "x").await;
    assert_eq!((status, &problem["field"]), (400, &"filename".into()), "{problem}");
    assert_eq!(give(&test, "image/png", "?caption=x", "x").await.0, 400);
    assert_eq!(take(&test, "med_1", None).await.status(), 404);
    let (_, none) = test.get("/media").await;
    assert_eq!(none["data"], Value::Array(vec![]));
    test.stop().await;
});

/// An app whose files are on this shelf, and the hand of its clock.
async fn start(database: Database, shelf: &Shelf, change: impl FnOnce(&mut Config)) -> (TestApp, Hand) {
    let (clock, hand) = Clock::manual(NOW);
    let test = TestApp::start_with(database, parts(clock), |config| {
        shelf.serve(config);
        change(config);
    });
    (test.await, hand)
}

fn parts(clock: Clock) -> Parts {
    Parts { clock, ..Parts::new(Flow::parse(flows::ECHO, "echo").unwrap()) }
}

async fn hears(test: &TestApp, message: Value) {
    assert_eq!(door::signed(test, shelf::body(&[message])).await, 200);
}

/// Waits until the newest file is in this state, and returns it.
async fn newest(test: &TestApp, state: &str) -> Value {
    let look = async || {
        let (_, list) = test.get("/media").await;
        let file = list["data"][0].clone();
        (file["state"] == state).then_some(file)
    };
    until(&format!("a file that is {state}"), look).await
}

/// Waits until fetching the newest file has failed so often.
async fn missed(test: &TestApp, times: usize) {
    let look = async || (test.get("/media").await.1["data"][0]["attempts"] == times).then_some(());
    until(&format!("{times} attempts to have failed"), look).await;
}

on_both!(what_people_send_is_fetched_and_kept_once, |database| async {
    let shelf = Shelf::start().await;
    let (test, _hand) = start(database, &shelf, |_| {}).await;
    hears(&test, shelf.photo(ANN, "11", b"a picture")).await;
    let file = newest(&test, "ready").await;
    assert_eq!(file["sha256"], "92b2fa58028958317e408bd84ecfa70f5ee35b121991dbc232c49d166353708b");
    assert_eq!(
        (&file["size"], &file["mime_type"], &file["attempts"]),
        (&9.into(), &"image/jpeg".into(), &0.into())
    );
    let (_, message) = test.get(&format!("/messages/{}", file["message_id"].as_str().unwrap())).await;
    assert_eq!((&message["type"], &message["body"]), (&"image".into(), &"look".into()));
    assert_eq!(
        (&message["media"]["id"], &message["media"]["content_url"]),
        (&file["id"], &file["content_url"])
    );
    let answer = take(&test, file["id"].as_str().unwrap(), None).await;
    assert_eq!(answer.headers()["content-type"], "image/jpeg");
    assert_eq!(answer.bytes().await.unwrap(), "a picture");

    hears(&test, shelf.photo(BEN, "12", b"a picture")).await;
    let second = newest(&test, "ready").await;
    assert_ne!(second["id"], file["id"]);
    assert_eq!((&second["sha256"], test.files()), (&file["sha256"], 1));
    test.stop().await;
});

on_both!(a_download_that_fails_is_tried_again, |database| async {
    let shelf = Shelf::start().await;
    let (test, hand) = start(database, &shelf, |_| {}).await;
    shelf.next_downloads(&[Mishap::Broken, Mishap::Half, Mishap::Wrong]);
    hears(&test, shelf.photo(ANN, "11", b"a picture")).await;
    for (times, seconds) in [(1, 5), (2, 5), (3, 5)] {
        missed(&test, times).await;
        assert_eq!(
            (test.files(), test.get("/media").await.1["data"][0]["state"].clone()),
            (0, "wanted".into())
        );
        hand.advance(Duration::from_secs(seconds));
    }
    let file = newest(&test, "ready").await;
    assert_eq!((&file["attempts"], &file["reason"]), (&3.into(), &Value::Null));
    assert_eq!((test.files(), shelf.asked("GET /files/11")), (1, 4));
    test.stop().await;
});

on_both!(an_address_that_has_expired_is_replaced_at_once, |database| async {
    let shelf = Shelf::start().await;
    let (test, _hand) = start(database, &shelf, |_| {}).await;
    shelf.next_downloads(&[Mishap::Gone]);
    hears(&test, shelf.photo(ANN, "11", b"a picture")).await;
    assert_eq!(newest(&test, "ready").await["attempts"], 0);
    assert_eq!(shelf.asked("GET /v26.0/11?phone_number_id=106540352242922"), 2);
    test.stop().await;
});

on_both!(what_is_not_to_be_had_says_why_and_fails_no_message, |database| async {
    let shelf = Shelf::start().await;
    let (test, _hand) = start(database, &shelf, |config| config.media.file_bytes = 1024).await;
    hears(&test, shelf.photo(ANN, "11", &[7; 1025])).await;
    let reason = newest(&test, "failed").await["reason"].as_str().unwrap().to_owned();
    assert!(reason.contains("1024 bytes"), "{reason}");
    shelf.next_infos(&[Mishap::Stranger]);
    hears(&test, shelf.photo(ANN, "12", b"a picture")).await;
    let stranger = newest(&test, "failed").await;
    assert!(stranger["reason"].as_str().unwrap().contains("stranger.example"), "{stranger}");
    shelf.next_infos(&[Mishap::Refused]);
    hears(&test, shelf.photo(ANN, "13", b"a picture")).await;
    let refused = newest(&test, "failed").await;
    assert!(refused["reason"].as_str().unwrap().contains("Unsupported get request"), "{refused}");
    assert_eq!((test.files(), shelf.asked("GET /files/")), (0, 1));
    // Each was answered all the same.
    until("three answers", async || (shelf.asked("POST /v26.0/106540352242922/messages") >= 3).then_some(()))
        .await;

    let id = refused["id"].as_str().unwrap();
    assert_eq!(take(&test, id, None).await.status(), 409);
    assert_eq!(test.post(&format!("/media/{id}/fetch"), &Value::Null).await.0, 202);
    assert_eq!(newest(&test, "ready").await["id"], id);
    assert_eq!(test.post(&format!("/media/{id}/fetch"), &Value::Null).await.0, 409);
    test.stop().await;
});

on_both!(an_end_in_the_middle_of_a_download_loses_nothing, |database| async {
    let shelf = Shelf::start().await;
    let (test, _hand) = start(database, &shelf, |_| {}).await;
    shelf.next_downloads(&[Mishap::Hangs]);
    hears(&test, shelf.photo(ANN, "11", &[7; 100_000])).await;
    until("the download to begin", async || (shelf.asked("GET /files/11") == 1).then_some(())).await;
    let test = test.restart_with(parts(Clock::manual(NOW).0)).await;
    let file = newest(&test, "ready").await;
    assert_eq!((&file["size"], &file["attempts"]), (&100_000.into(), &0.into()));
    assert_eq!((test.files(), shelf.asked("GET /files/11")), (1, 2));
    shelf.go_on();
    test.stop().await;
});

/// What uploads, beside the app and in its place: with its store, its files and this shelf.
fn uploads(test: &TestApp, shelf: &Shelf) -> (Uploads, Client) {
    let limits = Limits {
        size_max: 100 << 20,
        types: vec!["*".into()],
        fetches_max: 1,
        attempts_max: 1,
        transfer_timeout: Duration::from_mins(1),
    };
    let vault = Vault::open(&test.folder().display().to_string()).unwrap();
    let client = Client::new(&Settings {
        graph_url: shelf.url.clone(),
        version: "v26.0".into(),
        token: Secret::new("token").unwrap(),
        timeout: Duration::from_secs(60),
        connect_timeout: Duration::from_secs(5),
    });
    (Uploads::new(test.app.store().clone(), vault, limits), client.unwrap())
}

fn image(id: &str) -> Value {
    json!({"type": "image", "image": {"id": id}})
}

on_both!(a_file_is_uploaded_once_and_again_when_meta_has_forgotten_it, |database| async {
    let shelf = Shelf::start().await;
    let (test, _hand) = start(database, &shelf, |_| {}).await;
    let (_, given) = give(&test, "image/png", "?filename=p.png", "a picture").await;
    let file: MediaId = given["id"].as_str().unwrap().parse().unwrap();
    let (uploads, client) = uploads(&test, &shelf);
    let send = || uploads.send(&client, wire::NUMBER, file, image);
    let sent = |outcome: &Outcome| matches!(outcome, Outcome::Accepted { .. });

    // Nothing has left when the upload fails.
    shelf.next_uploads(&[Mishap::Broken]);
    assert!(matches!(send().await, Outcome::NotSent(_)));
    let uploaded = || shelf.asked("POST /v26.0/106540352242922/media");
    assert_eq!(uploaded(), 1);
    let (first, second, third) = tokio::join!(send(), send(), send());
    assert!(sent(&first) && sent(&second) && sent(&third), "{first:?} {second:?} {third:?}");
    assert_eq!(uploaded(), 2);
    let id = shelf.sent()[0]["image"]["id"].as_str().unwrap().to_owned();
    assert!(shelf.sent().iter().all(|body| body["image"]["id"] == *id));

    shelf.forget(&id);
    assert!(sent(&send().await));
    assert_eq!(uploaded(), 3);
    assert_ne!(shelf.sent()[3]["image"]["id"], *id);
    // Another number has ids of its own.
    assert!(sent(&uploads.send(&client, "106540352242923", file, image).await));
    assert_eq!((uploaded(), shelf.asked("POST /v26.0/106540352242923/media")), (3, 1));
    test.stop().await;
});

on_both!(a_file_that_is_missing_or_was_never_fetched_is_refused_by_us, |database| async {
    let shelf = Shelf::start().await;
    let (test, _hand) = start(database, &shelf, |_| {}).await;
    shelf.next_infos(&[Mishap::Refused]);
    hears(&test, shelf.photo(ANN, "11", b"a picture")).await;
    let failed: MediaId = newest(&test, "failed").await["id"].as_str().unwrap().parse().unwrap();
    let (uploads, client) = uploads(&test, &shelf);
    for (file, why) in [(MediaId(1), "there is no file med_1"), (failed, "was never fetched")] {
        let outcome = uploads.send(&client, wire::NUMBER, file, image).await;
        let Outcome::Refused(refused) = outcome else { panic!("{outcome:?}") };
        assert_eq!(
            (refused.failure.code, refused.policy()),
            (Refusal::MediaUnavailable.code(), Policy::Permanent)
        );
        assert!(refused.failure.details.unwrap().contains(why));
    }
    assert_eq!(shelf.asked("POST /v26.0/106540352242922/media"), 0);
    test.stop().await;
});

on_both!(a_message_takes_a_file_of_ours_along, |database| async {
    let shelf = Shelf::start().await;
    let (test, hand) = start(database, &shelf, |_| {}).await;
    let (_, given) = give(&test, "image/png", "?filename=p.png", "a picture").await;
    let message = json!({"to": ANN, "type": "image", "media": given["id"], "caption": "look"});
    shelf.next_uploads(&[Mishap::Broken]);
    hears(&test, wire::text(ANN, "wamid.hi", "hi")).await;
    until("the answer", async || (shelf.sent().len() == 1).then_some(())).await;
    let (status, queued) = test.post("/send", &message).await;
    assert_eq!(status, 202, "{queued}");
    // The upload that failed is tried again, like a send.
    let uploaded = || shelf.asked("POST /v26.0/106540352242922/media");
    until("the upload to fail", async || (uploaded() == 1).then_some(())).await;
    until("the message to leave", async || {
        hand.advance(Duration::from_secs(2));
        (shelf.sent().len() == 2).then_some(())
    })
    .await;
    let sent = shelf.sent()[1].clone();
    assert_eq!((&sent["type"], &sent["image"]["caption"]), (&"image".into(), &"look".into()));
    assert_eq!((uploaded(), shelf.forgotten_or_unknown(&sent["image"]["id"])), (2, false));

    let gone = json!({"to": ANN, "type": "image", "media": "med_1"});
    let (_, queued) = test.post("/send", &gone).await;
    let failed = until("the message to fail", async || {
        let (_, message) = test.get(&format!("/messages/{}", queued["id"].as_str()?)).await;
        (message["status"] == "failed").then_some(message)
    });
    assert_eq!(failed.await["error"]["code"], -5);
    test.stop().await;
});

on_both!(a_kill_in_the_middle_of_a_download_loses_nothing, async |database: Database| {
    let (meta, shelf) = (local_meta().await, Shelf::start().await);
    let settings = [("WHATSAPP_GRAPH_URL", shelf.url.as_str())];
    let mut program = Program::start(&meta, &database.url, flows::ECHO, &settings).await;
    shelf.next_downloads(&[Mishap::Hangs]);
    let http = wire::client();
    let message = shelf.photo(ANN, "11", &[7; 100_000]);
    let answer = wire::post(&http, &meta, &program.webhook_url(), shelf::body(&[message])).await;
    assert_eq!(answer.unwrap(), 200);
    until("the download to begin", async || (shelf.asked("GET /files/11") == 1).then_some(())).await;
    program.kill();
    program.start_again().await;
    let url = format!("http://{}/api/whatsapp/media", program.addr());
    let file = until("the file", async || {
        let list: Value = http.get(&url).bearer_auth(API_KEY).send().await.ok()?.json().await.ok()?;
        let file = list["data"][0].clone();
        (file["state"] == "ready").then_some(file)
    })
    .await;
    assert_eq!((&file["size"], &file["attempts"]), (&100_000.into(), &0.into()));
    assert_eq!(shelf.asked("GET /files/11"), 2);
    meta.stop().await;
});
