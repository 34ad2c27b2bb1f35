//! `switchboard serve`: the program against Meta.

use crate::app::{App, Parts};
use crate::cli::{chosen_flow, until_told_to_end};
use crate::config::Config;
use crate::webhook;

pub(super) async fn run(config: Config) -> anyhow::Result<()> {
    config.require_for_serve()?;
    let flow = chosen_flow(&config)?;
    tracing::info!(
        flow = flow.name(),
        hash = flow.hash(),
        database = config.database.url.masked(),
        "starting"
    );
    if config.api_key.is_none() {
        tracing::warn!("SWITCHBOARD_API_KEY is not set: the REST API answers nobody");
    }
    let app = App::start(config, Parts::new(flow)).await?;
    tracing::info!(address = %app.addr(), webhook = webhook::PATH, "ready");
    until_told_to_end().await?;
    tracing::info!("ending: the doors close, what runs may finish");
    app.stop().await;
    Ok(())
}
