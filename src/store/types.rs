//! What goes into the store and what comes out of it, in the words of the domain.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;

use crate::clock::Millis;
use crate::domain::consent::{Change, Consent};
use crate::domain::contact::{Address, Identity};
use crate::domain::dedupe::DedupeKey;
use crate::domain::delivery::{Failure, Refusal, StatusUpdate};
use crate::domain::event::{Command, Event};
use crate::domain::ids::{ContactId, ConversationId, EventId, MessageId};
use crate::domain::inbound::InboundMessage;
use crate::domain::notice;
use crate::domain::outbound::{Message, Priority};
use crate::domain::template::News;
use crate::domain::window::Outside;

/// Something that wants to be accepted.
#[derive(Debug, Clone)]
pub struct Incoming {
    /// What makes it the same as another one.
    pub dedupe_key: DedupeKey,
    /// It, as it came: enough to read it again.
    pub payload: String,
    /// What it is.
    pub body: IncomingBody,
}

/// What wants to be accepted.
#[derive(Debug, Clone)]
pub enum IncomingBody {
    /// A person wrote to one of our numbers: wakes their conversation.
    Message {
        /// Our number.
        phone_number_id: String,
        /// What they wrote.
        message: InboundMessage,
    },
    /// What became of a message of ours: merged at once, wakes nobody's flow.
    Status {
        /// Our number, if told.
        phone_number_id: Option<String>,
        /// The news.
        update: StatusUpdate,
    },
    /// A template of an account of ours changed: written down at once.
    Template {
        /// Meta's field.
        kind: String,
        /// The account.
        business_account_id: String,
        /// What changed.
        news: News,
    },
    /// Kept as it came, and done with.
    Kept {
        /// Its kind: Meta's field, or `unreadable`.
        kind: String,
        /// Our number, if told.
        phone_number_id: Option<String>,
        /// Why nothing is done about it.
        reason: String,
    },
    /// Something that an API client or operator asks of a conversation.
    Command {
        /// Of which one.
        target: Target,
        /// What.
        command: Command,
    },
    /// A person told Meta whether they want marketing messages.
    Preference {
        /// Our number, if told.
        phone_number_id: Option<String>,
        /// The person.
        identity: Identity,
        /// What they want.
        change: Change,
    },
    /// A wait of a conversation is over.
    Timer {
        /// Which conversation.
        conversation: ConversationId,
        /// Which wait.
        generation: i64,
    },
}

/// A conversation, by its id or by who is in it; the latter begins one where there is none.
#[derive(Debug, Clone)]
pub enum Target {
    /// This one.
    Conversation(ConversationId),
    /// The one of this person with this number of ours.
    Person {
        /// Our number.
        phone_number_id: String,
        /// The person.
        identity: Identity,
    },
}

/// What became of something that wanted to be accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Accepted {
    /// Its row; of no meaning for a duplicate.
    pub id: EventId,
    /// The conversation that it belongs to, if any.
    pub conversation: Option<ConversationId>,
    /// Whether it had been accepted before.
    pub duplicate: bool,
}

/// What the writer tells after a commit. Losing one costs a delay, never an event.
#[derive(Debug)]
pub enum Hint {
    /// These events wait for their conversations.
    Accepted(Vec<Dispatch>),
    /// These messages wait to be sent.
    Queued(Vec<Outbound>),
    /// A status settled these messages before the sender did: their lanes may go on.
    Settled(Vec<(ConversationId, MessageId)>),
    /// Files wait to be fetched.
    MediaWanted,
    /// News of templates are written down. `look` where they do not tell everything, so that Meta's list has to.
    TemplatesTold {
        /// Whether the list has to be read.
        look: bool,
    },
    /// The person in these conversations is no more: whoever has one of them in memory forgets it.
    Erased(Vec<ConversationId>),
    /// What waits to leave goes by another lane, or to another address.
    Redirected(Vec<Redirected>),
    /// So many messages of people came in at each of these numbers of ours.
    Heard(Vec<(Arc<str>, usize)>),
}

/// A time in which Meta refused the token of one of our numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenPause {
    /// The number.
    pub phone_number_id: Arc<str>,
    /// When Meta first refused it.
    pub began_at: Millis,
    /// When it took one again; `None` while it does not.
    pub ended_at: Option<Millis>,
}

/// A person's ids changed, and perhaps their conversation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Redirected {
    /// Their conversation before.
    pub from: ConversationId,
    /// Their conversation now: the same one, unless two were merged.
    pub to: ConversationId,
    /// Where messages to them go now.
    pub address: Option<Address>,
}

