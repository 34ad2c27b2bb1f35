//! Switchboard: an actor-based WhatsApp conversation runtime.
//!
//! The rooms, in floor order; imports run downward only (`docs/architecture.md` walks along the data):
//! ground (`clock`, `domain`) ← pure (`flow`, `meta`) ← adapters (`store`, `meta::client`, `connector`) ←
//! workers (`conversation`, `sender`) ← `router` ← doors (`webhook`, `api`, `sandbox`) ← composition (`app`, `cli`).

pub mod clock;
pub mod domain;
