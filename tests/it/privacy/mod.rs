//! What people can ask of those who keep their data: to see all of it, and that it be no more.

mod register;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::{Value, json};
use switchboard::app::Parts;
use switchboard::clock::Clock;
use switchboard::config::Config;
use switchboard::flow::{Flow, Functions};
use switchboard::sandbox::{
    DemoPhone, Limits, LocalMeta, Media, Outcome, Rule, Settings, Side, Status, Times,
};
use switchboard::store::demo;

use crate::support::app::{API_KEY, TestApp, replies};
use crate::support::database::{Database, on_both};
use crate::support::program::Program;
use crate::support::shelf::{Mishap, Shelf};
use crate::support::traces::{traces, traces_in};
use crate::support::{door, flows, shelf, until, wire};

const ADA: &str = "4915112345001";
const ADAS_NAME: &str = "Adalberta Quetzal";
const BO: &str = "4915112345002";

/// What Ada writes and is sent, and nobody else.
const SECRETS: [&str; 7] = [
    "creaks like a barn door",
    "wobbles and hums at night",
    "come by on Thursday at nine",
    "her-own-invoice",
    "a picture of her kitchen",
    "this one never arrives",
    "was there something unread",
];

/// A local Meta that keeps no limits, at which Ada and Bo have these names.
async fn meta(clock: Clock) -> LocalMeta {
    let made_up = Settings::made_up("127.0.0.1:0".parse().unwrap());
    let phone = |wa_id: &str, name: &str| DemoPhone { wa_id: wa_id.to_owned(), name: name.to_owned() };
    let phones = vec![phone(ADA, ADAS_NAME), phone(BO, "Bonifatius")];
    let easy =
        Settings { limits: Limits::none(), templates: Vec::new(), any_template: true, phones, ..made_up };
    LocalMeta::start(easy, clock).await.unwrap()
}

/// The factory with orders of Ada's and Bo's.
async fn factory(database: Database) -> TestApp {
    let parts = Parts::new(Flow::factory());
    let test = TestApp::start_on(meta(Clock::system()).await, database, parts, |_| {}).await;
    demo::fill(test.app.store(), [(ADA, ADAS_NAME), (BO, "Bonifatius")].into_iter()).await.unwrap();
    test
}

async fn says(test: &TestApp, phone: &str, texts: &[&str]) {
    for text in texts {
        test.meta.say(phone, text).unwrap();
        test.quiet().await;
    }
}

async fn contact(test: &TestApp, phone: &str) -> Option<Value> {
    let (_, page) = test.get("/contacts").await;
    page["data"].as_array().unwrap().iter().find(|row| row["wa_id"] == phone).cloned()
}

async fn id_of(test: &TestApp, phone: &str) -> String {
    contact(test, phone).await.unwrap()["id"].as_str().unwrap().to_owned()
}

async fn give(test: &TestApp, name: &str, bytes: &str) -> String {
    let url = format!("http://{}/api/whatsapp/media?filename={name}", test.app.addr());
    let request = test.http.post(url).bearer_auth(API_KEY).header("Content-Type", "application/pdf");
    let given: Value = request.body(bytes.to_owned()).send().await.unwrap().json().await.unwrap();
    given["id"].as_str().unwrap().to_owned()
}

async fn send(test: &TestApp, message: Value) -> Value {
    let (status, queued) = test.post("/send", &message).await;
    assert_eq!(status, 202, "{queued}");
    test.quiet().await;
    queued
}

