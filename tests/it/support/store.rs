//! A store without the app around it, and what the door would bring it.

use std::time::Duration;

use switchboard::clock::{Clock, Ids};
use switchboard::meta::webhook::{Body, Item, parse};
use switchboard::store::{HashKey, Hint, Incoming, IncomingBody, Settings, Store};
use switchboard::telemetry::Metrics;
use tokio::sync::mpsc::UnboundedReceiver;

use super::database::Database;

pub(crate) fn settings(database: &Database, migrate: bool) -> Settings {
    Settings {
        url: database.url.clone(),
        migrate,
        reader_connections: 2,
        batch_max: 64,
        directory_cache: 100,
        unfinished_max: 1_000,
        queued_max: 1_000,
        window_margin: Duration::from_secs(60),
        hash_key: HashKey::default(),
        scrub_max_bytes: 0,
    }
}

/// A store whose clock stands at `now`.
pub(crate) async fn open(database: &Database, now: i64) -> (Store, UnboundedReceiver<Hint>) {
    let (clock, _) = Clock::manual(now);
    Store::open(&settings(database, true), clock.clone(), Ids::new(clock), Metrics::new()).await.unwrap()
}

/// Everything in one body of Meta's, as the door would bring it.
pub(crate) fn incoming(body: &[u8]) -> Vec<Incoming> {
    let bring = |item: Item| Incoming {
        dedupe_key: item.dedupe_key,
        payload: item.payload,
        body: match item.body {
            Body::Message(message) => {
                IncomingBody::Message { phone_number_id: item.phone_number_id.unwrap(), message }
            }
            Body::Status(update) => IncomingBody::Status { phone_number_id: item.phone_number_id, update },
            other => panic!("{other:?}"),
        },
    };
    parse(body).unwrap().into_iter().map(bring).collect()
}
