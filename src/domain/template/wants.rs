//! What a template wants to be filled in with, and whether that is what it is given.
//!
//! A template that does not fit is refused by Meta: 132000 (another number of parameters), 132012 (of another format),
//! 131008 (a button's parameter is missing), 131009 (a button of another kind). A part that cannot be read is *unknown*,
//! and takes whatever it is given: then Meta judges.
//! Source: Meta, "Templates", components and error codes, 2026.

use serde::Serialize;

use crate::domain::outbound::{
    ButtonParameter, Invalid, Media, Parameters, Template, TemplateButton, TemplateHeader,
};

/// What a template wants to be filled in with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Wants {
    /// In its header.
    pub header: HeaderWish,
    /// In its body.
    pub body: BodyWish,
    /// In each of its buttons, in their order.
    pub buttons: Vec<ButtonWish>,
    /// A part that cannot be filled in from here at all, such as `carousel`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub beyond: Option<String>,
}

/// What a header wants. JSON: a word, or `{"text": …}` with the name of the variable or null.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum HeaderWish {
    /// Nothing.
    Nothing,
    /// One text, under this name where variables are named.
    Text(Option<String>),
    /// A picture.
    Image,
    /// A video.
    Video,
    /// A document.
    Document,
    /// A place.
    Location,
    /// What it wants cannot be read.
    Unknown,
}

/// What a body wants. JSON: the number of variables, the list of their names, or null.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum BodyWish {
    /// So many, in order.
    Positional(usize),
    /// These.
    Named(Vec<String>),
    /// What it wants cannot be read.
    Unknown,
}

/// What a button wants.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ButtonWish {
    /// What stands on it.
    pub label: String,
    /// What it is.
    pub wants: ButtonKind,
}

/// What a button is given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ButtonKind {
    /// Nothing: it calls, or opens always the same address.
    Nothing,
    /// A payload, or nothing.
    Payload,
    /// The end of its address. That is also where the code of a one-time password goes.
    Url,
    /// The code that it copies.
    Code,
    /// What its form begins with, even if that is nothing: `{}`.
    Flow,
    /// What it wants cannot be read.
    Unknown,
}

impl Wants {
    /// Whether `given` has all that is wanted and nothing else.
    ///
    /// # Errors
    /// What is wrong, with the field by its path in the API (`buttons[1]`).
    pub fn check(&self, given: &Template) -> Result<(), Invalid> {
        if let Some(part) = &self.beyond {
            return Err(Invalid::wrong(
                "name",
                format!("is a template with a {part}, which cannot be filled in here"),
            ));
        }
        self.header.check(given.header())?;
        self.body.check(given.body())?;
        self.check_buttons(given.buttons())
    }

    fn check_buttons(&self, given: &[TemplateButton]) -> Result<(), Invalid> {
        for (place, button) in given.iter().enumerate() {
            let index = usize::from(button.index());
            let Some(wish) = self.buttons.get(index) else {
                let why = match self.buttons.len() {
                    0 => "is one too many: the template has no buttons; leave `buttons` out".to_owned(),
                    count => format!("is {index}, and the template has buttons 0 to {}", count - 1),
                };
                let field = if self.buttons.is_empty() { "" } else { ".index" };
                return Err(Invalid::wrong(&format!("buttons[{place}]{field}"), why));
            };
            wish.check(button.parameter()).map_err(|e| e.under(&format!("buttons[{place}]")))?;
        }
        let missing = self.buttons.iter().enumerate().find(|(index, wish)| {
            let given = given.iter().any(|button| usize::from(button.index()) == *index);
            !given && wish.example().is_some()
        });
        match missing {
            Some((index, wish)) => {
                let (label, example) = (&wish.label, wish.example().unwrap_or_default());
                let why = format!(
                    "has nothing for button {index} (\"{label}\"); add `{{\"index\":{index},{example}}}`"
                );
                Err(Invalid::wrong("buttons", why))
            }
            None => Ok(()),
        }
    }
}

impl HeaderWish {
    fn check(&self, given: Option<&TemplateHeader>) -> Result<(), Invalid> {
        let fits = match (self, given) {
            (Self::Unknown, _) | (Self::Nothing, None) => true,
            (Self::Nothing, Some(_)) => {
                let why = "is one too many: the template's header has nothing to fill in; leave it out";
                return Err(Invalid::wrong("header", why));
            }
            (_, None) => {
                let why = format!("is missing: the template wants {}", self.example());
                return Err(Invalid::wrong("header", why));
            }
            (Self::Text(name), Some(TemplateHeader::Text(_, given))) => {
                return check_name(name.as_deref(), given.as_deref());
            }
            (Self::Location, Some(TemplateHeader::Location(_))) => true,
            (_, Some(TemplateHeader::Media(media))) => self.is_kind(media),
            (_, Some(_)) => false,
        };
        if fits {
            return Ok(());
        }
        Err(Invalid::wrong("header", format!("is of another kind: the template wants {}", self.example())))
    }

