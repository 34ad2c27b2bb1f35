//! What runs beside the router: finding what is accepted and not done, and the waits that are over.

use std::time::Duration;

use actix::Addr;

use crate::clock::{Millis, duration_ms};
use crate::domain::dedupe::DedupeKey;
use crate::router::actor::{Recover, RouterActor};
use crate::store::{Error, Incoming, IncomingBody, Store};

/// How often timers are looked at.
const TIMER_TICK: Duration = Duration::from_millis(250);
/// Timers taken up in one go.
const TIMERS_MAX: u64 = 500;

/// Hands everything that is accepted and not done to the router: what was left over at the last end of the program.
///
/// # Errors
/// When the store cannot be read.
pub async fn recover(store: &Store, router: &Addr<RouterActor>) -> Result<usize, Error> {
    let unfinished = store.unfinished_before(Millis::MAX).await?;
    let count = unfinished.len();
    router.do_send(Recover(unfinished));
    Ok(count)
}

/// For ever: every `every`, hands what was accepted more than `age` ago and is not done to the router.
pub async fn sweep(store: Store, router: Addr<RouterActor>, every: Duration, age: Duration) {
    loop {
        store.clock().sleep(every).await;
        let before = store.clock().now() - duration_ms(age);
        let swept = async {
            store.recount().await?;
            store.unfinished_before(before).await
        };
        match swept.await {
            Ok(unfinished) if unfinished.is_empty() => {}
            Ok(unfinished) => router.do_send(Recover(unfinished)),
            Err(Error::Closed) => return,
            Err(error) => tracing::error!(%error, "cannot look for unfinished events"),
        }
    }
}

/// For ever: turns waits that are over into events.
pub async fn timers(store: Store) {
    loop {
        store.clock().sleep(TIMER_TICK).await;
        match fire(&store).await {
            Ok(()) => {}
            Err(Error::Closed) => return,
            Err(error) => tracing::error!(%error, "cannot look for due timers"),
        }
    }
}

async fn fire(store: &Store) -> Result<(), Error> {
    let mut due = store.due_timers(store.clock().now(), TIMERS_MAX).await?;
    // Those for which there is no room stay due, and the next look finds them.
    let room = loop {
        if due.is_empty() {
            return Ok(());
        }
        match store.reserve(due.len()) {
            Some(room) => break room,
            None => due.truncate(due.len() / 2),
        }
    };
    let incoming = due
        .into_iter()
        .map(|timer| Incoming {
            dedupe_key: DedupeKey::of(&format!("t:{}:{}", timer.conversation, timer.generation)),
            payload: timer.generation.to_string(),
            body: IncomingBody::Timer { conversation: timer.conversation, generation: timer.generation },
        })
        .collect();
    store.accept(incoming, room).await.map(drop)
}
