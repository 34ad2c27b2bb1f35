//! The examples of the documents work, and the settings that they name are settings.

#![expect(clippy::unwrap_used, reason = "in a test a panic is the report")]

use std::collections::BTreeSet;
use std::path::Path;

use switchboard::config::{Config, load};
use switchboard::flow::{Flow, StateKind};

const README: &str = include_str!("../README.md");
const FLOWS: &str = include_str!("../docs/flows.md");
const CONFIGURATION: &str = include_str!("../docs/configuration.md");

/// README and everything in `docs/`, each with its text.
fn documents() -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let pages = std::fs::read_dir(root.join("docs")).unwrap().map(|entry| entry.unwrap().path());
    let pages = pages.filter(|path| path.extension().is_some_and(|extension| extension == "md"));
    let named = pages.map(|path| {
        (format!("docs/{}", path.file_name().unwrap().display()), std::fs::read_to_string(&path).unwrap())
    });
    std::iter::once(("README.md".to_owned(), README.to_owned())).chain(named).collect()
}

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
    let mut shown = BTreeSet::new();
    for (document, text) in documents() {
        let flows = blocks(&text, "yaml").into_iter().filter(|(_, flow)| is_complete(flow));
        for (line, source) in flows {
            shown.insert(document.clone());
            let origin = format!("{document}, the block at line {line}");
            let flow = Flow::parse(&source, &origin).unwrap_or_else(|problems| panic!("{problems}"));
            assert!(flow.warnings().is_empty(), "{}", flow.warnings());
            kinds.extend(flow.states().map(|(_, kind)| kind));
        }
    }
    assert_eq!(kinds, BTreeSet::from(StateKind::ALL), "the examples show every kind of state");
    for document in ["README.md", "docs/flows.md", "docs/customising.md"] {
        assert!(shown.contains(document), "{document} shows no flow: the search is broken");
    }
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
    for (document, text) in documents() {
        let words = text.split(|c| !is_word(c));
        for name in words.filter(|word| word.starts_with("SWITCHBOARD_") || word.starts_with("WHATSAPP_")) {
            looked_at += 1;
            let for_tests = name.starts_with("SWITCHBOARD_TEST_");
            assert!(for_tests || known.contains(name), "{document} names {name}, which is no setting");
        }
    }
    assert!(looked_at > 10, "only {looked_at} names were found: the search is broken");
}

/// The anchor under which GitHub finds a heading.
fn anchor(heading: &str) -> String {
    let kept = heading.trim().to_lowercase();
    kept.chars()
        .filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'))
        .collect::<String>()
        .replace(' ', "-")
}

#[test]
fn every_heading_that_a_link_names_is_there() {
    let documents = documents();
    let headings = |text: &str| -> BTreeSet<String> {
        let mut fenced = false;
        let lines = text.lines().filter(|line| {
            fenced ^= line.starts_with("```");
            !fenced && line.starts_with('#')
        });
        lines.map(|line| anchor(line.trim_start_matches('#'))).collect()
    };
    let mut followed = 0;
    for (document, text) in &documents {
        let folder = Path::new(document).parent().unwrap();
        let targets = text.split("](").skip(1).filter_map(|rest| rest.split(')').next());
        let places =
            targets.filter(|target| !target.starts_with("http")).filter_map(|target| target.split_once('#'));
        for (file, place) in places {
            followed += 1;
            let path =
                if file.is_empty() { document.clone() } else { folder.join(file).display().to_string() };
            let path = path.strip_prefix("docs/../").unwrap_or(&path).to_owned();
            let text = documents.iter().find(|(name, _)| *name == path).map(|(_, text)| text.as_str());
            let known = headings(text.unwrap_or_default());
            assert!(
                known.contains(place),
                "{document} leads to {file}#{place}, and {path} has no such heading: {known:?}"
            );
        }
    }
    assert!(followed > 30, "only {followed} links were found: the search is broken");
}
