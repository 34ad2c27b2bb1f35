//! Status rules: how the news of a message's fate comes late, twice, in another order, before the answer of the send, or
//! never. Without a rule each status is told at once, once and in order.
//!
//! All rules that meet a status work together: one that drops it wins, delays add up, and so do repetitions. Each status
//! counts for a rule by itself; [`Effect::Fail`] alone counts messages.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use serde::{Deserialize, Serialize};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::counted::{BadRule, Counted, Rules, Standing, Times};
use super::courier::Courier;
use super::entry::Status;
use super::lock;
use super::payload::Update;
use super::timetable::Timetable;
use crate::clock::{Clock, Millis};

/// The longest time that a rule can hold a status back, in milliseconds: a day.
pub const HELD_MAX_MS: u64 = 86_400_000;
/// The most that a rule can repeat a status.
pub const REPEAT_MAX: u32 = 100;
/// The most statuses that a rule can shuffle.
pub const SHUFFLE_MAX: usize = 10_000;

/// One way in which statuses come otherwise. JSON: `{"times":{"share":0.1},"status":"read","effect":"drop"}`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StatusRule {
    /// The phone number (digits) whose messages it is about; absent: every phone's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phone: Option<String>,
    /// The status that it is about; absent: each.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<Status>,
    /// How many of them.
    #[serde(default)]
    pub times: Times,
    /// What becomes of them.
    pub effect: Effect,
}

/// What becomes of a status.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Effect {
    /// It is told so much later.
    Delay {
        /// How much, in milliseconds.
        ms: u64,
    },
    /// It is told again.
    Repeat {
        /// How many more times.
        more: u32,
        /// How long after the time before, in milliseconds.
        #[serde(default)]
        after_ms: u64,
    },
    /// It is held until there are `window` of them or the first has waited `ms`; then they go out in another order.
    Shuffle {
        /// How many.
        window: usize,
        /// How long at most, in milliseconds.
        ms: u64,
    },
    /// It is never told.
    Drop,
    /// The answer of the send waits until it has arrived.
    BeforeAnswer,
    /// The message fails with this error code, and no other status is told.
    Fail {
        /// Meta's error code, such as 131026.
        code: u32,
    },
}

impl Counted for StatusRule {
    fn times(&self) -> Times {
        self.times
    }
}

/// What a held status goes through once its delay is over.
#[derive(Clone)]
struct Shuffle {
    rule: u64,
    window: usize,
    ms: u64,
}

/// Something that is due later.
enum Due {
    Told(Update, Option<Shuffle>),
    /// The statuses that this rule still holds are let go, if they are of this round.
    LetGo {
        rule: u64,
        round: u64,
    },
}

/// The statuses that a rule holds, to shuffle them.
#[derive(Default)]
struct Held {
    updates: Vec<Update>,
    round: u64,
}

/// Tells statuses, as the rules will have it.
#[derive(Clone)]
pub(super) struct Teller {
    courier: Arc<Courier>,
    clock: Clock,
    rules: Arc<Mutex<Rules<StatusRule>>>,
    held: Arc<Mutex<HashMap<u64, Held>>>,
    later: Arc<Timetable<Due>>,
}

impl Teller {
    pub(super) fn new(courier: Arc<Courier>, clock: Clock) -> Self {
        Self { courier, clock, rules: Arc::default(), held: Arc::default(), later: Arc::default() }
    }

    pub(super) fn add(&self, rule: StatusRule) -> Result<u64, BadRule> {
        check(&rule)?;
        lock(&self.rules).add(rule)
    }

    pub(super) fn list(&self) -> Vec<Standing<StatusRule>> {
        lock(&self.rules).list()
    }

    /// Takes away the rule `id`, or every rule; what they held goes out. The answer is how many went.
    pub(super) fn remove(&self, id: Option<u64>) -> usize {
        let removed = lock(&self.rules).remove(id);
        let mut held: Vec<u64> = lock(&self.held).keys().copied().collect();
        held.sort_unstable();
        held.into_iter()
            .filter(|rule| id.is_none_or(|id| id == *rule))
            .for_each(|rule| self.let_go(rule, None));
        removed
    }

    /// The code with which a rule has this message fail.
    pub(super) fn failure(&self, phone: &str) -> Option<u32> {
        let is_failure =
            |rule: &StatusRule| matches!(rule.effect, Effect::Fail { .. }) && is_about(rule, phone);
        match lock(&self.rules).meet_first(is_failure)?.effect {
            Effect::Fail { code } => Some(code),
            _ => None,
        }
    }

    /// Tells statuses of messages to `phone`, in their order if no rule changes it. The answer is what the send has to
    /// wait for.
    pub(super) fn tell(&self, phone: &str, updates: Vec<(Status, Update)>) -> Vec<watch::Receiver<bool>> {
        let mut awaited = Vec::new();
        for (status, mut update) in updates {
            let met = lock(&self.rules).meet_all(|rule| {
                !matches!(rule.effect, Effect::Fail { .. })
                    && rule.status.is_none_or(|only| only == status)
                    && is_about(rule, phone)
            });
            if met.iter().any(|(_, rule)| rule.effect == Effect::Drop) {
                continue;
            }
            if met.iter().any(|(_, rule)| rule.effect == Effect::BeforeAnswer) {
                let arrival = watch::Sender::new(false);
                awaited.push(arrival.subscribe());
                update.arrival = Some(Arc::new(arrival));
            }
            self.schedule(&update, &met);
        }
        awaited
    }

