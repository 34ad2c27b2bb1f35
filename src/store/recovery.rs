//! What makes a lost hint a delay and not a loss: reading back what is accepted and not done, what is queued and not
//! settled, and the session that a conversation starts from. Beside it, the attempts at a turn and their end in quarantine.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use sea_orm::{
    ColumnTrait, ConnectionTrait, DatabaseConnection, DbErr, EntityTrait, QueryFilter, QueryOrder,
    QuerySelect, Statement, Value,
};

use crate::clock::Millis;
use crate::domain::event::{Command, Event, Input};
use crate::domain::ids::{ContactId, ConversationId, EventId, MessageId};
use crate::domain::notice::{Alarm, News};
use crate::domain::outbound::Priority;
use crate::meta::webhook::{Body, parse_payload};
use crate::store::KnownFlow;
use crate::store::batch::Scope;
use crate::store::consent::consent_of;
use crate::store::entity::{contact, flow, message, queue, session, timer, webhook};
use crate::store::read::identity;
use crate::store::{Dispatch, Error, Hint, Outbound, QueueState, Session, Store, bulk, text};

/// The wait of a conversation, as stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DueTimer {
    /// Whose.
    pub conversation: ConversationId,
    /// Which.
    pub generation: i64,
}

/// What a conversation needs to start.
#[derive(Debug, Clone)]
pub struct Activation {
    /// Where it stands.
    pub session: Session,
    /// Its events that are accepted and not done, in order.
    pub unfinished: Vec<Event>,
    /// The conversation that it became part of: it has no events of its own any more.
    pub merged_into: Option<ConversationId>,
}

impl Store {
    /// The session and the unfinished events of a conversation; `None` when there is no such conversation.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn activate(&self, conversation: ConversationId) -> Result<Option<Activation>, Error> {
        self.read(move |db| async move {
            // The session first: an event that is done in between is then found not to be open any more.
            let Some(row) = session::Entity::find_by_id(conversation.0).one(&db).await? else {
                return Ok(None);
            };
            let person = contact::Entity::find_by_id(row.contact_id).one(&db).await?;
            let open = webhook::Entity::find()
                .filter(webhook::Column::State.eq("accepted"))
                .filter(webhook::Column::ConversationId.eq(conversation.0))
                .order_by_asc(webhook::Column::Id)
                .all(&db)
                .await?;
            let unfinished = open.into_iter().filter_map(event).collect();
            let merged_into = row.merged_into.map(ConversationId);
            Ok(Some(Activation { session: session_of(row, person), unfinished, merged_into }))
        })
        .await
    }

    /// The events that were accepted before `before` and are not done, in order within each conversation. One that cannot be read back is put aside
    /// here, with that as its reason.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn unfinished_before(&self, before: Millis) -> Result<Vec<Dispatch>, Error> {
        let rows = self
            .read(move |db| async move {
                let rows = webhook::Entity::find()
                    .filter(webhook::Column::State.eq("accepted"))
                    .filter(webhook::Column::AcceptedAt.lt(before))
                    .order_by_asc(webhook::Column::ConversationId)
                    .order_by_asc(webhook::Column::Id);
                Ok(rows.all(&db).await?)
            })
            .await?;
        let mut dispatches = Vec::with_capacity(rows.len());
        for row in rows {
            let id = EventId(row.id);
            match event(row) {
                Some(event) => dispatches.push(Dispatch { event, fresh: None }),
                None => _ = self.quarantine(id, "it cannot be read back").await?,
            }
        }
        Ok(dispatches)
    }

    /// Every queue row that is not dead, in order, with what is needed to send it.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn outbound(&self) -> Result<Vec<Outbound>, Error> {
        self.read(move |db| async move {
            let rows = queue::Entity::find()
                .filter(queue::Column::State.is_in(["ready", "claimed", "ambiguous"]))
                .order_by_asc(queue::Column::Position)
                .all(&db)
                .await?;
            let mut outbound = Vec::with_capacity(rows.len());
            for part in bulk::parts(&rows) {
                outbound.extend(outbound_of(&db, part).await?);
            }
            Ok(outbound)
        })
        .await
    }

    /// Waits that are over at `now`, up to `limit`.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn due_timers(&self, now: Millis, limit: u64) -> Result<Vec<DueTimer>, Error> {
        self.read(move |db| async move {
            let rows = timer::Entity::find()
                .filter(timer::Column::DueAt.lte(now))
                .order_by_asc(timer::Column::DueAt)
                .limit(limit)
                .all(&db)
                .await?;
            let due = |row: timer::Model| DueTimer {
                conversation: ConversationId(row.conversation_id),
                generation: row.generation,
            };
            Ok(rows.into_iter().map(due).collect())
        })
        .await
    }

    /// The source of a flow that sessions may be pinned to.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn find_flow(&self, hash: &str) -> Result<Option<KnownFlow>, Error> {
        let hash = hash.to_owned();
        self.read(move |db| async move {
            let row = flow::Entity::find_by_id(hash).one(&db).await?;
            Ok(row.map(|row| KnownFlow { hash: row.hash, name: row.name, source: row.source }))
        })
        .await
    }
}

