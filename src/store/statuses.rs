//! What became of our messages: every change of a delivery, whether Meta told it or the sender found it out, goes through
//! the same merge, so that they may come in any order and more than once.

use std::collections::{BTreeMap, HashMap};

use sea_orm::{ColumnTrait, ConnectionTrait, DbBackend, DbErr, EntityTrait, QueryFilter, QueryResult, Value};

use crate::clock::Millis;
use crate::domain::delivery::{Failure, Status, StatusUpdate};
use crate::domain::ids::MessageId;
use crate::domain::notice;
use crate::store::batch::{Note, Scope};
use crate::store::entity::webhook;
use crate::store::privacy::sweep;
use crate::store::{Hint, bulk, queue, text};

/// A status that Meta told, and the event that it came as.
pub(crate) struct News<'a> {
    pub(crate) event: i64,
    pub(crate) update: &'a StatusUpdate,
}

/// One change of one message's delivery.
#[derive(Debug, Clone)]
pub(crate) struct Change {
    pub(crate) message: i64,
    pub(crate) status: Status,
    pub(crate) wamid: Option<String>,
    pub(crate) at: Millis,
    pub(crate) error: Option<Failure>,
    pub(crate) pricing: Option<String>,
}

/// As stored; with gaps, so that a new status finds its place.
pub(crate) fn rank(status: Status) -> i16 {
    match status {
        Status::Received => 0,
        Status::Queued => 10,
        Status::Ambiguous => 20,
        Status::GivenUp => 25,
        Status::Accepted => 30,
        Status::Sent => 40,
        Status::Failed => 50,
        Status::Delivered => 60,
        Status::Read => 70,
        Status::Played => 80,
    }
}

/// The status with this rank; one that is not known counts as the highest known below it.
pub(crate) fn of_rank(stored: i16) -> Status {
    Status::ALL.into_iter().rev().find(|status| rank(*status) <= stored).unwrap_or(Status::Received)
}

/// Merges what Meta told. What is told of a message that we do not know is parked, until a settle makes it known.
pub(crate) async fn merge(scope: &mut Scope<'_>, news: &[News<'_>]) -> Result<(), DbErr> {
    if news.is_empty() {
        return Ok(());
    }
    let unnamed = news.iter().filter(|news| news.update.callback.is_none());
    let wamids: Vec<String> = unnamed.map(|news| news.update.wamid.clone()).collect();
    let by_wamid = messages_by_wamid(scope, &wamids).await?;
    let mut changes = Vec::with_capacity(news.len());
    let mut parked = Vec::new();
    for News { event, update } in news {
        let Some(status) = update.status else { continue };
        scope.after.notes.push(Note::Status(status.as_str()));
        // Our own id in the callback finds the message even before we know Meta's id of it.
        let ours = update.callback.as_deref().and_then(|id| id.parse::<MessageId>().ok()).map(|id| id.0);
        match ours.or_else(|| by_wamid.get(update.wamid.as_str()).copied()) {
            Some(message) => changes.push(change(scope, message, status, update)),
            None => parked.push(*event),
        }
    }
    // A message has its row before it leaves: one that carries our id and has none was erased, or was too old to be kept.
    let Applied { unknown, open, revealed } = apply(scope, &changes).await?;
    let gone = news.iter().filter(|news| unknown.contains(&news.update.wamid)).map(|news| news.event);
    sweep::forget_statuses(scope, &gone.collect::<Vec<i64>>()).await?;
    scope.after.notes.extend(parked.iter().map(|_| Note::Parked));
    scope.after.parked_delta += i64::try_from(parked.len()).unwrap_or(0);
    let park = "update webhook set state = 'parked', reason = 'status of a message that is not known' where id in ({ids})";
    bulk::with_ids(scope.tx, park, &[], &parked).await?;

    // What Meta was known to have is in the queue no more.
    let (failed, sent): (Vec<_>, Vec<_>) = open.into_iter().partition(|(_, status)| status.is_failure());
    let ids = |messages: Vec<(i64, Status)>| messages.into_iter().map(|(id, _)| id).collect::<Vec<i64>>();
    let settled = queue::settled_by_status(scope, &ids(sent), &ids(failed)).await?;
    if !settled.is_empty() {
        scope.after.hints.push(Hint::Settled(settled));
    }
    // A status that names our id as well as Meta's may be the first to say that they are one.
    unpark(scope, &revealed).await
}

