//! Outbound work that is not finished.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "queue")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: i64,
    pub position: i64,
    pub conversation_id: i64,
    pub shard: i16,
    pub phone_number_id: String,
    pub state: String,
    pub attempts: i32,
    pub due_at: i64,
    pub event_accepted_at: i64,
    pub reason: Option<String>,
    pub priority: i16,
    pub outside: Option<String>,
    pub free_form: bool,
    pub marketing: bool,
    pub despite_opt_out: bool,
    pub waited_ms: i64,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
