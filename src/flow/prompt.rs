//! How prompts look on a phone: options as buttons, a list, or numbered text, whichever is the first that Meta's limits allow;
//! what stands above and below, where that form has a place for it, and else as lines or a message of its own.

use super::definition::MenuOption;
use super::split::split;
use crate::domain::outbound::{
    BUTTON_TITLE_MAX, BUTTONS_MAX, Button, Buttons, Header, INTERACTIVE_BODY_MAX, Invalid, LIST_ROWS_MAX,
    List, Media, Message, ROW_DESCRIPTION_MAX, ROW_TITLE_MAX, Row, TEXT_BODY_MAX,
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

/// What stands above and below a prompt.
#[derive(Debug, Default)]
pub(super) struct Around {
    pub(super) top: Option<Top>,
    pub(super) footer: Option<String>,
}

/// What stands above a prompt.
#[derive(Debug)]
pub(super) enum Top {
    Text(String),
    Media(Media),
}

impl Around {
    /// The text with what stands around it, for a form that has no place of its own for that.
    fn lines(&self, body: &str) -> String {
        let top = if let Some(Top::Text(line)) = &self.top { Some(format!("*{line}*")) } else { None };
        let body = Some(body.trim().to_owned()).filter(|body| !body.is_empty());
        let footer = self.footer.as_ref().map(|footer| format!("_{footer}_"));
        [top, body, footer].into_iter().flatten().collect::<Vec<_>>().join("\n\n")
    }

    /// The file above the text, as a message of its own.
    fn picture(self) -> Option<Message> {
        if let Some(Top::Media(media)) = self.top { Some(Message::Media(media)) } else { None }
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

/// The messages of a question that is answered without options.
pub(super) fn question(body: &str, around: Around) -> Vec<Message> {
    let text = around.lines(body);
    around.picture().into_iter().chain(texts(&text)).collect()
}

/// The messages of a question with a button of WhatsApp's own, which `build` makes of the text. A text that is too long for
/// it goes without the button.
pub(super) fn request(
    body: &str,
    around: Around,
    build: impl Fn(String) -> Result<Message, Invalid>,
) -> Vec<Message> {
    let text = around.lines(body);
    let asked = build(text.clone()).map_or_else(|_| texts(&text), |message| vec![message]);
    around.picture().into_iter().chain(asked).collect()
}

/// The messages of a prompt with options.
pub(super) fn options(
    state: &str,
    body: &str,
    button: &str,
    offers: &[Offer<'_>],
    around: Around,
) -> Vec<Message> {
    let body = if body.trim().is_empty() { BLANK_BODY } else { body };
    if let Some(message) = buttons(state, body, offers, &around) {
        return vec![message];
    }
    let chosen_from = list(state, body, button, offers, &around)
        .map_or_else(|| texts(&around.lines(&numbered(body, offers))), |message| vec![message]);
    around.picture().into_iter().chain(chosen_from).collect()
}

fn buttons(state: &str, body: &str, offers: &[Offer<'_>], around: &Around) -> Option<Message> {
    let fits = offers.len() <= BUTTONS_MAX
        && fits(body, INTERACTIVE_BODY_MAX)
        && offers.iter().all(|offer| offer.description.is_none() && fits(offer.label, BUTTON_TITLE_MAX));
    if !fits {
        return None;
    }
    let button = |(place, offer): (usize, &Offer<'_>)| Button {
        id: option_id(state, place),
        title: offer.label.to_owned(),
    };
    let buttons = offers.iter().enumerate().map(button).collect();
    let message = Buttons::new(body, buttons, around.footer.clone()).ok()?;
    Some(Message::Buttons(match &around.top {
        None => message,
        Some(Top::Text(line)) => message.with_header(Header::text(line.as_str()).ok()?),
        Some(Top::Media(media)) => message.with_header(Header::Media(media.clone())),
    }))
}

fn list(state: &str, body: &str, button: &str, offers: &[Offer<'_>], around: &Around) -> Option<Message> {
    let fits = offers.len() <= LIST_ROWS_MAX
        && fits(body, INTERACTIVE_BODY_MAX)
        && offers.iter().all(|offer| {
            fits(offer.label, ROW_TITLE_MAX)
                && offer.description.is_none_or(|text| fits(text, ROW_DESCRIPTION_MAX))
        });
    if !fits {
        return None;
    }
    let row = |(place, offer): (usize, &Offer<'_>)| Row {
        id: option_id(state, place),
        title: offer.label.to_owned(),
        description: offer.description.map(str::to_owned),
    };
    let rows = offers.iter().enumerate().map(row).collect();
    let list = List::new(body, button, rows, around.footer.clone()).ok()?;
    let list =
        if let Some(Top::Text(line)) = &around.top { list.with_header(line.as_str()).ok()? } else { list };
    Some(Message::List(list))
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
    use crate::domain::inbound::MediaKind;
    use crate::domain::outbound::Source;

    fn shown(labels: &[&str], body: &str) -> Vec<Message> {
        let offers: Vec<Offer<'_>> = labels.iter().map(|label| Offer { label, description: None }).collect();
        options("main", body, "Choose", &offers, Around::default())
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
        assert_eq!(options("main", "Hi", "Choose", &described, Around::default())[0].kind(), "list");
    }

    #[test]
    fn what_stands_around_a_prompt_is_said_in_every_form() {
        let text = || Around { top: Some(Top::Text("Top".into())), footer: Some("Small".into()) };
        let shape = |count: usize, around: Around| {
            let labels: Vec<String> = (1..=count).map(|number| format!("Option {number}")).collect();
            let offers: Vec<Offer<'_>> = labels.iter().map(Offer::from).collect();
            let messages = options("main", "Hi", "Choose", &offers, around);
            messages.into_iter().map(|message| serde_json::to_value(message).unwrap()).collect::<Vec<_>>()
        };
        for count in [2, 5] {
            let sent = shape(count, text());
            assert_eq!((&sent[0]["header"]["text"], &sent[0]["footer"]), (&"Top".into(), &"Small".into()));
        }
        let numbered = shape(11, text());
        let body = numbered[0]["body"].as_str().unwrap();
        assert!(body.starts_with("*Top*\n\nHi\n\n*1.* Option 1") && body.ends_with("\n\n_Small_"), "{body}");
        let long = Around { top: Some(Top::Text("x".repeat(61))), footer: None };
        assert_eq!(shape(2, long)[0]["type"], "text");

        let picture = || {
            let link = Source::Link("https://a.example/p.jpg".into());
            Around { top: Some(Top::Media(Media::new(MediaKind::Image, link).unwrap())), footer: None }
        };
        assert_eq!(shape(2, picture())[0]["header"]["image"]["link"], "https://a.example/p.jpg");
        for count in [5, 11] {
            let sent = shape(count, picture());
            assert_eq!((sent.len(), &sent[0]["type"]), (2, &"image".into()));
        }
        assert_eq!(question("", text())[0].body(), "*Top*\n\n_Small_");
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
