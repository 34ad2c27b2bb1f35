//! Meta's two limits, kept before Meta has to refuse: so many messages per second of a number, and so many between a number
//! and a person.
//!
//! **A number's rate.** Meta counts the messages of a number in both directions, and refuses (130429) what exceeds the allowed
//! rate r within a second. Source: Meta, "Throughput", 2026. Messages leave evenly spaced, at the rate u = 0.96 r, with a
//! tolerance τ: one that leaves up to τ late costs nothing, because the ones behind it may follow closer. Then any second at our
//! side holds at most 1 + ⌊u (1 s + τ)⌋ messages; and if the ways to Meta differ by up to J in the time they take, any second at
//! Meta's side holds at most 1 + ⌊u (1 s + τ + J)⌋. That stays within r as long as τ + J < 1 s / 0.96 - 1 s = 41.6 ms, whatever r
//! is. τ is 12 ms, which covers our timers (they tick in milliseconds) and leaves 29 ms for the ways. So 96 % of what is allowed
//! is used, and a burst of a whole second, which would meet the one before it in one of Meta's seconds, never happens.
//!
//! **What comes in** counts as well and is not ours to hold back. It is owed, and what is owed is paid before the next message
//! leaves: at each moment of leaving, everything that came in within the last second has had its place. What is older need not
//! be paid, because Meta has forgotten it.
//!
//! **When Meta refuses all the same** (130429, or 4 and 80007 for the whole app or account), the rate is halved and the number
//! rests; after that it comes back in steps of a tenth of what is allowed. Messages that had left before the rate fell do not
//! make it fall again. Where nothing gets through between one refusal and the next, the rests double.
//!
//! Deliberately not here: which message goes (lanes), and what a refusal means (verdict).

use std::collections::VecDeque;
use std::num::NonZeroU32;
use std::ops::Add;
use std::time::Duration;

use governor::clock::Reference;
use governor::middleware::NoOpMiddleware;
use governor::nanos::Nanos;
use governor::state::keyed::HashMapStateStore;
use governor::state::{InMemoryState, NotKeyed};
use governor::{NotUntil, Quota, RateLimiter};

use crate::clock::{Clock, Millis, SECOND, duration_ms};
use crate::domain::ids::ConversationId;

/// The pair limit: a message per 6 seconds to one person. Source: Meta, "About the platform", pair rate limits.
pub const PAIR_PERIOD: Duration = Duration::from_secs(6);
/// The pair limit's burst, which is borrowed from the time that follows. Source: as above.
pub const PAIR_BURST: NonZeroU32 = NonZeroU32::new(45).expect("45 is not 0");

/// How much of the rate that Meta allows is used, in percent. The rest is for what the network does to our spacing.
const USED_PERCENT: u64 = 96;
/// How late a message may leave without the number losing rate: τ above.
const LATENESS: Duration = Duration::from_millis(12);
/// The limiter counts in parts of a message, so that its tolerance can be shorter than the space between two messages.
const PARTS: NonZeroU32 = NonZeroU32::new(64).expect("64 is not 0");

/// What of the rate is left when Meta refuses: one part in so many.
const SLOWDOWN: u32 = 2;
/// The rate does not fall below this percentage of what is allowed …
const SLOWEST_PERCENT: u32 = 5;
/// … nor below a message per second, unless that is more than what is allowed. In thousandths of a message per second.
const SLOWEST_MILLI: u64 = 1_000;
/// By how much the rate comes back at a time, as a percentage of what is allowed.
const RAISE_PERCENT: u32 = 10;
/// How long nothing must be refused for each such step.
const RAISE_PERIOD: Duration = Duration::from_secs(10);
/// The rest after a first refusal, where Meta names none; doubled with each refusal while nothing gets through.
pub const REST_FIRST: Duration = Duration::from_secs(1);
/// The longest rest that we choose.
const REST_MAX: Duration = Duration::from_secs(60);

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
pub struct NumberPacing {
    clock: Clock,
    pace: Option<Pace>,
}

#[derive(Debug)]
struct Pace {
    /// Messages per second that Meta allows.
    allowed: NonZeroU32,
    /// How much of that it is now.
    percent: u32,
    limiter: PerNumber,
    /// Messages that came in and have not had their place: when, and how many.
    owed: VecDeque<(Millis, usize)>,
    /// When the rate last fell.
    slowed_at: Millis,
    /// When it comes back by a step.
    raised_at: Millis,
    /// Refusals since something last got through.
    in_a_row: u32,
}

