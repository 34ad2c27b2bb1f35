//! Whether what came is what the page shows, where `…` stands for what differs each time or is left out: within a line or a
//! text for any characters, alone in a line for any lines, alone as a value for any value, as the last entry of a list for
//! more of them, and as a field for further fields.

use serde_json::Value;

use crate::page::Answer;

const DOTS: &str = "…";

/// Says what is wrong, if something is.
pub(crate) fn compare(shown: &Answer, came: &str) -> Result<(), String> {
    match shown {
        Answer::Json(shown) => {
            let shown: Value =
                serde_json::from_str(shown).map_err(|error| format!("what is shown is no JSON: {error}"))?;
            let came: Value =
                serde_json::from_str(came).map_err(|error| format!("what came is no JSON: {error}"))?;
            compare_values(&shown, &came, "")
        }
        Answer::Text(shown) => {
            let lines = |text: &str| {
                text.trim_end().lines().map(|line| line.trim_end().to_owned()).collect::<Vec<_>>()
            };
            let (shown, came) = (lines(shown), lines(came));
            let mut line = 0;
            if fit(&shown, &came, &mut line) { Ok(()) } else { Err(format!("line {} differs", line + 1)) }
        }
    }
}

fn compare_values(shown: &Value, came: &Value, path: &str) -> Result<(), String> {
    let differs = || Err(format!("`{path}` is {came}, and {shown} is shown"));
    match (shown, came) {
        (Value::String(text), _) if text == DOTS => Ok(()),
        (Value::String(text), Value::String(came)) if fits(text, came) => Ok(()),
        (Value::Array(shown), Value::Array(came)) => {
            let more = shown.last().and_then(Value::as_str) == Some(DOTS);
            let wanted = if more { &shown[..shown.len() - 1] } else { shown.as_slice() };
            if came.len() < wanted.len() || (came.len() > wanted.len() && !more) {
                return differs();
            }
            let mut pairs = wanted.iter().zip(came).enumerate();
            pairs.try_for_each(|(at, (shown, came))| compare_values(shown, came, &format!("{path}[{at}]")))
        }
        (Value::Object(shown), Value::Object(came)) => {
            if !shown.contains_key(DOTS)
                && let Some(unknown) = came.keys().find(|key| !shown.contains_key(*key))
            {
                return Err(format!("`{path}.{unknown}` came and is not shown"));
            }
            shown.iter().filter(|(key, _)| *key != DOTS).try_for_each(|(key, shown)| {
                let path = format!("{path}.{key}");
                came.get(key).map_or_else(
                    || Err(format!("`{path}` is shown and did not come")),
                    |came| compare_values(shown, came, &path),
                )
            })
        }
        _ if shown == came => Ok(()),
        _ => differs(),
    }
}

/// Whether the lines fit; `furthest` is then the first that does not.
fn fit(shown: &[String], came: &[String], furthest: &mut usize) -> bool {
    match shown.split_first() {
        None => came.is_empty(),
        Some((first, rest)) if first.trim() == DOTS => {
            (0..=came.len()).any(|skipped| fit(rest, &came[skipped..], &mut 0))
        }
        Some((first, rest)) => match came.split_first() {
            Some((line, others)) if fits(first, line) => {
                *furthest += 1;
                fit(rest, others, furthest)
            }
            _ => false,
        },
    }
}

/// Whether a text fits a pattern in which [`DOTS`] stand for any characters.
fn fits(pattern: &str, text: &str) -> bool {
    let Some((head, mut rest)) = pattern.split_once(DOTS) else { return pattern == text };
    let Some(mut text) = text.strip_prefix(head) else { return false };
    while let Some((part, after)) = rest.split_once(DOTS) {
        let Some(at) = text.find(part) else { return false };
        text = &text[at + part.len()..];
        rest = after;
    }
    text.ends_with(rest)
}

#[test]
fn dots_stand_for_what_varies_and_for_nothing_else() {
    let json = |shown: &str, came: &str| compare(&Answer::Json(shown.to_owned()), came);
    assert_eq!(json(r#"{"id": "msg_…", "at": "…", "n": 1}"#, r#"{"n": 1, "id": "msg_7", "at": 5}"#), Ok(()));
    assert_eq!(json(r#"{"a": [1, "…"], "…": "…"}"#, r#"{"a": [1, 2, 3], "b": {}}"#), Ok(()));
    for (shown, came) in [
        (r#"{"id": "msg_…"}"#, r#"{"id": "cnv_7"}"#),
        (r#"{"a": 1}"#, r#"{"a": 1, "b": 2}"#),
        (r#"{"a": 1, "b": 2}"#, r#"{"a": 1}"#),
        (r#"[1]"#, r#"[1, 2]"#),
        (r#"[1, 2, "…"]"#, r#"[1]"#),
        (r#"{"a": 1}"#, "{}{}"),
        ("1", "\"1\""),
    ] {
        assert!(json(shown, came).is_err(), "{shown} {came}");
    }
    let text = |shown: &str, came: &str| compare(&Answer::Text(shown.to_owned()), came);
    assert_eq!(text("a …b\n…\nend\n", "a xb\n1\n2\nend"), Ok(()));
    assert_eq!(text("Ordered: …\nPromised: …", "Ordered: 1 Jan\nPromised: soon"), Ok(()));
    assert_eq!(text("a…b", "a").map_err(|_| ()), Err(()));
    assert_eq!(text("a\nb", "a\nc"), Err("line 2 differs".to_owned()));
    assert!(text("a", "a\nb").is_err() && text("a\nb", "a").is_err());
}
