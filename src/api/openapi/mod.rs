//! The OpenAPI 3.1 document of this door, and `GET /api/whatsapp/openapi.json`, which shows it.
//!
//! It is put together from what stands beside each handler (`utoipa::path`) and in the table of endpoints. What holds for
//! every endpoint is said here once and not beside each: the key and its scope, and the refusals that follow from having a
//! key, a path that varies or a body. A refusal that only one endpoint has stands beside that one, by its status and what
//! it means there; its shape is added here.
//!
//! Deliberately not here: what a message may be. The domain reads it by hand, and `message` describes it by hand.

pub(super) mod message;
mod schema;
pub(super) mod wishes;
pub(super) mod words;

use std::collections::BTreeSet;

use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use utoipa::openapi::content::{Content, ContentBuilder};
use utoipa::openapi::example::ExampleBuilder;
use utoipa::openapi::header::HeaderBuilder;
use utoipa::openapi::link::Link;
use utoipa::openapi::path::{Operation, PathItem};
use utoipa::openapi::schema::{ObjectBuilder, Schema, SchemaType, Type};
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme};
use utoipa::openapi::tag::TagBuilder;
use utoipa::openapi::{
    Components, InfoBuilder, OpenApi, Paths, Ref, RefOr, Required, Response, ResponseBuilder,
};
use utoipa::{PartialSchema, ToSchema};

use super::endpoints::{self, Endpoint};
use super::idempotency::IDEMPOTENCY_KEY;
use super::params::Params;
use super::problem::{self, Problem};

/// The name of the security scheme.
const KEY: &str = "api_key";

/// The document, as it is sent.
pub(super) struct Document(String);

impl Document {
    pub(super) fn of(document: &OpenApi) -> Self {
        Self(shown(document))
    }
}

/// Bytes of any kind, in the document.
pub(super) struct Bytes;

impl PartialSchema for Bytes {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new()
            .schema_type(SchemaType::AnyValue)
            .content_media_type("application/octet-stream")
            .into()
    }
}

impl ToSchema for Bytes {}

/// This document: every endpoint with its parameters, bodies, answers and scope.
#[utoipa::path(
    get,
    path = "/api/whatsapp/openapi.json",
    responses((status = 200, description = "The document, OpenAPI 3.1.", body = Object))
)]
pub(super) async fn document(
    request: HttpRequest,
    document: Data<Document>,
) -> Result<HttpResponse, Problem> {
    Params::of(&request, &[])?;
    Ok(HttpResponse::Ok().content_type("application/json").body(document.0.clone()))
}

/// What each group of endpoints is about; in this order.
const TAGS: [(&str, &str); 18] = [
    ("send", "Messages to people."),
    ("messages", "What was said, in both directions, and how far it has come."),
    ("queue", "What waits to leave, is held, or has failed, and what a person can do about it."),
    ("contacts", "People, and what they want no more of."),
    ("conversations", "One of our numbers and one person; what an operator can ask of it."),
    ("replay", "What another flow would have said."),
    ("media", "Files: what people sent, and what is to be sent."),
    ("numbers", "Our numbers: how they fare, and their tokens."),
    ("templates", "What Meta has approved, and what it wants filled in."),
    ("webhooks", "Accepted events of every kind, and what became of them."),
    ("stats", "Counts."),
    ("events", "What happens, as it happens."),
    ("deliveries", "What outlets, systems of your own, were told."),
    ("health", "How it goes."),
    ("metrics", "For Prometheus."),
    ("keys", "API keys."),
    ("audit", "Who asked for what."),
    ("openapi", "This document."),
];

const ABOUT: &str = "The REST API of a Switchboard.

Every endpoint but those of `health` needs an API key, sent as `Authorization: Bearer …`. What a key may do are its scopes: `read`,
`send`, `operate`, and `admin`, which implies the others; each endpoint names the one that it needs.

Times are RFC 3339 in UTC, ids opaque text. What is not known is `null`: every row of a list has the same fields. Unknown
parameters and unknown fields are refused by name. Lists come newest first, with a `next_cursor` and
a `prev_cursor`, and a `Link` to the pages that are there.
Every refusal is an `application/problem+json` (RFC 9457).";

