//! The audit log: who asked for what, of whom, and what became of it. No body and no secret is ever in it.
//!
//! A store handle that is made [`Store::on_behalf`] of a deed notes it in the very transaction of what it writes: an event
//! is accepted with its note, or neither is. What changed nothing (a refusal, a repetition) is noted by itself
//! ([`Store::note`]).

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use sea_orm::{DbErr, EntityTrait, Set};

use super::read::Times;
use crate::clock::Millis;
use crate::domain::ids::{ConversationId, DeedId, EventId, KeyId};
use crate::store::batch::{Reply, Scope};
use crate::store::entity::audit;
use crate::store::request::{Job, Request};
use crate::store::{Error, Store, bulk, text};

/// Who does something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Actor {
    /// Whoever has this key.
    Key {
        /// The key.
        id: KeyId,
        /// Its name.
        name: String,
    },
    /// Whoever has the key that the environment names.
    EnvironmentKey,
    /// Whoever can run the program on its database.
    CommandLine,
}

impl Actor {
    /// The kinds, as stored and shown.
    pub const KINDS: [&str; 3] = ["key", "environment key", "command line"];

    /// Its kind.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Key { .. } => "key",
            Self::EnvironmentKey => "environment key",
            Self::CommandLine => "command line",
        }
    }
}

/// What became of a deed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It is an accepted event; what became of that stands there.
    Accepted,
    /// It is done, or was done before.
    Done,
    /// It was not done, for a reason that whoever asked can mend.
    Refused,
    /// It was not done, for a reason of ours.
    Failed,
}

impl Outcome {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Accepted, Self::Done, Self::Refused, Self::Failed];

    /// As stored and shown.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Done => "done",
            Self::Refused => "refused",
            Self::Failed => "failed",
        }
    }

    /// The outcome with this name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|outcome| outcome.as_str() == name)
    }
}

/// Something that somebody is about to do.
#[derive(Debug)]
pub struct Deed {
    actor: Actor,
    action: String,
    target: Option<String>,
    request_id: Option<String>,
    noted: AtomicBool,
}

impl Deed {
    /// `actor` does `action` (a place and a verb, such as `conversations.reset`) to `target` (an id), as asked by the
    /// request `request_id`.
    #[must_use]
    pub fn new(actor: Actor, action: &str, target: Option<String>, request_id: Option<String>) -> Self {
        Self { actor, action: action.to_owned(), target, request_id, noted: AtomicBool::new(false) }
    }

    /// Whether a committed transaction holds its note.
    #[must_use]
    pub fn is_noted(&self) -> bool {
        self.noted.load(Ordering::Acquire)
    }

    /// Its note is committed.
    pub(crate) fn is_now_noted(&self) {
        self.noted.store(true, Ordering::Release);
    }
}

/// A deed on its own, with what became of it.
#[derive(Debug)]
pub(crate) struct Note {
    deed: Arc<Deed>,
    outcome: Outcome,
    reason: Option<String>,
}

/// What somebody did, as stored.
#[derive(Debug, Clone)]
pub struct StoredDeed {
    /// Its id.
    pub id: DeedId,
    /// When.
    pub at: Millis,
    /// Who: one of [`Actor::KINDS`].
    pub actor: String,
    /// With which key.
    pub key: Option<KeyId>,
    /// What that was called then.
    pub key_name: Option<String>,
    /// What.
    pub action: String,
    /// To what: an id.
    pub target: Option<String>,
    /// The event that it is.
    pub event: Option<EventId>,
    /// What became of it.
    pub outcome: String,
    /// Why it was refused or has failed.
    pub reason: Option<String>,
    /// The request that asked for it.
    pub request_id: Option<String>,
}

/// Which deeds.
#[derive(Debug, Clone, Default)]
pub struct DeedFilter {
    /// One of [`Actor::KINDS`].
    pub actor: Option<String>,
    /// With this key.
    pub key: Option<KeyId>,
    /// Of this kind.
    pub action: Option<String>,
    /// To this.
    pub target: Option<String>,
    /// With this outcome.
    pub outcome: Option<Outcome>,
    /// From when until when.
    pub times: Times,
}

