//! Outlets over real sockets: each is told everything, signed and in the order of its conversations, whatever becomes of
//! the receiver and of the program.

use std::collections::BTreeMap;
use std::fs::File;
use std::process::Stdio;
use std::time::Duration;

use serde_json::{Value, json};
use switchboard::clock::Hand;
use switchboard::config::{Config, Outlet, Secret};
use switchboard::domain::notice::Kind;
use switchboard::flow::Flow;
use switchboard::sandbox::Limits;

use crate::load::Dice;
use crate::support::app::{API_KEY, TestApp, local_meta, replies};
use crate::support::database::{Database, Engine, on_both};
use crate::support::flows::{ECHO, SHY};
use crate::support::listener::{BEGINNING, Told, all_since};
use crate::support::program::Program;
use crate::support::receiver::{Mood, Receiver, line};
use crate::support::sandbox::Sandbox;
use crate::support::{run, until, wire};

const PHONES: usize = 20;
const MESSAGES: usize = 6;

fn phone(person: usize) -> String {
    format!("49172{person:08}")
}

fn outlet(name: &str, url: &str) -> Outlet {
    Outlet {
        name: name.to_owned(),
        url: url.to_owned(),
        secret: Secret::new(Receiver::secret()),
        private: true,
        ..Outlet::default()
    }
}

/// With pauses that a test can wait for.
fn hurried(config: &mut Config, outlets: &[Outlet]) {
    config.outlets = outlets.to_vec();
    config.outlet.timeout = Duration::from_millis(300);
    config.outlet.longest_pause = Duration::from_millis(100);
}

/// The ids of what was told, by conversation, in order.
fn by_conversation(told: &[Told]) -> BTreeMap<String, Vec<String>> {
    let mut lines: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for told in told {
        lines.entry(line(&told.data)).or_default().push(told.id.clone().unwrap());
    }
    lines
}

/// Misbehaves in every way for these posts, each by its own chance, and takes the others.
fn moody(mut troubled: usize) -> impl FnMut(&Value) -> Mood + Send + 'static {
    let mut dice = Dice(99);
    move |_| {
        if troubled == 0 {
            return Mood::Takes;
        }
        troubled -= 1;
        match dice.below(10) {
            0..4 => Mood::Answers([500, 503, 404, 301][dice.below(4)]),
            4 => Mood::Hangs,
            5 => Mood::Cuts,
            6 => Mood::TakesAndCuts,
            _ => Mood::Takes,
        }
    }
}

/// Waits until the receiver has taken everything that the stream tells.
async fn told_all(addr: std::net::SocketAddr, query: &str, receiver: &Receiver) -> Vec<Told> {
    until("the outlet to be told everything", async || {
        let all = all_since(addr, query, BEGINNING).await;
        (receiver.taken().len() >= all.len()).then_some(all)
    })
    .await
}

on_both!(an_outlet_that_fails_for_a_while_is_told_everything_in_order, async |database: Database| {
    let receiver = Receiver::start().await;
    let alarmed = Receiver::start().await;
    receiver.behave(moody(400));
    let flow = || Flow::parse(ECHO, "echo").unwrap();
    let outlets = [
        outlet("crm", &receiver.url),
        Outlet { kinds: vec![Kind::Conversation], ..outlet("desk", &alarmed.url) },
    ];
    let mut test = TestApp::start(database, flow(), |config| hurried(config, &outlets)).await;
    for round in 0..2 {
        for message in 0..MESSAGES {
            for person in 0..PHONES {
                test.meta.say(&phone(person), &format!("{round}.{message}")).unwrap();
            }
        }
        test.quiet().await;
        if round == 0 {
            test = test.restart(flow()).await;
        }
    }
    let all = told_all(test.app.addr(), "", &receiver).await;
    assert!(all.len() > 4 * PHONES * MESSAGES);
    assert_eq!(receiver.taken_by_conversation(), by_conversation(&all));
    let lines = told_all(test.app.addr(), "&kind=conversation", &alarmed).await;
    assert_eq!(alarmed.taken_by_conversation(), by_conversation(&lines));

    // The log says the same.
    let log = until("the log to be written", async || {
        let waiting = test.get("/deliveries?state=waiting").await.1;
        waiting["data"].as_array().unwrap().is_empty().then_some(())?;
        Some(test.get("/deliveries?outlet=crm&limit=200&order=asc").await.1)
    })
    .await;
    let rows = log["data"].as_array().unwrap();
    assert_eq!(rows.len(), 200);
    assert!(rows.iter().all(|row| row["state"] == "delivered" && row["status"] == 204), "{log}");
    assert!(rows.iter().any(|row| row["attempts"].as_u64().unwrap() > 1), "{log}");
    assert!(log["next_cursor"].is_string());
    let posted = receiver.posts().len();
    assert!(posted > all.len(), "some were posted twice: {posted}");
    test.stop().await;
});