    fn is_kind(&self, media: &Media) -> bool {
        match self {
            Self::Image => media.kind().as_str() == "image",
            Self::Video => media.kind().as_str() == "video",
            Self::Document => media.kind().as_str() == "document",
            Self::Nothing | Self::Text(_) | Self::Location | Self::Unknown => false,
        }
    }

    fn example(&self) -> String {
        match self {
            Self::Text(None) => "`{\"text\": …}`".to_owned(),
            Self::Text(Some(name)) => format!("`{{\"text\": …, \"parameter\": \"{name}\"}}`"),
            Self::Image => "`{\"image\": …}`".to_owned(),
            Self::Video => "`{\"video\": …}`".to_owned(),
            Self::Document => "`{\"document\": …}`".to_owned(),
            Self::Location => "`{\"location\": …}`".to_owned(),
            Self::Nothing | Self::Unknown => "nothing".to_owned(),
        }
    }
}

/// Whether the header's variable is called as the template calls it.
fn check_name(wanted: Option<&str>, given: Option<&str>) -> Result<(), Invalid> {
    let why = match (wanted, given) {
        _ if wanted == given => return Ok(()),
        (Some(name), None) => format!("is missing: the template calls it `{name}`"),
        (Some(name), Some(other)) => format!("is `{other}`, and the template calls it `{name}`"),
        (None, _) => "is one too many: the template's variables have no names; leave it out".to_owned(),
    };
    Err(Invalid::wrong("header.parameter", why))
}

impl BodyWish {
    fn check(&self, given: &Parameters) -> Result<(), Invalid> {
        match (self, given) {
            (Self::Unknown, _) => Ok(()),
            (Self::Positional(count), _) if *count == 0 => match given.len() {
                0 => Ok(()),
                len => Err(body(format!("has {}, the template wants none; leave it out", parameters(len)))),
            },
            (Self::Positional(count), Parameters::Positional(list)) if list.len() == *count => Ok(()),
            (Self::Positional(count), Parameters::Positional(list)) => {
                Err(body(format!("has {}, the template wants {count}", parameters(list.len()))))
            }
            (Self::Positional(count), Parameters::Named(_)) => {
                let wanted = parameters(*count);
                Err(body(format!("has named parameters, the template wants a list of {wanted}")))
            }
            (Self::Named(names), Parameters::Positional(list)) => {
                let (has, names) = (parameters(list.len()), listed(names));
                Err(body(format!("has {has} without names, the template wants an object with {names}")))
            }
            (Self::Named(names), Parameters::Named(map)) => {
                if let Some(name) = names.iter().find(|name| !map.contains_key(*name)) {
                    let why = format!("is missing: the template wants {}", listed(names));
                    return Err(Invalid::wrong(&format!("body.{name}"), why));
                }
                match map.keys().find(|name| !names.contains(name)) {
                    Some(name) => {
                        let why = format!("is one too many: the template wants {}", listed(names));
                        Err(Invalid::wrong(&format!("body.{name}"), why))
                    }
                    None => Ok(()),
                }
            }
        }
    }
}

fn body(why: String) -> Invalid {
    Invalid::wrong("body", why)
}

fn parameters(count: usize) -> String {
    match count {
        0 => "no parameters".to_owned(),
        1 => "1 parameter".to_owned(),
        count => format!("{count} parameters"),
    }
}

fn listed(names: &[String]) -> String {
    format!("`{}`", names.join("`, `"))
}

impl ButtonWish {
    fn check(&self, given: &ButtonParameter) -> Result<(), Invalid> {
        let fits = match self.wants {
            ButtonKind::Unknown => true,
            ButtonKind::Nothing => false,
            ButtonKind::Payload => matches!(given, ButtonParameter::Payload(_)),
            ButtonKind::Url => matches!(given, ButtonParameter::Url(_)),
            ButtonKind::Code => matches!(given, ButtonParameter::Code(_)),
            ButtonKind::Flow => matches!(given, ButtonParameter::Flow { .. }),
        };
        let why = match self.wants {
            _ if fits => return Ok(()),
            ButtonKind::Payload => "is for a quick reply, which takes a `payload` or nothing",
            ButtonKind::Url => "is for a button that opens an address; give its end as `url`",
            ButtonKind::Code => "is for a button that copies a code; give it as `code`",
            ButtonKind::Flow => "is for a button that opens a form; give `flow`",
            ButtonKind::Nothing | ButtonKind::Unknown => {
                "is for a button that takes nothing; leave the entry out"
            }
        };
        Err(Invalid::wrong("", format!("{why} (\"{}\")", self.label)))
    }

