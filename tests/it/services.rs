//! Services that a flow asks over HTTP: one that answers, fails, hangs, sends elsewhere, talks too much or makes no sense, and what
//! the person hears then.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use switchboard::app::{App, Parts};
use switchboard::clock::Clock;
use switchboard::config::{Config, Secret};
use switchboard::connector::ANSWER_MAX;
use switchboard::flow::Flow;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use crate::support::app::TestApp;
use crate::support::database::{Database, Engine};
use crate::support::{run, until};

const ADA: &str = "4915112345001";
const BO: &str = "4915112345002";

/// The bot of the tests. The address of the service is put in.
const BOT: &str = r#"
switchboard: 1
bot: services
start: main
globals: { "hi": main }
connectors:
  find:
    http: "SERVICE/orders/{number}?for={me}"
    params: { number: number, me: contact.id }
    headers: { X-Shop: "Mill 7" }
    secrets: { Authorization: SHOP_LOGIN }
    take: order
    timeout: 300ms
  cancel:
    http: "SERVICE/cancel/{number}"
    method: POST
    params: { number: number, reason: "'by chat'", at: now }
  log:
    write: update orders set status = 'cancelled' where number = :number and customer_phone = :me
    params: { number: number, me: contact.id }
states:
  main:
    menu: "What?"
    options: [{ label: Find, go: which }, { label: Cancel, go: which_one }]
  which: { ask: "Which?", save: number, go: find }
  find: { call: find, save: order, on: { ok: show, empty: unknown, error: trouble } }
  show: { say: "${ order.number } is ${ order.status }.", go: main }
  which_one: { ask: "Which one?", save: number, go: cancel }
  cancel: { call: cancel, save: receipt, on: { ok: log, error: trouble } }
  log: { call: log, on: { ok: cancelled, error: trouble } }
  cancelled: { say: "Cancelled as ${ receipt.id }.", go: main }
  unknown: { say: "There is no ${ number }.", go: main }
  trouble: { say: "Not now.", go: main }
"#;

/// A request as it came.
#[derive(Debug, Clone)]
struct Asked {
    line: String,
    headers: BTreeMap<String, String>,
    body: String,
}

/// The service. It answers by what is asked for, one request per connection.
struct Service {
    address: String,
    asked: Arc<Mutex<Vec<Asked>>>,
}

impl Service {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let asked = Arc::new(Mutex::new(Vec::new()));
        let noted = Arc::clone(&asked);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(answer(stream, Arc::clone(&noted)));
            }
        });
        Self { address, asked }
    }

    fn flow(&self) -> Flow {
        Flow::parse(&BOT.replace("SERVICE", &self.address), "services.yaml").unwrap()
    }

    fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }
}

