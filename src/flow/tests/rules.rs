//! The rules of the step, one by one.

use super::*;

const CALLS: &str = "connectors:\n  find: { query: 'select 1', rows: 2 }\n  put: { write: 'delete from t' }";

fn shop() -> Flow {
    flow_of(
        "globals: { 'hi | 0': main }\nfallback: { say: 'What?', retries: 2, then: lost }\ntimeout: { after: 30m, say: 'Still there?', go: bye }",
        "  main:
    menu: 'Hello'
    options:
      - { label: Order, go: ask, keys: [buy] }
      - { label: Bye, go: bye }
  ask: { ask: 'How many?', expect: { type: number, min: 1, max: 9, or: [many] }, save: count, go: sum }
  sum: { say: 'Total ${ count }', go: main }
  lost: { say: 'Let us begin again.', go: main }
  bye: { end: 'Bye!' }
",
    )
}

#[test]
fn the_first_words_of_a_person_lead_to_the_start_whatever_they_are() {
    let flow = shop();
    let mut talk = Talk::new(&flow);
    assert_eq!(talk.says("12345"), ["Hello"]);
    assert_eq!(talk.state(), "main");
}

#[test]
fn an_option_is_chosen_by_number_label_key_or_press() {
    let flow = shop();
    for text in ["1", " 1. ", "1)", "ORDER", "order!", "buy"] {
        let mut talk = Talk::new(&flow);
        talk.says("x");
        let effects = talk.send(typed(text));
        let chose = Effect::Chose { state: "main".into(), option: "Order".into() };
        assert_eq!((effects[0].clone(), talk.state()), (chose, "ask"), "{text}");
    }
    let mut talk = Talk::new(&flow);
    assert_eq!(talk.presses("main#1"), ["How many?"]);
}

#[test]
fn an_old_button_leads_where_it_said_and_an_unknown_one_is_not_an_answer() {
    let flow = shop();
    let mut talk = Talk::new(&flow);
    talk.says_all(&["x", "1"]);
    assert_eq!(talk.presses("main#2"), ["Bye!"]);
    talk.says_all(&["x", "1"]);
    assert_eq!(talk.presses("main#3"), ["Please send a number from 1 to 9, or type *many*.", "How many?"]);
    assert_eq!(talk.state(), "ask");
}

#[test]
fn a_wrong_answer_is_hinted_at_and_asked_again_and_a_good_one_forgives() {
    let flow = shop();
    let mut talk = Talk::new(&flow);
    talk.says_all(&["x", "1"]);
    for wrong in ["ten", "10", "0.5"] {
        assert_eq!(talk.says(wrong)[0], "Please send a number from 1 to 9, or type *many*.", "{wrong}");
        assert_eq!(talk.says("3"), ["Total 3", "Hello"]);
        assert_eq!(talk.snapshot.misses, 0);
        talk.says("1");
    }
    assert_eq!(talk.says("Many"), ["Total", "Hello"]);
}

#[test]
fn after_as_many_misses_as_allowed_the_fallback_leads_elsewhere() {
    let flow = shop();
    let mut talk = Talk::new(&flow);
    talk.says("x");
    assert_eq!(talk.says("?!"), ["What?", "Hello"]);
    assert_eq!(bodies(&talk.send(photo())), ["What?", "Let us begin again.", "Hello"]);
    assert_eq!(talk.snapshot.misses, 0);
}

#[test]
fn silence_speaks_once_and_only_where_the_flow_waits() {
    let flow = shop();
    let mut talk = Talk::new(&flow);
    assert!(talk.turn(&Input::Timeout).is_empty());
    assert_eq!(talk.send(typed("x")).last(), Some(&Effect::Timeout { after_ms: 1_800_000 }));
    assert_eq!(bodies(&talk.turn(&Input::Timeout)), ["Still there?", "Bye!"]);
    assert_eq!(talk.snapshot, Snapshot::default());
}

#[test]
fn global_words_win_over_answers_unless_the_state_switches_them_off() {
    let flow = flow_of(
        "globals: { 'menu': main }",
        "  main: { menu: A, options: [{ label: On, go: with }, { label: Off, go: without }] }
  with: { ask: B, save: text, go: show }
  without: { ask: B, globals: off, save: text, go: show }
  show: { say: '<${ text }>', go: main }
",
    );
    let mut talk = Talk::new(&flow);
    talk.says_all(&["x", "on"]);
    assert_eq!(talk.says("menu"), ["A"]);
    talk.says("off");
    assert_eq!(talk.says("menu"), ["<menu>", "A"]);
}

