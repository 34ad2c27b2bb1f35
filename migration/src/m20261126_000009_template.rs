//! Templates, as Meta lists them and as its webhooks tell of them.

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
-- A template in one language. `category`, `status`, `quality`, `reason` and `format` are Meta's words, `components` is its
-- JSON. A template that is not in Meta's list any more stays, with the status DELETED.
-- `status_at`, `category_at` and `quality_at` are Meta's times of the newest news, so that older ones that come late change
-- nothing; `told_at` is when the last news were accepted here, so that a list that was asked for before does not undo them.
create table template (
    id {id},
    business_account_id text not null,
    name text not null,
    language text not null,
    meta_id text,
    category text not null,
    status text not null,
    quality text,
    reason text,
    format text,
    components text not null,
    status_at bigint,
    category_at bigint,
    quality_at bigint,
    told_at bigint,
    created_at bigint not null,
    updated_at bigint not null,
    synced_at bigint not null
);
create unique index template_key on template (business_account_id, name, language);
create index template_meta_id on template (business_account_id, meta_id);
";

const DOWN: &str = "
drop table template;
";
