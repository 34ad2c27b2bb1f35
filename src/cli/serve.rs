//! `switchboard serve`: the program against Meta.

use crate::app::App;
use crate::cli::{parts, until_told_to_end};
use crate::config::Config;
use crate::webhook;

pub(super) async fn run(config: Config) -> anyhow::Result<()> {
    config.require_for_serve()?;
    let parts = parts(&config)?;
    tracing::info!(
        flow = parts.flow.name(),
        hash = parts.flow.hash(),
        database = config.database.url.masked(),
        "starting"
    );
    if config.api_key.is_none() {
        tracing::warn!("SWITCHBOARD_API_KEY is not set: the REST API answers nobody");
    }
    let callback =
        config.meta.webhook_url.clone().unwrap_or_else(|| format!("https://<your host>{}", webhook::PATH));
    let app = App::start(config, parts).await?;
    tracing::info!(address = %app.addr(), callback, "ready; the callback URL is what Meta has to be told");
    until_told_to_end().await?;
    tracing::info!("ending: the doors close, what runs may finish");
    app.stop().await;
    Ok(())
}
