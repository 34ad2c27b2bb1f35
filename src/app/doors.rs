//! The doors: what the composition hands to Meta's door and to that for REST clients, and the server behind both.

use std::collections::HashSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use actix::Addr;
use actix_web::dev::ServerHandle;
use actix_web::{App as HttpApp, HttpServer, web};
use anyhow::Context as _;

use super::people::People;
use super::{Core, business_accounts, media_limits, replay_settings};
use crate::api;
use crate::config::{Config, Limits};
use crate::feed::Feed;
use crate::media::library::Library;
use crate::media::vault::Vault;
use crate::meta::signature::AppSecret;
use crate::sender::actor::{SenderActor, SetToken};
use crate::sender::{self, Board};
use crate::store::Store;
use crate::telemetry::Metrics;
use crate::template::Book;
use crate::webhook::{self, Door};

/// How long a connection may idle. Longer than the 60 s for which common proxies keep theirs to a server behind them (nginx's
/// `keepalive_timeout` of an upstream, the idle timeout of AWS's load balancers): the one who sends the next request has to
/// be the one who closes, else that request may meet a closed door.
const KEEP_ALIVE: Duration = Duration::from_secs(75);

/// What both doors look at, beside the store.
#[derive(Clone)]
pub(super) struct Known {
    pub(super) metrics: Metrics,
    pub(super) board: Board,
    pub(super) vault: Vault,
    pub(super) templates: Book,
    pub(super) feed: Feed,
    pub(super) people: People,
}

/// The door for Meta.
pub(super) fn door(config: &Config, store: &Store, metrics: &Metrics) -> anyhow::Result<Arc<Door>> {
    let app_secret = config.meta.app_secret.as_ref().context("WHATSAPP_APP_SECRET is not set")?;
    let verify_token =
        config.meta.verify_token.clone().context("WHATSAPP_WEBHOOK_VERIFY_TOKEN is not set")?;
    Ok(Arc::new(Door {
        store: store.clone(),
        metrics: metrics.clone(),
        app_secret: AppSecret::new(app_secret.expose()),
        verify_token,
        numbers: config.numbers.iter().map(|number| number.phone_number_id.clone()).collect::<HashSet<_>>(),
        accounts: business_accounts(config).into_iter().collect(),
        body_max: config.limits.webhook_body_bytes,
        retry_after: config.limits.retry_after,
    }))
}

/// Opens both doors.
pub(super) fn open(config: &Config, core: &Core) -> anyhow::Result<(SocketAddr, ServerHandle)> {
    let (door, api) = (core.door(config)?, core.api(config));
    let server = HttpServer::new(move || {
        let (door, api) = (Arc::clone(&door), api.clone());
        HttpApp::new()
            .configure(move |config: &mut web::ServiceConfig| webhook::mount(config, door))
            .configure(api::configure(api))
    })
    .workers(Limits::threads(config.limits.http_workers))
    .keep_alive(KEEP_ALIVE)
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

/// What the door for REST clients works with.
pub(super) fn api_deps(
    config: &Config,
    store: &Store,
    known: Known,
    sender: &Addr<SenderActor>,
) -> api::Deps {
    let Known { metrics, board, vault, templates, feed, people } = known;
    let numbers = config.numbers.iter().map(|number| api::Number {
        phone_number_id: number.phone_number_id.clone(),
        display: number.display_phone_number.clone(),
    });
    let sender = sender.clone();
    let limits = &config.limits;
    api::Deps {
        store: store.clone(),
        feed,
        keys: api::ApiKeys::new(
            config.api_key.as_ref(),
            store.clone(),
            api::Rate { per_second: config.api.requests_per_second, burst: config.api.burst },
        ),
        numbers: numbers.collect(),
        library: Library { vault, limits: media_limits(config) },
        eraser: people.eraser,
        exporter: people.exporter,
        templates,
        metrics,
        window_margin: limits.window_margin,
        replay: replay_settings(config),
        health: Arc::new(move || board.numbers().into_iter().map(number_health).collect()),
        set_token: Arc::new(move |phone_number_id, token| {
            let answer = sender.send(SetToken { phone_number_id, token });
            Box::pin(async move {
                match answer.await {
                    Ok(Ok(())) => Ok(()),
                    Ok(Err(refused)) => Err(api::TokenRefused::Bad(refused.to_string())),
                    Err(_) => Err(api::TokenRefused::Ending),
                }
            })
        }),
        limits: api::SendLimits {
            pair_pacing: config.pacing.pair,
            in_flight_max: limits.sends_in_flight,
            attempts_max: limits.send_attempts,
            deadline: limits.send_deadline,
            queue_max: limits.outbound_queue,
        },
    }
}

/// What the sender knows of a number, as the REST door tells it.
fn number_health((number, state): (Arc<str>, sender::NumberState)) -> api::NumberHealth {
    let pause =
        |pause: sender::Pause| api::NumberPause { why: pause.why, since: pause.since, until: pause.until };
    api::NumberHealth {
        phone_number_id: number.to_string(),
        paused: state.paused.map(pause),
        slowed: state.slowed,
        waiting_reply: state.waiting.reply,
        waiting_bulk: state.waiting.bulk,
        in_flight: state.in_flight,
        oldest_at: state.oldest_at,
        allowed: state.allowed,
        rate: state.rate_milli.map(|rate| Duration::from_millis(rate).as_secs_f64()),
        drained_in: state.drained_in,
    }
}
