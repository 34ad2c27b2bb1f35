//! Schemas that are written by hand, and what is done to those that are not.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use serde_json::Value;
use utoipa::openapi::schema::{
    AdditionalProperties, AllOfBuilder, ArrayBuilder, ArrayItems, Object, ObjectBuilder, OneOfBuilder,
    Schema, SchemaType, Type,
};
use utoipa::openapi::{Ref, RefOr};

/// Schemas by name.
pub(super) type Schemas = BTreeMap<String, RefOr<Schema>>;

/// A field of an object.
pub(super) struct Field {
    pub(super) name: &'static str,
    required: bool,
    schema: RefOr<Schema>,
}

/// A field that has to be there.
pub(super) fn must(name: &'static str, schema: impl Into<RefOr<Schema>>) -> Field {
    Field { name, required: true, schema: schema.into() }
}

/// A field that may be there.
pub(super) fn may(name: &'static str, schema: impl Into<RefOr<Schema>>) -> Field {
    Field { name, required: false, schema: schema.into() }
}

/// An object with these fields and no others.
pub(super) fn object(fields: impl IntoIterator<Item = Field>) -> ObjectBuilder {
    let fixed =
        ObjectBuilder::new().additional_properties(Some(AdditionalProperties::<Schema>::FreeForm(false)));
    fields.into_iter().fold(fixed, |object, field| {
        let object = object.property(field.name, field.schema);
        if field.required { object.required(field.name) } else { object }
    })
}

/// An object of which nothing more is known.
pub(super) fn free() -> ObjectBuilder {
    ObjectBuilder::new().additional_properties(Some(AdditionalProperties::<Schema>::FreeForm(true)))
}

/// Text that is not blank, of up to `limit` characters.
pub(super) fn text(limit: usize, about: &str) -> ObjectBuilder {
    word(about).min_length(Some(1)).max_length(Some(limit)).pattern(Some(r"\S"))
}

/// Any text.
pub(super) fn word(about: &str) -> ObjectBuilder {
    ObjectBuilder::new().schema_type(Type::String).description(Some(about))
}

/// Yes or no.
pub(super) fn flag(about: &str) -> ObjectBuilder {
    ObjectBuilder::new().schema_type(Type::Boolean).description(Some(about))
}

/// A whole number.
pub(super) fn integer(about: &str) -> ObjectBuilder {
    ObjectBuilder::new().schema_type(Type::Integer).description(Some(about))
}

/// A number from `-limit` to `limit`.
pub(super) fn within(limit: f64, about: &str) -> ObjectBuilder {
    ObjectBuilder::new()
        .schema_type(Type::Number)
        .minimum(Some(-limit))
        .maximum(Some(limit))
        .description(Some(about))
}

/// One to `limit` entries.
pub(super) fn list(limit: usize, entry: impl Into<RefOr<Schema>>) -> ArrayBuilder {
    ArrayBuilder::new().items(entry.into()).min_items(Some(1)).max_items(Some(limit))
}

/// A schema by its name.
pub(super) fn named(name: &str) -> RefOr<Schema> {
    RefOr::Ref(Ref::from_schema_name(name))
}

