//! The load: tracks of requests made beforehand, one connection each, posted on a schedule or as fast as it goes.
//!
//! **Open loop**: each request has its intended moment; its latency counts from there, whether or not the generator or the
//! program was ready for it. A run in which the generator itself was late is no measurement ([`Sent::saturated`]).
//! **Closed loop**: each connection posts its next request when the one before is answered, and no more turns are under way
//! at once than the [`Window`] lets in.
//!
//! A person's messages are all on one track, so that they are accepted in the order in which they were written.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use anyhow::Context as _;
use hdrhistogram::Histogram;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::connection::Connection;
use crate::moment::{self, Micros};

/// How long a request that was refused waits until it is posted again. Meta waits longer; a run does not want to.
const RETRY_PAUSE: Duration = Duration::from_millis(100);
/// The generator's own delay, at the 99th percentile, from which on a run does not count.
const OWN_DELAY_MAX: Micros = 20_000;
/// Behind its schedule by so much, a request found all connections taken.
const BEHIND_MAX: Micros = 1_000_000;
/// The share of requests behind schedule from which on a run does not count.
const BEHIND_SHARE: u64 = 100;

/// What a request is part of; acknowledgements are kept apart by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    Message,
    Status,
    /// A message of the one conversation that is hot.
    Hot,
}

struct Post {
    begin: usize,
    end: usize,
    /// After the start of the run.
    due: Micros,
    kind: Kind,
}

/// The requests of one connection, in order.
#[derive(Default)]
pub(crate) struct Track {
    bytes: Vec<u8>,
    posts: Vec<Post>,
}

impl Track {
    /// Adds a request that `write` writes.
    pub(crate) fn add(&mut self, kind: Kind, due: Micros, write: impl FnOnce(&mut Vec<u8>)) {
        let begin = self.bytes.len();
        write(&mut self.bytes);
        self.posts.push(Post { begin, end: self.bytes.len(), due, kind });
    }

    /// Puts the requests into the order in which they are due.
    pub(crate) fn sort(&mut self) {
        self.posts.sort_by_key(|post| post.due);
    }
}

/// Tracks for so many connections.
pub(crate) fn tracks(count: usize) -> Vec<Track> {
    std::iter::repeat_with(Track::default).take(count.max(1)).collect()
}

/// How many turns may be under way at once: posted, and not yet answered at Meta.
pub(crate) struct Window {
    limit: u64,
    posted: Cell<u64>,
    answered: watch::Receiver<u64>,
}

impl Window {
    /// For a run that begins when all that was posted is answered.
    pub(crate) fn new(limit: u64, answered: watch::Receiver<u64>) -> Self {
        let posted = Cell::new(*answered.borrow());
        Self { limit, posted, answered }
    }

    async fn enter(&self) -> anyhow::Result<()> {
        let mut answered = self.answered.clone();
        answered
            .wait_for(|answered| self.posted.get() < *answered + self.limit)
            .await
            .context("Meta is gone")?;
        self.posted.set(self.posted.get() + 1);
        Ok(())
    }
}

/// How fast a run goes.
#[derive(Clone)]
pub(crate) enum Pace {
    /// On the schedule of the tracks, counted from this moment.
    Open(Micros),
    /// As fast as it goes; messages within a window, if there is one.
    Closed(Option<Rc<Window>>),
}

/// What became of a run, as the generator saw it.
pub(crate) struct Sent {
    pub(crate) began_at: Micros,
    pub(crate) ended_at: Micros,
    /// From the intended moment to the 200, in microseconds.
    pub(crate) acks: BTreeMap<Kind, Histogram<u64>>,
    /// Answers other than 200, by HTTP status. Each was posted again until it was a 200.
    pub(crate) refused: BTreeMap<u16, u64>,
    /// From when a request could have left to when it left.
    own_delay: Histogram<u64>,
    behind: u64,
    posts: u64,
}

