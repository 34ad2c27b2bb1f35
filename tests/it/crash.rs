//! The program is killed with SIGKILL in the middle of the work, several times: whatever was answered 200 is answered to the
//! person once, and the final sequences are those of a run without a kill.

use std::time::Duration;

use crate::support::app::{local_meta, replies};
use crate::support::database::on_both;
use crate::support::flows::{ECHO, echoes};
use crate::support::program::Program;
use crate::support::{until, wire};

const PHONES: usize = 60;
const MESSAGES: usize = 10;
const KILLS: usize = 6;

on_both!(six_kills_lose_nothing_and_double_nothing, async |database: Database| {
    let meta = local_meta().await;
    // Longer than the local Meta's pauses between two tries of a webhook, so that a status comes before the grace ends.
    let settings = [
        ("SWITCHBOARD_AMBIGUOUS_GRACE", "6s"),
        ("SWITCHBOARD_SWEEP_AGE", "1s"),
        ("SWITCHBOARD_SWEEP_INTERVAL", "500ms"),
    ];
    let mut program = Program::start(&meta, &database.url, ECHO, &settings).await;
    let texts: Vec<String> = (0..MESSAGES).map(|i| format!("message {i}")).collect();
    let phone = |person: usize| format!("49160{person:08}");
    let received = || (0..PHONES).map(|person| replies(&meta, &phone(person)).len()).sum::<usize>();

    // Everything is said at once; the local Meta keeps each person's order and tries again until it gets a 200.
    for text in &texts {
        for person in 0..PHONES {
            meta.say(&phone(person), text).unwrap();
        }
    }
    for kill in 1..=KILLS {
        let wanted = PHONES * MESSAGES * kill / (KILLS + 2);
        until("some more replies", async || (received() >= wanted).then_some(())).await;
        program.kill();
        program.start_again().await;
    }
    let expected = echoes(&texts);
    until("all replies", async || (received() >= PHONES * MESSAGES).then_some(())).await;
    let http = wire::client();
    let stats = until("nothing open", async || {
        let url = format!("http://{}/api/whatsapp/stats", program.addr());
        let answer = http.get(url).bearer_auth(crate::support::app::API_KEY).send().await.ok()?;
        let stats: serde_json::Value = answer.json().await.ok()?;
        let open = stats["unfinished_events"] != 0
            || stats["queue"]["by_state"]
                .as_object()
                .is_some_and(|states| states.values().any(|rows| *rows != 0));
        (!open).then_some(stats)
    })
    .await;
    // A resend would come a moment after the rest.
    tokio::time::sleep(Duration::from_millis(500)).await;

    for person in 0..PHONES {
        assert_eq!(replies(&meta, &phone(person)), expected, "phone {person}");
    }
    assert_eq!(stats["messages"]["received"], PHONES * MESSAGES);
    assert_eq!(stats["messages"]["sent"], PHONES * MESSAGES);
    assert_eq!(stats["quarantined_events"], 0);
    meta.stop().await;
});
