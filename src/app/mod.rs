//! Composition: what is built, in which order it starts, and in which order it stops.
//!
//! An app lives on a thread of its own with its own actix system. All of it shares one tokio runtime: the sockets of the
//! database and of the HTTP client are opened on it, and the actor threads run on it, so no socket is ever driven by a
//! runtime that may go away. Several apps can live in one process, which is how the tests run them.
//!
//! Start: store → flows → actors → what was left over → sweeps → doors. Stop: doors → turns → posts → actors → store.

mod doors;

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use actix::{Addr, Arbiter, Supervisor};
use actix_web::dev::ServerHandle;
use anyhow::Context as _;
use tokio::runtime::Runtime;
use tokio::sync::{Notify, Semaphore, mpsc, oneshot};
use tokio::task::JoinSet;

use crate::clock::{Clock, HOUR, Ids, Millis};
use crate::config::{self, Config, Limits, Secret};
use crate::connector::{Services, Variables};
use crate::conversation::Desk;
use crate::conversation::flows::Flows;
use crate::domain::consent::Words;
use crate::flow::{Flow, Functions};
use crate::media;
use crate::media::fetch::Fetcher;
use crate::media::upload::Uploads;
use crate::media::vault::Vault;
use crate::meta::client::{Client, Settings as ClientSettings};
use crate::router::actor::{Close, CountActive, IsIdle, Route, RouterActor};
use crate::router::sweep;
use crate::sender::actor::{Halt, Heard, IsStill, Queue, Redirect, SenderActor, Settled};
use crate::sender::post::Counter;
use crate::sender::reconcile::Tokens;
use crate::sender::{self, Board, Number, reconcile};
use crate::store::{self, Hint, Store};
use crate::telemetry::Metrics;
use crate::template::Book;
use crate::template::keeper::{self, Keeper};

/// How often a stop looks whether what it waits for has ended.
const STOP_TICK: Duration = Duration::from_millis(20);

/// The exit code of a program that cannot go on (EX_SOFTWARE in sysexits.h).
const EXIT_BROKEN: i32 = 70;

/// How long ago a pause of a number may have ended that still counts in the age of a message: the longest
/// `limits.send_deadline`, and as long again in which the message may have been held.
const PAUSES_KEPT: Millis = 60 * 24 * HOUR;

/// What an app is made of, beside its configuration.
pub struct Parts {
    /// The flow of new conversations.
    pub flow: Flow,
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
}

