//! The guides are true: their examples are run from top to bottom against the program, and what they show is what comes.
//! What cannot be run says why, and is counted.

#![expect(clippy::unwrap_used, reason = "in a test a panic is the report")]

mod page;
mod session;
mod shown;

use std::collections::BTreeMap;
use std::io::Write as _;
use std::process::{Command, Stdio};

use page::{Manner, Page};
use session::Session;

/// Every page with examples.
const PAGES: [&str; 3] = ["README.md", "docs/quick-start.md", "docs/api-examples.md"];
/// What is not run, by page and kind. An example more or less is a line here.
const NOT_RUN: [(&str, &str, usize); 0] = [];
/// The kinds of reasons for which an example is not run.
const KINDS: [&str; 4] = ["build", "meta", "machine", "powershell"];
/// The tools of the examples. Where one is missing, the examples are left out, but not where `.ci/run` sets this.
const TOOLS: [&str; 3] = ["bash", "curl", "jq"];
const REQUIRED: &str = "SWITCHBOARD_TEST_GUIDES";

fn follow(name: &'static str) -> Option<Session> {
    let is_there = |tool: &&str| {
        let found = Command::new(tool).arg("--version").stdin(Stdio::null()).stdout(Stdio::null()).status();
        found.is_ok_and(|status| status.success())
    };
    if let Some(missing) = TOOLS.iter().find(|tool| !is_there(tool)) {
        assert!(std::env::var_os(REQUIRED).is_none(), "{REQUIRED} is set and `{missing}` is not installed");
        let told = format!("\nLEFT OUT: the examples of {name}, because `{missing}` is not installed\n");
        // Not eprintln: what a passing test prints is not shown, and this has to be.
        let _ = std::io::stderr().write_all(told.as_bytes());
        return None;
    }
    let mut session = Session::start();
    session.follow(&Page::read(name));
    Some(session)
}

#[test]
fn the_readme_is_true() {
    follow("README.md");
}

#[test]
fn the_quick_start_is_true() {
    follow("docs/quick-start.md");
}

#[test]
fn the_examples_of_the_api_are_true() {
    follow("docs/api-examples.md");
}

#[test]
fn what_is_not_run_is_counted() {
    let mut counted: BTreeMap<(&str, String), usize> = BTreeMap::new();
    for name in PAGES {
        let page = Page::read(name);
        for example in page.examples() {
            if let Manner::NotRun(kind) = &example.manner {
                assert!(
                    KINDS.contains(&kind.as_str()),
                    "{name}:{}: `{kind}` is no kind of reason",
                    example.line
                );
                *counted.entry((name, kind.clone())).or_default() += 1;
            }
        }
        let run = page.examples().filter(|example| !matches!(example.manner, Manner::NotRun(_))).count();
        assert!(run > 0, "{name}: nothing of it is run");
    }
    let known = NOT_RUN.iter().map(|(page, kind, count)| ((*page, (*kind).to_owned()), *count)).collect();
    assert_eq!(counted, known);
}
