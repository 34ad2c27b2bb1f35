//! The built-in factory bot, word by word.

use super::*;

fn database(name: &str, call: &PendingCall) -> CallResult {
    let order = json!({
        "number": "ORD-001", "customer_name": "Ada", "product": "Gear", "quantity": 40, "status": "in production",
        "line": "Line 2", "ordered_on": "2026-03-01", "promised_on": "2026-03-20", "delivered_on": null,
    });
    let defect = json!({
        "number": "DEF-000001", "order_number": "ORD-001", "description": "Cracked", "media_id": null,
        "status": "received", "reported_at": NOW,
    });
    let shift = json!({
        "day": "2026-03-12", "line": "Line 1", "shift": "early", "product": "Gear", "planned": 200, "produced": 50,
        "status": "running",
    });
    let later = json!({
        "day": "2026-03-13", "line": "Line 1", "shift": "late", "product": "Axle", "planned": 80, "produced": 0,
        "status": "planned",
    });
    match name {
        "order_by_number" if call.params()["number"] != "ORD-001" => rows(json!([])),
        "recent_orders" | "order_by_number" | "open_deliveries" => rows(json!([order])),
        "defect_by_number" if call.params()["number"] != "DEF-000001" => rows(json!([])),
        "recent_defects" | "defect_by_number" => rows(json!([defect])),
        "defect_number" => CallResult::Value(json!("DEF-000123")),
        "save_defect" => CallResult::Written,
        "schedule_between" => rows(json!([shift, later])),
        "schedule_of_day" | "lines_today" => rows(json!([shift])),
        other => panic!("{other}"),
    }
}

#[test]
fn the_file_has_neither_errors_nor_warnings() {
    let flow =
        Flow::parse(Flow::FACTORY_SOURCE, "factory.yaml").unwrap_or_else(|problems| panic!("{problems}"));
    assert!(flow.warnings().is_empty(), "{}", flow.warnings());
    assert_eq!((flow.name(), flow.start(), flow.hash().len()), ("factory", "main", 16));
    assert!(flow.states().count() > 30 && flow.connectors().count() == 10);
}

#[test]
fn every_menu_is_a_list() {
    let flow = Flow::factory();
    let mut talk = Talk::with(&flow, database);
    for path in [&["hi"][..], &["hi", "1"], &["hi", "2"], &["hi", "3"], &["hi", "4"], &["hi", "4", "1"]] {
        let (last, before) = path.split_last().unwrap();
        talk.says_all(before);
        assert_eq!(sent(&talk.send(typed(last)))[0].kind(), "list", "{path:?}");
    }
}

#[test]
fn hi_1_2_and_a_number_give_the_order_whatever_its_case() {
    let flow = Flow::factory();
    for number in ["ORD-001", " ord-001 "] {
        let mut talk = Talk::with(&flow, database);
        assert!(talk.says("hi")[0].starts_with("Hello Ada!"));
        assert_eq!(talk.says("1"), ["📦 *Order status*\nHow would you like to look?"]);
        assert!(talk.says("2")[0].contains("ORD-001"));
        let answer = talk.says(number);
        assert_eq!(
            talk.calls,
            [("order_by_number".into(), json!({"me": "4917012345678", "number": "ORD-001"}))]
        );
        assert_eq!(
            answer[0],
            "📦 *Order ORD-001*\n\nCustomer: Ada\nProduct: Gear\nQuantity: 40\nStatus: *in production*\nLine: Line 2\n\
             Ordered: 1 Mar 2026\nPromised: 20 Mar 2026"
        );
        assert_eq!((answer.len(), talk.state()), (2, "orders"));
    }
}

#[test]
fn an_order_that_is_not_there_is_said_by_its_number() {
    let flow = Flow::factory();
    let mut talk = Talk::with(&flow, database);
    talk.says_all(&["hi", "order status", "track"]);
    assert!(talk.says("ord-9")[0].contains("no order *ORD-9*"));
}

#[test]
fn the_lists_of_orders_and_deliveries_show_their_dates() {
    let flow = Flow::factory();
    let mut talk = Talk::with(&flow, database);
    talk.says("hi");
    talk.says("1");
    assert_eq!(
        talk.says("1")[0],
        "📋 *Your recent orders*\n\n*ORD-001* – Gear × 40\nStatus: in production, due 20 Mar 2026"
    );
    assert_eq!(talk.says("3")[0], "🚚 *Delivery dates*\n\n*20 Mar 2026* – ORD-001, Gear (in production)");
}

