//! The conversations that we have with people.

use std::collections::BTreeMap;

use sea_orm::{ColumnTrait, DatabaseConnection, EntityTrait, FromQueryResult, QueryFilter, QuerySelect};
use serde_json::Value as Json;

use super::contacts::identity;
use super::{Clause, Found, Page, Span, Way, Who, in_order, walk};
use crate::clock::Millis;
use crate::domain::contact::Identity;
use crate::domain::ids::{ContactId, ConversationId};
use crate::store::entity::{contact, flow, session, timer};
use crate::store::{Error, Store, bulk};

/// Which conversations.
#[derive(Debug, Clone, Default)]
pub struct ConversationFilter {
    /// With this person.
    pub who: Option<Who>,
    /// With this number of ours.
    pub phone_number_id: Option<String>,
    /// Whose flow stands in this state.
    pub state: Option<String>,
    /// Whether a person has taken over.
    pub handed_off: Option<bool>,
    /// In which the person wrote at this time or later.
    pub active_since: Option<Millis>,
}

/// A stored conversation.
#[derive(Debug, Clone)]
pub struct StoredConversation {
    /// Its id.
    pub id: ConversationId,
    /// The person.
    pub contact: ContactId,
    /// Who they are.
    pub identity: Identity,
    /// Our number.
    pub phone_number_id: String,
    /// Turns committed.
    pub version: i64,
    /// Where its flow stands.
    pub state: Option<String>,
    /// Whether a person has taken over.
    pub handed_off: bool,
    /// When the bot answers again by itself, where someone has said so.
    pub handed_off_until: Option<Millis>,
    /// When the person last wrote.
    pub last_inbound_at: Option<Millis>,
    /// When it began.
    pub created_at: Millis,
    /// When it last changed.
    pub updated_at: Millis,
    /// The conversation that it became part of, when its person turned out to be another one's.
    pub merged_into: Option<ConversationId>,
}

/// What a conversation's flow remembers.
#[derive(Debug, Clone)]
pub struct StoredSession {
    /// The hash of the flow that it is pinned to; empty before its first turn.
    pub flow_hash: String,
    /// The name of that flow.
    pub flow_name: Option<String>,
    /// The flow's snapshot, as the flow wrote it; `None` before its first turn.
    pub snapshot: Option<Json>,
    /// When its flow goes on although the person is silent.
    pub waits_until: Option<Millis>,
}

/// The columns of a conversation in a list: without the snapshot, which can be long.
#[derive(FromQueryResult)]
struct Row {
    id: i64,
    contact_id: i64,
    phone_number_id: String,
    version: i64,
    state: Option<String>,
    handed_off: bool,
    handed_off_until: Option<Millis>,
    last_inbound_at: Option<Millis>,
    created_at: Millis,
    updated_at: Millis,
    merged_into: Option<i64>,
}

impl Store {
    /// A page of conversations, in the order in which they were begun; without those that became part of another one.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn list_conversations(
        &self,
        filter: ConversationFilter,
        page: Page,
    ) -> Result<Found<StoredConversation>, Error> {
        self.list(move |db| async move {
            let contact = match &filter.who {
                Some(who) => match who.find(&db).await? {
                    Some(contact) => Some(contact),
                    None => return Ok(Found::none()),
                },
                None => None,
            };
            let found = walk(&db, &[way(&filter, contact)], Span::default(), &page).await?;
            let mut rows = Vec::with_capacity(found.keys.len());
            for part in bulk::parts(&found.keys) {
                rows.extend(stored(&db, part).await?);
            }
            let rows = in_order(rows, &found.keys, &page, |row| row.id.0);
            Ok(Found { rows, rest: found.rest })
        })
        .await
    }

    /// A conversation by its id, even where it became part of another one.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn find_conversation(&self, id: ConversationId) -> Result<Option<StoredConversation>, Error> {
        self.read(move |db| async move { Ok(stored(&db, &[id.0]).await?.pop()) }).await
    }

    /// What the flow of a conversation remembers.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn find_session(&self, id: ConversationId) -> Result<Option<StoredSession>, Error> {
        self.read(move |db| async move {
            let Some(row) = session::Entity::find_by_id(id.0).one(&db).await? else { return Ok(None) };
            let flow = flow::Entity::find_by_id(row.flow_hash.as_str()).one(&db).await?;
            let wait = timer::Entity::find_by_id(id.0).one(&db).await?;
            Ok(Some(StoredSession {
                flow_hash: row.flow_hash,
                flow_name: flow.map(|flow| flow.name),
                snapshot: serde_json::from_str(&row.snapshot).ok(),
                waits_until: wait.map(|wait| wait.due_at),
            }))
        })
        .await
    }
}

