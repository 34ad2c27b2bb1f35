//! `Idempotency-Key`: a client that did not see the answer asks again with the same key, and it happens once.

use actix_web::HttpRequest;
use utoipa::IntoParams;

use super::digest::fingerprint;
use super::problem::Problem;
use crate::domain::dedupe::DedupeKey;

/// The header.
pub(super) const IDEMPOTENCY_KEY: &str = "Idempotency-Key";
/// Characters in a key, at the most.
const KEY_MAX: usize = 255;

/// The header, for the document.
#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
#[expect(dead_code, reason = "for the document; the header is read by itself")]
pub(super) struct IdempotencyHeader {
    /// The client's own name for this request. Asked again with the same one, the answer is that of the first time, and
    /// nothing happens twice.
    #[param(
        rename = "Idempotency-Key",
        min_length = 1,
        max_length = 255,
        pattern = "^[!-~]+$",
        example = "order-4711"
    )]
    key: Option<String>,
}

/// A client's own name for a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct IdempotencyKey(String);

impl IdempotencyKey {
    /// The key of `request`, if it has one.
    pub(super) fn of(request: &HttpRequest) -> Result<Option<Self>, Problem> {
        let mut given = request.headers().get_all(IDEMPOTENCY_KEY);
        let Some(key) = given.next() else { return Ok(None) };
        let fits = (1..=KEY_MAX).contains(&key.len()) && key.as_bytes().iter().all(u8::is_ascii_graphic);
        match key.to_str() {
            Ok(key) if fits && given.next().is_none() => Ok(Some(Self(key.to_owned()))),
            _ => Err(Problem::header(
                IDEMPOTENCY_KEY,
                "`Idempotency-Key` has to be there once, with 1 to 255 visible ASCII characters",
            )),
        }
    }

    /// The key under which the event is accepted.
    pub(super) fn dedupe_key(&self) -> DedupeKey {
        DedupeKey::of(&format!("c:{}", fingerprint(&self.0)))
    }
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    fn of(key: &str) -> Result<Option<IdempotencyKey>, Problem> {
        IdempotencyKey::of(&TestRequest::default().insert_header((IDEMPOTENCY_KEY, key)).to_http_request())
    }

    #[test]
    fn a_key_is_one_to_255_visible_characters() {
        assert_eq!(IdempotencyKey::of(&TestRequest::default().to_http_request()), Ok(None));
        let longest = of(&"k".repeat(KEY_MAX)).unwrap().unwrap();
        assert_ne!(longest.dedupe_key(), of("k").unwrap().unwrap().dedupe_key());
        for wrong in ["", " ", "a b", "a\tb", &"k".repeat(KEY_MAX + 1)] {
            assert!(of(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn two_keys_are_refused() {
        let request = TestRequest::default()
            .append_header((IDEMPOTENCY_KEY, "a"))
            .append_header((IDEMPOTENCY_KEY, "b"))
            .to_http_request();
        assert!(IdempotencyKey::of(&request).is_err());
    }
}
