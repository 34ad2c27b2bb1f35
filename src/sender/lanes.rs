//! What waits to leave: a lane per conversation, head of line, and per number a queue of the lanes whose head may go.
//!
//! Plain data, no clock of its own, no I/O. A lane is in one of four states: *asleep* until a moment (a retry, the grace of an
//! ambiguous send, the pair limit), *lined up* at its number, *posting* its head, or gone, when nothing waits in it.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::Arc;

use crate::clock::Millis;
use crate::domain::ids::{ConversationId, MessageId};
use crate::sender::pacing::{NumberPacing, PairPacing};
use crate::store::Outbound;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Asleep(Millis),
    LinedUp,
    Posting { settled: bool },
}

#[derive(Debug)]
struct Lane {
    /// By position: what a sweep brings late still takes its place.
    waiting: BTreeMap<i64, Outbound>,
    state: State,
}

impl Lane {
    fn head(&self) -> Option<&Outbound> {
        self.waiting.values().next()
    }
}

struct Line {
    ready: VecDeque<ConversationId>,
    pacing: NumberPacing,
    paused_until: Millis,
    in_flight: usize,
    in_flight_max: usize,
}

/// Everything that waits to leave.
pub struct Lanes {
    lanes: HashMap<ConversationId, Lane>,
    asleep: BTreeSet<(Millis, ConversationId)>,
    lines: HashMap<Arc<str>, Line>,
    pairs: PairPacing,
}

impl Lanes {
    /// Empty lanes under this pair limit.
    #[must_use]
    pub fn new(pairs: PairPacing) -> Self {
        Self { lanes: HashMap::new(), asleep: BTreeSet::new(), lines: HashMap::new(), pairs }
    }

    /// Adds one of our numbers.
    pub fn add_number(&mut self, number: Arc<str>, pacing: NumberPacing, in_flight_max: usize) {
        let line = Line { ready: VecDeque::new(), pacing, paused_until: 0, in_flight: 0, in_flight_max };
        self.lines.insert(number, line);
    }

    /// Takes a message in. One that is here already is not here twice. False when its number is not ours.
    pub fn push(&mut self, outbound: Outbound) -> bool {
        if !self.lines.contains_key(&outbound.phone_number_id) {
            return false;
        }
        let conversation = outbound.conversation;
        let due_at = outbound.due_at;
        match self.lanes.get_mut(&conversation) {
            Some(lane) => {
                lane.waiting.entry(outbound.position).or_insert(outbound);
            }
            None => {
                let waiting = BTreeMap::from([(outbound.position, outbound)]);
                self.lanes.insert(conversation, Lane { waiting, state: State::Asleep(due_at) });
                self.asleep.insert((due_at, conversation));
            }
        }
        true
    }

    /// Whether this message is in its lane.
    #[must_use]
    pub fn knows(&self, outbound: &Outbound) -> bool {
        self.lanes
            .get(&outbound.conversation)
            .is_some_and(|lane| lane.waiting.contains_key(&outbound.position))
    }

    /// The messages that leave now. Each is its lane's head; its lane waits until [`Lanes::finish`] or [`Lanes::delay`].
    pub fn depart(&mut self, now: Millis) -> Vec<Outbound> {
        self.wake(now);
        let mut leaving = Vec::new();
        for line in self.lines.values_mut() {
            while line.paused_until <= now && line.in_flight < line.in_flight_max && !line.ready.is_empty() {
                if let Err(until) = line.pacing.admit() {
                    line.paused_until = line.paused_until.max(until);
                    break;
                }
                let Some(conversation) = line.ready.pop_front() else { break };
                let Some(lane) = self.lanes.get_mut(&conversation) else { continue };
                lane.state = State::Posting { settled: false };
                if let Some(head) = lane.head().cloned() {
                    line.in_flight += 1;
                    leaving.push(head);
                }
            }
        }
        leaving
    }

    /// Lines up the lanes that have slept long enough, as far as the pair limit lets them.
    fn wake(&mut self, now: Millis) {
        while let Some((due_at, conversation)) =
            self.asleep.first().copied().filter(|(due_at, _)| *due_at <= now)
        {
            self.asleep.remove(&(due_at, conversation));
            let Some(lane) = self.lanes.get_mut(&conversation) else { continue };
            match self.pairs.admit(conversation) {
                Err(until) => {
                    lane.state = State::Asleep(until);
                    self.asleep.insert((until, conversation));
                }
                Ok(()) => {
                    lane.state = State::LinedUp;
                    let number = lane.head().map(|head| Arc::clone(&head.phone_number_id));
                    if let Some(line) = number.and_then(|number| self.lines.get_mut(&number)) {
                        line.ready.push_back(conversation);
                    }
                }
            }
        }
    }

