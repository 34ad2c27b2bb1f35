//! Where a value came from.

use std::collections::BTreeMap;
use std::fmt;

/// Where the value of a setting came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// It was not set.
    Default,
    /// A line of a file.
    File {
        /// The file as it was named.
        name: String,
        /// The line, from 1.
        line: usize,
    },
    /// An environment variable, or a line of `.env`.
    Environment {
        /// Its name.
        name: &'static str,
    },
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File { name, line } => write!(f, "{name}:{line}"),
            Self::Environment { name } => f.write_str(name),
        }
    }
}

/// The sources of all settings that are set, by dotted key.
#[derive(Debug, Clone, Default)]
pub(super) struct Sources(BTreeMap<String, Source>);

impl Sources {
    /// Remembers where a setting came from.
    pub(super) fn set(&mut self, key: String, source: Source) {
        self.0.insert(key, source);
    }

    /// Where the setting with this key came from.
    pub(super) fn of(&self, key: &str) -> &Source {
        self.0.get(key).unwrap_or(&Source::Default)
    }
}
