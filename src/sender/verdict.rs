//! What the outcome of an attempt means for the message, its lane and its number. Pure: the same outcome, attempt and time
//! give the same verdict, jitter included.

use std::time::Duration;

use crate::clock::{Millis, duration_ms};
use crate::config::AmbiguousPolicy;
use crate::domain::delivery::Failure;
use crate::domain::ids::MessageId;
use crate::domain::outbound::Message;
use crate::meta::client::Outcome;
use crate::meta::failure::{Policy, Refused, cause};
use crate::sender::{Limits, pacing};
use crate::store::{Attempted, Outbound, QueueState, SettleOutcome};

/// The first pause after trouble at Meta's or on the way; doubled with each attempt.
const BACKOFF: Duration = Duration::from_secs(1);
/// The longest pause of that kind.
const BACKOFF_MAX: Duration = Duration::from_secs(300);
/// The longest pause of one pair: 4^n s grows past any use.
const PAIR_PAUSE_MAX: Duration = Duration::from_secs(4096);

/// What follows from an outcome.
#[derive(Debug, Clone)]
pub struct Verdict {
    /// What is written down.
    pub settle: SettleOutcome,
    /// What it tells of the number.
    pub of_number: OfNumber,
}

/// What the outcome of one attempt tells of the number that it left from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OfNumber {
    /// Nothing: it was not posted.
    NotAsked,
    /// Nothing: Meta was not reached, or in trouble.
    Nothing,
    /// Meta took the token, and had nothing to say against the number.
    Fine,
    /// It is too fast, or its account or app is.
    Slow {
        /// Until when it rests.
        until: Millis,
        /// Meta's words, and the cause in plain ones.
        why: String,
    },
    /// Meta refuses its token.
    NoToken {
        /// Meta's words, and the cause in plain ones.
        why: String,
    },
}

/// What follows from `outcome` of the attempt at `outbound` that has just been made at `now`. `outbound.attempts` counts it.
#[must_use]
pub fn judge(outcome: Outcome, outbound: &Outbound, limits: &Limits, now: Millis) -> Verdict {
    match outcome {
        Outcome::Accepted { wamid, .. } => {
            let settle = wamid.map_or(SettleOutcome::Done, |wamid| SettleOutcome::Accepted { wamid });
            Verdict { settle, of_number: OfNumber::Fine }
        }
        Outcome::Refused(refused) => refusal(&refused, outbound, limits, now),
        Outcome::NotSent(reason) => {
            let attempt = Attempted { outcome: "not_sent", failure: told(reason) };
            let settle = retry(attempt, backoff(outbound), true, outbound, limits, now);
            Verdict { settle, of_number: OfNumber::Nothing }
        }
        // No status ever tells of a mark as read, and nobody waits for one: its lane goes on.
        Outcome::Ambiguous(_) if matches!(*outbound.message, Message::Read(_)) => {
            Verdict { settle: SettleOutcome::Done, of_number: OfNumber::Nothing }
        }
        Outcome::Ambiguous(reason) => {
            let settle = SettleOutcome::Ambiguous {
                until: now + duration_ms(limits.ambiguous_grace),
                attempt: Attempted { outcome: "ambiguous", failure: told(reason) },
            };
            Verdict { settle, of_number: OfNumber::Nothing }
        }
    }
}

/// Whether a message is given up before it is posted: it waited too long, or it is an ambiguous one whose grace is over and
/// that is not to be sent again. `None` to post it.
#[must_use]
pub fn before_attempt(outbound: &Outbound, limits: &Limits, now: Millis) -> Option<SettleOutcome> {
    let late = is_late(outbound, limits, now);
    let often_enough = outbound.attempts >= limits.attempts_max;
    let reason = match (outbound.state, limits.ambiguous_policy) {
        (QueueState::Ambiguous, AmbiguousPolicy::Ask) => {
            "nobody knows whether Meta took it, and the policy is to ask a person"
        }
        (QueueState::Ambiguous, AmbiguousPolicy::Resend) if often_enough => {
            "nobody knows whether Meta took it, and it was tried often enough"
        }
        (QueueState::Ambiguous, AmbiguousPolicy::Resend) if late => {
            "nobody knows whether Meta took it, and it is too late to try again"
        }
        (QueueState::Ready, _) if late => "it waited too long to be worth sending",
        _ => return None,
    };
    let attempt = Attempted { outcome: "given_up", failure: told(reason.to_owned()) };
    Some(SettleOutcome::Failed { attempt })
}

