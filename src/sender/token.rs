//! The token of a number: whether Meta takes it, what may leave while it does not, and how long that was.
//!
//! Plain data, no clock of its own, no I/O. While Meta refuses the token, one message in a minute tries it, and all others wait.
//! A new one in its place is tried by one message at once; when Meta takes that one, everything goes. What messages that had left
//! earlier come back with says nothing of the token that is there now, so each of them carries the epoch in which it left.
//!
//! The time for which Meta refused makes no message late: [`TokenWatch::held_ms`] is what has to be taken off its age.

use std::time::Duration;

use crate::clock::{Millis, duration_ms};

/// How long a number waits after Meta refused its token before one message tries it again.
pub const PROBE_INTERVAL: Duration = Duration::from_secs(60);

/// What the way of one message tells of its number's token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Told {
    /// Nothing: it was not posted.
    NotAsked,
    /// Nothing: it did not reach Meta, or nobody knows.
    Nothing,
    /// Meta looked beyond the token.
    Taken,
    /// Meta refused the token, in these words.
    Refused(String),
}

/// What changed, and has to be written down.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// The number is paused from now on.
    Paused {
        /// Now.
        at: Millis,
        /// Meta's words, and the cause in plain ones.
        why: String,
    },
    /// It is paused no more.
    Resumed {
        /// When the pause began.
        since: Millis,
        /// When it ended.
        at: Millis,
    },
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum State {
    /// Meta takes it, as far as anybody knows.
    Good,
    /// It is new: one message tries it.
    New { tried: bool },
    /// Meta refuses it; from `probe_at` on one message tries it again.
    Refused { since: Millis, why: String, probe_at: Millis, tried: bool },
}

/// See the module.
#[derive(Debug)]
pub struct TokenWatch {
    state: State,
    epoch: u64,
    /// From when to when Meta refused it, without the pause that lasts.
    past: Vec<(Millis, Millis)>,
}

impl TokenWatch {
    /// A token that was refused at these times before: from when, to when. One without an end lasts, and is tried at once.
    #[must_use]
    pub fn new(pauses: &[(Millis, Option<Millis>)]) -> Self {
        let past = pauses.iter().filter_map(|(began_at, ended_at)| Some((*began_at, (*ended_at)?))).collect();
        let lasting = pauses.iter().filter(|(_, ended_at)| ended_at.is_none()).map(|(began_at, _)| *began_at);
        let state = lasting.min().map_or(State::Good, |since| State::Refused {
            since,
            why: "Meta refused the token before the last restart".to_owned(),
            probe_at: since,
            tried: false,
        });
        Self { state, epoch: 0, past }
    }

    /// When the next message may leave, as far as the token is concerned; `None` for not before something else happens.
    #[must_use]
    pub fn opens_at(&self) -> Option<Millis> {
        match self.state {
            State::Good | State::New { tried: false } => Some(Millis::MIN),
            State::Refused { probe_at, tried: false, .. } => Some(probe_at),
            State::New { tried: true } | State::Refused { tried: true, .. } => None,
        }
    }

    /// Whether messages leave freely, and not one by one.
    #[must_use]
    pub fn is_good(&self) -> bool {
        self.state == State::Good
    }

    /// Since when Meta refuses it, why, and when it is next tried.
    #[must_use]
    pub fn refused(&self) -> Option<(Millis, &str, Millis)> {
        match &self.state {
            State::Refused { since, why, probe_at, .. } => Some((*since, why, *probe_at)),
            State::Good | State::New { .. } => None,
        }
    }

    /// A message leaves. Returns the epoch in which it does.
    pub fn left(&mut self) -> u64 {
        match &mut self.state {
            State::Good => {}
            State::New { tried } | State::Refused { tried, .. } => *tried = true,
        }
        self.epoch
    }

    /// A message that left in `epoch` came back at `now`.
    pub fn returned(&mut self, epoch: u64, told: Told, now: Millis) -> Option<Change> {
        if epoch != self.epoch {
            return None;
        }
        match (&mut self.state, told) {
            (State::Good, Told::NotAsked | Told::Nothing | Told::Taken) => None,
            (State::New { tried }, Told::NotAsked | Told::Nothing)
            // Another one tries it in its place.
            | (State::Refused { tried, .. }, Told::NotAsked) => {
                *tried = false;
                None
            }
            (State::New { .. }, Told::Taken) => {
                self.turn(State::Good);
                None
            }
            (State::Good | State::New { .. }, Told::Refused(why)) => {
                let probe_at = now + duration_ms(PROBE_INTERVAL);
                self.turn(State::Refused { since: now, why: why.clone(), probe_at, tried: false });
                Some(Change::Paused { at: now, why })
            }
            (State::Refused { since, .. }, Told::Taken) => {
                let since = *since;
                self.turn(State::Good);
                Some(self.resumed(since, now))
            }
            (State::Refused { why, probe_at, tried, .. }, told) => {
                *probe_at = now + duration_ms(PROBE_INTERVAL);
                *tried = false;
                if let Told::Refused(words) = told {
                    *why = words;
                }
                None
            }
        }
    }

