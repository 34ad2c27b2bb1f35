//! Every mistake that the check finds: its words, its line, and what the caret is under.

use super::*;

pub(super) const HEAD: &str = "switchboard: 1\nbot: t\nstart: main\n";

/// All problems as "line: what is under the caret: message".
fn problems(source: &str) -> Vec<String> {
    let problems = match Flow::parse(source, "t.yaml") {
        Ok(flow) => flow.warnings().clone(),
        Err(problems) => problems,
    };
    problems
        .iter()
        .map(|problem| format!("{}: {}: {}", problem.line, &source[problem.span.clone()], problem.message))
        .collect()
}

/// The problems of a flow whose lines from the fourth on are given.
pub(super) fn problems_of(rest: &str) -> Vec<String> {
    problems(&format!("{HEAD}{rest}"))
}

pub(super) fn only(rest: &str, expected: &str) {
    assert_eq!(problems_of(rest), [expected], "{rest}");
}

/// The problems of a flow whose start is a menu that leads to `z`, an end, and to `a`, which is tested.
pub(super) fn problems_in_state(state: &str) -> Vec<String> {
    problems_of(&format!(
        "states:\n  main: {{ menu: M, options: [{{ label: A, go: a }}, {{ label: Z, go: z }}] }}\n  z: {{ end: Z }}\n  a: {state}\n"
    ))
}

pub(super) fn only_in_state(state: &str, expected: &str) {
    assert_eq!(problems_in_state(state), [expected], "{state}");
}

#[test]
fn all_mistakes_are_told_at_once_in_the_order_of_the_file() {
    let found = problems(
        "switchboard: 2\nbot: t\nstart: mian\ncolour: red\nstates:\n  main: { menu: 'Hi ${ nam }', options: [{ label: A, go: nowhere }] }\n",
    );
    assert_eq!(
        found,
        [
            "1: 2: this version of the format is not known",
            "3: mian: there is no state `mian`",
            "4: colour: the file has no use for `colour`",
            "6: nam: no state saves a variable `nam`",
            "6: nowhere: there is no state `nowhere`",
        ]
    );
}

#[test]
fn a_problem_is_shown_with_its_caret_and_help() {
    let source = format!("{HEAD}states:\n  main: {{ menu: Hi, optoins: [] }}\n");
    let shown = Flow::parse(&source, "bot.yaml").unwrap_err().to_string();
    assert!(shown.contains("--> bot.yaml:5:21"), "{shown}");
    assert!(shown.contains("^^^^^^^"), "{shown}");
    assert!(shown.contains("help: did you mean `options`?"), "{shown}");
}

#[test]
fn what_is_missing_at_the_top_is_named() {
    assert_eq!(
        problems("bot: t\n"),
        [
            "1: : the file has no `switchboard`",
            "1: : the file has no `start`",
            "1: : the file has no `states`",
        ]
    );
    assert_eq!(problems("- 1\n")[0], "1: : the file has to be a map of keys and values, not a list");
    assert_eq!(problems("")[0], "1: : the file has to be a map of keys and values, not nothing");
    assert!(problems("a: b: c")[0].contains("this is not YAML"));
}

#[test]
fn states_that_do_not_say_what_they_are_or_are_there_twice() {
    only_in_state("{ mennu: X, go: z }", "7: mennu: state `a` does not say what it is");
    only_in_state("{ go: z }", "7: a: state `a` does not say what it is");
    only_in_state("text", "7: text: state `a` has to be a map of keys and values, not a text");
    only_in_state("{ end: X }\n  a: { end: Y }", "8: a: `states` has `a` twice");
    only_in_state("{ end: X, end: Y }", "7: end: state `a` has `end` twice");
    only_in_state("{ say: X }", "7: a: state `a` has no `go`");
    only_in_state("{ end: X, go: z }", "7: go: state `a` has no use for `go`");
    only_in_state("{ end: '' }", "7: '': `end` is empty; write something there");
    only_in_state("{ end: [x] }", "7: [: `end` has to be a text, not a list");
}

#[test]
fn states_that_nothing_leads_to_are_warned_of() {
    let source = format!("{HEAD}states:\n  main: {{ end: M }}\n  lonely: {{ end: L }}\n");
    let flow = Flow::parse(&source, "t.yaml").unwrap();
    assert_eq!(flow.warnings().iter().map(|p| (p.level, p.line)).collect::<Vec<_>>(), [(Level::Warning, 6)]);
}

