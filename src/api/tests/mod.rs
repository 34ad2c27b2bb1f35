//! The whole door over a real store on a temporary SQLite file.

mod access;
mod actions;
mod document;
mod reads;
mod refusals;

use std::sync::Arc;
use std::time::Duration;

use actix_web::http::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap};
use actix_web::test::{self, TestRequest};
use actix_web::{App, HttpResponse, web};
use serde_json::Value;
use tempfile::TempDir;

use super::{ApiKeys, Deps, Number, NumberHealth, NumberPause, Rate, SendLimits, TokenRefused, configure};
use crate::clock::{Clock, Hand, Ids};
use crate::config::Secret;
use crate::domain::contact::Identity;
use crate::domain::dedupe::DedupeKey;
use crate::domain::event::{Command, Event, Input};
use crate::domain::ids::{ConversationId, EventId, MessageId};
use crate::domain::inbound::{Content, InboundMessage};
use crate::feed::{self, Feed};
use crate::media;
use crate::media::library::Library;
use crate::media::vault::Vault;
use crate::privacy::erase::Eraser;
use crate::privacy::export::Exporter;
use crate::store::{
    Accepted, HashKey, Incoming, IncomingBody, Outgoing, Settings, Store, TimerChange, Turn, TurnReply,
};
use crate::telemetry::Metrics;
use crate::template::Book;

const KEY: &str = "open-sesame";
const NUMBER: &str = "106540352242922";
const START: i64 = 1_700_000_000_000;

struct House {
    deps: Deps,
    hand: Hand,
    _folder: TempDir,
}

/// An answer, read to its end.
struct Answer {
    status: u16,
    headers: HeaderMap,
    body: web::Bytes,
}

fn get(path: &str) -> TestRequest {
    keyed(TestRequest::get().uri(path))
}

fn post(path: &str) -> TestRequest {
    keyed(TestRequest::post().uri(path))
}

fn keyed(request: TestRequest) -> TestRequest {
    keyed_with(KEY, request)
}

fn keyed_with(key: &str, request: TestRequest) -> TestRequest {
    request.insert_header((AUTHORIZATION, format!("Bearer {key}")))
}

impl Answer {
    fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {:?}", self.body))
    }

    fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// The JSON, after checking that the answer is a whole RFC 9457 problem of this status.
    fn problem(&self, status: u16) -> Value {
        let json = self.json();
        assert_eq!(self.status, status, "{json}");
        assert_eq!(self.header("content-type"), "application/problem+json");
        assert_eq!(json["status"], status);
        for member in ["type", "title", "detail"] {
            assert!(json[member].as_str().is_some_and(|text| !text.is_empty()), "{member}: {json}");
        }
        json
    }

    /// The ids in a page.
    fn ids(&self) -> Vec<String> {
        assert_eq!(self.status, 200, "{:?}", self.body);
        let json = self.json();
        let rows = json["data"].as_array().unwrap();
        rows.iter().map(|row| row["id"].as_str().unwrap().to_owned()).collect()
    }
}

fn settings(folder: &TempDir) -> Settings {
    Settings {
        url: format!("sqlite://{}?mode=rwc", folder.path().join("test.db").display()),
        migrate: true,
        reader_connections: 2,
        batch_max: 64,
        directory_cache: 100,
        unfinished_max: 1_000,
        queued_max: 1_000,
        window_margin: Duration::from_secs(60),
        hash_key: HashKey::default(),
        scrub_max_bytes: 0,
    }
}

fn limits() -> media::Limits {
    media::Limits {
        size_max: 1 << 20,
        types: vec!["*".into()],
        fetches_max: 1,
        attempts_max: 3,
        transfer_timeout: Duration::from_secs(9),
    }
}

fn live() -> feed::Limits {
    feed::Limits {
        readers_max: 2,
        buffer: 16,
        heartbeat: Duration::from_secs(15),
        stalled_after: Duration::from_secs(30),
        kept_for: Duration::from_secs(3_600),
        commits_max: 1_000,
        log_kept_for: Duration::from_secs(3_600),
    }
}

/// No limit: the clock of these tests stands still.
const RATE: Rate = Rate { per_second: 0, burst: 0 };

fn deps(store: Store) -> Deps {
    let (vault, nothing) = (Vault::in_memory(), Arc::<[String]>::from([]));
    Deps {
        feed: Feed::new(store.clone(), live()),
        eraser: Eraser::new(store.clone(), vault.clone(), Arc::clone(&nothing)),
        exporter: Exporter::new(store.clone(), vault.clone(), nothing),
        keys: ApiKeys::new(Secret::new(KEY).as_ref(), store.clone(), RATE),
        store,
        numbers: Arc::new([Number {
            phone_number_id: NUMBER.to_owned(),
            display: Some("+1 555 0100".into()),
        }]),
        templates: Book::default(),
        library: Library { vault, limits: limits() },
        metrics: Metrics::new(),
        window_margin: Duration::from_secs(60),
        replay: crate::replay::Settings {
            words: crate::domain::consent::Words::built_in(),
            turn_timeout: Duration::from_secs(5),
        },
        health: Arc::new(Vec::new),
        set_token: Arc::new(|_, token| {
            let answer = match token.expose() {
                "EAA-good" => Ok(()),
                "EAA-late" => Err(TokenRefused::Ending),
                _ => Err(TokenRefused::Bad("that is none".into())),
            };
            Box::pin(async move { answer })
        }),
        limits: SendLimits {
            pair_pacing: true,
            in_flight_max: 256,
            attempts_max: 8,
            deadline: Duration::from_secs(86_400),
            queue_max: 1_000,
        },
    }
}

