//! The app in this process, between a database and a local Meta.

use std::time::Duration;

use switchboard::app::{App, Parts};
use switchboard::clock::{Clock, Hand, Millis};
use switchboard::config::{Config, Number, Secret};
use switchboard::flow::Flow;
use switchboard::sandbox::{Limits, LocalMeta, Settings};
use switchboard::webhook;
use tempfile::TempDir;

use super::database::Database;

/// When a clock begins that is moved by hand.
const NOON: Millis = 1_795_337_387_000;

/// The API key of the tests.
pub(crate) const API_KEY: &str = "test-key";

/// An app, its Meta and its database.
pub(crate) struct TestApp {
    pub(crate) app: App,
    pub(crate) meta: LocalMeta,
    pub(crate) database: Database,
    pub(crate) http: reqwest::Client,
    config: Config,
    files: TempDir,
}

impl TestApp {
    /// With this flow, and whatever else `change` sets. Nothing is paced unless it says so.
    pub(crate) async fn start(database: Database, flow: Flow, change: impl FnOnce(&mut Config)) -> Self {
        Self::start_with(database, Parts::new(flow), change).await
    }

    pub(crate) async fn start_with(
        database: Database,
        parts: Parts,
        change: impl FnOnce(&mut Config),
    ) -> Self {
        Self::start_on(local_meta().await, database, parts, change).await
    }

    /// With an app and a local Meta whose time is moved by the same hand, and this flow. The local Meta keeps these limits and
    /// tells no statuses of its own; what the app keeps is what `change` sets.
    pub(crate) async fn start_timed(
        database: Database,
        flow: Flow,
        limits: Limits,
        change: impl FnOnce(&mut Config),
    ) -> (Self, Hand) {
        let (clock, hand) = Clock::manual(NOON);
        let made_up = Settings::made_up("127.0.0.1:0".parse().unwrap());
        let settings = Settings { limits, statuses: false, ..made_up };
        let meta = LocalMeta::start(settings, clock.clone()).await.unwrap();
        (Self::start_on(meta, database, Parts { clock, ..Parts::new(flow) }, change).await, hand)
    }

    pub(crate) async fn start_on(
        meta: LocalMeta,
        database: Database,
        parts: Parts,
        change: impl FnOnce(&mut Config),
    ) -> Self {
        let mut config = config(&database, &meta);
        let files = tempfile::tempdir().unwrap();
        config.media.url = files.path().display().to_string();
        change(&mut config);
        let app = App::start(config.clone(), parts).await.unwrap();
        meta.set_webhook_url(&format!("http://{}{}", app.addr(), webhook::PATH)).unwrap();
        Self { app, meta, database, http: super::wire::client(), config, files }
    }

    /// Stops the app in order and starts it again on the same database.
    pub(crate) async fn restart(self, flow: Flow) -> Self {
        self.restart_with(Parts::new(flow)).await
    }

    pub(crate) async fn restart_with(self, parts: Parts) -> Self {
        self.restart_changed(parts, |_| {}).await
    }

    /// The same, with another configuration.
    pub(crate) async fn restart_changed(self, parts: Parts, change: impl FnOnce(&mut Config)) -> Self {
        let Self { app, meta, database, http, mut config, files } = self;
        app.stop().await;
        change(&mut config);
        let app = App::start(config.clone(), parts).await.unwrap();
        meta.set_webhook_url(&format!("http://{}{}", app.addr(), webhook::PATH)).unwrap();
        Self { app, meta, database, http, config, files }
    }

    pub(crate) fn webhook_url(&self) -> String {
        format!("http://{}{}", self.app.addr(), webhook::PATH)
    }

    /// Where the vault is.
    pub(crate) fn folder(&self) -> &std::path::Path {
        self.files.path()
    }

    /// The files in the vault, whole or not.
    pub(crate) fn files(&self) -> usize {
        fn count(folder: &std::path::Path) -> usize {
            let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
            entries.map(|path| if path.is_dir() { count(&path) } else { 1 }).sum()
        }
        count(self.files.path())
    }

    /// GET below `/api/whatsapp`, with the key: status and JSON.
    pub(crate) async fn get(&self, path: &str) -> (u16, serde_json::Value) {
        let url = format!("http://{}/api/whatsapp{path}", self.app.addr());
        let answer = self.http.get(url).bearer_auth(API_KEY).send().await.unwrap();
        (answer.status().as_u16(), answer.json().await.unwrap_or_default())
    }