fn refusal(refused: &Refused, outbound: &Outbound, limits: &Limits, now: Millis) -> Verdict {
    let attempt = Attempted { outcome: "refused", failure: refused.failure.clone() };
    let often_enough = outbound.attempts >= limits.attempts_max;
    let pause = |pause: Duration| refused.retry_after.unwrap_or(pause);
    let why = || format!("{}: {}", refused.failure, cause(refused.failure.code));
    let retried = |pause| retry(attempt.clone(), pause, true, outbound, limits, now);
    let failed = || SettleOutcome::Failed { attempt: attempt.clone() };
    let policy = refused.policy();
    let settle = match policy {
        Policy::Permanent => failed(),
        Policy::PairPause | Policy::Backoff | Policy::Wait(_) if often_enough => failed(),
        Policy::PairPause => retried(pair_pause(outbound.attempts)),
        Policy::Backoff => retried(pause(backoff(outbound))),
        Policy::Wait(wait) => retried(pause(wait)),
        // It is the number's trouble and not the message's: the attempt does not count, and it stays the head of its lane.
        Policy::SlowNumber => retry(attempt.clone(), pause(pacing::REST_FIRST), false, outbound, limits, now),
        // Whether it is late by then is seen when the number has a good token again.
        Policy::PauseNumber => SettleOutcome::Retry { due_at: now, attempt: attempt.clone(), counted: false },
    };
    let of_number = match policy {
        Policy::SlowNumber => {
            OfNumber::Slow { until: now + duration_ms(pause(pacing::REST_FIRST)), why: why() }
        }
        Policy::PauseNumber => OfNumber::NoToken { why: why() },
        // A refusal without a code may not be Meta's own.
        Policy::Backoff => OfNumber::Nothing,
        _ if refused.failure.code == 0 => OfNumber::Nothing,
        Policy::Permanent | Policy::PairPause | Policy::Wait(_) => OfNumber::Fine,
    };
    Verdict { settle, of_number }
}

fn retry(
    attempt: Attempted,
    pause: Duration,
    counted: bool,
    outbound: &Outbound,
    limits: &Limits,
    now: Millis,
) -> SettleOutcome {
    if is_late(outbound, limits, now) {
        return SettleOutcome::Failed { attempt };
    }
    SettleOutcome::Retry { due_at: now + duration_ms(pause), attempt, counted }
}

fn is_late(outbound: &Outbound, limits: &Limits, now: Millis) -> bool {
    now - outbound.event_accepted_at - outbound.waited_ms > duration_ms(limits.deadline)
}

/// Meta's advice for the pair limit: 4^n s, n from 0.
fn pair_pause(attempts: u32) -> Duration {
    let seconds = 4u64.saturating_pow(attempts.saturating_sub(1));
    Duration::from_secs(seconds).min(PAIR_PAUSE_MAX)
}

/// 1 s, 2 s, 4 s, …, each made up to half as long again by what the message's id says, so that messages that failed together
/// do not come back together.
fn backoff(outbound: &Outbound) -> Duration {
    let doubled = BACKOFF.saturating_mul(1 << outbound.attempts.saturating_sub(1).min(16)).min(BACKOFF_MAX);
    doubled + doubled.mul_f64(0.5 * share(outbound.id, outbound.attempts))
}

/// A number from 0 to 1 that looks like chance.
fn share(id: MessageId, attempts: u32) -> f64 {
    let mixed = (id.0.cast_unsigned() ^ u64::from(attempts) << 48).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 32;
    f64::from(u32::try_from(mixed).unwrap_or(0)) / f64::from(u32::MAX)
}

