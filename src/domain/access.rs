//! API keys: what they may do, and how one is told from another without being kept.
//!
//! A key is a secret that its owner is shown once. What is kept is its SHA-256, which leads nowhere back: the keys that we
//! make have 256 random bits.

use std::fmt;

use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

use crate::clock::Millis;

/// Characters in the name of a key.
pub const KEY_NAME_MAX: usize = 64;
/// What the keys that we make begin with, so that one that leaked is known for what it is.
pub const KEY_PREFIX: &str = "sb_";
/// The most requests per second that a key can be granted.
pub const KEY_RATE_MAX: u32 = 100_000;

/// What a key may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scope {
    /// Look at everything but keys and the audit log.
    Read,
    /// Send messages and give files to be sent.
    Send,
    /// Do what an operator does: hand off, release, reset, retry, fetch.
    Operate,
    /// Everything, with the keys and the audit log.
    Admin,
}

impl Scope {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Read, Self::Send, Self::Operate, Self::Admin];

    /// As written and stored.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Send => "send",
            Self::Operate => "operate",
            Self::Admin => "admin",
        }
    }

    /// The scope with this name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|scope| scope.as_str() == name)
    }
}

/// What a key may do in all.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Scopes(u8);

impl Scopes {
    /// All there is.
    #[must_use]
    pub fn all() -> Self {
        Scope::ALL.into_iter().collect()
    }

    /// Whether `scope` is among them; `admin` implies every one.
    #[must_use]
    pub fn allow(self, scope: Scope) -> bool {
        self.has(scope) || self.has(Scope::Admin)
    }

    fn has(self, scope: Scope) -> bool {
        self.0 & bit(scope) != 0
    }

    /// Those that were given, in order.
    pub fn iter(self) -> impl Iterator<Item = Scope> {
        Scope::ALL.into_iter().filter(move |scope| self.has(*scope))
    }

    /// Those in `text`, separated by commas; `None` when one is unknown or there is none.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let scopes: Option<Self> = text.split(',').map(|name| Scope::parse(name.trim())).collect();
        scopes.filter(|scopes| *scopes != Self::default())
    }
}

fn bit(scope: Scope) -> u8 {
    1 << (scope as u8)
}

impl FromIterator<Scope> for Scopes {
    fn from_iter<I: IntoIterator<Item = Scope>>(scopes: I) -> Self {
        Self(scopes.into_iter().fold(0, |bits, scope| bits | bit(scope)))
    }
}

impl fmt::Display for Scopes {
    /// With commas, as [`Scopes::parse`] reads it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self.iter().map(Scope::as_str).collect();
        f.write_str(&names.join(","))
    }
}

/// What is kept of a key.
#[derive(Clone, Copy)]
pub struct KeyHash([u8; 32]);

impl KeyHash {
    /// That of a key as it was presented.
    #[must_use]
    pub fn of(key: &str) -> Self {
        Self(Sha256::digest(key).into())
    }

    /// That which is stored as `hex`.
    #[must_use]
    pub fn from_hex(hex: &str) -> Option<Self> {
        let digit = |at: usize| hex.get(at..=at).and_then(|digit| u8::from_str_radix(digit, 16).ok());
        let mut bytes = [0; 32];
        for (at, byte) in bytes.iter_mut().enumerate() {
            *byte = (digit(2 * at)? << 4) | digit(2 * at + 1)?;
        }
        (hex.len() == 2 * bytes.len()).then_some(Self(bytes))
    }

    /// As stored: 64 digits.
    #[must_use]
    pub fn to_hex(self) -> String {
        self.0.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// A part of it by which a row is found. The whole is then compared with [`KeyHash::is`].
    #[must_use]
    pub fn handle(self) -> i64 {
        let [a, b, c, d, e, f, g, h, ..] = self.0;
        i64::from_be_bytes([a, b, c, d, e, f, g, h])
    }

    /// Whether both are of the same key. How long that takes tells nothing of where they differ.
    #[must_use]
    pub fn is(self, other: Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl fmt::Debug for KeyHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeyHash(…)")
    }
}

/// Why there cannot be such a key: `field` is to blame, and `why` is read after its name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{field}` {why}")]
pub struct BadKey {
    /// `name`, `scopes`, `expires_at` or `requests_per_second`.
    pub field: &'static str,
    why: String,
}

/// A key that is to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewKey {
    name: String,
    scopes: Scopes,
    expires_at: Option<Millis>,
    requests_per_second: Option<u32>,
}

