//! What a conversation has in memory: exactly what is committed. Between two turns it rests, in few bytes, because most
//! conversations rest most of the time.

use std::sync::Arc;

use crate::clock::Millis;
use crate::conversation::flows::Flows;
use crate::domain::consent::Consent;
use crate::domain::contact::Identity;
use crate::domain::event::Event;
use crate::domain::ids::{ContactId, ConversationId};
use crate::flow::{Flow, Snapshot};
use crate::store::{Error, Session, Store};

/// A conversation that rests: its session, without what the snapshot and the flow say as well, with what few conversations
/// have out of the way, and with all of its texts in one.
pub struct Rested {
    conversation: ConversationId,
    contact: ContactId,
    version: i64,
    timer_generation: i64,
    last_inbound_at: Option<Millis>,
    aside: Option<Box<Aside>>,
    /// A line of JSON for [`Names`], and one for the snapshot, which is empty before the first turn.
    text: Box<str>,
    flow: Arc<Flow>,
}

/// Our number, and the fields of an [`Identity`] in their order: an array, for their names would be as long again.
type Names = (String, Option<String>, Option<String>, Option<String>, Option<String>, Option<String>);

/// What is true of few conversations.
#[derive(Default, PartialEq)]
struct Aside {
    handed_off: bool,
    handed_off_until: Option<Millis>,
    consent: Consent,
}

impl Rested {
    /// As it was before it came to rest.
    ///
    /// # Errors
    /// When its snapshot, or what was laid down, cannot be read.
    pub fn wake(self) -> Result<Memory, Error> {
        let corrupt = |error: serde_json::Error| Error::Corrupt {
            what: "session",
            id: self.conversation.0,
            reason: error.to_string(),
        };
        let (names, stored) = self.text.split_once('\n').unwrap_or_default();
        let mut snapshot: Snapshot = if stored.is_empty() {
            Snapshot::default()
        } else {
            serde_json::from_str(stored).map_err(corrupt)?
        };
        let (phone_number_id, wa_id, user_id, parent_user_id, name, username): Names =
            serde_json::from_str(names).map_err(corrupt)?;
        let identity = Identity { wa_id, user_id, parent_user_id, name, username };
        let stored = stored.to_owned();
        let Self { conversation, contact, flow, .. } = self;
        let Aside { handed_off, handed_off_until, consent } =
            self.aside.map_or_else(Aside::default, |aside| *aside);
        // Where two conversations became one, a hand-off of either holds.
        snapshot.handed_off = handed_off;
        let session = Session {
            version: self.version,
            snapshot: stored,
            handed_off,
            handed_off_until,
            consent,
            timer_generation: self.timer_generation,
            last_inbound_at: self.last_inbound_at,
            ..Session::begun(conversation, contact, phone_number_id.into(), identity)
        };
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
    ///
    /// # Panics
    /// Never: names can always be written as JSON.
    #[must_use]
    pub fn rest(self) -> Box<Rested> {
        let Self { session, flow, .. } = self;
        let aside = Aside {
            handed_off: session.handed_off,
            handed_off_until: session.handed_off_until,
            consent: session.consent,
        };
        let Identity { wa_id, user_id, parent_user_id, name, username } = &session.identity;
        let names = (&*session.phone_number_id, wa_id, user_id, parent_user_id, name, username);
        let names = serde_json::to_string(&names).expect("texts can be written as JSON");
        // As long as it has to be from the start: the allocator leaves a text that gets shorter in a place that is too large.
        let text = [&names, "\n", &session.snapshot].concat();
        Box::new(Rested {
            conversation: session.conversation,
            contact: session.contact,
            version: session.version,
            timer_generation: session.timer_generation,
            last_inbound_at: session.last_inbound_at,
            aside: (aside != Aside::default()).then(|| Box::new(aside)),
            text: text.into_boxed_str(),
            flow,
        })
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
        let memory = Self { session, snapshot: Snapshot::default(), flow };
        Ok(Read::Found(memory.rest().wake()?.rest(), found.unfinished))
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
