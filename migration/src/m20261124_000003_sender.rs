//! What the sender has to know of a message at the moment of leaving, and when a number rested for want of a good token.

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
-- `priority`: 0 reply, 1 bulk. `outside`: what becomes of it outside of the window, JSON of domain::window::Outside, null is
-- to fail. `free_form`: whether it needs the window. `waited_ms`: how long it was held. `state` has one more: held.
alter table queue add column priority smallint not null default 0;
alter table queue add column outside text;
alter table queue add column free_form boolean not null default true;
alter table queue add column marketing boolean not null default false;
alter table queue add column despite_opt_out boolean not null default false;
alter table queue add column waited_ms bigint not null default 0;
create index queue_held on queue (conversation_id) where state = 'held';

-- When Meta refused the token of a number, and when it took one again. `ended_at` is null while it does not.
create table token_pause (
    phone_number_id text not null,
    began_at bigint not null,
    ended_at bigint,
    primary key (phone_number_id, began_at)
) {keyed};
";

const DOWN: &str = "
drop table token_pause;
drop index queue_held;
alter table queue drop column waited_ms;
alter table queue drop column despite_opt_out;
alter table queue drop column marketing;
alter table queue drop column free_form;
alter table queue drop column outside;
alter table queue drop column priority;
";
