//! The event stream over real sockets: what is told, once and in order, whatever becomes of the connection, the program and
//! the reader.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::time::Duration;

use sea_orm::{ConnectionTrait as _, Statement};
use serde_json::{Value, json};
use switchboard::config::Config;
use switchboard::flow::Flow;
use switchboard::sandbox::Limits;
use tokio::sync::watch;

use crate::load::Dice;
use crate::support::app::{API_KEY, TestApp, local_meta};
use crate::support::database::{Database, Engine, on_both};
use crate::support::flows::{ECHO, SHY};
use crate::support::listener::{BEGINNING, Listener, Told, all_since};
use crate::support::program::Program;
use crate::support::{door, run, until, wire};

const PHONES: usize = 30;
const MESSAGES: usize = 8;

fn phone(person: usize) -> String {
    format!("49171{person:08}")
}

fn echo() -> Flow {
    Flow::parse(ECHO, "echo").unwrap()
}

/// Reads until it is told to end, over a connection that it loses every now and then, in the middle of an event too. Returns
/// what it was told, in order, and how often it came back.
async fn read_restlessly(
    mut addr: watch::Receiver<SocketAddr>,
    mut enough: watch::Receiver<bool>,
    mut listener: Listener,
) -> (Vec<Told>, usize) {
    let mut dice = Dice(4_711);
    let mut all = Vec::new();
    let mut came_back = 0;
    loop {
        let here = *addr.borrow_and_update();
        if listener.connect(here).await.is_err() {
            // It is on its way back.
            tokio::time::sleep(Duration::from_millis(10)).await;
            continue;
        }
        came_back += 1;
        let patience = 1 + dice.below(60);
        for _ in 0..patience {
            tokio::select! {
                told = listener.next_event() => match told {
                    Some(told) => all.push(told),
                    None => break,
                },
                _ = enough.wait_for(|enough| *enough) => return (all, came_back),
            }
        }
        listener.cut();
    }
}

/// All messages that are stored, oldest first.
async fn stored(addr: SocketAddr) -> Vec<Value> {
    let http = wire::client();
    let mut all = Vec::new();
    let mut cursor = String::new();
    loop {
        let url = format!("http://{addr}/api/whatsapp/messages?limit=200&order=asc{cursor}");
        let page: Value = http.get(url).bearer_auth(API_KEY).send().await.unwrap().json().await.unwrap();
        all.extend(page["data"].as_array().unwrap().iter().cloned());
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return all,
        }
    }
}

fn kind(told: &Told) -> &str {
    told.data["type"].as_str().unwrap()
}

/// Holds what was told against what is stored: each message once, in the order of the list; each of its statuses once, behind
/// it and in the order in which a delivery goes.
fn compare(told: &[Told], stored: &[Value]) {
    let ids: Vec<&str> = told.iter().map(|told| told.id.as_deref().unwrap()).collect();
    assert_eq!(ids.iter().collect::<BTreeSet<_>>().len(), ids.len(), "something was told twice");
    let place = |id: &str| {
        let (commit, place) = id.strip_prefix("ntc_").unwrap().split_once('-').unwrap();
        (commit.parse::<i64>().unwrap(), place.parse::<u32>().unwrap())
    };
    assert!(ids.windows(2).all(|pair| place(pair[0]) < place(pair[1])), "in the order of their ids");
    for told in told {
        assert_eq!(told.data["id"].as_str(), told.id.as_deref());
        assert_eq!(kind(told).split('.').next(), Some(told.event.as_str()));
    }

    let messages: Vec<&Value> =
        told.iter().filter(|told| told.event == "message").map(|told| &told.data["data"]["id"]).collect();
    let expected: Vec<&Value> = stored.iter().map(|message| &message["id"]).collect();
    assert_eq!(messages.len(), expected.len(), "every message");
    assert_eq!(messages, expected, "in the order of the list");

    let mut statuses: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for told in told {
        match told.event.as_str() {
            "message" => {
                let id = told.data["data"]["id"].as_str().unwrap();
                assert!(!statuses.contains_key(id), "a status was told before its message");
                statuses.insert(id, Vec::new());
            }
            "status" => {
                let id = told.data["data"]["message_id"].as_str().unwrap();
                let status = told.data["data"]["status"].as_str().unwrap();
                assert_eq!(kind(told), format!("status.{status}"));
                statuses.get_mut(id).expect("its message was told before").push(status);
            }
            _ => {}
        }
    }
    for message in stored {
        let told = &statuses[message["id"].as_str().unwrap()];
        if message["direction"] == "in" {
            assert!(told.is_empty());
            continue;
        }
        let way = ["ambiguous", "accepted", "sent", "delivered", "read"];
        let ranks: Vec<usize> =
            told.iter().map(|status| way.iter().position(|known| known == status).unwrap()).collect();
        assert!(ranks.windows(2).all(|pair| pair[0] < pair[1]), "{told:?}");
        assert_eq!(told.last(), message["status"].as_str().as_ref(), "{message}");
        for (status, at) in [("sent", "sent_at"), ("delivered", "delivered_at"), ("read", "read_at")] {
            assert_eq!(told.contains(&status), !message[at].is_null(), "{status} of {message}");
        }
    }
}

