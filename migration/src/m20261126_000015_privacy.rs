//! What the erasing of people stands on: the order to do it, what is remembered so that nothing of theirs comes back, and the
//! ways to what is theirs.

use sea_orm_migration::prelude::*;
use sea_orm_migration::sea_orm::DbBackend;

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
        let file = match manager.get_database_backend() {
            DbBackend::Postgres => r#"cast(substring(content from '"med_([0-9]+)"') as bigint)"#,
            _ => r#"cast(substr(content, instr(content, '"med_') + 5) as integer)"#,
        };
        let known = format!(
            r#"update message set media_id = {file} where direction = 'out' and content like '%"med\_%' escape '\'"#
        );
        manager.get_connection().execute_unprepared(&known).await?;
        if manager.get_database_backend() == DbBackend::Sqlite {
            // What is taken out of the index of words is taken out of its pages.
            run(manager, "insert into search (search, rank) values ('secure-delete', 1)").await?;
        }
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        run(manager, DOWN).await
    }
}

const UP: &str = "
-- A person who is to be erased. `state`: wanted, refused (`reason` says why), begun, cleaning, done. `ids` (JSON: the ids under
-- which they were found) and `conversations` (JSON) are there while the rest of what is theirs is being looked for, and are
-- taken away before it is done: what stays names nobody.
create table erasure (
    id {id},
    contact_id bigint not null,
    state text not null,
    reason text,
    ids text,
    conversations text,
    messages bigint not null default 0,
    events bigint not null default 0,
    files bigint not null default 0,
    wanted_at bigint not null,
    done_at bigint
);
create index erasure_contact on erasure (contact_id);
create index erasure_open on erasure (id) where state not in ('done', 'refused');

-- What was erased and may be told once more, as a keyed hash: until then it is known to be known.
create table tombstone (
    hash text not null primary key,
    until bigint not null
) {keyed};
create index tombstone_until on tombstone (until);

-- That an erased person wanted no messages, by the keyed hash of each of their ids.
create table opt_out_mark (
    hash text not null primary key,
    opted_out_at bigint,
    opted_out_by text,
    marketing_opted_out_at bigint,
    marketing_opted_out_by text,
    marketing_changed_at bigint
) {keyed};

-- What goes into the key of those hashes, made once.
create table salt (
    id {id},
    value text not null
);

-- Contents that no row of `media` names any more, and that are to go from where files are kept.
create table media_waste (
    sha256 text not null primary key
) {keyed};

-- The file of ours that the message takes along.
alter table message add column media_id bigint;
create index message_media on message (media_id) where media_id is not null;
";

const DOWN: &str = "
drop index message_media;
alter table message drop column media_id;
drop table media_waste;
drop table salt;
drop table opt_out_mark;
drop table tombstone;
drop table erasure;
";
