//! Templates over real sockets: listed, created, edited, deleted, paused, and sent.

use crate::clock::Hand;

use super::*;

/// One with the demo templates and no limits, and the hand of its clock.
async fn start_on_a_clock(webhook_url: Option<String>) -> (LocalMeta, Hand) {
    let (clock, hand) = Clock::manual(1_790_000_000_000);
    let made_up = Settings::made_up(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)));
    let settings = Settings { webhook_url, limits: Limits::none(), ..made_up };
    (LocalMeta::start(settings, clock).await.unwrap(), hand)
}

/// A request to the Graph side below `/v26.0/`; status and JSON.
async fn graph(meta: &LocalMeta, method: &str, path: &str, body: Option<Value>) -> (u16, Value) {
    let url =
        if path.starts_with("http") { path.to_owned() } else { format!("{}/v26.0/{path}", meta.graph_url()) };
    let request =
        server::client().unwrap().request(method.parse().unwrap(), url).bearer_auth(&meta.settings().token);
    let request = if let Some(body) = body { request.json(&body) } else { request };
    let answer = request.send().await.unwrap();
    (answer.status().as_u16(), answer.json().await.unwrap())
}

fn list_of(meta: &LocalMeta, query: &str) -> String {
    format!("{}/message_templates{query}", meta.settings().business_account_id)
}

fn simple(name: &str) -> Value {
    json!({"name": name, "language": "en", "category": "UTILITY",
        "components": [{"type": "BODY", "text": "Hello."}]})
}

fn names(page: &Value) -> Vec<&str> {
    page["data"].as_array().unwrap().iter().map(|node| node["name"].as_str().unwrap()).collect()
}

fn order_ready(to: &str, language: &str, parameters: &[&str]) -> Value {
    let parameters: Vec<Value> =
        parameters.iter().map(|text| json!({"type": "text", "text": text})).collect();
    json!({"messaging_product": "whatsapp", "to": to, "type": "template", "template": {
        "name": "order_ready", "language": {"code": language},
        "components": [{"type": "body", "parameters": parameters}]}})
}

/// All values of this field of the account, in the posts that were answered 200.
fn news(posts: &[Post], field: &str) -> Vec<Value> {
    let mut found = Vec::new();
    for (_, body, _) in posts.iter().filter(|post| post.2 == 200) {
        let body: Value = serde_json::from_slice(body).unwrap();
        for entry in body["entry"].as_array().unwrap() {
            for change in
                entry["changes"].as_array().unwrap().iter().filter(|change| change["field"] == field)
            {
                assert!(entry["time"].is_i64() && change["value"]["metadata"].is_null(), "{entry}");
                found.push(change["value"].clone());
            }
        }
    }
    found
}

async fn wait_for_news(receiver: &mut Receiver, field: &str, count: usize) -> Vec<Value> {
    let enough = |posts: &Vec<Post>| news(posts, field).len() >= count;
    let posts = tokio::time::timeout(PATIENCE, receiver.posts.wait_for(enough)).await;
    news(&posts.expect("the news never came").unwrap(), field)
}

