//! Events, as they came and with what became of them.

use std::collections::{HashMap, HashSet};

use sea_orm::{
    ColumnTrait, DatabaseConnection, EntityTrait, FromQueryResult, QueryFilter, QueryOrder, QuerySelect,
};

use super::{Clause, Found, Order, Page, Place, Span, Times, Way, in_order, rows_of, walk};
use crate::clock::Millis;
use crate::domain::dedupe::DedupeKey;
use crate::domain::event::Event;
use crate::domain::ids::{ConversationId, EventId};
use crate::domain::outbound::Message;
use crate::store::entity::{message, session, webhook};
use crate::store::{Error, Store, bulk, recovery};

/// The states of an event.
pub const STATES: [&str; 5] = ["accepted", "done", "ignored", "parked", "quarantined"];
/// The kinds that are found by walking, as the index `webhook_kind` leaves them out.
const COMMON_KINDS: [&str; 4] = ["message", "status", "command", "timer"];
const RARE: &str = "kind not in ('message', 'status', 'command', 'timer')";

/// Which events.
#[derive(Debug, Clone, Default)]
pub struct EventFilter {
    /// In this state.
    pub state: Option<String>,
    /// Of this kind.
    pub kind: Option<String>,
    /// That a conversation was asked: what its person wrote, commands and waits.
    pub conversation: Option<ConversationId>,
    /// Of this number of ours.
    pub phone_number_id: Option<String>,
    /// Whose reason has this text in it, in capitals or not as far as these are ASCII.
    pub reason: Option<String>,
    /// Accepted in this time.
    pub times: Times,
}

/// A stored event.
#[derive(Debug, Clone)]
pub struct StoredEvent {
    /// Its id.
    pub id: EventId,
    /// `message`, `status`, `command`, `timer`, `unreadable`, or Meta's field.
    pub kind: String,
    /// `accepted`, `done`, `ignored`, `parked` or `quarantined`.
    pub state: String,
    /// Its conversation.
    pub conversation: Option<ConversationId>,
    /// Our number.
    pub phone_number_id: Option<String>,
    /// Attempts at its turn after the first.
    pub attempts: i32,
    /// Why it is in its state.
    pub reason: Option<String>,
    /// It, as it came; not in lists, because it can be megabytes.
    pub payload: Option<String>,
    /// When it was accepted.
    pub accepted_at: Millis,
    /// When it was done with.
    pub done_at: Option<Millis>,
}

/// Something that happened in a conversation and is done.
#[derive(Debug, Clone)]
pub struct PastEvent {
    /// It.
    pub event: Event,
    /// What was said because of it.
    pub said: Vec<Message>,
}

/// The columns of an event in a list.
#[derive(FromQueryResult)]
struct Row {
    id: i64,
    kind: String,
    state: String,
    conversation_id: Option<i64>,
    phone_number_id: Option<String>,
    attempts: i32,
    reason: Option<String>,
    accepted_at: Millis,
    done_at: Option<Millis>,
}

