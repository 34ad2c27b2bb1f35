//! A shell in which a page is followed from top to bottom, and the program beside it in a terminal of its own.
//!
//! The addresses of the page are exchanged for free ones, there and back, and `cargo run --release --` for the program that
//! was built with this test. Everything else is run as it stands.

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::Duration;

use tempfile::TempDir;

use crate::page::{Addition, Example, Manner, Page, Part};
use crate::shown::compare;

/// How long an example may take before it has failed.
const PATIENCE: Duration = Duration::from_secs(120);
/// Between two looks at what is not there yet.
pub(crate) const PAUSE: Duration = Duration::from_millis(200);
/// Looks before it is not there at all.
pub(crate) const TRIES: u32 = 600;
/// Where the pages say that the program is, the local Meta, and a service of somebody else's.
const PLACES: [&str; 3] = ["127.0.0.1:8000", "127.0.0.1:8001", "127.0.0.1:8002"];
const CARGO_RUN: &str = "cargo run --release -- ";
/// What the sandbox says last when it is ready.
const READY: &str = "Ctrl-C ends it.";
/// Written after each example, with its exit code.
const END: &str = "@@@ the example has ended with";

pub(crate) struct Session {
    folder: TempDir,
    shell: Child,
    to_shell: ChildStdin,
    from_shell: Receiver<String>,
    beside: Option<Beside>,
    /// Where they are here.
    addresses: [String; 3],
}

/// What keeps running beside.
struct Beside(Child);

impl Session {
    pub(crate) fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let addresses = free_addresses();
        let [app, meta, _] = &addresses;
        let bin = folder.path().join("bin");
        fs::create_dir(&bin).unwrap();
        let program = env!("CARGO_BIN_EXE_switchboard");
        let wrapper = format!(
            "#!/bin/sh\n[ \"$1\" = sandbox ] && exec '{program}' \"$@\" --meta {meta}\nexec '{program}' \"$@\"\n"
        );
        fs::write(bin.join("switchboard"), wrapper).unwrap();
        fs::set_permissions(bin.join("switchboard"), fs::Permissions::from_mode(0o755)).unwrap();
        fs::create_dir(folder.path().join("work")).unwrap();
        let mut shell = shell(folder.path(), app)
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn()
            .unwrap();
        let to_shell = shell.stdin.take().unwrap();
        let from_shell = lines_of(shell.stdout.take().unwrap());
        Self { folder, shell, to_shell, from_shell, beside: None, addresses }
    }

    /// Follows a page. What differs from it is a panic that names the place.
    pub(crate) fn follow(&mut self, page: &Page) {
        for part in &page.parts {
            match part {
                Part::Example(example) => {
                    let told = match &example.manner {
                        Manner::NotRun(_) => Ok(()),
                        Manner::KeepsRunning => self.keep_running(example),
                        Manner::Runs | Manner::Fails => self.try_out(example),
                    };
                    told.unwrap_or_else(|told| {
                        panic!("{}:{}: {told}\n\n{}", page.name, example.line, example.script)
                    });
                }
                Part::File { name, text } => fs::write(self.work().join(name), text).unwrap(),
                Part::Addition(addition) => self.add(page, addition),
                Part::PowerShell(_) => {}
            }
        }
        self.try_powershell(page);
    }

    /// Runs what the page has for PowerShell, where it is installed; what fails in it is a panic.
    fn try_powershell(&mut self, page: &Page) {
        let blocks = page
            .parts
            .iter()
            .filter_map(|part| if let Part::PowerShell(text) = part { Some(text) } else { None });
        let script = blocks.fold(String::new(), |script, block| script + block);
        if script.is_empty() {
            return;
        }
        if self.run("command -v pwsh").1 != 0 {
            crate::left_out(&format!(
                "what {} has for PowerShell, because `pwsh` is not installed",
                page.name
            ));
            return;
        }
        let script = format!("$ErrorActionPreference = 'Stop'\n{}", self.real(&script));
        fs::write(self.work().join("page.ps1"), script).unwrap();
        let (output, code) = self.run("pwsh -NoProfile -NonInteractive -File page.ps1");
        assert_eq!(code, 0, "{}, in PowerShell:\n{output}", page.name);
    }

    /// Runs a command that is on no page, and says what it printed.
    pub(crate) fn ask(&mut self, command: &str) -> String {
        let (output, code) = self.run(command);
        assert_eq!(code, 0, "{command}: {output}");
        output
    }

    /// Starts what keeps running, for commands that are on no page.
    pub(crate) fn serve_beside(&mut self, script: &str) {
        let example =
            Example { line: 0, script: script.to_owned(), manner: Manner::KeepsRunning, answer: None };
        self.keep_running(&example).unwrap_or_else(|told| panic!("{told}"));
    }

    fn work(&self) -> PathBuf {
        self.folder.path().join("work")
    }

    /// Runs an example, again as long as it only looks and does not yet see what is shown.
    fn try_out(&mut self, example: &Example) -> Result<(), String> {
        let looks = example.script.contains("curl ")
            && !["-X ", " -d ", "--data", "say "].iter().any(|word| example.script.contains(word));
        let mut tries = TRIES;
        loop {
            let (output, code) = self.run(&example.script);
            let wanted = code == 0 || example.manner == Manner::Fails;
            let told = match &example.answer {
                _ if !wanted => Err(format!("it ended with {code}")),
                Some(answer) => compare(answer, &output),
                None => Ok(()),
            };
            tries -= 1;
            match told {
                Err(_) if looks && tries > 0 => pause(PAUSE),
                told => return told.map_err(|told| format!("{told}; what came is\n{output}")),
            }
        }
    }

    /// Runs commands, and says what they printed and how they ended.
    fn run(&mut self, script: &str) -> (String, i32) {
        let file = self.folder.path().join("example.sh");
        fs::write(&file, self.real(script)).unwrap();
        writeln!(self.to_shell, ". '{}' < /dev/null 2>&1; echo; echo \"{END} $?\"", file.display()).unwrap();
        let mut output = String::new();
        loop {
            let line = match self.from_shell.recv_timeout(PATIENCE) {
                Ok(line) => line,
                Err(RecvTimeoutError::Timeout) => panic!("it does not end:\n{script}\n{output}"),
                Err(RecvTimeoutError::Disconnected) => panic!("the shell ended:\n{script}\n{output}"),
            };
            if let Some(code) = line.strip_prefix(END) {
                let output = self.shown(output.trim_end());
                return (output, code.trim().parse().unwrap());
            }
            output.push_str(&line);
            output.push('\n');
        }
    }

    fn real(&self, script: &str) -> String {
        let places = PLACES.iter().zip(&self.addresses);
        places.fold(script.replace(CARGO_RUN, "switchboard "), |script, (place, here)| {
            script.replace(place, here)
        })
    }

    /// With the addresses of the page.
    fn shown(&self, output: &str) -> String {
        let places = PLACES.iter().zip(&self.addresses);
        places.fold(output.to_owned(), |output, (place, here)| output.replace(here, place))
    }

    /// Starts what keeps running, in the place of what ran before, and waits until it is ready.
    fn keep_running(&mut self, example: &Example) -> Result<(), String> {
        self.beside = None;
        let script = format!("exec 2>&1\n{}", self.real(&example.script));
        let child = shell(self.folder.path(), &self.addresses[0])
            .args(["-c", &script])
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let beside = self.beside.insert(Beside(child));
        let lines = lines_of(beside.0.stdout.take().unwrap());
        let is_sandbox = example.script.contains(" sandbox");
        let mut said = String::new();
        for _ in 0..TRIES {
            if let Some(status) = beside.0.try_wait().unwrap() {
                said.extend(lines.iter().map(|line| line + "\n"));
                return Err(format!("it ended by itself with {status}:\n{said}"));
            }
            pause(PAUSE);
            said.extend(lines.try_iter().map(|line| line + "\n"));
            let open = TcpStream::connect(&self.addresses[0]).is_ok();
            if open && (!is_sandbox || said.contains(READY)) {
                // So that its pipe never fills.
                thread::spawn(move || lines.iter().for_each(drop));
                let said = self.shown(said.trim());
                let Some(answer) = &example.answer else { return Ok(()) };
                return compare(answer, &said).map_err(|told| format!("{told}; what it said is\n{said}"));
            }
        }
        Err(format!("it is not ready:\n{said}"))
    }

    fn add(&self, page: &Page, addition: &Addition) {
        let Addition { line, file, after, mark, text } = addition;
        let path = self.work().join(file);
        let known =
            fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}:{line}: {file}: {error}", page.name));
        let mut lines: Vec<&str> = known.lines().collect();
        let found = lines.iter().position(|known| known.trim_start().starts_with(mark.as_str()));
        let found =
            found.unwrap_or_else(|| panic!("{}:{line}: no line of {file} begins with `{mark}`", page.name));
        lines.insert(found + usize::from(*after), text.trim_end());
        fs::write(path, lines.join("\n") + "\n").unwrap();
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.beside = None;
        // With what the page has begun in it; it may have ended before.
        let group = format!("-{}", self.shell.id());
        let _ = Command::new("kill").args(["-KILL", "--", &group]).stderr(Stdio::null()).status();
        let _ = self.shell.wait();
    }
}

