//! What may leave and what may not: the 24-hour window, STOP and START, failed messages, and hand-offs that end by themselves.

use std::time::Duration;

use serde_json::{Value, json};
use switchboard::app::Parts;
use switchboard::clock::{Clock, HOUR, Hand};
use switchboard::flow::Flow;
use switchboard::sandbox::{Outcome, Rule, StatusRule, Times};

use crate::support::app::TestApp;
use crate::support::database::{Database, on_both};
use crate::support::{flows, until, wire};

const NOW: i64 = 1_795_337_387_000;
const ANN: &str = "4915112345001";
const BEN: &str = "4915112345002";
const DAY: Duration = Duration::from_hours(24);

async fn start(database: Database) -> (TestApp, Hand) {
    let (clock, hand) = Clock::manual(NOW);
    let flow = Flow::parse(flows::ECHO, "echo").unwrap();
    (TestApp::start_with(database, Parts { clock, ..Parts::new(flow) }, |_| {}).await, hand)
}

async fn says(test: &TestApp, phone: &str, text: &str) {
    test.meta.say(phone, text).unwrap();
    test.quiet().await;
}

fn text(to: &str, body: &str) -> Value {
    json!({"to": to, "type": "text", "body": body})
}

fn with(mut message: Value, outside: Value) -> Value {
    message["outside_window"] = outside;
    message
}

fn order_ready() -> Value {
    json!({"name": "order_ready", "language": "en", "body": ["ORD-001"]})
}

async fn contact(test: &TestApp, phone: &str) -> Value {
    let (_, page) = test.get("/contacts").await;
    let rows = page["data"].as_array().unwrap();
    rows.iter().find(|row| row["wa_id"] == phone).unwrap().clone()
}

async fn conversation(test: &TestApp) -> String {
    test.get("/conversations").await.1["data"][0]["id"].as_str().unwrap().to_owned()
}

/// Waits until this message has come so far, and shows it.
async fn message(test: &TestApp, id: &Value, status: &str) -> Value {
    let path = format!("/messages/{}", id.as_str().unwrap());
    until(status, async || {
        let (found, message) = test.get(&path).await;
        (found == 200 && message["status"] == status).then_some(message)
    })
    .await
}

async fn in_queue(test: &TestApp, state: &str) -> usize {
    let (status, page) = test.get(&format!("/queue?state={state}")).await;
    assert_eq!(status, 200, "{page}");
    page["data"].as_array().unwrap().len()
}

on_both!(a_stranger_is_written_to_by_template_or_later, async |database: Database| {
    let (test, _hand) = start(database).await;
    let (status, refusal) = test.post("/send", &text(ANN, "hello")).await;
    assert_eq!((status, refusal["type"].as_str()), (409, Some("urn:switchboard:problem:window_closed")));
    assert!(refusal["detail"].as_str().unwrap().contains("only a template"), "{refusal}");
    let (_, contacts) = test.get("/contacts").await;
    assert!(contacts["data"].as_array().unwrap().is_empty(), "a refused send begins nothing");

    let (status, held) = test.post("/send", &with(text(ANN, "for later"), json!("wait"))).await;
    assert_eq!(status, 202, "{held}");
    until("the message to be held", async || (in_queue(&test, "held").await == 1).then_some(())).await;
    let mut template = order_ready();
    template["type"] = json!("template");
    template["to"] = json!(ANN);
    assert_eq!(test.post("/send", &template).await.0, 202);
    let instead = with(text(BEN, "it is ready"), json!({"template": order_ready()}));
    let (_, replaced) = test.post("/send", &instead).await;
    message(&test, &replaced["id"], "delivered").await;
    assert_eq!(message(&test, &replaced["id"], "delivered").await["type"], "template");
    until("the template", async || (test.replies(ANN).len() == 1).then_some(())).await;

    says(&test, ANN, "hi").await;
    let replies = test.replies(ANN);
    assert_eq!(replies[1..], ["for later", "hi, before that nothing"], "{replies:?}");
    assert_eq!(in_queue(&test, "held").await, 0);
    assert_eq!(test.post("/send", &text(ANN, "and now freely")).await.0, 202);
    test.quiet().await;
    let wrong = with(text(ANN, "x"), json!({"template": {"name": "Order Ready", "language": "en"}}));
    let (status, refusal) = test.post("/send", &wrong).await;
    assert_eq!((status, refusal["field"].as_str()), (422, Some("outside_window.template.name")));
    test.stop().await;
});

