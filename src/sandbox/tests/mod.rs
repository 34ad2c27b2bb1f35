//! The local Meta over real sockets: a receiver of webhooks on one side, a Graph client on the other.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use actix_web::web::{Bytes, Data};
use actix_web::{App, HttpRequest, HttpResponse, HttpServer, web};
use serde_json::{Value, json};
use tokio::sync::watch;

use super::*;
use crate::clock::Clock;

mod limits;
mod media;
mod people;
mod statuses;
mod templates;
mod trouble;

const ADA: &str = "4915112345001";
/// Long enough for any machine: it is only reached when a test fails.
const PATIENCE: Duration = Duration::from_secs(30);

/// What a receiver got: signature, raw body, what it answered.
type Post = (String, Vec<u8>, u16);

/// A program that receives webhooks. It answers 503 as often as it is told to, then 200.
struct Receiver {
    addr: SocketAddr,
    posts: watch::Receiver<Vec<Post>>,
}

#[derive(Clone)]
struct Desk {
    posts: Arc<watch::Sender<Vec<Post>>>,
    refusals: Arc<Mutex<usize>>,
}

async fn take(request: HttpRequest, body: Bytes, desk: Data<Desk>) -> HttpResponse {
    let signature = request.headers().get("X-Hub-Signature-256").unwrap().to_str().unwrap().to_owned();
    let status = {
        let mut refusals = lock(&desk.refusals);
        let refused = *refusals > 0;
        *refusals = refusals.saturating_sub(1);
        if refused { 503 } else { 200 }
    };
    desk.posts.send_modify(|posts| posts.push((signature, body.to_vec(), status)));
    HttpResponse::build(actix_web::http::StatusCode::from_u16(status).unwrap()).finish()
}

impl Receiver {
    fn start(refusals: usize) -> Self {
        let (sender, posts) = watch::channel(Vec::new());
        let desk = Desk { posts: Arc::new(sender), refusals: Arc::new(Mutex::new(refusals)) };
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let addr = listener.local_addr().unwrap();
        let server = HttpServer::new(move || {
            // As large as Meta's bodies can be.
            let limit = web::PayloadConfig::new(3_000_000);
            App::new()
                .app_data(Data::new(desk.clone()))
                .app_data(limit)
                .route("/webhook", web::post().to(take))
        })
        .workers(1)
        .disable_signals()
        .listen(listener)
        .unwrap()
        .run();
        actix_web::rt::spawn(server);
        Self { addr, posts }
    }

    fn url(&self) -> String {
        format!("http://{}/webhook", self.addr)
    }

    /// The posts, once there are updates enough in those that were answered 200.
    async fn updates(&mut self, list: &str, count: usize) -> (Vec<Post>, Vec<Value>) {
        let enough = |posts: &Vec<Post>| accepted(posts, list).len() >= count;
        let posts = tokio::time::timeout(PATIENCE, self.posts.wait_for(enough)).await;
        let posts = posts.expect("the updates never came").unwrap().clone();
        let updates = accepted(&posts, list);
        (posts, updates)
    }
}

/// All items of `list` in the posts that were answered 200.
fn accepted(posts: &[Post], list: &str) -> Vec<Value> {
    let mut items = Vec::new();
    for (_, body, _) in posts.iter().filter(|post| post.2 == 200) {
        let body: Value = serde_json::from_slice(body).unwrap();
        for change in body["entry"][0]["changes"].as_array().unwrap() {
            items.extend(change["value"][list].as_array().into_iter().flatten().cloned());
        }
    }
    items
}

async fn start() -> LocalMeta {
    start_with(None, true).await
}

async fn start_with(webhook_url: Option<String>, statuses: bool) -> LocalMeta {
    let listen = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let settings = Settings { webhook_url, statuses, limits: Limits::none(), ..Settings::made_up(listen) };
    LocalMeta::start(settings, Clock::system()).await.unwrap()
}

/// Sends to the Graph side with the right token. The answer is the status and the JSON.
async fn send(meta: &LocalMeta, body: Value) -> reqwest::Result<(u16, Value)> {
    let url = format!("{}/v26.0/{}/messages", meta.graph_url(), meta.settings().phone_number_id);
    let answer = server::client()?.post(url).bearer_auth(&meta.settings().token).json(&body).send().await?;
    Ok((answer.status().as_u16(), answer.json().await?))
}

fn text(to: &str, body: &str) -> Value {
    json!({"messaging_product": "whatsapp", "to": to, "type": "text", "text": {"body": body},
        "biz_opaque_callback_data": format!("id of {body}")})
}

fn texts(entries: &[Entry]) -> Vec<&str> {
    entries.iter().map(|entry| &*entry.content.text).collect()
}

