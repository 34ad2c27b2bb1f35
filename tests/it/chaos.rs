//! A bad day at Meta's: a share of sends is refused, cut off after it was taken, or never answered, and statuses come in any
//! order and twice. Every message ends as sent once, or as failed with its reason; the counts add up; nothing is stuck.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde_json::{Value, json};
use switchboard::config::Config;
use switchboard::domain::ids::MessageId;
use switchboard::flow::Flow;
use switchboard::sandbox::{Effect, Outcome, Rule, Side, StatusRule, Times};

use crate::support::app::TestApp;
use crate::support::database::on_both;
use crate::support::{flows, until};

const PEOPLE: usize = 100;
/// Messages to each.
const MESSAGES: usize = 12;
/// The person whom nothing reaches.
const UNREACHABLE: usize = 7;
/// Requests under way to our own door at once.
const AT_ONCE: usize = 8;

fn phone(person: usize) -> String {
    format!("49170{person:08}")
}

fn settings(config: &mut Config) {
    config.pacing.pair = false;
    // An answer that never comes is ambiguous after this; its status is there long before the grace is over.
    config.limits.send_timeout = Duration::from_millis(700);
    config.limits.connect_timeout = Duration::from_millis(500);
    config.limits.ambiguous_grace = Duration::from_secs(20);
    config.limits.send_attempts = 20;
}

fn misbehave(test: &TestApp) {
    let error = |code| Outcome::Error { code, status: None };
    let unreachable = Rule { phone: Some(phone(UNREACHABLE)), times: Times::Always, outcome: error(131_026) };
    test.meta.set_rule(unreachable).unwrap();
    for (share, outcome) in [
        (0.05, error(131_000)),
        (0.05, error(130_429)),
        (0.02, Outcome::CutAfter),
        (0.02, Outcome::HangAfter),
        (0.01, Outcome::CutBefore),
    ] {
        test.meta.set_rule(Rule { phone: None, times: Times::Share(share), outcome }).unwrap();
    }
    for effect in [Effect::Repeat { more: 1, after_ms: 30 }, Effect::Shuffle { window: 40, ms: 200 }] {
        test.meta
            .set_status_rule(StatusRule { phone: None, status: None, times: Times::Always, effect })
            .unwrap();
    }
}

/// Sends everything, each person's in order, and returns the ids by person.
async fn send_all(test: &TestApp) -> Vec<Vec<MessageId>> {
    let mut ids = vec![Vec::new(); PEOPLE];
    for round in 0..MESSAGES {
        for part in (0..PEOPLE).collect::<Vec<_>>().chunks(AT_ONCE) {
            let posts = part.iter().map(async |person| {
                let body = json!({"to": phone(*person), "type": "text", "body": format!("message {round}")});
                let (status, sent) = test.post("/send", &body).await;
                assert_eq!(status, 202, "{sent}");
                (*person, sent["id"].as_str().unwrap().parse().unwrap())
            });
            for (person, id) in futures_util::future::join_all(posts).await {
                ids[person].push(id);
            }
        }
    }
    ids
}

on_both!(on_a_bad_day_every_message_is_sent_once_or_failed_with_its_reason, async |database: Database| {
    let test = TestApp::start(database, Flow::parse(flows::ECHO, "echo").unwrap(), settings).await;
    for person in 0..PEOPLE {
        test.meta.say(&phone(person), "hi").unwrap();
    }
    test.quiet().await;
    misbehave(&test);
    let ids = send_all(&test).await;
    test.quiet().await;

    let mut fates: BTreeMap<String, usize> = BTreeMap::new();
    for (person, ids) in ids.iter().enumerate() {
        for id in ids {
            let message = until("the last status", async || {
                let (_, message) = test.get(&format!("/messages/{id}")).await;
                matches!(message["status"].as_str(), Some("delivered" | "failed")).then_some(message)
            })
            .await;
            let failed = message["status"] == "failed";
            assert_eq!(failed, person == UNREACHABLE, "{message}");
            if failed {
                assert_eq!(message["error"]["code"], 131_026);
                assert!(message["cause"].is_string());
            } else {
                assert!(message["wamid"].is_string() && message["sent_at"].is_string(), "{message}");
            }
            *fates.entry(message["status"].as_str().unwrap().to_owned()).or_default() += 1;
        }
    }
    assert_eq!(fates["failed"], MESSAGES);
    assert_eq!(fates["delivered"], (PEOPLE - 1) * MESSAGES);

    // At the phones: each of ours once, and each person's in the order in which they were written.
    for (person, ids) in ids.iter().enumerate().filter(|(person, _)| *person != UNREACHABLE) {
        let received: Vec<String> = test
            .meta
            .transcript(&phone(person))
            .into_iter()
            .filter(|entry| entry.from == Side::Business)
            .filter_map(|entry| entry.callback_data)
            .collect();
        let ours: Vec<String> = ids.iter().map(ToString::to_string).collect();
        assert_eq!(received[1..], ours, "person {person}");
    }
    counts_add_up(&test).await;
    assert!(test.meta.rules().iter().all(|rule| rule.met > 0), "{:?}", test.meta.rules());
    test.stop().await;
});

async fn counts_add_up(test: &TestApp) {
    let (_, stats) = test.get("/stats").await;
    let sent = stats["messages"]["sent"].as_u64().unwrap();
    assert_eq!(usize::try_from(sent).unwrap(), PEOPLE * (MESSAGES + 1));
    let by_status = stats["messages"]["sent_by_status"].as_object().unwrap();
    assert_eq!(by_status.values().map(|count| count.as_u64().unwrap()).sum::<u64>(), sent, "{stats}");
    assert_eq!(stats["ambiguous_messages"], 0);
    let (_, queue) = test.get("/queue?limit=200").await;
    let states: BTreeSet<&str> =
        queue["data"].as_array().unwrap().iter().map(|row: &Value| row["state"].as_str().unwrap()).collect();
    assert_eq!(states, BTreeSet::from(["dead"]));
    assert_eq!(queue["data"].as_array().unwrap().len(), MESSAGES);

    let metrics = test.app.metrics().encode();
    let value = |name: &str| -> f64 {
        let line = metrics.lines().find(|line| line.starts_with(name)).unwrap_or_else(|| panic!("no {name}"));
        line.rsplit(' ').next().unwrap().parse().unwrap()
    };
    assert!(value("switchboard_sends_total{outcome=\"ambiguous\"}") > 0.0, "some were ambiguous");
    assert!(value("switchboard_sends_total{outcome=\"refused\"}") > 0.0, "some were refused");
    // What Meta had taken was settled by its status; what was cut off before that was sent again after the grace, once.
    let lost =
        test.meta.rules().into_iter().find(|rule| rule.rule.rule.outcome == Outcome::CutBefore).unwrap().met;
    assert_eq!(value("switchboard_resent_after_ambiguity_total"), lost as f64);
}
