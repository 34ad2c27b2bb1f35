//! Switchboard: an actor-based WhatsApp conversation runtime.
//!
//! The rooms, in floor order; imports run downward only (`docs/architecture.md` walks along the data):
//! ground (`clock`, `domain`, `config`, `telemetry`) ← pure (`flow`, `meta`) ← adapters (`store`, `meta::client`,
//! `connector`), `feed` ← workers (`template`, `conversation`, `media`, `sender`) ← `router`, `replay`, `doctor` ← doors
//! (`webhook`, `api`, `outlet`, `sandbox`) ← composition (`app`, `cli`).

pub mod api;
pub mod app;
pub mod cli;
pub mod clock;
pub mod config;
pub mod connector;
pub mod conversation;
pub mod doctor;
pub mod domain;
pub mod feed;
pub mod flow;
pub mod media;
pub mod meta;
pub mod outlet;
pub mod privacy;
pub mod replay;
pub mod router;
pub mod sandbox;
pub mod sender;
pub mod store;
pub mod telemetry;
pub mod template;
pub mod webhook;
