//! `docs/messages.md`, row by row: every example is sent or received over real HTTP, and every limit is tried at its edge.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::{Value, json};
use switchboard::domain::outbound::Message;
use switchboard::flow::Flow;
use switchboard::sandbox::Side;

use crate::support::app::TestApp;
use crate::support::database::{Database, Engine};
use crate::support::{door, flows, until, wire};

const ANN: &str = "4915112345001";

fn page() -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/messages.md")).unwrap()
}

/// The lines of the fenced block whose info string is this.
fn block(info: &str) -> Vec<String> {
    let page = page();
    let fenced = page.split("```").find_map(|part| part.strip_prefix(info)).unwrap();
    fenced.lines().filter(|line| !line.is_empty()).map(str::to_owned).collect()
}

/// Every outbound example, by its type.
fn examples() -> Vec<(String, Value)> {
    let parse = |line: String| serde_json::from_str::<Value>(&line).unwrap_or_else(|e| panic!("{line}: {e}"));
    let named = |example: Value| (example["type"].as_str().unwrap().to_owned(), example);
    block("json outbound").into_iter().map(parse).map(named).collect()
}

/// The rows of the table of limits: types, path of the field, number, unit.
fn limits() -> Vec<(Vec<String>, String, usize, String)> {
    let code =
        |cell: &str| -> Vec<String> { cell.split('`').skip(1).step_by(2).map(str::to_owned).collect() };
    let page = page();
    let rows = page.lines().filter(|line| line.ends_with(" characters |") || line.ends_with(" entries |"));
    rows.map(|row| {
        let cells: Vec<&str> = row.split('|').map(str::trim).collect();
        let (number, unit) = cells[3].split_once(' ').unwrap();
        (code(cells[1]), code(cells[2]).remove(0), number.parse().unwrap(), unit.to_owned())
    })
    .collect()
}

/// An app that Ann has written to; nothing is paced.
async fn start() -> (TestApp, String) {
    let flow = Flow::parse(flows::ECHO, "echo").unwrap();
    let test =
        TestApp::start(Database::new(Engine::Sqlite).unwrap(), flow, |config| config.pacing.pair = false)
            .await;
    let wamid = test.meta.say(ANN, "hi").unwrap();
    test.quiet().await;
    (test, wamid)
}

/// The example, with a real message of Ann's where it is about one.
fn real(mut example: Value, wamid: &str) -> Value {
    example["to"] = json!(ANN);
    if example["message_id"].is_string() {
        example["message_id"] = json!(wamid);
    }
    example
}

/// What Meta calls a type of ours.
fn at_metas(kind: &str) -> &str {
    match kind {
        "buttons" => "button",
        "location_request" => "location_request_message",
        "contact_request" => "request_contact_info",
        other => other,
    }
}

async fn arrived(test: &TestApp, sent: &Value) -> Value {
    let path = format!("/messages/{}", sent["id"].as_str().unwrap());
    until("the message to be taken", async || {
        let (_, message) = test.get(&path).await;
        assert_ne!(message["status"], "failed", "{message}");
        matches!(message["status"].as_str(), Some("accepted" | "sent" | "delivered")).then_some(message)
    })
    .await
}

#[test]
fn every_type_that_goes_out_arrives() {
    crate::support::run(async {
        let (test, wamid) = start().await;
        let mut kinds = BTreeSet::new();
        for (kind, example) in examples() {
            let before = test.meta.transcript(ANN).len();
            let (status, sent) = test.post("/send", &real(example.clone(), &wamid)).await;
            assert_eq!(status, 202, "{example} {sent}");
            let message = arrived(&test, &sent).await;
            assert_eq!(
                (message["type"].as_str(), message["direction"].as_str()),
                (Some(&*kind), Some("out"))
            );
            let new = test.meta.transcript(ANN).split_off(before);
            if kind == "read" {
                assert!(new.is_empty());
                assert!(test.meta.phones().iter().any(|phone| phone.wa_id == ANN && phone.typing));
            } else {
                assert_eq!((new.len(), new[0].from), (1, Side::Business));
                assert_eq!(new[0].content.kind, at_metas(&kind));
            }
            kinds.insert(kind);
        }
        assert_eq!(kinds, Message::KINDS.into_iter().map(str::to_owned).collect());
        test.stop().await;
    });
}

