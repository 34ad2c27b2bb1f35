//! Counts that the API shows, kept by the transaction that changes what they count: per number of ours, for all time
//! (hour 0) and by hour. A batch adds up first and writes each count once.

use std::collections::BTreeMap;

use sea_orm::{ConnectionTrait, DatabaseConnection, DbErr, Statement, Value};

use crate::clock::{HOUR, Millis};
use crate::store::bulk;

/// Counts the batches of which something follows outside of the database. By it, a batch whose commit was not answered is
/// found again.
const BATCHES: &str = "batches";

/// What a batch adds.
#[derive(Default)]
pub(crate) struct Tally {
    counts: BTreeMap<(String, String), i64>,
    is_batch: bool,
}

impl Tally {
    /// Counts the batch itself.
    pub(crate) fn add_batch(&mut self) {
        self.is_batch = true;
    }

    /// Adds `by` to the count `name` of this number.
    pub(crate) fn add(&mut self, phone_number_id: &str, name: &str, by: i64) {
        *self.counts.entry((phone_number_id.to_owned(), name.to_owned())).or_default() += by;
    }

    /// A response time goes into its bucket, so that percentiles can be read off counts.
    pub(crate) fn add_response(&mut self, phone_number_id: &str, response_ms: Millis) {
        self.add(phone_number_id, &format!("response:{}", response_bucket(response_ms)), 1);
    }

    pub(crate) async fn write(
        &mut self,
        tx: &sea_orm::DatabaseTransaction,
        now: Millis,
    ) -> Result<(), DbErr> {
        let hour = now - now.rem_euclid(HOUR);
        let mut rows = Vec::with_capacity(self.counts.len() * 2 + 1);
        if self.is_batch {
            rows.push(vec![Value::from(""), 0i64.into(), BATCHES.into(), 1i64.into()]);
        }
        for ((number, name), by) in &self.counts {
            for at in [0, hour] {
                rows.push(vec![
                    Value::from(number.clone()),
                    Value::from(at),
                    Value::from(name.clone()),
                    Value::from(*by),
                ]);
            }
        }
        let add =
            "on conflict (hour, phone_number_id, name) do update set value = counter.value + excluded.value";
        bulk::insert(tx, "counter", &["phone_number_id", "hour", "name", "value"], rows, add).await
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
#[expect(clippy::cast_possible_truncation, clippy::cast_precision_loss, reason = "a bucket number is small")]
fn response_bucket(response_ms: Millis) -> i64 {
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