#[test]
fn a_defect_with_a_photo_gets_a_number_and_is_saved_with_what_was_said() {
    let flow = Flow::factory();
    let mut talk = Talk::with(&flow, database);
    talk.says_all(&["hi", "2", "1", "ORD-001", "It is cracked"]);
    let answer = bodies(&talk.send(photo()));
    assert!(answer[0].contains("*DEF-000123*") && answer[0].contains("Photo: received"), "{}", answer[0]);
    let saved = &talk.calls[1];
    assert_eq!(
        saved.1,
        json!({
            "number": "DEF-000123", "me": "4917012345678", "about": "ORD-001", "description": "It is cracked",
            "photo": "med_1", "now": NOW,
        })
    );
    assert_eq!(talk.state(), "main");
}

#[test]
fn a_defect_without_a_photo_is_saved_after_skip_or_after_silence_even_if_the_one_before_had_one() {
    let flow = Flow::factory();
    for silent in [false, true] {
        let mut talk = Talk::with(&flow, database);
        talk.says_all(&["hi", "2", "1", "ORD-001", "It is cracked"]);
        talk.send(photo());
        talk.says_all(&["2", "1", "Gear", "Too small"]);
        let effects = if silent { talk.turn(&Input::Timeout) } else { talk.send(typed("Skip")) };
        assert_eq!(talk.calls[1].1["photo"], Value::Null);
        assert!(
            bodies(&effects).iter().any(|body| body.contains("DEF-000123") && body.contains("Photo: none"))
        );
        assert!(!effects.iter().any(|effect| matches!(effect, Effect::Timeout { .. })));
    }
}

#[test]
fn the_photo_question_waits_ten_minutes_and_hints_at_skip() {
    let flow = Flow::factory();
    let mut talk = Talk::with(&flow, database);
    talk.says_all(&["hi", "2", "1", "ORD-001"]);
    let effects = talk.send(typed("It is cracked"));
    assert_eq!(effects.last(), Some(&Effect::Timeout { after_ms: 600_000 }));
    assert!(talk.says("what photo")[0].contains("*SKIP*"));
}

#[test]
fn reports_are_listed_and_found_by_number() {
    let flow = Flow::factory();
    let mut talk = Talk::with(&flow, database);
    talk.says_all(&["hi", "2"]);
    assert!(talk.says("2")[0].contains("*DEF-000001* – ORD-001, 12 Mar 2026\nCracked\nStatus: received"));
    talk.says("3");
    assert!(talk.says("def-000001")[0].contains("Reported: 12 Mar 2026"));
}

#[test]
fn the_schedule_shows_today_the_week_by_day_and_the_lines() {
    let flow = Flow::factory();
    let mut talk = Talk::with(&flow, database);
    talk.says_all(&["hi", "3"]);
    assert!(talk.says("today")[0].contains("*Line 1*, early: Gear\n50 of 200 – running"));
    let week = talk.says("week");
    assert_eq!(talk.calls[0].1, json!({"first": "2026-03-12", "last": "2026-03-18"}));
    assert_eq!(
        week[0],
        "🏭 *The next seven days*\n\n*Thu 12 Mar*\n• Line 1, early: Gear × 200\n\n*Fri 13 Mar*\n• Line 1, late: Axle × 80"
    );
    assert!(talk.says("3")[0].contains("*Line 1*: 50 of 200 (25 %)"));
}

#[test]
fn a_problem_goes_to_a_colleague_and_the_bot_is_silent_until_released() {
    let flow = Flow::factory();
    let mut talk = Talk::with(&flow, database);
    talk.says_all(&["hi", "4", "3"]);
    let effects = talk.send(typed("The gate is locked"));
    assert!(
        effects.contains(&Effect::HandOff { for_ms: None })
            && bodies(&effects)[0].contains("_The gate is locked_")
    );
    assert!(talk.says("menu").is_empty() && talk.snapshot.handed_off);
    assert!(talk.turn(&Input::Released).is_empty() && !talk.snapshot.handed_off);
    assert!(talk.says("thanks")[0].starts_with("Hello Ada!"));
}

#[test]
fn hi_hello_menu_and_0_lead_to_the_main_menu_from_every_state_that_waits() {
    let flow = Flow::factory();
    for (state, _) in flow.states().filter(|(_, kind)| matches!(kind, StateKind::Menu | StateKind::Ask)) {
        for word in ["hi", "Hello", "MENU!", "0"] {
            let mut talk = Talk::with(&flow, database);
            talk.snapshot.state = Some(state.to_owned());
            talk.says(word);
            assert_eq!(talk.state(), "main", "{word} in {state}");
        }
    }
}

#[test]
fn a_person_without_a_phone_number_owns_rows_by_their_user_id() {
    let flow = Flow::factory();
    let mut talk = Talk::with(&flow, database);
    talk.contact = Identity { user_id: Some("US.1".into()), ..Identity::default() };
    assert!(talk.says("hi")[0].starts_with("Hello there!"));
    talk.says_all(&["1", "1"]);
    assert_eq!(talk.calls[0].1, json!({"me": "US.1"}));
}
