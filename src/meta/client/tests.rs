//! The client against a real socket: one canned answer, or none.

use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use super::*;
use crate::meta::failure::Policy;
use crate::meta::request;

const TOKEN: &str = "EAAG-hunter2";

fn settings(port: u16) -> Settings {
    Settings {
        graph_url: format!("http://127.0.0.1:{port}"),
        version: "v26.0".into(),
        token: Secret::new(TOKEN).unwrap(),
        timeout: Duration::from_secs(30),
        connect_timeout: Duration::from_secs(5),
    }
}

fn client(port: u16) -> Client {
    Client::new(&settings(port)).unwrap()
}

/// A server that takes one request whole, answers `answer` as it is and closes. Gives its port and the request.
async fn server(answer: String) -> (u16, JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let request = tokio::spawn(async move {
        let (mut socket, _) = listener.accept().await.unwrap();
        let request = whole_request(&mut socket).await;
        socket.write_all(answer.as_bytes()).await.unwrap();
        socket.shutdown().await.unwrap();
        request
    });
    (port, request)
}

async fn whole_request(socket: &mut TcpStream) -> String {
    let mut request = Vec::new();
    loop {
        let mut chunk = [0; 4096];
        let length = socket.read(&mut chunk).await.unwrap();
        request.extend_from_slice(&chunk[..length]);
        let text = String::from_utf8_lossy(&request);
        if length == 0 || (text.contains("\r\n\r\n") && text.ends_with('}')) {
            return text.into_owned();
        }
    }
}

fn http(status: &str, headers: &str, body: &str) -> String {
    format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n{headers}\r\n{body}", body.len())
}

/// What one send comes to when the server answers so.
async fn outcome(answer: String) -> Outcome {
    let (port, request) = server(answer).await;
    let outcome = client(port).send("106", &json!({"type": "text"})).await;
    request.await.unwrap();
    outcome
}

