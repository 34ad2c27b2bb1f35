//! The limits that Meta keeps for a number, kept here on the local Meta's own clock: throughput, the pair rule, and the
//! 24-hour window.
//!
//! Source: Meta, "Throughput", "About the platform: pair rate limits" and "Send messages: customer service windows", 2026.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::{Arc, Mutex};

use serde::{Deserialize, Serialize};

use super::lock;
use super::refusal::Refusal;
use crate::clock::{HOUR, Millis, SECOND};

/// How long a person's message lets free-form messages through (Meta, "Customer service windows").
const WINDOW: Millis = 24 * HOUR;
/// The longest refill of [`Limits::pair_refill_ms`].
pub const PAIR_REFILL_MAX_MS: u64 = 3_600_000;

/// What is enforced. [`Limits::default`] is what Meta does, [`Limits::none`] lets everything through.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Limits {
    /// Messages in and out that the number bears within any one second (130429 beyond); 0: any number.
    pub messages_per_second: u32,
    /// Messages that one person can be sent at once (131056 beyond); 0: any number.
    pub pair_burst: u32,
    /// How long it takes until one of them is given back, in milliseconds.
    pub pair_refill_ms: u64,
    /// What happens to a free-form message more than 24 hours after the person last wrote (131047).
    pub window: Window,
}

/// What happens outside of the 24-hour window to a message that is no template.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Window {
    /// Nothing: it is delivered.
    Off,
    /// It is taken, and then its status says `failed` with 131047. This is what Meta does.
    Late,
    /// It is refused with 131047.
    AtOnce,
}

impl Default for Limits {
    fn default() -> Self {
        Self { messages_per_second: 80, pair_burst: 45, pair_refill_ms: 6_000, window: Window::Late }
    }
}

impl Limits {
    /// Nothing is refused.
    #[must_use]
    pub fn none() -> Self {
        Self { messages_per_second: 0, pair_burst: 0, window: Window::Off, ..Self::default() }
    }
}

/// What becomes of a message that the limits admit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Admission {
    Deliver,
    /// It counts as sent, and fails afterwards.
    FailLate(Refusal),
}

/// Keeps the limits, and counts what was refused.
#[derive(Clone)]
pub(super) struct Limiter(Arc<Mutex<Kept>>);

struct Kept {
    limits: Limits,
    /// When messages went in or out, within the last second.
    recent: VecDeque<Millis>,
    /// Per person: when all of the burst will have been given back.
    pairs: HashMap<String, Millis>,
    refusals: BTreeMap<u32, u64>,
}

impl Limiter {
    pub(super) fn new(limits: Limits) -> Self {
        Self(Arc::new(Mutex::new(Kept {
            limits,
            recent: VecDeque::new(),
            pairs: HashMap::new(),
            refusals: BTreeMap::new(),
        })))
    }

    pub(super) fn limits(&self) -> Limits {
        lock(&self.0).limits
    }

    /// Sets other limits; what was used up under the old ones stays used up.
    pub(super) fn set(&self, limits: Limits) {
        lock(&self.0).limits = limits;
    }

    /// A person's message counts against the throughput as well, but is never refused.
    pub(super) fn count_inbound(&self, now: Millis) {
        let mut kept = lock(&self.0);
        kept.forget(now);
        if kept.limits.messages_per_second > 0 {
            kept.recent.push_back(now);
        }
    }

    /// Whether a message to `wa_id` may go out now, and takes its place if so. `written_at` is when the person last wrote.
    pub(super) fn admit(
        &self,
        wa_id: &str,
        written_at: Option<Millis>,
        free_form: bool,
        now: Millis,
    ) -> Result<Admission, Refusal> {
        let mut kept = lock(&self.0);
        let limits = kept.limits;
        let is_open = written_at.is_some_and(|at| now - at < WINDOW);
        let outside = free_form && !is_open && limits.window != Window::Off;
        if outside && limits.window == Window::AtOnce {
            return Err(re_engagement());
        }
        kept.forget(now);
        if limits.messages_per_second > 0 && kept.recent.len() >= limits.messages_per_second as usize {
            return Err(Refusal::of(130_429).details("Cloud API message throughput has been reached."));
        }
        if limits.pair_burst > 0 {
            let refill = i64::try_from(limits.pair_refill_ms).unwrap_or(Millis::MAX);
            let free_at = kept.pairs.get(wa_id).copied().unwrap_or(now).max(now);
            if free_at - now > refill * Millis::from(limits.pair_burst - 1) {
                return Err(Refusal::of(131_056).details(
                    "Message failed to send because there were too many messages sent from this phone number to the \
                     same phone number in a short period of time.",
                ));
            }
            kept.pairs.insert(wa_id.to_owned(), free_at + refill);
        }
        if limits.messages_per_second > 0 {
            kept.recent.push_back(now);
        }
        if outside {
            kept.count(131_047);
            return Ok(Admission::FailLate(re_engagement()));
        }
        Ok(Admission::Deliver)
    }

