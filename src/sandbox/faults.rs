//! Error rules: how the local Meta misbehaves when a test or a person asks for it.
//!
//! A rule says whose sends it meets, how many of them, and what happens. The first rule that applies wins; a rule that
//! has met all its sends is gone. Nothing is random: a share of 0.05 meets every twentieth send.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::lock;
use super::refusal::Refusal;
use crate::clock::Clock;

/// The longest delay that a rule can ask for, in milliseconds.
pub const DELAY_MAX_MS: u64 = 60_000;
/// Rules that can stand at once.
pub const RULES_MAX: usize = 100;

/// One way to misbehave. JSON: `{"phone":"4915112345001","times":{"next":3},"outcome":{"error":{"code":131000}}}`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// The phone number (digits) whose sends it meets; absent: every phone's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phone: Option<String>,
    /// How many of them.
    #[serde(default)]
    pub times: Times,
    /// What happens to them.
    pub outcome: Outcome,
}

/// How many sends a rule meets.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Times {
    /// All, until the rule is taken away.
    #[default]
    Always,
    /// The next so many.
    Next(u32),
    /// This share of all, above 0 and up to 1, evenly spread.
    Share(f64),
}

/// What happens to a send that a rule meets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Refused with Meta's error JSON.
    Error {
        /// Meta's error code, such as 131000 or 130429.
        code: u32,
        /// The HTTP status, 400 to 599; absent: the one that belongs to the code.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        status: Option<u16>,
    },
    /// The connection is cut and the message is not taken.
    CutBefore,
    /// The message is taken and delivered, then the connection is cut without an answer.
    CutAfter,
    /// Never answered, not taken.
    HangBefore,
    /// Taken and delivered, never answered.
    HangAfter,
    /// Taken and answered, after a pause.
    Delay {
        /// The pause in milliseconds, up to [`DELAY_MAX_MS`].
        ms: u64,
    },
}

impl Outcome {
    /// The refusal of an [`Outcome::Error`].
    pub(super) fn refusal(code: u32, status: Option<u16>) -> Refusal {
        let known = Refusal::of(code);
        Refusal { status: status.unwrap_or(known.status), ..known }
            .details("Set by an error rule of the local Meta.")
    }
}

/// Why a rule was not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadRule {
    /// A number is outside of what makes sense.
    #[error("`{field}` has to be {allowed}")]
    OutOfRange {
        /// Which number.
        field: &'static str,
        /// What it can be.
        allowed: &'static str,
    },
    /// There are [`RULES_MAX`] already.
    #[error("there are {RULES_MAX} rules already; take some away first")]
    TooMany,
}

/// A rule that stands, and what it has done.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Standing {
    /// Its number, for taking it away.
    pub id: u64,
    /// The rule as it was set.
    #[serde(flatten)]
    pub rule: Rule,
    /// Sends that it could have met.
    pub seen: u64,
    /// Sends that it met.
    pub met: u64,
}

/// All rules, and the clock on which they pause.
#[derive(Clone)]
pub(super) struct Faults {
    rules: Arc<Mutex<Rules>>,
    clock: Clock,
}

#[derive(Default)]
struct Rules {
    standing: Vec<Standing>,
    last_id: u64,
}

impl Faults {
    pub(super) fn new(clock: Clock) -> Self {
        Self { rules: Arc::default(), clock }
    }

    /// Holds an answer back.
    pub(super) async fn pause(&self, length: Duration) {
        self.clock.sleep(length).await;
    }

    pub(super) fn add(&self, rule: Rule) -> Result<u64, BadRule> {
        check(&rule)?;
        let mut rules = lock(&self.rules);
        if rules.standing.len() >= RULES_MAX {
            return Err(BadRule::TooMany);
        }
        rules.last_id += 1;
        let id = rules.last_id;
        rules.standing.push(Standing { id, rule, seen: 0, met: 0 });
        Ok(id)
    }

    /// The rules that stand, oldest first.
    pub(super) fn list(&self) -> Vec<Standing> {
        lock(&self.rules).standing.clone()
    }

