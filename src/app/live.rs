//! Those who are told what happens: the feed, and the outlets.

use anyhow::Context as _;
use tokio::task::JoinSet;

use crate::config::{self, Config};
use crate::feed::{self, Feed, Filter};
use crate::outlet::{self, Outlet, Signer, Worker};
use crate::store::Store;
use crate::telemetry::Metrics;

/// The feed, as it is configured.
pub(super) fn feed(config: &Config, store: &Store) -> Feed {
    let live = &config.live;
    let limits = feed::Limits {
        readers_max: live.readers,
        buffer: live.buffer,
        heartbeat: live.heartbeat,
        stalled_after: live.stalled_after,
        kept_for: live.kept_for,
        commits_max: live.commits,
        log_kept_for: config.outlet.log_kept_for,
    };
    Feed::new(store.clone(), limits)
}

/// Begins to tell the outlets.
pub(super) fn outlets(
    config: &Config,
    store: &Store,
    feed: &Feed,
    metrics: &Metrics,
) -> anyhow::Result<JoinSet<()>> {
    let limits = outlet::Limits {
        in_flight_max: config.outlet.in_flight,
        timeout: config.outlet.timeout,
        connect_timeout: config.limits.connect_timeout,
        deadline: config.outlet.deadline,
        pause_max: config.outlet.longest_pause,
        backlog_max: config.outlet.backlog,
    };
    let mut running = JoinSet::new();
    for outlet in &config.outlets {
        let name = &outlet.name;
        let outlet = ready(outlet).with_context(|| format!("the outlet `{name}`"))?;
        let worker = Worker::new(store.clone(), feed.clone(), metrics.clone(), outlet, limits);
        running.spawn(outlet::run(worker.with_context(|| format!("the outlet `{name}`"))?));
    }
    Ok(running)
}

fn ready(outlet: &config::Outlet) -> anyhow::Result<Outlet> {
    let secret = outlet.secret.as_ref().context("it has no secret")?;
    Ok(Outlet {
        name: outlet.name.clone(),
        url: outlet.url.clone(),
        signer: Signer::new(secret.expose())?,
        filter: Filter { kinds: outlet.kinds.clone(), numbers: outlet.numbers.clone(), contact: None },
        private: outlet.private,
    })
}
