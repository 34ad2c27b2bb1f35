//! Ids: `i64` inside, opaque strings outside (`evt_…`, `msg_…`), so that one kind is never taken for another.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A string that is not an id of the wanted kind.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{given}` is not an id of this kind: it looks like `{prefix}` followed by digits")]
pub struct BadId {
    given: String,
    prefix: &'static str,
}

macro_rules! id {
    ($(#[$doc:meta])* $name:ident, $prefix:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(pub i64);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!($prefix, "{}"), self.0)
            }
        }

        impl FromStr for $name {
            type Err = BadId;

            fn from_str(given: &str) -> Result<Self, BadId> {
                given
                    .strip_prefix($prefix)
                    .filter(|digits| digits.bytes().all(|b| b.is_ascii_digit()))
                    .and_then(|digits| digits.parse().ok())
                    .map(Self)
                    .ok_or_else(|| BadId { given: given.chars().take(64).collect(), prefix: $prefix })
            }
        }

        impl TryFrom<String> for $name {
            type Error = BadId;

            fn try_from(given: String) -> Result<Self, BadId> {
                given.parse()
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> Self {
                id.to_string()
            }
        }
    };
}

id!(
    /// An accepted event: a row of `webhook`.
    EventId, "evt_"
);
id!(
    /// A conversation: one of our phone numbers and one contact. A row of `session`.
    ConversationId, "cnv_"
);
id!(
    /// A person. A row of `contact`.
    ContactId, "con_"
);
id!(
    /// A stored message, of either direction. A row of `message`.
    MessageId, "msg_"
);

id!(
    /// A file: one that a person sent, which has the id of its message, or one that was given to us to send. A row of
    /// `media`.
    MediaId, "med_"
);

id!(
    /// A template of a business account of ours. A row of `template`.
    TemplateId, "tpl_"
);

id!(
    /// An API key. A row of `api_key`.
    KeyId, "key_"
);
id!(
    /// What somebody did. A row of `audit`.
    DeedId, "aud_"
);
id!(
    /// Something that an outlet is told. A row of `delivery`.
    DeliveryId, "dlv_"
);

impl ConversationId {
    /// The number of shards; fixed for ever, because every row keyed by conversation carries its shard.
    pub const SHARDS: i64 = 256;

    /// The shard of this conversation, 0 to 255.
    ///
    /// Ids are time-ordered, so their low bits are mixed first (Fibonacci hashing).
    #[must_use]
    pub fn shard(self) -> i16 {
        let mixed = self.0.cast_unsigned().wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 56;
        i16::try_from(mixed).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_opaque_typed_strings_outside() {
        assert_eq!(EventId(42).to_string(), "evt_42");
        assert_eq!("evt_42".parse(), Ok(EventId(42)));
        for wrong in ["42", "msg_42", "evt_", "evt_-1", "evt_1x", "evt_99999999999999999999"] {
            assert!(wrong.parse::<EventId>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn shards_are_spread_and_in_range() {
        let mut seen = std::collections::BTreeSet::new();
        for id in 0..100_000i64 {
            seen.insert(ConversationId(id << 12).shard());
        }
        assert_eq!(seen.len(), 256);
        assert!(seen.iter().all(|s| (0..256).contains(s)));
    }
}
