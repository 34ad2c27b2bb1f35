//! What one outlet is to be told, or was.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "delivery")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: i64,
    pub outlet: String,
    pub commit_id: i64,
    pub place: i64,
    pub news: String,
    pub happened_at: i64,
    pub lane: i64,
    pub state: String,
    pub attempts: i32,
    pub due_at: i64,
    pub since: i64,
    pub created_at: i64,
    pub done_at: Option<i64>,
    pub status: Option<i32>,
    pub reason: Option<String>,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
