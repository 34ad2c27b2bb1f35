//! *statuses*: three for each message that was sent, one in a webhook, as fast as it goes, against *verify*.

use std::rc::Rc;

use super::{Common, Measuring, Talk, compare, judge_all, stage};
use crate::ceiling::Ceiling;
use crate::generator::{self, Kind, Pace, Track};
use crate::judge::Reply;
use crate::moment;
use crate::report::{Report, Row, tell};
use crate::stage::{Meta, Target};
use crate::wire::{Fate, Framer};

/// Messages of a connection that are all sent before the first of them is told to be delivered, and so on.
const STRIDE: usize = 100;

/// What the program is to reach, as a share of *verify*.
const WANTED: f64 = 0.5;

#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Options {
    /// Messages in a round, of each of which three statuses come.
    #[arg(long, default_value_t = 30_000)]
    pub(crate) sent: usize,
}

/// Runs it, and adds to the report.
pub(crate) async fn run(
    common: &Common,
    options: &Options,
    meta: &mut Meta,
    report: &mut Report,
) -> anyhow::Result<()> {
    for round in 1..=common.rounds {
        tell(&format!("statuses, round {round} of {}", common.rounds));
        for (place, engine) in common.database.iter().copied().enumerate() {
            let mut talk = Talk::new();
            let tracks = talk.round(0..common.people, options.sent, common.connections);
            let staged = stage(common, engine, meta, &[]).await?;
            staged.prepare(common, meta, &tracks, options.sent).await?;
            let replies = meta.log().await?;
            let told = told(&replies, common.connections);
            // The ceiling knows no messages, so that the statuses of any database will do.
            if place == 0 {
                let ceiling = Target::ceiling(Ceiling::Verify, meta, common.workers())?;
                let row = measure(&told, options.sent, &ceiling).await?;
                report.rows.push(Row { workload: "statuses".into(), target: "verify".into(), ..row });
            }
            let row = measure(&told, options.sent, &staged.target).await?;
            let outcome = judge_all(&talk, &replies, &staged.target);
            report.rows.push(Row { workload: "statuses".into(), target: staged.name, outcome, ..row });
        }
    }
    for engine in common.database.iter().copied() {
        compare(report, "statuses", "verify", engine, WANTED);
    }
    Ok(())
}

/// The statuses of these messages; those of one message in their order.
fn told(replies: &[Reply], connections: usize) -> Rc<Vec<Track>> {
    let framer = Framer::new(0);
    let mut tracks = generator::tracks(connections);
    let stride = STRIDE.min(replies.len() / connections).max(1);
    for (place, part) in replies.chunks(stride).enumerate() {
        let track = &mut tracks[place % connections];
        for fate in Fate::ALL {
            for reply in part {
                track.add(Kind::Status, 0, |into| framer.statuses(into, &[(&reply.known, fate)]));
            }
        }
    }
    Rc::new(tracks)
}

async fn measure(told: &Rc<Vec<Track>>, messages: usize, target: &Target) -> anyhow::Result<Row> {
    let measuring = Measuring::begin(target).await?;
    let sent = generator::run(target.addr(), told, Pace::Closed(None)).await?;
    let row = measuring.end(target, &sent, messages * Fate::ALL.len(), moment::now()).await?;
    if let Target::Program(program) = target {
        program.until_status("read", messages as u64).await?;
    }
    Ok(row)
}
