//! Every way in which a request can be refused.

use actix_web::http::Method;
use serde_json::json;

use super::*;
use crate::api::BODY_MAX_BYTES;
use crate::api::cursor::{Step, encode};

const READS: [&str; 13] = [
    "/api/whatsapp/messages",
    "/api/whatsapp/messages/msg_1",
    "/api/whatsapp/contacts",
    "/api/whatsapp/conversations",
    "/api/whatsapp/conversations/cnv_1",
    "/api/whatsapp/conversations/cnv_1/messages",
    "/api/whatsapp/templates",
    "/api/whatsapp/templates/tpl_1",
    "/api/whatsapp/numbers",
    "/api/whatsapp/webhooks",
    "/api/whatsapp/webhooks/evt_1",
    "/api/whatsapp/stats",
    "/metrics",
];
const ACTIONS: [&str; 7] = [
    "/api/whatsapp/send",
    "/api/whatsapp/conversations/cnv_1/handoff",
    "/api/whatsapp/conversations/cnv_1/release",
    "/api/whatsapp/conversations/cnv_1/reset",
    "/api/whatsapp/templates/sync",
    "/api/whatsapp/webhooks/evt_1/retry",
    "/api/whatsapp/webhooks/evt_1/discard",
];

const SETTINGS: [&str; 1] = ["/api/whatsapp/numbers/106540352242922/token"];

fn every_endpoint() -> impl Iterator<Item = (Method, &'static str)> {
    let actions = ACTIONS.map(|path| (Method::POST, path));
    let settings = SETTINGS.map(|path| (Method::PUT, path));
    READS.map(|path| (Method::GET, path)).into_iter().chain(actions).chain(settings)
}

#[actix_web::test]
async fn without_a_valid_key_every_endpoint_is_closed() {
    let house = House::new().await;
    let elsewhere =
        [(Method::GET, "/api/whatsapp/nothing"), (Method::GET, "/api"), (Method::DELETE, READS[0])];
    for (method, path) in every_endpoint().chain(elsewhere) {
        for header in [None, Some("Bearer wrong"), Some("Basic open-sesame"), Some("open-sesame")] {
            let mut request = TestRequest::default().method(method.clone()).uri(path);
            if let Some(header) = header {
                request = request.insert_header((AUTHORIZATION, header));
            }
            let refused = house.call(request).await;
            let problem = refused.problem(401);
            assert_eq!(refused.header("www-authenticate"), "Bearer", "{path}");
            assert!(!problem.to_string().contains("wrong"), "{problem}");
        }
    }
}

#[actix_web::test]
async fn without_a_configured_key_nothing_opens_and_the_mend_is_told() {
    let mut house = House::new().await;
    house.deps.keys = ApiKeys::new(None, house.store().clone(), RATE);
    for (method, path) in every_endpoint() {
        let refused = house.call(keyed(TestRequest::default().method(method).uri(path))).await.problem(401);
        assert!(refused["detail"].as_str().unwrap().contains("switchboard key create"), "{refused}");
    }
    assert_eq!(house.call(TestRequest::get().uri("/api/whatsapp/health")).await.status, 200);
}

#[actix_web::test]
async fn unknown_paths_are_404_and_wrong_methods_405() {
    let house = House::new().await;
    for path in [
        "/api",
        "/api/",
        "/api/whatsapp",
        "/api/whatsapp/nothing",
        "/api/whatsapp/messages/a/b",
        "/api/whatsapp/messages/%FF",
        "/api/other",
    ] {
        house.get(path).await.problem(404);
    }
    for path in READS {
        let refused = house.call(post(path)).await;
        refused.problem(405);
        assert_eq!(refused.header("allow"), "GET, HEAD", "{path}");
        assert!([200, 404].contains(
            &house.call(keyed(TestRequest::default().method(Method::HEAD).uri(path))).await.status
        ));
    }
    for path in ACTIONS {
        let refused = house.get(path).await;
        refused.problem(405);
        assert_eq!(refused.header("allow"), "POST", "{path}");
    }
    for path in SETTINGS {
        let refused = house.get(path).await;
        refused.problem(405);
        assert_eq!(refused.header("allow"), "PUT", "{path}");
    }
    house.call(TestRequest::post().uri("/api/whatsapp/health")).await.problem(405);
}

