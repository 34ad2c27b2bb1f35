//! The OpenAPI document is what it was, or somebody meant to change it.

use std::path::Path;

/// Set it to have the file written anew.
const RENEW: &str = "SWITCHBOARD_TEST_RENEW";

#[test]
fn the_document_is_the_one_in_the_file() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/openapi.json");
    let document = switchboard::api::openapi_document();
    if std::env::var_os(RENEW).is_some() {
        std::fs::write(&file, &document).expect("the file can be written");
        return;
    }
    let known = std::fs::read_to_string(&file).unwrap_or_default();
    let difference = known.lines().zip(document.lines()).position(|(known, new)| known != new);
    assert!(
        known == document,
        "tests/openapi.json is not the document of this API any more (first difference in line {}). If that is meant, \
         renew it and look at what changed: {RENEW}=1 cargo test --test openapi && git diff tests/openapi.json",
        difference.unwrap_or_else(|| known.lines().count().min(document.lines().count())) + 1,
    );
}
