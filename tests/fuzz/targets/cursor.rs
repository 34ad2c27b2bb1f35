//! A cursor: it is refused, or it is the one spelling of its place.
#![no_main]

use libfuzzer_sys::fuzz_target;
use switchboard::api::cursor::{decode, encode};

fuzz_target!(|cursor: &str| {
    for list in ["messages", "contacts"] {
        if let Some(id) = decode(list, cursor) {
            assert_eq!(encode(list, id), cursor);
        }
    }
    // And one that is right, whatever the bytes say.
    let mut bytes = [0; 8];
    cursor.bytes().zip(&mut bytes).for_each(|(from, to)| *to = from);
    let id = i64::from_le_bytes(bytes);
    if id >= 0 {
        assert_eq!(decode("messages", &encode("messages", id)), Some(id));
    }
});