on_both!(a_killed_program_tells_its_outlets_the_rest, async |database: Database| {
    let meta = local_meta().await;
    let receiver = Receiver::start().await;
    receiver.behave(moody(200));
    let file = format!("[[outlets]]\nname = \"our-crm\"\nurl = \"{}\"\nprivate = true\n", receiver.url);
    let secret = Receiver::secret();
    let settings = [
        ("SWITCHBOARD_OUTLET_OUR_CRM_SECRET", secret.as_str()),
        ("SWITCHBOARD_OUTLET_TIMEOUT", "300ms"),
        ("SWITCHBOARD_OUTLET_LONGEST_PAUSE", "100ms"),
        ("SWITCHBOARD_AMBIGUOUS_GRACE", "6s"),
        ("SWITCHBOARD_SWEEP_AGE", "1s"),
        ("SWITCHBOARD_SWEEP_INTERVAL", "500ms"),
    ];
    let mut program = Program::start_with_file(&meta, &database.url, ECHO, &settings, &file).await;
    for message in 0..MESSAGES {
        for person in 0..PHONES {
            meta.say(&phone(person), &format!("message {message}")).unwrap();
        }
    }
    let whole = PHONES * MESSAGES;
    for kill in 1..=3 {
        until("some more posts", async || (receiver.taken().len() >= whole * kill / 2).then_some(())).await;
        program.kill();
        program.start_again().await;
    }
    let received = || (0..PHONES).map(|person| replies(&meta, &phone(person)).len()).sum::<usize>();
    until("all replies", async || (received() >= whole && meta.delivered().pending == 0).then_some(())).await;
    // The last statuses may be on their way from the door to the feed.
    tokio::time::sleep(Duration::from_secs(1)).await;
    let all = told_all(program.addr(), "", &receiver).await;
    assert_eq!(receiver.taken_by_conversation(), by_conversation(&all));
    let messages = all.iter().filter(|told| told.event == "message").count();
    assert_eq!(messages, 2 * whole);
    meta.stop().await;
});

async fn timed(database: Database, outlets: &[Outlet]) -> (TestApp, Hand) {
    let shy = Flow::parse(SHY, "shy").unwrap();
    let change = |config: &mut Config| {
        config.outlets = outlets.to_vec();
        config.outlet.deadline = Duration::from_hours(2);
    };
    TestApp::start_timed(database, shy, Limits::none(), change).await
}

async fn says(test: &TestApp, person: usize, text: &str) {
    test.meta.say(&phone(person), text).unwrap();
    test.still().await;
}

fn bodies(receiver: &Receiver) -> Vec<String> {
    let body = |body: &Value| body["data"]["body"].as_str().map(str::to_owned);
    receiver.taken().iter().filter_map(|post| body(&post.body)).collect()
}

