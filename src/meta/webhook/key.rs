//! Dedupe keys. Meta delivers at least once, and repeats for up to 7 days.

use sha2::{Digest, Sha256};

use crate::domain::dedupe::DedupeKey;
use crate::domain::ids::MessageId;
use crate::meta::hex;

/// The key of a message.
pub(super) fn message(number: Option<&str>, wamid: &str) -> DedupeKey {
    DedupeKey::of(&format!("m:{}:{wamid}", number.unwrap_or_default()))
}

/// The key of a status. In a group, every participant has a status of their own for the same message.
pub(super) fn status<'a>(
    number: Option<&str>,
    callback: Option<&str>,
    wamid: &str,
    status: &str,
    participants: impl Iterator<Item = &'a str>,
) -> DedupeKey {
    let mut name = format!("s:{}:{wamid}:{status}", number.unwrap_or_default());
    for participant in participants {
        name.push(':');
        name.push_str(participant);
    }
    match callback.and_then(|ours| ours.parse::<MessageId>().ok()) {
        Some(ours) => DedupeKey::told_of(ours, &name),
        None => DedupeKey::of(&name),
    }
}

/// The key of something without an id of its own: of all that tells it from others.
pub(super) fn text(parts: &[&str]) -> DedupeKey {
    let mut hash = Sha256::new();
    for part in parts {
        // The length keeps ("ab", "c") and ("a", "bc") apart.
        hash.update(part.len().to_le_bytes());
        hash.update(part);
    }
    DedupeKey::of(&format!("x:{}", hex::encode(&hash.finalize())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_of_what_tells_one_thing_from_another() {
        assert_eq!(message(Some("1"), "wamid.A"), DedupeKey::of("m:1:wamid.A"));
        assert_eq!(
            status(Some("1"), None, "wamid.A", "read", ["49", "US.1"].into_iter()),
            DedupeKey::of("s:1:wamid.A:read:49:US.1")
        );
        let with_ours = |ours| status(Some("1"), Some(ours), "wamid.A", "read", std::iter::empty());
        assert_eq!(with_ours("msg_7"), DedupeKey::told_of(MessageId(7), "s:1:wamid.A:read"));
        assert_eq!(with_ours("msg_7:x"), DedupeKey::of("s:1:wamid.A:read"), "what is not ours names nothing");
        assert_ne!(text(&["ab", "c"]), text(&["a", "bc"]));
    }
}
