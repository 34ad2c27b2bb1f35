//! The program as a person runs it: its commands, what they print, and how they end.

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

        let databases = || {
            let files = std::fs::read_dir(folder.path()).unwrap().flatten();
            files.filter(|file| file.file_name().to_string_lossy().contains(".db")).count()
        };
        assert!(databases() > 0, "it keeps its database where temporary files are kept");
        sandbox.interrupt();
        let child = &mut sandbox.child;
        let status = until("the sandbox to end", async || child.try_wait().unwrap()).await;
        assert!(status.success(), "{status}");
        assert_eq!(databases(), 0);
    });
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
    let output = command.env("SWITCHBOARD_LISTEN", "anywhere").output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(err(&output).contains("SWITCHBOARD_LISTEN"), "{}", err(&output));
    std::fs::write(folder.path().join("switchboard.toml"), "lisen = '127.0.0.1:1'\n").unwrap();
    let output = switchboard(folder.path(), &["config"]).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(err(&output).contains("lisen"), "{}", err(&output));
}
