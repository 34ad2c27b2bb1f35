//! What Meta checks when a template is sent: that the parameters are as many, and of the kind, that the template has
//! places for. The answer is what the person reads.
//!
//! Codes and words: Meta, "Error codes" (132000 to 132018), and refusals that users of the API have shown. Meta tells a
//! wrong header by a `failed` status now and then; here it is always the answer of the send.

use std::collections::HashMap;

use serde_json::Value;

use super::buttons::CODE_MAX;
use super::shape::{Action, Button, Header, Shape, Text};
use crate::sandbox::entry::{Choice, Content};
use crate::sandbox::param::{Checked, Param};
use crate::sandbox::refusal::Refusal;
use crate::sandbox::validate::asset;

/// Characters in one parameter, and in the text that comes of all of them.
const TEXT_MAX: usize = 1024;
const PARAMETERS_MAX: usize = 100;
const COMPONENTS_MAX: usize = 20;
const STRING_MAX: usize = 4096;

/// The components of a send, each under what it fills.
#[derive(Default)]
struct Given<'a> {
    header: Vec<Param<'a>>,
    body: Vec<Param<'a>>,
    buttons: HashMap<usize, (&'a str, Vec<Param<'a>>)>,
}

/// Fills a template with the `components` of a send, or tells what does not fit.
pub(super) fn fill(shape: &Shape, components: Option<&Param<'_>>) -> Checked<Content> {
    let given = components.map(given).transpose()?.unwrap_or_default();
    let mut content = Content { kind: "template".into(), footer: shape.footer.clone(), ..Content::default() };
    header(shape, &given.header, &mut content)?;
    content.text = text("body", &shape.body, shape.named, &given.body)?;
    if let Some(unknown) = given.buttons.keys().find(|index| **index >= shape.buttons.len()) {
        return Err(mismatch(
            132_018,
            format!("buttons: Button at index {unknown} does not exist in the template"),
        ));
    }
    for (index, button) in shape.buttons.iter().enumerate() {
        self::button(index, button, given.buttons.get(&index), &mut content)?;
    }
    Ok(content)
}

fn mismatch(code: u32, details: String) -> Refusal {
    Refusal::of(code).details(details)
}

fn given<'a>(components: &Param<'a>) -> Checked<Given<'a>> {
    let mut given = Given::default();
    for component in components.items(COMPONENTS_MAX)? {
        let kind = component.need("type")?.string()?.to_ascii_lowercase();
        let parameters = match component.find("parameters") {
            Some(list) if *list.value() == Value::Array(Vec::new()) => Vec::new(),
            Some(list) => list.items(PARAMETERS_MAX)?,
            None => Vec::new(),
        };
        match kind.as_str() {
            "header" => given.header = parameters,
            "body" => given.body = parameters,
            "button" => {
                let sub_type = component.need("sub_type")?.string()?;
                given.buttons.insert(index(&component)?, (sub_type, parameters));
            }
            _ => {
                let named = component.value()["type"].as_str().unwrap_or_default();
                return Err(mismatch(132_018, format!("The template has no component of type {named}")));
            }
        }
    }
    Ok(given)
}

/// The index of a button: a number, or its digits in a string.
fn index(component: &Param<'_>) -> Checked<usize> {
    let param = component.need("index")?;
    let number = param.value().as_u64().or_else(|| param.value().as_str()?.parse().ok());
    number
        .and_then(|number| usize::try_from(number).ok())
        .ok_or_else(|| param.shape("must be a number from 0 to 9"))
}

