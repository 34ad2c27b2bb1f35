//! Composition: what is built, in which order it starts, and in which order it stops.
//!
//! An app lives on a thread of its own with its own actix system. All of it shares one tokio runtime: the sockets of the
//! database and of the HTTP client are opened on it, and the actor threads run on it, so no socket is ever driven by a
//! runtime that may go away. Several apps can live in one process, which is how the tests run them.
//!
//! Start: store → flows → actors → what was left over → sweeps → doors. Stop: doors → turns → posts → actors → store.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use actix::{Addr, Arbiter, ArbiterHandle, Supervisor};
use actix_web::dev::ServerHandle;
use actix_web::{App as HttpApp, HttpServer, web};
use anyhow::Context as _;
use tokio::runtime::Runtime;
use tokio::sync::{Notify, Semaphore, mpsc, oneshot};
use tokio::task::JoinSet;

use crate::api;
use crate::clock::{Clock, Ids};
use crate::config::{self, Config, Limits};
use crate::conversation::Desk;
use crate::conversation::flows::Flows;
use crate::domain::consent::Words;
use crate::flow::{Flow, Functions};
use crate::media;
use crate::media::fetch::Fetcher;
use crate::media::library::Library;
use crate::media::upload::Uploads;
use crate::media::vault::Vault;
use crate::meta::client::{Client, Settings as ClientSettings, Wire};
use crate::meta::signature::AppSecret;
use crate::router::actor::{Close, CountActive, IsIdle, Route, RouterActor};
use crate::router::sweep;
use crate::sender::actor::{Halt, Queue, Redirect, SenderActor, Settled};
use crate::sender::post::Counter;
use crate::sender::{self, Board, Number, reconcile};
use crate::store::stage::Director;
use crate::store::{self, Hint, Store};
use crate::telemetry::Metrics;
use crate::webhook::{self, Door};

/// How often a stop looks whether what it waits for has ended.
const STOP_TICK: Duration = Duration::from_millis(20);

/// The exit code of a program that cannot go on (EX_SOFTWARE in sysexits.h).
const EXIT_BROKEN: i32 = 70;

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
    /// Somebody who stands in for the outside world; nobody does in the program.
    pub rehearsal: Option<Rehearsal>,
}

/// What a simulation owns beside the clock.
#[derive(Clone)]
pub struct Rehearsal {
    /// When the store's work happens, and whether it fails.
    pub director: Arc<dyn Director>,
    /// What becomes of each request to Meta.
    pub wire: Arc<dyn Wire>,
}

impl Parts {
    /// This flow, on the machine's clock.
    #[must_use]
    pub fn new(flow: impl Into<Arc<Flow>>) -> Self {
        Self {
            flow: flow.into(),
            flows: HashMap::new(),
            functions: Functions::default(),
            clock: Clock::system(),
            rehearsal: None,
        }
    }
}

/// A running app.
pub struct App {
    addr: SocketAddr,
    store: Store,
    metrics: Metrics,
    router: Addr<RouterActor>,
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
        let Started { addr, store, metrics, router } = starting.await.context("the app's thread ended")??;
        Ok(Self { addr, store, metrics, router, stop, thread: Some(thread) })
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
        let running = match Running::start(config, parts, &runtime).await {
            Ok(running) => running,
            Err(error) => return drop(started.send(Err(error))),
        };
        let told = Started {
            addr: running.addr,
            store: running.core.store.clone(),
            metrics: running.core.metrics.clone(),
            router: running.core.router.clone(),
        };
        let _ = started.send(Ok(told));
        let stopped = stopping.recv().await;
        running.stop(config.limits.shutdown_timeout).await;
        if let Some(stopped) = stopped {
            let _ = stopped.send(());
        }
    });
}

/// What works behind the doors: the store, the actors, and the loops beside them. An [`App`] gives it threads of its own; a
/// simulation runs all of it on one.
pub struct Core {
    /// Where everything is kept.
    pub store: Store,
    metrics: Metrics,
    board: Board,
    vault: Vault,
    router: Addr<RouterActor>,
    sender: Addr<SenderActor>,
    beside: JoinSet<()>,
}

