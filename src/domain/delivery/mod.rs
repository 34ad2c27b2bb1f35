//! The fate of one outbound message: a lattice that statuses climb in any order and never descend.

use serde::{Deserialize, Serialize};

use crate::clock::Millis;

mod refusal;

pub use refusal::Refusal;

/// How far a message has come. The order of the variants is the order of the lattice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// Came from a person: it has no delivery.
    Received,
    /// Committed and waiting for its turn.
    Queued,
    /// Posted, with no answer that tells whether Meta took it.
    Ambiguous,
    /// We do not send it, or not any more: refused, too late, too often. Shown as `failed`. Below whatever Meta tells,
    /// because an attempt of which we heard nothing may have reached it.
    #[serde(rename(serialize = "failed"), skip_deserializing)]
    GivenUp,
    /// Meta took it and gave it an id.
    Accepted,
    /// Left Meta's servers.
    Sent,
    /// Will not arrive. Final, but for a person's device that says otherwise: a failure that is told after a delivery
    /// does not undo it.
    Failed,
    /// Reached the person's device.
    Delivered,
    /// Seen.
    Read,
    /// A voice message was played.
    Played,
}

impl Status {
    /// All of them, in order.
    pub const ALL: [Self; 10] = [
        Self::Received,
        Self::Queued,
        Self::Ambiguous,
        Self::GivenUp,
        Self::Accepted,
        Self::Sent,
        Self::Failed,
        Self::Delivered,
        Self::Read,
        Self::Played,
    ];

    /// As stored and shown.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Received => "received",
            Self::Queued => "queued",
            Self::Ambiguous => "ambiguous",
            Self::Accepted => "accepted",
            Self::Sent => "sent",
            Self::Delivered => "delivered",
            Self::Read => "read",
            Self::Played => "played",
            Self::GivenUp | Self::Failed => "failed",
        }
    }

    /// The status with this name; `failed` is [`Status::Failed`].
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().rev().find(|status| status.as_str() == name)
    }

    /// Whether it will not arrive, as far as is known.
    #[must_use]
    pub fn is_failure(self) -> bool {
        matches!(self, Self::GivenUp | Self::Failed)
    }

    /// The later of the two: commutative, associative and idempotent, so that the order in which statuses come does not
    /// matter.
    #[must_use]
    pub fn merge(self, other: Self) -> Self {
        self.max(other)
    }
}

/// One status that Meta told us about one of our messages.
#[derive(Debug, Clone, PartialEq)]
pub struct StatusUpdate {
    /// Meta's id of the message.
    pub wamid: String,
    /// What became of it; `None` for a status that this version does not know.
    pub status: Option<Status>,
    /// When, by Meta's clock.
    pub at: Option<Millis>,
    /// What we wrote into `biz_opaque_callback_data`: the id of our message.
    pub callback: Option<String>,
    /// The first error, on a failure.
    pub error: Option<Failure>,
    /// Meta's `pricing`, as JSON text.
    pub pricing: Option<String>,
}

/// Why a message did not go, in Meta's words.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// Meta's error code; 0 when there is none (no answer, or an answer that is not Meta's).
    pub code: i64,
    /// Meta's title or message.
    pub title: String,
    /// Meta's `error_data.details`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub details: Option<String>,
    /// Meta's `fbtrace_id`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trace: Option<String>,
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.code != 0 {
            write!(f, "{}: ", self.code)?;
        }
        f.write_str(&self.title)?;
        match &self.details {
            Some(details) if *details != self.title => write!(f, " ({details})"),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn merge_is_commutative_associative_and_idempotent() {
        for a in Status::ALL {
            assert_eq!(a.merge(a), a);
            for b in Status::ALL {
                assert_eq!(a.merge(b), b.merge(a), "{a:?} {b:?}");
                for c in Status::ALL {
                    assert_eq!(a.merge(b).merge(c), a.merge(b.merge(c)), "{a:?} {b:?} {c:?}");
                }
            }
        }
    }

    #[test]
    fn a_late_sent_does_not_undo_a_read_and_a_late_failure_not_a_delivery() {
        assert_eq!(Status::Read.merge(Status::Sent), Status::Read);
        assert_eq!(Status::Delivered.merge(Status::Failed), Status::Delivered);
        assert_eq!(Status::Sent.merge(Status::Failed), Status::Failed);
        assert_eq!(Status::GivenUp.merge(Status::Sent), Status::Sent);
    }

    #[test]
    fn names_go_there_and_back() {
        for status in Status::ALL {
            let shown = if status == Status::GivenUp { Status::Failed } else { status };
            assert_eq!(Status::parse(status.as_str()), Some(shown));
        }
    }
}
