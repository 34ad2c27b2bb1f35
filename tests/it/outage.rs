//! The database goes away under load and comes back: its server is cut off, its disk is full, its files may only be read.
//! While it is away the door answers 503 and health says so; what was answered 200 before is answered to the person once and
//! in order; and when the cause is gone everything goes on by itself.

use std::process::Command;
use std::time::Duration;

use sea_orm::ConnectionTrait;
use serde_json::Value;
use switchboard::sandbox::LocalMeta;

use crate::crash::is_open;
use crate::support::app::{API_KEY, local_meta, replies};
use crate::support::database::{Database, Engine};
use crate::support::flows::{ECHO, echoes};
use crate::support::postgres::Server;
use crate::support::program::Program;
use crate::support::{run, until, wire};

const PHONES: usize = 40;
/// What everybody says before, while and after it is away.
const BEFORE: usize = 4;
const ALL: usize = 8;
/// POSTs that Meta makes in vain while it is away, at least.
const REFUSALS: u64 = 5;
const STRANGER: &str = "4916500000000";

fn phone(person: usize) -> String {
    format!("49164{person:08}")
}

/// The program between a local Meta and a database that breaks.
struct Stage {
    meta: LocalMeta,
    program: Program,
    http: reqwest::Client,
    /// What a stranger said, and what the door answered.
    tried: Vec<(String, u16)>,
}

impl Stage {
    async fn set(url: &str) -> Self {
        let meta = local_meta().await;
        let settings = [
            ("SWITCHBOARD_AMBIGUOUS_GRACE", "60s"),
            ("SWITCHBOARD_SWEEP_AGE", "1s"),
            ("SWITCHBOARD_SWEEP_INTERVAL", "500ms"),
            ("SWITCHBOARD_LOG", "off"),
        ];
        let program = Program::start(&meta, url, ECHO, &settings).await;
        Self { meta, program, http: wire::client(), tried: Vec::new() }
    }

    /// The stranger says something new, and Meta gives up at the first answer.
    async fn knock(&mut self) -> u16 {
        let text = format!("knock {}", self.tried.len());
        let message = wire::text(STRANGER, &format!("wamid.{text}"), &text);
        let body = wire::body(wire::NUMBER, &[message]);
        let url = self.program.webhook_url();
        let answer = wire::post(&self.http, &self.meta, &url, body).await;
        let status =
            answer.unwrap_or_else(|error| panic!("{error:?}; the program: {:?}", self.program.ended()));
        self.tried.push((text, status));
        status
    }

    async fn get(&self, path: &str) -> (u16, Value) {
        let url = format!("http://{}/api/whatsapp/{path}", self.program.addr());
        let answer = self.http.get(url).bearer_auth(API_KEY).send().await.unwrap();
        (answer.status().as_u16(), answer.json().await.unwrap_or_default())
    }

    /// Health says that nothing can be accepted, or that all is well.
    async fn is_well(&self) -> bool {
        let (status, health) = self.get("health").await;
        assert_eq!(status == 200, health["status"] == "ok", "{status} {health}");
        status == 200
    }

    async fn until_it_is_seen(&mut self) {
        until("the door to be shut", async || (self.knock().await == 503).then_some(())).await;
        until("health to say so", async || (!self.is_well().await).then_some(())).await;
        assert_eq!(self.knock().await, 503);
    }

    fn say(&self, numbers: std::ops::Range<usize>) {
        for number in numbers {
            for person in 0..PHONES {
                self.meta.say(&phone(person), &format!("message {number}")).unwrap();
            }
        }
    }

    fn received(&self) -> usize {
        (0..PHONES).map(|person| replies(&self.meta, &phone(person)).len()).sum()
    }
}

