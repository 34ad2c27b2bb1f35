//! What a conversation has in memory: exactly what is committed. Between two turns it rests, in few bytes, because most
//! conversations rest most of the time.

use std::sync::Arc;

use crate::conversation::flows::Flows;
use crate::domain::contact::Identity;
use crate::domain::event::Event;
use crate::domain::ids::ConversationId;
use crate::flow::{Flow, Snapshot};
use crate::store::{Error, Session, Store};

/// A conversation that rests.
pub struct Rested {
    /// As stored, without what the snapshot and the flow say as well.
    session: Session,
    flow: Arc<Flow>,
}

impl Rested {
    /// Who the person is.
    #[must_use]
    pub fn identity(&self) -> &Identity {
        &self.session.identity
    }

    /// As it was before it came to rest.
    ///
    /// # Errors
    /// When its snapshot cannot be read.
    pub fn wake(self: Box<Self>) -> Result<Memory, Error> {
        let Self { session, flow } = *self;
        let mut snapshot: Snapshot = if session.snapshot.is_empty() {
            Snapshot::default()
        } else {
            serde_json::from_str(&session.snapshot).map_err(|error| Error::Corrupt {
                what: "session",
                id: session.conversation.0,
                reason: error.to_string(),
            })?
        };
        // Where two conversations became one, a hand-off of either holds.
        snapshot.handed_off = session.handed_off;
        Ok(Memory { session, snapshot, flow })
    }
}

/// A conversation in a turn.
#[derive(Clone)]
pub struct Memory {
    /// As stored.
    pub session: Session,
    /// Where the flow stands: what `session.snapshot` says.
    pub snapshot: Snapshot,
    /// The flow that the session is pinned to.
    pub flow: Arc<Flow>,
}

/// What came of reading a conversation.
pub enum Read {
    /// It, and its events that are not done.
    Found(Box<Rested>, Vec<Event>),
    /// It became part of this one, and so did its events.
    Merged(ConversationId),
    /// There is none.
    Unknown,
}

impl Memory {
    /// The conversation that this very event began: nothing is stored that the event did not bring.
    #[must_use]
    pub fn fresh(session: Session, flows: &Flows) -> Self {
        let flow = flows.current(&session.phone_number_id);
        Self { session, snapshot: Snapshot::default(), flow }
    }

    /// Lays it down until its next turn. Its session has to say what its snapshot says, as after a load or a commit.
    #[must_use]
    pub fn rest(self) -> Box<Rested> {
        let Self { mut session, flow, .. } = self;
        session.flow_hash = String::new();
        session.state = None;
        session.snapshot.shrink_to_fit();
        Box::new(Rested { session, flow })
    }

    /// Reads a conversation, and its events that are not done.
    ///
    /// # Errors
    /// When the store cannot be read, or the snapshot cannot.
    pub async fn load(store: &Store, flows: &Flows, conversation: ConversationId) -> Result<Read, Error> {
        let Some(found) = store.activate(conversation).await? else { return Ok(Read::Unknown) };
        if let Some(into) = found.merged_into {
            return Ok(Read::Merged(into));
        }
        let session = found.session;
        let number = &session.phone_number_id;
        let flow = if session.flow_hash.is_empty() {
            flows.current(number)
        } else {
            flows.find(&session.flow_hash, number).await?
        };
        // Woken once, so that one that cannot be read is found here.
        let rested = Box::new(Rested { session, flow }).wake()?.rest();
        Ok(Read::Found(rested, found.unfinished))
    }

    /// Lets go of an earlier flow where the conversation stands between two dialogues: at its start or after its end.
    pub fn repin(&mut self, flows: &Flows) {
        let current = flows.current(&self.session.phone_number_id);
        let between = self.snapshot.state.as_deref().is_none_or(|state| state == self.flow.start());
        if self.flow.hash() != current.hash() && between {
            self.snapshot = Snapshot { state: None, ..self.snapshot.clone() };
            self.flow = current;
        }
    }
}