/// The highest id that any table holds.
pub(crate) async fn highest_id(db: &DatabaseConnection) -> Result<i64, DbErr> {
    let columns = [
        "webhook.id",
        "message.id",
        "message.position",
        "session.id",
        "contact.id",
        "attempt.id",
        "queue.position",
        "media.id",
        "feed.id",
        "delivery.id",
        "follower.position",
        "template.id",
        "api_key.id",
        "audit.id",
        "erasure.id",
    ];
    let highest = columns
        .iter()
        .filter_map(|name| name.split_once('.'))
        .map(|(table, column)| format!("select max({column}) as highest from {table}"));
    let of_each = highest.collect::<Vec<_>>().join(" union all ");
    let sql = format!("select coalesce(max(highest), 0) from ({of_each}) as of_each");
    let row = db.query_one_raw(Statement::from_string(db.get_database_backend(), sql)).await?;
    row.ok_or(DbErr::RecordNotFound("highest".to_owned()))?.try_get_by_index(0)
}

/// The conversations for which messages are held.
pub(crate) async fn held(db: &DatabaseConnection) -> Result<HashSet<i64>, DbErr> {
    let rows: Vec<i64> = queue::Entity::find()
        .select_only()
        .column(queue::Column::ConversationId)
        .distinct()
        .filter(queue::Column::State.eq("held"))
        .into_tuple()
        .all(db)
        .await?;
    Ok(rows.into_iter().collect())
}

/// How many queue rows that wait to leave or are under way each conversation has.
pub(crate) async fn open_lanes(db: &DatabaseConnection) -> Result<HashMap<i64, i64>, DbErr> {
    let rows: Vec<(i64, i64)> = queue::Entity::find()
        .select_only()
        .column(queue::Column::ConversationId)
        .column_as(queue::Column::Id.count(), "open")
        .filter(queue::Column::State.is_in(["ready", "claimed", "ambiguous"]))
        .group_by(queue::Column::ConversationId)
        .into_tuple()
        .all(db)
        .await?;
    Ok(rows.into_iter().collect())
}

pub(crate) async fn attempt(scope: &Scope<'_>, event: EventId) -> Result<Option<u32>, DbErr> {
    let sql = "update webhook set attempts = attempts + 1 where state = 'accepted' and id in ({ids}) returning attempts";
    let rows = bulk::returning_ids(scope.tx, sql, &[event.0]).await?;
    let attempts: Option<i32> = rows.first().map(|row| row.try_get_by_index(0)).transpose()?;
    Ok(attempts.map(|attempts| u32::try_from(attempts).unwrap_or(0)))
}

pub(crate) async fn quarantine(scope: &mut Scope<'_>, event: EventId, reason: &str) -> Result<bool, DbErr> {
    let sql = "update webhook set state = 'quarantined', reason = $1, done_at = $2 where state = 'accepted' and id in ({ids})";
    let changed =
        bulk::with_ids(scope.tx, sql, &[text(reason).into(), scope.now.into()], &[event.0]).await? == 1;
    scope.after.open_delta -= i64::from(changed);
    scope.news.extend(changed.then_some(News::Alarm(Alarm::Quarantined(event))));
    Ok(changed)
}

pub(crate) async fn retry(scope: &mut Scope<'_>, id: EventId) -> Result<bool, DbErr> {
    let sql = "update webhook set state = 'accepted', attempts = 0, reason = null, done_at = null \
               where state = 'quarantined' and id in ({ids})";
    let changed = bulk::with_ids(scope.tx, sql, &[], &[id.0]).await? == 1;
    if changed {
        scope.after.open_delta += 1;
        let row = webhook::Entity::find_by_id(id.0).one(scope.tx).await?;
        if let Some(event) = row.and_then(event) {
            // All of its attempts are ahead of it.
            let event = Event { recovered: false, ..event };
            scope.after.hints.push(Hint::Accepted(vec![Dispatch { event, fresh: None }]));
        }
    }
    Ok(changed)
}

/// Puts a quarantined event away for good, with why it had been put aside; the conversation goes on without it.
pub(crate) async fn discard(scope: &Scope<'_>, id: EventId) -> Result<bool, DbErr> {
    let sql = "update webhook set state = 'ignored', reason = 'discarded; ' || coalesce(reason, 'for no known reason'), \
               done_at = $1 where state = 'quarantined' and id in ({ids})";
    Ok(bulk::with_ids(scope.tx, sql, &[scope.now.into()], &[id.0]).await? == 1)
}