fn change(scope: &Scope<'_>, message: i64, status: Status, update: &StatusUpdate) -> Change {
    Change {
        message,
        status,
        wamid: Some(text(&update.wamid)),
        at: update.at.unwrap_or(scope.now),
        error: update.error.clone(),
        pricing: update.pricing.clone(),
    }
}

/// Characters at the end of Meta's ids by which SQLite finds messages: those of the index `message_wamid`.
const END: usize = 20;

/// The messages of ours that Meta has under these ids, and perhaps others.
async fn messages_by_wamid(scope: &Scope<'_>, wamids: &[String]) -> Result<HashMap<String, i64>, DbErr> {
    let (key, keys): (&str, Vec<String>) = match scope.tx.get_database_backend() {
        // The index is of their ends alone, which are what is random in them.
        DbBackend::Sqlite => {
            (&format!("substr(wamid, -{END})"), wamids.iter().map(|wamid| text(end(wamid))).collect())
        }
        _ => ("wamid", wamids.to_vec()),
    };
    let sql = format!(
        "select wamid, id from message where direction = 'out' and wamid is not null and {key} in ({{ids}})"
    );
    let rows = bulk::returning_ids(scope.tx, &sql, &keys).await?;
    rows.iter().map(|row| Ok((row.try_get_by_index(0)?, row.try_get_by_index(1)?))).collect()
}

/// The last [`END`] characters.
fn end(wamid: &str) -> &str {
    wamid.char_indices().rev().nth(END - 1).map_or(wamid, |(place, _)| &wamid[place..])
}

/// Merges what was parked for messages whose Meta id has just become known.
pub(crate) async fn unpark(scope: &mut Scope<'_>, wamids: &[String]) -> Result<(), DbErr> {
    if scope.parked + scope.after.parked_delta <= 0 {
        return Ok(());
    }
    let mut changes = Vec::new();
    let mut done = Vec::new();
    for part in bulk::parts(wamids) {
        let rows = webhook::Entity::find()
            .filter(webhook::Column::State.eq("parked"))
            .filter(webhook::Column::Wamid.is_in(part))
            .all(scope.tx)
            .await?;
        if rows.is_empty() {
            continue;
        }
        let known = messages_by_wamid(scope, part).await?;
        for row in rows {
            let Some(message) = row.wamid.as_ref().and_then(|wamid| known.get(wamid)).copied() else {
                continue;
            };
            done.push(row.id);
            if let Some(crate::meta::webhook::Body::Status(update)) =
                crate::meta::webhook::parse_payload(&row.payload).map(|item| item.body)
                && let Some(status) = update.status
            {
                changes.push(change(scope, message, status, &update));
            }
        }
    }
    let settle = "update webhook set state = 'done', reason = null where id in ({ids})";
    scope.after.parked_delta -= i64::try_from(done.len()).unwrap_or(0);
    bulk::with_ids(scope.tx, settle, &[], &done).await?;
    apply(scope, &changes).await.map(drop)
}

/// What of a stored message decides what a change does to it, and where it counts.
struct Delivery {
    id: i64,
    phone_number_id: String,
    status: i16,
    error_code: Option<i64>,
    created_at: Millis,
    sent_at: Option<Millis>,
    delivered_at: Option<Millis>,
    read_at: Option<Millis>,
    failed_at: Option<Millis>,
    /// Whether Meta's id of it is not known.
    is_nameless: bool,
}

impl Delivery {
    fn read(row: &QueryResult) -> Result<Self, DbErr> {
        Ok(Self {
            id: row.try_get_by_index(0)?,
            phone_number_id: row.try_get_by_index(1)?,
            status: row.try_get_by_index(2)?,
            error_code: row.try_get_by_index(3)?,
            created_at: row.try_get_by_index(4)?,
            sent_at: row.try_get_by_index(5)?,
            delivered_at: row.try_get_by_index(6)?,
            read_at: row.try_get_by_index(7)?,
            failed_at: row.try_get_by_index(8)?,
            is_nameless: row.try_get_by_index::<i32>(9)? == 1,
        })
    }

