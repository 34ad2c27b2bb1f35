//! *hot*: one phone writes as much as all others together. The others must not feel it.
//!
//! Two runs on one database, both on a schedule: the others alone, and the others beside the hot one.

use std::rc::Rc;

use super::{Common, Measuring, OPEN_CONNECTIONS, Talk, judge_all, stage};
use crate::generator::{self, Kind, Pace};
use crate::judge::{Reply, latencies};
use crate::moment::{self, Micros};
use crate::report::{Goal, Latency, Report, Row, tell};
use crate::stage::Meta;

/// After the start, before the first request: time to connect.
const LEAD: Micros = 500_000;
/// The share of their rate that the others are to keep.
const WANTED: f64 = 0.9;

#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Options {
    /// Messages of the others in a second.
    #[arg(long, default_value_t = 300)]
    pub(crate) others: usize,
    /// Messages of the hot phone in a second.
    #[arg(long, default_value_t = 300)]
    pub(crate) hot: usize,
    /// How long each of the two runs takes.
    #[arg(long, default_value_t = 20)]
    pub(crate) seconds: usize,
}

/// Runs it, and adds to the report.
pub(crate) async fn run(
    common: &Common,
    options: &Options,
    meta: &mut Meta,
    report: &mut Report,
) -> anyhow::Result<()> {
    for engine in common.database.iter().copied() {
        let mut talk = Talk::new();
        let first = talk.round(0..common.people, common.people, common.connections);
        let staged = stage(common, engine, meta, &[]).await?;
        staged.prepare(common, meta, &first, common.people).await?;
        let mut rates = Vec::new();
        for hot in [0, options.hot] {
            tell(&format!("hot, {}: {hot} a second from one phone", engine.name()));
            let workload = if hot == 0 { "others" } else { "hot" };
            let begun = talk.said.len();
            let mut tracks = generator::tracks(OPEN_CONNECTIONS);
            let due = |number: usize, rate: usize| LEAD + number as Micros * 1_000_000 / rate as Micros;
            let mut planned: Vec<(Micros, Option<usize>)> = (0..options.others * options.seconds)
                .map(|number| (due(number, options.others), Some(number % common.people)))
                .chain((0..hot * options.seconds).map(|number| (due(number, hot), None)))
                .collect();
            planned.sort_unstable_by_key(|(due, _)| *due);
            // The hot one has a connection of its own: Meta's others do not wait for it.
            let (hot_track, others) = tracks.split_at_mut(1);
            for (due, person) in &planned {
                match person {
                    Some(person) => talk.say(others, *person, Kind::Message, *due),
                    None => talk.say_on(&mut hot_track[0], common.people, Kind::Hot, *due),
                }
            }
            let tracks = Rc::new(tracks);
            let measuring = Measuring::begin(&staged.target).await?;
            let start = moment::now();
            let sent = generator::run(staged.target.addr(), &tracks, Pace::Open(start)).await?;
            meta.until(talk.said.len() as u64).await?;
            staged.program().until_settled().await?;
            let row = measuring.end(&staged.target, &sent, planned.len(), sent.ended_at).await?;

            let replies = meta.log().await?;
            let outcome = judge_all(&talk, &replies, &staged.target);
            let of_others = |reply: &&Reply| {
                reply.message.checked_sub(begun).is_some_and(|number| planned[number].1.is_some())
            };
            let end = start + LEAD + options.seconds as Micros * 1_000_000;
            let others: Vec<&Reply> = replies.iter().filter(of_others).collect();
            #[expect(clippy::cast_precision_loss, reason = "a count")]
            rates.push(others.iter().filter(|reply| reply.arrived_at <= end).count() as f64);
            let intended = |message: usize| Some(start + planned[message - begun].0);
            let reply = Some(Latency::of(&latencies(others, intended)));
            // The hot one's own connection falls behind where a person writes faster than they are answered.
            let invalid = if hot == 0 { row.invalid.clone() } else { None };
            let target = staged.name.clone();
            report.rows.push(Row { workload: workload.into(), target, reply, outcome, invalid, ..row });
        }
        if let [alone, beside] = rates[..] {
            let what = format!("hot, {}: share of their rate that the others keep", staged.name);
            report.goals.push(Goal::at_least(what, beside / alone, WANTED));
        }
    }
    Ok(())
}
