//! Templates.

use serde_json::json;
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{AdditionalProperties, ObjectBuilder, OneOfBuilder, Schema};

use super::Kind;
use super::place::location;
use crate::api::openapi::schema::{
    Field, exactly_one, free, integer, list, may, must, named, object, text, word,
};
use crate::domain::outbound::{
    CODE_MAX, HEADER_TEXT_MAX, LANGUAGE_MAX, OTHER_TEXT_MAX, PARAMETER_MAX, PARAMETERS_MAX, PAYLOAD_MAX,
    TEMPLATE_BUTTONS_MAX, TEMPLATE_NAME_MAX, URL_MAX,
};

/// The fields of a template, filled in.
pub(super) fn fields() -> Vec<Field> {
    let body = OneOfBuilder::new()
        .description(Some("What is filled into the text: a list for `{{1}}`, …, or an object by name."))
        .item(list(PARAMETERS_MAX, named("TemplateParameter")).min_items(None))
        .item(
            ObjectBuilder::new()
                .additional_properties(Some(AdditionalProperties::RefOr(named("TemplateParameter"))))
                .max_properties(Some(PARAMETERS_MAX)),
        );
    vec![
        must(
            "name",
            word("Its name.")
                .pattern(Some("^[a-z0-9_]+$"))
                .min_length(Some(1))
                .max_length(Some(TEMPLATE_NAME_MAX)),
        ),
        must(
            "language",
            word("The code of its language.")
                .pattern(Some("^[A-Za-z0-9_]+$"))
                .min_length(Some(1))
                .max_length(Some(LANGUAGE_MAX))
                .examples(["pt_BR"]),
        ),
        may("header", named("TemplateHeader")),
        may("body", body),
        may("buttons", list(TEMPLATE_BUTTONS_MAX, named("TemplateButton"))),
    ]
}

pub(super) fn kinds() -> Vec<Kind> {
    vec![Kind {
        name: "template",
        about: "A template that Meta has approved, filled in. The only message outside of the 24-hour window.",
        fields: fields(),
        either: vec![],
        examples: vec![
            json!({"name": "order_ready", "language": "en", "body": ["Ada", "ORD-001"]}),
            json!({
                "name": "invoice", "language": "pt_BR", "header": {"document": {"link": "https://shop.example/17.pdf"}},
                "body": {
                    "customer": "Ada",
                    "total": {"currency": {"code": "EUR", "amount_1000": 12990, "fallback": "12,99 €"}},
                },
                "buttons": [{"index": 0, "payload": "paid"}],
            }),
        ],
    }]
}

pub(super) fn shared() -> Vec<(String, RefOr<Schema>)> {
    let value = |about| text(PARAMETER_MAX, about);
    let money = object([
        must("code", word("Three capitals, as in ISO 4217.").pattern(Some("^[A-Z]{3}$"))),
        must("amount_1000", integer("The amount, times 1,000.")),
        must("fallback", value("What is shown where it cannot be written the person's way.")),
    ]);
    let parameter = OneOfBuilder::new()
        .description(Some("What stands in one place of a template."))
        .item(value("Text."))
        .item(object([must("currency", money)]))
        .item(object([must("date_time", value("A moment in words."))]));
    let header = OneOfBuilder::new()
        .description(Some("What is filled into the header."))
        .item(object([
            must("text", text(HEADER_TEXT_MAX, "Its only parameter.")),
            may("parameter", word("The name of that, where it is not `{{1}}`.")),
        ]))
        .item(object([must("image", named("File"))]))
        .item(object([must("video", named("File"))]))
        .item(object([must("document", named("DocumentFile"))]))
        .item(object([must("location", object(location()))]));
    let last = TEMPLATE_BUTTONS_MAX - 1;
    let button = object([
        may(
            "index",
            integer("Which of the template's buttons, from 0; without it, the place in this list.")
                .minimum(Some(0))
                .maximum(Some(last)),
        ),
        may("payload", text(PAYLOAD_MAX, "Quick reply: what comes back when it is pressed.")),
        may("url", text(URL_MAX, "The variable end of the button's address.")),
        may(
            "flow",
            object([
                may("token", text(OTHER_TEXT_MAX, "Comes back with the answer.")),
                may("data", free().description(Some("What the first screen is given."))),
            ]),
        ),
        may("code", text(CODE_MAX, "The code that the button copies.")),
    ]);
    let button = exactly_one(button, &[&["payload", "url", "flow", "code"]]);
    vec![
        ("TemplateParameter".to_owned(), parameter.into()),
        ("TemplateHeader".to_owned(), header.into()),
        ("TemplateButton".to_owned(), button),
    ]
}
