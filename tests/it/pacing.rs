//! Meta's limits kept in advance, on a clock that the test moves for the app and the local Meta alike: the pair rule, the rate
//! of a number with replies before bulk, a rate that falls and comes back, and a token that ends in the middle.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream;
use serde_json::{Value, json};
use switchboard::app::Parts;
use switchboard::clock::Hand;
use switchboard::config::{self, Config, Secret};
use switchboard::flow::Flow;
use switchboard::sandbox::{Entry, Limits, Outcome, Rule, Side, Times, Window};
use switchboard::store::read::{MessageFilter, Page};

use crate::support::app::TestApp;
use crate::support::database::{Database, Engine, on_both};
use crate::support::{flows, until, wire};

/// Clients that send over the API at once.
const CLIENTS: usize = 16;
/// How far the hand moves at once where messages leave 13 ms apart.
const STEP: Duration = Duration::from_millis(7);
/// What Meta enforces besides: nothing.
const NOTHING_ELSE: Limits =
    Limits { messages_per_second: 0, pair_burst: 0, pair_refill_ms: 6_000, window: Window::Off };

fn shy() -> Flow {
    Flow::parse(flows::SHY, "shy").unwrap()
}

fn phone(number: usize) -> String {
    format!("49151{number:08}")
}

fn paced(messages_per_second: u32) -> impl Fn(&mut Config) {
    move |config| config.numbers[0].messages_per_second = messages_per_second
}

/// These people write something that is not answered, long enough ago that nobody owes anything for it.
async fn acquainted(test: &TestApp, hand: &Hand, people: std::ops::Range<usize>) {
    for person in people {
        test.meta.say(&phone(person), "hello").unwrap();
    }
    test.still().await;
    hand.advance(Duration::from_mins(10));
    test.still().await;
}

async fn send(test: &TestApp, person: usize, text: &str, priority: &str) -> Value {
    let body = json!({"to": phone(person), "type": "text", "body": text, "priority": priority});
    let (status, answer) = test.post("/send", &body).await;
    assert_eq!(status, 202, "{answer}");
    answer
}

/// One message for each of these people.
async fn send_all(test: &TestApp, people: std::ops::Range<usize>) {
    let sends = stream::iter(people).map(|person| send(test, person, "news", "bulk"));
    sends.buffer_unordered(CLIENTS).for_each(|_| async {}).await;
}

/// What a phone has received.
fn received(test: &TestApp, person: usize) -> Vec<Entry> {
    let entries = test.meta.transcript(&phone(person)).into_iter();
    entries.filter(|entry| entry.from == Side::Business).collect()
}

/// Our number, as the API tells it; health tells the same.
async fn number(test: &TestApp) -> Value {
    let (status, answer) = test.get("/numbers").await;
    assert_eq!(status, 200, "{answer}");
    answer["data"][0].clone()
}

/// Waits until the API tells this of our number: it is told once in a second.
async fn number_is(test: &TestApp, status: &str) -> Value {
    until(&format!("the number to be {status}"), async || {
        Some(number(test).await).filter(|number| number["status"] == status)
    })
    .await
}

async fn by_status(test: &TestApp) -> BTreeMap<String, i64> {
    test.app.store().statistics(None).await.unwrap().sent_by_status
}

on_both!(
    sixty_messages_to_one_person_keep_the_pair_rule_and_hold_nobody_else_up,
    async |database: Database| {
        let limits = Limits { pair_burst: 45, ..NOTHING_ELSE };
        let (test, hand) = TestApp::start_timed(database, shy(), limits, |_| {}).await;
        acquainted(&test, &hand, 0..201).await;

        let texts: Vec<String> = (0..60).map(|i| format!("message {i}")).collect();
        for text in &texts {
            send(&test, 0, text, "reply").await;
        }
        for _ in 0..2 {
            send_all(&test, 1..201).await;
        }
        test.still().await;
        assert_eq!(received(&test, 0).len(), 45);
        for person in 1..201 {
            assert_eq!(received(&test, person).len(), 2, "nobody else waits: {person}");
        }

        for _ in 0..90 {
            hand.advance(Duration::from_secs(1));
            test.still().await;
        }
        let received = received(&test, 0);
        assert_eq!(received.iter().map(|entry| entry.content.text.clone()).collect::<Vec<_>>(), texts);
        let first = received[0].at;
        let seconds: Vec<i64> = received.iter().map(|entry| (entry.at - first) / 1_000).collect();
        let rule: Vec<i64> = (0..60).map(|i| 6 * (i - 44).max(0)).collect();
        assert_eq!(seconds, rule, "45 at once, then one in 6 s; the 60th after 90 s");
        assert_eq!(test.meta.refusals(131_056), 0);
        test.stop().await;
    }
);