/// The whole document.
pub(super) fn build() -> (Vec<Endpoint>, OpenApi) {
    let info = InfoBuilder::new()
        .title("Switchboard")
        .version(env!("CARGO_PKG_VERSION"))
        .description(Some(ABOUT))
        .license(Some(utoipa::openapi::License::new(env!("CARGO_PKG_LICENSE"))))
        .build();
    let mut whole = OpenApi::new(info, Paths::new());
    let mut mounted = Vec::new();
    for (endpoint, part) in endpoints::table() {
        whole.merge(part);
        mounted.push(endpoint);
    }
    let mut asked = BTreeSet::new();
    for endpoint in &mounted {
        let item = whole.paths.paths.get_mut(&endpoint.path).expect("the part was merged");
        let operation = operation(item, endpoint).expect("the part has this method");
        finish(operation, endpoint, &mut asked);
    }
    for endpoint in &mounted {
        let item = whole.paths.paths.get_mut(&endpoint.path).expect("the part was merged");
        if let Some(operation) = operation(item, endpoint) {
            link(operation, endpoint, &mounted);
        }
    }
    let components = whole.components.get_or_insert_with(Components::new);
    components.schemas.insert("Problem".to_owned(), problem::Body::schema());
    shared_answers(components);
    let from_requests = schema::reached(&components.schemas, asked);
    for (name, schema) in &mut components.schemas {
        if !from_requests.contains(name) {
            schema::always_there(schema);
        }
    }
    schema::rows_by_name(&mut components.schemas);
    let in_use = schema::named_in(&(&whole.paths, &components.responses));
    let in_use = schema::reached(&components.schemas, in_use);
    components.schemas.retain(|name, _| in_use.contains(name));
    for item in whole.paths.paths.values_mut() {
        operations(item).for_each(|operation| show_answers(operation, &components.schemas));
    }
    components.add_security_scheme(KEY, SecurityScheme::Http(key()));
    whole.tags = Some(
        TAGS.iter()
            .map(|(name, about)| TagBuilder::new().name(*name).description(Some(*about)).build())
            .collect(),
    );
    (mounted, whole)
}

/// The document as text, as it is served and as people compare it.
///
/// # Panics
/// Never: it has no keys but strings.
#[must_use]
pub fn text() -> String {
    shown(&build().1)
}

fn shown(document: &OpenApi) -> String {
    document.to_pretty_json().expect("a document is always JSON") + "\n"
}

fn key() -> utoipa::openapi::security::Http {
    HttpBuilder::new()
        .scheme(HttpAuthScheme::Bearer)
        .description(Some(
            "An API key. The scopes at each endpoint are those that the key has to have; `admin` implies the others.",
        ))
        .build()
}

fn operation<'a>(item: &'a mut PathItem, endpoint: &Endpoint) -> Option<&'a mut Operation> {
    match endpoint.method.as_str() {
        "GET" => item.get.as_mut(),
        "POST" => item.post.as_mut(),
        "PUT" => item.put.as_mut(),
        "PATCH" => item.patch.as_mut(),
        "DELETE" => item.delete.as_mut(),
        _ => None,
    }
}

fn operations(item: &mut PathItem) -> impl Iterator<Item = &mut Operation> {
    [&mut item.get, &mut item.post, &mut item.put, &mut item.patch, &mut item.delete].into_iter().flatten()
}

/// Gives every answer of JSON that has no example one, made of those of its fields.
fn show_answers(operation: &mut Operation, schemas: &schema::Schemas) {
    for answer in operation.responses.responses.values_mut() {
        let RefOr::T(answer) = answer else { continue };
        let content = answer.content.get_mut("application/json");
        if let Some(RefOr::T(content)) = content
            && content.example.is_none()
            && let Some(schema) = &content.schema
        {
            content.example = Some(schema::example(schemas, schema));
        }
    }
}

/// Adds what every endpoint of its kind has. The schemas that its body names go to `asked`.
fn finish(operation: &mut Operation, endpoint: &Endpoint, asked: &mut BTreeSet<String>) {
    operation.operation_id = Some(endpoint.name.to_owned());
    operation.tags = endpoint.name.split('.').next().map(|room| vec![room.to_owned()]);
    let mut refusals = vec![400, 500];
    if let Some(scope) = endpoint.scope {
        operation.security = Some(vec![SecurityRequirement::new(KEY, [scope.as_str()])]);
        let note = format!("Scope: `{}`.", scope.as_str());
        let about = operation.description.take().or_else(|| operation.summary.clone());
        operation.description = Some(about.map_or(note.clone(), |about| format!("{about}\n\n{note}")));
        refusals.extend([401, 403, 429, 503]);
    } else {
        operation.security = Some(Vec::new());
    }
    for parameter in operation.parameters.iter_mut().flatten() {
        let RefOr::T(parameter) = parameter else { continue };
        parameter.schema.iter_mut().for_each(schema::never_null);
        if parameter.name == IDEMPOTENCY_KEY {
            refusals.push(422);
        }
    }
    if endpoint.path.contains('{') {
        refusals.push(404);
    }
    if let Some(RefOr::T(body)) = &mut operation.request_body {
        refusals.extend([413, 415, 422]);
        let schemas = body.content.values().filter_map(|content| match content {
            RefOr::T(content) => content.schema.as_ref(),
            RefOr::Ref(_) => None,
        });
        let is_needed = !schemas.into_iter().any(schema::may_be_null);
        body.required = Some(if is_needed { Required::True } else { Required::False });
        for (media_type, content) in &mut body.content {
            if let RefOr::T(content) = content {
                if media_type == "application/json" && endpoint.name == "send.send" {
                    content.examples = message::examples();
                }
                asked.extend(schema::named_in(&content.schema));
            }
        }
    }
    let answers = &mut operation.responses.responses;
    for (status, answer) in answers.iter_mut() {
        if let RefOr::T(answer) = answer
            && status.starts_with(['4', '5'])
            && answer.content.is_empty()
        {
            answer.content.insert(problem::CONTENT_TYPE.to_owned(), RefOr::T(refusal(status)));
        }
    }
    for status in refusals {
        let shared = RefOr::Ref(Ref::from_response_name(name(status)));
        answers.entry(status.to_string()).or_insert(shared);
    }
}

