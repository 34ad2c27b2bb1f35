//! The commit of a turn: the event done, the new state (version checked), the messages, the queue, the timer and the
//! business writes, in the transaction of the batch. A turn that may not be committed refuses the whole batch, whose jobs
//! are then tried one by one: alone, the refusal is its answer.

use sea_orm::{ConnectionTrait, DbErr, Set, Statement, Value};

use crate::domain::delivery::Status;
use crate::domain::ids::{ConversationId, MessageId};
use crate::domain::leaving::{Leaving, Passage};
use crate::domain::notice::News;
use crate::domain::window::needs_window;
use crate::store::batch::{Abort, Reply, Scope};
use crate::store::entity::{message, queue};
use crate::store::identity::execute;
use crate::store::read::name_key;
use crate::store::statuses::rank;
use crate::store::{
    Hint, Outbound, Outgoing, QueueState, Session, TimerChange, Turn, TurnReply, bulk, consent, sql, text,
};

/// Commits `turns`, all of them or none.
pub(crate) async fn apply(scope: &mut Scope<'_>, turns: &[&Turn]) -> Result<(), Abort> {
    finish_events(scope, turns).await?;
    save_sessions(scope, turns).await?;
    for turn in turns {
        for write in &turn.writes {
            if let Err(error) = sql::write(scope.tx, write).await {
                let (connector, error) = (write.connector.clone(), error.to_string());
                return Err(Abort::Refused(Reply::Turn(TurnReply::WriteFailed { connector, error })));
            }
        }
        if turn.identity_changed {
            save_identity(scope, &turn.session).await?;
        }
        if let Some(change) = turn.consent {
            consent::change(scope, turn.session.contact, change, Some(turn.session.conversation)).await?;
        }
        let conversation = turn.session.conversation;
        scope.news.extend(turn.changes.iter().map(|change| News::Conversation(conversation, *change)));
        for (state, option) in &turn.chosen {
            scope.tally.add(&turn.session.phone_number_id, &format!("chosen:{state}:{option}"), 1);
        }
    }
    save_timers(scope, turns).await?;
    queue_messages(scope, turns).await?;
    Ok(())
}

async fn finish_events(scope: &mut Scope<'_>, turns: &[&Turn]) -> Result<(), Abort> {
    let ids: Vec<i64> = turns.iter().map(|turn| turn.event.0).collect();
    // PostgreSQL would rather walk the index of all open events, were it not kept from seeing that it can.
    let sql = "update webhook set state = 'done', done_at = $1, reason = null \
               where coalesce(state, '') = 'accepted' and id in ({ids})";
    let done = bulk::with_ids(scope.tx, sql, &[scope.now.into()], &ids).await?;
    if done != ids.len() as u64 {
        return Err(Abort::Refused(Reply::Turn(TurnReply::AlreadyDone)));
    }
    scope.after.open_delta -= i64::try_from(ids.len()).unwrap_or(0);
    Ok(())
}

async fn save_sessions(scope: &mut Scope<'_>, turns: &[&Turn]) -> Result<(), Abort> {
    let columns = [
        "id",
        "version",
        "flow_hash",
        "state",
        "snapshot",
        "handed_off",
        "handed_off_until",
        "timer_generation",
        "last_inbound_at",
        "updated_at",
    ];
    let rows: Vec<Vec<Value>> = turns
        .iter()
        .map(|turn| {
            let session = &turn.session;
            vec![
                session.conversation.0.into(),
                session.version.into(),
                session.flow_hash.clone().into(),
                session.state.clone().into(),
                session.snapshot.clone().into(),
                session.handed_off.into(),
                session.handed_off_until.into(),
                session.timer_generation.into(),
                session.last_inbound_at.into(),
                scope.now.into(),
            ]
        })
        .collect();
    let fence = if scope.is_fenced { "and session.version = v.version - 1" } else { "" };
    let set = format!(
        "update session set version = v.version, flow_hash = v.flow_hash, state = v.state, snapshot = v.snapshot, \
               handed_off = v.handed_off, handed_off_until = v.handed_off_until, timer_generation = v.timer_generation, last_inbound_at = v.last_inbound_at, \
               updated_at = v.updated_at from v where session.id = v.id {fence}"
    );
    let saved = bulk::with_values(scope.tx, &columns, rows, &set).await?;
    if saved == turns.len() as u64 { Ok(()) } else { Err(Abort::Refused(Reply::Turn(TurnReply::Conflict))) }
}

