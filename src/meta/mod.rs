//! Meta's wire: everything that knows Meta's JSON, its signature, its error codes and its addresses.
//!
//! The webhook door calls [`signature`] and [`webhook`]; recovery and replay call [`webhook::parse_payload`]; the sender
//! calls [`request`], [`failure`] and [`client`]; who keeps templates calls [`client`] and [`template`]. Pure, except
//! [`client`], the one socket to the Graph API.
//!
//! What is deliberately not here: dedupe, retries, pacing and storage. This room says what something is and what Meta's
//! advice about it is; the rooms above act.
//!
//! Invariants: nothing that Meta can send makes this room panic; whatever is signed and readable comes out as an item,
//! understood or raw; a secret is neither printed nor part of an error.

pub mod client;
pub mod failure;
mod hex;
mod object;
pub mod request;
pub mod signature;
pub mod template;
pub mod webhook;