/// Every kind of thing that there can be of a person.
async fn a_whole_life(test: &TestApp) {
    says(test, ADA, &["hi", "1", "2", "ORD-001", "menu", "2", "1", "ORD-001", SECRETS[0]]).await;
    test.meta.send_file(ADA, "image/jpeg", None, SECRETS[4].into(), Some("look at this")).unwrap();
    test.quiet().await;
    test.meta.send_media(ADA, Media::Document, None).unwrap();
    test.quiet().await;
    // The same file from someone else stays theirs.
    test.meta.send_media(BO, Media::Document, None).unwrap();
    says(test, ADA, &["menu", "4", "3", SECRETS[1]]).await;
    send(test, json!({"to": ADA, "type": "text", "body": SECRETS[2]})).await;
    let (own, shared) = (
        give(test, "her-own-invoice.pdf", "her-own-invoice").await,
        give(test, "flyer.pdf", "a flyer").await,
    );
    for (to, file) in [(ADA, &own), (ADA, &shared)] {
        send(test, json!({"to": to, "type": "document", "media": file})).await;
    }
    says(test, BO, &["hi", "1", "1"]).await;
    send(test, json!({"to": BO, "type": "document", "media": shared})).await;
    let template =
        json!({"to": ADA, "type": "template", "name": "order_ready", "language": "en", "body": ["ORD-001"]});
    send(test, template).await;
    assert!(test.meta.open(ADA) > 0);
    test.quiet().await;
    let fails = Rule {
        phone: Some(ADA.into()),
        times: Times::Next(1),
        outcome: Outcome::Error { code: 131_026, status: None },
    };
    test.meta.set_rule(fails).unwrap();
    send(test, json!({"to": ADA, "type": "text", "body": SECRETS[5]})).await;
    // What she told Meta she wants, and what was kept as it came.
    test.meta.set_marketing(ADA, false).unwrap();
    let unknown = json!({"threads": [{"id": ADA, "said": [{"text": SECRETS[6]}]}, {"id": BO, "said": [{"text": "hello from Bo"}]}]});
    let change = json!({"field": "history", "value": unknown});
    let body = json!({"object": "whatsapp_business_account", "entry": [{"id": "1", "changes": [change]}]});
    let body = body.to_string().into_bytes();
    assert_eq!(wire::post(&test.http, &test.meta, &test.webhook_url(), body).await.unwrap(), 200);
    let id = id_of(test, ADA).await;
    assert_eq!(test.post(&format!("/contacts/{id}/opt-out"), &json!({"scope": "marketing"})).await.0, 200);
    assert_eq!(test.post(&format!("/contacts/+{ADA}/opt-out"), &json!({})).await.0, 404, "and noted as that");
    let files = async || {
        let files = test.get("/media").await.1;
        files["data"].as_array().unwrap().iter().all(|file| file["state"] == "ready").then_some(())
    };
    until("every file to be fetched", files).await;
    test.quiet().await;
}

/// All that says who she is: her ids, her name, Meta's ids of her messages, and what was said.
async fn marks(test: &TestApp) -> Vec<String> {
    let person = contact(test, ADA).await.unwrap();
    let mut marks =
        vec![ADA.to_owned(), ADAS_NAME.to_owned(), person["user_id"].as_str().unwrap().to_owned()];
    marks.extend(SECRETS.map(str::to_owned));
    marks.extend(test.meta.transcript(ADA).into_iter().map(|entry| entry.wamid));
    marks
}

async fn left_of(test: &TestApp, marks: &[String]) -> Vec<String> {
    traces(test, &marks.iter().map(String::as_str).collect::<Vec<&str>>()).await
}

/// What there is of Bo.
async fn all_of_bo(test: &TestApp) -> Value {
    let mut all = vec![contact(test, BO).await.unwrap()];
    all.push(test.get(&format!("/messages?contact={BO}&limit=200")).await.1);
    let (_, conversations) = test.get("/conversations").await;
    let his = |row: &&Value| row["contact"]["wa_id"] == BO;
    all.extend(conversations["data"].as_array().unwrap().iter().filter(his).cloned());
    Value::from(all)
}

/// The counts, without what is true of one moment only.
async fn counts(test: &TestApp) -> Value {
    let (_, mut stats) = test.get("/stats").await;
    stats.as_object_mut().unwrap().remove("queue");
    stats
}

async fn lines(test: &TestApp, id: &str) -> Vec<Value> {
    let url = format!("http://{}/api/whatsapp/contacts/{id}/export", test.app.addr());
    let answer = test.http.get(url).bearer_auth(API_KEY).send().await.unwrap();
    assert_eq!(
        (answer.status().as_u16(), &answer.headers()["content-type"]),
        (200, &"application/x-ndjson".parse().unwrap())
    );
    answer.text().await.unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn of_kind<'a>(lines: &'a [Value], kind: &str) -> Vec<&'a Value> {
    lines.iter().filter(|line| line["kind"] == kind).map(|line| &line["row"]).collect()
}

