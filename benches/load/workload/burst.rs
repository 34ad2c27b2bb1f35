//! *burst*: many strangers write in the same moment, more than the program takes in at once. What it turns away with 503
//! comes again, as from Meta; in the end each is answered once.

use std::rc::Rc;

use super::{Common, Measuring, OPEN_CONNECTIONS, Talk, judge_all, stage};
use crate::generator::{self, Kind, Pace};
use crate::judge::latencies;
use crate::moment;
use crate::report::{Latency, Report, Row, tell};
use crate::stage::Meta;

#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Options {
    /// Strangers, each with one message.
    #[arg(long, default_value_t = 20_000)]
    pub(crate) strangers: usize,
}

/// Runs it, and adds to the report.
pub(crate) async fn run(
    common: &Common,
    options: &Options,
    meta: &mut Meta,
    report: &mut Report,
) -> anyhow::Result<()> {
    for engine in common.database.iter().copied() {
        tell(&format!("burst, {}", engine.name()));
        let mut talk = Talk::new();
        let mut tracks = generator::tracks(OPEN_CONNECTIONS);
        for stranger in 0..options.strangers {
            talk.say(&mut tracks, stranger, Kind::Message, 0);
        }
        let tracks = Rc::new(tracks);
        let staged = stage(common, engine, meta, &[]).await?;
        let measuring = Measuring::begin(&staged.target).await?;
        let start = moment::now();
        let sent = generator::run(staged.target.addr(), &tracks, Pace::Open(start)).await?;
        meta.until(options.strangers as u64).await?;
        staged.program().until_settled().await?;
        let row = measuring.end(&staged.target, &sent, options.strangers, moment::now()).await?;
        let replies = meta.log().await?;
        let outcome = judge_all(&talk, &replies, &staged.target);
        let reply = Some(Latency::of(&latencies(&replies, |_| Some(start))));
        // All are due at once: that most of them wait for a connection is what a burst is.
        let invalid = None;
        let target = staged.name.clone();
        report.rows.push(Row { workload: "burst".into(), target, reply, outcome, invalid, ..row });
    }
    Ok(())
}
