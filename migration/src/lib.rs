//! Switchboard's schema, on SQLite and PostgreSQL alike.
//!
//! Tables are written as SQL, because what matters in them is what a schema builder hides: a primary key that *is*
//! SQLite's row id, and partial indexes that hold only the rows still to be worked on. Ids are given by the program.
//! Times are `bigint` milliseconds since the Unix epoch. A landed migration is never edited; a change is a new one.

pub use sea_orm_migration::prelude::{MigrationTrait, MigratorTrait};

mod dialect;
mod m20261122_000001_core;
mod m20261122_000002_factory;
mod m20261124_000003_sender;
mod m20261124_000004_media;
mod m20261124_000006_consent;
mod m20261124_000007_identity;
mod m20261126_000008_outcome;
mod m20261126_000009_template;
mod m20261126_000011_keys;
mod m20261126_000012_reads;
mod m20261126_000013_statistics;
mod m20261126_000014_live;
mod m20261126_000015_privacy;
mod m20261126_000017_lean;
mod m20261126_000018_short;

/// All migrations, in order.
pub struct Migrator;

#[async_trait::async_trait]
impl MigratorTrait for Migrator {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        vec![
            Box::new(m20261122_000001_core::Migration),
            Box::new(m20261122_000002_factory::Migration),
            Box::new(m20261124_000003_sender::Migration),
            Box::new(m20261124_000004_media::Migration),
            Box::new(m20261124_000006_consent::Migration),
            Box::new(m20261124_000007_identity::Migration),
            Box::new(m20261126_000008_outcome::Migration),
            Box::new(m20261126_000009_template::Migration),
            Box::new(m20261126_000011_keys::Migration),
            Box::new(m20261126_000012_reads::Migration),
            Box::new(m20261126_000013_statistics::Migration),
            Box::new(m20261126_000014_live::Migration),
            Box::new(m20261126_000015_privacy::Migration),
            Box::new(m20261126_000017_lean::Migration),
            Box::new(m20261126_000018_short::Migration),
        ]
    }
}
