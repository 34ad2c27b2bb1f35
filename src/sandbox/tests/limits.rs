//! Throughput, the pair rule, the window and tokens, over real sockets and on a clock of the test's own.

use crate::clock::{Hand, MINUTE};

use super::*;

/// Started with Meta's own limits.
async fn enforcing(webhook_url: Option<String>) -> (LocalMeta, Hand) {
    let (clock, hand) = Clock::manual(1_790_000_000_000);
    let listen = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let settings = Settings { webhook_url, ..Settings::made_up(listen) };
    (LocalMeta::start(settings, clock).await.unwrap(), hand)
}

async fn code_of(meta: &LocalMeta, body: Value) -> (u16, Value) {
    let (status, answer) = send(meta, body).await.unwrap();
    (status, answer["error"]["code"].clone())
}

#[actix_web::test]
async fn the_eighty_first_message_of_a_second_is_refused_in_metas_words_and_passes_in_the_next() {
    let (meta, hand) = enforcing(None).await;
    for n in 0..40 {
        meta.say(&format!("49151100{n:02}"), "hi").unwrap();
    }
    for n in 0..40 {
        assert_eq!(send(&meta, text(&format!("49151100{n:02}"), "hello")).await.unwrap().0, 200);
    }
    let (status, answer) = send(&meta, text("4915110000", "once more")).await.unwrap();
    assert_eq!(status, 429);
    assert_eq!(answer["error"]["message"], "(#130429) Rate limit hit");
    assert_eq!(answer["error"]["error_data"]["details"], "Cloud API message throughput has been reached.");
    hand.advance(Duration::from_secs(1));
    assert_eq!(send(&meta, text("4915110000", "once more")).await.unwrap().0, 200);
    assert_eq!((meta.refusals(130_429), meta.refusals(131_056)), (1, 0));
}

#[actix_web::test]
async fn one_person_gets_forty_five_at_once_and_the_others_are_not_held_up() {
    let (meta, hand) = enforcing(None).await;
    meta.say(ADA, "hi").unwrap();
    meta.say("4915112345002", "hi").unwrap();
    for n in 0..45 {
        assert_eq!(send(&meta, text(ADA, &n.to_string())).await.unwrap().0, 200);
    }
    assert_eq!(code_of(&meta, text(ADA, "too much")).await, (400, json!(131_056)));
    assert_eq!(code_of(&meta, text("4915112345002", "another")).await, (200, json!(null)));
    hand.advance(Duration::from_secs(6));
    assert_eq!(code_of(&meta, text(ADA, "45")).await, (200, json!(null)));
    assert_eq!(code_of(&meta, text(ADA, "too much")).await, (400, json!(131_056)));
    assert_eq!(meta.refusals(131_056), 2);
    let got: Vec<String> = (0..=45).map(|n| n.to_string()).collect();
    assert_eq!(texts(&meta.transcript(ADA))[1..], got);
}

#[actix_web::test]
async fn a_free_form_message_after_a_day_is_taken_and_then_fails() {
    let mut receiver = Receiver::start(0);
    let (meta, hand) = enforcing(Some(receiver.url())).await;
    meta.say(ADA, "hi").unwrap();
    hand.advance(Duration::from_secs(24 * 3_600));
    let (status, answer) = send(&meta, text(ADA, "too late")).await.unwrap();
    assert_eq!(status, 200);
    let (_, statuses) = receiver.updates("statuses", 1).await;
    assert_eq!(statuses[0]["id"], answer["messages"][0]["id"]);
    assert_eq!(
        (&statuses[0]["status"], &statuses[0]["errors"][0]["code"]),
        (&json!("failed"), &json!(131_047))
    );
    assert_eq!(statuses[0]["biz_opaque_callback_data"], "id of too late");
    assert_eq!(meta.refusals(131_047), 1);

    meta.set_limits(Limits { window: Window::AtOnce, ..meta.limits() });
    assert_eq!(code_of(&meta, text(ADA, "too late")).await, (400, json!(131_047)));
    meta.say(ADA, "hi again").unwrap();
    assert_eq!(code_of(&meta, text(ADA, "in time")).await, (200, json!(null)));
    let (_, statuses) = receiver.updates("statuses", 3).await;
    let words: Vec<&str> = statuses.iter().map(|status| status["status"].as_str().unwrap()).collect();
    assert_eq!(words, ["failed", "sent", "delivered"]);
}