impl Core {
    /// Opens the store, starts the actors and takes up what was left over. Conversations live on `places`, the router and the
    /// sender on `switch`.
    ///
    /// # Errors
    /// What keeps it from starting: the database, a setting.
    pub async fn start(
        config: &Config,
        parts: Parts,
        places: Vec<ArbiterHandle>,
        switch: &ArbiterHandle,
    ) -> anyhow::Result<Self> {
        let limits = &config.limits;
        let metrics = Metrics::new();
        metrics.started(parts.clock.now());
        let ids = Ids::new(parts.clock.clone());
        let settings = store_settings(config);
        let director = parts.rehearsal.as_ref().map(|rehearsal| Arc::clone(&rehearsal.director));
        let (store, hints) =
            Store::open_directed(&settings, parts.clock.clone(), ids, metrics.clone(), director).await?;
        let flows = Flows::new(store.clone(), parts.flow, parts.flows, parts.functions).await?;

        let board = Board::default();
        let vault = Vault::open(&config.media.url)?;
        let counter = Counter {
            store: store.clone(),
            uploads: Uploads::new(store.clone(), vault.clone(), media_limits(config)),
            metrics: metrics.clone(),
            limits: sender_limits(config),
        };
        let numbers = numbers(config, parts.rehearsal.as_ref().map(|rehearsal| &rehearsal.wire))?;
        let fetcher = Fetcher {
            store: store.clone(),
            vault: vault.clone(),
            clients: numbers
                .iter()
                .map(|number| (number.phone_number_id.to_string(), number.client.clone()))
                .collect(),
            limits: media_limits(config),
            metrics: metrics.clone(),
        };
        let sender_board = board.clone();
        let sender = Supervisor::start_in_arbiter(switch, move |_| {
            SenderActor::new(Arc::new(counter), numbers, sender_board)
        });
        let desk = Arc::new(Desk {
            store: store.clone(),
            flows,
            words: words(&config.consent),
            metrics: metrics.clone(),
            attempts_max: limits.turn_attempts,
            turn_timeout: limits.turn_timeout,
            suspects: Semaphore::new(1),
        });
        let (active, idle) = (limits.active_conversations, limits.conversation_idle);
        let router =
            Supervisor::start_in_arbiter(switch, move |_| RouterActor::new(desk, places, active, idle));

        let mut beside = JoinSet::new();
        let queued = reconcile::adopt(&store, &sender, limits.ambiguous_grace).await?;
        let unfinished = sweep::recover(&store, &router).await?;
        tracing::info!(unfinished, queued, engine = store.engine(), "took up what was left over");
        let wanted = Arc::new(Notify::new());
        beside.spawn(pass_on(hints, router.clone(), sender.clone(), Arc::clone(&wanted)));
        beside.spawn(media::fetch::fetch(Arc::new(fetcher), wanted, limits.sweep_interval));
        beside.spawn(sweep::sweep(store.clone(), router.clone(), limits.sweep_interval, limits.sweep_age));
        beside.spawn(sweep::timers(store.clone()));
        beside.spawn(reconcile::reconcile(
            store.clone(),
            sender.clone(),
            metrics.clone(),
            limits.sweep_interval,
            limits.ambiguous_grace,
        ));
        Ok(Self { store, metrics, board, vault, router, sender, beside })
    }

    /// The door for Meta.
    ///
    /// # Errors
    /// When a secret is missing.
    pub fn door(&self, config: &Config) -> anyhow::Result<Arc<Door>> {
        let app_secret = config.meta.app_secret.as_ref().context("WHATSAPP_APP_SECRET is not set")?;
        let verify_token =
            config.meta.verify_token.clone().context("WHATSAPP_WEBHOOK_VERIFY_TOKEN is not set")?;
        Ok(Arc::new(Door {
            store: self.store.clone(),
            metrics: self.metrics.clone(),
            app_secret: AppSecret::new(app_secret.expose()),
            verify_token,
            numbers: config.numbers.iter().map(|number| number.phone_number_id.clone()).collect(),
            body_max: config.limits.webhook_body_bytes,
            retry_after: config.limits.retry_after,
        }))
    }

