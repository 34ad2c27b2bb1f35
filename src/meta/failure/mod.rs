//! Meta's refusals: what its answer says, and what its advice about it is.
//!
//! The client reads answers with [`refused`]; the sender asks [`policy`] what to do and shows people [`cause`]; a failed
//! status is read with the same words. The advice itself is the table in `table.rs`.
//!
//! Meta asks to decide on `code`, not on the HTTP status, and its HTTP statuses differ between sources. So the status is
//! asked only where the code says nothing.

mod table;

use std::time::Duration;

use serde_json::value::RawValue;

use super::object::Object;
use crate::domain::delivery::{Failure, Refusal};
use table::find;

/// Longest `Retry-After` that is believed: a broken answer must not silence a number for a day.
pub const RETRY_AFTER_MAX: Duration = Duration::from_secs(3600);

/// Meta answered, and did not take the message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// The HTTP status of the answer.
    pub http_status: u16,
    /// Meta's words; code 0 where the answer is not Meta's JSON.
    pub failure: Failure,
    /// How long to wait, if the answer says so; at most [`RETRY_AFTER_MAX`].
    pub retry_after: Option<Duration>,
}

impl Refused {
    /// What to do about it.
    #[must_use]
    pub fn policy(&self) -> Policy {
        policy(self.failure.code, self.http_status)
    }
}

/// What to do about a refusal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Policy {
    /// Too much to this person: wait 4^n s before the n-th retry to them (n from 0). Everyone else is unaffected.
    PairPause,
    /// Too much from this number: slow the whole number down and try again.
    SlowNumber,
    /// Trouble at Meta's: try again, later each time, with jitter.
    Backoff,
    /// The token is not accepted: nothing from this number will go until a person renews it. Keep the message.
    PauseNumber,
    /// Try this message again, not before so long.
    Wait(Duration),
    /// It will not go, however often it is tried.
    Permanent,
}

/// What to do about a refusal with Meta's `code`; an unknown one, and 0, is judged by the HTTP status.
#[must_use]
pub fn policy(code: i64, http_status: u16) -> Policy {
    match (find(code), http_status) {
        (Some(entry), _) => entry.policy,
        (None, 401) => Policy::PauseNumber,
        (None, 429) => Policy::SlowNumber,
        (None, 408 | 500..) => Policy::Backoff,
        (None, _) => Policy::Permanent,
    }
}

/// What is wrong and what helps, in a sentence for a person; of our own codes too.
#[must_use]
pub fn cause(code: i64) -> &'static str {
    if let Some(ours) = Refusal::of_code(code) {
        return ours.cause();
    }
    match (find(code), code) {
        (Some(entry), _) => entry.cause,

        (None, 0) => {
            "The answer has no error code: the login failed, or something between us and Meta answered."
        }
        (None, _) => "Meta refused it with a code that this version does not know; its own words say more.",
    }
}

/// Meta's own name of `code`, where it is known.
#[must_use]
pub fn meaning(code: i64) -> Option<&'static str> {
    find(code).map(|entry| entry.meaning)
}

/// The refusal in an answer with an HTTP status that is not a success. `None` when it is unknown whether Meta took the
/// message: a 5xx that is not Meta's own JSON comes from something in between, which may have passed the message on.
#[must_use]
pub fn refused(http_status: u16, retry_after: Option<Duration>, body: &[u8]) -> Option<Refused> {
    let failure = match metas_error(body) {
        Some(failure) => failure,
        None if http_status >= 500 => return None,
        None => {
            Failure { title: format!("HTTP {http_status} without an error of Meta's"), ..Failure::default() }
        }
    };
    Some(Refused { http_status, failure, retry_after: retry_after.map(|wait| wait.min(RETRY_AFTER_MAX)) })
}

/// The `error` of a Graph API answer; `None` unless it is an object with a whole number as its code.
pub(super) fn metas_error(body: &[u8]) -> Option<Failure> {
    let whole: &RawValue = serde_json::from_slice(body).ok()?;
    let error = Object::read(whole)?.object("error")?;
    error.integer("code").map(|_| read(&error))
}

/// Meta's words in one error object, of an answer or of a webhook.
pub(super) fn read(error: &Object<'_>) -> Failure {
    Failure {
        code: error.integer("code").unwrap_or_default(),
        title: error.text("title").or_else(|| error.text("message")).unwrap_or_default(),
        details: error.object("error_data").and_then(|data| data.text("details")),
        trace: error.text("fbtrace_id"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const THROUGHPUT: &[u8] = br#"{"error":{"message":"(#130429) Rate limit hit","type":"OAuthException","code":130429,
        "error_data":{"messaging_product":"whatsapp","details":"throughput has been reached."},"fbtrace_id":"Az8"}}"#;

    #[test]
    fn metas_words_are_read_whatever_the_http_status() {
        for status in [400, 429, 500] {
            let refused = refused(status, None, THROUGHPUT).unwrap();
            assert_eq!((refused.failure.code, refused.policy()), (130_429, Policy::SlowNumber));
            assert_eq!(refused.failure.title, "(#130429) Rate limit hit");
            assert_eq!(refused.failure.details.as_deref(), Some("throughput has been reached."));
            assert_eq!(refused.failure.trace.as_deref(), Some("Az8"));
        }
    }

    #[test]
    fn a_gateways_5xx_is_no_refusal_and_its_4xx_is() {
        for body in
            [&b"<html>Bad Gateway"[..], b"", br#"{"error":"bad gateway"}"#, br#"{"error":{"code":"E1"}}"#]
        {
            assert_eq!(refused(502, None, body), None);
            assert_eq!(refused(404, None, body).unwrap().policy(), Policy::Permanent);
            assert_eq!(refused(429, None, body).unwrap().policy(), Policy::SlowNumber);
            assert_eq!(refused(401, None, body).unwrap().policy(), Policy::PauseNumber);
        }
    }

    #[test]
    fn every_code_of_the_design_has_its_policy() {
        for (code, expected) in [
            (131_056, Policy::PairPause),
            (130_429, Policy::SlowNumber),
            (4, Policy::SlowNumber),
            (80_007, Policy::SlowNumber),
            (190, Policy::PauseNumber),
            (2, Policy::Backoff),
            (131_016, Policy::Backoff),
            (131_057, Policy::Wait(Duration::from_secs(60))),
            (131_047, Policy::Permanent),
            (200, Policy::Permanent),
            (299, Policy::Permanent),
        ] {
            assert_eq!(policy(code, 500), expected, "{code}");
        }
        assert_eq!(policy(0, 401), Policy::PauseNumber);
        assert_eq!((policy(999_999, 503), policy(999_999, 400)), (Policy::Backoff, Policy::Permanent));
    }

    #[test]
    fn a_wait_that_is_told_is_bounded() {
        let waits =
            |seconds| refused(429, Some(Duration::from_secs(seconds)), THROUGHPUT).unwrap().retry_after;
        assert_eq!(waits(7), Some(Duration::from_secs(7)));
        assert_eq!(waits(1_000_000), Some(RETRY_AFTER_MAX));
    }

    #[test]
    fn unknown_codes_have_a_cause_too() {
        assert!(cause(0).contains("no error code") && cause(999_999).contains("does not know"));
        assert!(cause(131_047).contains("24 hours"));
        assert_eq!(meaning(131_047), Some("re-engagement message"));
    }
}
