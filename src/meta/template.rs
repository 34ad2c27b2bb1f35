//! Templates in Meta's JSON: an entry of the list, and what its components want to be filled in with.
//!
//! Everything is read leniently: what is not understood is unknown and refuses nothing.
//! Source: Meta, "Templates", components, and `GET /{account}/message_templates`, 2026.

use serde_json::value::RawValue;

use super::object::{self, Object};
use crate::domain::template::{
    BodyWish, ButtonKind, ButtonWish, Category, HeaderWish, Status, Template, Wants,
};

/// How variables are called that have names.
const NAMED: &str = "NAMED";
/// What Meta writes where there is no reason.
const NO_REASON: &str = "NONE";
/// The status of an entry that tells none.
const UNTOLD: &str = "UNTOLD";

/// An entry of the list; `None` without a name and a language.
pub(super) fn listed(entry: &Object<'_>) -> Option<Template> {
    let word = |name: &str| entry.text(name).unwrap_or_else(|| UNTOLD.to_owned());
    Some(Template {
        meta_id: entry.text("id"),
        name: entry.text("name")?,
        language: entry.text("language")?,
        category: Category::of(&word("category")),
        status: Status::of(&word("status")),
        quality: quality(entry),
        reason: reason(entry, "rejected_reason"),
        format: entry.text("parameter_format"),
        components: entry.get("components").map_or("[]", RawValue::get).to_owned(),
    })
}

/// The score of `quality_score`: an object, or the word itself.
fn quality(entry: &Object<'_>) -> Option<String> {
    let score = entry.object("quality_score").and_then(|quality| quality.text("score"));
    score.or_else(|| entry.text("quality_score"))
}

/// A reason, where there is one.
pub(super) fn reason(object: &Object<'_>, name: &str) -> Option<String> {
    object.text(name).filter(|reason| reason != NO_REASON)
}

/// What a template wants to be filled in with; `None` when its components cannot be read.
#[must_use]
pub fn wants(template: &Template) -> Option<Wants> {
    let whole: &RawValue = serde_json::from_str(&template.components).ok()?;
    let mut wants =
        Wants { header: HeaderWish::Nothing, body: BodyWish::Unknown, buttons: Vec::new(), beyond: None };
    for component in object::list(whole)? {
        let component = Object::read(component)?;
        let kind = component.text("type").unwrap_or_default().to_ascii_uppercase();
        match kind.as_str() {
            "HEADER" => wants.header = header(&component, template.format.as_deref()),
            "BODY" => wants.body = body(&component, template),
            "BUTTONS" => {
                for raw in component.list("buttons") {
                    let button = Object::read(raw)?;
                    wants.beyond = wants.beyond.or_else(|| catalogue_button(&button));
                    wants.buttons.push(self::button(&button));
                }
            }
            "CAROUSEL" => wants.beyond = Some("carousel".to_owned()),
            "LIMITED_TIME_OFFER" if expires(&component) => {
                wants.beyond = Some("limited-time offer".to_owned());
            }
            // A footer has no variables.
            _ => {}
        }
    }
    Some(wants)
}

fn header(component: &Object<'_>, format: Option<&str>) -> HeaderWish {
    let kind = component.text("format").unwrap_or_else(|| "TEXT".to_owned()).to_ascii_uppercase();
    match kind.as_str() {
        "TEXT" => match component.string("text").map(|text| variables(&text)) {
            None => HeaderWish::Unknown,
            Some(names) => match names.into_iter().next() {
                None => HeaderWish::Nothing,
                Some(name) => HeaderWish::Text(is_named(format, &name).then_some(name)),
            },
        },
        "IMAGE" => HeaderWish::Image,
        "VIDEO" => HeaderWish::Video,
        "DOCUMENT" => HeaderWish::Document,
        "LOCATION" => HeaderWish::Location,
        _ => HeaderWish::Unknown,
    }
}

fn body(component: &Object<'_>, template: &Template) -> BodyWish {
    match component.string("text").map(|text| variables(&text)) {
        Some(names) if names.iter().any(|name| is_named(template.format.as_deref(), name)) => {
            BodyWish::Named(names)
        }
        Some(names) => BodyWish::Positional(names.len()),
        // The text of these is Meta's own and has one variable, the code; not every answer spells it out.
        None if template.category == Category::Authentication => BodyWish::Positional(1),
        None => BodyWish::Unknown,
    }
}

