//! Everything over the real path: real sockets, a real database, real signatures, the real program.
//!
//! Tests that need a database run on SQLite and, where one can be started, on a real PostgreSQL of their own.

mod support;

mod containment;
mod crash;
mod door;
mod journey;
mod load;
mod passivation;
mod recovery;