/// The value at a path such as `rows[0].title`.
fn at<'v>(value: &'v mut Value, path: &str) -> &'v mut Value {
    path.split('.').fold(value, |value, step| match step.split_once('[') {
        None => &mut value[step],
        Some((name, index)) => &mut value[name][index.trim_end_matches(']').parse::<usize>().unwrap()],
    })
}

/// The example with a field of this size.
fn sized(mut example: Value, path: &str, size: usize, unit: &str) -> Value {
    let field = at(&mut example, path);
    if unit == "entries" {
        let first = field[0].clone();
        let entry = |place: usize| {
            let mut entry = first.clone();
            for key in ["id", "title"] {
                if entry[key].is_string() {
                    entry[key] = json!(format!("{key} {place}"));
                }
            }
            if entry["index"].is_number() {
                entry["index"] = json!(place);
            }
            entry
        };
        *field = (0..size).map(entry).collect();
        return example;
    }
    let begin = if path == "url" { "https://a.example/" } else { "" };
    *field = json!(format!("{begin}{}", "x".repeat(size - begin.len())));
    example
}

#[test]
fn every_limit_holds_at_its_edge_and_is_refused_by_name_beyond() {
    crate::support::run(async {
        let (test, wamid) = start().await;
        let rows = limits();
        assert!(rows.len() > 15, "{rows:?}");
        let examples = examples();
        for (kinds, path, limit, unit) in rows {
            for kind in kinds {
                let (_, example) = examples.iter().find(|(known, _)| *known == kind).unwrap();
                let example = real(example.clone(), &wamid);
                let (status, sent) = test.post("/send", &sized(example.clone(), &path, limit, &unit)).await;
                assert_eq!(status, 202, "{kind} {path} {limit}: {sent}");
                arrived(&test, &sent).await;
                // A template has at most ten buttons, numbered from 0: the eleventh has no number.
                let (status, refusal) = test.post("/send", &sized(example, &path, limit + 1, &unit)).await;
                assert_eq!(status, 422, "{kind} {path} {limit}");
                let field = refusal["field"].as_str().unwrap();
                assert!(field == path || field.starts_with(&format!("{path}[")), "{path}: {refusal}");
                if field == path {
                    assert_eq!(
                        (refusal["length"].as_u64(), refusal["limit"].as_u64()),
                        (Some(limit as u64 + 1), Some(limit as u64)),
                        "{refusal}"
                    );
                }
            }
        }
        test.stop().await;
    });
}

#[test]
fn every_type_that_comes_in_is_kept_and_shown_under_its_name() {
    crate::support::run(async {
        let (test, _) = start().await;
        for (place, line) in block("text inbound").into_iter().enumerate() {
            let (kind, node) = line.split_once(": ").unwrap();
            let mut message: Value = serde_json::from_str(node).unwrap_or_else(|e| panic!("{line}: {e}"));
            let wamid = format!("wamid.inbound.{place}");
            message["from"] = json!(ANN);
            message["id"] = json!(wamid);
            message["timestamp"] = json!("1795337387");
            assert_eq!(door::signed(&test, wire::body(wire::NUMBER, &[message])).await, 200, "{line}");
            let (_, page) = test.get("/messages?direction=in&limit=1").await;
            let shown = &page["data"][0];
            assert_eq!((&shown["wamid"], &shown["type"]), (&json!(wamid), &json!(kind)), "{line}");
        }
        test.quiet().await;
        let (_, quarantined) = test.get("/webhooks?state=quarantined").await;
        assert_eq!(quarantined["data"], json!([]));
        test.stop().await;
    });
}