#[tokio::test]
async fn an_accepted_message_has_its_id_and_its_person() {
    let answer = r#"{"messaging_product":"whatsapp","contacts":[{"input":"+49 1","wa_id":"491","user_id":"DE.1"}],
        "messages":[{"id":"wamid.A","message_status":"accepted"}]}"#;
    let (port, request) = server(http("200 OK", "", answer)).await;
    let outcome = client(port).send("106", &json!({"type": "text"})).await;
    let (wa_id, user_id) = (Some("491".into()), Some("DE.1".into()));
    assert_eq!(outcome, Outcome::Accepted { wamid: Some("wamid.A".into()), wa_id, user_id });
    let request = request.await.unwrap();
    assert!(request.starts_with("POST /v26.0/106/messages HTTP/1.1\r\n"), "{request}");
    let lower = request.to_lowercase();
    assert!(lower.contains(&format!("authorization: bearer {}", TOKEN.to_lowercase())), "{request}");
    assert!(lower.contains("content-type: application/json"), "{request}");
    assert!(request.ends_with(r#"{"type":"text"}"#), "{request}");
}

#[tokio::test]
async fn a_refusal_has_metas_code_and_wait() {
    let body = r#"{"error":{"message":"(#131056) pair","code":131056,"fbtrace_id":"T"}}"#;
    let Outcome::Refused(refused) = outcome(http("400 Bad Request", "Retry-After: 7\r\n", body)).await else {
        panic!()
    };
    assert_eq!(
        (refused.http_status, refused.failure.code, refused.policy()),
        (400, 131_056, Policy::PairPause)
    );
    assert_eq!(refused.retry_after, Some(Duration::from_secs(7)));
}

#[tokio::test]
async fn a_500_of_metas_is_a_refusal_and_a_gateways_is_ambiguous() {
    let body = r#"{"error":{"message":"down","code":131016}}"#;
    assert!(matches!(outcome(http("500 Error", "", body)).await, Outcome::Refused(_)));
    assert!(matches!(outcome(http("502 Bad Gateway", "", "<html>")).await, Outcome::Ambiguous(_)));
    assert!(matches!(outcome(http("404 Not Found", "", "<html>")).await, Outcome::Refused(_)));
}

#[tokio::test]
async fn a_success_that_says_nothing_is_ambiguous() {
    for body in ["", "garbage", "[]", r#"{"messages":[]}"#, r#"{"messages":[{"id":""}]}"#] {
        assert!(matches!(outcome(http("200 OK", "", body)).await, Outcome::Ambiguous(_)), "{body}");
    }
    let huge = http("200 OK", "", &"x".repeat(3 * ANSWER_MAX));
    let (port, _request) = server(huge).await;
    let sent = client(port).send("106", &json!({"type": "text"})).await;
    assert!(matches!(sent, Outcome::Ambiguous(_)));
}

#[tokio::test]
async fn a_success_that_holds_an_error_is_a_refusal() {
    let body = r#"{"error":{"message":"no","code":100}}"#;
    assert!(matches!(outcome(http("200 OK", "", body)).await, Outcome::Refused(_)));
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let moved = http("302 Found", "Location: http://127.0.0.1:1/elsewhere\r\n", "");
    let Outcome::Refused(refused) = outcome(moved).await else { panic!() };
    assert_eq!((refused.http_status, refused.policy()), (302, Policy::Permanent));
}

#[tokio::test]
async fn a_connection_that_is_cut_after_the_request_is_ambiguous() {
    assert!(matches!(outcome(String::new()).await, Outcome::Ambiguous(_)));
    let cut = "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{\"messages\":".to_owned();
    assert!(matches!(outcome(cut).await, Outcome::Ambiguous(_)));
}

#[tokio::test]
async fn no_answer_in_time_is_ambiguous() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let (timeout, connect_timeout) = (Duration::from_millis(50), Duration::from_millis(49));
    let client = Client::new(&Settings { timeout, connect_timeout, ..settings(port) }).unwrap();
    let outcome = client.send("106", &json!({"type": "text"})).await;
    let Outcome::Ambiguous(reason) = outcome else { panic!("{outcome:?}") };
    assert!(reason.starts_with("no answer in time"), "{reason}");
}

#[tokio::test]
async fn without_a_connection_nothing_was_sent_and_the_reason_shows_no_token() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    let client = client(port);
    let outcome = client.send("106", &json!({"type": "text"})).await;
    let Outcome::NotSent(reason) = outcome else { panic!("{outcome:?}") };
    assert!(reason.starts_with("no connection: "), "{reason}");
    assert!(!format!("{reason} {client:?}").contains("hunter2"));
}

#[tokio::test]
async fn a_failed_tls_handshake_sent_nothing() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let server = tokio::spawn(async move {
        let (mut socket, _) = listener.accept().await.unwrap();
        socket.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await.unwrap();
        socket.shutdown().await.unwrap();
    });
    let graph_url = format!("https://127.0.0.1:{port}");
    let client =
        Client::new(&Settings { graph_url, ..settings(port) }).expect("CA certificates are installed");
    let outcome = client.send("106", &json!({"type": "text"})).await;
    assert!(matches!(outcome, Outcome::NotSent(_)), "{outcome:?}");
    server.await.unwrap();
}

#[test]
fn settings_that_cannot_work_are_refused() {
    let refused = |settings: &Settings| Client::new(settings).unwrap_err();
    let slow = Settings { connect_timeout: Duration::from_secs(30), ..settings(1) };
    assert!(matches!(refused(&slow), BadSetting::Timeouts { .. }));
    assert!(matches!(refused(&Settings { version: "26".into(), ..settings(1) }), BadSetting::Version(_)));
    assert!(matches!(
        refused(&Settings { token: Secret::new(" ").unwrap(), ..settings(1) }),
        BadSetting::Token
    ));
}

