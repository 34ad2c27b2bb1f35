//! Memory follows the active conversations, not the known ones, and nobody is forgotten.

use std::time::Duration;

use serde_json::Value;

use crate::support::app::{local_meta, replies};
use crate::support::database::{Database, Engine};
use crate::support::program::Program;
use crate::support::{run, until, wire};

const CONVERSATIONS: usize = 50_000;
const ACTIVE_MAX: usize = 5_000;
/// Meta's largest batch.
const BATCH: usize = 1_000;

/// Asks twice: whoever is forgotten in between is asked the first question again.
const FLOW: &str = r#"
switchboard: 1
bot: notebook
start: first
states:
  first:
    ask: "first"
    expect: text
    save: said
    globals: off
    go: second
  second:
    ask: "second, after ${ said }"
    expect: text
    save: said
    globals: off
    go: second
"#;

fn phone(number: usize) -> String {
    format!("49152{number:08}")
}

fn batch(from: usize, round: &str, text: impl Fn(usize) -> String) -> Vec<u8> {
    let messages: Vec<Value> = (from..from + BATCH)
        .map(|number| wire::text(&phone(number), &format!("wamid.{round}.{number}"), &text(number)))
        .collect();
    wire::body(wire::NUMBER, &messages)
}

#[test]
fn fifty_thousand_conversations_under_a_limit_of_five_thousand() {
    run(async {
        let database = Database::new(Engine::Sqlite).unwrap();
        let meta = local_meta().await;
        let active = ACTIVE_MAX.to_string();
        let settings = [
            ("SWITCHBOARD_ACTIVE_CONVERSATIONS", active.as_str()),
            ("SWITCHBOARD_DIRECTORY_CACHE", active.as_str()),
        ];
        let program = Program::start(&meta, &database.url, FLOW, &settings).await;
        let http = wire::client();
        let deliver = async |body: Vec<u8>| {
            while wire::post(&http, &meta, &program.webhook_url(), body.clone()).await.unwrap() != 200 {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        let metric = async |name: &str| -> f64 {
            let url = format!("http://{}/metrics", program.addr());
            let answer = http.get(url).bearer_auth(crate::support::app::API_KEY).send().await.unwrap();
            let text = answer.text().await.unwrap();
            let line =
                text.lines().find(|line| line.starts_with(name)).unwrap_or_else(|| panic!("no {name}"));
            line.rsplit(' ').next().unwrap().parse().unwrap()
        };
        let at_rest = async |turns: usize| {
            until("all turns", async || {
                let done = metric("switchboard_turns_total{outcome=\"done\"}").await;
                let waiting =
                    metric("switchboard_queue_depth").await + metric("switchboard_unfinished_events").await;
                (done >= turns as f64 && waiting == 0.0).then_some(())
            })
            .await;
        };

        let mut resident = Vec::new();
        for from in (0..CONVERSATIONS).step_by(BATCH) {
            deliver(batch(from, "first", |_| "hello".to_owned())).await;
            at_rest(from + BATCH).await;
            resident.push(program.resident_kib());
        }
        let active = metric("switchboard_active_actors").await;
        assert!(active <= ACTIVE_MAX as f64, "{active} conversations are in memory");
        // Levels off: the last 20,000 conversations add less than a tenth to what 30,000 took. Ten samples
        // each, for the allocator gives pages back and takes them again between two of them.
        let ten_before = |count: usize| resident[count - 10..count].iter().sum::<u64>() / 10;
        let (before, after) = (ten_before(30), ten_before(50));
        assert!(after < before + before / 10, "resident KiB after each 1,000 conversations: {resident:?}");

        for from in (0..CONVERSATIONS).step_by(BATCH) {
            deliver(batch(from, "second", |number| format!("the number is {number}"))).await;
            at_rest(CONVERSATIONS + from + BATCH).await;
        }
        for number in 0..CONVERSATIONS {
            let said = replies(&meta, &phone(number));
            assert_eq!(said, ["first".to_owned(), format!("second, after the number is {number}")]);
        }
        meta.stop().await;
    });
}