    /// When [`Lanes::depart`] is next worth asking without anything else happening; `None` for never.
    #[must_use]
    pub fn next_departure(&self) -> Option<Millis> {
        let lines = self.lines.values();
        let paced = lines.filter(|line| !line.ready.is_empty() && line.in_flight < line.in_flight_max);
        let paced = paced.map(|line| line.paused_until).min();
        let asleep = self.asleep.first().map(|(due_at, _)| *due_at);
        [paced, asleep].into_iter().flatten().min()
    }

    /// The head that was posting has its Meta id, or will never have one.
    pub fn finish(&mut self, conversation: ConversationId, message: MessageId, now: Millis) {
        self.land(conversation);
        self.drop_message(conversation, message, now);
    }

    /// The head that was posting stays, changed by `change`, and its lane sleeps until `until`; unless a status has settled
    /// it meanwhile.
    pub fn delay(
        &mut self,
        conversation: ConversationId,
        message: MessageId,
        now: Millis,
        until: Millis,
        change: impl FnOnce(&mut Outbound),
    ) {
        let settled = matches!(
            self.lanes.get(&conversation),
            Some(Lane { state: State::Posting { settled: true }, .. })
        );
        self.land(conversation);
        if settled {
            return self.drop_message(conversation, message, now);
        }
        if let Some(lane) = self.lanes.get_mut(&conversation) {
            if let Some(head) = lane.waiting.values_mut().find(|waiting| waiting.id == message) {
                change(head);
            }
            lane.state = State::Asleep(until);
            self.asleep.insert((until, conversation));
        }
    }

    /// A status has settled this message.
    pub fn settled(&mut self, conversation: ConversationId, message: MessageId, now: Millis) {
        let Some(lane) = self.lanes.get_mut(&conversation) else { return };
        let is_head = lane.head().is_some_and(|head| head.id == message);
        match (&mut lane.state, is_head) {
            // The post is under way: its lane is let go when it comes back.
            (State::Posting { settled }, true) => *settled = true,
            (State::Asleep(until), true) => {
                self.asleep.remove(&(*until, conversation));
                self.drop_message(conversation, message, now);
            }
            (State::LinedUp, true) => self.unline(conversation, message, now),
            (_, false) => lane.waiting.retain(|_, waiting| waiting.id != message),
        }
    }

    fn unline(&mut self, conversation: ConversationId, message: MessageId, now: Millis) {
        for line in self.lines.values_mut() {
            line.ready.retain(|ready| *ready != conversation);
        }
        self.drop_message(conversation, message, now);
    }

    /// Nothing leaves this number before `until`.
    pub fn pause(&mut self, number: &str, until: Millis) {
        if let Some(line) = self.lines.get_mut(number) {
            line.paused_until = line.paused_until.max(until);
        }
    }

    /// Messages that wait or are under way, per number.
    #[must_use]
    pub fn waiting(&self) -> HashMap<Arc<str>, usize> {
        let mut waiting: HashMap<Arc<str>, usize> =
            self.lines.keys().map(|number| (Arc::clone(number), 0)).collect();
        for outbound in self.lanes.values().flat_map(|lane| lane.waiting.values()) {
            *waiting.entry(Arc::clone(&outbound.phone_number_id)).or_default() += 1;
        }
        waiting
    }

    /// Whether a message whose lane is empty would leave at once.
    #[must_use]
    pub fn is_flowing(&self, now: Millis) -> bool {
        self.lines.values().all(|line| {
            line.ready.is_empty() && line.paused_until <= now && line.in_flight < line.in_flight_max
        })
    }

    /// Whether nothing is being posted.
    #[must_use]
    pub fn is_landed(&self) -> bool {
        self.lines.values().all(|line| line.in_flight == 0)
    }

    /// Forgets the pairs that owe nothing.
    pub fn forget_rested_pairs(&self) {
        self.pairs.forget_rested();
    }

    fn land(&mut self, conversation: ConversationId) {
        let number =
            self.lanes.get(&conversation).and_then(Lane::head).map(|head| Arc::clone(&head.phone_number_id));
        if let Some(line) = number.and_then(|number| self.lines.get_mut(&number)) {
            line.in_flight = line.in_flight.saturating_sub(1);
        }
    }

    /// Takes a message out of a lane that is neither asleep nor lined up, and lets the next one go.
    fn drop_message(&mut self, conversation: ConversationId, message: MessageId, now: Millis) {
        let Some(lane) = self.lanes.get_mut(&conversation) else { return };
        lane.waiting.retain(|_, waiting| waiting.id != message);
        match lane.head().map(|next| next.due_at.max(now)) {
            Some(due_at) => {
                lane.state = State::Asleep(due_at);
                self.asleep.insert((due_at, conversation));
            }
            None => _ = self.lanes.remove(&conversation),
        }
    }
}
