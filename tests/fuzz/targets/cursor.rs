//! A cursor: it is refused, or it is the one spelling of its place.
#![no_main]

use libfuzzer_sys::fuzz_target;
use switchboard::api::cursor::{Step, decode, encode};

fuzz_target!(|cursor: &str| {
    for list in ["messages", "contacts"] {
        if let Some(step) = decode(list, cursor) {
            assert_eq!(encode(list, step), cursor);
        }
    }
    // And one that is right, whatever the bytes say.
    let mut bytes = [0; 8];
    cursor.bytes().zip(&mut bytes).for_each(|(from, to)| *to = from);
    let key = i64::from_le_bytes(bytes);
    if key >= 0 {
        for step in [Step::Next(key), Step::Previous(key)] {
            assert_eq!(decode("messages", &encode("messages", step)), Some(step));
        }
    }
});
