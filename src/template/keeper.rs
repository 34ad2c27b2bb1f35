//! Keeping in step: Meta's list is read and written down, and the book is read again when anything was.

use std::collections::HashMap;
use std::time::Duration;

use tokio::task::{self, JoinSet};

use super::book::{Book, Wish};
use crate::clock::{MINUTE, Millis, SECOND, duration_ms};
use crate::meta::client::{Client, Trouble};
use crate::meta::failure::cause;
use crate::store::{self, Store, TemplateList};
use crate::telemetry::{Metrics, SyncOutcome};

/// The pause after a list that could not be read; doubled with each one, up to the time between two readings.
const BACKOFF: Millis = 10 * SECOND;
/// The least time between two readings of a list that news ask for. Meta grants 200 calls an hour for a small account, and
/// a list of 250 templates takes three.
const LOOK_PAUSE: Millis = MINUTE;
/// The pause before the store is asked again.
const STORE_PAUSE: Millis = SECOND;

/// What keeping in step works with.
pub struct Keeper {
    /// Where templates are written down.
    pub store: Store,
    /// What is asked before one is sent.
    pub book: Book,
    /// Our business accounts, each with a way to Meta whose token may read its list.
    pub accounts: Vec<(String, Client)>,
    /// The time between two readings.
    pub every: Duration,
    /// What is counted.
    pub metrics: Metrics,
}

/// When the list of an account is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Plan {
    /// Not before this moment.
    due_at: Millis,
    /// When it was last asked for.
    asked_at: Option<Millis>,
    /// How often in a row it could not be read.
    failures: u32,
    /// Whether it is being read.
    under_way: bool,
}

impl Plan {
    fn new(now: Millis) -> Self {
        Self { due_at: now, asked_at: None, failures: 0, under_way: false }
    }

    /// What a wish changes: news do not shorten the pause after a failure, and are not asked after more often than
    /// [`LOOK_PAUSE`] allows; a person is.
    fn wish(&mut self, wish: Wish, now: Millis) {
        let soon = match wish {
            Wish::LookNow => now,
            Wish::Look if self.failures == 0 => {
                self.asked_at.map_or(now, |asked_at| now.max(asked_at + LOOK_PAUSE))
            }
            Wish::Look | Wish::Refresh => return,
        };
        self.due_at = self.due_at.min(soon);
    }

    fn begin(&mut self, now: Millis, every: Millis) {
        // What is wished from now on is another reading.
        (self.under_way, self.asked_at, self.due_at) = (true, Some(now), now + every);
    }

    /// The reading ended; after a failure with the pause that Meta asks for.
    fn end(&mut self, failed: Option<Option<Duration>>, now: Millis, every: Millis) {
        self.under_way = false;
        let Some(wait) = failed else {
            self.failures = 0;
            return;
        };
        let pause = BACKOFF.saturating_mul(1 << self.failures.min(16)).min(every);
        self.failures += 1;
        self.due_at = now + pause.max(wait.map_or(0, duration_ms));
    }
}

/// Why a list is not written down.
enum Miss {
    Meta(Trouble),
    Store(store::Error),
    Broken(String),
}

/// For ever: reads the lists that are due, and the book when it has to.
pub async fn keep(keeper: Keeper) {
    let clock = keeper.store.clock().clone();
    let every = duration_ms(keeper.every);
    let mut plans: Vec<Plan> = keeper.accounts.iter().map(|_| Plan::new(clock.now())).collect();
    let mut readings = JoinSet::new();
    let mut in_hand: HashMap<task::Id, usize> = HashMap::new();
    let mut is_stale = false;
    loop {
        let now = clock.now();
        for (account, plan) in plans.iter_mut().enumerate() {
            if !plan.under_way && plan.due_at <= now {
                plan.begin(now, every);
                let (id, client) = keeper.accounts[account].clone();
                let store = keeper.store.clone();
                let task = readings.spawn(async move { read(&store, id, &client, now).await });
                in_hand.insert(task.id(), account);
            }
        }
        let next = plans.iter().filter(|plan| !plan.under_way).map(|plan| plan.due_at).min();
        let wake_at = if is_stale { Some(now + STORE_PAUSE) } else { next };
        tokio::select! {
            Some(ended) = readings.join_next_with_id() => {
                let (task, result) = match ended {
                    Ok((task, result)) => (task, result),
                    Err(error) => (error.id(), Err(Miss::Broken(error.to_string()))),
                };
                if let Some(account) = in_hand.remove(&task) {
                    let failed = keeper.conclude(account, result);
                    plans[account].end(failed, clock.now(), every);
                }
            },
            wish = keeper.book.wish() => plans.iter_mut().for_each(|plan| plan.wish(wish, clock.now())),
            () = clock.sleep_until(wake_at.unwrap_or(Millis::MAX)) => if !is_stale { continue },
        }
        is_stale = match keeper.book.refresh(&keeper.store).await {
            Ok(()) => false,
            Err(store::Error::Closed) => return,
            Err(error) => {
                tracing::error!(%error, "what is known of templates cannot be read");
                true
            }
        };
    }
}

