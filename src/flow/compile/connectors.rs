//! The `connectors` of a file: SQL that reads, SQL that writes, counters. Services are in `services`.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::sql::{Outline, outline};
use super::{Compiler, Connectors, help};
use crate::clock::{Millis, SECOND};
use crate::flow::definition::{Connector, Declared};
use crate::flow::fields::{self, Fields};
use crate::flow::template::Expression;
use crate::flow::words::did_you_mean;
use crate::flow::yaml::{Node, Span, Yaml};

/// Rows of a query when the file does not say, and at most.
const ROWS_DEFAULT: usize = 10;
const ROWS_MAX: usize = 100;
/// How long a query or a service may take when the file does not say, at least and at most.
const CALL_TIMEOUT_DEFAULT: Millis = 2 * SECOND;
const CALL_TIMEOUT_MIN: Millis = 50;
const CALL_TIMEOUT_MAX: Millis = 10 * SECOND;
/// Digits of a number from a sequence when the file does not say, and at most.
const DIGITS_DEFAULT: usize = 6;
const DIGITS_MAX: usize = 18;

const KINDS: [&str; 4] = ["query", "write", "sequence", "http"];
const QUERY_VERBS: [&str; 2] = ["select", "with"];
const WRITE_VERBS: [&str; 3] = ["insert", "update", "delete"];

impl Compiler<'_> {
    pub(super) fn connectors(&mut self, node: &Node) -> Connectors {
        let Yaml::Map(entries) = &node.value else {
            let message =
                format!("`connectors` has to be a map of names and connectors, not {}", node.kind());
            self.report.error(&node.at, message);
            return Connectors::new();
        };
        let entries = fields::entries_once(entries, "`connectors`", &mut self.report);
        let mut connectors = Connectors::new();
        for (key, node) in entries {
            self.named(&key.name, &key.at, "connector");
            self.connector_places.push((key.name.clone(), key.at.clone()));
            connectors.insert(key.name.clone(), self.connector(&key.name, &key.at, node));
        }
        connectors
    }

    fn connector(&mut self, name: &str, at: &Span, node: &Node) -> Option<Declared> {
        let mut fields = Fields::of(node, at, format!("connector `{name}`"), &mut self.report)?;
        let declared = match fields.first_of(&KINDS) {
            Some("query") => self.query(&mut fields),
            Some("write") => self.write(&mut fields),
            Some("http") => self.http(&mut fields),
            Some(_) => self.sequence(&mut fields),
            None => {
                fields.refuse_without(&KINDS, &mut self.report);
                return None;
            }
        };
        fields.finish(&mut self.report);
        declared
    }

    fn query(&mut self, fields: &mut Fields<'_>) -> Option<Declared> {
        let node = fields.need("query", &mut self.report)?;
        let params = fields.take("params");
        let rows = fields.take("rows");
        let timeout = fields.take("timeout");
        let statement = self.statement(node, "query", &QUERY_VERBS, params);
        let rows_max = match rows {
            Some(node) => fields::number(node, "rows", 1, ROWS_MAX, &mut self.report),
            None => Some(ROWS_DEFAULT),
        };
        let timeout = self.call_timeout(timeout);
        let (sql, params) = statement?;
        Some(Declared { connector: Connector::Query { sql, rows_max: rows_max?, timeout: timeout? }, params })
    }

    /// How long a call may take.
    pub(super) fn call_timeout(&mut self, node: Option<&Node>) -> Option<Duration> {
        let ms = match node {
            Some(node) => self.duration(node, "timeout", CALL_TIMEOUT_MIN, CALL_TIMEOUT_MAX)?,
            None => CALL_TIMEOUT_DEFAULT,
        };
        Some(Duration::from_millis(ms.unsigned_abs()))
    }

    fn write(&mut self, fields: &mut Fields<'_>) -> Option<Declared> {
        let node = fields.need("write", &mut self.report)?;
        let params = fields.take("params");
        let (sql, params) = self.statement(node, "write", &WRITE_VERBS, params)?;
        Some(Declared { connector: Connector::Write { sql }, params })
    }

    fn sequence(&mut self, fields: &mut Fields<'_>) -> Option<Declared> {
        let node = fields.need("sequence", &mut self.report)?;
        let digits = fields.take("digits");
        let prefix = self.name(node, "sequence");
        let digits = match digits {
            Some(node) => fields::number(node, "digits", 1, DIGITS_MAX, &mut self.report),
            None => Some(DIGITS_DEFAULT),
        };
        let connector = Connector::Sequence { prefix: prefix?, digits: digits? };
        Some(Declared { connector, params: BTreeMap::new() })
    }

    /// A single statement that begins with one of `verbs`, with exactly the parameters that are declared.
    fn statement(
        &mut self,
        node: &Node,
        what: &str,
        verbs: &[&str],
        params: Option<&Node>,
    ) -> Option<(String, BTreeMap<String, Expression>)> {
        let expressions = self.params(params);
        let sql = fields::scalar(node, what, &mut self.report)?;
        let Outline { verb, params, second } = outline(sql);
        if !verbs.contains(&verb.as_str()) {
            self.report
                .error(&node.at, format!("`{what}` begins with `{verb}`"))
                .help(format!("it may begin with {}", fields::listed(verbs)));
        }
        if let Some(second) = second {
            let at = node.part(self.report.source(), sql, second..sql.len());
            self.report
                .error(&at, format!("`{what}` holds a second statement"))
                .help("one statement per connector");
        }
        let mut bound = BTreeSet::new();
        for (name, place) in params {
            if !expressions.contains_key(&name) {
                let at = node.part(self.report.source(), sql, place);
                let problem = self.report.error(&at, format!("the parameter `:{name}` is not declared"));
                let near = did_you_mean(&name, expressions.keys().map(String::as_str));
                problem.help(near.unwrap_or_else(|| format!("add `params: {{ {name}: … }}`")));
            }
            bound.insert(name);
        }
        for (name, (at, _)) in expressions.iter().filter(|(name, _)| !bound.contains(*name)) {
            let problem = self.report.error(at, format!("the statement has no parameter `:{name}`"));
            help(problem, did_you_mean(name, bound.iter().map(String::as_str)));
        }
        let params: Option<BTreeMap<_, _>> =
            expressions.into_iter().map(|(name, (_, expression))| Some((name, expression?))).collect();
        Some((sql.trim().trim_end_matches(';').to_owned(), params?))
    }

    pub(super) fn params(&mut self, node: Option<&Node>) -> BTreeMap<String, (Span, Option<Expression>)> {
        let Some(node) = node else { return BTreeMap::new() };
        let Yaml::Map(entries) = &node.value else {
            let message = format!("`params` has to be a map of names and expressions, not {}", node.kind());
            self.report.error(&node.at, message);
            return BTreeMap::new();
        };
        fields::entries_once(entries, "`params`", &mut self.report)
            .into_iter()
            .map(|(key, node)| (key.name.clone(), (key.at.clone(), self.expression(node, &key.name))))
            .collect()
    }
}
