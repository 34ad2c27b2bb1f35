//! What stands in a phone's transcript.

use serde::{Deserialize, Serialize};

use crate::clock::Millis;

/// Who wrote an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Side {
    /// The person with the phone.
    Phone,
    /// The business: what came in over the Graph API.
    Business,
}

/// How far an entry has come. The order is the order of progress; `Failed` is final.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// Taken by Meta.
    Accepted,
    /// On its way: the status webhook `sent`.
    Sent,
    /// Arrived. For what a phone wrote: the webhook was answered 200.
    Delivered,
    /// Seen by the other side.
    Read,
    /// A voice note that the other side has listened to.
    Played,
    /// Given up.
    Failed,
}

impl Status {
    /// The word on Meta's wire.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Sent => "sent",
            Self::Delivered => "delivered",
            Self::Read => "read",
            Self::Played => "played",
            Self::Failed => "failed",
        }
    }
}

/// A reply button or a list row that a person can press.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Choice {
    /// What comes back when it is pressed.
    pub id: String,
    /// What is written on it.
    pub title: String,
    /// The second line of a list row.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// The heading of the list section that it stands in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub section: Option<String>,
}

/// What a message shows, whichever side wrote it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Content {
    /// Meta's type, with the interactive kinds told apart: `text`, `button`, `list`, `cta_url`, `image`, `reaction`, …
    pub kind: String,
    /// The text a person reads: the body, the caption, the emoji, or a short description of what has no text.
    pub text: String,
    /// Line above the body.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub header: Option<String>,
    /// Small line below the body.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub footer: Option<String>,
    /// The label that opens a list.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub list_button: Option<String>,
    /// What can be pressed.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub options: Vec<Choice>,
    /// Where a `cta_url` button or a linked file leads.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// Meta's id of the file that it carries.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub media: Option<String>,
    /// Whether it is a voice note.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub voice: bool,
    /// What a template is for, which decides its price: `authentication`, `marketing`, `utility`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub category: Option<String>,
}

/// One message of a transcript.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Entry {
    /// Meta's id of it.
    pub wamid: String,
    /// Who wrote it.
    pub from: Side,
    /// What it shows.
    #[serde(flatten)]
    pub content: Content,
    /// The wamid that it answers or reacts to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub context: Option<String>,
    /// The number that the business sent it to; absent when it was sent to a user id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
    /// The sender's `biz_opaque_callback_data`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub callback_data: Option<String>,
    /// How far it has come.
    pub status: Status,
    /// When it was written, in milliseconds since the Unix epoch.
    pub at: Millis,
}
