//! What is old goes by itself, and what is unfinished or needed stays.

use std::collections::BTreeMap;
use std::time::Duration;

use sea_orm::ConnectionTrait as _;
use serde_json::{Value, json};
use switchboard::app::Parts;
use switchboard::clock::{Clock, Hand};
use switchboard::config::Config;
use switchboard::sandbox::{Outcome, Rule, Times};
use switchboard::store::Prunable;

use super::{ADA, BO, echo, meta, says, send};
use crate::support::app::TestApp;
use crate::support::database::on_both;
use crate::support::traces::traces;
use crate::support::{until, wire};

const NOW: i64 = 1_795_337_387_000;
const STRANGER: &str = "4915199999999";

fn days(days: u64) -> Duration {
    Duration::from_hours(24 * days)
}

async fn count(test: &TestApp, rows: &str) -> i64 {
    let sql = format!("select cast(count(*) as bigint) as n from {rows}");
    let found = test.app.store().query(&sql, &BTreeMap::new(), 1, Duration::from_secs(9)).await.unwrap();
    found[0]["n"].as_i64().unwrap()
}

/// Waits until there are so many of these rows.
async fn come_to(test: &TestApp, rows: &str, expected: i64) {
    until(&format!("{expected} of {rows}"), async || (count(test, rows).await == expected).then_some(()))
        .await;
}

/// The same, with a pass now and then.
async fn go_to(test: &TestApp, hand: &Hand, rows: &str, expected: i64) {
    let looked = async || {
        hand.advance(Duration::from_mins(10));
        (count(test, rows).await == expected).then_some(())
    };
    until(&format!("{expected} of {rows}"), looked).await;
}

async fn all_time(test: &TestApp) -> Value {
    let mut stats = test.get("/stats").await.1;
    ["queue", "unfinished_events"]
        .iter()
        .for_each(|moment| _ = stats.as_object_mut().unwrap().remove(*moment));
    stats
}

on_both!(what_is_old_goes_and_what_is_unfinished_stays, |database| async {
    let (clock, hand) = Clock::manual(NOW);
    let keep = |config: &mut Config| {
        config.retention.messages = Some(days(100));
        config.retention.files = Some(days(60));
        config.retention.keys = Some(days(50));
        config.retention.audit = Some(days(200));
    };
    let parts = Parts { clock: clock.clone(), ..echo() };
    let test = TestApp::start_on(meta(Clock::system()).await, database, parts, keep).await;
    says(&test, ADA, &["an old word"]).await;
    test.meta.send_file(ADA, "image/jpeg", None, b"an old picture".to_vec(), None).unwrap();
    says(&test, BO, &["hello"]).await;
    come_to(&test, "media where state = 'ready'", 1).await;
    let fails = Outcome::Error { code: 131_026, status: None };
    test.meta.set_rule(Rule { phone: Some(BO.into()), times: Times::Next(1), outcome: fails }).unwrap();
    send(&test, json!({"to": BO, "type": "text", "body": "a dead letter"})).await;
    let waits = json!({"to": STRANGER, "type": "text", "body": "until you write", "outside_window": "wait"});
    assert_eq!(test.post("/send", &waits).await.0, 202);
    come_to(&test, "queue where state = 'held'", 1).await;
    let (_, key) = test.post("/keys", &json!({"name": "k", "scopes": ["read"]})).await;
    assert_eq!(test.delete(&format!("/keys/{}", key["id"].as_str().unwrap())).await.0, 200);
    let body = wire::body(wire::NUMBER, &[wire::text(BO, "wamid.aside", "put aside")]);
    assert_eq!(wire::post(&test.http, &test.meta, &test.webhook_url(), body.clone()).await.unwrap(), 200);
    // One is held for good, so all is never sent.
    come_to(&test, "webhook where state = 'accepted'", 0).await;
    until("the answer", async || {
        test.replies(BO).last().filter(|text| text.starts_with("put aside")).map(drop)
    })
    .await;
    come_to(&test, "queue where state not in ('held', 'dead')", 0).await;
    until("the statuses to arrive", async || (test.meta.delivered().pending == 0).then_some(())).await;
    let aside = "update webhook set state = 'quarantined' where wamid = 'wamid.aside' and kind = 'message'";
    test.database.connect().await.execute_unprepared(aside).await.unwrap();

    // Whatever is asked for, nothing goes that Meta may repeat.
    let (events, messages) = (count(&test, "webhook").await, count(&test, "message").await);
    for kind in [Prunable::Events, Prunable::Messages] {
        assert_eq!(test.app.store().prune(kind, clock.now() + 1, 0).await.unwrap().rows, 0);
    }
    assert!(events > 10 && messages > 6 && count(&test, "attempt").await > 0);
    assert_eq!(wire::post(&test.http, &test.meta, &test.webhook_url(), body).await.unwrap(), 200);
    assert_eq!(count(&test, "webhook").await, events, "it is known");
    let stats = all_time(&test).await;

    hand.advance(days(31));
    go_to(&test, &hand, "webhook", 1).await;
    assert_eq!(
        (count(&test, "message").await, count(&test, "media where state = 'ready'").await),
        (messages, 1)
    );
    hand.advance(days(20));
    go_to(&test, &hand, "api_key", 0).await;
    hand.advance(days(10));
    go_to(&test, &hand, "media where state = 'failed'", 1).await;
    until("the content to go", async || (test.files() == 0).then_some(())).await;
    let (_, media) = test.get("/media").await;
    assert!(media["data"][0]["reason"].as_str().unwrap().contains("too old"), "{media}");
    assert_eq!(count(&test, "message").await, messages);
    hand.advance(days(30));
    go_to(&test, &hand, "attempt", 0).await;
    hand.advance(days(10));
    go_to(&test, &hand, "message", 3).await;
    let left = test.get("/messages").await.1;
    let left: Vec<&str> =
        left["data"].as_array().unwrap().iter().map(|row| row["body"].as_str().unwrap()).collect();
    assert_eq!(left, ["put aside", "until you write", "a dead letter"]);
    assert_eq!(traces(&test, &["an old picture"]).await, [""; 0]);
    assert!(count(&test, "audit").await > 0);
    hand.advance(days(100));
    go_to(&test, &hand, "audit", 0).await;
    hand.advance(days(200));
    go_to(&test, &hand, "counter where hour > 0", 0).await;
    assert_eq!(all_time(&test).await, stats, "counts of all time stay");
    // Who comes back after all that is still known.
    test.meta.say(ADA, "hello again").unwrap();
    let answer = "hello again, before that an old word";
    until("the answer", async || test.replies(ADA).last().filter(|text| *text == answer).map(drop)).await;
    test.stop().await;
});
