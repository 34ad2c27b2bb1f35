//! The `states` of a file, kind by kind.

use std::collections::BTreeMap;

use super::{Compiler, Connectors, Link, Way};
use crate::clock::{HOUR, Millis, SECOND};
use crate::flow::definition::{
    Answer, Ask, Branch, Call, Connector, Declared, End, Handoff, Say, State, StateKind, StateName,
};
use crate::flow::fields::{self, Fields};
use crate::flow::template::Template;
use crate::flow::words::{did_you_mean, normal};
use crate::flow::yaml::{Key, Node, Span, Yaml};

/// The shortest and longest time for which the bot leaves a person to a colleague by itself.
const HANDOFF_MIN: Millis = SECOND;
const HANDOFF_MAX: Millis = 30 * 24 * HOUR;
/// What tells a `say` that has no text.
const SEND: &str = "send";

/// A state as far as it could be read.
pub(super) struct Read {
    pub(super) at: Span,
    pub(super) kind: Option<StateKind>,
    pub(super) state: Option<State>,
}

type Globals = BTreeMap<String, StateName>;

impl Compiler<'_> {
    pub(super) fn states(
        &mut self,
        node: &Node,
        connectors: &Connectors,
        globals: &Globals,
        fallback: Option<&str>,
    ) -> BTreeMap<StateName, Read> {
        let Yaml::Map(entries) = &node.value else {
            self.report.error(
                &node.at,
                format!("`states` has to be a map of names and states, not {}", node.kind()),
            );
            return BTreeMap::new();
        };
        let entries = fields::entries_once(entries, "`states`", &mut self.report);
        let mut states = BTreeMap::new();
        for (key, node) in entries {
            self.named(&key.name, &key.at, "state");
            self.state = Some(key.name.clone());
            states.insert(key.name.clone(), self.state(key, node, connectors, globals, fallback));
        }
        self.state = None;
        states
    }

    fn state(
        &mut self,
        key: &Key,
        node: &Node,
        connectors: &Connectors,
        globals: &Globals,
        fallback: Option<&str>,
    ) -> Read {
        let mut read = Read { at: key.at.clone(), kind: None, state: None };
        let what = format!("state `{}`", key.name);
        let Some(mut fields) = Fields::of(node, &key.at, what, &mut self.report) else { return read };
        let names: Vec<_> = StateKind::ALL.into_iter().map(StateKind::as_str).chain([SEND]).collect();
        read.kind = fields.first_of(&names).map(|name| {
            StateKind::ALL.into_iter().find(|kind| kind.as_str() == name).unwrap_or(StateKind::Say)
        });
        read.state = match read.kind {
            Some(StateKind::Menu) => self.menu(&mut fields).map(State::Menu),
            Some(StateKind::Ask) => self.ask(&mut fields, globals).map(State::Ask),
            Some(StateKind::Say) => self.say(&mut fields).map(State::Say),
            Some(StateKind::Call) => self.call(&mut fields, connectors, fallback).map(State::Call),
            Some(StateKind::Branch) => self.branch(&mut fields).map(State::Branch),
            Some(StateKind::Handoff) => self.handoff(&mut fields).map(State::Handoff),
            Some(StateKind::End) => self.end(&mut fields).map(State::End),
            None => {
                fields.refuse_without(&names, &mut self.report);
                return read;
            }
        };
        fields.finish(&mut self.report);
        read
    }

    fn text(&mut self, fields: &mut Fields<'_>, name: &'static str) -> Option<Template> {
        let node = fields.need(name, &mut self.report)?;
        self.template(node, name)
    }

    pub(super) fn go(&mut self, fields: &mut Fields<'_>, name: &'static str, way: Way) -> Option<StateName> {
        let node = fields.need(name, &mut self.report)?;
        self.target(node, name, way)
    }

    fn ask(&mut self, fields: &mut Fields<'_>, globals: &Globals) -> Option<Ask> {
        let body_node = fields.need("ask", &mut self.report);
        let body = body_node.and_then(|node| self.template(node, "ask"));
        let margins = self.margins(fields);
        let manner = self.manner(fields);
        let button = self.button(fields);
        let expect_node = fields.take("expect");
        let expect = self.expect(expect_node);
        let request = self.request(fields, expect.as_ref(), body_node);
        let save = fields.need("save", &mut self.report).and_then(|node| self.variable(node, "save"));
        let invalid = fields.take("invalid").map(|node| self.template(node, "invalid"));
        let with_globals =
            fields.take("globals").map(|node| fields::switch(node, "globals", &mut self.report));
        let go = self.go(fields, "go", Way::Later);
        let timeout = fields.take("timeout").map(|node| self.timeout(node));
        let with_globals = with_globals.unwrap_or(Some(true))?;
        if let (Some(node), Some(expect), true) = (expect_node, &expect, with_globals) {
            let choices = if let Answer::Choice(choices) = &expect.answer { choices.as_slice() } else { &[] };
            let words = expect.or.iter().cloned().chain(choices.iter().map(|choice| normal(choice)));
            for word in words.filter(|word| globals.contains_key(word)) {
                let message = format!("`{word}` is one of the `globals` and never gets here as an answer");
                self.report
                    .warn(&node.at, message)
                    .help("choose another word, or say `globals: off` in this state");
            }
        }
        Some(Ask {
            body: body?,
            margins: margins?,
            manner: manner?,
            button: button?,
            expect: expect?,
            request: request?,
            save: save?,
            invalid: optional(invalid)?,
            globals: with_globals,
            go: go?,
            timeout: optional(timeout)?,
        })
    }

    fn say(&mut self, fields: &mut Fields<'_>) -> Option<Say> {
        let mut set = Some(Vec::new());
        if let Some(node) = fields.take("set") {
            let Yaml::Map(entries) = &node.value else {
                self.report.error(
                    &node.at,
                    format!("`set` has to be a map of variables and expressions, not {}", node.kind()),
                );
                return None;
            };
            set = fields::entries_once(entries, "`set`", &mut self.report)
                .into_iter()
                .map(|(key, node)| {
                    let named = self.variable_named(&key.name, &key.at);
                    let expression = self.expression(node, &key.name)?;
                    named.then(|| (key.name.clone(), expression))
                })
                .collect();
        }
        let say = fields.take("say").map(|node| self.template(node, "say"));
        let send = self.sends(fields);
        if say.is_none() && send.as_ref().is_some_and(Vec::is_empty) {
            fields.need("say", &mut self.report);
        }
        let manner = self.manner(fields);
        let go = self.go(fields, "go", Way::AtOnce);
        Some(Say { say: optional(say)?, send: send?, manner: manner?, set: set?, go: go? })
    }

    fn handoff(&mut self, fields: &mut Fields<'_>) -> Option<Handoff> {
        let say = self.text(fields, "handoff");
        let manner = self.manner(fields);
        let for_ms = fields.take("for").map(|node| self.duration(node, "for", HANDOFF_MIN, HANDOFF_MAX));
        let go = self.go(fields, "go", Way::Later);
        Some(Handoff { say: say?, manner: manner?, for_ms: optional(for_ms)?, go: go? })
    }

    fn end(&mut self, fields: &mut Fields<'_>) -> Option<End> {
        let say = self.text(fields, "end");
        let manner = self.manner(fields);
        Some(End { say: say?, manner: manner? })
    }

    fn call(
        &mut self,
        fields: &mut Fields<'_>,
        connectors: &Connectors,
        fallback: Option<&str>,
    ) -> Option<Call> {
        let node = fields.need("call", &mut self.report)?;
        let name = fields::scalar(node, "call", &mut self.report)?.to_owned();
        let declared = connectors.get(&name);
        if declared.is_none() {
            let help = did_you_mean(&name, connectors.keys().map(String::as_str))
                .unwrap_or_else(|| "declare it under `connectors`".to_owned());
            self.report.error(&node.at, format!("there is no connector `{name}`")).help(help);
        }
        self.called.insert(name.clone());
        let save_node = fields.take("save");
        let save = save_node.map(|node| self.variable(node, "save"));
        let first_node = fields.take("first");
        let first = first_node.map_or(Some(false), |node| fields::switch(node, "first", &mut self.report));
        if let Some(Some(Declared { connector, .. })) = declared {
            let reads = matches!(connector, Connector::Query { .. } | Connector::Http(_));
            if let Some(node) = save_node.filter(|_| matches!(connector, Connector::Write { .. })) {
                self.report.error(&node.at, format!("`{name}` writes: there is nothing to save"));
            }
            if let Some(node) = first_node.filter(|_| !reads) {
                self.report.error(&node.at, format!("`first` is for rows, and `{name}` gives none"));
            }
        }
        let (ok, empty, error) = self.ways(fields);
        if matches!(error, Some(None))
            && let Some(to) = fallback
        {
            let link =
                Link { from: self.state.clone(), to: to.to_owned(), at: node.at.clone(), way: Way::Failure };
            self.links.push(link);
        }
        Some(Call {
            connector: name,
            save: optional(save)?,
            first: first?,
            ok: ok?,
            empty: empty?,
            error: error?,
        })
    }

    /// Where a call leads: `go`, or `on` with its cases.
    fn ways(
        &mut self,
        fields: &mut Fields<'_>,
    ) -> (Option<StateName>, Option<StateName>, Option<Option<StateName>>) {
        let Some(node) = fields.take("on") else {
            let go = self.go(fields, "go", Way::AtOnce);
            return (go.clone(), go, Some(None));
        };
        fields.offer(&["go"]);
        let Some(mut on) = Fields::of(node, &node.at, "`on`", &mut self.report) else {
            return (None, None, None);
        };
        let ok = self.go(&mut on, "ok", Way::AtOnce);
        let empty =
            on.take("empty").map_or_else(|| ok.clone(), |node| self.target(node, "empty", Way::AtOnce));
        let error = on.take("error").map(|node| self.target(node, "error", Way::AtOnce));
        on.finish(&mut self.report);
        (ok, empty, optional(error))
    }

    fn branch(&mut self, fields: &mut Fields<'_>) -> Option<Branch> {
        let node = fields.need("branch", &mut self.report)?;
        let items = fields::items(node, "branch", &mut self.report);
        let mut cases = Some(Vec::new());
        let mut otherwise = None;
        for (place, item) in items.iter().enumerate() {
            let Some(mut case) = Fields::of(item, &item.at, format!("case {}", place + 1), &mut self.report)
            else {
                cases = None;
                continue;
            };
            if otherwise.is_some() {
                self.report.error(&item.at, "nothing gets here: `else` has to be the last case");
            }
            if let Some(node) = case.take("else") {
                otherwise = Some(self.target(node, "else", Way::AtOnce));
            } else {
                let when = case.need("when", &mut self.report).and_then(|node| self.expression(node, "when"));
                let go = self.go(&mut case, "go", Way::AtOnce);
                cases = cases.zip(when.zip(go)).map(|(mut cases, case)| {
                    cases.push(case);
                    cases
                });
            }
            case.finish(&mut self.report);
        }
        if otherwise.is_none() {
            self.report
                .error(&node.at, "`branch` has no `else`: where to go when nothing holds?")
                .help("add `- else: …`");
        }
        Some(Branch { cases: cases?, otherwise: otherwise.flatten()? })
    }
}

/// A key that may be missing: the outer option is whether what is there could be read.
pub(super) fn optional<T>(read: Option<Option<T>>) -> Option<Option<T>> {
    read.map_or(Some(None), |value| value.map(Some))
}