impl NewKey {
    /// A key called `name` that may do what `scopes` say, at the time `now`.
    ///
    /// # Errors
    /// When the name is empty, too long or no line of text, there is no scope, it would have expired already, or its rate
    /// is not within 1 to [`KEY_RATE_MAX`].
    pub fn new(
        name: &str,
        scopes: Scopes,
        expires_at: Option<Millis>,
        requests_per_second: Option<u32>,
        now: Millis,
    ) -> Result<Self, BadKey> {
        let bad = |field, why: String| Err(BadKey { field, why });
        let name = name.trim();
        if name.is_empty() || name.chars().count() > KEY_NAME_MAX || name.chars().any(char::is_control) {
            return bad("name", format!("has to be a line of 1 to {KEY_NAME_MAX} characters"));
        }
        if scopes == Scopes::default() {
            return bad(
                "scopes",
                "has to name one at least of `read`, `send`, `operate`, `admin`".to_owned(),
            );
        }
        if expires_at.is_some_and(|at| at <= now) {
            return bad("expires_at", "has passed already; give a time to come".to_owned());
        }
        if requests_per_second.is_some_and(|rate| !(1..=KEY_RATE_MAX).contains(&rate)) {
            return bad("requests_per_second", format!("has to be 1 to {KEY_RATE_MAX}"));
        }
        Ok(Self { name: name.to_owned(), scopes, expires_at, requests_per_second })
    }

    /// What people call it.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What it may do.
    #[must_use]
    pub fn scopes(&self) -> Scopes {
        self.scopes
    }

    /// From when on it opens nothing, if ever.
    #[must_use]
    pub fn expires_at(&self) -> Option<Millis> {
        self.expires_at
    }

    /// A rate of its own.
    #[must_use]
    pub fn requests_per_second(&self) -> Option<u32> {
        self.requests_per_second
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn admin_implies_every_scope_and_no_other_implies_any() {
        for held in Scope::ALL {
            for wanted in Scope::ALL {
                let scopes = Scopes::from_iter([held]);
                assert_eq!(scopes.allow(wanted), held == wanted || held == Scope::Admin);
            }
        }
        assert!(!Scopes::default().allow(Scope::Read));
    }

    #[test]
    fn scopes_go_to_text_and_back() {
        for text in ["read", "read,send", "operate", "read,send,operate,admin"] {
            assert_eq!(Scopes::parse(text).unwrap().to_string(), text);
        }
        assert_eq!(Scopes::parse("send, read,read").unwrap().to_string(), "read,send");
        for wrong in ["", ",", "read,", "write", "Read"] {
            assert_eq!(Scopes::parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_hash_goes_to_hex_and_back_and_shows_nothing() {
        // SHA-256 of `abc` (FIPS 180-4, test vectors).
        let abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        let hash = KeyHash::of("abc");
        assert_eq!(hash.to_hex(), abc);
        assert!(KeyHash::from_hex(abc).unwrap().is(hash));
        assert!(!KeyHash::of("abd").is(hash));
        assert_eq!(hash.handle().cast_unsigned(), 0xba78_16bf_8f01_cfea);
        for wrong in ["", "ba", &abc[1..], &format!("{abc}0"), &abc.replace('b', "é")] {
            assert!(KeyHash::from_hex(wrong).is_none(), "{wrong}");
        }
        assert!(!format!("{hash:?}").contains("ba78"));
    }

    #[test]
    fn a_key_that_cannot_be_is_refused_by_field() {
        let read = Scopes::from_iter([Scope::Read]);
        let make = |name: &str, scopes, expires_at, rate| NewKey::new(name, scopes, expires_at, rate, 1_000);
        assert_eq!(make(" n ", read, Some(1_001), Some(5)).unwrap().name(), "n");
        for (refused, field) in [
            (make(" ", read, None, None), "name"),
            (make("a\nb", read, None, None), "name"),
            (make(&"é".repeat(65), read, None, None), "name"),
            (make("n", Scopes::default(), None, None), "scopes"),
            (make("n", read, Some(1_000), None), "expires_at"),
            (make("n", read, None, Some(0)), "requests_per_second"),
        ] {
            assert_eq!(refused.unwrap_err().field, field);
        }
    }
}