on_both!(an_export_holds_everything_and_an_erased_person_leaves_nothing, |database| async {
    let test = factory(database).await;
    a_whole_life(&test).await;
    let again = wire::body(wire::NUMBER, &[wire::text(ADA, "wamid.once.more", "menu")]);
    let post = async || wire::post(&test.http, &test.meta, &test.webhook_url(), again.clone()).await.unwrap();
    assert_eq!(post().await, 200);
    test.quiet().await;
    let (id, marks) = (id_of(&test, ADA).await, marks(&test).await);
    let hits = async |words: &str| {
        let (status, page) = test.get(&format!("/messages?q={words}")).await;
        assert_eq!(status, 200, "{page}");
        page["data"].as_array().unwrap().len()
    };
    until("the words to be found", async || (hits("wobbles").await > 0).then_some(())).await;
    // As the index of words has them.
    let words = ["adalberta", "wobbles", "creaks"];
    assert!(traces(&test, &words).await.len() >= words.len());
    let (bo, before) = (all_of_bo(&test).await, counts(&test).await);
    assert!(left_of(&test, &marks).await.len() >= marks.len(), "the search finds what is there");

    let lines = lines(&test, &id).await;
    let whole = lines.iter().map(Value::to_string).collect::<Vec<_>>().join("\n");
    let bytes: BTreeMap<&str, Vec<u8>> =
        of_kind(&lines, "bytes").into_iter().fold(BTreeMap::new(), |mut files, part| {
            let bytes = BASE64.decode(part["base64"].as_str().unwrap()).unwrap();
            files.entry(part["file"].as_str().unwrap()).or_insert_with(Vec::new).extend(bytes);
            files
        });
    let contents: Vec<String> =
        bytes.values().map(|bytes| String::from_utf8_lossy(bytes).into_owned()).collect();
    for mark in &marks {
        assert!(whole.contains(mark) || contents.contains(mark), "{mark} is not in the export");
    }
    assert!(contents.iter().any(|content| content == "a flyer"), "{contents:?}");
    for (kind, at_least) in [
        ("export", 1),
        ("person", 1),
        ("identity", 2),
        ("conversation", 1),
        ("message", 20),
        ("attempt", 1),
        ("queued", 1),
        ("event", 30),
        ("file", 4),
        ("upload", 2),
        ("deed", 1),
        ("record", 5),
        ("end", 1),
    ] {
        assert!(of_kind(&lines, kind).len() >= at_least, "{kind}: {}", of_kind(&lines, kind).len());
    }
    assert_eq!(of_kind(&lines, "end")[0]["lines"], lines.len() - 1);
    let shown = of_kind(&lines, "message");
    let failed = shown.iter().find(|row| row["body"] == SECRETS[5]).unwrap();
    assert_eq!(
        (&failed["status"], &failed["error"]["code"]),
        (&json!("failed"), &json!(131_026)),
        "{failed}"
    );
    assert!(of_kind(&lines, "person")[0]["marketing_opted_out_at"].as_str().unwrap().ends_with('Z'));
    assert!(!whole.contains("hello from Bo"), "what is kept of others is not shown");

    let (status, erasure) = test.delete(&format!("/contacts/{id}")).await;
    assert_eq!(
        (status, &erasure["state"], &erasure["contact_id"]),
        (200, &json!("done"), &json!(id)),
        "{erasure}"
    );
    assert!(
        erasure["messages"].as_i64().unwrap() >= 20 && erasure["files"].as_i64().unwrap() >= 3,
        "{erasure}"
    );
    let left = left_of(&test, &marks).await;
    assert!(left.is_empty(), "{left:#?}");
    assert_eq!(traces(&test, &words).await, [""; 0]);
    assert_eq!((hits("wobbles").await, hits("adalb*").await), (0, 0));
    assert!(hits("welcome").await > 0, "what others said is found");
    assert_eq!((all_of_bo(&test).await, counts(&test).await), (bo, before));
    for kept in ["hello from Bo", "Bonifatius", "a flyer"] {
        assert!(!traces(&test, &[kept]).await.is_empty(), "{kept} is gone");
    }
    for gone in [test.get(&format!("/contacts/{id}")).await, test.delete(&format!("/contacts/{id}")).await] {
        assert_eq!(gone.0, 404);
    }
    let (_, log) = test.get(&format!("/audit?target={id}")).await;
    let told: Vec<&str> =
        log["data"].as_array().unwrap().iter().map(|deed| deed["action"].as_str().unwrap()).collect();
    assert_eq!(told, ["contacts.erase", "contacts.erase", "contacts.export", "contacts.opt_out"], "{log}");

    // Meta repeats what it told, and tells more of what she was sent: nothing of it is answered or kept.
    let said = test.replies(ADA).len();
    assert_eq!(post().await, 200);
    let _ = test.meta.open(ADA);
    for entry in test.meta.transcript(ADA).into_iter().filter(|entry| entry.from == Side::Business) {
        assert!(test.meta.post_status(&entry.wamid, Status::Failed, Some(131_026)));
    }
    test.quiet().await;
    let left = left_of(&test, &marks).await;
    assert!(left.is_empty(), "{left:#?}");
    assert_eq!((test.replies(ADA).len(), contact(&test, ADA).await), (said, None));

    // She comes back as somebody new, who still wants no marketing.
    says(&test, ADA, &["hi"]).await;
    let greeting = format!("Hello {ADAS_NAME}!");
    assert!(test.replies(ADA).last().unwrap().starts_with(&greeting), "{:?}", test.replies(ADA).last());
    let person = contact(&test, ADA).await.unwrap();
    assert_ne!(person["id"], json!(id));
    assert!(person["marketing_opted_out_at"].is_string(), "{person}");
    let (_, messages) = test.get(&format!("/messages?contact={ADA}")).await;
    assert_eq!(messages["data"].as_array().unwrap().len(), 2);
    test.stop().await;
});