#[actix_web::test]
async fn everything_a_phone_says_arrives_signed_in_order_and_once_though_the_first_posts_fail() {
    let mut receiver = Receiver::start(2);
    let meta = start_with(Some(receiver.url()), true).await;
    for n in 0..50 {
        meta.say(ADA, &format!("caf\u{e9} {n}/50")).unwrap();
    }
    let (posts, messages) = receiver.updates("messages", 50).await;
    for (signature, body, _) in &posts {
        assert_eq!(*signature, meta.sign(body), "the signature is over the raw bytes");
        assert!(
            body.is_ascii() && !String::from_utf8_lossy(body).contains(" 0/50"),
            "escaped as on Meta's wire"
        );
    }
    let got: Vec<&str> = messages.iter().map(|message| message["text"]["body"].as_str().unwrap()).collect();
    let said: Vec<String> = (0..50).map(|n| format!("caf\u{e9} {n}/50")).collect();
    assert_eq!(got, said);
    assert_eq!(posts.iter().filter(|post| post.2 == 503).count(), 2);
    assert_eq!(posts[0].1, posts[1].1, "a retry carries the same bytes");
    assert_eq!(meta.delivered().failed, 2);
    meta.stop().await;
}

#[actix_web::test]
async fn a_webhook_has_metas_shape() {
    let mut receiver = Receiver::start(0);
    let meta = start_with(Some(receiver.url()), true).await;
    let wamid = meta.say(ADA, "hi").unwrap();
    let (posts, messages) = receiver.updates("messages", 1).await;
    let body: Value = serde_json::from_slice(&posts[0].1).unwrap();
    assert_eq!(body["object"], "whatsapp_business_account");
    assert_eq!(body["entry"][0]["id"], *meta.settings().business_account_id);
    let value = &body["entry"][0]["changes"][0]["value"];
    assert_eq!(value["metadata"]["phone_number_id"], *meta.settings().phone_number_id);
    let user_id = meta.phones()[0].user_id.clone();
    assert_eq!(value["contacts"], json!([{"profile": {"name": "Ada"}, "wa_id": ADA, "user_id": user_id}]));
    let message = &messages[0];
    assert_eq!(
        (&message["id"], &message["from"], &message["type"]),
        (&json!(wamid), &json!(ADA), &json!("text"))
    );
    assert!(message["timestamp"].as_str().unwrap().parse::<i64>().unwrap() > 1_700_000_000);
}

#[actix_web::test]
async fn a_send_is_delivered_and_its_statuses_carry_our_own_id() {
    let mut receiver = Receiver::start(0);
    let meta = start_with(Some(receiver.url()), true).await;
    let (status, answer) = send(&meta, text("+49 151 12345001", "hello")).await.unwrap();
    assert_eq!(status, 200);
    let wamid = answer["messages"][0]["id"].as_str().unwrap();
    assert_eq!(answer["contacts"][0]["input"], "+49 151 12345001");
    assert_eq!(answer["contacts"][0]["wa_id"], ADA);
    let replies = meta.wait_for(ADA, 1, PATIENCE).await;
    assert_eq!((&*replies[0].wamid, replies[0].callback_data.as_deref()), (wamid, Some("id of hello")));

    assert_eq!(meta.open(ADA), 1);
    let (_, statuses) = receiver.updates("statuses", 3).await;
    let words: Vec<&str> = statuses.iter().map(|status| status["status"].as_str().unwrap()).collect();
    assert_eq!(words, ["sent", "delivered", "read"]);
    for status in &statuses {
        assert_eq!(
            (&status["id"], &status["biz_opaque_callback_data"]),
            (&json!(wamid), &json!("id of hello"))
        );
        assert_eq!(status["pricing"].is_null(), status["status"] == "read");
    }
    assert_eq!(meta.transcript(ADA)[0].status, Status::Read);
}

#[actix_web::test]
async fn a_business_scoped_id_reaches_the_same_phone_and_a_strange_one_nobody() {
    let meta = start().await;
    let user_id = meta.phones()[0].user_id.clone();
    let body =
        |id: &str| json!({"messaging_product": "whatsapp", "recipient": id, "text": {"body": "by id"}});
    let (status, answer) = send(&meta, body(&user_id)).await.unwrap();
    assert_eq!((status, &answer["contacts"]), (200, &json!([{"input": user_id, "user_id": user_id}])));
    assert_eq!(texts(&meta.transcript(ADA)), ["by id"]);
    let (status, answer) = send(&meta, body("US.404")).await.unwrap();
    assert_eq!((status, &answer["error"]["code"]), (400, &json!(131_026)));
    let (_, answer) = send(&meta, text(&meta.settings().display_phone_number, "to myself")).await.unwrap();
    assert_eq!(answer["error"]["code"], 131_021);
}

