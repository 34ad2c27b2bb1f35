//! Reading: how long the first and the deep pages of every list take, searches and statistics, over HTTP, on a large database
//! and on a small one.
//!
//! ```sh
//! cargo bench --bench reads
//! cargo bench --bench reads -- --messages 100000 --database sqlite,postgres
//! ```
//!
//! The program (`switchboard serve`, as `cargo bench` builds it) is a process of its own. Each call is made in turns with its
//! deep page, so that both meet the same weather; what is told is the median. A deep page that takes more than the goal times as
//! long as the first fails the run; how both compare with the small database is told, and judged by nobody.

#[path = "../load/database.rs"]
mod database;
mod fill;
#[expect(dead_code, reason = "the load uses more of it")]
#[path = "../load/process.rs"]
mod process;
#[path = "../load/rows.rs"]
mod rows;

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::PathBuf;
use std::process::{Command, ExitCode, Stdio};
use std::time::Duration;

use anyhow::{Context as _, bail};
use clap::Parser;
use serde_json::Value;
use tempfile::TempDir;

use database::{Database, Engine};
use fill::{NUMBER, PAST, Past};
use process::Process;

const API_KEY: &str = "reads-key";
/// What a deep page may take, as a multiple of the first one.
const GOAL: f64 = 2.0;
/// How long the program may take to start and to take in the words of what is stored.
const START_MAX: Duration = Duration::from_secs(1_200);
/// Rows in the pages by which a deep page is walked to.
const WALK: u64 = 200;
/// Pages that are walked to get deep, at the most.
const WALK_MAX: usize = 400;

/// Measures reading on a large and on a small database.
#[derive(Parser)]
#[command(name = "reads")]
struct Cli {
    /// Messages in the large database; all else is in proportion.
    #[arg(long, default_value_t = 1_000_000)]
    messages: u64,
    /// Messages in the small database.
    #[arg(long, default_value_t = 10_000)]
    small: u64,
    /// On which databases.
    #[arg(long, value_delimiter = ',', default_value = "sqlite")]
    database: Vec<Engine>,
    /// How often each page is asked for.
    #[arg(long, default_value_t = 40)]
    rounds: usize,
    /// Where the databases are put for the time of the run.
    #[arg(long, default_value_os_t = std::env::temp_dir())]
    below: PathBuf,
    /// Only calls whose path has this in it.
    #[arg(long)]
    only: Option<String>,
    /// The program.
    #[arg(long, default_value = env!("CARGO_BIN_EXE_switchboard"))]
    binary: PathBuf,
    /// Given by `cargo bench`; means nothing.
    #[arg(long, hide = true)]
    bench: bool,
}

/// How a deep page of a list is found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Deep {
    /// From the same list cut off at a time: its cursor is good for the whole list.
    Until,
    /// Page by page.
    Walk,
    /// It is the same call over another time, `{…}` put in its place.
    Other(&'static str),
    /// There is none: one answer, or few rows.
    None,
}

