//! The buttons in a template's definition (Meta, "Templates: components", 2026).

use serde_json::{Value, json};

use super::define::{Examples, invalid};
use super::shape::{Action, Button, Category, Text};
use crate::sandbox::param::{Checked, Param};

const BUTTONS_MAX: usize = 10;
const LABEL_MAX: usize = 25;
const URL_MAX: usize = 2_000;
const PHONE_NUMBER_MAX: usize = 20;
/// Characters of a coupon code.
pub(super) const CODE_MAX: usize = 15;
/// How many of a kind there can be; of the others, ten.
const MOST: &[(&str, usize)] =
    &[("URL", 2), ("PHONE_NUMBER", 1), ("COPY_CODE", 1), ("OTP", 1), ("FLOW", 1), ("VOICE_CALL", 1)];
/// The address behind the button of a one-time password, as Meta lists it.
const CODE_URL: &str = "https://www.whatsapp.com/otp/code/?otp_type=COPY_CODE&code=otp{{1}}";
const CODE_LABEL: &str = "Copy code";

/// Checks the component `BUTTONS`; `shown` becomes what Meta lists.
pub(super) fn read(
    component: &Param<'_>,
    category: Category,
    examples: Examples,
    shown: &mut Value,
) -> Checked<Vec<Button>> {
    let mut buttons: Vec<Button> = Vec::new();
    let mut kinds: Vec<String> = Vec::new();
    for (at, button) in component.need("buttons")?.items(BUTTONS_MAX)?.iter().enumerate() {
        let kind = button.need("type")?.string()?.to_ascii_uppercase();
        if (category == Category::Authentication) != (kind == "OTP") {
            return Err(button.bad("must be of type OTP in an authentication template, and in no other"));
        }
        shown["buttons"][at]["type"] = json!(kind);
        buttons.push(one(button, &kind, examples, &mut shown["buttons"][at])?);
        kinds.push(kind);
    }
    for (kind, most) in MOST {
        if kinds.iter().filter(|known| known == kind).count() > *most {
            let words = format!("A template can have at most {most} buttons of type {kind}.");
            return Err(invalid(None, "Too many buttons", words));
        }
    }
    let groups = kinds.chunk_by(|a, b| (a == "QUICK_REPLY") == (b == "QUICK_REPLY")).count();
    if groups > 2 {
        let words = "Quick replies have to stand together, before or behind the other buttons.";
        return Err(invalid(None, "Buttons in the wrong order", words));
    }
    Ok(buttons)
}

fn one(button: &Param<'_>, kind: &str, examples: Examples, shown: &mut Value) -> Checked<Button> {
    let action = match kind {
        "QUICK_REPLY" => Action::QuickReply,
        "URL" => Action::Url(url(button, examples)?),
        "PHONE_NUMBER" => {
            button.need("phone_number")?.text(PHONE_NUMBER_MAX)?;
            Action::Fixed
        }
        "COPY_CODE" => {
            if let Some(example) = button.find("example") {
                let code = example.value().as_array().map_or(Some(example.value()), |list| list.first());
                let fits = code.and_then(Value::as_str).is_some_and(|code| code.chars().count() <= CODE_MAX);
                if !fits {
                    return Err(example.bad(&format!("must be a code of at most {CODE_MAX} characters")));
                }
            }
            // Meta gives this button its label.
            return Ok(Button { label: CODE_LABEL.into(), action: Action::CopyCode });
        }
        "OTP" => {
            button.need("otp_type")?.one_of(&["COPY_CODE", "ONE_TAP", "ZERO_TAP"])?;
            let label = button.text_at("text", LABEL_MAX)?.unwrap_or(CODE_LABEL).to_owned();
            *shown = json!({"type": "URL", "text": label, "url": CODE_URL,
                "example": [CODE_URL.replace("{{1}}", "123456")]});
            return Ok(Button { label, action: Action::Otp });
        }
        "FLOW" => {
            if button.find("flow_id").is_none() && button.find("flow_json").is_none() {
                button.need("flow_name")?;
            }
            Action::Flow
        }
        "VOICE_CALL" | "REQUEST_CONTACT_INFO" | "CATALOG" => Action::Fixed,
        _ => return Err(button.bad(&format!("has the type {kind}, which is none"))),
    };
    Ok(Button { label: button.need("text")?.text(LABEL_MAX)?.to_owned(), action })
}

/// An address, whose only place stands at its end.
fn url(button: &Param<'_>, examples: Examples) -> Checked<Text> {
    let param = button.need("url")?;
    let url = Text::new(param.text(URL_MAX)?);
    if !url.text.starts_with("https://") && !url.text.starts_with("http://") {
        return Err(param.bad("must be a valid http or https URL"));
    }
    match url.places.as_slice() {
        [] => {}
        [_] if url.text.trim_end().ends_with("}}") => {
            if examples == Examples::Needed {
                button.need("example")?;
            }
        }
        _ => return Err(param.bad("can have one variable, at its end")),
    }
    Ok(url)
}
