//! *growth*: turns on a database with a past beside turns on an empty one, and how long the first pages of the lists take.

use std::rc::Rc;

use super::{Common, Staged, Talk, name, stage, stage_on, turns};
use crate::connection::Connection;
use crate::database::{Database, Engine};
use crate::generator::{histogram, record};
use crate::moment;
use crate::report::{Goal, Latency, Report, Row, tell};
use crate::seed::{self, Past};
use crate::stage::Meta;

/// What the rate is to keep of that on an empty database.
const RATE_WANTED: f64 = 0.9;
/// Milliseconds for a first page, at the 99th percentile.
const PAGE_MS: f64 = 20.0;
/// Messages of one person in the past.
const MESSAGES_OF_ONE: u64 = 50;
/// How often a page is read.
const READS: usize = 300;
/// The lists, and the figures beside them.
const PAGES: [&str; 8] = [
    "/api/whatsapp/messages",
    "/api/whatsapp/messages?direction=out",
    "/api/whatsapp/messages?contact=4915100000007",
    "/api/whatsapp/contacts",
    "/api/whatsapp/conversations",
    "/api/whatsapp/webhooks",
    "/api/whatsapp/media",
    "/api/whatsapp/stats",
];

#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Options {
    /// Messages that are stored. 10,000,000 of them take some 10 GB and minutes to write.
    #[arg(long, default_value_t = 1_000_000)]
    pub(crate) stored: u64,
    /// Messages in a round.
    #[arg(long, default_value_t = 40_000)]
    pub(crate) messages: usize,
}

/// Runs it, and adds to the report.
pub(crate) async fn run(
    common: &Common,
    options: &Options,
    meta: &mut Meta,
    report: &mut Report,
) -> anyhow::Result<()> {
    for engine in common.database.iter().copied() {
        // Each round has people of its own.
        let people = (options.stored / MESSAGES_OF_ONE).max((common.people * common.rounds) as u64);
        tell(&format!("growth, {}: writing the past", engine.name()));
        let grown = Rc::new(Database::new(engine, &common.folder)?);
        seed::write(&common.binary, &grown, Past { people, messages: options.stored, unfinished: 0 }).await?;
        let plain = turns::Options::plain(options.messages);
        for round in 0..common.rounds {
            tell(&format!("growth, {}, round {} of {}", engine.name(), round + 1, common.rounds));
            // People of the past, others in each round: their first message is the first that the bot remembers.
            let first = round * common.people;
            let script = turns::Script::new(common, options.messages, first, Talk::another(round as u64));
            let empty = stage(common, engine, meta, &[]).await?;
            let row = turns::measure(common, &plain, &script, meta, &empty.target).await?;
            report.rows.push(Row { workload: "empty".into(), target: empty.name.clone(), ..row });
            drop(empty);
            let full = stage_on(common, Rc::clone(&grown), meta, &[]).await?;
            let row = turns::measure(common, &plain, &script, meta, &full.target).await?;
            report.rows.push(Row { workload: "grown".into(), target: full.name.clone(), ..row });
            if round + 1 == common.rounds {
                pages(&full, options.stored, report).await?;
            }
        }
        keeps_its_rate(report, engine, options.stored);
    }
    Ok(())
}

fn keeps_its_rate(report: &mut Report, engine: Engine, stored: u64) {
    let rate = |workload: &str| report.median(workload, &name(engine), |row| row.rate_per_second);
    if let (Some(empty), Some(grown)) = (rate("empty"), rate("grown")) {
        let what = format!(
            "growth, {}: {grown:.0} turns/s with {stored} messages against {empty:.0} with none; ratio",
            name(engine)
        );
        report.goals.push(Goal::at_least(what, grown / empty, RATE_WANTED));
    }
}

async fn pages(staged: &Staged, stored: u64, report: &mut Report) -> anyhow::Result<()> {
    let mut connection = Connection::new(staged.target.addr());
    for page in PAGES {
        let mut times = histogram();
        for _ in 0..READS {
            let began_at = moment::now();
            let answer = connection.get(page).await?;
            record(&mut times, moment::now() - began_at);
            anyhow::ensure!(answer.status == 200, "{page} was answered {}", answer.status);
        }
        let what = format!("growth, {}: GET {page} with {stored} messages, p99, ms", staged.name);
        report.goals.push(Goal::at_most(what, Latency::of(&times).p99_ms, PAGE_MS));
    }
    Ok(())
}