/// A call, and how its deep page is found. `{line}` and `{contact}` are those with the most messages.
const CALLS: [(&str, Deep); 42] = [
    ("messages", Deep::Until),
    ("messages?order=asc", Deep::Walk),
    ("messages?direction=in", Deep::Until),
    ("messages?type=text", Deep::Until),
    ("messages?type=image", Deep::Until),
    ("messages?type=image&direction=in", Deep::Until),
    ("messages?status=read", Deep::Until),
    ("messages?status=failed", Deep::Until),
    ("messages?status=queued", Deep::None),
    ("messages?contact={contact}", Deep::Until),
    ("messages?contact=%2B4915100000007", Deep::None),
    ("messages?conversation={line}", Deep::Until),
    ("messages?conversation={line}&direction=out&type=text", Deep::Until),
    ("messages?phone_number_id=106540352242922", Deep::Until),
    ("messages?phone_number_id=1", Deep::None),
    ("messages?q=order", Deep::Until),
    ("messages?q=gear", Deep::Until),
    ("messages?q=w7", Deep::Until),
    ("messages?q=gear%20w7", Deep::Until),
    ("messages?q=gea*", Deep::Until),
    ("messages?q=7770", Deep::None),
    ("messages?q=nowhere", Deep::None),
    ("messages?q=gear&contact={contact}", Deep::Until),
    ("messages?q=w7&direction=in", Deep::Until),
    ("conversations/{line}/messages", Deep::Walk),
    ("contacts", Deep::Walk),
    ("contacts?name=person%20777", Deep::None),
    ("contacts?phone=49151", Deep::Walk),
    ("contacts?opted_out=true", Deep::Walk),
    ("conversations", Deep::Walk),
    ("conversations?state=orders", Deep::Walk),
    ("conversations?handed_off=true", Deep::Walk),
    ("webhooks", Deep::Until),
    ("webhooks?state=quarantined", Deep::Until),
    ("webhooks?conversation={line}", Deep::Until),
    ("webhooks?reason=index", Deep::Until),
    ("queue?state=dead", Deep::Walk),
    ("media", Deep::Walk),
    ("media?state=failed", Deep::Walk),
    ("audit", Deep::Until),
    ("audit?action=send.send&outcome=refused", Deep::Until),
    ("keys", Deep::Walk),
];

/// Statistics: the newest range, and the same length of time at the beginning.
const STATISTICS: [(&str, Deep); 5] = [
    ("stats", Deep::None),
    ("stats?by=hour&since={newest:5}", Deep::Other("stats?by=hour&since={oldest:0}&until={oldest:6}")),
    ("stats?by=day&since={newest:90}", Deep::Other("stats?by=day&since={oldest:0}&until={oldest:90}")),
    ("stats?since={newest:300}", Deep::Other("stats?since={oldest:0}&until={oldest:300}")),
    (
        "stats?by=hour&phone_number_id=106540352242922&since={newest:5}",
        Deep::Other("stats?by=hour&phone_number_id=106540352242922&since={oldest:0}&until={oldest:6}"),
    ),
];

fn main() -> ExitCode {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let run = runtime.map_err(anyhow::Error::from).and_then(|runtime| runtime.block_on(run(&Cli::parse())));
    match run {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            tell(&format!("{error:#}"));
            ExitCode::FAILURE
        }
    }
}

/// What one call came to on one database, in milliseconds.
struct Row {
    call: &'static str,
    first: f64,
    deep: Option<f64>,
}

async fn run(cli: &Cli) -> anyhow::Result<bool> {
    let mut kept = true;
    for engine in &cli.database {
        let small = measure(cli, *engine, cli.small).await?;
        let large = measure(cli, *engine, cli.messages).await?;
        say(&format!(
            "\n{}: {} messages beside {}; milliseconds, the median of {}\n\n{:<66} {:>8} {:>8} {:>6} {:>8} {:>6}",
            engine.name(),
            cli.messages,
            cli.small,
            cli.rounds,
            "call",
            "first",
            "deep",
            "ratio",
            "small",
            "ratio"
        ));
        let mut worst: f64 = 0.0;
        for (row, small) in large.iter().zip(&small) {
            let deep = row.deep.map(|deep| deep / row.first);
            let growth = row.first / small.first;
            worst = worst.max(deep.unwrap_or(0.0));
            let missed = if deep.is_some_and(|ratio| ratio > GOAL) { "  MISSED" } else { "" };
            let shown =
                |value: Option<f64>| value.map_or_else(|| "-".to_owned(), |value| format!("{value:.2}"));
            say(&format!(
                "{:<66} {:>8.2} {:>8} {:>6} {:>8.2} {growth:>6.2}{missed}",
                row.call,
                row.first,
                shown(row.deep),
                shown(deep),
                small.first
            ));
        }
        say(&format!(
            "\nthe worst ratio of a deep page to the first one: {worst:.2}; wanted: at most {GOAL}"
        ));
        kept &= worst <= GOAL;
    }
    Ok(kept)
}

