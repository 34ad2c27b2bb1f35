//! The counts, and what waits.

use std::collections::BTreeMap;

use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QuerySelect};

use crate::clock::Millis;
use crate::store::entity::{counter, queue, webhook};
use crate::store::{Error, QueueState, Store, response_bucket_ms};

/// The counts of all time.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Statistics {
    /// Messages from people.
    pub received: i64,
    /// Messages to people: written, whatever became of them since.
    pub sent: i64,
    /// People.
    pub contacts: i64,
    /// Received, by type.
    pub received_by_type: BTreeMap<String, i64>,
    /// Sent, by type.
    pub sent_by_type: BTreeMap<String, i64>,
    /// Sent, by how far they have come.
    pub sent_by_status: BTreeMap<String, i64>,
    /// Menu options, by state and label, and how often each was chosen.
    pub chosen: Vec<(String, String, i64)>,
    /// Replies whose response time is known.
    pub responses: i64,
    /// Accept to Meta's id, in milliseconds: the median, to within 9 %.
    pub response_p50_ms: Option<Millis>,
    /// The 95th percentile.
    pub response_p95_ms: Option<Millis>,
    /// The 99th percentile.
    pub response_p99_ms: Option<Millis>,
}

/// What waits to be sent.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Backlog {
    /// Rows by state.
    pub by_state: BTreeMap<String, i64>,
    /// The oldest that waits to leave or is under way: when the event behind it was accepted.
    pub oldest_at: Option<Millis>,
    /// The oldest event that is accepted and not done.
    pub oldest_unfinished_at: Option<Millis>,
    /// Events put aside.
    pub quarantined: i64,
}

impl Backlog {
    /// Rows that wait to leave or are under way: neither dead nor held.
    #[must_use]
    pub fn waiting(&self) -> i64 {
        let aside = [QueueState::Dead.as_str(), QueueState::Held.as_str()];
        self.by_state.iter().filter(|(state, _)| !aside.contains(&state.as_str())).map(|(_, rows)| rows).sum()
    }
}

impl Store {
    /// The counts of all time, of one number of ours or of all together.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn statistics(&self, phone_number_id: Option<String>) -> Result<Statistics, Error> {
        self.read(move |db| async move {
            let mut select = counter::Entity::find().filter(counter::Column::Hour.eq(0));
            // A person counts once in all, and once for each number of ours that they talk to.
            let people = if phone_number_id.is_some() { "conversations" } else { "contacts" };
            if let Some(number) = phone_number_id {
                select = select.filter(counter::Column::PhoneNumberId.eq(number));
            }
            let mut counts: BTreeMap<String, i64> = BTreeMap::new();
            for row in select.all(&db).await? {
                *counts.entry(row.name).or_default() += row.value;
            }
            Ok(statistics(counts, people))
        })
        .await
    }

    /// What waits to be sent or to be done.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn backlog(&self) -> Result<Backlog, Error> {
        self.read(move |db| async move {
            let by_state: Vec<(String, i64)> = queue::Entity::find()
                .select_only()
                .column(queue::Column::State)
                .column_as(queue::Column::Id.count(), "rows")
                .group_by(queue::Column::State)
                .into_tuple()
                .all(&db)
                .await?;
            let oldest = queue::Entity::find()
                .select_only()
                .column_as(queue::Column::EventAcceptedAt.min(), "oldest")
                .filter(
                    queue::Column::State.is_not_in([QueueState::Dead.as_str(), QueueState::Held.as_str()]),
                )
                .into_tuple::<Option<i64>>()
                .one(&db)
                .await?;
            let unfinished = webhook::Entity::find()
                .select_only()
                .column_as(webhook::Column::AcceptedAt.min(), "oldest")
                .filter(webhook::Column::State.eq("accepted"))
                .into_tuple::<Option<i64>>()
                .one(&db)
                .await?;
            let quarantined = webhook::Entity::find()
                .select_only()
                .column_as(webhook::Column::Id.count(), "rows")
                .filter(webhook::Column::State.eq("quarantined"))
                .into_tuple::<i64>()
                .one(&db)
                .await?;
            Ok(Backlog {
                by_state: by_state.into_iter().collect(),
                oldest_at: oldest.flatten(),
                oldest_unfinished_at: unfinished.flatten(),
                quarantined: quarantined.unwrap_or(0),
            })
        })
        .await
    }
}

fn statistics(counts: BTreeMap<String, i64>, people: &str) -> Statistics {
    let mut all = Statistics::default();
    let mut responses: BTreeMap<i64, i64> = BTreeMap::new();
    for (name, value) in counts.into_iter().filter(|(_, value)| *value != 0) {
        match name.split_once(':') {
            None if name == "in" => all.received = value,
            None if name == "out" => all.sent = value,
            None if name == people => all.contacts = value,
            Some(("in", kind)) => _ = all.received_by_type.insert(kind.to_owned(), value),
            Some(("out", kind)) => _ = all.sent_by_type.insert(kind.to_owned(), value),
            Some(("status", status)) => _ = all.sent_by_status.insert(status.to_owned(), value),
            Some(("response", bucket)) => _ = responses.insert(bucket.parse().unwrap_or(0), value),
            Some(("chosen", choice)) => {
                let (state, option) = choice.split_once(':').unwrap_or((choice, ""));
                all.chosen.push((state.to_owned(), option.to_owned(), value));
            }
            None | Some(_) => {}
        }
    }
    all.chosen.sort_by(|a, b| b.2.cmp(&a.2).then_with(|| a.cmp(b)));
    all.responses = responses.values().sum();
    all.response_p50_ms = percentile(&responses, 50);
    all.response_p95_ms = percentile(&responses, 95);
    all.response_p99_ms = percentile(&responses, 99);
    all
}

fn percentile(buckets: &BTreeMap<i64, i64>, percent: i64) -> Option<Millis> {
    let total: i64 = buckets.values().sum();
    let wanted = (total * percent + 99) / 100;
    let mut seen = 0;
    buckets.iter().find_map(|(bucket, count)| {
        seen += count;
        (seen >= wanted.max(1)).then(|| response_bucket_ms(*bucket))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_read_off_the_buckets() {
        let counts: BTreeMap<String, i64> = [("response:0", 50), ("response:8", 45), ("response:80", 5)]
            .map(|(k, v)| (k.to_owned(), v))
            .into();
        let all = statistics(counts, "contacts");
        assert_eq!((all.responses, all.response_p50_ms, all.response_p95_ms), (100, Some(0), Some(1)));
        assert_eq!(all.response_p99_ms, Some(1023));
        assert_eq!(statistics(BTreeMap::new(), "contacts").response_p50_ms, None);
    }
}
