//! The local Meta of a run, lean enough not to be what is measured: it answers sends, writes down what came when, and,
//! if told to, posts the three statuses of each message back. `switchboard::sandbox` checks far more and keeps all that
//! it hears, at a price per message that would hide the program's.
//!
//! A process of its own (`load graph`). `POST /reset` begins afresh, `GET /log` is what came since, a line each, and
//! `GET /answered` counts along, a line whenever the count has grown.

use std::borrow::Cow;
use std::cell::RefCell;
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use crate::connection::{Connection, content_length, end_of_head};
use crate::moment;
use crate::wire::{self, Fate, Framer, Known};

/// How often the count is told and statuses are posted.
const TICK: Duration = Duration::from_millis(2);
/// Messages of which one webhook tells: three statuses of each.
const MESSAGES_IN_WEBHOOK: usize = 100;
/// How long statuses that were not answered 200 wait.
const RETRY_PAUSE: Duration = Duration::from_millis(100);

/// What `POST /reset` says.
#[derive(Debug, Default, Clone, Serialize, Deserialize)]
pub(crate) struct Orders {
    /// Where statuses go; nowhere for none.
    pub(crate) statuses_to: Option<SocketAddr>,
}

#[derive(Default)]
struct Meta {
    orders: Orders,
    /// `arrived_at <tab> phone <tab> callback <tab> wamid <tab> text`, a line each.
    log: String,
    answered: u64,
    /// Messages ever, so that no two get the same id.
    ever: u64,
    refused: u64,
    untold: Vec<Known>,
}

/// A message as the program posts it.
#[derive(Deserialize)]
struct Send<'a> {
    messaging_product: &'a str,
    #[serde(borrow)]
    to: Cow<'a, str>,
    #[serde(borrow)]
    text: Text<'a>,
    #[serde(borrow, default)]
    biz_opaque_callback_data: Cow<'a, str>,
}

#[derive(Deserialize)]
struct Text<'a> {
    #[serde(borrow)]
    body: Cow<'a, str>,
}

/// Serves until it is killed. The first line that it prints is its address.
pub(crate) async fn serve() -> anyhow::Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    crate::report::say(&listener.local_addr()?.to_string());
    let meta = Rc::new(RefCell::new(Meta::default()));
    tokio::task::spawn_local(tell_statuses(Rc::clone(&meta)));
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let meta = Rc::clone(&meta);
        // A connection that breaks is the other side's to notice.
        tokio::task::spawn_local(async move { drop(converse(stream, &meta).await) });
    }
}

async fn converse(mut stream: TcpStream, meta: &RefCell<Meta>) -> anyhow::Result<()> {
    let mut buffer = Vec::with_capacity(4096);
    loop {
        let head = loop {
            if let Some(head) = end_of_head(&buffer) {
                break head;
            }
            if stream.read_buf(&mut buffer).await? == 0 {
                return Ok(());
            }
        };
        let end = head + content_length(&buffer[..head]);
        while buffer.len() < end {
            if stream.read_buf(&mut buffer).await? == 0 {
                return Ok(());
            }
        }
        let (head, body) = buffer[..end].split_at(head);
        if head.starts_with(b"GET /answered") {
            return count_along(stream, meta).await;
        }
        let (status, answer) = answer(head, body, &mut meta.borrow_mut());
        let length = answer.len();
        let response = format!(
            "HTTP/1.1 {status} .\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n{answer}"
        );
        stream.write_all(response.as_bytes()).await?;
        buffer.drain(..end);
    }
}

fn answer(head: &[u8], body: &[u8], meta: &mut Meta) -> (u16, String) {
    if head.starts_with(b"POST /v") {
        return take(head, body, meta).unwrap_or_else(|| {
            meta.refused += 1;
            let error =
                r#"{"error":{"message":"(#100) Invalid parameter","type":"OAuthException","code":100}}"#;
            (400, error.to_owned())
        });
    }
    if head.starts_with(b"POST /reset") {
        let orders = serde_json::from_slice(body).unwrap_or_default();
        *meta = Meta { orders, ever: meta.ever, ..Meta::default() };
        return (200, String::new());
    }
    if head.starts_with(b"GET /log") {
        return (200, format!("{}\n{}", meta.refused, meta.log));
    }
    (404, String::new())
}

/// Takes a message, if it is one of ours and whole.
fn take(head: &[u8], body: &[u8], meta: &mut Meta) -> Option<(u16, String)> {
    let arrived_at = moment::now();
    let bearer = format!("Bearer {}\r\n", wire::TOKEN);
    let authorized = head.windows(bearer.len()).any(|part| part == bearer.as_bytes());
    let send: Send<'_> = serde_json::from_slice(body).ok()?;
    if !authorized || send.messaging_product != "whatsapp" {
        return None;
    }
    meta.ever += 1;
    meta.answered += 1;
    let wamid = wire::wamid(wire::REPLIES, meta.ever);
    let phone = send.to.trim_start_matches('+');
    let (callback, text) = (&send.biz_opaque_callback_data, &send.text.body);
    // Writing to a String cannot fail.
    let _ = writeln!(meta.log, "{arrived_at}\t{phone}\t{callback}\t{wamid}\t{text}");
    if meta.orders.statuses_to.is_some() {
        let (callback, phone) = (callback.clone().into_owned(), phone.to_owned());
        meta.untold.push(Known { wamid: wamid.clone(), callback, phone });
    }
    let to = &send.to;
    let answer = format!(
        r#"{{"messaging_product":"whatsapp","contacts":[{{"input":"{to}","wa_id":"{}"}}],"messages":[{{"id":"{wamid}"}}]}}"#,
        to.trim_start_matches('+')
    );
    Some((200, answer))
}

async fn count_along(mut stream: TcpStream, meta: &RefCell<Meta>) -> anyhow::Result<()> {
    let mut told = u64::MAX;
    loop {
        let answered = meta.borrow().answered;
        if answered != told {
            stream.write_all(format!("{answered}\n").as_bytes()).await?;
            told = answered;
        }
        tokio::time::sleep(TICK).await;
    }
}

/// For ever: tells what became of the messages, until it is answered 200.
async fn tell_statuses(meta: Rc<RefCell<Meta>>) {
    let framer = Framer::new(0);
    loop {
        tokio::time::sleep(TICK).await;
        let (known, to) = {
            let mut meta = meta.borrow_mut();
            (std::mem::take(&mut meta.untold), meta.orders.statuses_to)
        };
        let Some(to) = to else { continue };
        let mut connection = Connection::new(to);
        'untold: for part in known.chunks(MESSAGES_IN_WEBHOOK) {
            let told: Vec<(&Known, Fate)> =
                Fate::ALL.iter().flat_map(|fate| part.iter().map(|known| (known, *fate))).collect();
            let mut request = Vec::new();
            framer.statuses(&mut request, &told);
            while !connection.exchange(&request).await.is_ok_and(|answer| answer.status == 200) {
                // Nobody reads them any more when a run is over.
                if meta.borrow().orders.statuses_to != Some(to) {
                    break 'untold;
                }
                tokio::time::sleep(RETRY_PAUSE).await;
            }
        }
    }
}
