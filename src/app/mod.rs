//! Composition: what is built, in which order it starts, and in which order it stops.
//!
//! An app lives on a thread of its own with its own actix system. All of it shares one tokio runtime: the sockets of the
//! database and of the HTTP client are opened on it, and the actor threads run on it, so no socket is ever driven by a
//! runtime that may go away. Several apps can live in one process, which is how the tests run them.
//!
//! Start: store → flows → actors → what was left over → sweeps → doors. Stop: doors → turns → posts → actors → store.

mod behind;
mod doors;
mod live;
pub mod people;

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use actix::{Addr, Arbiter};
use actix_web::dev::ServerHandle;
use anyhow::Context as _;
use tokio::runtime::Runtime;
use tokio::sync::{mpsc, oneshot};

use crate::clock::Clock;
use crate::config::{self, Config, Limits, Secret};
use crate::connector::Variables;
use crate::domain::consent::Words;
use crate::flow::{Flow, Functions};
use crate::media;
use crate::media::fetch::Fetcher;
use crate::media::vault::Vault;
use crate::meta::client::{Client, Settings as ClientSettings, Wire};
use crate::replay;
use crate::router::actor::{Close, CountActive, IsIdle, RouterActor};
use crate::sender::actor::{Halt, IsStill, SenderActor};
use crate::sender::reconcile::Tokens;
use crate::sender::{self, Number};
use crate::store::stage::Director;
use crate::store::{self, Store};
use crate::telemetry::Metrics;
pub use behind::Core;

/// How often a stop looks whether what it waits for has ended.
const STOP_TICK: Duration = Duration::from_millis(20);

/// What an app is made of, beside its configuration.
pub struct Parts {
    /// The flow of new conversations.
    pub flow: Arc<Flow>,
    /// The flows of numbers that have one of their own, by phone number id.
    pub flows: HashMap<String, Flow>,
    /// Rust functions that earlier flows may call.
    pub functions: Functions,
    /// The time.
    pub clock: Clock,
    /// Where a number's token is looked for again while Meta refuses the one it has.
    pub tokens: Option<Tokens>,
    /// The environment, for the secrets of services that flows ask.
    pub variables: Variables,
    /// Who stands in for the outside world; nobody does in the program.
    pub simulation: Option<Simulation>,
}

/// What a simulation owns beside the clock.
#[derive(Clone)]
pub struct Simulation {
    /// When the store's work happens, and whether it fails.
    pub director: Arc<dyn Director>,
    /// What becomes of each request to Meta.
    pub wire: Arc<dyn Wire>,
}

impl Parts {
    /// This flow, on the machine's clock.
    #[must_use]
    pub fn new(flow: impl Into<Arc<Flow>>) -> Self {
        let (flows, functions, clock) = (HashMap::new(), Functions::default(), Clock::system());
        let variables: Variables = Arc::new(|_| None);
        Self { flow: flow.into(), flows, functions, clock, tokens: None, variables, simulation: None }
    }
}

