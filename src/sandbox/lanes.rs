//! What waits for the courier, in one lane per phone.

use std::collections::{HashMap, VecDeque};

use super::payload::Update;

/// The largest body of a webhook (Meta, "Webhooks overview": up to 3 MB), less than that for what is around the updates.
const BODY_BYTES_MAX: usize = 3_000_000 - 1_000;

/// What waits, by phone. A phone that is on its way is in `waiting` (so that it is not made ready twice) but not in `ready`.
#[derive(Default)]
pub(super) struct Lanes {
    waiting: HashMap<String, VecDeque<Update>>,
    ready: VecDeque<String>,
    pub(super) pending: u64,
}

impl Lanes {
    pub(super) fn push(&mut self, update: Update) {
        self.pending += 1;
        if let Some(lane) = self.waiting.get_mut(&update.lane) {
            lane.push_back(update);
        } else {
            self.ready.push_back(update.lane.clone());
            self.waiting.insert(update.lane.clone(), VecDeque::from([update]));
        }
    }

    /// Up to `max` updates of lanes that are free, and no more than fit into one body; those lanes are shut.
    pub(super) fn take(&mut self, max: usize) -> Vec<Update> {
        let (mut batch, mut bytes) = (Vec::new(), 0);
        while batch.len() < max
            && let Some(name) = self.ready.pop_front()
        {
            let before = batch.len();
            if let Some(lane) = self.waiting.get_mut(&name) {
                while batch.len() < max
                    && let Some(update) = lane.pop_front()
                {
                    let weight = update.weight();
                    if !batch.is_empty() && bytes + weight > BODY_BYTES_MAX {
                        lane.push_front(update);
                        break;
                    }
                    bytes += weight;
                    batch.push(update);
                }
            }
            if batch.len() == before {
                self.ready.push_front(name);
                break;
            }
        }
        batch
    }

    /// Opens the lanes of a batch that arrived.
    pub(super) fn arrived(&mut self, batch: &[Update]) {
        self.pending -= batch.len() as u64;
        for group in batch.chunk_by(|a, b| a.lane == b.lane) {
            let phone = &group[0].lane;
            if self.waiting.get(phone).is_some_and(VecDeque::is_empty) {
                self.waiting.remove(phone);
            } else {
                self.ready.push_back(phone.clone());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::BATCH_MAX;
    use super::super::payload::Kind;
    use super::*;

    fn update(phone: &str, n: usize) -> Update {
        Update {
            lane: phone.into(),
            wamid: format!("wamid.{n}"),
            kind: Kind::Message,
            contact: None,
            item: json!(n),
            errors: None,
            arrival: None,
        }
    }

    fn numbers(batch: &[Update]) -> Vec<u64> {
        batch.iter().map(|update| update.item.as_u64().unwrap()).collect()
    }

    #[test]
    fn a_phone_on_its_way_keeps_its_later_updates_back_until_it_arrived() {
        let mut lanes = Lanes::default();
        lanes.push(update("a", 1));
        let first = lanes.take(BATCH_MAX);
        lanes.push(update("a", 2));
        lanes.push(update("b", 3));
        assert_eq!(numbers(&lanes.take(BATCH_MAX)), [3]);
        assert!(lanes.take(BATCH_MAX).is_empty());
        lanes.arrived(&first);
        assert_eq!(numbers(&lanes.take(BATCH_MAX)), [2]);
        assert_eq!(lanes.pending, 2);
    }

    #[test]
    fn a_body_holds_three_megabytes_whatever_is_said() {
        let mut lanes = Lanes::default();
        for (phone, size) in [("a", 1_000_000), ("a", 1_000_000), ("b", 1_500_000), ("c", 4_000_000)] {
            lanes.push(Update { item: json!("x".repeat(size)), ..update(phone, 0) });
        }
        let sizes: Vec<usize> =
            std::iter::from_fn(|| Some(lanes.take(BATCH_MAX).len()).filter(|size| *size > 0)).collect();
        assert_eq!(sizes, [2, 1, 1], "what is too large by itself goes alone");
    }

    #[test]
    fn a_batch_holds_a_thousand_and_the_rest_of_a_lane_follows_in_order() {
        let mut lanes = Lanes::default();
        (0..BATCH_MAX + 5).for_each(|n| lanes.push(update("a", n)));
        let first = lanes.take(BATCH_MAX);
        assert_eq!(first.len(), BATCH_MAX);
        assert!(lanes.take(BATCH_MAX).is_empty());
        lanes.arrived(&first);
        assert_eq!(numbers(&lanes.take(BATCH_MAX)), [1000, 1001, 1002, 1003, 1004]);
    }
}
