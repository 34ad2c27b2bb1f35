//! What operators do: a flow is tried on what was said, the doctor finds what is wrong and says what mends it, health tells
//! alive from ready, and a message is marked as read.

use std::path::Path;
use std::process::Output;

use serde_json::{Value, json};
use switchboard::flow::Flow;
use switchboard::sandbox::LocalMeta;
use switchboard::store::demo;

use crate::support::app::{TestApp, local_meta, replies};
use crate::support::database::on_both;
use crate::support::program::Program;
use crate::support::sandbox::switchboard;
use crate::support::{flows, until, wire};

const ADA: &str = "4915112345001";

/// Says goodbye to whoever says nothing for a second.
const WAITS: &str = r#"
switchboard: 1
bot: waits
start: main
globals: { "hi": main }
states:
  main:
    menu: Which one?
    options:
      - { label: Red, go: red }
      - { label: Blue, go: blue }
    timeout: { after: 1s, say: "Still there?", go: bye }
  red: { say: "red it is", go: main }
  blue: { say: "blue it is", go: main }
  bye: { end: "Until later." }
"#;

fn out(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

/// `switchboard replay` on this database.
fn replay(folder: &Path, database: &str, flow: &str, arguments: &[&str]) -> Output {
    let file = folder.join("tried.yaml");
    std::fs::write(&file, flow).unwrap();
    let arguments = [&["replay", "--flow", "tried.yaml"], arguments].concat();
    let mut command = switchboard(folder, &arguments);
    command.env("DATABASE_URL", database).env("SWITCHBOARD_LOG", "error").output().unwrap()
}

async fn says(app: &TestApp, text: &str) {
    app.meta.say(ADA, text).unwrap();
    app.quiet().await;
}

on_both!(a_flow_is_tried_on_what_was_said_and_nothing_happens, async |database: Database| {
    let app = TestApp::start(database, Flow::parse(WAITS, "waits").unwrap(), |_| {}).await;
    let folder = tempfile::tempdir().unwrap();
    for text in ["hi", "1"] {
        says(&app, text).await;
    }
    until("the bot to say goodbye", async || {
        app.replies(ADA).contains(&"Until later.".to_owned()).then_some(())
    })
    .await;
    for text in ["hi", "2", "three"] {
        says(&app, text).await;
    }
    until("the bot to say goodbye again", async || {
        (app.replies(ADA).iter().filter(|said| *said == "Until later.").count() == 2).then_some(())
    })
    .await;
    app.quiet().await;
    let conversation = app.get("/conversations").await.1["data"][0]["id"].as_str().unwrap().to_owned();
    let before =
        (app.replies(ADA), app.get("/stats").await.1["messages"].clone(), app.get("/webhooks").await.1);

    let same = replay(folder.path(), &app.database.url, WAITS, &[]);
    assert_eq!(same.status.code(), Some(0), "{} {}", out(&same), String::from_utf8_lossy(&same.stderr));
    assert!(
        out(&same).contains("1 conversations, 5 events: 0 would be answered differently"),
        "{}",
        out(&same)
    );
    let all = out(&replay(folder.path(), &app.database.url, WAITS, &["--all", &conversation]));
    for line in ["> hi\n", "      Which one? [Red] [Blue]\n", "      Still there?\n", "      Until later.\n"]
    {
        assert!(all.contains(line), "{line:?} is missing in\n{all}");
    }

    let other = WAITS.replace("blue it is", "azure it is");
    let differs = replay(folder.path(), &app.database.url, &other, &["--since", "1h"]);
    assert_eq!(differs.status.code(), Some(1), "{}", out(&differs));
    let told = out(&differs);
    assert!(told.contains("> 2\n    - blue it is\n    + azure it is\n"), "{told}");
    assert!(told.contains("1 would be answered differently, in 1 conversations"), "{told}");
    assert!(!told.contains("red it is"), "what is the same is not shown: {told}");
    let silent = WAITS.replace("    timeout: { after: 1s, say: \"Still there?\", go: bye }\n", "");
    let told = out(&replay(folder.path(), &app.database.url, &silent, &[]));
    assert!(told.contains("    - Still there?\n    - Until later.\n"), "{told}");
    let nothing = replay(folder.path(), &app.database.url, &other, &["--until", "2020-01-01T00:00:00Z"]);
    assert_eq!(nothing.status.code(), Some(0), "{}", out(&nothing));
    for wrong in [&["cnv_1"][..], &["--since", "yesterday"]] {
        assert_eq!(
            replay(folder.path(), &app.database.url, WAITS, wrong).status.code(),
            Some(2),
            "{wrong:?}"
        );
    }
    assert_eq!(
        replay(folder.path(), &app.database.url, "switchboard: 1\nbot: b\n", &[]).status.code(),
        Some(2)
    );

    let path = format!("/conversations/{conversation}/replay");
    let (status, dry) = app.post(&path, &json!({"flow": other})).await;
    assert_eq!((status, &dry["differences"], &dry["more"]), (200, &json!(1), &json!(false)), "{dry}");
    let exchanges = dry["exchanges"].as_array().unwrap();
    let changed = exchanges.iter().find(|exchange| exchange["same"] == false).unwrap();
    assert_eq!((&changed["heard"], &changed["trouble"]), (&json!("2"), &json!(null)));
    assert_eq!(changed["then"][0]["body"], "blue it is");
    assert_eq!(changed["now"][0]["body"], "azure it is");
    let (status, refused) = app.post(&path, &json!({"flow": "switchboard: 1"})).await;
    assert_eq!((status, &refused["field"]), (422, &json!("flow")), "{refused}");

    let after =
        (app.replies(ADA), app.get("/stats").await.1["messages"].clone(), app.get("/webhooks").await.1);
    assert_eq!(before, after, "nothing was sent, written or accepted");
    app.stop().await;
});

on_both!(numbers_and_writes_of_a_flow_are_made_up_while_it_is_tried, async |database: Database| {
    let app = TestApp::start(database, Flow::factory(), |_| {}).await;
    demo::fill(app.app.store(), [(ADA, "Ada")].into_iter()).await.unwrap();
    for text in ["hi", "2", "1", "Shaft", "Too long", "SKIP", "1", "2", "ORD-001", "hello?"] {
        says(&app, text).await;
    }
    assert!(app.replies(ADA).iter().any(|said| said.contains("*DEF-000001*")), "{:?}", app.replies(ADA));
    let reports = async || {
        let sql = "select id from defects";
        let limit = std::time::Duration::from_secs(5);
        app.app.store().query(sql, &std::collections::BTreeMap::new(), 10, limit).await.unwrap().len()
    };
    assert_eq!(reports().await, 1);

    let folder = tempfile::tempdir().unwrap();
    let same = replay(folder.path(), &app.database.url, Flow::FACTORY_SOURCE, &[]);
    assert_eq!(same.status.code(), Some(0), "{}", out(&same));
    let other = Flow::FACTORY_SOURCE.replace("Thank you! Your report", "Thanks! Your report");
    assert_ne!(other, Flow::FACTORY_SOURCE);
    let told = out(&replay(folder.path(), &app.database.url, &other, &[]));
    assert!(told.contains("    - ✅ Thank you! Your report has the number *DEF-000001*."), "{told}");
    assert!(told.contains("    + ✅ Thanks! Your report has the number *DEF-…*."), "{told}");

    assert_eq!(reports().await, 1);
    for text in ["hi", "2", "1", "Gear", "Too short", "SKIP"] {
        says(&app, text).await;
    }
    let said = app.replies(ADA);
    assert!(said.iter().any(|said| said.contains("*DEF-000002*")), "no number is gone: {said:?}");
    app.stop().await;
});

on_both!(a_persons_message_is_marked_as_read, async |database: Database| {
    let app = TestApp::start(database, Flow::parse(flows::ECHO, "echo").unwrap(), |_| {}).await;
    says(&app, "hello").await;
    let rows = app.get("/messages").await.1;
    let (said, heard) = (&rows["data"][0], &rows["data"][1]);
    let path = |row: &Value| format!("/messages/{}/read", row["id"].as_str().unwrap());
    let (status, asked) = app.post(&path(heard), &json!({"typing": true})).await;
    assert_eq!((status, &asked["conversation_id"]), (202, &heard["conversation_id"]), "{asked}");
    app.quiet().await;
    let marks: Vec<Value> = app
        .meta
        .requests()
        .into_iter()
        .filter(|request| request.body["status"] == "read")
        .map(|request| request.body)
        .collect();
    assert_eq!(marks.len(), 1, "{marks:?}");
    assert_eq!(marks[0]["message_id"], heard["wamid"]);
    assert_eq!(marks[0]["typing_indicator"], json!({"type": "text"}));
    let event = app.get(&format!("/webhooks/{}", asked["event_id"].as_str().unwrap())).await.1;
    assert_eq!((&event["type"], &event["state"]), (&json!("command"), &json!("done")));
    let log = app.get("/audit?action=messages.read").await.1;
    assert_eq!(log["data"][0]["event_id"], asked["event_id"], "{log}");

    let (status, refused) = app.post(&path(said), &json!({})).await;
    assert_eq!(status, 409, "{refused}");
    assert_eq!(app.post(&path(heard), &json!({"typing": "perhaps"})).await.0, 422);
    app.stop().await;
});

on_both!(health_tells_alive_from_ready, async |database: Database| {
    use sea_orm::ConnectionTrait as _;

    let app = TestApp::start(database, Flow::factory(), |_| {}).await;
    assert_eq!(app.get("/health/live").await, (200, json!({"status": "ok"})));
    assert_eq!(app.get("/health/ready").await, (200, json!({"status": "ready", "reasons": []})));
    let db = app.database.connect().await;
    db.execute_unprepared("alter table queue rename to queue_elsewhere").await.unwrap();
    let (status, ready) = app.get("/health/ready").await;
    assert_eq!((status, &ready["status"]), (503, &json!("not ready")), "{ready}");
    assert_eq!(ready["reasons"][0], "the database cannot be read");
    assert_eq!(app.get("/health/live").await.0, 200);
    db.execute_unprepared("alter table queue_elsewhere rename to queue").await.unwrap();
    assert_eq!(app.get("/health/ready").await.0, 200);
    app.stop().await;
});

/// `switchboard doctor` with the settings of `program`, changed.
fn doctor(program: &Program, meta: &LocalMeta, changes: &[(&str, &str)]) -> Output {
    let folder = tempfile::tempdir().unwrap();
    let mut command = switchboard(folder.path(), &["doctor"]);
    command.envs(program.environment().iter().cloned());
    command.env("WHATSAPP_BUSINESS_ACCOUNT_ID", &meta.settings().business_account_id);
    command.env("WHATSAPP_WEBHOOK_URL", program.webhook_url());
    command.envs(changes.iter().copied()).output().unwrap()
}

/// The line about this thing.
fn line<'a>(told: &'a str, thing: &str) -> &'a str {
    let about = |line: &&str| line.get(10..).is_some_and(|rest| rest.starts_with(&format!("{thing:<17} ")));
    told.lines().find(about).unwrap_or_else(|| panic!("nothing about {thing} in\n{told}"))
}

