//! The rules of `docs/architecture.md` that a machine can check: which room may use which, who may name which library,
//! how long a file may be, and that the documents speak of what is there.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// The rooms in floor order, each with the rooms it may use: all of them stand above it in this table.
const ROOMS: [(&str, &[&str]); 23] = [
    ("clock", &[]),
    ("domain", &["clock"]),
    ("telemetry", &["clock", "domain"]),
    ("config", &["clock", "domain", "telemetry"]),
    ("flow", &["clock", "domain"]),
    ("meta", &["clock", "domain", "config"]),
    ("store", &["clock", "domain", "telemetry", "meta"]),
    ("feed", &["clock", "domain", "store"]),
    ("connector", &["clock", "domain", "config", "flow", "store"]),
    ("template", &["clock", "domain", "telemetry", "meta", "store"]),
    ("conversation", &["clock", "domain", "telemetry", "config", "flow", "store", "connector", "template"]),
    ("media", &["clock", "domain", "telemetry", "config", "meta", "store"]),
    ("privacy", &["clock", "domain", "store", "media"]),
    ("sender", &["clock", "domain", "telemetry", "config", "meta", "store", "template", "media"]),
    ("router", &["clock", "domain", "telemetry", "config", "store", "conversation"]),
    ("doctor", &["clock", "domain", "config", "meta", "store"]),
    ("replay", &["clock", "domain", "telemetry", "flow", "store", "connector", "template", "conversation"]),
    ("webhook", &["clock", "domain", "telemetry", "config", "meta", "store"]),
    (
        "api",
        &[
            "clock",
            "domain",
            "telemetry",
            "config",
            "meta",
            "store",
            "feed",
            "template",
            "media",
            "privacy",
            "replay",
        ],
    ),
    // What it posts is what the door for REST clients shows.
    ("outlet", &["clock", "domain", "telemetry", "store", "feed", "api"]),
    // Written from Meta's pages alone, so that a mistake in `meta` cannot hide behind the same mistake here.
    ("sandbox", &["clock"]),
    (
        "app",
        &[
            "clock",
            "domain",
            "telemetry",
            "config",
            "flow",
            "meta",
            "store",
            "feed",
            "connector",
            "template",
            "conversation",
            "media",
            "privacy",
            "sender",
            "router",
            "replay",
            "webhook",
            "api",
            "outlet",
        ],
    ),
    (
        "cli",
        &[
            "clock",
            "domain",
            "telemetry",
            "config",
            "flow",
            "store",
            "doctor",
            "replay",
            "webhook",
            "sandbox",
            "app",
        ],
    ),
];

/// What only some files may name: the beginning of a path in the code, and the files or folders it is for.
const CONFINED: [(&str, &[&str]); 10] = [
    ("sea_orm::", &["src/store/"]),
    ("migration::", &["src/store/"]),
    (
        "actix::",
        &[
            "src/conversation/actor.rs",
            "src/router/",
            "src/sender/actor.rs",
            "src/sender/reconcile.rs",
            "src/app/",
        ],
    ),
    ("actix_web::", &["src/webhook/", "src/api/", "src/sandbox/", "src/app/"]),
    // Requests are for the first four; the others only read an address with its `Url`.
    (
        "reqwest::",
        &[
            "src/meta/client/",
            "src/sandbox/",
            "src/connector/http.rs",
            "src/outlet/post.rs",
            "src/config/",
            "src/api/params.rs",
        ],
    ),
    ("crate::meta::client", &["src/sender/", "src/media/", "src/template/", "src/doctor/", "src/app/"]),
    ("object_store::", &["src/media/vault.rs"]),
    ("minijinja::", &["src/flow/"]),
    ("governor::", &["src/sender/pacing.rs", "src/api/rate.rs"]),
    ("utoipa::", &["src/api/"]),
];

/// What a pure room never names.
const IMPURE: [&str; 6] = ["tokio::", "std::fs", "std::net", "std::env", "std::thread", "SystemTime"];
const PURE: [&str; 2] = ["src/domain/", "src/flow/"];

const FILE_LINES_MAX: usize = 500;