impl Drop for Beside {
    /// Ctrl-C, to everything in this terminal, and what does not heed it is killed.
    fn drop(&mut self) {
        let group = format!("-{}", self.0.id());
        let signal =
            |name: &str| Command::new("kill").args([name, "--", &group]).stderr(Stdio::null()).status();
        let _ = signal("-INT");
        for _ in 0..300 {
            if self.0.try_wait().is_ok_and(|status| status.is_some()) {
                return;
            }
            pause(Duration::from_millis(100));
        }
        let _ = signal("-KILL");
        let _ = self.0.wait();
    }
}

/// A shell with nothing set but where to find programs and on which address the program is to listen.
fn shell(folder: &Path, app: &str) -> Command {
    let path = format!("{}:{}", folder.join("bin").display(), std::env::var("PATH").unwrap_or_default());
    let mut command = Command::new("bash");
    command
        .args(["--noprofile", "--norc"])
        .current_dir(folder.join("work"))
        .env_clear()
        .env("PATH", path)
        .env("HOME", folder)
        .env("TMPDIR", folder)
        .env("LANG", "C.UTF-8")
        .env("SWITCHBOARD_LISTEN", app)
        .env("SWITCHBOARD_LOG", "error");
    command
}

fn lines_of(output: impl std::io::Read + Send + 'static) -> Receiver<String> {
    let (tell, told) = channel();
    thread::spawn(move || {
        // Nobody listens when the test has ended.
        BufReader::new(output).lines().map_while(Result::ok).try_for_each(|line| tell.send(line)).ok();
    });
    told
}

/// Addresses that nobody listens on.
fn free_addresses() -> [String; 3] {
    let listeners = [(); 3].map(|()| TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap());
    listeners.map(|listener| listener.local_addr().unwrap().to_string())
}

#[expect(clippy::disallowed_methods, reason = "no actor runs on this thread")]
pub(crate) fn pause(length: Duration) {
    thread::sleep(length);
}
