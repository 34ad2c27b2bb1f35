//! A webhook body: it is read or refused, an object gives at least one item, and what is kept of an item gives it again.
#![no_main]

use libfuzzer_sys::fuzz_target;
use switchboard::meta::webhook::{Body, parse, parse_payload};

fuzz_target!(|body: &[u8]| {
    let Ok(items) = parse(body) else { return };
    assert!(!items.is_empty());
    for item in items {
        match parse_payload(&item.payload) {
            Some(again) => assert_eq!(again, item),
            None => assert!(matches!(item.body, Body::Other { .. })),
        }
    }
});
