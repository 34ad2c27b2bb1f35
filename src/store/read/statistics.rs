//! The counts, and what waits.

use std::collections::BTreeMap;
use std::ops::Range;

use sea_orm::{ColumnTrait, DatabaseConnection, EntityTrait, FromQueryResult, QueryFilter, QuerySelect};

use super::Clause;
use crate::clock::{DAY, HOUR, Millis};
use crate::domain::outbound::Priority;
use crate::store::entity::{queue, webhook};
use crate::store::{Error, QueueState, Store, response_bucket_ms};

/// What was counted in some time.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Statistics {
    /// Messages from people.
    pub received: i64,
    /// Messages to people: written, whatever became of them since.
    pub sent: i64,
    /// People who came to be known, less those who turned out to be somebody known.
    pub contacts: i64,
    /// People who wrote, each once. Of a time that is not all time, as they were known then.
    pub active_contacts: i64,
    /// Received, by type.
    pub received_by_type: BTreeMap<String, i64>,
    /// Sent, by type.
    pub sent_by_type: BTreeMap<String, i64>,
    /// Sent, by how far they have come by now.
    pub sent_by_status: BTreeMap<String, i64>,
    /// Menu options, by state and label, and how often each was chosen.
    pub chosen: Vec<(String, String, i64)>,
    /// Replies whose response time is known, by when they left.
    pub responses: i64,
    /// Accept to Meta's id, in milliseconds: the median, to within 9 %.
    pub response_p50_ms: Option<Millis>,
    /// The 95th percentile.
    pub response_p95_ms: Option<Millis>,
    /// The 99th percentile.
    pub response_p99_ms: Option<Millis>,
}

/// How a time is divided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Every {
    /// Into hours.
    Hour,
    /// Into days, of UTC.
    Day,
}

impl Every {
    /// How long each part is.
    #[must_use]
    pub fn length(self) -> Millis {
        match self {
            Self::Hour => HOUR,
            Self::Day => DAY,
        }
    }

    /// How many parts a time has, at the most: people are counted once over so many.
    #[must_use]
    pub fn parts_max(self) -> i64 {
        match self {
            Self::Hour => 168,
            Self::Day => 1_000,
        }
    }
}

/// What was counted in one hour or day.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Period {
    /// When it began.
    pub since: Millis,
    /// What was counted.
    pub counts: Statistics,
}

/// What waits to be sent.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Backlog {
    /// Rows by state.
    pub by_state: BTreeMap<String, i64>,
    /// The oldest that waits to leave or is under way: when the event behind it was accepted.
    pub oldest_at: Option<Millis>,
    /// The same of replies alone.
    pub oldest_reply_at: Option<Millis>,
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
        self.list(move |db| async move {
            let number = phone_number_id.as_deref();
            let mut counts = Counts::of(number);
            rows(&db, Every::Hour, number, 0..1).await?.iter().for_each(|row| counts.add(0, row));
            Ok(counts.statistics())
        })
        .await
    }

    /// The counts of the `parts` hours or days that begin at `since`: in all, and of each in turn, those in which nothing
    /// happened among them. `since` begins an hour or a day, and there are up to [`Every::parts_max`].
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn statistics_of(
        &self,
        phone_number_id: Option<String>,
        every: Every,
        since: Millis,
        parts: i64,
    ) -> Result<(Statistics, Vec<Period>), Error> {
        self.list(move |db| async move {
            let number = phone_number_id.as_deref();
            let begin = |part: i64| since + part * every.length();
            let mut all = Counts::of(number);
            let mut each: BTreeMap<Millis, Counts> =
                (0..parts).map(|part| (begin(part), Counts::of(number))).collect();
            for row in rows(&db, every, number, since..begin(parts)).await? {
                all.add((row.begins_at - since) / every.length(), &row);
                if let Some(part) = each.get_mut(&row.begins_at) {
                    part.add(0, &row);
                }
            }
            let period = |(since, counts): (Millis, Counts)| Period { since, counts: counts.statistics() };
            Ok((all.statistics(), each.into_iter().map(period).collect()))
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
            let waiting = || {
                queue::Entity::find()
                    .select_only()
                    .column_as(queue::Column::EventAcceptedAt.min(), "oldest")
                    .filter(queue::Column::State.is_in(["ready", "claimed", "ambiguous"]))
            };
            let oldest = waiting().into_tuple::<Option<i64>>().one(&db).await?;
            let replies = waiting().filter(queue::Column::Priority.eq(Priority::Reply.rank()));
            let oldest_reply = replies.into_tuple::<Option<i64>>().one(&db).await?;
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
                oldest_reply_at: oldest_reply.flatten(),
                oldest_unfinished_at: unfinished.flatten(),
                quarantined: quarantined.unwrap_or(0),
            })
        })
        .await
    }
}