async fn answer(mut stream: TcpStream, noted: Arc<Mutex<Vec<Asked>>>) {
    let Some(asked) = read(&mut stream).await else { return };
    noted.lock().unwrap().push(asked.clone());
    let whole = |status: &str, body: &str| {
        format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}", body.len())
    };
    let order = json!({"order": {"number": "A-1", "status": "on its way"}}).to_string();
    let path = asked.line.split(' ').nth(1).unwrap_or_default().to_owned();
    let answer = match path.split(['?', '/']).nth(2).unwrap_or_default() {
        "A-1" if path.starts_with("/cancel") => whole("201 Created", r#"{"id": "C-9"}"#),
        "A-1" => whole("200 OK", &order),
        "nothing" => whole("404 Not Found", "not here"),
        "empty" => whole("200 OK", r#"{"order": null}"#),
        "bare" => whole("204 No Content", ""),
        "garbage" => whole("200 OK", "<html>"),
        "refuses" => whole("500 Internal Server Error", &order),
        "elsewhere" => "HTTP/1.1 302 Found\r\nLocation: /orders/A-1\r\nContent-Length: 0\r\n\r\n".to_owned(),
        "large" => whole("200 OK", &format!("\"{}\"", "x".repeat(ANSWER_MAX))),
        "long" => whole("200 OK", &json!({"order": "x".repeat(20_000)}).to_string()),
        "cut" => format!("HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\n{order}"),
        "hangs" => {
            std::future::pending::<()>().await;
            return;
        }
        other => whole("200 OK", &json!({"order": {"number": other, "status": "odd"}}).to_string()),
    };
    // The other side may have gone.
    let _ = stream.write_all(answer.as_bytes()).await;
    let _ = stream.shutdown().await;
}

async fn read(stream: &mut TcpStream) -> Option<Asked> {
    let mut bytes = Vec::new();
    let head = loop {
        if let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            break end;
        }
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    };
    let text = String::from_utf8(bytes[..head].to_vec()).ok()?;
    let mut lines = text.lines();
    let line = lines.next()?.to_owned();
    let headers: BTreeMap<String, String> = lines
        .filter_map(|line| line.split_once(": "))
        .map(|(name, value)| (name.to_lowercase(), value.to_owned()))
        .collect();
    let length = headers.get("content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
    while bytes.len() < head + 4 + length {
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    }
    let body = String::from_utf8(bytes[head + 4..].to_vec()).ok()?;
    Some(Asked { line, headers, body })
}

fn parts(flow: Flow) -> Parts {
    let variables =
        Arc::new(|name: &str| (name == "SHOP_LOGIN").then(|| Secret::new("Bearer hush")).flatten());
    Parts { variables, ..Parts::new(flow) }
}

async fn start(service: &Service) -> TestApp {
    TestApp::start_with(Database::new(Engine::Sqlite).unwrap(), parts(service.flow()), |_| {}).await
}

/// Says it, and waits until so many replies are there in all.
async fn says(test: &TestApp, phone: &str, text: &str, replies: usize) -> Vec<String> {
    test.meta.say(phone, text).unwrap();
    until(&format!("{replies} replies"), async || {
        let said = test.replies(phone);
        (said.len() >= replies).then_some(said)
    })
    .await
}

#[test]
fn whatever_a_service_does_the_person_hears_what_the_flow_says_of_it() {
    run(async {
        let service = Service::start().await;
        let test = start(&service).await;
        let mut replies = says(&test, ADA, "hi", 1).await.len();
        for (number, heard) in [
            ("A-1", "A-1 is on its way."),
            ("nothing", "There is no nothing."),
            ("empty", "There is no empty."),
            ("bare", "There is no bare."),
            ("garbage", "Not now."),
            ("refuses", "Not now."),
            ("elsewhere", "Not now."),
            ("large", "Not now."),
            ("long", "Not now."),
            ("cut", "Not now."),
            ("hangs", "Not now."),
            ("..", "Not now."),
            ("a b/../?x=1#", "a%20b%2F..%2F%3Fx%3D1%23 is odd."),
        ] {
            says(&test, ADA, "find", replies + 1).await;
            let said = says(&test, ADA, number, replies + 3).await;
            assert_eq!(&said[replies + 1..], [heard, "What?"], "{number}");
            replies += 3;
        }
        let asked = service.asked();
        let first = &asked[0];
        assert_eq!(first.line, format!("GET /orders/A-1?for={ADA} HTTP/1.1"));
        assert_eq!((&*first.headers["x-shop"], &*first.headers["authorization"]), ("Mill 7", "Bearer hush"));
        assert!(!first.headers.contains_key("idempotency-key") && first.body.is_empty());
        assert!(
            !asked.iter().any(|asked| asked.line.contains("/orders/..?")),
            "what leads up is not asked for"
        );
        assert_eq!(
            asked.iter().filter(|asked| asked.line.contains("elsewhere")).count(),
            1,
            "nothing is followed"
        );
        test.stop().await;
    });
}

#[test]
fn a_post_has_what_is_not_in_the_address_and_says_which_call_it_is() {
    run(async {
        let service = Service::start().await;
        let test = start(&service).await;
        for phone in [ADA, BO] {
            says(&test, phone, "hi", 1).await;
            says(&test, phone, "cancel", 2).await;
            let said = says(&test, phone, "A-1", 4).await;
            assert_eq!(&said[2..], ["Cancelled as C-9.", "What?"]);
        }
        let asked = service.asked();
        assert_eq!(asked.len(), 2);
        for request in &asked {
            assert_eq!(request.line, "POST /cancel/A-1 HTTP/1.1");
            let body: Value = serde_json::from_str(&request.body).unwrap();
            assert_eq!(body["reason"], "by chat");
            assert!(body["at"].is_i64() && body.get("number").is_none(), "{body}");
        }
        let keys: Vec<&String> = asked.iter().map(|request| &request.headers["idempotency-key"]).collect();
        assert!(keys[0].starts_with("evt_") && keys[0] != keys[1], "{keys:?}");
        test.stop().await;
    });
}

#[test]
fn a_turn_that_is_worked_out_again_asks_under_the_same_name() {
    run(async {
        let service = Service::start().await;
        // The write after the call is refused: there is no such table. So the turn is worked out a second time.
        let source =
            BOT.replace("SERVICE", &service.address).replace("update orders set", "update no_such_table set");
        let flow = Flow::parse(&source, "services.yaml").unwrap();
        let test = TestApp::start_with(Database::new(Engine::Sqlite).unwrap(), parts(flow), |_| {}).await;
        says(&test, ADA, "hi", 1).await;
        says(&test, ADA, "cancel", 2).await;
        let said = says(&test, ADA, "A-1", 4).await;
        assert_eq!(&said[2..], ["Not now.", "What?"]);
        let asked = service.asked();
        assert_eq!(asked.len(), 2, "once in each run");
        assert_eq!(asked[0].headers["idempotency-key"], asked[1].headers["idempotency-key"]);
        assert_eq!(asked[0].body, asked[1].body);
        test.stop().await;
    });
}

#[test]
fn a_flow_whose_services_cannot_be_asked_does_not_start() {
    run(async {
        let source = BOT.replace("SERVICE", "http://erp.example");
        let start = async |variable: &'static str, allowed: &[&str]| {
            let folder = tempfile::tempdir().unwrap();
            let mut config = Config::default();
            config.listen = "127.0.0.1:0".parse().unwrap();
            config.database.url = switchboard::config::DatabaseUrl::new(format!(
                "sqlite://{}?mode=rwc",
                folder.path().join("a.db").display()
            ))
            .unwrap();
            config.media.url = folder.path().join("media").display().to_string();
            config.meta.app_secret = Secret::new("s");
            config.meta.verify_token = Secret::new("v");
            config.connectors.plain_http = allowed.iter().map(|host| (*host).to_owned()).collect();
            let variables =
                Arc::new(move |name: &str| (name == variable).then(|| Secret::new("x")).flatten());
            let flow = Flow::parse(&source, "services.yaml").unwrap();
            let parts = Parts { variables, clock: Clock::system(), ..Parts::new(flow) };
            match App::start(config, parts).await {
                Ok(app) => {
                    app.stop().await;
                    String::new()
                }
                Err(error) => format!("{error:#}"),
            }
        };
        let told = start("OTHER", &[]).await;
        for part in [
            "`services`",
            "connector `find`",
            "SHOP_LOGIN is not set",
            "`erp.example` would be asked over plain http",
        ] {
            assert!(told.contains(part), "{part}: {told}");
        }
        assert_eq!(start("SHOP_LOGIN", &["erp.example"]).await, "");
    });
}
