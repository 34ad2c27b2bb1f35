//! The processes of a run: started, asked for their address, looked at in `/proc`, and killed at the end.

use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};

use anyhow::Context as _;

/// Clock ticks per second in `/proc/<pid>/stat`; Linux says 100 on every machine.
const TICKS_PER_SECOND: f64 = 100.0;

/// A child. It ends with this value.
pub(crate) struct Process {
    child: Child,
    pub(crate) addr: SocketAddr,
}

impl Process {
    /// Starts this very program with other arguments; it says its address first.
    pub(crate) fn of_this_program(arguments: &[&str]) -> anyhow::Result<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        let mut child = command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).spawn()?;
        let output = child.stdout.take().context("its output is piped")?;
        let mut line = String::new();
        let read = BufReader::new(output).read_line(&mut line);
        let addr = read.map_err(anyhow::Error::from).and_then(|_| Ok(line.trim().parse()?));
        match addr {
            Ok(addr) => Ok(Self { child, addr }),
            Err(error) => {
                drop(child.kill());
                drop(child.wait());
                Err(error.context(format!("`load {}` did not say its address", arguments.join(" "))))
            }
        }
    }

    /// Takes over a child that serves at `addr`.
    pub(crate) fn new(child: Child, addr: SocketAddr) -> Self {
        Self { child, addr }
    }

    /// Whether it runs.
    pub(crate) fn is_alive(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Seconds of processor time that it has used.
    pub(crate) fn cpu_seconds(&self) -> anyhow::Result<f64> {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id()))?;
        // The name, in parentheses, may hold anything; user and system time are the 12th and 13th field after it.
        let fields = stat.rsplit_once(')').context("a name")?.1.split_whitespace();
        let ticks = fields.skip(11).take(2).map(|field| Ok(field.parse::<f64>()?));
        Ok(ticks.sum::<anyhow::Result<f64>>()? / TICKS_PER_SECOND)
    }

    /// Resident memory in KiB.
    pub(crate) fn resident_kib(&self) -> anyhow::Result<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("VmRSS")?;
        Ok(line.split_whitespace().next().context("a number")?.parse()?)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The share of the machine's processor time that was used, over a span.
pub(crate) struct Machine {
    busy: u64,
    all: u64,
}

impl Machine {
    /// As it is now.
    pub(crate) fn now() -> anyhow::Result<Self> {
        let stat = std::fs::read_to_string("/proc/stat")?;
        let first = stat.lines().next().context("the line of all processors")?;
        let times: Vec<u64> = first.split_whitespace().skip(1).map(str::parse).collect::<Result<_, _>>()?;
        // user nice system idle iowait irq softirq steal; guest times are in user's already.
        let all = times.iter().take(8).sum::<u64>();
        let idle = times.get(3).copied().unwrap_or(0) + times.get(4).copied().unwrap_or(0);
        Ok(Self { busy: all - idle, all })
    }

    /// The share in use since then, 0 to 1.
    #[expect(clippy::cast_precision_loss, reason = "a share")]
    pub(crate) fn busy_since(&self) -> anyhow::Result<f64> {
        let now = Self::now()?;
        Ok((now.busy - self.busy) as f64 / (now.all - self.all).max(1) as f64)
    }
}
