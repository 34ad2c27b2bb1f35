//! Every refusal of this door: RFC 9457 problem details.

use std::borrow::Cow;
use std::fmt;

use actix_web::error::{JsonPayloadError, PathError};
use actix_web::http::StatusCode;
use actix_web::http::header::{ALLOW, RETRY_AFTER, WWW_AUTHENTICATE};
use actix_web::{HttpRequest, HttpResponse, ResponseError};
use serde::Serialize;
use utoipa::ToSchema;

use super::BODY_MAX_BYTES;
use crate::domain::delivery::Refusal;
use crate::domain::outbound::Invalid;
use crate::store;

/// The media type of a problem (RFC 9457, 3).
pub(super) const CONTENT_TYPE: &str = "application/problem+json";
/// What a problem's `type` begins with. It names a kind and leads nowhere.
const TYPE_PREFIX: &str = "urn:switchboard:problem:";
/// Seconds after which a client that was turned away for want of room may ask again.
const RETRY_AFTER_SECONDS: u32 = 2;

/// The kinds of problem.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Unauthorized,
    Forbidden,
    TooManyRequests,
    UnknownPath,
    NotFound,
    WrongMethod,
    Malformed,
    BadParameter,
    BadHeader,
    BadRange,
    TooLarge,
    MediaType,
    InvalidField,
    KeyReused,
    Conflict,
    WindowClosed,
    OptedOut,
    Unavailable,
    Internal,
}

impl Kind {
    const ALL: [Self; 19] = [
        Self::Unauthorized,
        Self::Forbidden,
        Self::TooManyRequests,
        Self::UnknownPath,
        Self::NotFound,
        Self::WrongMethod,
        Self::Malformed,
        Self::BadParameter,
        Self::BadHeader,
        Self::BadRange,
        Self::TooLarge,
        Self::MediaType,
        Self::InvalidField,
        Self::KeyReused,
        Self::Conflict,
        Self::WindowClosed,
        Self::OptedOut,
        Self::Unavailable,
        Self::Internal,
    ];

    /// The error table: status, the end of `type`, title.
    fn row(self) -> (StatusCode, &'static str, &'static str) {
        match self {
            Self::Unauthorized => (StatusCode::UNAUTHORIZED, "unauthorized", "A valid API key is needed"),
            Self::Forbidden => (StatusCode::FORBIDDEN, "forbidden", "This API key may not do that"),
            Self::TooManyRequests => {
                (StatusCode::TOO_MANY_REQUESTS, "too_many_requests", "Too many requests with this API key")
            }
            Self::UnknownPath => (StatusCode::NOT_FOUND, "unknown_path", "There is nothing at this path"),
            Self::NotFound => (StatusCode::NOT_FOUND, "not_found", "There is no such thing"),
            Self::WrongMethod => {
                (StatusCode::METHOD_NOT_ALLOWED, "wrong_method", "This method is not allowed here")
            }
            Self::Malformed => (StatusCode::BAD_REQUEST, "malformed", "The request cannot be read"),
            Self::BadParameter => (StatusCode::BAD_REQUEST, "bad_parameter", "A query parameter is wrong"),
            Self::BadHeader => (StatusCode::BAD_REQUEST, "bad_header", "A header is wrong"),
            Self::BadRange => {
                (StatusCode::RANGE_NOT_SATISFIABLE, "bad_range", "The range is not in the file")
            }
            Self::TooLarge => (StatusCode::PAYLOAD_TOO_LARGE, "too_large", "The request body is too large"),
            Self::MediaType => (
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "media_type",
                "The request body is of a type that is not taken here",
            ),
            Self::InvalidField => (StatusCode::UNPROCESSABLE_ENTITY, "invalid_field", "A field is wrong"),
            Self::KeyReused => {
                (StatusCode::UNPROCESSABLE_ENTITY, "idempotency_key_reused", "The idempotency key is taken")
            }
            Self::Conflict => (StatusCode::CONFLICT, "conflict", "It is not in a state that allows this"),
            Self::WindowClosed => {
                (StatusCode::CONFLICT, "window_closed", "The person's 24-hour window is closed")
            }
            Self::OptedOut => (StatusCode::CONFLICT, "opted_out", "The person does not want messages"),
            Self::Unavailable => (StatusCode::SERVICE_UNAVAILABLE, "unavailable", "Not possible right now"),
            Self::Internal => (StatusCode::INTERNAL_SERVER_ERROR, "internal", "Something went wrong here"),
        }
    }
}