/// The whole play, with a way to break the database and one to mend it.
async fn play(url: &str, breaks: impl AsyncFn(&Program), mends: impl AsyncFn(&Program)) {
    let mut stage = Stage::set(url).await;
    // With nothing to do: nobody comes who could find out that it is mended.
    breaks(&stage.program).await;
    stage.until_it_is_seen().await;
    mends(&stage.program).await;
    until("health to be well by itself", async || stage.is_well().await.then_some(())).await;

    // Under load.
    stage.say(0..BEFORE);
    until("some replies", async || (stage.received() > PHONES).then_some(())).await;
    breaks(&stage.program).await;
    stage.until_it_is_seen().await;
    stage.say(BEFORE..ALL);
    let failed = stage.meta.delivered().failed;
    until("Meta to be refused", async || (stage.meta.delivered().failed >= failed + REFUSALS).then_some(()))
        .await;
    assert_eq!(stage.knock().await, 503);
    mends(&stage.program).await;
    stage.meta.set_webhook_url(&stage.program.webhook_url()).unwrap();
    until("all replies", async || (stage.received() >= PHONES * ALL).then_some(())).await;
    until("the door to be open", async || (stage.knock().await == 200).then_some(())).await;
    until("nothing open", async || {
        let (status, stats) = stage.get("stats").await;
        (status == 200 && !is_open(&stats)).then_some(())
    })
    .await;
    // A resend would come a moment after the rest.
    tokio::time::sleep(Duration::from_millis(500)).await;
    // The counts are read before what is open.
    let (_, stats) = stage.get("stats").await;

    let texts: Vec<String> = (0..ALL).map(|number| format!("message {number}")).collect();
    for person in 0..PHONES {
        assert_eq!(replies(&stage.meta, &phone(person)), echoes(&texts), "phone {person}");
    }
    let taken: Vec<String> =
        stage.tried.iter().filter(|(_, status)| *status == 200).map(|(text, _)| text.clone()).collect();
    assert_eq!(replies(&stage.meta, STRANGER), echoes(&taken), "{:?}", stage.tried);
    assert!(stage.tried.iter().all(|(_, status)| [200, 503].contains(status)), "{:?}", stage.tried);
    assert_eq!(stats["messages"]["received"], PHONES * ALL + taken.len());
    assert_eq!(stats["messages"]["sent"], PHONES * ALL + taken.len());
    assert_eq!(stats["quarantined_events"], 0);
    stage.meta.stop().await;
}

/// Says aloud what this machine cannot do.
fn left_out(what: &str) {
    use std::io::Write as _;
    // Not eprintln: what a passing test prints is not shown, and this has to be.
    let _ = writeln!(std::io::stderr(), "\nLEFT OUT: {what}");
}

#[test]
fn postgres_is_cut_off_and_comes_back() {
    let Some(server) = Server::start(&[]) else { return };
    let url = server.create_database();
    run(play(&url, async |_| server.cut(), async |_| server.start_again()));
}

#[test]
fn postgres_becomes_read_only_for_a_while() {
    let Some(server) = Server::start(&[]) else { return };
    let url = server.create_database();
    let set = async |value: &str| {
        let beside = sea_orm::Database::connect(&url).await.unwrap();
        let sql = format!("alter system set default_transaction_read_only = {value}");
        beside.execute_unprepared(&sql).await.unwrap();
        beside.execute_unprepared("select pg_reload_conf()").await.unwrap();
        beside.close().await.unwrap();
    };
    run(play(&url, async |_| set("on").await, async |_| set("off").await));
}

#[test]
fn the_disk_of_sqlite_is_full_for_a_while() {
    let database = Database::new(Engine::Sqlite).unwrap();
    if !Command::new("prlimit").arg("--version").output().is_ok_and(|shown| shown.status.success()) {
        return left_out("a full disk, because `prlimit` is not installed");
    }
    // Not a byte more, and what is there cannot be written over either.
    let full = async |program: &Program| assert!(program.limit_files(Some(0)));
    run(play(&database.url, full, async |program| assert!(program.limit_files(None))));
}

#[test]
fn the_files_of_sqlite_become_read_only_for_a_while() {
    let database = Database::new(Engine::Sqlite).unwrap();
    let file = database.file().unwrap();
    let immutable = Immutable(file.clone());
    std::fs::write(&file, "").unwrap();
    if !(immutable.set(true)
        && std::fs::File::options().append(true).open(&file).is_err()
        && immutable.set(false))
    {
        return left_out("files that become read-only, because nobody may do that here (`chattr +i`)");
    }
    let shut = async |_: &Program| assert!(immutable.set(true));
    run(play(&database.url, shut, async |_| assert!(immutable.set(false))));
}

/// A database file and its journal, which nobody can write to while they are immutable. Its index in shared memory (`-shm`)
/// is left: it is mapped, and a write to mapped memory that the kernel refuses is no error but the end of the process.
struct Immutable(String);

impl Immutable {
    fn set(&self, is: bool) -> bool {
        let files = ["", "-wal"].map(|end| format!("{}{end}", self.0));
        let there = files.iter().filter(|file| std::path::Path::new(file).exists());
        let mut chattr = Command::new("chattr");
        chattr.arg(if is { "+i" } else { "-i" }).args(there);
        chattr.output().is_ok_and(|output| output.status.success())
    }
}

impl Drop for Immutable {
    fn drop(&mut self) {
        // Else the folder could not be cleared away.
        self.set(false);
    }
}
