//! Who may come in: `Authorization: Bearer <key>`.

use actix_web::body::{EitherBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::AUTHORIZATION;
use actix_web::middleware::Next;
use actix_web::web::Data;
use actix_web::{Error, ResponseError};
use subtle::{Choice, ConstantTimeEq};

use super::digest::{Digest, digest};
use super::problem::Problem;
use crate::config::Secret;

/// The keys that open this door. Only their hashes are kept.
#[derive(Clone)]
pub struct ApiKeys(Vec<Digest>);

impl ApiKeys {
    /// These keys and no other. Without any, everything that needs a key is refused.
    pub fn new(keys: impl IntoIterator<Item = Secret>) -> Self {
        Self(keys.into_iter().map(|key| digest(key.expose())).collect())
    }

    /// Whether `key` is one of them. Takes the same time for every key of the same length: what is compared is its hash,
    /// in constant time, with all that are known.
    fn knows(&self, key: &str) -> bool {
        let given = digest(key);
        self.0.iter().fold(Choice::from(0), |found, known| found | known.ct_eq(&given)).into()
    }

    fn check(&self, header: Option<&str>) -> Result<(), Problem> {
        if self.0.is_empty() {
            return Err(Problem::unauthorized(
                "no API key is configured: set SWITCHBOARD_API_KEY and restart",
            ));
        }
        let Some(header) = header else {
            return Err(Problem::unauthorized("send your API key as `Authorization: Bearer …`"));
        };
        match bearer(header) {
            Some(key) if self.knows(key) => Ok(()),
            Some(_) => Err(Problem::unauthorized("this API key is not known")),
            None => Err(Problem::unauthorized("the Authorization header has to be `Bearer` and the API key")),
        }
    }
}

/// The token of a bearer header; the scheme's case does not matter (RFC 9110, 11.1).
fn bearer(header: &str) -> Option<&str> {
    let (scheme, key) = header.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| key.trim())
}

/// Middleware: answers 401 to whoever brings none of `keys`, before anything else is looked at.
pub(super) async fn require_key<B: MessageBody>(
    keys: Data<ApiKeys>,
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<EitherBody<B>>, Error> {
    let header = request.headers().get(AUTHORIZATION).map(|value| value.to_str().unwrap_or_default());
    match keys.check(header) {
        Ok(()) => next.call(request).await.map(ServiceResponse::map_into_left_body),
        Err(problem) => Ok(request.into_response(problem.error_response()).map_into_right_body()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(list: &[&str]) -> ApiKeys {
        ApiKeys::new(list.iter().filter_map(|key| Secret::new(*key)))
    }

    #[test]
    fn each_of_the_keys_opens_and_nothing_else_does() {
        let keys = keys(&["one", "two"]);
        for fine in ["Bearer one", "bearer two", "BEARER  two"] {
            assert_eq!(keys.check(Some(fine)), Ok(()), "{fine}");
        }
        for wrong in ["Bearer three", "Bearer", "Bearer ", "one", "Basic one", "Bearer onetwo", ""] {
            assert!(keys.check(Some(wrong)).is_err(), "{wrong}");
        }
        assert!(keys.check(None).is_err());
    }

    #[test]
    fn without_keys_nothing_opens_and_the_mend_is_told() {
        let refused = keys(&[]).check(Some("Bearer ")).unwrap_err();
        assert!(refused.to_string().contains("SWITCHBOARD_API_KEY"), "{refused}");
    }
}