/// The documents that people read, as paths from the root.
fn documents() -> Vec<String> {
    let entries = fs::read_dir(root().join("docs")).expect("the folder of documents");
    let names =
        entries.map(|entry| entry.expect("a readable folder").file_name().into_string().expect("a name"));
    let pages = names.filter(|name| name.ends_with(".md")).map(|name| format!("docs/{name}"));
    std::iter::once("README.md".to_owned()).chain(pages).collect()
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Every Rust file under `src`, as a path from the root, with its text.
fn sources() -> Vec<(String, String)> {
    fn collect(folder: &Path, found: &mut Vec<PathBuf>) {
        let entries = fs::read_dir(folder).expect("a folder of the repository");
        for entry in entries.map(|entry| entry.expect("a readable folder").path()) {
            if entry.is_dir() {
                collect(&entry, found);
            } else if entry.extension().is_some_and(|extension| extension == "rs") {
                found.push(entry);
            }
        }
    }
    let mut paths = Vec::new();
    collect(&root().join("src"), &mut paths);
    paths.sort();
    let named = |path: PathBuf| {
        let name = path
            .strip_prefix(root())
            .expect("a path below the root")
            .display()
            .to_string()
            .replace('\\', "/");
        let text = read(&name);
        (name, text)
    };
    paths.into_iter().map(named).collect()
}

/// The lines that are code, numbered from 1.
fn code(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let lines = text.lines().enumerate().map(|(at, line)| (at + 1, line));
    lines.filter(|(_, line)| !line.trim_start().starts_with("//"))
}

fn is_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}

/// What follows each occurrence of `name` that begins a path: `actix::` is not in `my_actix::`.
fn after<'a>(line: &'a str, name: &str) -> Vec<&'a str> {
    let starts =
        line.match_indices(name).filter(|(at, _)| !line[..*at].ends_with(|c| is_word(c) || c == ':'));
    starts.map(|(at, _)| &line[at + name.len()..]).collect()
}

/// The room that a file belongs to: the folder or file below `src`.
fn room(path: &str) -> &str {
    path.trim_start_matches("src/").split(['/', '.']).next().unwrap_or_default()
}

fn assert_none(broken: &[String], rule: &str) {
    assert!(broken.is_empty(), "{rule}:\n  {}", broken.join("\n  "));
}

#[test]
fn imports_run_downward_only() {
    let mut broken = Vec::new();
    for (path, text) in sources() {
        let Some((_, allowed)) = ROOMS.iter().find(|(name, _)| *name == room(&path)) else { continue };
        for (number, line) in code(&text) {
            for rest in after(line, "crate::") {
                let used: String = rest.chars().take_while(|c| is_word(*c)).collect();
                if used != room(&path) && !allowed.contains(&used.as_str()) {
                    broken.push(format!("{path}:{number}: `{}` may not use `crate::{used}`", room(&path)));
                }
            }
        }
    }
    assert_none(&broken, "a room uses what is above or beside it; one `use` per room, no `crate::{…}`");
}

#[test]
fn the_table_of_rooms_is_itself_downward_and_complete() {
    for (place, (name, allowed)) in ROOMS.iter().enumerate() {
        for used in *allowed {
            let below = ROOMS[..place].iter().any(|(other, _)| other == used);
            assert!(below, "`{name}` is allowed `{used}`, which does not stand above it in the table");
        }
    }
    let lib = read("src/lib.rs");
    let declared: BTreeSet<&str> =
        lib.lines().filter_map(|line| line.strip_prefix("pub mod ")?.strip_suffix(';')).collect();
    let known: BTreeSet<&str> = ROOMS.iter().map(|(name, _)| *name).collect();
    assert_eq!(declared, known, "src/lib.rs and the table of this test name the same rooms");
    let map = read("docs/architecture.md");
    for name in known {
        assert!(
            map.contains(&format!("| `{name}` |")),
            "docs/architecture.md has no line for the room `{name}`"
        );
    }
}

#[test]
fn libraries_are_named_only_in_their_rooms() {
    let mut broken = Vec::new();
    for (path, text) in sources() {
        for (number, line) in code(&text) {
            for (name, places) in CONFINED {
                let allowed = places.iter().any(|place| path.starts_with(place));
                if !allowed && !after(line, name).is_empty() {
                    broken
                        .push(format!("{path}:{number}: names `{name}`, which is for {}", places.join(", ")));
                }
            }
        }
    }
    assert_none(&broken, "a library is named outside its room");
}

#[test]
fn pure_rooms_do_no_io() {
    let mut broken = Vec::new();
    for (path, text) in
        sources().into_iter().filter(|(path, _)| PURE.iter().any(|pure| path.starts_with(pure)))
    {
        for (number, line) in code(&text) {
            for name in IMPURE.iter().filter(|name| !after(line, name).is_empty()) {
                broken.push(format!("{path}:{number}: names `{name}`"));
            }
        }
    }
    assert_none(&broken, "`domain` and `flow` are pure");
}

