//! Walking along an index: how the keys of a page's rows are found.
//!
//! A way is a part of an index within which the keys are in order. What a way does not answer by itself is looked at row by
//! row, [`SCAN_MAX`] rows for a page at the most: a page may then hold fewer rows than it could, and the list goes on behind
//! the last row that was looked at. Several ways are walked side by side and merged.

use std::collections::HashMap;

use sea_orm::{ConnectionTrait, DatabaseConnection, DbBackend, DbErr, Statement, Value};

use super::{Page, Place, Times};
use crate::clock::{Ids, Millis};
use crate::store::Error;

/// Rows that are looked at for one page, at the most, where an index does not answer all that is asked.
pub(in crate::store) const SCAN_MAX: u64 = 10_000;

/// A condition in SQL, with a `?` for each of its values.
#[derive(Debug, Clone, Default)]
pub(in crate::store) struct Clause {
    text: String,
    values: Vec<Value>,
}

impl Clause {
    pub(in crate::store) fn new(text: impl Into<String>, values: impl IntoIterator<Item = Value>) -> Self {
        Self { text: text.into(), values: values.into_iter().collect() }
    }

    /// Without values.
    pub(in crate::store) fn plain(text: impl Into<String>) -> Self {
        Self::new(text, [])
    }

    /// That `column` is one of these, of which there is at least one.
    pub(in crate::store) fn any_of<V: Into<Value>>(
        column: &str,
        values: impl IntoIterator<Item = V>,
    ) -> Self {
        let values: Vec<Value> = values.into_iter().map(Into::into).collect();
        Self::new(format!("{column} in ({})", vec!["?"; values.len()].join(", ")), values)
    }

    /// A statement: `text`, which is `select … from …`, and where all of `conditions` hold.
    pub(in crate::store) fn select(text: &str, conditions: &[Self]) -> Self {
        let mut all = Self::default();
        conditions.iter().for_each(|one| all.and(one));
        Self::new(format!("{text} where {}", all.text), all.values)
    }

    /// That there is such a row, where this is a statement. It is asked of each row: without the offset, PostgreSQL would
    /// rather read the whole of the other table first.
    pub(in crate::store) fn exists(self) -> Self {
        Self::new(format!("exists ({} limit 1 offset 0)", self.text), self.values)
    }

    /// That `column` is among what this statement finds.
    pub(in crate::store) fn holds(self, column: &str) -> Self {
        Self::new(format!("{column} in ({})", self.text), self.values)
    }

    fn and(&mut self, other: &Self) {
        if !self.text.is_empty() {
            self.text.push_str(" and ");
        }
        self.text.push_str(&other.text);
        self.values.extend(other.values.iter().cloned());
    }

    /// The statement that this is, with its values numbered.
    pub(in crate::store) fn statement(self, backend: DbBackend) -> Statement {
        let mut numbered = String::with_capacity(self.text.len() + 2 * self.values.len());
        for (number, part) in self.text.split('?').enumerate() {
            if number > 0 {
                numbered.push_str(&format!("${number}"));
            }
            numbered.push_str(part);
        }
        Statement::from_sql_and_values(backend, numbered, self.values)
    }
}

/// A way to the rows of a list.
#[derive(Debug, Clone)]
pub(in crate::store) struct Way {
    /// The table that is walked.
    pub(in crate::store) from: &'static str,
    /// The column of the list's key.
    pub(in crate::store) key: &'static str,
    /// What the index answers, or next to no row fails.
    pub(in crate::store) on: Vec<Clause>,
    /// What is looked at row by row.
    pub(in crate::store) rest: Vec<Clause>,
    /// Whether the index finds these rows without their order: they are few, and sorted.
    pub(in crate::store) few: bool,
}

impl Way {
    /// Along the keys of `table`.
    pub(in crate::store) fn along(
        from: &'static str,
        key: &'static str,
        on: Vec<Clause>,
        rest: Vec<Clause>,
    ) -> Self {
        Self { from, key, on, rest, few: false }
    }

    /// To a few rows.
    pub(in crate::store) fn to_few(
        from: &'static str,
        key: &'static str,
        on: Vec<Clause>,
        rest: Vec<Clause>,
    ) -> Self {
        Self { from, key, on, rest, few: true }
    }

    /// The keys within `within`, with `conditions` besides: `limit` of them, from the one after the first `skipped`.
    fn select(&self, within: &Within, conditions: &[Clause], limit: u64, skipped: u64) -> Clause {
        let mut all = Clause::default();
        for one in self.on.iter().chain(conditions) {
            all.and(one);
        }
        // An expression in place of the column keeps a database from walking the whole table in this order.
        let key = if self.few { format!("{} + 0", self.key) } else { self.key.to_owned() };
        for (bound, sign) in [(within.low, ">="), (within.high, "<=")] {
            if let Some(bound) = bound {
                all.and(&Clause::new(format!("{key} {sign} ?"), [bound.into()]));
            }
        }
        let wanted = if all.text.is_empty() { String::new() } else { format!(" where {}", all.text) };
        let direction = if within.falls { "desc" } else { "asc" };
        let numbers = [limit, skipped].map(|number| Value::from(i64::try_from(number).unwrap_or(i64::MAX)));
        let text = format!(
            "select {} from {}{wanted} order by {key} {direction} limit ? offset ?",
            self.key, self.from
        );
        Clause::new(text, all.values.into_iter().chain(numbers))
    }
}

