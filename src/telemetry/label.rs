//! The values of labels that this program knows beforehand.

/// An enum whose variants are label values, with their names and the list of all.
macro_rules! label {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $text:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum $name {
            $($(#[$variant_doc])* $variant,)+
        }

        impl $name {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$variant),+];

            /// The value of the label.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $text,)+
                }
            }
        }
    };
}

label! {
    /// Why the webhook door refused a request.
    Refusal {
        /// Its signature is wrong or missing.
        Signature = "signature",
        /// The limit of unfinished events is reached.
        Overload = "overload",
        /// It could not be committed.
        Storage = "storage",
        /// Its body is over the limit.
        TooLarge = "too_large",
    }
}

label! {
    /// What an attempt to fetch a file came to.
    FetchOutcome {
        /// It is kept.
        Ready = "ready",
        /// It failed, and is tried again.
        Retried = "retried",
        /// It failed for good.
        Failed = "failed",
    }
}

label! {
    /// What reading Meta's list of templates came to.
    SyncOutcome {
        /// It is kept.
        Done = "done",
        /// It failed, and is tried again.
        Failed = "failed",
    }
}

label! {
    /// How a turn ended.
    TurnOutcome {
        /// Committed.
        Done = "done",
        /// Failed, and is tried again.
        Retried = "retried",
        /// Failed for the last allowed time: its event waits for a person.
        Quarantined = "quarantined",
        /// The session row had another version: memory was dropped and read anew.
        Conflict = "conflict",
        /// Panicked.
        Panicked = "panicked",
    }
}

label! {
    /// How one attempt to send ended.
    SendOutcome {
        /// Meta took it and gave it an id.
        Accepted = "accepted",
        /// Meta refused it; it may be tried again.
        Refused = "refused",
        /// It certainly did not reach Meta.
        NotSent = "not_sent",
        /// Whether Meta took it is not known.
        Ambiguous = "ambiguous",
        /// We did not make it: the window is closed, the person has opted out, or the template is none that Meta would
        /// take.
        Withheld = "withheld",
        /// Failed for good.
        Failed = "failed",
    }
}

label! {
    /// How one attempt to tell an outlet ended.
    DeliveryOutcome {
        /// It took it.
        Delivered = "delivered",
        /// It did not; it is tried again.
        Failed = "failed",
        /// It did not until the deadline.
        Dead = "dead",
        /// There was nothing to tell any more: it was erased.
        Erased = "erased",
    }
}
