//! The store: the only room that names SeaORM and the only one that speaks SQL.
//!
//! **Writes** go through one writer (`writer`) that takes whatever has accumulated, writes it in one synced transaction and
//! then answers every waiter: a batch of 1 when idle, of hundreds when busy, with no timer. What has to happen because
//! something was committed (wake a conversation, wake the sender) leaves the writer as a [`Hint`], after the commit and in
//! commit order. A lost hint costs a delay: the row is the truth, and the sweeps find it.
//!
//! **Reads** use connections of their own that cannot write, and run on the runtime that opened them, whoever asks.
//!
//! Invariants: an event is done if and only if the new state, the replies, the timer and the business writes of its turn are
//! committed with it; a session's version grows by one with each turn; a queue row exists from the turn that wrote its
//! message until the message has Meta's id or has failed for good.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use migration::MigratorTrait;
use sea_orm::{DatabaseConnection, DbBackend, DbErr};
use tokio::sync::{mpsc, oneshot, watch};

use crate::clock::{Clock, Ids};
use crate::telemetry::Metrics;

mod accept;
mod activity;
mod apply;
mod audit;
mod batch;
mod bulk;
mod connect;
mod consent;
mod counters;
mod delivery;
pub mod demo;
mod directory;
mod entity;
mod feed;
mod gate;
mod identity;
mod inspect;
mod keys;
mod media;
mod merge;
mod pauses;
mod privacy;
mod queue;
pub mod read;
mod recovery;
mod request;
mod search;
mod sql;
pub mod stage;
mod statuses;
mod template;
mod thread;
mod turn;
mod types;
mod write;
mod writer;

pub use audit::{Actor, Deed, DeedFilter, Outcome, StoredDeed};
pub use counters::{response_bucket, response_bucket_ms};
pub use delivery::{Delivery, DeliverySettle, DeliveryState};
pub use feed::{FeedEnds, FeedRow, Subjects, Wanted};
pub use inspect::{Condition, inspect, last_heard};
pub use keys::StoredKey;
pub use media::{GivenFile, Kept, MediaFilter, MediaState, StoredMedia, Upload};
pub use privacy::{
    Erasure, ErasureState, Found, HashKey, Line, Part, Parted, Place, Prunable, Pruned, Scrubbed,
};
pub use recovery::{Activation, DueTimer};
pub use search::{Sighting, Sought, WORDS_OF_BEGINNING_MAX};
pub use template::{StoredTemplate, TemplateFilter, TemplateList};
pub use types::{
    Accepted, Attempted, Claim, Dispatch, Hint, Incoming, IncomingBody, KnownFlow, Outbound, Outgoing,
    QueueState, Redirected, Session, Settle, SettleOutcome, SqlWrite, Target, TimerChange, TokenPause, Turn,
    TurnReply,
};

use batch::Reply;
use privacy::tombstone::{self, Hasher};
use request::{Job, Request};
use stage::{Director, Moment, Stage};
use thread::Thread;

/// Jobs that may wait for the writer; whoever brings one more waits with it.
const JOBS_WAITING_MAX: usize = 8_192;

/// What can go wrong in the store.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The database refused or could not be reached. Nothing of the job was kept.
    #[error("database: {0}")]
    Database(#[from] DbErr),
    /// The database is not fit for the promises.
    #[error("{0}")]
    Setup(String),
    /// A stored row does not read back as what was written.
    #[error("stored {what} {id} cannot be read: {reason}")]
    Corrupt {
        /// Which kind of row.
        what: &'static str,
        /// Its id.
        id: i64,
        /// Why.
        reason: String,
    },
    /// The writer has stopped: the program is ending.
    #[error("the store is closed")]
    Closed,
}

/// The sequence whose numbers tell that the store takes writes.
pub const WRITE_PROBE: &str = "switchboard write probe";

/// What is said while the database does not begin a transaction.
const AWAY: &str = "it did not answer when it was last tried; it is tried again every second";

/// How to open a store.
#[derive(Debug, Clone)]
pub struct Settings {
    /// `sqlite://…` or `postgres://…`.
    pub url: String,
    /// Whether pending migrations are applied.
    pub migrate: bool,
    /// Connections that read.
    pub reader_connections: u32,
    /// Jobs in one transaction at the most.
    pub batch_max: usize,
    /// People and conversations that the writer remembers the ids of.
    pub directory_cache: usize,
    /// Accepted events that are not done, at the most.
    pub unfinished_max: i64,
    /// Messages that wait to leave, beyond which no client may add to them.
    pub queued_max: i64,
    /// How long before the end of a person's 24-hour window nothing free-form is sent any more.
    pub window_margin: Duration,
    /// What goes into the hashes that are kept of the erased.
    pub hash_key: HashKey,
    /// The largest SQLite file, in bytes, that is written anew after a person was erased.
    pub scrub_max_bytes: u64,
}