on_both!(what_is_held_is_held_over_an_end, async |database: Database| {
    let (test, _hand) = start(database).await;
    for body in ["one", "two"] {
        assert_eq!(test.post("/send", &with(text(ANN, body), json!("wait"))).await.0, 202);
    }
    until("both to be held", async || (in_queue(&test, "held").await == 2).then_some(())).await;
    let (clock, _hand) = Clock::manual(NOW + HOUR);
    let flow = Flow::parse(flows::ECHO, "echo").unwrap();
    let test = test.restart_with(Parts { clock, ..Parts::new(flow) }).await;
    assert!(test.replies(ANN).is_empty());
    says(&test, ANN, "hi").await;
    assert_eq!(test.replies(ANN), ["one", "two", "hi, before that nothing"]);
    test.stop().await;
});

on_both!(the_window_is_judged_when_a_message_leaves, async |database: Database| {
    let (test, hand) = start(database).await;
    says(&test, ANN, "hi").await;
    // Meta answers with an error until the window has closed.
    let rule =
        Rule { phone: None, times: Times::Next(1), outcome: Outcome::Error { code: 131_057, status: None } };
    test.meta.set_rule(rule).unwrap();
    hand.advance(DAY - Duration::from_secs(90));
    let (status, late) = test.post("/send", &text(ANN, "just in time")).await;
    assert_eq!(status, 202, "{late}");
    until("the first attempt", async || test.meta.rules().is_empty().then_some(())).await;
    let id = late["id"].as_str().unwrap().to_owned();
    until("the retry to be written down", async || {
        let (_, shown) = test.get(&format!("/messages/{id}")).await;
        (shown["attempts"].as_array().unwrap().len() == 1).then_some(())
    })
    .await;
    hand.advance(Duration::from_secs(61));
    let failed = message(&test, &late["id"], "failed").await;
    assert_eq!(
        (failed["error"]["code"].as_i64(), failed["error"]["title"].as_str()),
        (Some(-1), Some("window_closed"))
    );
    assert!(failed["cause"].as_str().unwrap().contains("24 hours"));
    let outcomes: Vec<&str> =
        failed["attempts"].as_array().unwrap().iter().map(|a| a["outcome"].as_str().unwrap()).collect();
    assert_eq!(outcomes, ["refused", "withheld"]);
    assert_eq!(test.replies(ANN).len(), 1, "only the answer to hi");
    assert_eq!(test.meta.refusals(131_047), 0);
    assert_eq!(in_queue(&test, "dead").await, 1);
    test.stop().await;
});

on_both!(stop_silences_the_bot_and_start_brings_it_back, async |database: Database| {
    let (test, _hand) = start(database).await;
    says(&test, ANN, "hi").await;
    says(&test, ANN, "please stop").await;
    assert_eq!(test.replies(ANN).last().unwrap(), "please stop, before that hi");
    assert!(contact(&test, ANN).await["opted_out_at"].is_null());

    says(&test, ANN, " Stop! ").await;
    assert!(test.replies(ANN).last().unwrap().contains("no more messages"));
    let person = contact(&test, ANN).await;
    assert_eq!((person["opted_out_by"].as_str(), person["opted_out_at"].is_string()), (Some("person"), true));
    let said = test.replies(ANN).len();
    for more in ["hello?", "STOP"] {
        says(&test, ANN, more).await;
    }
    assert_eq!(test.replies(ANN).len(), said, "nothing is said to someone who wants nothing");
    let (status, refusal) = test.post("/send", &text(ANN, "buy!")).await;
    assert_eq!((status, refusal["type"].as_str()), (409, Some("urn:switchboard:problem:opted_out")));

    says(&test, ANN, "start").await;
    let replies = test.replies(ANN);
    assert!(replies[said].contains("Welcome back"), "{replies:?}");
    assert_eq!(replies[said + 1], "start, before that nothing", "the flow begins anew");
    assert!(contact(&test, ANN).await["opted_out_at"].is_null());
    says(&test, ANN, "start").await;
    assert_eq!(test.replies(ANN).last().unwrap(), "start, before that start", "a word like any other");
    test.stop().await;
});