impl Store {
    /// A page of events, in the order in which they were accepted.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn list_events(&self, filter: EventFilter, page: Page) -> Result<Found<StoredEvent>, Error> {
        self.list(move |db| async move {
            let lines = match filter.conversation {
                Some(conversation) => lines(&db, conversation).await?,
                None => Vec::new(),
            };
            let span = Span::of(&db, "webhook", "id", "accepted_at", filter.times).await?;
            let found = walk(&db, &ways(&filter, &lines), span, &page).await?;
            let mut rows = Vec::with_capacity(found.keys.len());
            for part in bulk::parts(&found.keys) {
                let some = without_payload().filter(webhook::Column::Id.is_in(part.iter().copied()));
                rows.extend(some.into_model::<Row>().all(&db).await?.into_iter().map(listed));
            }
            let rows = in_order(rows, &found.keys, &page, |row| row.id.0);
            Ok(Found { rows, rest: found.rest })
        })
        .await
    }

    /// What was done in a conversation, and in those that became part of it, from the oldest on: events of these times, up to
    /// `limit`, each with what was said because of it.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn past(
        &self,
        conversation: ConversationId,
        times: Times,
        limit: u64,
    ) -> Result<Found<PastEvent>, Error> {
        self.list(move |db| async move {
            let lines = lines(&db, conversation).await?;
            let done = EventFilter { state: Some("done".to_owned()), ..EventFilter::default() };
            let page = Page { order: Order::OldestFirst, place: Place::Start, limit };
            let span = Span::of(&db, "webhook", "id", "accepted_at", times).await?;
            let found = walk(&db, &ways(&done, &lines), span, &page).await?;
            let rows = rows_of::<webhook::Entity>(&db, webhook::Column::Id, &found.keys).await?;
            let mut said = said(&db, &lines, &found.keys).await?;
            let events = rows.into_iter().filter_map(recovery::event);
            let past =
                events.map(|event| PastEvent { said: said.remove(&event.id.0).unwrap_or_default(), event });
            let rows = in_order(past.collect(), &found.keys, &page, |past| past.event.id.0);
            Ok(Found { rows, rest: found.rest })
        })
        .await
    }

    /// The event that was accepted under this key.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn find_event(&self, dedupe_key: DedupeKey) -> Result<Option<StoredEvent>, Error> {
        self.read(move |db| async move {
            let key = webhook::Column::DedupeKey.eq(dedupe_key.as_bytes());
            let row = webhook::Entity::find().filter(key).one(&db).await?;
            Ok(row.map(whole))
        })
        .await
    }

    /// An event by its id.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn find_event_by_id(&self, id: EventId) -> Result<Option<StoredEvent>, Error> {
        self.read(move |db| async move { Ok(webhook::Entity::find_by_id(id.0).one(&db).await?.map(whole)) })
            .await
    }
}

/// Those of these events that are there, without what they came as.
pub(in crate::store) async fn events_by_id(
    db: &DatabaseConnection,
    ids: &[EventId],
) -> Result<Vec<StoredEvent>, Error> {
    let ids: Vec<i64> = ids.iter().map(|id| id.0).collect();
    let mut rows = Vec::with_capacity(ids.len());
    for part in bulk::parts(&ids) {
        let some = without_payload().filter(webhook::Column::Id.is_in(part.iter().copied()));
        rows.extend(some.into_model::<Row>().all(db).await?.into_iter().map(listed));
    }
    Ok(rows)
}

/// What was said because of these events, by event, each in the order in which it was written.
async fn said(
    db: &DatabaseConnection,
    lines: &[i64],
    events: &[i64],
) -> Result<HashMap<i64, Vec<Message>>, Error> {
    let mut said: HashMap<i64, Vec<Message>> = HashMap::new();
    // No message is committed before its event was accepted, and an event has few messages.
    let (Some(first), most) = (events.first(), 20 * events.len() as u64) else { return Ok(said) };
    let wanted: HashSet<i64> = events.iter().copied().collect();
    let rows: Vec<(i64, Option<String>)> = message::Entity::find()
        .select_only()
        .columns([message::Column::EventId, message::Column::Content])
        .filter(message::Column::ConversationId.is_in(lines.iter().copied()))
        .filter(message::Column::Position.gt(*first))
        .filter(message::Column::Direction.eq("out"))
        .order_by_asc(message::Column::Position)
        .limit(most)
        .into_tuple()
        .all(db)
        .await?;
    for (event, content) in rows.into_iter().filter(|(event, _)| wanted.contains(event)) {
        let message = content.and_then(|content| serde_json::from_str(&content).ok());
        said.entry(event).or_default().extend(message);
    }
    Ok(said)
}

/// The conversation that this one is now, and those that became part of it.
async fn lines(db: &DatabaseConnection, conversation: ConversationId) -> Result<Vec<i64>, Error> {
    let row = session::Entity::find_by_id(conversation.0).one(db).await?;
    let now = row.and_then(|row| row.merged_into).unwrap_or(conversation.0);
    let earlier: Vec<i64> = session::Entity::find()
        .select_only()
        .column(session::Column::Id)
        .filter(session::Column::MergedInto.eq(now))
        .into_tuple()
        .all(db)
        .await?;
    Ok(std::iter::once(now).chain(earlier).collect())
}