async fn save_identity(scope: &Scope<'_>, session: &Session) -> Result<(), DbErr> {
    let identity = &session.identity;
    let sql = "update contact set name = $1, name_key = $2, username = $3, updated_at = $4 where id = $5";
    let values: [Value; 5] = [
        identity.name.as_deref().map(text).into(),
        identity.name.as_deref().map(name_key).into(),
        identity.username.as_deref().map(text).into(),
        scope.now.into(),
        session.contact.0.into(),
    ];
    let statement = Statement::from_sql_and_values(scope.tx.get_database_backend(), sql, values);
    scope.tx.execute_raw(statement).await.map(drop)
}

async fn save_timers(scope: &Scope<'_>, turns: &[&Turn]) -> Result<(), DbErr> {
    let mut set = Vec::new();
    let mut cleared = Vec::new();
    for turn in turns {
        let conversation = turn.session.conversation;
        match turn.timer {
            TimerChange::Keep => {}
            TimerChange::Clear => cleared.push(conversation.0),
            TimerChange::Set(due_at) => set.push(vec![
                conversation.0.into(),
                conversation.shard().into(),
                turn.session.timer_generation.into(),
                due_at.into(),
            ]),
        }
    }
    bulk::with_ids(scope.tx, "delete from timer where conversation_id in ({ids})", &[], &cleared).await?;
    let columns = ["conversation_id", "shard", "generation", "due_at"];
    let replace = "on conflict (conversation_id) do update set generation = excluded.generation, due_at = excluded.due_at";
    bulk::insert(scope.tx, "timer", &columns, set, replace).await.map(drop)
}

async fn queue_messages(scope: &mut Scope<'_>, turns: &[&Turn]) -> Result<(), DbErr> {
    let mut messages = Vec::new();
    let mut rows = Vec::new();
    let mut outbound = Vec::new();
    for turn in turns {
        let Some(address) = turn.session.identity.address() else { continue };
        let conversation = turn.session.conversation;
        // A message whose lane is empty leaves at once: write its claim with it, and save a transaction.
        let mut at_once = scope.claim_at_once && !scope.open_lanes.contains_key(&conversation.0);
        for outgoing in &turn.messages {
            if !take_over(scope, outgoing).await? {
                continue;
            }
            // What may not leave now is judged, and its reason written down, when it is claimed.
            let claimed = std::mem::take(&mut at_once) && may_leave(scope, turn, outgoing);
            let state = if claimed { QueueState::Claimed } else { QueueState::Ready };
            let position = scope.ids.next();
            messages.push(message_row(scope, turn, outgoing, position));
            rows.push(queue_row(scope, turn, outgoing, position, state));
            scope.news.push(News::Message(outgoing.id));
            outbound.push(Outbound {
                id: outgoing.id,
                position,
                conversation,
                phone_number_id: turn.session.phone_number_id.clone(),
                address: address.clone(),
                message: outgoing.message.clone(),
                reply_to: outgoing.reply_to.clone(),
                state,
                attempts: u32::from(claimed),
                due_at: scope.now,
                event_accepted_at: turn.accepted_at,
                priority: outgoing.priority,
                waited_ms: 0,
            });
            *scope.after.lanes.entry(conversation.0).or_default() += 1;
            let number = &turn.session.phone_number_id;
            scope.tally.add(number, "out", 1);
            scope.tally.add(number, &format!("out:{}", outgoing.message.kind()), 1);
            scope.tally.add(number, "status:queued", 1);
        }
    }
    bulk::insert_models(scope.tx, messages, "").await?;
    bulk::insert_models(scope.tx, rows, "").await?;
    if !outbound.is_empty() {
        scope.after.said = true;
        scope.after.hints.push(Hint::Queued(outbound));
    }
    Ok(())
}

