//! Reading a map of the file key by key: what is asked for is known, and what remains is refused by name.

use super::problem::Report;
use super::words::did_you_mean;
use super::yaml::{Key, Node, Span, Yaml};

/// The keys of one map. Ask with [`Fields::take`], then [`Fields::finish`].
pub(super) struct Fields<'n> {
    /// What the map is, for messages: "state `main`".
    what: String,
    /// Where to point when something is missing.
    pub(super) at: Span,
    left: Vec<(&'n Key, &'n Node)>,
    known: Vec<&'static str>,
}

impl<'n> Fields<'n> {
    /// The map in `node`; anything else is reported, and so are keys that are there twice.
    pub(super) fn of(
        node: &'n Node,
        at: &Span,
        what: impl Into<String>,
        report: &mut Report<'_>,
    ) -> Option<Self> {
        let what = what.into();
        let Yaml::Map(entries) = &node.value else {
            let place = if node.at.is_empty() { at } else { &node.at };
            report.error(place, format!("{what} has to be a map of keys and values, not {}", node.kind()));
            return None;
        };
        Some(Self { at: at.clone(), left: entries_once(entries, &what, report), known: Vec::new(), what })
    }

    /// The value of a key that may be missing; an empty value counts as missing.
    pub(super) fn take(&mut self, name: &'static str) -> Option<&'n Node> {
        self.take_entry(name).map(|(_, node)| node)
    }

    /// As [`Fields::take`], with the key.
    pub(super) fn take_entry(&mut self, name: &'static str) -> Option<(&'n Key, &'n Node)> {
        self.known.push(name);
        let place = self.left.iter().position(|(key, _)| key.name == name)?;
        let entry = self.left.remove(place);
        (!matches!(entry.1.value, Yaml::Nothing)).then_some(entry)
    }

    /// The value of a key that has to be there.
    pub(super) fn need(&mut self, name: &'static str, report: &mut Report<'_>) -> Option<&'n Node> {
        let node = self.take(name);
        if node.is_none() {
            report.error(&self.at, format!("{} has no `{name}`", self.what)).help(format!("add `{name}: …`"));
        }
        node
    }

    /// The first of these keys that is there, without taking it.
    pub(super) fn first_of(&self, names: &[&'static str]) -> Option<&'static str> {
        names.iter().copied().find(|name| self.left.iter().any(|(key, _)| key.name == *name))
    }

    /// Reports a map that has none of the keys that tell its kind. Its other keys are not judged: which of them are right
    /// depends on the kind.
    pub(super) fn refuse_without(self, kinds: &[&'static str], report: &mut Report<'_>) {
        let misspelt = self
            .left
            .iter()
            .find_map(|(key, _)| Some((key, did_you_mean(&key.name, kinds.iter().copied())?)));
        let at = misspelt.as_ref().map_or(&self.at, |(key, _)| &key.at);
        let help = misspelt
            .as_ref()
            .map_or_else(|| format!("it needs one of {}", listed(kinds)), |(_, help)| help.clone());
        report.error(at, format!("{} does not say what it is", self.what)).help(help);
    }

    /// Makes names known that were not asked for, so that "did you mean" can offer them.
    pub(super) fn offer(&mut self, names: &[&'static str]) {
        self.known.extend(names);
    }

    /// Reports every key that nobody asked for.
    pub(super) fn finish(self, report: &mut Report<'_>) {
        for (key, _) in self.left {
            let problem = report.error(&key.at, format!("{} has no use for `{}`", self.what, key.name));
            problem.help(
                did_you_mean(&key.name, self.known.iter().copied())
                    .unwrap_or_else(|| format!("it may have {}", listed(&self.known))),
            );
        }
    }
}

/// The entries of a map without the repetitions of a key, which are reported.
pub(super) fn entries_once<'n>(
    entries: &'n [(Key, Node)],
    what: &str,
    report: &mut Report<'_>,
) -> Vec<(&'n Key, &'n Node)> {
    let mut once: Vec<(&Key, &Node)> = Vec::with_capacity(entries.len());
    for (key, node) in entries {
        if once.iter().any(|(earlier, _)| earlier.name == key.name) {
            report.error(&key.at, format!("{what} has `{}` twice", key.name)).help("remove one or rename it");
        } else {
            once.push((key, node));
        }
    }
    once
}

/// The text of a scalar; anything else is reported.
pub(super) fn scalar<'n>(node: &'n Node, what: &str, report: &mut Report<'_>) -> Option<&'n str> {
    match &node.value {
        Yaml::Scalar(text) if !text.trim().is_empty() => Some(text),
        Yaml::Scalar(_) => {
            report.error(&node.at, format!("`{what}` is empty; write something there"));
            None
        }
        Yaml::Map(_) | Yaml::List(_) => {
            report
                .error(&node.at, format!("`{what}` has to be a text, not {}", node.kind()))
                .help("put the text in quotes or under `|`");
            None
        }
        Yaml::Nothing => {
            report.error(&node.at, format!("`{what}` is empty; write something there"));
            None
        }
    }
}

/// The items of a list; a single scalar counts as a list of one.
pub(super) fn items<'n>(node: &'n Node, what: &str, report: &mut Report<'_>) -> &'n [Node] {
    match &node.value {
        Yaml::List(items) => items,
        Yaml::Scalar(_) => std::slice::from_ref(node),
        Yaml::Nothing | Yaml::Map(_) => {
            report.error(&node.at, format!("`{what}` has to be a list, not {}", node.kind()));
            &[]
        }
    }
}

/// A whole number within limits.
pub(super) fn number(
    node: &Node,
    what: &str,
    from: usize,
    to: usize,
    report: &mut Report<'_>,
) -> Option<usize> {
    let text = scalar(node, what, report)?;
    match text.parse() {
        Ok(number) if (from..=to).contains(&number) => Some(number),
        _ => {
            report.error(
                &node.at,
                format!("`{what}` has to be a whole number from {from} to {to}, not `{text}`"),
            );
            None
        }
    }
}

/// `true` or `false`, also as `on` or `off`.
pub(super) fn switch(node: &Node, what: &str, report: &mut Report<'_>) -> Option<bool> {
    match scalar(node, what, report)? {
        "true" | "on" => Some(true),
        "false" | "off" => Some(false),
        other => {
            report.error(&node.at, format!("`{what}` is `on` or `off`, not `{other}`"));
            None
        }
    }
}

/// `` `a`, `b` and `c` ``.
pub(super) fn listed(names: &[&str]) -> String {
    match names {
        [] => "nothing".to_owned(),
        [one] => format!("`{one}`"),
        [most @ .., last] => {
            let most: Vec<String> = most.iter().map(|name| format!("`{name}`")).collect();
            format!("{} and `{last}`", most.join(", "))
        }
    }
}