/// Says of a list what can be done with a row of it, and of what was just made, what can be done with that.
fn link(operation: &mut Operation, endpoint: &Endpoint, all: &[Endpoint]) {
    let Some((room, verb)) = endpoint.name.split_once('.') else { return };
    let (status, place) = match (room, verb) {
        // A number has no id of ours.
        ("numbers", _) => return,
        ("queue", "list") => ("200", "/data/0/message_id"),
        (_, "list") => ("200", "/data/0/id"),
        (_, "give" | "create") => ("201", "/id"),
        _ => return,
    };
    if let Some(RefOr::T(answer)) = operation.responses.responses.get_mut(status) {
        let of_a_row =
            |other: &&Endpoint| other.path.contains("{id}") && other.name.split('.').next() == Some(room);
        for other in all.iter().filter(of_a_row) {
            let link = Link::builder()
                .operation_id(other.name)
                .parameter("id", format!("$response.body#{place}"))
                .build();
            answer.links.insert(other.name.replace('.', "_"), RefOr::T(link));
        }
    }
}

/// The refusals that several endpoints have: status, name, description.
const REFUSALS: [(u16, &str, &str); 11] = [
    (400, "BadRequest", "A parameter or header is unknown or wrong, or the body cannot be read."),
    (401, "Unauthorized", "There is no API key, or it is not known, revoked or expired."),
    (403, "Forbidden", "The API key has not the scope that is needed."),
    (404, "NotFound", "There is no such thing."),
    (413, "TooLarge", "The body is too large."),
    (415, "MediaType", "The body is of a type that is not taken here."),
    (
        422,
        "InvalidField",
        "A field is unknown, missing or wrong, or the idempotency key was used for something else.",
    ),
    (429, "TooManyRequests", "The API key makes more requests than it may."),
    (500, "Internal", "Something went wrong here."),
    (
        503,
        "Unavailable",
        "It is not possible right now, and may be soon: too much waits, or the database does not answer.",
    ),
    (409, "Conflict", "It is not in a state that allows this."),
];

fn name(status: u16) -> &'static str {
    REFUSALS.iter().find(|(known, ..)| *known == status).map_or("Internal", |(_, name, _)| name)
}

fn shared_answers(components: &mut Components) {
    for (status, name, about) in REFUSALS {
        let mut answer = ResponseBuilder::new()
            .description(about)
            .content(problem::CONTENT_TYPE, refusal(&status.to_string()))
            .build();
        headers(&mut answer, status);
        components.responses.insert(name.to_owned(), RefOr::T(answer));
    }
}

fn headers(answer: &mut Response, status: u16) {
    let mut add = |name: &str, about: &str, of: Type| {
        let header = HeaderBuilder::new()
            .schema(Some(ObjectBuilder::new().schema_type(of)))
            .description(Some(about))
            .build();
        answer.headers.insert(name.to_owned(), RefOr::T(header));
    };
    match status {
        401 => add("WWW-Authenticate", "`Bearer`.", Type::String),
        429 | 503 => add("Retry-After", "Seconds after which it is worth asking again.", Type::Integer),
        _ => {}
    }
}

/// A problem with this status, with an example of each kind.
fn refusal(status: &str) -> Content {
    let kinds = status.parse().map(problem::kinds_of).unwrap_or_default();
    let examples =
        kinds.into_iter().map(|(slug, shown)| (slug, ExampleBuilder::new().value(Some(shown)).build()));
    ContentBuilder::new().schema(Some(Ref::from_schema_name("Problem"))).examples_from_iter(examples).build()
}
