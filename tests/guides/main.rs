//! The guides are true: their examples are run from top to bottom against the program, and what they show is what comes.
//! What cannot be run says why, and is counted.

#![expect(clippy::unwrap_used, reason = "in a test a panic is the report")]

mod deployment;
mod endpoints;
mod page;
mod session;
mod shown;
mod words;

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use page::{Manner, Page};
use session::Session;

/// What is not run, by page and kind. An example more or less is a line here.
const NOT_RUN: [(&str, &str, usize); 6] = [
    ("README.md", "build", 1),
    ("README.md", "meta", 1),
    ("docs/quick-start.md", "build", 1),
    ("docs/setup.md", "meta", 3),
    ("docs/media.md", "elsewhere", 1),
    ("docs/deployment.md", "machine", 4),
];
/// The kinds of reasons for which an example is not run.
const KINDS: [&str; 4] = ["build", "meta", "machine", "elsewhere"];
/// The tools of the examples. Where one is missing, the examples are left out, but not where `.ci/run` sets this.
const TOOLS: [&str; 6] = ["bash", "curl", "jq", "openssl", "python3", "sqlite3"];
const REQUIRED: &str = "SWITCHBOARD_TEST_GUIDES";

/// Says aloud what a test leaves out.
fn left_out(what: &str) {
    // Not eprintln: what a passing test prints is not shown, and this has to be.
    let _ = std::io::stderr().write_all(format!("\nLEFT OUT: {what}\n").as_bytes());
}

/// A shell to follow this page in, where the tools are there.
fn with_tools(name: &str) -> Option<Session> {
    let is_there = |tool: &&str| {
        let found = Command::new(tool)
            .arg(if *tool == "openssl" { "version" } else { "--version" })
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .status();
        found.is_ok_and(|status| status.success())
    };
    if let Some(missing) = TOOLS.iter().find(|tool| !is_there(tool)) {
        assert!(std::env::var_os(REQUIRED).is_none(), "{REQUIRED} is set and `{missing}` is not installed");
        left_out(&format!("the examples of {name}, because `{missing}` is not installed"));
        return None;
    }
    Some(Session::start())
}

fn follow(name: &'static str) -> Option<Session> {
    let mut session = with_tools(name)?;
    session.follow(&Page::read(name));
    Some(session)
}

/// A test for each page: it is followed from top to bottom.
macro_rules! pages {
    ($($test:ident: $page:literal;)+) => {
        /// Every page with examples.
        const PAGES: &[&str] = &[$($page),+];

        $(
            #[test]
            fn $test() {
                follow($page);
            }
        )+
    };
}

pages! {
    the_readme_is_true: "README.md";
    the_quick_start_is_true: "docs/quick-start.md";
    the_setup_is_true: "docs/setup.md";
    the_ways_to_customise_are_true: "docs/customising.md";
    the_troubles_are_true: "docs/troubleshooting.md";
    the_examples_of_the_api_are_true: "docs/api-examples.md";
    the_deployment_is_true: "docs/deployment.md";
    the_page_of_the_api_is_true: "docs/api.md";
    the_page_of_flows_is_true: "docs/flows.md";
    the_page_of_settings_is_true: "docs/configuration.md";
    the_page_of_files_is_true: "docs/media.md";
}

#[test]
fn no_page_is_forgotten() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let pages = std::fs::read_dir(root.join("docs")).unwrap().map(|entry| entry.unwrap().path());
    for path in pages.filter(|path| path.extension().is_some_and(|extension| extension == "md")) {
        let name = format!("docs/{}", path.file_name().unwrap().display());
        let has_examples = std::fs::read_to_string(&path).unwrap().contains("\n```sh");
        assert_eq!(
            has_examples,
            PAGES.contains(&name.as_str()),
            "{name} and the list of pages with examples"
        );
    }
}

#[test]
fn what_is_not_run_is_counted() {
    let mut counted: BTreeMap<(&str, String), usize> = BTreeMap::new();
    for &name in PAGES {
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
    }
    let known = NOT_RUN.iter().map(|(page, kind, count)| ((*page, (*kind).to_owned()), *count)).collect();
    assert_eq!(counted, known);
}
