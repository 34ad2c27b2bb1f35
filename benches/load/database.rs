//! Fresh databases for runs, with synced commits.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use anyhow::Context as _;
use tempfile::TempDir;

#[expect(dead_code, reason = "the tests use more of it")]
#[path = "../../tests/it/support/postgres.rs"]
mod postgres;

/// Which database.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Engine {
    Sqlite,
    Postgres,
}

impl Engine {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Sqlite => "sqlite",
            Self::Postgres => "postgres",
        }
    }
}

/// A database that nobody else uses. An SQLite file goes away with this value, a PostgreSQL server with the process.
pub(crate) struct Database {
    engine: Engine,
    url: String,
    file: Option<(PathBuf, TempDir)>,
}

impl Database {
    /// A fresh one; SQLite's file is in a folder below `below`.
    pub(crate) fn new(engine: Engine, below: &Path) -> anyhow::Result<Self> {
        static SERVER: OnceLock<Option<postgres::Server>> = OnceLock::new();
        match engine {
            Engine::Sqlite => {
                let folder = TempDir::with_prefix_in("switchboard-load-", below)?;
                let file = folder.path().join("load.db");
                let url = format!("sqlite://{}?mode=rwc", file.display());
                Ok(Self { engine, url, file: Some((file, folder)) })
            }
            Engine::Postgres => {
                let server =
                    SERVER.get_or_init(|| postgres::Server::start(&["fsync=on", "shared_buffers=256MB"]));
                let server = server.as_ref().context("PostgreSQL is not installed")?;
                Ok(Self { engine, url: server.create_database(), file: None })
            }
        }
    }

    pub(crate) fn engine(&self) -> Engine {
        self.engine
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// SQLite's file.
    pub(crate) fn file(&self) -> Option<&Path> {
        self.file.as_ref().map(|(file, _)| file.as_path())
    }
}