/// A running app.
pub struct App {
    addr: SocketAddr,
    store: Store,
    metrics: Metrics,
    router: Addr<RouterActor>,
    sender: Addr<SenderActor>,
    stop: mpsc::Sender<oneshot::Sender<()>>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl App {
    /// Starts an app and returns when its doors are open.
    ///
    /// # Errors
    /// What keeps it from starting: the address, the database, a setting.
    pub async fn start(config: Config, parts: Parts) -> anyhow::Result<Self> {
        let (started, starting) = oneshot::channel();
        let (stop, stopping) = mpsc::channel(1);
        let thread = std::thread::Builder::new().name("switchboard".to_owned()).spawn(move || {
            run(&config, parts, started, stopping);
        })?;
        let Started { addr, store, metrics, router, sender } =
            starting.await.context("the app's thread ended")??;
        Ok(Self { addr, store, metrics, router, sender, stop, thread: Some(thread) })
    }

    /// Where the doors are.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Where everything is kept.
    #[must_use]
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// What is counted.
    #[must_use]
    pub fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// How many conversations are in memory.
    pub async fn active_conversations(&self) -> usize {
        self.router.send(CountActive).await.unwrap_or(0)
    }

    /// Whether nothing happens before the clock moves on or someone comes in: every event is done, no message is under way, and
    /// none could leave now.
    pub async fn is_still(&self) -> bool {
        self.store.unfinished() == 0
            && self.sender.send(IsStill(self.store.queued())).await.unwrap_or(false)
            && self.store.unfinished() == 0
    }

    /// Closes the doors, lets turns and posts end, and stops. Returns when everything has stopped.
    pub async fn stop(mut self) {
        let (stopped, ended) = oneshot::channel();
        if self.stop.send(stopped).await.is_ok() {
            let _ = ended.await;
        }
        drop(self.store);
        if let Some(thread) = self.thread.take() {
            let _ = tokio::task::spawn_blocking(move || thread.join()).await;
        }
    }
}

struct Started {
    addr: SocketAddr,
    store: Store,
    metrics: Metrics,
    router: Addr<RouterActor>,
    sender: Addr<SenderActor>,
}

fn run(
    config: &Config,
    parts: Parts,
    started: oneshot::Sender<anyhow::Result<Started>>,
    mut stopping: mpsc::Receiver<oneshot::Sender<()>>,
) {
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => Arc::new(runtime),
        Err(error) => return drop(started.send(Err(error.into()))),
    };
    let shared = Arc::clone(&runtime);
    let system = actix_web::rt::System::with_tokio_rt(move || shared);
    system.block_on(async {
        // On the heap: all that is made on the way is in it.
        let running = match Box::pin(Running::start(config, parts, &runtime)).await {
            Ok(running) => running,
            Err(error) => return drop(started.send(Err(error))),
        };
        let told = Started {
            addr: running.addr,
            store: running.core.store.clone(),
            metrics: running.core.metrics.clone(),
            router: running.core.router.clone(),
            sender: running.core.sender.clone(),
        };
        let _ = started.send(Ok(told));
        let stopped = stopping.recv().await;
        running.stop(config.limits.shutdown_timeout).await;
        if let Some(stopped) = stopped {
            let _ = stopped.send(());
        }
    });
}

struct Running {
    addr: SocketAddr,
    core: Core,
    server: ServerHandle,
    arbiters: Vec<Arbiter>,
}

impl Running {
    async fn start(config: &Config, parts: Parts, runtime: &Arc<Runtime>) -> anyhow::Result<Self> {
        let arbiter = || {
            let runtime = Arc::clone(runtime);
            Arbiter::with_tokio_rt(move || runtime)
        };
        let mut arbiters: Vec<Arbiter> =
            (0..Limits::threads(config.limits.actor_threads)).map(|_| arbiter()).collect();
        let places = arbiters.iter().map(Arbiter::handle).collect();
        arbiters.push(arbiter());
        let switch = arbiters.last().map(Arbiter::handle).context("an arbiter was made")?;
        let core = Core::start(config, parts, places, &switch).await?;
        let (addr, server) = doors::open(config, &core)?;
        Ok(Self { addr, core, server, arbiters })
    }

    async fn stop(mut self, timeout: Duration) {
        // Readers listen for ever: the doors would wait for them.
        self.core.close_feed();
        self.server.stop(true).await;
        let orderly = async {
            while !self.core.router.send(IsIdle).await.unwrap_or(true) {
                tokio::time::sleep(STOP_TICK).await;
            }
            while !self.core.sender.send(Halt).await.unwrap_or(true) {
                tokio::time::sleep(STOP_TICK).await;
            }
            while self.core.outlets.join_next().await.is_some() {}
        };
        if tokio::time::timeout(timeout, orderly).await.is_err() {
            tracing::warn!(
                ?timeout,
                "not everything ended in time; what is left is taken up at the next start"
            );
        }
        let _ = self.core.router.send(Close).await;
        self.core.outlets.shutdown().await;
        self.core.beside.shutdown().await;
        for arbiter in self.arbiters {
            arbiter.stop();
            let _ = tokio::task::spawn_blocking(move || arbiter.join()).await;
        }
    }
}

/// Our business accounts, each once, in the order of their numbers.
fn business_accounts(config: &Config) -> Vec<String> {
    let mut accounts: Vec<String> = Vec::new();
    for account in config.numbers.iter().filter_map(|number| number.business_account_id.as_ref()) {
        if !accounts.contains(account) {
            accounts.push(account.clone());
        }
    }
    accounts
}

