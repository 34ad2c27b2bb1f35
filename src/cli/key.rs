//! `switchboard key`: API keys, made, shown and taken back on the database itself. A running server honours what is done
//! here within seconds.

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, anyhow, bail};
use jiff::fmt::friendly::SpanParser;
use jiff::{SpanRelativeTo, Timestamp};

use crate::app::store_settings;
use crate::cli::{complain, open, say};
use crate::clock::{Millis, duration_ms};
use crate::config::Config;
use crate::domain::access::{NewKey, Scopes};
use crate::domain::ids::KeyId;
use crate::store::read::{Page, Place};
use crate::store::{Actor, Deed, Outcome, Store, StoredKey};

/// Keys that are read at once for the list.
const PAGE: u64 = 500;

#[derive(clap::Subcommand)]
pub(super) enum Command {
    /// Make a key and print it: this once, because only its hash is kept. It is good at once.
    #[command(
        after_help = "Example: switchboard key create --name billing --scopes read,send --expires-in 90d"
    )]
    Create {
        /// What people are to call it.
        #[arg(long)]
        name: String,
        /// What it may do, with commas: read, send, operate, admin. `admin` implies the others.
        #[arg(long, value_parser = scopes)]
        scopes: Scopes,
        /// How long it is good, such as 12h or 90d; without this, until it is revoked.
        #[arg(long, value_name = "SPAN", value_parser = span)]
        expires_in: Option<Duration>,
        /// How many requests it may make per second, in place of what the settings say.
        #[arg(long, value_name = "N")]
        requests_per_second: Option<u32>,
    },
    /// List the keys, newest first, with those that are revoked or expired.
    List,
    /// Take a key's power away, for good.
    Revoke {
        /// Its id, as the list shows it: key_…
        id: KeyId,
    },
}

fn scopes(text: &str) -> Result<Scopes, &'static str> {
    Scopes::parse(text).ok_or("give one or more of read, send, operate, admin, with commas")
}

/// A span in which a day has 24 hours.
pub(super) fn span(text: &str) -> Result<Duration, &'static str> {
    let span = SpanParser::new().parse_span(text).ok();
    let span = span.and_then(|span| span.to_duration(SpanRelativeTo::days_are_24_hours()).ok());
    span.and_then(|span| Duration::try_from(span).ok()).ok_or("give a span such as 12h, 90d or 2w")
}

pub(super) async fn run(config: &Config, command: Command) -> anyhow::Result<ExitCode> {
    let store = open(config, &store_settings(config)).await?;
    match command {
        Command::Create { name, scopes, expires_in, requests_per_second } => {
            let now = store.clock().now();
            let expires_at = expires_in.map(|span| now.saturating_add(duration_ms(span)));
            let wanted = NewKey::new(&name, scopes, expires_at, requests_per_second, now)?;
            let (id, key) = on_behalf(&store, "keys.create", None).create_key(wanted).await?;
            say(&key);
            complain(&format!(
                "This is the key {id}. It is not shown again; keep it where secrets are kept.\n\
                 It is sent as `Authorization: Bearer …`, and `switchboard key revoke {id}` takes it back."
            ));
        }
        Command::List => list(&store).await?,
        Command::Revoke { id } => revoke(&store, id).await?,
    }
    Ok(ExitCode::SUCCESS)
}

fn deed(action: &str, target: Option<KeyId>) -> Arc<Deed> {
    Arc::new(Deed::new(Actor::CommandLine, action, target.map(|id| id.to_string()), None))
}

fn on_behalf(store: &Store, action: &str, target: Option<KeyId>) -> Store {
    store.on_behalf(deed(action, target))
}

async fn revoke(store: &Store, id: KeyId) -> anyhow::Result<()> {
    if on_behalf(store, "keys.revoke", Some(id)).revoke_key(id).await? {
        say(&format!("{id} is revoked; a running server honours that within seconds"));
        return Ok(());
    }
    let reason = match store.find_key(id).await? {
        None => "not_found",
        Some(_) => "revoked_before",
    };
    store.note(deed("keys.revoke", Some(id)), Outcome::Refused, Some(reason.to_owned())).await?;
    if reason == "not_found" {
        bail!("there is no key {id}; `switchboard key list` shows those that there are");
    }
    Err(anyhow!("{id} was revoked before"))
}

async fn list(store: &Store) -> anyhow::Result<()> {
    let now = store.clock().now();
    let mut lines = vec![columns(["ID", "NAME", "SCOPES", "STATE", "LAST USED", "RATE"].map(str::to_owned))];
    let mut place = Some(Place::Start);
    while let Some(from) = place {
        let found = store.list_keys(Page { place: from, ..Page::newest(PAGE) }).await?;
        for key in &found.rows {
            lines.push(line(key, now)?);
        }
        place = found.rest.map(Place::After);
    }
    say(&lines.join("\n"));
    Ok(())
}

fn line(key: &StoredKey, now: Millis) -> anyhow::Result<String> {
    let state = match (key.revoked_at, key.expires_at) {
        (Some(at), _) => format!("revoked {}", shown(at)?),
        (None, Some(at)) if at <= now => format!("expired {}", shown(at)?),
        (None, Some(at)) => format!("good until {}", shown(at)?),
        (None, None) => "good".to_owned(),
    };
    let used = key.last_used_at.map_or_else(|| Ok("never".to_owned()), shown)?;
    let rate = key.requests_per_second.map_or_else(|| "usual".to_owned(), |rate| format!("{rate}/s"));
    Ok(columns([key.id.to_string(), key.name.clone(), key.scopes.to_string(), state, used, rate]))
}

fn columns([id, name, scopes, state, used, rate]: [String; 6]) -> String {
    format!("{id:<21}  {name:<20}  {scopes:<23}  {state:<31}  {used:<20}  {rate}").trim_end().to_owned()
}

fn shown(at: Millis) -> anyhow::Result<String> {
    let at = Timestamp::from_millisecond(at).context("a time of a key is out of range")?;
    Ok(format!("{at:.0}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_has_days_and_weeks() {
        assert_eq!(span("12h"), Ok(Duration::from_hours(12)));
        assert_eq!(span("90d"), Ok(Duration::from_hours(90 * 24)));
        assert_eq!(span("2w"), Ok(Duration::from_hours(14 * 24)));
        for wrong in ["", "90", "-1d", "1mo", "soon"] {
            assert!(span(wrong).is_err(), "{wrong}");
        }
    }
}
