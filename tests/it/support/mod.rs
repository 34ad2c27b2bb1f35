//! What the tests stand on: a database of their own, a local Meta, and the app or the program between them.

pub(crate) mod app;
pub(crate) mod database;
pub(crate) mod door;
pub(crate) mod flows;
pub(crate) mod listener;
pub(crate) mod postgres;
pub(crate) mod program;
pub(crate) mod receiver;
pub(crate) mod sandbox;
pub(crate) mod shelf;
pub(crate) mod store;
pub(crate) mod traces;
pub(crate) mod venv;
pub(crate) mod wire;

use std::time::Duration;

/// How long a test waits for something that is to happen before it fails. Nothing is ever asserted to be faster.
pub(crate) const PATIENCE: Duration = Duration::from_secs(120);

/// Waits until `found` finds something.
pub(crate) async fn until<T>(what: &str, mut found: impl AsyncFnMut() -> Option<T>) -> T {
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
pub(crate) fn run<F: Future>(test: F) -> F::Output {
    // What the app says of itself is shown with a test that fails. Another test may have set this up before.
    let _ = tracing_subscriber::fmt().with_env_filter("warn").with_test_writer().try_init();
    tokio::runtime::Runtime::new().unwrap().block_on(test)
}
