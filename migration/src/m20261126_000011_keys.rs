//! API keys, and who did what with them.

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
-- Of the key itself only its SHA-256 is here. `handle` is the beginning of that, by which a row is found.
create table api_key (
    id {id},
    name text not null,
    handle bigint not null,
    hash text not null,
    scopes text not null,
    requests_per_second bigint,
    created_at bigint not null,
    expires_at bigint,
    revoked_at bigint,
    last_used_at bigint
);
create unique index api_key_handle on api_key (handle);

-- `actor`: key, environment key, command line; the key's name is the one that it had then. `outcome`: accepted, done,
-- refused, failed.
create table audit (
    id {id},
    at bigint not null,
    actor text not null,
    key_id bigint,
    key_name text,
    action text not null,
    target text,
    event_id bigint,
    outcome text not null,
    reason text,
    request_id text
);
create index audit_key on audit (key_id, id) where key_id is not null;
create index audit_target on audit (target, id) where target is not null;
create index audit_action on audit (action, id);
create index audit_at on audit (at);
";

const DOWN: &str = "
drop table audit;
drop table api_key;
";
