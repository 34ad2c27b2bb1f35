//! What a deleted row leaves in the files of the database. SQLite overwrites what is deleted (`secure_delete`), but copies of
//! it may stay in the gaps of its pages, where rows were moved about, and in the write-ahead log; so the log is emptied into
//! the file, and a file that is not too large is written anew. PostgreSQL keeps dead rows until it vacuums, and only its
//! administrator can make it do that at once.

use sea_orm::{ConnectionTrait, DatabaseConnection, DbBackend, DbErr, Statement};

use crate::store::batch::Reply;
use crate::store::request::Request;
use crate::store::{Error, Store};

/// How often a reader that holds an old state of the file is waited for; each time for as long as for any lock.
const TRIES: usize = 2;

/// What is done to the files of the database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scrubbed {
    /// The file is written anew, and nothing that was deleted is in it.
    Anew,
    /// What was deleted is overwritten, but for copies in the gaps of pages: the file is too large to be written anew beside
    /// the traffic.
    Overwritten,
    /// It is the server's to do.
    LeftToServer,
}

impl Store {
    /// Cleans the files of the database of what was deleted. Nothing is written meanwhile.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn scrub(&self) -> Result<Scrubbed, Error> {
        match self.ask(Request::Scrub).await? {
            Reply::Scrubbed(scrubbed) => Ok(scrubbed),
            _ => Err(Error::Closed),
        }
    }
}

/// Does it, outside of any transaction. A file of up to `anew_max` bytes is written anew.
pub(crate) async fn files(db: &DatabaseConnection, anew_max: u64) -> Result<Scrubbed, DbErr> {
    if db.get_database_backend() != DbBackend::Sqlite {
        return Ok(Scrubbed::LeftToServer);
    }
    let pages = number(db, "pragma page_count").await?;
    let size = pages.saturating_mul(number(db, "pragma page_size").await?);
    let scrubbed = if u64::try_from(size).is_ok_and(|size| size <= anew_max) {
        db.execute_unprepared("vacuum").await?;
        Scrubbed::Anew
    } else {
        Scrubbed::Overwritten
    };
    for _ in 0..TRIES {
        // 0: it was not kept from it.
        if number(db, "pragma wal_checkpoint(truncate)").await? == 0 {
            return Ok(scrubbed);
        }
    }
    Err(DbErr::Custom("a reader keeps the write-ahead log from being emptied".to_owned()))
}

async fn number(db: &DatabaseConnection, sql: &str) -> Result<i64, DbErr> {
    let row = db.query_one_raw(Statement::from_string(DbBackend::Sqlite, sql)).await?;
    let row = row.ok_or_else(|| DbErr::RecordNotFound(sql.to_owned()))?;
    row.try_get_by_index::<i64>(0).or_else(|_| row.try_get_by_index::<i32>(0).map(i64::from))
}