fn told(reason: String) -> Failure {
    Failure { title: reason, ..Failure::default() }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::domain::contact::Address;
    use crate::domain::ids::ConversationId;
    use crate::domain::outbound::Priority;

    const NOW: Millis = 1_800_000_000_000;

    fn limits() -> Limits {
        Limits {
            pair_pacing: true,
            in_flight_max: 10,
            attempts_max: 3,
            deadline: Duration::from_secs(86_400),
            ambiguous_grace: Duration::from_secs(600),
            ambiguous_policy: AmbiguousPolicy::Resend,
        }
    }

    fn outbound(attempts: u32) -> Outbound {
        Outbound {
            id: MessageId(7),
            position: 1,
            conversation: ConversationId(1),
            phone_number_id: "1".into(),
            address: Address::Phone("1".into()),
            message: Arc::new(Message::text("x").unwrap()),
            reply_to: None,
            state: QueueState::Claimed,
            attempts,
            due_at: NOW,
            event_accepted_at: NOW,
            priority: Priority::Reply,
            waited_ms: 0,
        }
    }

    fn refused(code: i64, http_status: u16) -> Outcome {
        let failure = Failure { code, title: "no".into(), ..Failure::default() };
        Outcome::Refused(Refused { http_status, failure, retry_after: None })
    }

    fn judged(outcome: Outcome, attempts: u32) -> Verdict {
        judge(outcome, &outbound(attempts), &limits(), NOW)
    }

    #[test]
    fn the_pair_limit_backs_off_by_four_and_rests_nobody_else() {
        for (attempts, seconds) in [(1, 1), (2, 4)] {
            let verdict = judged(refused(131_056, 400), attempts);
            assert_eq!(verdict.of_number, OfNumber::Fine);
            assert!(
                matches!(verdict.settle, SettleOutcome::Retry { due_at, .. } if due_at == NOW + seconds * 1_000)
            );
        }
        assert!(matches!(judged(refused(131_056, 400), 3).settle, SettleOutcome::Failed { .. }));
    }

    #[test]
    fn too_fast_and_a_dead_token_are_the_numbers_trouble_and_never_fail_the_message() {
        for code in [130_429, 4, 80_007] {
            let verdict = judged(refused(code, 400), 99);
            assert!(
                matches!(verdict.of_number, OfNumber::Slow { until, why } if until == NOW + 1_000 && !why.is_empty())
            );
            let SettleOutcome::Retry { due_at, counted, .. } = verdict.settle else {
                panic!("{:?}", verdict.settle)
            };
            assert_eq!((due_at, counted), (NOW + 1_000, false));
        }
        // However old it is: it is not the message that is too late.
        let verdict = judge(refused(190, 401), &outbound(99), &limits(), NOW + 40 * 86_400_000);
        assert!(matches!(verdict.of_number, OfNumber::NoToken { .. }));
        assert!(matches!(verdict.settle, SettleOutcome::Retry { counted: false, .. }));
    }

    #[test]
    fn only_an_answer_of_metas_tells_that_the_token_is_good() {
        let of_number = |outcome| judged(outcome, 1).of_number;
        let accepted = Outcome::Accepted { wamid: Some("w".into()), wa_id: None, user_id: None };
        assert_eq!((of_number(accepted), of_number(refused(131_026, 400))), (OfNumber::Fine, OfNumber::Fine));
        for nothing in [
            refused(2, 503),
            refused(0, 404),
            Outcome::NotSent("down".into()),
            Outcome::Ambiguous("cut".into()),
        ] {
            assert_eq!(of_number(nothing), OfNumber::Nothing);
        }
    }

    #[test]
    fn a_permanent_refusal_fails_at_once_and_an_unknown_outcome_never_does() {
        assert!(matches!(judged(refused(131_026, 400), 1).settle, SettleOutcome::Failed { .. }));
        let ambiguous = judged(Outcome::Ambiguous("cut".into()), 99).settle;
        assert!(matches!(ambiguous, SettleOutcome::Ambiguous { until, .. } if until == NOW + 600_000));
    }

    #[test]
    fn a_mark_as_read_of_which_nothing_is_heard_holds_nobody_up() {
        let json = serde_json::json!({"type": "read", "message_id": "wamid.1"});
        let read = Outbound { message: Arc::new(Message::try_from(json).unwrap()), ..outbound(1) };
        let verdict = judge(Outcome::Ambiguous("cut".into()), &read, &limits(), NOW);
        assert!(matches!(verdict.settle, SettleOutcome::Done));
    }

    #[test]
    fn after_its_grace_an_ambiguous_send_follows_the_policy() {
        let ambiguous = |attempts| Outbound { state: QueueState::Ambiguous, ..outbound(attempts) };
        assert!(before_attempt(&ambiguous(1), &limits(), NOW).is_none());
        assert!(before_attempt(&ambiguous(3), &limits(), NOW).is_some());
        let ask = Limits { ambiguous_policy: AmbiguousPolicy::Ask, ..limits() };
        assert!(before_attempt(&ambiguous(1), &ask, NOW).is_some());
        assert!(before_attempt(&ambiguous(1), &limits(), NOW + 2 * 86_400_000).is_some());
    }

    #[test]
    fn what_waited_past_its_deadline_is_not_sent_late() {
        let ready = Outbound { state: QueueState::Ready, ..outbound(9) };
        assert!(before_attempt(&ready, &limits(), NOW).is_none());
        assert!(before_attempt(&ready, &limits(), NOW + 2 * 86_400_000).is_some());
        let held = Outbound { waited_ms: 86_400_000, ..ready };
        assert!(
            before_attempt(&held, &limits(), NOW + 2 * 86_400_000).is_none(),
            "that it was held is no delay"
        );
    }

    #[test]
    fn trouble_on_the_way_backs_off_with_jitter_until_the_deadline() {
        let due = |id, attempts| match judge(
            Outcome::NotSent("down".into()),
            &Outbound { id: MessageId(id), ..outbound(attempts) },
            &limits(),
            NOW,
        )
        .settle
        {
            SettleOutcome::Retry { due_at, .. } => due_at - NOW,
            other => panic!("{other:?}"),
        };
        assert!((1_000..=1_500).contains(&due(1, 1)) && (4_000..=6_000).contains(&due(1, 3)));
        assert_ne!(due(1, 3), due(2, 3));
        let late = judge(Outcome::NotSent("down".into()), &outbound(1), &limits(), NOW + 2 * 86_400_000);
        assert!(matches!(late.settle, SettleOutcome::Failed { .. }));
    }
}