#[test]
fn five_thousand_messages_use_the_rate_and_no_reply_waits_behind_them() {
    crate::support::run(async {
        const PEOPLE: usize = 5_000;
        const WRITERS: usize = 50;
        let limits = Limits { messages_per_second: 80, pair_burst: 45, ..NOTHING_ELSE };
        let database = Database::new(Engine::Sqlite).unwrap();
        let (test, hand) = TestApp::start_timed(database, shy(), limits, paced(80)).await;
        acquainted(&test, &hand, 0..PEOPLE + WRITERS).await;
        send_all(&test, 0..PEOPLE).await;
        test.still().await;
        let waiting = until("what waits to be told", async || {
            Some(number(&test).await).filter(|number| number["waiting"].as_u64() >= Some(4_990))
        })
        .await;
        assert_eq!(waiting["waiting_by_class"]["reply"], 0);
        let drain = waiting["expected_drain_seconds"].as_f64().unwrap();
        assert!((64.0..66.0).contains(&drain), "{waiting}");

        let before = test.meta.received_count();
        let began_at = test.app.store().clock().now();
        let mut asked = Vec::new();
        let mut step = 0;
        while test.meta.received_count() - before < PEOPLE - 1 + asked.len() {
            hand.advance(STEP);
            test.still().await;
            step += 1;
            // Four people a second write, one after the other.
            if step % 36 == 0 {
                let person = PEOPLE + asked.len() % WRITERS;
                test.meta.say(&phone(person), &format!("question {}", asked.len())).unwrap();
                asked.push((person, test.app.store().clock().now()));
                test.still().await;
            }
        }
        let seconds = (test.app.store().clock().now() - began_at) as f64 / 1_000.0;

        assert_eq!(test.meta.refusals(130_429), 0);
        let used = (PEOPLE + 2 * asked.len()) as f64 / (80.0 * seconds);
        assert!(used >= 0.95, "{used} of what is allowed was used, in {seconds} s");
        let mut answered: BTreeMap<usize, Vec<i64>> = (PEOPLE..PEOPLE + WRITERS)
            .map(|person| (person, received(&test, person).into_iter().rev().map(|entry| entry.at).collect()))
            .collect();
        for (person, asked_at) in &asked {
            let waited = answered.get_mut(person).unwrap().pop().unwrap() - asked_at;
            // The question takes a place in the rate, the answer the next one: 13.02 ms each, seen at the hand's next step.
            assert!(waited <= 35, "{person} waited {waited} ms");
        }
        assert!((0..PEOPLE).all(|person| received(&test, person).len() == 1));
        println!("{seconds} s, {used} used, {} replies", asked.len());
        test.stop().await;
    });
}

on_both!(crowds_that_write_while_bulk_leaves_never_make_meta_refuse, async |database: Database| {
    let limits = Limits { messages_per_second: 80, ..NOTHING_ELSE };
    let (test, hand) = TestApp::start_timed(database, shy(), limits, paced(80)).await;
    acquainted(&test, &hand, 0..500).await;
    send_all(&test, 0..400).await;
    test.still().await;
    // Forty write at the same moment, then as many again before Meta has forgotten the first.
    for crowd in [400..440, 440..480] {
        for person in crowd {
            test.meta.say(&phone(person), "and now?").unwrap();
        }
        for _ in 0..60 {
            test.still().await;
            hand.advance(STEP);
        }
    }
    for _ in 0..1_200 {
        test.still().await;
        hand.advance(STEP);
    }
    test.still().await;
    assert_eq!(test.meta.refusals(130_429), 0);
    assert!((0..480).all(|person| received(&test, person).len() == 1));
    test.stop().await;
});

