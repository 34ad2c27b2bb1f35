//! Erasing a person, step by step: ordered, cut off, taken out of the journal, cleaned up after. Each step is a request to the
//! writer; who orders them stands above the store.

use std::sync::Arc;

use sea_orm::{ColumnTrait, Condition, DbErr, EntityTrait, QueryFilter, QueryOrder, QuerySelect, Set, Value};

use crate::clock::Millis;
use crate::domain::contact::AliasKind;
use crate::domain::delivery::{Refusal, Status};
use crate::domain::identity::Alias;
use crate::domain::ids::{ContactId, ConversationId};
use crate::store::batch::{Abort, Reply, Scope};
use crate::store::directory::{Key, Learnt};
use crate::store::entity::{alias, audit, contact, erasure, message, session};
use crate::store::identity::execute;
use crate::store::privacy::remove::{self, Doomed, Removed};
use crate::store::privacy::sweep::{self, Found};
use crate::store::privacy::tombstone;
use crate::store::request::Request;
use crate::store::{Error, Hint, SqlWrite, Store, bulk, queue, sql, statuses};

/// Messages that go in one transaction: some milliseconds of the writer's time.
const MESSAGES_AT_ONCE: u64 = 200;
/// The parameter of a flow's statements: the room of flows has the same name for it.
const PERSON: &str = "person";

/// How far the erasing of a person has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErasureState {
    /// It is ordered.
    Wanted,
    /// It is not done, and nothing has changed.
    Refused,
    /// The person is cut off; what they left behind is going.
    Begun,
    /// All of it is gone from the tables; the database is being cleaned.
    Cleaning,
    /// It is done.
    Done,
}

impl ErasureState {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Wanted, Self::Refused, Self::Begun, Self::Cleaning, Self::Done];

    /// As stored and shown.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Wanted => "wanted",
            Self::Refused => "refused",
            Self::Begun => "begun",
            Self::Cleaning => "cleaning",
            Self::Done => "done",
        }
    }

    fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == name)
    }
}

/// The erasing of a person. It names nobody, but for the ids that it needs while it is going on.
#[derive(Debug, Clone)]
pub struct Erasure {
    /// Its id.
    pub id: i64,
    /// Whom it is of.
    pub contact: ContactId,
    /// How far it has come.
    pub state: ErasureState,
    /// Why it was refused.
    pub reason: Option<String>,
    /// The ids under which the person was found, while it is going on.
    pub ids: Vec<String>,
    /// Messages that went.
    pub messages: i64,
    /// Events that went.
    pub events: i64,
    /// Files that went.
    pub files: i64,
    /// When it was ordered.
    pub wanted_at: Millis,
    /// When it was done.
    pub done_at: Option<Millis>,
}

/// What is to be written about an erasing.
#[derive(Debug, Clone)]
pub(crate) enum EraseWrite {
    Want(ContactId),
    Begin(i64, Arc<[String]>),
    Refuse(i64, String),
    Part(i64),
    Traces(i64, Vec<Found>),
    Clean(i64),
    Done(i64),
}

/// What became of beginning.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Parted {
    /// The person is cut off.
    Begun,
    /// A statement of a flow was refused, in the database's words: nothing has changed.
    Refused(String),
}