impl Parts {
    /// This flow, on the machine's clock.
    #[must_use]
    pub fn new(flow: Flow) -> Self {
        let (flows, functions, clock) = (HashMap::new(), Functions::default(), Clock::system());
        Self { flow, flows, functions, clock, tokens: None, variables: Arc::new(|_| None) }
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
        let running = match Running::start(config, parts, &runtime).await {
            Ok(running) => running,
            Err(error) => return drop(started.send(Err(error))),
        };
        let told = Started {
            addr: running.addr,
            store: running.store.clone(),
            metrics: running.metrics.clone(),
            router: running.router.clone(),
            sender: running.sender.clone(),
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
    store: Store,
    metrics: Metrics,
    router: Addr<RouterActor>,
    sender: Addr<SenderActor>,
    server: ServerHandle,
    arbiters: Vec<Arbiter>,
    beside: JoinSet<()>,
}

impl Running {
    async fn start(config: &Config, parts: Parts, runtime: &Arc<Runtime>) -> anyhow::Result<Self> {
        let limits = &config.limits;
        let metrics = Metrics::new();
        metrics.started(parts.clock.now());
        let ids = Ids::new(parts.clock.clone());
        let settings = store_settings(config);
        let (store, hints) = Store::open(&settings, parts.clock.clone(), ids, metrics.clone()).await?;
        let services = Services::new(parts.variables, config.connectors.plain_http.clone())?;
        for flow in std::iter::once(&parts.flow).chain(parts.flows.values()) {
            let unfit = services.unfit(flow);
            anyhow::ensure!(
                unfit.is_empty(),
                "the flow `{}` cannot be run: {}",
                flow.name(),
                unfit.join("; ")
            );
        }
        let flows = Flows::new(store.clone(), parts.flow, parts.flows, parts.functions).await?;
        let templates = Book::new(config.numbers.iter().filter_map(|number| {
            Some((number.phone_number_id.clone(), number.business_account_id.clone()?))
        }));
        templates.refresh(&store).await?;

        let arbiter = || {
            let runtime = Arc::clone(runtime);
            Arbiter::with_tokio_rt(move || runtime)
        };
        let mut arbiters: Vec<Arbiter> =
            (0..Limits::threads(limits.actor_threads)).map(|_| arbiter()).collect();
        let places = arbiters.iter().map(Arbiter::handle).collect();
        arbiters.push(arbiter());
        let switch = arbiters.last().map(Arbiter::handle).context("an arbiter was made")?;

        let board = Board::default();
        let vault = Vault::open(&config.media.url)?;
        let counter = Counter {
            store: store.clone(),
            uploads: Uploads::new(store.clone(), vault.clone(), media_limits(config)),
            templates: templates.clone(),
            metrics: metrics.clone(),
            limits: sender_limits(config),
        };
        let numbers = numbers(config)?;
        let fetcher = fetcher(config, &store, &vault, &numbers, &metrics);
        let keeper = Keeper {
            store: store.clone(),
            book: templates.clone(),
            accounts: accounts(config, &numbers),
            every: config.meta.template_sync,
            metrics: metrics.clone(),
        };
        let sender_board = board.clone();
        let pauses = store.token_pauses(parts.clock.now() - PAUSES_KEPT).await?;
        let sender = Supervisor::start_in_arbiter(&switch, move |_| {
            SenderActor::new(Arc::new(counter), numbers, &pauses, sender_board)
        });
        let desk = Arc::new(Desk {
            store: store.clone(),
            flows,
            services,
            words: words(&config.consent),
            templates: templates.clone(),
            metrics: metrics.clone(),
            attempts_max: limits.turn_attempts,
            turn_timeout: limits.turn_timeout,
            suspects: Semaphore::new(1),
        });
        let (active, idle) = (limits.active_conversations, limits.conversation_idle);
        let router =
            Supervisor::start_in_arbiter(&switch, move |_| RouterActor::new(desk, places, active, idle));

        let mut beside = JoinSet::new();
        let queued = reconcile::adopt(&store, &sender, limits.ambiguous_grace).await?;
        let unfinished = sweep::recover(&store, &router).await?;
        tracing::info!(unfinished, queued, engine = store.engine(), "took up what was left over");
        let wanted = Arc::new(Notify::new());
        let told = (Arc::clone(&wanted), templates.clone());
        beside.spawn(pass_on(hints, router.clone(), sender.clone(), told));
        beside.spawn(keeper::keep(keeper));
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

        if let Some(tokens) = parts.tokens {
            let (clock, board, sender) = (parts.clock.clone(), board.clone(), sender.clone());
            beside.spawn(reconcile::reread_tokens(clock, board, sender, tokens, tokens_of(config)));
        }

        let known = doors::Known { metrics: metrics.clone(), board, vault, templates };
        let api = doors::api_deps(config, &store, known, &sender);
        let (addr, server) = doors::open(config, api)?;
        Ok(Self { addr, store, metrics, router, sender, server, arbiters, beside })
    }

    async fn stop(mut self, timeout: Duration) {
        self.server.stop(true).await;
        let orderly = async {
            while !self.router.send(IsIdle).await.unwrap_or(true) {
                tokio::time::sleep(STOP_TICK).await;
            }
            while !self.sender.send(Halt).await.unwrap_or(true) {
                tokio::time::sleep(STOP_TICK).await;
            }
        };
        if tokio::time::timeout(timeout, orderly).await.is_err() {
            tracing::warn!(
                ?timeout,
                "not everything ended in time; what is left is taken up at the next start"
            );
        }
        let _ = self.router.send(Close).await;
        self.beside.shutdown().await;
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
    (wanted, templates): (Arc<Notify>, Book),
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
            Hint::TemplatesTold { look } => templates.told(look),
            Hint::Redirected(conversations) => sender.do_send(Redirect(conversations)),
            Hint::Heard(counts) => sender.do_send(Heard(counts)),
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

fn numbers(config: &Config) -> anyhow::Result<Vec<Number>> {
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
        Ok(Number {
            phone_number_id: number.phone_number_id.as_str().into(),
            messages_per_second: number.messages_per_second,
            client,
        })
    };
    config.numbers.iter().map(number).collect()
}
