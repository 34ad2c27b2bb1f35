//! The door when the house is full or storage is sick: Meta is told to come again, and nothing is lost or doubled.

use std::sync::{Mutex, mpsc};
use std::time::Duration;

use sea_orm::{
    ConnectionTrait, DatabaseConnection, SqliteTransactionMode, TransactionOptions, TransactionTrait,
};
use serde_json::{Value, json};
use switchboard::app::Parts;
use switchboard::clock::Clock;
use switchboard::config::Config;
use switchboard::domain::dedupe::DedupeKey;
use switchboard::flow::{Flow, Functions};

use crate::support::app::TestApp;
use crate::support::database::{Database, Engine, on_both};
use crate::support::door::{answered, kept, next_good_one_works, post, signed, start, start_on_sqlite};
use crate::support::wire::{self, ours};
use crate::support::{flows, run, until};

const PHONE: &str = "4915199000001";
const OTHER: &str = "4915199000002";

#[test]
fn over_the_limit_of_unfinished_events_meta_is_told_to_come_again() {
    run(async {
        let (open, gate) = mpsc::channel::<()>();
        let gate = Mutex::new(gate);
        let mut functions = Functions::default();
        functions.add("gate", move |_| {
            // Waits until the other end is gone.
            let _ = gate.lock().unwrap().recv();
            Ok(Value::from(""))
        });
        let source = flows::ECHO.replace("${ said }", "${ gate() }${ said }");
        let flow = Flow::parse_with(&source, "gated", &functions).unwrap();
        let parts = Parts { functions, ..Parts::new(flow) };
        let database = Database::new(Engine::Sqlite).unwrap();
        let limit = |config: &mut Config| config.limits.unfinished_events = 3;
        let test = TestApp::start_with(database, parts, limit).await;
        let phones: Vec<String> = (1..=4).map(|i| format!("491560000000{i}")).collect();
        let body =
            |phone: &String| wire::body(wire::NUMBER, &[wire::text(phone, &format!("wamid.{phone}"), "hi")]);

        let four: Vec<Value> = (0..4).map(|i| wire::text(OTHER, &format!("wamid.x{i}"), "hi")).collect();
        assert_eq!(signed(&test, wire::body(wire::NUMBER, &four)).await, 503);
        for phone in &phones[..3] {
            assert_eq!(signed(&test, body(phone)).await, 200);
        }
        let refused = post(&test, body(&phones[3]), Some(&test.meta.sign(&body(&phones[3])))).await;
        assert_eq!(
            (refused.status().as_u16(), refused.headers()["retry-after"].to_str().unwrap()),
            (503, "1")
        );
        assert_eq!(kept(&test).await.len(), 3);
        let status = json!({"id": "wamid.nobody", "status": "sent", "timestamp": "1795337399"});
        assert_eq!(signed(&test, ours(json!({"statuses": [status]}))).await, 200, "a status is done at once");

        drop(open);
        for phone in &phones[..3] {
            answered(&test, phone, &["hi, before that nothing"]).await;
        }
        test.settle().await;
        assert_eq!(signed(&test, body(&phones[3])).await, 200);
        answered(&test, &phones[3], &["hi, before that nothing"]).await;
        next_good_one_works(&test).await;
        test.stop().await;
    });
}

async fn rename(database: &DatabaseConnection, from: &str, to: &str) {
    database.execute_unprepared(&format!("alter table {from} rename to {to}")).await.unwrap();
}

on_both!(while_storage_fails_meta_comes_again_and_nothing_is_lost_or_doubled, async |database: Database| {
    let test = start(database).await;
    next_good_one_works(&test).await;
    test.quiet().await;
    let beside = test.database.connect().await;
    rename(&beside, "webhook", "webhook_away").await;
    test.meta.say(PHONE, "are you there?").unwrap();
    let refused = async || (test.meta.delivered().failed > 1).then_some(());
    until("Meta to be refused twice", refused).await;
    let body = wire::body(wire::NUMBER, &[wire::text(OTHER, "wamid.1", "hi")]);
    let answer = post(&test, body.clone(), Some(&test.meta.sign(&body))).await;
    assert_eq!((answer.status().as_u16(), answer.headers().contains_key("retry-after")), (503, true));
    assert!(test.replies(PHONE).is_empty());

    rename(&beside, "webhook_away", "webhook").await;
    answered(&test, PHONE, &["are you there?, before that nothing"]).await;
    assert_eq!(signed(&test, body).await, 200);
    answered(&test, OTHER, &["hi, before that nothing"]).await;
    next_good_one_works(&test).await;
    test.quiet().await;
    assert_eq!((test.replies(PHONE).len(), test.replies(OTHER).len()), (1, 1));
    test.stop().await;
});

on_both!(a_turn_that_cannot_be_stored_waits_and_happens_once, async |database: Database| {
    let (clock, hand) = Clock::manual(1_795_337_387_000);
    let parts = Parts { clock, ..Parts::new(Flow::parse(flows::ECHO, "echo").unwrap()) };
    let test = TestApp::start_with(database, parts, |_| {}).await;
    next_good_one_works(&test).await;
    test.quiet().await;
    let beside = test.database.connect().await;
    rename(&beside, "queue", "queue_away").await;
    let wamid = test.meta.say(PHONE, "hi").unwrap();
    let key = DedupeKey::of(&format!("m:{}:{wamid}", wire::NUMBER));
    let tried_again = async || {
        hand.advance(Duration::from_secs(1));
        let event = test.app.store().find_event(key).await.unwrap();
        event.is_some_and(|event| event.attempts > 0 && event.state == "accepted").then_some(())
    };
    until("the turn to be tried again", tried_again).await;
    rename(&beside, "queue_away", "queue").await;
    let replied = async || {
        hand.advance(Duration::from_secs(1));
        (!test.replies(PHONE).is_empty()).then_some(())
    };
    until("the answer", replied).await;
    test.quiet().await;
    assert_eq!(test.replies(PHONE), ["hi, before that nothing"]);
    next_good_one_works(&test).await;
    test.stop().await;
});

#[test]
fn a_database_that_stays_locked_is_a_503_and_no_more() {
    run(async {
        let test = start_on_sqlite().await;
        next_good_one_works(&test).await;
        test.quiet().await;
        let beside = test.database.connect().await;
        let exclusive = Some(SqliteTransactionMode::Exclusive);
        let options =
            TransactionOptions { sqlite_transaction_mode: exclusive, ..TransactionOptions::default() };
        let lock = beside.begin_with_options(options).await.unwrap();
        let body = wire::body(wire::NUMBER, &[wire::text(PHONE, "wamid.1", "hi")]);
        assert_eq!(signed(&test, body.clone()).await, 503);
        assert_eq!(kept(&test).await.len(), 1, "readers are not locked out");
        lock.rollback().await.unwrap();
        let taken = async || (signed(&test, body.clone()).await == 200).then_some(());
        until("the next probe to go through", taken).await;
        answered(&test, PHONE, &["hi, before that nothing"]).await;
        next_good_one_works(&test).await;
        test.stop().await;
    });
}
