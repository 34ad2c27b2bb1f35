//! What can be wrong with a configuration. All of it is told at once, each with its key, its place and its mend.

use std::fmt;

use super::setting::About;
use super::source::Source;

/// Characters of a wrong value that are repeated in the complaint.
const GIVEN_SHOWN_MAX: usize = 80;

/// One mistake.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// A file that was asked for cannot be read.
    #[error("cannot read {path}: {reason}")]
    Unreadable {
        /// Which file.
        path: String,
        /// What the system says.
        reason: String,
    },
    /// The file is not TOML, or `.env` not a list of `NAME=value`.
    #[error("{place}: {reason}")]
    Syntax {
        /// File and line.
        place: String,
        /// What is wrong there.
        reason: String,
    },
    /// A key that no setting has.
    #[error("{place}: there is no setting `{key}`{}", meant(suggestion.as_deref()))]
    UnknownKey {
        /// The key as written.
        key: String,
        /// File and line.
        place: String,
        /// The key that was probably meant.
        suggestion: Option<String>,
    },
    /// A table where a value belongs, or the other way round.
    #[error("{place}: `{key}` has to be {wanted}")]
    Shape {
        /// The key.
        key: String,
        /// File and line.
        place: String,
        /// What it has to be.
        wanted: &'static str,
    },
    /// A value that its rule does not allow.
    #[error("`{key}` (from {from}){}; allowed: {allowed}", given_text(given.as_deref()))]
    Wrong {
        /// The key.
        key: String,
        /// Where the value came from.
        from: Source,
        /// The value; `None` for a secret.
        given: Option<String>,
        /// What its rule allows.
        allowed: String,
    },
    /// An entry of `[[numbers]]` that does not say which number it is.
    #[error("{place}: a `[[numbers]]` entry needs `phone_number_id`: the id of the number at Meta")]
    NumberWithoutId {
        /// File and line.
        place: String,
    },
    /// Two entries of `[[numbers]]` for one number.
    #[error("{place}: the number {id} is there twice; keep one entry")]
    NumberTwice {
        /// File and line of the second.
        place: String,
        /// The phone number id.
        id: String,
    },
    /// Something is wrong with an entry of `[[outlets]]`.
    #[error("{place}: {reason}")]
    Outlet {
        /// File and line.
        place: String,
        /// What.
        reason: String,
    },
}

impl Problem {
    /// The complaint about `text`, which the rule of `key` does not allow.
    pub(super) fn wrong(key: String, from: Source, text: &str, about: About) -> Self {
        let given = (!about.secret).then(|| text.to_owned());
        Self::Wrong { key, from, given, allowed: about.allowed }
    }
}

fn meant(nearest: Option<&str>) -> String {
    nearest.map_or_else(
        || "; `switchboard config` lists them all".to_owned(),
        |nearest| format!("; did you mean `{nearest}`?"),
    )
}

fn given_text(given: Option<&str>) -> String {
    match given {
        None => " has a wrong value".to_owned(),
        Some(given) if given.chars().count() > GIVEN_SHOWN_MAX => {
            format!(" is `{}…`", given.chars().take(GIVEN_SHOWN_MAX).collect::<String>())
        }
        Some(given) => format!(" is `{given}`"),
    }
}

/// Everything that is wrong with a configuration. Never empty, and never holds a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigError {
    /// The mistakes: those of the file first, then those of single settings in the order of the listing.
    pub problems: Vec<Problem>,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.problems.as_slice() {
            [one] => write!(f, "the configuration has a mistake: {one}"),
            many => {
                write!(f, "the configuration has {} mistakes:", many.len())?;
                many.iter().try_for_each(|problem| write!(f, "\n  - {problem}"))
            }
        }
    }
}

impl std::error::Error for ConfigError {}

impl From<Problem> for ConfigError {
    fn from(problem: Problem) -> Self {
        Self { problems: vec![problem] }
    }
}