    /// What the door for REST clients works with.
    #[must_use]
    pub fn api(&self, config: &Config) -> api::Deps {
        api_deps(config, self)
    }

    /// How many conversations are in memory.
    pub async fn active_conversations(&self) -> usize {
        self.router.send(CountActive).await.unwrap_or(0)
    }
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
        let (addr, server) = open_doors(config, &core)?;
        Ok(Self { addr, core, server, arbiters })
    }

    async fn stop(mut self, timeout: Duration) {
        self.server.stop(true).await;
        let orderly = async {
            while !self.core.router.send(IsIdle).await.unwrap_or(true) {
                tokio::time::sleep(STOP_TICK).await;
            }
            while !self.core.sender.send(Halt).await.unwrap_or(true) {
                tokio::time::sleep(STOP_TICK).await;
            }
        };
        if tokio::time::timeout(timeout, orderly).await.is_err() {
            tracing::warn!(
                ?timeout,
                "not everything ended in time; what is left is taken up at the next start"
            );
        }
        let _ = self.core.router.send(Close).await;
        self.core.beside.shutdown().await;
        for arbiter in self.arbiters {
            arbiter.stop();
            let _ = tokio::task::spawn_blocking(move || arbiter.join()).await;
        }
    }
}

/// Carries what the writer tells to those whom it concerns.
async fn pass_on(
    mut hints: mpsc::UnboundedReceiver<Hint>,
    router: Addr<RouterActor>,
    sender: Addr<SenderActor>,
    wanted: Arc<Notify>,
) {
    while let Some(hint) = hints.recv().await {
        if !router.connected() || !sender.connected() {
            // A panic has taken one of them. Everything is on disk, and only a new start brings them back.
            tracing::error!("the router or the sender is gone; the program ends");
            std::process::exit(EXIT_BROKEN);
        }
        match hint {
            Hint::Accepted(events) => router.do_send(Route(events)),
            Hint::Queued(messages) => sender.do_send(Queue(messages)),
            Hint::Settled(messages) => sender.do_send(Settled(messages)),
            Hint::MediaWanted => wanted.notify_one(),
            Hint::Redirected(conversations) => sender.do_send(Redirect(conversations)),
        }
    }
}

fn open_doors(config: &Config, core: &Core) -> anyhow::Result<(SocketAddr, ServerHandle)> {
    let door = core.door(config)?;
    let api = core.api(config);
    let server = HttpServer::new(move || {
        let (door, api) = (Arc::clone(&door), api.clone());
        HttpApp::new()
            .configure(move |config: &mut web::ServiceConfig| webhook::mount(config, door))
            .configure(api::configure(api))
    })
    .workers(Limits::threads(config.limits.http_workers))
    .disable_signals()
    .shutdown_timeout(config.limits.shutdown_timeout.as_secs())
    .bind(config.listen)
    .with_context(|| {
        format!("cannot listen on {}; set SWITCHBOARD_LISTEN to a free address", config.listen)
    })?;
    let addr = server.addrs().first().copied().context("the listener has an address")?;
    let server = server.run();
    let handle = server.handle();
    actix_web::rt::spawn(server);
    Ok((addr, handle))
}

fn api_deps(config: &Config, core: &Core) -> api::Deps {
    let numbers = config.numbers.iter().map(|number| api::Number {
        phone_number_id: number.phone_number_id.clone(),
        display: number.display_phone_number.clone(),
    });
    let board = core.board.clone();
    api::Deps {
        store: core.store.clone(),
        keys: api::ApiKeys::new(config.api_key.clone()),
        numbers: numbers.collect(),
        library: Library { vault: core.vault.clone(), limits: media_limits(config) },
        metrics: core.metrics.clone(),
        window_margin: config.limits.window_margin,
        health: Arc::new(move || {
            let view = |(number, state): (Arc<str>, sender::NumberState)| api::NumberHealth {
                phone_number_id: number.to_string(),
                paused: state.paused.map(|(why, _)| why),
                waiting: state.waiting,
            };
            board.numbers().into_iter().map(view).collect()
        }),
    }
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
        window_margin: config.limits.window_margin,
    }
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