on_both!(a_reader_that_is_cut_off_misses_nothing_and_sees_nothing_twice, async |database: Database| {
    let test = TestApp::start(database, echo(), |_| {}).await;
    let (addr, here) = watch::channel(test.app.addr());
    let (enough, is_enough) = watch::channel(false);
    let first = test.app.addr();
    let mut listener = Listener::new("", None);
    listener.connect(first).await.unwrap();
    assert!(listener.next().await.unwrap().id.is_some(), "the first thing that is told is where it begins");
    listener.cut();
    let begins = listener.last_id().unwrap();
    let reader = tokio::spawn(read_restlessly(here, is_enough, listener));

    let mut test = test;
    for round in 0..2 {
        for message in 0..MESSAGES {
            for person in 0..PHONES {
                test.meta.say(&phone(person), &format!("{round}.{message}")).unwrap();
            }
        }
        test.quiet().await;
        if round == 0 {
            test = test.restart(echo()).await;
            addr.send_replace(test.app.addr());
        }
    }
    let stored = stored(test.app.addr()).await;
    assert_eq!(stored.len(), 2 * 2 * MESSAGES * PHONES);
    let all = all_since(test.app.addr(), "", &begins).await;
    compare(&all, &stored);
    // The reader has its last event when it has that of one who read in one go.
    let last = all.last().unwrap().id.clone();
    let started = all.iter().filter(|told| kind(told) == "conversation.started").count();
    assert_eq!(started, PHONES);
    until("the reader to be at the end", async || {
        let mut asked = Listener::new("?follow=false", last.clone());
        asked.connect(test.app.addr()).await.unwrap();
        assert!(asked.rest().await.is_empty(), "nothing happens any more");
        Some(())
    })
    .await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    enough.send_replace(true);
    let (told, came_back) = reader.await.unwrap();
    assert!(came_back > 10, "it lost its connection {came_back} times only");
    assert_eq!(told.len(), all.len());
    assert_eq!(ids(&told), ids(&all));
    compare(&told, &stored);
    test.stop().await;
});

fn ids(told: &[Told]) -> Vec<&str> {
    told.iter().map(|told| told.id.as_deref().unwrap()).collect()
}

on_both!(a_killed_program_goes_on_telling_where_it_was, async |database: Database| {
    let meta = local_meta().await;
    let settings = [
        ("SWITCHBOARD_AMBIGUOUS_GRACE", "6s"),
        ("SWITCHBOARD_SWEEP_AGE", "1s"),
        ("SWITCHBOARD_SWEEP_INTERVAL", "500ms"),
    ];
    let mut program = Program::start(&meta, &database.url, ECHO, &settings).await;
    let (_addr, here) = watch::channel(program.addr());
    let (enough, is_enough) = watch::channel(false);
    let listener = Listener::new("", Some(BEGINNING.to_owned()));
    let reader = tokio::spawn(read_restlessly(here, is_enough, listener));
    for message in 0..MESSAGES {
        for person in 0..PHONES {
            meta.say(&phone(person), &format!("message {message}")).unwrap();
        }
    }
    let whole = PHONES * MESSAGES;
    let received =
        || (0..PHONES).map(|person| crate::support::app::replies(&meta, &phone(person)).len()).sum::<usize>();
    for kill in 1..=3 {
        until("some more replies", async || (received() >= whole * kill / 5).then_some(())).await;
        program.kill();
        program.start_again().await;
    }
    until("all replies", async || (received() >= whole).then_some(())).await;
    // Until the local Meta has told all of its statuses.
    let all = until("every message to be delivered", async || {
        let all = stored(program.addr()).await;
        let told = |message: &Value| message["direction"] == "in" || !message["delivered_at"].is_null();
        (all.len() == 2 * whole && meta.delivered().pending == 0 && all.iter().all(told)).then_some(all)
    })
    .await;
    let told = all_since(program.addr(), "", BEGINNING).await;
    compare(&told, &all);
    tokio::time::sleep(Duration::from_secs(1)).await;
    enough.send_replace(true);
    let (read, _) = reader.await.unwrap();
    assert_eq!(ids(&read), ids(&told));
    meta.stop().await;
});

