//! What runs beside the sender: taking up at the start what was queued before, and finding what a lost hint left behind.

use std::collections::HashSet;
use std::time::Duration;

use actix::Addr;

use crate::clock::duration_ms;
use crate::sender::actor::{CountWaiting, FindUnknown, Queue, SenderActor, adopted};
use crate::store::{Error, Outbound, Store};
use crate::telemetry::Metrics;

/// Takes up what is queued. What was claimed when the program ended is ambiguous from here on, with a full grace.
///
/// # Errors
/// When the store cannot be read or written.
pub async fn adopt(store: &Store, sender: &Addr<SenderActor>, grace: Duration) -> Result<usize, Error> {
    store.adopt_orphans(store.clock().now() + duration_ms(grace)).await?;
    let found = store.outbound().await?;
    let count = found.len();
    sender.do_send(Queue(found));
    Ok(count)
}

/// For ever: every `every`, tells the metrics what waits, and hands over what the sender does not know of. A message counts
/// as lost when it is unknown at two looks in a row, because a row is there a moment before its hint.
pub async fn reconcile(
    store: Store,
    sender: Addr<SenderActor>,
    metrics: Metrics,
    every: Duration,
    grace: Duration,
) {
    let mut suspected = HashSet::new();
    loop {
        store.clock().sleep(every).await;
        match look(&store, &sender, &metrics).await {
            Ok(unknown) => {
                let (lost, new): (Vec<Outbound>, Vec<Outbound>) =
                    unknown.into_iter().partition(|outbound| suspected.contains(&outbound.id));
                suspected = new.into_iter().map(|outbound| outbound.id).collect();
                if !lost.is_empty() {
                    tracing::warn!(messages = lost.len(), "the sender did not know of queued messages");
                    let until = store.clock().now() + duration_ms(grace);
                    sender.do_send(Queue(adopted(lost, until)));
                }
            }
            Err(Error::Closed) => return,
            Err(error) => tracing::error!(%error, "cannot look at the queue"),
        }
    }
}

/// Tells the metrics what waits, and finds what the sender does not know of.
async fn look(store: &Store, sender: &Addr<SenderActor>, metrics: &Metrics) -> Result<Vec<Outbound>, Error> {
    let backlog = store.backlog().await?;
    let open: i64 = backlog.by_state.iter().filter(|(state, _)| *state != "dead").map(|(_, rows)| rows).sum();
    let age = backlog.oldest_at.map_or(0, |at| (store.clock().now() - at).max(0));
    metrics.queue(open, Duration::from_millis(age.unsigned_abs()).as_secs_f64());
    metrics.ambiguous_sends(backlog.by_state.get("ambiguous").copied().unwrap_or(0));
    let known = sender.send(CountWaiting).await.map_err(|_| Error::Closed)?;
    if usize::try_from(open).unwrap_or(0) <= known {
        return Ok(Vec::new());
    }
    sender.send(FindUnknown(store.outbound().await?)).await.map_err(|_| Error::Closed)
}
