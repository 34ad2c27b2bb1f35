//! A Graph API that knows files only, and does with each request what it is told to: what a download that breaks in its
//! middle or never ends looks like, to the byte. Messages that are sent to it are taken.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use switchboard::config::Config;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;

use super::wire;

/// What becomes of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mishap {
    /// HTTP 500 that is not Meta's own.
    Broken,
    /// HTTP 404.
    Gone,
    /// Half of it, and the connection ends.
    Half,
    /// Half of it, and then nothing until [`Shelf::go_on`].
    Hangs,
    /// Other bytes, as many.
    Wrong,
    /// The address that is told is a stranger's.
    Stranger,
    /// Meta's error 100.
    Refused,
}

#[derive(Default)]
struct State {
    files: HashMap<String, (String, Vec<u8>)>,
    forgotten: HashSet<String>,
    of_info: VecDeque<Mishap>,
    of_download: VecDeque<Mishap>,
    of_upload: VecDeque<Mishap>,
    requests: Vec<String>,
    sent: Vec<Value>,
}

/// The Graph API.
pub(crate) struct Shelf {
    pub(crate) url: String,
    state: Arc<Mutex<State>>,
    more: Arc<Notify>,
}

struct Request {
    line: String,
    head: String,
    body: Vec<u8>,
}

impl Shelf {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let shelf = Self { url: url.clone(), state: Arc::default(), more: Arc::default() };
        let (state, more) = (Arc::clone(&shelf.state), Arc::clone(&shelf.more));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, url.clone(), Arc::clone(&state), Arc::clone(&more)));
            }
        });
        shelf
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// Has the app ask here.
    pub(crate) fn serve(&self, config: &mut Config) {
        config.meta.graph_url.clone_from(&self.url);
    }

    /// Puts a file here, and returns the message by which a person sends it.
    pub(crate) fn photo(&self, phone: &str, id: &str, bytes: &[u8]) -> Value {
        self.state().files.insert(id.to_owned(), ("image/jpeg".to_owned(), bytes.to_vec()));
        let hash = BASE64.encode(Sha256::digest(bytes));
        json!({
            "from": phone, "id": format!("wamid.{phone}.{id}"), "timestamp": "1795337387", "type": "image",
            "image": {"id": id, "mime_type": "image/jpeg", "sha256": hash, "caption": "look"},
        })
    }

    /// What becomes of the next questions about files.
    pub(crate) fn next_infos(&self, mishaps: &[Mishap]) {
        self.state().of_info.extend(mishaps);
    }

    /// What becomes of the next downloads.
    pub(crate) fn next_downloads(&self, mishaps: &[Mishap]) {
        self.state().of_download.extend(mishaps);
    }

    /// What becomes of the next uploads.
    pub(crate) fn next_uploads(&self, mishaps: &[Mishap]) {
        self.state().of_upload.extend(mishaps);
    }

    /// Has Meta forget this file.
    pub(crate) fn forget(&self, id: &str) {
        self.state().forgotten.insert(id.to_owned());
    }

    /// Whether there is no such file, or none any more.
    pub(crate) fn forgotten_or_unknown(&self, id: &Value) -> bool {
        let (state, id) = (self.state(), id.as_str().unwrap());
        !state.files.contains_key(id) || state.forgotten.contains(id)
    }

    /// The bodies of the messages that were taken.
    pub(crate) fn sent(&self) -> Vec<Value> {
        self.state().sent.clone()
    }

    /// Lets the download that hangs go on.
    pub(crate) fn go_on(&self) {
        self.more.notify_one();
    }

    /// How many requests began like this.
    pub(crate) fn asked(&self, beginning: &str) -> usize {
        self.state().requests.iter().filter(|line| line.starts_with(beginning)).count()
    }
}

async fn serve(mut stream: TcpStream, url: String, state: Arc<Mutex<State>>, more: Arc<Notify>) {
    // Each connection is for one request.
    let Some(request) = read(&mut stream).await else { return };
    let path = request.line.split_whitespace().nth(1).unwrap_or_default().to_owned();
    state.lock().unwrap().requests.push(request.line.clone());
    let parts: Vec<&str> = path.split(['/', '?']).filter(|part| !part.is_empty()).collect();
    match (request.line.starts_with("GET "), parts.as_slice()) {
        (true, ["files", id]) => download(&mut stream, &request, id, &state, &more).await,
        (true, [_, id, ..]) => {
            let answer = info(&url, id, &mut state.lock().unwrap());
            answered(&mut stream, answer).await;
        }
        (false, [_, _, "media"]) => {
            let answer = upload(&request, &mut state.lock().unwrap());
            answered(&mut stream, answer).await;
        }
        _ => {
            let answer = message(&request, &mut state.lock().unwrap());
            answered(&mut stream, answer).await;
        }
    }
}