on_both!(an_operator_and_meta_say_what_a_person_wants_too, async |database: Database| {
    let (test, hand) = start(database).await;
    says(&test, ANN, "hi").await;
    let id = contact(&test, ANN).await["id"].as_str().unwrap().to_owned();
    let ask = async |what: &str, body: Value| test.post(&format!("/contacts/{id}/{what}"), &body).await;

    // A message that waits for its next attempt is not sent to someone who has opted out meanwhile.
    let rule =
        Rule { phone: None, times: Times::Next(1), outcome: Outcome::Error { code: 131_057, status: None } };
    test.meta.set_rule(rule).unwrap();
    let (_, waiting) = test.post("/send", &text(ANN, "soon")).await;
    until("the attempt", async || test.meta.rules().is_empty().then_some(())).await;
    let (status, person) = ask("opt-out", json!({})).await;
    assert_eq!((status, person["opted_out_by"].as_str()), (200, Some("operator")));
    until("the retry to be due", async || {
        hand.advance(Duration::from_secs(61));
        let (_, shown) = test.get(&format!("/messages/{}", waiting["id"].as_str().unwrap())).await;
        (shown["status"] == "failed").then_some(())
    })
    .await;
    let failed = message(&test, &waiting["id"], "failed").await;
    assert_eq!(failed["error"]["title"], "opted_out");
    says(&test, ANN, "are you there?").await;
    assert_eq!(test.replies(ANN), ["hi, before that nothing"]);
    let (_, person) = ask("opt-in", json!({"scope": "all"})).await;
    assert!(person["opted_out_at"].is_null());
    says(&test, ANN, "and now?").await;
    assert_eq!(test.replies(ANN).len(), 2);
    assert_eq!(ask("opt-out", json!({"scope": "some"})).await.0, 422);
    assert_eq!(test.post("/contacts/con_1/opt-out", &json!({})).await.0, 404);

    let preference = async |value: &str, at: i64| {
        let entry = json!({"wa_id": ANN, "category": "marketing_messages", "value": value, "timestamp": at});
        let value = json!({"messaging_product": "whatsapp", "metadata": {"phone_number_id": wire::NUMBER},
            "user_preferences": [entry]});
        let change = json!({"field": "user_preferences", "value": value});
        let body =
            json!({"object": "whatsapp_business_account", "entry": [{"id": "1", "changes": [change]}]});
        assert_eq!(test.meta.deliver(body.to_string().into_bytes()).await, Ok(200));
        contact(&test, ANN).await
    };
    let person = preference("stop", 1_795_400_000).await;
    assert_eq!(
        (person["marketing_opted_out_by"].as_str(), person["opted_out_at"].is_null()),
        (Some("meta"), true)
    );
    let late = preference("resume", 1_795_399_999).await;
    assert!(late["marketing_opted_out_at"].is_string(), "an older word that comes late changes nothing");
    assert!(preference("resume", 1_795_400_001).await["marketing_opted_out_at"].is_null());
    test.stop().await;
});

on_both!(failed_messages_are_kept_and_sent_again_once, async |database: Database| {
    let (test, _hand) = start(database).await;
    says(&test, ANN, "hi").await;
    let rule =
        Rule { phone: None, times: Times::Next(3), outcome: Outcome::Error { code: 131_026, status: None } };
    test.meta.set_rule(rule).unwrap();
    let mut failed = Vec::new();
    for body in ["one", "two", "three"] {
        let (_, sent) = test.post("/send", &text(ANN, body)).await;
        message(&test, &sent["id"], "failed").await;
        failed.push(sent["id"].as_str().unwrap().to_owned());
    }
    let (_, dead) = test.get("/queue?state=dead&code=131026&limit=2").await;
    assert_eq!(dead["data"].as_array().unwrap().len(), 2);
    assert!(dead["next_cursor"].is_string());
    let row = &dead["data"][0];
    assert_eq!((row["message_id"].as_str(), row["state"].as_str()), (Some(&*failed[2]), Some("dead")));
    assert!(row["cause"].as_str().unwrap().contains("cannot be reached"), "{row}");

    let (status, again) = test.post(&format!("/messages/{}/resend", failed[0]), &json!({})).await;
    assert_eq!(status, 202, "{again}");
    message(&test, &again["id"], "delivered").await;
    let (_, earlier) = test.get(&format!("/messages/{}", failed[0])).await;
    assert_eq!((&earlier["status"], &earlier["resent_as"]), (&json!("failed"), &again["id"]));
    assert_eq!(
        test.get(&format!("/messages/{}", again["id"].as_str().unwrap())).await.1["resend_of"],
        json!(failed[0])
    );
    assert_eq!(test.post(&format!("/messages/{}/resend", failed[0]), &json!({})).await.0, 409);
    assert_eq!(
        test.post(&format!("/messages/{}/resend", again["id"].as_str().unwrap()), &json!({})).await.0,
        409
    );

    let (status, gone) = test.post(&format!("/messages/{}/discard", failed[1]), &json!({})).await;
    assert_eq!((status, &gone["messages"]), (200, &json!([failed[1]])));
    let (status, many) = test.post("/queue/resend", &json!({"code": 131_026})).await;
    assert_eq!((status, many["messages"].as_array().unwrap().len(), &many["more"]), (202, 1, &json!(false)));
    test.quiet().await;
    assert_eq!(in_queue(&test, "dead").await, 0);
    assert_eq!(test.replies(ANN), ["hi, before that nothing", "one", "three"]);
    assert_eq!(test.post("/queue/resend", &json!({"codes": 1})).await.0, 422);
    test.stop().await;
});