/// Says what it hears, as soon as the gate is open.
const SLOW: &str = r#"
switchboard: 1
bot: slow
start: listen
states:
  listen:
    ask: "${ wait(event.text) }"
    expect: text
    save: said
    globals: off
    go: listen
"#;

on_both!(a_turn_that_runs_writes_nobody_back, |database| async {
    let (began, open) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(true)));
    let mut functions = Functions::default();
    let (begins, gate) = (Arc::clone(&began), Arc::clone(&open));
    functions.add("wait", move |arguments: Vec<Value>| {
        begins.store(true, Ordering::SeqCst);
        while !gate.load(Ordering::SeqCst) {
            std::thread::yield_now();
        }
        Ok(json!(format!("heard {}", arguments[0].as_str().unwrap_or_default())))
    });
    let flow = Flow::parse_with(SLOW, "slow", &functions).unwrap();
    let parts = Parts { functions, ..Parts::new(flow) };
    let test = TestApp::start_on(meta(Clock::system()).await, database, parts, |_| {}).await;
    says(&test, ADA, &["one"]).await;
    let id = id_of(&test, ADA).await;
    open.store(false, Ordering::SeqCst);
    began.store(false, Ordering::SeqCst);
    test.meta.say(ADA, "said to nobody").unwrap();
    until("the turn to begin", async || began.load(Ordering::SeqCst).then_some(())).await;
    let (status, erasure) = test.delete(&format!("/contacts/{id}")).await;
    assert_eq!(status, 200, "{erasure}");
    // What comes in meanwhile is of somebody new.
    test.meta.say(ADA, "I am new here").unwrap();
    let new = async || contact(&test, ADA).await;
    let new = until("somebody new", new).await;
    open.store(true, Ordering::SeqCst);
    test.quiet().await;
    let said = test.replies(ADA);
    assert_eq!(said.last().unwrap(), "heard I am new here");
    assert!(!said.iter().any(|text| text.contains("nobody")), "{said:?}");
    let left = traces(&test, &["said to nobody", "heard one"]).await;
    assert!(left.is_empty(), "{left:#?}");
    assert_ne!(new["id"], json!(id));
    test.stop().await;
});

