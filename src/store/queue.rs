//! The outbound queue: claims, what became of attempts, and the rows that are left over from an earlier run.

use std::collections::HashSet;

use sea_orm::{ColumnTrait, DbErr, EntityTrait, QueryFilter, QueryResult, Set, Value};

use crate::clock::Millis;
use crate::domain::delivery::{Failure, Refusal, Status};
use crate::domain::ids::{ConversationId, MessageId};
use crate::domain::notice::{Alarm, News};
use crate::domain::outbound::Priority;
use crate::store::batch::{Note, Scope};
use crate::store::entity::{attempt, queue};
use crate::store::privacy::tombstone::{self, Grave};
use crate::store::statuses::{self, Change};
use crate::store::{Attempted, Hint, Settle, SettleOutcome, bulk, text};

/// Why a message is ambiguous that was claimed when the program ended.
const PROGRAM_ENDED: &str = "the program ended while it was being sent";

/// A queue row that went away: its lane and its message.
type Gone = (ConversationId, MessageId);

/// Writes down what became of attempts. A message that a status has settled meanwhile stays settled.
pub(crate) async fn settle(scope: &mut Scope<'_>, settles: &[&Settle]) -> Result<(), DbErr> {
    if settles.is_empty() {
        return Ok(());
    }
    let mut changes = Vec::new();
    let mut accepted = Vec::new();
    let mut wamids = Vec::new();
    let mut dead = Vec::new();
    let mut failed = Vec::new();
    let mut waiting = Vec::new();
    let mut attempts = Vec::new();
    for settle in settles {
        match &settle.outcome {
            SettleOutcome::Accepted { wamid } => {
                accepted.push(settle.id.0);
                wamids.push(wamid.clone());
                changes.push(change(scope, settle.id.0, Status::Accepted, Some(wamid.clone()), None));
            }
            SettleOutcome::Done => {
                accepted.push(settle.id.0);
                changes.push(change(scope, settle.id.0, Status::Accepted, None, None));
            }
            SettleOutcome::Retry { due_at, attempt, counted } => {
                waiting.push(wait_row(settle, "ready", *due_at, attempt, *counted));
                attempts.push(attempt_row(scope, settle.id.0, attempt));
            }
            SettleOutcome::Ambiguous { until, attempt } => {
                waiting.push(wait_row(settle, "ambiguous", *until, attempt, true));
                attempts.push(attempt_row(scope, settle.id.0, attempt));
                changes.push(change(scope, settle.id.0, Status::Ambiguous, None, None));
            }
            SettleOutcome::Failed { attempt } => {
                dead.push(settle.id.0);
                attempts.push(attempt_row(scope, settle.id.0, attempt));
                failed.push(change(scope, settle.id.0, Status::GivenUp, None, Some(attempt.failure.clone())));
            }
        }
    }
    remove(scope, &accepted).await?;
    let buried = bury(scope, &dead).await?;
    // One that a status has settled meanwhile has not failed, whatever became of this attempt.
    changes.extend(failed.into_iter().filter(|change| buried.iter().any(|(_, id)| id.0 == change.message)));
    let set = "update queue set state = v.state, due_at = v.due_at, reason = v.reason, \
               attempts = queue.attempts - v.uncounted \
               from v where queue.id = v.id and queue.state in ('ready', 'claimed', 'ambiguous')";
    bulk::with_values(scope.tx, &["id", "state", "due_at", "reason", "uncounted"], waiting, set).await?;
    record_of_those_there(scope, attempts).await?;
    let applied = statuses::apply(scope, &changes).await?;
    let gone: Vec<Grave<'_>> = applied.unknown.iter().map(|wamid| Grave::Message(wamid)).collect();
    tombstone::bury(scope, &gone).await?;
    statuses::unpark(scope, &wamids).await
}

/// Takes messages that Meta has told a status of out of the queue, if they were still in it.
pub(crate) async fn settled_by_status(
    scope: &mut Scope<'_>,
    sent: &[i64],
    failed: &[i64],
) -> Result<Vec<Gone>, DbErr> {
    let mut gone = remove(scope, sent).await?;
    gone.extend(bury(scope, failed).await?);
    Ok(gone)
}