#[test]
fn a_loop_that_never_waits_is_an_error_where_it_closes() {
    only(
        "states:\n  main: { say: A, go: b }\n  b: { branch: [{ when: 'now > 1', go: main }, { else: c }] }\n  c: { end: C }\n",
        "5: b: this closes a loop that never waits: `b` → `main` → `b`",
    );
    only(
        "fallback: { then: c }\nconnectors:\n  q: { query: select 1 }\nstates:\n  main: { end: M }\n  c: { call: q, go: main }\n",
        "9: q: this closes a loop that never waits: `c` → `c`",
    );
}

#[test]
fn a_menu_without_a_way_out_is_warned_of() {
    only(
        "states:\n  main: { menu: M, options: [{ label: A, go: main }] }\n",
        "5: main: no way leads out of the menu `main`",
    );
}

#[test]
fn options_have_to_differ_and_to_fit() {
    let menu = |options: &str| format!("{{ menu: M, options: [{{ label: Z, go: z }}, {options}] }}");
    only_in_state(&menu("{ label: z, go: z }"), "7: z: `z` chooses option 1 and option 2");
    only_in_state(&menu("{ label: Y, go: z, keys: [Z!] }"), "7: Z!: `z` chooses option 1 and option 2");
    only_in_state(
        &menu("{ label: '1', go: z }"),
        "7: '1': `1` is the number of option 1 and cannot choose option 2 too",
    );
    only_in_state(
        &menu("{ label: Y }"),
        "7: { label: Y }: option 2 has no `go`".replace("{ label: Y }", "{").as_str(),
    );
    only_in_state(
        &menu("{ label: '${ now }', go: z }"),
        "7: '${ now }': a `label` is a fixed text: it is also what people type",
    );
    only_in_state(
        &menu(&format!("{{ label: Y, go: z, description: {} }}", "d".repeat(73))),
        &format!("7: {}: `description` has 73 characters, WhatsApp allows 72", "d".repeat(73)),
    );
    only_in_state(
        &menu("{ label: This label is far too long, go: z }"),
        "7: This label is far too long: the label is longer than 24 characters: the menu is sent as numbered text",
    );
    only_in_state("{ menu: M, options: [] }", "7: [: `options` needs 1 to 50 entries, it has 0");
    only_in_state(
        "{ menu: M, button: This is a long button, options: [{ label: Z, go: z }] }",
        "7: This is a long button: `button` has 21 characters, WhatsApp allows 20",
    );
}

#[test]
fn menus_that_do_not_fit_a_list_are_warned_of() {
    let options: Vec<String> = (1..=11).map(|number| format!("{{ label: O{number}, go: z }}")).collect();
    let found = problems_of(&format!(
        "states:\n  main: {{ menu: M, options: [{}] }}\n  z: {{ end: Z }}\n",
        options.join(", ")
    ));
    assert_eq!(found, ["5: [: a WhatsApp list has at most 10 rows, here are 11: sent as numbered text"]);
    let found = problems_of(&format!(
        "states:\n  main: {{ menu: {}, options: [{{ label: Z, go: z }}] }}\n  z: {{ end: Z }}\n",
        "m".repeat(1025)
    ));
    assert!(
        found[0].ends_with("the text is longer than 1024 characters: sent as numbered text"),
        "{found:?}"
    );
}

#[test]
fn a_text_that_needs_several_messages_is_warned_of() {
    let found = problems_of(&format!("states:\n  main: {{ end: {} }}\n", "e".repeat(4097)));
    assert!(
        found[0].ends_with("`end` is longer than 4096 characters: sent as several messages"),
        "{found:?}"
    );
}

