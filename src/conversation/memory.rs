//! What a conversation keeps in memory between two turns: exactly what is committed.

use std::sync::Arc;

use crate::conversation::flows::Flows;
use crate::domain::event::Event;
use crate::domain::ids::ConversationId;
use crate::flow::{Flow, Snapshot};
use crate::store::{Error, Session, Store};

/// A conversation between two turns.
#[derive(Clone)]
pub struct Memory {
    /// As stored.
    pub session: Session,
    /// Where the flow stands: what `session.snapshot` says.
    pub snapshot: Snapshot,
    /// The flow that the session is pinned to.
    pub flow: Arc<Flow>,
}

impl Memory {
    /// The conversation that this very event began: nothing is stored that the event did not bring.
    #[must_use]
    pub fn fresh(session: Session, flows: &Flows) -> Self {
        let flow = flows.current(&session.phone_number_id);
        Self { session, snapshot: Snapshot::default(), flow }
    }

    /// Reads a conversation, and its events that are not done.
    ///
    /// # Errors
    /// When the store cannot be read, or the snapshot cannot.
    pub async fn load(
        store: &Store,
        flows: &Flows,
        conversation: ConversationId,
    ) -> Result<Option<(Self, Vec<Event>)>, Error> {
        let Some(found) = store.activate(conversation).await? else { return Ok(None) };
        let session = found.session;
        let snapshot = if session.snapshot.is_empty() {
            Snapshot::default()
        } else {
            serde_json::from_str(&session.snapshot).map_err(|error| Error::Corrupt {
                what: "session",
                id: conversation.0,
                reason: error.to_string(),
            })?
        };
        let number = &session.phone_number_id;
        let flow = if session.flow_hash.is_empty() {
            flows.current(number)
        } else {
            flows.find(&session.flow_hash, number).await?
        };
        Ok(Some((Self { session, snapshot, flow }, found.unfinished)))
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
