//! *turns*: text in, reply out, as fast as it goes, against *echo*.

use std::rc::Rc;

use super::{Common, Measuring, Talk, compare, judge_all, stage};
use crate::ceiling::Ceiling;
use crate::database::Engine;
use crate::generator::{self, Pace, Track, Window};
use crate::graph::Orders;
use crate::moment;
use crate::report::{Report, Row, tell};
use crate::stage::{Meta, Target};

/// What the program is to reach, as a share of *echo*.
fn wanted(engine: Engine) -> f64 {
    match engine {
        Engine::Sqlite => 0.5,
        Engine::Postgres => 0.25,
    }
}

#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Options {
    /// Messages in a round.
    #[arg(long, default_value_t = 60_000)]
    pub(crate) messages: usize,
    /// Whether the local Meta posts the three statuses of each reply, as the real one does.
    #[arg(long)]
    pub(crate) with_statuses: bool,
}

impl Options {
    /// So many messages, and no statuses.
    pub(crate) fn plain(messages: usize) -> Self {
        Self { messages, with_statuses: false }
    }
}

/// What is said: everyone once, so that all lines are there, and then what is measured.
pub(crate) struct Script {
    talk: Talk,
    first: Rc<Vec<Track>>,
    measured: Rc<Vec<Track>>,
}

impl Script {
    /// `messages` of the people from `first_person` on.
    pub(crate) fn new(common: &Common, messages: usize, first_person: usize, mut talk: Talk) -> Self {
        let people = first_person..first_person + common.people;
        let first = talk.round(people.clone(), common.people, common.connections);
        let measured = talk.round(people, messages, common.connections);
        Self { talk, first, measured }
    }
}

/// Runs it, and adds to the report.
pub(crate) async fn run(
    common: &Common,
    options: &Options,
    meta: &mut Meta,
    report: &mut Report,
) -> anyhow::Result<()> {
    let workload = if options.with_statuses { "life" } else { "turns" };
    let script = Script::new(common, options.messages, 0, Talk::new());
    for round in 1..=common.rounds {
        tell(&format!("{workload}, round {round} of {}", common.rounds));
        let ceiling = Target::ceiling(Ceiling::Echo, meta, common.workers())?;
        meta.reset(&orders(options, &ceiling)).await?;
        let row = measure(common, options, &script, meta, &ceiling).await?;
        report.rows.push(Row { workload: workload.into(), target: "echo".into(), ..row });
        drop(ceiling);
        for engine in common.database.iter().copied() {
            let staged = stage(common, engine, meta, &[]).await?;
            meta.reset(&orders(options, &staged.target)).await?;
            let row = measure(common, options, &script, meta, &staged.target).await?;
            report.rows.push(Row { workload: workload.into(), target: staged.name.clone(), ..row });
        }
    }
    for engine in common.database.iter().copied() {
        compare(report, workload, "echo", engine, wanted(engine));
    }
    Ok(())
}

fn orders(options: &Options, target: &Target) -> Orders {
    Orders { statuses_to: options.with_statuses.then(|| target.addr()) }
}

/// Has everyone talk, and measures all but their first messages.
pub(crate) async fn measure(
    common: &Common,
    options: &Options,
    script: &Script,
    meta: &Meta,
    target: &Target,
) -> anyhow::Result<Row> {
    let talked = script.talk.said.len();
    let window = || Pace::Closed(Some(Rc::new(Window::new(common.window, meta.answered.clone()))));
    generator::run(target.addr(), &script.first, window()).await?;
    until_done(options, meta, target, common.people).await?;

    let measuring = Measuring::begin(target).await?;
    let sent = generator::run(target.addr(), &script.measured, window()).await?;
    until_done(options, meta, target, talked).await?;
    let row = measuring.end(target, &sent, talked - common.people, moment::now()).await?;
    let replies = meta.log().await?;
    Ok(Row { outcome: judge_all(&script.talk, &replies, target), ..row })
}

/// Waits until so many messages are answered, and the program is done with them.
async fn until_done(options: &Options, meta: &Meta, target: &Target, count: usize) -> anyhow::Result<()> {
    meta.until(count as u64).await?;
    let Target::Program(program) = target else { return Ok(()) };
    program.until_settled().await?;
    if options.with_statuses { program.until_status("read", count as u64).await } else { Ok(()) }
}