on_both!(a_number_that_meta_finds_too_fast_slows_down_and_comes_back, async |database: Database| {
    let (test, hand) = TestApp::start_timed(database, shy(), NOTHING_ELSE, paced(80)).await;
    acquainted(&test, &hand, 0..400).await;
    assert_eq!(number(&test).await["messages_per_second"], 76.8);
    let refused = Rule {
        phone: None,
        times: Times::Next(1),
        outcome: Outcome::Error { code: 130_429, status: Some(429) },
    };
    test.meta.set_rule(refused).unwrap();
    send_all(&test, 0..400).await;
    test.still().await;
    let resting = number_is(&test, "paused").await;
    assert!(resting["reason"].as_str().unwrap().contains("130429"), "{resting}");
    assert_eq!(health(&test).await["status"], "degraded");

    let before = test.meta.received_count();
    hand.advance(Duration::from_millis(999));
    test.still().await;
    assert_eq!(test.meta.received_count(), before, "it rests for a second");
    hand.advance(Duration::from_millis(1));
    let slow = number_is(&test, "slowed").await;
    assert_eq!(
        (&slow["messages_per_second"], &slow["messages_per_second_allowed"]),
        (&json!(38.4), &json!(80))
    );
    assert_eq!(health(&test).await["status"], "ok", "it sends, if slowly");
    let left = leave(&test, &hand, 1_000).await;
    assert!((38..=40).contains(&left), "half of the rate: {left} in a second");

    hand.advance(Duration::from_secs(60));
    test.still().await;
    let well = number_is(&test, "ok").await;
    assert_eq!((&well["messages_per_second"], &well["reason"]), (&json!(76.8), &json!(null)));
    let left = leave(&test, &hand, 1_000).await;
    assert!((76..=78).contains(&left), "the whole rate: {left} in a second");
    for _ in 0..1_000 {
        hand.advance(STEP);
        test.still().await;
    }
    assert_eq!(by_status(&test).await, BTreeMap::from([("accepted".to_owned(), 400)]));
    test.stop().await;
});

/// How many messages leave within so many milliseconds.
async fn leave(test: &TestApp, hand: &Hand, ms: u64) -> usize {
    let before = test.meta.received_count();
    for _ in 0..ms / 5 {
        hand.advance(Duration::from_millis(5));
        test.still().await;
    }
    test.meta.received_count() - before
}

async fn health(test: &TestApp) -> Value {
    let answer =
        test.http.get(format!("http://{}/api/whatsapp/health", test.app.addr())).send().await.unwrap();
    assert_eq!(answer.status(), 200);
    answer.json().await.unwrap()
}

/// An app of which a hundred messages have left and two hundred wait when the token ends. They are worth sending for an hour.
async fn ended_in_the_middle(database: Database) -> (TestApp, Hand) {
    let change = |config: &mut Config| {
        paced(80)(config);
        config.limits.send_deadline = Duration::from_hours(1);
    };
    let (test, hand) = TestApp::start_timed(database, shy(), NOTHING_ELSE, change).await;
    acquainted(&test, &hand, 0..300).await;
    send_all(&test, 0..300).await;
    test.still().await;
    while test.meta.received_count() < 100 {
        hand.advance(STEP);
        test.still().await;
    }
    test.meta.expire_tokens();
    (test, hand)
}

/// That every one of the three hundred has arrived once, none has failed, and the number is well.
async fn all_arrived(test: &TestApp, hand: &Hand) {
    for _ in 0..500 {
        hand.advance(STEP);
        test.still().await;
    }
    assert!((0..300).all(|person| received(test, person).len() == 1));
    assert_eq!(by_status(test).await, BTreeMap::from([("accepted".to_owned(), 300)]));
    number_is(test, "ok").await;
    assert_eq!(health(test).await["status"], "ok");
}