impl Sent {
    fn new() -> Self {
        Self {
            began_at: moment::now(),
            ended_at: 0,
            acks: BTreeMap::new(),
            refused: BTreeMap::new(),
            own_delay: histogram(),
            behind: 0,
            posts: 0,
        }
    }

    /// Why the run does not count, if it does not.
    pub(crate) fn saturated(&self) -> Option<String> {
        let own = self.own_delay.value_at_quantile(0.99);
        if own > OWN_DELAY_MAX {
            return Some(format!(
                "generator saturated: it was {} ms late at the 99th percentile",
                own / 1_000
            ));
        }
        (self.behind > self.posts / BEHIND_SHARE).then(|| {
            format!("schedule not kept: {} of {} requests left over a second late", self.behind, self.posts)
        })
    }

    /// Acknowledgements of all kinds.
    pub(crate) fn all_acks(&self) -> Histogram<u64> {
        let mut all = histogram();
        for acks in self.acks.values() {
            // All of them are made by `histogram`.
            let _ = all.add(acks);
        }
        all
    }
}

/// A histogram of microseconds, right to three digits.
pub(crate) fn histogram() -> Histogram<u64> {
    Histogram::new(3).expect("3 digits are allowed")
}

/// Counts a time.
pub(crate) fn record(histogram: &mut Histogram<u64>, micros: Micros) {
    histogram.record(micros).expect("a histogram that grows takes every time");
}

/// Posts all tracks to `addr`, each on a connection of its own.
pub(crate) async fn run(addr: SocketAddr, tracks: &Rc<Vec<Track>>, pace: Pace) -> anyhow::Result<Sent> {
    let sent = Rc::new(RefCell::new(Sent::new()));
    let mut running = JoinSet::new();
    for number in 0..tracks.len() {
        let (tracks, sent, pace) = (Rc::clone(tracks), Rc::clone(&sent), pace.clone());
        running.spawn_local(async move { follow(addr, &tracks[number], pace, &sent).await });
    }
    while let Some(ended) = running.join_next().await {
        ended??;
    }
    let mut sent = Rc::into_inner(sent).context("every track has ended")?.into_inner();
    sent.ended_at = moment::now();
    Ok(sent)
}

async fn follow(addr: SocketAddr, track: &Track, pace: Pace, sent: &RefCell<Sent>) -> anyhow::Result<()> {
    let mut connection = Connection::new(addr);
    for post in &track.posts {
        let request = &track.bytes[post.begin..post.end];
        let due = match &pace {
            Pace::Open(start) => {
                let due = start + post.due;
                let could_leave_at = moment::now().max(due);
                moment::sleep_until(due).await;
                let left_at = moment::now();
                let mut sent = sent.borrow_mut();
                record(&mut sent.own_delay, left_at - could_leave_at);
                sent.behind += u64::from(left_at - due > BEHIND_MAX);
                due
            }
            Pace::Closed(window) => {
                if let Some(window) = window.as_ref().filter(|_| post.kind != Kind::Status) {
                    window.enter().await?;
                }
                moment::now()
            }
        };
        until_taken(&mut connection, request, sent).await?;
        let mut sent = sent.borrow_mut();
        sent.posts += 1;
        record(sent.acks.entry(post.kind).or_insert_with(histogram), moment::now() - due);
    }
    Ok(())
}

/// Posts a request until it is answered 200, as Meta does.
async fn until_taken(
    connection: &mut Connection,
    request: &[u8],
    sent: &RefCell<Sent>,
) -> anyhow::Result<()> {
    loop {
        let status = connection.exchange(request).await?.status;
        if status == 200 {
            return Ok(());
        }
        anyhow::ensure!(status >= 500, "a webhook was answered {status}");
        *sent.borrow_mut().refused.entry(status).or_default() += 1;
        tokio::time::sleep(RETRY_PAUSE).await;
    }
}
