//! Keys: what each may do and how often, and what is kept of them and of what was done with them.

use serde_json::json;

use super::*;
use crate::api::endpoints::Endpoint;
use crate::api::openapi;
use crate::clock::{MINUTE, SECOND};
use crate::domain::access::{NewKey, Scope, Scopes};
use crate::domain::ids::KeyId;
use crate::store::StoredKey;

const PERSON: &str = "491701234567";

impl House {
    /// A key with these scopes, made behind the back of the running door, as the command line does it.
    async fn key(&self, scopes: &[Scope], rate: Option<u32>) -> (KeyId, String) {
        self.key_until(scopes, rate, None).await
    }

    async fn key_until(&self, scopes: &[Scope], rate: Option<u32>, until: Option<i64>) -> (KeyId, String) {
        let scopes: Scopes = scopes.iter().copied().collect();
        let wanted = NewKey::new("test", scopes, until, rate, self.store().clock().now()).unwrap();
        self.store().create_key(wanted).await.unwrap()
    }

    async fn get_as(&self, key: &str, path: &str) -> Answer {
        self.call(keyed_with(key, TestRequest::get().uri(path))).await
    }

    async fn stored(&self, id: KeyId) -> StoredKey {
        self.store().find_key(id).await.unwrap().unwrap()
    }

    async fn deeds(&self, query: &str) -> Vec<Value> {
        let page = self.get(&format!("/api/whatsapp/audit?limit=200{query}")).await;
        assert_eq!(page.status, 200, "{:?}", page.body);
        page.json()["data"].as_array().unwrap().clone()
    }
}

/// A request to an endpoint as its description has it: with a body of its own where it has one, about nothing that is there.
fn request_to(endpoint: &Endpoint) -> TestRequest {
    let path = endpoint.path.replace("{id}", "none");
    let request = TestRequest::default().method(endpoint.method.clone()).uri(&path);
    match endpoint.name {
        "events.stream" => request.uri(&format!("{path}?follow=false")),
        "send.send" => request.set_json(json!({"to": PERSON, "type": "text", "body": "hi"})),
        "keys.create" => request.set_json(json!({"name": "n", "scopes": ["read"]})),
        _ => request,
    }
}

#[actix_web::test]
async fn each_endpoint_opens_to_its_scope_and_to_admin_and_to_nothing_else() {
    let house = House::new().await;
    let mut keys = Vec::new();
    for scope in Scope::ALL {
        keys.push((scope, house.key(&[scope], None).await.1));
    }
    let mut closed = 0;
    for endpoint in openapi::build().0 {
        let bare = house.call(request_to(&endpoint)).await.status;
        let Some(wanted) = endpoint.scope else {
            assert!(endpoint.name.starts_with("health."), "{}", endpoint.name);
            assert_eq!(bare, 200, "{}", endpoint.name);
            continue;
        };
        assert_eq!(bare, 401, "{}", endpoint.name);
        for (scope, key) in &keys {
            let answer = house.call(keyed_with(key, request_to(&endpoint))).await;
            if *scope == wanted || *scope == Scope::Admin {
                assert!(![401, 403, 405, 429].contains(&answer.status), "{} {scope:?}", endpoint.name);
            } else {
                closed += 1;
                let problem = answer.problem(403);
                assert_eq!(problem["type"], "urn:switchboard:problem:forbidden", "{}", endpoint.name);
                let told = problem["detail"].as_str().unwrap();
                assert!(told.contains(&format!("`{}`", wanted.as_str())), "{told}");
            }
        }
    }
    assert!(closed > 50, "only {closed} were tried in vain");
}