#[actix_web::test]
async fn the_graph_side_refuses_like_meta_and_delivers_nothing_then() {
    let meta = start().await;
    let client = server::client().unwrap();
    let post = |number: &str, token: &str, body: &'static str| {
        let url = format!("{}/v26.0/{number}/messages", meta.graph_url());
        client.post(url).bearer_auth(token).body(body).send()
    };
    let number = &*meta.settings().phone_number_id;
    let token = &*meta.settings().token;
    for (answer, status, code) in [
        (post(number, "wrong", "{}"), 401, 190),
        (post("1", token, "{}"), 400, 100),
        (post(number, token, "{nonsense"), 400, 100),
        (post(number, token, r#"{"messaging_product":"whatsapp","to":"4915112345001"}"#), 400, 131_008),
    ] {
        let answer = answer.await.unwrap();
        assert_eq!(answer.status(), status);
        assert_eq!(answer.json::<Value>().await.unwrap()["error"]["code"], code);
    }
    assert_eq!(meta.transcript(ADA), []);
    assert_eq!((meta.received_count(), meta.requests()[0].answered), (4, Some(401)));

    let node = client.get(format!("{}/v26.0/{number}?fields=display_phone_number", meta.graph_url()));
    let node: Value = node.bearer_auth(token).send().await.unwrap().json().await.unwrap();
    assert_eq!(node, json!({"id": number, "display_phone_number": meta.settings().display_phone_number}));
}

#[actix_web::test]
async fn error_rules_refuse_cut_and_hang_as_they_say() {
    let meta = start().await;
    let rule = |times, outcome| meta.set_rule(Rule { phone: Some(ADA.into()), times, outcome }).unwrap();

    rule(Times::Next(2), Outcome::Error { code: 130_429, status: None });
    for (to, expected) in [(ADA, 429), ("4915112345002", 200), (ADA, 429), (ADA, 200)] {
        assert_eq!(send(&meta, text(to, "1")).await.unwrap().0, expected);
    }
    rule(Times::Next(1), Outcome::CutBefore);
    assert!(send(&meta, text(ADA, "cut before")).await.is_err());
    rule(Times::Next(1), Outcome::CutAfter);
    assert!(send(&meta, text(ADA, "cut after")).await.is_err());
    assert_eq!(meta.requests().last().unwrap().answered, None);

    rule(Times::Next(1), Outcome::HangAfter);
    let hanging = tokio::select! {
        answer = send(&meta, text(ADA, "hang after")) => Err(answer),
        replies = meta.wait_for(ADA, 3, PATIENCE) => Ok(replies),
    };
    assert_eq!(texts(&hanging.expect("it is never answered")), ["1", "cut after", "hang after"]);
    assert_eq!(meta.rules(), []);
}

#[actix_web::test]
async fn a_button_is_pressed_by_its_id_or_its_title_and_answers_the_message_it_stood_under() {
    let mut receiver = Receiver::start(0);
    let meta = start_with(Some(receiver.url()), false).await;
    assert_eq!(meta.press(ADA, "track"), Err(CannotSay::NothingToPress("track".into())));
    let menu = json!({"messaging_product": "whatsapp", "to": ADA, "type": "interactive", "interactive": {
        "type": "button", "body": {"text": "Choose"},
        "action": {"buttons": [{"type": "reply", "reply": {"id": "track", "title": "Track an order"}}]},
    }});
    let (_, answer) = send(&meta, menu).await.unwrap();
    meta.press(ADA, "track").unwrap();
    meta.press(ADA, "track an ORDER").unwrap();
    for message in receiver.updates("messages", 2).await.1 {
        assert_eq!(message["interactive"]["button_reply"], json!({"id": "track", "title": "Track an order"}));
        let context =
            json!({"from": meta.settings().display_phone_number, "id": answer["messages"][0]["id"]});
        assert_eq!(message["context"], context);
    }
}

#[actix_web::test]
async fn reading_a_message_shows_on_the_phone_with_the_typing_indicator_until_the_reply() {
    let meta = start().await;
    let wamid = meta.say(ADA, "hi").unwrap();
    let read = |wamid: &str| json!({"messaging_product": "whatsapp", "status": "read", "message_id": wamid, "typing_indicator": {"type": "text"}});
    assert_eq!(send(&meta, read(&wamid)).await.unwrap(), (200, json!({"success": true})));
    assert_eq!((meta.transcript(ADA)[0].status, meta.phones()[0].typing), (Status::Read, true));
    send(&meta, text(ADA, "hello")).await.unwrap();
    assert!(!meta.phones()[0].typing);
    assert_eq!(send(&meta, read("wamid.unknown")).await.unwrap().1["error"]["code"], 131_009);
}

#[actix_web::test]
async fn a_script_holds_a_conversation_over_plain_http() {
    let mut receiver = Receiver::start(0);
    let meta = start_with(Some(receiver.url()), true).await;
    let url = format!("{}/phones/{ADA}/messages", meta.graph_url());
    let bot = {
        let meta = meta.clone();
        async move {
            receiver.updates("messages", 1).await;
            send(&meta, text(ADA, "first")).await.unwrap();
            send(&meta, text(ADA, "second")).await.unwrap();
        }
    };
    let script = server::client().unwrap().post(format!("{url}?wait=20000")).body(r#"{"text":"hi"}"#).send();
    let (answer, ()) = futures_util::future::join(script, bot).await;
    let answer: Value = answer.unwrap().json().await.unwrap();
    assert_eq!((&answer["sent"]["text"], &answer["sent"]["kind"]), (&json!("hi"), &json!("text")));
    let replies: Vec<&Value> =
        answer["replies"].as_array().unwrap().iter().map(|reply| &reply["text"]).collect();
    assert_eq!(replies, ["first", "second"]);

    let bad = server::client().unwrap().post(&url).body(r#"{"press":"nothing"}"#).send().await.unwrap();
    assert_eq!(bad.status(), 400);
    assert!(bad.json::<Value>().await.unwrap()["detail"].as_str().unwrap().contains("`nothing`"));
}

#[actix_web::test]
async fn pages_of_other_sites_are_turned_away_and_its_own_is_served() {
    let meta = start().await;
    let client = server::client().unwrap();
    let say =
        || client.post(format!("{}/phones/{ADA}/messages?wait=0", meta.graph_url())).body(r#"{"text":"x"}"#);
    assert_eq!(say().header("Origin", "http://evil.example").send().await.unwrap().status(), 403);
    assert_eq!(say().header("Host", "evil.example").send().await.unwrap().status(), 403);
    assert_eq!(meta.transcript(ADA), []);
    assert_eq!(say().header("Origin", meta.graph_url()).send().await.unwrap().status(), 200);

    let page = client.get(meta.graph_url()).send().await.unwrap();
    assert_eq!(page.status(), 200);
    assert!(page.headers()["Content-Security-Policy"].to_str().unwrap().starts_with("default-src 'self'"));
    for (file, of_type) in [
        ("app.js", "text/javascript"),
        ("bubble.js", "text/javascript"),
        ("levers.js", "text/javascript"),
        ("net.js", "text/javascript"),
        ("style.css", "text/css"),
    ] {
        let file = client.get(format!("{}/{file}", meta.graph_url())).send().await.unwrap();
        assert!(file.headers()["Content-Type"].to_str().unwrap().starts_with(of_type));
    }
    // The event stream says "look" at once, so that a page that connects late is never stale.
    let mut events = client.get(format!("{}/events", meta.graph_url())).send().await.unwrap();
    assert!(events.chunk().await.unwrap().unwrap().starts_with(b"data: "));
}

#[actix_web::test]
async fn a_body_of_a_test_is_signed_and_delivered_as_it_is() {
    let mut receiver = Receiver::start(1);
    let meta = start_with(Some(receiver.url()), true).await;
    assert_eq!(meta.deliver(b"{not json".to_vec()).await, Ok(503));
    assert_eq!(meta.deliver(b"{not json".to_vec()).await, Ok(200));
    let posts = receiver.posts.wait_for(|posts| posts.len() == 2).await.unwrap().clone();
    assert_eq!(posts[1], (meta.sign(b"{not json"), b"{not json".to_vec(), 200));
}

#[actix_web::test]
async fn what_waited_for_an_address_goes_out_when_there_is_one() {
    let meta = start().await;
    meta.say(ADA, "early").unwrap();
    let mut receiver = Receiver::start(0);
    assert!(meta.set_webhook_url("http://example.com/").is_err());
    meta.set_webhook_url(&receiver.url()).unwrap();
    assert_eq!(receiver.updates("messages", 1).await.1[0]["text"]["body"], "early");
}

#[actix_web::test]
async fn it_listens_on_this_machine_only_and_is_gone_after_stop() {
    let everywhere = Settings::made_up(SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)));
    assert!(
        LocalMeta::start(everywhere, Clock::system()).await.unwrap_err().to_string().contains("127.0.0.1")
    );
    let meta = start().await;
    meta.stop().await;
    assert!(send(&meta, text(ADA, "late")).await.is_err());
    meta.set_webhook_url("http://127.0.0.1:9/").unwrap();
    assert!(meta.deliver(Vec::new()).await.unwrap_err().to_string().contains("has stopped"));
}
