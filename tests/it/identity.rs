//! People whose ids change: aliases move, contacts that turn out to be one person become one, and nobody's messages are
//! lost, doubled or out of order meanwhile.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};
use switchboard::flow::Flow;

use crate::load::Dice;
use crate::support::app::TestApp;
use crate::support::database::{Database, on_both};
use crate::support::{until, wire};

const ANN: &str = "4915112345001";
const NEW: &str = "4915112345009";

/// Answers every text with itself and how many there were.
const COUNT: &str = r#"
switchboard: 1
bot: count
start: answer
states:
  answer:
    set: { n: "${ (n or 0) | int + 1 }" }
    say: "${ event.text } is number ${ n }"
    go: listen
  listen:
    ask: "${ '' }"
    expect: text
    save: heard
    globals: off
    go: answer
"#;

async fn start(database: Database) -> TestApp {
    TestApp::start(database, flow(), |_| {}).await
}

fn flow() -> Flow {
    Flow::parse(COUNT, "count").unwrap()
}

/// Who a message is from: a phone, a user id, or both.
#[derive(Clone, Copy)]
struct From<'a> {
    phone: Option<&'a str>,
    user: Option<&'a str>,
}

const fn phone(phone: &str) -> From<'_> {
    From { phone: Some(phone), user: None }
}

const fn user(user: &str) -> From<'_> {
    From { phone: None, user: Some(user) }
}

const fn both<'a>(phone: &'a str, user: &'a str) -> From<'a> {
    From { phone: Some(phone), user: Some(user) }
}

/// A text as Meta posts it, with the sender's contact.
fn text(from: From<'_>, text: &str) -> Vec<u8> {
    let mut message = json!({"id": format!("wamid.{text}"), "timestamp": "1795337387", "type": "text", "text": {"body": text}});
    let mut contact = json!({"profile": {"name": "Ann"}});
    if let Some(phone) = from.phone {
        message["from"] = phone.into();
        contact["wa_id"] = phone.into();
    }
    if let Some(user) = from.user {
        message["from_user_id"] = user.into();
        contact["user_id"] = user.into();
    }
    wire::ours(json!({"contacts": [contact], "messages": [message]}))
}

/// An account change as Meta posts it: without contacts.
fn change(from: Option<&str>, system: Value) -> Vec<u8> {
    let id = format!("wamid.{system}");
    let mut message = json!({"id": id, "timestamp": "1795337387", "type": "system", "system": system});
    if let Some(phone) = from {
        message["from"] = phone.into();
    }
    wire::ours(json!({"messages": [message]}))
}

impl TestApp {
    async fn hears(&self, body: Vec<u8>) {
        assert_eq!(wire::post(&self.http, &self.meta, &self.webhook_url(), body).await.unwrap(), 200);
    }

    /// Everything of one kind of list, oldest first.
    async fn all(&self, list: &str) -> Vec<Value> {
        let (mut rows, mut path) = (Vec::new(), format!("/{list}"));
        loop {
            let (status, page) = self.get(&path).await;
            assert_eq!(status, 200, "{path}: {page}");
            rows.extend(page["data"].as_array().unwrap().clone());
            let Some(cursor) = page["next_cursor"].as_str() else { break };
            let glue = if list.contains('?') { '&' } else { '?' };
            path = format!("/{list}{glue}cursor={cursor}");
        }
        rows.reverse();
        rows
    }

    /// The bodies of all messages of a direction, oldest first.
    async fn said(&self, direction: &str) -> Vec<String> {
        let rows = self.all(&format!("messages?direction={direction}&limit=200")).await;
        rows.iter().map(|row| row["body"].as_str().unwrap_or_default().to_owned()).collect()
    }

    /// What was sent where, in the order in which it left.
    fn sent(&self) -> Vec<(String, String)> {
        let posts = self.meta.received();
        posts.iter().map(|post| (post.to.clone(), post.text.clone())).collect()
    }
}
