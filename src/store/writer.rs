//! The one writer: group commit without a timer.
//!
//! It takes whatever jobs have accumulated, applies them in one transaction with multi-row statements, commits, and only then
//! answers the waiters and lets the hints out. If a batch fails, each of its jobs is tried alone, so one bad row cannot take
//! its neighbours down. What the writer remembers between batches (ids of people, open lanes) changes after a commit only.
//!
//! Where a commit is not answered, nobody can know whether it happened. What would have followed from it is put aside, and
//! before anything else is written the writer looks whether the batch is there: then it follows late, and in its place.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use sea_orm::{DatabaseConnection, DbErr, SqliteTransactionMode, TransactionOptions, TransactionTrait};
use tokio::sync::mpsc;

use crate::clock::{Clock, Ids, Millis, SECOND};
use crate::domain::notice::{Alarm, News};
use crate::store::apply::apply;
use crate::store::batch::{Abort, Aftermath, Note, Reply, Scope};
use crate::store::counters::{self, Tally};
use crate::store::directory::Directory;
use crate::store::privacy::{scrub, tombstone};
use crate::store::request::{Job, Request};
use crate::store::stage::{Moment, Stage};
use crate::store::{Error, Gauge, Hint, Settings, WRITE_PROBE, connect, recovery, sql};
use crate::telemetry::Metrics;

/// How long the database has to take no writes before that is news.
const FAILING_TOLD_AFTER: Millis = SECOND;

impl Abort {
    fn into_result(self, gauge: &Gauge) -> Result<Reply, Error> {
        match self {
            Self::Refused(reply) => Ok(reply),
            Self::Database(error) | Self::Away(error) => {
                if !gauge.failing.swap(true, Ordering::Relaxed) {
                    gauge.told.send_modify(|turn| *turn += 1);
                }
                tracing::warn!(%error, "a write failed");
                Err(Error::Database(error))
            }
        }
    }
}

/// How often a database that failed is tried while nobody has anything to write.
const PROBE_INTERVAL: Duration = Duration::from_secs(1);

pub(crate) struct Writer {
    db: DatabaseConnection,
    batch_max: usize,
    clock: Clock,
    ids: Ids,
    gauge: Arc<Gauge>,
    hints: mpsc::UnboundedSender<Hint>,
    metrics: Metrics,
    directory: Directory,
    /// Queue rows that wait to leave or are under way, by conversation.
    open_lanes: HashMap<i64, i64>,
    /// Conversations for which messages may be held.
    held: HashSet<i64>,
    /// Statuses that wait for their message, or more.
    parked: i64,
    window_margin: Duration,
    /// Since when the database takes no writes.
    failing_since: Option<Millis>,
    erased: tombstone::Memory,
    scrub_max: u64,
    /// Batches that are known to be committed, once they were counted.
    batches: Option<i64>,
    /// What follows from a batch of which nobody knows whether it is committed.
    doubtful: Option<Aftermath>,
    stage: Stage,
}

impl Writer {
    pub(crate) fn new(
        (db, erased): (DatabaseConnection, tombstone::Memory),
        settings: &Settings,
        clock: Clock,
        ids: Ids,
        gauge: Arc<Gauge>,
        hints: mpsc::UnboundedSender<Hint>,
        metrics: Metrics,
    ) -> Self {
        Self {
            db,
            batch_max: settings.batch_max.max(1),
            clock,
            ids,
            gauge,
            hints,
            metrics,
            directory: Directory::new(settings.directory_cache),
            open_lanes: HashMap::new(),
            held: HashSet::new(),
            parked: 0,
            window_margin: settings.window_margin,
            failing_since: None,
            erased,
            scrub_max: settings.scrub_max_bytes,
            batches: None,
            doubtful: None,
            stage: Stage::default(),
        }
    }

    /// The same writer, whose work happens on this stage.
    pub(crate) fn on(self, stage: Stage) -> Self {
        Self { stage, ..self }
    }

    /// Writes until every [`Store`](crate::store::Store) handle is gone.
    pub(crate) async fn run(mut self, mut waiting: mpsc::Receiver<Job>) {
        match self.stage.work(recovery::open_lanes(&self.db)).await {
            Ok(lanes) => {
                self.gauge.queued.store(lanes.values().sum(), Ordering::Relaxed);
                self.open_lanes = lanes;
            }
            Err(error) => {
                tracing::error!(%error, "cannot read the open lanes; messages are claimed one by one")
            }
        }
        match self.stage.work(recovery::held(&self.db)).await {
            Ok(held) => self.held = held,
            Err(error) => {
                tracing::error!(%error, "cannot read what is held; it is held until the next start")
            }
        }
        self.parked = self.stage.work(recovery::count_parked(&self.db)).await.unwrap_or_else(|error| {
            tracing::error!(%error, "cannot count the parked statuses; they are looked for at each settle");
            i64::from(u32::MAX)
        });
        let mut jobs = Vec::with_capacity(self.batch_max);
        loop {
            let taken = tokio::select! {
                biased;
                taken = waiting.recv_many(&mut jobs, self.batch_max) => Some(taken),
                () = self.clock.sleep(PROBE_INTERVAL), if self.gauge.failing.load(Ordering::Relaxed) => None,
            };
            match taken {
                Some(0) => return,
                Some(_) => self.write(&mut jobs).await,
                None => self.probe().await,
            }
        }
    }

