//! A page taken apart: its shell examples in order, the answers that it shows for them, and the files that it makes.
//!
//! Which is which stands in the page. A comment above a fence says how it is meant:
//!
//! ```text
//! <!-- keeps running -->                    the program, in a terminal of its own, until the next such example
//! <!-- fails -->                            it ends with an error, and that is what is to be seen
//! <!-- not run (kind): reason -->           it cannot be run here
//! <!-- not an answer -->                    the block of json or text belongs to no example
//! <!-- file: bot.yaml -->                   the block is this file
//! <!-- into bot.yaml, before: some text --> the block is added to this file, before the line that begins with this text
//! <!-- into bot.yaml, after: some text -->  or after it
//! ```
//!
//! A block of `json` or `text` below an example, with no other block and no heading between, is its answer.

use std::path::Path;

/// Languages of blocks that are looked at, but not run, and of which other tests may know more.
const SHOWN: [&str; 6] = ["yaml", "toml", "sql", "dotenv", "json outbound", "text inbound"];

/// A page and what is in it.
#[derive(Debug)]
pub(crate) struct Page {
    /// From the root of the repository.
    pub(crate) name: &'static str,
    pub(crate) parts: Vec<Part>,
}

/// A block that matters here.
#[derive(Debug)]
pub(crate) enum Part {
    Example(Example),
    /// Commands for PowerShell: run together, when the page has been followed.
    PowerShell(String),
    File {
        name: String,
        text: String,
    },
    Addition(Addition),
}

/// Commands, and what they are to answer.
#[derive(Debug)]
pub(crate) struct Example {
    /// The line in which its text begins.
    pub(crate) line: usize,
    pub(crate) script: String,
    pub(crate) manner: Manner,
    pub(crate) answer: Option<Answer>,
}

/// How an example is meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Manner {
    Runs,
    KeepsRunning,
    Fails,
    /// The kind of reason for which it is not run.
    NotRun(String),
}

/// The answer as the page shows it.
#[derive(Debug)]
pub(crate) enum Answer {
    Json(String),
    Text(String),
}

/// Lines that are put into a file that is there.
#[derive(Debug)]
pub(crate) struct Addition {
    pub(crate) line: usize,
    pub(crate) file: String,
    pub(crate) after: bool,
    pub(crate) mark: String,
    pub(crate) text: String,
}

/// A fence with its comment, as it stands in the page.
struct Block<'a> {
    line: usize,
    language: &'a str,
    note: Option<&'a str>,
    text: String,
    /// A heading stands between it and the block before.
    after_heading: bool,
}

impl Page {
    /// Reads a page of the repository.
    pub(crate) fn read(name: &'static str) -> Self {
        let text = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(name)).unwrap();
        Self { name, parts: parts(name, &text) }
    }

    pub(crate) fn examples(&self) -> impl Iterator<Item = &Example> {
        self.parts
            .iter()
            .filter_map(|part| if let Part::Example(example) = part { Some(example) } else { None })
    }
}

fn parts(page: &str, text: &str) -> Vec<Part> {
    let mut parts: Vec<Part> = Vec::new();
    let mut open = false;
    for block in blocks(page, text) {
        let Block { line, language, note, text, after_heading } = block;
        let at = || format!("{page}:{line}");
        let answers = std::mem::take(&mut open) && !after_heading && note.is_none();
        match language {
            "sh" => {
                let manner = manner(note, &at());
                parts.push(Part::Example(Example { line, script: text, manner, answer: None }));
                open = true;
            }
            "powershell" => parts.push(Part::PowerShell(text)),
            "json" | "text" if answers => {
                let answer = if language == "json" { Answer::Json(text) } else { Answer::Text(text) };
                let Some(Part::Example(example)) = parts.last_mut() else {
                    unreachable!("an example is open")
                };
                example.answer = Some(answer);
            }
            "json" | "text" => assert!(
                note == Some("not an answer"),
                "{}: this is the answer of no example; write it below one, or put `<!-- not an answer -->` above it",
                at()
            ),
            "yaml" | "dotenv" if note.is_some() => {
                parts.push(file(note.unwrap_or_default(), line, text, &at()))
            }
            other => assert!(
                SHOWN.contains(&other),
                "{}: blocks of `{other}` are not known here: write examples as `sh` and their answers as `json` or `text`",
                at()
            ),
        }
    }
    parts
}

fn manner(note: Option<&str>, at: &str) -> Manner {
    match note {
        None => Manner::Runs,
        Some("keeps running") => Manner::KeepsRunning,
        Some("fails") => Manner::Fails,
        Some(note) => {
            let kind = note.strip_prefix("not run (").and_then(|rest| rest.split_once("): "));
            let (kind, reason) =
                kind.unwrap_or_else(|| panic!("{at}: `{note}` says nothing that is known here"));
            assert!(reason.len() > 10, "{at}: it is not run, and the reason is missing");
            Manner::NotRun(kind.to_owned())
        }
    }
}

fn file(note: &str, line: usize, text: String, at: &str) -> Part {
    if let Some(name) = note.strip_prefix("file: ") {
        return Part::File { name: name.to_owned(), text };
    }
    let addition = note.strip_prefix("into ").and_then(|rest| rest.split_once(", "));
    let (file, place) = addition.unwrap_or_else(|| panic!("{at}: `{note}` says nothing that is known here"));
    let (where_to, mark) = place.split_once(": ").unwrap_or_else(|| panic!("{at}: `{note}` names no line"));
    assert!(matches!(where_to, "before" | "after"), "{at}: `{where_to}` is neither before nor after");
    Part::Addition(Addition {
        line,
        file: file.to_owned(),
        after: where_to == "after",
        mark: mark.to_owned(),
        text,
    })
}

fn blocks<'a>(page: &str, text: &'a str) -> Vec<Block<'a>> {
    let mut found = Vec::new();
    let mut note = None;
    let mut after_heading = false;
    let mut lines = text.lines().enumerate();
    while let Some((at, line)) = lines.next() {
        let comment = line.strip_prefix("<!-- ").and_then(|rest| rest.strip_suffix(" -->"));
        if let Some(language) = line.trim_start().strip_prefix("```") {
            assert!(!line.starts_with(' '), "{page}:{}: blocks begin at the start of a line", at + 1);
            let body: Vec<&str> =
                lines.by_ref().map(|(_, line)| line).take_while(|line| *line != "```").collect();
            let text = body.join("\n") + "\n";
            found.push(Block { line: at + 2, language, note: note.take(), text, after_heading });
            after_heading = false;
        } else if comment.is_some() {
            note = comment;
        } else {
            assert!(note.is_none(), "{page}:{}: the comment stands above no block", at);
            after_heading |= line.starts_with('#');
        }
    }
    found
}