/// A handle on the store; cheap to clone. One that was made on somebody's behalf notes what it writes in the audit log.
#[derive(Clone)]
pub struct Store(Arc<Inner>, Option<Arc<Deed>>);

struct Inner {
    readers: DatabaseConnection,
    /// For lists: one that takes long holds up other lists and nothing else.
    lists: DatabaseConnection,
    flows: DatabaseConnection,
    /// Where the readers' sockets live.
    runtime: tokio::runtime::Handle,
    stage: Stage,
    jobs: mpsc::Sender<Job>,
    gauge: Arc<Gauge>,
    unfinished_max: i64,
    queued_max: i64,
    hasher: Hasher,
    clock: Clock,
    ids: Ids,
}

/// Numbers that the writer keeps and others look at.
#[derive(Debug, Default)]
pub(crate) struct Gauge {
    /// Accepted events that are not done. Changed by the writer alone.
    open: AtomicI64,
    /// Events on their way into an accepting transaction.
    reserved: AtomicI64,
    /// Messages that wait to leave or are under way. Changed by the writer alone.
    queued: AtomicI64,
    /// Whether a message whose lane is empty may be written as already claimed.
    claim_at_once: AtomicBool,
    /// Whether the last transaction failed for the database's own reasons.
    failing: AtomicBool,
    /// Turns whenever there may be more in the feed, or `failing` has changed.
    told: watch::Sender<u64>,
    /// Turns whenever a delivery is to be made again.
    again: watch::Sender<u64>,
    /// How often messages or conversations were removed.
    removals: AtomicU64,
    /// Whether the database does not even begin one. Changed by the writer alone.
    away: AtomicBool,
    /// Whether there may be messages whose words are not kept yet.
    unfollowed: AtomicBool,
}

impl Store {
    /// Opens the database, applies pending migrations, checks that it is durable, and starts the writer on the
    /// current runtime. Hints come out of the returned receiver.
    ///
    /// # Errors
    /// When the database cannot be reached, is not durable, or lacks migrations that are not to be applied.
    pub async fn open(
        settings: &Settings,
        clock: Clock,
        ids: Ids,
        metrics: Metrics,
    ) -> Result<(Self, mpsc::UnboundedReceiver<Hint>), Error> {
        Self::open_directed(settings, clock, ids, metrics, None).await
    }

    /// As [`Store::open`], with somebody who decides when its work happens.
    ///
    /// # Errors
    /// As [`Store::open`].
    pub async fn open_directed(
        settings: &Settings,
        clock: Clock,
        ids: Ids,
        metrics: Metrics,
        director: Option<Arc<dyn Director>>,
    ) -> Result<(Self, mpsc::UnboundedReceiver<Hint>), Error> {
        let stage = Stage::new(director);
        let thread = Thread::start(&stage)?;
        let (of_writer, of_ids) = (settings.clone(), ids.clone());
        // On the heap, as all that is made on the way is in them.
        let opening = Box::pin(async move {
            let Settings { url, migrate: applies, hash_key, .. } = of_writer;
            if applies {
                migrate(&url).await?;
            }
            let writer = connect::open_writer(&url).await?;
            if !applies {
                assert_migrated(&writer).await?;
            }
            of_ids.start_after(recovery::highest_id(&writer).await?);
            let hasher = Hasher::open(&writer, &hash_key).await?;
            let erased = tombstone::Memory::read(&writer, hasher.clone()).await?;
            Ok((writer, hasher, erased))
        });
        let (writer, hasher, erased) = thread.run(&stage, opening).await?;
        let reading = Box::pin(connect::open_readers(&settings.url, settings.reader_connections));
        let readers = stage.work(reading).await?;

        let gauge = Arc::new(Gauge::default());
        gauge.claim_at_once.store(true, Ordering::Relaxed);
        gauge.unfollowed.store(true, Ordering::Relaxed);
        let (jobs, waiting) = mpsc::channel(JOBS_WAITING_MAX);
        let (hints, hinted) = mpsc::unbounded_channel();
        let writer = writer::Writer::new(
            (writer, erased),
            settings,
            clock.clone(),
            ids.clone(),
            Arc::clone(&gauge),
            hints,
            metrics,
        );
        thread.end_with(writer.on(stage.clone()).run(waiting));
        let inner = Inner {
            readers: readers.ours,
            lists: readers.lists,
            flows: readers.flows,
            runtime: tokio::runtime::Handle::current(),
            stage,
            jobs,
            gauge,
            unfinished_max: settings.unfinished_max,
            queued_max: settings.queued_max,
            hasher,
            clock,
            ids,
        };
        let store = Self(Arc::new(inner), None);
        store.recount().await?;
        tokio::spawn(search::follow(Arc::downgrade(&store.0), store.0.clock.clone()));
        Ok((store, hinted))
    }

