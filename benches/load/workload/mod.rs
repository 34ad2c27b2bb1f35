//! The workloads, and what they have in common: people who talk, a stage, and a measurement around a part of it.

pub(crate) mod burst;
pub(crate) mod growth;
pub(crate) mod hot;
pub(crate) mod memory;
pub(crate) mod sizing;
pub(crate) mod startup;
pub(crate) mod statuses;
pub(crate) mod turns;

use std::ops::Range;
use std::path::PathBuf;
use std::rc::Rc;

use crate::database::{Database, Engine};
use crate::generator::{self, Kind, Pace, Sent, Track, Window};
use crate::graph::Orders;
use crate::judge::{self, Outcome, Promise, Reply};
use crate::moment::{self, Micros};
use crate::process::Machine;
use crate::report::{Latency, Report, Row};
use crate::stage::{Meta, Program, Target};
use crate::wire::Framer;

/// Connections on which a schedule is kept: so many that hardly a request finds none free.
pub(crate) const OPEN_CONNECTIONS: usize = 256;

/// What holds for all workloads.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Common {
    /// The databases to run on.
    #[arg(long, value_enum, value_delimiter = ',', default_value = "sqlite", global = true)]
    pub(crate) database: Vec<Engine>,
    /// Where SQLite files are made: on the disk that is to be measured.
    #[arg(long, default_value_os_t = std::env::temp_dir(), global = true)]
    pub(crate) folder: PathBuf,
    /// Rounds; each runs the ceiling and then the program, and the ratio is that of the medians.
    #[arg(long, default_value_t = 3, global = true)]
    pub(crate) rounds: usize,
    /// People who write, in the closed loops.
    #[arg(long, default_value_t = 10_000, global = true)]
    pub(crate) people: usize,
    /// Connections of the closed loops.
    #[arg(long, default_value_t = 64, global = true)]
    pub(crate) connections: usize,
    /// Turns under way at once, in the closed loops.
    #[arg(long, default_value_t = 256, global = true)]
    pub(crate) window: u64,
    /// The program; by default the one that was built together with this bench.
    #[arg(long, default_value = env!("CARGO_BIN_EXE_switchboard"), hide_default_value = true, global = true)]
    pub(crate) binary: PathBuf,
    /// A further environment variable of the program, which is how a setting is tried out. May be given more than once.
    #[arg(long, value_name = "NAME=VALUE", value_parser = name_and_value, global = true)]
    pub(crate) set: Vec<(String, String)>,
    /// HTTP workers of each target; 0 is one per core.
    #[arg(long, default_value_t = 0, global = true)]
    pub(crate) workers: usize,
}

fn name_and_value(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("it is NAME=VALUE")?;
    Ok((name.to_owned(), value.to_owned()))
}

impl Common {
    pub(crate) fn workers(&self) -> usize {
        match self.workers {
            0 => std::thread::available_parallelism().map_or(1, usize::from),
            workers => workers,
        }
    }
}

/// People who talk: messages get their numbers in the order in which they are planned, and message `i` is of `said[i]`.
pub(crate) struct Talk {
    framer: Framer,
    pub(crate) said: Vec<usize>,
}

impl Talk {
    /// On a database that has not seen any other talk.
    pub(crate) fn new() -> Self {
        Self::another(0)
    }

    /// On a database that has seen other talks, with other numbers.
    pub(crate) fn another(number: u64) -> Self {
        Self { framer: Framer::new(number), said: Vec::new() }
    }

    /// Plans the next message, of this person, on the person's track.
    pub(crate) fn say(&mut self, tracks: &mut [Track], person: usize, kind: Kind, due: Micros) {
        let place = person % tracks.len();
        self.say_on(&mut tracks[place], person, kind, due);
    }

    /// Plans the next message, of this person, on this track.
    pub(crate) fn say_on(&mut self, track: &mut Track, person: usize, kind: Kind, due: Micros) {
        let message = self.said.len();
        self.said.push(person);
        track.add(kind, due, |into| self.framer.text(into, person, message));
    }

    /// `count` messages of `people`, each in turn, as fast as it goes.
    pub(crate) fn round(&mut self, people: Range<usize>, count: usize, connections: usize) -> Rc<Vec<Track>> {
        let mut tracks = generator::tracks(connections);
        for person in people.cycle().take(count) {
            self.say(&mut tracks, person, Kind::Message, 0);
        }
        Rc::new(tracks)
    }
}

/// A measurement that is under way.
pub(crate) struct Measuring {
    machine: Machine,
    cpu: f64,
    commits: Option<(f64, f64)>,
}

impl Measuring {
    pub(crate) async fn begin(target: &Target) -> anyhow::Result<Self> {
        Ok(Self {
            commits: commits(target).await?,
            machine: Machine::now()?,
            cpu: target.process().cpu_seconds()?,
        })
    }