on_both!(a_failure_holds_up_its_own_conversation_until_the_deadline, async |database: Database| {
    let receiver = Receiver::start().await;
    let other = Receiver::start().await;
    let outlets = [
        Outlet { kinds: vec![Kind::Message, Kind::Alarm], ..outlet("crm", &receiver.url) },
        Outlet { kinds: vec![Kind::Alarm], ..outlet("alarms", &other.url) },
    ];
    let (test, hand) = timed(database, &outlets).await;
    receiver.behave(|body| if body["data"]["body"] == "poison" { Mood::Answers(500) } else { Mood::Takes });
    says(&test, 1, "poison").await;
    says(&test, 1, "behind it").await;
    says(&test, 2, "elsewhere").await;
    until("the other conversation to be told", async || (bodies(&receiver) == ["elsewhere"]).then_some(()))
        .await;
    // Two hours of trying, and it is given up: what waited behind it goes.
    let dead = until("it to be given up", async || {
        hand.advance(Duration::from_mins(3));
        let dead = test.get("/deliveries?state=dead").await.1["data"].clone();
        (dead.as_array().unwrap().len() == 1).then_some(dead)
    })
    .await;
    let dead = &dead[0];
    assert_eq!(
        (dead["outlet"].as_str(), dead["status"].as_u64(), dead["kind"].as_str()),
        (Some("crm"), Some(500), Some("message"))
    );
    assert!(dead["attempts"].as_u64().unwrap() >= 5, "{dead}");
    assert!(dead["error"].as_str().unwrap().contains("500"), "{dead}");
    // With what the bot answered to it.
    let expected = ["elsewhere", "behind it", "behind it"];
    until("what was behind it", async || (bodies(&receiver) == expected).then_some(())).await;
    // The alarm goes to the other outlet, not to the one that it is about.
    let alarm = until("the alarm", async || other.taken().into_iter().next()).await;
    assert_eq!(alarm.body["type"], "alarm.delivery_dead");
    assert_eq!(alarm.body["data"]["outlet"], "crm");
    assert!(receiver.posts().iter().all(|post| post.body["type"] != "alarm.delivery_dead"));

    // Sent again, under the same id.
    receiver.behave(|_| Mood::Takes);
    let id = dead["id"].as_str().unwrap();
    let (status, answer) = test.post(&format!("/deliveries/{id}/resend"), &json!({})).await;
    assert_eq!((status, answer["state"].as_str()), (202, Some("waiting")));
    until("it to be told", async || (bodies(&receiver).last()? == "poison").then_some(())).await;
    let again = receiver.taken().last().unwrap().id.clone();
    assert_eq!(dead["event_id"], again);
    let shown = until("the log to say so", async || {
        let shown = test.get(&format!("/deliveries/{id}")).await.1;
        (shown["state"] == "delivered").then_some(shown)
    })
    .await;
    assert_eq!((shown["attempts"].as_u64(), shown["error"].is_null()), (Some(1), true));
    assert_eq!(test.get("/deliveries/dlv_1").await.0, 404);
    assert_eq!(test.post("/deliveries/dlv_1/resend", &json!({})).await.0, 404);
    test.stop().await;
});

#[test]
fn a_redirect_is_not_followed_and_an_outlet_may_ask_for_time() {
    run(async {
        let receiver = Receiver::start().await;
        let outlets = [Outlet { kinds: vec![Kind::Message], ..outlet("crm", &receiver.url) }];
        let (test, hand) = timed(Database::new(Engine::Sqlite).unwrap(), &outlets).await;
        receiver.behave(|_| Mood::Answers(307));
        says(&test, 1, "hello").await;
        let waiting = until("the first attempt to be written down", async || {
            let waiting = test.get("/deliveries?state=waiting&outlet=crm").await.1["data"][0].clone();
            (waiting["attempts"] == 1).then_some(waiting)
        })
        .await;
        assert!(waiting["error"].as_str().unwrap().contains("redirects are not followed"), "{waiting}");
        assert!(waiting["next_attempt_at"].is_string());
        assert_eq!(
            test.post(&format!("/deliveries/{}/resend", waiting["id"].as_str().unwrap()), &json!({})).await.0,
            409
        );
        receiver.behave(|_| Mood::Takes);
        until("it to be told", async || {
            hand.advance(Duration::from_secs(1));
            (bodies(&receiver) == ["hello"]).then_some(())
        })
        .await;
        test.stop().await;
    });
}