impl Store {
    /// A handle whose writes are noted as `deed`, each in its own transaction.
    #[must_use]
    pub fn on_behalf(&self, deed: Arc<Deed>) -> Self {
        Self(Arc::clone(&self.0), Some(deed))
    }

    /// Notes a deed of which nothing was written.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn note(&self, deed: Arc<Deed>, outcome: Outcome, reason: Option<String>) -> Result<(), Error> {
        self.ask(Request::Note(Note { deed, outcome, reason })).await.map(drop)
    }
}

/// Writes the notes of a batch: what its jobs did on somebody's behalf, and those that stand for themselves.
pub(crate) async fn write(scope: &mut Scope<'_>, jobs: &[Job], replies: &[Reply]) -> Result<(), DbErr> {
    let mut rows = Vec::new();
    for (job, reply) in jobs.iter().zip(replies) {
        if let Request::Note(note) = &job.request {
            rows.push(row(scope, &note.deed, note.outcome, note.reason.as_deref(), Trace::default()));
        } else if let Some(deed) = &job.on_behalf {
            let done = done(reply);
            if !done.is_empty() {
                scope.after.deeds.push(Arc::clone(deed));
            }
            rows.extend(done.into_iter().map(|(outcome, trace)| row(scope, deed, outcome, None, trace)));
        }
    }
    for part in bulk::parts(&rows) {
        audit::Entity::insert_many(part.iter().cloned()).exec_without_returning(scope.tx).await?;
    }
    Ok(())
}

/// What a reply tells of what was done.
#[derive(Default)]
struct Trace {
    target: Option<String>,
    event: Option<EventId>,
}

/// What `reply` says that was done, one thing at a time; nothing when nothing was changed.
fn done(reply: &Reply) -> Vec<(Outcome, Trace)> {
    let to = |target: String| (Outcome::Done, Trace { target: Some(target), event: None });
    match reply {
        Reply::Accepted(events) => events
            .iter()
            .filter(|event| !event.duplicate)
            .map(|event| {
                let target = event.conversation.as_ref().map(ConversationId::to_string);
                (Outcome::Accepted, Trace { target, event: Some(event.id) })
            })
            .collect(),
        Reply::Discarded(messages) => messages.iter().map(|id| to(id.to_string())).collect(),
        Reply::Changed(false) | Reply::Media(_, false) => Vec::new(),
        Reply::Media(id, true) => vec![to(id.to_string())],
        Reply::Key(id) => vec![to(id.to_string())],
        Reply::Erasure(Some(erasure)) => {
            let target = Some(erasure.contact.to_string());
            vec![(Outcome::Accepted, Trace { target, event: None })]
        }
        Reply::Erasure(None) => Vec::new(),
        _ => vec![(Outcome::Done, Trace::default())],
    }
}

fn row(
    scope: &Scope<'_>,
    deed: &Deed,
    outcome: Outcome,
    reason: Option<&str>,
    trace: Trace,
) -> audit::ActiveModel {
    let (key_id, key_name) = match &deed.actor {
        Actor::Key { id, name } => (Some(id.0), Some(text(name))),
        Actor::EnvironmentKey | Actor::CommandLine => (None, None),
    };
    audit::ActiveModel {
        id: Set(scope.ids.next()),
        at: Set(scope.now),
        actor: Set(deed.actor.kind().to_owned()),
        key_id: Set(key_id),
        key_name: Set(key_name),
        action: Set(text(&deed.action)),
        target: Set(deed.target.as_deref().map(text).or(trace.target)),
        event_id: Set(trace.event.map(|id| id.0)),
        outcome: Set(outcome.as_str().to_owned()),
        reason: Set(reason.map(text)),
        request_id: Set(deed.request_id.as_deref().map(text)),
    }
}

pub(super) fn stored(row: audit::Model) -> StoredDeed {
    StoredDeed {
        id: DeedId(row.id),
        at: row.at,
        actor: row.actor,
        key: row.key_id.map(KeyId),
        key_name: row.key_name,
        action: row.action,
        target: row.target,
        event: row.event_id.map(EventId),
        outcome: row.outcome,
        reason: row.reason,
        request_id: row.request_id,
    }
}
