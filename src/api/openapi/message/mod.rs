//! What `POST /api/whatsapp/send` takes: each type of message, with its limits, and an example of each.
//!
//! The domain reads bodies by hand (`Message::read`), so this is written by hand as well, from the domain's own constants.
//! A test sends every example, and looks that each type has one.

mod interactive;
mod media;
mod place;
mod template;
mod words;

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde_json::{Value, json};
use utoipa::openapi::RefOr;
use utoipa::openapi::example::{Example, ExampleBuilder};
use utoipa::openapi::schema::{Discriminator, OneOfBuilder, Schema};
use utoipa::{PartialSchema, ToSchema};

use super::schema::{Field, exactly_one, may, must, named, object, text, word};
use super::words::one_of;

/// A type of message.
struct Kind {
    /// As in the field `type`.
    name: &'static str,
    /// What it is.
    about: &'static str,
    /// Its own fields.
    fields: Vec<Field>,
    /// Of each of these groups of its fields there is exactly one.
    either: Vec<&'static [&'static str]>,
    /// Bodies without `to` and `type`.
    examples: Vec<Value>,
}

/// A body of `send`: to whom, from which number, and one message.
pub(in crate::api) struct SendRequest;

impl PartialSchema for SendRequest {
    fn schema() -> RefOr<Schema> {
        let all = kinds();
        let one = all.iter().fold(OneOfBuilder::new(), |one, kind| one.item(named(&shown(kind.name))));
        let places = all.iter().map(|kind| (kind.name, format!("#/components/schemas/{}", shown(kind.name))));
        one.discriminator(Some(Discriminator::with_mapping("type", places)))
            .description(Some(
                "A message to one person. `null` is the same as leaving a field out. Lengths are in characters.",
            ))
            .into()
    }
}

impl ToSchema for SendRequest {
    fn name() -> Cow<'static, str> {
        "SendRequest".into()
    }

    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        schemas.extend(media::shared());
        schemas.extend(interactive::shared());
        schemas.extend(template::shared());
        schemas.extend(kinds().into_iter().map(|kind| (shown(kind.name), schema(kind))));
    }
}

/// An example of each shape, by the type and a number.
pub(super) fn examples() -> BTreeMap<String, RefOr<Example>> {
    let mut examples = BTreeMap::new();
    for kind in kinds() {
        for (at, mut body) in kind.examples.into_iter().enumerate() {
            let name = if at == 0 { kind.name.to_owned() } else { format!("{}_{}", kind.name, at + 1) };
            body["to"] = json!("+49 170 1234567");
            body["type"] = json!(kind.name);
            let example = ExampleBuilder::new().summary(kind.about).value(Some(body)).build();
            examples.insert(name, RefOr::T(example));
        }
    }
    examples
}

fn kinds() -> Vec<Kind> {
    let families = [words::kinds(), media::kinds(), place::kinds(), interactive::kinds(), template::kinds()];
    families.into_iter().flatten().collect()
}

/// The name of a type's schema: `cta_url` is `SendCtaUrl`.
fn shown(kind: &str) -> String {
    let capital = |part: &str| {
        let (first, rest) = part.split_at(1);
        first.to_uppercase() + rest
    };
    kind.split('_').fold("Send".to_owned(), |name, part| name + &capital(part))
}

/// A type with what every body has.
fn schema(kind: Kind) -> RefOr<Schema> {
    let everywhere = [
        must("type", one_of([kind.name])),
        may(
            "to",
            word("The person's phone number with its country code. Blanks, dashes, dots and brackets do not matter.")
                .pattern(Some(r"^\+?[0-9]{5,15}$|^\+?[0-9][0-9 .()-]{5,28}$")),
        ),
        may(
            "user_id",
            word("The person's business-scoped id, in place of `to`.")
                .pattern(Some(r"^[A-Z]{2}\.(ENT\.)?[A-Za-z0-9]{1,128}$"))
                .examples(["US.13491208655302741918"]),
        ),
        may(
            "phone_number_id",
            word("Which of our numbers it leaves from, by Meta's id of it. Not needed when there is one only."),
        ),
        may("reply_to", text(super::super::send::WAMID_MAX, "The `wamid` of the message that it answers to.")),
        may(
            "priority",
            one_of(["reply", "bulk"])
                .description(Some("A reply goes before what is bulk. A template is bulk, all else a reply.")),
        ),
        may("outside_window", outside_window()),
    ];
    let whole = object(everywhere.into_iter().chain(kind.fields)).description(Some(kind.about));
    let either: Vec<&[&str]> = [&["to", "user_id"][..]].into_iter().chain(kind.either).collect();
    exactly_one(whole, &either)
}

/// What becomes of it when the person's 24-hour window is closed.
fn outside_window() -> OneOfBuilder {
    OneOfBuilder::new()
        .description(Some(
            "What becomes of it when the person's 24-hour window is closed as it is to leave: it fails, waits until they \
             write, or this template goes in its place.",
        ))
        .item(one_of(["fail", "wait"]))
        .item(object([must("template", object(template::fields()))]))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::domain::outbound::Message;

    #[test]
    fn every_type_of_the_domain_is_described_with_an_example_that_the_domain_takes() {
        let mut seen = BTreeSet::new();
        for kind in kinds() {
            assert!(!kind.examples.is_empty(), "{}", kind.name);
            for mut body in kind.examples {
                body["type"] = json!(kind.name);
                let message =
                    Message::try_from(body.clone()).unwrap_or_else(|error| panic!("{body}: {error}"));
                assert_eq!(message.kind(), kind.name);
                let described: BTreeSet<&str> = kind.fields.iter().map(|field| field.name).collect();
                for field in body.as_object().unwrap().keys().filter(|field| *field != "type") {
                    assert!(described.contains(field.as_str()), "{}: {field}", kind.name);
                }
            }
            seen.insert(kind.name);
        }
        assert_eq!(seen, Message::KINDS.into_iter().collect());
    }

    #[test]
    fn the_fields_that_are_described_are_those_that_the_domain_knows() {
        for kind in kinds() {
            for mut body in kind.examples {
                body["type"] = json!(kind.name);
                body["no_such_field"] = json!(1);
                let refused = Message::try_from(body).unwrap_err().to_string();
                let known: BTreeSet<&str> = refused.split('`').skip(3).step_by(2).collect();
                let mut described: BTreeSet<&str> = kind.fields.iter().map(|field| field.name).collect();
                described.insert("type");
                assert_eq!(known, described, "{}: {refused}", kind.name);
            }
        }
    }
}
