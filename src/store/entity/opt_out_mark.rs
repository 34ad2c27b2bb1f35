//! That an erased person wanted no messages, by the keyed hash of one of their ids.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "opt_out_mark")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub hash: String,
    pub opted_out_at: Option<i64>,
    pub opted_out_by: Option<String>,
    pub marketing_opted_out_at: Option<i64>,
    pub marketing_opted_out_by: Option<String>,
    pub marketing_changed_at: Option<i64>,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