#[test]
fn an_outlet_that_begins_later_is_told_what_happens_from_then_on_and_one_that_was_away_the_rest() {
    run(async {
        let receiver = Receiver::start().await;
        let (test, _hand) = timed(Database::new(Engine::Sqlite).unwrap(), &[]).await;
        says(&test, 1, "before").await;
        let with = |test: TestApp, outlets: Vec<Outlet>| async move {
            let shy = Flow::parse(SHY, "shy").unwrap();
            test.restart_changed(switchboard::app::Parts::new(shy), |config| config.outlets = outlets).await
        };
        let crm = Outlet { kinds: vec![Kind::Message], ..outlet("crm", &receiver.url) };
        let test = with(test, vec![crm.clone()]).await;
        test.meta.say(&phone(2), "with it").unwrap();
        until("it to be told", async || (bodies(&receiver) == ["with it"]).then_some(())).await;
        let test = with(test, Vec::new()).await;
        test.meta.say(&phone(3), "without it").unwrap();
        test.quiet().await;
        let test = with(test, vec![crm]).await;
        until("the rest to be told", async || (bodies(&receiver) == ["with it", "without it"]).then_some(()))
            .await;
        test.stop().await;
    });
}

#[test]
fn the_secret_of_an_outlet_is_in_no_log_and_in_no_file() {
    run(async {
        let folder = tempfile::tempdir().unwrap();
        let receiver = Receiver::start().await;
        receiver.behave(moody(3));
        let file = format!("[[outlets]]\nname = \"crm\"\nurl = \"{}\"\nprivate = true\n", receiver.url);
        std::fs::write(folder.path().join("switchboard.toml"), file).unwrap();
        let log = folder.path().join("log");
        let secret = Receiver::secret();
        let sandbox = Sandbox::start_with(folder.path(), &["--database", "kept.db"], |command| {
            command
                .env("SWITCHBOARD_LOG", "trace")
                .env("SWITCHBOARD_OUTLET_CRM_SECRET", &secret)
                .env("SWITCHBOARD_OUTLET_LONGEST_PAUSE", "100ms")
                .env("SWITCHBOARD_OUTLET_TIMEOUT", "300ms")
                .env("SWITCHBOARD_API_KEY", API_KEY)
                .stderr(Stdio::from(File::create(&log).unwrap()))
        });
        let http = wire::client();
        let said = format!("{}/phones/4915112345001/messages?wait=60000", sandbox.meta);
        http.post(said).json(&json!({"text": "hi"})).send().await.unwrap();
        until("the outlet to be told", async || (receiver.taken().len() >= 4).then_some(())).await;
        for path in ["deliveries", "events?follow=false&last_event_id=ntc_0-0", "health", "openapi.json"] {
            let answer = http
                .get(format!("{}/api/whatsapp/{path}", sandbox.app))
                .bearer_auth(API_KEY)
                .send()
                .await
                .unwrap();
            assert!(!answer.text().await.unwrap().contains(&secret[6..]), "{path}");
        }
        sandbox.interrupt();
        let logged = std::fs::read_to_string(&log).unwrap();
        assert!(logged.contains("TRACE") || logged.contains("DEBUG"), "nothing fine is logged");
        for entry in
            std::fs::read_dir(folder.path()).unwrap().flatten().filter(|entry| entry.path().is_file())
        {
            let bytes = std::fs::read(entry.path()).unwrap();
            let found = bytes.windows(secret.len() - 6).any(|part| part == &secret.as_bytes()[6..]);
            assert!(!found, "the secret is in {:?}", entry.path());
        }
    });
}
