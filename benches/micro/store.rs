//! The writer, by batch size: what a job costs in a synced transaction that it shares with others. SQLite, in a temporary
//! folder.

use std::sync::Arc;
use std::time::{Duration, Instant};

use criterion::{Criterion, Throughput};
use futures_util::future::join_all;
use switchboard::clock::{Clock, Ids};
use switchboard::domain::ids::MessageId;
use switchboard::domain::outbound::Message;
use switchboard::meta::webhook::{Body, parse};
use switchboard::store::{
    Dispatch, Hint, Incoming, IncomingBody, Outbound, Outgoing, Session, Settings, Settle, SettleOutcome,
    Store, TimerChange, Turn,
};
use switchboard::telemetry::Metrics;
use tempfile::TempDir;
use tokio::runtime::Runtime;
use tokio::sync::mpsc::UnboundedReceiver;

use super::webhook;

/// Jobs in a batch.
const SIZES: [usize; 4] = [1, 8, 64, 256];

/// A store of its own, with people who have written before.
pub(crate) struct Desk {
    store: Store,
    hints: UnboundedReceiver<Hint>,
    sessions: Vec<Session>,
    written: usize,
    _folder: TempDir,
}

impl Desk {
    /// With so many people.
    pub(crate) async fn new(people: usize) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let settings = Settings {
            url: format!("sqlite://{}?mode=rwc", folder.path().join("micro.db").display()),
            migrate: true,
            reader_connections: 1,
            batch_max: 256,
            directory_cache: 100_000,
            unfinished_max: i64::MAX,
            queued_max: i64::MAX,
            window_margin: Duration::from_mins(1),
            hash_key: switchboard::store::HashKey::default(),
            scrub_max_bytes: 0,
        };
        let clock = Clock::system();
        let ids = Ids::new(clock.clone());
        let (store, hints) = Store::open(&settings, clock, ids, Metrics::new()).await.expect("a fresh store");
        let mut desk = Self { store, hints, sessions: Vec::new(), written: 0, _folder: folder };
        let incoming = desk.texts(people);
        desk.accept(incoming).await;
        let fresh = desk.accepted(people).await.into_iter().filter_map(|dispatch| dispatch.fresh);
        desk.sessions = fresh.map(|session| Session::clone(&session)).collect();
        desk
    }

    /// The next texts, of one person each.
    fn texts(&mut self, count: usize) -> Vec<Incoming> {
        let first = self.written;
        self.written += count;
        (0..count).map(|person| incoming(&webhook::text(person, first + person))).collect()
    }

    /// Accepts each as a job of its own.
    async fn accept(&self, incoming: Vec<Incoming>) {
        let jobs = incoming.into_iter().map(|incoming| {
            let room = self.store.reserve(1).expect("there is room");
            self.store.accept(vec![incoming], room)
        });
        for accepted in join_all(jobs).await {
            accepted.expect("it is accepted");
        }
    }

    async fn accepted(&mut self, count: usize) -> Vec<Dispatch> {
        let mut all = Vec::new();
        while all.len() < count {
            if let Some(Hint::Accepted(dispatches)) = self.hints.recv().await {
                all.extend(dispatches);
            }
        }
        all
    }

    async fn queued(&mut self, count: usize) -> Vec<Outbound> {
        let mut all = Vec::new();
        while all.len() < count {
            if let Some(Hint::Queued(messages)) = self.hints.recv().await {
                all.extend(messages);
            }
        }
        all
    }

    /// The turns of `dispatches`, with one reply each.
    fn turns(&mut self, dispatches: Vec<Dispatch>) -> Vec<Turn> {
        let mut turns = Vec::with_capacity(dispatches.len());
        for dispatch in dispatches {
            let conversation = dispatch.event.conversation;
            let session = self.sessions.iter_mut().find(|session| session.conversation == conversation);
            let session = session.expect("the person has written before");
            session.version += 1;
            session.last_inbound_at = Some(dispatch.event.accepted_at);
            r#"{"state":"main","vars":{"order_no":"ORD-001"},"misses":0,"handed_off":false}"#
                .clone_into(&mut session.snapshot);
            let reply = Arc::new(Message::text("It is on its way.").expect("a short text"));
            turns.push(Turn {
                event: dispatch.event.id,
                accepted_at: dispatch.event.accepted_at,
                session: session.clone(),
                identity_changed: false,
                messages: vec![Outgoing::new(MessageId(self.store.ids().next()), reply, None)],
                timer: TimerChange::Keep,
                writes: Vec::new(),
                chosen: Vec::new(),
                consent: None,
                changes: Vec::new(),
            });
        }
        turns
    }

    async fn commit(&self, turns: Vec<Turn>) {
        for committed in join_all(turns.into_iter().map(|turn| self.store.commit_turn(turn))).await {
            committed.expect("it is committed");
        }
    }

    async fn settle(&self, messages: &[Outbound]) {
        let settles = messages.iter().map(|message| {
            let wamid = format!("wamid.{}", message.id);
            self.store.settle(Settle { id: message.id, outcome: SettleOutcome::Accepted { wamid } })
        });
        for settled in join_all(settles).await {
            settled.expect("it is settled");
        }
    }

    /// Has `count` people write and answers them; returns what is queued then.
    pub(crate) async fn answer(&mut self, count: usize) -> Vec<Outbound> {
        let texts = self.texts(count);
        self.accept(texts).await;
        let dispatches = self.accepted(count).await;
        let turns = self.turns(dispatches);
        self.commit(turns).await;
        self.queued(count).await
    }
}

fn incoming(body: &[u8]) -> Incoming {
    let item = parse(body).ok().and_then(|mut items| items.pop()).expect("one message");
    let (Body::Message(message), Some(phone_number_id)) = (item.body, item.phone_number_id) else {
        unreachable!("it is a message to one of our numbers")
    };
    let body = IncomingBody::Message { phone_number_id, message };
    Incoming { dedupe_key: item.dedupe_key, payload: item.payload, body }
}

/// The three jobs of a turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    Accept,
    Commit,
    Settle,
}

/// `rounds` whole turns of `size` people, of which only this part is timed.
async fn rounds(desk: &mut Desk, part: Part, size: usize, rounds: u64) -> Duration {
    let mut spent = Duration::ZERO;
    for _ in 0..rounds {
        let texts = desk.texts(size);
        let began = now();
        desk.accept(texts).await;
        let accepted = began.elapsed();
        let dispatches = desk.accepted(size).await;
        let turns = desk.turns(dispatches);
        let began = now();
        desk.commit(turns).await;
        let committed = began.elapsed();
        let queued = desk.queued(size).await;
        let began = now();
        desk.settle(&queued).await;
        spent += match part {
            Part::Accept => accepted,
            Part::Commit => committed,
            Part::Settle => began.elapsed(),
        };
    }
    spent
}

#[expect(clippy::disallowed_methods, reason = "a measurement is about the machine's own clock")]
fn now() -> Instant {
    Instant::now()
}

pub(crate) fn bench(criterion: &mut Criterion) {
    let runtime = Runtime::new().expect("a runtime");
    let mut group = criterion.benchmark_group("writer");
    group.sample_size(20);
    for size in SIZES {
        let mut desk = runtime.block_on(Desk::new(size));
        group.throughput(Throughput::Elements(size as u64));
        for (name, part) in [("accept", Part::Accept), ("commit", Part::Commit), ("settle", Part::Settle)] {
            group.bench_function(format!("{name}/{size}"), |bencher| {
                bencher.iter_custom(|count| runtime.block_on(rounds(&mut desk, part, size, count)));
            });
        }
    }
    group.finish();
}
