//! Lists, single things, numbers.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::Duration;

use actix_web::HttpServer;
use serde_json::json;

use super::*;

#[actix_web::test]
async fn paging_over_120_messages_shows_each_once_newest_first() {
    let house = House::new().await;
    let person = Identity::phone("491701111111");
    let mut expected = Vec::new();
    for place in 0..120 {
        let accepted = house.hears(&person, &format!("message {place}")).await;
        expected.insert(0, MessageId(accepted.id.0).to_string());
    }
    house.hears(&Identity::phone("491702222222"), "from another").await;

    let mut seen = Vec::new();
    let mut pages = 0;
    let mut path = "/api/whatsapp/messages?limit=50&contact=%2B491701111111".to_owned();
    loop {
        let answer = house.get(&path).await;
        seen.extend(answer.ids());
        pages += 1;
        let Some(cursor) = answer.json()["next_cursor"].as_str().map(str::to_owned) else {
            assert!(!answer.header("link").contains("next"), "{}", answer.header("link"));
            break;
        };
        // A message that comes in between belongs to no later page.
        house.hears(&person, "in between").await;
        let next = format!("/api/whatsapp/messages?limit=50&contact=%2B491701111111&cursor={cursor}");
        let link = format!("<{next}>; rel=\"next\"");
        assert!(answer.header("link").starts_with(&link), "{}", answer.header("link"));
        path = next;
    }
    assert_eq!((pages, seen), (3, expected));
}

#[actix_web::test]
async fn a_last_page_that_is_just_full_has_no_next_one() {
    let house = House::new().await;
    for text in ["a", "b"] {
        house.hears(&Identity::phone("49170"), text).await;
    }
    for (limit, next) in [(1, true), (2, false), (3, false)] {
        let answer = house.get(&format!("/api/whatsapp/messages?limit={limit}")).await;
        assert_eq!(answer.json()["next_cursor"].is_string(), next, "{limit}");
    }
}

#[actix_web::test]
async fn messages_are_found_by_each_filter() {
    let house = House::new().await;
    let phone = Identity::phone("491701111111");
    let user = Identity { user_id: Some("US.1349".into()), ..Identity::default() };
    let first = house.hears(&phone, "hello").await;
    let second = house.hears(&user, "hi").await;
    let (conversation, sent) =
        house.sends(json!({"to": "491701111111", "type": "text", "body": "answer"})).await;
    assert_eq!(Some(conversation), first.conversation);
    let (hello, hi, answer) =
        (MessageId(first.id.0).to_string(), MessageId(second.id.0).to_string(), sent.to_string());
    let contact = house.get(&format!("/api/whatsapp/messages/{hello}")).await.json()["contact_id"].clone();
    let contact = contact.as_str().unwrap();

    for (query, found) in [
        (String::new(), vec![&answer, &hi, &hello]),
        (format!("contact={contact}"), vec![&answer, &hello]),
        ("contact=%2B49%20170%201111111".into(), vec![&answer, &hello]),
        ("contact=US.1349".into(), vec![&hi]),
        ("contact=499999999".into(), vec![]),
        (format!("conversation={conversation}"), vec![&answer, &hello]),
        (format!("phone_number_id={NUMBER}&limit=2"), vec![&answer, &hi]),
        ("phone_number_id=1".into(), vec![]),
        ("direction=in".into(), vec![&hi, &hello]),
        ("direction=out".into(), vec![&answer]),
        ("type=text&status=queued".into(), vec![&answer]),
        ("type=image".into(), vec![]),
        ("status=received".into(), vec![&hi, &hello]),
        ("status=received,queued".into(), vec![&answer, &hi, &hello]),
        ("status=failed,queued".into(), vec![&answer]),
        ("type=text,image".into(), vec![&answer, &hi, &hello]),
        ("order=asc".into(), vec![&hello, &hi, &answer]),
        ("since=2023-11-14T22:13:20Z".into(), vec![&answer, &hi, &hello]),
        ("since=2023-11-14T22:13:20.001Z".into(), vec![]),
        ("until=2023-11-14T22:13:20Z".into(), vec![]),
        ("until=2023-11-14T22:13:20.001Z".into(), vec![&answer, &hi, &hello]),
        (format!("conversation={conversation}&q=hello"), vec![&hello]),
        (format!("conversation={conversation}&q=hel*"), vec![&hello]),
    ] {
        let ids = house.get(&format!("/api/whatsapp/messages?{query}")).await.ids();
        assert_eq!(ids.iter().collect::<Vec<_>>(), found, "{query}");
    }
}

