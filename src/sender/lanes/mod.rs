//! What waits to leave: a lane per conversation, head of line, and per number the lanes whose head may go.
//!
//! Plain data, no clock of its own, no I/O. A lane is in one of four states: *asleep* until a moment (a retry, the grace of an
//! ambiguous send, the pair limit), *lined up* at its number, *posting* its head, or gone, when nothing waits in it.
//!
//! A lane lines up in the class of the best that waits in it: a reply behind a notice does not wait behind the notices of
//! others. Within a class, the lane that has waited longest goes first. Nothing here is counted by looking at every message.

mod line;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use crate::clock::{Millis, duration_ms};
use crate::domain::contact::Address;
use crate::domain::ids::{ConversationId, MessageId};
use crate::domain::outbound::{Message, Priority};
use crate::sender::NumberState;
use crate::sender::pacing::{NumberPacing, PAIR_BURST, PAIR_PERIOD, PairPacing};
use crate::sender::token::{Change, TokenWatch, Told};
use crate::sender::verdict::OfNumber;
use crate::store::Outbound;
use line::{Line, Place};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Asleep(Millis),
    LinedUp(Place),
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
    number: Arc<str>,
    /// By position: what a sweep brings late still takes its place.
    waiting: BTreeMap<i64, Outbound>,
    /// How many of them are replies.
    replies: usize,
    state: State,
    /// One at the most, but where two lanes became one while each had one under way.
    flying: Vec<Flight>,
    /// Whether the pair limit has refused it since it came to be.
    held_by_pair: bool,
}

impl Lane {
    fn new(number: Arc<str>, state: State) -> Self {
        let (waiting, flying) = (BTreeMap::new(), Vec::new());
        Self { number, waiting, replies: 0, state, flying, held_by_pair: false }
    }

    fn head(&self) -> Option<&Outbound> {
        self.waiting.values().next()
    }

    /// The class of the best that waits in it.
    fn class(&self) -> Priority {
        if self.replies > 0 { Priority::Reply } else { Priority::Bulk }
    }

    fn put(&mut self, outbound: Outbound) {
        self.replies += usize::from(outbound.priority == Priority::Reply);
        self.waiting.insert(outbound.position, outbound);
    }

    fn take(&mut self, message: MessageId) -> Option<Outbound> {
        let position = *self.waiting.iter().find(|(_, waiting)| waiting.id == message)?.0;
        let taken = self.waiting.remove(&position)?;
        self.replies -= usize::from(taken.priority == Priority::Reply);
        Some(taken)
    }

    /// For how long the pair limit will hold it back, where that is known.
    fn bound(&self) -> Option<Millis> {
        let free = if self.held_by_pair { 0 } else { PAIR_BURST.get() as usize };
        let paced = self.waiting.len().checked_sub(free).filter(|paced| *paced > 0)?;
        Some(duration_ms(PAIR_PERIOD).saturating_mul(Millis::try_from(paced).unwrap_or(Millis::MAX)))
    }
}

/// When a message left, and in which epoch of its number's token: what it comes back with is of then.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Left {
    at: Millis,
    epoch: u64,
}

/// Everything that waits to leave.
pub struct Lanes {
    lanes: HashMap<ConversationId, Lane>,
    /// Every message that waits or is under way, whichever lane it is in: two who tell of it may know of another one, while
    /// two conversations become one.
    here: HashSet<MessageId>,
    asleep: BTreeSet<(Millis, ConversationId)>,
    lines: BTreeMap<Arc<str>, Line>,
    pairs: PairPacing,
    /// Messages under way whose lane became part of another one, and that one.
    moved: HashMap<MessageId, ConversationId>,
    /// The last that was given to a lane that lined up.
    ticket: u64,
}

impl Lanes {
    /// Empty lanes under this pair limit.
    #[must_use]
    pub fn new(pairs: PairPacing) -> Self {
        Self {
            lanes: HashMap::new(),
            here: HashSet::new(),
            asleep: BTreeSet::new(),
            lines: BTreeMap::new(),
            pairs,
            moved: HashMap::new(),
            ticket: 0,
        }
    }

