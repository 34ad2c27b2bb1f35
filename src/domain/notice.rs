//! What those who listen are told: that a message came or was written, what became of it, that a conversation began or
//! changed hands, and what a person should look at.
//!
//! [`News`] refers to what it is about by its id and holds nothing that anybody wrote, so that what is erased there is
//! erased here. The names of kinds and changes are part of the contract with those who listen.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::clock::Millis;
use crate::domain::delivery::Status;
use crate::domain::ids::{ConversationId, EventId, MessageId};

/// What the id of a notice begins with.
const PREFIX: &str = "ntc_";

/// The place of a notice in the order of all: the commit that it is of, and its place among those of that commit.
/// Outside: `ntc_7353703260274688-3`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NoticeId {
    /// The commit.
    pub commit: i64,
    /// From 0.
    pub place: u32,
}

impl NoticeId {
    /// Behind everything of this commit.
    #[must_use]
    pub const fn end_of(commit: i64) -> Self {
        Self { commit, place: u32::MAX }
    }
}

impl fmt::Display for NoticeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{PREFIX}{}-{}", self.commit, self.place)
    }
}

impl FromStr for NoticeId {
    type Err = ();

    fn from_str(given: &str) -> Result<Self, ()> {
        let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        let (commit, place) = given.strip_prefix(PREFIX).and_then(|rest| rest.split_once('-')).ok_or(())?;
        if !digits(commit) || !digits(place) {
            return Err(());
        }
        Ok(Self { commit: commit.parse().map_err(drop)?, place: place.parse().map_err(drop)? })
    }
}

/// The kinds by which those who listen choose.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// A message came, or was written.
    Message,
    /// What became of a message of ours.
    Status,
    /// A conversation began, ended or changed hands.
    Conversation,
    /// Something that a person should look at.
    Alarm,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Message, Self::Status, Self::Conversation, Self::Alarm];

    /// As shown and set.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Message => "message",
            Self::Status => "status",
            Self::Conversation => "conversation",
            Self::Alarm => "alarm",
        }
    }

    /// The kind with this name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == name)
    }
}

/// Something that happened, by the ids of what it happened to. Stored as JSON, as short as can be:
/// `{"m":"msg_1"}`, `{"s":["msg_1","delivered",1795337387000]}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum News {
    /// A message came, or was written and waits to leave.
    #[serde(rename = "m")]
    Message(MessageId),
    /// A message of ours has come so far, at this time. Each of its statuses is told once, in the order in which they became
    /// known.
    #[serde(rename = "s")]
    Status(MessageId, Status, Millis),
    /// A conversation changed.
    #[serde(rename = "c")]
    Conversation(ConversationId, Change),
    /// Something is wrong, or is right again.
    #[serde(rename = "a")]
    Alarm(Alarm),
}

impl News {
    /// Its kind.
    #[must_use]
    pub fn kind(&self) -> Kind {
        match self {
            Self::Message(_) => Kind::Message,
            Self::Status(..) => Kind::Status,
            Self::Conversation(..) => Kind::Conversation,
            Self::Alarm(_) => Kind::Alarm,
        }
    }
}

/// How a conversation changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Change {
    /// It began.
    Started,
    /// A person took it over from the bot.
    HandedOff,
    /// The bot answers again.
    Released,
    /// An operator had the bot forget where it stood.
    Reset,
    /// The bot has come to the end of its flow.
    Ended,
    /// It became part of another one, because two people turned out to be one.
    Merged,
}

impl Change {
    /// All of them.
    pub const ALL: [Self; 6] =
        [Self::Started, Self::HandedOff, Self::Released, Self::Reset, Self::Ended, Self::Merged];

    /// As shown.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Started => "started",
            Self::HandedOff => "handed_off",
            Self::Released => "released",
            Self::Reset => "reset",
            Self::Ended => "ended",
            Self::Merged => "merged",
        }
    }
}

/// Something that a person should look at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Alarm {
    /// Meta refuses the token of this number: nothing leaves from it.
    NumberPaused(String),
    /// Meta takes a token of this number again.
    NumberResumed(String),
    /// The turn of this event broke again and again; it was put aside.
    Quarantined(EventId),
    /// This message will not be sent unless a person says so.
    DeadLetter(MessageId),
    /// The database takes writes again; it had not since this time.
    DatabaseRecovered(Millis),
    /// This outlet was not told of something until the deadline.
    DeliveryDead(String),
    /// This outlet was so far behind that the feed no longer had what it was to be told next.
    OutletMissed(String),
}

impl Alarm {
    /// The names of all of them, and of what is told of the database while nothing can be written down.
    pub const NAMES: [&str; 8] = [
        "number_paused",
        "number_resumed",
        "quarantined",
        "dead_letter",
        "database_failing",
        "database_recovered",
        "delivery_dead",
        "outlet_missed",
    ];

    /// As shown.
    #[must_use]
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::NumberPaused(_) => "number_paused",
            Self::NumberResumed(_) => "number_resumed",
            Self::Quarantined(_) => "quarantined",
            Self::DeadLetter(_) => "dead_letter",
            Self::DatabaseRecovered(_) => "database_recovered",
            Self::DeliveryDead(_) => "delivery_dead",
            Self::OutletMissed(_) => "outlet_missed",
        }
    }

    /// The outlet that it is about, which is not told of it: it would never come to an end.
    #[must_use]
    pub fn outlet(&self) -> Option<&str> {
        match self {
            Self::DeliveryDead(outlet) | Self::OutletMissed(outlet) => Some(outlet),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_goes_there_and_back_and_keeps_the_order() {
        let first = NoticeId { commit: 7_353_703_260_274_688, place: 3 };
        assert_eq!(first.to_string(), "ntc_7353703260274688-3");
        assert_eq!(first.to_string().parse(), Ok(first));
        assert!(first < NoticeId::end_of(first.commit));
        assert!(NoticeId::end_of(first.commit) < NoticeId { commit: first.commit + 1, place: 0 });
        let end = NoticeId::end_of(1);
        assert_eq!(end.to_string().parse(), Ok(end));
        for wrong in
            ["", "ntc_", "ntc_1", "ntc_1-", "ntc_-1", "ntc_1-x", "ntc_+1-1", "evt_1-1", "ntc_1-4294967296"]
        {
            assert!(wrong.parse::<NoticeId>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn news_are_short_and_read_back() {
        for (news, text) in [
            (News::Message(MessageId(1)), r#"{"m":"msg_1"}"#),
            (News::Status(MessageId(1), Status::Delivered, 5), r#"{"s":["msg_1","delivered",5]}"#),
            (News::Conversation(ConversationId(2), Change::HandedOff), r#"{"c":["cnv_2","handed_off"]}"#),
            (News::Alarm(Alarm::Quarantined(EventId(3))), r#"{"a":{"quarantined":"evt_3"}}"#),
        ] {
            assert_eq!(serde_json::to_string(&news).unwrap(), text);
            assert_eq!(serde_json::from_str::<News>(text).unwrap(), news);
        }
    }

    #[test]
    fn every_change_and_kind_is_shown_as_it_is_stored() {
        for change in Change::ALL {
            assert_eq!(serde_json::to_value(change).unwrap(), change.as_str());
        }
        for kind in Kind::ALL {
            assert_eq!(Kind::parse(kind.as_str()), Some(kind));
        }
        let alarm = Alarm::DeadLetter(MessageId(1));
        assert!(serde_json::to_string(&alarm).unwrap().contains(alarm.as_str()));
        assert!(Alarm::NAMES.contains(&alarm.as_str()));
    }
}
