//! The one writer: group commit without a timer.
//!
//! It takes whatever jobs have accumulated, applies them in one transaction with multi-row statements, commits, and only
//! then answers the waiters and lets the hints out. If a batch fails, each of its jobs is tried alone, so one bad row
//! cannot take its neighbours down. What the writer remembers between batches (ids of people, open lanes) changes after
//! a commit only.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use sea_orm::{DatabaseConnection, SqliteTransactionMode, TransactionOptions, TransactionTrait};
use tokio::sync::{mpsc, oneshot};

use crate::clock::{Clock, Ids, Millis};
use crate::domain::consent::Change;
use crate::domain::ids::{ContactId, EventId, MessageId};
use crate::store::audit;
use crate::store::batch::{Abort, Aftermath, Note, Reply, Scope};
use crate::store::counters::Tally;
use crate::store::directory::Directory;
use crate::store::keys::{self, KeyWrite};
use crate::store::media::MediaWrite;
use crate::store::template::TemplateList;
use crate::store::{
    Claim, Deed, Error, Gauge, Hint, Incoming, KnownFlow, Reservation, Settings, Settle, SqlWrite,
    TokenPause, Turn, TurnReply,
};
use crate::store::{accept, consent, gate, media, pauses, queue, recovery, search, sql, template, turn};
use crate::telemetry::Metrics;

/// Something to write.
pub(crate) enum Request {
    /// Keep these events.
    Accept(Vec<Incoming>, #[expect(dead_code, reason = "held until the job is answered")] Reservation),
    /// Commit this turn.
    Turn(Box<Turn>),
    /// This message wants to be posted.
    Claim(MessageId),
    /// What became of this attempt.
    Settle(Box<Settle>),
    /// These messages are not wanted any more.
    Discard(Vec<MessageId>),
    /// What a person wants to be sent.
    Consent(ContactId, Change),
    /// A turn for this event is about to be tried again; answers how often that was so.
    Attempt(EventId),
    /// This event is put aside, for this reason.
    Quarantine(EventId, String),
    DiscardEvent(EventId),
    /// This event is taken up again.
    Retry(EventId),
    /// The next number of this sequence.
    Number(String),
    /// Remember this flow.
    Flow(KnownFlow),
    /// A number's token was refused, or is taken again.
    TokenPause(TokenPause),
    /// What was in flight when the program ended is ambiguous until this moment.
    Orphans(Millis),
    /// Run these writes to the business's tables.
    Writes(Vec<SqlWrite>),
    /// Something about files.
    Media(MediaWrite),
    /// Keep the words of messages that came since the last time.
    Follow,
    /// What Meta's list of templates says.
    Templates(TemplateList),
    /// Something about API keys.
    Key(KeyWrite),
    /// What somebody did, of which nothing else is written.
    Note(audit::Note),
    /// Count the open events afresh.
    Recount,
}

/// A request, and who waits for what it comes to.
pub(crate) struct Job {
    pub(crate) request: Request,
    /// Who wants it, where that is to be noted.
    pub(crate) on_behalf: Option<Arc<Deed>>,
    pub(crate) answer: oneshot::Sender<Result<Reply, Error>>,
}

impl Job {
    /// A waiter that has gone away does not need its answer.
    fn answer(self, reply: Result<Reply, Error>) {
        let _ = self.answer.send(reply);
    }
}

impl Abort {
    fn into_result(self, gauge: &Gauge) -> Result<Reply, Error> {
        match self {
            Self::Refused(reply) => Ok(reply),
            Self::Database(error) => {
                gauge.failing.store(true, Ordering::Relaxed);
                tracing::warn!(%error, "a write failed");
                Err(Error::Database(error))
            }
        }
    }
}

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
}

