//! The counts are those of the rows: after a load by chance, during which the program is killed several times, everything
//! that the statistics tell is counted again from the tables, in all and hour by hour.

use std::collections::BTreeMap;
use std::time::Duration;

use sea_orm::{ConnectionTrait, DatabaseConnection, Statement};
use serde_json::{Value, json};
use switchboard::store::{response_bucket, response_bucket_ms};

use crate::load::Dice;
use crate::support::app::{API_KEY, local_meta, replies};
use crate::support::database::on_both;
use crate::support::program::Program;
use crate::support::{until, wire};

const PHONES: usize = 40;
const CHOICES: usize = 6;
const KILLS: usize = 4;

const FLOW: &str = r#"
switchboard: 1
bot: counted
start: main
globals: { "hi": main }
states:
  main:
    menu: Which one?
    options:
      - { label: Red, go: red }
      - { label: Blue, go: blue }
  red: { say: "red it is", go: main }
  blue: { say: "blue it is", go: main }
"#;

fn phone(person: usize) -> String {
    format!("49170{person:08}")
}

/// GET below `/api/whatsapp`; `None` while the program is away.
async fn get(program: &Program, path: &str) -> Option<Value> {
    let url = format!("http://{}/api/whatsapp{path}", program.addr());
    wire::client().get(url).bearer_auth(API_KEY).send().await.ok()?.json().await.ok()
}

/// What `sql` counts: two columns of text and a number.
async fn recount(db: &DatabaseConnection, sql: &str) -> BTreeMap<(String, String), i64> {
    let rows = db.query_all_raw(Statement::from_string(db.get_database_backend(), sql)).await.unwrap();
    let row = |row: &sea_orm::QueryResult| {
        let text = |column| row.try_get_by_index::<String>(column).unwrap();
        ((text(0), text(1)), row.try_get_by_index::<i64>(2).unwrap())
    };
    rows.iter().map(row).collect()
}

/// `select` of a key beside the hour of each message, as text, and how many there are.
fn by_hour(key: &str, counted: &str, direction: &str) -> String {
    format!(
        "select cast(created_at - created_at % 3600000 as text) as hour, {key} as name, {counted} \
         from message where direction = '{direction}' group by 1, 2"
    )
}

/// The part of a recount that is of this hour.
fn of_hour(all: &BTreeMap<(String, String), i64>, hour: &str) -> Value {
    let of_hour = all.iter().filter(|((of, _), _)| of == hour);
    of_hour.map(|((_, name), count)| (name.clone(), json!(count))).collect::<serde_json::Map<_, _>>().into()
}

/// The response times, in milliseconds, below which so many per cent of the replies are.
fn percentiles(mut buckets: Vec<i64>) -> Value {
    buckets.sort_unstable();
    let at = |percent: usize| {
        let place = (buckets.len() * percent).div_ceil(100).max(1) - 1;
        response_bucket_ms(buckets[place])
    };
    json!({"p50": at(50), "p95": at(95), "p99": at(99), "count": buckets.len()})
}