#[actix_web::test]
async fn a_message_is_shown_whole() {
    let house = House::new().await;
    let buttons = json!({"to": "49170111", "type": "buttons", "body": "Sure?", "reply_to": "wamid.7",
                         "buttons": [{"id": "y", "title": "Yes"}]});
    let (conversation, id) = house.sends(buttons).await;
    let answer = house.get(&format!("/api/whatsapp/messages/{id}")).await;
    let mut shown = answer.json();
    for field in ["contact_id", "event_id"] {
        assert!(shown[field].take().is_string());
    }
    let expected = json!({
        "id": id, "conversation_id": conversation, "contact_id": null, "phone_number_id": NUMBER, "event_id": null,
        "direction": "out", "type": "buttons", "body": "Sure?",
        "content": {"type": "buttons", "body": "Sure?", "buttons": [{"id": "y", "title": "Yes"}]},
        "media": null, "wamid": null, "reply_to": "wamid.7", "status": "queued", "error": null,
        "cause": null, "pricing": null, "resend_of": null, "resent_as": null, "attempts": [],
        "created_at": "2023-11-14T22:13:20.000Z", "accepted_at": null, "sent_at": null, "delivered_at": null,
        "read_at": null, "failed_at": null
    });
    assert_eq!(shown, expected);
    assert_eq!(answer.header("cache-control"), "no-store");
    assert_eq!(house.get("/api/whatsapp/messages/msg_1").await.problem(404)["field"], "id");
    house.get("/api/whatsapp/messages/evt_1").await.problem(404);
}

#[actix_web::test]
async fn contacts_and_conversations_are_listed_and_shown() {
    let house = House::new().await;
    let ann = Identity { name: Some("Ann".into()), ..Identity::phone("491701111111") };
    let user = Identity { user_id: Some("US.1349".into()), ..Identity::default() };
    let first = house.hears(&ann, "hello").await.conversation.unwrap();
    let second = house.hears(&user, "hi").await.conversation.unwrap();

    let contacts = house.get("/api/whatsapp/contacts").await.json();
    assert_eq!(contacts["data"][0]["user_id"], "US.1349");
    assert_eq!(contacts["data"][1]["name"], "Ann");
    assert_eq!(contacts["data"][1]["created_at"], "2023-11-14T22:13:20.000Z");
    let page = house.get("/api/whatsapp/contacts?limit=1").await.json();
    let next =
        house.get(&format!("/api/whatsapp/contacts?cursor={}", page["next_cursor"].as_str().unwrap())).await;
    assert_eq!(next.json()["data"], json!([contacts["data"][1]]));

    let answer = house.get("/api/whatsapp/conversations").await;
    assert_eq!(answer.ids(), [second.to_string(), first.to_string()]);
    let one = house.get(&format!("/api/whatsapp/conversations/{first}")).await.json();
    let mut listed = answer.json()["data"][1].clone();
    listed["session"] = json!({"flow": null, "variables": {}, "misses": 0, "waits_until": null});
    assert_eq!(one, listed);
    assert_eq!(
        one["contact"],
        json!({"id": contacts["data"][1]["id"], "wa_id": "491701111111", "user_id": null,
                                      "parent_user_id": null, "name": "Ann", "username": null})
    );
    assert_eq!((&one["handed_off"], &one["turns"]), (&json!(false), &json!(0)));
    house.get("/api/whatsapp/conversations/cnv_1").await.problem(404);
}