/// Our business accounts, each with the way to Meta of its first number.
fn accounts(config: &Config, numbers: &[Number]) -> Vec<(String, Client)> {
    let client = |account: &str| {
        let of_account =
            |number: &&crate::config::Number| number.business_account_id.as_deref() == Some(account);
        let id = config.numbers.iter().find(of_account)?.phone_number_id.as_str();
        numbers.iter().find(|number| &*number.phone_number_id == id).map(|number| number.client.clone())
    };
    let found = business_accounts(config).into_iter().map(|account| (client(&account), account));
    found.filter_map(|(client, account)| Some((account, client?))).collect()
}

/// The tokens that the configuration had at the start, by number.
fn tokens_of(config: &Config) -> HashMap<String, Secret> {
    let token = |number: &config::Number| Some((number.phone_number_id.clone(), number.token.clone()?));
    config.numbers.iter().filter_map(token).collect()
}

/// What the store needs to know of the configuration.
#[must_use]
pub fn store_settings(config: &Config) -> store::Settings {
    store::Settings {
        url: config.database.url.expose().to_owned(),
        migrate: config.database.migrate,
        reader_connections: config.database.reader_connections,
        batch_max: config.database.writer_batch,
        directory_cache: config.limits.directory_cache,
        unfinished_max: i64::try_from(config.limits.unfinished_events).unwrap_or(i64::MAX),
        queued_max: i64::try_from(config.limits.outbound_queue).unwrap_or(i64::MAX),
        window_margin: config.limits.window_margin,
        hash_key: store::HashKey::new(config.privacy.hash_key.as_ref().map_or("", Secret::expose)),
        scrub_max_bytes: config.privacy.erase_vacuum_bytes as u64,
    }
}

/// Who fetches what people send.
fn fetcher(config: &Config, store: &Store, vault: &Vault, numbers: &[Number], metrics: &Metrics) -> Fetcher {
    let client = |number: &Number| (number.phone_number_id.to_string(), number.client.clone());
    Fetcher {
        store: store.clone(),
        vault: vault.clone(),
        clients: numbers.iter().map(client).collect(),
        limits: media_limits(config),
        metrics: metrics.clone(),
    }
}

/// How replays are made.
#[must_use]
pub fn replay_settings(config: &Config) -> replay::Settings {
    replay::Settings { words: words(&config.consent), turn_timeout: config.limits.turn_timeout }
}

/// The words of STOP and START that hold.
fn words(consent: &config::Consent) -> Words {
    let built_in = if consent.built_in_words { Words::built_in() } else { Words::default() };
    built_in
        .and(consent.stop_words.iter().map(String::as_str), consent.start_words.iter().map(String::as_str))
}

fn sender_limits(config: &Config) -> sender::Limits {
    let limits = &config.limits;
    sender::Limits {
        pair_pacing: config.pacing.pair,
        in_flight_max: limits.sends_in_flight,
        attempts_max: limits.send_attempts,
        deadline: limits.send_deadline,
        ambiguous_grace: limits.ambiguous_grace,
        ambiguous_policy: limits.ambiguous_policy,
    }
}

fn media_limits(config: &Config) -> media::Limits {
    let media = &config.media;
    media::Limits {
        size_max: media.file_bytes as u64,
        types: media.types.clone(),
        fetches_max: media.fetches,
        attempts_max: media.fetch_attempts,
        transfer_timeout: media.transfer_timeout,
    }
}

fn numbers(config: &Config, wire: Option<&Arc<dyn Wire>>) -> anyhow::Result<Vec<Number>> {
    let number = |number: &crate::config::Number| {
        let token = number.token.as_ref().with_context(|| {
            format!("the number {} has no token; set WHATSAPP_API_TOKEN", number.phone_number_id)
        })?;
        let client = Client::new(&ClientSettings {
            graph_url: config.meta.graph_url.clone(),
            version: config.meta.graph_version.clone(),
            token: token.clone(),
            timeout: config.limits.send_timeout,
            connect_timeout: config.limits.connect_timeout,
        })?;
        let client = match wire {
            None => client,
            Some(wire) => client.over(Arc::clone(wire)),
        };
        Ok(Number {
            phone_number_id: number.phone_number_id.as_str().into(),
            messages_per_second: number.messages_per_second,
            client,
        })
    };
    config.numbers.iter().map(number).collect()
}