on_both!(who_said_stop_is_not_written_to_after_being_erased, |database| async {
    let test = TestApp::start_on(meta(Clock::system()).await, database, echo(), |_| {}).await;
    says(&test, ADA, &["hi", "STOP"]).await;
    let id = id_of(&test, ADA).await;
    assert_eq!(test.delete(&format!("/contacts/{id}")).await.0, 200);
    let left = traces(&test, &[ADA, ADAS_NAME]).await;
    assert!(left.is_empty(), "{left:#?}");
    let template =
        json!({"to": ADA, "type": "template", "name": "order_ready", "language": "en", "body": ["1"]});
    let (status, refusal) = test.post("/send", &template).await;
    assert_eq!(
        (status, refusal["type"].as_str()),
        (409, Some("urn:switchboard:problem:opted_out")),
        "{refusal}"
    );
    let said = test.replies(ADA).len();
    says(&test, ADA, &["hi again"]).await;
    assert_eq!(test.replies(ADA).len(), said, "she said STOP");
    let person = contact(&test, ADA).await.unwrap();
    assert_eq!(person["opted_out_by"], json!("person"), "{person}");
    // Once more, and then she wants to hear of us.
    assert_eq!(test.delete(&format!("/contacts/{}", person["id"].as_str().unwrap())).await.0, 200);
    says(&test, ADA, &["START"]).await;
    assert!(test.replies(ADA).len() > said);
    let person = contact(&test, ADA).await.unwrap();
    assert_eq!(person["opted_out_at"], Value::Null);
    assert_eq!(test.delete(&format!("/contacts/{}", person["id"].as_str().unwrap())).await.0, 200);
    says(&test, ADA, &["hello"]).await;
    assert_eq!(test.replies(ADA).last().unwrap(), "hello, before that nothing");
    test.stop().await;
});

fn echo() -> Parts {
    Parts::new(Flow::parse(flows::ECHO, "echo").unwrap())
}

on_both!(a_statement_that_the_database_refuses_changes_nothing, |database| async {
    let flow = format!("{}on_erase: delete from no_such_table where phone = :person\n", flows::ECHO);
    let parts = Parts::new(Flow::parse(&flow, "echo").unwrap());
    let test = TestApp::start_on(meta(Clock::system()).await, database, parts, |_| {}).await;
    says(&test, ADA, &["hi"]).await;
    let id = id_of(&test, ADA).await;
    let (status, refusal) = test.delete(&format!("/contacts/{id}")).await;
    assert_eq!(status, 409, "{refusal}");
    assert!(refusal["detail"].as_str().unwrap().contains("no_such_table"), "{refusal}");
    says(&test, ADA, &["still here"]).await;
    assert_eq!(test.replies(ADA).last().unwrap(), "still here, before that hi");
    let test = test.restart_with(echo()).await;
    assert_eq!(test.delete(&format!("/contacts/{id}")).await.0, 200, "it is mended, and asked again");
    assert_eq!(contact(&test, ADA).await, None);
    test.stop().await;
});

on_both!(what_an_end_of_the_program_leaves_half_done_is_taken_up, |database| async {
    let test = TestApp::start_on(meta(Clock::system()).await, database, echo(), |_| {}).await;
    says(&test, ADA, &["hi", "a secret"]).await;
    let id = id_of(&test, ADA).await;
    let marks = [ADA.to_owned(), ADAS_NAME.to_owned(), "a secret".to_owned()];
    let store = test.app.store().clone();
    let erasure = store.want_erasure(id.parse().unwrap()).await.unwrap().unwrap();
    // Nothing but the first step, as if the program had ended after it: the next start goes on.
    store.begin_erasure(erasure.id, Arc::from([])).await.unwrap();
    drop(store);
    let test = test.restart_with(echo()).await;
    let done = async || {
        let now = test.app.store().find_erasure(id.parse().unwrap()).await.unwrap().unwrap();
        now.done_at.map(|_| now)
    };
    assert!(until("it to be done", done).await.ids.is_empty());
    let left = left_of(&test, &marks).await;
    assert!(left.is_empty(), "{left:#?}");
    test.stop().await;
});

on_both!(all_numbers_of_a_person_go_and_a_used_key_stays_used, |database| async {
    const NEW: &str = "4915112349999";
    let test = TestApp::start_on(meta(Clock::system()).await, database, echo(), |_| {}).await;
    says(&test, ADA, &["hi"]).await;
    test.meta.change_number(ADA, NEW).unwrap();
    test.quiet().await;
    says(&test, NEW, &["the same person"]).await;
    let url = format!("http://{}/api/whatsapp/send", test.app.addr());
    let message = json!({"to": NEW, "type": "text", "body": "only once"});
    let send = async || {
        let request = test.http.post(&url).bearer_auth(API_KEY).header("Idempotency-Key", "once");
        request.json(&message).send().await.unwrap().status().as_u16()
    };
    assert_eq!((send().await, send().await), (202, 202));
    test.quiet().await;
    let id = id_of(&test, NEW).await;
    assert_eq!(test.delete(&format!("/contacts/{id}")).await.0, 200);
    let left = traces(&test, &[ADA, NEW, ADAS_NAME, "only once"]).await;
    assert!(left.is_empty(), "{left:#?}");
    assert_eq!(send().await, 409, "it is known that it was sent, and nobody new begins");
    assert_eq!(contact(&test, NEW).await, None);
    test.stop().await;
});

