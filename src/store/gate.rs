//! The gate: whether a message may leave now, judged in the transaction that claims it. What may not leave is held, or put
//! with the dead with its reason on the message; nothing is posted on a judgement that is not on disk.

use std::collections::HashMap;
use std::sync::Arc;

use sea_orm::{
    ColumnTrait, ConnectionTrait, DbErr, EntityTrait, QueryFilter, QueryOrder, QueryResult, QuerySelect,
    Value,
};

use crate::clock::Millis;
use crate::domain::consent::Consent;
use crate::domain::delivery::{Refusal, Status};
use crate::domain::inbound::Content;
use crate::domain::leaving::{Leaving, Passage};
use crate::domain::outbound::Message;
use crate::domain::window::{Outside, is_open};
use crate::store::batch::Scope;
use crate::store::consent::opted_out;
use crate::store::entity::{message, queue as queue_row};
use crate::store::identity::execute;
use crate::store::{Attempted, Claim, Hint, bulk, queue, recovery, search, statuses, text};

/// A row of the queue that asks to leave, with what is known of its person.
struct Asking {
    id: i64,
    conversation: i64,
    number: String,
    free_form: bool,
    marketing: bool,
    despite_opt_out: bool,
    outside: Outside,
    last_inbound_at: Option<Millis>,
    consent: Consent,
}

impl Asking {
    fn read(row: &QueryResult) -> Result<Self, DbErr> {
        let outside: Option<String> = row.try_get_by_index(6)?;
        Ok(Self {
            id: row.try_get_by_index(0)?,
            conversation: row.try_get_by_index(1)?,
            number: row.try_get_by_index(2)?,
            free_form: row.try_get_by_index(3)?,
            marketing: row.try_get_by_index(4)?,
            despite_opt_out: row.try_get_by_index(5)?,
            outside: Outside::of_stored(outside.as_deref()),
            last_inbound_at: row.try_get_by_index(7)?,
            consent: Consent {
                all: opted_out(row.try_get_by_index(8)?, row.try_get_by_index::<Option<String>>(9)?),
                marketing: opted_out(row.try_get_by_index(10)?, row.try_get_by_index::<Option<String>>(11)?),
            },
        })
    }

    fn leaving(&self) -> Leaving<'_> {
        Leaving {
            free_form: self.free_form,
            marketing: self.marketing,
            despite_opt_out: self.despite_opt_out,
            outside: &self.outside,
            consent: self.consent,
            last_inbound_at: self.last_inbound_at,
        }
    }
}

/// What becomes of these messages, which want to leave. From here on, a crash leaves those that are admitted ambiguous.
pub(crate) async fn claim(scope: &mut Scope<'_>, messages: &[i64]) -> Result<HashMap<i64, Claim>, DbErr> {
    let sql = "select q.id, q.conversation_id, q.phone_number_id, q.free_form, q.marketing, q.despite_opt_out, q.outside, \
               s.last_inbound_at, c.opted_out_at, c.opted_out_by, c.marketing_opted_out_at, c.marketing_opted_out_by \
               from queue q join session s on s.id = q.conversation_id join contact c on c.id = s.contact_id \
               where q.state in ('ready', 'claimed', 'ambiguous') and q.id in ({ids})";
    let mut claims = HashMap::with_capacity(messages.len());
    let mut admitted = Vec::with_capacity(messages.len());
    let mut held = Vec::new();
    let mut dead = Vec::new();
    let mut skipped = Vec::new();
    for row in bulk::returning_ids(scope.tx, sql, messages).await? {
        let mut asking = Asking::read(&row)?;
        look_into_the_journal(scope, &mut asking).await?;
        let claim = match asking.leaving().judge(scope.now, scope.window_margin) {
            Passage::Go => {
                admitted.push(asking.id);
                Claim::Admitted
            }
            Passage::GoAs(template) => {
                replace(scope, &asking, &template).await?;
                admitted.push(asking.id);
                Claim::AdmittedAs(Arc::new(*template))
            }
            Passage::Hold => {
                held.push(asking.id);
                queue::leave_lane(scope, asking.conversation);
                scope.after.held.push(asking.conversation);
                Claim::Held
            }
            Passage::Refuse(refusal) => {
                dead.push((asking.id, refusal));
                Claim::Withheld(refusal)
            }
            Passage::Skip(refusal) => {
                skipped.push((asking.id, refusal));
                Claim::Withheld(refusal)
            }
        };
        claims.insert(asking.id, claim);
    }
    let claimed = "update queue set state = 'claimed', attempts = attempts + 1 where id in ({ids})";
    bulk::with_ids(scope.tx, claimed, &[], &admitted).await?;
    // Until the person writes; `due_at` says since when.
    let aside = "update queue set state = 'held', due_at = $1, reason = 'it waits until the person writes' where id in ({ids})";
    bulk::with_ids(scope.tx, aside, &[scope.now.into()], &held).await?;
    withhold(scope, &dead, &skipped).await?;
    Ok(claims)
}