#[test]
fn choices_are_offered_like_a_menu_and_saved_as_the_file_spells_them() {
    let flow = flow_of(
        "",
        "  main: { ask: 'Which size?', expect: { choice: [Small, Large] }, save: size, go: done }
  done: { say: '${ size }', go: main }
",
    );
    let mut talk = Talk::new(&flow);
    assert_eq!(sent(&talk.send(typed("x")))[0].kind(), "buttons");
    for text in ["small", "1", "1."] {
        assert_eq!(talk.says(text)[0], "Small", "{text}");
    }
    assert_eq!(talk.presses("main#2")[0], "Large");
}

#[test]
fn patterns_match_the_whole_text_without_case() {
    let flow = flow_of(
        "",
        "  main: { ask: No?, expect: { regex: 'ord-\\d+|x' }, save: no, invalid: 'No!', go: done }
  done: { end: '${ no }' }
",
    );
    let mut talk = Talk::new(&flow);
    talk.says("x");
    assert_eq!(talk.says("ORD-1 please"), ["No!", "No?"]);
    assert_eq!(talk.says(" ORD-12 "), ["ORD-12"]);
}

#[test]
fn branches_go_by_the_first_condition_that_holds_and_set_counts() {
    let flow = flow_of(
        "",
        "  main: { ask: N, expect: number, save: n, go: where }
  where:
    branch:
      - { when: 'n > 10', go: big }
      - { when: 'n > 5', go: middle }
      - { else: small }
  big: { say: big, set: { times: '(times or 0) + 1' }, go: tell }
  middle: { end: middle }
  small: { end: small }
  tell: { say: '${ times }', go: main }
",
    );
    let mut talk = Talk::new(&flow);
    talk.says("x");
    assert_eq!(talk.says("11"), ["big", "1", "N"]);
    assert_eq!(talk.says("12"), ["big", "2", "N"]);
    assert_eq!(talk.says("6"), ["middle"]);
    assert_eq!(talk.snapshot, Snapshot::default());
}

#[test]
fn calls_save_rows_within_their_limit_and_lead_by_their_result() {
    let flow = flow_of(
        CALLS,
        "  main: { menu: A, options: [{ label: All, go: all }, { label: One, go: one }, { label: Put, go: put }] }
  all: { call: find, save: rows, on: { ok: show, empty: none } }
  one: { call: find, save: row, first: true, on: { ok: show_one, error: sorry } }
  put: { call: put, go: done }
  show: { say: '${ rows | length }', go: main }
  show_one: { say: '${ row.n }', go: main }
  none: { end: none }
  sorry: { end: sorry }
  done: { end: done }
",
    );
    let mut talk = Talk::with(&flow, |_, _| rows(json!([{"n": 1}, {"n": 2}, {"n": 3}])));
    talk.says("x");
    assert_eq!(talk.says("all")[0], "2");
    assert_eq!(talk.says("one")[0], "1");
    talk.answer = |_, _| CallResult::Rows(Vec::new());
    assert_eq!(talk.says("all"), ["none"]);
    talk.answer = |_, _| CallResult::Failed("no database".into());
    talk.says("x");
    assert_eq!(talk.says("one"), ["sorry"]);
    talk.says("x");
    assert_eq!(
        talk.says("all"),
        ["Sorry, that did not work just now. Please try again a little later.", "A"]
    );
    talk.answer = |_, _| CallResult::Written;
    assert_eq!(talk.says("put"), ["done"]);
}

#[test]
fn a_template_that_fails_is_told_to_the_operator_and_leads_to_the_start() {
    let flow = flow_of(
        CALLS,
        "  main: { menu: A, options: [{ label: One, go: one }] }
  one: { call: find, save: row, first: true, go: show }
  show: { say: '${ row.missing.part }', go: main }
",
    );
    let mut talk = Talk::with(&flow, |_, _| rows(json!([{"n": 1}])));
    talk.says("x");
    let effects = talk.send(typed("1"));
    assert_eq!(bodies(&effects), ["Sorry, something went wrong on our side. Let's start again.", "A"]);
    let told = troubles(&effects);
    assert!(told[0].starts_with("state `show`: undefined value"), "{told:?}");
    assert_eq!(talk.snapshot, Snapshot { state: Some("main".into()), ..Snapshot::default() });
}

