//! Time and ids, from one owned place.
//!
//! Everything that asks "what time is it", waits, or needs a fresh id asks here, so that a test can own the clock
//! ([`Clock::manual`]) and see the same ids in every run. Times are `i64` milliseconds since the Unix epoch.
//!
//! Time-outs of our own work are here too ([`Clock::within`]). Those of sockets deliberately are not: they guard against a
//! peer that hangs, and a peer's time is not ours to set.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Poll, Waker};
use std::time::Duration;

/// Milliseconds since the Unix epoch.
pub type Millis = i64;

/// A second, a minute, an hour in [`Millis`].
pub const SECOND: Millis = 1_000;
/// One minute in [`Millis`].
pub const MINUTE: Millis = 60 * SECOND;
/// One hour in [`Millis`].
pub const HOUR: Millis = 60 * MINUTE;
/// One day in [`Millis`].
pub const DAY: Millis = 24 * HOUR;

/// A cheap handle on the time: the machine's, or a test's.
#[derive(Clone, Debug)]
pub struct Clock(Source);

#[derive(Clone, Debug)]
enum Source {
    System,
    Manual(Arc<Mutex<Dial>>),
}

/// The hand that moves a manual clock. Time stands still unless it is told to move.
#[derive(Clone, Debug)]
pub struct Hand(Arc<Mutex<Dial>>);

/// Where a manual clock stands, and who sleeps: by the moment, then in the order in which they lay down, so that they wake
/// in the same order in every run.
#[derive(Debug)]
struct Dial {
    now: Millis,
    sleepers: BTreeMap<(Millis, u64), Waker>,
    next_sleeper: u64,
    /// Whether time-outs run on it as well.
    times_out: bool,
}

impl Dial {
    fn of(dial: &Mutex<Self>) -> MutexGuard<'_, Self> {
        dial.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Hand {
    /// Moves the time forward and wakes everyone whose moment has come.
    pub fn advance(&self, by: Duration) {
        let awake = {
            let mut dial = Dial::of(&self.0);
            let now = dial.now + duration_ms(by);
            dial.now = now;
            let later = dial.sleepers.split_off(&(now + 1, 0));
            std::mem::replace(&mut dial.sleepers, later)
        };
        awake.into_values().for_each(Waker::wake);
    }
}

/// A sleeper's place on the dial, given up when it does not sleep any more.
struct Place<'a> {
    dial: &'a Mutex<Dial>,
    at: Millis,
    number: Option<u64>,
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        if let Some(number) = self.number {
            Dial::of(self.dial).sleepers.remove(&(self.at, number));
        }
    }
}

impl Clock {
    /// The machine's clock.
    #[must_use]
    pub fn system() -> Self {
        Self(Source::System)
    }

    /// A clock that stands at `start` until its [`Hand`] moves it.
    #[must_use]
    pub fn manual(start: Millis) -> (Self, Hand) {
        Self::on_a_dial(start, false)
    }

    /// As [`Clock::manual`], and time-outs run on it too: whoever moves it decides what takes too long.
    #[must_use]
    pub fn manual_with_time_outs(start: Millis) -> (Self, Hand) {
        Self::on_a_dial(start, true)
    }

    fn on_a_dial(start: Millis, times_out: bool) -> (Self, Hand) {
        let dial = Dial { now: start, sleepers: BTreeMap::new(), next_sleeper: 0, times_out };
        let dial = Arc::new(Mutex::new(dial));
        (Self(Source::Manual(Arc::clone(&dial))), Hand(dial))
    }

    /// The present time.
    #[must_use]
    pub fn now(&self) -> Millis {
        match &self.0 {
            Source::System => system_now(),
            Source::Manual(dial) => Dial::of(dial).now,
        }
    }

    /// Waits until the clock shows `at` or later; returns at once when it already does.
    pub async fn sleep_until(&self, at: Millis) {
        match &self.0 {
            Source::System => {
                let wait = at.saturating_sub(system_now());
                if wait > 0 {
                    tokio::time::sleep(Duration::from_millis(wait.unsigned_abs())).await;
                }
            }
            Source::Manual(dial) => {
                let mut place = Place { dial, at, number: None };
                std::future::poll_fn(|cx| {
                    let mut dial = Dial::of(dial);
                    if dial.now >= at {
                        return Poll::Ready(());
                    }
                    let number = *place.number.get_or_insert_with(|| {
                        dial.next_sleeper += 1;
                        dial.next_sleeper
                    });
                    dial.sleepers.insert((at, number), cx.waker().clone());
                    Poll::Pending
                })
                .await;
            }
        }
    }

    /// Waits for `duration` on this clock.
    pub async fn sleep(&self, duration: Duration) {
        self.sleep_until(self.now() + duration_ms(duration)).await;
    }

