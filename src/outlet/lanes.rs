//! Who is told next: a line per conversation, and the first of each that is due. Plain data, without a clock and without I/O.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::clock::Millis;
use crate::domain::ids::{ConversationId, DeliveryId};
use crate::store::Delivery;

/// The line of a conversation, or that of everything without one.
type LaneId = Option<ConversationId>;

/// The deliveries to one outlet that are not made.
#[derive(Debug, Default)]
pub(super) struct Lanes {
    lanes: HashMap<LaneId, Lane>,
    /// The heads that are not under way, by when they are due and, of those, the oldest first.
    due: BTreeSet<(Millis, DeliveryId, LaneId)>,
    waiting: usize,
    in_flight: usize,
}

#[derive(Debug, Default)]
struct Lane {
    rows: BTreeMap<DeliveryId, Delivery>,
    under_way: Option<DeliveryId>,
}

impl Lane {
    /// When its head is due, unless one of it is under way.
    fn head(&self) -> Option<(Millis, DeliveryId)> {
        if self.under_way.is_some() {
            return None;
        }
        self.rows.first_key_value().map(|(id, delivery)| (delivery.due_at, *id))
    }
}

impl Lanes {
    /// How many are not made, those under way among them.
    pub(super) fn len(&self) -> usize {
        self.waiting
    }

    /// How many are under way.
    pub(super) fn in_flight(&self) -> usize {
        self.in_flight
    }

    /// One more; one that is known stays as it is.
    pub(super) fn push(&mut self, delivery: Delivery) {
        let id = delivery.lane;
        self.change(id, |lane| lane.rows.insert_new(delivery));
    }

    /// Those that may be posted now, `max` of them at the most: they are under way from here on.
    pub(super) fn depart(&mut self, now: Millis, max: usize) -> Vec<Delivery> {
        let mut departing = Vec::new();
        while departing.len() < max
            && let Some((due_at, id, lane)) = self.due.first().copied()
            && due_at <= now
        {
            self.change(lane, |lane| {
                lane.under_way = Some(id);
                0
            });
            self.in_flight += 1;
            departing.extend(self.lanes.get(&lane).and_then(|lane| lane.rows.get(&id)).cloned());
        }
        departing
    }

    /// When the next one may be posted, as far as nothing comes back before.
    pub(super) fn next_due(&self) -> Option<Millis> {
        self.due.first().map(|(due_at, ..)| *due_at)
    }

    /// This one is done with; its line goes on.
    pub(super) fn finish(&mut self, delivery: &Delivery) {
        self.change(delivery.lane, |lane| {
            lane.under_way = lane.under_way.filter(|id| *id != delivery.id);
            if lane.rows.remove(&delivery.id).is_some() { -1 } else { 0 }
        });
        self.in_flight -= 1;
    }

    /// This one is to be posted again at `due_at`; its line waits for it.
    pub(super) fn retry(&mut self, delivery: &Delivery, due_at: Millis, attempts: u32) {
        self.change(delivery.lane, |lane| {
            lane.under_way = lane.under_way.filter(|id| *id != delivery.id);
            if let Some(row) = lane.rows.get_mut(&delivery.id) {
                (row.due_at, row.attempts) = (due_at, attempts);
            }
            0
        });
        self.in_flight -= 1;
    }

    /// Changes a line, which answers by how many it grew, and keeps what is due in step with it.
    fn change(&mut self, id: LaneId, change: impl FnOnce(&mut Lane) -> isize) {
        let lane = self.lanes.entry(id).or_default();
        if let Some((due_at, head)) = lane.head() {
            self.due.remove(&(due_at, head, id));
        }
        let grown = change(lane);
        self.waiting = self.waiting.saturating_add_signed(grown);
        if let Some((due_at, head)) = lane.head() {
            self.due.insert((due_at, head, id));
        }
        if lane.rows.is_empty() && lane.under_way.is_none() {
            self.lanes.remove(&id);
        }
    }
}

/// Inserts what is new.
trait InsertNew {
    /// By how many it grew.
    fn insert_new(&mut self, delivery: Delivery) -> isize;
}

impl InsertNew for BTreeMap<DeliveryId, Delivery> {
    fn insert_new(&mut self, delivery: Delivery) -> isize {
        let before = self.len();
        self.entry(delivery.id).or_insert(delivery);
        if self.len() > before { 1 } else { 0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ids::MessageId;
    use crate::domain::notice::{News, NoticeId};

    fn delivery(id: i64, lane: i64) -> Delivery {
        Delivery {
            id: DeliveryId(id),
            notice: NoticeId { commit: id, place: 0 },
            news: News::Message(MessageId(id)),
            happened_at: 0,
            lane: (lane != 0).then_some(ConversationId(lane)),
            attempts: 0,
            due_at: 0,
            since: 0,
        }
    }

    fn departing(lanes: &mut Lanes, now: Millis, max: usize) -> Vec<i64> {
        lanes.depart(now, max).iter().map(|delivery| delivery.id.0).collect()
    }

    #[test]
    fn a_failure_holds_up_its_own_line_alone() {
        let mut lanes = Lanes::default();
        for (id, lane) in [(1, 7), (2, 7), (3, 8), (4, 0), (5, 0)] {
            lanes.push(delivery(id, lane));
        }
        lanes.push(delivery(1, 7));
        assert_eq!(lanes.len(), 5);
        assert_eq!(departing(&mut lanes, 0, 2), [1, 3]);
        assert_eq!(departing(&mut lanes, 0, 9), [4]);
        assert_eq!((departing(&mut lanes, 0, 9), lanes.in_flight()), (Vec::new(), 3));
        lanes.retry(&delivery(1, 7), 100, 1);
        lanes.finish(&delivery(3, 8));
        lanes.finish(&delivery(4, 0));
        assert_eq!((lanes.len(), lanes.in_flight(), lanes.next_due()), (3, 0, Some(0)));
        assert_eq!(departing(&mut lanes, 99, 9), [5]);
        assert_eq!(lanes.next_due(), Some(100));
        assert_eq!(departing(&mut lanes, 100, 9), [1]);
        lanes.finish(&delivery(1, 7));
        assert_eq!(departing(&mut lanes, 100, 9), [2]);
        lanes.finish(&delivery(2, 7));
        lanes.finish(&delivery(5, 0));
        assert_eq!((lanes.len(), lanes.in_flight(), lanes.next_due()), (0, 0, None));
        assert!(lanes.lanes.is_empty());
    }

    #[test]
    fn what_is_made_again_goes_before_what_waits_behind_it() {
        let mut lanes = Lanes::default();
        lanes.push(delivery(5, 7));
        lanes.push(delivery(6, 7));
        lanes.push(delivery(2, 7));
        assert_eq!(departing(&mut lanes, 0, 9), [2]);
        lanes.push(delivery(1, 7));
        assert_eq!(departing(&mut lanes, 0, 9), [0; 0], "one of the line is under way");
        lanes.finish(&delivery(2, 7));
        assert_eq!(departing(&mut lanes, 0, 9), [1]);
    }
}
