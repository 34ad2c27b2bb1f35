//! Who goes first where not everybody can go at once.

use serde::{Deserialize, Serialize};

use super::Message;

/// The class of a message: what someone waits for goes before what nobody waits for. JSON: `"reply"` or `"bulk"`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Priority {
    /// Someone waits for it.
    #[default]
    Reply,
    /// A notice or campaign: it goes when no reply waits.
    Bulk,
}

impl Priority {
    /// What a message is when nobody says: a template is bulk, all else a reply.
    #[must_use]
    pub fn of(message: &Message) -> Self {
        if matches!(message, Message::Template(_)) { Self::Bulk } else { Self::Reply }
    }

    /// As stored: 0 goes first.
    #[must_use]
    pub fn rank(self) -> i16 {
        match self {
            Self::Reply => 0,
            Self::Bulk => 1,
        }
    }

    /// What is stored as `rank`; what is not known goes last.
    #[must_use]
    pub fn of_rank(rank: i16) -> Self {
        if rank == 0 { Self::Reply } else { Self::Bulk }
    }

    /// As shown.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Reply => "reply",
            Self::Bulk => "bulk",
        }
    }

    /// The class with this name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        [Self::Reply, Self::Bulk].into_iter().find(|priority| priority.as_str() == name)
    }
}
