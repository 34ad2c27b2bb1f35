//! The program as a person runs it: its commands, what they print, and how they end.

use std::net::TcpListener;
use std::path::Path;
use std::process::Output;

use serde_json::{Value, json};

use crate::support::sandbox::{Sandbox, switchboard};
use crate::support::{run, until, wire};

fn out(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn err(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

#[test]
fn the_sandbox_needs_nothing_and_leaves_nothing() {
    run(async {
        let folder = tempfile::tempdir().unwrap();
        let mut sandbox = Sandbox::start(folder.path());
        let http = wire::client();
        let phone = format!("{}/phones/4915112345001/messages", sandbox.meta);
        let mut answer = Value::Null;
        for text in ["hi", "1", "2", "ORD-001"] {
            let said =
                http.post(format!("{phone}?wait=60000")).json(&json!({"text": text})).send().await.unwrap();
            answer = said.json().await.unwrap();
        }
        assert!(answer["replies"][0]["text"].as_str().unwrap().starts_with("📦 *Order ORD-001*"), "{answer}");

        let read = async |key: &str| {
            let url = format!("{}/api/whatsapp/messages", sandbox.app);
            http.get(url).bearer_auth(key).send().await.unwrap()
        };
        assert_eq!(read("another key").await.status(), 401);
        let list: Value = read(&sandbox.key).await.json().await.unwrap();
        assert_eq!(list["data"].as_array().unwrap().len(), 9, "{list}");

        for (path, part) in
            [("/", "<script"), ("/app.js", "import"), ("/net.js", "fetch("), ("/bubble.js", "")]
        {
            let page = http.get(format!("{}{path}", sandbox.meta)).send().await.unwrap();
            assert_eq!(page.status(), 200, "{path}");
            let text = page.text().await.unwrap();
            assert!(text.contains(part) && !text.is_empty(), "{path}");
        }

        assert_eq!(entries(folder.path()), 1, "it keeps its database where temporary files are kept");
        sandbox.interrupt();
        let child = &mut sandbox.child;
        let status = until("the sandbox to end", async || child.try_wait().unwrap()).await;
        assert!(status.success(), "{status}");
        assert_eq!(entries(folder.path()), 0);
    });
}

fn entries(folder: &Path) -> usize {
    std::fs::read_dir(folder).unwrap().count()
}

#[test]
fn a_sandbox_that_cannot_start_leaves_nothing_either() {
    let folder = tempfile::tempdir().unwrap();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut command = switchboard(folder.path(), &["sandbox", "--meta", "127.0.0.1:0"]);
    let output = command.env("SWITCHBOARD_LISTEN", taken.local_addr().unwrap().to_string()).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(err(&output).contains("SWITCHBOARD_LISTEN"), "{}", err(&output));
    assert_eq!(entries(folder.path()), 0);
}

#[test]
fn a_sandbox_that_is_killed_knows_at_its_next_start_who_has_written() {
    run(async {
        let folder = tempfile::tempdir().unwrap();
        let start = || Sandbox::start_with(folder.path(), &["--database", "kept.db"], |command| command);
        let http = wire::client();
        let sandbox = start();
        let phone = format!("{}/phones/4915112345001/messages?wait=60000", sandbox.meta);
        let said: Value =
            http.post(phone).json(&json!({"text": "hi"})).send().await.unwrap().json().await.unwrap();
        assert_eq!(said["replies"].as_array().map(Vec::len), Some(1), "{said}");
        drop(sandbox);

        let sandbox = start();
        let api = format!("{}/api/whatsapp", sandbox.app);
        let send = async |to: &str| {
            let body = json!({"to": to, "type": "text", "body": "It is ready."});
            let sent = http.post(format!("{api}/send")).bearer_auth(&sandbox.key).json(&body);
            sent.send().await.unwrap().json::<Value>().await.unwrap()
        };
        let sent = send("+4915112345001").await;
        let id = sent["id"].as_str().unwrap();
        until("the message to arrive", async || {
            let found = http.get(format!("{api}/messages/{id}")).bearer_auth(&sandbox.key);
            let message: Value = found.send().await.unwrap().json().await.unwrap();
            assert_ne!(message["status"], "failed", "{message}");
            (message["status"] == "delivered").then_some(())
        })
        .await;
        let stranger = send("+4915112345002").await.to_string();
        assert!(stranger.contains("window_closed"), "{stranger}");
    });
}

#[test]
fn a_database_that_cannot_be_opened_is_named_with_what_mends_it() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(
        folder.path().join("text.db"),
        "this is no database, and it is long enough to be read as one",
    )
    .unwrap();
    for (url, mend) in [
        ("sqlite://new.db", "?mode=rwc"),
        ("sqlite://no/such/folder/new.db?mode=rwc", "make its folder"),
        ("sqlite://text.db?mode=rwc", "see that it is a SQLite file"),
    ] {
        let output = switchboard(folder.path(), &["migrate"]).env("DATABASE_URL", url).output().unwrap();
        let told = err(&output);
        assert_eq!(output.status.code(), Some(1), "{told}");
        assert!(told.contains(url) && told.contains("DATABASE_URL") && told.contains(mend), "{told}");
        assert_eq!(told.matches("(code:").count(), 1, "said once: {told}");
    }
}

#[test]
fn serve_without_settings_names_everything_that_is_missing() {
    let folder = tempfile::tempdir().unwrap();
    let needed = [
        "WHATSAPP_APP_SECRET",
        "WHATSAPP_API_TOKEN",
        "WHATSAPP_WEBHOOK_VERIFY_TOKEN",
        "WHATSAPP_PHONE_NUMBER_ID",
    ];
    let output = switchboard(folder.path(), &["serve"]).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    for name in needed {
        assert!(err(&output).contains(name), "{name}: {}", err(&output));
    }
    for missing in needed {
        let mut command = switchboard(folder.path(), &["serve"]);
        command.envs(needed.iter().filter(|name| **name != missing).map(|name| (name, "4711")));
        let output = command.output().unwrap();
        assert_eq!(output.status.code(), Some(1), "{missing}");
        assert!(err(&output).contains(missing), "{missing}: {}", err(&output));
    }
    let database = folder.path().join("switchboard.db");
    assert!(!database.exists(), "what cannot start touches nothing");
}

#[test]
fn config_lists_every_setting_and_no_secret() {
    let folder = tempfile::tempdir().unwrap();
    let secrets = [
        ("WHATSAPP_APP_SECRET", "hush-1"),
        ("WHATSAPP_API_TOKEN", "hush-2"),
        ("WHATSAPP_WEBHOOK_VERIFY_TOKEN", "hush-3"),
        ("SWITCHBOARD_API_KEY", "hush-4"),
        ("DATABASE_URL", "postgres://user:hush-5@127.0.0.1/db"),
    ];
    let mut command = switchboard(folder.path(), &["config"]);
    let output = command.envs(secrets).env("SWITCHBOARD_LISTEN", "127.0.0.1:4711").output().unwrap();
    assert!(output.status.success());
    let listing = out(&output);
    for name in ["listen", "127.0.0.1:4711", "unfinished_events", "graph_url", "SWITCHBOARD_PAIR_PACING"] {
        assert!(listing.contains(name), "{name}: {listing}");
    }
    for (name, _) in secrets {
        assert!(listing.contains(name), "{name}: {listing}");
    }
    assert!(!listing.contains("hush") && !err(&output).contains("hush"), "{listing}");
}

#[test]
fn flow_check_shows_the_place_of_a_mistake() {
    let folder = tempfile::tempdir().unwrap();
    let example = switchboard(folder.path(), &["flow", "example"]).output().unwrap();
    let check = |source: &str| {
        std::fs::write(folder.path().join("flow.yaml"), source).unwrap();
        switchboard(folder.path(), &["flow", "check", "flow.yaml"]).output().unwrap()
    };
    let good = check(&out(&example));
    assert!(good.status.success(), "{}", err(&good));

    let broken =
        check("switchboard: 1\nbot: b\nstart: here\nstates:\n  here:\n    say: hello\n    go: nowhere\n");
    assert_eq!(broken.status.code(), Some(1));
    let told = err(&broken);
    assert!(told.contains("flow.yaml:7:9") && told.contains("nowhere") && told.contains('^'), "{told}");
    let missing = switchboard(folder.path(), &["flow", "check", "other.yaml"]).output().unwrap();
    assert_eq!(missing.status.code(), Some(1));
    assert!(err(&missing).contains("other.yaml"));
}

#[test]
fn a_wrong_setting_is_refused_by_its_name() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = switchboard(folder.path(), &["config"]);
    let output =
        command.env("SWITCHBOARD_LISTEN", "anywhere").env("SWITCHBOARD_QUEUE_LIMT", "9").output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    for name in ["SWITCHBOARD_LISTEN", "SWITCHBOARD_QUEUE_LIMT is not a setting"] {
        assert!(err(&output).contains(name), "{name}: {}", err(&output));
    }
    std::fs::write(folder.path().join("switchboard.toml"), "lisen = '127.0.0.1:1'\n").unwrap();
    let output = switchboard(folder.path(), &["config"]).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(err(&output).contains("lisen"), "{}", err(&output));
}
