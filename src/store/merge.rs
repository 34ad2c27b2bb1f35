//! Two contacts become one. A conversation with a number that the surviving contact has none with goes over as it is; else
//! the two become one: whatever is unfinished goes to the surviving one's line, where its place is that of its id or
//! position, which grow over all conversations, so the order of acceptance is kept. The one that is no more stays as a
//! signpost with a new version, so that a turn which is still under way on it cannot be committed.

use std::collections::{BTreeMap, BTreeSet};

use sea_orm::{ColumnTrait, DbErr, EntityTrait, QueryFilter, QueryOrder, Value};

use crate::clock::Millis;
use crate::domain::contact::Address;
use crate::domain::ids::{ContactId, ConversationId};
use crate::domain::notice::{self, News};
use crate::store::batch::Scope;
use crate::store::counters::Span;
use crate::store::entity::{contact, session, webhook};
use crate::store::identity::execute;
use crate::store::read::name_key;
use crate::store::recovery::event;
use crate::store::{Dispatch, Hint, Redirected, bulk};

/// A conversation whose person, or whose place, is another one now.
#[derive(Debug, Clone)]
pub(crate) struct Moved {
    pub(crate) contact_before: i64,
    pub(crate) number: String,
    pub(crate) from: i64,
    pub(crate) to: i64,
}

/// Makes `merged` part of `survivor`: aliases, conversations and what they asked for.
pub(crate) async fn contacts(
    scope: &mut Scope<'_>,
    survivor: ContactId,
    merged: &[ContactId],
    address: Option<Address>,
) -> Result<Vec<Moved>, DbErr> {
    if merged.is_empty() {
        return Ok(Vec::new());
    }
    let losers: Vec<i64> = merged.iter().map(|contact| contact.0).collect();
    let into = [Value::from(survivor.0)];
    bulk::with_ids(scope.tx, "update alias set contact_id = $1 where contact_id in ({ids})", &into, &losers)
        .await?;
    wishes(scope, survivor.0, &losers).await?;
    let signpost = "update contact set merged_into = $1 where id in ({ids})";
    bulk::with_ids(scope.tx, signpost, &into, &losers).await?;
    let earlier = "update contact set merged_into = $1 where merged_into in ({ids})";
    bulk::with_ids(scope.tx, earlier, &into, &losers).await?;

    let rows = session::Entity::find()
        .filter(session::Column::ContactId.is_in(losers.iter().copied().chain([survivor.0])))
        .order_by_asc(session::Column::Id)
        .all(scope.tx)
        .await?;
    let wrote = rows.iter().filter(|row| row.active_at.is_some()).map(|row| row.contact_id);
    let wrote = wrote.collect::<BTreeSet<i64>>().len();
    let (own, theirs): (Vec<_>, Vec<_>) = rows.into_iter().partition(|row| row.contact_id == survivor.0);
    let mut lines: BTreeMap<String, session::Model> =
        own.into_iter().map(|row| (row.phone_number_id.clone(), row)).collect();
    let mut moved = Vec::with_capacity(theirs.len());
    for row in theirs {
        let number = row.phone_number_id.clone();
        let (from, contact_before) = (row.id, row.contact_id);
        let line = match lines.remove(&number) {
            None => take_over(scope, survivor.0, row).await?,
            Some(line) => fold(scope, row, line, address.clone()).await?,
        };
        moved.push(Moved { contact_before, number: number.clone(), from, to: line.id });
        lines.insert(number, line);
    }
    // Counted where they began; which number that was for a contact, nobody wrote down.
    if let Some(Moved { number, .. }) = moved.first() {
        scope.tally.add(number, "contacts", -i64::try_from(losers.len()).unwrap_or(0));
        let too_many = i64::try_from(wrote.saturating_sub(1)).unwrap_or(0);
        scope.tally.add_to(Span::All, number, "person", -too_many);
    }
    tracing::info!(contact = %survivor, merged = losers.len(), "contacts turned out to be one person");
    Ok(moved)
}