/// Fills a database, starts the program on it, and measures each call.
async fn measure(cli: &Cli, engine: Engine, messages: u64) -> anyhow::Result<Vec<Row>> {
    let database = Database::new(engine, &cli.below)?;
    let past = Past::new(messages, now_ms());
    tell(&format!("{}: {messages} messages are written", engine.name()));
    fill::write(&database, past).await?;
    tell("  the program starts, and takes in the words");
    let program = Program::start(&cli.binary, &database, past).await?;
    fill::keep_house(&database).await?;
    tell("  measured");
    let mut rows = Vec::new();
    for (call, deep) in CALLS.iter().chain(&STATISTICS) {
        if cli.only.as_ref().is_some_and(|only| !call.contains(only)) {
            continue;
        }
        let first = program.fill_in(call);
        let deep = program.find_deep(&first, *deep).await.with_context(|| (*call).to_owned())?;
        let (mut firsts, mut deeps) = (Vec::new(), Vec::new());
        for _ in 0..cli.rounds {
            firsts.push(program.timed(&first).await?);
            if let Some(deep) = &deep {
                deeps.push(program.timed(deep).await?);
            }
        }
        rows.push(Row { call, first: median(firsts), deep: deep.map(|_| median(deeps)) });
    }
    Ok(rows)
}

fn median(mut times: Vec<f64>) -> f64 {
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}

/// The program on a filled database.
struct Program {
    process: Process,
    http: reqwest::Client,
    past: Past,
    line: String,
    contact: String,
    _folder: TempDir,
}

