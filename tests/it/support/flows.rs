//! Small flows for tests.

/// Answers every text with itself and with what was said before.
pub const ECHO: &str = r#"
switchboard: 1
bot: echo
start: listen
fallback: { say: "text, please", retries: 1000000, then: listen }
states:
  listen:
    ask: "${ event.text }, before that ${ said | default('nothing') }"
    expect: text
    save: said
    globals: off
    go: listen
"#;

/// What [`ECHO`] answers to the texts of one person, in order.
pub fn echoes(texts: &[String]) -> Vec<String> {
    let before = std::iter::once("nothing").chain(std::iter::once("nothing")).chain(texts.iter().skip(1).map(String::as_str));
    texts.iter().zip(before).map(|(text, before)| format!("{text}, before that {before}")).collect()
}