#[actix_web::test]
async fn metas_webhook_is_left_to_its_own_door() {
    let house = House::new().await;
    let answer = house.call(TestRequest::post().uri("/api/whatsapp/webhook?x=1")).await;
    assert_eq!((answer.status, &answer.body[..]), (200, &b"for Meta"[..]));
}

#[actix_web::test]
async fn parameters_that_are_unknown_or_wrong_are_refused_by_name() {
    let house = House::new().await;
    for (method, path) in every_endpoint().chain([(Method::GET, "/api/whatsapp/health")]) {
        let body = json!({"to": "49170", "type": "text", "body": "b"});
        let uri = format!("{path}?colour=red");
        let request = keyed(TestRequest::default().method(method).uri(&uri)).set_json(body);
        assert_eq!(house.call(request).await.problem(400)["field"], "colour", "{path}");
    }
    let foreign = encode("contacts:desc", Step::Next(5));
    let of_the_other_order = encode("messages:asc", Step::Next(5));
    for (list, field, value) in [
        ("messages", "limit", "0"),
        ("messages", "limit", "201"),
        ("messages", "limit", "many"),
        ("messages", "limit", ""),
        ("messages", "cursor", "x"),
        ("messages", "cursor", foreign.as_str()),
        ("messages", "cursor", of_the_other_order.as_str()),
        ("messages", "order", "up"),
        ("messages", "type", "text,,image"),
        ("messages", "status", "read,lost"),
        ("messages", "since", "yesterday"),
        ("messages", "since", "2027-01-31T18:00:00+01:00"),
        ("messages", "until", "2027-01-31"),
        ("messages", "q", "%2A"),
        ("messages", "q", "a%2A"),
        ("contacts", "phone", "Ann"),
        ("contacts", "name", "%20"),
        ("contacts", "opted_out", "maybe"),
        ("conversations", "handed_off", "1"),
        ("conversations", "active_since", "now"),
        ("conversations", "contact", "Ann"),
        ("webhooks", "conversation", "con_1"),
        ("stats", "by", "week"),
        ("stats", "by", "day"),
        ("stats", "until", "2027-01-31T18:00:00Z"),
        ("messages", "direction", "sideways"),
        ("messages", "status", "lost"),
        ("messages", "conversation", "con_1"),
        ("messages", "contact", "Ann"),
        ("contacts", "cursor", "1"),
        ("conversations", "limit", "-1"),
        ("webhooks", "state", "open"),
        ("webhooks", "since", "now"),
        ("audit", "until", "now"),
        ("audit", "order", "newest"),
        ("keys", "cursor", foreign.as_str()),
        ("templates", "limit", "201"),
        ("queue", "order", ""),
    ] {
        let refused = house.get(&format!("/api/whatsapp/{list}?{field}={value}")).await.problem(400);
        assert_eq!(refused["field"], field, "{list} {value}");
    }
    assert_eq!(house.get("/api/whatsapp/messages?limit=1&limit=2").await.problem(400)["field"], "limit");
}