/// Takes messages that Meta has out of the queue. Whoever is first to know of it, the sender or a status, ends the
/// response time here.
async fn remove(scope: &mut Scope<'_>, messages: &[i64]) -> Result<Vec<Gone>, DbErr> {
    let sql = "delete from queue where state <> 'dead' and id in ({ids}) \
               returning conversation_id, id, phone_number_id, event_accepted_at, state";
    let mut rows = bulk::returning_ids(scope.tx, sql, messages).await?;
    // One that was sent, perhaps, and is held since: it is in no lane.
    rows.retain(|row| row.try_get_by_index::<String>(4).is_ok_and(|state| state != "held"));
    for row in &rows {
        let (number, accepted_at): (String, i64) = (row.try_get_by_index(2)?, row.try_get_by_index(3)?);
        scope.tally.add_response(&number, scope.now - accepted_at);
        scope.after.notes.push(Note::Replied(scope.now - accepted_at));
    }
    close(scope, &rows)
}

pub(crate) async fn bury(scope: &mut Scope<'_>, messages: &[i64]) -> Result<Vec<Gone>, DbErr> {
    let sql = "update queue set state = 'dead' where state in ('ready', 'claimed', 'ambiguous') and id in ({ids}) returning conversation_id, id";
    let rows = bulk::returning_ids(scope.tx, sql, messages).await?;
    let buried = close(scope, &rows)?;
    // One that was sent, perhaps, and is held since: it is in no lane.
    let held = "update queue set state = 'dead' where state = 'held' and id in ({ids}) returning conversation_id, id";
    let held = gone(&bulk::returning_ids(scope.tx, held, messages).await?)?;
    scope.news.extend(buried.iter().chain(&held).map(|(_, id)| News::Alarm(Alarm::DeadLetter(*id))));
    Ok(buried)
}

/// Meta took these, so that they are in the queue no more, and tells now that they failed: somebody has to look after them. One
/// that was sent again has its successor.
pub(crate) async fn put_with_the_dead(scope: &mut Scope<'_>, messages: &[i64]) -> Result<(), DbErr> {
    let (reply, bulk) = (Priority::Reply.rank(), Priority::Bulk.rank());
    let sql = format!(
        "insert into queue (id, position, conversation_id, shard, phone_number_id, state, attempts, due_at, event_accepted_at, \
         priority, free_form, marketing, despite_opt_out, waited_ms) \
         select m.id, m.position, m.conversation_id, m.shard, m.phone_number_id, 'dead', \
         1 + (select count(*) from attempt a where a.message_id = m.id), coalesce(m.failed_at, m.created_at), \
         coalesce((select w.accepted_at from webhook w where w.id = m.event_id), m.created_at), \
         case when m.kind = 'template' then {bulk} else {reply} end, m.kind <> 'template', false, false, 0 \
         from message m where m.resent_as is null and m.id in ({{ids}}) on conflict (id) do nothing returning id"
    );
    for row in bulk::returning_ids(scope.tx, &sql, messages).await? {
        scope.news.push(News::Alarm(Alarm::DeadLetter(MessageId(row.try_get_by_index(0)?))));
    }
    Ok(())
}

/// Meta has these after all, whatever became of another attempt at them: nobody has to look after them any more.
pub(crate) async fn raise(scope: &Scope<'_>, messages: &[i64]) -> Result<(), DbErr> {
    let sql = "delete from queue where state = 'dead' and id in ({ids})";
    bulk::with_ids(scope.tx, sql, &[], messages).await.map(drop)
}

/// Takes messages out of the queue that will not be sent, in whatever state they wait.
pub(crate) async fn drop_rows(scope: &mut Scope<'_>, messages: &[i64]) -> Result<Vec<Gone>, DbErr> {
    let sql = "delete from queue where state in ('ready', 'claimed', 'ambiguous') and id in ({ids}) returning conversation_id, id";
    let rows = bulk::returning_ids(scope.tx, sql, messages).await?;
    close(scope, &rows)
}

/// A person does not want these sent any more. Those that may be under way stay; the answer is which ones went.
pub(crate) async fn discard(scope: &mut Scope<'_>, messages: &[i64]) -> Result<Vec<MessageId>, DbErr> {
    let waiting = "delete from queue where state = 'ready' and id in ({ids}) returning conversation_id, id";
    let mut discarded = close(scope, &bulk::returning_ids(scope.tx, waiting, messages).await?)?;
    let aside =
        "delete from queue where state in ('held', 'dead') and id in ({ids}) returning conversation_id, id";
    let lanes = discarded.clone();
    discarded.extend(gone(&bulk::returning_ids(scope.tx, aside, messages).await?)?);
    let failure = Refusal::Discarded.failure(None);
    let changes: Vec<Change> = discarded
        .iter()
        .map(|(_, id)| change(scope, id.0, Status::GivenUp, None, Some(failure.clone())))
        .collect();
    statuses::apply(scope, &changes).await?;
    if !lanes.is_empty() {
        scope.after.hints.push(Hint::Settled(lanes));
    }
    Ok(discarded.into_iter().map(|(_, id)| id).collect())
}