/// What any of them asked for holds for all; a name is kept where there is none.
async fn wishes(scope: &Scope<'_>, survivor: i64, losers: &[i64]) -> Result<(), DbErr> {
    let people = contact::Entity::find()
        .filter(contact::Column::Id.is_in(losers.iter().copied().chain([survivor])))
        .order_by_asc(contact::Column::Id)
        .all(scope.tx)
        .await?;
    let silent =
        people.iter().filter(|person| person.opted_out_at.is_some()).min_by_key(|person| person.opted_out_at);
    let no_marketing = people
        .iter()
        .filter(|person| person.marketing_opted_out_at.is_some())
        .min_by_key(|person| person.marketing_opted_out_at);
    let name = people.iter().find_map(|person| person.name.clone());
    let values = [
        Value::from(name.as_deref().map(name_key)),
        name.into(),
        people.iter().find_map(|person| person.username.clone()).into(),
        silent.and_then(|person| person.opted_out_at).into(),
        silent.and_then(|person| person.opted_out_by.clone()).into(),
        no_marketing.and_then(|person| person.marketing_opted_out_at).into(),
        no_marketing.and_then(|person| person.marketing_opted_out_by.clone()).into(),
        people.iter().filter_map(|person| person.marketing_changed_at).max().into(),
        survivor.into(),
    ];
    let sql = "update contact set name_key = $1, name = $2, username = $3, opted_out_at = $4, opted_out_by = $5, \
               marketing_opted_out_at = $6, marketing_opted_out_by = $7, marketing_changed_at = $8 where id = $9";
    execute(scope, sql, values).await.map(drop)
}

/// The surviving contact had no conversation with this number: now it has this one.
async fn take_over(scope: &Scope<'_>, survivor: i64, row: session::Model) -> Result<session::Model, DbErr> {
    let into = [Value::from(survivor), row.id.into()];
    execute(scope, "update session set contact_id = $1 where id = $2", into.clone()).await?;
    execute(scope, "update message set contact_id = $1 where conversation_id = $2", into).await?;
    Ok(session::Model { contact_id: survivor, ..row })
}

/// Makes the conversation `from` part of `to`. The dialogue that goes on is the one in which the person wrote last.
async fn fold(
    scope: &mut Scope<'_>,
    from: session::Model,
    to: session::Model,
    address: Option<Address>,
) -> Result<session::Model, DbErr> {
    let lively = from.last_inbound_at > to.last_inbound_at;
    let (handed_off, handed_off_until) = hand_off(&from, &to);
    let last_inbound_at = from.last_inbound_at.max(to.last_inbound_at);
    let wait = match handed_off_until {
        _ if !handed_off && lively => Wait::From,
        _ if !handed_off => Wait::To,
        until => Wait::HandOff(until),
    };
    let timer_generation = match wait {
        Wait::To => to.timer_generation,
        // One that neither of them had, so that no wait of before ends it.
        Wait::From | Wait::HandOff(_) => from.timer_generation.max(to.timer_generation) + 1,
    };
    timers(scope, &from, &to, wait, timer_generation).await?;
    events(scope, from.id, to.id).await?;

    let shard = ConversationId(to.id).shard();
    let queued = "update queue set conversation_id = $1, shard = $2 \
                  where id in (select id from message where conversation_id = $3)";
    execute(scope, queued, [to.id.into(), shard.into(), from.id.into()]).await?;
    let said =
        "update message set conversation_id = $1, contact_id = $2, shard = $3 where conversation_id = $4";
    execute(scope, said, [to.id.into(), to.contact_id.into(), shard.into(), from.id.into()]).await?;

    let signpost =
        "update session set merged_into = $1, version = version + 1, updated_at = $2 where id = $3";
    execute(scope, signpost, [to.id.into(), scope.now.into(), from.id.into()]).await?;
    let earlier = "update session set merged_into = $1 where merged_into = $2";
    execute(scope, earlier, [to.id.into(), from.id.into()]).await?;

    let id = to.id;
    let (from_id, number) = (from.id, from.phone_number_id.clone());
    let from_active_at = from.active_at;
    // They were two who had written, and are one.
    if from_active_at.is_some() && to.active_at.is_some() {
        scope.tally.add_to(Span::All, &number, "active", -1);
    }
    let dialogue = if lively { from } else { to.clone() };
    let active_at = from_active_at.max(to.active_at);
    let line = session::Model {
        flow_hash: dialogue.flow_hash,
        state: dialogue.state,
        snapshot: dialogue.snapshot,
        timer_generation,
        handed_off,
        handed_off_until,
        last_inbound_at,
        active_at,
        ..to
    };
    let sql = "update session set flow_hash = $1, state = $2, snapshot = $3, timer_generation = $4, handed_off = $5, \
               last_inbound_at = $6, updated_at = $7, handed_off_until = $8, active_at = $9 where id = $10";
    let values = [
        Value::from(line.flow_hash.clone()),
        line.state.clone().into(),
        line.snapshot.clone().into(),
        timer_generation.into(),
        handed_off.into(),
        last_inbound_at.into(),
        scope.now.into(),
        handed_off_until.into(),
        active_at.into(),
        id.into(),
    ];
    execute(scope, sql, values).await?;

    scope.tally.add(&number, "conversations", -1);
    scope.after.merged_lanes.push((from_id, id));
    scope.news.push(News::Conversation(ConversationId(from_id), notice::Change::Merged));
    let (from, to) = (ConversationId(from_id), ConversationId(id));
    scope.after.hints.push(Hint::Redirected(vec![Redirected { from, to, address }]));
    Ok(line)
}

