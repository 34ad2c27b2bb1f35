//! What is left of a person: every byte of the database's files, or every row where it is a server, and every file in the vault.

use std::path::{Path, PathBuf};

use sea_orm::{ConnectionTrait as _, DbBackend, Statement};

use super::app::TestApp;
use super::database::Database;

/// Where any of these texts is found: the text and the place.
pub(crate) async fn traces(test: &TestApp, texts: &[&str]) -> Vec<String> {
    traces_in(&test.database, test.folder(), texts).await
}

/// The same, in this database and below this folder.
pub(crate) async fn traces_in(database: &Database, folder: &Path, texts: &[&str]) -> Vec<String> {
    let mut places = contents(database).await;
    places.extend(files(folder).into_iter().map(|path| {
        let bytes = std::fs::read(&path).unwrap();
        (path.display().to_string(), bytes)
    }));
    assert!(places.iter().any(|(_, bytes)| !bytes.is_empty()), "nothing was looked at");
    let mut found = Vec::new();
    for (place, bytes) in &places {
        for text in texts {
            assert!(text.len() > 3, "`{text}` could be anywhere");
            if bytes.windows(text.len()).any(|window| window == text.as_bytes()) {
                found.push(format!("{text} in {place}"));
            }
        }
    }
    found
}

async fn contents(database: &Database) -> Vec<(String, Vec<u8>)> {
    if let Some(file) = database.url.strip_prefix("sqlite://") {
        let file = file.split('?').next().unwrap();
        let whole = ["", "-wal", "-shm"].map(|end| PathBuf::from(format!("{file}{end}")));
        let read = |path: PathBuf| (path.display().to_string(), std::fs::read(&path).unwrap_or_default());
        return whole.into_iter().map(read).collect();
    }
    let db = database.connect().await;
    let query = async |sql: String| {
        let rows = db.query_all_raw(Statement::from_string(DbBackend::Postgres, sql)).await.unwrap();
        rows.iter().map(|row| row.try_get_by_index::<String>(0).unwrap()).collect::<Vec<String>>()
    };
    let tables = "select table_name::text from information_schema.tables where table_schema = 'public'";
    let mut contents = Vec::new();
    for table in query(tables.to_owned()).await {
        let rows = query(format!("select t::text from \"{table}\" t")).await;
        contents.push((table, rows.join("\n").into_bytes()));
    }
    contents
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}