/// An event on its way to its conversation.
#[derive(Debug, Clone)]
pub struct Dispatch {
    /// The event.
    pub event: Event,
    /// The session, where the event began it: saves the first read.
    pub fresh: Option<Arc<Session>>,
}

/// A conversation as it is between two turns.
#[derive(Debug, Clone, PartialEq)]
pub struct Session {
    /// Its id.
    pub conversation: ConversationId,
    /// The person in it.
    pub contact: ContactId,
    /// Our number.
    pub phone_number_id: Arc<str>,
    /// Who the person is, as last told.
    pub identity: Identity,
    /// How many turns were committed: the fence.
    pub version: i64,
    /// The flow that the conversation is pinned to; empty before the first turn.
    pub flow_hash: String,
    /// The state's name, for people who look.
    pub state: Option<String>,
    /// Where the flow stands, as JSON; empty before the first turn.
    pub snapshot: String,
    /// Whether a person has taken over from the bot.
    pub handed_off: bool,
    /// When the bot answers again by itself, where someone has said so.
    pub handed_off_until: Option<Millis>,
    /// What the person wants to be sent.
    pub consent: Consent,
    /// Which wait the next timer has to be for.
    pub timer_generation: i64,
    /// When the person last wrote: the 24-hour window counts from here.
    pub last_inbound_at: Option<Millis>,
}

impl Session {
    /// A conversation as it begins: nothing has happened in it.
    #[must_use]
    pub fn begun(
        conversation: ConversationId,
        contact: ContactId,
        phone_number_id: Arc<str>,
        identity: Identity,
    ) -> Self {
        Self {
            conversation,
            contact,
            phone_number_id,
            identity,
            version: 0,
            flow_hash: String::new(),
            state: None,
            snapshot: String::new(),
            handed_off: false,
            handed_off_until: None,
            consent: Consent::default(),
            timer_generation: 0,
            last_inbound_at: None,
        }
    }
}

/// A turn, ready to be committed.
#[derive(Debug, Clone)]
pub struct Turn {
    /// The event that it was for.
    pub event: EventId,
    /// When that was accepted.
    pub accepted_at: Millis,
    /// The conversation after it; `version` is one more than before.
    pub session: Session,
    /// Whether the person's name changed.
    pub identity_changed: bool,
    /// What is to be said, in order.
    pub messages: Vec<Outgoing>,
    /// What becomes of the wait.
    pub timer: TimerChange,
    /// Writes to the business's own tables.
    pub writes: Vec<SqlWrite>,
    /// Menu options that were chosen: state and label.
    pub chosen: Vec<(String, String)>,
    /// The person opted out or in.
    pub consent: Option<Change>,
    /// How the conversation changed, for those who listen.
    pub changes: Vec<notice::Change>,
}

/// A message that a turn says.
#[derive(Debug, Clone)]
pub struct Outgoing {
    /// The id that it will have.
    pub id: MessageId,
    /// The message.
    pub message: Arc<Message>,
    /// The `wamid` that it answers to.
    pub reply_to: Option<String>,
    /// Its class.
    pub priority: Priority,
    /// What becomes of it when the person's 24-hour window is closed at the moment of leaving.
    pub outside: Outside,
    /// Whether it, or the template that goes in its place, is of the category MARKETING, which a person can be out of by
    /// itself.
    pub marketing: bool,
    /// Whether it goes even to a person who has opted out: the one confirmation of that.
    pub despite_opt_out: bool,
    /// The failed message in whose place it is sent: its row in the queue goes away.
    pub resend_of: Option<MessageId>,
}

impl Outgoing {
    /// This message, with what holds for most: the class of its type, failing outside of the window.
    #[must_use]
    pub fn new(id: MessageId, message: Arc<Message>, reply_to: Option<String>) -> Self {
        Self {
            id,
            priority: Priority::of(&message),
            message,
            reply_to,
            outside: Outside::Fail,
            marketing: false,
            despite_opt_out: false,
            resend_of: None,
        }
    }
}

/// What a turn does to the wait of its conversation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TimerChange {
    /// Nothing.
    Keep,
    /// There is none any more.
    Clear,
    /// There is one, until this moment, for the session's `timer_generation`.
    Set(Millis),
}

/// A write to the business's own tables, within the turn's transaction.
#[derive(Debug, Clone)]
pub struct SqlWrite {
    /// The connector that it is of.
    pub connector: String,
    /// SQL with `:name` parameters.
    pub sql: String,
    /// Their values.
    pub params: BTreeMap<String, Value>,
}