on_both!(after_kills_the_statistics_are_those_of_a_recount, async |database: Database| {
    let meta = local_meta().await;
    let settings = [
        ("SWITCHBOARD_AMBIGUOUS_GRACE", "6s"),
        ("SWITCHBOARD_SWEEP_AGE", "1s"),
        ("SWITCHBOARD_SWEEP_INTERVAL", "500ms"),
    ];
    let mut program = Program::start(&meta, &database.url, FLOW, &settings).await;
    let mut dice = Dice(1848);
    for person in 0..PHONES {
        meta.say(&phone(person), "hi").unwrap();
    }
    for _ in 0..CHOICES {
        for person in 0..PHONES {
            meta.say(&phone(person), if dice.below(3) == 0 { "1" } else { "2" }).unwrap();
        }
    }
    let said = || (0..PHONES).map(|person| replies(&meta, &phone(person)).len()).sum::<usize>();
    for kill in 1..=KILLS {
        let wanted = PHONES * CHOICES * kill / (KILLS + 1) + dice.below(PHONES);
        until("some more replies", async || (said() >= wanted).then_some(())).await;
        program.kill();
        program.start_again().await;
    }
    until("everything to be taken, done, sent and told", async || {
        let told = meta.delivered().pending == 0;
        let stats = get(&program, "/stats").await?;
        let waits = stats["queue"]["by_state"].as_object()?.values().any(|rows| *rows != 0);
        let all = stats["messages"]["received"] == PHONES * (CHOICES + 1);
        (told && all && !waits && stats["unfinished_events"] == 0).then_some(())
    })
    .await;
    // The last statuses are under way when nothing else is.
    tokio::time::sleep(Duration::from_millis(500)).await;
    until("the last statuses", async || (meta.delivered().pending == 0).then_some(())).await;

    let db = database.connect().await;
    let state = "case status when 10 then 'queued' when 20 then 'ambiguous' when 30 then 'accepted' when 40 then 'sent' \
                 when 60 then 'delivered' when 70 then 'read' when 80 then 'played' else 'failed' end";
    let received = recount(&db, &by_hour("kind", "count(*)", "in")).await;
    let sent = recount(&db, &by_hour("kind", "count(*)", "out")).await;
    let states = recount(&db, &by_hour(state, "count(*)", "out")).await;
    let people = recount(&db, &by_hour("'people'", "count(distinct contact_id)", "in")).await;
    let chosen = recount(
        &db,
        "select case body when '1' then 'Red' else 'Blue' end, 'x', count(*) \
         from message where direction = 'in' and body in ('1', '2') group by 1",
    )
    .await;
    let waited = "select m.accepted_at - w.accepted_at from message m join webhook w on w.id = m.event_id \
                  where m.direction = 'out' and m.accepted_at is not null";
    let waited = db.query_all_raw(Statement::from_string(db.get_database_backend(), waited)).await.unwrap();
    let waited = waited.iter().map(|row| response_bucket(row.try_get_by_index::<i64>(0).unwrap())).collect();

    let total = get(&program, "/stats").await.unwrap();
    assert_eq!(total["unique_contacts"], PHONES);
    assert_eq!(total["new_contacts"], PHONES);
    assert_eq!(total["response_time_ms"], percentiles(waited));
    for option in total["menu_options"].as_array().unwrap() {
        let label = option["option"].as_str().unwrap().to_owned();
        assert_eq!(option["count"], chosen[&(label, "x".to_owned())], "{option}");
    }
    assert_eq!(total["menu_options"].as_array().unwrap().len(), chosen.len());

    let first: i64 = received.keys().map(|(hour, _)| hour.parse().unwrap()).min().unwrap();
    let since = jiff_text(first);
    let hourly = get(&program, &format!("/stats?by=hour&since={since}")).await.unwrap();
    for (place, period) in hourly["periods"].as_array().unwrap().iter().enumerate() {
        let hour = (first + i64::try_from(place).unwrap() * 3_600_000).to_string();
        let messages = &period["messages"];
        assert_eq!(messages["received_by_type"], of_hour(&received, &hour), "received in {hour}");
        assert_eq!(messages["sent_by_type"], of_hour(&sent, &hour), "sent in {hour}");
        assert_eq!(messages["sent_by_status"], of_hour(&states, &hour), "states of {hour}");
        let wrote = people.get(&(hour.clone(), "people".to_owned())).copied().unwrap_or(0);
        assert_eq!(period["unique_contacts"], wrote, "people in {hour}");
    }
    let daily = get(&program, &format!("/stats?by=day&since={since}")).await.unwrap();
    for whole in [&hourly, &daily] {
        for field in ["messages", "unique_contacts", "new_contacts", "response_time_ms", "menu_options"] {
            assert_eq!(whole[field], total[field], "{field}");
        }
    }
    meta.stop().await;
});

/// A time as the API reads it.
fn jiff_text(at: i64) -> String {
    jiff::Timestamp::from_millisecond(at).unwrap().to_string()
}
