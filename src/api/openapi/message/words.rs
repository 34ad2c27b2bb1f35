//! Text, and what is about a message of the person.

use serde_json::json;

use super::Kind;
use crate::api::openapi::schema::{flag, may, must, text, word};
use crate::domain::outbound::{EMOJI_MAX, OTHER_TEXT_MAX, TEXT_BODY_MAX};

pub(super) fn kinds() -> Vec<Kind> {
    let wamid = || text(OTHER_TEXT_MAX, "The `wamid` of a message of the person.");
    vec![
        Kind {
            name: "text",
            about: "Plain text.",
            fields: vec![
                must("body", text(TEXT_BODY_MAX, "The text.")),
                may("preview_url", flag("Whether the first link in it is previewed.")),
            ],
            either: vec![],
            examples: vec![json!({"body": "Your order is ready."})],
        },
        Kind {
            name: "reaction",
            about: "A reaction to a message of the person.",
            fields: vec![
                must("message_id", wamid()),
                must("emoji", word("One emoji; empty takes the reaction back.").max_length(Some(EMOJI_MAX))),
            ],
            either: vec![],
            examples: vec![json!({"message_id": "wamid.HBgNNDkxNTExMjM0NTAwMRUCABIYFDNB", "emoji": "👍"})],
        },
        Kind {
            name: "read",
            about: "Marks a message of the person as read, and perhaps shows that we write.",
            fields: vec![
                must("message_id", wamid()),
                may("typing", flag("Whether the person sees, for up to 25 seconds, that we write.")),
            ],
            either: vec![],
            examples: vec![json!({"message_id": "wamid.HBgNNDkxNTExMjM0NTAwMRUCABIYFDNB", "typing": true})],
        },
    ]
}
