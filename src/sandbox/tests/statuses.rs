//! How statuses are told, when rules have them come late, twice, in another order, early, or never.

use crate::clock::Hand;

use super::*;

async fn start_on_a_clock(webhook_url: Option<String>) -> (LocalMeta, Hand) {
    let (clock, hand) = Clock::manual(1_790_000_000_000);
    let made_up = Settings::made_up(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)));
    let settings = Settings { webhook_url, limits: Limits::none(), ..made_up };
    (LocalMeta::start(settings, clock).await.unwrap(), hand)
}

fn rule(value: Value) -> StatusRule {
    serde_json::from_value(value).unwrap()
}

/// Every status as its word and the text of its message.
fn told(statuses: &[Value]) -> Vec<String> {
    let word = |one: &Value| {
        let data = one["biz_opaque_callback_data"].as_str().unwrap().trim_start_matches("id of ");
        format!("{} {data}", one["status"].as_str().unwrap())
    };
    statuses.iter().map(word).collect()
}

async fn say(meta: &LocalMeta, body: &str) {
    assert_eq!(send(meta, text(ADA, body)).await.unwrap().0, 200);
}

#[actix_web::test]
async fn a_status_that_is_delayed_comes_when_its_time_has_come() {
    let mut receiver = Receiver::start(0);
    let (meta, hand) = start_on_a_clock(Some(receiver.url())).await;
    meta.set_status_rule(rule(json!({"status": "delivered", "effect": {"delay": {"ms": 60_000}}}))).unwrap();
    say(&meta, "a").await;
    assert_eq!(told(&receiver.updates("statuses", 1).await.1), ["sent a"]);
    hand.advance(Duration::from_millis(59_999));
    say(&meta, "b").await;
    assert_eq!(told(&receiver.updates("statuses", 2).await.1), ["sent a", "sent b"]);
    hand.advance(Duration::from_millis(1));
    assert_eq!(told(&receiver.updates("statuses", 3).await.1)[2..], ["delivered a"]);
    hand.advance(Duration::from_secs(60));
    assert_eq!(told(&receiver.updates("statuses", 4).await.1)[3..], ["delivered b"]);
}

#[actix_web::test]
async fn a_status_is_repeated_at_once_or_later_and_dropped_by_its_share() {
    let mut receiver = Receiver::start(0);
    let (meta, hand) = start_on_a_clock(Some(receiver.url())).await;
    meta.set_status_rule(rule(
        json!({"status": "sent", "times": {"next": 1}, "effect": {"repeat": {"more": 2}}}),
    ))
    .unwrap();
    let late =
        json!({"status": "sent", "times": {"next": 1}, "effect": {"repeat": {"more": 1, "after_ms": 5_000}}});
    meta.set_status_rule(rule(late)).unwrap();
    meta.set_status_rule(rule(json!({"status": "delivered", "times": {"share": 0.5}, "effect": "drop"})))
        .unwrap();
    for n in ["a", "b", "c", "d"] {
        say(&meta, n).await;
    }
    let expected = ["sent a", "sent a", "sent a", "delivered a", "sent b", "sent c", "delivered c", "sent d"];
    assert_eq!(told(&receiver.updates("statuses", 8).await.1), expected);
    hand.advance(Duration::from_secs(5));
    assert_eq!(told(&receiver.updates("statuses", 9).await.1)[8..], ["sent a"]);
    let rules = meta.status_rules();
    assert_eq!((rules.len(), rules[0].seen, rules[0].met), (1, 4, 2), "what has met all is gone");
}

#[actix_web::test]
async fn statuses_are_shuffled_within_a_window_and_none_is_held_for_ever() {
    let mut receiver = Receiver::start(0);
    let (meta, hand) = start_on_a_clock(Some(receiver.url())).await;
    let shuffle = json!({"effect": {"shuffle": {"window": 4, "ms": 1_000}}});
    let id = meta.set_status_rule(rule(shuffle)).unwrap();
    for n in ["a", "b", "c"] {
        say(&meta, n).await;
    }
    let first = told(&receiver.updates("statuses", 4).await.1);
    let mut sorted = first.clone();
    sorted.sort();
    assert_eq!(sorted, ["delivered a", "delivered b", "sent a", "sent b"]);
    assert_ne!(first, ["sent a", "delivered a", "sent b", "delivered b"]);
    assert_eq!(meta.delivered().pending, 0, "the two of the third are held");
    hand.advance(Duration::from_secs(1));
    assert_eq!(told(&receiver.updates("statuses", 6).await.1)[4..], ["delivered c", "sent c"]);
    say(&meta, "d").await;
    meta.clear_status_rules();
    assert_eq!(told(&receiver.updates("statuses", 8).await.1)[6..], ["delivered d", "sent d"]);
    assert!(meta.status_rules().iter().all(|rule| rule.id != id));
}

