//! From a file to a [`Definition`], collecting every mistake on the way.
//!
//! The tree of the file is walked once. What one place can tell is reported there; what needs the whole file (unknown
//! states and variables, loops, what cannot be reached) is noted as a [`Link`] or a use and judged at the end by `graph`
//! and [`Compiler::judge_names`]. A definition is made only when there is no error.

mod connectors;
mod expect;
mod graph;
mod menus;
mod messages;
mod people;
mod services;
mod shapes;
mod sql;
mod states;

pub(super) use messages::{STARTED, STOPPED};

use std::collections::{BTreeMap, BTreeSet};

use super::definition::{Declared, Definition, Fallback, OutsideWindow, StateKind, StateName, Timeout};
use super::fields::{self, Fields};
use super::functions::Functions;
use super::problem::{Problem, Report};
use super::scope;
use super::template::{Engine, Expression, Mistake, Template, Use, has_code};
use super::words::{did_you_mean, normal};
use super::yaml::{self, Key, Node, Span, Yaml};
use crate::clock::{HOUR, Millis, SECOND, duration_ms};
use crate::domain::consent::{Wish, Words};
use crate::domain::outbound::TEXT_BODY_MAX;

/// The version of the format that this program reads.
const FORMAT: &str = "1";
/// Characters in the name of a bot, a state, a connector or a variable.
const NAME_MAX: usize = 64;
/// Misses in a row before the fallback leads elsewhere, when the file does not say.
const RETRIES_DEFAULT: u32 = 3;
const RETRIES_MAX: usize = 100;
/// Said on input that nothing understands, when the file does not say.
const NOT_UNDERSTOOD: &str = "Sorry, I did not understand.";
/// The shortest and longest time-out. WhatsApp lets a business write freely for 24 hours after a person's last message
/// (Meta, customer service windows, 2026).
const TIMEOUT_MIN: Millis = SECOND;
const TIMEOUT_MAX: Millis = 23 * HOUR;
/// What takes a person out of a table, and what shows what is there of them.
const ERASE_VERBS: [&str; 2] = ["delete", "update"];
const EXPORT_VERBS: [&str; 2] = ["select", "with"];

/// That the flow can go from one state to another, and where the file says so.
struct Link {
    /// None: from anywhere (a global, the fallback, the time-out at the top).
    from: Option<StateName>,
    to: StateName,
    at: Span,
    way: Way,
}

/// How a link is taken.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    /// After a person or the time has spoken.
    Later,
    /// In the same turn.
    AtOnce,
    /// In the same turn, by a call that failed and has no way of its own for that.
    Failure,
}

/// What was read and is judged at the end.
struct Compiler<'s> {
    report: Report<'s>,
    engine: Engine,
    links: Vec<Link>,
    uses: Vec<(Use, Span)>,
    variables: BTreeMap<String, Span>,
    connector_places: Vec<(String, Span)>,
    /// The connectors that some state calls.
    called: BTreeSet<String>,
    /// The state that is being read.
    state: Option<StateName>,
    templates: usize,
}

/// Reads a flow.
///
/// # Errors
/// When there is an error, all problems; otherwise the report holds the warnings.
pub(super) fn compile<'s>(
    source: &'s str,
    functions: &Functions,
) -> (Option<(Definition, Engine)>, Report<'s>) {
    let mut report = Report::new(source);
    let Some(tree) = yaml::read(&mut report) else { return (None, report) };
    let mut compiler = Compiler {
        report,
        engine: Engine::new(functions),
        links: Vec::new(),
        uses: Vec::new(),
        variables: BTreeMap::new(),
        connector_places: Vec::new(),
        called: BTreeSet::new(),
        state: None,
        templates: 0,
    };
    let definition = compiler.file(&tree);
    (definition.map(|definition| (definition, compiler.engine)), compiler.report)
}

