//! The app after an end in the middle, with waits, and with answers of Meta's that never came.

use std::time::Duration;

use serde_json::{Value, json};
use switchboard::app::Parts;
use switchboard::clock::{Clock, Hand};
use switchboard::config::Config;
use switchboard::domain::dedupe::DedupeKey;
use switchboard::flow::Flow;
use switchboard::sandbox::{Outcome, Rule, Times};
use switchboard::store::read::{ConversationFilter, Page};
use switchboard::store::{Incoming, IncomingBody};

use crate::support::app::TestApp;
use crate::support::database::{Database, on_both};
use crate::support::{self, flows, until, wire};

const NOW: i64 = 1_795_337_387_000;
const ANN: &str = "4915112345001";
const BEN: &str = "4915112345002";
const GRACE: Duration = Duration::from_mins(10);

/// Asks again after ten minutes of silence.
const PATIENT: &str = r#"
switchboard: 1
bot: patient
start: listen
states:
  listen:
    ask: "listening"
    expect: text
    save: said
    timeout: { after: 10m, say: "still there?", go: listen }
    go: thank
  thank:
    say: "thank you for ${ said }"
    go: listen
"#;

fn echo() -> Flow {
    Flow::parse(flows::ECHO, "echo").unwrap()
}

/// An app whose time is moved by the hand.
async fn start(database: Database, flow: Flow) -> (TestApp, Hand) {
    let (clock, hand) = Clock::manual(NOW);
    let change = |config: &mut Config| config.limits.ambiguous_grace = GRACE;
    (TestApp::start_with(database, Parts { clock, ..Parts::new(flow) }, change).await, hand)
}

/// Accepts these messages (phone, text) as the door would, with no app running.
async fn accept_without_app(database: &Database, messages: &[(&str, &str)]) {
    let (store, _hints) = support::store::open(database, NOW - 60_000).await;
    for (phone, text) in messages {
        let room = store.reserve(1).unwrap();
        let body = wire::body(wire::NUMBER, &[message(phone, text)]);
        store.accept(support::store::incoming(&body), room).await.unwrap();
    }
}

fn message(phone: &str, text: &str) -> Value {
    wire::text(phone, &format!("wamid.{phone}.{text}"), text)
}

/// Posts this body as Meta would.
async fn post(test: &TestApp, body: Vec<u8>) {
    assert_eq!(wire::post(&test.http, &test.meta, &test.webhook_url(), body).await.unwrap(), 200);
}

/// Waits until the bot has said `count` things to `phone`.
async fn replies(test: &TestApp, phone: &str, count: usize) -> Vec<String> {
    let said = async || Some(test.replies(phone)).filter(|said| said.len() >= count);
    until(&format!("{count} replies to {phone}"), said).await
}

/// The value of a metric.
fn metric(test: &TestApp, name: &str) -> String {
    let all = test.app.metrics().encode();
    let line = all.lines().find(|line| line.starts_with(name) && !line.starts_with('#')).expect("the metric");
    line.rsplit(' ').next().unwrap().to_owned()
}

on_both!(what_was_accepted_and_not_done_is_answered_once_and_in_order, async |database: Database| {
    let texts: Vec<String> = (0..5).map(|i| format!("text {i}")).collect();
    let written: Vec<(&str, &str)> =
        texts.iter().flat_map(|text| [(ANN, text.as_str()), (BEN, text)]).collect();
    accept_without_app(&database, &written).await;
    let (test, _hand) = start(database, echo()).await;
    for phone in [ANN, BEN] {
        assert_eq!(replies(&test, phone, texts.len()).await, flows::echoes(&texts));
    }
    // Meta repeats what it was never told that we have.
    for (phone, text) in written {
        post(&test, wire::body(wire::NUMBER, &[message(phone, text)])).await;
    }
    test.quiet().await;
    assert_eq!((test.replies(ANN).len(), test.replies(BEN).len()), (5, 5));
    let test = test.restart(echo()).await;
    test.meta.say(ANN, "after").unwrap();
    assert_eq!(replies(&test, ANN, 6).await[5], "after, before that text 4");
    test.quiet().await;
    assert_eq!(test.meta.received_count(), 11);
    test.stop().await;
});

