//! What waits to leave: a lane per conversation, head of line, and per number a queue of the lanes whose head may go.
//!
//! Plain data, no clock of its own, no I/O. A lane is in one of four states: *asleep* until a moment (a retry, the grace of an
//! ambiguous send, the pair limit), *lined up* at its number, *posting* its head, or gone, when nothing waits in it.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::Arc;

use crate::clock::Millis;
use crate::domain::contact::Address;
use crate::domain::ids::{ConversationId, MessageId};
use crate::sender::pacing::{NumberPacing, PairPacing};
use crate::store::Outbound;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Asleep(Millis),
    LinedUp,
    Posting,
}

/// A message that is being posted.
#[derive(Debug)]
struct Flight {
    message: MessageId,
    number: Arc<str>,
    /// Whether a status has settled it meanwhile.
    settled: bool,
}

#[derive(Debug)]
struct Lane {
    /// By position: what a sweep brings late still takes its place.
    waiting: BTreeMap<i64, Outbound>,
    state: State,
    /// One at the most, but where two lanes became one while each had one under way.
    flying: Vec<Flight>,
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
    lines: BTreeMap<Arc<str>, Line>,
    pairs: PairPacing,
    /// Messages under way whose lane became part of another one, and that one.
    moved: HashMap<MessageId, ConversationId>,
}

impl Lanes {
    /// Empty lanes under this pair limit.
    #[must_use]
    pub fn new(pairs: PairPacing) -> Self {
        Self {
            lanes: HashMap::new(),
            asleep: BTreeSet::new(),
            lines: BTreeMap::new(),
            pairs,
            moved: HashMap::new(),
        }
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
                let lane = Lane { waiting, state: State::Asleep(due_at), flying: Vec::new() };
                self.lanes.insert(conversation, lane);
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
                lane.state = State::Posting;
                if let Some(head) = lane.head().cloned() {
                    let number = Arc::clone(&head.phone_number_id);
                    lane.flying.push(Flight { message: head.id, number, settled: false });
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
        let (conversation, _) = self.land(conversation, message);
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
        let (conversation, settled) = self.land(conversation, message);
        if settled {
            return self.drop_message(conversation, message, now);
        }
        if let Some(lane) = self.lanes.get_mut(&conversation) {
            if let Some(head) = lane.waiting.values_mut().find(|waiting| waiting.id == message) {
                change(head);
                head.due_at = until;
            }
            self.go_on(conversation, now);
        }
    }

    /// A status has settled this message.
    pub fn settled(&mut self, conversation: ConversationId, message: MessageId, now: Millis) {
        let conversation = self.moved.get(&message).copied().unwrap_or(conversation);
        let Some(lane) = self.lanes.get_mut(&conversation) else { return };
        if let Some(flight) = lane.flying.iter_mut().find(|flight| flight.message == message) {
            // The post is under way: its lane is let go when it comes back.
            flight.settled = true;
        } else if lane.head().is_some_and(|head| head.id == message) {
            self.halt(conversation);
            self.drop_message(conversation, message, now);
        } else {
            lane.waiting.retain(|_, waiting| waiting.id != message);
        }
    }

    /// What waits in the lane `from` goes by the lane `to`, at the places that its positions give it, and to `address`. Where
    /// either has a message under way, nothing leaves before that has come back. The same lane twice changes the address.
    pub fn redirect(&mut self, from: ConversationId, to: ConversationId, address: &Address, now: Millis) {
        if from != to {
            self.pairs.merge(from, to);
            self.merge(from, to, now);
        }
        if let Some(lane) = self.lanes.get_mut(&to) {
            lane.waiting.values_mut().for_each(|waiting| waiting.address = address.clone());
        }
    }

    fn merge(&mut self, from: ConversationId, to: ConversationId, now: Millis) {
        self.halt(from);
        let Some(lane) = self.lanes.remove(&from) else { return };
        self.halt(to);
        self.moved.extend(lane.flying.iter().map(|flight| (flight.message, to)));
        let into = self.lanes.entry(to).or_insert_with(|| Lane {
            waiting: BTreeMap::new(),
            state: State::Posting,
            flying: Vec::new(),
        });
        into.state = State::Posting;
        into.flying.extend(lane.flying);
        for (position, mut outbound) in lane.waiting {
            outbound.conversation = to;
            into.waiting.insert(position, outbound);
        }
        self.go_on(to, now);
    }

    /// Takes a lane out of wherever it waits for its turn.
    fn halt(&mut self, conversation: ConversationId) {
        match self.lanes.get(&conversation).map(|lane| lane.state) {
            Some(State::Asleep(until)) => _ = self.asleep.remove(&(until, conversation)),
            Some(State::LinedUp) => {
                self.lines.values_mut().for_each(|line| line.ready.retain(|ready| *ready != conversation));
            }
            Some(State::Posting) | None => {}
        }
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

    /// A message has come back. Returns its lane, and whether a status had settled it.
    fn land(&mut self, conversation: ConversationId, message: MessageId) -> (ConversationId, bool) {
        let conversation = self.moved.remove(&message).unwrap_or(conversation);
        let Some(lane) = self.lanes.get_mut(&conversation) else { return (conversation, false) };
        let Some(index) = lane.flying.iter().position(|flight| flight.message == message) else {
            return (conversation, false);
        };
        let flight = lane.flying.swap_remove(index);
        if let Some(line) = self.lines.get_mut(&flight.number) {
            line.in_flight = line.in_flight.saturating_sub(1);
        }
        (conversation, flight.settled)
    }

    /// Takes a message out of a lane that is neither asleep nor lined up, and lets the next one go.
    fn drop_message(&mut self, conversation: ConversationId, message: MessageId, now: Millis) {
        if let Some(lane) = self.lanes.get_mut(&conversation) {
            lane.waiting.retain(|_, waiting| waiting.id != message);
            self.go_on(conversation, now);
        }
    }

    /// Lets the head of a lane that is neither asleep nor lined up go when it is due, if nothing of it is under way.
    fn go_on(&mut self, conversation: ConversationId, now: Millis) {
        let Some(lane) = self.lanes.get_mut(&conversation) else { return };
        if !lane.flying.is_empty() {
            return;
        }
        match lane.head().map(|next| next.due_at.max(now)) {
            Some(due_at) => {
                lane.state = State::Asleep(due_at);
                self.asleep.insert((due_at, conversation));
            }
            None => _ = self.lanes.remove(&conversation),
        }
    }
}