    /// Adds one of our numbers.
    pub fn add_number(
        &mut self,
        number: Arc<str>,
        pacing: NumberPacing,
        token: TokenWatch,
        in_flight_max: usize,
    ) {
        self.lines.insert(number, Line::new(pacing, token, in_flight_max));
    }

    /// Takes a message in. One that is here already is not here twice. False when its number is not ours.
    pub fn push(&mut self, outbound: Outbound) -> bool {
        let Some(line) = self.lines.get_mut(&outbound.phone_number_id) else { return false };
        if !self.here.insert(outbound.id) {
            return true;
        }
        let (conversation, due_at) = (outbound.conversation, outbound.due_at);
        let lane = self.lanes.entry(conversation).or_insert_with(|| {
            self.asleep.insert((due_at, conversation));
            Lane::new(Arc::clone(&outbound.phone_number_id), State::Asleep(due_at))
        });
        line.count(&outbound, true);
        lane.put(outbound);
        self.reconsider(conversation);
        true
    }

    /// Whether this message is in a lane.
    #[must_use]
    pub fn knows(&self, message: MessageId) -> bool {
        self.here.contains(&message)
    }

    /// The messages that leave now. Each is its lane's head; its lane waits until [`Lanes::finish`] or [`Lanes::delay`]. The
    /// time for which Meta refused its number's token is part of its `waited_ms`.
    pub fn depart(&mut self, now: Millis) -> Vec<(Outbound, Left)> {
        self.wake(now);
        let mut leaving = Vec::new();
        for (number, line) in &mut self.lines {
            while line.is_open(now) && line.admit() {
                // Where the pair limit holds back all that are lined up, the place in the rate stays empty.
                while let Some(conversation) = line.call() {
                    let Some(lane) = self.lanes.get_mut(&conversation) else { continue };
                    let Some(mut head) = lane.head().cloned() else { continue };
                    // A mark that we have read something is no message.
                    let is_message = !matches!(*head.message, Message::Read(_));
                    if let Err(until) = if is_message { self.pairs.admit(conversation) } else { Ok(()) } {
                        lane.state = State::Asleep(until);
                        lane.held_by_pair = true;
                        self.asleep.insert((until, conversation));
                        line.bind(conversation, lane.bound());
                        continue;
                    }
                    lane.state = State::Posting;
                    lane.flying.push(Flight { message: head.id, number: Arc::clone(number), settled: false });
                    head.waited_ms += line.token.held_ms(head.event_accepted_at, now);
                    leaving.push((head, Left { at: now, epoch: line.left() }));
                    break;
                }
            }
        }
        leaving
    }

    /// Lines up the lanes that have slept long enough.
    fn wake(&mut self, now: Millis) {
        while let Some((due_at, conversation)) =
            self.asleep.first().copied().filter(|(due_at, _)| *due_at <= now)
        {
            self.asleep.remove(&(due_at, conversation));
            self.line_up(conversation);
        }
    }

    fn line_up(&mut self, conversation: ConversationId) {
        let Some(lane) = self.lanes.get_mut(&conversation) else { return };
        self.ticket += 1;
        let place = Place { class: lane.class(), ticket: self.ticket };
        lane.state = State::LinedUp(place);
        if let Some(line) = self.lines.get_mut(&lane.number) {
            line.line_up(conversation, place);
        }
    }

    /// What waits in a lane has changed: it may belong into another class, and wait for longer or less long.
    fn reconsider(&mut self, conversation: ConversationId) {
        let Some(lane) = self.lanes.get(&conversation) else { return };
        let Some(line) = self.lines.get_mut(&lane.number) else { return };
        if self.pairs.is_on() {
            line.bind(conversation, lane.bound());
        }
        if matches!(lane.state, State::LinedUp(place) if place.class != lane.class()) {
            self.halt(conversation);
            self.line_up(conversation);
        }
    }

