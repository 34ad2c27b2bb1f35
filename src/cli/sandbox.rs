//! `switchboard sandbox`: the whole program against a local Meta, with nothing to set up.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::Args;
use uuid::Uuid;

use crate::app::App;
use crate::cli::{parts, say, until_told_to_end};
use crate::clock::Clock;
use crate::config::{Config, DatabaseUrl, Environment, Number, Secret};
use crate::domain::window::WINDOW;
use crate::sandbox::{LocalMeta, Settings};
use crate::store::{demo, last_heard};
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
    let meta =
        LocalMeta::start(Settings::made_up(options.meta), Clock::system()).await.with_context(|| {
            format!("the local Meta cannot listen on {}; choose another with --meta", options.meta)
        })?;
    let (database, _temporary) = match options.database {
        Some(file) => {
            remind(&meta, &file).await?;
            (file, None)
        }
        None => {
            let folder = Temporary::make()?;
            config.media.url = folder.0.join("media").display().to_string();
            (folder.0.join("switchboard.db"), Some(folder))
        }
    };
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
    Ok(())
}

/// Tells the local Meta who has written before it was there: it lets nothing else out but templates to anybody else.
async fn remind(meta: &LocalMeta, database: &Path) -> anyhow::Result<()> {
    if database.exists() {
        let url = DatabaseUrl::new(format!("sqlite://{}", database.display())).context("it has a path")?;
        let since = Clock::system().now() - WINDOW;
        let heard = last_heard(url.expose(), since).await.with_context(|| url.cannot_be_opened())?;
        heard.iter().for_each(|(phone, at)| meta.recall(phone, *at));
    }
    Ok(())
}

/// A folder that goes away at the end, however `run` ends.
struct Temporary(PathBuf);

impl Temporary {
    fn make() -> anyhow::Result<Self> {
        let folder = std::env::temp_dir().join(format!("switchboard-sandbox-{}", Uuid::new_v4().simple()));
        std::fs::create_dir(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
        Ok(Self(folder))
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        // It is in the folder that the system clears anyway.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Sets everything that `serve` would want a person to set, and returns the API key.
fn arrange(config: &mut Config, meta: &LocalMeta, database: &Path) -> anyhow::Result<String> {
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