    /// Takes away the rule `id`, or every rule; the answer is how many went.
    pub(super) fn remove(&self, id: Option<u64>) -> usize {
        let standing = &mut lock(&self.rules).standing;
        let before = standing.len();
        standing.retain(|rule| id.is_some_and(|id| rule.id != id));
        before - standing.len()
    }

    /// What happens to this send of a message for `wa_id`. Counts it.
    pub(super) fn meet(&self, wa_id: &str) -> Option<Outcome> {
        let standing = &mut lock(&self.rules).standing;
        let applies = |rule: &mut Standing| {
            if rule.rule.phone.as_deref().is_some_and(|phone| phone != wa_id) {
                return false;
            }
            rule.seen += 1;
            let due = due(rule);
            rule.met += u64::from(due);
            due
        };
        let at = standing.iter_mut().position(applies)?;
        let outcome = standing[at].rule.outcome.clone();
        if matches!(standing[at].rule.times, Times::Next(times) if standing[at].met >= u64::from(times)) {
            standing.remove(at);
        }
        Some(outcome)
    }
}

fn due(rule: &Standing) -> bool {
    match rule.rule.times {
        Times::Always => true,
        Times::Next(times) => rule.met < u64::from(times),
        Times::Share(share) => {
            // Due whenever the whole part of seen × share grows: evenly spread, and the same in every run.
            let whole = |seen: u64| {
                (u32::try_from(seen).map_or(f64::from(u32::MAX), f64::from) * share + 1e-9).floor()
            };
            whole(rule.seen) > whole(rule.seen - 1)
        }
    }
}

fn check(rule: &Rule) -> Result<(), BadRule> {
    let out_of_range = |field, allowed| Err(BadRule::OutOfRange { field, allowed });
    match rule.times {
        Times::Next(0) => return out_of_range("times.next", "1 or more"),
        Times::Share(share) if !(share > 0.0 && share <= 1.0) => {
            return out_of_range("times.share", "above 0 and at most 1");
        }
        _ => {}
    }
    match rule.outcome {
        Outcome::Error { status: Some(status), .. } if !(400..600).contains(&status) => {
            out_of_range("outcome.error.status", "from 400 to 599")
        }
        Outcome::Delay { ms } if ms > DELAY_MAX_MS => out_of_range("outcome.delay.ms", "at most 60000"),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn rule(value: serde_json::Value) -> Rule {
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn the_next_three_are_met_and_then_the_rule_is_gone() {
        let faults = Faults::new(Clock::system());
        faults.add(rule(json!({"times": {"next": 3}, "outcome": "cut_before"}))).unwrap();
        assert_eq!((0..5).filter(|_| faults.meet("491").is_some()).count(), 3);
        assert!(faults.list().is_empty());
    }

    #[test]
    fn a_share_is_evenly_spread_and_exact() {
        let faults = Faults::new(Clock::system());
        faults.add(rule(json!({"times": {"share": 0.05}, "outcome": {"error": {"code": 131_000}}}))).unwrap();
        let met: Vec<u32> = (1..=100).filter(|_| faults.meet("491").is_some()).collect();
        assert_eq!(met, [20, 40, 60, 80, 100]);
    }

    #[test]
    fn a_rule_for_one_phone_leaves_the_others_alone() {
        let faults = Faults::new(Clock::system());
        let id = faults.add(rule(json!({"phone": "491", "outcome": "hang_after"}))).unwrap();
        assert_eq!(faults.meet("492"), None);
        assert_eq!(faults.meet("491"), Some(Outcome::HangAfter));
        assert_eq!((faults.remove(Some(id + 1)), faults.remove(Some(id))), (0, 1));
        assert_eq!(faults.meet("491"), None);
    }

    #[test]
    fn a_rule_that_makes_no_sense_is_refused_by_its_field() {
        for (bad, field) in [
            (json!({"times": {"next": 0}, "outcome": "cut_before"}), "times.next"),
            (json!({"times": {"share": 1.5}, "outcome": "cut_before"}), "times.share"),
            (json!({"outcome": {"error": {"code": 1, "status": 200}}}), "outcome.error.status"),
            (json!({"outcome": {"delay": {"ms": 3_600_000}}}), "outcome.delay.ms"),
        ] {
            assert!(Faults::new(Clock::system()).add(rule(bad)).unwrap_err().to_string().contains(field));
        }
    }
}