on_both!(what_fails_after_meta_has_taken_it_is_kept_and_sent_again_too, async |database: Database| {
    let (test, _hand) = start(database).await;
    says(&test, ANN, "hi").await;
    let rule: StatusRule = serde_json::from_value(json!({"times": {"next": 2}, "effect": "drop"})).unwrap();
    test.meta.set_status_rule(rule).unwrap();
    let (_, sent) = test.post("/send", &text(ANN, "one")).await;
    let accepted = message(&test, &sent["id"], "accepted").await;
    test.quiet().await;
    assert_eq!(in_queue(&test, "dead").await, 0);

    let status = json!({"id": accepted["wamid"], "status": "failed", "timestamp": "1795337400", "recipient_id": ANN,
        "errors": [{"code": 131_042, "title": "Business eligibility payment issue"}]});
    let value = json!({"messaging_product": "whatsapp", "metadata": {"phone_number_id": wire::NUMBER},
        "statuses": [status]});
    let change = json!({"field": "messages", "value": value});
    let body = json!({"object": "whatsapp_business_account", "entry": [{"id": "1", "changes": [change]}]});
    assert_eq!(test.meta.deliver(body.to_string().into_bytes()).await, Ok(200));
    message(&test, &sent["id"], "failed").await;
    let (_, dead) = test.get("/queue?state=dead&code=131042").await;
    let row = &dead["data"][0];
    assert_eq!(
        (&row["message_id"], &row["attempts"], &row["type"]),
        (&sent["id"], &json!(1), &json!("text"))
    );

    let (status, many) = test.post("/queue/resend", &json!({"code": 131_042})).await;
    assert_eq!((status, many["messages"].as_array().unwrap().len()), (202, 1));
    message(&test, &many["messages"][0], "delivered").await;
    assert_eq!(in_queue(&test, "dead").await, 0);
    assert_eq!(test.replies(ANN), ["hi, before that nothing", "one", "one"]);
    test.stop().await;
});

on_both!(a_hand_off_ends_by_itself, async |database: Database| {
    let (test, hand) = start(database).await;
    says(&test, ANN, "hi").await;
    let path = format!("/conversations/{}/handoff", conversation(&test).await);
    for (wrong, field) in [
        (json!({"until": "tomorrow"}), "until"),
        (json!({"for_seconds": 0}), "for_seconds"),
        (json!({"for_seconds": 60, "until": "2030-01-01T00:00:00Z"}), "for_seconds"),
    ] {
        let (status, refusal) = test.post(&path, &wrong).await;
        assert_eq!((status, refusal["field"].as_str()), (422, Some(field)), "{refusal}");
    }
    assert_eq!(test.post(&path, &json!({"for_seconds": 7200})).await.0, 202);
    test.quiet().await;
    says(&test, ANN, "is anybody there?").await;
    assert_eq!(test.replies(ANN).len(), 1);
    let (_, shown) = test.get("/conversations").await;
    assert_eq!(shown["data"][0]["handed_off"], true);
    assert!(shown["data"][0]["handed_off_until"].is_string());
    until("the hand-off to end", async || {
        hand.advance(Duration::from_mins(10));
        (test.get("/conversations").await.1["data"][0]["handed_off"] == false).then_some(())
    })
    .await;
    assert!(test.get("/conversations").await.1["data"][0]["handed_off_until"].is_null());
    says(&test, ANN, "back again").await;
    assert_eq!(test.replies(ANN).len(), 2);
    test.stop().await;
});
