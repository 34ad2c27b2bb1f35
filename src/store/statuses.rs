//! What became of our messages: every change of a delivery, whether Meta told it or the sender found it out, goes through
//! the same merge, so that they may come in any order and more than once.

use std::collections::{BTreeMap, HashMap};

use sea_orm::{ColumnTrait, DbErr, EntityTrait, FromQueryResult, QueryFilter, QuerySelect, Value};

use crate::clock::Millis;
use crate::domain::delivery::{Failure, Status, StatusUpdate};
use crate::domain::ids::{ConversationId, MessageId};
use crate::store::batch::{Note, Scope};
use crate::store::entity::{message, webhook};
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
    let by_wamid = messages_by_wamid(scope, news).await?;
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
    let Applied { unknown, revealed } = apply(scope, &changes).await?;
    parked.extend(news.iter().filter(|news| unknown.contains(&news.update.wamid)).map(|news| news.event));
    scope.after.notes.extend(parked.iter().map(|_| Note::Parked));
    let park = "update webhook set state = 'parked', reason = 'status of a message that is not known' where id in ({ids})";
    bulk::with_ids(scope.tx, park, &[], &parked).await?;

    let (failed, sent): (Vec<&Change>, Vec<&Change>) =
        changes.iter().partition(|change| change.status == Status::Failed);
    let ids = |changes: Vec<&Change>| changes.into_iter().map(|change| change.message).collect::<Vec<i64>>();
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

async fn messages_by_wamid(scope: &Scope<'_>, news: &[News<'_>]) -> Result<HashMap<String, i64>, DbErr> {
    let wamids: Vec<&str> =
        news.iter().filter(|n| n.update.callback.is_none()).map(|n| n.update.wamid.as_str()).collect();
    let mut found = HashMap::new();
    for part in bulk::parts(&wamids) {
        let rows: Vec<(i64, Option<String>)> = message::Entity::find()
            .select_only()
            .columns([message::Column::Id, message::Column::Wamid])
            .filter(message::Column::Wamid.is_in(part.iter().copied()))
            .filter(message::Column::Direction.eq("out"))
            .into_tuple()
            .all(scope.tx)
            .await?;
        found.extend(rows.into_iter().filter_map(|(id, wamid)| Some((wamid?, id))));
    }
    Ok(found)
}

