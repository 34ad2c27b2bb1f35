//! Trouble that is asked for: error rules for everything that the Graph API does, and webhooks that come twice or wait.

use super::*;

/// A request to the Graph side below `/v26.0/`; status, the header `Retry-After` and JSON, if there is an answer.
async fn graph(meta: &LocalMeta, method: &str, path: &str) -> reqwest::Result<(u16, Option<String>, Value)> {
    let request = server::client()?.request(method.parse().unwrap(), format!("{}{path}", meta.graph_url()));
    let answer = request.bearer_auth(&meta.settings().token).send().await?;
    let after = answer.headers().get("Retry-After").map(|value| value.to_str().unwrap().to_owned());
    Ok((answer.status().as_u16(), after, answer.json().await?))
}

fn rule(times: Value, outcome: Value) -> Rule {
    serde_json::from_value(json!({"times": times, "outcome": outcome})).unwrap()
}

#[actix_web::test]
async fn every_form_of_refusal_can_be_had() {
    let meta = start().await;
    for (outcome, status, after) in [
        (json!({"error": {"code": 130_429}}), 429, None),
        (json!({"error": {"code": 130_429, "status": 400}}), 400, None),
        (json!({"error": {"code": 131_056}}), 400, None),
        (json!({"error": {"code": 131_056, "status": 429}}), 429, None),
        (json!({"error": {"code": 131_000}}), 500, None),
        (json!({"error": {"code": 2}}), 503, None),
        (json!({"come_back": {"code": 130_429, "after_seconds": 7}}), 429, Some("7")),
    ] {
        meta.set_rule(rule(json!({"next": 1}), outcome.clone())).unwrap();
        let url = format!("{}/v26.0/{}/messages", meta.graph_url(), meta.settings().phone_number_id);
        let request = server::client().unwrap().post(url).bearer_auth(&meta.settings().token);
        let answer = request.json(&text(ADA, "x")).send().await.unwrap();
        let header = answer.headers().get("Retry-After").map(|value| value.to_str().unwrap());
        assert_eq!((answer.status().as_u16(), header), (status, after), "{outcome}");
    }
    assert_eq!(meta.transcript(ADA), []);
}

#[actix_web::test]
async fn rules_for_files_and_templates_leave_sends_alone() {
    let meta = start().await;
    let wamid = meta.say(ADA, "hi").unwrap();
    meta.send_media(ADA, Media::Image, None).unwrap();
    let id = meta.transcript(ADA)[1].content.media.clone().unwrap();
    let about = format!("/v26.0/{id}");
    let list = format!("/v26.0/{}/message_templates", meta.settings().business_account_id);
    let busy = json!({"error": {"code": 131_016}});

    meta.set_rule_at(Endpoint::Media, rule(json!({"next": 1}), busy.clone())).unwrap();
    meta.set_rule_at(Endpoint::Templates, rule(json!({"next": 1}), busy.clone())).unwrap();
    meta.set_rule_at(Endpoint::Downloads, rule(json!({"next": 1}), json!("cut_before"))).unwrap();
    meta.set_rule_at(Endpoint::Receipts, rule(json!({"next": 1}), busy)).unwrap();
    assert_eq!(send(&meta, text(ADA, "hello")).await.unwrap().0, 200);
    for path in [&about, &list] {
        assert_eq!(graph(&meta, "GET", path).await.unwrap().0, 500, "{path}");
        assert_eq!(graph(&meta, "GET", path).await.unwrap().0, 200, "{path}");
    }
    let (_, _, node) = graph(&meta, "GET", &about).await.unwrap();
    let fetch = || {
        server::client()
            .unwrap()
            .get(node["url"].as_str().unwrap())
            .bearer_auth(&meta.settings().token)
            .send()
    };
    let cut = async { fetch().await?.bytes().await };
    assert!(cut.await.is_err());
    assert_eq!(fetch().await.unwrap().status(), 200);
    let read = json!({"messaging_product": "whatsapp", "status": "read", "message_id": wamid});
    assert_eq!(send(&meta, read.clone()).await.unwrap().0, 500);
    assert_eq!(meta.transcript(ADA)[0].status, Status::Accepted);
    assert_eq!(send(&meta, read).await.unwrap().0, 200);
    assert_eq!(meta.rules(), []);

    // Done, and cut off before the answer: the file is gone all the same.
    let body = r#"{"at":"media","times":{"next":1},"outcome":"cut_after"}"#;
    let set = server::client()
        .unwrap()
        .post(format!("{}/rules", meta.graph_url()))
        .body(body)
        .send()
        .await
        .unwrap();
    assert_eq!(set.json::<Value>().await.unwrap()["rules"][0]["at"], "media");
    assert!(graph(&meta, "DELETE", &about).await.is_err());
    assert_eq!(graph(&meta, "DELETE", &about).await.unwrap().0, 400);
    let bad = server::client().unwrap().post(format!("{}/rules", meta.graph_url()));
    assert_eq!(bad.body(r#"{"at":"moon","outcome":"cut_after"}"#).send().await.unwrap().status(), 400);
}

#[actix_web::test]
async fn every_second_post_comes_twice_to_the_byte() {
    let mut receiver = Receiver::start(0);
    let meta = start_with(Some(receiver.url()), false).await;
    meta.set_posting(Posting { duplicate_every: 2, ..Posting::default() });
    for n in 1..=6 {
        meta.say(ADA, &n.to_string()).unwrap();
        // One post each, so that it is known which are the second ones.
        let enough = receiver.posts.wait_for(|posts| posts.len() >= n + n / 2);
        tokio::time::timeout(PATIENCE, enough).await.unwrap().unwrap();
    }
    let posts = receiver.posts.borrow().clone();
    let texts: Vec<String> =
        accepted(&posts, "messages").iter().map(|m| m["text"]["body"].as_str().unwrap().into()).collect();
    assert_eq!(texts, ["1", "2", "2", "3", "4", "4", "5", "6", "6"]);
    assert_eq!(posts[1], posts[2]);
    assert_eq!(meta.delivered().duplicates, 3);
}

#[actix_web::test]
async fn webhooks_wait_while_they_are_paused_and_come_one_by_one_if_so_wished() {
    let mut receiver = Receiver::start(0);
    let meta = start_with(None, false).await;
    let put = |body: Value| {
        let request =
            server::client().unwrap().put(format!("{}/webhook", meta.graph_url())).body(body.to_string());
        async move {
            let answer = request.send().await.unwrap();
            (answer.status().as_u16(), answer.json::<Value>().await.unwrap())
        }
    };
    let (status, shown) = put(json!({"paused": true, "batch_max": 1, "url": receiver.url()})).await;
    assert_eq!((status, &shown["paused"], &shown["url"]), (200, &json!(true), &json!(receiver.url())));
    for n in 0..3 {
        meta.say(ADA, &n.to_string()).unwrap();
    }
    assert_eq!(meta.delivered().pending, 3);
    assert_eq!(put(json!({"paused": false})).await.1["batch_max"], 1);
    let (posts, _) = receiver.updates("messages", 3).await;
    assert_eq!(posts.len(), 3);
    for bad in [
        json!({"batch_max": 0}),
        json!({"batch_max": 1001}),
        json!({"speed": 1}),
        json!({"url": "http://example.com/"}),
    ] {
        assert_eq!(put(bad).await.0, 400);
    }
    assert_eq!(meta.posting(), Posting { batch_max: 1, ..Posting::default() });
}
