//! The stage of a run: the local Meta, and before it one of the things that are measured.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, bail};
use serde_json::Value;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;
use tokio::sync::watch;

use crate::ceiling::Ceiling;
use crate::connection::Connection;
use crate::database::Database;
use crate::graph::Orders;
use crate::judge::Reply;
use crate::process::Process;
use crate::wire;
use crate::workload::Common;

/// The flow of a run: it answers each text with it and the one before, so that an answer proves which message it is to and
/// that the conversation has kept its state.
const FLOW: &str = r#"
switchboard: 1
bot: load
start: answer
fallback: { say: "text, please", retries: 100, then: listen }
states:
  answer:
    set: { before: said, said: event.text }
    say: "${ said }, before that ${ before or 'nothing' }"
    go: listen
  listen:
    ask: "${ '' }"
    expect: text
    save: heard
    globals: off
    go: answer
"#;
/// How long the program may take to start.
const START_MAX: Duration = Duration::from_secs(120);
/// How long a run waits for the rest of its answers without any progress.
const STALLED: Duration = Duration::from_secs(30);
/// How often something is looked at.
const TICK: Duration = Duration::from_millis(5);

/// The local Meta.
pub(crate) struct Meta {
    process: Process,
    pub(crate) answered: watch::Receiver<u64>,
}

impl Meta {
    pub(crate) async fn start() -> anyhow::Result<Self> {
        let process = Process::of_this_program(&["graph"])?;
        let mut stream = TcpStream::connect(process.addr).await?;
        stream.write_all(b"GET /answered HTTP/1.1\r\n\r\n").await?;
        let (count, answered) = watch::channel(0);
        tokio::task::spawn_local(async move {
            let mut lines = BufReader::new(stream).lines();
            while let Ok(Some(line)) = lines.next_line().await {
                count.send_replace(line.parse().unwrap_or(0));
            }
        });
        Ok(Self { process, answered })
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.process.addr)
    }

    /// Begins afresh.
    pub(crate) async fn reset(&mut self, orders: &Orders) -> anyhow::Result<()> {
        let body = serde_json::to_string(orders)?;
        let request = format!("POST /reset HTTP/1.1\r\ncontent-length: {}\r\n\r\n{body}", body.len());
        Connection::new(self.process.addr).exchange(request.as_bytes()).await?;
        self.answered.wait_for(|answered| *answered == 0).await?;
        Ok(())
    }

    /// Waits until so many messages have arrived, or none arrives any more.
    pub(crate) async fn until(&self, count: u64) -> anyhow::Result<()> {
        let mut answered = self.answered.clone();
        while *answered.borrow_and_update() < count {
            if tokio::time::timeout(STALLED, answered.changed()).await.is_err() {
                break;
            }
        }
        Ok(())
    }

    /// Everything that has arrived, in order; fails when something was no message of ours.
    pub(crate) async fn log(&self) -> anyhow::Result<Vec<Reply>> {
        let answer = Connection::new(self.process.addr).get("/log").await?;
        let text = String::from_utf8(answer.body)?;
        let mut lines = text.lines();
        let refused = lines.next().context("the log begins with a count")?;
        anyhow::ensure!(refused == "0", "the local Meta has refused {refused} requests");
        lines.map(Reply::read).collect()
    }
}

/// What is measured, running.
pub(crate) enum Target {
    Ceiling(Process),
    Program(Box<Program>),
}

impl Target {
    pub(crate) fn ceiling(ceiling: Ceiling, meta: &Meta, workers: usize) -> anyhow::Result<Self> {
        let name = if ceiling == Ceiling::Verify { "verify" } else { "echo" };
        let arguments = ["ceiling", name, &meta.url(), &workers.to_string()];
        Ok(Self::Ceiling(Process::of_this_program(&arguments)?))
    }

    pub(crate) fn process(&self) -> &Process {
        match self {
            Self::Ceiling(process) => process,
            Self::Program(program) => &program.process,
        }
    }

    pub(crate) fn addr(&self) -> SocketAddr {
        self.process().addr
    }
}

/// `switchboard serve`, the release build.
pub(crate) struct Program {
    process: Process,
    /// Its flow and files.
    _folder: TempDir,
}

