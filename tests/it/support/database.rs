//! A fresh database for each test, of either kind.

use sea_orm::{ConnectOptions, DatabaseConnection};
use switchboard::config::DatabaseUrl;
use tempfile::TempDir;

use super::postgres;

/// The kinds of database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Engine {
    Sqlite,
    Postgres,
}

/// A database that nobody else uses. It goes away with this value.
pub(crate) struct Database {
    pub(crate) url: String,
    _folder: Option<TempDir>,
}

impl Database {
    /// A fresh one; `None`, said aloud, where PostgreSQL cannot be started.
    pub(crate) fn new(engine: Engine) -> Option<Self> {
        match engine {
            Engine::Sqlite => {
                let folder = tempfile::tempdir().unwrap();
                let url = format!("sqlite://{}?mode=rwc", folder.path().join("test.db").display());
                Some(Self { url, _folder: Some(folder) })
            }
            Engine::Postgres => postgres::create_database().map(|url| Self { url, _folder: None }),
        }
    }

    /// Where it lies, if it is a file.
    pub(crate) fn file(&self) -> Option<String> {
        self.url.strip_prefix("sqlite://")?.split('?').next().map(str::to_owned)
    }

    /// A connection of the test's own, beside those of the app.
    pub(crate) async fn connect(&self) -> DatabaseConnection {
        let mut options = ConnectOptions::new(&self.url);
        options.max_connections(1).sqlx_logging(false);
        sea_orm::Database::connect(options).await.unwrap()
    }

    pub(crate) fn for_config(&self) -> DatabaseUrl {
        DatabaseUrl::new(self.url.clone()).unwrap()
    }
}

/// Writes a test for both kinds of database: `on_both!(name, |database| async { … })`.
macro_rules! on_both {
    ($name:ident, $test:expr) => {
        mod $name {
            use super::*;
            use crate::support::database::{Database, Engine};

            #[test]
            fn sqlite() {
                crate::support::run($test(Database::new(Engine::Sqlite).expect("SQLite is built in")));
            }

            #[test]
            fn postgres() {
                if let Some(database) = Database::new(Engine::Postgres) {
                    crate::support::run($test(database));
                }
            }
        }
    };
}
pub(crate) use on_both;
