//! What the tests stand on: a database of their own, a local Meta, and the app or the program between them.

pub mod app;
pub mod database;
pub mod flows;
pub mod postgres;
pub mod program;
pub mod wire;

use std::time::Duration;

/// How long a test waits for something that is to happen before it fails. Nothing is ever asserted to be faster.
pub const PATIENCE: Duration = Duration::from_secs(120);

/// Waits until `found` finds something.
pub async fn until<T>(what: &str, mut found: impl AsyncFnMut() -> Option<T>) -> T {
    let waiting = async {
        loop {
            if let Some(it) = found().await {
                return it;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(PATIENCE, waiting).await.unwrap_or_else(|_| panic!("waited in vain for {what}"))
}

/// Runs an async test on a runtime of its own.
pub fn run<F: Future>(test: F) -> F::Output {
    tokio::runtime::Runtime::new().unwrap().block_on(test)
}
