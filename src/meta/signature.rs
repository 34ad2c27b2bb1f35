//! `X-Hub-Signature-256`: proof that a body came from Meta. Source: Meta, "create a webhook endpoint", 2026.
//!
//! The signature is over the raw bytes as they came. What Meta signs is already escaped (`\/`, `\u00e9`), so a body that
//! was decoded and written again does not verify.

use std::fmt;

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use super::hex;

/// What the header's value begins with; 64 hexadecimal digits follow.
const PREFIX: &str = "sha256=";

/// Why a signature was refused. Says nothing about what the right one would have been.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// There is no header.
    #[error("the header `X-Hub-Signature-256` is missing")]
    Missing,
    /// The header is not `sha256=` and 64 hexadecimal digits.
    #[error("the header `X-Hub-Signature-256` is not `sha256=` followed by 64 hexadecimal digits")]
    Malformed,
    /// The body was not signed with this secret, or was changed on its way.
    #[error(
        "the signature does not match the body; check that the app secret is the one of the app that sends"
    )]
    Mismatch,
}

/// Meta's app secret, ready to sign: the key schedule is done once and copied for every body.
#[derive(Clone)]
pub struct AppSecret(Hmac<Sha256>);

impl AppSecret {
    /// The app secret as the app dashboard shows it. Whether it is there at all is the configuration's to check.
    #[must_use]
    pub fn new(secret: &str) -> Self {
        Self(Hmac::new_from_slice(secret.as_bytes()).expect("HMAC takes a key of any length"))
    }

    /// The header's value for `body`: `sha256=` and 64 lower-case digits.
    #[must_use]
    pub fn sign(&self, body: &[u8]) -> String {
        let mac = self.over(body).finalize().into_bytes();
        format!("{PREFIX}{}", hex::encode(&mac))
    }

    /// The `appsecret_proof` of an access token: that whoever uses it knows the secret as well. Source: Meta, "securing graph
    /// API requests".
    #[must_use]
    pub fn proof(&self, token: &str) -> String {
        hex::encode(&self.over(token.as_bytes()).finalize().into_bytes())
    }

    /// Checks the header's value against the raw `body`, in a time that does not depend on where they differ.
    ///
    /// # Errors
    /// When the header is missing, is not a signature, or is not the one of this body.
    pub fn verify(&self, header: Option<&str>, body: &[u8]) -> Result<(), Refusal> {
        let header = header.ok_or(Refusal::Missing)?.trim();
        let given = header.strip_prefix(PREFIX).and_then(hex::decode).ok_or(Refusal::Malformed)?;
        // A wrong length is a matter of form: it is public and no secret depends on it.
        if given.len() != size_of::<[u8; 32]>() {
            return Err(Refusal::Malformed);
        }
        self.over(body).verify_slice(&given).map_err(|_| Refusal::Mismatch)
    }

    fn over(&self, body: &[u8]) -> Hmac<Sha256> {
        self.0.clone().chain_update(body)
    }
}

impl fmt::Debug for AppSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AppSecret(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 4231, test case 2.
    const KNOWN: &str = "sha256=5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843";

    #[test]
    fn it_signs_like_everyone_else() {
        let secret = AppSecret::new("Jefe");
        assert_eq!(secret.sign(b"what do ya want for nothing?"), KNOWN);
        assert_eq!(secret.verify(Some(KNOWN), b"what do ya want for nothing?"), Ok(()));
        assert_eq!(
            secret.verify(Some(&KNOWN.to_uppercase().replace("SHA", "sha")), b"what do ya want for nothing?"),
            Ok(())
        );
    }

    #[test]
    fn one_changed_bit_of_body_header_or_secret_is_a_mismatch() {
        let secret = AppSecret::new("s");
        let header = secret.sign(b"body");
        assert_eq!(secret.verify(Some(&header), b"bodY"), Err(Refusal::Mismatch));
        assert_eq!(AppSecret::new("t").verify(Some(&header), b"body"), Err(Refusal::Mismatch));
        let last = if header.ends_with('0') { '1' } else { '0' };
        let changed = format!("{}{last}", &header[..header.len() - 1]);
        assert_eq!(secret.verify(Some(&changed), b"body"), Err(Refusal::Mismatch));
    }

    #[test]
    fn what_is_no_signature_is_told_apart_from_a_wrong_one() {
        let secret = AppSecret::new("s");
        assert_eq!(secret.verify(None, b""), Err(Refusal::Missing));
        let digits = "0".repeat(64);
        for wrong in [
            "",
            "sha256=",
            "sha256=00",
            "sha256=zz",
            &digits,
            &format!("sha1={digits}"),
            &format!("sha256={digits}00"),
        ] {
            assert_eq!(secret.verify(Some(wrong), b""), Err(Refusal::Malformed), "{wrong}");
        }
    }

    #[test]
    fn the_signature_is_over_the_escaped_bytes_and_not_over_what_they_mean() {
        let secret = AppSecret::new("s");
        let wire = br#"{"caption":"caf\u00e9","mime_type":"image\/jpeg"}"#;
        let header = secret.sign(wire);
        assert_eq!(secret.verify(Some(&header), wire), Ok(()));
        let meaning: serde_json::Value = serde_json::from_slice(wire).unwrap();
        let rewritten = serde_json::to_vec(&meaning).unwrap();
        assert_eq!(secret.verify(Some(&header), &rewritten), Err(Refusal::Mismatch));
    }

    #[test]
    fn it_does_not_print_its_key() {
        assert_eq!(format!("{:?}", AppSecret::new("hunter2")), "AppSecret(…)");
    }
}
