//! What a template wants to be filled in with, as the domain shows it.

use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{ArrayBuilder, ObjectBuilder, OneOfBuilder, Schema, SchemaType, Type};
use utoipa::{PartialSchema, ToSchema};

use super::schema::{may, must, object, word};
use super::words::one_of;

/// In the place of the domain's own type.
pub(in crate::api) struct TemplateWishes;

impl PartialSchema for TemplateWishes {
    fn schema() -> RefOr<Schema> {
        let null = || ObjectBuilder::new().schema_type(Type::Null);
        let name = word("The name of the variable, where variables are named.")
            .schema_type(SchemaType::Array(vec![Type::String, Type::Null]));
        let header = OneOfBuilder::new()
            .item(one_of(["nothing", "image", "video", "document", "location", "unknown"]))
            .item(object([must("text", name)]));
        let body = OneOfBuilder::new()
            .description(Some("The number of variables, or their names; `null` where that cannot be read."))
            .item(ObjectBuilder::new().schema_type(Type::Integer).minimum(Some(0)))
            .item(ArrayBuilder::new().items(ObjectBuilder::new().schema_type(Type::String)))
            .item(null());
        let button = object([
            must("label", word("What stands on it.")),
            must("wants", one_of(["nothing", "payload", "url", "code", "flow", "unknown"])),
        ]);
        object([
            must("header", header),
            must("body", body),
            must("buttons", ArrayBuilder::new().items(button)),
            may("beyond", word("A part that cannot be filled in from here at all, such as `carousel`.")),
        ])
        .into()
    }
}

impl ToSchema for TemplateWishes {}