/// How conversations are found: by the person, else among those that somebody has in hand, else from the newest on.
fn way(filter: &ConversationFilter, contact: Option<i64>) -> Way {
    let mut on = vec![Clause::plain("merged_into is null")];
    let mut rest = Vec::new();
    match (contact, filter.handed_off) {
        (Some(contact), _) => on.push(Clause::new("contact_id = ?", [contact.into()])),
        (None, Some(true)) => on.push(Clause::plain("handed_off")),
        (None, _) => {}
    }
    match filter.handed_off {
        Some(true) if contact.is_some() => rest.push(Clause::plain("handed_off")),
        Some(false) => rest.push(Clause::plain("not handed_off")),
        Some(true) | None => {}
    }
    if let Some(number) = &filter.phone_number_id {
        rest.push(Clause::new("phone_number_id = ?", [number.as_str().into()]));
    }
    if let Some(state) = &filter.state {
        rest.push(Clause::new("state = ?", [state.as_str().into()]));
    }
    if let Some(since) = filter.active_since {
        rest.push(Clause::new("last_inbound_at >= ?", [since.into()]));
    }
    Way { from: "session", key: "id", on, rest, few: contact.is_some() }
}

/// Those of these conversations that are there, even where they became part of another one.
pub(in crate::store) async fn conversations_by_id(
    db: &DatabaseConnection,
    ids: &[ConversationId],
) -> Result<Vec<StoredConversation>, Error> {
    let ids: Vec<i64> = ids.iter().map(|id| id.0).collect();
    let mut rows = Vec::with_capacity(ids.len());
    for part in bulk::parts(&ids) {
        rows.extend(stored(db, part).await?);
    }
    Ok(rows)
}

async fn stored(db: &DatabaseConnection, ids: &[i64]) -> Result<Vec<StoredConversation>, Error> {
    let rows = session::Entity::find()
        .select_only()
        .columns([
            session::Column::Id,
            session::Column::ContactId,
            session::Column::PhoneNumberId,
            session::Column::Version,
            session::Column::State,
            session::Column::HandedOff,
            session::Column::HandedOffUntil,
            session::Column::LastInboundAt,
            session::Column::CreatedAt,
            session::Column::UpdatedAt,
            session::Column::MergedInto,
        ])
        .filter(session::Column::Id.is_in(ids.iter().copied()))
        .into_model::<Row>()
        .all(db)
        .await?;
    let people = contact::Entity::find()
        .filter(contact::Column::Id.is_in(rows.iter().map(|row| row.contact_id)))
        .all(db)
        .await?;
    let people: BTreeMap<i64, contact::Model> = people.into_iter().map(|row| (row.id, row)).collect();
    let view = |row: Row| StoredConversation {
        id: ConversationId(row.id),
        contact: ContactId(row.contact_id),
        identity: people.get(&row.contact_id).cloned().map(identity).unwrap_or_default(),
        phone_number_id: row.phone_number_id,
        version: row.version,
        state: row.state,
        handed_off: row.handed_off,
        handed_off_until: row.handed_off_until,
        last_inbound_at: row.last_inbound_at,
        created_at: row.created_at,
        updated_at: row.updated_at,
        merged_into: row.merged_into.map(ConversationId),
    };
    Ok(rows.into_iter().map(view).collect())
}
