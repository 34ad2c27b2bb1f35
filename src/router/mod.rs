//! The router finds the line of an event's conversation, or starts it.
//!
//! [`actor`] is the shell; `registry` knows which conversations are in memory and which may leave it: by idle time, and
//! the least recently used first when there are more than the limit. Passivation is decided here and nowhere else. The
//! router is the only one that gives a conversation work, and it counts what it gives, so a conversation that it finds idle
//! is idle, and can be dropped without asking.
//!
//! [`sweep`] holds what runs beside: re-dispatch of what is accepted and not done, and the timers.

pub mod actor;
mod registry;
pub mod sweep;
