//! A webhook body: it is read or refused, an object gives at least one item, and what is kept of an item gives it again.
#![no_main]

use libfuzzer_sys::fuzz_target;
use switchboard::meta::webhook::{DEDUPE_KEY_MAX, parse, parse_payload};

fuzz_target!(|body: &[u8]| {
    let Ok(items) = parse(body) else { return };
    assert!(!items.is_empty());
    for item in items {
        assert!(item.dedupe_key.len() <= DEDUPE_KEY_MAX);
        assert_eq!(parse_payload(&item.payload).as_ref(), Some(&item));
    }
});
