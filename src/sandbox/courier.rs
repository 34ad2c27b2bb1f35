//! Carries webhooks to the receiver: signed, batched, and again until they are answered 200.
//!
//! What waits is kept in one lane per phone ([`super::lanes`]). A flush takes whatever the free lanes hold, up to [`BATCH_MAX`] updates, and
//! their lanes stay shut until that POST is answered 200: a phone's next message never overtakes its earlier one.
//! Anything else than 200 is tried again after growing pauses, without end (Meta gives up after 7 days).

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use reqwest::{Client, StatusCode, Url};
use serde::{Deserialize, Serialize};
use tokio::sync::{Notify, Semaphore, watch};
use tokio_util::sync::CancellationToken;

use super::lanes::Lanes;
use super::payload::{Number, Update, envelope};
use super::{lock, wire};
use crate::clock::Clock;

/// Updates in one POST (Meta, "Webhooks overview": at most 1,000).
pub const BATCH_MAX: usize = 1_000;
/// POSTs on their way at once.
pub const IN_FLIGHT_MAX: usize = 8;
/// The pause after a first failure; each further one doubles it.
pub const RETRY_FIRST: Duration = Duration::from_millis(250);
/// The longest pause between two tries. Meta's grow to hours; here someone is watching.
pub const RETRY_MAX: Duration = Duration::from_secs(60);
/// How long one POST may take. Meta's own limit is not documented.
pub const POST_TIMEOUT: Duration = Duration::from_secs(20);

/// Whose program posts webhooks, in the header `User-Agent`.
const USER_AGENT: &str = "facebookexternalua";

/// How webhooks are posted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Posting {
    /// Nothing is posted: it waits until this is false again.
    pub paused: bool,
    /// Each n-th POST that was answered 200 is made once more, as Meta does when it retries for another app; 0: none.
    pub duplicate_every: u64,
    /// Updates in one POST, 1 to [`BATCH_MAX`].
    pub batch_max: usize,
}

impl Default for Posting {
    fn default() -> Self {
        Self { paused: false, duplicate_every: 0, batch_max: BATCH_MAX }
    }
}

/// What the courier has done since the start.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Delivered {
    /// POSTs made, the failed ones included.
    pub posts: u64,
    /// POSTs that were not answered 200.
    pub failed: u64,
    /// POSTs that were made once more though they had been answered 200.
    pub duplicates: u64,
    /// Updates that were answered 200.
    pub acknowledged: u64,
    /// Updates that wait or are on their way.
    pub pending: u64,
    /// What was wrong with the newest POST, or absent when it went well.
    pub trouble: Option<String>,
}

/// A queue of updates and their way out.
pub(super) struct Courier {
    number: Number,
    app_secret: String,
    lanes: Mutex<Lanes>,
    wake: Notify,
    url: watch::Sender<Option<Url>>,
    posting: watch::Sender<Posting>,
    /// POSTs that were answered 200.
    taken: AtomicU64,
    duplicates: AtomicU64,
    posts: AtomicU64,
    failed: AtomicU64,
    acknowledged: AtomicU64,
    trouble: Mutex<Option<String>>,
}

impl Courier {
    pub(super) fn new(number: Number, app_secret: String, url: Option<Url>) -> Self {
        Self {
            number,
            app_secret,
            lanes: Mutex::default(),
            wake: Notify::new(),
            url: watch::Sender::new(url),
            posting: watch::Sender::default(),
            taken: AtomicU64::new(0),
            duplicates: AtomicU64::new(0),
            posts: AtomicU64::new(0),
            failed: AtomicU64::new(0),
            acknowledged: AtomicU64::new(0),
            trouble: Mutex::default(),
        }
    }

    pub(super) fn set_url(&self, url: Url) {
        self.url.send_replace(Some(url));
    }

    pub(super) fn url(&self) -> Option<String> {
        self.url.borrow().as_ref().map(ToString::to_string)
    }

    /// The business account that webhooks speak of.
    pub(super) fn account(&self) -> &str {
        &self.number.business_account_id
    }

    pub(super) fn posting(&self) -> Posting {
        *self.posting.borrow()
    }

    /// Posts otherwise from here on.
    pub(super) fn set_posting(&self, posting: Posting) {
        self.posting.send_replace(posting);
    }

    /// Waits as long as nothing may be posted.
    async fn unpaused(&self) -> Posting {
        let mut posting = self.posting.subscribe();
        match posting.wait_for(|posting| !posting.paused).await {
            Ok(posting) => *posting,
            Err(_) => Posting::default(),
        }
    }

    /// Queues updates behind what waits for their phones.
    pub(super) fn enqueue(&self, updates: impl IntoIterator<Item = Update>) {
        let mut lanes = lock(&self.lanes);
        updates.into_iter().for_each(|update| lanes.push(update));
        drop(lanes);
        self.wake.notify_one();
    }

    pub(super) fn sign(&self, body: &[u8]) -> String {
        wire::sign(&self.app_secret, body)
    }

    pub(super) fn delivered(&self) -> Delivered {
        Delivered {
            posts: self.posts.load(Ordering::Relaxed),
            failed: self.failed.load(Ordering::Relaxed),
            duplicates: self.duplicates.load(Ordering::Relaxed),
            acknowledged: self.acknowledged.load(Ordering::Relaxed),
            pending: lock(&self.lanes).pending,
            trouble: lock(&self.trouble).clone(),
        }
    }

