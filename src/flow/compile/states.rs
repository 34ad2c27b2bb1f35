//! The `states` of a file, kind by kind.

use std::collections::BTreeMap;

use super::{Compiler, Connectors, Link, Way};
use crate::domain::outbound::{
    BUTTON_TITLE_MAX, INTERACTIVE_BODY_MAX, LIST_ROWS_MAX, ROW_DESCRIPTION_MAX, ROW_TITLE_MAX,
};
use crate::flow::definition::{
    Answer, Ask, Branch, Call, Connector, Declared, Menu, MenuOption, Say, State, StateKind, StateName,
};
use crate::flow::fields::{self, Fields};
use crate::flow::template::Template;
use crate::flow::words::{did_you_mean, normal};
use crate::flow::yaml::{Key, Node, Span, Yaml};

/// Options of a menu; beyond Meta's ten they are numbered text.
const OPTIONS_MAX: usize = 50;
/// What the button that opens a list says when the file does not say.
const BUTTON_DEFAULT: &str = "Choose";

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
        let names = StateKind::ALL.map(StateKind::as_str);
        read.kind = fields
            .first_of(&names)
            .and_then(|name| StateKind::ALL.into_iter().find(|kind| kind.as_str() == name));
        read.state = match read.kind {
            Some(StateKind::Menu) => self.menu(&mut fields).map(State::Menu),
            Some(StateKind::Ask) => self.ask(&mut fields, globals).map(State::Ask),
            Some(StateKind::Say) => self.say(&mut fields).map(State::Say),
            Some(StateKind::Call) => self.call(&mut fields, connectors, fallback).map(State::Call),
            Some(StateKind::Branch) => self.branch(&mut fields).map(State::Branch),
            Some(StateKind::Handoff) => {
                let say = self.text(&mut fields, "handoff");
                let go = self.go(&mut fields, "go", Way::Later);
                say.zip(go).map(|(say, go)| State::Handoff { say, go })
            }
            Some(StateKind::End) => self.text(&mut fields, "end").map(|say| State::End { say }),
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

    fn go(&mut self, fields: &mut Fields<'_>, name: &'static str, way: Way) -> Option<StateName> {
        let node = fields.need(name, &mut self.report)?;
        self.target(node, name, way)
    }

    fn button(&mut self, fields: &mut Fields<'_>) -> Option<String> {
        let Some(node) = fields.take("button") else { return Some(BUTTON_DEFAULT.to_owned()) };
        let button = fields::scalar(node, "button", &mut self.report)?;
        self.no_longer_than(button, &node.at, "button", BUTTON_TITLE_MAX).then(|| button.to_owned())
    }

    /// Meta's limit of a text that is fixed in the file.
    fn no_longer_than(&mut self, text: &str, at: &Span, what: &str, limit: usize) -> bool {
        let length = text.chars().count();
        if length > limit {
            self.report
                .error(at, format!("`{what}` has {length} characters, WhatsApp allows {limit}"))
                .help("shorten it");
        }
        length <= limit
    }

    fn menu(&mut self, fields: &mut Fields<'_>) -> Option<Menu> {
        let body_node = fields.need("menu", &mut self.report);
        let body = body_node.and_then(|node| self.template(node, "menu"));
        let button = self.button(fields);
        let options = fields.need("options", &mut self.report);
        let options = options.and_then(|node| self.options(node));
        let save = fields.take("save").map(|node| self.variable(node, "save"));
        let timeout = fields.take("timeout").map(|node| self.timeout(node));
        if let Some(node) = body_node
            && let Yaml::Scalar(text) = &node.value
            && !has_code(text)
            && text.trim().chars().count() > INTERACTIVE_BODY_MAX
        {
            let message =
                format!("the text is longer than {INTERACTIVE_BODY_MAX} characters: sent as numbered text");
            self.report.warn(&node.at, message).help("say the long part in a `say` before the menu");
        }
        Some(Menu {
            body: body?,
            button: button?,
            options: options?,
            save: optional(save)?,
            timeout: optional(timeout)?,
        })
    }

    fn options(&mut self, node: &Node) -> Option<Vec<MenuOption>> {
        let items = fields::items(node, "options", &mut self.report);
        if items.is_empty() || items.len() > OPTIONS_MAX {
            self.report.error(
                &node.at,
                format!("`options` needs 1 to {OPTIONS_MAX} entries, it has {}", items.len()),
            );
            return None;
        }
        if items.len() > LIST_ROWS_MAX {
            let message = format!(
                "a WhatsApp list has at most {LIST_ROWS_MAX} rows, here are {}: sent as numbered text",
                items.len()
            );
            self.report.warn(&node.at, message).help("split the menu in two to get a list");
        }
        let mut taken = BTreeMap::new();
        let options: Vec<Option<MenuOption>> = items
            .iter()
            .enumerate()
            .map(|(place, item)| self.option(item, place + 1, items.len(), &mut taken))
            .collect();
        options.into_iter().collect()
    }

    fn option(
        &mut self,
        node: &Node,
        number: usize,
        count: usize,
        taken: &mut BTreeMap<String, usize>,
    ) -> Option<MenuOption> {
        let mut fields = Fields::of(node, &node.at, format!("option {number}"), &mut self.report)?;
        let label_node = fields.need("label", &mut self.report);
        let label = label_node.and_then(|node| fields::scalar(node, "label", &mut self.report));
        let go = self.go(&mut fields, "go", Way::Later);
        let keys = fields.take("keys");
        let description_node = fields.take("description");
        fields.finish(&mut self.report);
        let mut words = Vec::new();
        if let (Some(node), Some(label)) = (label_node, label) {
            if has_code(label) {
                self.report.error(&node.at, "a `label` is a fixed text: it is also what people type");
            } else if label.chars().count() > ROW_TITLE_MAX {
                let message = format!(
                    "the label is longer than {ROW_TITLE_MAX} characters: the menu is sent as numbered text"
                );
                self.report.warn(&node.at, message).help("shorten it, and say more in `description`");
            }
            self.word(label, node, number, count, taken, &mut words);
        }
        for key in keys.map(|keys| fields::items(keys, "keys", &mut self.report)).unwrap_or_default() {
            if let Some(text) = fields::scalar(key, "keys", &mut self.report) {
                self.word(text, key, number, count, taken, &mut words);
            }
        }
        let mut description = None;
        if let Some(node) = description_node {
            let text = fields::scalar(node, "description", &mut self.report)?.trim().to_owned();
            self.no_longer_than(&text, &node.at, "description", ROW_DESCRIPTION_MAX);
            description = Some(text);
        }
        Some(MenuOption { label: label?.trim().to_owned(), description, words, go: go? })
    }

    /// A word by which an option is chosen; it has to lead to one option only.
    fn word(
        &mut self,
        text: &str,
        node: &Node,
        number: usize,
        count: usize,
        taken: &mut BTreeMap<String, usize>,
        words: &mut Vec<String>,
    ) {
        let word = normal(text);
        let as_number = word.parse::<usize>().ok().filter(|at| (1..=count).contains(at) && *at != number);
        if let Some(other) = as_number {
            let message =
                format!("`{word}` is the number of option {other} and cannot choose option {number} too");
            self.report.error(&node.at, message);
        } else if let Some(other) = taken.insert(word.clone(), number).filter(|other| *other != number) {
            let message = format!("`{word}` chooses option {other} and option {number}");
            self.report
                .error(&node.at, message)
                .help("each label and key leads to one option; capitals do not count");
        } else if !words.contains(&word) {
            words.push(word);
        }
    }

    fn ask(&mut self, fields: &mut Fields<'_>, globals: &Globals) -> Option<Ask> {
        let body = self.text(fields, "ask");
        let button = self.button(fields);
        let expect_node = fields.take("expect");
        let expect = self.expect(expect_node);
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
            button: button?,
            expect: expect?,
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
        let say = self.text(fields, "say");
        let go = self.go(fields, "go", Way::AtOnce);
        Some(Say { say: say?, set: set?, go: go? })
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
            let reads = matches!(connector, Connector::Query { .. });
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
fn optional<T>(read: Option<Option<T>>) -> Option<Option<T>> {
    read.map_or(Some(None), |value| value.map(Some))
}

/// Whether a text holds template code.
fn has_code(text: &str) -> bool {
    text.contains("${") || text.contains("{%")
}
