//! Log lines, on standard error so that standard output stays free for what a command prints.

use std::io::IsTerminal;

use tracing::Subscriber;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::util::SubscriberInitExt;

/// Libraries that log every statement, connection or request. A filter that names one of them wins.
const QUIET: &str = "sqlx=warn,sea_orm=warn,sea_orm_migration=warn,hyper=warn,hyper_util=warn,h2=warn,reqwest=warn,\
                     rustls=warn,actix=warn,actix_server=warn,actix_http=warn,actix_web=warn,mio=warn";

/// How log lines are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LogFormat {
    /// For people, in colour on a terminal.
    #[default]
    Human,
    /// One JSON object each, with the fields of the event at its top and those of its spans in `spans`.
    Json,
}

/// Why logging could not start.
#[derive(Debug, thiserror::Error)]
pub enum LoggingError {
    /// The filter cannot be read.
    #[error(
        "`{filter}` is not a filter of log lines: write a level, or targets with levels, like info,sqlx=debug"
    )]
    Filter {
        /// The filter as given.
        filter: String,
    },
    /// Something has set a subscriber before.
    #[error("log lines already go somewhere else: {0}")]
    Taken(#[from] tracing_subscriber::util::TryInitError),
}

/// Sends the log lines of the whole process that pass `filter` to standard error. To be called once.
///
/// `filter` is a level (`info`) or a list of `target=level`. Libraries that log every statement are kept at `warn`
/// unless the filter names them.
///
/// # Errors
/// When the filter cannot be read, or logging has been started before.
pub fn init_tracing(format: LogFormat, filter: &str) -> Result<(), LoggingError> {
    let colours = std::io::stderr().is_terminal();
    subscriber(format, filter, colours, std::io::stderr)?.try_init()?;
    Ok(())
}

/// Whether `text` can be used as a filter.
#[must_use]
pub fn is_filter(text: &str) -> bool {
    parse(text).is_some()
}

fn parse(filter: &str) -> Option<EnvFilter> {
    // A lone word that is no level would be taken for a target, and `debgu` would switch everything else off.
    let complete = |part: &str| {
        let part = part.trim();
        part.contains(['=', '[', ']', '}']) || (!part.is_empty() && part.parse::<LevelFilter>().is_ok())
    };
    if !filter.split(',').all(complete) {
        return None;
    }
    EnvFilter::builder().parse(format!("{QUIET},{filter}")).ok()
}

fn subscriber<W>(
    format: LogFormat,
    filter: &str,
    colours: bool,
    writer: W,
) -> Result<Box<dyn Subscriber + Send + Sync>, LoggingError>
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    let parsed = parse(filter).ok_or_else(|| LoggingError::Filter { filter: filter.to_owned() })?;
    // A line that cannot be written (a full disk) is lost, and said nowhere: saying it would panic when that fails too.
    let builder =
        tracing_subscriber::fmt().with_env_filter(parsed).with_writer(writer).log_internal_errors(false);
    Ok(match format {
        LogFormat::Human => Box::new(builder.with_ansi(colours).finish()),
        LogFormat::Json => Box::new(
            builder.json().flatten_event(true).with_current_span(false).with_span_list(true).finish(),
        ),
    })
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::sync::{Arc, Mutex};

    use super::*;

    #[derive(Clone, Default)]
    struct Page(Arc<Mutex<Vec<u8>>>);

    impl Write for Page {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    fn logged(format: LogFormat, filter: &str, say: impl FnOnce()) -> String {
        let page = Page::default();
        let writer = page.clone();
        let subscriber = subscriber(format, filter, false, move || writer.clone()).unwrap();
        tracing::subscriber::with_default(subscriber, say);
        let bytes = page.0.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn a_json_line_carries_the_fields_of_its_spans() {
        let text = logged(LogFormat::Json, "info", || {
            let _turn = tracing::info_span!("turn", event = "evt_1").entered();
            tracing::info!(messages = 2, "committed");
        });
        let line: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(line["message"], "committed");
        assert_eq!(line["messages"], 2);
        assert_eq!(line["spans"][0]["event"], "evt_1");
    }

    #[test]
    fn a_human_line_is_plain_text_without_a_terminal() {
        let text = logged(LogFormat::Human, "info", || tracing::info!(messages = 2, "committed"));
        assert!(
            text.contains("committed") && text.contains("messages=2") && !text.contains('\u{1b}'),
            "{text}"
        );
    }

    #[test]
    fn noisy_libraries_are_quiet_unless_they_are_named() {
        let say = || {
            tracing::info!(target: "sqlx::query", "a statement");
            tracing::warn!(target: "sqlx::query", "a slow statement");
            tracing::debug!(target: "switchboard", "ours");
        };
        let text = logged(LogFormat::Human, "debug", say);
        assert!(
            !text.contains("a statement") && text.contains("a slow statement") && text.contains("ours"),
            "{text}"
        );
        let text = logged(LogFormat::Human, "warn,sqlx=info", say);
        assert!(text.contains("a statement") && !text.contains("ours"), "{text}");
    }

    #[test]
    fn a_filter_that_cannot_be_read_is_refused() {
        assert!(is_filter("info") && is_filter("warn,switchboard::sender=debug"));
        for wrong in ["", "a=b=c", "switchboard=loud", "debgu", "info,"] {
            assert!(!is_filter(wrong), "{wrong}");
            assert!(subscriber(LogFormat::Human, wrong, false, std::io::sink).is_err());
        }
    }
}