on_both!(a_filter_lets_through_what_it_names, async |database: Database| {
    let test = TestApp::start(database, echo(), |_| {}).await;
    let addr = test.app.addr();
    let (ann, ben) = (phone(1), phone(2));
    for person in [&ann, &ben] {
        test.meta.say(person, "hello").unwrap();
    }
    test.quiet().await;
    let line = test.get(&format!("/conversations?contact={ann}")).await.1["data"][0]["id"].clone();
    let line = line.as_str().unwrap();
    for action in ["handoff", "release", "reset"] {
        let (status, answer) = test.post(&format!("/conversations/{line}/{action}"), &json!({})).await;
        assert_eq!(status, 202, "{action}: {answer}");
        test.quiet().await;
    }
    let told = async |query: &str| all_since(addr, query, BEGINNING).await;
    let kinds = |told: &[Told]| told.iter().map(|told| kind(told).to_owned()).collect::<Vec<_>>();
    let of_lines = told("&kind=conversation").await;
    let of_ann: Vec<Told> = of_lines.iter().filter(|told| told.data["data"]["id"] == line).cloned().collect();
    let expected =
        ["conversation.started", "conversation.handed_off", "conversation.released", "conversation.reset"];
    assert_eq!(kinds(&of_ann), expected);
    assert_eq!(of_lines.len(), of_ann.len() + 1, "the other one has but begun");
    assert_eq!(ids(&told(&format!("&kind=conversation&contact={ann}")).await), ids(&of_ann));
    let of_ben = told(&format!("&contact={ben}&kind=message,status")).await;
    assert_eq!(kinds(&of_ben)[..2], ["message.received", "message.queued"]);
    assert!(of_ben.iter().all(|told| told.event == "message" || told.event == "status"));
    assert!(told("&phone_number_id=1").await.is_empty());
    let all = told("").await;
    assert_eq!(told(&format!("&phone_number_id={}", wire::NUMBER)).await, all);

    // What cannot be meant is refused by name.
    for (query, field) in [
        ("?kind=messages", "kind"),
        ("?last_event_id=evt_1", "last_event_id"),
        ("?contact=nobody", "contact"),
        ("?contact=4917100000999", "contact"),
        ("?follow=maybe", "follow"),
        ("?since=1", "since"),
    ] {
        let (status, refusal) = test.get(&format!("/events{query}")).await;
        assert_eq!((status, refusal["field"].as_str()), (400, Some(field)), "{query}: {refusal}");
    }
    let wrong = test.http.get(format!("http://{addr}/api/whatsapp/events")).bearer_auth(API_KEY);
    assert_eq!(wrong.header("Last-Event-ID", "17").send().await.unwrap().status(), 400);
    test.stop().await;
});

on_both!(what_was_erased_is_told_to_nobody_who_comes_back, async |database: Database| {
    let test = TestApp::start(database, echo(), |_| {}).await;
    let addr = test.app.addr();
    let (ann, ben) = (phone(1), phone(2));
    for person in [&ann, &ben] {
        test.meta.say(person, &format!("the words of {person}")).unwrap();
    }
    test.quiet().await;
    // It is all in memory from here on.
    let before = all_since(addr, "", BEGINNING).await;
    let is_of = |told: &&Told, person: &str| told.data.to_string().contains(person);
    assert!(before.iter().filter(|told| is_of(told, &ann)).count() >= 3);
    let contact = test.get(&format!("/contacts?phone={ann}")).await.1["data"][0]["id"].clone();
    let url = format!("http://{addr}/api/whatsapp/contacts/{}", contact.as_str().unwrap());
    let erased = test.http.delete(url).bearer_auth(API_KEY).send().await.unwrap();
    assert!([200, 202].contains(&erased.status().as_u16()), "{erased:?}");
    let after = until("nothing of her to be told", async || {
        let after = all_since(addr, "", BEGINNING).await;
        let line = |told: &Told| told.data["data"]["contact_id"] == contact || is_of(&told, &ann);
        (!after.iter().any(line)).then_some(after)
    })
    .await;
    let of_ben = |told: &[Told]| told.iter().filter(|told| is_of(told, &ben)).cloned().collect::<Vec<_>>();
    assert_eq!(of_ben(&after), of_ben(&before), "what others said is told as before");
    test.stop().await;
});

