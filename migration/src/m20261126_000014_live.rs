//! What is told to those who listen: the feed of what happened, and what of it is delivered to outlets.
//!
//! Neither holds what anybody wrote: a row refers to messages, conversations and events by their ids.

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
-- One row for each commit that there is something to tell of, in the order of the commits.
create table feed (
    id {id},
    at bigint not null,
    news text not null
);

-- How far an outlet has taken over what the feed tells.
create table outlet (
    name text not null primary key,
    come_to bigint not null,
    place bigint not null
) {keyed};

-- What one outlet is to be told, or was.
create table delivery (
    id {id},
    outlet text not null,
    commit_id bigint not null,
    place bigint not null,
    news text not null,
    happened_at bigint not null,
    lane bigint not null,
    state text not null,
    attempts integer not null,
    due_at bigint not null,
    since bigint not null,
    created_at bigint not null,
    done_at bigint,
    status integer,
    reason text
);
create unique index delivery_once on delivery (outlet, commit_id, place);
create index delivery_outlet on delivery (outlet, id);
create index delivery_waiting on delivery (outlet, id) where state = 'waiting';
create index delivery_dead on delivery (id) where state = 'dead';
create index delivery_done on delivery (done_at) where done_at is not null;
";

const DOWN: &str = "
drop table delivery;
drop table outlet;
drop table feed;
";
