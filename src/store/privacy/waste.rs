//! Contents that no file has any more: noted by the transaction that removed the last of their files, and gone from where bytes
//! are kept after it.

use sea_orm::{ConnectionTrait, DbErr, Statement};

use crate::store::batch::{Reply, Scope};
use crate::store::identity::execute;
use crate::store::request::Request;
use crate::store::{Error, Hint, Store};

/// Contents that are removed in one go.
const AT_ONCE: i64 = 100;

/// What is to be written about contents that no file has.
#[derive(Debug, Clone)]
pub(crate) enum WasteWrite {
    /// Those that a file has again are none.
    Sort,
    /// This one is removed.
    Removed(String),
}

impl Store {
    /// Contents (SHA-256 in hex) that no file has, some of them.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn media_waste(&self) -> Result<Vec<String>, Error> {
        if self.noted_waste().await?.is_empty() {
            return Ok(Vec::new());
        }
        self.ask(Request::Waste(WasteWrite::Sort)).await?;
        self.noted_waste().await
    }

    async fn noted_waste(&self) -> Result<Vec<String>, Error> {
        self.read(move |db| async move {
            let sql = "select sha256 from media_waste order by sha256 limit $1";
            let statement = Statement::from_sql_and_values(db.get_database_backend(), sql, [AT_ONCE.into()]);
            let rows = db.query_all_raw(statement).await?;
            Ok(rows.iter().map(|row| row.try_get_by_index(0)).collect::<Result<_, DbErr>>()?)
        })
        .await
    }

    /// Writes down that this content is removed. A person's file that came to have it meanwhile is fetched again.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn media_wasted(&self, sha256: String) -> Result<(), Error> {
        self.ask(Request::Waste(WasteWrite::Removed(sha256))).await.map(drop)
    }
}

pub(crate) async fn write(scope: &mut Scope<'_>, write: &WasteWrite) -> Result<Reply, DbErr> {
    match write {
        WasteWrite::Sort => {
            let used =
                "delete from media_waste where sha256 in (select sha256 from media where sha256 is not null)";
            execute(scope, used, []).await?;
        }
        WasteWrite::Removed(sha256) => {
            let gone = "delete from media_waste where sha256 = $1";
            execute(scope, gone, [sha256.clone().into()]).await?;
            let again = "update media set state = 'wanted', sha256 = null, size = null, ready_at = null, due_at = $1 \
                         where direction = 'in' and state = 'ready' and sha256 = $2";
            if execute(scope, again, [scope.now.into(), sha256.clone().into()]).await? > 0 {
                scope.after.hints.push(Hint::MediaWanted);
            }
        }
    }
    Ok(Reply::Unit)
}