#[actix_web::test]
async fn a_key_is_made_shown_once_listed_without_itself_and_revoked() {
    let house = House::new().await;
    let body = json!({"name": "billing", "scopes": ["read"], "expires_at": "2030-01-01T00:00:00Z", "requests_per_second": 5});
    let made = house.call(post("/api/whatsapp/keys").set_json(body)).await;
    assert_eq!(made.status, 201, "{:?}", made.body);
    let json = made.json();
    let (id, key) = (json["id"].as_str().unwrap(), json["key"].as_str().unwrap());
    assert_eq!(made.header("location"), format!("/api/whatsapp/keys/{id}"));
    assert!(key.starts_with("sb_") && key.len() == 67, "{key}");
    assert_eq!(house.get_as(key, "/api/whatsapp/messages").await.status, 200);
    let listed = house.get("/api/whatsapp/keys").await;
    let text = String::from_utf8(listed.body.to_vec()).unwrap();
    assert!(!text.contains(key) && !text.contains(&key[3..]), "{text}");
    let row = &listed.json()["data"][0];
    assert_eq!(
        (&row["name"], &row["scopes"], &row["expires_at"], &row["requests_per_second"], &row["revoked_at"]),
        (&json!("billing"), &json!(["read"]), &json!("2030-01-01T00:00:00.000Z"), &json!(5), &json!(null))
    );

    let path = format!("/api/whatsapp/keys/{id}");
    let revoked = house.call(keyed(TestRequest::delete().uri(&path))).await;
    assert_eq!((revoked.status, revoked.json()["revoked_at"].is_string()), (200, true));
    // What was read of it a moment ago holds a moment longer, and not one more.
    house.hand.advance(Duration::from_secs(3));
    house.get_as(key, "/api/whatsapp/messages").await.problem(401);
    let again = house.call(keyed(TestRequest::delete().uri(&path))).await;
    assert_eq!((again.status, again.json()), (200, revoked.json()));
    house.call(keyed(TestRequest::delete().uri("/api/whatsapp/keys/key_1"))).await.problem(404);
}

#[actix_web::test]
async fn a_key_that_cannot_be_is_refused_by_its_field() {
    let house = House::new().await;
    for (change, field) in [
        (json!({"name": " "}), "name"),
        (json!({"name": null}), "name"),
        (json!({"scopes": []}), "scopes"),
        (json!({"scopes": ["write"]}), "scopes"),
        (json!({"scopes": "read"}), "scopes"),
        (json!({"expires_at": "tomorrow"}), "expires_at"),
        (json!({"expires_at": "2020-01-01T00:00:00Z"}), "expires_at"),
        (json!({"requests_per_second": 0}), "requests_per_second"),
        (json!({"requests_per_second": -1}), "requests_per_second"),
        (json!({"colour": "red"}), "colour"),
    ] {
        let mut body = json!({"name": "n", "scopes": ["read"]});
        body.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        let refused = house.call(post("/api/whatsapp/keys").set_json(body)).await.problem(422);
        assert_eq!(refused["field"], field, "{refused}");
    }
    assert!(house.get("/api/whatsapp/keys").await.ids().is_empty());
}

#[actix_web::test]
async fn a_key_is_good_from_its_first_use_until_it_expires() {
    let house = House::new().await;
    let (_, key) = house.key_until(&[Scope::Read], None, Some(START + 10 * SECOND)).await;
    assert_eq!(house.get_as(&key, "/api/whatsapp/stats").await.status, 200);
    house.hand.advance(Duration::from_secs(9));
    assert_eq!(house.get_as(&key, "/api/whatsapp/stats").await.status, 200);
    house.hand.advance(Duration::from_secs(1));
    let refused = house.get_as(&key, "/api/whatsapp/stats").await.problem(401);
    assert!(refused["detail"].as_str().unwrap().contains("expired"), "{refused}");
}

#[actix_web::test]
async fn the_last_use_is_written_once_a_minute() {
    let house = House::new().await;
    let (id, key) = house.key(&[Scope::Read], None).await;
    let used = async |at: i64| {
        while house.stored(id).await.last_used_at != Some(at) {
            tokio::task::yield_now().await;
        }
    };
    assert_eq!(house.stored(id).await.last_used_at, None);
    house.get_as(&key, "/api/whatsapp/stats").await;
    used(START).await;
    house.hand.advance(Duration::from_secs(59));
    house.get_as(&key, "/api/whatsapp/stats").await;
    house.hand.advance(Duration::from_secs(1));
    house.get_as(&key, "/api/whatsapp/stats").await;
    // Had the use of a second before been written down, this one would not be yet.
    used(START + MINUTE).await;
}

