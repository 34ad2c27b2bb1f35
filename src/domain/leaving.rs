//! Whether a message may leave at this moment: what the person wants, and the 24-hour window. Judged when it is claimed, not
//! when it is written, because hours may lie in between.

use std::time::Duration;

use crate::clock::Millis;
use crate::domain::consent::Consent;
use crate::domain::delivery::Refusal;
use crate::domain::outbound::Message;
use crate::domain::window::{Outside, is_open};

/// What is asked of a message that wants to leave.
#[derive(Debug, Clone, Copy)]
pub struct Leaving<'a> {
    /// Whether it needs an open window.
    pub free_form: bool,
    /// Whether it, or the template that goes in its place, is of the category MARKETING.
    pub marketing: bool,
    /// Whether it goes even to a person who has opted out.
    pub despite_opt_out: bool,
    /// What becomes of it while the window is closed.
    pub outside: &'a Outside,
    /// What the person wants.
    pub consent: Consent,
    /// When the person last wrote.
    pub last_inbound_at: Option<Millis>,
}

/// What becomes of a message that wants to leave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Passage {
    /// It goes.
    Go,
    /// This template goes in its place.
    GoAs(Box<Message>),
    /// It waits until the person writes.
    Hold,
    /// It does not go. A person can send it again.
    Refuse(Refusal),
    /// It does not go, as it was meant not to: nobody has to look at it.
    Skip(Refusal),
}

impl Leaving<'_> {
    /// Judges it at `now`, with the window closing `margin` early.
    #[must_use]
    pub fn judge(&self, now: Millis, margin: Duration) -> Passage {
        if self.consent.all.is_some() && !self.despite_opt_out {
            return Passage::Refuse(Refusal::OptedOut);
        }
        let unwanted = self.marketing && self.consent.marketing.is_some();
        if !self.free_form {
            return if unwanted { Passage::Refuse(Refusal::OptedOut) } else { Passage::Go };
        }
        if is_open(self.last_inbound_at, now, margin) {
            return Passage::Go;
        }
        match self.outside {
            Outside::Template(_) if unwanted => Passage::Refuse(Refusal::OptedOut),
            Outside::Fail => Passage::Refuse(Refusal::WindowClosed),
            Outside::Skip => Passage::Skip(Refusal::WindowClosed),
            Outside::Wait => Passage::Hold,
            Outside::Template(template) => Passage::GoAs(template.clone()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::consent::{By, OptedOut};
    use crate::domain::window::WINDOW;

    const MARGIN: Duration = Duration::from_secs(60);
    const THEN: Millis = 1_800_000_000_000;

    fn leaving(outside: &Outside) -> Leaving<'_> {
        Leaving {
            free_form: true,
            marketing: false,
            despite_opt_out: false,
            outside,
            consent: Consent::default(),
            last_inbound_at: Some(THEN),
        }
    }

    fn out() -> Option<OptedOut> {
        Some(OptedOut { at: THEN, by: By::Person })
    }

    #[test]
    fn outside_of_the_window_a_message_follows_its_wish_and_a_template_goes_at_any_time() {
        let template = Outside::Template(Box::new(Message::text("in its place").unwrap()));
        let closed = THEN + WINDOW;
        for (outside, passage) in [
            (&Outside::Fail, Passage::Refuse(Refusal::WindowClosed)),
            (&Outside::Skip, Passage::Skip(Refusal::WindowClosed)),
            (&Outside::Wait, Passage::Hold),
            (&template, Passage::GoAs(Box::new(Message::text("in its place").unwrap()))),
        ] {
            assert_eq!(leaving(outside).judge(THEN, MARGIN), Passage::Go);
            assert_eq!(leaving(outside).judge(closed, MARGIN), passage);
            assert_eq!(Leaving { free_form: false, ..leaving(outside) }.judge(closed, MARGIN), Passage::Go);
        }
    }

    #[test]
    fn who_wants_nothing_gets_nothing_but_the_word_that_says_so() {
        let refused = Passage::Refuse(Refusal::OptedOut);
        let silent = Leaving { consent: Consent { all: out(), marketing: None }, ..leaving(&Outside::Wait) };
        assert_eq!(silent.judge(THEN, MARGIN), refused);
        assert_eq!(Leaving { despite_opt_out: true, ..silent }.judge(THEN, MARGIN), Passage::Go);

        let no_ads = Consent { all: None, marketing: out() };
        let reply = Leaving { consent: no_ads, ..leaving(&Outside::Fail) };
        assert_eq!(reply.judge(THEN, MARGIN), Passage::Go);
        assert_eq!(Leaving { marketing: true, free_form: false, ..reply }.judge(THEN, MARGIN), refused);

        // An answer is none, but the template that goes in its place.
        let template = Outside::Template(Box::new(Message::text("in its place").unwrap()));
        let answer = Leaving { marketing: true, outside: &template, ..reply };
        assert_eq!(answer.judge(THEN, MARGIN), Passage::Go);
        assert_eq!(answer.judge(THEN + WINDOW, MARGIN), refused);
    }
}