    /// Counts a refusal of the local Meta's own; those of error rules are counted by their rules.
    pub(super) fn count_refusal(&self, code: u32) {
        lock(&self.0).count(code);
    }

    /// Refusals by code.
    pub(super) fn refusals(&self) -> BTreeMap<u32, u64> {
        lock(&self.0).refusals.clone()
    }
}

impl Kept {
    fn forget(&mut self, now: Millis) {
        while self.recent.front().is_some_and(|at| now - at >= SECOND) {
            self.recent.pop_front();
        }
    }

    fn count(&mut self, code: u32) {
        *self.refusals.entry(code).or_default() += 1;
    }
}

fn re_engagement() -> Refusal {
    Refusal::of(131_047).details(
        "Message failed to send because more than 24 hours have passed since the customer last replied to this number.",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const ADA: &str = "4915112345001";

    fn code(admitted: Result<Admission, Refusal>) -> Option<u32> {
        admitted.err().map(|refusal| refusal.code)
    }

    #[test]
    fn eighty_messages_in_and_out_fit_into_any_one_second() {
        let limiter = Limiter::new(Limits { pair_burst: 0, ..Limits::default() });
        (0..30).for_each(|_| limiter.count_inbound(0));
        let send = |now| code(limiter.admit(ADA, Some(0), true, now));
        assert!((0..50).all(|_| send(500).is_none()));
        assert_eq!(send(999), Some(130_429));
        assert!((0..30).all(|_| send(1_000).is_none()), "the thirty of the phones are a second old");
        assert_eq!((send(1_499), send(1_500)), (Some(130_429), None));
    }

    #[test]
    fn a_person_can_be_sent_forty_five_at_once_and_then_one_every_six_seconds() {
        let limiter = Limiter::new(Limits { messages_per_second: 0, ..Limits::default() });
        let send = |wa_id: &str, now| code(limiter.admit(wa_id, Some(0), true, now));
        assert!((0..45).all(|_| send(ADA, 0).is_none()));
        assert_eq!((send(ADA, 5_999), send("492", 5_999)), (Some(131_056), None));
        assert_eq!((send(ADA, 6_000), send(ADA, 6_000)), (None, Some(131_056)));
        assert!(
            (0..20).all(|_| send(ADA, 6_000 + 120_000).is_none()),
            "what was borrowed is paid back in time"
        );
        assert_eq!(send(ADA, 6_000 + 120_000), Some(131_056));
    }

    #[test]
    fn outside_of_the_window_only_templates_pass() {
        let send =
            |limiter: &Limiter, written_at, free_form, now| limiter.admit(ADA, written_at, free_form, now);
        let late = Limiter::new(Limits::default());
        assert_eq!(send(&late, Some(0), true, WINDOW - 1), Ok(Admission::Deliver));
        assert_eq!(send(&late, Some(0), true, WINDOW), Ok(Admission::FailLate(re_engagement())));
        assert_eq!(send(&late, None, true, WINDOW), Ok(Admission::FailLate(re_engagement())));
        assert_eq!(send(&late, None, false, WINDOW), Ok(Admission::Deliver));
        assert_eq!(late.refusals()[&131_047], 2);
        let at_once = Limiter::new(Limits { window: Window::AtOnce, ..Limits::default() });
        assert_eq!(code(send(&at_once, Some(0), true, WINDOW)), Some(131_047));
        let off = Limiter::new(Limits::none());
        assert!((0..500).all(|_| send(&off, None, true, 0) == Ok(Admission::Deliver)));
    }
}