    /// Looks whether the database takes writes again, though nobody has anything to write: who is told that nothing can be
    /// accepted may keep everybody away.
    async fn probe(&mut self) {
        // What is written has to differ from what is there: else SQLite writes nothing.
        let is_writing = self.look_for_the_doubtful().await.is_ok()
            && self.stage.work(sql::next_number(&self.db, WRITE_PROBE)).await.is_ok();
        if is_writing {
            self.writes_again();
            // That it does is told by a commit, and there may be no other for a while.
            if self.recovered().is_some() && self.commit(&[]).await.is_err() {
                tracing::warn!("the database takes writes again, and has refused the next one");
            }
        } else {
            self.stage.work(connect::renew(&self.db)).await;
        }
    }

    fn writes_again(&self) {
        self.gauge.failing.store(false, Ordering::Relaxed);
        self.gauge.away.store(false, Ordering::Relaxed);
    }

    async fn write(&mut self, jobs: &mut Vec<Job>) {
        // That is done outside of any transaction, after what was asked for before it.
        let scrubs: Vec<Job> = jobs.extract_if(.., |job| matches!(job.request, Request::Scrub)).collect();
        if !jobs.is_empty() {
            self.write_all(jobs).await;
        }
        for job in scrubs {
            let scrubbed = self.stage.work(scrub::files(&self.db, self.scrub_max)).await;
            job.answer(scrubbed.map(Reply::Scrubbed).map_err(Error::Database));
        }
    }

    async fn write_all(&mut self, jobs: &mut Vec<Job>) {
        match self.commit(jobs).await {
            Ok(replies) => jobs.drain(..).zip(replies).for_each(|(job, reply)| job.answer(Ok(reply))),
            Err(Abort::Away(error)) => self.turn_away(jobs.drain(..), &error),
            Err(abort) if jobs.len() == 1 => {
                let result = self.failed(abort);
                jobs.drain(..).next().into_iter().zip([result]).for_each(|(job, result)| job.answer(result));
            }
            Err(_) => {
                let mut alone = jobs.drain(..);
                while let Some(job) = alone.next() {
                    match self.commit(std::slice::from_ref(&job)).await {
                        Ok(mut replies) => job.answer(replies.pop().ok_or(Error::Closed)),
                        Err(Abort::Away(error)) => {
                            return self.turn_away(std::iter::once(job).chain(alone), &error);
                        }
                        Err(abort) => job.answer(self.failed(abort)),
                    }
                }
            }
        }
    }

    fn failed(&mut self, abort: Abort) -> Result<Reply, Error> {
        let result = abort.into_result(&self.gauge);
        if result.is_err() {
            self.failing_since.get_or_insert(self.clock.now());
        }
        result
    }

    /// What is to be told of the database, if this commit goes through. A single job that it refused is no news.
    fn recovered(&self) -> Option<News> {
        let since = self.failing_since.filter(|since| self.clock.now() - since >= FAILING_TOLD_AFTER)?;
        Some(News::Alarm(Alarm::DatabaseRecovered(since)))
    }

    /// Nothing can be written: nobody waits for it, here or on the way here, until a [probe](Writer::probe) goes through.
    fn turn_away(&mut self, jobs: impl Iterator<Item = Job>, error: &DbErr) {
        tracing::error!(%error, "the database does not begin a transaction");
        self.gauge.away.store(true, Ordering::Relaxed);
        for job in jobs {
            let result = self.failed(Abort::Away(error.clone()));
            job.answer(result);
        }
    }

