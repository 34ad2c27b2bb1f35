//! Counts that the API shows, kept by the transaction that changes what they count: per number of ours, for all time (hour
//! 0), by hour, and by day, so that a year is read from few rows. Hours and days are those of UTC. A batch adds up first and
//! writes each count once.
//!
//! What a message counts for is counted in the hour in which it was stored, whenever that becomes known: the hour of a
//! message sent on Monday and read on Tuesday says of one more that it was read, and of one fewer that it was delivered. So
//! every count can be had again from the rows themselves.

use std::collections::BTreeMap;

use sea_orm::{ConnectionTrait, DatabaseConnection, DatabaseTransaction, DbErr, Statement, Value};

use crate::clock::{DAY, HOUR, Millis};
use crate::store::bulk;

/// Counts the batches of which something follows outside of the database. By it, a batch whose commit was not answered is
/// found again.
const BATCHES: &str = "batches";

/// What a count is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Span {
    /// All time.
    All,
    /// The hour that begins then.
    Hour(Millis),
    /// The day that begins then.
    Day(Millis),
}

impl Span {
    /// The hour of this time.
    pub(crate) fn hour_of(at: Millis) -> Self {
        Self::Hour(at - at.rem_euclid(HOUR))
    }

    /// The day of this time.
    pub(crate) fn day_of(at: Millis) -> Self {
        Self::Day(at - at.rem_euclid(DAY))
    }
}

/// What a batch adds.
pub(crate) struct Tally {
    now: Millis,
    /// By number and name.
    counts: BTreeMap<String, BTreeMap<String, Vec<(Span, i64)>>>,
}

impl Tally {
    /// Nothing yet, at this time.
    pub(crate) fn at(now: Millis) -> Self {
        Self { now, counts: BTreeMap::new() }
    }

    /// Adds `by` to the count `name` of this number, now.
    pub(crate) fn add(&mut self, phone_number_id: &str, name: &str, by: i64) {
        self.add_of(self.now, phone_number_id, name, by);
    }

    /// Adds `by` to the count `name` of this number, for something that was stored at `at`.
    pub(crate) fn add_of(&mut self, at: Millis, phone_number_id: &str, name: &str, by: i64) {
        let counts = self.of(phone_number_id, name);
        for span in [Span::All, Span::hour_of(at), Span::day_of(at)] {
            bump(counts, span, by);
        }
    }

    /// Adds `by` to the count `name` of this number for `span` alone.
    pub(crate) fn add_to(&mut self, span: Span, phone_number_id: &str, name: &str, by: i64) {
        bump(self.of(phone_number_id, name), span, by);
    }

    /// The counts of one name. A batch knows few of them and adds often, so that the names are not copied to be found.
    fn of(&mut self, phone_number_id: &str, name: &str) -> &mut Vec<(Span, i64)> {
        if !self.counts.contains_key(phone_number_id) {
            self.counts.insert(phone_number_id.to_owned(), BTreeMap::new());
        }
        let names = self.counts.get_mut(phone_number_id).expect("it was just put there");
        if !names.contains_key(name) {
            names.insert(name.to_owned(), Vec::new());
        }
        names.get_mut(name).expect("it was just put there")
    }

    /// Counts the batch itself.
    pub(crate) fn add_batch(&mut self) {
        self.add_to(Span::All, "", BATCHES, 1);
    }

    /// A response time goes into its bucket, so that percentiles can be read off counts.
    pub(crate) fn add_response(&mut self, phone_number_id: &str, response_ms: Millis) {
        self.add(phone_number_id, &format!("response:{}", response_bucket(response_ms)), 1);
    }

    pub(crate) async fn write(self, tx: &DatabaseTransaction) -> Result<(), DbErr> {
        let mut counts = Vec::new();
        let mut days = Vec::new();
        for (number, names) in self.counts {
            let of_name = |(name, spans): (String, Vec<(Span, i64)>)| {
                spans.into_iter().map(move |(span, by)| (name.clone(), span, by))
            };
            for (name, span, by) in names.into_iter().flat_map(of_name).filter(|(_, _, by)| *by != 0) {
                let (rows, begins_at) = match span {
                    Span::All => (&mut counts, 0),
                    Span::Hour(at) => (&mut counts, at),
                    Span::Day(at) => (&mut days, at),
                };
                rows.push(vec![Value::from(number.as_str()), begins_at.into(), name.into(), by.into()]);
            }
        }
        let add =
            "on conflict (hour, phone_number_id, name) do update set value = counter.value + excluded.value";
        bulk::insert(tx, "counter", &["phone_number_id", "hour", "name", "value"], counts, add).await?;
        let add = "on conflict (day, phone_number_id, name) do update set value = counter_day.value + excluded.value";
        bulk::insert(tx, "counter_day", &["phone_number_id", "day", "name", "value"], days, add)
            .await
            .map(drop)
    }
}

fn bump(counts: &mut Vec<(Span, i64)>, span: Span, by: i64) {
    match counts.iter_mut().find(|(counted, _)| *counted == span) {
        Some((_, count)) => *count += by,
        None => counts.push((span, by)),
    }
}

/// How many batches are committed. Where one is not yet, though its connection is gone, this waits for its end.
pub(crate) async fn batches(db: &DatabaseConnection) -> Result<i64, DbErr> {
    let sql = "insert into counter (phone_number_id, hour, name, value) values ('', 0, $1, 0) \
               on conflict (hour, phone_number_id, name) do update set value = counter.value returning value";
    let statement = Statement::from_sql_and_values(db.get_database_backend(), sql, [Value::from(BATCHES)]);
    let row = db.query_one_raw(statement).await?;
    row.ok_or(DbErr::RecordNotInserted)?.try_get_by_index(0)
}

/// Response-time buckets per doubling: a percentile is right to within 9 %.
const BUCKETS_PER_DOUBLING: f64 = 8.0;

/// The bucket of a response time.
#[must_use]
#[expect(clippy::cast_possible_truncation, clippy::cast_precision_loss, reason = "a bucket number is small")]
pub fn response_bucket(response_ms: Millis) -> i64 {
    (BUCKETS_PER_DOUBLING * (response_ms.max(0) as f64 + 1.0).log2()).ceil() as i64
}

/// The longest response time, in milliseconds, that falls into `bucket`.
#[must_use]
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    reason = "a response time in milliseconds"
)]
pub fn response_bucket_ms(bucket: i64) -> Millis {
    (2f64.powf(bucket as f64 / BUCKETS_PER_DOUBLING) - 1.0).round() as i64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_tells_the_response_time_to_within_nine_per_cent() {
        for response_ms in [0, 1, 2, 7, 50, 99, 100, 1_000, 59_999, 86_400_000] {
            let told = response_bucket_ms(response_bucket(response_ms));
            assert!(
                told >= response_ms && told <= response_ms + response_ms / 10 + 1,
                "{response_ms} {told}"
            );
        }
    }
}