impl Store {
    /// Orders the erasing of this person, or finds the order that there is. `None` when there is no such person.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn want_erasure(&self, contact: ContactId) -> Result<Option<Erasure>, Error> {
        match self.ask(Request::Erase(EraseWrite::Want(contact))).await? {
            Reply::Erasure(erasure) => Ok(erasure.map(|erasure| *erasure)),
            _ => Err(Error::Closed),
        }
    }

    /// The newest erasing of this person.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn find_erasure(&self, contact: ContactId) -> Result<Option<Erasure>, Error> {
        self.read(move |db| async move {
            let row = erasure::Entity::find()
                .filter(erasure::Column::ContactId.eq(contact.0))
                .order_by_desc(erasure::Column::Id)
                .one(&db)
                .await?;
            Ok(row.and_then(stored))
        })
        .await
    }

    /// Everyone who is being erased, in the order in which that was ordered.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn open_erasures(&self) -> Result<Vec<Erasure>, Error> {
        self.read(move |db| async move {
            let rows = erasure::Entity::find()
                .filter(erasure::Column::State.is_not_in(["done", "refused"]))
                .order_by_asc(erasure::Column::Id)
                .all(&db)
                .await?;
            Ok(rows.into_iter().filter_map(stored).collect())
        })
        .await
    }

    /// Cuts a person off, in one transaction with `statements` on the business's own tables, which are run for each of the
    /// ids that they were known under, as `:person`.
    ///
    /// # Errors
    /// When the database refuses: nothing has changed.
    pub async fn begin_erasure(&self, id: i64, statements: Arc<[String]>) -> Result<Parted, Error> {
        match self.ask(Request::Erase(EraseWrite::Begin(id, statements))).await? {
            Reply::Parted(Parted::Refused(reason)) => {
                self.ask(Request::Erase(EraseWrite::Refuse(id, reason.clone()))).await?;
                Ok(Parted::Refused(reason))
            }
            Reply::Parted(begun) => Ok(begun),
            _ => Err(Error::Closed),
        }
    }

    /// Removes some of what an erased person left behind; true when there may be more.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn erase_part(&self, id: i64) -> Result<bool, Error> {
        self.erase_step(EraseWrite::Part(id)).await
    }

    /// Takes an erased person out of these events.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn erase_traces(&self, id: i64, found: Vec<Found>) -> Result<(), Error> {
        self.erase_step(EraseWrite::Traces(id, found)).await.map(drop)
    }

    /// Writes down that nothing of an erased person is left in the tables, and forgets the ids that it was looked for by.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn clean_erasure(&self, id: i64) -> Result<(), Error> {
        self.erase_step(EraseWrite::Clean(id)).await.map(drop)
    }

    /// Writes down that a person is erased.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn end_erasure(&self, id: i64) -> Result<(), Error> {
        self.erase_step(EraseWrite::Done(id)).await.map(drop)
    }

    async fn erase_step(&self, write: EraseWrite) -> Result<bool, Error> {
        match self.ask(Request::Erase(write)).await? {
            Reply::Changed(changed) => Ok(changed),
            _ => Err(Error::Closed),
        }
    }
}

pub(crate) async fn write(scope: &mut Scope<'_>, write: &EraseWrite) -> Result<Reply, Abort> {
    match write {
        EraseWrite::Want(contact) => Ok(want(scope, *contact).await?),
        EraseWrite::Begin(id, statements) => begin(scope, *id, statements).await,
        EraseWrite::Refuse(id, reason) => {
            let sql = "update erasure set state = 'refused', reason = $1 where id = $2";
            execute(scope, sql, [reason.clone().into(), (*id).into()]).await?;
            Ok(Reply::Changed(true))
        }
        EraseWrite::Part(id) => Ok(Reply::Changed(part(scope, *id).await?)),
        EraseWrite::Traces(id, found) => {
            let events = sweep::erase(scope, found).await?;
            count(scope, *id, Removed { events, ..Removed::default() }).await?;
            Ok(Reply::Changed(true))
        }
        EraseWrite::Clean(id) => {
            let sql = "update erasure set state = 'cleaning', ids = null, conversations = null where id = $1";
            execute(scope, sql, [(*id).into()]).await?;
            Ok(Reply::Changed(true))
        }
        EraseWrite::Done(id) => {
            let sql = "update erasure set state = 'done', done_at = $1 where id = $2";
            execute(scope, sql, [scope.now.into(), (*id).into()]).await?;
            Ok(Reply::Changed(true))
        }
    }
}

