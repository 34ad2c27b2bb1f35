//! The factory's own tables, which the built-in bot reads and writes. `customer_phone` holds a phone number in digits,
//! or a business-scoped user id where the person has hidden theirs. Days are `YYYY-MM-DD`.

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
        run(manager, "drop table production_schedule; drop table defects; drop table orders").await
    }
}

const UP: &str = "
create table orders (
    id {id},
    number text not null unique,
    customer_phone text not null,
    customer_name text not null,
    product text not null,
    quantity bigint not null,
    status text not null,
    line text not null,
    ordered_on text not null,
    promised_on text not null,
    delivered_on text
);
create index orders_customer on orders (customer_phone, ordered_on);

create table defects (
    id {id},
    number text not null unique,
    customer_phone text not null,
    order_number text not null,
    description text not null,
    media_id text,
    status text not null,
    reported_at bigint not null
);
create index defects_customer on defects (customer_phone, id);

create table production_schedule (
    id {id},
    line text not null,
    day text not null,
    shift text not null,
    product text not null,
    planned bigint not null,
    produced bigint not null,
    status text not null
);
create index production_schedule_day on production_schedule (day, line);
";