/// Notes that these rows are out of their lanes.
fn close(scope: &mut Scope<'_>, rows: &[QueryResult]) -> Result<Vec<Gone>, DbErr> {
    let gone = gone(rows)?;
    gone.iter().for_each(|(conversation, _)| leave_lane(scope, conversation.0));
    Ok(gone)
}

/// Notes that one message of this conversation is out of its lane.
pub(crate) fn leave_lane(scope: &mut Scope<'_>, conversation: i64) {
    *scope.after.lanes.entry(conversation).or_default() -= 1;
}

/// The lane and the message of each row.
fn gone(rows: &[QueryResult]) -> Result<Vec<Gone>, DbErr> {
    rows.iter()
        .map(|row| Ok((ConversationId(row.try_get_by_index(0)?), MessageId(row.try_get_by_index(1)?))))
        .collect()
}

/// What was claimed when the program last ended may have been posted: it is ambiguous, with a grace until `until`, and that
/// attempt is kept, so that whoever finds a message doubled finds out why.
pub(crate) async fn orphans(scope: &mut Scope<'_>, until: Millis) -> Result<(), DbErr> {
    let rows = queue::Entity::find().filter(queue::Column::State.eq("claimed")).all(scope.tx).await?;
    let sql = "update queue set state = 'ambiguous', due_at = $1, reason = $2 where id in ({ids})";
    let ids: Vec<i64> = rows.iter().map(|row| row.id).collect();
    bulk::with_ids(scope.tx, sql, &[until.into(), PROGRAM_ENDED.into()], &ids).await?;
    let changes: Vec<Change> =
        ids.iter().map(|id| change(scope, *id, Status::Ambiguous, None, None)).collect();
    let failure = Failure { title: PROGRAM_ENDED.to_owned(), ..Failure::default() };
    let attempt = Attempted { outcome: "ambiguous", failure };
    let attempts: Vec<_> = ids.iter().map(|id| attempt_row(scope, *id, &attempt)).collect();
    record(scope, &attempts).await?;
    statuses::apply(scope, &changes).await.map(drop)
}

/// What we ourselves found out of a message, now.
pub(crate) fn change(
    scope: &Scope<'_>,
    message: i64,
    status: Status,
    wamid: Option<String>,
    error: Option<Failure>,
) -> Change {
    Change { message, status, wamid, at: scope.now, error, pricing: None }
}

fn wait_row(settle: &Settle, state: &str, due_at: Millis, attempt: &Attempted, counted: bool) -> Vec<Value> {
    let reason = text(&attempt.failure.to_string());
    vec![settle.id.0.into(), state.into(), due_at.into(), reason.into(), i32::from(!counted).into()]
}

/// Keeps these attempts, but for those at messages that were erased meanwhile.
async fn record_of_those_there(
    scope: &Scope<'_>,
    mut attempts: Vec<attempt::ActiveModel>,
) -> Result<(), DbErr> {
    let ids: Vec<i64> = attempts.iter().map(|row| *row.message_id.as_ref()).collect();
    let rows = bulk::returning_ids(scope.tx, "select id from message where id in ({ids})", &ids).await?;
    let there: Result<HashSet<i64>, DbErr> = rows.iter().map(|row| row.try_get_by_index(0)).collect();
    let there = there?;
    attempts.retain(|row| there.contains(row.message_id.as_ref()));
    record(scope, &attempts).await
}

/// Keeps these attempts.
pub(crate) async fn record(scope: &Scope<'_>, attempts: &[attempt::ActiveModel]) -> Result<(), DbErr> {
    for part in bulk::parts(attempts) {
        attempt::Entity::insert_many(part.iter().cloned()).exec_without_returning(scope.tx).await?;
    }
    Ok(())
}

pub(crate) fn attempt_row(scope: &Scope<'_>, message: i64, attempt: &Attempted) -> attempt::ActiveModel {
    attempt::ActiveModel {
        id: Set(scope.ids.next()),
        message_id: Set(message),
        at: Set(scope.now),
        outcome: Set(attempt.outcome.to_owned()),
        code: Set((attempt.failure.code != 0).then_some(attempt.failure.code)),
        reason: Set(text(&attempt.failure.to_string())),
        trace: Set(attempt.failure.trace.as_deref().map(text)),
    }
}
