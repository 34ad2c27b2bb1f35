//! What is on this side: the settings, the database, and when something last came in.

use super::{Finding, Verdict};
use crate::clock::{DAY, Millis};
use crate::config::Config;
use crate::store::{Condition, inspect};

/// For so long an event may wait before something is wrong with the program.
const UNFINISHED_MAX: Millis = 60_000;

/// Whether `switchboard serve` would start with them.
pub(super) fn settings(config: &Config) -> Finding {
    match config.require_for_serve() {
        Ok(()) => Finding::good("settings", format!("complete, {} of our numbers", config.numbers.len())),
        Err(missing) => Finding::new(
            "settings",
            Verdict::Bad,
            missing.problems.join("; "),
            "set them in the environment, in .env or in switchboard.toml; `switchboard config` lists every setting",
        ),
    }
}

/// The database, and what came in last.
pub(super) async fn database(config: &Config, now: Millis) -> Vec<Finding> {
    match inspect(config.database.url.expose()).await {
        Ok(condition) => {
            let mut findings = vec![fitness(&condition)];
            if condition.pending == 0 {
                findings.push(last_event(condition.last_told_at, now));
                findings.extend(unfinished(&condition, now));
            }
            findings
        }
        Err(error) => vec![Finding::new(
            "database",
            Verdict::Bad,
            format!("{} cannot be read: {error}", config.database.url.masked()),
            "check DATABASE_URL, and that the file or the server is there; `switchboard migrate` makes a new one",
        )],
    }
}

fn fitness(condition: &Condition) -> Finding {
    let Condition { engine, pending, unknown, .. } = condition;
    match (pending, unknown, &condition.not_durable) {
        (1.., _, _) => Finding::new(
            "database",
            Verdict::Bad,
            format!("{engine}: {pending} migrations are pending"),
            "run `switchboard migrate`, or let `switchboard serve` do so",
        ),
        (_, 1.., _) => Finding::new(
            "database",
            Verdict::Bad,
            format!("{engine}: it was written by a later version of this program"),
            "run that version",
        ),
        (_, _, Some(why)) => Finding::new(
            "database",
            Verdict::Bad,
            format!("{engine}: {why}"),
            "set the database so that a commit is on disk before it is acknowledged",
        ),
        (_, _, None) => Finding::good("database", format!("{engine}: as this version needs it")),
    }
}

fn last_event(last_told_at: Option<Millis>, now: Millis) -> Finding {
    let mend = "write to the number; if nothing comes, look at `callback` and `subscription`, and whether the app is in mode Live";
    match last_told_at {
        None => Finding::new(
            "last event",
            Verdict::Doubtful,
            "Meta has never told anything to this database",
            mend,
        ),
        Some(at) if now - at > DAY => Finding::new(
            "last event",
            Verdict::Doubtful,
            format!("Meta last told something {} ago", span(now - at)),
            mend,
        ),
        Some(at) => Finding::good("last event", format!("Meta last told something {} ago", span(now - at))),
    }
}

fn unfinished(condition: &Condition, now: Millis) -> Vec<Finding> {
    let mut findings = Vec::new();
    if let Some(at) = condition.oldest_unfinished_at.filter(|at| now - at > UNFINISHED_MAX) {
        findings.push(Finding::new(
            "unfinished",
            Verdict::Doubtful,
            format!("an event waits since {}", span(now - at)),
            "see whether `switchboard serve` runs on this database, and what its log says",
        ));
    }
    if condition.quarantined > 0 {
        findings.push(Finding::new(
            "quarantine",
            Verdict::Doubtful,
            format!("{} events were put aside because their turns broke", condition.quarantined),
            "`GET /api/whatsapp/webhooks?state=quarantined` says why; mend that, then `POST …/webhooks/{id}/retry`",
        ));
    }
    findings
}

/// A span as people say it.
pub(super) fn span(span: Millis) -> String {
    let seconds = span.max(0) / 1_000;
    match seconds {
        0..120 => format!("{seconds} seconds"),
        120..7_200 => format!("{} minutes", seconds / 60),
        7_200..172_800 => format!("{} hours", seconds / 3_600),
        _ => format!("{} days", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn condition() -> Condition {
        Condition {
            engine: "sqlite",
            pending: 0,
            unknown: 0,
            not_durable: None,
            last_told_at: Some(0),
            oldest_unfinished_at: None,
            quarantined: 0,
        }
    }

    #[test]
    fn a_database_is_fit_or_says_what_it_lacks() {
        assert_eq!(fitness(&condition()).verdict, Verdict::Good);
        for (unfit, word) in [
            (Condition { pending: 2, ..condition() }, "2 migrations"),
            (Condition { unknown: 1, ..condition() }, "later version"),
            (Condition { not_durable: Some("`fsync` is `off`".into()), ..condition() }, "fsync"),
        ] {
            let finding = fitness(&unfit);
            assert!(finding.verdict == Verdict::Bad && finding.seen.contains(word), "{finding:?}");
        }
    }

    #[test]
    fn silence_of_a_day_is_doubtful() {
        assert_eq!(last_event(Some(0), DAY).verdict, Verdict::Good);
        assert_eq!(last_event(Some(0), DAY + 1).verdict, Verdict::Doubtful);
        assert_eq!(last_event(None, 0).verdict, Verdict::Doubtful);
        assert_eq!(unfinished(&Condition { oldest_unfinished_at: Some(0), ..condition() }, 60_000), []);
        assert_eq!(unfinished(&Condition { oldest_unfinished_at: Some(0), ..condition() }, 60_001).len(), 1);
        assert_eq!(unfinished(&Condition { quarantined: 3, ..condition() }, 0).len(), 1);
    }

    #[test]
    fn spans_are_told_in_what_fits() {
        for (millis, text) in [
            (-5, "0 seconds"),
            (119_000, "119 seconds"),
            (120_000, "2 minutes"),
            (7_200_000, "2 hours"),
            (172_800_000, "2 days"),
        ] {
            assert_eq!(span(millis), text);
        }
    }
}
