//! What runs beside the sender: taking up at the start what was queued before, finding what a lost hint left behind, and
//! looking for a new token where Meta refuses the one there is.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use actix::Addr;

use crate::clock::{Clock, duration_ms};
use crate::config::Secret;
use crate::sender::Board;
use crate::sender::actor::{CountWaiting, FindUnknown, Queue, SenderActor, SetToken, adopted};
use crate::store::{Error, Outbound, Store, TokenPause};
use crate::telemetry::Metrics;

/// How often the configuration is looked at while Meta refuses a number's token.
const REREAD_INTERVAL: Duration = Duration::from_secs(10);
/// How long a pause that the store refused waits before it is written down again.
const KEEP_INTERVAL: Duration = Duration::from_secs(1);

/// The token that the configuration has for a number at the moment; `None` where it has none or cannot be read. It may take
/// its time, and reads files.
pub type Tokens = Arc<dyn Fn(&str) -> Option<Secret> + Send + Sync>;

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
    let open = backlog.waiting();
    let age = backlog.oldest_at.map_or(0, |at| (store.clock().now() - at).max(0));
    metrics.queue(open, Duration::from_millis(age.unsigned_abs()).as_secs_f64());
    metrics.ambiguous_sends(backlog.by_state.get("ambiguous").copied().unwrap_or(0));
    let known = sender.send(CountWaiting).await.map_err(|_| Error::Closed)?;
    if usize::try_from(open).unwrap_or(0) <= known {
        return Ok(Vec::new());
    }
    sender.send(FindUnknown(store.outbound().await?)).await.map_err(|_| Error::Closed)
}

/// For ever: while Meta refuses the token of a number, looks every now and then whether the configuration has another one than
/// when it was last looked at. `seen` is what it had at the start.
pub async fn reread_tokens(
    clock: Clock,
    board: Board,
    sender: Addr<SenderActor>,
    tokens: Tokens,
    mut seen: HashMap<String, Secret>,
) {
    loop {
        clock.sleep(REREAD_INTERVAL).await;
        let paused = board
            .numbers()
            .into_iter()
            .filter(|(_, state)| state.paused.as_ref().is_some_and(|pause| pause.for_token));
        for (number, _) in paused {
            let (tokens, phone_number_id) = (Arc::clone(&tokens), number.to_string());
            let read = tokio::task::spawn_blocking(move || tokens(&number)).await;
            let Some(token) = read.ok().flatten() else { continue };
            if seen.get(&phone_number_id) == Some(&token) {
                continue;
            }
            seen.insert(phone_number_id.clone(), token.clone());
            let wish = SetToken { phone_number_id: phone_number_id.clone(), token };
            if let Ok(Err(refused)) = sender.send(wish).await {
                tracing::error!(number = phone_number_id, %refused, "the token of the configuration is not used");
            }
        }
    }
}

/// Writes down that Meta refuses the token of a number, or takes one again, however long that takes.
pub(super) async fn keep_pause(store: Store, pause: TokenPause) {
    loop {
        match store.keep_token_pause(pause.clone()).await {
            Ok(()) | Err(Error::Closed) => return,
            Err(error) => {
                tracing::error!(number = &*pause.phone_number_id, %error, "the pause of a number waits for the store");
                store.clock().sleep(KEEP_INTERVAL).await;
            }
        }
    }
}
