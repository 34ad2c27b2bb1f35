//! The command line: what can be done with the program, and nothing of how.

mod doctor;
mod flow;
mod key;
mod person;
mod replay;
mod sandbox;
mod serve;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context as _;
use clap::{Parser, Subcommand};

use crate::app::Parts;
use crate::clock::{Clock, Ids};
use crate::config::{Config, Environment, Secret, load};
use crate::flow::Flow;
use crate::store::{self, Store};
use crate::telemetry::{Metrics, init_tracing};

/// An actor-based WhatsApp conversation runtime.
#[derive(Parser)]
#[command(name = "switchboard", version, about, after_help = AFTER_HELP)]
struct Cli {
    #[command(subcommand)]
    command: Command,
    /// The settings file; without it `switchboard.toml`, if it is there. The environment and `.env` win over it.
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
}

/// What fills in what the environment does not say.
const DOTENV: &str = ".env";

const AFTER_HELP: &str = "Try `switchboard sandbox` first: it needs no account and no settings.";

#[derive(Subcommand)]
enum Command {
    /// Answer a WhatsApp number: talks to Meta, needs its credentials (`switchboard config` lists them).
    Serve,
    /// Try everything without an account: its own secrets and database, a local Meta, and phones to type on.
    Sandbox(sandbox::Options),
    /// List every setting: what it is now, its default, where it comes from, what it means.
    Config,
    /// Apply pending migrations to the database and end.
    Migrate,
    /// Look whether all is set for messages to come and go, and say what mends what is not.
    #[command(after_help = doctor::AFTER_HELP)]
    Doctor,
    /// Make, list and revoke the API keys of the database.
    Key {
        #[command(subcommand)]
        command: key::Command,
    },
    /// Write everything that is kept of a person into one file: JSON Lines, a row in each line.
    #[command(after_help = "Example: switchboard export +4915112345001 --out person.jsonl")]
    Export(person::Export),
    /// Erase a person everywhere: ids, conversations, messages, raw events, files. It cannot be undone.
    #[command(
        after_help = "Example: switchboard erase +4915112345001 --yes\nWhere a server runs, it carries it out. Backups are yours to keep or to renew."
    )]
    Erase(person::Erase),
    /// Try a flow on what people wrote before, and show what would be said differently; nothing is sent or changed.
    Replay(replay::Options),
    /// Work on flow files.
    Flow {
        #[command(subcommand)]
        command: flow::Command,
    },
}

/// Runs the program with the arguments of the process.
#[must_use]
pub fn run() -> ExitCode {
    match execute(Cli::parse()) {
        Ok(code) => code,
        Err(error) => {
            complain(&told(&error));
            ExitCode::FAILURE
        }
    }
}

/// What went wrong and why. A cause that what is said already repeats is not said again.
fn told(error: &anyhow::Error) -> String {
    let mut told = String::new();
    for cause in error.chain().map(ToString::to_string) {
        if told.is_empty() {
            told = cause;
        } else if !told.contains(&cause) {
            told = format!("{told}: {cause}");
        }
    }
    told
}

fn execute(cli: Cli) -> anyhow::Result<ExitCode> {
    if let Command::Flow { command } = cli.command {
        return flow::run(&command);
    }
    let environment = Environment::of_process(Path::new(DOTENV))?;
    let warn = || environment.warnings().iter().for_each(|warning| complain(&format!("warning: {warning}")));
    // What is misspelt may be what is missed.
    let config = load(cli.config.as_deref(), &|name| environment.get(name)).inspect_err(|_| warn())?;
    if let Command::Config = cli.command {
        say(&config.listing());
        warn();
        return Ok(ExitCode::SUCCESS);
    }
    init_tracing(config.log.format, &config.log.filter)?;
    log_panics();
    environment.warnings().iter().for_each(|warning| tracing::warn!("{warning}"));
    let runtime = tokio::runtime::Runtime::new()?;
    match cli.command {
        Command::Serve => runtime.block_on(serve::run(config, &environment, cli.config))?,
        Command::Sandbox(options) => runtime.block_on(sandbox::run(config, &environment, options))?,
        Command::Migrate => runtime.block_on(migrate(&config))?,
        Command::Key { command } => return runtime.block_on(key::run(&config, command)),
        Command::Export(options) => {
            let parts = parts(&config, &environment)?;
            return runtime.block_on(person::export(&config, &parts, options));
        }
        Command::Erase(options) => {
            let parts = parts(&config, &environment)?;
            return runtime.block_on(person::erase(&config, &parts, options));
        }
        Command::Doctor => return runtime.block_on(doctor::run(&config)),
        Command::Replay(options) => return runtime.block_on(replay::run(&config, options)),
        Command::Config | Command::Flow { .. } => {}
    }
    Ok(ExitCode::SUCCESS)
}

/// The store of a command that works on it without the program.
async fn open(config: &Config, settings: &store::Settings) -> anyhow::Result<Store> {
    let clock = Clock::system();
    let ids = Ids::new(clock.clone());
    let opened = Store::open(settings, clock, ids, Metrics::new()).await;
    Ok(opened.with_context(|| config.database.url.cannot_be_opened())?.0)
}

async fn migrate(config: &Config) -> anyhow::Result<()> {
    let migrated = store::migrate(config.database.url.expose()).await;
    let applied = migrated.with_context(|| config.database.url.cannot_be_opened())?;
    say(&format!("{applied} migrations applied to {}", config.database.url.masked()));
    Ok(())
}

/// The flows that the settings name: one for all numbers, or the built-in one, and those of single numbers.
fn parts(config: &Config, environment: &Environment) -> anyhow::Result<Parts> {
    let mut parts = Parts::new(match &config.flow {
        Some(path) => flow::read(path)?,
        None => Flow::factory(),
    });
    let environment = environment.clone();
    parts.variables = Arc::new(move |name| environment.get(name).and_then(Secret::new));
    for number in &config.numbers {
        if let Some(path) = number.flow.as_ref().filter(|path| Some(*path) != config.flow.as_ref()) {
            parts.flows.insert(number.phone_number_id.clone(), flow::read(path)?);
        }
    }
    Ok(parts)
}

/// A panic is contained where it can be, but it is always told of, with its place.
fn log_panics() {
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        tracing::error!(place, "panic: {}", panic.payload_as_str().unwrap_or("without a message"));
    }));
}

/// Waits for Ctrl-C or the signal by which a service manager ends a program.
async fn until_told_to_end() -> anyhow::Result<()> {
    #[cfg(unix)]
    {
        let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
        tokio::select! {
            interrupted = tokio::signal::ctrl_c() => interrupted?,
            _ = terminate.recv() => {}
        }
    }
    #[cfg(not(unix))]
    tokio::signal::ctrl_c().await?;
    Ok(())
}

#[expect(clippy::print_stdout, reason = "what a person or script asked for goes to standard output")]
fn say(text: &str) {
    println!("{}", text.trim_end());
}

#[expect(clippy::print_stderr, reason = "what went wrong goes to standard error, logging or not")]
fn complain(text: &str) {
    eprintln!("{}", text.trim_end());
}