impl Program {
    /// Starts it on this database, against this Meta; `settings` are further environment variables.
    pub(crate) async fn start(
        common: &Common,
        meta: &Meta,
        database: &Database,
        settings: &[(&str, &str)],
    ) -> anyhow::Result<Self> {
        let folder = tempfile::tempdir()?;
        let flow = folder.path().join("flow.yaml");
        std::fs::write(&flow, FLOW)?;
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port();
        let addr = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let own = [
            ("SWITCHBOARD_LISTEN", addr.to_string()),
            ("DATABASE_URL", database.url().to_owned()),
            ("WHATSAPP_PHONE_NUMBER_ID", wire::NUMBER.to_owned()),
            ("WHATSAPP_API_TOKEN", wire::TOKEN.to_owned()),
            ("WHATSAPP_WEBHOOK_VERIFY_TOKEN", "load-verify".to_owned()),
            ("WHATSAPP_APP_SECRET", wire::APP_SECRET.to_owned()),
            ("WHATSAPP_GRAPH_URL", meta.url()),
            ("SWITCHBOARD_API_KEY", wire::API_KEY.to_owned()),
            ("SWITCHBOARD_MEDIA_URL", folder.path().join("media").display().to_string()),
            ("SWITCHBOARD_FLOW", flow.display().to_string()),
            ("SWITCHBOARD_MESSAGES_PER_SECOND", "0".to_owned()),
            ("SWITCHBOARD_PAIR_PACING", "off".to_owned()),
            ("SWITCHBOARD_API_REQUESTS_PER_SECOND", "0".to_owned()),
            ("SWITCHBOARD_HTTP_WORKERS", common.workers().to_string()),
            ("SWITCHBOARD_LOG", "error".to_owned()),
        ];
        let child = Command::new(&common.binary)
            .arg("serve")
            .current_dir(folder.path())
            .env_clear()
            .envs(own)
            .envs(settings.iter().copied())
            .envs(common.set.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .spawn()
            .with_context(|| format!("cannot start {}", common.binary.display()))?;
        let mut program = Self { process: Process::new(child, addr), _folder: folder };
        program.until_ready().await?;
        Ok(program)
    }

    async fn until_ready(&mut self) -> anyhow::Result<()> {
        let health = async {
            loop {
                if !self.process.is_alive() {
                    bail!("the program ended by itself");
                }
                let answer = Connection::new(self.process.addr).get("/api/whatsapp/health").await;
                if answer.is_ok_and(|answer| answer.status == 200) {
                    return Ok(());
                }
                tokio::time::sleep(TICK).await;
            }
        };
        tokio::time::timeout(START_MAX, health).await.context("the program did not start in time")?
    }

    pub(crate) fn process(&self) -> &Process {
        &self.process
    }

    /// `GET path`, as JSON.
    pub(crate) async fn json(&self, path: &str) -> anyhow::Result<Value> {
        let answer = Connection::new(self.process.addr).get(path).await?;
        anyhow::ensure!(answer.status == 200, "{path} was answered {}", answer.status);
        Ok(serde_json::from_slice(&answer.body)?)
    }

    /// Waits until every accepted event is done and every message is settled.
    pub(crate) async fn until_settled(&self) -> anyhow::Result<()> {
        let settled = async {
            loop {
                let stats = self.json("/api/whatsapp/stats").await?;
                let queued = stats["queue"]["by_state"].as_object().is_some_and(|states| !states.is_empty());
                if stats["unfinished_events"] == 0 && !queued {
                    return Ok(());
                }
                tokio::time::sleep(TICK).await;
            }
        };
        tokio::time::timeout(STALLED, settled).await.context("not everything was settled")?
    }

    /// Waits until so many messages have this status.
    pub(crate) async fn until_status(&self, status: &str, count: u64) -> anyhow::Result<()> {
        let reached = async {
            loop {
                let stats = self.json("/api/whatsapp/stats").await?;
                if stats["messages"]["sent_by_status"][status].as_u64() == Some(count) {
                    return Ok(());
                }
                tokio::time::sleep(TICK).await;
            }
        };
        let waited = tokio::time::timeout(STALLED, reached).await;
        waited.with_context(|| format!("not every message became `{status}`"))?
    }

    /// The value of a metric without labels; 0 where there is none.
    pub(crate) async fn metric(&self, name: &str) -> anyhow::Result<f64> {
        let answer = Connection::new(self.process.addr).get("/metrics").await?;
        let text = String::from_utf8(answer.body)?;
        let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        Ok(value.and_then(|value| value.parse().ok()).unwrap_or(0.0))
    }
}
