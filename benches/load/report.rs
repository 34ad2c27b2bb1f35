//! What a run comes to, as a table for people and as JSON for scripts.

use hdrhistogram::Histogram;
use serde::Serialize;

use crate::judge::Outcome;

/// One run of one target under one workload.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Row {
    /// The workload.
    pub(crate) workload: String,
    /// `switchboard (sqlite)`, `echo`, …
    pub(crate) target: String,
    /// What is counted: turns or statuses.
    pub(crate) count: u64,
    /// Of them, in a second, until the last one was settled.
    pub(crate) rate_per_second: f64,
    /// Processor time of the target's process for one of them, in microseconds.
    pub(crate) cpu_us: f64,
    /// From the intended moment to the 200.
    pub(crate) acknowledgement: Latency,
    /// From the intended moment to the arrival of the answer at Meta.
    pub(crate) reply: Option<Latency>,
    /// Answers other than 200.
    pub(crate) refused: u64,
    /// Jobs in a commit of the writer, on average.
    pub(crate) jobs_per_commit: Option<f64>,
    /// Resident memory of the target's process at the end.
    pub(crate) resident_mib: u64,
    /// The share of the machine that was busy, 0 to 1.
    pub(crate) machine_busy: f64,
    /// What the judge found.
    pub(crate) outcome: Outcome,
    /// Why the run does not count, if it does not.
    pub(crate) invalid: Option<String>,
}

/// A spread of times, in milliseconds.
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct Latency {
    pub(crate) p50_ms: f64,
    pub(crate) p99_ms: f64,
    pub(crate) p999_ms: f64,
    pub(crate) max_ms: f64,
}

impl Latency {
    #[expect(clippy::cast_precision_loss, reason = "a time of less than a century")]
    pub(crate) fn of(histogram: &Histogram<u64>) -> Self {
        let ms = |micros: u64| micros as f64 / 1_000.0;
        Self {
            p50_ms: ms(histogram.value_at_quantile(0.5)),
            p99_ms: ms(histogram.value_at_quantile(0.99)),
            p999_ms: ms(histogram.value_at_quantile(0.999)),
            max_ms: ms(histogram.max()),
        }
    }
}

/// A figure that is to be reached.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Goal {
    /// What it is about.
    pub(crate) what: String,
    /// What was reached.
    pub(crate) reached: f64,
    /// What is wanted, as a bound.
    pub(crate) wanted: f64,
    /// Whether `wanted` is the least or the most.
    pub(crate) at_least: bool,
}

impl Goal {
    pub(crate) fn at_least(what: impl Into<String>, reached: f64, wanted: f64) -> Self {
        Self { what: what.into(), reached, wanted, at_least: true }
    }

    pub(crate) fn at_most(what: impl Into<String>, reached: f64, wanted: f64) -> Self {
        Self { what: what.into(), reached, wanted, at_least: false }
    }

    fn is_met(&self) -> bool {
        if self.at_least { self.reached >= self.wanted } else { self.reached <= self.wanted }
    }
}

/// Everything that was measured.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Report {
    pub(crate) rows: Vec<Row>,
    pub(crate) goals: Vec<Goal>,
}

impl Report {
    /// Whether every run counts and had the right outcome. Goals that are missed are told, and are no failure: they
    /// depend on the machine.
    pub(crate) fn is_sound(&self) -> bool {
        self.rows.iter().all(|row| row.invalid.is_none() && row.outcome.is_right())
    }

    /// The median over the rounds of one target under one workload; of the rates or another figure.
    pub(crate) fn median(&self, workload: &str, target: &str, figure: impl Fn(&Row) -> f64) -> Option<f64> {
        let rows = self.rows.iter().filter(|row| row.workload == workload && row.target == target);
        let mut figures: Vec<f64> = rows.map(figure).collect();
        figures.sort_by(f64::total_cmp);
        figures.get(figures.len() / 2).copied()
    }

    /// A table, then the goals.
    pub(crate) fn table(&self) -> String {
        let mut text = String::new();
        if !self.rows.is_empty() {
            text.push_str(&line(&HEAD.map(str::to_owned)));
        }
        self.rows.iter().for_each(|row| text.push_str(&line(&row.cells())));
        for goal in &self.goals {
            let met = if goal.is_met() { "reached" } else { "MISSED" };
            let bound = if goal.at_least { "at least" } else { "at most" };
            let (what, got, wanted) = (&goal.what, goal.reached, goal.wanted);
            text.push_str(&format!("{met:>8}  {what}: {got:.2} ({bound} {wanted})\n"));
        }
        for row in self.rows.iter() {
            if let Some(why) = &row.invalid {
                text.push_str(&format!("  FAILED  {} of {}: {why}\n", row.workload, row.target));
            }
            if !row.outcome.is_right() {
                text.push_str(&format!("  FAILED  {} of {}: {:?}\n", row.workload, row.target, row.outcome));
            }
        }
        text
    }

    pub(crate) fn json(&self) -> anyhow::Result<String> {
        Ok(serde_json::to_string_pretty(self)?)
    }
}

const HEAD: [&str; 13] = [
    "workload",
    "target",
    "count",
    "/s",
    "cpu µs",
    "ack p50",
    "ack p99",
    "reply p50",
    "reply p99",
    "5xx",
    "jobs",
    "MiB",
    "busy %",
];

impl Row {
    fn cells(&self) -> [String; 13] {
        let ms = |ms: f64| format!("{ms:.1}");
        let reply = |part: fn(&Latency) -> f64| self.reply.as_ref().map_or("-".to_owned(), |it| ms(part(it)));
        [
            self.workload.clone(),
            self.target.clone(),
            self.count.to_string(),
            format!("{:.0}", self.rate_per_second),
            format!("{:.0}", self.cpu_us),
            ms(self.acknowledgement.p50_ms),
            ms(self.acknowledgement.p99_ms),
            reply(|latency| latency.p50_ms),
            reply(|latency| latency.p99_ms),
            self.refused.to_string(),
            self.jobs_per_commit.map_or("-".to_owned(), |jobs| format!("{jobs:.1}")),
            self.resident_mib.to_string(),
            format!("{:.0}", self.machine_busy * 100.0),
        ]
    }
}

fn line(cells: &[String; 13]) -> String {
    const WIDTHS: [usize; 13] = [10, 22, 8, 7, 7, 8, 8, 10, 10, 5, 6, 5, 6];
    let mut text = String::new();
    for (place, (cell, width)) in cells.iter().zip(WIDTHS).enumerate() {
        let padding = " ".repeat(width.saturating_sub(cell.chars().count()));
        let (before, after) = if place < 2 { ("", padding.as_str()) } else { (padding.as_str(), "") };
        text.push_str(&format!("{before}{cell}{after}  "));
    }
    text.trim_end().to_owned() + "\n"
}

/// Prints a line of what was asked for.
#[expect(clippy::print_stdout, reason = "what a person or script asked for goes to standard output")]
pub(crate) fn say(text: &str) {
    println!("{}", text.trim_end());
}

/// Tells how it goes.
#[expect(clippy::print_stderr, reason = "how it goes is for who waits, not for who reads the result")]
pub(crate) fn tell(text: &str) {
    eprintln!("{}", text.trim_end());
}
