//! How long a line waits before it tries again.

use std::time::Duration;

/// The pause before a broken turn is tried again; doubled with each attempt.
const RETRY_PAUSE: Duration = Duration::from_millis(100);
/// The longest pause before anything is tried again.
pub(super) const RETRY_PAUSE_MAX: Duration = Duration::from_secs(5);

/// The pause before the attempt after `attempts`.
#[must_use]
pub(super) fn retry_pause(attempts: u32) -> Duration {
    RETRY_PAUSE.saturating_mul(1 << attempts.min(10)).min(RETRY_PAUSE_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_a_limit() {
        assert_eq!(retry_pause(0), Duration::from_millis(100));
        assert_eq!(retry_pause(1), Duration::from_millis(200));
        assert_eq!(retry_pause(60), RETRY_PAUSE_MAX);
    }
}
