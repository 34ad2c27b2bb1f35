//! Everything over the real path: real sockets, a real database, real signatures, the real program.
//!
//! Tests that need a database run on SQLite and, where one can be started, on a real PostgreSQL of their own.

#![expect(clippy::unwrap_used, reason = "in a test a panic is the report")]

mod support;

mod access;
mod chaos;
mod command;
mod containment;
mod crash;
mod door;
mod flow_sends;
mod gate;
mod identity;
mod journey;
mod live;
mod load;
mod media;
mod messages;
mod operation;
mod outage;
mod outlet;
mod overload;
mod pacing;
mod passivation;
mod privacy;
mod pywa;
mod reads;
mod recovery;
mod schemathesis;
mod services;
mod statistics;
mod store;
mod templates;
mod upgrade;