#[actix_web::test]
async fn events_are_listed_by_state_and_shown_with_their_payload() {
    let house = House::new().await;
    let open = house.hears(&Identity::phone("49170"), "hello").await.id.to_string();
    let stuck = house.quarantined().await.to_string();
    let kept =
        IncomingBody::Kept { kind: "flows".into(), phone_number_id: None, reason: "not handled".into() };
    let kept = house.accept(kept).await.id.to_string();
    for (query, found) in [
        ("", vec![&kept, &stuck, &open]),
        ("?state=accepted", vec![&open]),
        ("?state=quarantined", vec![&stuck]),
        ("?state=ignored", vec![&kept]),
        ("?state=done", vec![]),
    ] {
        let ids = house.get(&format!("/api/whatsapp/webhooks{query}")).await.ids();
        assert_eq!(ids.iter().collect::<Vec<_>>(), found, "{query}");
    }
    let listed = house.get("/api/whatsapp/webhooks?state=quarantined").await.json()["data"][0].clone();
    assert_eq!((&listed["reason"], &listed["type"]), (&json!("the flow panicked"), &json!("message")));
    let mut shown = house.get(&format!("/api/whatsapp/webhooks/{stuck}")).await.json();
    assert_eq!(shown["payload"].take(), json!({"from": "Meta"}));
    shown.as_object_mut().unwrap().remove("payload");
    assert_eq!(shown, listed);
    for unknown in ["evt_1", "evt_9223372036854775807", "nothing"] {
        house.get(&format!("/api/whatsapp/webhooks/{unknown}")).await.problem(404);
    }
}

#[actix_web::test]
async fn the_numbers_add_up() {
    let house = House::new().await;
    house.hears(&Identity::phone("491701111111"), "hello").await;
    house.sends(json!({"to": "491701111111", "type": "text", "body": "answer"})).await;
    house.quarantined().await;
    house.hand.advance(Duration::from_millis(2_500));
    let expected = json!({
        "phone_number_id": null,
        "messages": {"received": 2, "sent": 1, "received_by_type": {"text": 2}, "sent_by_type": {"text": 1},
                     "sent_by_status": {"queued": 1}},
        "since": null, "until": null, "periods": [],
        "unique_contacts": 2, "new_contacts": 2,
        "response_time_ms": {"p50": null, "p95": null, "p99": null, "count": 0},
        "menu_options": [{"state": "main_menu", "option": "Orders", "count": 1}],
        "queue": {"by_state": {"ready": 1}, "oldest_age_seconds": 2.5},
        "unfinished_events": 1,
        "oldest_unfinished_age_seconds": 2.5,
        "quarantined_events": 1,
        "ambiguous_messages": 0
    });
    assert_eq!(house.get("/api/whatsapp/stats").await.json(), expected);
    let other = house.get("/api/whatsapp/stats?phone_number_id=1").await.json();
    assert_eq!((&other["phone_number_id"], &other["messages"]["received"]), (&json!("1"), &json!(0)));

    let metrics = house.get("/metrics").await;
    assert_eq!(metrics.header("content-type"), crate::telemetry::CONTENT_TYPE);
    let text = String::from_utf8(metrics.body.to_vec()).unwrap();
    for line in [
        "switchboard_queue_depth 1",
        "switchboard_queue_oldest_seconds 2.5",
        "switchboard_ambiguous_sends 0",
        "switchboard_unfinished_events 1",
        "switchboard_http_requests_total{route=\"/api/whatsapp/stats\",status=\"200\"} 2",
    ] {
        assert!(text.lines().any(|known| known == line), "{line} is missing in\n{text}");
    }
}