/// Whether variables are given by name. Lists of before there were names do not say.
fn is_named(format: Option<&str>, variable: &str) -> bool {
    match format {
        Some(format) => format.eq_ignore_ascii_case(NAMED),
        None => !variable.bytes().all(|b| b.is_ascii_digit()),
    }
}

/// The variables in `text`, `{{1}}` or `{{name}}`, each once.
fn variables(text: &str) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for part in text.split("{{").skip(1) {
        let Some((name, _)) = part.split_once("}}") else { continue };
        let name = name.trim();
        let is_name = !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
        if is_name && names.iter().all(|known| known != name) {
            names.push(name.to_owned());
        }
    }
    names
}

fn button(button: &Object<'_>) -> ButtonWish {
    let kind = button.text("type").unwrap_or_default().to_ascii_uppercase();
    let wants = match kind.as_str() {
        "QUICK_REPLY" => ButtonKind::Payload,
        "URL" if button.text("url").is_some_and(|url| url.contains("{{")) => ButtonKind::Url,
        // Meta turns a button for one-time passwords into a URL with a variable; it is filled in as that.
        "OTP" => ButtonKind::Url,
        "COPY_CODE" => ButtonKind::Code,
        "FLOW" => ButtonKind::Flow,
        "URL" | "PHONE_NUMBER" | "VOICE_CALL" | "CATALOG" | "REQUEST_CONTACT_INFO" => ButtonKind::Nothing,
        _ => ButtonKind::Unknown,
    };
    ButtonWish { label: button.text("text").unwrap_or_default(), wants }
}

/// A button that needs products or an order, which a message from here cannot name.
fn catalogue_button(button: &Object<'_>) -> Option<String> {
    let kind = button.text("type")?.to_ascii_uppercase();
    matches!(kind.as_str(), "MPM" | "SPM" | "ORDER_DETAILS").then(|| format!("button of the type {kind}"))
}