on_both!(a_wait_ends_once_and_only_if_nobody_wrote, async |database: Database| {
    let (test, hand) = start(database, Flow::parse(PATIENT, "patient").unwrap()).await;
    test.meta.say(ANN, "hi").unwrap();
    assert_eq!(replies(&test, ANN, 1).await, ["listening"]);
    hand.advance(Duration::from_mins(9));
    test.meta.say(ANN, "tea").unwrap();
    replies(&test, ANN, 3).await;
    hand.advance(Duration::from_mins(9));
    test.quiet().await;
    // Eighteen minutes after the first question, nine after the second.
    assert_eq!(test.replies(ANN), ["listening", "thank you for tea", "listening"]);

    hand.advance(Duration::from_mins(1));
    // Whoever looks for waits that are over sleeps on the same clock.
    until("the wait to be over", async || {
        hand.advance(Duration::from_millis(250));
        (test.replies(ANN).len() >= 5).then_some(())
    })
    .await;
    assert_eq!(test.replies(ANN)[3..], ["still there?", "listening"]);
    for _ in 0..3 {
        hand.advance(Duration::from_mins(30));
        test.quiet().await;
    }
    assert_eq!(test.replies(ANN).len(), 5, "it does not go on talking to someone who is not there");
    test.meta.say(ANN, "milk").unwrap();
    assert_eq!(replies(&test, ANN, 7).await[5], "thank you for milk");

    // One that was on its way when the person wrote.
    let conversation = test
        .app
        .store()
        .list_conversations(ConversationFilter::default(), Page::newest(1))
        .await
        .unwrap()
        .rows[0]
        .id;
    let stale = Incoming {
        dedupe_key: DedupeKey::of(&format!("t:{conversation}:stale")),
        payload: "1".to_owned(),
        body: IncomingBody::Timer { conversation, generation: 1 },
    };
    let room = test.app.store().reserve(1).unwrap();
    test.app.store().accept(vec![stale], room).await.unwrap();
    test.quiet().await;
    assert_eq!(test.replies(ANN).len(), 7);
    test.stop().await;
});

on_both!(a_wait_goes_on_across_a_restart, async |database: Database| {
    let test =
        TestApp::start(database, Flow::parse(&PATIENT.replace("10m", "1s"), "patient").unwrap(), |_| {})
            .await;
    test.meta.say(ANN, "hi").unwrap();
    replies(&test, ANN, 1).await;
    let test = test.restart(Flow::parse(&PATIENT.replace("10m", "1s"), "patient").unwrap()).await;
    assert_eq!(replies(&test, ANN, 3).await, ["listening", "still there?", "listening"]);
    test.stop().await;
});

/// An app that ended after it claimed one message to Ann and one to Ben, and before it knew what became of them.
async fn after_an_end_in_the_middle(database: Database) -> (TestApp, Hand) {
    let (test, _) = start(database, echo()).await;
    let hang = Rule { phone: None, times: Times::Always, outcome: Outcome::HangBefore };
    test.meta.set_rule(hang).unwrap();
    for phone in [ANN, BEN] {
        test.meta.say(phone, "hi").unwrap();
    }
    until("both to be posted", async || (test.meta.received_count() == 2).then_some(())).await;
    test.meta.clear_rules();
    let (clock, hand) = Clock::manual(NOW + 60_000);
    let parts = Parts { clock, ..Parts::new(echo()) };
    (test.restart_with(parts).await, hand)
}