    /// Whether it is not known to have come so far, even where it has come further. That Meta took it is known of everything
    /// that has.
    fn has_not_been(&self, status: Status) -> bool {
        match status {
            Status::Sent => self.sent_at.is_none(),
            Status::Delivered => self.delivered_at.is_none(),
            Status::Read | Status::Played => self.read_at.is_none(),
            Status::GivenUp | Status::Failed => self.failed_at.is_none(),
            Status::Received | Status::Queued | Status::Ambiguous | Status::Accepted => false,
        }
    }
}

/// That a message has come so far, for those who listen.
fn news(message: i64, status: Status, at: Millis) -> notice::News {
    notice::News::Status(MessageId(message), status, at)
}

/// What came of applying changes.
#[derive(Default)]
pub(crate) struct Applied {
    /// The Meta ids of those whose message does not exist.
    pub(crate) unknown: Vec<String>,
    /// The messages that Meta was not known to have, which may still be in the queue, and what their status comes to.
    open: BTreeMap<i64, Status>,
    /// The Meta ids that were not known before.
    revealed: Vec<String>,
}

/// Applies changes. What is stored of a message is merged with them by the statement that writes them, so that only what
/// decides more than a time is read first.
pub(crate) async fn apply(scope: &mut Scope<'_>, changes: &[Change]) -> Result<Applied, DbErr> {
    let mut by_message: BTreeMap<i64, Vec<&Change>> = BTreeMap::new();
    for change in changes {
        by_message.entry(change.message).or_default().push(change);
    }
    take_accepted(scope, &mut by_message).await?;
    let ids: Vec<i64> = by_message.keys().copied().collect();
    let mut applied = Applied::default();
    let (mut revived, mut fallen) = (Vec::new(), Vec::new());
    let mut rows = Vec::with_capacity(ids.len());
    let sql = "select id, phone_number_id, status, error_code, created_at, sent_at, delivered_at, read_at, failed_at, \
               case when wamid is null then 1 else 0 end from message \
               where direction = 'out' and id in ({ids})";
    for row in bulk::returning_ids(scope.tx, sql, &ids).await? {
        let stored = Delivery::read(&row)?;
        if let Some(changes) = by_message.remove(&stored.id) {
            if stored.is_nameless {
                applied.revealed.extend(changes.iter().find_map(|change| change.wamid.clone()));
            }
            let before = of_rank(stored.status);
            let (now, row) = merged(scope, &stored, &changes);
            if before < Status::Accepted {
                applied.open.insert(stored.id, now);
            } else if now.is_failure() && !before.is_failure() {
                fallen.push(stored.id);
            }
            if before.is_failure() && !now.is_failure() {
                revived.push(stored.id);
            }
            rows.push(row);
        }
    }
    let columns = [
        "id",
        "status",
        "wamid",
        "accepted_at",
        "sent_at",
        "delivered_at",
        "read_at",
        "failed_at",
        "error_code",
        "error",
        "pricing",
    ];
    let times = ["accepted_at", "sent_at", "delivered_at", "read_at", "failed_at"].map(earlier).join(", ");
    let set = format!(
        "update message set status = v.status, wamid = coalesce(message.wamid, v.wamid), {times}, \
         error_code = coalesce(v.error_code, message.error_code), error = coalesce(v.error, message.error), \
         pricing = coalesce(message.pricing, v.pricing) from v where message.id = v.id"
    );
    bulk::with_values(scope.tx, &columns, rows, &set).await?;
    queue::raise(scope, &revived).await?;
    queue::put_with_the_dead(scope, &fallen).await?;
    applied.unknown = by_message.into_values().flatten().filter_map(|change| change.wamid.clone()).collect();
    Ok(applied)
}

/// Sets a time to the earlier of that which is stored and that which is told, where there are both.
fn earlier(column: &str) -> String {
    format!(
        "{column} = case when message.{column} <= v.{column} then message.{column} \
         else coalesce(v.{column}, message.{column}) end"
    )
}