    /// Carries what is queued until `stop`; `arrived` hears of every batch that was answered 200. Runs on a local set.
    pub(super) async fn run<F>(
        self: Arc<Self>,
        client: Client,
        clock: Clock,
        stop: CancellationToken,
        arrived: F,
    ) where
        F: Fn(&[Update]) + Clone + 'static,
    {
        let in_flight = Arc::new(Semaphore::new(IN_FLIGHT_MAX));
        loop {
            let ready = async {
                let permit = in_flight.clone().acquire_owned().await.expect("this semaphore is never closed");
                loop {
                    let posting = self.unpaused().await;
                    let batch = lock(&self.lanes).take(posting.batch_max);
                    if !batch.is_empty() {
                        return (permit, batch);
                    }
                    self.wake.notified().await;
                }
            };
            let (permit, batch) = tokio::select! {
                () = stop.cancelled() => return,
                ready = ready => ready,
            };
            let (courier, client, clock) = (self.clone(), client.clone(), clock.clone());
            let (stop, arrived) = (stop.clone(), arrived.clone());
            actix_web::rt::spawn(async move {
                tokio::select! {
                    () = stop.cancelled() => return,
                    () = courier.carry(&client, &clock, &batch) => {}
                }
                courier.acknowledged.fetch_add(batch.len() as u64, Ordering::Relaxed);
                arrived(&batch);
                batch.iter().for_each(Update::has_arrived);
                lock(&courier.lanes).arrived(&batch);
                drop(permit);
                courier.wake.notify_one();
            });
        }
    }

    /// Posts one batch until it is answered 200, and again when its turn as a duplicate has come.
    async fn carry(&self, client: &Client, clock: &Clock, batch: &[Update]) {
        let body = wire::to_wire(&envelope(&self.number, batch));
        self.insist(client, clock, &body).await;
        let taken = self.taken.fetch_add(1, Ordering::Relaxed) + 1;
        let every = self.posting().duplicate_every;
        if every > 0 && taken.is_multiple_of(every) {
            self.duplicates.fetch_add(1, Ordering::Relaxed);
            // Whatever becomes of it: it was there already.
            self.post(client, body).await.ok();
        }
    }

    async fn insist(&self, client: &Client, clock: &Clock, body: &[u8]) {
        let mut url = self.url.subscribe();
        let mut pause = RETRY_FIRST;
        while self.post(client, body.to_owned()).await != Ok(StatusCode::OK.as_u16()) {
            tokio::select! {
                () = clock.sleep(pause) => pause = RETRY_MAX.min(pause * 2),
                // A receiver at a new address deserves a try at once.
                _ = url.changed() => pause = RETRY_FIRST,
            }
            self.unpaused().await;
        }
    }

    /// Signs and posts one body, once; waits for the address when there is none yet. The answer is the HTTP status.
    pub(super) async fn post(&self, client: &Client, body: Vec<u8>) -> Result<u16, String> {
        let url = match self.url.subscribe().wait_for(Option::is_some).await {
            Ok(url) => url.clone().expect("waited for it"),
            Err(closed) => return Err(closed.to_string()),
        };
        let request = client
            .post(url)
            .header("Content-Type", "application/json")
            .header("User-Agent", USER_AGENT)
            .header(wire::SIGNATURE_HEADER, self.sign(&body))
            .body(body);
        let answer = match request.send().await {
            Ok(answer) => Ok(answer.status().as_u16()),
            Err(error) => Err(innermost(&error)),
        };
        self.posts.fetch_add(1, Ordering::Relaxed);
        let trouble = match &answer {
            Ok(200) => None,
            Ok(status) => Some(format!("the webhook answered {status} and not 200")),
            Err(error) => Some(format!("the webhook does not answer: {error}")),
        };
        self.failed.fetch_add(u64::from(trouble.is_some()), Ordering::Relaxed);
        *lock(&self.trouble) = trouble;
        answer
    }
}

/// The cause at the bottom, which is the one that says something ("Connection refused").
fn innermost(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    cause.to_string()
}

/// Why an address cannot be the webhook's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the webhook address `{given}` {reason}")]
pub struct BadWebhookUrl {
    given: String,
    reason: &'static str,
}

/// Reads a webhook address: http on this machine only, since the local Meta's secrets are nobody else's business.
pub(super) fn webhook_url(given: &str) -> Result<Url, BadWebhookUrl> {
    let bad = |reason| BadWebhookUrl { given: given.to_owned(), reason };
    let url = Url::parse(given)
        .map_err(|_| bad("is not a URL; write http://127.0.0.1:8000/api/whatsapp/webhook"))?;
    if url.scheme() != "http" {
        return Err(bad("has to begin with http://"));
    }
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
    let loopback = host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback());
    if loopback { Ok(url) } else { Err(bad("is not on this machine; use 127.0.0.1, [::1] or localhost")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_http_on_this_machine_can_be_the_webhook() {
        for good in ["http://127.0.0.1:8000/api/whatsapp/webhook", "http://localhost:1/x", "http://[::1]:9/x"]
        {
            assert!(webhook_url(good).is_ok(), "{good}");
        }
        for bad in ["https://127.0.0.1/", "http://example.com/", "localhost:8000", "http://10.0.0.1/"] {
            assert!(webhook_url(bad).is_err(), "{bad}");
        }
    }
}
