//! Small flows for tests.

/// Answers every text with itself and with what was said before.
pub(crate) const ECHO: &str = r#"
switchboard: 1
bot: echo
start: answer
fallback: { say: "text, please", retries: 100, then: listen }
states:
  answer:
    set: { before: said, said: event.text }
    say: "${ said }, before that ${ before or 'nothing' }"
    go: listen
  listen:
    ask: "${ '' }"
    expect: text
    save: heard
    globals: off
    go: answer
"#;

/// Says nothing to a person's first message, and repeats all that follow.
pub(crate) const SHY: &str = r#"
switchboard: 1
bot: shy
start: listen
states:
  listen:
    ask: "${ '' }"
    expect: text
    save: heard
    globals: off
    go: answer
  answer: { say: "${ heard }", go: listen }
"#;

/// What [`ECHO`] answers to the texts of one person, in order.
pub(crate) fn echoes(texts: &[String]) -> Vec<String> {
    let before = std::iter::once("nothing").chain(texts.iter().map(String::as_str));
    texts.iter().zip(before).map(|(text, before)| format!("{text}, before that {before}")).collect()
}
