//! A real PostgreSQL server for the tests: started once, on a free port, in a temporary folder, and gone when the test
//! program is. Where it is not installed, the tests that need it say so and pass.

use std::io::Write as _;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

/// Set by `.ci/run`: there, a missing PostgreSQL is a failure.
const REQUIRED: &str = "SWITCHBOARD_TEST_POSTGRES";

/// The tests kill our program, not the machine.
const UNSAFE_AND_FAST: [&str; 2] = ["fsync=off", "full_page_writes=off"];

/// What every server is started with.
const ALWAYS: [&str; 3] = ["listen_addresses=127.0.0.1", "unix_socket_directories=", "max_connections=300"];

/// A server of this process's own.
pub(crate) struct Server {
    port: u16,
    bin: PathBuf,
    folder: PathBuf,
    settings: Vec<String>,
    /// Held open: when this process ends, however it ends, the server's keeper reads the end of it and stops the server.
    _keeper: Child,
}

/// The address of a fresh database; `None` where there is no server to be had.
pub(crate) fn create_database() -> Option<String> {
    static SERVER: OnceLock<Option<Server>> = OnceLock::new();
    SERVER.get_or_init(|| Server::start(&UNSAFE_AND_FAST)).as_ref().map(Server::create_database)
}

impl Server {
    /// Starts one with these settings; `None`, said aloud, where PostgreSQL is not installed.
    pub(crate) fn start(settings: &[&str]) -> Option<Self> {
        let Some(bin) = find() else {
            assert!(
                std::env::var_os(REQUIRED).is_none(),
                "{REQUIRED} is set and PostgreSQL is not installed"
            );
            // Not eprintln: what a passing test prints is not shown, and this has to be.
            let _ = std::io::stderr().write_all(
                b"\nLEFT OUT: the tests on PostgreSQL, because `initdb` and `postgres` are not installed\n",
            );
            return None;
        };
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let folder =
            std::env::temp_dir().join(format!("switchboard-test-pg-{}-{number}", std::process::id()));
        std::fs::create_dir_all(&folder).expect("a temporary folder");
        let root = is_root();
        if root {
            let owned = Command::new("chown").arg("postgres").arg(&folder).status();
            assert!(
                owned.is_ok_and(|status| status.success()),
                "PostgreSQL refuses to run as root, and there is no user `postgres`"
            );
        }
        let data = folder.join("data");
        let made = as_postgres(root, &bin.join("initdb"))
            .args(["--auth=trust", "--encoding=UTF8", "--locale=C", "--no-sync", "--username=postgres", "-D"])
            .arg(&data)
            .stdout(Stdio::null())
            .status();
        assert!(made.is_ok_and(|status| status.success()), "initdb failed");
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        let port = listener.local_addr().expect("a listener has an address").port();
        drop(listener);
        let keeper = keep(root, &bin, &folder, &data, port, settings);
        let settings = settings.iter().map(|setting| (*setting).to_owned()).collect();
        let server = Self { port, bin, folder, settings, _keeper: keeper };
        server.until_it_answers();
        Some(server)
    }

    fn until_it_answers(&self) {
        for _ in 0..600 {
            if TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).is_ok() && answers(&self.bin, self.port) {
                return;
            }
            pause();
        }
        panic!("PostgreSQL did not start");
    }

    /// Ends it as a power cut would: nothing is written down any more, and nobody is told.
    pub(crate) fn cut(&self) {
        self.control(&["-m", "immediate", "stop"]);
    }

    /// Starts it again after a [`Server::cut`].
    pub(crate) fn start_again(&self) {
        let settings = ALWAYS.iter().copied().chain(self.settings.iter().map(String::as_str));
        let options: Vec<String> = settings.map(|setting| format!("-c {setting}")).collect();
        let log = self.folder.join("data/log").display().to_string();
        let options = format!("-p {} {}", self.port, options.join(" "));
        self.control(&["-l", &log, "-o", &options, "start"]);
        self.until_it_answers();
    }

    fn control(&self, arguments: &[&str]) {
        let mut pg_ctl = as_postgres(is_root(), &self.bin.join("pg_ctl"));
        pg_ctl.arg("-s").arg("-D").arg(self.folder.join("data")).args(arguments);
        let status = pg_ctl.stdout(Stdio::null()).stderr(Stdio::null()).status();
        assert!(status.is_ok_and(|status| status.success()), "pg_ctl {arguments:?} failed");
    }

    /// The address of a fresh database.
    pub(crate) fn create_database(&self) -> String {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let name = format!("test_{}", NUMBER.fetch_add(1, Ordering::Relaxed));
        let created = Command::new(self.bin.join("createdb"))
            .args(["-h", "127.0.0.1", "-p", &self.port.to_string(), "-U", "postgres", &name])
            .status();
        assert!(created.is_ok_and(|status| status.success()), "createdb failed");
        format!("postgres://postgres@127.0.0.1:{}/{name}", self.port)
    }
}

/// Starts the server under a shell that stops it when its own standard input ends.
fn keep(root: bool, bin: &Path, folder: &Path, data: &Path, port: u16, settings: &[&str]) -> Child {
    let script =
        r#"folder=$1; stop=$2; shift 2; "$@" >"$folder/log" 2>&1 & cat >/dev/null; $stop; rm -rf "$folder""#;
    let server = as_postgres(root, &bin.join("postgres"));
    let mut stop = as_postgres(root, &bin.join("pg_ctl"));
    stop.arg("-D").arg(data).args(["-s", "-m", "immediate", "stop"]);
    let words = std::iter::once(stop.get_program()).chain(stop.get_args()).map(|word| word.to_string_lossy());
    let stop = words.collect::<Vec<_>>().join(" ");
    let mut keeper = Command::new("sh");
    keeper.args(["-c", script, "sh"]).arg(folder).arg(stop).arg(server.get_program()).args(server.get_args());
    keeper.arg("-D").arg(data).args(["-p", &port.to_string()]);
    for setting in ALWAYS.iter().chain(settings) {
        keeper.args(["-c", setting]);
    }
    keeper.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("a shell")
}

#[expect(clippy::disallowed_methods, reason = "no runtime yet, and nothing else runs on this thread")]
fn pause() {
    std::thread::sleep(Duration::from_millis(100));
}

fn answers(bin: &Path, port: u16) -> bool {
    Command::new(bin.join("pg_isready"))
        .args(["-q", "-h", "127.0.0.1", "-p", &port.to_string()])
        .status()
        .is_ok_and(|status| status.success())
}

fn as_postgres(root: bool, program: &Path) -> Command {
    if !root {
        return Command::new(program);
    }
    let mut command = Command::new("runuser");
    command.args(["-u", "postgres", "--"]).arg(program);
    command
}

fn is_root() -> bool {
    let id = Command::new("id").arg("-u").output();
    id.is_ok_and(|id| id.stdout.trim_ascii() == b"0")
}

fn find() -> Option<PathBuf> {
    let on_path = std::env::var_os("PATH")
        .map(|path| std::env::split_paths(&path).collect::<Vec<_>>())
        .unwrap_or_default();
    let mut debian: Vec<PathBuf> = std::fs::read_dir("/usr/lib/postgresql")
        .map(|versions| versions.flatten().map(|version| version.path().join("bin")).collect())
        .unwrap_or_default();
    debian.sort();
    let tools = ["initdb", "postgres", "createdb", "pg_isready"];
    debian.into_iter().rev().chain(on_path).find(|bin| tools.iter().all(|tool| bin.join(tool).exists()))
}
