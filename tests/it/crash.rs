//! The program is killed with SIGKILL in the middle of the work, again and again: whatever was answered 200 is answered to the
//! person once and in order, and every message that was between Meta and us at such a moment is named as an attempt whose
//! outcome nobody knows.
//!
//! `CRASH_KILLS=200 cargo test --release --test it -- crash:: --nocapture` kills so often, and says what came of it.

use std::collections::{BTreeSet, HashSet};
use std::time::Duration;

use sea_orm::{ConnectionTrait, DatabaseConnection, Statement};
use serde_json::Value;
use switchboard::sandbox::LocalMeta;
use tempfile::TempDir;

use crate::load::Dice;
use crate::support::app::{API_KEY, local_meta, replies};
use crate::support::database::on_both;
use crate::support::flows::{ECHO, echoes};
use crate::support::program::Program;
use crate::support::{until, wire};

const PHONES: usize = 60;
/// Kills, where nothing else is said.
const KILLS: usize = 6;
/// Texts that wait for an answer at each moment, at least: the program dies under load.
const WAITING: usize = PHONES * 4;
/// Replies that come between two kills, at least; then the moment is chance.
const REPLIES: usize = PHONES;
const CHANCE_MS: usize = 150;

fn kills() -> usize {
    std::env::var("CRASH_KILLS").map_or(KILLS, |kills| kills.parse().expect("CRASH_KILLS is a number"))
}

fn phone(person: usize) -> String {
    format!("49160{person:08}")
}

/// Everybody says one thing more as long as too little waits for an answer.
fn feed(meta: &LocalMeta, said: &mut Vec<String>, answered: usize) {
    while said.len() * PHONES < answered + WAITING {
        let text = format!("message {}", said.len());
        for person in 0..PHONES {
            meta.say(&phone(person), &text).unwrap();
        }
        said.push(text);
    }
}

/// What lies on disk when the program is dead, read without touching it.
struct Remains {
    db: DatabaseConnection,
    _copy: Option<TempDir>,
}

impl Remains {
    async fn of(url: &str) -> Self {
        let Some(file) = url.strip_prefix("sqlite://").and_then(|rest| rest.split('?').next()) else {
            return Self { db: sea_orm::Database::connect(url).await.unwrap(), _copy: None };
        };
        let folder = tempfile::tempdir().unwrap();
        let copy = folder.path().join("copy.db");
        for end in ["", "-wal"] {
            let to = format!("{}{end}", copy.display());
            std::fs::copy(format!("{file}{end}"), to).unwrap();
        }
        let url = format!("sqlite://{}?mode=rwc", copy.display());
        Self { db: sea_orm::Database::connect(url).await.unwrap(), _copy: Some(folder) }
    }

    /// The messages that may be at Meta without our knowing it. Whatever Meta has of those that are not settled is among
    /// them: nothing was posted before the claim was on disk.
    async fn ambiguous(self, meta: &LocalMeta) -> BTreeSet<i64> {
        let sql = "select q.id, q.state, m.body, c.wa_id from queue q join message m on m.id = q.id \
                   join contact c on c.id = m.contact_id";
        let statement = Statement::from_string(self.db.get_database_backend(), sql);
        let rows = self.db.query_all_raw(statement).await.unwrap();
        let at_meta: HashSet<(String, String)> = (0..PHONES)
            .flat_map(|person| {
                let to = phone(person);
                replies(meta, &to).into_iter().map(move |text| (to.clone(), text))
            })
            .collect();
        let mut ambiguous = BTreeSet::new();
        for row in rows {
            let (id, state): (i64, String) =
                (row.try_get_by_index(0).unwrap(), row.try_get_by_index(1).unwrap());
            let (body, to): (String, String) =
                (row.try_get_by_index(2).unwrap(), row.try_get_by_index(3).unwrap());
            if state == "claimed" || state == "ambiguous" {
                ambiguous.insert(id);
            } else {
                assert!(!at_meta.contains(&(to, body)), "message {id} is at Meta, and its row says {state}");
            }
        }
        self.db.close().await.unwrap();
        ambiguous
    }
}

async fn stats(program: &Program) -> Option<Value> {
    let url = format!("http://{}/api/whatsapp/stats", program.addr());
    wire::client().get(url).bearer_auth(API_KEY).send().await.ok()?.json().await.ok()
}

/// Whether anything waits to be done or to leave.
pub(crate) fn is_open(stats: &Value) -> bool {
    let queue = stats["queue"]["by_state"].as_object();
    stats["unfinished_events"] != 0 || queue.is_some_and(|states| states.values().any(|rows| *rows != 0))
}

on_both!(kills_lose_nothing_and_double_nothing, async |database: Database| {
    let kills = kills();
    let mut dice = Dice(u64::from(std::process::id()));
    let meta = local_meta().await;
    // Longer than the local Meta waits before it tells a status again, so that it comes before the grace ends.
    // An event whose turn is under way at that many deaths is put aside, and here nothing but the kills is to blame.
    let settings = [
        ("SWITCHBOARD_TURN_ATTEMPTS", "100"),
        ("SWITCHBOARD_AMBIGUOUS_GRACE", "6s"),
        ("SWITCHBOARD_SWEEP_AGE", "1s"),
        ("SWITCHBOARD_SWEEP_INTERVAL", "500ms"),
    ];
    let mut program = Program::start(&meta, &database.url, ECHO, &settings).await;
    let received = || (0..PHONES).map(|person| replies(&meta, &phone(person)).len()).sum::<usize>();
    let mut said = Vec::new();
    let mut ambiguous: BTreeSet<i64> = BTreeSet::new();

    for _ in 0..kills {
        let before = received();
        feed(&meta, &mut said, before);
        until("some more replies", async || (received() >= before + REPLIES).then_some(())).await;
        feed(&meta, &mut said, received());
        tokio::time::sleep(Duration::from_millis(dice.below(CHANCE_MS) as u64)).await;
        program.kill();
        ambiguous.extend(Remains::of(&database.url).await.ambiguous(&meta).await);
        program.start_again().await;
        // Meta would try again by itself, after pauses that grow with each failure.
        meta.set_webhook_url(&program.webhook_url()).unwrap();
    }
    let expected = echoes(&said);
    until("all replies", async || (received() >= PHONES * said.len()).then_some(())).await;
    until("nothing open", async || stats(&program).await.filter(|stats| !is_open(stats))).await;
    // A resend would come a moment after the rest.
    tokio::time::sleep(Duration::from_millis(500)).await;
    // The counts are read before what is open.
    let stats = stats(&program).await.unwrap();

    for person in 0..PHONES {
        assert_eq!(replies(&meta, &phone(person)), expected, "phone {person}");
    }
    assert_eq!(stats["messages"]["received"], PHONES * said.len());
    assert_eq!(stats["messages"]["sent"], PHONES * said.len());
    assert_eq!(stats["quarantined_events"], 0);

    let beside = database.connect().await;
    let sql = "select distinct message_id from attempt where outcome = 'ambiguous'";
    let rows =
        beside.query_all_raw(Statement::from_string(beside.get_database_backend(), sql)).await.unwrap();
    let named: BTreeSet<i64> = rows.iter().map(|row| row.try_get_by_index(0).unwrap()).collect();
    let unnamed: Vec<&i64> = ambiguous.difference(&named).collect();
    assert!(unnamed.is_empty(), "ambiguous and not named: {unnamed:?}");
    println!(
        "{kills} kills: {} messages answered once and in order, {} ambiguous sends, all named",
        PHONES * said.len(),
        ambiguous.len()
    );
    meta.stop().await;
});