    /// Which database this is: `sqlite` or `postgres`.
    #[must_use]
    pub fn engine(&self) -> &'static str {
        match self.0.readers.get_database_backend() {
            DbBackend::Postgres => "postgres",
            _ => "sqlite",
        }
    }

    /// The clock by which rows are dated.
    #[must_use]
    pub fn clock(&self) -> &Clock {
        &self.0.clock
    }

    /// The source of row ids.
    #[must_use]
    pub fn ids(&self) -> &Ids {
        &self.0.ids
    }

    /// Accepted events that are not done.
    #[must_use]
    pub fn unfinished(&self) -> i64 {
        self.0.gauge.open.load(Ordering::Relaxed)
    }

    /// Messages that wait to leave or are under way.
    #[must_use]
    pub fn queued(&self) -> i64 {
        self.0.gauge.queued.load(Ordering::Relaxed)
    }

    /// Whether a client may add to the messages that wait to leave. What the flows say is never turned away.
    #[must_use]
    pub fn may_queue(&self) -> bool {
        self.queued() < self.0.queued_max
    }

    /// Whether the last transaction went through.
    #[must_use]
    pub fn is_writing(&self) -> bool {
        !self.0.gauge.failing.load(Ordering::Relaxed)
    }

    /// Makes room for `count` events, or says that the limit of unfinished events is reached.
    #[must_use]
    pub fn reserve(&self, count: usize) -> Option<Reservation> {
        let count = i64::try_from(count).unwrap_or(i64::MAX);
        let gauge = &self.0.gauge;
        let reserved = gauge.reserved.fetch_add(count, Ordering::Relaxed) + count;
        let reservation = Reservation { gauge: Arc::clone(gauge), count };
        let full = gauge.open.load(Ordering::Relaxed) + reserved > self.0.unfinished_max;
        // A reservation that is dropped gives its room back. What needs no room is never turned away.
        if full && count > 0 { None } else { Some(reservation) }
    }

    /// Says whether the sender is free enough that a message whose lane is empty will leave at once. Such a message is
    /// written as already claimed, which saves the transaction of the claim.
    pub fn claim_at_once(&self, free: bool) {
        self.0.gauge.claim_at_once.store(free, Ordering::Relaxed);
    }

    async fn ask(&self, request: Request) -> Result<Reply, Error> {
        if self.0.gauge.away.load(Ordering::Relaxed) {
            return Err(Error::Database(DbErr::Custom(AWAY.to_owned())));
        }
        let (answer, answered) = oneshot::channel();
        let job = Job { request, on_behalf: self.1.clone(), answer };
        self.0.jobs.send(job).await.map_err(|_| Error::Closed)?;
        answered.await.map_err(|_| Error::Closed)?
    }

    async fn read<T, F>(&self, read: impl FnOnce(DatabaseConnection) -> F) -> Result<T, Error>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, Error>> + Send + 'static,
    {
        self.on_its_runtime(read(self.0.readers.clone())).await
    }

    async fn list<T, F>(&self, read: impl FnOnce(DatabaseConnection) -> F) -> Result<T, Error>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, Error>> + Send + 'static,
    {
        self.on_its_runtime(read(self.0.lists.clone())).await
    }

    /// Runs a read on the runtime that the connections belong to.
    async fn on_its_runtime<T, F>(&self, read: F) -> Result<T, Error>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, Error>> + Send + 'static,
    {
        let stage = &self.0.stage;
        if stage.is_directed() {
            stage.pass(Moment::Read).await?;
            let found = stage.work(read).await;
            stage.pass(Moment::HandOver).await?;
            return found;
        }
        self.0.runtime.spawn(read).await.map_err(|_| Error::Closed)?
    }
}

/// Room for events that are about to be accepted. It travels with them, and is given back when the writer has counted what
/// was kept.
#[derive(Debug)]
pub struct Reservation {
    gauge: Arc<Gauge>,
    count: i64,
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.gauge.reserved.fetch_sub(self.count, Ordering::Relaxed);
    }
}

/// Text as both databases can keep it: PostgreSQL refuses the character U+0000, and one such text would take its whole
/// transaction down.
pub(crate) fn text(text: &str) -> String {
    if text.contains('\0') { text.replace('\0', "\u{fffd}") } else { text.to_owned() }
}

/// Applies pending migrations to the database at `url`, and says how many there were.
///
/// # Errors
/// When the database cannot be reached or refuses.
pub async fn migrate(url: &str) -> Result<usize, Error> {
    let db = connect::open_migrator(url).await?;
    let pending = migration::Migrator::get_pending_migrations(&db).await?.len();
    migration::Migrator::up(&db, None).await?;
    db.close().await?;
    Ok(pending)
}

async fn assert_migrated(db: &DatabaseConnection) -> Result<(), Error> {
    let pending = migration::Migrator::get_pending_migrations(db).await?;
    if pending.is_empty() {
        return Ok(());
    }
    Err(Error::Setup(format!(
        "{} migrations are pending and SWITCHBOARD_MIGRATE is off; run `switchboard migrate`",
        pending.len()
    )))
}
