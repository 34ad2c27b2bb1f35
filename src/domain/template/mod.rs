//! Templates as Meta knows them: which there are, whether they may be sent, and what they want to be filled in with.
//!
//! What is sent is [`crate::domain::outbound::Template`]; whether it fits is [`Wants::check`]. Meta's components are kept
//! as the text that Meta wrote, and read in `meta`.
//!
//! Source: Meta, "Templates", "Template archival" and webhooks reference `message_template_status_update`, 2026.

mod wants;

pub use wants::{BodyWish, ButtonKind, ButtonWish, HeaderWish, Wants};

use crate::clock::Millis;

/// An enum of Meta's words; one that this version does not know stays as it is.
macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $text:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub enum $name {
            $($(#[$variant_doc])* $variant,)+
            /// A word that this version does not know.
            Other(String),
        }

        impl $name {
            /// What this word of Meta's means, whatever its case.
            #[must_use]
            pub fn of(word: &str) -> Self {
                match word.trim().to_ascii_uppercase().as_str() {
                    $($text => Self::$variant,)+
                    other => Self::Other(other.to_owned()),
                }
            }

            /// Meta's word for it.
            #[must_use]
            pub fn as_str(&self) -> &str {
                match self {
                    $(Self::$variant => $text,)+
                    Self::Other(word) => word,
                }
            }
        }
    };
}

words! {
    /// What a template is for. Meta prices by it, and a person can be out of marketing alone.
    Category {
        /// Offers and the like.
        Marketing = "MARKETING",
        /// Notices about what the person asked for.
        Utility = "UTILITY",
        /// One-time passwords.
        Authentication = "AUTHENTICATION",
    }
}

words! {
    /// Whether a template may be sent.
    Status {
        /// It may.
        Approved = "APPROVED",
        /// It is being looked at.
        Pending = "PENDING",
        /// It was looked at and refused.
        Rejected = "REJECTED",
        /// It rests, because people did not like it.
        Paused = "PAUSED",
        /// It rested too often.
        Disabled = "DISABLED",
        /// Its refusal is being looked at again.
        InAppeal = "IN_APPEAL",
        /// Nobody used it for a year, or somebody put it away.
        Archived = "ARCHIVED",
        /// It was deleted; what was sent before is still being delivered.
        PendingDeletion = "PENDING_DELETION",
        /// It is not there any more.
        Deleted = "DELETED",
    }
}

impl Status {
    /// Whether Meta may take it: what this version does not know is Meta's to judge.
    #[must_use]
    pub fn may_be_sent(&self) -> bool {
        matches!(self, Self::Approved | Self::Other(_))
    }

    /// Whether it is gone, so that it is as if it had never been.
    #[must_use]
    pub fn is_gone(&self) -> bool {
        matches!(self, Self::Deleted | Self::PendingDeletion)
    }
}

/// A template as Meta lists it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template {
    /// Meta's id of it.
    pub meta_id: Option<String>,
    /// Its name, which it shares with its translations.
    pub name: String,
    /// The code of its language, such as `en` or `pt_BR`.
    pub language: String,
    /// What it is for.
    pub category: Category,
    /// Whether it may be sent.
    pub status: Status,
    /// How people like it, in Meta's word: `GREEN`, `YELLOW`, `RED`, `UNKNOWN`.
    pub quality: Option<String>,
    /// Why it may not be sent, in Meta's words.
    pub reason: Option<String>,
    /// How its variables are called: `POSITIONAL` or `NAMED`.
    pub format: Option<String>,
    /// What it is made of: Meta's JSON, a list.
    pub components: String,
}

/// News of one template, as a webhook tells them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct News {
    /// Meta's id of the template.
    pub meta_id: Option<String>,
    /// Its name.
    pub name: Option<String>,
    /// Its language, written as in a list: `en_US`.
    pub language: Option<String>,
    /// When it happened, by Meta's clock.
    pub at: Option<Millis>,
    /// What happened.
    pub change: Change,
}

/// What happened to a template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// It may be sent, or may not any more, with the reason in Meta's words.
    Status(Status, Option<String>),
    /// It is for something else now.
    Category(Category),
    /// People like it more or less.
    Quality(String),
    /// Something that only Meta's list tells whole: its text, or a status that it has again.
    Unclear,
}

/// The code of a language as Meta's lists and messages have it; its webhooks also write `en-US`.
#[must_use]
pub fn language(code: &str) -> String {
    code.trim().replace('-', "_")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metas_words_go_there_and_back_and_unknown_ones_are_kept() {
        for word in ["APPROVED", "PENDING_DELETION", "IN_APPEAL", "SOMETHING_NEW"] {
            assert_eq!(Status::of(word).as_str(), word);
            assert_eq!(Status::of(&word.to_lowercase()), Status::of(word));
        }
        assert_eq!(Category::of("marketing"), Category::Marketing);
        assert_eq!(Category::of("TRANSACTIONAL"), Category::Other("TRANSACTIONAL".into()));
    }

    #[test]
    fn only_what_is_known_to_be_refused_is_refused_in_advance() {
        assert!(Status::Approved.may_be_sent() && Status::of("LOCKED").may_be_sent());
        for word in ["PENDING", "REJECTED", "PAUSED", "DISABLED", "IN_APPEAL", "ARCHIVED", "DELETED"] {
            assert!(!Status::of(word).may_be_sent(), "{word}");
        }
        assert!(Status::Deleted.is_gone() && !Status::Paused.is_gone());
    }

    #[test]
    fn a_language_is_written_one_way() {
        assert_eq!((language("en-US").as_str(), language("pt_BR").as_str()), ("en_US", "pt_BR"));
    }
}
