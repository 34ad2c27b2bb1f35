//! Text that must never be seen.

use std::fmt;

/// A token, key or shared secret: never empty, and shown only by [`Secret::expose`].
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Keeps `text`; `None` when there is nothing in it, since an empty secret opens every door.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Option<Self> {
        let text = text.into();
        (!text.is_empty()).then_some(Self(text))
    }

    /// The text itself, for the one place that puts it on the wire or into a check.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_never_empty_and_never_printed() {
        assert!(Secret::new("").is_none());
        let secret = Secret::new("open sesame").unwrap();
        assert_eq!(secret.expose(), "open sesame");
        assert!(!format!("{secret:?} {secret:#?}").contains("sesame"));
    }
}
