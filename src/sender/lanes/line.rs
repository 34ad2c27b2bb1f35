//! One of our numbers: the lanes whose head may go, by class, the places for requests under way, and what is counted.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use crate::clock::Millis;
use crate::domain::ids::ConversationId;
use crate::domain::outbound::Priority;
use crate::sender::pacing::NumberPacing;
use crate::sender::token::TokenWatch;
use crate::sender::{Depth, NumberState, Pause};
use crate::store::Outbound;

/// The classes, in the order in which they go.
const CLASSES: [Priority; 2] = [Priority::Reply, Priority::Bulk];
/// Of the places for requests under way, one in so many is kept for replies: bulk that Meta is slow to answer leaves it free.
const REPLY_PLACES: usize = 4;

/// Where a lane stands that is lined up: the lowest ticket of the first class goes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) class: Priority,
    pub(super) ticket: u64,
}

/// A number rests after Meta told it that it is too fast.
#[derive(Debug)]
struct Rest {
    since: Millis,
    until: Millis,
    why: String,
}

pub(super) struct Line {
    pub(super) pacing: NumberPacing,
    pub(super) token: TokenWatch,
    ready: [BTreeMap<u64, ConversationId>; 2],
    /// Before this moment the rate admits nothing.
    paced_until: Millis,
    rest: Option<Rest>,
    in_flight: usize,
    in_flight_max: usize,
    depth: [usize; 2],
    /// How many messages wait whose event was accepted at a moment.
    ages: BTreeMap<Millis, usize>,
    /// Lanes that the pair limit holds back, or will, and for how long.
    bound: HashMap<ConversationId, Millis>,
}

fn index(class: Priority) -> usize {
    match class {
        Priority::Reply => 0,
        Priority::Bulk => 1,
    }
}

impl Line {
    pub(super) fn new(pacing: NumberPacing, token: TokenWatch, in_flight_max: usize) -> Self {
        Self {
            pacing,
            token,
            ready: [BTreeMap::new(), BTreeMap::new()],
            paced_until: Millis::MIN,
            rest: None,
            in_flight: 0,
            in_flight_max,
            depth: [0, 0],
            ages: BTreeMap::new(),
            bound: HashMap::new(),
        }
    }

    /// A message waits here, or does so no more.
    pub(super) fn count(&mut self, outbound: &Outbound, waits: bool) {
        let depth = &mut self.depth[index(outbound.priority)];
        let age = self.ages.entry(outbound.event_accepted_at).or_default();
        if waits {
            *depth += 1;
            *age += 1;
        } else {
            *depth = depth.saturating_sub(1);
            *age = age.saturating_sub(1);
            if *age == 0 {
                self.ages.remove(&outbound.event_accepted_at);
            }
        }
    }

    /// Messages that wait here or are under way.
    pub(super) fn depth(&self) -> usize {
        self.depth.iter().sum()
    }

    /// The pair limit holds this lane back for so long, or, for `None`, no more.
    pub(super) fn bind(&mut self, conversation: ConversationId, length: Option<Millis>) {
        match length {
            Some(length) => _ = self.bound.insert(conversation, length),
            None => _ = self.bound.remove(&conversation),
        }
    }

    pub(super) fn line_up(&mut self, conversation: ConversationId, place: Place) {
        self.ready[index(place.class)].insert(place.ticket, conversation);
    }

    pub(super) fn step_out(&mut self, place: Place) {
        self.ready[index(place.class)].remove(&place.ticket);
    }

    /// Takes out the lane that is next to leave, if there is room for it.
    pub(super) fn call(&mut self) -> Option<ConversationId> {
        let class = self.next_class()?;
        self.ready[index(class)].pop_first().map(|(_, conversation)| conversation)
    }

    /// The class of the next lane for which there is a place.
    fn next_class(&self) -> Option<Priority> {
        CLASSES.into_iter().find(|class| !self.ready[index(*class)].is_empty() && self.has_place(*class))
    }

    fn has_place(&self, class: Priority) -> bool {
        self.in_flight < self.places(class)
    }

