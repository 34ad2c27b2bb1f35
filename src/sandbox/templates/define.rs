//! What Meta checks in the definition of a template: `POST /{business_account_id}/message_templates`.
//!
//! Limits: Meta, "Templates: components" and "Error codes: template creation errors" (the subcodes 2388…), 2026. Kept are
//! templates of header, body, footer and buttons; carousels and limited-time offers are refused as unknown components.

use serde_json::{Value, json};

use super::buttons;
use super::shape::{Category, Header, Shape, Text};
use crate::sandbox::param::{Checked, Param};
use crate::sandbox::refusal::Refusal;

const NAME_MAX: usize = 512;
const HEADER_MAX: usize = 60;
const BODY_MAX: usize = 1024;
const FOOTER_MAX: usize = 60;
const COMPONENTS_MAX: usize = 4;
/// Minutes for which a one-time password may say that it is good.
const EXPIRY_MINUTES: std::ops::RangeInclusive<u64> = 1..=90;

/// Whether each place needs an example, as reviewers at Meta want it; a test's own templates do without.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::sandbox) enum Examples {
    Needed,
    Optional,
}

/// A definition that passed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Definition {
    pub(super) name: String,
    pub(super) language: String,
    pub(super) category: Category,
    /// The components as Meta lists them.
    pub(super) components: Vec<Value>,
    pub(super) shape: Shape,
}

/// Meta's refusal of a definition: code 100, with a subcode and words for a person.
pub(super) fn invalid(subcode: Option<u32>, title: &str, words: impl Into<String>) -> Refusal {
    let words = words.into();
    let refusal = Refusal { subcode, message: "Invalid parameter".into(), ..Refusal::of(100) };
    refusal.for_people(title, &words)
}

fn too_long(what: &str, max: usize) -> Refusal {
    let words = format!("{what} has more than {max} characters.");
    invalid(Some(2_388_040), "Character Limit Exceeded", words)
}

fn missing_example(what: &str) -> Refusal {
    let words = format!("component of type {what} is missing expected field(s) (example)");
    invalid(Some(2_388_043), "Message template \"components\" param is missing expected field(s)", words)
}

/// Checks the whole definition.
pub(super) fn read(definition: &Value, examples: Examples) -> Checked<Definition> {
    whole(&Param::root(definition), examples).map_err(as_invalid)
}

/// Everything that is wrong about a definition is a 100.
pub(super) fn as_invalid(refusal: Refusal) -> Refusal {
    match refusal.details {
        Some(details) => invalid(None, "Invalid parameter", details),
        None => refusal,
    }
}

fn whole(root: &Param<'_>, examples: Examples) -> Checked<Definition> {
    root.only(&[
        "name",
        "language",
        "category",
        "components",
        "parameter_format",
        "allow_category_change",
        "message_send_ttl_seconds",
        "cta_url_link_tracking_opted_out",
        "sub_category",
    ])?;
    let name = name(&need(root, "name")?)?;
    let language = language(&need(root, "language")?)?;
    let category = category(&need(root, "category")?)?;
    let named = match root.find("parameter_format") {
        None => false,
        Some(format) => match format.string()?.to_ascii_uppercase().as_str() {
            "POSITIONAL" => false,
            "NAMED" => true,
            _ => return Err(format.shape("must be one of {NAMED, POSITIONAL}")),
        },
    };
    let (components, shape) = components(&need(root, "components")?, category, named, examples)?;
    Ok(Definition { name, language, category, components, shape })
}

fn need<'a>(root: &Param<'a>, key: &str) -> Checked<Param<'a>> {
    let missing = || invalid(None, "Missing parameter", format!("The parameter {key} is required."));
    root.find(key).ok_or_else(missing)
}

fn name(param: &Param<'_>) -> Checked<String> {
    let text = param.string()?;
    let is_well_formed =
        !text.is_empty() && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
    match text.len() {
        0..=NAME_MAX if is_well_formed => Ok(text.to_owned()),
        0..=NAME_MAX => Err(invalid(
            None,
            "Invalid name",
            "Message template name can only have lowercase letters, digits and underscores.",
        )),
        _ => Err(too_long("The message template name", NAME_MAX)),
    }
}

