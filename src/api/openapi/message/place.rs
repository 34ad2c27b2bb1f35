//! Locations and contact cards.

use serde_json::json;
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::Schema;

use super::Kind;
use crate::api::openapi::schema::{Field, list, may, must, object, text, within};
use crate::domain::outbound::{CARD_ENTRIES_MAX, CARDS_MAX, OTHER_TEXT_MAX};

pub(super) fn kinds() -> Vec<Kind> {
    vec![
        Kind {
            name: "location",
            about: "A place.",
            fields: location().into(),
            either: vec![],
            examples: vec![json!({
                "latitude": 52.5163, "longitude": 13.3777, "name": "Works", "address": "Main Street 1",
            })],
        },
        Kind {
            name: "contacts",
            about: "Contact cards.",
            fields: vec![must("contacts", list(CARDS_MAX, card()))],
            either: vec![],
            examples: vec![json!({"contacts": [{
                "name": {"formatted_name": "Ada Byron", "first_name": "Ada"},
                "phones": [{"phone": "+49 170 1234567", "type": "WORK"}],
                "emails": [{"email": "ada@mill.example"}],
                "org": {"company": "Mill"},
            }]})],
        },
    ]
}

/// The fields of a place.
pub(super) fn location() -> [Field; 4] {
    [
        must("latitude", within(90.0, "Degrees north.")),
        must("longitude", within(180.0, "Degrees east.")),
        may("name", text(OTHER_TEXT_MAX, "What is there.")),
        may("address", text(OTHER_TEXT_MAX, "Its address.")),
    ]
}

/// A contact card, in the shape that Meta has for it.
fn card() -> RefOr<Schema> {
    let some = |name| may(name, text(OTHER_TEXT_MAX, ""));
    let needed = |name| must(name, text(OTHER_TEXT_MAX, ""));
    let several = |name, fields: Vec<Field>| may(name, list(CARD_ENTRIES_MAX, object(fields)));
    let name = ["first_name", "last_name", "middle_name", "suffix", "prefix"].map(some);
    let address = ["street", "city", "state", "zip", "country", "country_code", "type"].map(some);
    let org = ["company", "department", "title"].map(some);
    object([
        must("name", object([needed("formatted_name")].into_iter().chain(name))),
        several("phones", vec![needed("phone"), some("type"), some("wa_id")]),
        several("emails", vec![needed("email"), some("type")]),
        several("addresses", address.into()),
        several("urls", vec![needed("url"), some("type")]),
        may("org", object(org)),
        may("birthday", text(OTHER_TEXT_MAX, "As YYYY-MM-DD.")),
    ])
    .into()
}
