//! What a person's message means where they stand: an option, a word that leads somewhere, an answer, or nothing known.

use serde_json::Value;

use super::definition::{Answer, Ask, Definition, Expect, Menu, State};
use super::prompt::parse_option_id;
use super::scope::{card, media, place};
use super::words::normal;
use crate::domain::inbound::{Content, MediaKind};

/// The meaning of a message.
#[derive(Debug, PartialEq)]
pub(super) enum Meaning<'a> {
    /// An option of a menu, perhaps of one that was left long ago.
    Option { state: &'a str, place: usize },
    /// A word of `globals`.
    Global { to: &'a str },
    /// An answer to an `ask`, as it is saved; `chosen` is the choice, if there was one.
    Answer { state: &'a str, value: Value, chosen: Option<&'a str> },
    /// An answer that is not what was asked for.
    Invalid,
    /// Nothing known.
    Unknown,
}

/// Finds the meaning of `content` for someone who stands in `current`. The order: a press of one of our options, the
/// options of the menu, global words, the answer that was asked for.
pub(super) fn meaning<'a>(
    definition: &'a Definition,
    current: Option<(&'a str, &'a State)>,
    content: &Content,
) -> Meaning<'a> {
    let (text, typed) = match content {
        Content::Choice { id, title } => {
            if let Some(pressed) = pressed(definition, id) {
                return pressed;
            }
            (Some(title.as_str()), false)
        }
        Content::Text { body } => (Some(body.as_str()), true),
        _ => (None, false),
    };
    let word = text.map(normal).filter(|word| !word.is_empty());
    if let (Some((state, State::Menu(menu))), Some(word)) = (current, &word)
        && let Some(place) = option_of(menu, word)
    {
        return Meaning::Option { state, place };
    }
    let globals = !matches!(current, Some((_, State::Ask(ask))) if !ask.globals);
    if let Some(to) = word.as_ref().filter(|_| globals).and_then(|word| definition.globals.get(word)) {
        return Meaning::Global { to };
    }
    match current {
        // The title of a button that leads nowhere is not something that the person wrote.
        Some((state, State::Ask(ask))) if typed || text.is_none() => answer(state, ask, content),
        Some((_, State::Ask(_))) => Meaning::Invalid,
        _ => Meaning::Unknown,
    }
}

/// What a press of one of our own buttons or rows means, whatever state the person is in.
fn pressed<'a>(definition: &'a Definition, id: &str) -> Option<Meaning<'a>> {
    let (name, place) = parse_option_id(id)?;
    let (state, found) = definition.states.get_key_value(name)?;
    match found {
        State::Menu(menu) if place < menu.options.len() => Some(Meaning::Option { state, place }),
        State::Ask(Ask { expect: Expect { answer: Answer::Choice(choices), .. }, .. }) => {
            choices.get(place).map(|choice| chosen(state, choice))
        }
        _ => None,
    }
}

/// The option that a number, a label or a key chooses.
fn option_of(menu: &Menu, word: &str) -> Option<usize> {
    let by_word = menu.options.iter().position(|option| option.words.iter().any(|known| known == word));
    by_word.or_else(|| number_in(word, menu.options.len()))
}

fn number_in(word: &str, count: usize) -> Option<usize> {
    word.parse().ok().and_then(|number: usize| number.checked_sub(1)).filter(|place| *place < count)
}

fn chosen<'a>(state: &'a str, choice: &'a str) -> Meaning<'a> {
    Meaning::Answer { state, value: Value::from(choice), chosen: Some(choice) }
}

