//! No body makes the parser panic, and what it kept of an item gives the same item again.

use serde_json::{Value, json};
use switchboard::meta::webhook::{Body, Item, parse, parse_payload};

use crate::cases;
use crate::dice::Dice;

/// Bodies of every kind that Meta posts; shared with the fuzzer, whose first inputs they are.
const BODIES: [&str; 6] = [
    include_str!("../fuzz/seeds/webhook/messages.json"),
    include_str!("../fuzz/seeds/webhook/statuses.json"),
    include_str!("../fuzz/seeds/webhook/media.json"),
    include_str!("../fuzz/seeds/webhook/interactive.json"),
    include_str!("../fuzz/seeds/webhook/changes.json"),
    include_str!("../fuzz/seeds/webhook/people.json"),
];

/// What may stand where something else is expected.
fn anything(dice: &mut Dice) -> Value {
    match dice.below(12) {
        0 => Value::Null,
        1 => json!(true),
        2 => json!(-1),
        3 => json!(u64::MAX),
        4 => json!(1.5e300),
        5 => json!(""),
        6 => json!("1795337387"),
        7 => json!("\u{0}\u{feff}💥"),
        8 => json!([]),
        9 => json!({}),
        10 => json!([[[{"id": ["x"]}]]]),
        _ => json!({"id": {"id": 1}, "type": "text", "text": "x"}),
    }
}

/// Bends `value` in one place, somewhere in it.
fn bend(dice: &mut Dice, value: &mut Value) {
    let inside = match value {
        Value::Object(members) if !members.is_empty() && dice.chance(90) => {
            let name = members.keys().nth(dice.below(members.len())).unwrap().clone();
            match dice.below(10) {
                0 => _ = members.remove(&name),
                1 => _ = members.insert(name, anything(dice)),
                2 => {
                    let copy = members[&name].clone();
                    members.insert("type".to_owned(), copy);
                }
                _ => bend(dice, members.get_mut(&name).unwrap()),
            }
            true
        }
        Value::Array(list) if !list.is_empty() && dice.chance(90) => {
            let place = dice.below(list.len());
            match dice.below(8) {
                0 => _ = list.remove(place),
                1 => list.push(list[place].clone()),
                2 => list.push(anything(dice)),
                _ => bend(dice, &mut list[place]),
            }
            true
        }
        _ => false,
    };
    if !inside {
        *value = anything(dice);
    }
}

/// What is kept of an item gives it again; of one that nobody reads, it may give nothing.
fn is_found_again(item: &Item) -> bool {
    match parse_payload(&item.payload) {
        Some(again) => again == *item,
        None => matches!(item.body, Body::Other { .. }),
    }
}

#[test]
fn an_item_is_found_again_in_what_was_kept_of_it() {
    for case in 0..cases(20_000) {
        let mut dice = Dice::new(case);
        let whole: &&str = dice.pick(&BODIES);
        let mut body: Value = serde_json::from_str(whole).unwrap();
        for _ in 0..dice.below(6) {
            bend(&mut dice, &mut body);
        }
        let items = parse(body.to_string().as_bytes());
        let Ok(items) = items else {
            assert!(!body.is_object(), "case {case}: an object is unreadable: {body}");
            continue;
        };
        assert!(!items.is_empty(), "case {case}: nothing in {body}");
        for item in items {
            // JSON has no NaN, so that equal means equal.
            assert!(is_found_again(&item), "case {case}: {}", item.payload);
        }
    }
}

#[test]
fn bytes_of_any_kind_are_read_or_refused() {
    for case in 0..cases(20_000) {
        let mut dice = Dice::new(case);
        let mut body = dice.pick(&BODIES).as_bytes().to_vec();
        for _ in 0..1 + dice.below(8) {
            let place = dice.below(body.len());
            match dice.below(4) {
                0 => body.truncate(place.max(1)),
                1 => body[place] = u8::try_from(dice.below(256)).unwrap(),
                2 => body.insert(place, *dice.pick(b"{}[]\",:\\0\xff")),
                _ => _ = body.remove(place),
            }
            if body.is_empty() {
                break;
            }
        }
        if let Ok(items) = parse(&body) {
            assert!(!items.is_empty(), "case {case}: {}", String::from_utf8_lossy(&body).escape_debug());
            for item in items {
                assert!(is_found_again(&item), "case {case}: {}", item.payload);
            }
        }
    }
}