/// Whether the message may leave at this moment, as far as the turn knows.
fn may_leave(scope: &Scope<'_>, turn: &Turn, outgoing: &Outgoing) -> bool {
    let leaving = Leaving {
        free_form: needs_window(&outgoing.message),
        marketing: outgoing.marketing,
        despite_opt_out: outgoing.despite_opt_out,
        outside: &outgoing.outside,
        consent: turn.session.consent,
        last_inbound_at: turn.session.last_inbound_at,
    };
    leaving.judge(scope.now, scope.window_margin) == Passage::Go
}

/// Puts a message in the place of the dead one that it is sent again for. False when that one is dead no more: somebody was
/// faster.
async fn take_over(scope: &Scope<'_>, outgoing: &Outgoing) -> Result<bool, DbErr> {
    let Some(MessageId(dead)) = outgoing.resend_of else { return Ok(true) };
    let gone = execute(scope, "delete from queue where state = 'dead' and id = $1", [dead.into()]).await?;
    if gone > 0 {
        let successor = "update message set resent_as = $1 where id = $2";
        execute(scope, successor, [outgoing.id.0.into(), dead.into()]).await?;
    }
    Ok(gone > 0)
}

fn message_row(scope: &Scope<'_>, turn: &Turn, outgoing: &Outgoing, position: i64) -> message::ActiveModel {
    let session = &turn.session;
    message::ActiveModel {
        id: Set(outgoing.id.0),
        conversation_id: Set(session.conversation.0),
        contact_id: Set(session.contact.0),
        shard: Set(session.conversation.shard()),
        phone_number_id: Set(session.phone_number_id.to_string()),
        event_id: Set(turn.event.0),
        direction: Set("out".to_owned()),
        kind: Set(outgoing.message.kind().to_owned()),
        body: Set(Some(text(outgoing.message.body()))),
        content: Set(serde_json::to_string(&*outgoing.message).ok()),
        reply_to: Set(outgoing.reply_to.as_deref().map(text)),
        status: Set(rank(Status::Queued)),
        created_at: Set(scope.now),
        resend_of: Set(outgoing.resend_of.map(|id| id.0)),
        media_id: Set(outgoing.message.file().map(|file| file.0)),
        position: Set(position),
        // The rest comes later, and a column that is not named is null.
        ..Default::default()
    }
}

fn queue_row(
    scope: &Scope<'_>,
    turn: &Turn,
    outgoing: &Outgoing,
    position: i64,
    state: QueueState,
) -> queue::ActiveModel {
    let conversation: ConversationId = turn.session.conversation;
    let claimed = state == QueueState::Claimed;
    queue::ActiveModel {
        id: Set(outgoing.id.0),
        position: Set(position),
        conversation_id: Set(conversation.0),
        shard: Set(conversation.shard()),
        phone_number_id: Set(turn.session.phone_number_id.to_string()),
        state: Set(state.as_str().to_owned()),
        attempts: Set(i32::from(claimed)),
        due_at: Set(scope.now),
        event_accepted_at: Set(turn.accepted_at),
        priority: Set(outgoing.priority.rank()),
        outside: Set(outgoing.outside.stored().as_deref().map(text)),
        free_form: Set(needs_window(&outgoing.message)),
        marketing: Set(outgoing.marketing),
        despite_opt_out: Set(outgoing.despite_opt_out),
        waited_ms: Set(0),
        ..Default::default()
    }
}
