//! Meta's limits, kept in advance: messages per second of a number, and the pair limit between a number and a person.

use std::num::NonZeroU32;
use std::ops::Add;
use std::time::Duration;

use governor::clock::Reference;
use governor::middleware::NoOpMiddleware;
use governor::nanos::Nanos;
use governor::state::keyed::HashMapStateStore;
use governor::state::{InMemoryState, NotKeyed};
use governor::{NotUntil, Quota, RateLimiter};

use crate::clock::{Clock, Millis};
use crate::domain::ids::ConversationId;

/// The pair limit: a message per 6 seconds to one person. Source: Meta, "About the platform", pair rate limits.
pub const PAIR_PERIOD: Duration = Duration::from_secs(6);
/// The pair limit's burst, which is borrowed from the time that follows. Source: as above.
pub const PAIR_BURST: NonZeroU32 = NonZeroU32::new(45).expect("45 is not 0");
/// Messages that a number may send at once after a rest. A second's worth would let two meet in one of Meta's seconds.
const NUMBER_BURST: NonZeroU32 = NonZeroU32::new(4).expect("4 is not 0");

/// Our clock, as governor wants it.
#[derive(Debug, Clone)]
struct Ticks(Clock);

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Tick(u64);

impl Add<Nanos> for Tick {
    type Output = Self;

    fn add(self, later: Nanos) -> Self {
        Self(self.0.saturating_add(later.as_u64()))
    }
}

impl Reference for Tick {
    fn duration_since(&self, earlier: Self) -> Nanos {
        self.0.saturating_sub(earlier.0).into()
    }

    fn saturating_sub(&self, duration: Nanos) -> Self {
        Self(self.0.saturating_sub(duration.as_u64()))
    }
}

impl governor::clock::Clock for Ticks {
    type Instant = Tick;

    fn now(&self) -> Tick {
        Tick(self.0.now().unsigned_abs().saturating_mul(1_000_000))
    }
}

type PerNumber = RateLimiter<NotKeyed, InMemoryState, Ticks, NoOpMiddleware<Tick>>;
type PerPair = RateLimiter<ConversationId, HashMapStateStore<ConversationId>, Ticks, NoOpMiddleware<Tick>>;

/// The limit of one number.
#[derive(Debug)]
pub struct NumberPacing(Option<PerNumber>);

impl NumberPacing {
    /// `messages_per_second`, or no limit for 0.
    #[must_use]
    pub fn new(messages_per_second: u32, clock: Clock) -> Self {
        let rate = NonZeroU32::new(messages_per_second);
        Self(rate.map(|rate| {
            let quota = Quota::per_second(rate).allow_burst(NUMBER_BURST.min(rate));
            RateLimiter::direct_with_clock(quota, Ticks(clock))
        }))
    }

    /// Lets one message through, or says when the next one may go.
    ///
    /// # Errors
    /// The moment from which it is worth asking again.
    pub fn admit(&self) -> Result<(), Millis> {
        match &self.0 {
            None => Ok(()),
            Some(limiter) => limiter.check().map_err(|refused| moment(&refused)),
        }
    }
}

/// The limit of every pair of a number and a person.
#[derive(Debug)]
pub struct PairPacing(Option<PerPair>);

impl PairPacing {
    /// The limit, or none.
    #[must_use]
    pub fn new(on: bool, clock: Clock) -> Self {
        Self(on.then(|| {
            let quota = Quota::with_period(PAIR_PERIOD).expect("6 s is not 0 s").allow_burst(PAIR_BURST);
            RateLimiter::hashmap_with_clock(quota, Ticks(clock))
        }))
    }

    /// Lets one message through, or says when the next one may go.
    ///
    /// # Errors
    /// The moment from which it is worth asking again.
    pub fn admit(&self, pair: ConversationId) -> Result<(), Millis> {
        match &self.0 {
            None => Ok(()),
            Some(limiter) => limiter.check_key(&pair).map_err(|refused| moment(&refused)),
        }
    }

    /// Two pairs are one: what `from` owes, `to` owes too, up to the whole burst. The limiter does not tell what a pair
    /// owes, so what `from` has left is used up and counted.
    pub fn merge(&self, from: ConversationId, to: ConversationId) {
        if self.0.is_none() {
            return;
        }
        let left = (0..PAIR_BURST.get()).take_while(|_| self.admit(from).is_ok()).count();
        let owed = (PAIR_BURST.get() as usize).saturating_sub(left);
        let _ = (0..owed).take_while(|_| self.admit(to).is_ok()).count();
    }

    /// Forgets the pairs whose burst is whole again.
    pub fn forget_rested(&self) {
        if let Some(limiter) = &self.0 {
            limiter.retain_recent();
            limiter.shrink_to_fit();
        }
    }
}

/// The first whole millisecond at which a message may go.
fn moment(refused: &NotUntil<Tick>) -> Millis {
    i64::try_from(refused.earliest_possible().0.div_ceil(1_000_000)).unwrap_or(Millis::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Millis = 1_800_000_000_000;

    #[test]
    fn a_pair_may_burst_45_and_then_pays_six_seconds_each() {
        let (clock, hand) = Clock::manual(START);
        let pacing = PairPacing::new(true, clock.clone());
        let pair = ConversationId(1);
        for _ in 0..45 {
            assert_eq!(pacing.admit(pair), Ok(()));
        }
        assert_eq!(pacing.admit(pair), Err(clock.now() + 6_000));
        assert_eq!(pacing.admit(ConversationId(2)), Ok(()));
        hand.advance(Duration::from_secs(6));
        assert_eq!(pacing.admit(pair), Ok(()));
        assert!(pacing.admit(pair).is_err());
    }

    #[test]
    fn what_two_pairs_owe_is_owed_by_the_one_that_they_become() {
        let (clock, _hand) = Clock::manual(START);
        let pacing = PairPacing::new(true, clock);
        let (from, to) = (ConversationId(1), ConversationId(2));
        for pair in std::iter::repeat_n(from, 20).chain(std::iter::repeat_n(to, 15)) {
            assert_eq!(pacing.admit(pair), Ok(()));
        }
        pacing.merge(from, to);
        let left = (0..45).take_while(|_| pacing.admit(to).is_ok()).count();
        assert_eq!(left, 10);
        PairPacing::new(false, Clock::manual(START).0).merge(from, to);
    }

    #[test]
    fn a_number_keeps_its_rate_over_any_minute_and_uses_it() {
        let (clock, hand) = Clock::manual(START);
        let pacing = NumberPacing::new(80, clock.clone());
        let mut sent = 0;
        for _ in 0..60_000 {
            while pacing.admit().is_ok() {
                sent += 1;
            }
            hand.advance(Duration::from_millis(1));
        }
        assert!((4_790..=4_804).contains(&sent), "{sent}");
        assert!(NumberPacing::new(0, clock).admit().is_ok());
    }
}
