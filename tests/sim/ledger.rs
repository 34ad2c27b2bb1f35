//! The database as it lies on disk, read past the program.

use sea_orm::{
    ConnectOptions, ConnectionTrait as _, Database, DatabaseConnection, QueryResult, Statement, TryGetable,
};
use tokio::runtime::Handle;

use crate::stage::block_on;

pub(crate) struct Ledger {
    db: DatabaseConnection,
    there: Handle,
}

impl Ledger {
    pub(crate) fn open(url: &str, there: &Handle) -> Self {
        let mut options = ConnectOptions::new(url);
        options.max_connections(1).sqlx_logging(false);
        let inside = there.enter();
        let db = block_on(tokio::task::unconstrained(Database::connect(options))).unwrap();
        drop(inside);
        Self { db, there: there.clone() }
    }

    pub(crate) fn rows(&self, sql: &str) -> Vec<QueryResult> {
        let _inside = self.there.enter();
        let statement = Statement::from_string(self.db.get_database_backend(), sql);
        block_on(tokio::task::unconstrained(self.db.query_all_raw(statement))).unwrap()
    }

    pub(crate) fn number(&self, sql: &str) -> i64 {
        get(&self.rows(sql)[0], 0)
    }

    /// What is not done, in words. What is held until a person writes may be held for ever.
    pub(crate) fn left_over(&self) -> Vec<String> {
        let sql = "select 'event', id, state, attempts from webhook where state = 'accepted' \
                   union all select 'message', id, state, attempts from queue where state not in ('dead', 'held') \
                   union all select 'timer', conversation_id, '', 0 from timer";
        let shown = |row: &QueryResult| -> String {
            let (what, id): (String, i64) = (get(row, 0), get(row, 1));
            let (state, attempts): (String, i64) = (get(row, 2), get(row, 3));
            format!("{what} {id} {state} after {attempts} attempts")
        };
        self.rows(sql).iter().map(shown).collect()
    }

    pub(crate) fn close(self) {
        let _inside = self.there.enter();
        block_on(tokio::task::unconstrained(self.db.close())).unwrap();
    }
}

/// The value in this column.
pub(crate) fn get<T: TryGetable>(row: &QueryResult, column: usize) -> T {
    row.try_get_by_index(column).unwrap()
}