/// Whether the offer has an end, which would have to be given.
fn expires(component: &Object<'_>) -> bool {
    component.object("limited_time_offer").is_some_and(|offer| offer.flag("has_expiration"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn template(json: &str) -> Template {
        listed(&Object::parse(json).unwrap()).unwrap()
    }

    fn with(components: &str) -> Template {
        template(&format!(r#"{{"name":"x","language":"en","components":{components}}}"#))
    }

    #[test]
    fn an_entry_of_the_list_is_read() {
        let read = template(
            r#"{"name":"seasonal_promotion","parameter_format":"POSITIONAL","components":[{"type":"BODY","text":"caf\u00e9"}],
                "language":"en","status":"APPROVED","category":"MARKETING","id":"625268136668489",
                "quality_score":{"score":"GREEN","date":1750000000},"rejected_reason":"NONE"}"#,
        );
        assert_eq!((read.status, read.category), (Status::Approved, Category::Marketing));
        assert_eq!((read.quality.as_deref(), read.reason), (Some("GREEN"), None));
        assert_eq!(read.components, r#"[{"type":"BODY","text":"caf\u00e9"}]"#, "as Meta wrote it");
        let odd = template(
            r#"{"name":"x","language":"de","id":7,"status":"FROZEN","rejected_reason":"SCAM","quality_score":"RED"}"#,
        );
        assert_eq!((odd.status.as_str(), odd.category.as_str()), ("FROZEN", "UNTOLD"));
        assert_eq!((odd.meta_id.as_deref(), odd.reason.as_deref()), (Some("7"), Some("SCAM")));
        assert!(odd.status.may_be_sent());
        assert!(listed(&Object::parse(r#"{"name":"x"}"#).unwrap()).is_none());
    }

    #[test]
    fn positional_variables_are_counted_each_once() {
        let wants = wants(&with(
            r#"[{"type":"HEADER","format":"TEXT","text":"Our {{1}} is on!","example":{"header_text":["Sale"]}},
                {"type":"body","text":"Shop through {{1}}, use {{ 2 }} to get {{3}} off. {{1}} {{}} {{ a b }} {{4"},
                {"type":"FOOTER","text":"Bye"},
                {"type":"BUTTONS","buttons":[{"type":"QUICK_REPLY","text":"Stop"}]}]"#,
        ));
        let wants = wants.unwrap();
        assert_eq!((wants.header, wants.body), (HeaderWish::Text(None), BodyWish::Positional(3)));
        assert_eq!(wants.buttons, [ButtonWish { label: "Stop".into(), wants: ButtonKind::Payload }]);
    }

    #[test]
    fn named_variables_keep_their_names() {
        let components = r#"[{"type":"HEADER","format":"TEXT","text":"{{shop}}"},
            {"type":"BODY","text":"{{customer}}, order {{order_1}} is ready, {{customer}}"}]"#;
        let said =
            format!(r#"{{"name":"x","language":"en","parameter_format":"NAMED","components":{components}}}"#);
        for template in [template(&said), with(components)] {
            let wants = wants(&template).unwrap();
            assert_eq!(wants.header, HeaderWish::Text(Some("shop".into())));
            assert_eq!(wants.body, BodyWish::Named(vec!["customer".into(), "order_1".into()]));
        }
    }

    #[test]
    fn every_button_has_what_it_wants_at_its_index() {
        let wants = wants(&with(
            r#"[{"type":"BODY","text":"x"},{"type":"BUTTONS","buttons":[
                {"type":"URL","text":"Track","url":"https:\/\/example.com\/{{1}}"},{"type":"URL","text":"Shop","url":"https:\/\/example.com"},
                {"type":"PHONE_NUMBER","text":"Call","phone_number":"+1"},{"type":"COPY_CODE","example":"25OFF"},
                {"type":"FLOW","text":"Begin"},{"type":"OTP","otp_type":"COPY_CODE"},{"type":"TELEPORT","text":"Go"}]}]"#,
        ));
        let kinds: Vec<ButtonKind> = wants.unwrap().buttons.iter().map(|button| button.wants).collect();
        assert_eq!(
            kinds,
            [
                ButtonKind::Url,
                ButtonKind::Nothing,
                ButtonKind::Nothing,
                ButtonKind::Code,
                ButtonKind::Flow,
                ButtonKind::Url,
                ButtonKind::Unknown,
            ]
        );
    }

    #[test]
    fn a_one_time_password_wants_its_code_twice() {
        let button = r#"{"type":"BUTTONS","buttons":[{"type":"URL","text":"Copy code","url":"https:\/\/www.whatsapp.com\/otp\/code\/?otp_type=COPY_CODE&code=otp{{1}}"}]}"#;
        for body in [
            r#"{"type":"BODY","text":"*{{1}}* is your verification code."}"#,
            r#"{"type":"BODY","add_security_recommendation":true}"#,
        ] {
            let otp = format!(
                r#"{{"name":"x","language":"en","category":"AUTHENTICATION","components":[{body},{button}]}}"#
            );
            let wants = wants(&template(&otp)).unwrap();
            assert_eq!((wants.body, wants.buttons[0].wants), (BodyWish::Positional(1), ButtonKind::Url));
        }
    }

    #[test]
    fn files_and_places_in_the_header_are_told_apart() {
        for (format, wish) in [
            ("IMAGE", HeaderWish::Image),
            ("VIDEO", HeaderWish::Video),
            ("document", HeaderWish::Document),
            ("LOCATION", HeaderWish::Location),
            ("HOLOGRAM", HeaderWish::Unknown),
        ] {
            let read = wants(&with(&format!(r#"[{{"type":"HEADER","format":"{format}"}}]"#))).unwrap();
            assert_eq!((read.header, read.body), (wish, BodyWish::Unknown));
        }
        let plain = wants(&with(r#"[{"type":"HEADER","format":"TEXT","text":"Hello"}]"#)).unwrap();
        assert_eq!(plain.header, HeaderWish::Nothing);
    }

    #[test]
    fn what_a_message_from_here_cannot_name_is_told() {
        for (component, part) in [
            (r#"{"type":"CAROUSEL","cards":[]}"#, "carousel"),
            (
                r#"{"type":"LIMITED_TIME_OFFER","limited_time_offer":{"text":"x","has_expiration":true}}"#,
                "limited-time offer",
            ),
            (r#"{"type":"BUTTONS","buttons":[{"type":"MPM","text":"See"}]}"#, "button of the type MPM"),
        ] {
            let read = wants(&with(&format!("[{component}]"))).unwrap();
            assert_eq!(read.beyond.as_deref(), Some(part));
        }
        let endless = r#"[{"type":"LIMITED_TIME_OFFER","limited_time_offer":{"text":"x"}}]"#;
        assert_eq!(wants(&with(endless)).unwrap().beyond, None);
    }

    #[test]
    fn what_cannot_be_read_wants_nothing_that_is_known() {
        for components in ["{}", "7", "[7]", r#"[{"type":"BUTTONS","buttons":["x"]}]"#] {
            assert_eq!(wants(&with(components)), None, "{components}");
        }
        let broken = Template { components: "[".into(), ..with("[]") };
        assert_eq!(wants(&broken), None);
    }
}
