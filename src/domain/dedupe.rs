//! What makes an event the same as another one.

use std::fmt;

use sha2::{Digest, Sha256};

use crate::domain::ids::MessageId;

/// Bytes of a key.
const BYTES: usize = 16;
/// Bytes of an id at the beginning of a key.
const ID_BYTES: usize = 8;

/// The same for every delivery of the same thing, and for nothing else. Sixteen bytes whatever it is of: an index of them stays
/// small, however many events are kept.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct DedupeKey([u8; BYTES]);

impl DedupeKey {
    /// The key of what has this name: half of its SHA-256. Of a thousand million names, two agree with a probability of 10⁻²¹.
    #[must_use]
    pub fn of(name: &str) -> Self {
        Self(hash(name))
    }

    /// The key of what is told of a message of ours. The message's id, which grows with time, comes first: what is told at one
    /// time is then neighbours among all keys, and shares pages of the index, which hashes never do.
    #[must_use]
    pub fn told_of(message: MessageId, name: &str) -> Self {
        let mut key = hash(name);
        key[..ID_BYTES].copy_from_slice(&message.0.to_be_bytes());
        Self(key)
    }

    /// The key as it is stored.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for DedupeKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

fn hash(name: &str) -> [u8; BYTES] {
    let hash = Sha256::digest(name);
    std::array::from_fn(|place| hash[place])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_the_beginning_of_the_hash() {
        // The SHA-256 of nothing begins so (FIPS 180-4 test vectors).
        assert_eq!(format!("{:?}", DedupeKey::of("")), "e3b0c44298fc1c149afbf4c8996fb924");
        assert_ne!(DedupeKey::of("a"), DedupeKey::of("b"));
    }

    #[test]
    fn what_is_told_of_messages_is_in_the_order_of_their_ids() {
        let told = |id: i64, name: &str| DedupeKey::told_of(MessageId(id), name);
        let keys = [told(1, "x"), told(255, "b"), told(256, "a"), told(i64::MAX, "a")];
        assert!(keys.is_sorted_by_key(|key| key.as_bytes().to_vec()));
        assert_ne!(told(1, "sent"), told(1, "read"));
    }
}
