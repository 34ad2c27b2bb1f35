//! The 24-hour window: what may be sent to a person who has been silent, and what becomes of what may not.
//!
//! Source: Meta, "Sending messages", customer service windows, 2026: free-form messages only within 24 hours of the
//! person's last message; templates at any time.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::clock::{HOUR, Millis, duration_ms};
use crate::domain::outbound::Message;

/// How long the window is, in milliseconds.
pub const WINDOW: Millis = 24 * HOUR;

/// When the window of a person who last wrote at `last_inbound_at` closes for us: `margin` before Meta closes it.
#[must_use]
pub fn closes_at(last_inbound_at: Millis, margin: Duration) -> Millis {
    last_inbound_at.saturating_add(WINDOW).saturating_sub(duration_ms(margin))
}

/// Whether a free-form message may leave at `now`. A person who never wrote has no window.
#[must_use]
pub fn is_open(last_inbound_at: Option<Millis>, now: Millis, margin: Duration) -> bool {
    last_inbound_at.is_some_and(|at| now < closes_at(at, margin))
}

/// Whether `message` may leave only while the window is open: everything but a template and the sign that we have read.
#[must_use]
pub fn needs_window(message: &Message) -> bool {
    !matches!(message.kind(), "template" | "read")
}

/// What becomes of a free-form message that is to leave while the window is closed.
/// JSON: `"fail"`, `"skip"`, `"wait"` or `{"template": {…}}`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outside {
    /// It fails, with that as its reason.
    #[default]
    Fail,
    /// It is not sent, and that is as it should be: the reason stands on the message, and nobody is asked to send it again.
    Skip,
    /// It is held until the person writes again.
    Wait,
    /// This template goes in its place.
    Template(Box<Message>),
}

impl Outside {
    /// Whether it is what holds when nobody says.
    #[must_use]
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }

    /// As stored; `None` for [`Outside::Fail`], which is what an empty column means.
    #[must_use]
    pub fn stored(&self) -> Option<String> {
        if self.is_default() { None } else { serde_json::to_string(self).ok() }
    }

    /// What is stored; what cannot be read fails, since failing is seen.
    #[must_use]
    pub fn of_stored(stored: Option<&str>) -> Self {
        stored.and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MARGIN: Duration = Duration::from_secs(60);
    const THEN: Millis = 1_800_000_000_000;

    #[test]
    fn the_window_is_a_day_less_the_margin_and_nobody_has_one_who_never_wrote() {
        assert!(is_open(Some(THEN), THEN, MARGIN));
        assert!(is_open(Some(THEN), THEN + WINDOW - 60_001, MARGIN));
        assert!(!is_open(Some(THEN), THEN + WINDOW - 60_000, MARGIN));
        assert!(!is_open(None, THEN, MARGIN));
    }

    #[test]
    fn what_is_to_happen_outside_is_stored_and_read_back() {
        let message = Message::text("x").expect("a text");
        for outside in [Outside::Fail, Outside::Skip, Outside::Wait, Outside::Template(Box::new(message))] {
            assert_eq!(Outside::of_stored(outside.stored().as_deref()), outside);
        }
        assert_eq!(Outside::of_stored(Some("nonsense")), Outside::Fail);
    }
}
