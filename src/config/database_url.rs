//! The address of the database, which may hold a password.

use std::fmt;
use std::path::Path;

use reqwest::Url;

/// What hides a password.
const HIDDEN: &str = "…";

/// `sqlite://path?mode=rwc`, `sqlite::memory:` or `postgres://user:password@host/name`. Debug and [`DatabaseUrl::masked`]
/// show it without its password.
#[derive(Clone, PartialEq, Eq)]
pub struct DatabaseUrl(String);

impl DatabaseUrl {
    /// Keeps `url`; `None` unless it names SQLite or PostgreSQL.
    #[must_use]
    pub fn new(url: impl Into<String>) -> Option<Self> {
        let url = url.into();
        let known = ["sqlite:", "postgres://", "postgresql://"]
            .iter()
            .any(|scheme| url.strip_prefix(scheme).is_some_and(|rest| !rest.is_empty()));
        known.then_some(Self(url))
    }

    /// The whole address, for whoever connects.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Whether it is an embedded SQLite file or memory.
    #[must_use]
    pub fn is_sqlite(&self) -> bool {
        self.0.starts_with("sqlite:")
    }

    /// The address as it may be shown: of PostgreSQL neither the password nor the parameters, which may hold one too.
    /// Where it is not certain which part is the password, as with an `@` or `/` in it that is not escaped, only the
    /// scheme is left.
    #[must_use]
    pub fn masked(&self) -> String {
        if self.is_sqlite() {
            return self.0.clone();
        }
        let scheme = self.0.split(':').next().unwrap_or_default();
        self.parts().unwrap_or_else(|| format!("{scheme}://{HIDDEN}"))
    }

    /// What is said where it cannot be opened: which one, by which setting, and what mends it, as far as that shows.
    #[must_use]
    pub fn cannot_be_opened(&self) -> String {
        let whole = format!("the database {} (DATABASE_URL, or --database) cannot be opened", self.masked());
        let Some(rest) = self.0.strip_prefix("sqlite:") else {
            return format!("{whole}: see that the server answers there, and takes this user");
        };
        let file = Path::new(rest.trim_start_matches("//").split('?').next().unwrap_or_default());
        let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty());
        if folder.is_some_and(|folder| !folder.is_dir()) {
            format!("{whole}: make its folder first")
        } else if !file.exists() && !rest.contains("mode=rwc") {
            format!("{whole}: there is no such file; a new one is made where the address ends in ?mode=rwc")
        } else {
            format!(
                "{whole}: see that it is a SQLite file, and that this user may write to it and its folder"
            )
        }
    }

    fn parts(&self) -> Option<String> {
        let url = Url::parse(&self.0).ok()?;
        let login = match (self.0.matches('@').count(), url.username(), url.password()) {
            (0, _, _) => String::new(),
            (1, user, None) if !user.is_empty() => format!("{user}@"),
            (1, user, Some(_)) if !user.is_empty() => format!("{user}:{HIDDEN}@"),
            _ => return None,
        };
        let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
        let query = if url.query().is_some() { "?…" } else { "" };
        Some(format!("{}://{login}{}{port}{}{query}", url.scheme(), url.host_str()?, url.path()))
    }
}

impl fmt::Debug for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DatabaseUrl({})", self.masked())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_hidden_and_the_rest_is_shown() {
        for (url, masked) in [
            ("postgres://app:pw@db:5432/chat", "postgres://app:…@db:5432/chat"),
            ("postgresql://app@db/chat?password=pw", "postgresql://app@db/chat?…"),
            ("postgres://db/chat", "postgres://db/chat"),
            ("sqlite://switchboard.db?mode=rwc", "sqlite://switchboard.db?mode=rwc"),
        ] {
            let url = DatabaseUrl::new(url).unwrap();
            assert_eq!(url.masked(), masked);
            assert!(!format!("{url:?}").contains("pw") && !format!("{url:?}").contains("p@w"));
        }
    }

    #[test]
    fn what_cannot_be_opened_is_named_with_what_mends_it() {
        for (url, mend) in [
            ("sqlite://no/such/folder/a.db?mode=rwc", "make its folder"),
            ("sqlite://no-such-file.db", "?mode=rwc"),
            ("sqlite:Cargo.toml", "see that it is a SQLite file"),
            ("postgres://app:pw@db:5432/chat", "see that the server answers"),
        ] {
            let told = DatabaseUrl::new(url).unwrap().cannot_be_opened();
            assert!(told.contains("DATABASE_URL") && told.contains(mend) && !told.contains("pw"), "{told}");
        }
    }

    #[test]
    fn a_password_that_is_not_escaped_does_not_leak() {
        for url in [
            "app:p@w/x@db/chat",
            "app:p?w@db/chat",
            "app:1234?w@db/chat",
            ":pw@db/chat",
            "db/chat?password=p@w",
        ] {
            let url = DatabaseUrl::new(format!("postgres://{url}")).unwrap();
            assert_eq!(url.masked(), "postgres://…");
        }
    }

    #[test]
    fn other_databases_are_refused() {
        for wrong in ["mysql://x/y", "switchboard.db", "", "sqlite:", "postgres://"] {
            assert!(DatabaseUrl::new(wrong).is_none(), "{wrong}");
        }
        assert!(DatabaseUrl::new("sqlite::memory:").is_some_and(|url| url.is_sqlite()));
    }
}
