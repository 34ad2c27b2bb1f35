//! The loop of one outlet: takes over from the feed, posts what is due, writes down what became of it.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinSet;

use super::lanes::Lanes;
use super::post::{Answer, Post};
use super::{Limits, Outlet, Unfit};
use crate::api::notice_json;
use crate::clock::{Clock, Millis, SECOND, duration_ms};
use crate::domain::ids::DeliveryId;
use crate::domain::notice::{News, NoticeId};
use crate::feed::{Feed, Notice, notices};
use crate::store::{Delivery, DeliverySettle, DeliveryState, Error, Store};
use crate::telemetry::{DeliveryOutcome, Metrics};

/// The pause before the second attempt; doubled with each one after it.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// The pause after the store could not be reached.
const STORE_PAUSE: Duration = Duration::from_secs(5);
/// How long the place in the feed may stay unwritten where nothing is wanted, in milliseconds: it costs no more than looking
/// at that again.
const PLACE_WRITTEN_EVERY: Millis = 60 * SECOND;

/// Who tells one outlet.
pub struct Worker {
    store: Store,
    feed: Feed,
    metrics: Metrics,
    clock: Clock,
    outlet: Arc<Outlet>,
    post: Post,
    limits: Limits,
}

/// What the loop remembers. It can be had again from the store at any time.
struct Memory {
    lanes: Lanes,
    /// How far the feed was taken over.
    place: NoticeId,
    /// How far that is written down, and when it was.
    written: (NoticeId, Millis),
    at_end: bool,
    /// Whether the last post was not taken: then one at a time tries it.
    failing: bool,
    /// What is not written down yet.
    unsettled: Vec<(Delivery, DeliverySettle)>,
}

/// What became of one attempt.
type Returned = (Delivery, Option<Answer>);

impl Worker {
    /// For this outlet.
    ///
    /// # Errors
    /// When its address is not one that may be posted to.
    pub fn new(
        store: Store,
        feed: Feed,
        metrics: Metrics,
        outlet: Outlet,
        limits: Limits,
    ) -> Result<Self, Unfit> {
        let outlet = Arc::new(outlet);
        let post = Post::new(Arc::clone(&outlet), &limits)?;
        Ok(Self { clock: store.clock().clone(), store, feed, metrics, outlet, post, limits })
    }

    /// What is to be told, from the store. A new outlet is told what happens from now on.
    async fn remember(&self) -> Result<Memory, Error> {
        let found = self.store.find_outlet(&self.outlet.name).await?;
        let (place, waiting) = match found {
            Some(found) => found,
            None => {
                let end = self.feed.end().await?;
                self.store.fill_outlet(&self.outlet.name, end, Vec::new(), false).await?;
                (end, Vec::new())
            }
        };
        let mut lanes = Lanes::default();
        waiting.into_iter().for_each(|delivery| lanes.push(delivery));
        Ok(Memory {
            lanes,
            place,
            written: (place, self.clock.now()),
            at_end: false,
            failing: false,
            unsettled: Vec::new(),
        })
    }

    /// Takes over what the feed has, as far as there is room.
    async fn fill(&self, memory: &mut Memory) -> Result<(), Error> {
        while !memory.at_end && memory.lanes.len() < self.limits.backlog_max {
            let page = self.feed.after(memory.place).await?;
            let now = self.clock.now();
            let wanted = page.notices.iter().filter(|notice| self.wants(notice));
            let deliveries: Vec<Delivery> = wanted.map(|notice| self.delivery(notice, now)).collect();
            let stale = page.upto > memory.written.0 && now - memory.written.1 >= PLACE_WRITTEN_EVERY;
            let missed = page.missed.is_some();
            if missed {
                tracing::error!(
                    outlet = self.outlet.name,
                    "an outlet was too far behind: something that it was to be told is kept no longer"
                );
            }
            if !deliveries.is_empty() || missed || stale {
                self.store.fill_outlet(&self.outlet.name, page.upto, deliveries.clone(), missed).await?;
                memory.written = (page.upto, now);
            }
            deliveries.into_iter().for_each(|delivery| memory.lanes.push(delivery));
            memory.place = page.upto;
            memory.at_end = page.at_end;
        }
        Ok(())
    }

    fn wants(&self, notice: &Notice) -> bool {
        let of_itself =
            matches!(&notice.news, News::Alarm(alarm) if alarm.outlet() == Some(self.outlet.name.as_str()));
        !of_itself && self.outlet.filter.wants(notice)
    }