on_both!(what_goes_wrong_is_told, async |database: Database| {
    let test = TestApp::start(database, echo(), |_| {}).await;
    let addr = test.app.addr();
    let ann = phone(1);
    test.meta.say(&ann, "hello").unwrap();
    test.quiet().await;
    let rule = switchboard::sandbox::Rule {
        phone: None,
        times: switchboard::sandbox::Times::Next(1),
        outcome: switchboard::sandbox::Outcome::Error { code: 131_026, status: None },
    };
    test.meta.set_rule(rule).unwrap();
    test.meta.say(&ann, "this one fails").unwrap();
    test.quiet().await;
    test.meta.expire_tokens();
    test.meta.say(&ann, "this one waits").unwrap();
    let alarms = async || all_since(addr, "&kind=alarm", BEGINNING).await;
    let paused = until("the pause to be told", async || {
        alarms().await.into_iter().find(|told| kind(told) == "alarm.number_paused")
    })
    .await;
    assert_eq!(paused.data["data"]["phone_number_id"], wire::NUMBER);
    let dead = alarms().await.into_iter().find(|told| kind(told) == "alarm.dead_letter").unwrap();
    let failed = all_since(addr, "&kind=status", BEGINNING).await;
    let failed = failed.iter().find(|told| kind(told) == "status.failed").unwrap();
    assert_eq!(failed.data["data"]["message_id"], dead.data["data"]["message_id"]);
    assert_eq!(failed.data["data"]["error"]["code"], 131_026);
    assert!(dead.data["data"]["detail"].as_str().unwrap().contains("131026"), "{dead:?}");
    test.meta.add_token("EAA-new", None);
    let path = format!("/numbers/{}/token", wire::NUMBER);
    assert_eq!(test.put(&path, &json!({"token": "EAA-new"})).await.0, 200);
    until("the end of the pause to be told", async || {
        alarms().await.into_iter().find(|told| kind(told) == "alarm.number_resumed")
    })
    .await;
    test.stop().await;
});

/// Asks for a name, and ends.
const SHORT: &str = r#"
switchboard: 1
bot: short
start: ask
states:
  ask: { ask: "Your name?", expect: text, save: name, go: bye }
  bye: { end: "Goodbye, ${ name }." }
"#;

on_both!(a_conversation_that_ends_and_begins_anew_is_told, async |database: Database| {
    let test = TestApp::start(database, Flow::parse(SHORT, "short").unwrap(), |_| {}).await;
    for text in ["hi", "Ann", "hi again"] {
        test.meta.say(&phone(1), text).unwrap();
        test.quiet().await;
    }
    let told = all_since(test.app.addr(), "&kind=conversation", BEGINNING).await;
    let kinds: Vec<&str> = told.iter().map(kind).collect();
    assert_eq!(kinds, ["conversation.started", "conversation.ended"]);
    assert_eq!(told[0].data["data"]["id"], told[1].data["data"]["id"]);
    test.stop().await;
});

async fn timed(change: impl FnOnce(&mut Config)) -> (TestApp, switchboard::clock::Hand) {
    let database = Database::new(Engine::Sqlite).unwrap();
    TestApp::start_timed(database, Flow::parse(SHY, "shy").unwrap(), Limits::none(), change).await
}

async fn timed_on(
    database: Database,
    change: impl FnOnce(&mut Config),
) -> (TestApp, switchboard::clock::Hand) {
    TestApp::start_timed(database, Flow::parse(SHY, "shy").unwrap(), Limits::none(), change).await
}