impl Program {
    async fn start(binary: &std::path::Path, database: &Database, past: Past) -> anyhow::Result<Self> {
        let folder = tempfile::tempdir()?;
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port();
        let addr = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let settings = [
            ("SWITCHBOARD_LISTEN", addr.to_string()),
            ("DATABASE_URL", database.url().to_owned()),
            ("WHATSAPP_PHONE_NUMBER_ID", NUMBER.to_owned()),
            ("WHATSAPP_API_TOKEN", "reads-token".to_owned()),
            ("WHATSAPP_WEBHOOK_VERIFY_TOKEN", "reads-verify".to_owned()),
            ("WHATSAPP_APP_SECRET", "reads-secret".to_owned()),
            // Nothing is sent; nobody is there.
            ("WHATSAPP_GRAPH_URL", "http://127.0.0.1:9".to_owned()),
            ("SWITCHBOARD_API_KEY", API_KEY.to_owned()),
            ("SWITCHBOARD_API_REQUESTS_PER_SECOND", "0".to_owned()),
            ("SWITCHBOARD_MEDIA_URL", folder.path().join("media").display().to_string()),
            ("SWITCHBOARD_LOG", "error".to_owned()),
        ];
        let child = Command::new(binary)
            .arg("serve")
            .current_dir(folder.path())
            .env_clear()
            .envs(settings)
            .stdin(Stdio::null())
            .spawn()
            .with_context(|| format!("cannot start {}", binary.display()))?;
        // Another one may have set it before.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut program = Self {
            process: Process::new(child, addr),
            http: reqwest::Client::builder().no_proxy().build()?,
            past,
            line: String::new(),
            contact: String::new(),
            _folder: folder,
        };
        let ready = program.until_ready();
        tokio::time::timeout(START_MAX, ready).await.context("the program was not ready in time")??;
        let longest = program.json("conversations?order=asc&limit=1").await?;
        let text = |value: &Value| value.as_str().map(str::to_owned).context("an id");
        program.line = text(&longest["data"][0]["id"])?;
        program.contact = text(&longest["data"][0]["contact"]["id"])?;
        Ok(program)
    }

    /// Waits until it answers, and finds the newest word that there is.
    async fn until_ready(&mut self) -> anyhow::Result<()> {
        let newest = (self.past.messages - 1) / 10 * 10;
        loop {
            if !self.process.is_alive() {
                bail!("the program ended by itself");
            }
            if let Ok(found) = self.json(&format!("messages?q={newest}&limit=1")).await
                && found["data"].as_array().is_some_and(|rows| !rows.is_empty())
            {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}/api/whatsapp/{path}", self.process.addr)
    }

    async fn json(&self, path: &str) -> anyhow::Result<Value> {
        let answer = self.http.get(self.url(path)).bearer_auth(API_KEY).send().await?;
        let status = answer.status();
        let body: Value = answer.json().await?;
        anyhow::ensure!(status == 200, "{path} was answered {status}: {body}");
        Ok(body)
    }

    /// How long a call takes, in milliseconds.
    async fn timed(&self, path: &str) -> anyhow::Result<f64> {
        let began = instant();
        let answer = self.http.get(self.url(path)).bearer_auth(API_KEY).send().await?;
        let status = answer.status();
        answer.bytes().await?;
        let took = began.elapsed().as_secs_f64() * 1_000.0;
        anyhow::ensure!(status == 200, "{path} was answered {status}");
        Ok(took)
    }

    /// A call with its ids and times.
    fn fill_in(&self, call: &str) -> String {
        let mut path = call.replace("{line}", &self.line).replace("{contact}", &self.contact);
        for (word, from) in [("oldest", self.past.began_at), ("newest", self.past.began_at + PAST)] {
            while let Some((before, rest)) = path.split_once(&format!("{{{word}:")) {
                let (days, after) = rest.split_once('}').unwrap_or((rest, ""));
                let days = days.parse::<u64>().unwrap_or(0) * 86_400_000;
                let at = if word == "oldest" { from + days } else { from - days };
                path = format!("{before}{}{after}", time(at));
            }
        }
        path
    }

    /// The path of a page far from the beginning.
    async fn find_deep(&self, path: &str, deep: Deep) -> anyhow::Result<Option<String>> {
        let joint = if path.contains('?') { '&' } else { '?' };
        let cursor_of = |page: &Value| page["next_cursor"].as_str().map(str::to_owned);
        let cursor = match deep {
            Deep::None => return Ok(None),
            Deep::Other(other) => return Ok(Some(self.fill_in(other))),
            Deep::Until => {
                // As near to the end as there is a row behind the one that is shown.
                let mut found = None;
                for share in [20, 5, 2] {
                    let until = time(self.past.began_at + PAST / share);
                    let page = self.json(&format!("{path}{joint}limit=1&until={until}")).await?;
                    found = found.or_else(|| cursor_of(&page));
                }
                let Some(cursor) = found else { return Ok(None) };
                cursor
            }
            Deep::Walk => {
                let mut cursor = None;
                for _ in 0..WALK_MAX {
                    let step = cursor.as_ref().map_or(String::new(), |cursor| format!("&cursor={cursor}"));
                    let page = self.json(&format!("{path}{joint}limit={WALK}{step}")).await?;
                    match cursor_of(&page) {
                        Some(next) => cursor = Some(next),
                        None => break,
                    }
                }
                let Some(cursor) = cursor else { return Ok(None) };
                cursor
            }
        };
        Ok(Some(format!("{path}{joint}cursor={cursor}")))
    }
}

fn time(at: u64) -> String {
    let at = i64::try_from(at).unwrap_or(i64::MAX);
    jiff::Timestamp::from_millisecond(at).unwrap_or_default().to_string()
}

#[expect(clippy::disallowed_methods, reason = "a measurement is about the machine's own clock")]
fn instant() -> std::time::Instant {
    std::time::Instant::now()
}

#[expect(clippy::disallowed_methods, reason = "what is made up ends shortly before the machine's own time")]
fn now_ms() -> u64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

#[expect(clippy::print_stdout, reason = "the figures go to standard output")]
fn say(text: &str) {
    println!("{text}");
}

#[expect(clippy::print_stderr, reason = "what is under way goes to standard error")]
fn tell(text: &str) {
    eprintln!("{text}");
}
