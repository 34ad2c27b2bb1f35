//! Lanes under a clock that the test moves: who leaves when, and that nobody is forgotten.

use std::collections::{BTreeSet, VecDeque};
use std::time::Duration;

use super::*;
use crate::clock::{Clock, Hand};
use crate::domain::delivery::Failure;
use crate::sender::{Depth, Pause};
use crate::store::QueueState;

const START: Millis = 1_800_000_000_000;
const NUMBER: &str = "106";

/// Numbers that look like chance and are the same in every run (splitmix64).
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = (self.0 ^ self.0 >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
        (mixed ^ mixed >> 31) % limit
    }
}

struct World {
    lanes: Lanes,
    clock: Clock,
    hand: Hand,
    position: i64,
    flying: Vec<(Outbound, Left)>,
}

impl World {
    fn new(messages_per_second: u32, pair: bool, in_flight_max: usize) -> Self {
        let (clock, hand) = Clock::manual(START);
        let mut lanes = Lanes::new(PairPacing::new(pair, clock.clone()));
        let pacing = NumberPacing::new(messages_per_second, clock.clone());
        lanes.add_number(NUMBER.into(), pacing, TokenWatch::new(&[]), in_flight_max);
        Self { lanes, clock, hand, position: 0, flying: Vec::new() }
    }

    /// A message for this person; its id is its position.
    fn push(&mut self, person: i64, priority: Priority) -> i64 {
        self.position += 1;
        let outbound = Outbound {
            id: MessageId(self.position),
            position: self.position,
            conversation: ConversationId(person),
            phone_number_id: NUMBER.into(),
            address: Address::Phone(person.to_string()),
            message: Arc::new(Message::text("x").unwrap()),
            reply_to: None,
            state: QueueState::Ready,
            attempts: 0,
            due_at: self.clock.now(),
            event_accepted_at: self.clock.now(),
            priority,
            waited_ms: 0,
        };
        assert!(self.lanes.push(outbound));
        self.position
    }

    /// What leaves now: person and message.
    fn leave(&mut self) -> Vec<(i64, i64)> {
        let left = self.lanes.depart(self.clock.now());
        let seen = left.iter().map(|(head, _)| (head.conversation.0, head.id.0)).collect();
        self.flying.extend(left);
        seen
    }

    fn land(&mut self, told: OfNumber) -> Option<Change> {
        let (head, left) = self.flying.remove(0);
        let change = self.lanes.told(NUMBER, left, told, self.clock.now());
        self.lanes.finish(head.conversation, head.id, self.clock.now());
        change
    }

    /// What leaves now and gets through at once, with all that follows from it.
    fn go(&mut self) -> Vec<(i64, i64)> {
        let mut gone = Vec::new();
        loop {
            let left = self.leave();
            if left.is_empty() {
                return gone;
            }
            gone.extend(left);
            while !self.flying.is_empty() {
                self.land(OfNumber::Fine);
            }
        }
    }

    fn pass(&self, ms: u64) {
        self.hand.advance(Duration::from_millis(ms));
    }

    fn state(&mut self) -> NumberState {
        let now = self.clock.now();
        self.lanes.states(now).next().unwrap().1
    }
}

#[test]
fn a_lane_whose_last_reply_is_settled_while_it_is_lined_up_is_lined_up_no_more() {
    let mut world = World::new(0, false, 4);
    for person in [1, 3, 4, 5] {
        world.push(person, Priority::Reply);
    }
    assert_eq!(world.leave().len(), 4);
    let settled = world.push(2, Priority::Reply);
    assert_eq!(world.leave(), []);
    world.lanes.settled(ConversationId(2), MessageId(settled), world.clock.now());
    let next = world.push(2, Priority::Reply);
    for _ in 0..4 {
        world.land(OfNumber::Fine);
    }
    assert_eq!(world.leave(), [(2, next)]);
}

#[test]
fn what_is_told_of_both_conversations_that_become_one_leaves_once() {
    let mut world = World::new(0, false, 10);
    let message = world.push(1, Priority::Reply);
    let head = world.lanes.lanes[&ConversationId(1)].head().unwrap().clone();
    // As it lies in the database, where conversation 1 is part of 2 already; and as it is known from before.
    let told =
        [ConversationId(2), ConversationId(1)].map(|conversation| Outbound { conversation, ..head.clone() });
    assert!(told.iter().all(|outbound| world.lanes.knows(outbound.id)));
    for outbound in told.clone() {
        assert!(world.lanes.push(outbound));
    }
    let now = world.clock.now();
    world.lanes.redirect(ConversationId(1), ConversationId(2), &head.address, now);
    assert!(world.lanes.push(told[1].clone()));
    assert_eq!((world.leave(), world.lanes.depth()), (vec![(2, message)], 1));
    world.land(OfNumber::Fine);
    assert_eq!((world.leave(), world.lanes.depth()), (vec![], 0));
    assert!(!world.lanes.knows(MessageId(message)));
}

