//! What the parts of a turn cost, each by itself: verify and parse, the step, the writer, lanes and limiters.
//!
//! ```sh
//! cargo bench -p switchboard-micro                 # everything
//! cargo bench -p switchboard-micro -- writer       # what has `writer` in its name
//! ```
//!
//! Times are of this machine; what they are for is to be compared with those of the code before a change
//! (`--save-baseline`, `--baseline`). How the whole program does is `cargo bench --bench load`.

mod flow;
mod sender;
mod store;
mod webhook;

use criterion::{criterion_group, criterion_main};

criterion_group!(benches, webhook::bench, flow::bench, sender::bench, store::bench);
criterion_main!(benches);