#[actix_web::test]
async fn a_body_that_cannot_be_read_is_refused() {
    let house = House::new().await;
    let raw = |body: Vec<u8>| {
        post("/api/whatsapp/send").insert_header((CONTENT_TYPE, "application/json")).set_payload(body)
    };
    let deep = b"[".repeat(10_000);
    for broken in [&b""[..], b"{", b"{\"to\": }", b"\0", b"{\"to\": \"\xff\"}", &deep] {
        let refused = house.call(raw(broken.to_vec())).await.problem(400);
        assert_eq!(refused["type"], "urn:switchboard:problem:malformed");
    }
    for (path, twice) in [
        ("send", r#"{"to": "+49170", "type": "text", "body": "a", "to": "+49171"}"#),
        ("queue/discard", r#"{"code": 1, "to": [{"to": 1, "to": 2}]}"#),
    ] {
        let asked = post(&format!("/api/whatsapp/{path}")).insert_header((CONTENT_TYPE, "application/json"));
        let refused = house.call(asked.set_payload(twice)).await.problem(400);
        assert!(refused["detail"].as_str().unwrap().contains("`to` is given twice"), "{refused}");
    }
    house.call(raw(b"x".repeat(BODY_MAX_BYTES + 1))).await.problem(413);
    let claimed = post("/api/whatsapp/send")
        .insert_header((CONTENT_TYPE, "application/json"))
        .insert_header(("Content-Length", BODY_MAX_BYTES + 1));
    house.call(claimed).await.problem(413);
    house.call(post("/api/whatsapp/send").set_payload("{}")).await.problem(415);
    let form = post("/api/whatsapp/send").set_form([("to", "49170")]);
    house.call(form).await.problem(415);
}

#[actix_web::test]
async fn a_message_that_meta_would_refuse_is_refused_with_its_field_and_limit() {
    let house = House::new().await;
    let base = json!({"to": "49170", "type": "text", "body": "b"});
    let rows: Vec<Value> = (0..11).map(|id| json!({"id": id.to_string(), "title": "t"})).collect();
    let list = json!({"type": "list", "button": "Open", "rows": rows});
    let twice = json!({"type": "buttons", "buttons": [{"id": "1", "title": "A"}, {"id": "1", "title": "B"}]});
    for (change, field, length, limit) in [
        (json!({"body": "x".repeat(4097)}), "body", json!(4097), json!(4096)),
        (list, "rows", json!(11), json!(10)),
        (twice, "buttons[].id", json!(null), json!(null)),
        (json!({"body": " "}), "body", json!(null), json!(null)),
        (json!({"body": null}), "body", json!(null), json!(null)),
        (json!({"body": 5}), "body", json!(null), json!(null)),
        (json!({"type": "fax"}), "type", json!(null), json!(null)),
        (json!({"type": null}), "type", json!(null), json!(null)),
        (json!({"type": "buttons", "buttons": [{"id": "1"}]}), "buttons[0].title", json!(null), json!(null)),
        (json!({"colour": "red"}), "colour", json!(null), json!(null)),
        (json!({"to": null}), "to", json!(null), json!(null)),
        (json!({"to": "Ann"}), "to", json!(null), json!(null)),
        (json!({"user_id": "US.1"}), "user_id", json!(null), json!(null)),
        (json!({"phone_number_id": "1"}), "phone_number_id", json!(null), json!(null)),
        (json!({"reply_to": ""}), "reply_to", json!(null), json!(null)),
    ] {
        let mut body = base.clone();
        body.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        let refused = house.call(post("/api/whatsapp/send").set_json(body)).await.problem(422);
        assert_eq!(
            (&refused["field"], &refused["length"], &refused["limit"]),
            (&json!(field), &length, &limit)
        );
    }
    assert_eq!(house.call(post("/api/whatsapp/send").set_json([1])).await.problem(422)["field"], json!(null));
    assert!(house.get("/api/whatsapp/webhooks").await.ids().is_empty());
}

#[actix_web::test]
async fn when_the_database_does_not_answer_it_is_503_and_nothing_internal_is_told() {
    let (deps, _folder) = std::thread::spawn(|| {
        let folder = TempDir::new().unwrap();
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let clock = Clock::manual(START).0;
        let settings = settings(&folder);
        let open = Store::open(&settings, clock.clone(), Ids::new(clock), Metrics::new());
        let deps = deps(runtime.block_on(open).unwrap().0);
        // The store's runtime ends, and its connections with it.
        drop(runtime);
        (deps, folder)
    })
    .join()
    .unwrap();

    // These read nothing that is in the database.
    let dry = ["/metrics", "/api/whatsapp/templates/sync"];
    let stored = |path: &str| !dry.contains(&path) && !path.contains("/numbers");
    for (method, path) in every_endpoint().filter(|(_, path)| stored(path)) {
        let request = keyed(TestRequest::default().method(method).uri(path));
        let body = json!({"to": "49170", "type": "text", "body": "b"});
        let request = if path.ends_with("/send") { request.set_json(body) } else { request };
        let refused = call(&deps, request).await;
        let problem = refused.problem(503);
        assert_eq!(refused.header("retry-after"), "2", "{path}");
        assert_eq!(problem["detail"], "the database does not answer; try again soon");
    }
    assert_eq!(call(&deps, get("/metrics")).await.status, 200);
    let health = call(&deps, TestRequest::get().uri("/api/whatsapp/health")).await;
    assert_eq!((health.status, &health.json()["status"]), (503, &json!("unavailable")));
    assert_eq!(health.json()["database"], json!({"engine": "sqlite", "ok": false}));
}
