//! Why we ourselves do not send a message. The codes are below zero, so that none is ever Meta's.

use super::Failure;

/// Why we do not send a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// The 24-hour window is closed.
    WindowClosed,
    /// The person does not want messages, or no marketing.
    OptedOut,
    /// There is no approved template of this name and language.
    TemplateUnknown,
    /// The template's parameters do not fit it.
    TemplateParameters,
    /// A file of the message is not there any more.
    MediaUnavailable,
    /// It was tried too long or too often.
    GaveUp,
    /// A person discarded it.
    Discarded,
}

impl Refusal {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::WindowClosed,
        Self::OptedOut,
        Self::TemplateUnknown,
        Self::TemplateParameters,
        Self::MediaUnavailable,
        Self::GaveUp,
        Self::Discarded,
    ];

    /// The one with this code.
    #[must_use]
    pub fn of_code(code: i64) -> Option<Self> {
        Self::ALL.into_iter().find(|refusal| refusal.code() == code)
    }

    /// The code, which stands where Meta's stands.
    #[must_use]
    pub fn code(self) -> i64 {
        self.row().0
    }

    /// The name, which stands where Meta's title stands.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.row().1
    }

    /// What is wrong and what helps, in a sentence for a person.
    #[must_use]
    pub fn cause(self) -> &'static str {
        self.row().2
    }

    /// The failure of a message for this reason.
    #[must_use]
    pub fn failure(self, details: Option<String>) -> Failure {
        Failure { code: self.code(), title: self.name().to_owned(), details, trace: None }
    }

    #[rustfmt::skip]
    fn row(self) -> (i64, &'static str, &'static str) {
        match self {
            Self::WindowClosed => (-1, "window_closed", "More than 24 hours since the person last wrote; only a template may be sent."),
            Self::OptedOut => (-2, "opted_out", "The person asked for no such messages; they have to write START, or an operator has to opt them in."),
            Self::TemplateUnknown => (-3, "template_unknown", "There is no approved template of this name in this language."),
            Self::TemplateParameters => (-4, "template_parameters", "The parameters do not fit the template."),
            Self::MediaUnavailable => (-5, "media_unavailable", "A file of the message is not there any more, or could not be uploaded to Meta."),
            Self::GaveUp => (-6, "gave_up", "It was tried too long or too often; send it again if it is still wanted."),
            Self::Discarded => (-7, "discarded", "A person discarded it."),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_ours_differ_and_go_back() {
        for refusal in Refusal::ALL {
            assert!(refusal.code() < 0);
            assert_eq!(Refusal::of_code(refusal.code()), Some(refusal));
            assert!(refusal.cause().ends_with('.'));
        }
    }
}
