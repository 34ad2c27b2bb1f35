//! How many requests one key may make: so many per second, with a burst.

use std::num::NonZeroU32;
use std::time::Duration;

use governor::middleware::NoOpMiddleware;
use governor::state::{InMemoryState, NotKeyed};
use governor::{Quota, RateLimiter};

use crate::clock::Clock;

/// Requests per second, and how many at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// Requests per second in the long run; 0 is no limit.
    pub per_second: u32,
    /// Requests at once after a rest.
    pub burst: u32,
}

impl Rate {
    /// The rate of a key that has `per_second` of its own: its burst is larger or smaller by as much.
    pub(super) fn with(self, per_second: u32) -> Self {
        let burst = if self.per_second == 0 {
            per_second
        } else {
            let scaled = u64::from(self.burst) * u64::from(per_second) / u64::from(self.per_second);
            u32::try_from(scaled).unwrap_or(u32::MAX)
        };
        Self { per_second, burst }
    }
}

/// Our clock, as governor wants it.
#[derive(Debug, Clone)]
struct Ticks(Clock);

impl governor::clock::Clock for Ticks {
    type Instant = Duration;

    fn now(&self) -> Duration {
        Duration::from_millis(self.0.now().unsigned_abs())
    }
}

/// Lets requests through at a rate.
#[derive(Debug)]
pub(super) struct Limiter(
    Option<RateLimiter<NotKeyed, InMemoryState, Ticks, NoOpMiddleware<Duration>>>,
    Ticks,
);

impl Limiter {
    pub(super) fn new(rate: Rate, clock: Clock) -> Self {
        let ticks = Ticks(clock);
        let limiter = NonZeroU32::new(rate.per_second).map(|per_second| {
            let quota = Quota::per_second(per_second)
                .allow_burst(NonZeroU32::new(rate.burst).unwrap_or(NonZeroU32::MIN));
            RateLimiter::direct_with_clock(quota, ticks.clone())
        });
        Self(limiter, ticks)
    }

    /// Lets one request through, or says in how many seconds it is worth asking again.
    pub(super) fn admit(&self) -> Result<(), u32> {
        use governor::clock::Clock as _;
        let Some(limiter) = &self.0 else { return Ok(()) };
        limiter.check().map_err(|refused| {
            let wait = refused.wait_time_from(self.1.now());
            let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
            u32::try_from(seconds).unwrap_or(u32::MAX).max(1)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_goes_through_and_then_so_many_per_second() {
        let (clock, hand) = Clock::manual(1_700_000_000_000);
        let limiter = Limiter::new(Rate { per_second: 2, burst: 3 }, clock);
        let admitted = || (0..10).take_while(|_| limiter.admit().is_ok()).count();
        assert_eq!(admitted(), 3);
        assert_eq!(limiter.admit(), Err(1));
        hand.advance(Duration::from_secs(1));
        assert_eq!(admitted(), 2);
        hand.advance(Duration::from_hours(1));
        assert_eq!(admitted(), 3);
    }

    #[test]
    fn zero_is_no_limit() {
        let limiter = Limiter::new(Rate { per_second: 0, burst: 0 }, Clock::manual(0).0);
        assert!((0..10_000).all(|_| limiter.admit().is_ok()));
    }

    #[test]
    fn a_rate_of_its_own_has_a_burst_in_proportion() {
        let usual = Rate { per_second: 100, burst: 200 };
        assert_eq!(usual.with(10), Rate { per_second: 10, burst: 20 });
        assert_eq!(usual.with(1_000), Rate { per_second: 1_000, burst: 2_000 });
        assert_eq!(Rate { per_second: 0, burst: 5 }.with(7), Rate { per_second: 7, burst: 7 });
    }
}
