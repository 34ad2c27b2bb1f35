//! The examples of the documents work, and the settings that they name are settings.

use std::collections::BTreeSet;

use switchboard::config::{Config, load};
use switchboard::flow::{Flow, StateKind};

const README: &str = include_str!("../README.md");
const FLOWS: &str = include_str!("../docs/flows.md");
const CONFIGURATION: &str = include_str!("../docs/configuration.md");
const DOCUMENTS: [(&str, &str); 7] = [
    ("README.md", README),
    ("docs/flows.md", FLOWS),
    ("docs/configuration.md", CONFIGURATION),
    ("docs/architecture.md", include_str!("../docs/architecture.md")),
    ("docs/templates.md", include_str!("../docs/templates.md")),
    ("docs/CHANGELOG.md", include_str!("../docs/CHANGELOG.md")),
    ("docs/api.md", include_str!("../docs/api.md")),
];

/// The fenced blocks of a language, each with the line on which it begins.
fn blocks(text: &str, language: &str) -> Vec<(usize, String)> {
    let fence = format!("```{language}");
    let mut found = Vec::new();
    let mut lines = text.lines().enumerate();
    while let Some((at, line)) = lines.next() {
        if line == fence {
            let body: Vec<&str> =
                lines.by_ref().map(|(_, line)| line).take_while(|line| *line != "```").collect();
            found.push((at + 2, body.join("\n") + "\n"));
        }
    }
    found
}

fn is_complete(flow: &str) -> bool {
    flow.starts_with("switchboard: 1\n")
}

#[test]
fn every_complete_flow_passes_the_check_without_a_warning() {
    let mut kinds = BTreeSet::new();
    for (document, text) in [("README.md", README), ("docs/flows.md", FLOWS)] {
        let flows: Vec<_> = blocks(text, "yaml").into_iter().filter(|(_, flow)| is_complete(flow)).collect();
        assert!(!flows.is_empty(), "{document} shows no flow: the search is broken");
        for (line, source) in flows {
            let origin = format!("{document}, the block at line {line}");
            let flow = Flow::parse(&source, &origin).unwrap_or_else(|problems| panic!("{problems}"));
            assert!(flow.warnings().is_empty(), "{}", flow.warnings());
            kinds.extend(flow.states().map(|(_, kind)| kind));
        }
    }
    assert_eq!(kinds, BTreeSet::from(StateKind::ALL), "the examples show every kind of state");
}

#[test]
fn the_sixth_menu_entry_fits_into_the_built_in_bot() {
    let parts: Vec<String> =
        blocks(FLOWS, "yaml").into_iter().map(|(_, part)| part).filter(|part| !is_complete(part)).collect();
    let [option, connector, states] = parts.as_slice() else {
        panic!("the worked example has three parts, found {}", parts.len());
    };
    let last = "      - { label: Back to menu, go: main, keys: [back], description";
    let source = Flow::FACTORY_SOURCE
        .replacen(last, &format!("{option}{last}"), 1)
        .replacen("\nconnectors:\n", &format!("\nconnectors:\n{connector}"), 1)
        .replacen("\nstates:\n", &format!("\nstates:\n{states}\n"), 1);
    let flow = Flow::parse(&source, "bot.yaml").unwrap_or_else(|problems| panic!("{problems}"));
    assert!(flow.warnings().is_empty(), "{}", flow.warnings());
    assert!(flow.states().any(|(name, _)| name == "last_delivery"));
    assert_eq!(flow.states().count(), Flow::factory().states().count() + 3);
}

#[test]
fn every_example_of_a_settings_file_is_one() {
    let files = blocks(CONFIGURATION, "toml");
    assert!(!files.is_empty(), "no example was found: the search is broken");
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("switchboard.toml");
    for (line, text) in files {
        std::fs::write(&path, text).unwrap();
        load(Some(&path), &|_| None).unwrap_or_else(|error| panic!("docs/configuration.md:{line}: {error}"));
    }
}

#[test]
fn the_settings_that_the_documents_name_are_there() {
    let listing = Config::default().listing();
    let is_word = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_';
    let known: BTreeSet<&str> = listing.split(|c| !is_word(c)).collect();
    let mut looked_at = 0;
    for (document, text) in DOCUMENTS {
        let words = text.split(|c| !is_word(c));
        for name in words.filter(|word| word.starts_with("SWITCHBOARD_") || word.starts_with("WHATSAPP_")) {
            looked_at += 1;
            let for_tests = name.starts_with("SWITCHBOARD_TEST_");
            assert!(for_tests || known.contains(name), "{document} names {name}, which is no setting");
        }
    }
    assert!(looked_at > 10, "only {looked_at} names were found: the search is broken");
}