#[actix_web::test]
async fn health_needs_no_key_and_tells_of_a_paused_number() {
    let mut house = House::new().await;
    let request = || TestRequest::get().uri("/api/whatsapp/health");
    let well = house.call(request()).await;
    assert_eq!(well.status, 200);
    let expected = json!({
        "status": "ok", "database": {"engine": "sqlite", "ok": true}, "unfinished_events": 0,
        "oldest_unfinished_age_seconds": null, "oldest_unsent_reply_age_seconds": null, "quarantined_events": 0,
        "queue": {"by_state": {}, "oldest_age_seconds": null},
        "numbers": [{"phone_number_id": NUMBER, "display_phone_number": "+1 555 0100", "status": "ok", "reason": null,
                     "paused_since": null, "next_attempt_at": null, "waiting": 0,
                     "waiting_by_class": {"reply": 0, "bulk": 0}, "in_flight": 0, "oldest_age_seconds": null,
                     "messages_per_second": null, "messages_per_second_allowed": null,
                     "expected_drain_seconds": 0.0}]
    });
    assert_eq!(well.json(), expected);

    house.deps.health = Arc::new(paused);
    let degraded = house.call(request()).await;
    assert_eq!((degraded.status, &degraded.json()["status"]), (200, &json!("degraded")));
    let number = degraded.json()["numbers"][0].clone();
    assert_eq!((&number["status"], &number["waiting"]), (&json!("paused"), &json!(3)));
    assert_eq!(number["reason"], "Meta refuses the token (190)");
}

#[actix_web::test]
async fn numbers_are_shown_with_what_waits_and_the_limits_they_keep() {
    let mut house = House::new().await;
    house.deps.health = Arc::new(paused);
    let shown = house.get("/api/whatsapp/numbers").await.json();
    let number = &shown["data"][0];
    assert_eq!(number["waiting_by_class"], json!({"reply": 1, "bulk": 2}));
    assert_eq!((&number["status"], &number["expected_drain_seconds"]), (&json!("paused"), &json!(null)));
    assert_eq!(
        (&number["paused_since"], &number["next_attempt_at"]),
        (&json!("2023-11-14T22:13:20.000Z"), &json!("2023-11-14T22:14:20.000Z"))
    );
    assert_eq!(
        shown["limits"],
        json!({"pair_pacing": true, "sends_in_flight": 256, "send_attempts": 8, "send_deadline_seconds": 86_400,
               "outbound_queue": 1_000})
    );
    assert_eq!(shown["next_cursor"], json!(null));
}

/// The whole answer to a request without a body, over a socket.
async fn over_a_socket(to: SocketAddr, request: &'static str) -> String {
    let exchange = move || {
        let mut socket = TcpStream::connect(to).unwrap();
        write!(socket, "{request}\r\nHost: here\r\nConnection: close\r\n\r\n").unwrap();
        let mut answer = String::new();
        socket.read_to_string(&mut answer).unwrap();
        answer
    };
    tokio::task::spawn_blocking(exchange).await.unwrap()
}

#[actix_web::test]
async fn the_door_is_served_by_several_workers_and_answers_head_without_a_body() {
    let house = House::new().await;
    let door = configure(house.deps.clone());
    let server = HttpServer::new(move || App::new().configure(door.clone()))
        .workers(2)
        .disable_signals()
        .bind((Ipv4Addr::LOCALHOST, 0))
        .unwrap();
    let address = server.addrs()[0];
    let server = server.run();
    let handle = server.handle();
    let serving = actix_web::rt::spawn(server);

    let whole = over_a_socket(address, "GET /api/whatsapp/health HTTP/1.1").await;
    assert!(whole.starts_with("HTTP/1.1 200") && whole.contains("\"status\":\"ok\""), "{whole}");
    let head = over_a_socket(address, "HEAD /api/whatsapp/health HTTP/1.1").await;
    assert!(head.starts_with("HTTP/1.1 200") && head.ends_with("\r\n\r\n"), "{head}");
    let closed = over_a_socket(address, "GET /api/whatsapp/messages HTTP/1.1").await;
    assert!(closed.starts_with("HTTP/1.1 401") && closed.contains("www-authenticate: Bearer"), "{closed}");

    handle.stop(true).await;
    serving.await.unwrap().unwrap();
}

/// The cursor that a page gives for `step`: `next_cursor` or `prev_cursor`.
fn cursor_of(answer: &Answer, step: &str) -> Option<String> {
    answer.json()[step].as_str().map(str::to_owned)
}

