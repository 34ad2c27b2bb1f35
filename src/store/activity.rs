//! Who writes when: each person is counted once an hour and once a day, in the transaction that accepts what they write.
//!
//! A conversation remembers the hour in which its person last wrote. What is counted is how long ago that was, in hours for
//! the hour and in days for the day: `active:3` for three, `active:0` for never. Counted once over a range is then whoever
//! wrote, in an hour or on a day of it, for the first time since it began: exact for every range that [`Every`] allows, from
//! a few rows for each hour or day.
//!
//! `active` counts conversations, that is people of one of our numbers, `person` people of all numbers together. People are
//! counted as they were known at the time: two who turn out to be one later were two then.

use std::collections::{HashMap, HashSet};

use sea_orm::{ColumnTrait, DbErr, EntityTrait, QueryFilter, QuerySelect, Value};

use crate::clock::{HOUR, Millis};
use crate::store::batch::Scope;
use crate::store::bulk;
use crate::store::counters::Span;
use crate::store::directory::Learnt;
use crate::store::entity::session;
use crate::store::read::Every;

/// A conversation in which a person has just written.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Wrote<'a> {
    pub(crate) conversation: i64,
    pub(crate) contact: i64,
    pub(crate) phone_number_id: &'a str,
}

/// Counts those who have not written in this hour before.
pub(crate) async fn count(scope: &mut Scope<'_>, wrote: &[Wrote<'_>]) -> Result<(), DbErr> {
    let hour = scope.now - scope.now.rem_euclid(HOUR);
    let mut looked_at = HashSet::new();
    let mut first: Vec<&Wrote<'_>> = Vec::new();
    for line in wrote {
        if looked_at.insert(line.conversation)
            && !scope.directory.is_active(line.contact, line.phone_number_id, hour)
        {
            first.push(line);
        }
    }
    if first.is_empty() {
        return Ok(());
    }
    let contacts: Vec<i64> =
        first.iter().map(|line| line.contact).collect::<HashSet<_>>().into_iter().collect();
    let mut lines: HashMap<i64, Option<Millis>> = HashMap::new();
    let mut people: HashMap<i64, Option<Millis>> = HashMap::new();
    for part in bulk::parts(&contacts) {
        let rows: Vec<(i64, i64, Option<i64>)> = session::Entity::find()
            .select_only()
            .columns([session::Column::Id, session::Column::ContactId, session::Column::ActiveAt])
            .filter(session::Column::ContactId.is_in(part.iter().copied()))
            .into_tuple()
            .all(scope.tx)
            .await?;
        for (conversation, contact, active_at) in rows {
            lines.insert(conversation, active_at);
            let last = people.entry(contact).or_default();
            *last = (*last).max(active_at);
        }
    }
    let mut now_active = Vec::with_capacity(first.len());
    for line in first {
        let of_directory = (line.contact, line.phone_number_id.to_owned());
        scope.after.learnt.push(Learnt::Active(of_directory, hour));
        let last = lines.get(&line.conversation).copied().flatten();
        // Counted before the program started, or before it was forgotten here.
        if last.is_some_and(|last| last >= hour) {
            continue;
        }
        now_active.push(line.conversation);
        tally(scope, line.phone_number_id, "active", hour, last);
        let person = people.entry(line.contact).or_default();
        if person.is_none_or(|last| last < hour) {
            tally(scope, line.phone_number_id, "person", hour, *person);
            *person = Some(hour);
        }
    }
    let sql = "update session set active_at = $1 where id in ({ids})";
    bulk::with_ids(scope.tx, sql, &[Value::from(hour)], &now_active).await.map(drop)
}

/// Counts one in this hour who wrote in the hour `last` before.
fn tally(scope: &mut Scope<'_>, number: &str, name: &str, hour: Millis, last: Option<Millis>) {
    if last.is_none() {
        scope.tally.add_to(Span::All, number, name, 1);
    }
    for (span, every) in [(Span::Hour(hour), Every::Hour), (Span::day_of(hour), Every::Day)] {
        let place = |at: Millis| at.div_euclid(every.length());
        let ago = last.map_or(0, |last| (place(hour) - place(last)).min(every.parts_max() + 1));
        if last.is_none() || ago > 0 {
            scope.tally.add_to(span, number, &format!("{name}:{ago}"), 1);
        }
    }
}
