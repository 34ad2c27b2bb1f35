//! Files: what people sent and what was given to us to send, and under which ids Meta knows them.

use sea_orm_migration::prelude::*;

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
        run(manager, UP).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        run(manager, DOWN).await
    }
}

const UP: &str = "
-- A file. `direction`: in (the id is that of its message) or out. `state`: wanted, ready, failed.
-- `promised` is Meta's base64 SHA-256, `sha256` that of the bytes that are kept, in hex: their place in the vault.
create table media (
    id {id},
    direction text not null,
    state text not null,
    kind text not null,
    phone_number_id text,
    meta_id text,
    mime_type text,
    filename text,
    promised text,
    sha256 text,
    size bigint,
    attempts integer not null,
    due_at bigint not null,
    reason text,
    created_at bigint not null,
    ready_at bigint
);
create index media_wanted on media (due_at) where state = 'wanted';
create index media_sha256 on media (sha256) where sha256 is not null;

-- Meta's id of a file that was uploaded for one of our numbers.
create table media_upload (
    media_id bigint not null,
    phone_number_id text not null,
    meta_id text not null,
    expires_at bigint not null,
    primary key (media_id, phone_number_id)
) {keyed};
";

const DOWN: &str = "
drop table media_upload;
drop table media;
";
