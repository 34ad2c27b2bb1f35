//! The nouns: ids, people, what comes in, what goes out, what became of it.
//!
//! Ground floor. Nothing here knows a framework, a database or Meta's JSON; every room above may use it. A value of
//! these types is valid: what Meta would refuse cannot be built ([`outbound`]), and a status never goes backwards
//! ([`delivery`]).

pub mod access;
pub mod consent;
pub mod contact;
pub mod dedupe;
pub mod delivery;
pub mod event;
pub mod identity;
pub mod ids;
pub mod inbound;
pub mod leaving;
pub mod notice;
pub mod outbound;
pub mod search;
pub mod template;
pub mod window;
