//! SHA-256, in the two shapes that this room needs.

use sha2::{Digest as _, Sha256};

/// A whole hash.
pub(super) type Digest = [u8; 32];

/// The hash of `text`.
pub(super) fn digest(text: &str) -> Digest {
    Sha256::digest(text).into()
}

/// The first half of the hash of `text` as 32 hexadecimal digits: enough to tell texts apart.
pub(super) fn fingerprint(text: &str) -> String {
    digest(text)[..16].iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fingerprint_is_the_beginning_of_the_hash() {
        // The SHA-256 of nothing begins so (FIPS 180-4 test vectors).
        assert_eq!(fingerprint(""), "e3b0c44298fc1c149afbf4c8996fb924");
    }
}