pub(crate) async fn keep_flow(scope: &Scope<'_>, flow: &KnownFlow) -> Result<(), DbErr> {
    let columns = ["hash", "name", "source", "first_used_at"];
    let row: Vec<Value> = vec![
        flow.hash.clone().into(),
        flow.name.clone().into(),
        flow.source.clone().into(),
        scope.now.into(),
    ];
    bulk::insert(scope.tx, "flow", &columns, vec![row], "on conflict (hash) do nothing").await.map(drop)
}

pub(crate) async fn count_open(scope: &Scope<'_>) -> Result<i64, DbErr> {
    let sql = "select count(*) from webhook where state = 'accepted'";
    let row = scope.tx.query_one_raw(Statement::from_string(scope.tx.get_database_backend(), sql)).await?;
    row.ok_or(DbErr::RecordNotFound("count".to_owned()))?.try_get_by_index(0)
}

/// How many statuses wait for their message.
pub(crate) async fn count_parked(db: &DatabaseConnection) -> Result<i64, DbErr> {
    let sql = "select count(*) from webhook where state = 'parked'";
    let row = db.query_one_raw(Statement::from_string(db.get_database_backend(), sql)).await?;
    row.ok_or(DbErr::RecordNotFound("count".to_owned()))?.try_get_by_index(0)
}

/// An event from its row, if it can be read back.
pub(crate) fn event(row: webhook::Model) -> Option<Event> {
    let Some((conversation, input)) = row.conversation_id.zip(input(&row)) else {
        tracing::error!(event = %EventId(row.id), kind = row.kind, "an accepted event cannot be read back");
        return None;
    };
    Some(Event {
        id: EventId(row.id),
        conversation: ConversationId(conversation),
        accepted_at: row.accepted_at,
        attempts: u32::try_from(row.attempts).unwrap_or(0),
        recovered: true,
        input: Arc::new(input),
    })
}

fn input(row: &webhook::Model) -> Option<Input> {
    match row.kind.as_str() {
        "message" => match parse_payload(&row.payload)?.body {
            Body::Message(message) => Some(Input::Message(message.accepted_as(EventId(row.id)))),
            Body::Status(_) | Body::Preference(_) | Body::Template { .. } | Body::Other { .. } => None,
        },
        "command" => serde_json::from_str::<Command>(&row.payload).ok().map(Input::Command),
        "timer" => row.payload.parse().ok().map(|generation| Input::Timer { generation }),
        _ => None,
    }
}

fn session_of(row: session::Model, person: Option<contact::Model>) -> Session {
    let consent = person.as_ref().map(consent_of).unwrap_or_default();
    let identity = person.map(identity).unwrap_or_default();
    Session {
        conversation: ConversationId(row.id),
        contact: ContactId(row.contact_id),
        phone_number_id: row.phone_number_id.into(),
        identity,
        version: row.version,
        flow_hash: row.flow_hash,
        state: row.state,
        snapshot: row.snapshot,
        handed_off: row.handed_off,
        handed_off_until: row.handed_off_until,
        consent,
        timer_generation: row.timer_generation,
        last_inbound_at: row.last_inbound_at,
    }
}

pub(crate) async fn outbound_of(
    db: &impl ConnectionTrait,
    rows: &[queue::Model],
) -> Result<Vec<Outbound>, DbErr> {
    let messages = message::Entity::find()
        .filter(message::Column::Id.is_in(rows.iter().map(|row| row.id)))
        .all(db)
        .await?;
    let people = contact::Entity::find()
        .filter(contact::Column::Id.is_in(messages.iter().map(|message| message.contact_id)))
        .all(db)
        .await?;
    let people: HashMap<i64, contact::Model> = people.into_iter().map(|person| (person.id, person)).collect();
    let messages: HashMap<i64, message::Model> =
        messages.into_iter().map(|message| (message.id, message)).collect();
    Ok(rows.iter().filter_map(|row| outbound_row(row, messages.get(&row.id)?, &people)).collect())
}

fn outbound_row(
    row: &queue::Model,
    message: &message::Model,
    people: &HashMap<i64, contact::Model>,
) -> Option<Outbound> {
    let person = people.get(&message.contact_id).cloned()?;
    Some(Outbound {
        id: MessageId(row.id),
        position: row.position,
        conversation: ConversationId(row.conversation_id),
        phone_number_id: row.phone_number_id.as_str().into(),
        address: identity(person).address()?,
        message: Arc::new(serde_json::from_str(message.content.as_deref()?).ok()?),
        reply_to: message.reply_to.clone(),
        state: QueueState::parse(&row.state)?,
        attempts: u32::try_from(row.attempts).unwrap_or(0),
        due_at: row.due_at,
        event_accepted_at: row.event_accepted_at,
        priority: Priority::of_rank(row.priority),
        waited_ms: row.waited_ms,
    })
}