/// A language such as `de`, `pt_BR` or `zh_HK`.
fn language(param: &Param<'_>) -> Checked<String> {
    let text = param.string()?;
    let (base, region) = text.split_once('_').map_or((text, None), |(base, region)| (base, Some(region)));
    let is_base = (2..=3).contains(&base.len()) && base.bytes().all(|b| b.is_ascii_lowercase());
    let is_region =
        |region: &str| (2..=4).contains(&region.len()) && region.bytes().all(|b| b.is_ascii_alphanumeric());
    if is_base && region.is_none_or(is_region) {
        return Ok(text.to_owned());
    }
    Err(invalid(None, "Unsupported language", format!("{text} is not a language of message templates.")))
}

/// Reads a category in capitals or not.
pub(super) fn category(param: &Param<'_>) -> Checked<Category> {
    let given = param.string()?.to_ascii_uppercase();
    let unknown = || {
        let words = Category::WORDS.join(", ");
        invalid(
            None,
            "Unknown category",
            format!("Param category must be one of {{{words}}} - got \"{given}\"."),
        )
    };
    Category::read(&given).ok_or_else(unknown)
}

/// Checks the components; the answer is how Meta lists them, and what they come to.
pub(super) fn components(
    list: &Param<'_>,
    category: Category,
    named: bool,
    examples: Examples,
) -> Checked<(Vec<Value>, Shape)> {
    let mut shape = Shape { named, ..Shape::default() };
    let mut listed = Vec::new();
    let mut seen: Vec<String> = Vec::new();
    for component in list.items(COMPONENTS_MAX)? {
        let kind = component.need("type")?.string()?.to_ascii_uppercase();
        if seen.contains(&kind) {
            return Err(component.bad(&format!("is a second component of type {kind}")));
        }
        let mut shown = component.value().clone();
        shown["type"] = json!(kind);
        match (kind.as_str(), category) {
            ("BODY", Category::Authentication) => shape.body = code_body(&component, &mut shown)?,
            ("FOOTER", Category::Authentication) => shape.footer = Some(code_footer(&component, &mut shown)?),
            ("HEADER", Category::Authentication) => {
                return Err(component.bad("is not possible in a template of the category AUTHENTICATION"));
            }
            ("HEADER", _) => shape.header = header(&component, named, examples)?,
            ("BODY", _) => shape.body = body(&component, named, examples)?,
            ("FOOTER", _) => shape.footer = Some(footer(&component)?),
            ("BUTTONS", _) => shape.buttons = buttons::read(&component, category, examples, &mut shown)?,
            _ => {
                return Err(component.bad("must have a type out of {HEADER, BODY, FOOTER, BUTTONS}"));
            }
        }
        seen.push(kind);
        listed.push(shown);
    }
    if !seen.iter().any(|kind| kind == "BODY") {
        let title = "Message template \"components\" param is missing expected field(s)";
        return Err(invalid(Some(2_388_043), title, "component of type BODY is missing"));
    }
    if category == Category::Authentication && shape.buttons.is_empty() {
        return Err(invalid(
            None,
            "Missing button",
            "An authentication template needs a button of type OTP.",
        ));
    }
    Ok((listed, shape))
}

fn header(component: &Param<'_>, named: bool, examples: Examples) -> Checked<Header> {
    let format = component.need("format")?.string()?.to_ascii_uppercase();
    let bad_format = |words: &str| invalid(Some(2_388_047), "Message Header Format Is Incorrect", words);
    let file = match format.as_str() {
        "TEXT" => {
            let text = Text::new(component.need("text")?.string()?);
            if text.text.chars().count() > HEADER_MAX {
                return Err(too_long("The header", HEADER_MAX));
            }
            if text.text.trim().is_empty() || text.text.contains('\n') || text.places.len() > 1 {
                return Err(bad_format("A header is one line with at most one variable."));
            }
            places(&text, named, || bad_format("The variable of the header is not well formed."))?;
            let key = if named { "header_text_named_params" } else { "header_text" };
            example(component, key, !text.places.is_empty() && examples == Examples::Needed, "HEADER")?;
            return Ok(Header::Text(text));
        }
        "LOCATION" => return Ok(Header::Location),
        "IMAGE" => "image",
        "VIDEO" => "video",
        "DOCUMENT" => "document",
        _ => return Err(component.bad("must have a format out of {TEXT, IMAGE, VIDEO, DOCUMENT, LOCATION}")),
    };
    example(component, "header_handle", examples == Examples::Needed, "HEADER")?;
    Ok(Header::File(file))
}

