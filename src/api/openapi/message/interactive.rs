//! Messages with something to press.

use serde_json::json;
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{ObjectBuilder, OneOfBuilder, Schema};

use super::Kind;
use crate::api::openapi::schema::{Field, free, list, may, must, named, object, text, word};
use crate::api::openapi::words::one_of;
use crate::domain::outbound::{
    BUTTON_ID_MAX, BUTTON_TITLE_MAX, BUTTONS_MAX, CTA_BUTTON_MAX, FLOW_BUTTON_MAX, FOOTER_MAX,
    HEADER_TEXT_MAX, INTERACTIVE_BODY_MAX, LIST_ROWS_MAX, LIST_SECTIONS_MAX, OTHER_TEXT_MAX,
    ROW_DESCRIPTION_MAX, ROW_ID_MAX, ROW_TITLE_MAX, SECTION_TITLE_MAX, URL_MAX,
};

pub(super) fn kinds() -> Vec<Kind> {
    vec![buttons(), rows(), link(), ask("location_request"), ask("contact_request"), form()]
}

fn buttons() -> Kind {
    let button = object([
        must("id", text(BUTTON_ID_MAX, "Comes back when it is pressed; unique in the message.")),
        must("title", text(BUTTON_TITLE_MAX, "What it says; unique in the message.")),
    ]);
    Kind {
        name: "buttons",
        about: "Text with up to three reply buttons.",
        fields: framed(named("Header"), [must("buttons", list(BUTTONS_MAX, button))]),
        either: vec![],
        examples: vec![
            json!({"body": "Shall we deliver on Monday?", "footer": "Mill Ltd", "buttons": [
                {"id": "yes", "title": "Yes"}, {"id": "no", "title": "No"},
            ]}),
            json!({"header": {"image": {"link": "https://shop.example/gearbox.jpg"}}, "body": "This one?",
                "buttons": [{"id": "yes", "title": "Yes"}]}),
        ],
    }
}

fn rows() -> Kind {
    let section = object([
        must("title", text(SECTION_TITLE_MAX, "What stands above its rows.")),
        must("rows", list(LIST_ROWS_MAX, named("Row"))),
    ]);
    let header = object([must("text", text(HEADER_TEXT_MAX, "A line of text."))]);
    let header: RefOr<Schema> =
        OneOfBuilder::new().item(text(HEADER_TEXT_MAX, "A line of text.")).item(header).into();
    Kind {
        name: "list",
        about: "Text with a button that opens a list of up to ten rows, over all its sections.",
        fields: framed(
            header,
            [
                must("button", text(BUTTON_TITLE_MAX, "What the button that opens the list says.")),
                may("rows", list(LIST_ROWS_MAX, named("Row"))),
                may("sections", list(LIST_SECTIONS_MAX, section)),
            ],
        ),
        either: vec![&["rows", "sections"]],
        examples: vec![
            json!({"body": "What is it about?", "button": "Choose", "rows": [
                {"id": "order", "title": "An order", "description": "Where it is, what it costs"},
                {"id": "other", "title": "Something else"},
            ]}),
            json!({"header": "Mill Ltd", "body": "What is it about?", "button": "Choose", "sections": [
                {"title": "Orders", "rows": [{"id": "new", "title": "A new one"}]},
                {"title": "Other", "rows": [{"id": "call", "title": "Call me"}]},
            ]}),
        ],
    }
}

fn link() -> Kind {
    let url = word("What it opens.").pattern(Some(r"^https?://[^\s/?#]+[^\s]*$")).max_length(Some(URL_MAX));
    Kind {
        name: "cta_url",
        about: "Text with a button that opens an address.",
        fields: framed(
            named("Header"),
            [must("button", text(CTA_BUTTON_MAX, "What the button says.")), must("url", url)],
        ),
        either: vec![],
        examples: vec![
            json!({"body": "Your invoice", "button": "Open", "url": "https://shop.example/invoices/17"}),
        ],
    }
}

fn ask(name: &'static str) -> Kind {
    let (about, example) = match name {
        "location_request" => {
            ("Asks where the person is; a `location` comes back.", "Where shall we deliver?")
        }
        _ => ("Asks for the person's contact card; `contacts` come back.", "How can we call you?"),
    };
    Kind {
        name,
        about,
        fields: vec![must("body", text(INTERACTIVE_BODY_MAX, "The text."))],
        either: vec![],
        examples: vec![json!({"body": example})],
    }
}

fn form() -> Kind {
    Kind {
        name: "flow",
        about: "Text with a button that opens a WhatsApp Flow, which is a form of Meta's. What is filled in comes back.",
        fields: framed(
            named("Header"),
            [
                must("button", text(FLOW_BUTTON_MAX, "What the button says.")),
                may("flow_id", text(OTHER_TEXT_MAX, "Meta's id of the form.")),
                may("flow_name", text(OTHER_TEXT_MAX, "Its name, in place of the id.")),
                may("flow_token", text(OTHER_TEXT_MAX, "Comes back with the answer.")),
                may("mode", one_of(["draft", "published"]).description(Some("Which edition."))),
                may(
                    "screen",
                    text(OTHER_TEXT_MAX, "The first screen. Without it, Meta asks the form's endpoint."),
                ),
                may(
                    "data",
                    free()
                        .min_properties(Some(1))
                        .description(Some("What that screen is given; only with `screen`.")),
                ),
            ],
        ),
        either: vec![&["flow_id", "flow_name"]],
        examples: vec![json!({
            "body": "Tell us more", "button": "Open", "flow_id": "1013859600285441", "flow_token": "order-17",
            "screen": "DETAILS", "data": {"order": "ORD-001"},
        })],
    }
}

/// Header, text and small print, and what else there is.
fn framed<const N: usize>(header: RefOr<Schema>, more: [Field; N]) -> Vec<Field> {
    let frame = [
        may("header", header),
        must("body", text(INTERACTIVE_BODY_MAX, "The text.")),
        may("footer", text(FOOTER_MAX, "The small print below.")),
    ];
    frame.into_iter().chain(more).collect()
}

pub(super) fn shared() -> Vec<(String, RefOr<Schema>)> {
    let line = || text(HEADER_TEXT_MAX, "A line of text.");
    let one = |field| -> ObjectBuilder { object([field]) };
    let header = OneOfBuilder::new()
        .description(Some("What stands above the text."))
        .item(line())
        .item(one(must("text", line())))
        .item(one(must("image", named("File"))))
        .item(one(must("video", named("File"))))
        .item(one(must("document", named("DocumentFile"))));
    let row = object([
        must("id", text(ROW_ID_MAX, "Comes back when it is chosen; unique in the message.")),
        must("title", text(ROW_TITLE_MAX, "What it says.")),
        may("description", text(ROW_DESCRIPTION_MAX, "A second line.")),
    ]);
    vec![("Header".to_owned(), header.into()), ("Row".to_owned(), row.into())]
}
