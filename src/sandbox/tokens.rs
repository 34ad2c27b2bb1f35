//! The access tokens that the Graph API takes, and when they end.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde::Serialize;

use super::lock;
use super::refusal::Refusal;
use crate::clock::{Clock, Millis, duration_ms};

/// The tokens, each with the time at which it ends.
#[derive(Clone)]
pub(super) struct Tokens {
    known: Arc<Mutex<HashMap<String, Option<Millis>>>>,
    clock: Clock,
}

/// How many tokens there are of each kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(super) struct Counted {
    pub(super) valid: usize,
    pub(super) expired: usize,
    /// When the next of the valid ones ends, in milliseconds since the Unix epoch.
    pub(super) expires_at: Option<Millis>,
}

impl Tokens {
    pub(super) fn new(token: String, clock: Clock) -> Self {
        Self { known: Arc::new(Mutex::new(HashMap::from([(token, None)]))), clock }
    }

    /// Makes a token valid, for so long or without an end.
    pub(super) fn add(&self, token: &str, lifetime: Option<Duration>) {
        let ends = lifetime.map(|lifetime| self.clock.now().saturating_add(duration_ms(lifetime)));
        lock(&self.known).insert(token.to_owned(), ends);
    }

    /// Ends every token now.
    pub(super) fn expire(&self) {
        let now = self.clock.now();
        for ends in lock(&self.known).values_mut() {
            *ends = Some(ends.unwrap_or(now).min(now));
        }
    }

    pub(super) fn count(&self) -> Counted {
        let now = self.clock.now();
        let known = lock(&self.known);
        let expired = known.values().flatten().filter(|ends| **ends <= now).count();
        let expires_at = known.values().flatten().copied().filter(|ends| *ends > now).min();
        Counted { valid: known.len() - expired, expired, expires_at }
    }

    /// When a token ends, in milliseconds since the Unix epoch, if ever.
    pub(super) fn ends_at(&self, token: &str) -> Option<Millis> {
        lock(&self.known).get(token).copied().flatten()
    }

    /// Passes a valid token; an expired one is told apart from one that never was (Meta, "Error codes": 190, subcode 463).
    pub(super) fn check(&self, given: Option<&str>) -> Result<(), Refusal> {
        let now = self.clock.now();
        match given.and_then(|given| lock(&self.known).get(given).copied()) {
            None => Err(Refusal::bad_token()),
            Some(Some(ends)) if ends <= now => Err(Refusal::expired_token(ends, now)),
            Some(_) => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_good_until_its_end_and_then_refused_as_expired() {
        let (clock, hand) = Clock::manual(1_790_000_000_000);
        let tokens = Tokens::new("first".into(), clock);
        tokens.add("second", Some(Duration::from_secs(60)));
        let subcode = |token: &str| tokens.check(Some(token)).err().map(|refusal| refusal.subcode);
        assert_eq!((subcode("first"), subcode("second"), subcode("never")), (None, None, Some(None)));
        hand.advance(Duration::from_secs(60));
        assert_eq!((subcode("first"), subcode("second")), (None, Some(Some(463))));
        tokens.expire();
        assert_eq!(subcode("first"), Some(Some(463)));
        assert_eq!(tokens.count(), Counted { valid: 0, expired: 2, expires_at: None });
        tokens.add("first", None);
        assert_eq!(tokens.check(Some("first")), Ok(()));
        assert!(tokens.check(None).is_err());
    }
}