    /// How many requests may be under way for one of this class to go.
    pub(super) fn places(&self, class: Priority) -> usize {
        match class {
            Priority::Reply => self.in_flight_max,
            // One that is alone is for all.
            Priority::Bulk if self.in_flight_max < 2 => self.in_flight_max,
            Priority::Bulk => self.in_flight_max - (self.in_flight_max / REPLY_PLACES).max(1),
        }
    }

    /// Whether a message may leave at `now`, if the rate admits it.
    pub(super) fn is_open(&self, now: Millis) -> bool {
        self.opens_at().is_some_and(|at| at <= now)
    }

    /// When a message may next leave without anything else happening; `None` for never.
    pub(super) fn opens_at(&self) -> Option<Millis> {
        self.next_class()?;
        Some(self.token.opens_at()?.max(self.paced_until).max(self.rests_until()))
    }

    /// Takes a place in the rate, or stays shut until there is one.
    pub(super) fn admit(&mut self) -> bool {
        match self.pacing.admit() {
            Ok(()) => true,
            Err(until) => {
                self.paced_until = until;
                false
            }
        }
    }

    pub(super) fn left(&mut self) -> u64 {
        self.in_flight += 1;
        self.token.left()
    }

    pub(super) fn landed(&mut self) {
        self.in_flight = self.in_flight.saturating_sub(1);
    }

    pub(super) fn in_flight(&self) -> usize {
        self.in_flight
    }

    /// Nothing leaves before `until`.
    pub(super) fn rest(&mut self, now: Millis, until: Millis, why: String) {
        let rest = self.rest.take().filter(|rest| rest.until > now);
        let since = rest.as_ref().map_or(now, |rest| rest.since);
        let until = rest.map_or(until, |rest| rest.until.max(until));
        self.rest = Some(Rest { since, until, why });
    }

    pub(super) fn is_resting(&self, now: Millis) -> bool {
        self.rests_until() > now
    }

    fn rests_until(&self) -> Millis {
        self.rest.as_ref().map_or(Millis::MIN, |rest| rest.until)
    }

    /// Whether a message whose lane is empty would leave at once.
    pub(super) fn is_flowing(&self, now: Millis) -> bool {
        self.ready.iter().all(BTreeMap::is_empty)
            && self.token.is_good()
            && self.paced_until <= now
            && self.rests_until() <= now
            && self.in_flight < self.places(Priority::Bulk)
    }

    /// How it is doing, for those who look.
    pub(super) fn state(&mut self, now: Millis) -> NumberState {
        let rate = self.pacing.rate_milli();
        let slowed = self.pacing.is_slowed();
        let resting = self.rest.as_ref().filter(|rest| rest.until > now);
        let paused = match (self.token.refused(), resting) {
            (Some((since, why, until)), _) => {
                Some(Pause { for_token: true, why: why.to_owned(), since, until })
            }
            (None, Some(rest)) => {
                Some(Pause { for_token: false, why: rest.why.clone(), since: rest.since, until: rest.until })
            }
            (None, None) => None,
        };
        let slowed = self.rest.as_ref().filter(|_| slowed).map(|rest| rest.why.clone());
        NumberState {
            paused,
            slowed,
            waiting: Depth { reply: self.depth[0], bulk: self.depth[1] },
            in_flight: self.in_flight,
            oldest_at: self.ages.first_key_value().map(|(at, _)| *at),
            allowed: self.pacing.allowed(),
            rate_milli: rate,
            drained_in: self.drained_in(now, rate),
        }
    }

    /// How long it takes until everything that waits has left: what the rate takes, or what the longest lane takes that the
    /// pair limit holds back. `None` while nobody knows, because Meta refuses the token.
    fn drained_in(&self, now: Millis, rate_milli: Option<u64>) -> Option<Duration> {
        if self.depth() == 0 {
            return Some(Duration::ZERO);
        }
        if self.token.refused().is_some() {
            return None;
        }
        let rest = self.rests_until().saturating_sub(now).max(0);
        let depth = u64::try_from(self.depth()).unwrap_or(u64::MAX);
        let paced = rate_milli.map_or(0, |rate| depth.saturating_mul(1_000_000) / rate.max(1));
        let bound = self.bound.values().max().copied().unwrap_or(0);
        let by_rate = Duration::from_millis(paced.saturating_add(rest.unsigned_abs()));
        Some(by_rate.max(Duration::from_millis(bound.unsigned_abs())))
    }
}
