//! What works behind the doors: the store, the actors, and the loops beside them.

use std::sync::Arc;

use actix::{Addr, ArbiterHandle, Supervisor};
use anyhow::Context as _;
use tokio::sync::{Notify, Semaphore, mpsc};
use tokio::task::JoinSet;

use super::doors::{self, Known};
use super::{
    Parts, accounts, fetcher, media_limits, numbers, sender_limits, store_settings, tokens_of, words,
};
use super::{live, people};
use crate::api;
use crate::clock::{HOUR, Ids, Millis};
use crate::config::Config;
use crate::connector::Services;
use crate::conversation::Desk;
use crate::conversation::flows::Flows;
use crate::feed;
use crate::media;
use crate::media::upload::Uploads;
use crate::media::vault::Vault;
use crate::router::actor::{CountActive, Forget, Route, RouterActor};
use crate::router::sweep;
use crate::sender::actor::{Heard, Queue, Redirect, SenderActor, Settled};
use crate::sender::post::Counter;
use crate::sender::{Board, reconcile};
use crate::store::{Hint, Store};
use crate::telemetry::Metrics;
use crate::template::Book;
use crate::template::keeper::{self, Keeper};
use crate::webhook::Door;

/// The exit code of a program that cannot go on (EX_SOFTWARE in sysexits.h).
const EXIT_BROKEN: i32 = 70;

/// How long ago a pause of a number may have ended that still counts in the age of a message: the longest
/// `limits.send_deadline`, and as long again in which the message may have been held.
const PAUSES_KEPT: Millis = 60 * 24 * HOUR;

/// Everything but the doors and the threads. An [`App`](super::App) gives it threads of its own and opens its doors; a simulation
/// runs all of it on one thread, and is the door.
pub struct Core {
    /// Where everything is kept.
    pub store: Store,
    pub(super) metrics: Metrics,
    pub(super) router: Addr<RouterActor>,
    pub(super) sender: Addr<SenderActor>,
    /// Those who tell outlets.
    pub(super) outlets: JoinSet<()>,
    pub(super) beside: JoinSet<()>,
    known: Known,
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
        let director = parts.simulation.as_ref().map(|simulation| Arc::clone(&simulation.director));
        let opened = Store::open_directed(&settings, parts.clock.clone(), ids, metrics.clone(), director);
        let (store, hints) = opened.await.with_context(|| config.database.url.cannot_be_opened())?;
        let statements = people::Statements::of(&parts);
        let services = services(config, &parts)?;
        let flows = Flows::new(store.clone(), parts.flow, parts.flows, parts.functions).await?;
        let templates = Book::new(config.numbers.iter().filter_map(|number| {
            Some((number.phone_number_id.clone(), number.business_account_id.clone()?))
        }));
        templates.refresh(&store).await?;

        let board = Board::default();
        let vault = Vault::open(&config.media.url)?;
        let people = people::People::new(&store, &vault, statements);
        let counter = Counter {
            store: store.clone(),
            uploads: Uploads::new(store.clone(), vault.clone(), media_limits(config)),
            templates: templates.clone(),
            metrics: metrics.clone(),
            limits: sender_limits(config),
        };
        let numbers = numbers(config, parts.simulation.as_ref().map(|simulation| &simulation.wire))?;
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
        let sender = Supervisor::start_in_arbiter(switch, move |_| {
            SenderActor::new(Arc::new(counter), numbers, &pauses, sender_board)
        });
        let desk = Arc::new(Desk {
            store: store.clone(),
            flows,
            services: Some(services),
            words: words(&config.consent),
            templates: templates.clone(),
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
        let told = (Arc::clone(&wanted), templates.clone());
        beside.spawn(pass_on(hints, router.clone(), sender.clone(), told));
        beside.spawn(keeper::keep(keeper));
        beside.spawn(people.eraser.clone().attend());
        beside.spawn(people.retention(config).keep());
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

        let feed = live::feed(config, &store);
        beside.spawn(feed::forget(feed.clone()));
        let outlets = live::outlets(config, &store, &feed, &metrics)?;
        let known = Known { metrics: metrics.clone(), board, vault, templates, feed, people };
        Ok(Self { store, metrics, router, sender, outlets, beside, known })
    }

    /// The door for Meta.
    ///
    /// # Errors
    /// When a secret is missing.
    pub fn door(&self, config: &Config) -> anyhow::Result<Arc<Door>> {
        doors::door(config, &self.store, &self.metrics)
    }

    /// What the door for REST clients works with.
    #[must_use]
    pub fn api(&self, config: &Config) -> api::Deps {
        doors::api_deps(config, &self.store, self.known.clone(), &self.sender)
    }

    /// Lets those who listen go, as the program ends.
    pub(super) fn close_feed(&self) {
        self.known.feed.close();
    }

    /// How many conversations are in memory.
    pub async fn active_conversations(&self) -> usize {
        self.router.send(CountActive).await.unwrap_or(0)
    }
}

/// The services that flows ask, if nothing keeps them from being asked.
fn services(config: &Config, parts: &Parts) -> anyhow::Result<Services> {
    let services = Services::new(Arc::clone(&parts.variables), config.connectors.plain_http.clone());
    for flow in std::iter::once(&*parts.flow).chain(parts.flows.values()) {
        let unfit = services.unfit(flow);
        anyhow::ensure!(unfit.is_empty(), "the flow `{}` cannot be run: {}", flow.name(), unfit.join("; "));
    }
    Ok(services)
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
            Hint::Erased(conversations) => router.do_send(Forget(conversations)),
            Hint::Redirected(conversations) => sender.do_send(Redirect(conversations)),
            Hint::Heard(counts) => sender.do_send(Heard(counts)),
        }
    }
}