#[test]
fn a_reply_takes_the_next_place_in_the_rate_before_thousands_that_nobody_waits_for() {
    let mut world = World::new(80, true, 256);
    (0..5_000).for_each(|person| _ = world.push(person, Priority::Bulk));
    let mut seconds = 0;
    while seconds < 30 {
        (0..1_000).for_each(|_| {
            world.pass(1);
            world.go();
        });
        seconds += 1;
        let waited_before = world.state().waiting;
        let reply = world.push(9_000 + seconds, Priority::Reply);
        let left: Vec<(i64, i64)> = (0..14)
            .flat_map(|_| {
                world.pass(1);
                world.go()
            })
            .collect();
        assert_eq!(left[0].1, reply, "{waited_before:?}");
    }
    let Depth { reply, bulk } = world.state().waiting;
    assert_eq!(reply, 0);
    assert!((2_600..2_750).contains(&bulk), "the others went on meanwhile: {bulk} wait");
}

#[test]
fn a_reply_behind_bulk_in_its_own_lane_lifts_the_lane() {
    let mut world = World::new(0, true, 1);
    world.push(100, Priority::Bulk);
    world.leave();
    (0..10).for_each(|person| _ = world.push(person, Priority::Bulk));
    let (notice, reply) = (9, world.push(8, Priority::Reply));
    world.leave();
    world.land(OfNumber::Fine);
    let order = world.go();
    assert_eq!(order[..2], [(8, notice + 1), (8, reply)], "{order:?}");
    assert_eq!(order.len(), 11);

    // When a status has settled the reply, the lane is one of bulk again.
    let mut world = World::new(0, true, 1);
    world.push(100, Priority::Bulk);
    world.leave();
    (0..3).for_each(|person| _ = world.push(person, Priority::Bulk));
    let reply = world.push(2, Priority::Reply);
    world.leave();
    world.lanes.settled(ConversationId(2), MessageId(reply), world.clock.now());
    world.land(OfNumber::Fine);
    assert_eq!(world.go().iter().map(|(person, _)| *person).collect::<Vec<_>>(), [0, 1, 2]);
}

#[test]
fn bulk_leaves_places_for_replies_free() {
    for (max, bulk) in [(1, 1), (2, 1), (3, 2), (8, 6), (256, 192)] {
        let mut world = World::new(0, true, max);
        (0..1_000).for_each(|person| _ = world.push(person, Priority::Bulk));
        assert_eq!(world.leave().len(), bulk, "of {max}");
        (2_000..3_000).for_each(|person| _ = world.push(person, Priority::Reply));
        assert_eq!(world.leave().len(), max - bulk, "of {max}");
        assert_eq!(world.state().in_flight, max);
        world.land(OfNumber::Fine);
        assert!(world.leave().iter().all(|(person, _)| *person >= 2_000), "replies first");
    }
}

#[test]
fn one_lane_is_held_by_its_pair_and_no_other_is() {
    let mut world = World::new(0, true, 256);
    let sixty: Vec<i64> = (0..60).map(|_| world.push(1, Priority::Reply)).collect();
    for person in 2..202 {
        (0..3).for_each(|_| _ = world.push(person, Priority::Bulk));
    }
    let at_once = world.go();
    assert_eq!(at_once.iter().filter(|(person, _)| *person != 1).count(), 600);
    let mut gone: Vec<(i64, Millis)> =
        at_once.iter().filter(|(person, _)| *person == 1).map(|(_, id)| (*id, 0)).collect();
    assert_eq!((gone.len(), world.state().drained_in), (45, Some(Duration::from_secs(90))));
    while gone.len() < 60 {
        world.pass(1);
        let now = world.clock.now() - START;
        gone.extend(world.go().iter().map(|(_, id)| (*id, now)));
    }
    assert_eq!(gone.iter().map(|(id, _)| *id).collect::<Vec<_>>(), sixty);
    assert_eq!(
        gone[45..].iter().map(|(_, at)| *at / 6_000).collect::<Vec<_>>(),
        (1..=15).collect::<Vec<_>>()
    );
    assert!(gone[45..].iter().all(|(_, at)| at % 6_000 == 0));
    assert_eq!((world.state().drained_in, world.lanes.depth()), (Some(Duration::ZERO), 0));
}

