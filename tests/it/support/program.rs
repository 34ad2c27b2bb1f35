//! The program as a process of its own, which can be killed.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use switchboard::sandbox::LocalMeta;
use switchboard::webhook;
use tempfile::TempDir;

use super::app::API_KEY;

/// `switchboard serve`, on a fixed address, so that it can come back there.
pub(crate) struct Program {
    child: Child,
    addr: SocketAddr,
    environment: Vec<(String, String)>,
    folder: TempDir,
}

impl Program {
    /// Starts it against this Meta and database; `settings` are further environment variables.
    pub(crate) async fn start(
        meta: &LocalMeta,
        database: &str,
        flow: &str,
        settings: &[(&str, &str)],
    ) -> Self {
        Self::start_with_file(meta, database, flow, settings, "").await
    }

    /// The same, with this `switchboard.toml`.
    pub(crate) async fn start_with_file(
        meta: &LocalMeta,
        database: &str,
        flow: &str,
        settings: &[(&str, &str)],
        file: &str,
    ) -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("switchboard.toml"), file).unwrap();
        let flow_file = folder.path().join("flow.yaml");
        std::fs::write(&flow_file, flow).unwrap();
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port();
        let addr = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let made_up = meta.settings();
        let mut environment: Vec<(String, String)> = [
            ("SWITCHBOARD_LISTEN", addr.to_string()),
            ("DATABASE_URL", database.to_owned()),
            ("WHATSAPP_PHONE_NUMBER_ID", made_up.phone_number_id.clone()),
            ("WHATSAPP_API_TOKEN", made_up.token.clone()),
            ("WHATSAPP_WEBHOOK_VERIFY_TOKEN", made_up.verify_token.clone()),
            ("WHATSAPP_APP_SECRET", made_up.app_secret.clone()),
            ("WHATSAPP_GRAPH_URL", meta.graph_url()),
            ("SWITCHBOARD_API_KEY", API_KEY.to_owned()),
            ("SWITCHBOARD_MEDIA_URL", folder.path().join("media").display().to_string()),
            ("SWITCHBOARD_FLOW", flow_file.display().to_string()),
            ("SWITCHBOARD_MESSAGES_PER_SECOND", "0".to_owned()),
            ("SWITCHBOARD_LOG", "error".to_owned()),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .into();
        environment.extend(settings.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        let child = spawn(&environment, folder.path());
        let mut program = Self { child, addr, environment, folder };
        program.until_ready().await;
        meta.set_webhook_url(&program.webhook_url()).unwrap();
        program
    }

    pub(crate) fn webhook_url(&self) -> String {
        format!("http://{}{}", self.addr, webhook::PATH)
    }

    /// What it was started with.
    pub(crate) fn environment(&self) -> &[(String, String)] {
        &self.environment
    }

    pub(crate) fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// A command of the program, with the settings of this one.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_switchboard"));
        let environment = self.environment.iter().map(|(name, value)| (name, value));
        command.args(arguments).current_dir(self.folder.path()).env_clear().envs(environment);
        command.stdin(Stdio::null());
        command
    }

    /// Where it keeps its files.
    pub(crate) fn folder(&self) -> &std::path::Path {
        self.folder.path()
    }

    /// How it ended, if it has by itself.
    pub(crate) fn ended(&mut self) -> Option<std::process::ExitStatus> {
        self.child.try_wait().unwrap()
    }

    /// SIGKILL, without a warning.
    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Starts it again where it was.
    pub(crate) async fn start_again(&mut self) {
        self.child = spawn(&self.environment, self.folder.path());
        self.until_ready().await;
    }

    /// No file of it may grow beyond so many bytes from here on, or any may again: what is written beyond is an error, as on a
    /// full disk. Answers whether that can be had (`prlimit` is of util-linux).
    pub(crate) fn limit_files(&self, bytes: Option<u64>) -> bool {
        let soft = bytes.map_or("unlimited".to_owned(), |bytes| bytes.to_string());
        let mut prlimit = Command::new("prlimit");
        prlimit.args(["--pid", &self.child.id().to_string(), &format!("--fsize={soft}:")]);
        prlimit.status().is_ok_and(|status| status.success())
    }

    /// Resident memory in KiB.
    pub(crate) fn resident_kib(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    }

    async fn until_ready(&mut self) {
        let http = super::wire::client();
        let url = format!("http://{}/api/whatsapp/health", self.addr);
        loop {
            if let Some(status) = self.ended() {
                panic!("the program ended by itself: {status}");
            }
            if http.get(&url).send().await.is_ok_and(|answer| answer.status().is_success()) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // It may have been killed before.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn spawn(environment: &[(String, String)], folder: &std::path::Path) -> Child {
    // Beyond its limit, a file is to give an error and no signal.
    Command::new("sh")
        .args(["-c", r#"trap "" XFSZ; exec "$0" serve"#, env!("CARGO_BIN_EXE_switchboard")])
        .current_dir(folder)
        .env_clear()
        .envs(environment.iter().map(|(name, value)| (name, value)))
        .stdin(Stdio::null())
        .spawn()
        .expect("the program starts")
}
