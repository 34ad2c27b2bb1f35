//! An index less to write for each message of a person: only ours are looked for by Meta's id.

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
drop index message_wamid;
create index message_wamid on message (wamid) where direction = 'out' and wamid is not null;
";

const DOWN: &str = "
drop index message_wamid;
create index message_wamid on message (wamid);
";