#[actix_web::test]
async fn pages_follow_their_cursors_to_the_end_and_back_and_filters_choose() {
    let (meta, _) = start_on_a_clock(None).await;
    for n in 0..30 {
        meta.add_template(&simple(&format!("t{n:02}"))).unwrap();
    }
    let mut seen = Vec::new();
    let mut path = list_of(&meta, "?limit=8&fields=name,status");
    let last = loop {
        let (status, page) = graph(&meta, "GET", &path, None).await;
        assert_eq!(status, 200);
        seen.extend(names(&page).into_iter().map(str::to_owned));
        let next = page["paging"]["next"].as_str().map(str::to_owned);
        let Some(next) = next else { break page };
        path = next;
    };
    let all: Vec<String> =
        meta.templates().iter().map(|node| node["name"].as_str().unwrap().to_owned()).collect();
    assert_eq!((seen.len(), &seen), (35, &all));
    assert_eq!(last["data"][0].as_object().unwrap().len(), 3, "the fields asked for, and the id: {last}");
    let (_, before) = graph(&meta, "GET", last["paging"]["previous"].as_str().unwrap(), None).await;
    assert_eq!(names(&before), all[24..32].iter().map(String::as_str).collect::<Vec<_>>());

    for (query, expected) in [
        ("?name=order_ready", 2),
        ("?name=order", 0),
        ("?name_or_content=order", 2),
        ("?name=order_ready&language=de", 1),
        ("?category=MARKETING,AUTHENTICATION", 2),
        ("?status=[%22PAUSED%22]", 0),
    ] {
        let (status, page) = graph(&meta, "GET", &list_of(&meta, query), None).await;
        assert_eq!((status, page["data"].as_array().unwrap().len()), (200, expected), "{query}");
    }
    let summed = list_of(&meta, "?category=MARKETING&summary=total_count,message_template_count");
    let (_, page) = graph(&meta, "GET", &summed, None).await;
    assert_eq!(page["summary"], json!({"total_count": 1, "message_template_count": 35}));
    assert!(page["data"][0]["quality_score"]["date"].is_i64());
    for bad in ["?limit=none", "?after=xyz", "?category=SPAM"] {
        let (status, refusal) = graph(&meta, "GET", &list_of(&meta, bad), None).await;
        assert_eq!((status, &refusal["error"]["code"]), (400, &json!(100)), "{bad}");
    }
    let (status, refusal) = graph(&meta, "GET", "999/message_templates", None).await;
    assert_eq!((status, &refusal["error"]["error_subcode"]), (400, &json!(33)));
}

#[actix_web::test]
async fn a_template_is_created_reviewed_edited_and_deleted_and_each_step_is_told() {
    let mut receiver = Receiver::start(0);
    let (meta, hand) = start_on_a_clock(Some(receiver.url())).await;
    let (status, made) = graph(&meta, "POST", &list_of(&meta, ""), Some(simple("fresh"))).await;
    assert_eq!((status, &made["status"], &made["category"]), (200, &json!("APPROVED"), &json!("UTILITY")));
    let id = made["id"].as_str().unwrap();
    let told = wait_for_news(&mut receiver, "message_template_status_update", 1).await;
    assert_eq!(
        told[0],
        json!({"event": "APPROVED", "message_template_id": id.parse::<u64>().unwrap(),
        "message_template_name": "fresh", "message_template_language": "en", "message_template_category": "UTILITY",
        "reason": "NONE"})
    );

    let (status, refusal) = graph(&meta, "POST", &list_of(&meta, ""), Some(simple("fresh"))).await;
    assert_eq!((status, &refusal["error"]["error_subcode"]), (400, &json!(2_388_024)));
    assert!(refusal["error"]["error_user_msg"].as_str().unwrap().contains("already"));

    let other = json!({"components": [{"type": "BODY", "text": "Good day."}]});
    let edit = |body: Value| graph(&meta, "POST", id, Some(body));
    assert_eq!(edit(other.clone()).await, (200, json!({"success": true})));
    let (_, node) = graph(&meta, "GET", &format!("{id}?fields=components,status"), None).await;
    assert_eq!((&node["components"][0]["text"], &node["status"]), (&json!("Good day."), &json!("APPROVED")));
    assert_eq!(edit(other.clone()).await.0, 400, "twice within a day");
    hand.advance(Duration::from_secs(24 * 3_600));
    assert_eq!(edit(json!({"category": "MARKETING"})).await.0, 400, "an approved one keeps its category");
    assert_eq!(edit(other).await.0, 200);

    let gone = list_of(&meta, "?name=fresh");
    assert_eq!(graph(&meta, "DELETE", &gone, None).await, (200, json!({"success": true})));
    assert_eq!(graph(&meta, "DELETE", &gone, None).await.0, 404);
    assert_eq!(graph(&meta, "GET", id, None).await.0, 400);
    let told = wait_for_news(&mut receiver, "message_template_status_update", 4).await;
    assert_eq!((&told[3]["event"], &told[3]["reason"]), (&json!("PENDING_DELETION"), &Value::Null));
    let (_, refusal) = graph(&meta, "POST", &list_of(&meta, ""), Some(simple("fresh"))).await;
    assert_eq!(refusal["error"]["error_subcode"], 2_388_023);
    hand.advance(Duration::from_secs(30 * 24 * 3_600));
    assert_eq!(graph(&meta, "POST", &list_of(&meta, ""), Some(simple("fresh"))).await.0, 200);
}

