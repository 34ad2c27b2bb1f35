//! The configuration: one typed [`Config`] from defaults ← `switchboard.toml` ← environment.
//!
//! Called by the command line at start ([`Environment::of_process`], then [`load`]) and by `switchboard config`
//! ([`Config::listing`]); every other room is handed the part that it needs, by value. It opens no database, socket or
//! flow file: whether what a setting points to is there is for its user to say. Nothing is reread while running, but for the
//! token of a number whose token Meta refuses ([`find_token`]).
//!
//! Invariants:
//! - Every setting stands in one table (`table.rs`; `number.rs` and `outlet.rs` for entries of `[[numbers]]` and `[[outlets]]`), from which the struct,
//!   the default, the reading, the complaint and the listing all come.
//! - Nothing is ignored silently: unknown keys and wrong values are refused, all at once. An empty environment variable
//!   counts as not set.
//! - No secret is in a listing, an error or a `Debug`.

mod database_url;
mod environment;
mod file;
mod listing;
mod nearest;
mod number;
mod outlet;
mod problem;
mod rule;
mod secret;
mod serve;
mod setting;
mod source;
mod table;

use std::path::Path;

pub use database_url::DatabaseUrl;
pub use environment::Environment;
pub use number::Number;
pub use outlet::Outlet;
pub use problem::{ConfigError, Problem};
pub use secret::Secret;
pub use serve::Missing;
pub use source::Source;
pub use table::{
    Api, Config, Connectors, Consent, Database, Limits, Live, Log, META_BATCH_MAX, META_PAYLOAD_MAX, Media,
    Meta, OutletLimits, Pacing, Privacy,
};

use file::{File, Given};

/// The file that is read when none is named, if it is there.
pub const DEFAULT_FILE: &str = "switchboard.toml";

/// What becomes of a send that is still ambiguous when its grace period is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AmbiguousPolicy {
    /// It is sent again, and may arrive twice.
    Resend,
    /// It waits for a person to decide.
    Ask,
}

impl Limits {
    /// How many threads a setting of threads means: 0 is one per core.
    #[must_use]
    pub fn threads(setting: usize) -> usize {
        match setting {
            0 => std::thread::available_parallelism().map_or(1, usize::from),
            threads => threads,
        }
    }
}

/// Reads the configuration: from `path`, or from [`DEFAULT_FILE`] in the working directory if that is there, and from
/// `env`, which answers with the value of an environment variable and wins.
///
/// # Errors
/// Everything that is wrong, at once: a file that cannot be read, unknown keys, wrong values.
pub fn load(path: Option<&Path>, env: &dyn Fn(&str) -> Option<String>) -> Result<Config, ConfigError> {
    let named = path.unwrap_or(Path::new(DEFAULT_FILE));
    let name = named.display().to_string();
    let text = match std::fs::read_to_string(named) {
        Ok(text) => text,
        Err(error) if path.is_none() && error.kind() == std::io::ErrorKind::NotFound => String::new(),
        Err(error) => {
            return Err(Problem::Unreadable { path: name, reason: error.to_string() }.into());
        }
    };
    let mut problems = Vec::new();
    let file = file::read(&name, &text, &mut problems);
    build(file, env, problems)
}

/// The token that the configuration has for a number at the moment; what the program runs with may be another.
///
/// # Errors
/// When the configuration has a mistake by now.
pub fn find_token(
    path: Option<&Path>,
    dotenv: &Path,
    phone_number_id: &str,
) -> Result<Option<Secret>, ConfigError> {
    let environment = Environment::of_process(dotenv)?;
    let config = load(path, &|name| environment.get(name))?;
    let number = config.numbers.into_iter().find(|number| number.phone_number_id == phone_number_id);
    Ok(number.and_then(|number| number.token))
}

fn build(
    mut file: File,
    env: &dyn Fn(&str) -> Option<String>,
    mut problems: Vec<Problem>,
) -> Result<Config, ConfigError> {
    let mut config = Config::default();
    for group in table::GROUPS {
        for row in group.settings {
            let key = group.key(row);
            let from_env = env(row.env).map(|text| text.trim().to_owned()).filter(|text| !text.is_empty());
            let given = match from_env {
                Some(text) => Some(Given { text, source: Source::Environment { name: row.env } }),
                None => file.values.remove(&key),
            };
            let Some(Given { text, source }) = given else {
                continue;
            };
            if (row.read)(&mut config, &text) {
                config.sources.set(key, source);
            } else {
                problems.push(Problem::wrong(key, source, &text, (row.about)()));
            }
        }
    }
    config.numbers = number::numbers(&config, file.numbers, &mut problems);
    config.outlets = outlet::outlets(file.outlets, env, &mut problems);
    if problems.is_empty() { Ok(config) } else { Err(ConfigError { problems }) }
}

#[cfg(test)]
fn from_texts(toml: &str, env: &[(&str, &str)]) -> Result<Config, ConfigError> {
    let mut problems = Vec::new();
    let file = file::read("switchboard.toml", toml, &mut problems);
    let env = |name: &str| env.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned());
    build(file, &env, problems)
}

#[cfg(test)]
mod tests;