    /// There is another token. In the place of a good one it is taken to be good, too.
    pub fn renewed(&mut self, now: Millis) -> Option<Change> {
        if self.is_good() {
            self.epoch += 1;
            return None;
        }
        let since = self.refused().map(|(since, ..)| since);
        self.turn(State::New { tried: false });
        since.map(|since| self.resumed(since, now))
    }

    /// For how long, of the time from `from` to `now`, Meta refused the token.
    #[must_use]
    pub fn held_ms(&self, from: Millis, now: Millis) -> Millis {
        let lasting = self.refused().map(|(since, ..)| (since, now));
        let pauses = self.past.iter().copied().chain(lasting);
        pauses.map(|(began_at, ended_at)| (ended_at.min(now) - began_at.max(from)).max(0)).sum()
    }

    fn turn(&mut self, state: State) {
        self.state = state;
        self.epoch += 1;
    }

    fn resumed(&mut self, since: Millis, now: Millis) -> Change {
        self.past.push((since, now));
        Change::Resumed { since, at: now }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Millis = 1_800_000_000_000;
    const MINUTE: Millis = 60_000;

    fn refused() -> Told {
        Told::Refused("expired".into())
    }

    #[test]
    fn the_first_refusal_pauses_and_those_that_had_left_by_then_do_not_count() {
        let mut token = TokenWatch::new(&[]);
        let epochs: Vec<u64> = (0..256).map(|_| token.left()).collect();
        assert!(token.is_good() && token.opens_at() == Some(Millis::MIN));
        let changes: Vec<Change> =
            epochs.iter().filter_map(|epoch| token.returned(*epoch, refused(), NOW)).collect();
        assert_eq!(changes, [Change::Paused { at: NOW, why: "expired".into() }]);
        assert_eq!(token.refused(), Some((NOW, "expired", NOW + MINUTE)));
        assert_eq!(token.returned(epochs[0], Told::Taken, NOW), None, "it was taken before the token ended");
        assert!(!token.is_good());
    }

    #[test]
    fn one_message_a_minute_tries_a_refused_token() {
        let mut token = TokenWatch::new(&[(NOW, None)]);
        assert_eq!(token.opens_at(), Some(NOW), "the first try after a start is at once");
        for minute in 1..4 {
            let now = NOW + minute * MINUTE;
            let epoch = token.left();
            assert_eq!(token.opens_at(), None, "one is under way");
            assert_eq!(token.returned(epoch, Told::NotAsked, now), None);
            assert!(token.opens_at().is_some_and(|at| at <= now), "one that was not posted tries nothing");
            assert_eq!(token.left(), epoch);
            let told = if minute == 2 { Told::Nothing } else { refused() };
            assert_eq!(token.returned(epoch, told, now), None);
            assert_eq!(token.opens_at(), Some(now + MINUTE));
        }
        let epoch = token.left();
        assert_eq!(
            token.returned(epoch, Told::Taken, NOW + 9),
            Some(Change::Resumed { since: NOW, at: NOW + 9 })
        );
        assert!(token.is_good());
    }

    #[test]
    fn a_new_token_is_tried_by_one_message_at_once() {
        let mut token = TokenWatch::new(&[(NOW, None)]);
        let old = token.left();
        assert_eq!(token.renewed(NOW + 5), Some(Change::Resumed { since: NOW, at: NOW + 5 }));
        assert_eq!((token.opens_at(), token.is_good(), token.refused()), (Some(Millis::MIN), false, None));
        let epoch = token.left();
        assert_eq!(token.opens_at(), None);
        assert_eq!(token.returned(old, refused(), NOW + 6), None, "that was the old token");
        assert_eq!(token.returned(epoch, Told::Nothing, NOW + 6), None);
        let epoch = token.left();
        assert_eq!(
            token.returned(epoch, refused(), NOW + 7),
            Some(Change::Paused { at: NOW + 7, why: "expired".into() })
        );
        assert_eq!(token.renewed(NOW + 8), Some(Change::Resumed { since: NOW + 7, at: NOW + 8 }));
        let epoch = token.left();
        assert_eq!(token.returned(epoch, Told::Taken, NOW + 9), None);
        assert!(token.is_good());
        let old = token.left();
        assert_eq!(token.renewed(NOW + 10), None, "nothing was paused");
        assert_eq!(token.returned(old, refused(), NOW + 11), None, "that was the old token");
        assert!(token.is_good());
    }

    #[test]
    fn the_time_of_all_pauses_is_taken_off_an_age() {
        let token =
            TokenWatch::new(&[(NOW, Some(NOW + 10)), (NOW + 100, Some(NOW + 150)), (NOW + 200, None)]);
        assert_eq!(token.held_ms(NOW - 5, NOW + 300), 10 + 50 + 100);
        assert_eq!(token.held_ms(NOW + 120, NOW + 250), 30 + 50);
        assert_eq!(token.held_ms(NOW + 5, NOW + 7), 2);
        assert_eq!(token.held_ms(NOW + 150, NOW + 200), 0);
    }
}