#[actix_web::test]
async fn a_send_is_checked_against_its_template_and_priced_by_its_category() {
    let mut receiver = Receiver::start(0);
    let (meta, _) = start_on_a_clock(Some(receiver.url())).await;
    let (status, answer) = send(&meta, order_ready(ADA, "en", &["Ada", "ORD-1"])).await.unwrap();
    assert_eq!((status, &answer["messages"][0]["message_status"]), (200, &json!("accepted")));
    let entry = meta.transcript(ADA).remove(0);
    assert_eq!(
        (&*entry.content.text, &*entry.content.kind),
        ("Hello Ada, your order ORD-1 is ready.", "template")
    );
    for (body, status, code) in [
        (order_ready(ADA, "en", &["Ada"]), 400, 132_000),
        (order_ready(ADA, "fr", &["Ada", "ORD-1"]), 404, 132_001),
        (order_ready(ADA, "en", &["Ada", "two\nlines"]), 400, 132_018),
    ] {
        let (got, refusal) = send(&meta, body).await.unwrap();
        assert_eq!((got, &refusal["error"]["code"]), (status, &json!(code)));
    }
    for (event, code) in [
        ("PAUSED", Some(132_015)),
        ("DISABLED", Some(132_016)),
        ("PENDING", Some(132_001)),
        ("FLAGGED", Some(132_001)),
        ("REINSTATED", None),
        ("FLAGGED", None),
    ] {
        meta.set_template_status("order_ready", "en", event).unwrap();
        let (_, answer) = send(&meta, order_ready(ADA, "en", &["Ada", "ORD-1"])).await.unwrap();
        assert_eq!(answer["error"]["code"].as_u64(), code, "{event}");
    }
    assert!(
        meta.set_template_status("order_ready", "en", "EATEN").unwrap_err().to_string().contains("PAUSED")
    );
    assert!(meta.set_template_status("order_ready", "fr", "PAUSED").is_err());
    let told = wait_for_news(&mut receiver, "message_template_status_update", 6).await;
    assert_eq!(
        (&told[0]["other_info"]["title"], &told[1]["event"]),
        (&json!("FIRST_PAUSE"), &json!("DISABLED"))
    );
    assert!(told[1]["disable_info"]["disable_date"].is_string());

    let offer = json!({"messaging_product": "whatsapp", "to": ADA, "type": "template", "template": {
        "name": "spring_offer", "language": {"code": "en"}, "components": [
            {"type": "header", "parameters": [{"type": "image", "image": {"link": "https://a.example/b.png"}}]},
            {"type": "body", "parameters": [{"type": "text", "text": "Ada"}, {"type": "text", "text": "20 %"}]},
            {"type": "button", "sub_type": "url", "index": "1", "parameters": [{"type": "text", "text": "x"}]},
            {"type": "button", "sub_type": "copy_code", "index": "2",
                "parameters": [{"type": "coupon_code", "coupon_code": "SPRING20"}]}]}});
    let (_, answer) = send(&meta, offer).await.unwrap();
    let (_, statuses) = receiver.updates("statuses", 8).await;
    let categories: Vec<&str> =
        statuses.iter().map(|one| one["pricing"]["category"].as_str().unwrap()).collect();
    assert_eq!(
        categories,
        ["utility", "utility", "utility", "utility", "utility", "utility", "marketing", "marketing"]
    );
    meta.press(ADA, "Tell me more").unwrap();
    let (_, pressed) = receiver.updates("messages", 1).await;
    assert_eq!(
        (&pressed[0]["type"], &pressed[0]["button"]),
        (&json!("button"), &json!({"payload": "Tell me more", "text": "Tell me more"}))
    );
    assert_eq!(pressed[0]["context"]["id"], answer["messages"][0]["id"]);
}

