//! The program as a person runs it, and its sandbox as a process of its own.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// The program, in an empty folder and with nothing set.
pub(crate) fn switchboard(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_switchboard"));
    command.args(arguments).current_dir(folder).env_clear().env("TMPDIR", folder).stdin(Stdio::null());
    command
}

/// A running sandbox and what it printed.
pub(crate) struct Sandbox {
    pub(crate) child: Child,
    pub(crate) meta: String,
    pub(crate) app: String,
    pub(crate) key: String,
}

impl Sandbox {
    pub(crate) fn start(folder: &Path) -> Self {
        Self::start_with(folder, &[], |command| command)
    }

    /// With these further arguments, and whatever else `change` sets.
    pub(crate) fn start_with(
        folder: &Path,
        arguments: &[&str],
        change: impl FnOnce(&mut Command) -> &mut Command,
    ) -> Self {
        let arguments = [&["sandbox", "--meta", "127.0.0.1:0"], arguments].concat();
        let mut command = switchboard(folder, &arguments);
        command
            .env("SWITCHBOARD_LOG", "error")
            .env("SWITCHBOARD_LISTEN", "127.0.0.1:0")
            .stdout(Stdio::piped());
        let child = change(&mut command).spawn().unwrap();
        let mut sandbox = Self { child, meta: String::new(), app: String::new(), key: String::new() };
        let printed = BufReader::new(sandbox.child.stdout.take().unwrap()).lines().map_while(Result::ok);
        let welcome: Vec<String> = printed.take_while(|line| !line.contains("Ctrl-C")).collect();
        let after = |line: &str, mark: &str| {
            let line = welcome
                .iter()
                .find(|printed| printed.trim_start().starts_with(line))
                .expect("a line of the welcome");
            let found = line.split(mark).nth(1).expect("what the line tells");
            found.split(['/', '\'', ' ']).next().unwrap().to_owned()
        };
        sandbox.meta = format!("http://{}", after("Open", "http://"));
        sandbox.app = format!("http://{}", after("Read", "http://"));
        sandbox.key = after("Read", "Bearer ");
        sandbox
    }

    pub(crate) fn interrupt(&self) {
        let sent = Command::new("kill").args(["-INT", &self.child.id().to_string()]).status();
        assert!(sent.unwrap().success());
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        // It may have ended before.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
