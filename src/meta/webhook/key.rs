//! Dedupe keys. Meta delivers at least once, and repeats for up to 7 days.

use sha2::{Digest, Sha256};

use super::DEDUPE_KEY_MAX;
use crate::domain::ids::MessageId;
use crate::meta::hex;

/// The key of a message.
pub(super) fn message(number: Option<&str>, wamid: &str) -> String {
    bounded(format!("m:{}:{wamid}", number.unwrap_or_default()))
}

/// The key of a status. In a group, every participant has a status of their own for the same message. Where it names our own
/// id of the message, which grows with time, that comes first: statuses that come together are then neighbours among all
/// keys, and share pages of the index, which Meta's ids never do.
pub(super) fn status<'a>(
    number: Option<&str>,
    callback: Option<&str>,
    wamid: &str,
    status: &str,
    participants: impl Iterator<Item = &'a str>,
) -> String {
    let mut key = format!("s:{}:", number.unwrap_or_default());
    if let Some(ours) = callback.filter(|ours| ours.parse::<MessageId>().is_ok()) {
        key.push_str(ours);
        key.push(':');
    }
    key.push_str(wamid);
    key.push(':');
    key.push_str(status);
    for participant in participants {
        key.push(':');
        key.push_str(participant);
    }
    bounded(key)
}

/// The key of something without an id of its own: a hash of all that tells it from others.
pub(super) fn text(parts: &[&str]) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        // The length keeps ("ab", "c") and ("a", "bc") apart.
        hash.update(part.len().to_le_bytes());
        hash.update(part);
    }
    format!("x:{}", hex::encode(&hash.finalize()))
}

fn bounded(key: String) -> String {
    if key.len() <= DEDUPE_KEY_MAX {
        return key;
    }
    format!("{}h:{}", &key[..2], hex::encode(&Sha256::digest(key.as_bytes())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_name_what_they_are_for() {
        assert_eq!(message(Some("1"), "wamid.A"), "m:1:wamid.A");
        assert_eq!(
            status(Some("1"), None, "wamid.A", "read", ["49", "US.1"].into_iter()),
            "s:1:wamid.A:read:49:US.1"
        );
        let with_ours = |ours| status(Some("1"), Some(ours), "wamid.A", "read", std::iter::empty());
        assert_eq!(with_ours("msg_7"), "s:1:msg_7:wamid.A:read");
        assert_eq!(with_ours("msg_7:x"), "s:1:wamid.A:read", "what is not ours names nothing");
        assert_ne!(text(&["ab", "c"]), text(&["a", "bc"]));
    }

    #[test]
    fn a_long_key_is_hashed_and_still_tells_apart() {
        let long = |end: &str| message(Some("1"), &format!("{}{end}", "é".repeat(400)));
        assert!(long("a").len() <= DEDUPE_KEY_MAX && long("a").starts_with("m:h:"));
        assert_ne!(long("a"), long("b"));
    }
}