/// The session tells when the person last wrote as of the last turn. What was accepted since stands in the journal, and is
/// looked up only where it matters.
async fn look_into_the_journal(scope: &Scope<'_>, asking: &mut Asking) -> Result<(), DbErr> {
    if !asking.free_form || is_open(asking.last_inbound_at, scope.now, scope.window_margin) {
        return Ok(());
    }
    let newest = newest_inbound(scope.tx, asking.conversation).await?;
    asking.last_inbound_at = asking.last_inbound_at.max(newest);
    Ok(())
}

/// When the person in this conversation last wrote, by the journal.
pub(crate) async fn newest_inbound(
    db: &impl ConnectionTrait,
    conversation: i64,
) -> Result<Option<Millis>, DbErr> {
    let newest: Option<(i64,)> = message::Entity::find()
        .select_only()
        .column(message::Column::CreatedAt)
        .filter(message::Column::ConversationId.eq(conversation))
        .filter(message::Column::Direction.eq("in"))
        .filter(message::Column::Kind.is_not_in(Content::WINDOWLESS))
        .order_by_desc(message::Column::Position)
        .limit(1)
        .into_tuple()
        .one(db)
        .await?;
    Ok(newest.map(|(at,)| at))
}

/// From here on the message is this template.
async fn replace(scope: &mut Scope<'_>, asking: &Asking, template: &Message) -> Result<(), DbErr> {
    let before: Option<(String, Option<String>, Millis, i64)> = message::Entity::find_by_id(asking.id)
        .select_only()
        .columns([
            message::Column::Kind,
            message::Column::Body,
            message::Column::CreatedAt,
            message::Column::Position,
        ])
        .into_tuple()
        .one(scope.tx)
        .await?;
    if let Some((kind, body, created_at, position)) = before {
        for (kind, by) in [(kind.as_str(), -1), (template.kind(), 1)] {
            scope.tally.add_of(created_at, &asking.number, &format!("out:{kind}"), by);
        }
        search::reworded(scope, position, body.as_deref().unwrap_or_default(), template.body()).await?;
    }
    let content = serde_json::to_string(template).map_err(|error| DbErr::Json(error.to_string()))?;
    let said = "update message set kind = $1, body = $2, content = $3, media_id = $4 where id = $5";
    let values = [
        Value::from(template.kind()),
        text(template.body()).into(),
        content.into(),
        template.file().map(|file| file.0).into(),
        asking.id.into(),
    ];
    execute(scope, said, values).await?;
    let queued = "update queue set free_form = false, outside = null where id = $1";
    execute(scope, queued, [asking.id.into()]).await.map(drop)
}

async fn withhold(
    scope: &mut Scope<'_>,
    dead: &[(i64, Refusal)],
    skipped: &[(i64, Refusal)],
) -> Result<(), DbErr> {
    let ids = |withheld: &[(i64, Refusal)]| withheld.iter().map(|(id, _)| *id).collect::<Vec<i64>>();
    queue::bury(scope, &ids(dead)).await?;
    queue::drop_rows(scope, &ids(skipped)).await?;
    let mut changes = Vec::with_capacity(dead.len() + skipped.len());
    let mut attempts = Vec::with_capacity(changes.capacity());
    for (message, refusal) in dead.iter().chain(skipped) {
        let attempt = Attempted { outcome: Attempted::WITHHELD, failure: refusal.failure(None) };
        attempts.push(queue::attempt_row(scope, *message, &attempt));
        changes.push(queue::change(scope, *message, Status::GivenUp, None, Some(attempt.failure)));
    }
    queue::record(scope, &attempts).await?;
    statuses::apply(scope, &changes).await.map(drop)
}

/// These people have written: what was held for them goes back into its lane, before anything that answers them.
pub(crate) async fn release(scope: &mut Scope<'_>, conversations: &[i64]) -> Result<(), DbErr> {
    let waiting: Vec<i64> =
        conversations.iter().copied().filter(|conversation| scope.held.contains(conversation)).collect();
    if waiting.is_empty() {
        return Ok(());
    }
    let mut rows = queue_row::Entity::find()
        .filter(queue_row::Column::State.eq("held"))
        .filter(queue_row::Column::ConversationId.is_in(waiting.iter().copied()))
        .order_by_asc(queue_row::Column::Position)
        .all(scope.tx)
        .await?;
    let sql = "update queue set state = 'ready', waited_ms = waited_ms + $1 - due_at, due_at = $2, reason = null \
               where id in ({ids})";
    let ids: Vec<i64> = rows.iter().map(|row| row.id).collect();
    bulk::with_ids(scope.tx, sql, &[scope.now.into(), scope.now.into()], &ids).await?;
    for row in &mut rows {
        row.waited_ms += scope.now - row.due_at;
        row.due_at = scope.now;
        "ready".clone_into(&mut row.state);
        *scope.after.lanes.entry(row.conversation_id).or_default() += 1;
    }
    let outbound = recovery::outbound_of(scope.tx, &rows).await?;
    scope.after.hints.push(Hint::Queued(outbound));
    scope.after.released.extend(waiting);
    Ok(())
}