fn answer<'a>(state: &'a str, ask: &'a Ask, content: &Content) -> Meaning<'a> {
    let text = if let Content::Text { body } = content { body.trim() } else { "" };
    if !text.is_empty() && ask.expect.or.contains(&normal(text)) {
        return Meaning::Answer { state, value: Value::Null, chosen: None };
    }
    let value = match &ask.expect.answer {
        Answer::Text { min, max } => {
            (!text.is_empty() && (*min..=*max).contains(&text.chars().count())).then(|| text.into())
        }
        Answer::Number { min, max } => number(text)
            .filter(|(_, size)| min.is_none_or(|min| *size >= min) && max.is_none_or(|max| *size <= max))
            .map(|(number, _)| number),
        Answer::Media(kind) => is_media(content, *kind).then(|| media(content)).flatten(),
        Answer::Pattern(regex) => regex.is_match(text).then(|| text.into()),
        Answer::Location => place(content),
        Answer::Contact => card(content),
        Answer::Form => {
            if let Content::Form { data } = content {
                Some(data.clone())
            } else {
                None
            }
        }
        Answer::Choice(choices) => {
            let word = normal(text);
            let place = choices
                .iter()
                .position(|choice| normal(choice) == word)
                .or_else(|| number_in(&word, choices.len()));
            return place.map_or(Meaning::Invalid, |place| chosen(state, &choices[place]));
        }
    };
    value.map_or(Meaning::Invalid, |value| Meaning::Answer { state, value, chosen: None })
}

/// A number as people type it: `12`, `-3.5`, `3,5`. A whole one stays whole.
fn number(text: &str) -> Option<(Value, f64)> {
    if let Ok(whole) = text.parse::<i32>() {
        return Some((whole.into(), f64::from(whole)));
    }
    let size = text.replace(',', ".").parse::<f64>().ok().filter(|size| size.is_finite())?;
    Some((text.parse::<i64>().map_or_else(|_| Value::from(size), Value::from), size))
}

fn is_media(content: &Content, wanted: Option<MediaKind>) -> bool {
    matches!(content, Content::Media(media) if wanted.is_none_or(|kind| kind == media.kind))
}

/// What is said about a wrong answer when the flow says nothing: it names what would be right.
pub(super) fn expectation(expect: &Expect) -> String {
    let wanted = match &expect.answer {
        Answer::Text { min, max } if *min > 1 => format!("Please write a text of {min} to {max} characters"),
        Answer::Text { max, .. } => format!("Please write a text of up to {max} characters"),
        Answer::Number { min: Some(min), max: Some(max) } => {
            format!("Please send a number from {min} to {max}")
        }
        Answer::Number { min: Some(min), max: None } => format!("Please send a number of at least {min}"),
        Answer::Number { min: None, max: Some(max) } => format!("Please send a number of at most {max}"),
        Answer::Number { min: None, max: None } => "Please send a number".to_owned(),
        Answer::Media(None) => "Please send a photo or a file".to_owned(),
        Answer::Media(Some(kind)) => format!("Please send {}", with_article(*kind)),
        Answer::Pattern(_) => "Sorry, that does not look right. Please check it and send it again".to_owned(),
        Answer::Choice(_) => "Please choose one of the answers".to_owned(),
        Answer::Location => "Please send a location".to_owned(),
        Answer::Contact => "Please send a contact".to_owned(),
        Answer::Form => "Please fill in the form".to_owned(),
    };
    if expect.or.is_empty() {
        return format!("{wanted}.");
    }
    let words: Vec<String> = expect.or.iter().map(|word| format!("*{word}*")).collect();
    format!("{wanted}, or type {}.", words.join(" or "))
}

fn with_article(kind: MediaKind) -> &'static str {
    match kind {
        MediaKind::Image => "a photo",
        MediaKind::Video => "a video",
        MediaKind::Audio => "a voice message or sound",
        MediaKind::Document => "a document",
        MediaKind::Sticker => "a sticker",
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn numbers_are_read_as_people_type_them() {
        assert_eq!(number("12").unwrap().0, json!(12));
        assert_eq!(number("3,5").unwrap().0, json!(3.5));
        assert_eq!(number("9000000000").unwrap().0, json!(9_000_000_000_i64));
        for wrong in ["", "twelve", "inf", "NaN", "1 2"] {
            assert!(number(wrong).is_none(), "{wrong}");
        }
    }

    #[test]
    fn the_default_hint_names_what_would_be_right() {
        let expect = Expect { answer: Answer::Media(None), or: vec!["skip".into()] };
        assert_eq!(expectation(&expect), "Please send a photo or a file, or type *skip*.");
        let expect = Expect { answer: Answer::Number { min: Some(1.0), max: Some(9.0) }, or: vec![] };
        assert_eq!(expectation(&expect), "Please send a number from 1 to 9.");
    }
}
