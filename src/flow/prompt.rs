//! How options look on a phone: buttons, a list, or numbered text, whichever is the first that Meta's limits allow.

use super::definition::MenuOption;
use super::split::split;
use crate::domain::outbound::{
    BUTTON_TITLE_MAX, BUTTONS_MAX, Button, Buttons, INTERACTIVE_BODY_MAX, LIST_ROWS_MAX, List, Message,
    ROW_DESCRIPTION_MAX, ROW_TITLE_MAX, Row, TEXT_BODY_MAX,
};

/// Stands between the state and the number in the id of an option.
const ID_MARK: char = '#';
/// Said above options when the flow's own text came out blank: Meta wants a body.
const BLANK_BODY: &str = "Please choose:";

/// One thing that can be chosen.
pub(super) struct Offer<'a> {
    pub(super) label: &'a str,
    pub(super) description: Option<&'a str>,
}

impl<'a> From<&'a MenuOption> for Offer<'a> {
    fn from(option: &'a MenuOption) -> Self {
        Self { label: &option.label, description: option.description.as_deref() }
    }
}

impl<'a> From<&'a String> for Offer<'a> {
    fn from(choice: &'a String) -> Self {
        Self { label: choice, description: None }
    }
}

/// What an option is called on the wire: `main#1` is the first option of `main`, wherever the person stands when it comes
/// back.
pub(super) fn option_id(state: &str, place: usize) -> String {
    format!("{state}{ID_MARK}{}", place + 1)
}

/// The state and the place that an id names.
pub(super) fn parse_option_id(id: &str) -> Option<(&str, usize)> {
    let (state, number) = id.rsplit_once(ID_MARK)?;
    let number: usize = number.parse().ok()?;
    Some((state, number.checked_sub(1)?))
}

/// The messages of a text; none when it is blank.
pub(super) fn texts(text: &str) -> Vec<Message> {
    split(text, TEXT_BODY_MAX).into_iter().filter_map(|part| Message::text(part).ok()).collect()
}

/// The messages of a prompt with options.
pub(super) fn options(state: &str, body: &str, button: &str, offers: &[Offer<'_>]) -> Vec<Message> {
    let body = if body.trim().is_empty() { BLANK_BODY } else { body };
    buttons(state, body, offers)
        .or_else(|| list(state, body, button, offers))
        .map_or_else(|| texts(&numbered(body, offers)), |message| vec![message])
}

fn buttons(state: &str, body: &str, offers: &[Offer<'_>]) -> Option<Message> {
    let fits = offers.len() <= BUTTONS_MAX
        && fits(body, INTERACTIVE_BODY_MAX)
        && offers.iter().all(|offer| offer.description.is_none() && fits(offer.label, BUTTON_TITLE_MAX));
    let button = |(place, offer): (usize, &Offer<'_>)| Button {
        id: option_id(state, place),
        title: offer.label.to_owned(),
    };
    fits.then(|| Buttons::new(body, offers.iter().enumerate().map(button).collect(), None).ok())
        .flatten()
        .map(Message::Buttons)
}

fn list(state: &str, body: &str, button: &str, offers: &[Offer<'_>]) -> Option<Message> {
    let fits = offers.len() <= LIST_ROWS_MAX
        && fits(body, INTERACTIVE_BODY_MAX)
        && offers.iter().all(|offer| {
            fits(offer.label, ROW_TITLE_MAX)
                && offer.description.is_none_or(|text| fits(text, ROW_DESCRIPTION_MAX))
        });
    let row = |(place, offer): (usize, &Offer<'_>)| Row {
        id: option_id(state, place),
        title: offer.label.to_owned(),
        description: offer.description.map(str::to_owned),
    };
    fits.then(|| List::new(body, button, offers.iter().enumerate().map(row).collect(), None).ok())
        .flatten()
        .map(Message::List)
}

fn numbered(body: &str, offers: &[Offer<'_>]) -> String {
    let line = |(place, offer): (usize, &Offer<'_>)| match offer.description {
        Some(description) => format!("*{}.* {} – {description}", place + 1, offer.label),
        None => format!("*{}.* {}", place + 1, offer.label),
    };
    let lines: Vec<String> = offers.iter().enumerate().map(line).collect();
    format!("{body}\n\n{}", lines.join("\n"))
}

fn fits(text: &str, limit: usize) -> bool {
    text.chars().count() <= limit
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(labels: &[&str], body: &str) -> Vec<Message> {
        let offers: Vec<Offer<'_>> = labels.iter().map(|label| Offer { label, description: None }).collect();
        options("main", body, "Choose", &offers)
    }

    #[test]
    fn three_short_options_are_buttons_more_a_list_and_too_many_a_numbered_text() {
        assert_eq!(shown(&["A", "B", "C"], "Hi")[0].kind(), "buttons");
        assert_eq!(shown(&["A", "B", "C", "D"], "Hi")[0].kind(), "list");
        let labels: Vec<String> = (1..=11).map(|number| format!("Option {number}")).collect();
        let labels: Vec<&str> = labels.iter().map(String::as_str).collect();
        let text = shown(&labels, "Hi");
        assert_eq!(text[0].kind(), "text");
        assert!(
            text[0].body().starts_with("Hi\n\n*1.* Option 1\n")
                && text[0].body().ends_with("*11.* Option 11")
        );
    }

    #[test]
    fn longer_labels_bodies_and_descriptions_choose_the_next_shape() {
        let twenty = "x".repeat(BUTTON_TITLE_MAX);
        assert_eq!(shown(&[&twenty], "Hi")[0].kind(), "buttons");
        assert_eq!(shown(&[&format!("{twenty}x")], "Hi")[0].kind(), "list");
        assert_eq!(shown(&[&"x".repeat(ROW_TITLE_MAX + 1)], "Hi")[0].kind(), "text");
        assert_eq!(shown(&["A"], &"x".repeat(INTERACTIVE_BODY_MAX))[0].kind(), "buttons");
        assert_eq!(shown(&["A"], &"x".repeat(INTERACTIVE_BODY_MAX + 1))[0].kind(), "text");
        let described = [Offer { label: "A", description: Some("more") }];
        assert_eq!(options("main", "Hi", "Choose", &described)[0].kind(), "list");
    }

    #[test]
    fn the_id_of_an_option_goes_there_and_back() {
        assert_eq!(option_id("main", 0), "main#1");
        assert_eq!(parse_option_id("main#1"), Some(("main", 0)));
        for wrong in ["main", "main#", "main#0", "main#x"] {
            assert_eq!(parse_option_id(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_blank_body_is_replaced_because_meta_wants_one() {
        assert_eq!(shown(&["A"], " ")[0].body(), BLANK_BODY);
        assert!(texts(" ").is_empty());
    }
}