on_both!(
    a_token_that_ends_in_the_middle_loses_nothing_and_a_new_one_drains_the_queue,
    async |database: Database| {
        let (test, hand) = ended_in_the_middle(database).await;
        hand.advance(STEP);
        hand.advance(STEP);
        test.still().await;
        let paused = number_is(&test, "paused").await;
        assert!(paused["reason"].as_str().unwrap().contains("access token"), "{paused}");
        assert_eq!(paused["expected_drain_seconds"], json!(null));
        let told = health(&test).await;
        assert_eq!((&told["status"], &told["numbers"][0]["reason"]), (&json!("degraded"), &paused["reason"]));
        assert_eq!(told["numbers"][0]["paused_since"], paused["paused_since"]);

        // Six hours, six times what a message is worth: one message a minute knocks, and no more.
        let before = test.meta.received_count();
        for _ in 0..6 * 60 {
            hand.advance(Duration::from_mins(1));
            test.still().await;
        }
        assert_eq!(test.meta.received_count() - before, 360, "one message in a minute");
        assert_eq!(
            by_status(&test).await,
            BTreeMap::from([("accepted".to_owned(), 100), ("queued".to_owned(), 200)])
        );
        let waiting = number(&test).await;
        assert_eq!((&waiting["waiting"], &waiting["paused_since"]), (&json!(200), &paused["paused_since"]));

        // What is no token is refused and not repeated; one that Meta does not know pauses the number again.
        let path = format!("/numbers/{}/token", wire::NUMBER);
        let (status, refused) = test.put(&path, &json!({"token": "two words"})).await;
        assert_eq!((status, &refused["field"]), (422, &json!("token")));
        assert!(!refused.to_string().contains("two words"), "{refused}");
        let (status, _) = test.put(&path, &json!({"token": "EAA-unknown"})).await;
        assert_eq!(status, 200);
        test.still().await;
        for _ in 0..20 {
            hand.advance(STEP);
            test.still().await;
        }
        assert_eq!(test.meta.received_count() - before, 361, "one message tries it");
        number_is(&test, "paused").await;

        test.meta.add_token("EAA-new", None);
        let (status, taken) = test.put(&path, &json!({"token": "EAA-new"})).await;
        assert_eq!((status, &taken["holds_until"]), (200, &json!("the next restart")));
        assert!(!taken.to_string().contains("EAA-new"), "{taken}");
        all_arrived(&test, &hand).await;
        let (status, unknown) = test.put("/numbers/1/token", &json!({"token": "EAA-new"})).await;
        assert_eq!((status, &unknown["field"]), (404, &json!("phone_number_id")));
        let attempts: Vec<_> =
            test.app.store().list_messages(MessageFilter::default(), Page::newest(1_000)).await.unwrap().rows;
        assert!(attempts.iter().all(|message| message.error.is_none()));
        test.stop().await;
    }
);

#[test]
fn a_new_token_in_the_file_is_found_while_the_number_is_paused() {
    crate::support::run(async {
        let folder = tempfile::tempdir().unwrap();
        let (toml, dotenv) = (folder.path().join("switchboard.toml"), folder.path().join(".env"));
        let (test, hand) = ended_in_the_middle(Database::new(Engine::Sqlite).unwrap()).await;
        let old = test.meta.settings().token.clone();
        let write = |token: &str| {
            let text = format!("[[numbers]]\nphone_number_id = \"{}\"\ntoken = \"{token}\"\n", wire::NUMBER);
            std::fs::write(&toml, text).unwrap();
        };
        write(&old);
        let read = {
            let (toml, dotenv) = (toml.clone(), dotenv.clone());
            move |number: &str| config::find_token(Some(&toml), &dotenv, number).ok().flatten()
        };
        let clock = test.app.store().clock().clone();
        let parts = Parts { clock, tokens: Some(Arc::new(read)), ..Parts::new(shy()) };
        let test = test.restart_with(parts).await;
        hand.advance(Duration::from_secs(1));
        test.still().await;
        number_is(&test, "paused").await;

        // The same token, then a file that cannot be read, then another token.
        let before = test.meta.received_count();
        hand.advance(Duration::from_secs(20));
        std::fs::write(&toml, "token = ").unwrap();
        hand.advance(Duration::from_secs(20));
        test.still().await;
        assert_eq!(test.meta.received_count(), before);
        test.meta.add_token("EAA-new", None);
        write("EAA-new");
        until("the new token to be found", async || {
            hand.advance(Duration::from_secs(10));
            (number(&test).await["status"] == "ok").then_some(())
        })
        .await;
        all_arrived(&test, &hand).await;
        test.stop().await;
    });
}