/// Reads one list and writes it down; how many templates stand in it.
async fn read(store: &Store, account: String, client: &Client, asked_at: Millis) -> Result<usize, Miss> {
    let listing = client.templates(&account).await.map_err(Miss::Meta)?;
    let count = listing.templates.len();
    if !listing.whole {
        tracing::warn!(
            account,
            count,
            "not all of Meta's list of templates could be read; none is taken for deleted"
        );
    }
    let list = TemplateList {
        business_account_id: account,
        asked_at,
        templates: listing.templates,
        whole: listing.whole,
    };
    store.keep_templates(list).await.map_err(Miss::Store)?;
    Ok(count)
}

impl Keeper {
    /// Says what a reading came to; after a failure, the pause that Meta asks for, if any.
    fn conclude(&self, account: usize, result: Result<usize, Miss>) -> Option<Option<Duration>> {
        let id = self.accounts[account].0.as_str();
        let (reason, wait) = match result {
            Ok(count) => {
                tracing::debug!(account = id, count, "templates are in step with Meta");
                self.book.was_read(id);
                self.metrics.templates_synced(SyncOutcome::Done);
                return None;
            }
            Err(Miss::Meta(Trouble::Refused(refused))) => {
                let code = refused.failure.code;
                (format!("{}: {}", refused.failure, cause(code)), refused.retry_after)
            }
            Err(Miss::Meta(trouble)) => (trouble.to_string(), None),
            Err(Miss::Store(error)) => (error.to_string(), None),
            Err(Miss::Broken(error)) => (error, None),
        };
        tracing::warn!(
            account = id,
            reason,
            "Meta's list of templates could not be read; what is known stays"
        );
        self.metrics.templates_synced(SyncOutcome::Failed);
        Some(wait)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Millis = 1_800_000_000_000;
    const EVERY: Millis = 10 * MINUTE;

    fn done_at(now: Millis) -> Plan {
        let mut plan = Plan::new(now);
        plan.begin(now, EVERY);
        plan.end(None, now, EVERY);
        plan
    }

    #[test]
    fn a_list_is_read_at_once_and_then_from_time_to_time() {
        assert_eq!(Plan::new(NOW).due_at, NOW);
        assert_eq!(done_at(NOW).due_at, NOW + EVERY);
    }

    #[test]
    fn failures_pause_longer_each_time_up_to_the_regular_time() {
        let mut plan = Plan::new(NOW);
        let pauses = [10, 20, 40, 80, 160, 320, 600, 600];
        for seconds in pauses {
            plan.begin(NOW, EVERY);
            plan.end(Some(None), NOW, EVERY);
            assert_eq!(plan.due_at, NOW + seconds * SECOND);
        }
        plan.end(Some(Some(Duration::from_secs(3_600))), NOW, EVERY);
        assert_eq!(plan.due_at, NOW + 60 * MINUTE, "what Meta asks for");
        plan.begin(NOW, EVERY);
        plan.end(None, NOW, EVERY);
        assert_eq!((plan.due_at, plan.failures), (NOW + EVERY, 0));
    }

    #[test]
    fn news_are_asked_after_soon_and_a_person_at_once() {
        let mut plan = done_at(NOW);
        plan.wish(Wish::Refresh, NOW + SECOND);
        assert_eq!(plan.due_at, NOW + EVERY);
        plan.wish(Wish::Look, NOW + SECOND);
        assert_eq!(plan.due_at, NOW + LOOK_PAUSE);
        plan.wish(Wish::LookNow, NOW + SECOND);
        assert_eq!(plan.due_at, NOW + SECOND);
        let mut later = done_at(NOW);
        later.wish(Wish::Look, NOW + 5 * MINUTE);
        assert_eq!(later.due_at, NOW + 5 * MINUTE);
    }

    #[test]
    fn news_do_not_shorten_the_pause_after_a_failure() {
        let mut plan = Plan::new(NOW);
        plan.begin(NOW, EVERY);
        plan.end(Some(None), NOW, EVERY);
        plan.wish(Wish::Look, NOW);
        assert_eq!(plan.due_at, NOW + BACKOFF);
        plan.wish(Wish::LookNow, NOW);
        assert_eq!(plan.due_at, NOW);
    }

    #[test]
    fn what_is_wished_while_a_list_is_read_has_it_read_once_more() {
        let mut plan = Plan::new(NOW);
        plan.begin(NOW, EVERY);
        plan.wish(Wish::LookNow, NOW + SECOND);
        plan.end(None, NOW + 2 * SECOND, EVERY);
        assert_eq!(plan.due_at, NOW + SECOND);
    }
}
