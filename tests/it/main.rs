//! Everything over the real path: real sockets, a real database, real signatures, the real program.
//!
//! Tests that need a database run on SQLite and, where one can be started, on a real PostgreSQL of their own.

#![expect(clippy::unwrap_used, reason = "in a test a panic is the report")]

mod support;

mod command;
mod containment;
mod crash;
mod door;
mod gate;
mod identity;
mod journey;
mod load;
mod media;
mod overload;
mod passivation;
mod recovery;
mod statistics;
mod store;
