//! Bodies that are read field by field.

use std::ops::Deref;

use actix_web::dev::Payload;
use actix_web::error::PayloadError;
use actix_web::web::Bytes;
use actix_web::{FromRequest, HttpRequest};
use futures_util::FutureExt as _;
use futures_util::future::LocalBoxFuture;
use serde_json::{Map, Value};

use super::BODY_MAX_BYTES;
use super::problem::Problem;
use crate::domain::outbound::{self, Fields};

/// A body that may be empty, as it came.
pub(super) struct Raw(Bytes);

impl Deref for Raw {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl FromRequest for Raw {
    type Error = Problem;
    type Future = LocalBoxFuture<'static, Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let whole = Bytes::from_request(request, payload);
        async move {
            whole.await.map(Self).map_err(|error| match error.as_error::<PayloadError>() {
                Some(PayloadError::Overflow) => {
                    let limit = BODY_MAX_BYTES as u64;
                    Problem::too_large(format!("a body of at most {BODY_MAX_BYTES} bytes is read"), limit)
                }
                _ => Problem::malformed("the body broke off or is encoded in an unknown way".to_owned()),
            })
        }
        .boxed_local()
    }
}

/// The fields of a body, which has to be an object.
pub(super) fn fields(body: Value) -> Result<Fields, Problem> {
    match body {
        Value::Object(fields) => Ok(Fields::new(fields)),
        other => {
            Err(Problem::body(format!("the body has to be a JSON object, not {}", outbound::kind(&other))))
        }
    }
}

/// The fields of a body that may be left out.
pub(super) fn perhaps(body: &[u8]) -> Result<Fields, Problem> {
    if body.is_empty() {
        return Ok(Fields::new(Map::new()));
    }
    match serde_json::from_slice(body) {
        Ok(Value::Null) => Ok(Fields::new(Map::new())),
        Ok(body) => fields(body),
        Err(error) => Err(Problem::malformed(format!("the body is not JSON: {error}"))),
    }
}
