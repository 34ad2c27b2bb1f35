//! Meta's error codes: meaning, advice, and the cause in plain words.
//! Source: Meta, Cloud API error codes, and "about the platform" (pair limit), 2026. Where Meta gives no advice about a
//! retry, the entry is permanent: a message that is shown as failed is better than one that is tried for ever.

use std::time::Duration;

use super::Policy::{self, Backoff, PairPause, PauseNumber, Permanent, SlowNumber, Wait};

/// What is known about a code, or a range of codes.
pub(super) struct Entry {
    first: i64,
    last: i64,
    pub(super) meaning: &'static str,
    pub(super) policy: Policy,
    pub(super) cause: &'static str,
}

/// The entry of `code`.
pub(super) fn find(code: i64) -> Option<&'static Entry> {
    TABLE.iter().find(|entry| (entry.first..=entry.last).contains(&code))
}

const MINUTE: Duration = Duration::from_secs(60);
const TEN_MINUTES: Duration = Duration::from_secs(600);
const HALF_AN_HOUR: Duration = Duration::from_secs(1800);
const HOUR: Duration = Duration::from_secs(3600);

const fn one(code: i64, meaning: &'static str, policy: Policy, cause: &'static str) -> Entry {
    Entry { first: code, last: code, meaning, policy, cause }
}

const fn range(first: i64, last: i64, meaning: &'static str, policy: Policy, cause: &'static str) -> Entry {
    Entry { first, last, meaning, policy, cause }
}