impl NumberPacing {
    /// A number that is allowed `messages_per_second` in both directions together, or anything for 0.
    #[must_use]
    pub fn new(messages_per_second: u32, clock: Clock) -> Self {
        let pace = NonZeroU32::new(messages_per_second).map(|allowed| Pace {
            allowed,
            percent: 100,
            limiter: limiter(rate_milli(allowed, 100), clock.clone()),
            owed: VecDeque::new(),
            slowed_at: Millis::MIN,
            raised_at: Millis::MIN,
            in_a_row: 0,
        });
        Self { clock, pace }
    }

    /// What Meta allows, in messages per second; `None` for no limit.
    #[must_use]
    pub fn allowed(&self) -> Option<u32> {
        self.pace.as_ref().map(|pace| pace.allowed.get())
    }

    /// Lets one message through, or says when the next one may go.
    ///
    /// # Errors
    /// The moment from which it is worth asking again.
    pub fn admit(&mut self) -> Result<(), Millis> {
        self.recover();
        let now = self.clock.now();
        let Some(pace) = &mut self.pace else { return Ok(()) };
        while pace.owed.pop_front_if(|(at, count)| *count == 0 || now - *at >= SECOND).is_some() {}
        while let Some((_, count)) = pace.owed.front_mut() {
            take(&pace.limiter)?;
            *count -= 1;
            pace.owed.pop_front_if(|(_, count)| *count == 0);
        }
        take(&pace.limiter)
    }

    /// So many messages came in at this number.
    pub fn heard(&mut self, count: usize) {
        let now = self.clock.now();
        let Some(pace) = &mut self.pace else { return };
        match pace.owed.back_mut() {
            Some((at, owed)) if *at == now => *owed += count,
            _ => pace.owed.push_back((now, count)),
        }
        while pace.owed.pop_front_if(|(at, _)| now - *at >= SECOND).is_some() {}
    }

    /// Meta has refused a message that left at `left_at`, because the number, account or app is too fast. Returns until when
    /// the number rests: `until`, or longer where Meta goes on refusing.
    pub fn slow_down(&mut self, left_at: Millis, until: Millis) -> Millis {
        self.recover();
        let now = self.clock.now();
        let Some(pace) = &mut self.pace else { return until };
        if left_at <= pace.slowed_at {
            return until;
        }
        let rest = REST_FIRST.saturating_mul(1 << pace.in_a_row.min(16)).min(REST_MAX);
        pace.in_a_row += 1;
        pace.slowed_at = now;
        pace.raised_at = now + duration_ms(RAISE_PERIOD);
        pace.percent = (pace.percent / SLOWDOWN).max(SLOWEST_PERCENT);
        pace.limiter = limiter(rate_milli(pace.allowed, pace.percent), self.clock.clone());
        until.max(now + duration_ms(rest))
    }

    /// Meta has taken a message that left at `left_at`.
    pub fn got_through(&mut self, left_at: Millis) {
        if let Some(pace) = self.pace.as_mut().filter(|pace| left_at > pace.slowed_at) {
            pace.in_a_row = 0;
        }
    }

    /// The rate at which messages go now, both directions together, in thousandths of a message per second; `None` for no
    /// limit.
    #[must_use]
    pub fn rate_milli(&mut self) -> Option<u64> {
        self.recover();
        self.pace.as_ref().map(|pace| rate_milli(pace.allowed, pace.percent))
    }

    /// Whether the rate has fallen and is not back yet.
    #[must_use]
    pub fn is_slowed(&mut self) -> bool {
        self.recover();
        self.pace.as_ref().is_some_and(|pace| pace.percent < 100)
    }

    /// Raises a rate that has fallen by as many steps as the time without a refusal allows.
    fn recover(&mut self) {
        let now = self.clock.now();
        let Some(pace) = self.pace.as_mut().filter(|pace| pace.percent < 100 && now >= pace.raised_at) else {
            return;
        };
        while pace.percent < 100 && now >= pace.raised_at {
            pace.percent = (pace.percent + RAISE_PERCENT).min(100);
            pace.raised_at += duration_ms(RAISE_PERIOD);
        }
        pace.limiter = limiter(rate_milli(pace.allowed, pace.percent), self.clock.clone());
    }
}