    /// Applies `jobs` in one transaction and, once it is committed, lets out what follows from it.
    async fn commit(&mut self, jobs: &[Job]) -> Result<Vec<Reply>, Abort> {
        if self.batches.is_none() || self.doubtful.is_some() {
            self.look_for_the_doubtful().await.map_err(Abort::Away)?;
        }
        let began_at = self.clock.now();
        // On SQLite a transaction that reads before it writes must take the write lock at once, or lose a race for it.
        let options = TransactionOptions {
            sqlite_transaction_mode: Some(SqliteTransactionMode::Immediate),
            ..TransactionOptions::default()
        };
        self.stage.pass(Moment::Begin(jobs.len())).await.map_err(Abort::Away)?;
        let begun = self.stage.work(self.db.begin_with_options(options)).await;
        let tx = begun.map_err(Abort::Away)?;
        let now = self.clock.now();
        let news = self.recovered().into_iter().collect();
        let mut scope = Scope {
            tx: &tx,
            now,
            ids: &self.ids,
            directory: &mut self.directory,
            open_lanes: &self.open_lanes,
            held: &self.held,
            window_margin: self.window_margin,
            erased: &self.erased,
            claim_at_once: self.gauge.claim_at_once.load(Ordering::Relaxed),
            parked: self.parked,
            is_fenced: self.stage.is_fenced(),
            after: Aftermath::default(),
            tally: Tally::at(now),
            news,
        };
        let applying = Box::pin(async {
            let replies = apply(&mut scope, jobs).await?;
            if scope.after.matters() {
                scope.tally.add_batch();
            }
            let tally = std::mem::replace(&mut scope.tally, Tally::at(now));
            tally.write(scope.tx).await?;
            Ok::<_, Abort>(replies)
        });
        let applied = self.stage.work(applying).await;
        let after = scope.after;
        let applied = match applied {
            Ok(replies) => self.stage.pass(Moment::Commit).await.map(|()| replies).map_err(Abort::from),
            refused => refused,
        };
        match applied {
            Ok(replies) => {
                let ended = self.stage.work(tx.commit()).await;
                let told = match ended {
                    Ok(()) => self.stage.pass(Moment::Committed).await,
                    unanswered => unanswered,
                };
                self.committed(after, told).await?;
                self.writes_again();
                self.failing_since = None;
                self.metrics.batch(jobs.len(), seconds(self.clock.now() - began_at));
                Ok(replies)
            }
            Err(abort) => {
                self.stage.work(tx.rollback()).await?;
                Err(abort)
            }
        }
    }

    /// A commit was answered, or it was not: then the batch is committed if it is found.
    async fn committed(&mut self, after: Aftermath, told: Result<(), DbErr>) -> Result<(), Abort> {
        let matters = after.matters();
        match told {
            Ok(()) => {
                self.batches = self.batches.map(|batches| batches + i64::from(matters));
                self.conclude(after);
                Ok(())
            }
            Err(error) => {
                self.doubtful = matters.then_some(after);
                let is_there = self.look_for_the_doubtful().await.map_err(Abort::Away)?;
                if is_there { Ok(()) } else { Err(error.into()) }
            }
        }
    }

    /// Counts the batches that are committed. Where the one is among them whose commit was not answered, what follows from it
    /// follows now.
    async fn look_for_the_doubtful(&mut self) -> Result<bool, DbErr> {
        self.stage.pass(Moment::Doubt).await?;
        let batches = self.stage.work(counters::batches(&self.db)).await?;
        let before = self.batches.replace(batches);
        let Some(after) = self.doubtful.take() else { return Ok(false) };
        let happened = before.is_some_and(|before| batches > before);
        tracing::warn!(happened, "a commit was not answered");
        if happened {
            self.conclude(after);
        }
        Ok(happened)
    }

    fn conclude(&mut self, after: Aftermath) {
        self.directory.learn(after.learnt);
        self.parked += after.parked_delta;
        for (from, to) in after.merged_lanes {
            if let Some(open) = self.open_lanes.remove(&from) {
                *self.open_lanes.entry(to).or_default() += open;
            }
            if self.held.remove(&from) {
                self.held.insert(to);
            }
        }
        self.gauge.queued.fetch_add(after.lanes.values().sum(), Ordering::Relaxed);
        for (lane, delta) in after.lanes {
            let open = self.open_lanes.entry(lane).or_default();
            *open += delta;
            if *open <= 0 {
                self.open_lanes.remove(&lane);
            }
        }
        for conversation in after.released {
            self.held.remove(&conversation);
        }
        self.held.extend(after.held);
        if after.told {
            self.gauge.told.send_modify(|turn| *turn += 1);
        }
        if after.removed {
            self.gauge.removals.fetch_add(1, Ordering::Release);
        }
        if after.again {
            self.gauge.again.send_modify(|turn| *turn += 1);
        }
        self.erased.until = self.erased.until.max(after.buried_until);
        self.erased.marked |= after.marked;
        if after.said {
            self.gauge.unfollowed.store(true, Ordering::Relaxed);
        }
        match after.open_counted {
            Some(open) => self.gauge.open.store(open, Ordering::Relaxed),
            None => _ = self.gauge.open.fetch_add(after.open_delta, Ordering::Relaxed),
        }
        self.metrics.unfinished_events(self.gauge.open.load(Ordering::Relaxed));
        after.deeds.iter().for_each(|deed| deed.is_now_noted());
        for hint in after.hints {
            // Nobody listens when the program is ending; the rows are there for the next start.
            let _ = self.hints.send(hint);
        }
        for note in after.notes {
            match note {
                Note::Accepted(kind) => self.metrics.accepted(kind),
                Note::Ignored => self.metrics.ignored(),
                Note::Duplicate => self.metrics.duplicate(),
                Note::Status(status) => self.metrics.status(status),
                Note::Parked => self.metrics.status_parked(),
                Note::Replied(response_ms) => self.metrics.replied(seconds(response_ms)),
            }
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "a span of milliseconds is exact in an f64")]
fn seconds(span: Millis) -> f64 {
    span as f64 / 1_000.0
}
