//! Bodies that are read field by field.

use std::fmt;
use std::ops::Deref;

use actix_web::dev::Payload;
use actix_web::error::PayloadError;
use actix_web::web::Bytes;
use actix_web::{FromRequest, HttpRequest};
use futures_util::FutureExt as _;
use futures_util::future::LocalBoxFuture;
use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
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

/// A JSON body in which no object has a key twice: nobody knows which of the two is meant.
#[derive(Debug)]
pub(super) struct Body(pub(super) Value);

impl<'de> Deserialize<'de> for Body {
    fn deserialize<D: Deserializer<'de>>(json: D) -> Result<Self, D::Error> {
        json.deserialize_any(Unambiguous).map(Self)
    }
}

struct Unambiguous;

impl<'de> Visitor<'de> for Unambiguous {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, flag: bool) -> Result<Value, E> {
        Ok(flag.into())
    }

    fn visit_i64<E>(self, number: i64) -> Result<Value, E> {
        Ok(number.into())
    }

    fn visit_u64<E>(self, number: u64) -> Result<Value, E> {
        Ok(number.into())
    }

    fn visit_f64<E>(self, number: f64) -> Result<Value, E> {
        Ok(number.into())
    }

    fn visit_str<E>(self, text: &str) -> Result<Value, E> {
        Ok(text.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Value, A::Error> {
        let mut values = Vec::new();
        while let Some(Body(value)) = list.next_element()? {
            values.push(value);
        }
        Ok(Value::Array(values))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<Value, A::Error> {
        let mut fields = Map::new();
        while let Some((key, Body(value))) = object.next_entry::<String, Body>()? {
            if fields.contains_key(&key) {
                return Err(A::Error::custom(format!("`{key}` is given twice")));
            }
            fields.insert(key, value);
        }
        Ok(Value::Object(fields))
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
        Ok(Body(Value::Null)) => Ok(Fields::new(Map::new())),
        Ok(Body(body)) => fields(body),
        Err(error) => Err(Problem::of_serde(&error)),
    }
}