impl Writer {
    pub(crate) fn new(
        db: DatabaseConnection,
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
        }
    }

    /// Writes until every [`Store`](crate::store::Store) handle is gone.
    pub(crate) async fn run(mut self, mut waiting: mpsc::Receiver<Job>) {
        match recovery::open_lanes(&self.db).await {
            Ok(lanes) => {
                self.gauge.queued.store(lanes.values().sum(), Ordering::Relaxed);
                self.open_lanes = lanes;
            }
            Err(error) => {
                tracing::error!(%error, "cannot read the open lanes; messages are claimed one by one")
            }
        }
        match recovery::held(&self.db).await {
            Ok(held) => self.held = held,
            Err(error) => {
                tracing::error!(%error, "cannot read what is held; it is held until the next start")
            }
        }
        self.parked = recovery::count_parked(&self.db).await.unwrap_or_else(|error| {
            tracing::error!(%error, "cannot count the parked statuses; they are looked for at each settle");
            i64::from(u32::MAX)
        });
        let mut jobs = Vec::with_capacity(self.batch_max);
        while waiting.recv_many(&mut jobs, self.batch_max).await > 0 {
            self.write(&mut jobs).await;
        }
    }

    async fn write(&mut self, jobs: &mut Vec<Job>) {
        match self.commit(jobs).await {
            Ok(replies) => jobs.drain(..).zip(replies).for_each(|(job, reply)| job.answer(Ok(reply))),
            Err(abort) if jobs.len() == 1 => {
                let result = abort.into_result(&self.gauge);
                jobs.drain(..).next().into_iter().zip([result]).for_each(|(job, result)| job.answer(result));
            }
            Err(_) => {
                for job in jobs.drain(..) {
                    let alone = self.commit(std::slice::from_ref(&job)).await;
                    job.answer(match alone {
                        Ok(mut replies) => replies.pop().ok_or(Error::Closed),
                        Err(abort) => abort.into_result(&self.gauge),
                    });
                }
            }
        }
    }

    /// Applies `jobs` in one transaction and, once it is committed, lets out what follows from it.
    async fn commit(&mut self, jobs: &[Job]) -> Result<Vec<Reply>, Abort> {
        let began_at = self.clock.now();
        // On SQLite a transaction that reads before it writes must take the write lock at once, or lose a race for it.
        let options = TransactionOptions {
            sqlite_transaction_mode: Some(SqliteTransactionMode::Immediate),
            ..TransactionOptions::default()
        };
        let tx = self.db.begin_with_options(options).await?;
        let now = self.clock.now();
        let mut scope = Scope {
            tx: &tx,
            now,
            ids: &self.ids,
            directory: &mut self.directory,
            open_lanes: &self.open_lanes,
            held: &self.held,
            window_margin: self.window_margin,
            claim_at_once: self.gauge.claim_at_once.load(Ordering::Relaxed),
            parked: self.parked,
            after: Aftermath::default(),
            tally: Tally::at(now),
        };
        let applied = match apply(&mut scope, jobs).await {
            Ok(replies) => scope.tally.write(scope.tx).await.map(|()| replies).map_err(Abort::from),
            Err(abort) => Err(abort),
        };
        let after = scope.after;
        match applied {
            Ok(replies) => {
                tx.commit().await?;
                self.gauge.failing.store(false, Ordering::Relaxed);
                self.metrics.batch(jobs.len(), seconds(self.clock.now() - began_at));
                self.conclude(after);
                Ok(replies)
            }
            Err(abort) => {
                tx.rollback().await?;
                Err(abort)
            }
        }
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

/// Applies all jobs of a batch, kind by kind. Accepting comes first and settling last, so that within a batch causes
/// come before effects.
async fn apply(scope: &mut Scope<'_>, jobs: &[Job]) -> Result<Vec<Reply>, Abort> {
    let mut replies: Vec<Reply> = jobs.iter().map(|_| Reply::Unit).collect();

    let accepts: Vec<usize> = indices(jobs, |request| matches!(request, Request::Accept(..)));
    if !accepts.is_empty() {
        let lists: Vec<&[Incoming]> = jobs.iter().filter_map(|job| job.request.incoming()).collect();
        for (i, accepted) in accepts.iter().zip(accept::apply(scope, &lists).await?) {
            replies[*i] = Reply::Accepted(accepted);
        }
    }

    let turns: Vec<&Turn> = jobs.iter().filter_map(|job| job.request.turn()).collect();
    if !turns.is_empty() {
        turn::apply(scope, &turns).await?;
        for i in indices(jobs, |request| matches!(request, Request::Turn(_))) {
            replies[i] = Reply::Turn(TurnReply::Committed);
        }
    }

    let settles: Vec<&Settle> = jobs.iter().filter_map(|job| job.request.settle()).collect();
    queue::settle(scope, &settles).await?;
    let claims: Vec<i64> = jobs.iter().filter_map(|job| job.request.claim()).map(|id| id.0).collect();
    let mut claimed = gate::claim(scope, &claims).await?;
    for (job, reply) in jobs.iter().zip(&mut replies) {
        if let Some(id) = job.request.claim() {
            *reply = Reply::Claimed(claimed.remove(&id.0).unwrap_or(Claim::Gone));
        }
    }

    for (job, reply) in jobs.iter().zip(&mut replies) {
        match &job.request {
            Request::Accept(..) | Request::Turn(_) | Request::Settle(_) | Request::Claim(_) => {}
            Request::Discard(messages) => {
                let messages: Vec<i64> = messages.iter().map(|id| id.0).collect();
                *reply = Reply::Discarded(queue::discard(scope, &messages).await?);
            }
            Request::Consent(contact, change) => {
                *reply = Reply::Changed(consent::change(scope, *contact, *change, None).await?);
            }
            Request::Attempt(event) => *reply = Reply::Attempts(recovery::attempt(scope, *event).await?),
            Request::Quarantine(event, reason) => {
                *reply = Reply::Changed(recovery::quarantine(scope, *event, reason).await?);
            }
            Request::DiscardEvent(event) => *reply = Reply::Changed(recovery::discard(scope, *event).await?),
            Request::Retry(event) => *reply = Reply::Changed(recovery::retry(scope, *event).await?),
            Request::Number(name) => *reply = Reply::Number(sql::next_number(scope, name).await?),
            Request::Flow(flow) => recovery::keep_flow(scope, flow).await?,
            Request::TokenPause(pause) => pauses::keep(scope, pause).await?,
            Request::Orphans(until) => queue::orphans(scope, *until).await?,
            Request::Writes(writes) => {
                for write in writes {
                    sql::write(scope.tx, write).await?;
                }
            }
            Request::Media(write) => *reply = media::write(scope, write).await?,
            Request::Follow => *reply = Reply::Changed(search::advance(scope).await?),
            Request::Templates(list) => *reply = template::keep(scope, list).await?,
            Request::Key(write) => *reply = keys::write(scope, write).await?,
            Request::Note(_) => {}
            Request::Recount => scope.after.open_counted = Some(recovery::count_open(scope).await?),
        }
    }
    audit::write(scope, jobs, &replies).await?;
    Ok(replies)
}

#[expect(clippy::cast_precision_loss, reason = "a span of milliseconds is exact in an f64")]
fn seconds(span: Millis) -> f64 {
    span as f64 / 1_000.0
}

fn indices(jobs: &[Job], wanted: impl Fn(&Request) -> bool) -> Vec<usize> {
    jobs.iter().enumerate().filter(|(_, job)| wanted(&job.request)).map(|(i, _)| i).collect()
}

impl Request {
    fn incoming(&self) -> Option<&[Incoming]> {
        if let Self::Accept(incoming, _) = self { Some(incoming) } else { None }
    }

    fn turn(&self) -> Option<&Turn> {
        if let Self::Turn(turn) = self { Some(turn) } else { None }
    }

    fn settle(&self) -> Option<&Settle> {
        if let Self::Settle(settle) = self { Some(settle) } else { None }
    }

    fn claim(&self) -> Option<MessageId> {
        if let Self::Claim(id) = self { Some(*id) } else { None }
    }
}
