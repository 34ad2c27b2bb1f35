//! A message of either direction, and what became of it.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "message")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: i64,
    pub conversation_id: i64,
    pub contact_id: i64,
    pub shard: i16,
    pub phone_number_id: String,
    pub event_id: i64,
    pub direction: String,
    pub kind: String,
    pub body: Option<String>,
    pub content: Option<String>,
    pub wamid: Option<String>,
    pub reply_to: Option<String>,
    pub status: i16,
    pub error_code: Option<i64>,
    pub error: Option<String>,
    pub pricing: Option<String>,
    pub created_at: i64,
    pub accepted_at: Option<i64>,
    pub sent_at: Option<i64>,
    pub delivered_at: Option<i64>,
    pub read_at: Option<i64>,
    pub failed_at: Option<i64>,
    pub resend_of: Option<i64>,
    pub resent_as: Option<i64>,
    pub media_id: Option<i64>,
    pub position: i64,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