    /// POST below `/api/whatsapp`, with the key: status and JSON.
    pub(crate) async fn post(&self, path: &str, body: &serde_json::Value) -> (u16, serde_json::Value) {
        let url = format!("http://{}/api/whatsapp{path}", self.app.addr());
        let answer = self.http.post(url).bearer_auth(API_KEY).json(body).send().await.unwrap();
        (answer.status().as_u16(), answer.json().await.unwrap_or_default())
    }

    /// PUT below `/api/whatsapp`, with the key: status and JSON.
    pub(crate) async fn put(&self, path: &str, body: &serde_json::Value) -> (u16, serde_json::Value) {
        let url = format!("http://{}/api/whatsapp{path}", self.app.addr());
        let answer = self.http.put(url).bearer_auth(API_KEY).json(body).send().await.unwrap();
        (answer.status().as_u16(), answer.json().await.unwrap_or_default())
    }

    /// DELETE below `/api/whatsapp`, with the key: status and JSON.
    pub(crate) async fn delete(&self, path: &str) -> (u16, serde_json::Value) {
        let url = format!("http://{}/api/whatsapp{path}", self.app.addr());
        let answer = self.http.delete(url).bearer_auth(API_KEY).send().await.unwrap();
        (answer.status().as_u16(), answer.json().await.unwrap_or_default())
    }

    /// Waits until nothing more happens before the clock moves on: what the phones said has arrived and is answered, and no
    /// message that could leave by now is still here.
    pub(crate) async fn still(&self) {
        let waiting = async {
            while self.meta.delivered().pending > 0 || !self.app.is_still().await {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        tokio::time::timeout(super::PATIENCE, waiting).await.expect("it comes to rest");
    }

    /// What the bot has said to `phone`, in order.
    pub(crate) fn replies(&self, phone: &str) -> Vec<String> {
        replies(&self.meta, phone)
    }

    /// Waits until every accepted event is done and every message is settled.
    pub(crate) async fn settle(&self) {
        let backlog = async || self.app.store().backlog().await.unwrap();
        super::until("everything to be done and sent", async || {
            // Looked at one after the other: what is done has its messages in the queue by then.
            let done = backlog().await.oldest_unfinished_at.is_none();
            let sent = backlog().await.by_state.keys().all(|state| state == "dead");
            (done && sent).then_some(())
        })
        .await;
    }

    /// Waits until nothing is on its way in either direction: said, answered, and every status told.
    pub(crate) async fn quiet(&self) {
        let told = async || (self.meta.delivered().pending == 0).then_some(());
        super::until("what the phones said to arrive", told).await;
        self.settle().await;
        super::until("the statuses to arrive", told).await;
    }

    pub(crate) async fn stop(self) {
        self.app.stop().await;
        self.meta.stop().await;
    }
}

/// What the bot has said to `phone` at this Meta, in order.
pub(crate) fn replies(meta: &LocalMeta, phone: &str) -> Vec<String> {
    meta.transcript(phone)
        .into_iter()
        .filter(|entry| entry.from == switchboard::sandbox::Side::Business)
        .map(|entry| entry.content.text)
        .collect()
}

/// A local Meta that keeps no limits and takes any template; a test that is about them sets or adds them.
pub(crate) async fn local_meta() -> LocalMeta {
    let made_up = Settings::made_up("127.0.0.1:0".parse().unwrap());
    let easy = Settings { limits: Limits::none(), templates: Vec::new(), any_template: true, ..made_up };
    LocalMeta::start(easy, Clock::system()).await.unwrap()
}

fn config(database: &Database, meta: &LocalMeta) -> Config {
    let settings = meta.settings();
    let mut config = Config::default();
    config.listen = "127.0.0.1:0".parse().unwrap();
    config.database.url = database.for_config();
    config.meta.app_secret = Secret::new(settings.app_secret.clone());
    config.meta.verify_token = Secret::new(settings.verify_token.clone());
    config.meta.graph_url = meta.graph_url();
    config.api_key = Secret::new(API_KEY);
    config.pacing.messages_per_second = 0;
    config.api.requests_per_second = 0;
    config.limits.shutdown_timeout = Duration::from_secs(5);
    config.limits.http_workers = 2;
    config.limits.actor_threads = 2;
    config.numbers = vec![Number {
        phone_number_id: settings.phone_number_id.clone(),
        display_phone_number: None,
        token: Secret::new(settings.token.clone()),
        business_account_id: None,
        flow: None,
        messages_per_second: 0,
    }];
    config
}
