//! `switchboard flow`: looking at flow files without running them.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;

use crate::cli::{complain, say};
use crate::flow::Flow;

#[derive(clap::Subcommand)]
pub(super) enum Command {
    /// Report every mistake in a flow file, with its place; ends with 1 if there is one.
    Check {
        /// The file; without it the built-in factory bot.
        file: Option<PathBuf>,
    },
    /// Print the built-in factory bot: a place to start from.
    Example,
}

pub(super) fn run(command: &Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Check { file: Some(file) } => {
            let source = source(file)?;
            match Flow::parse(&source, &file.display().to_string()) {
                Ok(flow) => {
                    if !flow.warnings().is_empty() {
                        complain(&flow.warnings().to_string());
                    }
                    say(&format!("{}: {} states, no mistakes", file.display(), flow.states().count()));
                    Ok(ExitCode::SUCCESS)
                }
                Err(problems) => {
                    complain(&problems.to_string());
                    Ok(ExitCode::FAILURE)
                }
            }
        }
        Command::Check { file: None } => {
            say(&format!("the built-in bot: {} states, no mistakes", Flow::factory().states().count()));
            Ok(ExitCode::SUCCESS)
        }
        Command::Example => {
            say(Flow::FACTORY_SOURCE);
            Ok(ExitCode::SUCCESS)
        }
    }
}

/// Reads a flow that is to be run.
pub(super) fn read(path: &Path) -> anyhow::Result<Flow> {
    let source = source(path)?;
    let flow = Flow::parse(&source, &path.display().to_string())
        .map_err(|problems| anyhow::anyhow!("the flow has mistakes:\n{problems}"))?;
    for problem in flow.warnings().iter() {
        tracing::warn!(line = problem.line, "{}: {}", path.display(), problem.message);
    }
    Ok(flow)
}

fn source(path: &Path) -> anyhow::Result<String> {
    std::fs::read_to_string(path).with_context(|| format!("cannot read the flow file {}", path.display()))
}
