//! What those who listen are told, from the store's feed: notices, in the order in which what they tell was committed.
//!
//! A listener has a place ([`NoticeId`]) and asks for what comes behind it ([`Feed::after`]); nothing is pushed, so one that
//! is slow costs nothing, and one that was away goes on where it was. What is new is read once for all who are near the end
//! (`window`); who is further behind reads for itself. Nobody asks while nothing happens: [`Feed::told`] says when.
//!
//! Deliberately not here: how a notice is written as JSON (the door does that), and who listens.

mod notice;
mod window;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Mutex, OwnedSemaphorePermit, Semaphore, watch};

use crate::clock::{MINUTE, duration_ms};
use crate::domain::notice::NoticeId;
use crate::store::{Error, Store};

pub use notice::{Filter, Notice, Subject, notices};
use window::Window;

/// How often what is old is dropped.
const FORGET_EVERY: i64 = MINUTE;

/// The limits of listening.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Readers of the event stream at once.
    pub readers_max: usize,
    /// Events that wait for one reader to take them.
    pub buffer: usize,
    /// How often a sign of life is sent where nothing happens.
    pub heartbeat: Duration,
    /// How long a reader may take nothing while events wait for it.
    pub stalled_after: Duration,
    /// How long what happened is told.
    pub kept_for: Duration,
    /// Commits of which is told at the most.
    pub commits_max: usize,
    /// How long a finished delivery is in the log.
    pub log_kept_for: Duration,
}

/// The feed; a clone is the same one.
#[derive(Clone)]
pub struct Feed(Arc<Inner>);

struct Inner {
    store: Store,
    limits: Limits,
    window: Mutex<Option<Window>>,
    readers: Arc<Semaphore>,
    closed: watch::Sender<bool>,
}

/// What comes behind a place.
#[derive(Debug)]
pub struct Page {
    /// The notices, in order.
    pub notices: Vec<Arc<Notice>>,
    /// The place behind them; that of the asker when there is nothing new.
    pub upto: NoticeId,
    /// Where the feed begins, if what was between the asked place and that has been dropped.
    pub missed: Option<NoticeId>,
    /// Whether this was all there is.
    pub at_end: bool,
}

impl Feed {
    /// The feed of this store.
    #[must_use]
    pub fn new(store: Store, limits: Limits) -> Self {
        let readers = Arc::new(Semaphore::new(limits.readers_max));
        Self(Arc::new(Inner {
            store,
            limits,
            window: Mutex::new(None),
            readers,
            closed: watch::Sender::new(false),
        }))
    }

    /// The limits.
    #[must_use]
    pub fn limits(&self) -> Limits {
        self.0.limits
    }

    /// A place among the readers, until it is dropped; `None` when there are enough.
    #[must_use]
    pub fn admit(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.0.readers).try_acquire_owned().ok()
    }

    /// Ends all listening: the program is ending.
    pub fn close(&self) {
        self.0.closed.send_replace(true);
    }

    /// Becomes true when all listening has to end.
    #[must_use]
    pub fn closed(&self) -> watch::Receiver<bool> {
        self.0.closed.subscribe()
    }

    /// Changes whenever there may be more.
    #[must_use]
    pub fn told(&self) -> watch::Receiver<u64> {
        self.0.store.told()
    }

    /// The place behind everything that has happened so far.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn end(&self) -> Result<NoticeId, Error> {
        Ok(NoticeId::end_of(self.0.store.feed_ends().await?.newest))
    }

    /// The place where a listener goes on who was last at `place`, and whether that is another one: behind the end is nobody,
    /// unless the database was put back to an earlier time.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn resume(&self, place: NoticeId) -> Result<(NoticeId, bool), Error> {
        let ends = self.0.store.feed_ends().await?;
        if place.commit > ends.newest {
            return Ok((NoticeId::end_of(ends.newest), true));
        }
        Ok((place, false))
    }

    /// What comes behind `place`.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn after(&self, place: NoticeId) -> Result<Page, Error> {
        let store = &self.0.store;
        // Held while it is read: of those who wait for the same, one reads.
        let mut shared = self.0.window.lock().await;
        let window = match &mut *shared {
            Some(window) if window.reaches(place) => window,
            Some(window) if place < window.begins() => {
                drop(shared);
                return window::read(store, place).await;
            }
            // Nobody has listened for a while.
            shared => shared.insert(Window::at(place)),
        };
        if let Some(page) = window.after(place) {
            return Ok(page);
        }
        let nothing = Page { notices: Vec::new(), upto: place, missed: None, at_end: true };
        let turn = *store.told().borrow();
        if window.is_whole_at(turn) {
            return Ok(nothing);
        }
        let read = window::read(store, window.ends()).await?;
        if read.missed.is_some() {
            *shared = None;
            return Ok(read);
        }
        window.extend(read, turn);
        Ok(window.after(place).unwrap_or(nothing))
    }
}

/// For ever: drops what is older than it is kept.
pub async fn forget(feed: Feed) {
    let Inner { store, limits, .. } = &*feed.0;
    loop {
        let clock = store.clock();
        clock.sleep_until(clock.now() + FORGET_EVERY).await;
        let now = clock.now();
        let dropped = async {
            store.forget_feed(now - duration_ms(limits.kept_for), limits.commits_max as u64).await?;
            store.forget_deliveries(now - duration_ms(limits.log_kept_for)).await
        };
        if let Err(error) = dropped.await {
            tracing::warn!(%error, "what was told long ago is not dropped yet; tried again in a minute");
        }
    }
}
