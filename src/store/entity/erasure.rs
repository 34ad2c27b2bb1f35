//! A person who is to be erased, or was.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "erasure")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: i64,
    pub contact_id: i64,
    pub state: String,
    pub reason: Option<String>,
    pub ids: Option<String>,
    pub conversations: Option<String>,
    pub messages: i64,
    pub events: i64,
    pub files: i64,
    pub wanted_at: i64,
    pub done_at: Option<i64>,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