/// A stored count.
#[derive(FromQueryResult)]
struct Row {
    begins_at: Millis,
    name: String,
    value: i64,
}

/// The counts of the hours or days that begin within `begins`, of one number or of all.
async fn rows(
    db: &DatabaseConnection,
    every: Every,
    phone_number_id: Option<&str>,
    begins: Range<Millis>,
) -> Result<Vec<Row>, Error> {
    let (table, column) = match every {
        Every::Hour => ("counter", "hour"),
        Every::Day => ("counter_day", "day"),
    };
    let mut within = vec![
        Clause::new(format!("{column} >= ?"), [begins.start.into()]),
        Clause::new(format!("{column} < ?"), [begins.end.into()]),
    ];
    within.extend(phone_number_id.map(|number| Clause::new("phone_number_id = ?", [number.into()])));
    let select = format!("select {column} as begins_at, name, value from {table}");
    let statement = Clause::select(&select, &within).statement(db.get_database_backend());
    Ok(Row::find_by_statement(statement).all(db).await?)
}

/// Counts on their way to being told.
struct Counts {
    /// The name under which those are counted who wrote: people of one number, or of all.
    who: &'static str,
    /// The name under which those are counted who came to be known.
    known: &'static str,
    active: i64,
    by_name: BTreeMap<String, i64>,
}

impl Counts {
    fn of(phone_number_id: Option<&str>) -> Self {
        // A person counts once in all, and once for each number of ours that they talk to.
        let (who, known) = match phone_number_id {
            Some(_) => ("active", "conversations"),
            None => ("person", "contacts"),
        };
        Self { who, known, active: 0, by_name: BTreeMap::new() }
    }

    /// Adds a count of the hour or day `place`, counted from the first one.
    fn add(&mut self, place: i64, row: &Row) {
        match row.name.split_once(':') {
            Some((who @ ("active" | "person"), ago)) => {
                let ago: i64 = ago.parse().unwrap_or(0);
                // Whoever wrote within this time before is counted already.
                if who == self.who && (ago == 0 || ago > place) {
                    self.active += row.value;
                }
            }
            None if row.name == self.who => self.active += row.value,
            _ => *self.by_name.entry(row.name.clone()).or_default() += row.value,
        }
    }

    fn statistics(self) -> Statistics {
        let mut all = Statistics { active_contacts: self.active, ..Statistics::default() };
        let mut responses: BTreeMap<i64, i64> = BTreeMap::new();
        for (name, value) in self.by_name.into_iter().filter(|(_, value)| *value != 0) {
            match name.split_once(':') {
                None if name == "in" => all.received = value,
                None if name == "out" => all.sent = value,
                None if name == self.known => all.contacts = value,
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

    fn counts(rows: &[(i64, &str, i64)], phone_number_id: Option<&str>) -> Statistics {
        let mut counts = Counts::of(phone_number_id);
        for (place, name, value) in rows {
            counts.add(*place, &Row { begins_at: 0, name: (*name).to_owned(), value: *value });
        }
        counts.statistics()
    }

    #[test]
    fn percentiles_are_read_off_the_buckets() {
        let all = counts(&[(0, "response:0", 50), (0, "response:8", 45), (0, "response:80", 5)], None);
        assert_eq!((all.responses, all.response_p50_ms, all.response_p95_ms), (100, Some(0), Some(1)));
        assert_eq!(all.response_p99_ms, Some(1023));
        assert_eq!(counts(&[], None).response_p50_ms, None);
    }

    #[test]
    fn whoever_writes_on_several_days_counts_once() {
        // Ann wrote on the first and the second day, Bob for the first time on the second, Cem last two days before the
        // first day and then on the third, Dan for years not and then on the third.
        let days = [
            (0, "active:0", 1),
            (1, "active:1", 1),
            (1, "active:0", 1),
            (2, "active:4", 1),
            (2, "active:1001", 1),
        ];
        assert_eq!(counts(&days, Some("1")).active_contacts, 4);
        assert_eq!(counts(&days, None).active_contacts, 0);
        let from_the_second: Vec<_> =
            days[1..].iter().map(|(day, name, value)| (day - 1, *name, *value)).collect();
        assert_eq!(counts(&from_the_second, Some("1")).active_contacts, 4);
        assert_eq!(counts(&[(0, "person", 7), (0, "active", 9)], None).active_contacts, 7);
    }
}
