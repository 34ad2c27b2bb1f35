//! `switchboard serve`: the program against Meta.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::app::App;
use crate::cli::{DOTENV, parts, until_told_to_end};
use crate::config::{self, Config, Environment, Secret};
use crate::webhook;

pub(super) async fn run(
    config: Config,
    environment: &Environment,
    file: Option<PathBuf>,
) -> anyhow::Result<()> {
    config.require_for_serve()?;
    let mut parts = parts(&config, environment)?;
    parts.tokens = Some(Arc::new(move |number| find_token(file.as_deref(), number)));
    tracing::info!(
        flow = parts.flow.name(),
        hash = parts.flow.hash(),
        database = config.database.url.masked(),
        "starting"
    );
    if config.api_key.is_none() {
        tracing::warn!(
            "SWITCHBOARD_API_KEY is not set: the REST API answers keys alone that `switchboard key create` made"
        );
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

/// The token that the file and `.env` have by now. While someone edits them they may not be readable.
fn find_token(file: Option<&Path>, number: &str) -> Option<Secret> {
    config::find_token(file, Path::new(DOTENV), number).unwrap_or_else(|error| {
        tracing::warn!(number, %error, "the configuration cannot be read for another token");
        None
    })
}
