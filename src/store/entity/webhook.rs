//! Every accepted event.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "webhook")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: i64,
    pub dedupe_key: Vec<u8>,
    pub kind: String,
    pub state: String,
    pub conversation_id: Option<i64>,
    pub shard: Option<i16>,
    pub phone_number_id: Option<String>,
    pub wamid: Option<String>,
    pub attempts: i32,
    pub reason: Option<String>,
    pub payload: String,
    pub accepted_at: i64,
    pub done_at: Option<i64>,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