#[actix_web::test]
async fn a_list_is_walked_to_its_end_and_back_in_either_order() {
    let house = House::new().await;
    let person = Identity::phone("491701111111");
    let mut newest_first = Vec::new();
    for place in 0..25 {
        let accepted = house.hears(&person, &format!("message {place}")).await;
        newest_first.insert(0, MessageId(accepted.id.0).to_string());
    }
    let oldest_first: Vec<String> = newest_first.iter().rev().cloned().collect();
    for (order, expected) in [("desc", &newest_first), ("asc", &oldest_first)] {
        let list = format!("/api/whatsapp/messages?limit=7&order={order}");
        let mut pages = vec![house.get(&list).await];
        assert!(!pages[0].header("link").contains("prev"), "nothing is before the first page");
        while let Some(cursor) = cursor_of(pages.last().unwrap(), "next_cursor") {
            pages.push(house.get(&format!("{list}&cursor={cursor}")).await);
        }
        let forth: Vec<String> = pages.iter().flat_map(Answer::ids).collect();
        assert_eq!((pages.len(), &forth), (4, expected), "{order}");

        let mut back: Vec<Vec<String>> = vec![pages[3].ids()];
        let mut page = pages.pop().unwrap();
        loop {
            let cursor = cursor_of(&page, "prev_cursor").unwrap();
            page = house.get(&format!("{list}&cursor={cursor}")).await;
            if page.ids().is_empty() {
                break;
            }
            back.insert(0, page.ids());
        }
        assert_eq!(&back.concat(), expected, "{order}, and back");
        // Behind the empty page before the first one, the list begins.
        let again = house.get(&format!("{list}&cursor={}", cursor_of(&page, "next_cursor").unwrap())).await;
        assert_eq!(again.ids(), expected[..7], "{order}");
    }
}

#[actix_web::test]
async fn whoever_follows_the_list_misses_no_message_whose_id_is_older_than_its_commit() {
    let house = House::new().await;
    let person = Identity::phone("491701111111");
    let first = house.hears(&person, "hello").await;
    let conversation = first.conversation.unwrap();
    let body = json!({"to": "491701111111", "type": "text", "body": "late", "outside_window": "wait"});
    assert_eq!(house.call(post("/api/whatsapp/send").set_json(body)).await.status, 202);
    // The id of the message was given with the answer; its turn has not come when another message is accepted.
    let later = house.hears(&person, "and then").await;
    let page = house.get("/api/whatsapp/messages").await;
    let known = [MessageId(later.id.0), MessageId(first.id.0)].map(|id| id.to_string());
    assert_eq!(page.ids(), known);

    let event = house.waiting(conversation).await.pop().unwrap();
    let late = house.takes_turn(&event).await;
    assert!(late < MessageId(later.id.0), "its id is older than that of a message that was seen before it");
    let cursor = cursor_of(&page, "prev_cursor").unwrap();
    let news = house.get(&format!("/api/whatsapp/messages?cursor={cursor}")).await;
    assert_eq!(news.ids(), [late.to_string()]);
    let cursor = cursor_of(&news, "prev_cursor").unwrap();
    let nothing = house.get(&format!("/api/whatsapp/messages?cursor={cursor}")).await;
    assert!(nothing.ids().is_empty());
    assert_eq!(
        cursor_of(&nothing, "prev_cursor"),
        Some(cursor),
        "the same place, until there is something new"
    );
}

#[actix_web::test]
async fn people_are_found_by_how_their_name_or_ids_begin_and_by_what_they_want() {
    let house = House::new().await;
    let named = |name: &str, phone: &str| Identity { name: Some(name.into()), ..Identity::phone(phone) };
    house.hears(&named("Émile Zola", "33611111111"), "salut").await;
    house.hears(&named("Ann 100%", "491701111111"), "hello").await;
    house.hears(&Identity { user_id: Some("US.1349".into()), ..Identity::default() }, "hi").await;
    let all = house.get("/api/whatsapp/contacts").await.ids();
    let [user, ann, emile] = all.as_slice() else { panic!("{all:?}") };
    let out = house.call(post(&format!("/api/whatsapp/contacts/{ann}/opt-out")).set_json(json!({}))).await;
    assert_eq!(out.status, 200);
    for (query, found) in [
        ("name=%C3%A9MI", vec![emile]),
        ("name=ann%20100%25", vec![ann]),
        ("name=%25", vec![]),
        ("phone=%2B49%20170", vec![ann]),
        ("phone=3", vec![emile]),
        ("user_id=US.", vec![user]),
        ("opted_out=true", vec![ann]),
        ("opted_out=false", vec![user, emile]),
        ("opted_out=true&name=ann", vec![ann]),
        ("opted_out=false&phone=49", vec![]),
        ("marketing_opted_out=true", vec![]),
        ("order=asc&limit=2", vec![emile, ann]),
    ] {
        let ids = house.get(&format!("/api/whatsapp/contacts?{query}")).await.ids();
        assert_eq!(ids.iter().collect::<Vec<_>>(), found, "{query}");
    }
}