/// What became of a turn.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TurnReply {
    /// It happened, all of it.
    Committed,
    /// The stored session is not the one that the turn began with: nothing happened.
    Conflict,
    /// The event was done already: nothing happened.
    AlreadyDone,
    /// A write to the business's tables was refused: nothing happened.
    WriteFailed {
        /// Whose.
        connector: String,
        /// In the database's words.
        error: String,
    },
}

/// The state of a queue row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum QueueState {
    /// Waits for its turn.
    Ready,
    /// May be posted, or have been posted.
    Claimed,
    /// Was posted, perhaps.
    Ambiguous,
    /// Waits for the person to write: in no lane, and not counted as waiting to leave.
    Held,
    /// Will not be sent unless a person says so.
    Dead,
}

impl QueueState {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Ready, Self::Claimed, Self::Ambiguous, Self::Held, Self::Dead];

    /// As stored and shown.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ready => "ready",
            Self::Claimed => "claimed",
            Self::Ambiguous => "ambiguous",
            Self::Held => "held",
            Self::Dead => "dead",
        }
    }

    /// The state with this name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == name)
    }
}

/// What the gate said of a message that wanted to leave.
#[derive(Debug, Clone, PartialEq)]
pub enum Claim {
    /// It may be posted: the claim is on disk.
    Admitted,
    /// It may be posted, as this template.
    AdmittedAs(Arc<Message>),
    /// It waits until the person writes.
    Held,
    /// It does not go, for this reason, which is written down.
    Withheld(Refusal),
    /// It is not to be sent any more: a status has settled it, or a person discarded it.
    Gone,
}

/// A message on its way out.
#[derive(Debug, Clone)]
pub struct Outbound {
    /// The message's id, which is the queue row's id and Meta's callback data.
    pub id: MessageId,
    /// Its place in its lane.
    pub position: i64,
    /// Its lane.
    pub conversation: ConversationId,
    /// The number that it leaves from.
    pub phone_number_id: Arc<str>,
    /// Where it goes.
    pub address: Address,
    /// What it says.
    pub message: Arc<Message>,
    /// The `wamid` that it answers to.
    pub reply_to: Option<String>,
    /// The state of its row.
    pub state: QueueState,
    /// How often it was posted, or may have been.
    pub attempts: u32,
    /// Not before this moment; for an ambiguous one, the end of its grace.
    pub due_at: Millis,
    /// When the event behind it was accepted.
    pub event_accepted_at: Millis,
    /// Its class.
    pub priority: Priority,
    /// How long it was held, in milliseconds: that time does not make it late.
    pub waited_ms: Millis,
}

/// What the sender found out about one message.
#[derive(Debug, Clone)]
pub struct Settle {
    /// The message.
    pub id: MessageId,
    /// What.
    pub outcome: SettleOutcome,
}

/// What became of an attempt to send.
#[derive(Debug, Clone)]
pub enum SettleOutcome {
    /// Meta took it.
    Accepted {
        /// Meta's id of it.
        wamid: String,
    },
    /// Meta did it, and has no id for it: a mark as read.
    Done,
    /// It is to be tried again.
    Retry {
        /// Not before this moment.
        due_at: Millis,
        /// What happened.
        attempt: Attempted,
        /// Whether it counts as an attempt at this message. What is the number's trouble does not.
        counted: bool,
    },
    /// Nobody knows whether Meta took it.
    Ambiguous {
        /// Until when a status may settle it.
        until: Millis,
        /// What happened.
        attempt: Attempted,
    },
    /// It will not go.
    Failed {
        /// What happened.
        attempt: Attempted,
    },
}

/// An attempt that did not end with Meta's id.
#[derive(Debug, Clone)]
pub struct Attempted {
    /// `refused`, `not_sent`, `ambiguous`, `given_up`, or `withheld` where we did not try.
    pub outcome: &'static str,
    /// Why, in Meta's words where Meta spoke.
    pub failure: Failure,
}

impl Attempted {
    /// The outcome of an attempt that was not made.
    pub const WITHHELD: &'static str = "withheld";
}

/// A flow as it is kept: sessions are pinned to its hash.
#[derive(Debug, Clone)]
pub struct KnownFlow {
    /// Of its source.
    pub hash: String,
    /// The bot's name.
    pub name: String,
    /// The whole file.
    pub source: String,
}