on_both!(the_doctor_finds_what_is_wrong_and_says_what_mends_it, async |database: Database| {
    let meta = local_meta().await;
    let mut program = Program::start(&meta, &database.url, flows::ECHO, &[]).await;
    let things = [
        "settings",
        "database",
        "last event",
        "token",
        "number",
        "clock",
        "app secret",
        "subscription",
        "callback",
        "callback answers",
    ];

    let new = doctor(&program, &meta, &[]);
    assert_eq!(new.status.code(), Some(0), "{}", out(&new));
    assert!(line(&out(&new), "last event").starts_with("doubtful"), "{}", out(&new));
    meta.say(ADA, "hello").unwrap();
    until("an answer", async || (!replies(&meta, ADA).is_empty()).then_some(())).await;
    let well = out(&doctor(&program, &meta, &[]));
    for thing in things {
        assert!(line(&well, thing).starts_with("ok "), "{well}");
    }
    assert!(!well.contains("mend:") && well.contains("Messages can come and go."), "{well}");
    for secret in [&meta.settings().token, &meta.settings().app_secret, &meta.settings().verify_token] {
        assert!(!well.contains(secret.as_str()), "a secret is shown");
    }

    for (changes, thing, word) in [
        (&[("WHATSAPP_APP_SECRET", "of another app")][..], "app secret", "refused as forged"),
        (&[("WHATSAPP_API_TOKEN", "EAA-nobodys")], "token", "token"),
        (&[("WHATSAPP_PHONE_NUMBER_ID", "4711")], "number", "4711"),
        (&[("WHATSAPP_BUSINESS_ACCOUNT_ID", "4711")], "subscription", "Meta refuses"),
        (&[("WHATSAPP_WEBHOOK_URL", "http://127.0.0.1:9/elsewhere")], "callback", "127.0.0.1:9"),
        (&[("WHATSAPP_WEBHOOK_VERIFY_TOKEN", "another")], "callback answers", "403"),
        (&[("WHATSAPP_GRAPH_URL", "http://127.0.0.1:9")], "token", "cannot be reached"),
        (&[("DATABASE_URL", "sqlite://nowhere/there.db")], "database", "cannot be read"),
    ] {
        let ill = doctor(&program, &meta, changes);
        let told = out(&ill);
        assert_eq!(ill.status.code(), Some(1), "{changes:?}\n{told}");
        let found = line(&told, thing);
        assert!(found.starts_with("BAD") && found.contains(word), "{changes:?}\n{told}");
        let mend = told.lines().skip_while(|line| *line != found).nth(1).unwrap();
        assert!(mend.trim_start().starts_with("mend: "), "{told}");
    }

    let apps = format!("{}/v26.0/{}/subscribed_apps", meta.graph_url(), meta.settings().business_account_id);
    let token = meta.settings().token.clone();
    assert_eq!(wire::client().delete(&apps).bearer_auth(&token).send().await.unwrap().status(), 200);
    let told = out(&doctor(&program, &meta, &[]));
    assert!(line(&told, "subscription").starts_with("BAD"), "{told}");
    assert_eq!(wire::client().post(&apps).bearer_auth(&token).send().await.unwrap().status(), 200);

    meta.add_token("EAA-short", Some(std::time::Duration::from_secs(3_600)));
    let told = out(&doctor(&program, &meta, &[("WHATSAPP_API_TOKEN", "EAA-short")]));
    assert!(line(&told, "token").starts_with("doubtful"), "{told}");
    program.kill();
    let told = out(&doctor(&program, &meta, &[]));
    assert!(line(&told, "callback answers").starts_with("BAD"), "{told}");
    assert!(line(&told, "callback").starts_with("ok "), "{told}");
    meta.expire_tokens();
    let told = out(&doctor(&program, &meta, &[]));
    assert!(line(&told, "token").starts_with("BAD"), "{told}");
    meta.stop().await;
});

#[test]
fn the_doctor_works_before_anything_is_set() {
    let folder = tempfile::tempdir().unwrap();
    let output = switchboard(folder.path(), &["doctor"]).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let told = out(&output);
    assert!(line(&told, "settings").contains("WHATSAPP_APP_SECRET"), "{told}");
    assert!(line(&told, "database").starts_with("BAD"), "{told}");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "it makes no file");
}

#[test]
fn each_command_says_what_it_is_for() {
    let folder = tempfile::tempdir().unwrap();
    let help = |arguments: &[&str]| {
        let output = switchboard(folder.path(), &[arguments, &["--help"]].concat()).output().unwrap();
        assert!(output.status.success(), "{arguments:?}");
        out(&output)
    };
    let all = help(&[]);
    for command in ["serve", "sandbox", "config", "migrate", "doctor", "key", "replay", "flow"] {
        assert!(
            all.lines().any(|line| line.trim_start().starts_with(&format!("{command} "))),
            "{command}: {all}"
        );
        assert!(help(&[command]).len() > 200, "{command}");
    }
    assert!(help(&["replay"]).contains("Ends with 0"));
    assert!(help(&["doctor"]).contains("It changes nothing"));
}
