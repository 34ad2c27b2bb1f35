//! A file that a person sent, or that was given to us to send.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "media")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: i64,
    pub direction: String,
    pub state: String,
    pub kind: String,
    pub phone_number_id: Option<String>,
    pub meta_id: Option<String>,
    pub mime_type: Option<String>,
    pub filename: Option<String>,
    pub promised: Option<String>,
    pub sha256: Option<String>,
    pub size: Option<i64>,
    pub attempts: i32,
    pub due_at: i64,
    pub reason: Option<String>,
    pub created_at: i64,
    pub ready_at: Option<i64>,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