#[actix_web::test]
async fn a_key_may_ask_so_often_and_is_told_when_to_come_again() {
    let mut house = House::new().await;
    let usual = Rate { per_second: 2, burst: 3 };
    house.deps.keys = ApiKeys::new(Secret::new(KEY).as_ref(), house.store().clone(), usual);
    let (_, key) = house.key(&[Scope::Read], None).await;
    let (_, eager) = house.key(&[Scope::Read], Some(4)).await;
    for (key, burst) in [(KEY, 3), (&key, 3), (&eager, 6)] {
        for _ in 0..burst {
            assert_eq!(house.get_as(key, "/api/whatsapp/stats").await.status, 200);
        }
        let refused = house.get_as(key, "/api/whatsapp/stats").await;
        refused.problem(429);
        assert_eq!(refused.header("retry-after"), "1");
    }
    assert_eq!(house.call(TestRequest::get().uri("/api/whatsapp/health")).await.status, 200);
    // What a key has used of its rate is not forgotten when it is looked up again.
    for _ in 0..4 {
        house.hand.advance(Duration::from_secs(1));
        for status in [200, 200, 429] {
            assert_eq!(house.get_as(&key, "/api/whatsapp/stats").await.status, status);
        }
    }
}

#[actix_web::test]
async fn guesses_do_not_reach_the_database_and_harm_no_known_key() {
    let house = House::new().await;
    let (_, key) = house.key(&[Scope::Read], None).await;
    assert_eq!(house.get_as(&key, "/api/whatsapp/stats").await.status, 200);
    for _ in 0..500 {
        assert_eq!(house.get_as("sb_wrong", "/api/whatsapp/stats").await.status, 401);
    }
    let mut answers = std::collections::BTreeMap::new();
    for guess in 0..150 {
        *answers
            .entry(house.get_as(&format!("sb_{guess}"), "/api/whatsapp/stats").await.status)
            .or_insert(0) += 1;
    }
    // 100 looks at once, of which the first key and the wrong one took one each.
    assert_eq!(answers, [(401, 98), (429, 52)].into());
    assert_eq!(house.get_as(&key, "/api/whatsapp/stats").await.status, 200);
    assert_eq!(house.get("/api/whatsapp/stats").await.status, 200);
    house.hand.advance(Duration::from_secs(1));
    let (_, new) = house.key(&[Scope::Read], None).await;
    assert_eq!(house.get_as(&new, "/api/whatsapp/stats").await.status, 200);
}

#[actix_web::test]
async fn what_was_asked_for_is_in_the_audit_log_with_who_and_what_came_of_it() {
    let house = House::new().await;
    house.hears(&Identity::phone(PERSON), "hi").await;
    let (id, key) = house.key(&[Scope::Send], None).await;
    let send = |body: Value| {
        let request = TestRequest::post().uri("/api/whatsapp/send").set_json(body);
        keyed_with(&key, request)
            .insert_header(("X-Request-Id", "r-1"))
            .insert_header(("Idempotency-Key", "k"))
    };
    let text = json!({"to": PERSON, "type": "text", "body": "confidential"});
    let sent = house.call(send(text.clone())).await;
    assert_eq!((sent.status, sent.header("x-request-id")), (202, "r-1"));
    let accepted = json!({
        "id": house.deeds("").await[0]["id"], "at": "2023-11-14T22:13:20.000Z", "actor": "key", "key_id": id.to_string(),
        "key_name": "test", "action": "send.send", "target": sent.json()["conversation_id"],
        "event_id": sent.json()["event_id"], "outcome": "accepted", "reason": null, "request_id": "r-1",
    });
    assert_eq!(house.deeds("").await, [accepted]);

    assert_eq!(house.call(send(text)).await.json(), sent.json());
    house.call(send(json!({"to": PERSON, "type": "fax"}))).await.problem(422);
    house
        .call(keyed_with(&key, TestRequest::post().uri("/api/whatsapp/conversations/cnv_1/reset")))
        .await
        .problem(403);
    house.call(post("/api/whatsapp/conversations/cnv_1/reset")).await.problem(404);
    let event = house.quarantined().await;
    assert_eq!(house.call(post(&format!("/api/whatsapp/webhooks/{event}/retry"))).await.status, 202);
    house.call(post(&format!("/api/whatsapp/webhooks/{event}/retry"))).await.problem(409);
    let deeds = house.deeds("").await;
    let told: Vec<[&str; 5]> = deeds
        .iter()
        .map(|deed| {
            ["actor", "action", "target", "outcome", "reason"]
                .map(|field| deed[field].as_str().unwrap_or("-"))
        })
        .collect();
    let event = event.to_string();
    let conversation = sent.json()["conversation_id"].as_str().unwrap().to_owned();
    assert_eq!(
        told,
        [
            ["environment key", "webhooks.retry", &event, "refused", "conflict"],
            ["environment key", "webhooks.retry", &event, "done", "-"],
            ["environment key", "conversations.reset", "cnv_1", "refused", "not_found"],
            ["key", "conversations.reset", "cnv_1", "refused", "forbidden"],
            ["key", "send.send", "-", "refused", "invalid_field"],
            ["key", "send.send", "-", "done", "-"],
            ["key", "send.send", &conversation, "accepted", "-"],
        ]
    );
    assert!(!json!(deeds).to_string().contains("confidential"));
    assert!(deeds.iter().all(|deed| deed["request_id"].is_string()), "{deeds:?}");
}