async fn read(stream: &mut TcpStream) -> Option<Request> {
    let mut bytes = Vec::new();
    let end = loop {
        if let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            break end + 4;
        }
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    };
    let head = String::from_utf8_lossy(&bytes[..end]).to_ascii_lowercase();
    let length = head.split("content-length: ").nth(1).and_then(|rest| rest.lines().next()?.parse().ok());
    let mut body = bytes.split_off(end);
    while body.len() < length.unwrap_or(0) {
        if stream.read_buf(&mut body).await.ok()? == 0 {
            return None;
        }
    }
    let line = String::from_utf8_lossy(&bytes).lines().next()?.to_owned();
    Some(Request { line, head, body })
}

fn info(url: &str, id: &str, state: &mut State) -> (u16, Value) {
    let stranger = match state.of_info.pop_front() {
        Some(Mishap::Stranger) => true,
        Some(Mishap::Refused) => return refused(),
        Some(_) => return (500, Value::Null),
        None => false,
    };
    let Some((mime_type, bytes)) = state.files.get(id) else { return refused() };
    let place = if stranger { "https://stranger.example" } else { url };
    let hash = BASE64.encode(Sha256::digest(bytes));
    let told = json!({
        "messaging_product": "whatsapp", "url": format!("{place}/files/{id}"), "mime_type": mime_type,
        "sha256": hash, "id": id,
    });
    (200, told)
}

fn refused() -> (u16, Value) {
    let error = json!({"message": "Unsupported get request.", "type": "GraphMethodException", "code": 100,
        "error_subcode": 33, "fbtrace_id": "A"});
    (400, json!({"error": error}))
}

async fn download(stream: &mut TcpStream, request: &Request, id: &str, state: &Mutex<State>, more: &Notify) {
    let (file, mishap) = {
        let mut state = state.lock().unwrap();
        (state.files.get(id).cloned(), state.of_download.pop_front())
    };
    let Some((_, mut bytes)) = file.filter(|_| request.head.contains("authorization: bearer ")) else {
        return answered(stream, (404, Value::Null)).await;
    };
    match mishap {
        Some(Mishap::Broken) => return answered(stream, (500, Value::Null)).await,
        Some(Mishap::Gone) => return answered(stream, (404, Value::Null)).await,
        Some(Mishap::Wrong) => bytes.iter_mut().for_each(|byte| *byte ^= 1),
        _ => {}
    }
    let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", bytes.len());
    let (first, rest) = bytes.split_at(bytes.len() / 2);
    // Whoever has gone away is told nothing.
    let _ = stream.write_all(head.as_bytes()).await;
    let _ = stream.write_all(first).await;
    match mishap {
        Some(Mishap::Half) => return,
        Some(Mishap::Hangs) => more.notified().await,
        _ => {}
    }
    let _ = stream.write_all(rest).await;
}

fn upload(request: &Request, state: &mut State) -> (u16, Value) {
    if state.of_upload.pop_front().is_some() {
        return (500, Value::Null);
    }
    let text = String::from_utf8_lossy(&request.body);
    assert!(text.contains("name=\"messaging_product\"") && text.contains("name=\"type\""), "{text}");
    let id = (900 + state.files.len()).to_string();
    state.files.insert(id.clone(), (String::new(), request.body.clone()));
    (200, json!({"id": id}))
}

fn message(request: &Request, state: &mut State) -> (u16, Value) {
    let body: Value = serde_json::from_slice(&request.body).unwrap_or_default();
    let kind = body["type"].as_str().unwrap_or_default();
    let file = body[kind]["id"].as_str();
    if file.is_some_and(|id| !state.files.contains_key(id) || state.forgotten.contains(id)) {
        return refused();
    }
    state.sent.push(body);
    (200, json!({"messages": [{"id": format!("wamid.sent.{}", state.sent.len())}]}))
}

async fn answered(stream: &mut TcpStream, (status, body): (u16, Value)) {
    let body = if body.is_null() { String::new() } else { body.to_string() };
    let length = body.len();
    let answer =
        format!("HTTP/1.1 {status} X\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}");
    let _ = stream.write_all(answer.as_bytes()).await;
}

/// One body with these messages, to our number.
pub(crate) fn body(messages: &[Value]) -> Vec<u8> {
    wire::body(wire::NUMBER, messages)
}
