//! The doctor: whether all is set for messages to come in and to leave, and what mends it where it is not.
//!
//! Each thing is looked at by itself, and a finding that stands in the way of others does not end the examination. It reads and
//! asks; it changes nothing, here or at Meta's.

mod graph;
mod here;

use std::fmt;

use crate::clock::Clock;
use crate::config::Config;
use crate::meta::client::BadSetting;

/// How something is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verdict {
    /// As it should be.
    Good,
    /// It could not be looked at, or need not be there.
    Unknown,
    /// It works, and will be trouble.
    Doubtful,
    /// It stands in the way of messages.
    Bad,
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Good => "ok",
            Self::Unknown => "-",
            Self::Doubtful => "doubtful",
            Self::Bad => "BAD",
        })
    }
}

/// What was found about one thing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The thing.
    pub thing: &'static str,
    /// How it is.
    pub verdict: Verdict,
    /// What was seen.
    pub seen: String,
    /// What mends it, where anything is to be mended.
    pub mend: Option<String>,
}

impl Finding {
    fn good(thing: &'static str, seen: impl Into<String>) -> Self {
        Self { thing, verdict: Verdict::Good, seen: seen.into(), mend: None }
    }

    fn new(thing: &'static str, verdict: Verdict, seen: impl Into<String>, mend: impl Into<String>) -> Self {
        Self { thing, verdict, seen: seen.into(), mend: Some(mend.into()) }
    }
}

/// Examines everything that `config` names.
///
/// # Errors
/// When the settings do not even allow to ask Meta.
pub async fn examine(config: &Config, clock: &Clock) -> Result<Vec<Finding>, BadSetting> {
    let mut findings = vec![here::settings(config)];
    findings.extend(here::database(config, clock.now()).await);
    for number in &config.numbers {
        findings.extend(graph::number(config, number, clock).await?);
    }
    Ok(findings)
}