/// Orders it. One that was refused is ordered anew; one that is going on goes on.
async fn want(scope: &Scope<'_>, contact: ContactId) -> Result<Reply, DbErr> {
    let known = contact::Entity::find_by_id(contact.0).one(scope.tx).await?;
    let is_known = known.is_some();
    let person = known.map_or(contact.0, |person| person.merged_into.unwrap_or(person.id));
    let open = erasure::Entity::find()
        .filter(erasure::Column::ContactId.eq(person))
        .filter(erasure::Column::State.is_not_in(["done", "refused"]))
        .one(scope.tx)
        .await?;
    if let Some(open) = open {
        return Ok(Reply::Erasure(stored(open).map(Box::new)));
    }
    if !is_known {
        return Ok(Reply::Erasure(None));
    }
    let row = erasure::Model {
        id: scope.ids.next(),
        contact_id: person,
        state: ErasureState::Wanted.as_str().to_owned(),
        reason: None,
        ids: None,
        conversations: None,
        messages: 0,
        events: 0,
        files: 0,
        wanted_at: scope.now,
        done_at: None,
    };
    erasure::Entity::insert(erasure::ActiveModel::from(row.clone())).exec_without_returning(scope.tx).await?;
    Ok(Reply::Erasure(stored(row).map(Box::new)))
}

/// Cuts the person off: whatever leads to them goes, and what they are known by is noted for what comes after.
async fn begin(scope: &mut Scope<'_>, id: i64, statements: &[String]) -> Result<Reply, Abort> {
    let Some(order) =
        erasure::Entity::find_by_id(id).one(scope.tx).await?.filter(|row| row.state == "wanted")
    else {
        return Ok(Reply::Parted(Parted::Begun));
    };
    let them = Condition::any()
        .add(contact::Column::Id.eq(order.contact_id))
        .add(contact::Column::MergedInto.eq(order.contact_id));
    let people = contact::Entity::find().filter(them).all(scope.tx).await?;
    let contacts: Vec<i64> = people.iter().map(|person| person.id).collect();
    let ids: Vec<Alias> = alias::Entity::find()
        .filter(alias::Column::ContactId.is_in(contacts.iter().copied()))
        .all(scope.tx)
        .await?
        .into_iter()
        .filter_map(|row| Some((AliasKind::parse(&row.kind)?, row.value)))
        .collect();
    for statement in statements {
        for (_, person) in &ids {
            let params = [(PERSON.to_owned(), person.clone().into())].into();
            let write = SqlWrite { connector: "on_erase".to_owned(), sql: statement.clone(), params };
            if let Err(error) = sql::write(scope.tx, &write).await {
                return Err(Abort::Refused(Reply::Parted(Parted::Refused(format!(
                    "`{statement}`: {error}"
                )))));
            }
        }
    }
    for person in people.iter().filter(|person| person.id == order.contact_id) {
        tombstone::mark(scope, person, &ids).await?;
    }
    let conversations = forget_lines(scope, &contacts, &ids).await?;
    let dead = "delete from alias where contact_id in ({ids})";
    bulk::with_ids(scope.tx, dead, &[], &contacts).await?;
    bulk::with_ids(scope.tx, "delete from contact where id in ({ids})", &[], &contacts).await?;
    let known: Vec<&str> = ids.iter().map(|(_, id)| id.as_str()).collect();
    unname(scope, &known).await?;
    let json = |list: serde_json::Value| Value::from(list.to_string());
    let begun = "update erasure set state = 'begun', ids = $1, conversations = $2 where id = $3";
    let values = [json(known.into()), json(conversations.clone().into()), id.into()];
    execute(scope, begun, values).await?;
    let conversations = conversations.into_iter().map(ConversationId).collect();
    scope.after.hints.push(Hint::Erased(conversations));
    Ok(Reply::Parted(Parted::Begun))
}

/// Ends the conversations of these contacts, with all that waits in them, and forgets the ways to them. Which they were.
async fn forget_lines(scope: &mut Scope<'_>, contacts: &[i64], ids: &[Alias]) -> Result<Vec<i64>, DbErr> {
    let sessions = session::Entity::find()
        .filter(session::Column::ContactId.is_in(contacts.iter().copied()))
        .all(scope.tx)
        .await?;
    let conversations: Vec<i64> = sessions.iter().map(|row| row.id).collect();
    sweep::end_unfinished(scope, &conversations).await?;
    end_queued(scope, &conversations).await?;
    bulk::with_ids(scope.tx, "delete from timer where conversation_id in ({ids})", &[], &conversations)
        .await?;
    bulk::with_ids(scope.tx, "delete from session where id in ({ids})", &[], &conversations).await?;
    scope.after.released.extend(&conversations);
    scope.after.removed = true;
    let lines = sessions.into_iter().map(|row| Learnt::NoLine((row.contact_id, row.phone_number_id)));
    let ids = ids.iter().map(|(kind, id)| Learnt::NoAlias(Key::of(*kind, id)));
    scope.after.learnt.extend(lines.chain(ids));
    Ok(conversations)
}