on_both!(what_is_older_than_is_kept_is_said, async |database: Database| {
    let (test, hand) = timed_on(database, |_| {}).await;
    let addr = test.app.addr();
    test.meta.say(&phone(1), "long ago").unwrap();
    test.still().await;
    hand.advance(Duration::from_hours(24 * 8));
    test.meta.say(&phone(2), "now").unwrap();
    test.still().await;
    let db = test.database.connect().await;
    until("what is old to be dropped", async || {
        hand.advance(Duration::from_secs(61));
        let rows = Statement::from_string(db.get_database_backend(), "select id from feed");
        (db.query_all_raw(rows).await.unwrap().len() == 1).then_some(())
    })
    .await;
    let told = all_since(addr, "", "ntc_1-0").await;
    let events: Vec<&str> = told.iter().map(|told| told.event.as_str()).collect();
    assert_eq!(events, ["reset", "conversation", "message"], "what is kept comes behind it");
    assert_eq!(told[0].data["asked"], "ntc_1-0");
    assert_eq!(told[2].data["data"]["body"], "now");
    // Whoever goes on from there is not told again.
    let rest = all_since(addr, "", told[0].id.as_deref().unwrap()).await;
    assert_eq!(ids(&rest), ids(&told[1..]));
    // An id that is not from here, as after a backup was put back.
    let ahead = all_since(addr, "", "ntc_9000000000000000000-0").await;
    assert_eq!((ahead.len(), ahead[0].event.as_str()), (1, "reset"));
    test.stop().await;
});

#[test]
fn a_sign_of_life_carries_the_place_and_readers_are_limited() {
    run(async {
        let (test, hand) = timed(|config| config.live.readers = 2).await;
        let addr = test.app.addr();
        let mut listener = Listener::new("?kind=alarm", None);
        listener.connect(addr).await.unwrap();
        let begins = listener.next().await.unwrap().id.unwrap();
        let mut other = Listener::new("", None);
        other.connect(addr).await.unwrap();
        let third = test.http.get(format!("http://{addr}/api/whatsapp/events")).bearer_auth(API_KEY);
        let third = third.send().await.unwrap();
        assert_eq!(third.status(), 503);
        assert!(third.headers().contains_key("retry-after"));

        // Nothing for this filter, and yet its id moves on.
        test.meta.say(&phone(1), "hello").unwrap();
        assert_eq!(other.next_event().await.unwrap().event, "conversation");
        let alive = until("a sign of life behind it", async || {
            hand.advance(Duration::from_secs(15));
            let told = tokio::time::timeout(Duration::from_millis(200), listener.next()).await.ok()??;
            (told.id.as_ref() != Some(&begins)).then_some(told)
        })
        .await;
        assert!(alive.data.is_null(), "{alive:?}");

        other.cut();
        let mut late = Listener::new("", None);
        until("the place to be free", async || {
            test.meta.say(&phone(1), "again").unwrap();
            late.connect(addr).await.ok()
        })
        .await;
        test.stop().await;
        // Of what "again" set off, some may still come before it.
        let ended = tokio::time::timeout(Duration::from_secs(60), late.rest()).await;
        assert!(ended.is_ok(), "the end of the program is the end of the stream");
    });
}

#[test]
fn a_reader_that_takes_nothing_is_let_go_and_comes_back() {
    const BODIES: usize = 60;
    const OF_BODY: usize = 50;
    run(async {
        let (test, hand) = timed(|config| {
            config.live.buffer = 4;
            config.limits.unfinished_events = 100_000;
        })
        .await;
        let addr = test.app.addr();
        let mut listener = Listener::new("?kind=message", None);
        listener.connect(addr).await.unwrap();
        listener.next().await.unwrap();
        let text = "x".repeat(4_000);
        for body in 0..BODIES {
            let messages: Vec<Value> = (0..OF_BODY)
                .map(|number| {
                    wire::text(&phone(body * OF_BODY + number), &format!("wamid.{body}.{number}"), &text)
                })
                .collect();
            assert_eq!(door::signed(&test, wire::body(wire::NUMBER, &messages)).await, 200);
        }
        test.still().await;
        let stalled = || {
            let metrics = test.app.metrics().encode();
            metrics.contains("switchboard_event_readers_stalled_total 1\n")
        };
        until("the reader to be let go", async || {
            hand.advance(Duration::from_secs(31));
            stalled().then_some(())
        })
        .await;
        let mut told = listener.rest().await;
        assert!(told.len() < BODIES * OF_BODY, "the kernel holds {} events", told.len());
        told.extend(all_since(addr, "&kind=message", &listener.last_id().unwrap()).await);
        assert_eq!(told.len(), BODIES * OF_BODY);
        assert_eq!(ids(&told).iter().collect::<BTreeSet<_>>().len(), told.len());
        test.stop().await;
    });
}