#[actix_web::test]
async fn a_conversation_tells_what_was_said_oldest_first_and_is_found_by_its_state() {
    let house = House::new().await;
    let (conversation, sent) =
        house.sends(json!({"to": "491701111111", "type": "text", "body": "offer"})).await;
    let heard = house.hears(&Identity::phone("491701111111"), "yes").await;
    let other =
        house.hears(&Identity::phone("491702222222"), "hello").await.conversation.unwrap().to_string();
    let said = house.get(&format!("/api/whatsapp/conversations/{conversation}/messages")).await;
    assert_eq!(said.ids(), [sent.to_string(), MessageId(heard.id.0).to_string()]);
    let newest = format!("/api/whatsapp/conversations/{conversation}/messages?order=desc&limit=1");
    assert_eq!(house.get(&newest).await.ids(), [MessageId(heard.id.0).to_string()]);
    house.get("/api/whatsapp/conversations/cnv_1/messages").await.problem(404);

    let conversation = conversation.to_string();
    for (query, found) in [
        ("state=main_menu", vec![&conversation]),
        ("state=elsewhere", vec![]),
        ("contact=491702222222", vec![&other]),
        ("contact=con_1", vec![]),
        ("handed_off=true", vec![]),
        ("handed_off=false", vec![&other, &conversation]),
        ("phone_number_id=1", vec![]),
        ("active_since=2023-11-14T22:13:20Z", vec![]),
    ] {
        let ids = house.get(&format!("/api/whatsapp/conversations?{query}")).await.ids();
        assert_eq!(ids.iter().collect::<Vec<_>>(), found, "{query}");
    }
}

#[actix_web::test]
async fn events_are_found_by_what_they_are_about() {
    let house = House::new().await;
    let heard = house.hears(&Identity::phone("491701111111"), "hello").await;
    let conversation = heard.conversation.unwrap();
    let released = format!("/api/whatsapp/conversations/{conversation}/release");
    let asked = house.call(post(&released)).await.json()["event_id"].as_str().unwrap().to_owned();
    let stuck = house.quarantined().await.to_string();
    let kept =
        IncomingBody::Kept { kind: "flows".into(), phone_number_id: None, reason: "100% not handled".into() };
    let kept = house.accept(kept).await.id.to_string();
    let heard = heard.id.to_string();
    let (of_conversation, commands) =
        (format!("conversation={conversation}"), format!("conversation={conversation}&type=command"));
    for (query, found) in [
        (of_conversation.as_str(), vec![&asked, &heard]),
        (commands.as_str(), vec![&asked]),
        ("type=flows", vec![&kept]),
        ("type=flows&state=done", vec![]),
        ("type=message", vec![&stuck, &heard]),
        ("reason=PANICKED", vec![&stuck]),
        ("reason=100%25", vec![&kept]),
        ("reason=1%25not", vec![]),
        ("reason=the&state=quarantined", vec![&stuck]),
        ("state=accepted&order=asc", vec![&heard, &asked]),
        ("state=parked", vec![]),
        ("since=2023-11-14T22:13:20.001Z", vec![]),
        ("until=2023-11-14T22:13:21Z&limit=1", vec![&kept]),
    ] {
        let ids = house.get(&format!("/api/whatsapp/webhooks?{query}")).await.ids();
        assert_eq!(ids.iter().collect::<Vec<_>>(), found, "{query}");
    }
}
