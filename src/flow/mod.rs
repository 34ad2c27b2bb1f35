//! Flows: a bot as one YAML file, and the pure step that moves a conversation along it.
//!
//! The file is read once ([`Flow::parse`]): every mistake in it is told with its line and a caret, and a flow that was
//! parsed can be run. A turn calls [`step`] with what is kept of the conversation and what the person wrote, and gets
//! back what to keep and what to do; when the flow needs a connector, the step pauses as a [`PendingCall`] and is resumed
//! with the answer. The conversation room runs turns, the CLI runs `parse` for its check.
//!
//! What this room deliberately does not do: I/O, clocks, randomness, globals. It does not send, store or call; it says
//! what it wishes as [`Effect`]s. It does not decide which messages want an answer.
//!
//! Invariants:
//! - The same flow, snapshot, input and context give the same step. Nothing is changed in place.
//! - A turn ends: it visits at most [`HOPS_MAX`] states, and templates run on a budget.
//! - A person who is not with a colleague gets an answer to every message, even when the flow fails; only texts that the
//!   flow itself leaves blank are not sent.
//! - No message is built that Meta would refuse for its length or count.
//!
//! The way of a file: `yaml` (tree with places) → `fields` (key by key) → `compile` (states, connectors, graph) →
//! `definition`. The way of a turn: `answer` (what was meant) → `step` (where it leads) → `speak` (what is said, and how) →
//! `prompt` and `split` (how it looks on a phone), with `template`, `shape` and `scope` for what messages can say.

mod answer;
mod compile;
mod definition;
mod fields;
mod functions;
mod problem;
mod prompt;
mod scope;
mod shape;
mod speak;
mod split;
mod step;
mod template;
mod transition;
mod words;
mod yaml;

#[cfg(test)]
mod tests;

use sha2::{Digest, Sha256};

pub use definition::{Connector, Method, PERSON, Service, StateKind};
pub use functions::Functions;
pub use problem::{Level, Problem, Problems};
pub use step::{HOPS_MAX, VARIABLE_BYTES_MAX, step};
pub use transition::{CallResult, Context, Effect, Input, PendingCall, Snapshot, Step, Transition};

use definition::Definition;
use template::Engine;

/// Characters of the hash by which sessions are pinned to a flow.
const HASH_CHARS: usize = 16;

/// A bot: compiled, immutable, and free to be shared between threads.
#[derive(Debug)]
pub struct Flow {
    definition: Definition,
    engine: Engine,
    source: String,
    hash: String,
    warnings: Problems,
}

impl Flow {
    /// The file of the built-in factory bot.
    pub const FACTORY_SOURCE: &str = include_str!("factory.yaml");

    /// Reads a flow file (UTF-8 YAML, format version 1). `origin` is the name of the file, for messages.
    ///
    /// # Errors
    /// When there is at least one error: all errors and warnings, each with line, column and a way to mend it.
    pub fn parse(source: &str, origin: &str) -> Result<Self, Problems> {
        Self::parse_with(source, origin, &Functions::default())
    }

    /// As [`Flow::parse`], for flows that call Rust functions of the embedding program.
    ///
    /// # Errors
    /// As [`Flow::parse`].
    pub fn parse_with(source: &str, origin: &str, functions: &Functions) -> Result<Self, Problems> {
        let (compiled, report) = compile::compile(source, functions);
        let problems = report.into_problems(origin);
        match compiled {
            Some((definition, engine)) if !problems.has_errors() => Ok(Self {
                definition,
                engine,
                source: source.to_owned(),
                hash: hash(source),
                warnings: problems,
            }),
            _ => Err(problems),
        }
    }

    /// The built-in factory bot: order status, defect reports, production schedule, help and support.
    #[must_use]
    pub fn factory() -> Self {
        Self::parse(Self::FACTORY_SOURCE, "factory.yaml").expect("a test parses the built-in flow")
    }

    /// Names this very flow: the first 16 hexadecimal digits of the SHA-256 of the source.
    #[must_use]
    pub fn hash(&self) -> &str {
        &self.hash
    }

    /// The file.
    #[must_use]
    pub fn source(&self) -> &str {
        &self.source
    }

    /// The name of the bot.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.definition.name
    }

    /// The state where conversations begin.
    #[must_use]
    pub fn start(&self) -> &str {
        &self.definition.start
    }

    /// What is probably not as meant, though the flow can be used.
    #[must_use]
    pub fn warnings(&self) -> &Problems {
        &self.warnings
    }

    /// The connectors by name, in the order of the names.
    pub fn connectors(&self) -> impl Iterator<Item = (&str, &Connector)> {
        self.definition.connectors.iter().map(|(name, declared)| (name.as_str(), &declared.connector))
    }

    /// The statements by which a person leaves the business's own tables; their one parameter is [`PERSON`].
    #[must_use]
    pub fn on_erase(&self) -> &[String] {
        &self.definition.on_erase
    }

    /// The queries that give what the business's own tables hold of a person; their one parameter is [`PERSON`].
    #[must_use]
    pub fn on_export(&self) -> &[String] {
        &self.definition.on_export
    }

    /// The states by name, in the order of the names.
    pub fn states(&self) -> impl Iterator<Item = (&str, StateKind)> {
        self.definition.states.iter().map(|(name, state)| (name.as_str(), state.kind()))
    }
}

fn hash(source: &str) -> String {
    use std::fmt::Write as _;

    let mut hex = String::with_capacity(HASH_CHARS);
    for byte in &Sha256::digest(source.as_bytes())[..HASH_CHARS / 2] {
        // Writing to a string cannot fail.
        let _ = write!(hex, "{byte:02x}");
    }
    hex
}
