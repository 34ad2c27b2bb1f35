//! `switchboard doctor`: whether all is set, and what mends it.

use std::process::ExitCode;

use crate::cli::say;
use crate::clock::Clock;
use crate::config::Config;
use crate::doctor::{Finding, Verdict, examine};

pub(super) const AFTER_HELP: &str = "\
It looks at the settings, the database and when Meta last told something; and for each number at its token, at the number, at
the clocks, the app secret, the subscription of the app, where Meta posts to and whether that answers. It changes nothing,
and can be run beside a running server, or before the first start.

Ends with 0 when nothing stands in the way of messages, with 1 when something does.";

pub(super) async fn run(config: &Config) -> anyhow::Result<ExitCode> {
    let findings = examine(config, &Clock::system()).await?;
    say(&findings.iter().map(told).collect::<Vec<_>>().join("\n"));
    let worst = findings.iter().map(|finding| finding.verdict).max();
    let (code, sentence) = match worst {
        Some(Verdict::Bad) => (ExitCode::FAILURE, "\nWhat is BAD stands in the way of messages."),
        Some(Verdict::Doubtful) => {
            (ExitCode::SUCCESS, "\nMessages can come and go; what is doubtful deserves a look.")
        }
        _ => (ExitCode::SUCCESS, "\nMessages can come and go."),
    };
    say(sentence);
    Ok(code)
}

fn told(finding: &Finding) -> String {
    let Finding { thing, verdict, seen, mend } = finding;
    let mut text = format!("{verdict:<9} {thing:<17} {seen}");
    if let Some(mend) = mend {
        text.push_str(&format!("\n{:28}mend: {mend}", ""));
    }
    text
}
