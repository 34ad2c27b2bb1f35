//! The load: how fast the program is, beside what the same libraries do when nothing is kept, and whether each message was
//! answered once while it was that fast.
//!
//! ```sh
//! cargo bench --bench load -- --help
//! cargo bench --bench load -- turns                        # text in, reply out, against the echo ceiling
//! cargo bench --bench load -- turns --database postgres --rounds 5 --json turns.json
//! ```
//!
//! Every part is a process of its own: the program (`switchboard serve`, as `cargo bench` builds it), the local Meta
//! (`graph`), the ceilings (`ceiling`), and this one, which posts and judges. All of them share the machine, so figures of
//! one run are compared with each other, never with those of another machine.

mod ceiling;
mod connection;
mod database;
mod generator;
mod graph;
mod judge;
mod moment;
mod process;
mod report;
mod rows;
mod seed;
mod stage;
mod wire;
mod workload;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use mimalloc::MiMalloc;
use tokio::task::LocalSet;

use ceiling::Ceiling;
use report::{Report, say, tell};
use stage::Meta;
use workload::{Common, burst, growth, hot, memory, sizing, startup, statuses, turns};

/// The program's own, so that the ceilings have what it has.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

/// Measures the program under load, beside its ceilings, and judges every answer.
///
/// A run fails when a message was lost, answered twice, out of order or without memory, or when the generator could not
/// keep its own schedule. A goal that is missed is told and fails nothing: it depends on the machine.
#[derive(Parser)]
#[command(name = "load", after_help = AFTER_HELP)]
struct Cli {
    #[command(subcommand)]
    workload: Workload,
    #[command(flatten)]
    common: Common,
    /// Also writes everything as JSON to this file; `-` for standard output, in place of the table.
    #[arg(long, global = true, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Given by `cargo bench`; means nothing.
    #[arg(long, hide = true, global = true)]
    bench: bool,
}

const AFTER_HELP: &str = "\
Columns: `/s` until the last one was settled; `cpu µs` processor time of the target's process for one; `ack` from the intended
moment of a request to its 200, `reply` to the arrival of the answer at Meta, in milliseconds; `jobs` in a commit of the writer.";

#[derive(Subcommand)]
enum Workload {
    /// Text in, reply out, as fast as it goes, against `echo`: verify, and reply with nothing kept.
    Turns(turns::Options),
    /// Three statuses of each message, as fast as they go, against `verify`: signature and parsing, with nothing kept.
    Statuses(statuses::Options),
    /// What Meta says to be ready for with 1,000 messages a second: 3,000 statuses and 300 messages a second, on a schedule.
    Sizing(sizing::Options),
    /// Many strangers in the same moment, more than are taken in at once.
    Burst(burst::Options),
    /// One phone that writes as much as all others together, beside them.
    Hot(hot::Options),
    /// All of the above, as they are by default.
    All,
    /// What an active conversation costs in memory.
    Memory(memory::Options),
    /// How long a start takes with many known conversations and unfinished events, and what the known cost in memory.
    Startup(startup::Options),
    /// Turns, and the first pages of the lists, on a database with a long past.
    Growth(growth::Options),
    /// A few seconds of everything, to see that it works: its figures mean nothing.
    Smoke,
    /// The local Meta.
    #[command(hide = true)]
    Graph,
    /// A ceiling.
    #[command(hide = true)]
    Ceiling { ceiling: Ceiling, graph_url: String, workers: usize },
}

fn main() -> anyhow::Result<ExitCode> {
    let cli = Cli::parse();
    if let Workload::Ceiling { ceiling, graph_url, workers } = cli.workload {
        ceiling::serve(ceiling, &graph_url, workers)?;
        return Ok(ExitCode::SUCCESS);
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    LocalSet::new().block_on(&runtime, run(cli))
}

async fn run(cli: Cli) -> anyhow::Result<ExitCode> {
    if let Workload::Graph = cli.workload {
        graph::serve().await?;
        return Ok(ExitCode::SUCCESS);
    }
    let mut report = Report::default();
    let measured = measure(&cli, &mut report).await;
    // What was measured until then is worth telling.
    match &cli.json {
        Some(file) if file.as_os_str() == "-" => say(&report.json()?),
        Some(file) => {
            std::fs::write(file, report.json()?)?;
            say(&report.table());
        }
        None => say(&report.table()),
    }
    measured?;
    if report.is_sound() {
        return Ok(ExitCode::SUCCESS);
    }
    tell("a run does not count or had the wrong outcome");
    Ok(ExitCode::FAILURE)
}

async fn measure(cli: &Cli, report: &mut Report) -> anyhow::Result<()> {
    let mut meta = Meta::start().await?;
    let (common, meta) = (&cli.common, &mut meta);
    match &cli.workload {
        Workload::Turns(options) => turns::run(common, options, meta, report).await,
        Workload::Statuses(options) => statuses::run(common, options, meta, report).await,
        Workload::Sizing(options) => sizing::run(common, options, meta, report).await,
        Workload::Burst(options) => burst::run(common, options, meta, report).await,
        Workload::Hot(options) => hot::run(common, options, meta, report).await,
        Workload::Memory(options) => memory::run(common, options, meta, report).await,
        Workload::Startup(options) => startup::run(common, options, meta, report).await,
        Workload::Growth(options) => growth::run(common, options, meta, report).await,
        Workload::All => all(common, &Sizes::default(), meta, report).await,
        Workload::Smoke => {
            let common = Common { rounds: 1, people: 50, ..common.clone() };
            all(&common, &Sizes::smoke(), meta, report).await
        }
        Workload::Graph | Workload::Ceiling { .. } => Ok(()),
    }
}

/// How much of everything.
struct Sizes {
    turns: turns::Options,
    statuses: statuses::Options,
    sizing: sizing::Options,
    burst: burst::Options,
    hot: hot::Options,
}

impl Default for Sizes {
    fn default() -> Self {
        Self {
            turns: turns::Options::plain(60_000),
            statuses: statuses::Options { sent: 30_000 },
            sizing: sizing::Options { outbound: 1_000, inbound: 300, seconds: 60 },
            burst: burst::Options { strangers: 20_000 },
            hot: hot::Options { others: 300, hot: 300, seconds: 20 },
        }
    }
}

impl Sizes {
    fn smoke() -> Self {
        Self {
            turns: turns::Options::plain(500),
            statuses: statuses::Options { sent: 200 },
            sizing: sizing::Options { outbound: 20, inbound: 20, seconds: 2 },
            burst: burst::Options { strangers: 300 },
            hot: hot::Options { others: 20, hot: 20, seconds: 2 },
        }
    }
}

async fn all(common: &Common, sizes: &Sizes, meta: &mut Meta, report: &mut Report) -> anyhow::Result<()> {
    turns::run(common, &sizes.turns, meta, report).await?;
    let life = turns::Options { with_statuses: true, ..sizes.turns.clone() };
    turns::run(common, &life, meta, report).await?;
    statuses::run(common, &sizes.statuses, meta, report).await?;
    sizing::run(common, &sizes.sizing, meta, report).await?;
    burst::run(common, &sizes.burst, meta, report).await?;
    hot::run(common, &sizes.hot, meta, report).await
}