/// Why a request was refused. Its JSON has `type`, `title`, `status` and `detail`; where a field, parameter or header is
/// to blame, `field`; and where a limit is, `limit` and what was there, `length` (characters or entries).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    kind: Kind,
    detail: Cow<'static, str>,
    field: Option<String>,
    /// What was there, and what is allowed.
    measure: Option<(usize, usize)>,
    /// The methods that would have been right.
    allow: Option<String>,
    /// When it is worth asking again.
    retry_after_seconds: Option<u32>,
}

/// The end of a problem's `type`, in the answer's extensions: for who has to write down why something was refused.
#[derive(Debug, Clone, Copy)]
pub(super) struct Slug(pub(super) &'static str);

/// Why a request was refused (RFC 9457).
#[derive(Serialize, ToSchema)]
#[schema(as = Problem)]
pub(super) struct Body<'a> {
    /// The kind of problem; it names one and leads nowhere.
    #[schema(examples("urn:switchboard:problem:invalid_field"))]
    r#type: String,
    /// The kind in words.
    title: &'static str,
    /// The status of the answer.
    #[schema(minimum = 400, maximum = 599)]
    status: u16,
    /// What is wrong, and what helps.
    detail: &'a str,
    /// The field, parameter or header that is to blame.
    #[schema(nullable = false)]
    #[serde(skip_serializing_if = "Option::is_none")]
    field: Option<&'a str>,
    /// What was there, in characters, entries or bytes, where there is a limit.
    #[schema(nullable = false)]
    #[serde(skip_serializing_if = "Option::is_none")]
    length: Option<usize>,
    /// What is allowed.
    #[schema(nullable = false)]
    #[serde(skip_serializing_if = "Option::is_none")]
    limit: Option<usize>,
}

/// For the document: what a status means here, with an example of each kind that has it.
pub(super) fn kinds_of(status: u16) -> Vec<(&'static str, serde_json::Value)> {
    let example = |kind: &Kind| {
        let (code, slug, title) = kind.row();
        let detail = "what is wrong here, and what helps";
        let shown = serde_json::json!({
            "type": format!("{TYPE_PREFIX}{slug}"), "title": title, "status": code.as_u16(), "detail": detail,
        });
        (code.as_u16() == status).then_some((slug, shown))
    };
    Kind::ALL.iter().filter_map(example).collect()
}

impl Problem {
    fn new(kind: Kind, detail: impl Into<Cow<'static, str>>) -> Self {
        Self {
            kind,
            detail: detail.into(),
            field: None,
            measure: None,
            allow: None,
            retry_after_seconds: (kind == Kind::Unavailable).then_some(RETRY_AFTER_SECONDS),
        }
    }

    fn about(field: impl Into<String>, kind: Kind, detail: impl Into<Cow<'static, str>>) -> Self {
        Self { field: Some(field.into()), ..Self::new(kind, detail) }
    }

    /// No valid key.
    pub(super) fn unauthorized(detail: &'static str) -> Self {
        Self::new(Kind::Unauthorized, detail)
    }

    /// Whether there is no valid key.
    pub(super) fn is_unauthorized(&self) -> bool {
        self.kind == Kind::Unauthorized
    }