#[tokio::test]
async fn a_new_token_serves_all_clones_from_the_next_attempt_on() {
    let (port, request) = server(http("200 OK", "", r#"{"success":true}"#)).await;
    let client = client(port);
    let clone = client.clone();
    assert!(client.set_token(&Secret::new("two\nlines").unwrap()).is_err());
    client.set_token(&Secret::new("EAAG-new").unwrap()).unwrap();
    let outcome = clone.send("106", &request::mark_read("wamid.A", true)).await;
    assert_eq!(outcome, Outcome::Accepted { wamid: None, wa_id: None, user_id: None });
    let request = request.await.unwrap();
    assert!(request.contains("Bearer EAAG-new") && request.contains("typing_indicator"), "{request}");
}

/// A server that answers one request after the other, each on a connection of its own. Gives its port and the requests.
async fn pages(answers: Vec<String>) -> (u16, JoinHandle<Vec<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let requests = tokio::spawn(async move {
        let mut requests = Vec::new();
        for answer in answers {
            let (mut socket, _) = listener.accept().await.unwrap();
            let mut request = Vec::new();
            while !request.ends_with(b"\r\n\r\n") {
                socket.read_buf(&mut request).await.unwrap();
            }
            requests.push(String::from_utf8(request).unwrap());
            socket.write_all(answer.as_bytes()).await.unwrap();
            socket.shutdown().await.unwrap();
        }
        requests
    });
    (port, requests)
}

fn template_page(names: std::ops::Range<usize>, paging: &str) -> String {
    let entry = |n: usize| {
        format!(
            r#"{{"name":"t{n}","language":"en","status":"APPROVED","category":"UTILITY","id":"{n}","components":[{{"type":"BODY","text":"{}"}}]}}"#,
            "x".repeat(1_000)
        )
    };
    let entries: Vec<String> = names.map(entry).collect();
    http("200 OK", "", &format!(r#"{{"data":[{}],"paging":{{{paging}}}}}"#, entries.join(",")))
}

#[tokio::test]
async fn templates_are_read_to_the_last_page_and_the_token_stays_here() {
    let first = r#""cursors":{"before":"A","after":"B C"},"next":"https:\/\/evil.example\/next""#;
    let (port, requests) =
        pages(vec![template_page(0..100, first), template_page(100..101, r#""cursors":{"after":"D"}"#)])
            .await;
    let listing = client(port).templates("102290129340398").await.unwrap();
    assert_eq!((listing.templates.len(), listing.whole), (101, true));
    assert_eq!(listing.templates[100].name, "t100");
    let requests = requests.await.unwrap();
    assert!(
        requests[0].starts_with("GET /v26.0/102290129340398/message_templates?fields=id%2Cname%2C"),
        "{}",
        requests[0]
    );
    assert!(requests[0].contains("limit=100") && !requests[0].contains("after="), "{}", requests[0]);
    assert!(requests[1].contains("&after=B+C "), "{}", requests[1]);
    assert!(requests.iter().all(|request| request.to_lowercase().contains("authorization: bearer")));
}

#[tokio::test]
async fn a_list_with_an_entry_that_cannot_be_read_is_not_whole() {
    let (port, _) =
        pages(vec![http("200 OK", "", r#"{"data":[{"name":"x","language":"en"},{"id":"7"},5]}"#)]).await;
    let listing = client(port).templates("1").await.unwrap();
    assert_eq!((listing.templates.len(), listing.whole), (1, false));
}

#[tokio::test]
async fn a_list_that_is_refused_or_is_none_is_trouble() {
    let refused = r#"{"error":{"message":"(#80007) Rate limit hit","code":80007,"fbtrace_id":"A"}}"#;
    let (port, _) = pages(vec![http("400 Bad Request", "", refused)]).await;
    let trouble = client(port).templates("1").await.unwrap_err();
    assert!(matches!(trouble, Trouble::Refused(refused) if refused.policy() == Policy::SlowNumber));
    for body in ["{}", "[]", "{\"data\":[", ""] {
        let (port, _) = pages(vec![http("200 OK", "", body)]).await;
        assert!(matches!(client(port).templates("1").await, Err(Trouble::Unanswered(_))), "{body}");
    }
}