on_both!(
    what_was_claimed_at_the_end_waits_for_a_status_and_is_then_sent_again,
    async |database: Database| {
        let (test, hand) = after_an_end_in_the_middle(database).await;
        let (_, stats) = test.get("/stats").await;
        assert_eq!(
            (&stats["ambiguous_messages"], &stats["messages"]["sent_by_status"]),
            (&json!(2), &json!({"ambiguous": 2}))
        );
        let (_, list) = test.get(&format!("/messages?contact={ANN}&direction=out")).await;
        let ours = list["data"][0]["id"].as_str().unwrap();
        // To Ann it did get through: Meta tells so, with our id.
        let told = json!({"id": "wamid.lost", "status": "delivered", "timestamp": "1795337400", "biz_opaque_callback_data": ours});
        post(&test, wire::ours(json!({"statuses": [told]}))).await;
        hand.advance(GRACE - Duration::from_secs(1));
        let (_, stats) = test.get("/stats").await;
        assert_eq!(stats["messages"]["sent_by_status"], json!({"ambiguous": 1, "delivered": 1}));
        assert_eq!(test.meta.received_count(), 2, "nobody is in a hurry to say it twice");

        hand.advance(Duration::from_secs(1));
        assert_eq!(replies(&test, BEN, 1).await, ["hi, before that nothing"]);
        test.quiet().await;
        hand.advance(GRACE * 2);
        test.quiet().await;
        assert_eq!((test.replies(ANN).len(), test.replies(BEN).len(), test.meta.received_count()), (0, 1, 3));
        assert_eq!(metric(&test, "switchboard_resent_after_ambiguity_total"), "1");
        let (_, stats) = test.get("/stats").await;
        assert_eq!(stats["messages"]["sent_by_status"], json!({"delivered": 2}));
        assert_eq!(stats["queue"]["by_state"], json!({}));
        test.stop().await;
    }
);

on_both!(what_comes_behind_an_ambiguous_message_waits_for_it, async |database: Database| {
    let (test, hand) = after_an_end_in_the_middle(database).await;
    test.meta.say(BEN, "and?").unwrap();
    let queued = async || {
        let (_, stats) = test.get("/stats").await;
        (stats["queue"]["by_state"] == json!({"ambiguous": 2, "ready": 1})).then_some(())
    };
    until("the second answer to be queued", queued).await;
    assert!(test.replies(BEN).is_empty());
    hand.advance(GRACE);
    assert_eq!(replies(&test, BEN, 2).await, ["hi, before that nothing", "and?, before that hi"]);
    test.quiet().await;
    test.stop().await;
});

on_both!(an_answer_that_is_cut_off_is_settled_by_its_statuses, async |database: Database| {
    let (test, hand) = start(database, echo()).await;
    let cut = Rule { phone: None, times: Times::Next(1), outcome: Outcome::CutAfter };
    test.meta.set_rule(cut).unwrap();
    for text in ["one", "two"] {
        test.meta.say(ANN, text).unwrap();
    }
    assert_eq!(replies(&test, ANN, 2).await, ["one, before that nothing", "two, before that one"]);
    test.quiet().await;
    hand.advance(GRACE * 2);
    test.quiet().await;
    assert_eq!((test.replies(ANN).len(), test.meta.received_count()), (2, 2));
    let (_, stats) = test.get("/stats").await;
    assert_eq!(stats["messages"]["sent_by_status"], json!({"delivered": 2}));
    test.stop().await;
});

on_both!(a_conversation_keeps_its_flow_until_it_is_back_at_the_start, async |database: Database| {
    let flow = |version: &str| {
        let source = "switchboard: 1\nbot: pinned\nstart: home\nstates:\n  \
                      home: { ask: \"VERSION home\", expect: text, save: word, go: STATE }\n  \
                      STATE: { ask: \"VERSION ${ word }\", expect: text, save: word, go: home }\n";
        let source = source.replace("VERSION", version).replace("STATE", &format!("in_{version}"));
        Flow::parse(&source, version).unwrap()
    };
    let test = TestApp::start(database, flow("old"), |_| {}).await;
    let says = async |test: &TestApp, phone: &str, text: &str| {
        let before = test.replies(phone).len();
        test.meta.say(phone, text).unwrap();
        replies(test, phone, before + 1).await.pop().unwrap()
    };
    assert_eq!(says(&test, ANN, "a").await, "old home");
    assert_eq!(says(&test, ANN, "b").await, "old b");
    assert_eq!(says(&test, BEN, "a").await, "old home");
    let test = test.restart(flow("new")).await;
    assert_eq!(says(&test, BEN, "b").await, "new home", "he stood at the start");
    let test = test.restart(flow("newer")).await;
    assert_eq!(says(&test, ANN, "c").await, "old home", "she was in the middle");
    assert_eq!(says(&test, ANN, "d").await, "newer home");
    assert_eq!(says(&test, ANN, "e").await, "newer e");
    test.stop().await;
});
