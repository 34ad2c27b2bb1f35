//! Rules that meet some of what passes: all, the next so many, or an even share. Nothing is random: a share of 0.05 meets
//! every twentieth.

use serde::{Deserialize, Serialize};

/// Rules of one sort that can stand at once.
pub const RULES_MAX: usize = 100;

/// How many a rule meets.
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
pub struct Standing<R> {
    /// Its number, for taking it away.
    pub id: u64,
    /// The rule as it was set.
    #[serde(flatten)]
    pub rule: R,
    /// How many it could have met.
    pub seen: u64,
    /// How many it met.
    pub met: u64,
}

/// A rule that knows how many it is for.
pub(super) trait Counted {
    fn times(&self) -> Times;
}

/// The rules of one sort, oldest first.
#[derive(Debug)]
pub(super) struct Rules<R> {
    standing: Vec<Standing<R>>,
    last_id: u64,
}

impl<R> Default for Rules<R> {
    fn default() -> Self {
        Self { standing: Vec::new(), last_id: 0 }
    }
}

impl<R: Counted + Clone> Rules<R> {
    /// Adds a rule. The answer is its number.
    pub(super) fn add(&mut self, rule: R) -> Result<u64, BadRule> {
        let out_of_range = |field, allowed| Err(BadRule::OutOfRange { field, allowed });
        match rule.times() {
            Times::Next(0) => return out_of_range("times.next", "1 or more"),
            Times::Share(share) if !(share > 0.0 && share <= 1.0) => {
                return out_of_range("times.share", "above 0 and at most 1");
            }
            _ => {}
        }
        if self.standing.len() >= RULES_MAX {
            return Err(BadRule::TooMany);
        }
        self.last_id += 1;
        self.standing.push(Standing { id: self.last_id, rule, seen: 0, met: 0 });
        Ok(self.last_id)
    }

    pub(super) fn list(&self) -> Vec<Standing<R>> {
        self.standing.clone()
    }

    /// Takes away the rule `id`, or every rule; the answer is how many went.
    pub(super) fn remove(&mut self, id: Option<u64>) -> usize {
        let before = self.standing.len();
        self.standing.retain(|rule| id.is_some_and(|id| rule.id != id));
        before - self.standing.len()
    }

    /// The first rule that applies and is due; counts for it, and for those before it.
    pub(super) fn meet_first(&mut self, applies: impl Fn(&R) -> bool) -> Option<R> {
        let at = self.standing.iter_mut().position(|rule| applies(&rule.rule) && is_due(rule))?;
        let met = self.standing[at].rule.clone();
        self.standing.retain(|rule| !is_over(rule));
        Some(met)
    }

    /// Every rule that applies and is due, with its number; counts for all.
    pub(super) fn meet_all(&mut self, applies: impl Fn(&R) -> bool) -> Vec<(u64, R)> {
        let met = |rule: &mut Standing<R>| applies(&rule.rule) && is_due(rule);
        let met: Vec<usize> = (0..self.standing.len()).filter(|at| met(&mut self.standing[*at])).collect();
        let found =
            met.into_iter().map(|at| (self.standing[at].id, self.standing[at].rule.clone())).collect();
        self.standing.retain(|rule| !is_over(rule));
        found
    }
}

/// Counts one more for a rule, and says whether it is met.
fn is_due<R: Counted>(rule: &mut Standing<R>) -> bool {
    rule.seen += 1;
    let due = match rule.rule.times() {
        Times::Always => true,
        Times::Next(times) => rule.met < u64::from(times),
        Times::Share(share) => {
            // Due whenever the whole part of seen × share grows: evenly spread, and the same in every run.
            let whole = |seen: u64| {
                (u32::try_from(seen).map_or(f64::from(u32::MAX), f64::from) * share + 1e-9).floor()
            };
            whole(rule.seen) > whole(rule.seen - 1)
        }
    };
    rule.met += u64::from(due);
    due
}

/// Whether a rule has met all that it was for.
fn is_over<R: Counted>(rule: &Standing<R>) -> bool {
    matches!(rule.rule.times(), Times::Next(times) if rule.met >= u64::from(times))
}