#[rustfmt::skip]
const TABLE: &[Entry] = &[
    // Login and permission. Code 0 is not here: an answer without a code has it too, so its HTTP status decides.
    one(190, "access token expired", PauseNumber, "The access token has expired or was withdrawn; make a new one and set it."),
    one(3, "API method", Permanent, "The app may not use this part of the API; check its permissions."),
    one(10, "permission denied", Permanent, "The token lacks a permission, or the number is not ours; check the token's permissions."),
    range(200, 299, "API permission", Permanent, "The token lacks a permission; check its permissions in the app dashboard."),
    one(131_005, "access denied", Permanent, "The token lacks a permission; check its permissions in the app dashboard."),

    // Limits.
    one(4, "application rate limit", SlowNumber, "The app makes too many calls; it goes out more slowly."),
    one(80_007, "account rate limit", SlowNumber, "The business account makes too many calls; it goes out more slowly."),
    one(130_429, "throughput reached", SlowNumber, "The number sends faster than Meta allows; it goes out more slowly."),
    one(131_056, "pair rate limit", PairPause, "Too many messages to this person in a short time; it goes out later."),
    one(131_048, "spam rate limit", Wait(HALF_AN_HOUR), "People have blocked or reported the number; pause campaigns and look at its quality."),
    one(131_064, "template classification limit", Permanent, "Meta restricts the account for wrongly classified templates; wait until the restriction ends."),
    one(133_016, "registration limit", Wait(HOUR), "The number was registered or deregistered too often; wait."),
    one(131_208, "group rate limit", SlowNumber, "Too many messages to groups; it goes out more slowly."),

    // Trouble at Meta's.
    one(1, "unknown API error", Backoff, "Meta had an error, or did not understand the request; it is tried again."),
    one(2, "service unavailable", Backoff, "Meta's service is down or overloaded; it is tried again."),
    one(131_000, "something went wrong", Backoff, "Meta had an error that it does not explain; it is tried again."),
    one(131_016, "service unavailable", Backoff, "Meta's service is down or overloaded; it is tried again."),
    one(133_004, "server unavailable", Backoff, "Meta's service is down; it is tried again."),
    one(131_057, "maintenance mode", Wait(MINUTE), "Meta is working on the number, perhaps raising its throughput; it is tried again in a minute."),
    one(2_494_100, "maintenance mode", Wait(MINUTE), "Meta is working on the number; it is tried again in a minute."),
    one(131_053, "media upload error", Backoff, "Meta could not fetch the file; check that its address and type are right."),

    // The person.
    one(131_026, "message undeliverable", Permanent, "The person cannot be reached: not on WhatsApp, an old version, or the terms not accepted."),
    one(131_030, "recipient not in allowed list", Permanent, "A test number only writes to people on its list; add the person in the app dashboard."),
    one(131_021, "recipient is sender", Permanent, "The number would write to itself."),
    one(131_047, "re-engagement message", Permanent, "More than 24 hours since the person last wrote; only a template may be sent."),
    one(131_049, "ecosystem engagement", Permanent, "Meta held this marketing message back to spare the person; not again for 24 hours."),
    one(131_050, "marketing stopped by user", Permanent, "The person does not want marketing messages; do not send them any."),
    one(130_403, "user blocked", Permanent, "You have blocked this person; unblock them first."),
    one(130_472, "user in experiment", Permanent, "The person is part of an experiment of Meta's and gets no marketing messages."),
    one(131_062, "recipient id not allowed", Permanent, "This kind of message needs a phone number; the person is known by an id only."),
    one(137_000, "identity changed", Permanent, "The person's security code has changed; confirm who they are."),

    // The account and the number.
    one(368, "blocked for policy violations", Permanent, "Meta has restricted the account for a policy violation; look in the business manager."),
    one(130_497, "restricted country", Permanent, "The account may not write to people in this country."),
    one(131_031, "account locked", Permanent, "Meta has locked the account; look in the business manager."),
    one(131_037, "display name not approved", Permanent, "The number's display name has to be approved first."),
    one(131_042, "payment issue", Permanent, "There is no valid payment method; add one in the business manager."),
    one(131_045, "incorrect certificate", Permanent, "The number is not properly registered; register it again."),
    one(133_010, "number not registered", Permanent, "The number is not registered with the Cloud API; register it."),
    one(134_011, "payments terms not accepted", Permanent, "The terms of WhatsApp payments have to be accepted first."),
    range(133_000, 133_015, "registration error", Permanent, "The number's registration or PIN is not in order; look at Meta's details."),
    one(131_063, "marketing disabled on Cloud API", Permanent, "The account sends marketing only through the Marketing Messages API."),
    one(131_055, "method not allowed", Permanent, "This kind of message may not be sent in this way."),
    one(134_101, "template syncing", Wait(TEN_MINUTES), "The template is not ready yet; it is tried again in ten minutes."),
    range(134_100, 134_102, "marketing messages API", Permanent, "The Marketing Messages API does not take this message; look at Meta's details."),
    one(1_752_041, "marketing messages API", Permanent, "The account is not signed up for the Marketing Messages API."),

    // The message.
    one(33, "parameter value", Permanent, "The phone number id does not exist; it may have been deleted."),
    one(100, "invalid parameter", Permanent, "Meta does not accept a field of the message, or the phone number id is not ours."),
    one(131_008, "required parameter missing", Permanent, "A field that Meta needs is missing."),
    one(131_009, "parameter value not valid", Permanent, "A field has a value that Meta does not accept."),
    one(131_051, "unsupported message type", Permanent, "Meta does not support this type of message."),
    one(131_052, "media download error", Permanent, "The person's file could not be fetched; it may be larger than 100 MB."),
    one(131_060, "message unavailable", Permanent, "Meta could not pass the person's message on."),
    one(135_000, "generic user error", Permanent, "Meta does not accept the message and does not say why; look at its fields."),

    // Templates and forms.
    one(132_000, "template parameter count", Permanent, "The template has another number of variables."),
    one(132_001, "template does not exist", Permanent, "There is no approved template of this name in this language."),
    one(132_005, "template text too long", Permanent, "With its variables filled in the template is too long."),
    one(132_007, "template policy", Permanent, "The template's text violates a policy of WhatsApp's."),
    one(132_008, "template parameter format", Permanent, "A variable of the template is formatted wrongly."),
    one(132_012, "template parameter format", Permanent, "A variable of the template is formatted wrongly."),
    one(132_015, "template paused", Permanent, "The template is paused for its low quality; improve it."),
    one(132_016, "template disabled", Permanent, "The template was paused too often and is disabled for good; make a new one."),
    one(132_018, "template parameters", Permanent, "The template's variables do not fit it."),
    one(132_068, "flow blocked", Permanent, "The WhatsApp Flow is blocked; repair it in the flow manager."),
    one(132_069, "flow throttled", Wait(HOUR), "The WhatsApp Flow is throttled to 10 messages an hour; it is tried again in an hour."),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_code_is_hidden_behind_an_earlier_entry() {
        for (index, entry) in TABLE.iter().enumerate() {
            assert!(entry.first <= entry.last, "{}", entry.first);
            let before =
                TABLE[..index].iter().find(|other| other.first <= entry.first && entry.last <= other.last);
            assert!(before.is_none(), "{} is never found", entry.first);
        }
    }

    #[test]
    fn every_cause_is_a_sentence() {
        for entry in TABLE {
            assert!(
                entry.cause.ends_with('.') && entry.cause.starts_with(char::is_uppercase),
                "{}",
                entry.first
            );
            assert!(!entry.meaning.is_empty(), "{}", entry.first);
        }
    }
}