/// Answers `request` as a program with this door and a webhook would.
async fn call(deps: &Deps, request: TestRequest) -> Answer {
    let webhook = web::resource("/api/whatsapp/webhook").to(|| async { HttpResponse::Ok().body("for Meta") });
    let app = App::new().configure(configure(deps.clone())).service(webhook);
    let response = test::call_service(&test::init_service(app).await, request.to_request()).await;
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    Answer { status, headers, body: test::read_body(response).await }
}

impl House {
    async fn new() -> Self {
        Self::with(|_| {}).await
    }

    async fn with(change: impl FnOnce(&mut Settings)) -> Self {
        let folder = TempDir::new().unwrap();
        let mut settings = settings(&folder);
        change(&mut settings);
        let (clock, hand) = Clock::manual(START);
        let ids = Ids::new(clock.clone());
        let (store, _) = Store::open(&settings, clock, ids, Metrics::new()).await.unwrap();
        Self { deps: deps(store), hand, _folder: folder }
    }

    fn store(&self) -> &Store {
        &self.deps.store
    }

    async fn call(&self, request: TestRequest) -> Answer {
        call(&self.deps, request).await
    }

    async fn get(&self, path: &str) -> Answer {
        self.call(get(path)).await
    }

    async fn accept(&self, body: IncomingBody) -> Accepted {
        let incoming = Incoming {
            dedupe_key: DedupeKey::of(&format!("t:{}", self.store().ids().next())),
            payload: "{\"from\": \"Meta\"}".into(),
            body,
        };
        let room = self.store().reserve(1).unwrap();
        self.store().accept(vec![incoming], room).await.unwrap()[0]
    }

    /// This person writes `text`.
    async fn hears(&self, sender: &Identity, text: &str) -> Accepted {
        let message = InboundMessage {
            wamid: Some(format!("wamid.{}", self.store().ids().next())),
            sent_at: Some(START - 1_000),
            sender: sender.clone(),
            reply_to: None,
            content: Content::Text { body: text.into() },
        };
        self.accept(IncomingBody::Message { phone_number_id: NUMBER.into(), message }).await
    }

    /// The events of this conversation that wait for their turn. (Those from Meta do not read back here: their payload
    /// is none of Meta's.)
    async fn waiting(&self, conversation: ConversationId) -> Vec<Event> {
        self.store().activate(conversation).await.unwrap().unwrap().unfinished
    }

    /// Does what an accepted `send` asks for, and returns the message.
    async fn takes_turn(&self, event: &Event) -> MessageId {
        let Input::Command(Command::Send { message_id, message, reply_to, .. }) = (*event.input).clone()
        else {
            panic!("{event:?}")
        };
        let mut session = self.store().activate(event.conversation).await.unwrap().unwrap().session;
        session.version += 1;
        session.state = Some("main_menu".into());
        let turn = Turn {
            event: event.id,
            accepted_at: event.accepted_at,
            session,
            identity_changed: false,
            messages: vec![Outgoing::new(message_id, Arc::new(message), reply_to)],
            timer: TimerChange::Keep,
            writes: Vec::new(),
            chosen: vec![("main_menu".into(), "Orders".into())],
            consent: None,
            changes: Vec::new(),
        };
        assert_eq!(self.store().commit_turn(turn).await.unwrap(), TurnReply::Committed);
        message_id
    }

    /// A message that waits to be sent, made through the API.
    async fn sends(&self, mut body: Value) -> (ConversationId, MessageId) {
        body["outside_window"] = "wait".into();
        let answer = self.call(post("/api/whatsapp/send").set_json(body)).await;
        assert_eq!(answer.status, 202, "{:?}", answer.body);
        let conversation = id_of::<ConversationId>(&answer.json()["conversation_id"]);
        let event = self.waiting(conversation).await.pop().unwrap();
        (conversation, self.takes_turn(&event).await)
    }

    async fn quarantined(&self) -> EventId {
        let event = self.hears(&Identity::phone("491700000009"), "boom").await.id;
        assert!(self.store().quarantine(event, "the flow panicked").await.unwrap());
        event
    }
}

fn id_of<T: std::str::FromStr<Err: std::fmt::Debug>>(json: &Value) -> T {
    json.as_str().unwrap().parse().unwrap()
}

fn paused() -> Vec<NumberHealth> {
    vec![NumberHealth {
        phone_number_id: NUMBER.into(),
        paused: Some(NumberPause {
            why: "Meta refuses the token (190)".into(),
            since: START,
            until: START + 60_000,
        }),
        waiting_reply: 1,
        waiting_bulk: 2,
        ..NumberHealth::default()
    }]
}
