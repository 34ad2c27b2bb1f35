//! *sizing*: what Meta tells a webhook for a number of 1,000 messages a second to be ready for: the three statuses of each,
//! and 300 messages of people, on a schedule. Source: Meta, "Webhooks overview", capacity.

use std::rc::Rc;

use super::{Common, Measuring, OPEN_CONNECTIONS, Talk, judge_all, stage};
use crate::generator::{self, Kind, Pace, Track};
use crate::judge::{Reply, latencies};
use crate::moment::{self, Micros};
use crate::report::{Goal, Latency, Report, Row, tell};
use crate::stage::Meta;
use crate::wire::{Fate, Framer};

/// After the start, before the first request: time to connect.
const LEAD: Micros = 500_000;
/// How long after the one before the next status of a message comes.
const BETWEEN_FATES: Micros = 1_000_000;

#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Options {
    /// Messages of ours in a second, of each of which three statuses come.
    #[arg(long, default_value_t = 1_000)]
    pub(crate) outbound: usize,
    /// Messages of people in a second.
    #[arg(long, default_value_t = 300)]
    pub(crate) inbound: usize,
    /// How long.
    #[arg(long, default_value_t = 60)]
    pub(crate) seconds: usize,
}

/// Runs it, and adds to the report.
pub(crate) async fn run(
    common: &Common,
    options: &Options,
    meta: &mut Meta,
    report: &mut Report,
) -> anyhow::Result<()> {
    let earlier = options.outbound * options.seconds;
    let count = options.inbound * options.seconds;
    for engine in common.database.iter().copied() {
        tell(&format!("sizing, {}: {earlier} messages are sent beforehand", engine.name()));
        let mut talk = Talk::new();
        let first = talk.round(0..common.people, earlier, common.connections);
        let staged = stage(common, engine, meta, &[]).await?;
        staged.prepare(common, meta, &first, earlier).await?;
        let replies = meta.log().await?;

        let mut tracks = generator::tracks(OPEN_CONNECTIONS);
        plan_statuses(&mut tracks, &replies, options.outbound);
        let due = |number: usize| LEAD + number as Micros * 1_000_000 / options.inbound as Micros;
        for number in 0..count {
            talk.say(&mut tracks, number % common.people, Kind::Message, due(number));
        }
        tracks.iter_mut().for_each(Track::sort);
        let tracks = Rc::new(tracks);
        tell(&format!("sizing, {}: the schedule begins", engine.name()));
        let measuring = Measuring::begin(&staged.target).await?;
        let start = moment::now();
        let sent = generator::run(staged.target.addr(), &tracks, Pace::Open(start)).await?;
        meta.until((earlier + count) as u64).await?;
        staged.program().until_settled().await?;
        staged.program().until_status("read", earlier as u64).await?;
        let webhooks = earlier * Fate::ALL.len() + count;
        let row = measuring.end(&staged.target, &sent, webhooks, sent.ended_at).await?;
        let replies = meta.log().await?;
        let outcome = judge_all(&talk, &replies, &staged.target);
        let intended = |message: usize| message.checked_sub(earlier).map(|number| start + due(number));
        let reply = Latency::of(&latencies(&replies, intended));
        goals(report, &staged.name, &row, reply);
        let target = staged.name.clone();
        report.rows.push(Row { workload: "sizing".into(), target, reply: Some(reply), outcome, ..row });
    }
    Ok(())
}

fn plan_statuses(tracks: &mut [Track], replies: &[Reply], per_second: usize) {
    let framer = Framer::new(0);
    let connections = tracks.len();
    for (number, reply) in replies.iter().enumerate() {
        for (place, fate) in Fate::ALL.into_iter().enumerate() {
            // Meta has many connections and no order among them: each status may come on any.
            let track = &mut tracks[(number * Fate::ALL.len() + place) % connections];
            let due =
                LEAD + number as Micros * 1_000_000 / per_second as Micros + place as Micros * BETWEEN_FATES;
            track.add(Kind::Status, due, |into| framer.statuses(into, &[(&reply.known, fate)]));
        }
    }
}

fn goals(report: &mut Report, name: &str, row: &Row, reply: Latency) {
    let goal = |what: &str| format!("sizing, {name}: {what}");
    let acks = row.acknowledgement;
    report.goals.extend([
        Goal::at_most(goal("acknowledgement p50, ms"), acks.p50_ms, 5.0),
        Goal::at_most(goal("acknowledgement p99, ms"), acks.p99_ms, 50.0),
        #[expect(clippy::cast_precision_loss, reason = "a count")]
        Goal::at_most(goal("answers 5xx"), row.refused as f64, 0.0),
        Goal::at_most(goal("reply p99, ms"), reply.p99_ms, 250.0),
    ]);
}
