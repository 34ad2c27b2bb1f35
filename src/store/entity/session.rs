//! A conversation and the saved state of it.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "session")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: i64,
    pub contact_id: i64,
    pub phone_number_id: String,
    pub shard: i16,
    pub version: i64,
    pub flow_hash: String,
    pub state: Option<String>,
    pub snapshot: String,
    pub handed_off: bool,
    pub handed_off_until: Option<i64>,
    pub timer_generation: i64,
    pub last_inbound_at: Option<i64>,
    pub created_at: i64,
    pub updated_at: i64,
    pub merged_into: Option<i64>,
    pub active_at: Option<i64>,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
