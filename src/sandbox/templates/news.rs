//! What Meta tells of templates by webhook: fields of the account, without the number's `metadata`.
//!
//! Source: Meta, "Webhooks reference: message_template_status_update", "message_template_quality_update",
//! "template_category_update", 2026.

use serde_json::{Value, json};

use super::Template;
use crate::clock::{Millis, SECOND};

/// The events of a status, each with the status that a list shows from then on; without one it stays.
pub(super) const EVENTS: &[(&str, Option<&str>)] = &[
    ("APPROVED", Some("APPROVED")),
    ("ARCHIVED", Some("ARCHIVED")),
    ("UNARCHIVED", Some("APPROVED")),
    ("DELETED", Some("DELETED")),
    ("DISABLED", Some("DISABLED")),
    ("FLAGGED", None),
    ("IN_APPEAL", Some("IN_APPEAL")),
    ("LIMIT_EXCEEDED", Some("LIMIT_EXCEEDED")),
    ("LOCKED", None),
    ("PAUSED", Some("PAUSED")),
    ("PENDING", Some("PENDING")),
    ("REINSTATED", Some("APPROVED")),
    ("PENDING_DELETION", Some("PENDING_DELETION")),
    ("REJECTED", Some("REJECTED")),
];
pub(super) const SCORES: &[&str] = &["GREEN", "YELLOW", "RED", "UNKNOWN"];

/// A field, when, and its value.
type News = (&'static str, Millis, Value);

/// The template's names in every one of these webhooks; its id is a JSON number there.
fn about(template: &Template) -> Value {
    json!({
        "message_template_id": template.id.parse::<u64>().unwrap_or_default(),
        "message_template_name": template.name,
        "message_template_language": template.language,
    })
}

pub(super) fn status(template: &Template, event: &str, reason: Option<&str>, now: Millis) -> News {
    let mut value = about(template);
    value["event"] = json!(event);
    value["message_template_category"] = json!(template.category.word());
    // A deletion has no reason at all, where every other event says NONE.
    value["reason"] = match event {
        "DELETED" | "PENDING_DELETION" => Value::Null,
        _ => json!(reason.unwrap_or("NONE")),
    };
    match event {
        "PAUSED" => {
            let description = "The template is paused because people marked it as spam.";
            value["other_info"] = json!({"title": "FIRST_PAUSE", "description": description});
        }
        "DISABLED" => {
            let description = "The template was paused too often.";
            value["other_info"] = json!({"title": "DISABLED", "description": description});
            value["disable_info"] = json!({"disable_date": now.div_euclid(SECOND).to_string()});
        }
        "REJECTED" => {
            let recommendation = "Change the template and send it to review again.";
            value["rejection_info"] =
                json!({"reason": reason.unwrap_or("NONE"), "recommendation": recommendation});
        }
        _ => {}
    }
    ("message_template_status_update", now, value)
}

pub(super) fn quality(template: &Template, before: &str, now: Millis) -> News {
    let mut value = about(template);
    value["previous_quality_score"] = json!(before);
    value["new_quality_score"] = json!(template.quality);
    ("message_template_quality_update", now, value)
}

pub(super) fn category(template: &Template, now: Millis) -> News {
    let mut value = about(template);
    value["previous_category"] = json!(template.previous_category.unwrap_or(template.category).word());
    value["new_category"] = json!(template.category.word());
    ("template_category_update", now, value)
}