    /// The key is good, but not for this.
    pub(super) fn forbidden(detail: String) -> Self {
        Self::new(Kind::Forbidden, detail)
    }

    /// The key was used too often; it is good again in so many seconds.
    pub(super) fn too_many_requests(seconds: u32) -> Self {
        Self::later(seconds, "this API key makes more requests than it may; wait for `Retry-After` seconds")
    }

    /// Too many keys were tried that are not known.
    pub(super) fn too_many_unknown_keys(seconds: u32) -> Self {
        Self::later(seconds, "too many unknown API keys are being tried; wait for `Retry-After` seconds")
    }

    fn later(seconds: u32, detail: &'static str) -> Self {
        Self { retry_after_seconds: Some(seconds), ..Self::new(Kind::TooManyRequests, detail) }
    }

    /// The thing that `field` names does not exist.
    pub(super) fn not_found(field: &'static str, detail: String) -> Self {
        Self::about(field, Kind::NotFound, detail)
    }

    /// A query parameter is unknown or wrong.
    pub(super) fn parameter(name: &str, detail: String) -> Self {
        Self::about(name, Kind::BadParameter, detail)
    }

    /// A header is wrong.
    pub(super) fn header(name: &'static str, detail: &'static str) -> Self {
        Self::about(name, Kind::BadHeader, detail)
    }

    /// A field of the body is unknown, missing or wrong.
    pub(super) fn field(name: impl Into<String>, detail: impl Into<Cow<'static, str>>) -> Self {
        Self::about(name, Kind::InvalidField, detail)
    }

    /// The body is JSON of the wrong shape as a whole.
    pub(super) fn body(detail: String) -> Self {
        Self::new(Kind::InvalidField, detail)
    }

    /// The idempotency key was used for something else.
    pub(super) fn key_reused(header: &'static str) -> Self {
        Self::about(
            header,
            Kind::KeyReused,
            "this key was used before with a different request; repeat that request unchanged, or take a fresh key",
        )
    }

    /// The thing is not in a state that allows what is asked.
    pub(super) fn conflict(detail: String) -> Self {
        Self::new(Kind::Conflict, detail)
    }

    /// The message could not leave now, for this reason.
    pub(super) fn withheld(refusal: Refusal) -> Self {
        let kind = match refusal {
            Refusal::WindowClosed => Kind::WindowClosed,
            Refusal::OptedOut => Kind::OptedOut,
            _ => Kind::Conflict,
        };
        Self::new(kind, refusal.cause())
    }

    /// A body that is no JSON, or is JSON of which nobody knows what it says.
    pub(super) fn of_serde(error: &serde_json::Error) -> Self {
        let what = if error.is_data() { "the body is not clear" } else { "the body is not JSON" };
        Self::malformed(format!("{what}: {error}"))
    }

    /// The body cannot be read.
    pub(super) fn malformed(detail: String) -> Self {
        Self::new(Kind::Malformed, detail)
    }

    /// The body is of a type that is not taken.
    pub(super) fn media_type(detail: String) -> Self {
        Self::about("Content-Type", Kind::MediaType, detail)
    }

    /// The range that is asked for is not there.
    pub(super) fn range(detail: String) -> Self {
        Self::about("Range", Kind::BadRange, detail)
    }

    /// The body has more than `limit` bytes.
    pub(super) fn too_large(detail: String, limit: u64) -> Self {
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        // What came by then is more than the limit; how much it would have been, nobody waited to see.
        Self { measure: Some((limit.saturating_add(1), limit)), ..Self::new(Kind::TooLarge, detail) }
    }

    /// It is not possible now, and may be soon.
    pub(super) fn unavailable(detail: &'static str) -> Self {
        Self::new(Kind::Unavailable, detail)
    }

    /// No room for more work.
    pub(super) fn busy() -> Self {
        Self::new(
            Kind::Unavailable,
            "too many events wait for their turn; nothing was accepted, try again soon",
        )
    }

