//! Error rules: how the Graph API misbehaves when a test or a person asks for it.
//!
//! A rule says which requests it meets, how many of them, and what happens. The first rule that applies wins; a rule that
//! has met all its requests is gone.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::counted::{BadRule, Counted, Rules, Standing, Times};
use super::lock;
use super::refusal::Refusal;
use crate::clock::Clock;

/// The longest delay that a rule can ask for, in milliseconds.
pub const DELAY_MAX_MS: u64 = 60_000;

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

/// Which requests a rule is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Endpoint {
    /// Messages that are sent.
    #[default]
    Messages,
    /// Read receipts and typing indicators.
    Receipts,
    /// Uploads of files.
    Uploads,
    /// What is told of a file, and its deletion.
    Media,
    /// The bytes of a file.
    Downloads,
    /// Everything about templates.
    Templates,
}

/// What happens to a request that a rule meets.
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
    /// Refused with Meta's error JSON and the header `Retry-After`, which Meta does not document.
    ComeBack {
        /// Meta's error code.
        code: u32,
        /// The HTTP status, 400 to 599; absent: the one that belongs to the code.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        status: Option<u16>,
        /// What the header says.
        after_seconds: u32,
    },
    /// The connection is cut and nothing is done.
    CutBefore,
    /// It is done, then the connection is cut without an answer.
    CutAfter,
    /// Never answered, nothing done.
    HangBefore,
    /// Done, never answered.
    HangAfter,
    /// Done and answered, after a pause.
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

/// A rule, and the requests that it is about.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Placed {
    /// Which requests.
    pub at: Endpoint,
    /// The rule as it was set.
    #[serde(flatten)]
    pub rule: Rule,
}

impl Counted for Placed {
    fn times(&self) -> Times {
        self.rule.times
    }
}

/// All rules, and the clock on which they pause.
#[derive(Clone)]
pub(super) struct Faults {
    rules: Arc<Mutex<Rules<Placed>>>,
    clock: Clock,
}

impl Faults {
    pub(super) fn new(clock: Clock) -> Self {
        Self { rules: Arc::default(), clock }
    }

    /// Holds an answer back.
    pub(super) async fn pause(&self, length: Duration) {
        self.clock.sleep(length).await;
    }

    pub(super) fn add(&self, at: Endpoint, rule: Rule) -> Result<u64, BadRule> {
        check(&rule)?;
        lock(&self.rules).add(Placed { at, rule })
    }

    /// The rules that stand, oldest first.
    pub(super) fn list(&self) -> Vec<Standing<Placed>> {
        lock(&self.rules).list()
    }

    /// Takes away the rule `id`, or every rule; the answer is how many went.
    pub(super) fn remove(&self, id: Option<u64>) -> usize {
        lock(&self.rules).remove(id)
    }

    /// What happens to this request, which is for `wa_id` if it is a send. Counts it.
    pub(super) fn meet(&self, at: Endpoint, wa_id: &str) -> Option<Outcome> {
        let applies = |placed: &Placed| {
            placed.at == at && placed.rule.phone.as_deref().is_none_or(|phone| phone == wa_id)
        };
        lock(&self.rules).meet_first(applies).map(|placed| placed.rule.outcome)
    }
}

fn check(rule: &Rule) -> Result<(), BadRule> {
    let out_of_range = |field, allowed| Err(BadRule::OutOfRange { field, allowed });
    match rule.outcome {
        Outcome::Error { status: Some(status), .. } | Outcome::ComeBack { status: Some(status), .. }
            if !(400..600).contains(&status) =>
        {
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

    fn faults(value: serde_json::Value) -> Faults {
        let faults = Faults::new(Clock::system());
        faults.add(Endpoint::Messages, rule(value)).unwrap();
        faults
    }

    #[test]
    fn the_next_three_are_met_and_then_the_rule_is_gone() {
        let faults = faults(json!({"times": {"next": 3}, "outcome": "cut_before"}));
        assert_eq!((0..5).filter(|_| faults.meet(Endpoint::Messages, "491").is_some()).count(), 3);
        assert!(faults.list().is_empty());
    }

    #[test]
    fn a_share_is_evenly_spread_and_exact() {
        let faults = faults(json!({"times": {"share": 0.05}, "outcome": {"error": {"code": 131_000}}}));
        let met: Vec<u32> = (1..=100).filter(|_| faults.meet(Endpoint::Messages, "491").is_some()).collect();
        assert_eq!(met, [20, 40, 60, 80, 100]);
    }

    #[test]
    fn a_rule_for_one_phone_or_one_endpoint_leaves_the_others_alone() {
        let faults = faults(json!({"phone": "491", "outcome": "hang_after"}));
        assert_eq!(faults.meet(Endpoint::Messages, "492"), None);
        assert_eq!(faults.meet(Endpoint::Uploads, "491"), None);
        assert_eq!(faults.meet(Endpoint::Messages, "491"), Some(Outcome::HangAfter));
        let id = faults.list()[0].id;
        assert_eq!((faults.remove(Some(id + 1)), faults.remove(Some(id))), (0, 1));
        assert_eq!(faults.meet(Endpoint::Messages, "491"), None);
    }

    #[test]
    fn the_first_rule_that_is_due_wins_and_those_before_it_count() {
        let faults = faults(json!({"times": {"share": 0.5}, "outcome": "cut_before"}));
        faults.add(Endpoint::Messages, rule(json!({"outcome": "hang_before"}))).unwrap();
        let met: Vec<Outcome> = (0..4).filter_map(|_| faults.meet(Endpoint::Messages, "1")).collect();
        let (cut, hang) = (Outcome::CutBefore, Outcome::HangBefore);
        assert_eq!(met, [hang.clone(), cut.clone(), hang, cut]);
        assert_eq!(
            faults.list().iter().map(|rule| (rule.seen, rule.met)).collect::<Vec<_>>(),
            [(4, 2), (2, 2)]
        );
    }

    #[test]
    fn a_rule_that_makes_no_sense_is_refused_by_its_field() {
        for (bad, field) in [
            (json!({"times": {"next": 0}, "outcome": "cut_before"}), "times.next"),
            (json!({"times": {"share": 1.5}, "outcome": "cut_before"}), "times.share"),
            (json!({"outcome": {"error": {"code": 1, "status": 200}}}), "outcome.error.status"),
            (json!({"outcome": {"delay": {"ms": 3_600_000}}}), "outcome.delay.ms"),
        ] {
            let refused = Faults::new(Clock::system()).add(Endpoint::Messages, rule(bad)).unwrap_err();
            assert!(refused.to_string().contains(field), "{refused}");
        }
    }
}
