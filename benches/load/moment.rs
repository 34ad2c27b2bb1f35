//! The time of a measurement: the machine's clock in microseconds, which the processes of a run share.

use std::time::{Duration, UNIX_EPOCH};

/// Microseconds since 1970.
pub(crate) type Micros = u64;

/// Now.
#[expect(
    clippy::disallowed_methods,
    reason = "a measurement is about the machine's own clock, to the microsecond"
)]
pub(crate) fn now() -> Micros {
    let since = std::time::SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_micros()).unwrap_or(Micros::MAX)
}

/// Waits until `at`.
pub(crate) async fn sleep_until(at: Micros) {
    let wait = at.saturating_sub(now());
    if wait > 0 {
        tokio::time::sleep(Duration::from_micros(wait)).await;
    }
}

/// A span as seconds.
#[expect(clippy::cast_precision_loss, reason = "a span of microseconds is exact in an f64")]
pub(crate) fn seconds(span: Micros) -> f64 {
    span as f64 / 1_000_000.0
}
