//! Who wants no messages, since when and by whose word; and until when a conversation is with a person.

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
-- `…_by`: person, operator, meta. `marketing_changed_at` is the time of the newest word on it, so that an older one that
-- comes late changes nothing.
alter table contact add column opted_out_by text;
alter table contact add column marketing_opted_out_at bigint;
alter table contact add column marketing_opted_out_by text;
alter table contact add column marketing_changed_at bigint;
alter table session add column handed_off_until bigint;
";

const DOWN: &str = "
alter table session drop column handed_off_until;
alter table contact drop column marketing_changed_at;
alter table contact drop column marketing_opted_out_by;
alter table contact drop column marketing_opted_out_at;
alter table contact drop column opted_out_by;
";