#[actix_web::test]
async fn a_token_expires_on_the_clock_or_at_once_and_a_new_one_goes_on() {
    let (meta, hand) = enforcing(None).await;
    meta.say(ADA, "hi").unwrap();
    let client = server::client().unwrap();
    let post = |token: &'static str| {
        let url = format!("{}/v26.0/{}/messages", meta.graph_url(), meta.settings().phone_number_id);
        let request = client.post(url).bearer_auth(token).json(&text(ADA, token));
        async move {
            let answer = request.send().await.unwrap();
            (
                answer.status().as_u16(),
                answer.json::<Value>().await.unwrap()["error"]["error_subcode"].clone(),
            )
        }
    };
    meta.add_token("short", Some(Duration::from_secs(60)));
    assert_eq!(post("short").await.0, 200);
    hand.advance(Duration::from_millis(MINUTE.unsigned_abs()));
    assert_eq!(post("short").await, (401, json!(463)));
    assert_eq!(post("never").await, (401, json!(null)));
    meta.expire_tokens();
    assert_eq!(code_of(&meta, text(ADA, "x")).await, (401, json!(190)));
    meta.add_token("fresh", None);
    assert_eq!(post("fresh").await.0, 200);
    assert_eq!((texts(&meta.transcript(ADA)), meta.refusals(190)), (vec!["hi", "short", "fresh"], 3));
}

#[actix_web::test]
async fn limits_and_tokens_are_set_over_plain_http() {
    let (meta, _hand) = enforcing(None).await;
    let client = server::client().unwrap();
    let call = |method: reqwest::Method, path: &str, body: Value| {
        let request = client.request(method, format!("{}{path}", meta.graph_url())).body(body.to_string());
        async move {
            let answer = request.send().await.unwrap();
            (answer.status().as_u16(), answer.json::<Value>().await.unwrap())
        }
    };
    let (put, delete) = (reqwest::Method::PUT, reqwest::Method::DELETE);
    let (status, _) = call(put.clone(), "/limits", json!({"messages_per_second": 1, "window": "off"})).await;
    assert_eq!(status, 200);
    assert_eq!(meta.limits(), Limits { messages_per_second: 1, window: Window::Off, ..Limits::default() });
    assert_eq!(code_of(&meta, text(ADA, "1")).await.0, 200);
    assert_eq!(code_of(&meta, text(ADA, "2")).await.0, 429);
    let (_, shown) = call(reqwest::Method::GET, "/limits", json!(null)).await;
    assert_eq!((&shown["refusals"], &shown["limits"]["pair_burst"]), (&json!({"130429": 1}), &json!(45)));
    for (bad, named) in
        [(json!({"speed": 1}), "speed"), (json!({"pair_refill_ms": 99_999_999}), "pair_refill_ms")]
    {
        let (status, problem) = call(put.clone(), "/limits", bad).await;
        assert!(status == 400 && problem["detail"].as_str().unwrap().contains(named), "{problem}");
    }

    let (_, counted) = call(delete, "/token", json!(null)).await;
    assert_eq!(counted, json!({"valid": 0, "expired": 1, "expires_at": null}));
    assert_eq!(code_of(&meta, text(ADA, "3")).await.0, 401);
    let (_, counted) = call(reqwest::Method::POST, "/token", json!({})).await;
    assert_eq!(counted["valid"], 1);
    assert_eq!(code_of(&meta, text(ADA, "3")).await.0, 429);
}