on_both!(the_command_line_does_both_beside_a_server_and_without_one, async |database: Database| {
    let meta = meta(Clock::system()).await;
    let mut program = Program::start(&meta, &database.url, flows::ECHO, &[]).await;
    let say = async |phone: &str, text: &str, count: usize| {
        meta.say(phone, text).unwrap();
        until("the answer", async || (replies(&meta, phone).len() >= count).then_some(())).await;
    };
    say(ADA, "a secret of hers", 1).await;
    say(BO, "a secret of his", 1).await;
    let run = |program: &Program, arguments: &[&str]| {
        let output = program.command(arguments).output().unwrap();
        let told =
            format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        (output.status.success(), told)
    };
    let ada = format!("+{ADA}");
    assert!(!run(&program, &["export", "+49151000000"]).0, "nobody");
    assert!(!run(&program, &["export", "Ada"]).0, "no number");
    let (done, told) = run(&program, &["export", &ada, "--out", "ada.jsonl"]);
    assert!(done, "{told}");
    let export = std::fs::read_to_string(program.folder().join("ada.jsonl")).unwrap();
    assert!(
        export.contains("a secret of hers") && export.contains(ADAS_NAME) && !export.contains("his"),
        "{export}"
    );
    assert!(export.lines().last().unwrap().starts_with(r#"{"kind":"end""#), "{export}");
    std::fs::remove_file(program.folder().join("ada.jsonl")).unwrap();
    let (done, told) = run(&program, &["erase", &ada]);
    assert!(!done && told.contains("--yes"), "{told}");
    let (done, told) = run(&program, &["erase", &ada, "--yes"]);
    assert!(done && told.contains("2 messages"), "{told}");
    // The server remembers nothing: whoever writes now is somebody new.
    say(ADA, "hi", 2).await;
    assert_eq!(replies(&meta, ADA).last().unwrap(), "hi, before that nothing");
    let left = traces_in(&database, program.folder(), &["a secret of hers"]).await;
    assert!(left.is_empty(), "{left:#?}");

    program.kill();
    let (done, told) = run(&program, &["export", BO]);
    assert!(done && told.contains("a secret of his"), "{told}");
    let (done, told) = run(&program, &["erase", BO, "--yes"]);
    assert!(done, "{told}");
    assert!(!run(&program, &["erase", BO, "--yes"]).0, "he is gone");
    let left = traces_in(&database, program.folder(), &[BO, "Bonifatius", "a secret of his"]).await;
    assert!(left.is_empty(), "{left:#?}");
    meta.stop().await;
});

on_both!(a_file_that_is_being_fetched_goes_too, |database| async {
    let shelf = Shelf::start().await;
    let serve = |config: &mut Config| shelf.serve(config);
    let test = TestApp::start_on(meta(Clock::system()).await, database, echo(), serve).await;
    shelf.next_downloads(&[Mishap::Hangs]);
    let photo = shelf.photo(ADA, "11", b"a picture of her kitchen");
    assert_eq!(door::signed(&test, shelf::body(&[photo])).await, 200);
    until("the download to begin", async || (shelf.asked("GET /files/11") == 1).then_some(())).await;
    let id = id_of(&test, ADA).await;
    assert_eq!(test.delete(&format!("/contacts/{id}")).await.0, 200);
    shelf.go_on();
    until("what came of it to go", async || {
        let waste = test.app.store().media_waste().await.unwrap().is_empty();
        (waste && test.files() == 0).then_some(())
    })
    .await;
    let left = traces(&test, &[ADA, "a picture of her kitchen"]).await;
    assert!(left.is_empty(), "{left:#?}");
    test.stop().await;
});