/// Applies the one change that nearly every message begins with, and takes it out of `changes`: Meta has just taken the
/// message, and nothing else is known of it yet, so that it need not be read first.
async fn take_accepted(
    scope: &mut Scope<'_>,
    changes: &mut BTreeMap<i64, Vec<&Change>>,
) -> Result<(), DbErr> {
    let fresh = |changes: &Vec<&Change>| match changes.as_slice() {
        [change]
            if change.status == Status::Accepted && change.error.is_none() && change.pricing.is_none() =>
        {
            let wamid = change.wamid.clone()?;
            Some(vec![change.message.into(), wamid.into(), change.at.into()])
        }
        _ => None,
    };
    let rows: Vec<Vec<Value>> = changes.values().filter_map(fresh).collect();
    let (queued, accepted) = (rank(Status::Queued), rank(Status::Accepted));
    let set = format!(
        "update message set status = {accepted}, wamid = v.wamid, accepted_at = v.at from v where message.id = v.id \
         and message.direction = 'out' and message.status = {queued} and message.wamid is null \
         and message.accepted_at is null returning message.id, message.created_at, message.phone_number_id"
    );
    for row in bulk::returning_values(scope.tx, &["id", "wamid", "at"], rows, &set).await? {
        let (id, created_at, number): (i64, Millis, String) =
            (row.try_get_by_index(0)?, row.try_get_by_index(1)?, row.try_get_by_index(2)?);
        let taken = changes.remove(&id).into_iter().flatten();
        scope.news.extend(taken.map(|change| news(id, change.status, change.at)));
        count(scope, created_at, &number, Status::Queued, Status::Accepted);
    }
    Ok(())
}

/// Counts a message that was stored at `created_at` under another status than before.
fn count(scope: &mut Scope<'_>, created_at: Millis, number: &str, before: Status, now: Status) {
    for (status, by) in [(before, -1), (now, 1)] {
        scope.tally.add_of(created_at, number, &format!("status:{}", status.as_str()), by);
    }
}

/// What the message's status comes to by `changes`, and all of them as a row for the statement that merges it with what is
/// stored; what they do not tell is null.
fn merged(scope: &mut Scope<'_>, stored: &Delivery, changes: &[&Change]) -> (Status, Vec<Value>) {
    let before = of_rank(stored.status);
    let mut status = before;
    let mut meta_failed = before == Status::Failed;
    let mut has_error = stored.error_code.is_some();
    let mut error = None;
    let [mut accepted, mut sent, mut delivered, mut read, mut failed] = [None; 5];
    let mut told: Vec<(Status, Millis)> = Vec::new();
    for change in changes {
        let is_later = status.merge(change.status) != status;
        status = status.merge(change.status);
        let first_time = match change.status {
            Status::Accepted => &mut accepted,
            Status::Sent => &mut sent,
            Status::Delivered => &mut delivered,
            Status::Read | Status::Played => &mut read,
            Status::GivenUp | Status::Failed => &mut failed,
            Status::Received | Status::Queued | Status::Ambiguous => {
                told.extend(is_later.then_some((change.status, change.at)));
                continue;
            }
        };
        // One that comes late is told too, but none twice.
        if is_later || (first_time.is_none() && stored.has_not_been(change.status)) {
            told.push((change.status, change.at));
        }
        *first_time = Some(first_time.map_or(change.at, |time: Millis| time.min(change.at)));
        // What Meta tells replaces what we made of it ourselves, whichever comes first.
        let told_by_meta = meta_failed;
        meta_failed |= change.status == Status::Failed;
        if let Some(failure) = &change.error
            && (!has_error || (!told_by_meta && meta_failed))
        {
            has_error = true;
            error = Some(failure);
        }
    }
    if matches!(status, Status::Accepted | Status::Sent | Status::Delivered | Status::Read | Status::Played) {
        // Meta has it by now, though it may tell so before our own request is answered.
        accepted.get_or_insert(scope.now);
    }
    scope.news.extend(told.into_iter().map(|(status, at)| news(stored.id, status, at)));
    if status != before {
        count(scope, stored.created_at, &stored.phone_number_id, before, status);
    }
    let row = vec![
        stored.id.into(),
        rank(status).into(),
        changes.iter().find_map(|change| change.wamid.clone()).into(),
        accepted.into(),
        sent.into(),
        delivered.into(),
        read.into(),
        failed.into(),
        error.map(|failure| failure.code).into(),
        error.and_then(|failure| serde_json::to_string(failure).ok()).into(),
        changes.iter().find_map(|change| change.pricing.clone()).into(),
    ];
    (status, row)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranks_keep_the_order_of_the_lattice_and_go_back() {
        for pair in Status::ALL.windows(2) {
            assert!(rank(pair[0]) < rank(pair[1]), "{pair:?}");
        }
        for status in Status::ALL {
            assert_eq!(of_rank(rank(status)), status);
        }
    }
}
