//! `X-Request-Id`: by which a client, the audit log and a person who helps speak of the same request.

use actix_web::body::MessageBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::{HeaderName, HeaderValue};
use actix_web::middleware::Next;
use actix_web::{Error, HttpMessage};
use uuid::Uuid;

/// The header, in both directions.
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// Characters in one that a client gives, at the most. A longer one, or one with blanks, is replaced.
const REQUEST_ID_MAX: usize = 128;

/// The id of the request under way.
#[derive(Debug, Clone)]
pub(super) struct RequestId(HeaderValue);

impl RequestId {
    /// That of `request`.
    pub(super) fn of(request: &impl HttpMessage) -> Option<String> {
        request.extensions().get::<Self>().and_then(|id| id.0.to_str().ok()).map(str::to_owned)
    }
}

/// Middleware: takes the id that the client gives, or makes one, and gives it back with the answer.
pub(super) async fn attach<B: MessageBody>(
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<B>, Error> {
    let fits = |id: &&HeaderValue| {
        (1..=REQUEST_ID_MAX).contains(&id.len()) && id.as_bytes().iter().all(u8::is_ascii_graphic)
    };
    let id = request.headers().get(REQUEST_ID).filter(fits).cloned().unwrap_or_else(made_up);
    request.extensions_mut().insert(RequestId(id.clone()));
    let mut response = next.call(request).await?;
    response.headers_mut().insert(REQUEST_ID, id);
    Ok(response)
}

fn made_up() -> HeaderValue {
    HeaderValue::from_str(&Uuid::new_v4().to_string()).expect("hexadecimal digits and dashes")
}