#[actix_web::test]
async fn a_one_time_password_goes_to_a_phone_number_only() {
    let (meta, _) = start_on_a_clock(None).await;
    let template = json!({"name": "sign_in_code", "language": {"code": "en"}, "components": [
        {"type": "body", "parameters": [{"type": "text", "text": "123456"}]},
        {"type": "button", "sub_type": "url", "index": "0", "parameters": [{"type": "text", "text": "123456"}]}]});
    let user_id = meta.phones()[0].user_id.clone();
    for (recipient, id, code) in [("recipient", user_id.as_str(), Some(131_062)), ("to", ADA, None)] {
        let body =
            json!({"messaging_product": "whatsapp", recipient: id, "type": "template", "template": template});
        assert_eq!(send(&meta, body).await.unwrap().1["error"]["code"].as_u64(), code);
    }
}

#[actix_web::test]
async fn a_test_that_does_not_care_has_every_template_delivered() {
    let made_up = Settings::made_up(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)));
    let settings = Settings { limits: Limits::none(), templates: Vec::new(), any_template: true, ..made_up };
    let meta = LocalMeta::start(settings, Clock::system()).await.unwrap();
    assert_eq!(send(&meta, order_ready(ADA, "xx", &["Ada"])).await.unwrap().0, 200);
    assert_eq!(texts(&meta.transcript(ADA)), ["[template order_ready, xx]\nAda"]);
    meta.add_template(&demo_definition()).unwrap();
    assert_eq!(send(&meta, order_ready(ADA, "en", &["Ada"])).await.unwrap().1["error"]["code"], 132_000);
}

fn demo_definition() -> Value {
    Settings::made_up(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).templates.remove(0)
}

#[actix_web::test]
async fn reviews_and_what_readers_think_are_set_over_plain_http() {
    let mut receiver = Receiver::start(0);
    let (meta, _) = start_on_a_clock(Some(receiver.url())).await;
    let client = server::client().unwrap();
    let call = |method: &str, path: String, body: Value| {
        let request = client.request(method.parse().unwrap(), format!("{}{path}", meta.graph_url()));
        let request = request.body(body.to_string());
        async move {
            let answer = request.send().await.unwrap();
            (answer.status().as_u16(), answer.json::<Value>().await.unwrap())
        }
    };
    assert_eq!(call("PUT", "/templates".into(), json!({"review": "wait"})).await.0, 200);
    let (_, made) = graph(&meta, "POST", &list_of(&meta, ""), Some(simple("fresh"))).await;
    assert_eq!(made["status"], "PENDING");
    let at = |what: &str| format!("/templates/{}/{what}", made["id"].as_str().unwrap());
    let rejected = json!({"event": "REJECTED", "reason": "INCORRECT_CATEGORY"});
    let (status, shown) = call("POST", at("status"), rejected).await;
    assert_eq!((status, &shown["template"]["status"]), (200, &json!("REJECTED")));
    assert_eq!(shown["template"]["rejected_reason"], "INCORRECT_CATEGORY");
    assert_eq!(
        call("POST", at("quality"), json!({"score": "RED"})).await.1["template"]["quality_score"]["score"],
        "RED"
    );
    let (_, moved) = call("POST", at("category"), json!({"category": "MARKETING"})).await;
    assert_eq!(
        (&moved["template"]["category"], &moved["template"]["previous_category"]),
        (&json!("MARKETING"), &json!("UTILITY"))
    );
    for (what, bad) in
        [("status", json!({"event": "x"})), ("quality", json!({"score": "PINK"})), ("category", json!({}))]
    {
        assert_eq!(call("POST", at(what), bad).await.0, 400, "{what}");
    }
    assert_eq!(call("POST", "/templates".into(), simple("by_hand")).await.0, 201);
    let told = wait_for_news(&mut receiver, "message_template_status_update", 1).await;
    assert_eq!(told[0]["rejection_info"]["reason"], "INCORRECT_CATEGORY");
    let told = wait_for_news(&mut receiver, "message_template_quality_update", 1).await;
    assert_eq!(
        (&told[0]["previous_quality_score"], &told[0]["new_quality_score"]),
        (&json!("UNKNOWN"), &json!("RED"))
    );
    let told = wait_for_news(&mut receiver, "template_category_update", 1).await;
    assert_eq!(
        (&told[0]["previous_category"], &told[0]["new_category"]),
        (&json!("UTILITY"), &json!("MARKETING"))
    );
}
