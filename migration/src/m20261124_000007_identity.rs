//! Two contacts that turned out to be one person: where the one that is no more went to.

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
-- What became part of another one stays as a signpost; it always names the living one.
alter table contact add column merged_into bigint;
create index contact_merged on contact (merged_into) where merged_into is not null;
alter table session add column merged_into bigint;
create index session_merged on session (merged_into) where merged_into is not null;
";

const DOWN: &str = "
drop index session_merged;
alter table session drop column merged_into;
drop index contact_merged;
alter table contact drop column merged_into;
";