/// Whether a person has either conversation in hand, and until when: the longer one holds.
fn hand_off(one: &session::Model, other: &session::Model) -> (bool, Option<Millis>) {
    let open = [one, other].into_iter().filter(|session| session.handed_off);
    let ends: Option<Vec<Millis>> = open.map(|session| session.handed_off_until).collect();
    (one.handed_off || other.handed_off, ends.and_then(|ends| ends.into_iter().max()))
}

/// Which wait a conversation has after another one became part of it.
#[derive(Clone, Copy)]
enum Wait {
    /// Its own.
    To,
    /// The other one's.
    From,
    /// The end of the hand-off, if that has one.
    HandOff(Option<Millis>),
}

async fn timers(
    scope: &mut Scope<'_>,
    from: &session::Model,
    to: &session::Model,
    wait: Wait,
    generation: i64,
) -> Result<(), DbErr> {
    let dropped: &[i64] = match wait {
        Wait::To => &[from.id],
        Wait::From => &[to.id],
        Wait::HandOff(_) => &[from.id, to.id],
    };
    bulk::with_ids(scope.tx, "delete from timer where conversation_id in ({ids})", &[], dropped).await?;
    let shard = ConversationId(to.id).shard();
    match wait {
        Wait::From => {
            let wait = "update timer set conversation_id = $1, shard = $2, generation = $3 where conversation_id = $4";
            execute(scope, wait, [to.id.into(), shard.into(), generation.into(), from.id.into()]).await?;
            let over = "update webhook set conversation_id = $1, shard = $2, payload = $3 where state = 'accepted' \
                        and conversation_id = $4 and kind = 'timer' and payload = $5";
            let (now, before) = (generation.to_string(), from.timer_generation.to_string());
            execute(scope, over, [to.id.into(), shard.into(), now.into(), from.id.into(), before.into()])
                .await?;
        }
        Wait::HandOff(Some(until)) => {
            let columns = ["conversation_id", "shard", "generation", "due_at"];
            let row = vec![to.id.into(), shard.into(), generation.into(), until.into()];
            bulk::insert(scope.tx, "timer", &columns, vec![row], "").await?;
        }
        Wait::To | Wait::HandOff(None) => {}
    }
    for state in ["accepted", "quarantined"] {
        let stale = format!(
            "update webhook set state = 'done', done_at = $1, reason = 'its conversation became part of another' \
             where state = '{state}' and kind = 'timer' and conversation_id in ({{ids}})"
        );
        let done = bulk::with_ids(scope.tx, &stale, &[scope.now.into()], &[from.id]).await?;
        if state == "accepted" {
            scope.after.open_delta -= i64::try_from(done).unwrap_or(0);
        }
    }
    Ok(())
}

/// What is accepted and not done, or put aside, goes over. The first is handed out again: whoever has it in hand finds
/// that its conversation is no more.
async fn events(scope: &mut Scope<'_>, from: i64, to: i64) -> Result<(), DbErr> {
    let shard = ConversationId(to).shard();
    for state in ["accepted", "quarantined"] {
        let sql = format!(
            "update webhook set conversation_id = $1, shard = $2 where state = '{state}' and conversation_id = $3"
        );
        execute(scope, &sql, [to.into(), shard.into(), from.into()]).await?;
    }
    let open = webhook::Entity::find()
        .filter(webhook::Column::State.eq("accepted"))
        .filter(webhook::Column::ConversationId.eq(to))
        .order_by_asc(webhook::Column::Id)
        .all(scope.tx)
        .await?;
    let open: Vec<Dispatch> =
        open.into_iter().filter_map(event).map(|event| Dispatch { event, fresh: None }).collect();
    if !open.is_empty() {
        scope.after.hints.push(Hint::Accepted(open));
    }
    Ok(())
}
