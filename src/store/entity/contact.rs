//! A person.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "contact")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: i64,
    pub wa_id: Option<String>,
    pub user_id: Option<String>,
    pub parent_user_id: Option<String>,
    pub name: Option<String>,
    pub username: Option<String>,
    pub opted_out_at: Option<i64>,
    pub opted_out_by: Option<String>,
    pub marketing_opted_out_at: Option<i64>,
    pub marketing_opted_out_by: Option<String>,
    pub marketing_changed_at: Option<i64>,
    pub created_at: i64,
    pub updated_at: i64,
    pub merged_into: Option<i64>,
    pub name_key: Option<String>,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
