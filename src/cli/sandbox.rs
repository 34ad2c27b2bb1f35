//! `switchboard sandbox`: the whole program against a local Meta, with nothing to set up.

use std::net::SocketAddr;
use std::path::PathBuf;

use anyhow::Context as _;
use clap::Args;
use uuid::Uuid;

use crate::app::App;
use crate::cli::{parts, say, until_told_to_end};
use crate::clock::Clock;
use crate::config::{Config, DatabaseUrl, Environment, Number, Secret};
use crate::sandbox::{LocalMeta, Settings};
use crate::store::demo;
use crate::webhook;

#[derive(Args)]
pub(super) struct Options {
    /// Where the local Meta and its phones listen; port 0 takes a free one.
    #[arg(long, default_value = "127.0.0.1:8001", value_name = "ADDRESS")]
    meta: SocketAddr,
    /// Keep the database in this SQLite file instead of a temporary one that goes away at the end.
    #[arg(long, value_name = "FILE")]
    database: Option<PathBuf>,
}

pub(super) async fn run(
    mut config: Config,
    environment: &Environment,
    options: Options,
) -> anyhow::Result<()> {
    let parts = parts(&config, environment)?;
    let (database, temporary) = match options.database {
        Some(path) => (path, false),
        None => {
            (std::env::temp_dir().join(format!("switchboard-sandbox-{}.db", Uuid::new_v4().simple())), true)
        }
    };
    let meta =
        LocalMeta::start(Settings::made_up(options.meta), Clock::system()).await.with_context(|| {
            format!("the local Meta cannot listen on {}; choose another with --meta", options.meta)
        })?;
    let files = database.with_extension("media");
    if temporary {
        config.media.url = files.display().to_string();
    }
    let key = arrange(&mut config, &meta, &database)?;
    let app = App::start(config, parts).await?;
    let phones = meta.settings().phones.iter().map(|phone| (phone.wa_id.as_str(), phone.name.as_str()));
    demo::fill(app.store(), phones).await?;
    meta.set_webhook_url(&format!("http://{}{}", app.addr(), webhook::PATH))?;
    anyhow::ensure!(meta.verify_webhook().await?, "the webhook did not pass the local Meta's verification");
    say(&welcome(&meta, &app, &key));
    until_told_to_end().await?;
    app.stop().await;
    meta.stop().await;
    if temporary {
        // What is not there need not be removed.
        let _ = std::fs::remove_dir_all(files);
        for suffix in ["", "-wal", "-shm"] {
            let mut file = database.clone().into_os_string();
            file.push(suffix);
            let _ = std::fs::remove_file(file);
        }
    }
    Ok(())
}

/// Sets everything that `serve` would want a person to set, and returns the API key.
fn arrange(config: &mut Config, meta: &LocalMeta, database: &std::path::Path) -> anyhow::Result<String> {
    let settings = meta.settings();
    let secret = |text: &str| Secret::new(text).context("made-up secrets are not empty");
    let url = format!("sqlite://{}?mode=rwc", database.display());
    config.database.url = DatabaseUrl::new(url).context("the database path is not empty")?;
    config.meta.app_secret = Some(secret(&settings.app_secret)?);
    config.meta.verify_token = Some(secret(&settings.verify_token)?);
    config.meta.graph_url = meta.graph_url();
    config.numbers = vec![Number {
        phone_number_id: settings.phone_number_id.clone(),
        display_phone_number: Some(settings.display_phone_number.clone()),
        token: Some(secret(&settings.token)?),
        business_account_id: Some(settings.business_account_id.clone()),
        flow: None,
        messages_per_second: config.pacing.messages_per_second,
    }];
    let key = match &config.api_key {
        Some(key) => key.expose().to_owned(),
        None => Uuid::new_v4().simple().to_string(),
    };
    config.api_key = Some(secret(&key)?);
    Ok(key)
}

fn welcome(meta: &LocalMeta, app: &App, key: &str) -> String {
    let (meta, app) = (meta.addr(), app.addr());
    let phone = "4915112345001";
    format!(
        "\nSwitchboard sandbox is ready. Nothing of it leaves this machine.

  Open     http://{meta}/     and type  hi  on one of the phones.
  Or try   curl -s http://{meta}/phones/{phone}/messages -H 'Content-Type: application/json' -d '{{\"text\": \"hi\"}}'
           then the same with  1 , with  2  and with  ORD-001 : that is order ORD-001.
  Read     curl -s http://{app}/api/whatsapp/messages -H 'Authorization: Bearer {key}'

  Ctrl-C ends it.
"
    )
}