/// What waits to leave does not leave, and counts as given up.
async fn end_queued(scope: &mut Scope<'_>, conversations: &[i64]) -> Result<(), DbErr> {
    let sql = "delete from queue where id in (select id from message where conversation_id in ({ids})) \
               returning conversation_id, id, state";
    let mut lanes = Vec::new();
    let mut given_up = Vec::new();
    let failure = Refusal::Discarded.failure(None);
    for row in bulk::returning_ids(scope.tx, sql, conversations).await? {
        let (conversation, id, state): (i64, i64, String) =
            (row.try_get_by_index(0)?, row.try_get_by_index(1)?, row.try_get_by_index(2)?);
        if !matches!(state.as_str(), "held" | "dead") {
            queue::leave_lane(scope, conversation);
            lanes.push((ConversationId(conversation), crate::domain::ids::MessageId(id)));
        }
        given_up.push(queue::change(scope, id, Status::GivenUp, None, Some(failure.clone())));
    }
    statuses::apply(scope, &given_up).await?;
    if !lanes.is_empty() {
        scope.after.hints.push(Hint::Settled(lanes));
    }
    Ok(())
}

/// Where the audit log names one of these ids, because somebody asked for it in the place of one of ours.
async fn unname(scope: &Scope<'_>, ids: &[&str]) -> Result<(), DbErr> {
    let spelt = ids.iter().flat_map(|id| [(*id).to_owned(), format!("+{id}")]);
    audit::Entity::update_many()
        .set(audit::ActiveModel { target: Set(None), ..audit::ActiveModel::default() })
        .filter(audit::Column::Target.is_in(spelt))
        .exec(scope.tx)
        .await
        .map(drop)
}

/// Removes some of the messages, and with the last of them what else the conversations were asked.
async fn part(scope: &mut Scope<'_>, id: i64) -> Result<bool, DbErr> {
    let Some(order) = erasure::Entity::find_by_id(id).one(scope.tx).await? else { return Ok(false) };
    let conversations: Vec<i64> = list(order.conversations.as_deref());
    let rows = message::Entity::find()
        .filter(message::Column::ConversationId.is_in(conversations.iter().copied()))
        .limit(MESSAGES_AT_ONCE)
        .all(scope.tx)
        .await?;
    let doomed = rows.into_iter().map(|row| Doomed {
        id: row.id,
        is_inbound: row.direction == "in",
        wamid: row.wamid,
        media: row.media_id,
        position: row.position,
        body: row.body,
    });
    let doomed: Vec<Doomed> = doomed.collect();
    let mut removed = remove::messages(scope, &doomed, true).await?;
    let more = doomed.len() as u64 == MESSAGES_AT_ONCE;
    if !more {
        removed.events += sweep::erase_asked(scope, &conversations).await?;
    }
    count(scope, id, removed).await?;
    Ok(more)
}

async fn count(scope: &Scope<'_>, id: i64, removed: Removed) -> Result<(), DbErr> {
    let sql =
        "update erasure set messages = messages + $1, events = events + $2, files = files + $3 where id = $4";
    let values = [removed.messages.into(), removed.events.into(), removed.files.into(), id.into()];
    execute(scope, sql, values).await.map(drop)
}

fn list<T: serde::de::DeserializeOwned>(stored: Option<&str>) -> Vec<T> {
    stored.and_then(|json| serde_json::from_str(json).ok()).unwrap_or_default()
}

fn stored(row: erasure::Model) -> Option<Erasure> {
    Some(Erasure {
        id: row.id,
        contact: ContactId(row.contact_id),
        state: ErasureState::parse(&row.state)?,
        reason: row.reason,
        ids: list(row.ids.as_deref()),
        messages: row.messages,
        events: row.events,
        files: row.files,
        wanted_at: row.wanted_at,
        done_at: row.done_at,
    })
}