    /// When [`Lanes::depart`] is next worth asking without anything else happening; `None` for never.
    #[must_use]
    pub fn next_departure(&self) -> Option<Millis> {
        let opening = self.lines.values().filter_map(Line::opens_at).min();
        let asleep = self.asleep.first().map(|(due_at, _)| *due_at);
        [opening, asleep].into_iter().flatten().min()
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

    /// A message that left the number at `left` came back, and told this of the number.
    pub fn told(&mut self, number: &str, left: Left, told: OfNumber, now: Millis) -> Option<Change> {
        let line = self.lines.get_mut(number)?;
        let of_token = match told {
            OfNumber::NotAsked => Told::NotAsked,
            OfNumber::Nothing => Told::Nothing,
            OfNumber::Fine => {
                line.pacing.got_through(left.at);
                Told::Taken
            }
            OfNumber::Slow { until, why } => {
                let until = line.pacing.slow_down(left.at, until);
                line.rest(now, until, why);
                Told::Taken
            }
            OfNumber::NoToken { why } => Told::Refused(why),
        };
        line.token.returned(left.epoch, of_token, now)
    }

    /// The number has another token.
    pub fn renewed(&mut self, number: &str, now: Millis) -> Option<Change> {
        self.lines.get_mut(number)?.token.renewed(now)
    }

    /// So many messages came in at the number.
    pub fn heard(&mut self, number: &str, count: usize) {
        if let Some(line) = self.lines.get_mut(number) {
            line.pacing.heard(count);
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
            self.take_out(conversation, message);
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
        if let Some(line) = self.lines.get_mut(&lane.number) {
            line.bind(from, None);
        }
        let into =
            self.lanes.entry(to).or_insert_with(|| Lane::new(Arc::clone(&lane.number), State::Posting));
        into.state = State::Posting;
        into.held_by_pair |= lane.held_by_pair;
        into.flying.extend(lane.flying);
        for mut outbound in lane.waiting.into_values() {
            outbound.conversation = to;
            into.put(outbound);
        }
        self.reconsider(to);
        self.go_on(to, now);
    }

    /// Takes a lane out of wherever it waits for its turn. It is neither asleep nor lined up from here on, and says so: else
    /// what is taken out of it next could line it up again, beside where it then goes, and its head would leave twice.
    fn halt(&mut self, conversation: ConversationId) {
        let Some(lane) = self.lanes.get_mut(&conversation) else { return };
        match std::mem::replace(&mut lane.state, State::Posting) {
            State::Asleep(until) => _ = self.asleep.remove(&(until, conversation)),
            State::LinedUp(place) => {
                if let Some(line) = self.lines.get_mut(&lane.number) {
                    line.step_out(place);
                }
            }
            State::Posting => {}
        }
    }

    /// Messages that wait or are under way.
    #[must_use]
    pub fn depth(&self) -> usize {
        self.lines.values().map(Line::depth).sum()
    }

    /// How each number is doing.
    pub fn states(&mut self, now: Millis) -> impl Iterator<Item = (&Arc<str>, NumberState)> {
        self.lines.iter_mut().map(move |(number, line)| (number, line.state(now)))
    }

    /// Whether a message whose lane is empty would leave at once.
    #[must_use]
    pub fn is_flowing(&self, now: Millis) -> bool {
        self.lines.values().all(|line| line.is_flowing(now))
    }

    /// Whether the number rests, because it was too fast.
    #[must_use]
    pub fn is_resting(&self, number: &str, now: Millis) -> bool {
        self.lines.get(number).is_some_and(|line| line.is_resting(now))
    }

    /// Whether nothing is being posted.
    #[must_use]
    pub fn is_landed(&self) -> bool {
        self.lines.values().all(|line| line.in_flight() == 0)
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
            line.landed();
        }
        (conversation, flight.settled)
    }

    /// Takes a message out of a lane that is neither asleep nor lined up, and lets the next one go.
    fn drop_message(&mut self, conversation: ConversationId, message: MessageId, now: Millis) {
        self.take_out(conversation, message);
        self.go_on(conversation, now);
    }

    fn take_out(&mut self, conversation: ConversationId, message: MessageId) {
        let Some(taken) = self.lanes.get_mut(&conversation).and_then(|lane| lane.take(message)) else {
            return;
        };
        self.here.remove(&message);
        if let Some(line) = self.lines.get_mut(&taken.phone_number_id) {
            line.count(&taken, false);
        }
        self.reconsider(conversation);
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