/// Takes the place of a whole message.
fn take(limiter: &PerNumber) -> Result<(), Millis> {
    let taken = limiter.check_n(PARTS).expect("the limiter holds a whole message at least");
    taken.map_err(|refused| moment(&refused))
}

/// The rate at `percent` of what is allowed, in thousandths of a message per second.
fn rate_milli(allowed: NonZeroU32, percent: u32) -> u64 {
    let allowed_milli = u64::from(allowed.get()) * 1_000;
    let slowed = (allowed_milli * u64::from(percent) / 100).max(SLOWEST_MILLI.min(allowed_milli));
    slowed * USED_PERCENT / 100
}

/// A limiter of so many thousandths of a message per second. Its tolerance is used up: a rate that changes gives nothing away.
fn limiter(rate_milli: u64, clock: Clock) -> PerNumber {
    const NANOS_TIMES_MILLI: u64 = 1_000_000_000_000;
    let part = (NANOS_TIMES_MILLI / rate_milli.max(1) / u64::from(PARTS.get())).max(1);
    let tolerance = u32::try_from(LATENESS.as_nanos() / u128::from(part)).unwrap_or(u32::MAX - PARTS.get());
    let quota = Quota::with_period(Duration::from_nanos(part)).expect("it is not 0 ns");
    let limiter =
        RateLimiter::direct_with_clock(quota.allow_burst(PARTS.saturating_add(tolerance)), Ticks(clock));
    if let Some(tolerance) = NonZeroU32::new(tolerance) {
        let used = limiter.check_n(tolerance).expect("the tolerance fits into the whole");
        debug_assert!(used.is_ok(), "a fresh limiter is full");
    }
    limiter
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

    /// Whether the limit is kept.
    #[must_use]
    pub fn is_on(&self) -> bool {
        self.0.is_some()
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
    use crate::clock::Hand;

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

    /// The moments at which messages leave within `length`, asked for every `tick`.
    fn leave(pacing: &mut NumberPacing, hand: &Hand, length: Duration, tick: Duration) -> Vec<Millis> {
        let mut left = Vec::new();
        for _ in 0..length.as_millis() / tick.as_millis() {
            while pacing.admit().is_ok() {
                left.push(pacing.clock.now());
            }
            hand.advance(tick);
        }
        left
    }

    /// The most of these moments, which are in order, that any `second` holds.
    fn most(moments: &[Millis], second: Millis) -> usize {
        let mut first = 0;
        let mut most = 0;
        for (place, at) in moments.iter().enumerate() {
            while at - moments[first] >= second {
                first += 1;
            }
            most = most.max(place + 1 - first);
        }
        most
    }

    #[test]
    fn any_second_holds_what_is_allowed_at_the_most_and_a_minute_96_percent_of_it() {
        for allowed in [1, 5, 20, 80, 1_000] {
            for tick in [1, 7, 12] {
                let (clock, hand) = Clock::manual(START);
                let mut pacing = NumberPacing::new(allowed, clock);
                let left = leave(&mut pacing, &hand, Duration::from_secs(60), Duration::from_millis(tick));
                // A second of Meta's, stretched by what the ways differ.
                let second = most(&left, 1_029);
                assert!(second <= allowed as usize, "{allowed}/s every {tick} ms: {second} in a second");
                let whole = f64::from(allowed) * 60.0;
                assert!(
                    left.len() as f64 >= 0.95 * whole,
                    "{allowed}/s every {tick} ms: {} a minute",
                    left.len()
                );
            }
        }
        let (clock, _hand) = Clock::manual(START);
        let mut unlimited = NumberPacing::new(0, clock);
        assert!((0..10_000).all(|_| unlimited.admit().is_ok()));
        assert_eq!((unlimited.rate_milli(), unlimited.slow_down(START, START + 7)), (None, START + 7));
    }

    #[test]
    fn a_rest_is_not_made_up_for() {
        let (clock, hand) = Clock::manual(START);
        let mut pacing = NumberPacing::new(80, clock);
        hand.advance(Duration::from_secs(3_600));
        let left = leave(&mut pacing, &hand, Duration::from_secs(2), Duration::from_millis(1));
        assert!(most(&left, 1_000) <= 80 && most(&left, 13) <= 2, "{left:?}");
    }

    #[test]
    fn what_comes_in_takes_its_place_before_the_next_message_leaves() {
        let (clock, hand) = Clock::manual(START);
        let mut pacing = NumberPacing::new(80, clock.clone());
        let mut counted = Vec::new();
        let (mut left, mut came) = (0, 0);
        for tick in 0..60_000 {
            // A trickle of 20/s all the time, and once in ten seconds thirty people at once.
            let coming = usize::from(tick % 50 == 0) + if tick % 10_000 == 5_000 { 30 } else { 0 };
            pacing.heard(coming);
            counted.extend(std::iter::repeat_n(clock.now(), coming));
            came += coming;
            while pacing.admit().is_ok() {
                left += 1;
                let second = counted.iter().rev().take_while(|at| clock.now() - **at < 1_000).count();
                assert!(second < 80, "Meta has counted {second} in this second, and refuses");
                counted.push(clock.now());
            }
            hand.advance(Duration::from_millis(1));
        }
        assert!(left + came >= 4_560, "{left} out and {came} in");
    }

    #[test]
    fn what_came_in_is_owed_for_a_second_and_no_longer() {
        let (clock, hand) = Clock::manual(START);
        let mut pacing = NumberPacing::new(80, clock);
        pacing.heard(1_000_000);
        let first = leave(&mut pacing, &hand, Duration::from_secs(2), Duration::from_millis(1))[0];
        assert!((1_000..=1_014).contains(&(first - START)), "{}", first - START);
        pacing.heard(79);
        hand.advance(Duration::from_secs(1));
        assert_eq!(pacing.admit(), Ok(()), "nobody wrote within the last second");
        for _ in 0..100_000 {
            pacing.heard(1);
            hand.advance(Duration::from_millis(50));
        }
        assert!(pacing.pace.unwrap().owed.len() <= 20, "what is forgotten takes no room");
    }

    #[test]
    fn a_refusal_halves_the_rate_once_and_time_brings_it_back() {
        let (clock, hand) = Clock::manual(START);
        let mut pacing = NumberPacing::new(80, clock);
        assert_eq!((pacing.rate_milli(), pacing.is_slowed()), (Some(76_800), false));
        let until = START + 1_000;
        assert_eq!(pacing.slow_down(START, until), until);
        for _ in 0..255 {
            assert_eq!(pacing.slow_down(START, until), until, "they had left before it fell");
        }
        assert_eq!((pacing.rate_milli(), pacing.is_slowed()), (Some(38_400), true));
        hand.advance(Duration::from_millis(9_999));
        assert_eq!(pacing.rate_milli(), Some(38_400));
        let left = leave(&mut pacing, &hand, Duration::from_secs(10), Duration::from_millis(1));
        assert!((440..=470).contains(&left.len()), "60 % of 76.8/s for 10 s: {}", left.len());
        hand.advance(Duration::from_secs(31));
        assert_eq!((pacing.rate_milli(), pacing.is_slowed()), (Some(76_800), false));
    }

    #[test]
    fn the_rate_has_a_floor_and_the_rests_double_while_nothing_gets_through() {
        let (clock, hand) = Clock::manual(START);
        let mut pacing = NumberPacing::new(80, clock.clone());
        let mut rests = Vec::new();
        let mut refuse = |pacing: &mut NumberPacing| {
            let now = clock.now();
            rests.push((pacing.slow_down(now, now + 1_000) - now) / 1_000);
            hand.advance(Duration::from_millis(1));
        };
        (0..8).for_each(|_| refuse(&mut pacing));
        assert_eq!(pacing.rate_milli(), Some(3_840), "5 % of 80/s");
        pacing.got_through(clock.now());
        refuse(&mut pacing);
        assert_eq!(rests, [1, 2, 4, 8, 16, 32, 60, 60, 1]);
        let mut small = NumberPacing::new(2, clock.clone());
        for later in 1..9 {
            small.slow_down(clock.now() + later, 0);
        }
        assert_eq!(small.rate_milli(), Some(960), "not below a message per second");
    }
}
