//! The `switchboard` program.

use std::process::ExitCode;

use mimalloc::MiMalloc;

/// A turn makes some hundred small allocations, many of which end on another thread than they began on.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> ExitCode {
    switchboard::cli::run()
}
