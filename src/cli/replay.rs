//! `switchboard replay`: what another flow would have said. It reads the database and changes nothing in it.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::bail;
use jiff::Timestamp;

use crate::app::{replay_settings, store_settings};
use crate::cli::{flow, open, say};
use crate::clock::{Millis, duration_ms};
use crate::config::Config;
use crate::domain::ids::ConversationId;
use crate::flow::Flow;
use crate::replay::{REPLAYED_MAX, Replay, Replayed};
use crate::store::Store;
use crate::store::read::{ConversationFilter, Page, Place, Times};

/// Conversations that are read at once.
const PAGE: u64 = 200;
/// The exit code of a replay that could not be made; 1 is a difference.
const FAILED: u8 = 2;

const AFTER_HELP: &str = "\
Every conversation begins anew at its first event in the range, and is taken through the flow as it would be today. Nothing
is sent, written or kept: queries are answered from what is stored now, writes are taken to have been made, and the numbers
of sequences count as equal whatever they are.

Examples:
  switchboard replay --flow new.yaml --since 7d
  switchboard replay --flow new.yaml cnv_7353703253942274 --all

Ends with 0 when everything would be said as it was, with 1 when anything would not, with 2 when it cannot be tried.";

#[derive(clap::Args)]
#[command(after_help = AFTER_HELP)]
pub(super) struct Options {
    /// The conversations (cnv_…); without any, those in which a person wrote in the range, the newest first.
    conversations: Vec<ConversationId>,
    /// The flow file on trial; without it, the flow of the settings.
    #[arg(long, value_name = "FILE")]
    flow: Option<PathBuf>,
    /// From when on: a time such as 2027-01-31T18:00:00Z, or how long ago, such as 12h or 7d.
    #[arg(long, value_name = "TIME", value_parser = moment)]
    since: Option<Moment>,
    /// Until when, in the same way.
    #[arg(long, value_name = "TIME", value_parser = moment)]
    until: Option<Moment>,
    /// Conversations at the most.
    #[arg(long, value_name = "N", default_value_t = 1_000)]
    limit: usize,
    /// Show also what would be the same.
    #[arg(long)]
    all: bool,
}

/// A time, or how long ago it was.
#[derive(Debug, Clone, Copy)]
enum Moment {
    At(Millis),
    Ago(Duration),
}

impl Moment {
    fn at(self, now: Millis) -> Millis {
        match self {
            Self::At(at) => at,
            Self::Ago(span) => now.saturating_sub(duration_ms(span)),
        }
    }
}

fn moment(text: &str) -> Result<Moment, &'static str> {
    let time = text.parse::<Timestamp>().map(|time| Moment::At(time.as_millisecond()));
    time.or_else(|_| super::key::span(text).map(Moment::Ago))
        .map_err(|_| "give a time such as 2027-01-31T18:00:00Z, or a span such as 12h or 7d")
}

pub(super) async fn run(config: &Config, options: Options) -> anyhow::Result<ExitCode> {
    match replay(config, options).await {
        Ok(true) => Ok(ExitCode::SUCCESS),
        Ok(false) => Ok(ExitCode::FAILURE),
        Err(error) => {
            super::complain(&super::told(&error));
            Ok(ExitCode::from(FAILED))
        }
    }
}

/// Whether everything would be said as it was.
async fn replay(config: &Config, options: Options) -> anyhow::Result<bool> {
    let flow = match options.flow.as_ref().or(config.flow.as_ref()) {
        Some(path) => flow::read(path)?,
        None => Flow::factory(),
    };
    let settings = crate::store::Settings { migrate: false, ..store_settings(config) };
    let store = open(config, &settings).await?;
    let now = store.clock().now();
    let times = Times {
        since: options.since.map(|moment| moment.at(now)),
        until: options.until.map(|moment| moment.at(now)),
    };
    let conversations = if options.conversations.is_empty() {
        recent(&store, times, options.limit).await?
    } else {
        options.conversations
    };
    let replay = Replay::new(store, flow, &replay_settings(config));
    let (mut events, mut different, mut changed) = (0, 0, 0);
    for conversation in &conversations {
        let Some(replayed) = replay.conversation(*conversation, times).await? else {
            bail!("there is no conversation {conversation}");
        };
        let differences = replayed.differences().count();
        if differences > 0 || options.all {
            say(&told(&replay, &replayed, options.all)?);
        }
        events += replayed.exchanges.len();
        different += differences;
        changed += usize::from(differences > 0);
    }
    let conversations = conversations.len();
    say(&format!(
        "{conversations} conversations, {events} events: {different} would be answered differently, in {changed} conversations"
    ));
    Ok(different == 0)
}

/// The conversations in which a person wrote in these times, the newest begun first.
async fn recent(store: &Store, times: Times, limit: usize) -> anyhow::Result<Vec<ConversationId>> {
    let filter = ConversationFilter { active_since: times.since, ..ConversationFilter::default() };
    let mut found = Vec::new();
    let mut place = Some(Place::Start);
    while let Some(from) = place
        && found.len() < limit
    {
        let page =
            store.list_conversations(filter.clone(), Page { place: from, ..Page::newest(PAGE) }).await?;
        let began = |began_at| times.until.is_none_or(|until| began_at < until);
        found.extend(page.rows.iter().filter(|row| began(row.created_at)).map(|row| row.id));
        place = page.rest.map(Place::After);
    }
    found.truncate(limit);
    Ok(found)
}

/// What was said then (`-`) and what would be said now (`+`); what is the same has neither.
fn told(replay: &Replay, replayed: &Replayed, all: bool) -> anyhow::Result<String> {
    let mut text = format!("{}\n", replayed.conversation);
    for exchange in replayed.exchanges.iter().filter(|exchange| all || !exchange.same) {
        let at = Timestamp::from_millisecond(exchange.at)?;
        text.push_str(&format!("  {at:.0} {} > {}\n", exchange.event, exchange.heard.replace('\n', " ")));
        let shown = |message| replay.shown(message);
        let then: Vec<String> = exchange.then.iter().map(shown).collect();
        let now: Vec<String> = exchange.now.iter().map(shown).collect();
        for place in 0..then.len().max(now.len()) {
            match (then.get(place), now.get(place)) {
                (Some(then), Some(now)) if then == now => lines(&mut text, ' ', then),
                (then, now) => {
                    then.into_iter().for_each(|then| lines(&mut text, '-', then));
                    now.into_iter().for_each(|now| lines(&mut text, '+', now));
                }
            }
        }
        if let Some(trouble) = &exchange.trouble {
            lines(&mut text, '!', &format!("the turn would break: {trouble}"));
        }
    }
    if replayed.more {
        text.push_str(&format!("  … and later events: {REPLAYED_MAX} are replayed at once; give --since\n"));
    }
    Ok(text)
}

fn lines(text: &mut String, sign: char, said: &str) {
    for line in said.lines() {
        text.push_str(&format!("    {sign} {line}\n"));
    }
}
