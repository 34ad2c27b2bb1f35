//! Dedupe keys. Meta delivers at least once, and repeats for up to 7 days.

use sha2::{Digest, Sha256};

use super::DEDUPE_KEY_MAX;
use crate::meta::hex;

/// The key of a message.
pub(super) fn message(number: Option<&str>, wamid: &str) -> String {
    bounded(format!("m:{}:{wamid}", number.unwrap_or_default()))
}

/// The key of a status. In a group, every participant has a status of their own for the same message.
pub(super) fn status<'a>(
    number: Option<&str>,
    wamid: &str,
    status: &str,
    participants: impl Iterator<Item = &'a str>,
) -> String {
    let mut key = format!("s:{}:{wamid}:{status}", number.unwrap_or_default());
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
            status(Some("1"), "wamid.A", "read", ["49", "US.1"].into_iter()),
            "s:1:wamid.A:read:49:US.1"
        );
        assert_ne!(text(&["ab", "c"]), text(&["a", "bc"]));
    }

    #[test]
    fn a_long_key_is_hashed_and_still_tells_apart() {
        let long = |end: &str| message(Some("1"), &format!("{}{end}", "é".repeat(400)));
        assert!(long("a").len() <= DEDUPE_KEY_MAX && long("a").starts_with("m:h:"));
        assert_ne!(long("a"), long("b"));
    }
}