    fn delivery(&self, notice: &Notice, now: Millis) -> Delivery {
        Delivery {
            id: DeliveryId(self.store.ids().next()),
            notice: notice.id,
            news: notice.news.clone(),
            happened_at: notice.happened_at,
            lane: notice.conversation,
            attempts: 0,
            due_at: now,
            since: now,
        }
    }

    /// How many more may be posted at once.
    fn room(&self, memory: &Memory) -> usize {
        let max = if memory.failing { 1 } else { self.limits.in_flight_max };
        max.saturating_sub(memory.lanes.in_flight())
    }

    /// Lets go what may go.
    async fn depart(&self, memory: &mut Memory, under_way: &mut JoinSet<Returned>) -> Result<(), Error> {
        let room = self.room(memory);
        let departing = memory.lanes.depart(self.clock.now(), room);
        let news = departing.iter().map(|it| (it.notice, it.happened_at, it.news.clone())).collect();
        let told = match notices(&self.store, news).await {
            Ok(told) => told,
            Err(error) => {
                departing
                    .iter()
                    .for_each(|delivery| memory.lanes.retry(delivery, delivery.due_at, delivery.attempts));
                return Err(error);
            }
        };
        for delivery in departing {
            let body =
                told.iter().find(|notice| notice.id == delivery.notice).map(|notice| notice_json(notice));
            let (post, seconds) = (self.post.clone(), self.clock.now() / SECOND);
            under_way.spawn(async move {
                let answer = match body {
                    Some(body) => Some(post.post(&delivery.notice.to_string(), body, seconds).await),
                    None => None,
                };
                (delivery, answer)
            });
        }
        Ok(())
    }

    /// Says aloud when an outlet begins to fail, and when it takes something again.
    fn say_aloud(&self, memory: &mut Memory, answer: Option<&Answer>) {
        let outlet = self.outlet.name.as_str();
        match answer {
            Some(Answer::NotTaken { reason, .. }) if !memory.failing => {
                tracing::warn!(outlet, reason, "an outlet does not take what it is told; it is tried again");
                memory.failing = true;
            }
            Some(Answer::Taken { .. }) if memory.failing => {
                tracing::info!(outlet, "the outlet takes what it is told again");
                memory.failing = false;
            }
            _ => {}
        }
    }

    /// What is to be written down of an attempt.
    fn judge(&self, delivery: &Delivery, answer: Option<Answer>) -> DeliverySettle {
        let now = self.clock.now();
        let settle = |state, attempts, status, reason| DeliverySettle {
            id: delivery.id,
            outlet: self.outlet.name.clone(),
            state,
            attempts,
            due_at: delivery.due_at,
            status,
            reason,
        };
        let attempts = delivery.attempts.saturating_add(1);
        match answer {
            None => {
                self.metrics.delivery(DeliveryOutcome::Erased);
                let reason = "what it would have told of was erased".to_owned();
                settle(DeliveryState::Erased, delivery.attempts, None, Some(reason))
            }
            Some(Answer::Taken { status }) => {
                self.metrics.delivery(DeliveryOutcome::Delivered);
                settle(DeliveryState::Delivered, attempts, Some(status), None)
            }
            Some(Answer::NotTaken { status, reason, retry_after_seconds }) => {
                let due_at = now + pause(delivery, attempts, retry_after_seconds, self.limits.pause_max);
                let dead = due_at > delivery.since.saturating_add(duration_ms(self.limits.deadline));
                let name = self.outlet.name.as_str();
                if dead {
                    self.metrics.delivery(DeliveryOutcome::Dead);
                    tracing::error!(outlet = name, delivery = %delivery.id, reason, "an outlet did not take something until the deadline");
                    settle(DeliveryState::Dead, attempts, status, Some(reason))
                } else {
                    self.metrics.delivery(DeliveryOutcome::Failed);
                    tracing::debug!(outlet = name, delivery = %delivery.id, attempts, reason, "an outlet did not take something");
                    DeliverySettle {
                        due_at,
                        ..settle(DeliveryState::Waiting, attempts, status, Some(reason))
                    }
                }
            }
        }
    }

    /// Writes down what has come back; only then does a line go on.
    async fn settle(&self, memory: &mut Memory) -> Result<(), Error> {
        if memory.unsettled.is_empty() {
            return Ok(());
        }
        let settles = memory.unsettled.iter().map(|(_, settle)| settle.clone()).collect();
        self.store.settle_deliveries(settles).await?;
        for (delivery, settle) in memory.unsettled.drain(..) {
            match settle.state {
                DeliveryState::Waiting => memory.lanes.retry(&delivery, settle.due_at, settle.attempts),
                _ => memory.lanes.finish(&delivery),
            }
        }
        Ok(())
    }
}

