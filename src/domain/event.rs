//! What enters a conversation. Users, timers, operators and API clients all come through the same mailbox as one of these.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::clock::Millis;
use crate::domain::ids::{ConversationId, EventId, MessageId};
use crate::domain::inbound::InboundMessage;
use crate::domain::outbound::{Message, Priority};
use crate::domain::window::Outside;

/// An accepted event: committed, and not yet done.
#[derive(Debug, Clone)]
pub struct Event {
    /// Its row, and its place in the order of its conversation.
    pub id: EventId,
    /// Whose line it is on.
    pub conversation: ConversationId,
    /// When it was accepted.
    pub accepted_at: Millis,
    /// Attempts at its turn that are on record.
    pub attempts: u32,
    /// Whether it was read back from its row, so that a turn for it may have been begun before.
    pub recovered: bool,
    /// What happened.
    pub input: Arc<Input>,
}

/// What happened.
#[derive(Debug, Clone, PartialEq)]
pub enum Input {
    /// The person wrote.
    Message(InboundMessage),
    /// A wait that the flow had asked for is over.
    Timer {
        /// Which wait; a later one makes it stale.
        generation: i64,
    },
    /// An API client or operator wants something.
    Command(Command),
}

/// What an API client or operator can ask of a conversation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "command", rename_all = "snake_case")]
#[expect(clippy::large_enum_variant, reason = "nearly all are sends, and each lives behind an Arc")]
pub enum Command {
    /// Send this message.
    Send {
        /// The id that the message will have, given by whoever asked, so that it can be told before the turn.
        message_id: MessageId,
        /// The message.
        message: Message,
        /// The `wamid` that it answers to.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reply_to: Option<String>,
        /// Its class; stored commands of before there were classes are replies.
        #[serde(default)]
        priority: Priority,
        /// What becomes of it while the person's 24-hour window is closed.
        #[serde(default, skip_serializing_if = "Outside::is_default")]
        outside: Outside,
        /// The failed message in whose place it is sent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        resend_of: Option<MessageId>,
    },
    /// A person takes over: the bot is silent until released.
    HandOff {
        /// When the bot answers again by itself; without it, when it is released.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        until: Option<Millis>,
    },
    /// The bot answers again.
    Release,
    /// Forget where the conversation stood.
    Reset,
}
