//! What the runtime keeps: events, people, conversations, messages, the queue, and what it counts.

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
-- Every accepted event. `state`: accepted, done, ignored, parked, quarantined.
create table webhook (
    id {id},
    dedupe_key text not null,
    kind text not null,
    state text not null,
    conversation_id bigint,
    shard smallint,
    phone_number_id text,
    wamid text,
    attempts integer not null,
    reason text,
    payload text not null,
    accepted_at bigint not null,
    done_at bigint
);
create unique index webhook_dedupe on webhook (dedupe_key);
create index webhook_open on webhook (conversation_id, id) where state = 'accepted';
create index webhook_quarantined on webhook (id) where state = 'quarantined';
create index webhook_parked on webhook (wamid) where state = 'parked';

create table contact (
    id {id},
    wa_id text,
    user_id text,
    parent_user_id text,
    name text,
    username text,
    opted_out_at bigint,
    created_at bigint not null,
    updated_at bigint not null
);

create table alias (
    value text not null,
    kind text not null,
    contact_id bigint not null,
    primary key (value, kind)
) {keyed};
create index alias_contact on alias (contact_id);

-- A conversation: one of our numbers and one contact. `version` is the fence: each turn adds one.
create table session (
    id {id},
    contact_id bigint not null,
    phone_number_id text not null,
    shard smallint not null,
    version bigint not null,
    flow_hash text not null,
    state text,
    snapshot text not null,
    handed_off boolean not null,
    timer_generation bigint not null,
    last_inbound_at bigint,
    created_at bigint not null,
    updated_at bigint not null
);
create unique index session_line on session (contact_id, phone_number_id);

-- `direction`: in, out. `status` is the rank of domain::delivery::Status.
create table message (
    id {id},
    conversation_id bigint not null,
    contact_id bigint not null,
    shard smallint not null,
    phone_number_id text not null,
    event_id bigint not null,
    direction text not null,
    kind text not null,
    body text,
    content text,
    wamid text,
    reply_to text,
    status smallint not null,
    error_code bigint,
    error text,
    pricing text,
    created_at bigint not null,
    accepted_at bigint,
    sent_at bigint,
    delivered_at bigint,
    read_at bigint,
    failed_at bigint
);
create index message_conversation on message (conversation_id, id);
create index message_wamid on message (wamid);

-- Outbound work that is not finished; its id is the message's. `state`: ready, claimed, ambiguous, dead.
-- `position` is the order in which the rows of a lane were committed.
create table queue (
    id {id},
    position bigint not null,
    conversation_id bigint not null,
    shard smallint not null,
    phone_number_id text not null,
    state text not null,
    attempts integer not null,
    due_at bigint not null,
    event_accepted_at bigint not null,
    reason text
);
create index queue_state on queue (state, id);

create table attempt (
    id {id},
    message_id bigint not null,
    at bigint not null,
    outcome text not null,
    code bigint,
    reason text not null,
    trace text
);
create index attempt_message on attempt (message_id, id);

create table timer (
    conversation_id {id},
    shard smallint not null,
    generation bigint not null,
    due_at bigint not null
);
create index timer_due on timer (due_at);

-- Kept by the transactions that change what they count. `hour` is the start of the hour, 0 for all time.
create table counter (
    phone_number_id text not null,
    hour bigint not null,
    name text not null,
    value bigint not null,
    primary key (hour, phone_number_id, name)
) {keyed};

create table sequence (
    name text not null primary key,
    value bigint not null
) {keyed};

-- Every flow that a session was pinned to, by the hash of its source.
create table flow (
    hash text not null primary key,
    name text not null,
    source text not null,
    first_used_at bigint not null
);
";

const DOWN: &str = "
drop table flow;
drop table sequence;
drop table counter;
drop table timer;
drop table attempt;
drop table queue;
drop table message;
drop table session;
drop table alias;
drop table contact;
drop table webhook;
";