on_both!(a_pause_outlives_a_restart_and_ends_with_a_token_that_was_set_for_it, async |database: Database| {
    let (test, hand) = ended_in_the_middle(database).await;
    hand.advance(Duration::from_secs(1));
    test.still().await;
    let since = number_is(&test, "paused").await["paused_since"].clone();
    hand.advance(Duration::from_hours(2));
    test.still().await;

    let clock = test.app.store().clock().clone();
    let parts = || Parts { clock: clock.clone(), ..Parts::new(shy()) };
    let before = test.meta.received_count();
    let test = test.restart_with(parts()).await;
    test.still().await;
    let paused = until("the pause and what waits to be told", async || {
        Some(number(&test).await).filter(|number| number["waiting"] == 200)
    })
    .await;
    assert_eq!((&paused["status"], &paused["paused_since"]), (&json!("paused"), &since));
    assert_eq!(test.meta.received_count() - before, 1, "one message tries the token of the start");
    hand.advance(Duration::from_hours(2));
    test.still().await;

    test.meta.add_token("EAA-new", None);
    let test = test.restart_changed(parts(), |config| config.numbers[0].token = Secret::new("EAA-new")).await;
    all_arrived(&test, &hand).await;
    test.stop().await;
});

on_both!(a_full_queue_turns_clients_away_and_answers_people, async |database: Database| {
    let change = |config: &mut Config| {
        paced(1)(config);
        config.limits.outbound_queue = 10;
    };
    let (test, hand) = TestApp::start_timed(database, shy(), NOTHING_ELSE, change).await;
    acquainted(&test, &hand, 0..20).await;
    for person in 0..11 {
        send(&test, person, "news", "bulk").await;
        test.still().await;
    }
    let waiting = until("what waits to be told", async || {
        Some(number(&test).await).filter(|number| number["waiting"] == 10)
    })
    .await;
    assert_eq!(waiting["waiting_by_class"], json!({"reply": 0, "bulk": 10}));
    let metrics = test.app.metrics().encode();
    for line in [
        format!("switchboard_number_queue_depth{{number=\"{}\",class=\"bulk\"}} 10", wire::NUMBER),
        format!("switchboard_number_rate{{number=\"{}\"}} 0.96", wire::NUMBER),
        format!("switchboard_number_paused{{number=\"{}\"}} 0", wire::NUMBER),
    ] {
        assert!(metrics.lines().any(|known| known == line), "{line} is missing in\n{metrics}");
    }

    let url = format!("http://{}/api/whatsapp/send", test.app.addr());
    let body = json!({"to": phone(12), "type": "text", "body": "news"});
    let refused =
        test.http.post(url).bearer_auth(crate::support::app::API_KEY).json(&body).send().await.unwrap();
    assert_eq!(refused.status(), 503);
    assert!(refused.headers().contains_key("retry-after"));
    let problem: Value = refused.json().await.unwrap();
    assert!(problem["detail"].as_str().unwrap().contains("SWITCHBOARD_OUTBOUND_QUEUE"), "{problem}");

    test.meta.say(&phone(13), "still there?").unwrap();
    test.still().await;
    for _ in 0..3 {
        hand.advance(Duration::from_secs(2));
        test.still().await;
    }
    assert_eq!(test.replies(&phone(13)), ["still there?"], "and a reply goes first");
    send(&test, 12, "news", "bulk").await;
    test.stop().await;
});
