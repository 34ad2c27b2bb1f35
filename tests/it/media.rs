//! Files, in both directions: given to us and taken from us, fetched from Meta, uploaded to it.

use reqwest::Response;
use serde_json::Value;

use crate::support::app::{API_KEY, TestApp};
use crate::support::database::on_both;
use crate::support::door;

fn url(test: &TestApp, path: &str) -> String {
    format!("http://{}/api/whatsapp/media{path}", test.app.addr())
}

async fn give(test: &TestApp, mime_type: &str, query: &str, bytes: impl Into<reqwest::Body>) -> (u16, Value) {
    let request = test.http.post(url(test, query)).bearer_auth(API_KEY).header("Content-Type", mime_type);
    let answer = request.body(bytes).send().await.unwrap();
    (answer.status().as_u16(), answer.json().await.unwrap())
}

async fn take(test: &TestApp, id: &str, range: Option<&str>) -> Response {
    let mut request = test.http.get(url(test, &format!("/{id}/content"))).bearer_auth(API_KEY);
    if let Some(range) = range {
        request = request.header("Range", range);
    }
    request.send().await.unwrap()
}

on_both!(what_is_given_is_kept_once_and_served_to_a_key_only, |database| async {
    let test = door::start(database).await;
    let large: Vec<u8> = (0..9_000_000_u32).map(|i| u8::try_from(i % 251).unwrap()).collect();
    let (status, given) = give(&test, "application/pdf", "?filename=M%C3%BCller.pdf", large.clone()).await;
    assert_eq!((status, &given["type"], &given["state"]), (201, &"document".into(), &"ready".into()));
    let id = given["id"].as_str().unwrap();
    let again = give(&test, "application/pdf", "?filename=M%C3%BCller.pdf", large.clone()).await;
    assert_eq!((again.0, &again.1["id"]), (200, &given["id"]));
    let (_, renamed) = give(&test, "application/pdf", "", large.clone()).await;
    assert_ne!(renamed["id"], given["id"]);
    assert_eq!(renamed["sha256"], given["sha256"]);
    let (_, same) = test.get(&format!("/media?sha256={}", given["sha256"].as_str().unwrap())).await;
    assert_eq!(same["data"].as_array().unwrap().len(), 2);

    let answer = take(&test, id, None).await;
    assert_eq!(answer.status(), 200);
    let header = |name: &str| answer.headers()[name].to_str().unwrap().to_owned();
    assert_eq!(header("content-type"), "application/pdf");
    assert_eq!(
        header("content-disposition"),
        "attachment; filename=\"M_ller.pdf\"; filename*=UTF-8''M%C3%BCller.pdf"
    );
    assert_eq!(
        (header("x-content-type-options"), header("cache-control")),
        ("nosniff".into(), "no-store".into())
    );
    assert_eq!(answer.bytes().await.unwrap(), large);
    let part = take(&test, id, Some("bytes=100-103")).await;
    assert_eq!(
        (part.status().as_u16(), part.headers()["content-range"].to_str().unwrap()),
        (206, "bytes 100-103/9000000")
    );
    assert_eq!(part.bytes().await.unwrap(), large[100..104]);
    assert_eq!(take(&test, id, Some("bytes=9000000-")).await.status(), 416);
    for path in ["", &format!("/{id}"), &format!("/{id}/content")] {
        assert_eq!(test.http.get(url(&test, path)).send().await.unwrap().status(), 401, "{path}");
    }
    test.stop().await;
});

on_both!(what_meta_would_not_take_is_refused_at_the_door, |database| async {
    let test = door::start(database).await;
    let (status, problem) = give(&test, "image/jpeg", "", vec![0; (5 << 20) + 1]).await;
    assert_eq!((status, &problem["limit"]), (413, &(5 << 20).into()), "{problem}");
    let (status, problem) = give(&test, "image/gif", "", "GIF89a").await;
    assert_eq!((status, &problem["field"]), (415, &"Content-Type".into()), "{problem}");
    assert_eq!(give(&test, "image/png", "", "").await.0, 422);
    let (status, problem) = give(&test, "image/png", "?filename=a%0D%0Ab", "x").await;
    assert_eq!((status, &problem["field"]), (400, &"filename".into()), "{problem}");
    assert_eq!(give(&test, "image/png", "?caption=x", "x").await.0, 400);
    assert_eq!(take(&test, "med_1", None).await.status(), 404);
    let (_, none) = test.get("/media").await;
    assert_eq!(none["data"], Value::Array(vec![]));
    test.stop().await;
});
