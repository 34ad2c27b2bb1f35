//! Many people at once, in batches, shuffled, and every fifth POST twice: each event is accepted once, gets one turn, and is
//! answered once, in its person's order.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::Value;
use switchboard::flow::Flow;
use switchboard::store::read::{ConversationFilter, Page};

use crate::support::app::TestApp;
use crate::support::database::on_both;
use crate::support::flows::{ECHO, echoes};
use crate::support::{PATIENCE, wire};

const PHONES: usize = 1_000;
const MESSAGES: usize = 10;
const POSTS_AT_ONCE: usize = 8;

/// A generator of numbers that look like chance and are the same in every run (splitmix64).
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    pub(crate) fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = (self.0 ^ self.0 >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
        usize::try_from((mixed ^ mixed >> 31) % limit as u64).unwrap()
    }
}

pub(crate) fn phone(number: usize) -> String {
    format!("49151{number:08}")
}

pub(crate) fn texts() -> Vec<String> {
    (0..MESSAGES).map(|i| format!("message {i}")).collect()
}

/// All messages of all phones, interleaved by chance, each phone's in order.
fn interleaved(dice: &mut Dice) -> Vec<Value> {
    let mut next = vec![0; PHONES];
    let mut open: Vec<usize> = (0..PHONES).collect();
    let mut messages = Vec::with_capacity(PHONES * MESSAGES);
    while !open.is_empty() {
        let place = dice.below(open.len());
        let person = open[place];
        let number = next[person];
        messages.push(wire::text(&phone(person), &format!("wamid.{person}.{number}"), &texts()[number]));
        next[person] += 1;
        if next[person] == MESSAGES {
            open.swap_remove(place);
        }
    }
    messages
}

/// The messages in POSTs of 1 to 50.
fn posts(dice: &mut Dice, mut messages: &[Value]) -> Vec<Vec<Value>> {
    let mut posts = Vec::new();
    while !messages.is_empty() {
        let size = (1 + dice.below(50)).min(messages.len());
        posts.push(messages[..size].to_vec());
        messages = &messages[size..];
    }
    posts
}

/// Posts everything, several POSTs at once. A POST waits for those before it that hold a message of one of its people: that
/// is what keeps each person's own order while the POSTs overtake each other. Every fifth is sent twice.
async fn deliver(test: &TestApp, posts: Vec<Vec<Value>>) -> usize {
    let limit = Arc::new(tokio::sync::Semaphore::new(POSTS_AT_ONCE));
    let mut last: BTreeMap<String, tokio::sync::watch::Receiver<bool>> = BTreeMap::new();
    let mut running = tokio::task::JoinSet::new();
    let mut twice = 0;
    for (number, messages) in posts.into_iter().enumerate() {
        let (done, is_done) = tokio::sync::watch::channel(false);
        let people: BTreeSet<String> =
            messages.iter().map(|message| message["from"].as_str().unwrap().to_owned()).collect();
        let earlier: Vec<_> =
            people.into_iter().filter_map(|person| last.insert(person, is_done.clone())).collect();
        let times = if number % 5 == 0 { 2 } else { 1 };
        twice += if times == 2 { messages.len() } else { 0 };
        let body = wire::body(wire::NUMBER, &messages);
        let (http, meta, url, limit) =
            (test.http.clone(), test.meta.clone(), test.webhook_url(), Arc::clone(&limit));
        running.spawn(async move {
            for mut earlier in earlier {
                earlier.wait_for(|done| *done).await.unwrap();
            }
            let _permit = limit.acquire().await.unwrap();
            for _ in 0..times {
                // Over its limit the program says 503, and Meta comes again.
                while wire::post(&http, &meta, &url, body.clone()).await.unwrap() != 200 {
                    tokio::time::sleep(std::time::Duration::from_millis(20)).await;
                }
            }
            done.send_replace(true);
        });
    }
    running.join_all().await;
    twice
}

on_both!(ten_thousand_events_get_one_turn_and_one_answer_each, async |database: Database| {
    let test = TestApp::start(database, Flow::parse(ECHO, "echo").unwrap(), |_| {}).await;
    let mut dice = Dice(2026);
    let messages = interleaved(&mut dice);
    let posts = posts(&mut dice, &messages);
    let twice = tokio::time::timeout(PATIENCE, deliver(&test, posts)).await.expect("all posts are taken");
    test.quiet().await;

    let expected = echoes(&texts());
    for person in 0..PHONES {
        assert_eq!(test.replies(&phone(person)), expected, "phone {person}");
    }
    assert_eq!(test.meta.received_count(), PHONES * MESSAGES, "posts to the Graph API");

    let metrics = test.app.metrics().encode();
    let value = |name: &str| -> f64 {
        let line = metrics.lines().find(|line| line.starts_with(name)).unwrap_or_else(|| panic!("no {name}"));
        line.rsplit(' ').next().unwrap().parse().unwrap()
    };
    assert_eq!(value("switchboard_events_accepted_total{kind=\"message\"}"), 10_000.0);
    assert_eq!(value("switchboard_turns_total{outcome=\"done\"}"), 10_000.0);
    assert!(value("switchboard_events_duplicate_total") >= twice as f64);
    let statistics = test.app.store().statistics(None).await.unwrap();
    assert_eq!((statistics.received, statistics.sent, statistics.contacts), (10_000, 10_000, 1_000));
    assert_eq!(statistics.responses, 10_000);
    let conversations = test
        .app
        .store()
        .list_conversations(ConversationFilter::default(), Page::newest(2_000))
        .await
        .unwrap()
        .rows;
    assert_eq!(conversations.len(), PHONES);
    assert!(conversations.iter().all(|conversation| conversation.version == 10));
    test.stop().await;
});