#[test]
fn a_mark_as_read_is_no_message_for_the_pair_limit() {
    let mut world = World::new(0, true, 256);
    (0..45).for_each(|_| _ = world.push(1, Priority::Reply));
    assert_eq!(world.go().len(), 45);
    let read: Message = serde_json::from_str(r#"{"type": "read", "message_id": "wamid.1"}"#).unwrap();
    let id = world.push(1, Priority::Reply);
    let lane = world.lanes.lanes.get_mut(&ConversationId(1)).unwrap();
    lane.waiting.get_mut(&id).unwrap().message = Arc::new(read);
    assert_eq!(world.go(), [(1, id)]);
    world.push(1, Priority::Reply);
    assert_eq!(world.go(), []);
}

#[test]
fn lanes_of_a_class_take_turns() {
    let mut world = World::new(0, true, 1);
    for person in [1, 1, 1, 2, 2, 3] {
        world.push(person, Priority::Reply);
    }
    let mut people = Vec::new();
    while let [(person, _)] = world.leave()[..] {
        people.push(person);
        world.land(OfNumber::Fine);
    }
    assert_eq!(people, [1, 2, 3, 1, 2, 1]);
}

#[test]
fn a_number_that_is_too_fast_rests_slows_down_and_comes_back() {
    let mut world = World::new(80, true, 256);
    (0..5_000).for_each(|person| _ = world.push(person, Priority::Bulk));
    assert_eq!(world.leave().len(), 1);
    let until = START + 1_000;
    world.land(OfNumber::Slow { until, why: "130429".into() });
    let state = world.state();
    let pause = Pause { for_token: false, why: "130429".into(), since: START, until };
    assert_eq!((state.paused, state.slowed.as_deref()), (Some(pause), Some("130429")));
    assert_eq!(state.rate_milli, Some(38_400));
    world.pass(999);
    assert_eq!((world.leave().len(), world.lanes.next_departure()), (0, Some(until)));
    world.pass(1);
    let mut left = 0;
    for _ in 0..1_000 {
        left += world.go().len();
        world.pass(1);
    }
    assert!((37..=39).contains(&left), "half the rate: {left}");
    assert_eq!(world.state().paused, None);
    assert_eq!(
        world.state().drained_in.map(|time| time.as_secs()),
        Some((5_000 - 1 - left as u64) * 10 / 384)
    );
    world.pass(60_000);
    assert_eq!((world.state().slowed, world.state().rate_milli), (None, Some(76_800)));
}

#[test]
fn while_the_token_is_refused_one_message_a_minute_tries_it_and_no_age_counts() {
    let mut world = World::new(0, true, 256);
    (0..1_000).for_each(|person| _ = world.push(person, Priority::Bulk));
    assert_eq!(world.leave().len(), 192);
    let mut changes = Vec::new();
    let refused = || OfNumber::NoToken { why: "190".into() };
    for (head, left) in std::mem::take(&mut world.flying) {
        changes.extend(world.lanes.told(NUMBER, left, refused(), START));
        world.lanes.delay(head.conversation, head.id, START, START, |_| {});
    }
    assert_eq!(
        (changes, world.state().waiting.bulk),
        (vec![Change::Paused { at: START, why: "190".into() }], 1_000)
    );
    assert!(!world.lanes.is_flowing(START) && world.state().drained_in.is_none());
    for minute in 1..=3 {
        assert_eq!((world.leave().len(), world.lanes.next_departure()), (0, Some(START + minute * 60_000)));
        world.pass(60_000);
        assert_eq!((world.leave().len(), world.leave().len()), (1, 0));
        let (head, left) = world.flying.remove(0);
        assert_eq!(head.waited_ms, minute * 60_000);
        let now = world.clock.now();
        assert_eq!(world.lanes.told(NUMBER, left, refused(), now), None);
        world.lanes.delay(head.conversation, head.id, now, now, |_| {});
    }
    let now = world.clock.now();
    assert_eq!(world.lanes.renewed(NUMBER, now), Some(Change::Resumed { since: START, at: now }));
    assert_eq!(world.leave().len(), 1, "one tries the new token");
    assert_eq!(world.land(OfNumber::Fine), None);
    assert_eq!(world.leave().len(), 192, "and the others follow at once");
    assert!(world.flying.iter().all(|(head, _)| head.waited_ms == 180_000));
    while !world.flying.is_empty() {
        world.land(OfNumber::Fine);
    }
    assert_eq!((world.go().len(), world.lanes.depth()), (1_000 - 193, 0));
}

/// What a message may come back with.
fn comes_back(dice: &mut Dice, now: Millis) -> (OfNumber, Option<Millis>) {
    let why = || Failure::default().to_string();
    match dice.below(100) {
        0..3 => (OfNumber::Slow { until: now + 1_000, why: why() }, Some(now + 1_000)),
        3 => (OfNumber::NoToken { why: why() }, Some(now)),
        4..12 => (OfNumber::Nothing, Some(now + 1_000 * Millis::try_from(dice.below(8)).unwrap())),
        12..14 => (OfNumber::NotAsked, None),
        _ => (OfNumber::Fine, None),
    }
}

/// What has to hold at any moment.
fn check(world: &mut World, in_flight_max: usize) {
    let mut depth = Depth::default();
    for (conversation, lane) in &world.lanes.lanes {
        assert!(lane.flying.len() <= 1, "{conversation}: one at a time");
        assert!(!lane.waiting.is_empty());
        assert_eq!(lane.state == State::Posting, !lane.flying.is_empty());
        for waiting in lane.waiting.values() {
            match waiting.priority {
                Priority::Reply => depth.reply += 1,
                Priority::Bulk => depth.bulk += 1,
            }
        }
        if let State::LinedUp(place) = lane.state {
            assert_eq!(place.class, lane.class());
        }
    }
    let state = world.state();
    assert_eq!((state.waiting, state.in_flight), (depth, world.flying.len()));
    assert!(state.in_flight <= in_flight_max);
    let oldest = world.lanes.lanes.values().flat_map(|lane| lane.waiting.values());
    assert_eq!(state.oldest_at, oldest.map(|waiting| waiting.event_accepted_at).min());
}

#[test]
fn whatever_happens_order_and_limits_hold_and_everything_leaves_in_the_end() {
    const PEOPLE: u64 = 3_000;
    const IN_FLIGHT_MAX: usize = 40;
    for seed in 0..4 {
        let mut dice = Dice(seed);
        let mut world = World::new(80, true, IN_FLIGHT_MAX);
        let mut expected: HashMap<i64, VecDeque<i64>> = HashMap::new();
        let mut attempted: BTreeSet<i64> = BTreeSet::new();
        let mut recent: VecDeque<Millis> = VecDeque::new();
        let mut heard: VecDeque<Millis> = VecDeque::new();
        let mut step = 0;
        while step < 20_000 || world.lanes.depth() > 0 {
            step += 1;
            assert!(step < 2_000_000, "seed {seed}: {} never leave", world.lanes.depth());
            let now = world.clock.now();
            if step < 20_000 {
                let person = i64::try_from(if dice.below(4) == 0 { 7 } else { dice.below(PEOPLE) }).unwrap();
                let class = if dice.below(5) == 0 { Priority::Reply } else { Priority::Bulk };
                // Mostly a few, and every now and then more than can leave in a while.
                let burst = match dice.below(4_000) {
                    0 => 1_500,
                    1..500 => 1,
                    _ => 0,
                };
                for other in 0..burst {
                    let person = if burst > 1 { other } else { person };
                    let id = world.push(person, class);
                    expected.entry(person).or_default().push_back(id);
                }
                if dice.below(60) == 0 {
                    world.lanes.heard(NUMBER, 1);
                    heard.push_back(now);
                }
                if dice.below(2_000) == 0 {
                    world.lanes.renewed(NUMBER, now);
                }
            }
            for (person, id) in world.leave() {
                assert_eq!(expected[&person].front(), Some(&id), "seed {seed}: in order");
                attempted.insert(id);
                recent.push_back(now);
            }
            for moments in [&mut recent, &mut heard] {
                while moments.front().is_some_and(|at| now - at >= 1_000) {
                    moments.pop_front();
                }
            }
            assert!(recent.len() + heard.len() <= 80, "seed {seed}: in any second");
            while !world.flying.is_empty() && dice.below(3) == 0 {
                let place = usize::try_from(dice.below(world.flying.len() as u64)).unwrap();
                let (head, left) = world.flying.remove(place);
                let (told, again) = comes_back(&mut dice, now);
                world.lanes.told(NUMBER, left, told, now);
                match again {
                    Some(until) => world.lanes.delay(head.conversation, head.id, now, until, |_| {}),
                    None => {
                        assert_eq!(
                            expected.get_mut(&head.conversation.0).unwrap().pop_front(),
                            Some(head.id.0)
                        );
                        world.lanes.finish(head.conversation, head.id, now);
                    }
                }
            }
            if step % 500 == 0 {
                check(&mut world, IN_FLIGHT_MAX);
            }
            world.pass(1 + dice.below(20));
        }
        check(&mut world, IN_FLIGHT_MAX);
        assert!(expected.values().all(VecDeque::is_empty));
        assert_eq!(attempted.len(), usize::try_from(world.position).unwrap(), "seed {seed}: all of them");
        assert!(
            world.lanes.lanes.is_empty() && world.lanes.asleep.is_empty() && world.lanes.moved.is_empty()
        );
    }
}
