//! The environment of the process together with `.env`, which fills in what the environment does not say.
//!
//! `.env` is read into this value and not into the process: changing the environment of a process that has threads is
//! not safe.

use std::collections::BTreeMap;
use std::path::Path;

use super::nearest::nearest;
use super::outlet::is_secret_variable;
use super::problem::{ConfigError, Problem};
use super::table::GROUPS;

/// The prefixes of names that are ours, so that a misspelt one can be told.
const PREFIXES: [&str; 2] = ["SWITCHBOARD_", "WHATSAPP_"];

/// Environment variables by name.
#[derive(Clone, Default)]
pub struct Environment(BTreeMap<String, String>);

impl Environment {
    /// The environment of this process and, below it, the file `dotenv` if there is one. Names and values that are not
    /// UTF-8 are left out: no setting has such a name, and none would allow such a value.
    ///
    /// # Errors
    /// When the file is there and cannot be read, or has a line that is not `NAME=value`.
    pub fn of_process(dotenv: &Path) -> Result<Self, ConfigError> {
        let process = std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
        let unreadable = |reason: std::io::Error| Problem::Unreadable {
            path: dotenv.display().to_string(),
            reason: reason.to_string(),
        };
        let text = match std::fs::read_to_string(dotenv) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
            Err(error) => return Err(unreadable(error).into()),
        };
        Self::layered(process, &dotenv.display().to_string(), &text)
    }

    fn layered(
        process: impl Iterator<Item = (String, String)>,
        name: &str,
        dotenv: &str,
    ) -> Result<Self, ConfigError> {
        let dotenv = dotenv.trim_start_matches('\u{feff}');
        let mut variables = BTreeMap::new();
        for line in dotenvy::from_read_iter(dotenv.as_bytes()) {
            let (key, value) = line.map_err(|error| unreadable_line(name, dotenv, &error))?;
            variables.entry(key).or_insert(value);
        }
        variables.extend(process);
        Ok(Self(variables))
    }

    /// The value of a variable.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<String> {
        self.0.get(name).cloned()
    }

    /// A warning for each name that looks like ours and is not: probably misspelt, certainly without effect.
    #[must_use]
    pub fn warnings(&self) -> Vec<String> {
        let known: Vec<&str> =
            GROUPS.iter().flat_map(|group| group.settings.iter().map(|row| row.env)).collect();
        self.0
            .keys()
            .filter(|name| PREFIXES.iter().any(|prefix| name.starts_with(prefix)))
            .filter(|name| !known.contains(&name.as_str()) && !is_secret_variable(name))
            .map(|name| match nearest(name, known.iter().copied()) {
                Some(nearest) => {
                    format!("{name} is not a setting and has no effect; did you mean {nearest}?")
                }
                None => {
                    format!("{name} is not a setting and has no effect; `switchboard config` lists them all")
                }
            })
            .collect()
    }
}

impl std::fmt::Debug for Environment {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

/// The line's number and nothing of its text, which may be a secret.
fn unreadable_line(name: &str, text: &str, error: &dotenvy::Error) -> Problem {
    let line = match error {
        dotenvy::Error::LineParse(bad, _) => {
            let first = bad.lines().next().unwrap_or_default();
            text.lines().position(|line| line.trim() == first.trim()).map(|line| line + 1)
        }
        _ => None,
    };
    let place = line.map_or_else(|| name.to_owned(), |line| format!("{name}:{line}"));
    let reason = "write NAME=value, and quote a value with blanks or quotes in it".to_owned();
    Problem::Syntax { place, reason }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layered(process: &[(&str, &str)], dotenv: &str) -> Result<Environment, ConfigError> {
        let process = process.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        Environment::layered(process, ".env", dotenv)
    }

    #[test]
    fn the_environment_wins_over_dotenv() {
        let environment =
            layered(&[("A", "process")], "# a comment\nA=file\nexport B='two words'\n").unwrap();
        assert_eq!(environment.get("A").as_deref(), Some("process"));
        assert_eq!(environment.get("B").as_deref(), Some("two words"));
        assert!(!format!("{environment:?}").contains("two words"));
    }

    #[test]
    fn a_line_of_dotenv_that_cannot_be_read_is_named_and_not_shown() {
        let error = layered(&[], "A=1\nWHATSAPP_API_TOKEN=EAAsecret 'x\n").unwrap_err().to_string();
        assert!(error.contains(".env:2") && !error.contains("EAA"), "{error}");
    }

    #[test]
    fn a_missing_dotenv_is_fine_and_a_folder_is_not() {
        let folder = tempfile::tempdir().unwrap();
        assert!(Environment::of_process(&folder.path().join(".env")).is_ok());
        assert!(Environment::of_process(folder.path()).unwrap_err().to_string().contains("cannot read"));
    }

    #[test]
    fn a_misspelt_name_of_ours_is_told_and_the_names_of_others_are_not() {
        let environment = layered(
            &[("SWITCHBOARD_LISTN", "x"), ("WHATSAPP_XYZ", "x"), ("PATH", "x"), ("DATABASE_URL", "x")],
            "",
        );
        let warnings = environment.unwrap().warnings();
        assert_eq!(warnings.len(), 2, "{warnings:?}");
        assert!(warnings[0].contains("did you mean SWITCHBOARD_LISTEN?"));
        assert!(warnings[1].starts_with("WHATSAPP_XYZ is not a setting"));
    }
}