    fn schedule(&self, update: &Update, met: &[(u64, StatusRule)]) {
        let (mut delay, mut repetitions, mut shuffle) = (0, Vec::new(), None);
        for (id, rule) in met {
            match rule.effect {
                Effect::Delay { ms } => delay += ms,
                Effect::Repeat { more, after_ms } => repetitions.push((more, after_ms)),
                Effect::Shuffle { window, ms } if shuffle.is_none() => {
                    shuffle = Some(Shuffle { rule: *id, window, ms });
                }
                _ => {}
            }
        }
        let mut moments = vec![delay];
        for (more, after_ms) in repetitions {
            moments.extend((1..=u64::from(more)).map(|n| delay + n * after_ms));
        }
        let now = self.clock.now();
        for moment in moments {
            match moment {
                0 => self.release(update.clone(), shuffle.clone()),
                ms => self.later.add(later(now, ms), Due::Told(update.clone(), shuffle.clone())),
            }
        }
    }

    /// Lets a status out, or into the hands of the rule that shuffles it.
    fn release(&self, update: Update, shuffle: Option<Shuffle>) {
        let Some(Shuffle { rule, window, ms }) = shuffle else {
            return self.courier.enqueue([update]);
        };
        let mut all = lock(&self.held);
        let held = all.entry(rule).or_default();
        held.updates.push(update);
        let (count, round) = (held.updates.len(), held.round);
        drop(all);
        if count >= window {
            self.let_go(rule, None);
        } else if count == 1 {
            self.later.add(later(self.clock.now(), ms), Due::LetGo { rule, round });
        }
    }

    /// Lets out what a rule holds, in another order; only if it is of this round, where one is named.
    fn let_go(&self, rule: u64, round: Option<u64>) {
        let mut all = lock(&self.held);
        let Some(held) = all.get_mut(&rule).filter(|held| round.is_none_or(|round| round == held.round))
        else {
            return;
        };
        held.round += 1;
        let updates = std::mem::take(&mut held.updates);
        drop(all);
        self.courier.enqueue(shuffled(updates));
    }

    /// Tells what is due, until `stop`.
    pub(super) async fn run(self, stop: CancellationToken) {
        let work = async {
            loop {
                match self.later.next(&self.clock).await {
                    Due::Told(update, shuffle) => self.release(update, shuffle),
                    Due::LetGo { rule, round } => self.let_go(rule, Some(round)),
                }
            }
        };
        tokio::select! {
            () = stop.cancelled() => {}
            () = work => {}
        }
    }
}

fn is_about(rule: &StatusRule, phone: &str) -> bool {
    rule.phone.as_deref().is_none_or(|only| only == phone)
}

fn later(now: Millis, ms: u64) -> Millis {
    now.saturating_add(i64::try_from(ms).unwrap_or(Millis::MAX))
}

/// The same in every run: strides through the list from its end. Two change places, and of more none of the first
/// comes first.
fn shuffled<T>(items: Vec<T>) -> Vec<T> {
    let count = items.len();
    let coprime = |step: &usize| {
        (1..=*step).rev().find(|d| step.is_multiple_of(*d) && count.is_multiple_of(*d)) == Some(1)
    };
    let step = (count * 5 / 8..count).find(|step| *step > 0 && coprime(step)).unwrap_or(1);
    let mut slots: Vec<Option<T>> = items.into_iter().map(Some).collect();
    (0..count).rev().filter_map(|n| slots[n * step % count].take()).collect()
}

fn check(rule: &StatusRule) -> Result<(), BadRule> {
    let out_of_range = |field, allowed| Err(BadRule::OutOfRange { field, allowed });
    match rule.effect {
        Effect::Delay { ms } if ms > HELD_MAX_MS => {
            out_of_range("effect.delay.ms", "at most a day: 86400000")
        }
        Effect::Repeat { after_ms, .. } if after_ms > HELD_MAX_MS => {
            out_of_range("effect.repeat.after_ms", "at most a day: 86400000")
        }
        Effect::Repeat { more, .. } if !(1..=REPEAT_MAX).contains(&more) => {
            out_of_range("effect.repeat.more", "from 1 to 100")
        }
        Effect::Shuffle { window, .. } if !(2..=SHUFFLE_MAX).contains(&window) => {
            out_of_range("effect.shuffle.window", "from 2 to 10000")
        }
        Effect::Shuffle { ms, .. } if ms > HELD_MAX_MS => {
            out_of_range("effect.shuffle.ms", "at most a day: 86400000")
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shuffle_loses_nothing_and_changes_the_order() {
        for count in 0..200 {
            let mut mixed = shuffled((0..count).collect());
            assert!(count < 2 || !mixed.is_sorted(), "{mixed:?}");
            mixed.sort_unstable();
            assert_eq!(mixed, (0..count).collect::<Vec<_>>());
        }
        assert_eq!(shuffled(vec!["sent", "delivered"]), ["delivered", "sent"]);
    }

    #[test]
    fn a_rule_that_makes_no_sense_is_refused_by_its_field() {
        let (clock, _hand) = Clock::manual(0);
        let number = super::super::payload::Number {
            business_account_id: "1".into(),
            phone_number_id: "2".into(),
            display_phone_number: "3".into(),
        };
        let teller = Teller::new(Arc::new(Courier::new(number, "secret".into(), None)), clock);
        let day = HELD_MAX_MS + 1;
        for (effect, field) in [
            (Effect::Delay { ms: day }, "effect.delay.ms"),
            (Effect::Repeat { more: 0, after_ms: 0 }, "effect.repeat.more"),
            (Effect::Repeat { more: 1, after_ms: day }, "effect.repeat.after_ms"),
            (Effect::Shuffle { window: 1, ms: 0 }, "effect.shuffle.window"),
            (Effect::Shuffle { window: 2, ms: day }, "effect.shuffle.ms"),
        ] {
            let rule = StatusRule { phone: None, status: None, times: Times::Always, effect };
            assert!(teller.add(rule).unwrap_err().to_string().contains(field));
        }
    }
}
