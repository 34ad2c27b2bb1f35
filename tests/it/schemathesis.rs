//! schemathesis, a tester of APIs that knows nothing of ours but the OpenAPI document: it makes requests of every kind, valid
//! and not, and holds each answer against the document. It runs against the sandbox, bounded in number and time, and leaves
//! no trace.
//!
//! What is checked is what the document promises: no 5xx, no status, type, header or shape that is not in it, a 401 without
//! a key, a 405 for other methods, a refusal of what the schema forbids, and that what was removed is gone. Not checked is
//! that whatever the schema allows is taken: ids may be nobody's, a window may be closed. The event stream is left out: it
//! does not end.

use std::fs::File;
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::json;

use crate::support::sandbox::Sandbox;
use crate::support::{run, venv, wire};

/// The package and its version.
const PACKAGE: &str = "schemathesis==4.32.5";
/// Set by `.ci/run`: there, a missing package is a failure.
const REQUIRED: &str = "SWITCHBOARD_TEST_SCHEMATHESIS";
/// Requests of each endpoint in one phase, at the most.
const EXAMPLES: &str = "10";
/// How long all of it may take.
const PATIENCE: Duration = Duration::from_mins(15);

#[test]
fn no_answer_is_other_than_the_document_says() {
    let Some(program) = venv::program(PACKAGE, "schemathesis", REQUIRED) else { return };
    run(async {
        let folder = tempfile::tempdir().unwrap();
        let sandbox = Sandbox::start_with(folder.path(), &[], |command| {
            command.env("SWITCHBOARD_API_REQUESTS_PER_SECOND", "0")
        });
        // So that there is something in every list.
        let http = wire::client();
        for text in ["hi", "1", "2", "ORD-001"] {
            let phone = format!("{}/phones/4915112345001/messages?wait=60000", sandbox.meta);
            http.post(phone).json(&json!({"text": text})).send().await.unwrap();
        }
        let told = folder.path().join("told");
        let mut tester = Command::new(program)
            .args(["run", &format!("{}/api/whatsapp/openapi.json", sandbox.app)])
            .args(["--header", &format!("Authorization: Bearer {}", sandbox.key)])
            .args(["--checks", "all"])
            // An answer without an end is not for a tester that reads each to its end.
            .args(["--exclude-path", "/api/whatsapp/events"])
            .args(["--exclude-checks", "positive_data_acceptance"])
            .args(["--max-examples", EXAMPLES, "--seed", "1", "--no-color"])
            .args(["--suppress-health-check", "all", "--continue-on-failure"])
            .current_dir(folder.path())
            .stdin(Stdio::null())
            .stdout(File::create(&told).unwrap())
            .stderr(Stdio::inherit())
            .spawn()
            .unwrap();
        let ended = tokio::time::timeout(PATIENCE, async {
            loop {
                if let Some(status) = tester.try_wait().unwrap() {
                    return status;
                }
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
        });
        let ended = ended.await;
        let told = std::fs::read_to_string(&told).unwrap();
        if ended.is_err() {
            tester.kill().unwrap();
            tester.wait().unwrap();
        }
        assert!(ended.is_ok_and(|status| status.success()), "{told}");
        println!("{told}");
        sandbox.interrupt();
    });
}
