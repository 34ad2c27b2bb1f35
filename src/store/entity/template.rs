//! A template of a business account, in one language.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "template")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: i64,
    pub business_account_id: String,
    pub name: String,
    pub language: String,
    pub meta_id: Option<String>,
    pub category: String,
    pub status: String,
    pub quality: Option<String>,
    pub reason: Option<String>,
    pub format: Option<String>,
    pub components: String,
    pub status_at: Option<i64>,
    pub category_at: Option<i64>,
    pub quality_at: Option<i64>,
    pub told_at: Option<i64>,
    pub created_at: i64,
    pub updated_at: i64,
    pub synced_at: i64,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