/// How long to wait before the attempt after `attempts`: doubled each time, a fifth of it by chance (of which row and attempt
/// decide), and never less than the outlet asks for, within the longest pause.
fn pause(
    delivery: &Delivery,
    attempts: u32,
    retry_after_seconds: Option<u32>,
    pause_max: Duration,
) -> Millis {
    let doubled = FIRST_PAUSE.saturating_mul(1 << attempts.saturating_sub(1).min(20)).min(pause_max);
    let asked = Duration::from_secs(retry_after_seconds.unwrap_or(0).into()).min(pause_max);
    let whole = duration_ms(doubled.max(asked));
    let mixed =
        (delivery.id.0.cast_unsigned() ^ u64::from(attempts) << 48).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 54;
    let jitter = whole / 5 * i64::try_from(mixed).unwrap_or(0) / 1_024;
    if asked >= doubled { whole + jitter } else { whole - jitter }
}

/// Until the feed is closed: tells the outlet what happens.
pub async fn run(worker: Worker) {
    let mut closed = worker.feed.closed();
    loop {
        if let Err(error) = tell(&worker, &mut closed).await {
            tracing::error!(outlet = worker.outlet.name, %error, "an outlet waits for the store");
        }
        tokio::select! {
            _ = closed.wait_for(|closed| *closed) => return,
            () = worker.clock.sleep(STORE_PAUSE) => {}
        }
    }
}

/// Tells until the feed is closed, or the store fails: then what is remembered is read again, because nobody knows what was
/// written, and what was under way is posted once more.
async fn tell(worker: &Worker, closed: &mut watch::Receiver<bool>) -> Result<(), Error> {
    let mut told = worker.feed.told();
    let mut again = worker.store.again();
    let mut memory = worker.remember().await?;
    let mut under_way = JoinSet::new();
    loop {
        told.mark_unchanged();
        memory.at_end = false;
        let ended = *closed.borrow();
        if !ended {
            worker.fill(&mut memory).await?;
            worker.depart(&mut memory, &mut under_way).await?;
        } else if under_way.is_empty() {
            return Ok(());
        }
        worker.metrics.outlet_backlog(&worker.outlet.name, memory.lanes.len());
        let due = memory.lanes.next_due().filter(|_| worker.room(&memory) > 0);
        tokio::select! {
            Some(returned) = under_way.join_next() => {
                let mut next = Some(returned);
                while let Some(returned) = next {
                    if let Ok((delivery, answer)) = returned {
                        worker.say_aloud(&mut memory, answer.as_ref());
                        let settle = worker.judge(&delivery, answer);
                        memory.unsettled.push((delivery, settle));
                    }
                    next = under_way.try_join_next();
                }
                worker.settle(&mut memory).await?;
            }
            _ = told.changed(), if !ended && memory.at_end => {}
            _ = again.changed(), if !ended => {
                let found = worker.store.find_outlet(&worker.outlet.name).await?;
                let waiting = found.map(|(_, waiting)| waiting).unwrap_or_default();
                waiting.into_iter().for_each(|delivery| memory.lanes.push(delivery));
            }
            () = worker.clock.sleep_until(due.unwrap_or(Millis::MAX)), if !ended && due.is_some() => {}
            _ = closed.changed(), if !ended => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ids::MessageId;

    #[test]
    fn pauses_double_with_jitter_up_to_a_limit_and_an_outlet_may_ask_for_more() {
        let of = |id: i64| Delivery {
            id: DeliveryId(id),
            notice: NoticeId { commit: 1, place: 0 },
            news: News::Message(MessageId(1)),
            happened_at: 0,
            lane: None,
            attempts: 0,
            due_at: 0,
            since: 0,
        };
        let hour = Duration::from_secs(3_600);
        let mut seen = std::collections::BTreeSet::new();
        for id in 0..100 {
            for (attempts, whole) in [(1, 1_000), (2, 2_000), (5, 16_000), (13, 3_600_000), (60, 3_600_000)] {
                let pause = pause(&of(id << 12), attempts, None, hour);
                assert!((whole * 4 / 5..=whole).contains(&pause), "{attempts}: {pause}");
                if attempts == 60 {
                    seen.insert(pause);
                }
            }
            let asked = pause(&of(id << 12), 1, Some(120), hour);
            assert!((120_000..=144_000).contains(&asked), "{asked}");
            assert!(pause(&of(id), 1, Some(u32::MAX), hour) <= 4_320_000);
        }
        assert!(seen.len() > 50, "they are spread");
    }
}
