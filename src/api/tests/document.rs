//! The OpenAPI document says what the door does.

use std::collections::BTreeSet;

use serde_json::json;

use super::*;
use crate::api::openapi;

fn document() -> Value {
    serde_json::from_str(&openapi::text()).unwrap()
}

#[actix_web::test]
async fn it_is_served_to_whoever_may_read_and_is_openapi_3_1() {
    let house = House::new().await;
    let answer = house.get("/api/whatsapp/openapi.json").await;
    assert_eq!((answer.status, answer.header("content-type")), (200, "application/json"));
    assert_eq!(answer.json(), document());
    assert!(document()["openapi"].as_str().unwrap().starts_with("3.1"));
}

#[actix_web::test]
async fn the_page_works_by_itself_and_asks_for_a_key() {
    let house = House::new().await;
    for (path, part) in
        [("/docs", "type=\"password\""), ("/docs/app.js", "fetch("), ("/docs/style.css", ":root")]
    {
        let file = house.call(TestRequest::get().uri(path)).await;
        assert_eq!(file.status, 200, "{path}");
        let text = String::from_utf8(file.body.to_vec()).unwrap();
        assert!(text.contains(part), "{path}");
        assert!(!text.contains("http://") && !text.contains("https://"), "{path} loads from elsewhere");
        let policy = file.header("content-security-policy");
        assert!(policy.starts_with("default-src 'none'") && !policy.contains("unsafe"), "{policy}");
    }
}

#[actix_web::test]
async fn the_parameters_that_are_described_are_those_that_are_known() {
    let house = House::new().await;
    let document = document();
    for endpoint in openapi::build().0 {
        let operation = &document["paths"][&endpoint.path][endpoint.method.as_str().to_lowercase()];
        let none = Vec::new();
        let described: BTreeSet<&str> = operation["parameters"]
            .as_array()
            .unwrap_or(&none)
            .iter()
            .filter(|parameter| parameter["in"] == "query")
            .map(|parameter| parameter["name"].as_str().unwrap())
            .collect();
        let path = format!("{}?no_such=1", endpoint.path.replace("{id}", "none"));
        let request = keyed(TestRequest::default().method(endpoint.method.clone()).uri(&path));
        let request =
            if operation["requestBody"].is_object() { request.set_json(json!({})) } else { request };
        let refused = house.call(request).await.problem(400);
        let told = refused["detail"].as_str().unwrap();
        let known: BTreeSet<&str> = told.split('`').skip(3).step_by(2).collect();
        assert_eq!(known, described, "{}: {told}", endpoint.name);
    }
}

#[actix_web::test]
async fn every_example_of_a_message_is_taken() {
    let house = House::new().await;
    house.hears(&Identity::phone("491701234567"), "hi").await;
    let document = document();
    let body = &document["paths"]["/api/whatsapp/send"]["post"]["requestBody"]["content"]["application/json"];
    let examples = body["examples"].as_object().unwrap();
    assert!(examples.len() > crate::domain::outbound::Message::KINDS.len());
    for (name, example) in examples {
        let answer = house.call(post("/api/whatsapp/send").set_json(&example["value"])).await;
        assert_eq!(answer.status, 202, "{name}: {:?}", answer.body);
    }
}

#[actix_web::test]
async fn every_endpoint_is_described_in_full() {
    let document = document();
    let mut names = BTreeSet::new();
    let tags: BTreeSet<&str> =
        document["tags"].as_array().unwrap().iter().map(|tag| tag["name"].as_str().unwrap()).collect();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let place = format!("{method} {path}");
            assert!(names.insert(operation["operationId"].as_str().unwrap()), "{place}: its name is taken");
            assert!(operation["summary"].as_str().is_some_and(|text| !text.is_empty()), "{place}");
            assert!(
                tags.contains(operation["tags"][0].as_str().unwrap()),
                "{place} is in a group without a word"
            );
            let answers = operation["responses"].as_object().unwrap();
            for refusal in ["400", "500"] {
                assert!(answers.contains_key(refusal), "{place}: {refusal}");
            }
            for refusal in ["401", "403", "429", "503"] {
                let keyed = operation["security"].as_array().is_some_and(|keys| !keys.is_empty());
                assert!(!keyed || answers.contains_key(refusal), "{place}: {refusal}");
            }
            for (status, answer) in answers.iter().filter(|(status, _)| status.starts_with('2')) {
                for (kind, content) in answer["content"].as_object().unwrap() {
                    assert!(
                        kind != "application/json" || content["example"] != Value::Null,
                        "{place} {status}"
                    );
                }
            }
            if let Some(content) = operation["requestBody"]["content"].get("application/json") {
                assert!(content["example"].is_object() || content["examples"].is_object(), "{place}");
            }
        }
    }
    for path in names.iter().copied().collect::<BTreeSet<_>>() {
        assert!(path.contains('.'), "{path}");
    }
}
