//! The files that a send names by their ids, wherever they stand in its body.

use serde_json::Value;

use crate::sandbox::refusal::Refusal;

const KINDS: &[&str] = &["image", "video", "audio", "document", "sticker"];

/// A file in a request, and where it stands.
pub(super) struct Mention {
    pub(super) kind: &'static str,
    pub(super) id: String,
    path: String,
}

impl Mention {
    /// What Meta says of an id that it does not know, or no longer: words that users of the API have shown.
    pub(super) fn refusal(&self) -> Refusal {
        let message = format!(
            "(#100) Param {}['id'] is not a valid whatsapp business account media attachment ID",
            self.path
        );
        Refusal::saying(400, 100, None, message)
    }
}

/// All of them: the message's own, that of an interactive header, those of a template.
pub(super) fn mentioned(body: &Value) -> Vec<Mention> {
    let mut found = Vec::new();
    match body["type"].as_str().unwrap_or("text") {
        "interactive" => look(&body["interactive"]["header"], "interactive['header']", &mut found),
        "template" => look(&body["template"]["components"], "template['components']", &mut found),
        kind => {
            if let Some(kind) = KINDS.iter().find(|known| **known == kind) {
                note(kind, &body[*kind], (*kind).to_owned(), &mut found);
            }
        }
    }
    found
}

fn note(kind: &'static str, node: &Value, path: String, found: &mut Vec<Mention>) {
    if let Some(id) = node["id"].as_str() {
        found.push(Mention { kind, id: id.to_owned(), path });
    }
}

fn look(value: &Value, path: &str, found: &mut Vec<Mention>) {
    if let Some(items) = value.as_array() {
        for (at, item) in items.iter().enumerate() {
            look(item, &format!("{path}[{at}]"), found);
        }
    }
    for (key, member) in value.as_object().into_iter().flatten() {
        let path = format!("{path}['{key}']");
        match KINDS.iter().find(|known| *known == key) {
            Some(kind) => note(kind, member, path, found),
            None => look(member, &path, found),
        }
    }
}
