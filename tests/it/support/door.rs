//! What stands before the door: Meta with what is signed, strangers with what is not, and someone who looks at what became
//! of it.

use std::sync::atomic::{AtomicU32, Ordering};

use reqwest::Response;
use switchboard::flow::Flow;
use switchboard::store::read::{EventFilter, Page, StoredEvent};

use super::app::TestApp;
use super::database::{Database, Engine};
use super::{flows, until, wire};

/// More events than any test makes.
pub(crate) const ALL: Page = Page::newest(10_000);

/// An app that answers every text with itself.
pub(crate) async fn start(database: Database) -> TestApp {
    TestApp::start(database, Flow::parse(flows::ECHO, "echo").unwrap(), |_| {}).await
}

pub(crate) async fn start_on_sqlite() -> TestApp {
    start(Database::new(Engine::Sqlite).unwrap()).await
}

pub(crate) async fn post(test: &TestApp, body: Vec<u8>, signature: Option<&str>) -> Response {
    let request = test.http.post(test.webhook_url()).body(body);
    let request = match signature {
        Some(signature) => request.header("X-Hub-Signature-256", signature),
        None => request,
    };
    request.send().await.unwrap()
}

/// Posts as Meta would.
pub(crate) async fn signed(test: &TestApp, body: impl Into<Vec<u8>>) -> u16 {
    wire::post(&test.http, &test.meta, &test.webhook_url(), body.into()).await.unwrap()
}

/// What is kept, newest first, but for the statuses: those the local Meta tells by itself, at a time of its own.
pub(crate) async fn kept(test: &TestApp) -> Vec<StoredEvent> {
    let mut events = test.app.store().list_events(EventFilter::default(), ALL).await.unwrap().rows;
    events.retain(|event| event.kind != "status");
    events
}

/// Waits for what the bot says to `phone`, and that it says no more than this.
pub(crate) async fn answered(test: &TestApp, phone: &str, expected: &[&str]) {
    let arrived = async || (test.replies(phone).len() >= expected.len()).then_some(());
    until(&format!("{} replies to {phone}", expected.len()), arrived).await;
    assert_eq!(test.replies(phone), expected);
}

/// Someone new writes something good, and is answered.
pub(crate) async fn next_good_one_works(test: &TestApp) {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let (phone, text) = (format!("49152{number:08}"), format!("good {number}"));
    let message = wire::text(&phone, &format!("wamid.good.{number}"), &text);
    assert_eq!(signed(test, wire::body(wire::NUMBER, &[message])).await, 200);
    answered(test, &phone, &[&format!("{text}, before that nothing")]).await;
}