    /// Too many messages wait already.
    pub(super) fn queue_full() -> Self {
        Self::new(
            Kind::Unavailable,
            "too many messages wait to leave (SWITCHBOARD_OUTBOUND_QUEUE); nothing was accepted, try again later",
        )
    }

    /// Something that should not be. `reason` goes to the log and not to the client.
    pub(super) fn internal(reason: &str) -> Self {
        tracing::error!(reason, "a request failed");
        Self::new(Kind::Internal, "the cause is in the server's log")
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.detail)
    }
}

impl ResponseError for Problem {
    fn status_code(&self) -> StatusCode {
        self.kind.row().0
    }

    fn error_response(&self) -> HttpResponse {
        let (status, slug, title) = self.kind.row();
        let mut response = HttpResponse::build(status);
        if self.kind == Kind::Unauthorized {
            response.insert_header((WWW_AUTHENTICATE, "Bearer"));
        }
        if let Some(allow) = &self.allow {
            response.insert_header((ALLOW, allow.as_str()));
        }
        if let Some(seconds) = self.retry_after_seconds {
            response.insert_header((RETRY_AFTER, seconds));
        }
        let mut response = response.content_type(CONTENT_TYPE).json(Body {
            r#type: format!("{TYPE_PREFIX}{slug}"),
            title,
            status: status.as_u16(),
            detail: &self.detail,
            field: self.field.as_deref(),
            length: self.measure.map(|(length, _)| length),
            limit: self.measure.map(|(_, limit)| limit),
        });
        response.extensions_mut().insert(Slug(slug));
        response
    }
}

impl From<store::Error> for Problem {
    /// The store's own words are logged here, once, because the answer must not say them.
    fn from(error: store::Error) -> Self {
        match error {
            store::Error::Database(_) | store::Error::Closed => {
                tracing::error!(%error, "a request failed: the store does not answer");
                Self::new(Kind::Unavailable, "the database does not answer; try again soon")
            }
            store::Error::Setup(_) | store::Error::Corrupt { .. } => Self::internal(&error.to_string()),
        }
    }
}

impl From<Invalid> for Problem {
    fn from(invalid: Invalid) -> Self {
        Self { measure: invalid.measure(), ..Self::field(invalid.field(), invalid.to_string()) }
    }
}

/// A body that is no JSON, is too large, or is not said to be JSON.
pub(super) fn of_json(error: JsonPayloadError, _: &HttpRequest) -> actix_web::Error {
    let problem = match error {
        JsonPayloadError::OverflowKnownLength { .. } | JsonPayloadError::Overflow { .. } => {
            Problem::new(Kind::TooLarge, format!("a body of at most {BODY_MAX_BYTES} bytes is read"))
        }
        JsonPayloadError::ContentType => {
            Problem::new(Kind::MediaType, "send the header `Content-Type: application/json`")
        }
        JsonPayloadError::Deserialize(error) => Problem::of_serde(&error),
        _ => Problem::new(Kind::Malformed, "the body broke off or is encoded in an unknown way"),
    };
    problem.into()
}

/// A path whose variable part cannot be read.
pub(super) fn of_path(_: &PathError) -> Problem {
    Problem::new(Kind::UnknownPath, "the last part of the path cannot be read")
}

/// Nothing is here.
pub(super) fn unknown_path() -> Problem {
    Problem::new(Kind::UnknownPath, "there is nothing at this path; the endpoints are under /api/whatsapp")
}

/// Something is here, but not for this method.
pub(super) fn wrong_method(allow: String) -> Problem {
    let detail = format!("use {allow} here");
    Problem { allow: Some(allow), ..Problem::new(Kind::WrongMethod, detail) }
}

impl actix_web::Responder for Problem {
    type Body = actix_web::body::BoxBody;

    fn respond_to(self, _: &HttpRequest) -> HttpResponse {
        self.error_response()
    }
}
