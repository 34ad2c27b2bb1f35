//! Keys over the real path: real sockets, both databases, the command line beside a running program, and its logs.

use std::fs::File;
use std::path::Path;
use std::process::{Output, Stdio};

use sea_orm::ConnectionTrait as _;
use serde_json::{Value, json};
use switchboard::domain::access::{NewKey, Scope};
use switchboard::flow::Flow;

use crate::support::app::{API_KEY, TestApp};
use crate::support::database::{Database, on_both};
use crate::support::sandbox::{Sandbox, switchboard};
use crate::support::{run, until, wire};

/// Every endpoint of the document: method, path with ids that are nobody's, and the scope that it needs.
fn endpoints(document: &Value) -> Vec<(reqwest::Method, String, Option<String>)> {
    let mut found = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let scope = operation["security"][0]["api_key"][0].as_str().map(str::to_owned);
            assert!(
                scope.is_some() || operation["security"] == json!([]),
                "{method} {path} says nothing of a key"
            );
            found.push((method.to_uppercase().parse().unwrap(), path.replace("{id}", "none"), scope));
        }
    }
    found
}

on_both!(every_endpoint_of_the_document_opens_to_its_scope_alone, |database| async {
    let app = TestApp::start(database, Flow::factory(), |_| {}).await;
    let (status, document) = app.get("/openapi.json").await;
    assert_eq!(status, 200);
    let endpoints = endpoints(&document);
    assert!(endpoints.len() > 25, "only {} endpoints were found", endpoints.len());
    let mut keys = Vec::new();
    for scope in Scope::ALL {
        let wanted = NewKey::new(scope.as_str(), [scope].into_iter().collect(), None, None, 0).unwrap();
        keys.push((scope.as_str(), app.app.store().create_key(wanted).await.unwrap().1));
    }
    let ask = async |method: &reqwest::Method, path: &str, key: Option<&str>| {
        let request = app.http.request(method.clone(), format!("http://{}{path}", app.app.addr()));
        let request = key.map_or_else(
            || request.try_clone().unwrap(),
            |key| request.try_clone().unwrap().bearer_auth(key),
        );
        let request = if method == "POST" { request.json(&json!({})) } else { request };
        request.send().await.unwrap().status().as_u16()
    };
    let mut open = Vec::new();
    for (method, path, scope) in &endpoints {
        let Some(scope) = scope else {
            assert_eq!(ask(method, path, None).await, 200, "{path}");
            open.push(path.as_str());
            continue;
        };
        for wrong in [None, Some("sb_no"), Some("")] {
            assert_eq!(ask(method, path, wrong).await, 401, "{method} {path}");
        }
        for (held, key) in &keys {
            let status = ask(method, path, Some(key)).await;
            let may = held == scope || *held == "admin";
            assert_eq!(status == 403, !may, "{method} {path} with {held}: {status}");
            assert!(![401, 405, 500, 503].contains(&status), "{method} {path} with {held}: {status}");
        }
    }
    assert_eq!(open, ["/api/whatsapp/health", "/api/whatsapp/health/live", "/api/whatsapp/health/ready"]);
    app.stop().await;
});

on_both!(a_deed_that_cannot_be_noted_is_not_done, |database| async {
    let app = TestApp::start(database, Flow::factory(), |_| {}).await;
    app.meta.say("4915112345001", "hi").unwrap();
    app.quiet().await;
    let send = json!({"to": "4915112345001", "type": "text", "body": "by hand"});
    assert_eq!(app.post("/send", &send).await.0, 202);
    let db = app.database.connect().await;
    db.execute_unprepared("alter table audit rename to audit_elsewhere").await.unwrap();
    assert_eq!(app.post("/send", &send).await.0, 503);
    db.execute_unprepared("alter table audit_elsewhere rename to audit").await.unwrap();
    let commands = async || {
        let events = app.get("/webhooks?limit=200").await.1;
        events["data"].as_array().unwrap().iter().filter(|event| event["type"] == "command").count()
    };
    assert_eq!(commands().await, 1);
    assert_eq!(app.post("/send", &send).await.0, 202);
    let log = app.get("/audit?action=send.send&outcome=accepted").await.1;
    assert_eq!((commands().await, log["data"].as_array().unwrap().len()), (2, 2), "{log}");
    app.stop().await;
});

fn done(output: &Output) -> String {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout.clone()).unwrap()
}

/// Whether `text` is anywhere in a file of `folder`.
fn is_in_a_file_of(folder: &Path, text: &str) -> bool {
    std::fs::read_dir(folder).unwrap().flatten().filter(|entry| entry.path().is_file()).any(|entry| {
        let bytes = std::fs::read(entry.path()).unwrap();
        bytes.windows(text.len()).any(|window| window == text.as_bytes())
    })
}