#[test]
fn templates_and_expressions_are_compiled_and_their_names_known() {
    only_in_state(
        "{ end: 'a ${ now' }",
        "7: now: `end`: unexpected end of input, expected end of variable block",
    );
    only_in_state("{ end: '${ now | dat }' }", "7: dat: `end`: there is no filter `dat`");
    only_in_state("{ end: '${ contact.phon }' }", "7: contact.phon: `contact` has no `phon`");
    only_in_state("{ end: '${ evnt.text }' }", "7: evnt.text: no state saves a variable `evnt`");
    only_in_state(
        "{ end: \"{% for x in [1] %}${ x } ${ y }{% endfor %}\" }",
        "7: y: no state saves a variable `y`",
    );
    only_in_state(
        "{ branch: [{ when: 'now >', go: z }, { else: z }] }",
        "7: >: `when`: unexpected end of input, expected expression",
    );
    only_in_state(
        "{ branch: [{ when: now, go: z }] }",
        "7: [: `branch` has no `else`: where to go when nothing holds?",
    );
    only_in_state(
        "{ branch: [{ else: z }, { when: now, go: z }] }",
        "7: {: nothing gets here: `else` has to be the last case",
    );
}

#[test]
fn a_mistake_in_a_block_text_is_shown_on_its_own_line() {
    only_in_state(
        "\n    end: |\n      One\n      Two ${ three }\n",
        "10: three: no state saves a variable `three`",
    );
}

#[test]
fn what_is_asked_for_has_to_make_sense() {
    let ask = |rest: &str| format!("{{ ask: Q, save: x, go: b{rest} }}\n  b: {{ end: '${{ x }}' }}");
    only_in_state(&ask(", expect: txt"), "7: txt: `expect` cannot be `txt`");
    only_in_state(
        &ask(", expect: { regex: '(' }"),
        "7: '(': `regex` is no regular expression: unclosed group",
    );
    only_in_state(
        &ask(", expect: { type: number, min: 9, max: 1 }"),
        "7: {: `min` is greater than `max`: no answer could be right",
    );
    only_in_state(
        &ask(", expect: { type: number, min: few }"),
        "7: few: `min` has to be a number, not `few`",
    );
    only_in_state(&ask(", expect: { choice: [a, A] }"), "7: A: `choice` has `A` twice");
    only_in_state(&ask(", expect: { type: media, max: 3 }"), "7: max: `expect` has no use for `max`");
    only_in_state(&ask(", globals: perhaps"), "7: perhaps: `globals` is `on` or `off`, not `perhaps`");
    only_in_state(&ask(", timeout: { after: soon, go: z }"), "7: soon: `after` is no duration: `soon`");
    only_in_state(&ask(", timeout: { after: 24h, go: z }"), "7: 24h: `after` is out of range: `24h`");
    only_in_state("{ ask: Q, go: z }", "7: a: state `a` has no `save`");
    only_in_state("{ ask: Q, save: x, go: z }", "7: x: nothing reads the variable `x`");
    only_in_state(
        "{ ask: Q, save: contact, go: z }",
        "7: contact: `contact` is a name that the flow has already; choose another",
    );
    only_in_state("{ ask: Q, save: no way, go: z }", "7: no way: `no way` cannot be the name of a variable");
}

#[test]
fn an_answer_that_a_global_word_takes_is_warned_of() {
    only(
        "globals: { 'no | 0': main }\nstates:\n  main: { ask: Q, expect: { choice: ['yes', 'no'] }, save: x, go: z }\n  z: { end: '${ x }' }\n",
        "6: {: `no` is one of the `globals` and never gets here as an answer",
    );
}

#[test]
fn globals_and_fallback_are_checked() {
    let rest = "states:\n  main: { end: M }\n";
    only(
        &format!("globals: {{ 'hi | Hi!': main }}\n{rest}"),
        "4: 'hi | Hi!': the word `hi` is in `globals` twice",
    );
    only(&format!("globals: {{ 'hi |': main }}\n{rest}"), "4: 'hi |': a word of `globals` is empty");
    only(&format!("globals: {{ help: suport }}\n{rest}"), "4: suport: there is no state `suport`");
    only(
        &format!("fallback: {{ retries: 0 }}\n{rest}"),
        "4: 0: `retries` has to be a whole number from 1 to 100, not `0`",
    );
    only(&format!("timeout: {{ after: 1h }}\n{rest}"), "4: {: `timeout` has no `go`");
}

/// One connector on the fourth line, called by the start.
fn only_in_connector(connector: &str, expected: &str) {
    only(
        &format!(
            "connectors: {{ c: {connector} }}\nstates:\n  main: {{ call: c, on: {{ ok: z, error: z }} }}\n  z: {{ end: Z }}\n"
        ),
        expected,
    );
}