impl Compiler<'_> {
    fn file(&mut self, tree: &Node) -> Option<Definition> {
        let mut fields = Fields::of(tree, &(0..0), "the file", &mut self.report)?;
        self.version(&mut fields);
        let name = fields.need("bot", &mut self.report).and_then(|node| self.name(node, "bot"));
        let start =
            fields.need("start", &mut self.report).and_then(|node| self.target(node, "start", Way::Later));
        let globals = fields.take("globals").map(|node| self.globals(node)).unwrap_or_default();
        let fallback = self.fallback(fields.take_entry("fallback"), start.as_deref());
        let timeout = fields.take("timeout").map(|node| self.timeout(node));
        let outside = self.outside_window(&mut fields);
        let opt_out = self.opt_out(&mut fields);
        let receipts = self.receipts(fields.take("read_receipts"));
        let connectors = fields.take("connectors").map(|node| self.connectors(node)).unwrap_or_default();
        let on_erase = self.of_person(fields.take("on_erase"), "on_erase", &ERASE_VERBS);
        let on_export = self.of_person(fields.take("on_export"), "on_export", &EXPORT_VERBS);
        let fallback_to = fallback.as_ref().map(|fallback| fallback.then.as_str());
        let states = fields.need("states", &mut self.report);
        fields.finish(&mut self.report);
        let states = self.states(states?, &connectors, &globals, fallback_to);
        let kinds: BTreeMap<&str, (Option<StateKind>, &Span)> =
            states.iter().map(|(name, read)| (name.as_str(), (read.kind, &read.at))).collect();
        graph::judge_links(&mut self.report, &self.links, &kinds);
        self.judge_names();
        self.judge_connectors();
        if !self.report.has_errors() {
            graph::judge_ways(&mut self.report, &self.links, &kinds, start.as_deref(), fallback_to);
        }
        Some(Definition {
            name: name?,
            start: start?,
            globals,
            fallback: fallback?,
            timeout: timeout.flatten(),
            outside: outside?.unwrap_or(OutsideWindow::Fail),
            opt_out: opt_out?,
            receipts: receipts?,
            connectors: keep_some(connectors)?,
            on_erase,
            on_export,
            states: keep_some(states.into_iter().map(|(name, read)| (name, read.state)).collect())?,
            variables: self.variables.keys().cloned().collect(),
        })
    }

    fn version(&mut self, fields: &mut Fields<'_>) {
        let Some(node) = fields.need("switchboard", &mut self.report) else { return };
        if fields::scalar(node, "switchboard", &mut self.report).is_some_and(|version| version != FORMAT) {
            self.report
                .error(&node.at, "this version of the format is not known")
                .help(format!("this program reads `switchboard: {FORMAT}`"));
        }
    }

    /// A name: letters, digits, `_` and `-`.
    fn name(&mut self, node: &Node, what: &str) -> Option<String> {
        let name = fields::scalar(node, what, &mut self.report)?;
        self.named(name, &node.at, what).then(|| name.to_owned())
    }

    fn named(&mut self, name: &str, at: &Span, what: &str) -> bool {
        let good = (1..=NAME_MAX).contains(&name.chars().count())
            && name.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | '-'));
        if !good {
            self.report
                .error(at, format!("`{name}` cannot be the name of a {what}"))
                .help(format!("use 1 to {NAME_MAX} letters, digits, `_` or `-`"));
        }
        good
    }

    /// The name of a state to go to, noted as a link.
    fn target(&mut self, node: &Node, what: &str, way: Way) -> Option<StateName> {
        let to = fields::scalar(node, what, &mut self.report)?.to_owned();
        self.links.push(Link { from: self.state.clone(), to: to.clone(), at: node.at.clone(), way });
        Some(to)
    }

    fn globals(&mut self, node: &Node) -> BTreeMap<String, StateName> {
        let mut globals = BTreeMap::new();
        let stop_words = Words::built_in();
        let Yaml::Map(entries) = &node.value else {
            let message = format!("`globals` has to be a map of words and states, not {}", node.kind());
            self.report.error(&node.at, message).help("like `\"hi | menu\": main`");
            return globals;
        };
        for (key, node) in entries {
            let Some(to) = self.target(node, &key.name, Way::Later) else { continue };
            for word in key.name.split('|').map(normal) {
                if word.is_empty() {
                    self.report.error(&key.at, "a word of `globals` is empty").help("remove the extra `|`");
                } else if globals.insert(word.clone(), to.clone()).is_some() {
                    self.report.error(&key.at, format!("the word `{word}` is in `globals` twice"));
                } else if stop_words.wish(&word) == Some(Wish::Stop) {
                    let message = format!("`{word}` is a word by which people opt out, and never gets here");
                    self.report.warn(&key.at, message).help("choose another word; see `opt_out`");
                }
            }
        }
        globals
    }

    fn fallback(&mut self, entry: Option<(&Key, &Node)>, start: Option<&str>) -> Option<Fallback> {
        let Some((key, node)) = entry else {
            let say = self.engine.add("fallback.say", NOT_UNDERSTOOD).ok()?;
            return Some(Fallback { say, retries: RETRIES_DEFAULT, then: start?.to_owned() });
        };
        let mut fields = Fields::of(node, &key.at, "`fallback`", &mut self.report)?;
        let say = match fields.take("say") {
            Some(node) => self.template(node, "say"),
            None => self.engine.add("fallback.say", NOT_UNDERSTOOD).ok(),
        };
        let retries = match fields.take("retries") {
            Some(node) => fields::number(node, "retries", 1, RETRIES_MAX, &mut self.report)
                .and_then(|retries| u32::try_from(retries).ok()),
            None => Some(RETRIES_DEFAULT),
        };
        let then = match fields.take("then") {
            Some(node) => self.target(node, "then", Way::Later),
            None => start.map(str::to_owned),
        };
        fields.finish(&mut self.report);
        Some(Fallback { say: say?, retries: retries?, then: then? })
    }

    fn timeout(&mut self, node: &Node) -> Option<Timeout> {
        let mut fields = Fields::of(node, &node.at, "`timeout`", &mut self.report)?;
        let after = fields
            .need("after", &mut self.report)
            .and_then(|node| self.duration(node, "after", TIMEOUT_MIN, TIMEOUT_MAX));
        let say = fields.take("say").map(|node| self.template(node, "say"));
        let go = fields.need("go", &mut self.report).and_then(|node| self.target(node, "go", Way::Later));
        fields.finish(&mut self.report);
        Some(Timeout { after_ms: after?, say: say.map_or(Some(None), |say| say.map(Some))?, go: go? })
    }

    /// A duration like `30m`, `2s` or `1h 30m`.
    fn duration(&mut self, node: &Node, what: &str, from: Millis, to: Millis) -> Option<Millis> {
        let text = fields::scalar(node, what, &mut self.report)?;
        let length = text
            .parse::<jiff::SignedDuration>()
            .ok()
            .and_then(|length| length.try_into().ok())
            .map(duration_ms);
        let help = format!("write it like `30s`, `2m` or `1h 30m`, from {} to {}", short(from), short(to));
        match length {
            Some(length) if (from..=to).contains(&length) => return Some(length),
            Some(_) => self.report.error(&node.at, format!("`{what}` is out of range: `{text}`")).help(help),
            None => self.report.error(&node.at, format!("`{what}` is no duration: `{text}`")).help(help),
        }
        None
    }

    /// A text to be said. Its name is where it stands, for messages at run time.
    fn template(&mut self, node: &Node, what: &str) -> Option<Template> {
        let text = fields::scalar(node, what, &mut self.report)?;
        self.templates += 1;
        let owner = self.state.as_deref().unwrap_or("top");
        let name = format!("{owner}.{what} #{}", self.templates);
        match self.engine.add(&name, text) {
            Ok(template) => {
                if !has_code(text) && text.trim().chars().count() > TEXT_BODY_MAX {
                    let message = format!(
                        "`{what}` is longer than {TEXT_BODY_MAX} characters: sent as several messages"
                    );
                    self.report.warn(&node.at, message);
                }
                let uses = self.engine.uses(&template);
                self.note_uses(uses, node, text);
                Some(template)
            }
            Err(mistake) => self.mistaken(mistake, node, text, what),
        }
    }

    fn expression(&mut self, node: &Node, what: &str) -> Option<Expression> {
        let text = fields::scalar(node, what, &mut self.report)?;
        self.expression_in(text, node, what)
    }

    /// The expression `text` in the text of `node`.
    fn expression_in(&mut self, text: &str, node: &Node, what: &str) -> Option<Expression> {
        match self.engine.expression(text) {
            Ok(expression) => {
                let uses = self.engine.uses_of_expression(&expression);
                self.note_uses(uses, node, text);
                Some(expression)
            }
            Err(mistake) => self.mistaken(mistake, node, text, what),
        }
    }

    fn note_uses(&mut self, uses: Vec<Use>, node: &Node, text: &str) {
        for found in uses {
            let at = node.part(self.report.source(), text, found.at.clone());
            self.uses.push((found, at));
        }
    }

    fn mistaken<T>(&mut self, mistake: Mistake, node: &Node, text: &str, what: &str) -> Option<T> {
        let at = node.part(self.report.source(), text, mistake.at);
        self.report.error(&at, format!("`{what}`: {}", mistake.message));
        None
    }

    /// A variable that is saved.
    fn variable(&mut self, node: &Node, what: &str) -> Option<String> {
        let name = fields::scalar(node, what, &mut self.report)?;
        self.variable_named(name, &node.at).then(|| name.to_owned())
    }

    fn variable_named(&mut self, name: &str, at: &Span) -> bool {
        let mut letters = name.chars();
        let good = letters.next().is_some_and(|c| c.is_ascii_alphabetic() || c == '_')
            && letters.all(|c| c.is_ascii_alphanumeric() || c == '_')
            && name.len() <= NAME_MAX;
        if !good {
            self.report
                .error(at, format!("`{name}` cannot be the name of a variable"))
                .help("use letters, digits and `_`, beginning with a letter");
            return false;
        }
        if scope::RESERVED.contains(&name) || self.engine.has_function(name) {
            self.report.error(at, format!("`{name}` is a name that the flow has already; choose another"));
            return false;
        }
        self.variables.entry(name.to_owned()).or_insert_with(|| at.clone());
        true
    }

    /// Unknown names in templates and expressions, and, in a file without errors, variables that nothing reads.
    fn judge_names(&mut self) {
        let mut used = BTreeSet::new();
        for (found, at) in &self.uses {
            let mut path = found.name.split('.');
            let first = path.next().unwrap_or_default();
            used.insert(first);
            let second = path.next();
            let attributes: &[&str] = match first {
                "contact" => &scope::CONTACT,
                "event" => &scope::EVENT,
                _ => &[],
            };
            if self.variables.contains_key(first) || self.engine.has_function(first) {
                continue;
            }
            if !scope::RESERVED.contains(&first) {
                let known = self.variables.keys().map(String::as_str).chain(scope::RESERVED);
                let help = did_you_mean(first, known)
                    .unwrap_or_else(|| "save it in a state before, or correct the name".to_owned());
                self.report.error(at, format!("no state saves a variable `{first}`")).help(help);
            } else if let Some(second) =
                second.filter(|second| !attributes.is_empty() && !attributes.contains(second))
            {
                let help = did_you_mean(second, attributes.iter().copied())
                    .unwrap_or_else(|| format!("it has {}", fields::listed(attributes)));
                self.report.error(at, format!("`{first}` has no `{second}`")).help(help);
            }
        }
        if self.report.has_errors() {
            return;
        }
        for (name, at) in &self.variables {
            if !used.contains(name.as_str()) {
                self.report.warn(at, format!("nothing reads the variable `{name}`"));
            }
        }
    }

    /// In a file without errors, connectors that nothing calls.
    fn judge_connectors(&mut self) {
        if self.report.has_errors() {
            return;
        }
        for (name, at) in self.connector_places.iter().filter(|(name, _)| !self.called.contains(name)) {
            self.report.warn(at, format!("nothing calls the connector `{name}`"));
        }
    }
}

/// All values of a map, or nothing when one is missing.
fn keep_some<T>(map: BTreeMap<String, Option<T>>) -> Option<BTreeMap<String, T>> {
    map.into_iter().map(|(name, value)| value.map(|value| (name, value))).collect()
}

fn short(length: Millis) -> String {
    if length % HOUR == 0 { format!("{}h", length / HOUR) } else { format!("{length}ms") }
}

/// Adds help if there is any.
fn help(problem: &mut Problem, help: Option<String>) {
    if let Some(help) = help {
        problem.help(help);
    }
}

type Connectors = BTreeMap<String, Option<Declared>>;