fn body(component: &Param<'_>, named: bool, examples: Examples) -> Checked<Text> {
    let text = Text::new(component.need("text")?.string()?);
    let bad_format = || {
        let words = "The body is empty, or its variables are not well formed: {{1}}, {{2}}, … or names.";
        invalid(Some(2_388_072), "Message Body Format Is Incorrect", words)
    };
    if text.text.chars().count() > BODY_MAX {
        return Err(too_long("The body", BODY_MAX));
    }
    if text.text.trim().is_empty() {
        return Err(bad_format());
    }
    places(&text, named, bad_format)?;
    if text.has_bare_end() {
        return Err(invalid(
            Some(2_388_299),
            "Leading or Trailing Params Not Allowed",
            "Variables can't be at the start or end of the template.",
        ));
    }
    let key = if named { "body_text_named_params" } else { "body_text" };
    example(component, key, !text.places.is_empty() && examples == Examples::Needed, "BODY")?;
    Ok(text)
}

fn footer(component: &Param<'_>) -> Checked<String> {
    let text = Text::new(component.need("text")?.string()?);
    if text.text.chars().count() > FOOTER_MAX {
        return Err(too_long("The footer", FOOTER_MAX));
    }
    if text.text.trim().is_empty() || text.text.contains('\n') || !text.places.is_empty() {
        let words = "A footer is one line without variables.";
        return Err(invalid(Some(2_388_073), "Message Footer Format Is Incorrect", words));
    }
    Ok(text.text)
}

/// Places are `1` to the highest number without a gap, or names.
fn places(text: &Text, named: bool, refusal: impl Fn() -> Refusal) -> Checked<()> {
    let is_name = |place: &String| {
        place.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
            && place.starts_with(|c: char| c.is_ascii_lowercase())
    };
    let in_order = text.places.iter().zip(1_usize..).all(|(place, number)| *place == number.to_string());
    if if named { text.places.iter().all(is_name) } else { in_order } { Ok(()) } else { Err(refusal()) }
}

fn example(component: &Param<'_>, key: &str, needed: bool, what: &str) -> Checked<()> {
    let given = component.find("example").and_then(|example| example.find(key));
    if needed && given.is_none() { Err(missing_example(what)) } else { Ok(()) }
}

/// The body of a one-time password is Meta's own text (Meta, "Authentication templates").
fn code_body(component: &Param<'_>, shown: &mut Value) -> Checked<Text> {
    component.only(&["type", "add_security_recommendation", "text", "example"])?;
    let warns =
        component.find("add_security_recommendation").is_some_and(|flag| *flag.value() == json!(true));
    let more = if warns { " For your security, do not share this code." } else { "" };
    let text = Text::new(&format!("*{{{{1}}}}* is your verification code.{more}"));
    shown["text"] = json!(text.text);
    shown["example"] = json!({"body_text": [["123456"]]});
    Ok(text)
}

fn code_footer(component: &Param<'_>, shown: &mut Value) -> Checked<String> {
    let minutes = component.need("code_expiration_minutes")?;
    let good = minutes.value().as_u64().filter(|minutes| EXPIRY_MINUTES.contains(minutes));
    let count = good.ok_or_else(|| minutes.bad("must be between 1 and 90"))?;
    let text = format!("This code expires in {count} minutes.");
    shown["text"] = json!(text);
    Ok(text)
}
