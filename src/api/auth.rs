//! Who may come in: `Authorization: Bearer <key>`, and how often.
//!
//! There is the key that the environment names, which may do everything and is stored nowhere, and there are those in the
//! table. What is read of the table is remembered for a moment only, so that a key that is revoked, here or by the command
//! line, is of no use within seconds. A key that was not known is looked for at once, so that a new one opens from its
//! first use; but guesses cannot load the database: a wrong key is remembered too, and only so many are looked for in a
//! second.

use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use actix_web::body::{EitherBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::AUTHORIZATION;
use actix_web::middleware::Next;
use actix_web::web::Data;
use actix_web::{Error, HttpMessage as _, ResponseError};
use lru::LruCache;

use super::problem::Problem;
use super::rate::{Limiter, Rate};
use crate::clock::{MINUTE, Millis, SECOND};
use crate::config::Secret;
use crate::domain::access::{KeyHash, Scopes};
use crate::store::{Actor, Store, StoredKey};

/// How long what the table says of a key is taken for true.
const REMEMBERED_FOR: Millis = 3 * SECOND;
/// Keys that are remembered.
const REMEMBERED_MAX: NonZeroUsize = NonZeroUsize::new(10_000).expect("10,000 is not 0");
/// How long a key that is in no row is taken for wrong. Nobody can have guessed a key that is made later.
const UNKNOWN_FOR: Millis = MINUTE;
/// Wrong keys that are remembered.
const UNKNOWN_MAX: NonZeroUsize = NonZeroUsize::new(1_024).expect("1,024 is not 0");
/// How often the table is searched for keys that are not remembered.
const LOOKS: Rate = Rate { per_second: 20, burst: 100 };
/// How often the last use of a key is written down, at the most.
const USE_WRITTEN_EVERY: Millis = MINUTE;

/// Whoever brought a key.
#[derive(Debug, Clone)]
pub(super) struct Caller {
    /// Who that is, for the audit log.
    pub(super) actor: Actor,
    /// What they may do.
    pub(super) scopes: Scopes,
}

/// The keys that open this door.
#[derive(Clone)]
pub struct ApiKeys(Arc<Ring>);

struct Ring {
    environment: Option<(KeyHash, Limiter)>,
    store: Store,
    rate: Rate,
    known: Mutex<LruCache<i64, Arc<Known>>>,
    unknown: Mutex<LruCache<i64, (KeyHash, Millis)>>,
    looks: Limiter,
}

/// A key of the table.
struct Known {
    key: StoredKey,
    limiter: Arc<Limiter>,
    looked_at: AtomicI64,
    used_at: AtomicI64,
}

impl ApiKeys {
    /// The key of the environment, if there is one, and those of the table, each with this rate unless it has its own.
    #[must_use]
    pub fn new(environment: Option<&Secret>, store: Store, rate: Rate) -> Self {
        let limiter = |rate| Limiter::new(rate, store.clock().clone());
        Self(Arc::new(Ring {
            environment: environment.map(|key| (KeyHash::of(key.expose()), limiter(rate))),
            looks: limiter(LOOKS),
            rate,
            known: Mutex::new(LruCache::new(REMEMBERED_MAX)),
            unknown: Mutex::new(LruCache::new(UNKNOWN_MAX)),
            store,
        }))
    }

    /// Who brings this header, if they may come in now.
    async fn identify(&self, header: Option<&str>) -> Result<Caller, Problem> {
        let Some(header) = header else {
            return Err(Problem::unauthorized("send your API key as `Authorization: Bearer …`"));
        };
        let Some(key) = bearer(header) else {
            return Err(Problem::unauthorized("the Authorization header has to be `Bearer` and the API key"));
        };
        let ring = &self.0;
        let hash = KeyHash::of(key);
        if let Some((known, limiter)) = &ring.environment
            && known.is(hash)
        {
            limiter.admit().map_err(Problem::too_many_requests)?;
            return Ok(Caller { actor: Actor::EnvironmentKey, scopes: Scopes::all() });
        }
        let Some(known) = ring.find(hash).await? else {
            return Err(Problem::unauthorized(
                "this API key is not known, or not any more; `switchboard key create` makes one",
            ));
        };
        let now = ring.store.clock().now();
        if known.key.expires_at.is_some_and(|at| at <= now) {
            return Err(Problem::unauthorized(
                "this API key has expired; `switchboard key create` makes another",
            ));
        }
        known.limiter.admit().map_err(Problem::too_many_requests)?;
        ring.used(&known, now);
        let actor = Actor::Key { id: known.key.id, name: known.key.name.clone() };
        Ok(Caller { actor, scopes: known.key.scopes })
    }
}

impl ApiKeys {
    /// Whether this header still opens the door: the key that it names is not revoked and has not expired.
    pub(super) async fn still_open(&self, header: Option<&str>) -> bool {
        self.identify(header).await.map_or_else(|problem| !problem.is_unauthorized(), |_| true)
    }
}

impl Ring {
    /// The key with this hash: as remembered, or as the table has it.
    async fn find(&self, hash: KeyHash) -> Result<Option<Arc<Known>>, Problem> {
        let now = self.store.clock().now();
        let known = lock(&self.known).get(&hash.handle()).filter(|known| known.key.hash.is(hash)).cloned();
        if let Some(known) = known {
            let looked_at = known.looked_at.load(Ordering::Relaxed);
            // Of those who come when it is time, one looks again; the others go on with what is known.
            let fresh = now - looked_at < REMEMBERED_FOR
                || known
                    .looked_at
                    .compare_exchange(looked_at, now, Ordering::Relaxed, Ordering::Relaxed)
                    .is_err();
            if fresh {
                return Ok(Some(known));
            }
            return match self.store.find_key_by_hash(hash).await {
                Ok(found) => Ok(self.learn(hash, found, Some(&known), now)),
                // As long as the database cannot be read, nobody can revoke a key either.
                Err(error) => {
                    tracing::warn!(%error, key = %known.key.id, "a key cannot be looked up; it goes on as it was");
                    Ok(Some(known))
                }
            };
        }
        let is_wrong = lock(&self.unknown)
            .get(&hash.handle())
            .is_some_and(|(wrong, at)| wrong.is(hash) && now - at < UNKNOWN_FOR);
        if is_wrong {
            return Ok(None);
        }
        self.looks.admit().map_err(Problem::too_many_unknown_keys)?;
        let found = self.store.find_key_by_hash(hash).await?;
        Ok(self.learn(hash, found, None, now))
    }

    /// Remembers what the table says. A key whose rate is the same keeps what it has used of it.
    fn learn(
        &self,
        hash: KeyHash,
        found: Option<StoredKey>,
        before: Option<&Known>,
        now: Millis,
    ) -> Option<Arc<Known>> {
        let Some(key) = found.filter(|key| key.revoked_at.is_none()) else {
            lock(&self.known).pop(&hash.handle());
            lock(&self.unknown).put(hash.handle(), (hash, now));
            return None;
        };
        let before = before.filter(|before| before.key.requests_per_second == key.requests_per_second);
        let limiter = before.map_or_else(
            || {
                let rate = key.requests_per_second.map_or(self.rate, |own| self.rate.with(own));
                Arc::new(Limiter::new(rate, self.store.clock().clone()))
            },
            |before| Arc::clone(&before.limiter),
        );
        let used_at = before.map_or(Millis::MIN, |before| before.used_at.load(Ordering::Relaxed));
        let known = Arc::new(Known {
            used_at: AtomicI64::new(used_at.max(key.last_used_at.unwrap_or(Millis::MIN))),
            looked_at: AtomicI64::new(now),
            limiter,
            key,
        });
        lock(&self.known).put(hash.handle(), Arc::clone(&known));
        Some(known)
    }

    /// Writes down that a key was used, now and then, and keeps nobody waiting for it.
    fn used(&self, known: &Known, now: Millis) {
        let used_at = known.used_at.load(Ordering::Relaxed);
        let due = now.saturating_sub(used_at) >= USE_WRITTEN_EVERY;
        if due && known.used_at.compare_exchange(used_at, now, Ordering::Relaxed, Ordering::Relaxed).is_ok() {
            let (store, id) = (self.store.clone(), known.key.id);
            actix_web::rt::spawn(async move {
                if let Err(error) = store.key_used(id, now).await {
                    tracing::warn!(%error, key = %id, "the last use of a key cannot be written down");
                }
            });
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The token of a bearer header; the scheme's case does not matter (RFC 9110, 11.1).
fn bearer(header: &str) -> Option<&str> {
    let (scheme, key) = header.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| key.trim())
}

/// Middleware: turns away whoever brings no key that is good now, before anything else is looked at.
pub(super) async fn require_key<B: MessageBody>(
    keys: Data<ApiKeys>,
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<EitherBody<B>>, Error> {
    let header =
        request.headers().get(AUTHORIZATION).map(|value| value.to_str().unwrap_or_default().to_owned());
    match keys.identify(header.as_deref()).await {
        Ok(caller) => {
            request.extensions_mut().insert(caller);
            next.call(request).await.map(ServiceResponse::map_into_left_body)
        }
        Err(problem) => Ok(request.into_response(problem.error_response()).map_into_right_body()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bearer_header_is_understood_and_nothing_else_is() {
        for fine in ["Bearer one", "bearer one", "BEARER  one"] {
            assert_eq!(bearer(fine), Some("one"), "{fine}");
        }
        for wrong in ["Bearer", "one", "Basic one", ""] {
            assert_eq!(bearer(wrong), None, "{wrong}");
        }
    }
}