/// `schema`, of which exactly one of each of these groups of fields is there.
pub(super) fn exactly_one(schema: ObjectBuilder, groups: &[&[&'static str]]) -> RefOr<Schema> {
    if groups.is_empty() {
        return schema.into();
    }
    let there = |name: &&'static str| ObjectBuilder::new().schema_type(SchemaType::AnyValue).required(*name);
    let one = |group: &&[&'static str]| group.iter().map(there).fold(OneOfBuilder::new(), OneOfBuilder::item);
    groups.iter().map(one).fold(AllOfBuilder::new().item(schema), AllOfBuilder::item).into()
}

/// The names of the schemas that `part` of a document speaks of.
pub(super) fn named_in(part: &impl Serialize) -> BTreeSet<String> {
    let text = serde_json::to_string(part).unwrap_or_default();
    let rest = text.split("\"#/components/schemas/").skip(1);
    rest.filter_map(|rest| rest.split('"').next()).map(str::to_owned).collect()
}

/// The schemas that these lead to, with themselves.
pub(super) fn reached(schemas: &Schemas, from: BTreeSet<String>) -> BTreeSet<String> {
    let mut reached = BTreeSet::new();
    let mut open: Vec<String> = from.into_iter().collect();
    while let Some(name) = open.pop() {
        if let Some(schema) = schemas.get(&name)
            && reached.insert(name)
        {
            open.extend(named_in(schema));
        }
    }
    reached
}

/// In a page, each row is a schema that has a name; the derived one repeats it.
pub(super) fn rows_by_name(schemas: &mut Schemas) {
    let names: BTreeSet<String> = schemas.keys().cloned().collect();
    for (name, schema) in schemas {
        if let Some(row) = name.strip_prefix("Page_").filter(|row| names.contains(*row))
            && let RefOr::T(Schema::Object(page)) = schema
            && let Some(RefOr::T(Schema::Array(rows))) = page.properties.get_mut("data")
        {
            rows.items = ArrayItems::RefOrSchema(Box::new(named(row)));
        }
    }
}

/// A value that has this schema: made of the examples in it, with everything there.
pub(super) fn example(schemas: &Schemas, schema: &RefOr<Schema>) -> Value {
    let schema = match schema {
        RefOr::T(schema) => schema,
        RefOr::Ref(to) => {
            let name = to.ref_location.rsplit('/').next().unwrap_or_default();
            return schemas.get(name).map_or(Value::Null, |schema| example(schemas, schema));
        }
    };
    match schema {
        Schema::Object(object) => {
            let given =
                object.examples.first().or(object.enum_values.as_ref().and_then(|words| words.first()));
            given.cloned().unwrap_or_else(|| plain(schemas, object))
        }
        Schema::Array(array) => match &array.items {
            ArrayItems::RefOrSchema(items) => Value::Array(vec![example(schemas, items)]),
            ArrayItems::False => Value::Array(Vec::new()),
        },
        Schema::OneOf(one) => one.items.first().map_or(Value::Null, |first| example(schemas, first)),
        Schema::AllOf(all) => {
            let parts = all.items.iter().filter_map(|part| match example(schemas, part) {
                Value::Object(fields) => Some(fields),
                _ => None,
            });
            Value::Object(parts.flatten().collect())
        }
        _ => Value::Null,
    }
}

fn plain(schemas: &Schemas, object: &Object) -> Value {
    let types = match &object.schema_type {
        SchemaType::Type(one) => std::slice::from_ref(one),
        SchemaType::Array(several) => several,
        SchemaType::AnyValue => &[],
    };
    match types.first() {
        Some(Type::String) => "text".into(),
        Some(Type::Integer | Type::Number) => 1.into(),
        Some(Type::Boolean) => true.into(),
        Some(Type::Object) => {
            let field = |(name, schema): (&String, &RefOr<Schema>)| (name.clone(), example(schemas, schema));
            Value::Object(object.properties.iter().map(field).collect())
        }
        _ => Value::Null,
    }
}

/// An answer has all its fields, always: what is not known is `null`. Those that may not be null may be missing.
pub(super) fn always_there(schema: &mut RefOr<Schema>) {
    match schema {
        RefOr::T(Schema::Object(object)) => {
            for (name, field) in &mut object.properties {
                if may_be_null(field) && !object.required.contains(name) {
                    object.required.push(name.clone());
                }
                always_there(field);
            }
        }
        RefOr::T(Schema::Array(array)) => {
            if let ArrayItems::RefOrSchema(items) = &mut array.items {
                always_there(items);
            }
        }
        RefOr::T(Schema::AllOf(all)) => all.items.iter_mut().for_each(always_there),
        RefOr::T(Schema::OneOf(one)) => one.items.iter_mut().for_each(always_there),
        RefOr::T(_) | RefOr::Ref(_) => {}
    }
}

/// A parameter is there or is not: it is never null.
pub(super) fn never_null(schema: &mut RefOr<Schema>) {
    match schema {
        RefOr::T(Schema::Object(object)) => {
            if let SchemaType::Array(several) = &object.schema_type
                && let [one, Type::Null] = several.as_slice()
            {
                object.schema_type = SchemaType::Type(one.clone());
            }
        }
        RefOr::T(Schema::OneOf(one)) => {
            one.items.retain(|item| !may_be_null(item));
            if let [only] = one.items.as_slice() {
                *schema = only.clone();
            }
        }
        RefOr::T(_) | RefOr::Ref(_) => {}
    }
}

/// Whether `null` will do.
pub(super) fn may_be_null(schema: &RefOr<Schema>) -> bool {
    let null = |of: &SchemaType| match of {
        SchemaType::Type(one) => *one == Type::Null,
        SchemaType::Array(several) => several.contains(&Type::Null),
        SchemaType::AnyValue => false,
    };
    match schema {
        RefOr::T(Schema::Object(object)) => null(&object.schema_type),
        RefOr::T(Schema::Array(array)) => null(&array.schema_type),
        RefOr::T(Schema::OneOf(one)) => one.items.iter().any(may_be_null),
        RefOr::T(_) | RefOr::Ref(_) => false,
    }
}