fn header(shape: &Shape, given: &[Param<'_>], content: &mut Content) -> Checked<()> {
    let received = || kind_of(given.first());
    match &shape.header {
        Header::None if given.is_empty() => {}
        Header::None => return Err(wrong_count("header", given.len(), 0)),
        Header::Text(line) => {
            if !given.is_empty() && received() != "TEXT" {
                return Err(wrong_kind("header", "TEXT", &received()));
            }
            content.header = Some(text("header", line, shape.named, given)?);
        }
        Header::File(kind) => {
            let file = given.first().and_then(|first| first.find(kind));
            let Some(file) = file.filter(|_| received() == kind.to_uppercase() && given.len() == 1) else {
                return Err(wrong_kind("header", &kind.to_uppercase(), &received()));
            };
            content.media = asset(kind, &file)?.media;
            content.header = Some(format!("[{kind}]"));
        }
        Header::Location => {
            let place = given.first().and_then(|first| first.find("location"));
            let Some(place) = place.filter(|_| given.len() == 1) else {
                return Err(wrong_kind("header", "LOCATION", &received()));
            };
            place.need("latitude")?.degrees(90.0)?;
            place.need("longitude")?.degrees(180.0)?;
            let name = place.text_at("name", STRING_MAX)?.unwrap_or("location");
            content.header = Some(format!("[{name}]"));
        }
    }
    Ok(())
}

fn kind_of(parameter: Option<&Param<'_>>) -> String {
    let kind = parameter.and_then(|parameter| parameter.value()["type"].as_str());
    kind.map_or_else(|| "UNKNOWN".to_owned(), str::to_uppercase)
}

fn wrong_kind(part: &str, expected: &str, received: &str) -> Refusal {
    mismatch(132_012, format!("{part}: Format mismatch, expected {expected}, received {received}"))
}

fn wrong_count(part: &str, given: usize, expected: usize) -> Refusal {
    let words = format!(
        "{part}: number of localizable_params ({given}) does not match the expected number of params ({expected})"
    );
    mismatch(132_000, words)
}

/// The text with its places filled.
fn text(part: &str, text: &Text, named: bool, given: &[Param<'_>]) -> Checked<String> {
    if given.len() != text.places.len() {
        return Err(wrong_count(part, given.len(), text.places.len()));
    }
    let mut values = HashMap::new();
    for (at, parameter) in given.iter().enumerate() {
        let place = if named { name_of(part, parameter, text)? } else { text.places[at].clone() };
        if values.insert(place.clone(), value(part, parameter)?).is_some() {
            return Err(mismatch(132_000, format!("{part}: the parameter {place} is given twice")));
        }
    }
    let filled = text.filled(&values);
    if filled.chars().count() > TEXT_MAX {
        return Err(mismatch(132_005, format!("{part}: the text is longer than {TEXT_MAX} characters")));
    }
    Ok(filled)
}

fn name_of(part: &str, parameter: &Param<'_>, text: &Text) -> Checked<String> {
    let name = parameter.find("parameter_name").and_then(|name| name.value().as_str());
    match name.filter(|name| !name.is_empty()) {
        None => Err(Refusal::of(100).details("Parameter name is missing or empty")),
        Some(name) if text.places.iter().any(|place| place == name) => Ok(name.to_owned()),
        Some(name) => Err(mismatch(132_000, format!("{part}: the template has no parameter {name}"))),
    }
}

/// What a parameter of a text puts into its place.
fn value(part: &str, parameter: &Param<'_>) -> Checked<String> {
    let kind = parameter.need("type")?.string()?;
    let text = match kind {
        "text" => {
            let Some(text) = parameter.find("text").filter(|text| text.value().as_str() != Some("")) else {
                return Err(Refusal::of(131_008).details("Parameter of type text is missing text value"));
            };
            text.string()?
        }
        "currency" => {
            let money = parameter.need("currency")?;
            money.need("code")?.text(3)?;
            let amount = money.need("amount_1000")?;
            if !amount.value().is_i64() {
                return Err(amount.shape("must be an integer"));
            }
            money.need("fallback_value")?.text(TEXT_MAX)?
        }
        "date_time" => parameter.need("date_time")?.need("fallback_value")?.text(TEXT_MAX)?,
        other => return Err(wrong_kind(part, "TEXT", &other.to_uppercase())),
    };
    if text.contains(['\n', '\r', '\t']) || text.contains("     ") {
        let words = "Param text cannot have new-line/tab characters or more than 4 consecutive spaces";
        return Err(mismatch(132_018, words.to_owned()));
    }
    Ok(text.to_owned())
}

fn button(
    index: usize,
    button: &Button,
    given: Option<&(&str, Vec<Param<'_>>)>,
    content: &mut Content,
) -> Checked<()> {
    let (kind, sub_type, is_filled) = match &button.action {
        Action::QuickReply => ("Quick reply", "quick_reply", false),
        Action::Url(url) => ("Url", "url", !url.places.is_empty()),
        Action::Otp => ("Url", "url", true),
        Action::CopyCode => ("Copy code", "copy_code", true),
        Action::Flow => ("Flow", "flow", false),
        Action::Fixed => ("Phone number", "voice_call", false),
    };
    let (given_type, parameters) = given.map_or((sub_type, [].as_slice()), |(kind, list)| (*kind, list));
    if !given_type.eq_ignore_ascii_case(sub_type) {
        return Err(wrong_kind("buttons", &sub_type.to_uppercase(), &given_type.to_uppercase()));
    }
    let parameter = parameters.first();
    if is_filled && parameter.is_none() {
        let words = format!("buttons: Button at index {index} of type {kind} requires a parameter");
        return Err(mismatch(131_008, words));
    }
    let takes_none = matches!(&button.action, Action::Url(_) | Action::Fixed) && !is_filled;
    if parameters.len() > 1 || (takes_none && parameter.is_some()) {
        let words = format!("buttons: Button at index {index} of type {kind} does not require parameters");
        return Err(mismatch(132_018, words));
    }
    match &button.action {
        Action::QuickReply => {
            let payload = parameter.map(|parameter| payload(parameter, "payload")).transpose()?;
            let id = payload.unwrap_or_else(|| button.label.clone());
            content.options.push(Choice {
                id,
                title: button.label.clone(),
                description: None,
                section: None,
            });
        }
        Action::Url(url) if content.url.is_none() => {
            let end = parameter.map(|parameter| payload(parameter, "text")).transpose()?;
            let values = url.places.iter().cloned().zip(end).collect();
            content.url = Some(url.filled(&values));
            content.list_button = Some(button.label.clone());
        }
        Action::Url(_) | Action::Otp => {
            parameter.map(|parameter| payload(parameter, "text")).transpose()?;
        }
        Action::CopyCode => {
            let code = parameter.map(|parameter| payload(parameter, "coupon_code")).transpose()?;
            if code.is_some_and(|code| code.chars().count() > CODE_MAX) {
                let words = format!("buttons: the coupon code is longer than {CODE_MAX} characters");
                return Err(mismatch(132_018, words));
            }
        }
        Action::Flow | Action::Fixed => {}
    }
    Ok(())
}

/// The value of a button's parameter, which is under the name of its type.
fn payload(parameter: &Param<'_>, kind: &str) -> Checked<String> {
    let given = parameter.need("type")?.string()?;
    if given != kind {
        return Err(wrong_kind("buttons", &kind.to_uppercase(), &given.to_uppercase()));
    }
    Ok(parameter.need(kind)?.text(STRING_MAX)?.to_owned())
}