#[test]
fn keys_of_the_command_line_hold_in_a_running_program_and_no_key_is_ever_written_down() {
    run(async {
        let folder = tempfile::tempdir().unwrap();
        let database = folder.path().join("kept.db");
        let log = folder.path().join("log");
        let environment_key = "the-key-of-the-environment-4711";
        let sandbox = Sandbox::start_with(folder.path(), &["--database", "kept.db"], |command| {
            command
                .env("SWITCHBOARD_LOG", "trace")
                .env("SWITCHBOARD_API_KEY", environment_key)
                .stderr(Stdio::from(File::create(&log).unwrap()))
        });
        let command = |arguments: &[&str]| {
            let mut command = switchboard(folder.path(), arguments);
            command.env("DATABASE_URL", format!("sqlite://{}", database.display()));
            command.output().unwrap()
        };
        let http = wire::client();
        let read = async |key: &str| {
            let url = format!("{}/api/whatsapp/messages", sandbox.app);
            http.get(url).bearer_auth(key).send().await.unwrap().status().as_u16()
        };

        let made =
            command(&["key", "create", "--name", "by hand", "--scopes", "read,send", "--expires-in", "90d"]);
        let key = done(&made).trim().to_owned();
        assert!(key.starts_with("sb_") && key.len() == 67, "{key}");
        assert_eq!(read(&key).await, 200, "it is good at once");
        let listed = done(&command(&["key", "list"]));
        let line = listed.lines().find(|line| line.contains("by hand")).unwrap();
        assert!(line.contains("read,send") && line.contains("good until"), "{listed}");
        let id = line.split_whitespace().next().unwrap();

        // One that the API makes, and one that is wrong, in every place where a key could be.
        let url = format!("{}/api/whatsapp/keys", sandbox.app);
        let body = json!({"name": "by the API", "scopes": ["admin"]});
        let answer = http.post(&url).bearer_auth(environment_key).json(&body).send().await.unwrap();
        let other = answer.json::<Value>().await.unwrap()["key"].as_str().unwrap().to_owned();
        let wrong = "sb_wrong-key-0815";
        for key in [environment_key, &key, &other, wrong] {
            for path in ["messages", "nothing", "keys", "send", "webhook"] {
                let url = format!("{}/api/whatsapp/{path}", sandbox.app);
                http.get(&url).bearer_auth(key).send().await.unwrap();
                http.post(&url).header("Authorization", key).json(&json!({"to": 1})).send().await.unwrap();
                http.post(&url).bearer_auth(key).body("{").send().await.unwrap();
            }
        }

        done(&command(&["key", "revoke", id]));
        until("the revoked key to be of no use", async || (read(&key).await == 401).then_some(())).await;
        let again = command(&["key", "revoke", id]);
        assert_eq!(again.status.code(), Some(1));
        assert!(String::from_utf8_lossy(&again.stderr).contains("revoked before"));
        assert_eq!(command(&["key", "revoke", "key_1"]).status.code(), Some(1));
        assert_eq!(command(&["key", "create", "--name", " ", "--scopes", "read"]).status.code(), Some(1));
        assert_eq!(command(&["key", "create", "--name", "n", "--scopes", "write"]).status.code(), Some(2));
        assert!(done(&command(&["key", "list"])).contains("revoked "));

        let audit = http.get(format!("{}/api/whatsapp/audit?actor=command%20line", sandbox.app));
        let audit: Value = audit.bearer_auth(&other).send().await.unwrap().json().await.unwrap();
        let told: Vec<[&str; 2]> = audit["data"]
            .as_array()
            .unwrap()
            .iter()
            .map(|deed| ["action", "outcome"].map(|field| deed[field].as_str().unwrap()))
            .collect();
        assert_eq!(
            told,
            [
                ["keys.revoke", "refused"],
                ["keys.revoke", "refused"],
                ["keys.revoke", "done"],
                ["keys.create", "done"]
            ]
        );

        let logged = std::fs::read_to_string(&log).unwrap();
        assert!(logged.contains("TRACE") || logged.contains("DEBUG"), "nothing fine is logged: {logged}");
        for secret in [environment_key, &key, &other, wrong] {
            assert!(!logged.contains(secret), "a key is in the log");
            assert!(!is_in_a_file_of(folder.path(), secret), "a key is in a file");
        }
        sandbox.interrupt();
    });
}

#[test]
fn the_environment_key_needs_no_database_of_keys() {
    run(async {
        let database = Database::new(crate::support::database::Engine::Sqlite).unwrap();
        let app = TestApp::start(database, Flow::factory(), |_| {}).await;
        assert_eq!(
            app.get("/keys").await,
            (200, json!({"data": [], "next_cursor": null, "prev_cursor": null}))
        );
        assert_eq!(
            app.http
                .get(format!("http://{}/metrics", app.app.addr()))
                .bearer_auth(API_KEY)
                .send()
                .await
                .unwrap()
                .status(),
            200
        );
        app.stop().await;
    });
}