#[actix_web::test]
async fn the_audit_log_is_filtered_and_paged() {
    let house = House::new().await;
    let (id, key) = house.key(&[Scope::Operate], None).await;
    for at in 0..5 {
        house.hand.advance(Duration::from_secs(1));
        let path = format!("/api/whatsapp/conversations/cnv_{at}/reset");
        house.call(keyed_with(&key, TestRequest::post().uri(&path))).await.problem(404);
        house.call(post("/api/whatsapp/keys").set_json(json!({"name": "n", "scopes": ["read"]}))).await;
    }
    for (query, count) in [
        ("", 10),
        ("&actor=key", 5),
        ("&actor=environment%20key&outcome=done", 5),
        (&format!("&key={id}"), 5),
        ("&action=keys.create", 5),
        ("&target=cnv_3", 1),
        ("&outcome=refused", 5),
        ("&since=2023-11-14T22:13:23Z", 6),
        ("&until=2023-11-14T22:13:23Z&actor=key", 2),
    ] {
        assert_eq!(house.deeds(query).await.len(), count, "{query}");
    }
    let mut path = "/api/whatsapp/audit?limit=3".to_owned();
    let mut seen = Vec::new();
    loop {
        let page = house.get(&path).await;
        seen.extend(page.ids());
        let next = page.json()["next_cursor"].as_str().map(str::to_owned);
        let Some(next) = next else { break };
        path = format!("/api/whatsapp/audit?limit=3&cursor={next}");
    }
    let all: Vec<String> =
        house.deeds("").await.iter().map(|deed| deed["id"].as_str().unwrap().to_owned()).collect();
    assert_eq!(seen, all);
    for (field, value) in [("actor", "nobody"), ("key", "1"), ("outcome", "lost"), ("since", "now")] {
        let refused = house.get(&format!("/api/whatsapp/audit?{field}={value}")).await.problem(400);
        assert_eq!(refused["field"], field);
    }
}

#[actix_web::test]
async fn a_request_has_an_id_that_is_given_or_made_up() {
    let house = House::new().await;
    for path in ["/api/whatsapp/health", "/api/whatsapp/nothing", "/metrics"] {
        let made = house.call(TestRequest::get().uri(path)).await;
        assert_eq!(made.header("x-request-id").len(), 36, "{path}");
        let given = house.call(TestRequest::get().uri(path).insert_header(("X-Request-Id", "abc"))).await;
        assert_eq!(given.header("x-request-id"), "abc", "{path}");
        let long = "x".repeat(129);
        for wrong in ["", "a b", &long] {
            let replaced =
                house.call(TestRequest::get().uri(path).insert_header(("X-Request-Id", wrong))).await;
            assert_eq!(replaced.header("x-request-id").len(), 36, "{path}");
        }
    }
}