#[test]
fn a_start_that_fails_itself_ends_with_an_apology() {
    let flow = flow_of("", "  main: { say: '${ event.media.id.x }', go: bye }\n  bye: { end: Bye }\n");
    let effects = Talk::new(&flow).send(typed("x"));
    assert_eq!((bodies(&effects).len(), troubles(&effects).len()), (1, 2));
}

#[test]
fn a_variable_that_grows_too_large_is_trouble() {
    let flow = flow_of(
        CALLS,
        "  main: { menu: A, options: [{ label: One, go: one }] }
  one: { call: find, save: found, go: show }
  show: { say: '${ found | length }', go: main }
",
    );
    let mut talk = Talk::with(&flow, |_, _| rows(json!([{"n": "x".repeat(VARIABLE_BYTES_MAX)}])));
    talk.says("x");
    assert!(troubles(&talk.send(typed("1")))[0].contains("`found` would hold"));
}

#[test]
fn a_session_in_a_state_that_is_gone_begins_again() {
    let flow = shop();
    let mut talk = Talk::new(&flow);
    talk.snapshot.state = Some("gone".into());
    talk.snapshot.vars.insert("old".into(), json!(1));
    assert_eq!(talk.says("3"), ["Hello"]);
    assert!(talk.snapshot.vars.is_empty());
}

#[test]
fn the_operator_can_take_over_anywhere_and_the_person_goes_on_where_they_stood() {
    let flow = shop();
    let mut talk = Talk::new(&flow);
    talk.says_all(&["x", "1"]);
    talk.snapshot.handed_off = true;
    assert!(talk.says("hi").is_empty() && talk.turn(&Input::Timeout).is_empty());
    talk.turn(&Input::Released);
    assert_eq!(talk.says("4"), ["Total 4", "Hello"]);
}

#[test]
fn long_texts_become_several_messages() {
    let long = "word ".repeat(1000);
    let flow =
        flow_of("", &format!("  main: {{ say: '${{ \"\" }}{long}', go: bye }}\n  bye: {{ end: Bye }}\n"));
    let answer = Talk::new(&flow).says("x");
    assert_eq!(answer.len(), 3);
    assert_eq!(format!("{} {}", answer[0], answer[1]), long.trim());
}

#[test]
fn what_a_person_writes_is_never_run_as_a_template() {
    let flow =
        flow_of("", "  main: { ask: Q, save: text, go: echo }\n  echo: { say: '${ text }', go: main }\n");
    let mut talk = Talk::new(&flow);
    talk.says("x");
    assert_eq!(talk.says("${ contact.phone } {% raw %}")[0], "${ contact.phone } {% raw %}");
}

#[test]
fn rust_functions_are_part_of_the_flow() {
    let mut functions = Functions::default();
    functions
        .add("greeting", |arguments| Ok(json!(format!("Dear {}", arguments[0].as_str().unwrap_or("all")))));
    let source =
        "switchboard: 1\nbot: t\nstart: main\nstates:\n  main: { end: '${ greeting(contact.name) }' }\n";
    let flow = Flow::parse_with(source, "t.yaml", &functions).unwrap();
    assert_eq!(Talk::new(&flow).says("x"), ["Dear Ada"]);
    assert!(Flow::parse(source, "t.yaml").is_err());
}

#[test]
fn a_snapshot_is_the_same_json_there_and_back() {
    let flow = shop();
    let mut talk = Talk::new(&flow);
    talk.says_all(&["x", "1", "4"]);
    let json = serde_json::to_string(&talk.snapshot).unwrap();
    assert_eq!(json, r#"{"state":"main","vars":{"count":4}}"#);
    assert_eq!(serde_json::from_str::<Snapshot>(&json).unwrap(), talk.snapshot);
    assert_eq!(serde_json::from_str::<Snapshot>("{}").unwrap(), Snapshot::default());
}
