//! One conversation whose flow panics hurts only itself.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use serde_json::Value;
use switchboard::app::Parts;
use switchboard::flow::{Flow, Functions};

use crate::support::app::TestApp;
use crate::support::database::on_both;
use crate::support::until;

const FLOW: &str = r#"
switchboard: 1
bot: fragile
start: listen
states:
  listen:
    ask: "${ careful(contact.phone, event.text) }"
    expect: text
    save: said
    globals: off
    go: listen
"#;

const FRAGILE: &str = "4915112345001";
/// More people than actor threads, so that some share the fragile one's thread.
const NEIGHBOURS: usize = 40;
const ATTEMPTS: u32 = 3;

struct Fault {
    on: AtomicBool,
    panics: AtomicU32,
}

fn flow(fault: &Arc<Fault>) -> (Flow, Functions) {
    let mut functions = Functions::default();
    let fault = Arc::clone(fault);
    functions.add("careful", move |arguments: Vec<Value>| {
        let (phone, text) =
            (arguments[0].as_str().unwrap_or_default(), arguments[1].as_str().unwrap_or_default());
        if phone == FRAGILE && text == "poison" && fault.on.load(Ordering::SeqCst) {
            fault.panics.fetch_add(1, Ordering::SeqCst);
            panic!("a fault for {phone}");
        }
        Ok(Value::from(format!("ok {text}")))
    });
    (Flow::parse_with(FLOW, "fragile", &functions).unwrap(), functions)
}

on_both!(a_panic_is_quarantined_and_neighbours_go_on, async |database: Database| {
    let fault = Arc::new(Fault { on: AtomicBool::new(true), panics: AtomicU32::new(0) });
    let (flow, functions) = flow(&fault);
    let parts = Parts { functions, ..Parts::new(flow) };
    let test = TestApp::start_with(database, parts, |config| config.limits.turn_attempts = ATTEMPTS).await;
    let neighbour = |i: usize| format!("49151999{i:05}");

    test.meta.say(FRAGILE, "before").unwrap();
    test.meta.say(FRAGILE, "poison").unwrap();
    test.meta.say(FRAGILE, "behind 1").unwrap();
    test.meta.say(FRAGILE, "behind 2").unwrap();
    for i in 0..NEIGHBOURS {
        test.meta.say(&neighbour(i), "hello").unwrap();
    }
    test.quiet().await;

    assert_eq!(test.replies(FRAGILE), ["ok before", "ok behind 1", "ok behind 2"]);
    for i in 0..NEIGHBOURS {
        assert_eq!(test.replies(&neighbour(i)), ["ok hello"], "neighbour {i}");
    }
    assert_eq!(fault.panics.load(Ordering::SeqCst), ATTEMPTS);

    let (status, page) = test.get("/webhooks?state=quarantined").await;
    assert_eq!(status, 200);
    let events = page["data"].as_array().unwrap();
    assert_eq!(events.len(), 1, "{page}");
    assert_eq!(events[0]["state"], "quarantined");
    assert!(events[0]["reason"].as_str().unwrap().contains("a fault for"), "{page}");

    // With the cause still there it comes back to quarantine; with the cause removed it is answered.
    let id = events[0]["id"].as_str().unwrap();
    let (_, event) = test.get(&format!("/webhooks/{id}")).await;
    assert!(event["payload"].to_string().contains("poison"), "the payload is kept: {event}");
    assert_eq!(test.post(&format!("/webhooks/{id}/retry"), &Value::Null).await.0, 202);
    until("the second quarantine", async || {
        (fault.panics.load(Ordering::SeqCst) > ATTEMPTS
            && test.app.store().backlog().await.unwrap().quarantined == 1)
            .then_some(())
    })
    .await;
    fault.on.store(false, Ordering::SeqCst);
    assert_eq!(test.post(&format!("/webhooks/{id}/retry"), &Value::Null).await.0, 202);
    test.quiet().await;
    assert_eq!(test.replies(FRAGILE), ["ok before", "ok behind 1", "ok behind 2", "ok poison"]);
    assert_eq!(test.get("/webhooks?state=quarantined").await.1["data"], Value::Array(Vec::new()));
    assert_eq!(test.post(&format!("/webhooks/{id}/retry"), &Value::Null).await.0, 409);

    test.meta.say(FRAGILE, "after").unwrap();
    test.quiet().await;
    assert_eq!(test.replies(FRAGILE).last().unwrap(), "ok after");
    test.stop().await;
});
