//! What only the whole file can tell: links that lead nowhere, states that nothing leads to, loops that never wait.

use std::collections::{BTreeMap, BTreeSet};

use super::{Link, Way};
use crate::flow::definition::StateKind;
use crate::flow::problem::Report;
use crate::flow::words::did_you_mean;
use crate::flow::yaml::Span;

type Kinds<'a> = BTreeMap<&'a str, (Option<StateKind>, &'a Span)>;

/// Links that lead to no state, and loops that never wait.
pub(super) fn judge_links<'a>(report: &mut Report<'_>, links: &'a [Link], kinds: &Kinds<'a>) {
    for link in links.iter().filter(|link| !kinds.contains_key(link.to.as_str())) {
        let problem = report.error(&link.at, format!("there is no state `{}`", link.to));
        let help = did_you_mean(&link.to, kinds.keys().copied()).unwrap_or_else(|| {
            format!("add it under `states`, or name one of those that are there: {}", some_of(kinds))
        });
        problem.help(help);
    }
    let mut search = Search { report, links, kinds, done: BTreeSet::new(), path: Vec::new() };
    for state in kinds.keys() {
        search.visit(state);
    }
}

/// States that nothing leads to, and menus that nothing leads out of. Worth a warning in a file without errors; in
/// another one it would only say the error again.
pub(super) fn judge_ways(
    report: &mut Report<'_>,
    links: &[Link],
    kinds: &Kinds<'_>,
    start: Option<&str>,
    fallback: Option<&str>,
) {
    unreachable(report, links, kinds, [start, fallback].into_iter().flatten());
    closed_menus(report, links, kinds);
}

fn unreachable<'a>(
    report: &mut Report<'_>,
    links: &'a [Link],
    kinds: &Kinds<'_>,
    roots: impl Iterator<Item = &'a str>,
) {
    let from_anywhere = links.iter().filter(|link| link.from.is_none()).map(|link| link.to.as_str());
    let mut todo: Vec<&str> = roots.chain(from_anywhere).collect();
    let mut seen = BTreeSet::new();
    while let Some(state) = todo.pop() {
        if seen.insert(state) {
            todo.extend(
                links.iter().filter(|link| link.from.as_deref() == Some(state)).map(|link| link.to.as_str()),
            );
        }
    }
    for (state, (_, at)) in kinds.iter().filter(|(state, _)| !seen.contains(**state)) {
        report
            .warn(at, format!("nothing leads to the state `{state}`"))
            .help("lead to it with `go`, or remove it");
    }
}

/// Follows the links that are taken at once, depth first; one back into the path closes a loop.
struct Search<'r, 's, 'a> {
    report: &'r mut Report<'s>,
    links: &'a [Link],
    kinds: &'r Kinds<'a>,
    done: BTreeSet<&'a str>,
    path: Vec<&'a str>,
}

impl<'a> Search<'_, '_, 'a> {
    fn visit(&mut self, state: &'a str) {
        if !self.done.insert(state) {
            return;
        }
        self.path.push(state);
        for link in
            self.links.iter().filter(|link| link.way != Way::Later && link.from.as_deref() == Some(state))
        {
            let Some((to, (kind, _))) = self.kinds.get_key_value(link.to.as_str()) else { continue };
            if kind.is_none_or(StateKind::rests) {
                continue;
            }
            if let Some(place) = self.path.iter().position(|on_path| on_path == to) {
                let round = self.path[place..].join("` → `");
                let help = match link.way {
                    Way::Failure => {
                        "a call that fails leads to `then` of the fallback; say `on: { ok: …, error: … }` here"
                    }
                    _ => "lead to a `menu`, `ask`, `handoff` or `end` somewhere on the way",
                };
                self.report
                    .error(&link.at, format!("this closes a loop that never waits: `{round}` → `{to}`"))
                    .help(help);
            } else {
                self.visit(to);
            }
        }
        self.path.pop();
    }
}

/// Menus whose every option leads to themselves, when no word leads elsewhere either.
fn closed_menus(report: &mut Report<'_>, links: &[Link], kinds: &Kinds<'_>) {
    for (state, (_, at)) in kinds.iter().filter(|(_, (kind, _))| *kind == Some(StateKind::Menu)) {
        let leaves =
            |link: &Link| link.to != *state && link.from.as_deref().is_none_or(|from| from == *state);
        if !links.iter().any(leaves) {
            report
                .warn(at, format!("no way leads out of the menu `{state}`"))
                .help("add an option or a global word that leads elsewhere");
        }
    }
}

/// The first few states, for a hint.
fn some_of(kinds: &Kinds<'_>) -> String {
    const SHOWN: usize = 8;
    let mut names: Vec<&str> = kinds.keys().copied().take(SHOWN).collect();
    if kinds.len() > SHOWN {
        names.push("…");
    }
    names.join(", ")
}