/// Which keys, both ends among them, and in which direction.
#[derive(Debug, Clone, Copy)]
struct Within {
    low: Option<i64>,
    high: Option<i64>,
    falls: bool,
}

impl Within {
    fn new(span: Span, page: &Page) -> Self {
        let falls = page.falls();
        let mut within = Self { low: span.low, high: span.high, falls };
        if let Place::After(key) | Place::Before(key) = page.place {
            if falls {
                let below = key.saturating_sub(1);
                within.high = Some(within.high.map_or(below, |high| high.min(below)));
            } else {
                let above = key.saturating_add(1);
                within.low = Some(within.low.map_or(above, |low| low.max(above)));
            }
        }
        within
    }

    /// Up to `edge`, in the direction of walking.
    fn until(self, edge: Option<i64>) -> Self {
        match edge {
            Some(edge) if self.falls => Self { low: Some(edge), ..self },
            Some(edge) => Self { high: Some(edge), ..self },
            None => self,
        }
    }

    /// Whether `key` comes behind `edge`.
    fn is_behind(&self, key: i64, edge: i64) -> bool {
        if self.falls { key < edge } else { key > edge }
    }
}

/// Keys between these, both among them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(in crate::store) struct Span {
    pub(in crate::store) low: Option<i64>,
    pub(in crate::store) high: Option<i64>,
}

impl Span {
    /// The keys of the rows of `table` that are of these `times`, by the column `time`. Keys grow with time and are never below
    /// [`Ids::lowest_at`] it, so the first row at a time is found by its key.
    pub(in crate::store) async fn of(
        db: &DatabaseConnection,
        table: &str,
        key: &str,
        time: &str,
        times: Times,
    ) -> Result<Self, Error> {
        let low = match times.since {
            // Nothing is as new.
            Some(since) => Some(first_at(db, table, key, time, since).await?.unwrap_or(i64::MAX)),
            None => None,
        };
        let high = match times.until {
            Some(until) => first_at(db, table, key, time, until).await?.map(|first| first - 1),
            None => None,
        };
        Ok(Self { low, high })
    }
}

/// The key of the first row at `at` or later.
async fn first_at(
    db: &DatabaseConnection,
    table: &str,
    key: &str,
    time: &str,
    at: Millis,
) -> Result<Option<i64>, Error> {
    let sql = format!("select {key} from {table} where {key} >= ? and {time} >= ? order by {key} limit 1");
    let first = Clause::new(sql, [Ids::lowest_at(at).into(), at.into()]);
    Ok(keys_of(db, first).await?.first().copied())
}

/// Keys of a page's rows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::store) struct Keys {
    /// In the order of walking.
    pub(in crate::store) keys: Vec<i64>,
    /// Where the list goes on: see [`super::Found`].
    pub(in crate::store) rest: Option<i64>,
}

/// The keys of the rows to which `ways` lead within `span`, up to the page's limit, in the direction in which the page is
/// looked for.
pub(in crate::store) async fn walk(
    db: &DatabaseConnection,
    ways: &[Way],
    span: Span,
    page: &Page,
) -> Result<Keys, Error> {
    let within = Within::new(span, page);
    let mut edge: Option<i64> = None;
    for way in ways.iter().filter(|way| !way.rest.is_empty() && !way.few) {
        let last = way.select(&within, &[], 1, SCAN_MAX - 1);
        if let Some(last) = keys_of(db, last).await?.first() {
            edge = Some(edge.map_or(*last, |edge| if within.is_behind(*last, edge) { edge } else { *last }));
        }
    }
    let within = within.until(edge);
    let mut keys = Vec::new();
    for way in ways {
        keys.extend(keys_of(db, way.select(&within, &way.rest, page.limit + 1, 0)).await?);
    }
    keys.sort_unstable();
    keys.dedup();
    if within.falls {
        keys.reverse();
    }
    let limit = usize::try_from(page.limit).unwrap_or(usize::MAX);
    let more = keys.len() > limit;
    keys.truncate(limit);
    let rest = if more { keys.last().copied() } else { edge };
    Ok(Keys { keys, rest })
}

async fn keys_of(db: &DatabaseConnection, select: Clause) -> Result<Vec<i64>, Error> {
    let rows = db.query_all_raw(select.statement(db.get_database_backend())).await?;
    let keys: Result<Vec<i64>, DbErr> = rows.iter().map(|row| row.try_get_by_index(0)).collect();
    Ok(keys?)
}

/// Whether more than `max` rows answer to `select`, which ends before its limit.
pub(in crate::store) async fn are_more_than(
    db: &DatabaseConnection,
    select: Clause,
    max: u64,
) -> Result<bool, Error> {
    let max = Value::from(i64::try_from(max).unwrap_or(i64::MAX));
    let text = format!("{} limit 1 offset ?", select.text);
    let one = Clause::new(text, select.values.into_iter().chain([max]));
    Ok(db.query_one_raw(one.statement(db.get_database_backend())).await?.is_some())
}

/// `rows` in the order of the list in which `page` is, as their `keys` were found.
pub(in crate::store) fn in_order<T>(
    mut rows: Vec<T>,
    keys: &[i64],
    page: &Page,
    key: impl Fn(&T) -> i64,
) -> Vec<T> {
    let places: HashMap<i64, usize> = keys.iter().enumerate().map(|(place, key)| (*key, place)).collect();
    rows.sort_by_key(|row| places.get(&key(row)).copied());
    if matches!(page.place, Place::Before(_)) {
        rows.reverse();
    }
    rows
}