#[actix_web::test]
async fn a_status_comes_before_the_answer_of_the_send() {
    let receiver = Receiver::start(3);
    let (meta, hand) = start_on_a_clock(Some(receiver.url())).await;
    meta.set_status_rule(rule(json!({"status": "sent", "effect": "before_answer"}))).unwrap();
    let sending = send(&meta, text(ADA, "a"));
    // As long as the webhook is refused there is no answer; each refusal needs the clock to go on.
    let retrying = async {
        while !receiver.posts.borrow().iter().any(|post| post.2 == 200) {
            hand.advance(RETRY_MAX);
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let answered = async {
        let answer = sending.await.unwrap();
        (answer, receiver.posts.borrow().clone())
    };
    let both = tokio::time::timeout(PATIENCE, futures_util::future::join(answered, retrying));
    let ((answer, posts), ()) = both.await.unwrap();
    assert_eq!((answer.0, posts.iter().filter(|post| post.2 == 503).count()), (200, 3));
    assert_eq!(told(&accepted(&posts, "statuses"))[0], "sent a");
}

#[actix_web::test]
async fn a_message_fails_by_rule_for_one_phone_with_its_code() {
    let mut receiver = Receiver::start(0);
    let (meta, _) = start_on_a_clock(Some(receiver.url())).await;
    let fails = json!({"phone": ADA, "times": {"next": 1}, "effect": {"fail": {"code": 131_026}}});
    meta.set_status_rule(rule(fails)).unwrap();
    send(&meta, text("4915112345002", "other")).await.unwrap();
    say(&meta, "a").await;
    say(&meta, "b").await;
    let (_, statuses) = receiver.updates("statuses", 5).await;
    let of_ada: Vec<Value> = statuses.iter().filter(|one| one["recipient_id"] == ADA).cloned().collect();
    assert_eq!(told(&of_ada), ["failed a", "sent b", "delivered b"]);
    assert_eq!(of_ada[0]["errors"][0]["title"], "Message undeliverable");
    assert_eq!(meta.transcript(ADA)[0].status, Status::Failed);
}

#[actix_web::test]
async fn a_voice_note_is_played_and_everything_is_read_when_the_phone_is_opened() {
    let mut receiver = Receiver::start(0);
    let (meta, _) = start_on_a_clock(Some(receiver.url())).await;
    let link = json!({"link": "https://a.example/b.ogg", "voice": true});
    let voice = json!({"messaging_product": "whatsapp", "to": ADA, "type": "audio", "audio": link,
        "biz_opaque_callback_data": "id of note"});
    send(&meta, voice).await.unwrap();
    say(&meta, "a").await;
    assert_eq!((meta.open(ADA), meta.open(ADA)), (2, 0));
    let url = format!("{}/phones/{ADA}/play", meta.graph_url());
    let played = server::client().unwrap().post(url).send().await.unwrap();
    assert_eq!(played.json::<Value>().await.unwrap(), json!({"played": 1}));
    assert_eq!(meta.play(ADA, None), 0, "the first time counts");
    let (_, statuses) = receiver.updates("statuses", 7).await;
    assert_eq!(told(&statuses)[4..], ["read note", "read a", "played note"]);
}

#[actix_web::test]
async fn a_thousand_statuses_go_out_in_one_post_when_they_have_waited_and_no_more() {
    let mut receiver = Receiver::start(0);
    let (meta, _) = start_on_a_clock(Some(receiver.url())).await;
    meta.pause_webhooks();
    for n in 0..600 {
        send(&meta, text(&format!("49151{n:06}"), "hello")).await.unwrap();
    }
    assert_eq!((meta.delivered().pending, meta.delivered().posts), (1_200, 0));
    meta.resume_webhooks();
    let (posts, _) = receiver.updates("statuses", 1_200).await;
    let mut sizes: Vec<usize> =
        posts.iter().map(|post| accepted(std::slice::from_ref(post), "statuses").len()).collect();
    sizes.sort_unstable();
    assert_eq!(sizes, [200, BATCH_MAX]);
    for status in accepted(&posts, "statuses") {
        assert!(status["pricing"].is_object(), "{status}");
    }
}

#[actix_web::test]
async fn status_rules_are_set_over_plain_http() {
    let (meta, _) = start_on_a_clock(None).await;
    let client = server::client().unwrap();
    let url = format!("{}/status-rules", meta.graph_url());
    let body = r#"{"status":"read","times":{"next":2},"effect":{"delay":{"ms":5}}}"#;
    let made: Value = client.post(&url).body(body).send().await.unwrap().json().await.unwrap();
    assert_eq!(
        made["rules"][0],
        json!({"id": made["id"], "status": "read", "times": {"next": 2},
        "effect": {"delay": {"ms": 5}}, "seen": 0, "met": 0})
    );
    let bad = client.post(&url).body(r#"{"effect":{"repeat":{"more":0}}}"#).send().await.unwrap();
    assert_eq!(bad.status(), 400);
    assert!(bad.json::<Value>().await.unwrap()["detail"].as_str().unwrap().contains("effect.repeat.more"));
    assert_eq!(client.delete(format!("{url}/{}", made["id"])).send().await.unwrap().status(), 200);
    assert_eq!(client.delete(format!("{url}/{}", made["id"])).send().await.unwrap().status(), 404);
    assert_eq!(meta.status_rules(), []);
}