#[test]
fn connectors_are_checked_with_their_parameters() {
    only_in_connector("{ qery: x }", "4: qery: connector `c` does not say what it is");
    only_in_connector("{ query: 'select :a' }", "4: :a: the parameter `:a` is not declared");
    only_in_connector("{ query: select 1, params: { a: now } }", "4: a: the statement has no parameter `:a`");
    only_in_connector(
        "{ query: 'select :a', params: { a: 'now +' } }",
        "4: +: `a`: unexpected end of input, expected expression",
    );
    only_in_connector(
        "{ query: 'select :a', params: { a: nwo } }",
        "4: nwo: no state saves a variable `nwo`",
    );
    only_in_connector("{ query: delete from t }", "4: delete from t: `query` begins with `delete`");
    only_in_connector("{ write: select 1 }", "4: select 1: `write` begins with `select`");
    only_in_connector(
        "{ query: 'select 1; drop table t' }",
        "4: drop table t: `query` holds a second statement",
    );
    only_in_connector(
        "{ query: select 1, rows: 101 }",
        "4: 101: `rows` has to be a whole number from 1 to 100, not `101`",
    );
    only_in_connector("{ query: select 1, timeout: 1m }", "4: 1m: `timeout` is out of range: `1m`");
    only_in_connector(
        "{ sequence: D, digits: 0 }",
        "4: 0: `digits` has to be a whole number from 1 to 18, not `0`",
    );
    only_in_connector("{ sequence: 'D F' }", "4: 'D F': `D F` cannot be the name of a sequence");
}

#[test]
fn calls_fit_their_connectors() {
    let calls = |a: &str, b: &str| {
        problems_of(&format!(
            "connectors:\n  q: {{ query: select 1 }}\n  w: {{ write: delete from t }}\nstates:\n  z: {{ end: '${{ x }}' }}\n  \
             main: {{ menu: M, options: [{{ label: A, go: a }}, {{ label: B, go: b }}] }}\n  a: {a}\n  b: {b}\n"
        ))
    };
    let good = "{ call: q, save: x, go: z }";
    assert_eq!(calls(good, "{ call: w, go: z }"), [""; 0]);
    assert_eq!(calls("{ call: w, save: x, go: z }", good), ["10: x: `w` writes: there is nothing to save"]);
    assert_eq!(
        calls("{ call: w, first: on, go: z }", good),
        ["10: on: `first` is for rows, and `w` gives none"]
    );
    assert_eq!(calls("{ call: qq, go: z }", good), ["10: qq: there is no connector `qq`"]);
    assert_eq!(
        calls("{ call: w, on: { fine: z } }", good),
        ["10: {: `on` has no `ok`", "10: fine: `on` has no use for `fine`"]
    );
    assert_eq!(calls("{ end: A }", good), ["6: w: nothing calls the connector `w`"]);
}

#[test]
fn statements_about_a_person_name_them_and_nothing_else() {
    let told =
        |key: &str, sql: &str| problems_of(&format!("{key}: {sql}\nstates: {{ main: {{ end: E }} }}\n"));
    for (key, fine) in [
        ("on_erase", "delete from t where p = :person"),
        ("on_erase", "[\"update t set p = '' where p = :person\", delete from u where p = :person;]"),
        ("on_export", "select * from t where p = :person"),
    ] {
        assert_eq!(told(key, fine), [""; 0], "{fine}");
    }
    for (key, wrong, words) in [
        ("on_erase", "delete from t", "does not say whose rows it means"),
        ("on_erase", "drop table t -- :person", "begins with `drop`"),
        ("on_erase", "delete from t where p = :person or q = :me", "has no parameter `:me`"),
        ("on_erase", "delete from t where p = :person; drop table t", "holds a second statement"),
        ("on_export", "delete from t where p = :person", "begins with `delete`"),
        ("on_export", "{ a: b }", "has to be a list"),
    ] {
        let told = told(key, wrong);
        assert!(told.iter().any(|problem| problem.contains(words)), "{wrong}: {told:?}");
    }
    let factory = Flow::factory();
    assert!(factory.on_erase().len() == 2 && factory.on_export().len() == 2);
}