    /// What has to be given, as JSON; `None` where it may be left out.
    fn example(&self) -> Option<&'static str> {
        match self.wants {
            ButtonKind::Url => Some("\"url\":\"…\""),
            ButtonKind::Code => Some("\"code\":\"…\""),
            ButtonKind::Flow => Some("\"flow\":{}"),
            ButtonKind::Nothing | ButtonKind::Payload | ButtonKind::Unknown => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn button(label: &str, wants: ButtonKind) -> ButtonWish {
        ButtonWish { label: label.into(), wants }
    }

    fn wants(header: HeaderWish, body: BodyWish, buttons: Vec<ButtonWish>) -> Wants {
        Wants { header, body, buttons, beyond: None }
    }

    fn plain() -> Wants {
        wants(HeaderWish::Nothing, BodyWish::Positional(0), Vec::new())
    }

    /// A template with these parts.
    fn given(parts: Value) -> Template {
        let mut whole = json!({"name": "order_ready", "language": "en"});
        whole.as_object_mut().unwrap().extend(parts.as_object().unwrap().clone());
        Template::try_from(whole).unwrap()
    }

    fn refused(wants: &Wants, parts: Value) -> (String, String) {
        let invalid = wants.check(&given(parts)).unwrap_err();
        (invalid.field().to_owned(), invalid.to_string())
    }

    #[test]
    fn a_body_has_as_many_parameters_as_the_template_has_variables() {
        let two = Wants { body: BodyWish::Positional(2), ..plain() };
        assert_eq!(two.check(&given(json!({"body": ["Ada", "A-17"]}))), Ok(()));
        for (parts, says) in [
            (json!({"body": ["Ada"]}), "`body` has 1 parameter, the template wants 2"),
            (json!({}), "`body` has no parameters, the template wants 2"),
            (json!({"body": ["a", "b", "c"]}), "`body` has 3 parameters, the template wants 2"),
            (
                json!({"body": {"customer": "Ada"}}),
                "`body` has named parameters, the template wants a list of 2 parameters",
            ),
        ] {
            assert_eq!(refused(&two, parts), ("body".into(), says.into()));
        }
        let (_, says) = refused(&plain(), json!({"body": ["Ada"]}));
        assert_eq!(says, "`body` has 1 parameter, the template wants none; leave it out");
        assert_eq!(plain().check(&given(json!({"body": []}))), Ok(()));
    }

    #[test]
    fn named_variables_are_given_by_name() {
        let named = Wants { body: BodyWish::Named(vec!["customer".into(), "order".into()]), ..plain() };
        assert_eq!(named.check(&given(json!({"body": {"order": "A-17", "customer": "Ada"}}))), Ok(()));
        for (parts, field, says) in [
            (
                json!({"body": {"customer": "Ada"}}),
                "body.order",
                "is missing: the template wants `customer`, `order`",
            ),
            (json!({"body": {"customer": "a", "order": "b", "x": "c"}}), "body.x", "is one too many"),
            (json!({"body": ["Ada", "A-17"]}), "body", "has 2 parameters without names"),
            (json!({}), "body", "has no parameters without names, the template wants an object"),
        ] {
            let (at, said) = refused(&named, parts);
            assert_eq!(at, field);
            assert!(said.contains(says), "{said}");
        }
    }

    #[test]
    fn a_header_is_of_the_kind_that_the_template_has() {
        let image = Wants { header: HeaderWish::Image, ..plain() };
        let link = |kind: &str| json!({"header": {kind: {"link": "https://example.com/x"}}});
        assert_eq!(image.check(&given(link("image"))), Ok(()));
        assert_eq!(
            refused(&image, json!({})),
            ("header".into(), "`header` is missing: the template wants `{\"image\": …}`".into())
        );
        for other in
            [link("video"), json!({"header": {"text": "x"}}), json!({"header": {"location": place()}})]
        {
            let (field, says) = refused(&image, other);
            assert_eq!(
                (field.as_str(), says.contains("another kind: the template wants `{\"image\"")),
                ("header", true)
            );
        }
        let (_, says) = refused(&plain(), link("image"));
        assert!(says.contains("nothing to fill in; leave it out"), "{says}");
        let here = Wants { header: HeaderWish::Location, ..plain() };
        assert_eq!(here.check(&given(json!({"header": {"location": place()}}))), Ok(()));
        assert_eq!(refused(&here, link("document")).0, "header");
    }

    fn place() -> Value {
        json!({"latitude": 52.5, "longitude": 13.4, "name": "Here", "address": "There 1"})
    }

    #[test]
    fn a_header_text_has_the_name_that_the_template_gives_it() {
        let plain_text = Wants { header: HeaderWish::Text(None), ..plain() };
        let named = Wants { header: HeaderWish::Text(Some("shop".into())), ..plain() };
        let bare = || json!({"header": {"text": "Ada"}});
        let called = |name: &str| json!({"header": {"text": "Ada", "parameter": name}});
        assert_eq!(plain_text.check(&given(bare())), Ok(()));
        assert_eq!(named.check(&given(called("shop"))), Ok(()));
        for (wants, parts) in [(&plain_text, called("shop")), (&named, bare()), (&named, called("store"))] {
            assert_eq!(refused(wants, parts).0, "header.parameter");
        }
    }

    #[test]
    fn buttons_are_filled_by_index_and_kind() {
        let buttons = vec![
            button("Yes", ButtonKind::Payload),
            button("Call us", ButtonKind::Nothing),
            button("Track", ButtonKind::Url),
        ];
        let three = Wants { buttons, ..plain() };
        let url = || json!({"index": 2, "url": "A-17"});
        assert_eq!(three.check(&given(json!({"buttons": [url()]}))), Ok(()));
        let all = json!({"buttons": [{"index": 0, "payload": "yes"}, url()]});
        assert_eq!(three.check(&given(all)), Ok(()));
        for (parts, field, says) in [
            (json!({}), "buttons", "has nothing for button 2 (\"Track\"); add `{\"index\":2,\"url\":\"…\"}`"),
            (json!({"buttons": [url(), {"index": 1, "url": "x"}]}), "buttons[1]", "takes nothing"),
            (json!({"buttons": [url(), {"index": 0, "code": "x"}]}), "buttons[1]", "a `payload` or nothing"),
            (json!({"buttons": [{"index": 2, "payload": "x"}]}), "buttons[0]", "give its end as `url`"),
            (
                json!({"buttons": [url(), {"index": 7, "url": "x"}]}),
                "buttons[1].index",
                "is 7, and the template has buttons 0 to 2",
            ),
        ] {
            let (at, said) = refused(&three, parts);
            assert_eq!(at, field);
            assert!(said.contains(says), "{said}");
        }
        let (field, says) = refused(&plain(), json!({"buttons": [{"payload": "x"}]}));
        assert_eq!((field.as_str(), says.contains("has no buttons")), ("buttons[0]", true));
    }

    #[test]
    fn codes_and_forms_have_to_be_given() {
        let buttons = vec![button("Copy", ButtonKind::Code), button("Begin", ButtonKind::Flow)];
        let both = Wants { buttons, ..plain() };
        let fits = json!({"buttons": [{"index": 0, "code": "25OFF"}, {"index": 1, "flow": {}}]});
        assert_eq!(both.check(&given(fits)), Ok(()));
        let (_, says) = refused(&both, json!({"buttons": [{"index": 0, "code": "25OFF"}]}));
        assert!(says.contains("add `{\"index\":1,\"flow\":{}}`"), "{says}");
        assert_eq!(refused(&both, json!({"buttons": [{"index": 0, "flow": {}}]})).0, "buttons[0]");
    }

    #[test]
    fn what_cannot_be_read_fits_and_what_cannot_be_filled_in_does_not() {
        let unknown = wants(HeaderWish::Unknown, BodyWish::Unknown, vec![button("?", ButtonKind::Unknown)]);
        let anything = json!({"body": ["x"], "header": {"text": "y"}, "buttons": [{"code": "z"}]});
        assert_eq!(unknown.check(&given(anything)), Ok(()));
        assert_eq!(unknown.check(&given(json!({}))), Ok(()));
        let carousel = Wants { beyond: Some("carousel".into()), ..plain() };
        let (field, says) = refused(&carousel, json!({}));
        assert_eq!((field.as_str(), says.contains("carousel")), ("name", true));
    }

    #[test]
    fn wishes_are_shown_as_json() {
        let whole = wants(
            HeaderWish::Text(None),
            BodyWish::Named(vec!["a".into()]),
            vec![button("Go", ButtonKind::Url)],
        );
        assert_eq!(
            serde_json::to_value(&whole).unwrap(),
            json!({"header": {"text": null}, "body": ["a"], "buttons": [{"label": "Go", "wants": "url"}]})
        );
        let unknown = wants(HeaderWish::Unknown, BodyWish::Unknown, Vec::new());
        assert_eq!(
            serde_json::to_value(unknown).unwrap(),
            json!({"header": "unknown", "body": null, "buttons": []})
        );
    }
}
