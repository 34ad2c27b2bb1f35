//! A system of the user's own that is told what happens: it takes what it is posted or misbehaves as it is told to, and
//! verifies each signature for itself, by the text of Standard Webhooks alone.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::Value;
use sha2::Sha256;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// The key behind [`Receiver::secret`].
const KEY: &[u8] = b"a key of thirty-two bytes, in all";

/// What becomes of a post.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mood {
    /// It is taken.
    Takes,
    /// It is answered with this status.
    Answers(u16),
    /// It is read and never answered.
    Hangs,
    /// The connection ends in the middle of the answer.
    Cuts,
    /// It is taken, and the connection ends before the answer.
    TakesAndCuts,
}

/// A post as it came.
#[derive(Debug, Clone)]
pub(crate) struct Posted {
    pub(crate) id: String,
    pub(crate) body: Value,
    pub(crate) mood: Mood,
}

type Choose = Box<dyn FnMut(&Value) -> Mood + Send>;

/// The receiver.
pub(crate) struct Receiver {
    pub(crate) url: String,
    posts: Arc<Mutex<Vec<Posted>>>,
    choose: Arc<Mutex<Choose>>,
}

impl Receiver {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/hook", listener.local_addr().unwrap());
        let choose: Choose = Box::new(|_| Mood::Takes);
        let receiver = Self { url, posts: Arc::default(), choose: Arc::new(Mutex::new(choose)) };
        let (posts, choose) = (Arc::clone(&receiver.posts), Arc::clone(&receiver.choose));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, Arc::clone(&posts), Arc::clone(&choose)));
            }
        });
        receiver
    }

    /// As it stands in the configuration.
    pub(crate) fn secret() -> String {
        format!("whsec_{}", BASE64.encode(KEY))
    }

    /// What becomes of the posts from here on, by their bodies.
    pub(crate) fn behave(&self, choose: impl FnMut(&Value) -> Mood + Send + 'static) {
        *self.choose.lock().unwrap() = Box::new(choose);
    }

    /// All posts, in the order in which they came.
    pub(crate) fn posts(&self) -> MutexGuard<'_, Vec<Posted>> {
        self.posts.lock().unwrap()
    }

    /// The posts that it took, each the first time, in order.
    pub(crate) fn taken(&self) -> Vec<Posted> {
        let mut seen = BTreeSet::new();
        let is_taken = |post: &&Posted| matches!(post.mood, Mood::Takes | Mood::TakesAndCuts);
        self.posts().iter().filter(is_taken).filter(|post| seen.insert(post.id.clone())).cloned().collect()
    }

    /// The ids of what it took, by conversation, in order.
    pub(crate) fn taken_by_conversation(&self) -> BTreeMap<String, Vec<String>> {
        let mut lines: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for post in self.taken() {
            lines.entry(line(&post.body)).or_default().push(post.id);
        }
        lines
    }
}

/// The conversation that something told is about.
pub(crate) fn line(body: &Value) -> String {
    let data = &body["data"];
    let id = if body["type"].as_str().unwrap().starts_with("conversation.") {
        &data["id"]
    } else {
        &data["conversation_id"]
    };
    id.as_str().unwrap_or("none").to_owned()
}

async fn serve(mut stream: TcpStream, posts: Arc<Mutex<Vec<Posted>>>, choose: Arc<Mutex<Choose>>) {
    let mut read = Vec::new();
    loop {
        let head_end = loop {
            if let Some(end) = read.windows(4).position(|part| part == b"\r\n\r\n") {
                break end + 4;
            }
            if stream.read_buf(&mut read).await.unwrap_or(0) == 0 {
                return;
            }
        };
        let head = String::from_utf8(read.drain(..head_end).collect()).unwrap();
        let header = |name: &str| {
            let line = head.lines().find_map(|line| {
                let (known, value) = line.split_once(": ")?;
                known.eq_ignore_ascii_case(name).then(|| value.to_owned())
            });
            line.unwrap_or_else(|| panic!("no {name} in {head}"))
        };
        assert!(head.starts_with("POST /hook HTTP/1.1\r\n"), "{head}");
        assert_eq!(header("content-type"), "application/json");
        let length: usize = header("content-length").parse().unwrap();
        while read.len() < length {
            if stream.read_buf(&mut read).await.unwrap_or(0) == 0 {
                return;
            }
        }
        let body = String::from_utf8(read.drain(..length).collect()).unwrap();
        let (id, timestamp) = (header("webhook-id"), header("webhook-timestamp"));
        let mut mac = Hmac::<Sha256>::new_from_slice(KEY).unwrap();
        mac.update(format!("{id}.{timestamp}.{body}").as_bytes());
        let expected = format!("v1,{}", BASE64.encode(mac.finalize().into_bytes()));
        assert_eq!(header("webhook-signature"), expected);
        let body: Value = serde_json::from_str(&body).unwrap();
        assert_eq!(body["id"], id, "the id of the header is that of the body");
        let mood = (choose.lock().unwrap())(&body);
        posts.lock().unwrap().push(Posted { id, body, mood });
        let answer = match mood {
            Mood::Takes => "HTTP/1.1 204 X\r\n\r\n".to_owned(),
            Mood::Answers(status) => {
                format!("HTTP/1.1 {status} X\r\nLocation: http://127.0.0.1:9/\r\nContent-Length: 0\r\n\r\n")
            }
            Mood::Hangs => return std::future::pending().await,
            Mood::Cuts => "HTTP/1.1 2".to_owned(),
            Mood::TakesAndCuts => return,
        };
        if stream.write_all(answer.as_bytes()).await.is_err() || mood == Mood::Cuts {
            return;
        }
    }
}
