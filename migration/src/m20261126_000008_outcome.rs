//! A message that was sent again: which one took its place.

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
-- `resend_of` names the failed message in whose place this one was sent, `resent_as` the one that was sent in its place.
alter table message add column resend_of bigint;
alter table message add column resent_as bigint;
";

const DOWN: &str = "
alter table message drop column resent_as;
alter table message drop column resend_of;
";