#[test]
fn files_stay_short() {
    let long = |(path, text): (String, String)| {
        let lines = text.lines().count();
        (lines > FILE_LINES_MAX)
            .then(|| format!("{path}: {lines} lines, {FILE_LINES_MAX} are allowed; split it"))
    };
    let broken: Vec<String> = sources().into_iter().filter_map(long).collect();
    assert_none(&broken, "a file does too much");
}

#[test]
fn a_room_says_what_it_is() {
    let missing: Vec<String> =
        sources().into_iter().filter(|(_, text)| !is_introduced(text)).map(|(path, _)| path).collect();
    assert_none(&missing, "a file begins with a `//!` header");
}

/// `main.rs` and the like may be shorter than any header.
fn is_introduced(text: &str) -> bool {
    text.starts_with("//!") || text.lines().count() < 15
}

/// What stands in backticks outside of fenced blocks, with its line.
fn quoted(text: &str) -> Vec<(usize, &str)> {
    let mut fenced = false;
    let mut found = Vec::new();
    for (at, line) in text.lines().enumerate() {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
        } else if !fenced {
            found.extend(line.split('`').skip(1).step_by(2).map(|part| (at + 1, part)));
        }
    }
    found
}

#[test]
fn paths_and_links_in_the_documents_lead_somewhere() {
    let ours = ["src/", "tests/", "docs/", "migration/", "benches/", ".ci/"];
    let mut broken = Vec::new();
    let mut looked_at = 0;
    for document in documents() {
        let text = read(&document);
        let folder = Path::new(&document).parent().unwrap();
        let paths = quoted(&text)
            .into_iter()
            .filter(|(_, part)| ours.iter().any(|ours| part.starts_with(ours)))
            .map(|(line, part)| (line, root().join(part), part.to_owned()));
        let links = text.lines().enumerate().flat_map(|(at, line)| {
            let targets = line.split("](").skip(1).filter_map(|rest| rest.split([')', '#']).next());
            targets
                .filter(|target| !target.is_empty() && !target.contains(':'))
                .map(move |target| (at + 1, target))
        });
        let links = links.map(|(line, target)| (line, root().join(folder).join(target), target.to_owned()));
        for (line, path, shown) in paths.chain(links) {
            looked_at += 1;
            if !path.exists() {
                broken.push(format!("{document}:{line}: there is no {shown}"));
            }
        }
    }
    assert!(looked_at > 50, "only {looked_at} paths were found: the search is broken");
    assert_none(&broken, "a document speaks of a file that is not there");
}

#[test]
fn functions_that_the_architecture_names_are_there() {
    let sources = sources();
    let text = read("docs/architecture.md");
    let named: Vec<(usize, &str)> =
        quoted(&text).into_iter().filter_map(|(line, part)| Some((line, part.strip_suffix("()")?))).collect();
    assert!(named.len() > 20, "only {} functions were found: the search is broken", named.len());
    let mut broken = Vec::new();
    for (line, path) in named {
        let (owner, name) = path.rsplit_once("::").map_or(("", path), |(owner, name)| (owner, name));
        let owner = owner.rsplit("::").next().unwrap_or_default();
        let is_there = sources.iter().any(|(file, text)| belongs(owner, file, text) && defines(name, text));
        if !is_there {
            broken.push(format!("docs/architecture.md:{line}: there is no `fn {name}` in `{owner}`"));
        }
    }
    assert_none(&broken, "the architecture names functions that are not there");
}

/// Whether `owner` is the file, its folder, or a type that the file implements; without an owner, any file will do.
fn belongs(owner: &str, file: &str, text: &str) -> bool {
    let in_path = file.trim_end_matches(".rs").split('/').any(|part| part == owner);
    let implements =
        |line: &str| line.starts_with("impl") && line.split(|c| !is_word(c)).any(|word| word == owner);
    owner.is_empty() || in_path || text.lines().any(implements)
}

fn defines(function: &str, text: &str) -> bool {
    let begins = |rest: &str| rest.starts_with(['(', '<']);
    code(text).any(|(_, line)| after(line, &format!("fn {function}")).into_iter().any(begins))
}

#[test]
fn the_test_command_of_the_readme_is_the_one_of_the_checks() {
    assert!(read("README.md").lines().any(|line| line.trim() == "cargo test"));
    assert!(read(".ci/run").lines().any(|line| line.starts_with("run cargo test ")));
}