    /// Ends it: `count` things were done by `ended_at`.
    #[expect(clippy::cast_precision_loss, reason = "a count")]
    pub(crate) async fn end(
        self,
        target: &Target,
        sent: &Sent,
        count: usize,
        ended_at: Micros,
    ) -> anyhow::Result<Row> {
        let machine_busy = self.machine.busy_since()?;
        let cpu = target.process().cpu_seconds()? - self.cpu;
        let jobs_per_commit = match (self.commits, commits(target).await?) {
            (Some((commits, jobs)), Some((commits_now, jobs_now))) if commits_now > commits => {
                Some((jobs_now - jobs) / (commits_now - commits))
            }
            _ => None,
        };
        Ok(Row {
            workload: String::new(),
            target: String::new(),
            count: count as u64,
            rate_per_second: count as f64 / moment::seconds(ended_at - sent.began_at),
            cpu_us: cpu * 1_000_000.0 / count.max(1) as f64,
            acknowledgement: Latency::of(&sent.all_acks()),
            reply: None,
            refused: sent.refused.values().sum(),
            jobs_per_commit,
            resident_mib: target.process().resident_kib()? >> 10,
            machine_busy,
            outcome: Outcome::default(),
            invalid: sent.saturated(),
        })
    }
}

async fn commits(target: &Target) -> anyhow::Result<Option<(f64, f64)>> {
    let Target::Program(program) = target else { return Ok(None) };
    let count = program.metric("switchboard_batch_jobs_count").await?;
    Ok(Some((count, program.metric("switchboard_batch_jobs_sum").await?)))
}

/// The program on a fresh database.
pub(crate) struct Staged {
    pub(crate) target: Target,
    pub(crate) name: String,
    /// Goes away after the program.
    _database: Rc<Database>,
}

/// Starts the program on a fresh database, and the local Meta afresh.
pub(crate) async fn stage(
    common: &Common,
    engine: Engine,
    meta: &mut Meta,
    settings: &[(&str, &str)],
) -> anyhow::Result<Staged> {
    stage_on(common, Rc::new(Database::new(engine, &common.folder)?), meta, settings).await
}

/// Starts the program on this database, and the local Meta afresh.
pub(crate) async fn stage_on(
    common: &Common,
    database: Rc<Database>,
    meta: &mut Meta,
    settings: &[(&str, &str)],
) -> anyhow::Result<Staged> {
    meta.reset(&Orders::default()).await?;
    let program = Program::start(common, meta, &database, settings).await?;
    let target = Target::Program(Box::new(program));
    Ok(Staged { target, name: name(database.engine()), _database: database })
}

/// What the program is called in a report.
pub(crate) fn name(engine: Engine) -> String {
    format!("switchboard ({})", engine.name())
}

impl Staged {
    pub(crate) fn program(&self) -> &Program {
        match &self.target {
            Target::Program(program) => program,
            Target::Ceiling(_) => unreachable!("the program was staged"),
        }
    }

    /// Has `tracks` posted and answered, as fast as it goes, and judges nothing: what comes before a measurement.
    pub(crate) async fn prepare(
        &self,
        common: &Common,
        meta: &Meta,
        tracks: &Rc<Vec<Track>>,
        answers: usize,
    ) -> anyhow::Result<()> {
        let window = Rc::new(Window::new(common.window, meta.answered.clone()));
        generator::run(self.target.addr(), tracks, Pace::Closed(Some(window))).await?;
        meta.until(answers as u64).await?;
        self.program().until_settled().await
    }
}

/// Judges all that was said since the reset.
pub(crate) fn judge_all(talk: &Talk, replies: &[Reply], target: &Target) -> Outcome {
    let promise = if matches!(target, Target::Program(_)) { Promise::InOrder } else { Promise::Once };
    judge::judge(&talk.said, replies, promise)
}

/// Adds the ratio of the program's rate to that of a ceiling as a goal.
pub(crate) fn compare(report: &mut Report, workload: &str, ceiling: &str, engine: Engine, wanted: f64) {
    let program = name(engine);
    let figure = |target: &str, figure: fn(&Row) -> f64| report.median(workload, target, figure);
    let rates = figure(&program, |row| row.rate_per_second).zip(figure(ceiling, |row| row.rate_per_second));
    let cpu = figure(&program, |row| row.cpu_us).zip(figure(ceiling, |row| row.cpu_us));
    if let (Some((rate, best)), Some((cpu, least))) = (rates, cpu) {
        let what = format!(
            "{workload}, {program}: {rate:.0}/s against {best:.0}/s of {ceiling} (processor time {cpu:.0} µs against {least:.0} µs); ratio"
        );
        report.goals.push(crate::report::Goal::at_least(what, rate / best, wanted));
    }
}