    /// Does `work`, unless it takes longer than `limit`: then it is dropped where it stands, for `None`. Beside a manual clock
    /// the machine's time counts: a test that moves the hand is not to end what is under way.
    pub async fn within<T>(&self, limit: Duration, work: impl Future<Output = T>) -> Option<T> {
        match &self.0 {
            Source::Manual(dial) if Dial::of(dial).times_out => {
                tokio::select! {
                    biased;
                    done = work => Some(done),
                    () = self.sleep(limit) => None,
                }
            }
            Source::System | Source::Manual(_) => tokio::time::timeout(limit, work).await.ok(),
        }
    }
}

/// A duration in whole milliseconds, saturating.
#[must_use]
pub fn duration_ms(duration: Duration) -> Millis {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

#[expect(clippy::disallowed_methods, reason = "the one place that reads the machine's clock")]
fn system_now() -> Millis {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_or(0, duration_ms)
}

/// Bits of an id below the millisecond: 4,096 ids per millisecond before it borrows from the next one.
const ID_SEQUENCE_BITS: u32 = 12;

/// The source of row ids: time-ordered, strictly increasing within a process and, once told of the highest stored
/// one, across restarts, even if the machine's clock has gone backwards.
///
/// Ids are given by us and not by the database, so that a whole batch is written without reading anything back.
#[derive(Clone, Debug)]
pub struct Ids {
    clock: Clock,
    last: Arc<AtomicI64>,
}

impl Ids {
    /// A source that follows `clock`.
    #[must_use]
    pub fn new(clock: Clock) -> Self {
        Self { clock, last: Arc::new(AtomicI64::new(0)) }
    }

    /// No id that is given while the clock shows `at` or later is below this.
    #[must_use]
    pub fn lowest_at(at: Millis) -> i64 {
        at.max(0).saturating_mul(1 << ID_SEQUENCE_BITS)
    }

    /// No later id is at or below `stored`.
    pub fn start_after(&self, stored: i64) {
        self.last.fetch_max(stored, Ordering::Relaxed);
    }

    /// The next id.
    #[must_use]
    pub fn next(&self) -> i64 {
        self.next_block(1)
    }

    /// The first id that can be given at the moment `at`: whatever was given before is lower, but for ids that were borrowed
    /// from the next moment.
    #[must_use]
    pub fn first_at(at: Millis) -> i64 {
        at.max(0) << ID_SEQUENCE_BITS
    }

    /// The first of `count` ids in a row.
    #[must_use]
    pub fn next_block(&self, count: usize) -> i64 {
        let floor = Self::lowest_at(self.clock.now());
        let count = i64::try_from(count.max(1)).unwrap_or(i64::MAX);
        let step = |last: i64| Some((last + 1).max(floor) + count - 1);
        let before = match self.last.fetch_update(Ordering::Relaxed, Ordering::Relaxed, step) {
            Ok(before) | Err(before) => before,
        };
        (before + 1).max(floor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_increase_even_when_the_clock_stands_still_or_the_store_is_ahead() {
        let (clock, hand) = Clock::manual(1_000);
        let ids = Ids::new(clock);
        let first = ids.next();
        let block = ids.next_block(10);
        assert!(first < block && block + 9 < ids.next());
        ids.start_after(i64::from(u32::MAX) << 20);
        let after = ids.next();
        assert!(after > i64::from(u32::MAX) << 20);
        hand.advance(Duration::from_secs(1));
        assert!(ids.next() > after);
    }

    #[tokio::test]
    async fn a_manual_clock_wakes_sleepers_only_when_it_is_moved() {
        let (clock, hand) = Clock::manual(0);
        let sleeper = tokio::spawn({
            let clock = clock.clone();
            async move { clock.sleep(Duration::from_secs(60)).await }
        });
        tokio::task::yield_now().await;
        hand.advance(Duration::from_secs(59));
        tokio::task::yield_now().await;
        assert!(!sleeper.is_finished());
        hand.advance(Duration::from_secs(1));
        sleeper.await.unwrap();
    }

    #[tokio::test]
    async fn what_takes_too_long_is_left_where_it_stands() {
        let limit = Duration::from_secs(60);
        for (owns_time_outs, expected) in [(true, None), (false, Some(7))] {
            let (clock, hand) =
                if owns_time_outs { Clock::manual_with_time_outs(0) } else { Clock::manual(0) };
            assert_eq!(clock.within(limit, async { 6 }).await, Some(6));
            let (go, gone) = tokio::sync::oneshot::channel();
            let work = tokio::spawn(async move { clock.within(limit, async { gone.await.unwrap() }).await });
            tokio::task::yield_now().await;
            hand.advance(limit);
            tokio::task::yield_now().await;
            let _ = go.send(7);
            assert_eq!(work.await.unwrap(), expected);
        }
    }
}
