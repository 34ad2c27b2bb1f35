//! The signature of Standard Webhooks 1.0.0: `v1,` and the base64 of HMAC-SHA256 over `{id}.{timestamp}.{body}`.
//! Source: standardwebhooks.com, specification, "Signature scheme" and "Webhook headers".

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// What a secret begins with; the base64 of the key follows.
const SECRET_PREFIX: &str = "whsec_";
/// Bytes of the key. Source: the specification's table, "Signing secret".
const KEY_BYTES: std::ops::RangeInclusive<usize> = 24..=64;

/// A secret that is none. It does not repeat what was given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "the secret of an outlet is `whsec_` and the base64 of 24 to 64 random bytes; `openssl rand -base64 32` makes the latter"
)]
pub struct BadSecret;

/// What signs what one outlet is told: the key schedule is done once.
#[derive(Clone)]
pub struct Signer(Hmac<Sha256>);

impl Signer {
    /// The signer with this secret.
    ///
    /// # Errors
    /// When it is not a secret of the specification.
    pub fn new(secret: &str) -> Result<Self, BadSecret> {
        let key = secret
            .strip_prefix(SECRET_PREFIX)
            .and_then(|text| STANDARD.decode(text).ok())
            .ok_or(BadSecret)?;
        if !KEY_BYTES.contains(&key.len()) {
            return Err(BadSecret);
        }
        Hmac::new_from_slice(&key).map(Self).map_err(|_| BadSecret)
    }

    /// The value of `webhook-signature` for this id, this time (seconds since 1970) and this body.
    #[must_use]
    pub fn sign(&self, id: &str, timestamp: i64, body: &str) -> String {
        let mac = self.0.clone().chain_update(format!("{id}.{timestamp}.")).chain_update(body).finalize();
        format!("v1,{}", STANDARD.encode(mac.into_bytes()))
    }
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Signer(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example in the documentation of the specification's reference libraries.
    #[test]
    fn it_signs_like_everyone_else() {
        let signer = Signer::new("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        let signed = signer.sign("msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, "{\"test\": 2432232314}");
        assert_eq!(signed, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn a_secret_has_its_form_and_is_never_shown() {
        for wrong in ["", "whsec_", "whsec_c2hvcnQ=", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_not base64!"]
        {
            assert_eq!(Signer::new(wrong).unwrap_err(), BadSecret);
        }
        let signer = Signer::new("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        assert_eq!(format!("{signer:?}"), "Signer(…)");
    }
}
