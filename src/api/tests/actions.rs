//! What clients can ask for, and that it happens once.

use actix_web::http::header::HeaderName;
use serde_json::json;

use super::*;
use crate::domain::outbound::{Message, Priority};
use crate::domain::window::Outside;

fn hello() -> Value {
    json!({"to": "+49 170 1111111", "type": "text", "body": "hello", "outside_window": "wait"})
}

fn send(body: Value, key: Option<&str>) -> TestRequest {
    let request = post("/api/whatsapp/send").set_json(body);
    match key {
        Some(key) => request.insert_header((HeaderName::from_static("idempotency-key"), key)),
        None => request,
    }
}

#[actix_web::test]
async fn a_send_is_an_accepted_event_that_carries_the_message() {
    let house = House::new().await;
    let answer = house.call(send(hello(), None)).await;
    assert_eq!(answer.status, 202);
    let json = answer.json();
    assert_eq!((json["status"].as_str(), json.as_object().unwrap().len()), (Some("queued"), 4));
    let events = house.waiting(id_of(&json["conversation_id"])).await;
    assert_eq!(events.len(), 1);
    assert_eq!(events[0].id, id_of(&json["event_id"]));
    let wanted = Command::Send {
        message_id: id_of(&json["id"]),
        message: Message::text("hello").unwrap(),
        reply_to: None,
        priority: Priority::Reply,
        outside: Outside::Wait,
        resend_of: None,
    };
    assert_eq!(*events[0].input, Input::Command(wanted));
    let contact = house.get("/api/whatsapp/contacts").await.json();
    assert_eq!(contact["data"][0]["wa_id"], "491701111111");
}

#[actix_web::test]
async fn a_person_without_a_phone_can_be_written_to() {
    let house = House::new().await;
    let body = json!({"user_id": "US.1349", "phone_number_id": NUMBER, "type": "text", "body": "hello", "outside_window": "wait"});
    assert_eq!(house.call(send(body, None)).await.status, 202);
    assert_eq!(house.get("/api/whatsapp/contacts").await.json()["data"][0]["user_id"], "US.1349");
}

#[actix_web::test]
async fn without_a_key_each_send_is_a_send_of_its_own() {
    let house = House::new().await;
    let first = house.call(send(hello(), None)).await.json();
    let second = house.call(send(hello(), None)).await.json();
    assert_ne!(first["id"], second["id"]);
    assert_eq!(house.waiting(id_of(&first["conversation_id"])).await.len(), 2);
}

#[actix_web::test]
async fn the_same_request_with_the_same_key_happens_once_and_is_answered_alike() {
    let house = House::with(|settings| settings.unfinished_max = 1).await;
    let first = house.call(send(hello(), Some("order-17"))).await;
    assert_eq!(first.status, 202);
    // The same number written otherwise is the same request; and a repetition needs no room.
    let again = json!({"to": "491701111111", "type": "text", "body": "hello", "phone_number_id": NUMBER,
                       "outside_window": "wait"});
    let second = house.call(send(again, Some("order-17"))).await;
    assert_eq!((second.status, second.json()), (202, first.json()));
    let conversation = id_of(&first.json()["conversation_id"]);
    let events = house.waiting(conversation).await;
    assert_eq!(events.len(), 1);
    // Nor does it matter that the message is on its way by now.
    house.takes_turn(&events[0]).await;
    assert_eq!(house.call(send(hello(), Some("order-17"))).await.json(), first.json());
    assert_eq!(house.get("/api/whatsapp/messages").await.ids().len(), 1);
}

#[actix_web::test]
async fn requests_at_the_same_time_with_the_same_key_happen_once() {
    let house = House::new().await;
    let calls = (0..8).map(|_| house.call(send(hello(), Some("at-once"))));
    let answers = futures_util::future::join_all(calls).await;
    for answer in &answers {
        assert_eq!((answer.status, answer.json()), (202, answers[0].json()));
    }
    assert_eq!(house.waiting(id_of(&answers[0].json()["conversation_id"])).await.len(), 1);
}

#[actix_web::test]
async fn another_request_with_the_same_key_is_refused_and_leaves_no_trace() {
    let house = House::new().await;
    assert_eq!(house.call(send(hello(), Some("k"))).await.status, 202);
    for (field, value) in [
        ("body", json!("good-bye")),
        ("to", json!("491702222222")),
        ("preview_url", json!(true)),
        ("reply_to", json!("wamid.1")),
    ] {
        let mut other = hello();
        other[field] = value;
        let refused = house.call(send(other, Some("k"))).await.problem(422);
        assert_eq!(refused["field"], "Idempotency-Key", "{field}");
        assert_eq!(refused["type"], "urn:switchboard:problem:idempotency_key_reused");
    }
    assert_eq!(house.get("/api/whatsapp/contacts").await.ids().len(), 1);
    assert_eq!(house.get("/api/whatsapp/webhooks").await.ids().len(), 1);
}

#[actix_web::test]
async fn an_unfit_idempotency_key_is_refused() {
    let house = House::new().await;
    for key in ["", "two words", &"k".repeat(256)] {
        let refused = house.call(send(hello(), Some(key))).await.problem(400);
        assert_eq!(refused["field"], "Idempotency-Key");
    }
}

