//! What holds for every input, tried on thousands that are made up by seeded dice. Each failure names its case, and the same
//! case is made up again in the next run.
//!
//! `PROPERTY_CASES=100000 cargo test --release --test properties` tries more of them.
//!
//! Flow files have no printer, so there is no going there and back to try; what is tried of them is that a file, however it
//! is bent, is read or refused.

#![expect(clippy::unwrap_used, reason = "in a test a panic is the report")]

mod deliveries;
#[path = "../sim/dice.rs"]
mod dice;
mod flow_files;
mod steps;
mod webhooks;

/// How many cases to try, where `few` are enough for every day.
fn cases(few: u64) -> u64 {
    match std::env::var("PROPERTY_CASES") {
        Ok(cases) => cases.parse().expect("PROPERTY_CASES is a number"),
        Err(_) => few,
    }
}
