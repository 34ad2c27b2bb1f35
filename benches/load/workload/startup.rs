//! *startup*: how long it takes until the doors are open with many known conversations and unfinished events, and what the
//! known ones cost in memory.

use super::{Common, name};
use crate::database::Database;
use crate::graph::Orders;
use crate::judge::{self, Promise};
use crate::moment;
use crate::report::{Goal, Report, tell};
use crate::seed::{self, Past};
use crate::stage::{Meta, Program};

/// Seconds until the doors are open, at the most.
const START_SECONDS: f64 = 5.0;
/// MiB with nobody active, at the most.
const RESIDENT_MIB: f64 = 100.0;

#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Options {
    /// Conversations that are known.
    #[arg(long, default_value_t = 1_000_000)]
    pub(crate) known: u64,
    /// Events that are accepted and not done.
    #[arg(long, default_value_t = 10_000)]
    pub(crate) unfinished: u64,
}

/// Runs it, and adds to the report.
pub(crate) async fn run(
    common: &Common,
    options: &Options,
    meta: &mut Meta,
    report: &mut Report,
) -> anyhow::Result<()> {
    for engine in common.database.iter().copied() {
        let name = name(engine);
        tell(&format!("startup, {name}"));
        let database = Database::new(engine, &common.folder)?;
        let past = Past { people: options.known, messages: 0, unfinished: options.unfinished };
        seed::write(&common.binary, &database, past).await?;
        meta.reset(&Orders::default()).await?;

        let began_at = moment::now();
        let program = Program::start(common, meta, &database, &[]).await?;
        let started = moment::seconds(moment::now() - began_at);
        meta.until(options.unfinished).await?;
        program.until_settled().await?;
        let finished = moment::seconds(moment::now() - began_at);
        let said: Vec<usize> = (0..usize::try_from(options.unfinished)?).collect();
        let outcome = judge::judge(&said, &meta.log().await?, Promise::InOrder);
        anyhow::ensure!(outcome.is_right(), "{outcome:?}");
        drop(program);
        let what = format!(
            "startup, {name}: {} known, {} unfinished (all answered {finished:.1} s after the start); seconds until the doors are open",
            options.known, options.unfinished
        );
        report.goals.push(Goal::at_most(what, started, START_SECONDS));

        let program = Program::start(common, meta, &database, &[]).await?;
        #[expect(clippy::cast_precision_loss, reason = "a count of KiB")]
        let resident = program.process().resident_kib()? as f64 / 1024.0;
        let what = format!("startup, {name}: MiB resident with {} known and none active", options.known);
        report.goals.push(Goal::at_most(what, resident, RESIDENT_MIB));
    }
    Ok(())
}
