//! What lists and searches stand on: the order in which messages were committed, the words by which they are found, and an
//! index for each way in which readers walk.

use sea_orm_migration::prelude::*;
use sea_orm_migration::sea_orm::{DbBackend, Statement};

use crate::dialect::run;

/// See the module.
#[derive(DeriveMigrationName)]
pub struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        run(manager, UP).await?;
        match manager.get_database_backend() {
            DbBackend::Postgres => run(manager, POSTGRES).await?,
            _ => run(manager, SQLITE).await?,
        }
        name_keys(manager).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        run(manager, DOWN).await
    }
}

/// The names as they are searched, in small letters: neither database makes them of every script.
async fn name_keys(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    let db = manager.get_connection();
    let backend = manager.get_database_backend();
    let named = Statement::from_string(backend, "select id, name from contact where name is not null");
    for row in db.query_all_raw(named).await? {
        let (id, name): (i64, String) = (row.try_get_by_index(0)?, row.try_get_by_index(1)?);
        let values = [Value::from(name.trim().to_lowercase()), id.into()];
        let key =
            Statement::from_sql_and_values(backend, "update contact set name_key = $1 where id = $2", values);
        db.execute_raw(key).await?;
    }
    Ok(())
}

const UP: &str = "
-- The order in which messages were committed; an id can be older than its commit. That of an inbound message is its id.
alter table message add column position bigint not null default 0;
update message set position = id;
create unique index message_position on message (position);
drop index message_conversation;
create index message_conversation on message (conversation_id, position);
create index message_failed on message (position) where failed_at is not null;
-- All types but those of which a bot's talk consists: these are found by walking.
create index message_kind on message (kind, position) where kind not in ('text', 'buttons', 'list', 'choice');

create index webhook_reason on webhook (state, id) where reason is not null;
create index webhook_kind on webhook (kind, id) where kind not in ('message', 'status', 'command', 'timer');
-- What else a conversation is asked; what its person wrote is found by way of the messages.
create index webhook_asked on webhook (conversation_id, id) where kind in ('command', 'timer');

-- The name in small letters.
alter table contact add column name_key {text};
create index contact_name on contact (name_key) where name_key is not null;
create index contact_opted_out on contact (id) where opted_out_at is not null;
create index contact_no_marketing on contact (id) where marketing_opted_out_at is not null;
create index session_handed_off on session (id) where handed_off;
create index media_failed on media (id) where state = 'failed';

-- Every word that was ever found in a message.
create table search_word (
    word {text} not null primary key
) {keyed};

-- How far a follower of the messages has come.
create table follower (
    name text not null primary key,
    position bigint not null
) {keyed};
";

/// The words of each message, by its position. Without the text, without places: which messages have a word is all that is
/// kept.
const SQLITE: &str = "
create virtual table search using fts5(words, content='', columnsize=0, detail=none, tokenize='ascii');
";

const POSTGRES: &str = "
create table search (
    position bigint not null primary key,
    words tsvector not null
);
create index search_words on search using gin (words) with (gin_pending_list_limit = 256);
-- Beginnings are found by comparing bytes, whatever language the database speaks.
alter table alias alter column value type text collate \"C\";
";

const DOWN: &str = "
drop table follower;
drop table search_word;
drop table search;
drop index media_failed;
drop index session_handed_off;
drop index contact_no_marketing;
drop index contact_opted_out;
drop index contact_name;
alter table contact drop column name_key;
drop index webhook_asked;
drop index webhook_kind;
drop index webhook_reason;
drop index message_kind;
drop index message_failed;
drop index message_conversation;
create index message_conversation on message (conversation_id, id);
drop index message_position;
alter table message drop column position;
";
