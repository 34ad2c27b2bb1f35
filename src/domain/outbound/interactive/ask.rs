//! Text with a button by which the person sends where they are, or who they are.

use serde::Serialize;

use super::INTERACTIVE_BODY_MAX;
use crate::domain::outbound::fields::Fields;
use crate::domain::outbound::invalid::{Invalid, filled};

macro_rules! request {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Serialize)]
        pub struct $name {
            body: String,
        }

        impl $name {
            /// A text of up to [`INTERACTIVE_BODY_MAX`] characters.
            ///
            /// # Errors
            /// When it is empty or too long.
            pub fn new(body: impl Into<String>) -> Result<Self, Invalid> {
                Ok(Self { body: filled("body", body.into(), INTERACTIVE_BODY_MAX)? })
            }

            pub(in crate::domain::outbound) fn read(fields: &mut Fields) -> Result<Self, Invalid> {
                Self::new(fields.text("body")?)
            }

            /// The text.
            #[must_use]
            pub fn body(&self) -> &str {
                &self.body
            }
        }
    };
}

request!(
    /// Asks for a location. JSON: `{"type":"location_request","body":"Where are you?"}`. A `location` comes back.
    LocationRequest
);
request!(
    /// Asks for the person's own contact card, with their phone number. JSON:
    /// `{"type":"contact_request","body":"How can we call you?"}`. `contacts` comes back, with `origin` `contact_request`.
    /// Source: Meta, business-scoped user ids, 2026.
    ContactRequest
);