/// Merges what was parked for messages whose Meta id has just become known.
pub(crate) async fn unpark(scope: &mut Scope<'_>, wamids: &[String]) -> Result<(), DbErr> {
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
        let known: Vec<(i64, Option<String>)> = message::Entity::find()
            .select_only()
            .columns([message::Column::Id, message::Column::Wamid])
            .filter(message::Column::Wamid.is_in(part))
            .into_tuple()
            .all(scope.tx)
            .await?;
        for row in rows {
            let Some(message) = known.iter().find(|(_, wamid)| *wamid == row.wamid).map(|(id, _)| *id) else {
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
    bulk::with_ids(scope.tx, settle, &[], &done).await?;
    apply(scope, &changes).await.map(drop)
}

/// What of a message a change may touch, and where it counts.
#[derive(FromQueryResult)]
struct Delivery {
    id: i64,
    phone_number_id: String,
    status: i16,
    wamid: Option<String>,
    created_at: Millis,
    accepted_at: Option<Millis>,
    sent_at: Option<Millis>,
    delivered_at: Option<Millis>,
    read_at: Option<Millis>,
    failed_at: Option<Millis>,
    error_code: Option<i64>,
    error: Option<String>,
    pricing: Option<String>,
}

/// What came of applying changes.
#[derive(Default)]
pub(crate) struct Applied {
    /// The Meta ids of those whose message does not exist.
    unknown: Vec<String>,
    /// The Meta ids that were not known before.
    revealed: Vec<String>,
}

/// Applies changes.
pub(crate) async fn apply(scope: &mut Scope<'_>, changes: &[Change]) -> Result<Applied, DbErr> {
    let mut applied = Applied::default();
    let mut by_message: BTreeMap<i64, Vec<&Change>> = BTreeMap::new();
    for change in changes {
        by_message.entry(change.message).or_default().push(change);
    }
    let ids: Vec<i64> = by_message.keys().copied().collect();
    let mut rows = Vec::with_capacity(ids.len());
    for part in bulk::parts(&ids) {
        let stored: Vec<Delivery> = message::Entity::find()
            .select_only()
            .columns([
                message::Column::Id,
                message::Column::PhoneNumberId,
                message::Column::Status,
                message::Column::Wamid,
                message::Column::CreatedAt,
                message::Column::AcceptedAt,
                message::Column::SentAt,
                message::Column::DeliveredAt,
                message::Column::ReadAt,
                message::Column::FailedAt,
                message::Column::ErrorCode,
                message::Column::Error,
                message::Column::Pricing,
            ])
            .filter(message::Column::Id.is_in(part.iter().copied()))
            .filter(message::Column::Direction.eq("out"))
            .into_model()
            .all(scope.tx)
            .await?;
        for delivery in stored {
            if let Some(changes) = by_message.remove(&delivery.id) {
                if delivery.wamid.is_none() {
                    applied.revealed.extend(changes.iter().find_map(|change| change.wamid.clone()));
                }
                rows.push(merged(scope, delivery, &changes));
            }
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
    let set = "update message set status = v.status, wamid = v.wamid, accepted_at = v.accepted_at, \
               sent_at = v.sent_at, delivered_at = v.delivered_at, read_at = v.read_at, failed_at = v.failed_at, \
               error_code = v.error_code, error = v.error, pricing = v.pricing from v where message.id = v.id";
    bulk::with_values(scope.tx, &columns, rows, set).await?;
    applied.unknown = by_message.into_values().flatten().filter_map(|change| change.wamid.clone()).collect();
    Ok(applied)
}

fn merged(scope: &mut Scope<'_>, mut message: Delivery, changes: &[&Change]) -> Vec<Value> {
    let before = of_rank(message.status);
    let mut status = before;
    let mut meta_failed = before == Status::Failed;
    for change in changes {
        status = status.merge(change.status);
        message.wamid = message.wamid.or_else(|| change.wamid.clone());
        let first_time = match change.status {
            Status::Accepted => &mut message.accepted_at,
            Status::Sent => &mut message.sent_at,
            Status::Delivered => &mut message.delivered_at,
            Status::Read | Status::Played => &mut message.read_at,
            Status::GivenUp | Status::Failed => &mut message.failed_at,
            Status::Received | Status::Queued | Status::Ambiguous => continue,
        };
        *first_time = Some(first_time.map_or(change.at, |time| time.min(change.at)));
        message.pricing = message.pricing.or_else(|| change.pricing.clone());
        // What Meta tells replaces what we made of it ourselves, whichever comes first.
        let told_by_meta = meta_failed;
        meta_failed |= change.status == Status::Failed;
        if let Some(failure) = &change.error
            && (message.error.is_none() || (!told_by_meta && meta_failed))
        {
            message.error_code = Some(failure.code);
            message.error = serde_json::to_string(failure).ok();
        }
    }
    if matches!(status, Status::Accepted | Status::Sent | Status::Delivered | Status::Read | Status::Played) {
        // Meta has it by now, though it may tell so before our own request is answered.
        message.accepted_at = message.accepted_at.or(Some(scope.now));
    }
    if status != before {
        for (status, by) in [(before, -1), (status, 1)] {
            let name = format!("status:{}", status.as_str());
            scope.tally.add_of(message.created_at, &message.phone_number_id, &name, by);
        }
    }
    vec![
        message.id.into(),
        rank(status).into(),
        message.wamid.into(),
        message.accepted_at.into(),
        message.sent_at.into(),
        message.delivered_at.into(),
        message.read_at.into(),
        message.failed_at.into(),
        message.error_code.into(),
        message.error.into(),
        message.pricing.into(),
    ]
}

/// A queue row that went away: its lane and its message.
pub(crate) type Gone = (ConversationId, MessageId);

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
