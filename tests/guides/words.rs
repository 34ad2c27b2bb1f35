//! What the page of troubles quotes is what the program says.

use std::path::Path;

use regex::Regex;

const PAGE: &str = "docs/troubleshooting.md";
/// What begins like this is a command, a request or a value, and nothing that the program says.
const NO_WORDS: [&str; 10] =
    ["GET ", "POST ", "PUT ", "DELETE ", "switchboard ", "${", "{", "on: {", "for: ", "Authorization: "];
/// Letters of a part of a text that are worth looking for.
const PART_MIN: usize = 6;

/// All that is written in the sources of the program, its tests left out, with texts that go over several lines in one.
fn sources() -> String {
    let mut text = String::new();
    let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("src")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() && path.file_name().is_some_and(|name| name != "tests") {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let source = std::fs::read_to_string(path).unwrap();
                let program = source.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
                text.push_str(&program.replace("\\\"", "\""));
            }
        }
    }
    Regex::new(r"\\\n\s*").unwrap().replace_all(&text, "").into_owned()
}

#[test]
fn what_the_program_is_said_to_say_it_says() {
    let page = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(PAGE)).unwrap();
    let sources = sources();
    let mut fenced = false;
    let mut looked_up = 0;
    for (at, line) in page.lines().enumerate() {
        fenced ^= line.starts_with("```");
        let spans = line.split('`').skip(1).step_by(2).filter(|_| !fenced);
        for span in
            spans.filter(|span| span.contains(' ') && !NO_WORDS.iter().any(|begin| span.starts_with(begin)))
        {
            // Texts of SQLite and sqlx are theirs; that they reach the reader is seen in their tests.
            if ["unable to open database file", "pool timed out while waiting for an open connection"]
                .contains(&span)
            {
                continue;
            }
            for part in span.split('…').map(str::trim).filter(|part| part.chars().count() >= PART_MIN) {
                looked_up += 1;
                assert!(sources.contains(part), "{PAGE}:{}: the program never says `{part}`", at + 1);
            }
        }
    }
    assert!(looked_up > 30, "only {looked_up} texts were looked up: the search is broken");
}