#[actix_web::test]
async fn a_conversation_is_handed_off_released_and_reset_by_events() {
    let house = House::new().await;
    let (conversation, _) = house.sends(hello()).await;
    let path = format!("/api/whatsapp/conversations/{conversation}");
    for (action, command) in [
        ("handoff", Command::HandOff { until: None }),
        ("release", Command::Release),
        ("reset", Command::Reset),
    ] {
        let answer = house.call(post(&format!("{path}/{action}"))).await;
        let json = answer.json();
        assert_eq!(answer.status, 202, "{json}");
        let last = house.waiting(conversation).await.pop().unwrap();
        assert_eq!(*last.input, Input::Command(command));
        assert_eq!(json, json!({"event_id": last.id, "conversation_id": conversation, "status": "accepted"}));
        for unknown in ["cnv_1", "msg_1"] {
            let path = format!("/api/whatsapp/conversations/{unknown}/{action}");
            assert_eq!(house.call(post(&path)).await.problem(404)["field"], "id");
        }
    }

    let keyed = |action: &str| post(&format!("{path}/{action}")).insert_header(("Idempotency-Key", "op"));
    let first = house.call(keyed("handoff")).await.json();
    assert_eq!(house.call(keyed("handoff")).await.json(), first);
    house.call(keyed("release")).await.problem(422);
    assert_eq!(house.waiting(conversation).await.len(), 4);
}

#[actix_web::test]
async fn a_quarantined_event_is_retried_once() {
    let house = House::new().await;
    let event = house.quarantined().await;
    let retry = || post(&format!("/api/whatsapp/webhooks/{event}/retry"));
    let answer = house.call(retry()).await;
    assert_eq!(answer.status, 202);
    assert_eq!(answer.json()["event_id"], event.to_string());
    let open = house.get(&format!("/api/whatsapp/webhooks/{event}")).await.json();
    assert_eq!((&open["state"], &open["reason"]), (&json!("accepted"), &json!(null)));
    let refused = house.call(retry()).await.problem(409);
    assert!(refused["detail"].as_str().unwrap().contains("not quarantined"), "{refused}");
    house.call(post("/api/whatsapp/webhooks/evt_1/retry")).await.problem(404);
}

#[actix_web::test]
async fn a_quarantined_event_is_put_away_for_good() {
    let house = House::new().await;
    let event = house.quarantined().await;
    let before = house.get(&format!("/api/whatsapp/webhooks/{event}")).await.json();
    let discard = || post(&format!("/api/whatsapp/webhooks/{event}/discard"));
    let answer = house.call(discard()).await;
    let json = answer.json();
    assert_eq!(answer.status, 200);
    assert_eq!(json["state"], "ignored");
    let why = before["reason"].as_str().unwrap();
    assert_eq!(json["reason"], format!("discarded; {why}"), "why it was put aside stays told");
    assert_eq!(house.get(&format!("/api/whatsapp/webhooks/{event}")).await.json(), json);
    assert!(house.get("/api/whatsapp/webhooks?state=quarantined").await.ids().is_empty());
    let refused = house.call(discard()).await.problem(409);
    assert!(refused["detail"].as_str().unwrap().contains("not quarantined"), "{refused}");
    house.call(post(&format!("/api/whatsapp/webhooks/{event}/retry"))).await.problem(409);
    house.call(post("/api/whatsapp/webhooks/evt_1/discard")).await.problem(404);
}

#[actix_web::test]
async fn over_the_limit_of_unfinished_events_nothing_is_accepted() {
    let house = House::with(|settings| settings.unfinished_max = 0).await;
    let refused = house.call(send(hello(), None)).await;
    refused.problem(503);
    assert_eq!(refused.header("retry-after"), "2");
    assert!(house.get("/api/whatsapp/webhooks").await.ids().is_empty());
}

#[actix_web::test]
async fn over_the_limit_of_waiting_messages_a_client_is_turned_away_and_a_repeated_request_is_not() {
    let house = House::with(|settings| settings.queued_max = 1).await;
    assert_eq!(house.call(send(hello(), Some("first"))).await.status, 202);
    let event = house.store().unfinished_before(i64::MAX).await.unwrap().remove(0).event;
    house.takes_turn(&event).await;
    let refused = house.call(send(hello(), Some("second"))).await;
    assert!(refused.problem(503)["detail"].as_str().unwrap().contains("SWITCHBOARD_OUTBOUND_QUEUE"));
    assert_eq!(refused.header("retry-after"), "2");
    assert_eq!(house.call(send(hello(), Some("first"))).await.status, 202);
    let path = format!("/api/whatsapp/conversations/{}/handoff", event.conversation);
    assert_eq!(house.call(post(&path)).await.status, 202, "an operator is not turned away");
}

#[actix_web::test]
async fn a_number_is_given_another_token_which_nobody_is_shown() {
    let house = House::new().await;
    let put = |id: &str, body: Value| {
        let path = format!("/api/whatsapp/numbers/{id}/token");
        keyed(TestRequest::put().uri(&path)).set_json(body)
    };
    let taken = house.call(put(NUMBER, json!({"token": "EAA-good"}))).await;
    assert_eq!((taken.status, &taken.json()["status"]), (200, &json!("used")));
    assert_eq!(taken.json()["holds_until"], "the next restart");
    assert!(taken.json()["for_good"].as_str().unwrap().contains("WHATSAPP_API_TOKEN"));
    assert!(!taken.json().to_string().contains("EAA"));
    for (id, body, status, field) in [
        ("1", json!({"token": "EAA-good"}), 404, json!("phone_number_id")),
        (NUMBER, json!({"token": "EAA bad"}), 422, json!("token")),
        (NUMBER, json!({"token": ""}), 422, json!("token")),
        (NUMBER, json!({}), 422, json!("token")),
        (NUMBER, json!({"token": "EAA-good", "until": "EAA"}), 422, json!("until")),
        (NUMBER, json!("EAA-good"), 422, json!(null)),
        (NUMBER, json!({"token": "EAA-late"}), 503, json!(null)),
    ] {
        let refused = house.call(put(id, body)).await.problem(status);
        assert_eq!(refused["field"], field, "{refused}");
        assert!(!refused.to_string().contains("EAA"), "{refused}");
    }
}