/// How events are found: by the conversation, else by a state that few are in, by a kind that few are of, or by their
/// reason; else from the newest on.
fn ways(filter: &EventFilter, lines: &[i64]) -> Vec<Way> {
    let along = |on: Clause, left: &EventFilter| Way::along("webhook", "id", vec![on], rest(left));
    if !lines.is_empty() {
        // What a person wrote has one id as a message and as an event; the messages are in order by conversation already.
        let rest = rest(filter);
        let this = vec![Clause::plain("webhook.id = message.id")];
        let event =
            || Clause::select("select 1 from webhook", &[this.clone(), rest.clone()].concat()).exists();
        let written = |line: &i64| {
            let on =
                vec![Clause::new("conversation_id = ?", [(*line).into()]), Clause::plain("direction = 'in'")];
            Way::along("message", "position", on, if rest.is_empty() { Vec::new() } else { vec![event()] })
        };
        let asked = |line: &i64| {
            along(
                Clause::new("conversation_id = ? and kind in ('command', 'timer')", [(*line).into()]),
                filter,
            )
        };
        return lines.iter().map(written).chain(lines.iter().map(asked)).collect();
    }
    let without_state = EventFilter { state: None, ..filter.clone() };
    match (filter.state.as_deref(), filter.kind.as_deref()) {
        (Some("accepted"), _) => {
            let open = vec![Clause::plain("state = 'accepted'")];
            vec![Way::to_few("webhook", "id", open, rest(&without_state))]
        }
        (_, Some(kind)) if !COMMON_KINDS.contains(&kind) => {
            let left = EventFilter { kind: None, ..filter.clone() };
            vec![along(Clause::new(format!("kind = ? and {RARE}"), [kind.into()]), &left)]
        }
        (Some(state), _) if state != "done" || filter.reason.is_some() => {
            vec![along(with_a_reason(state), &without_state)]
        }
        (None, _) if filter.reason.is_some() => {
            STATES.into_iter().map(|state| along(with_a_reason(state), filter)).collect()
        }
        _ => vec![Way::along("webhook", "id", Vec::new(), rest(filter))],
    }
}

/// Events in this state that have a reason. Those that are ignored, parked or quarantined always have one.
fn with_a_reason(state: &str) -> Clause {
    Clause::new("state = ? and reason is not null", [state.into()])
}

/// What is looked at event by event.
fn rest(filter: &EventFilter) -> Vec<Clause> {
    let mut rest = Vec::new();
    for (column, wanted) in
        [("state", &filter.state), ("kind", &filter.kind), ("phone_number_id", &filter.phone_number_id)]
    {
        if let Some(wanted) = wanted {
            rest.push(Clause::new(format!("webhook.{column} = ?"), [wanted.as_str().into()]));
        }
    }
    if let Some(reason) = &filter.reason {
        let pattern: String = reason
            .to_ascii_lowercase()
            .chars()
            .flat_map(|c| matches!(c, '%' | '_' | '\\').then_some('\\').into_iter().chain([c]))
            .collect();
        rest.push(Clause::new("lower(webhook.reason) like ? escape '\\'", [format!("%{pattern}%").into()]));
    }
    rest
}

fn without_payload() -> sea_orm::Select<webhook::Entity> {
    webhook::Entity::find().select_only().columns([
        webhook::Column::Id,
        webhook::Column::Kind,
        webhook::Column::State,
        webhook::Column::ConversationId,
        webhook::Column::PhoneNumberId,
        webhook::Column::Attempts,
        webhook::Column::Reason,
        webhook::Column::AcceptedAt,
        webhook::Column::DoneAt,
    ])
}

fn listed(row: Row) -> StoredEvent {
    StoredEvent {
        id: EventId(row.id),
        kind: row.kind,
        state: row.state,
        conversation: row.conversation_id.map(ConversationId),
        phone_number_id: row.phone_number_id,
        attempts: row.attempts,
        reason: row.reason,
        payload: None,
        accepted_at: row.accepted_at,
        done_at: row.done_at,
    }
}

fn whole(row: webhook::Model) -> StoredEvent {
    StoredEvent {
        id: EventId(row.id),
        kind: row.kind,
        state: row.state,
        conversation: row.conversation_id.map(ConversationId),
        phone_number_id: row.phone_number_id,
        attempts: row.attempts,
        reason: row.reason,
        payload: Some(row.payload),
        accepted_at: row.accepted_at,
        done_at: row.done_at,
    }
}
