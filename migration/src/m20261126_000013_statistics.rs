//! Counts by day beside those by hour, the states of messages by the hour in which these were written, and who wrote when.

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
-- As `counter`, by the start of the day (UTC).
create table counter_day (
    phone_number_id text not null,
    day bigint not null,
    name text not null,
    value bigint not null,
    primary key (day, phone_number_id, name)
) {keyed};

-- The start of the hour in which the person last wrote, as of accepting.
alter table session add column active_at bigint;
update session set active_at = (
    select max(created_at - created_at % 3600000) from message
    where message.conversation_id = session.id and message.direction = 'in'
);

-- So far a state was counted in the hour in which it changed.
delete from counter where hour > 0 and name like 'status:%';
insert into counter (phone_number_id, hour, name, value)
select phone_number_id, created_at - created_at % 3600000 as hour, 'status:' || case status
    when 10 then 'queued' when 20 then 'ambiguous' when 30 then 'accepted' when 40 then 'sent'
    when 60 then 'delivered' when 70 then 'read' when 80 then 'played' else 'failed' end as name, count(*)
from message where direction = 'out' group by 1, 2, 3;

insert into counter_day (phone_number_id, day, name, value)
select phone_number_id, hour - hour % 86400000 as day, name, sum(value) from counter where hour > 0 group by 1, 2, 3;

-- Who wrote, each once an hour and once a day, by how many hours or days before they last did; 0 for never, what is longer
-- than 168 hours or 1,000 days as one more than that. `active` is by number, `person` in all.
insert into counter (phone_number_id, hour, name, value)
select phone_number_id, hour * 3600000, 'active:' || case when earlier is null then 0 when hour - earlier > 168 then 169
    else hour - earlier end as name, count(*) from (
    select phone_number_id, hour, lag(hour) over (partition by conversation_id order by hour) as earlier from (
        select distinct phone_number_id, conversation_id, created_at / 3600000 as hour from message where direction = 'in'
    ) as hours
) as visits group by 1, 2, 3;
insert into counter (phone_number_id, hour, name, value)
select phone_number_id, hour * 3600000, 'person:' || case when earlier is null then 0 when hour - earlier > 168 then 169
    else hour - earlier end as name, count(*) from (
    select phone_number_id, hour, lag(hour) over (partition by contact_id order by hour) as earlier from (
        select min(phone_number_id) as phone_number_id, contact_id, created_at / 3600000 as hour
        from message where direction = 'in' group by 2, 3
    ) as hours
) as visits group by 1, 2, 3;
insert into counter_day (phone_number_id, day, name, value)
select phone_number_id, day * 86400000, 'active:' || case when earlier is null then 0 when day - earlier > 1000 then 1001
    else day - earlier end as name, count(*) from (
    select phone_number_id, day, lag(day) over (partition by conversation_id order by day) as earlier from (
        select distinct phone_number_id, conversation_id, created_at / 86400000 as day from message where direction = 'in'
    ) as days
) as visits group by 1, 2, 3;
insert into counter_day (phone_number_id, day, name, value)
select phone_number_id, day * 86400000, 'person:' || case when earlier is null then 0 when day - earlier > 1000 then 1001
    else day - earlier end as name, count(*) from (
    select phone_number_id, day, lag(day) over (partition by contact_id order by day) as earlier from (
        select min(phone_number_id) as phone_number_id, contact_id, created_at / 86400000 as day
        from message where direction = 'in' group by 2, 3
    ) as days
) as visits group by 1, 2, 3;
insert into counter (phone_number_id, hour, name, value)
select phone_number_id, 0, 'active', sum(value) from counter_day where name = 'active:0' group by 1;
insert into counter (phone_number_id, hour, name, value)
select phone_number_id, 0, 'person', sum(value) from counter_day where name = 'person:0' group by 1;
";

const DOWN: &str = "
delete from counter where name in ('active', 'person') or name like 'active:%' or name like 'person:%';
alter table session drop column active_at;
drop table counter_day;
";
