//! Rules: what a value may be, how it is read from text and how it is shown. One rule serves the environment, the file,
//! the default and the listing.

use std::fmt::Display;
use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use jiff::fmt::friendly::{SpanParser, SpanPrinter};
use reqwest::Url;

use super::{DatabaseUrl, Secret};
use crate::domain::consent::WORD_BYTES_MAX;
use crate::domain::notice::Kind;
use crate::telemetry;

/// A value as the listing shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Shown {
    /// Nothing is set.
    NotSet,
    /// The whole value; reading it gives the same value.
    Plain(String),
    /// What may be seen of a value that holds a secret.
    Hidden(String),
}

type Read<T> = Box<dyn Fn(&str) -> Option<T>>;
type Show<T> = Box<dyn Fn(&T) -> Shown>;

/// What a value of type `T` may be.
pub(super) struct Rule<T> {
    /// What is allowed, as a phrase with its unit.
    pub(super) allowed: String,
    /// Whether a wrong value must not be repeated.
    pub(super) secret: bool,
    read: Read<T>,
    show: Show<T>,
}

impl<T: 'static> Rule<T> {
    fn new(
        allowed: impl Into<String>,
        read: impl Fn(&str) -> Option<T> + 'static,
        show: impl Fn(&T) -> String + 'static,
    ) -> Self {
        Self {
            allowed: allowed.into(),
            secret: false,
            read: Box::new(read),
            show: Box::new(move |value| Shown::Plain(show(value))),
        }
    }

    fn hidden(self, show: impl Fn(&T) -> Shown + 'static) -> Self {
        Self { secret: true, show: Box::new(show), ..self }
    }

    /// The same rule for a value that may be absent: empty text is absence.
    pub(super) fn optional(self) -> Rule<Option<T>> {
        let Self { allowed, secret, read, show } = self;
        Rule {
            allowed,
            secret,
            read: Box::new(move |text| if text.is_empty() { Some(None) } else { read(text).map(Some) }),
            show: Box::new(move |value| value.as_ref().map_or(Shown::NotSet, &show)),
        }
    }

    /// The value that `text` stands for; `None` when it is not allowed.
    pub(super) fn read(&self, text: &str) -> Option<T> {
        (self.read)(text)
    }

    /// The value for a reader.
    pub(super) fn show(&self, value: &T) -> Shown {
        (self.show)(value)
    }
}

/// An IP address with a port.
pub(super) fn address() -> Rule<SocketAddr> {
    Rule::new(
        "an IP address and a port, like 127.0.0.1:8000 or 0.0.0.0:8000",
        |text| text.parse().ok(),
        SocketAddr::to_string,
    )
}

/// A whole number of `unit`.
pub(super) fn count<T>(unit: &'static str, range: RangeInclusive<T>) -> Rule<T>
where
    T: FromStr + PartialOrd + Display + 'static,
{
    let allowed = format!("{} to {} {unit}", range.start(), range.end());
    Rule::new(allowed, move |text| text.parse().ok().filter(|value| range.contains(value)), T::to_string)
}

/// A time span in human form.
pub(super) fn duration(range: RangeInclusive<Duration>) -> Rule<Duration> {
    let show = |span: &Duration| SpanPrinter::new().unsigned_duration_to_string(span);
    let allowed =
        format!("{} to {}, written like 250ms, 30s, 15m or 1h", show(range.start()), show(range.end()));
    Rule::new(
        allowed,
        move |text| SpanParser::new().parse_unsigned_duration(text).ok().filter(|span| range.contains(span)),
        show,
    )
}

const KIB: usize = 1024;
/// One mebibyte in bytes.
pub(super) const MIB: usize = KIB * KIB;

/// A size in bytes, in human form.
pub(super) fn size(range: RangeInclusive<usize>) -> Rule<usize> {
    let allowed =
        format!("{} to {}, written like 512KiB, 4MiB or 4194304", bytes(*range.start()), bytes(*range.end()));
    Rule::new(allowed, move |text| read_bytes(text).filter(|size| range.contains(size)), |size| bytes(*size))
}

fn read_bytes(text: &str) -> Option<usize> {
    let (digits, unit) = [("MiB", MIB), ("KiB", KIB)]
        .into_iter()
        .find_map(|(suffix, unit)| text.strip_suffix(suffix).map(|digits| (digits, unit)))
        .unwrap_or((text, 1));
    digits.trim_end().parse::<usize>().ok()?.checked_mul(unit)
}

fn bytes(size: usize) -> String {
    match size {
        size if size >= MIB && size.is_multiple_of(MIB) => format!("{}MiB", size / MIB),
        size if size >= KIB && size.is_multiple_of(KIB) => format!("{}KiB", size / KIB),
        size => size.to_string(),
    }
}

/// On or off.
pub(super) fn switch() -> Rule<bool> {
    Rule::new(
        "on or off",
        |text| match text.to_ascii_lowercase().as_str() {
            "on" | "true" | "yes" | "1" => Some(true),
            "off" | "false" | "no" | "0" => Some(false),
            _ => None,
        },
        |on| if *on { "on" } else { "off" }.to_owned(),
    )
}

/// One of a few words. Each of `choices` is a word and its meaning.
pub(super) fn choice<T, const N: usize>(choices: [(&'static str, T); N]) -> Rule<T>
where
    T: Copy + PartialEq + 'static,
{
    let words: Vec<&str> = choices.iter().map(|(word, _)| *word).collect();
    Rule::new(
        words.join(" or "),
        move |text| choices.iter().find(|(word, _)| text.eq_ignore_ascii_case(word)).map(|(_, value)| *value),
        move |value| choices.iter().find(|(_, known)| known == value).map_or("", |(word, _)| word).to_owned(),
    )
}

/// Any text.
pub(super) fn text() -> Rule<String> {
    Rule::new("text without line breaks", |text| is_line(text).then(|| text.to_owned()), String::clone)
}

/// Words and phrases, separated by commas; none is fine.
pub(super) fn words() -> Rule<Vec<String>> {
    Rule::new(
        "words or phrases without line breaks, separated by commas",
        |text| {
            let words = || text.split(',').map(str::trim);
            let fine = text.is_empty() || words().all(|word| is_line(word) && word.len() <= WORD_BYTES_MAX);
            fine.then(|| words().filter(|word| !word.is_empty()).map(str::to_owned).collect())
        },
        |words: &Vec<String>| words.join(", "),
    )
}

fn is_line(text: &str) -> bool {
    !text.is_empty() && !text.chars().any(char::is_control)
}

/// One of Meta's ids: digits, at most 32 of them.
pub(super) fn meta_id() -> Rule<String> {
    Rule::new(
        "Meta's id: digits only, not the phone number itself and without `+` or blanks",
        |text| {
            let digits = (1..=32).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
            digits.then(|| text.to_owned())
        },
        String::clone,
    )
}

/// A token, key or password.
pub(super) fn secret() -> Rule<Secret> {
    Rule::new(
        "text without line breaks",
        |text| is_line(text).then(|| Secret::new(text)).flatten(),
        |_| String::new(),
    )
    .hidden(|_| Shown::Hidden("set".to_owned()))
}

/// A database address.
pub(super) fn database_url() -> Rule<DatabaseUrl> {
    Rule::new(
        "sqlite://FILE?mode=rwc or postgres://USER:PASSWORD@HOST/NAME",
        |text| DatabaseUrl::new(text),
        |_| String::new(),
    )
    .hidden(|url| {
        let masked = url.masked();
        if masked == url.expose() { Shown::Plain(masked) } else { Shown::Hidden(masked) }
    })
}

/// A folder, or a folder in a bucket. A login inside it is refused: it would be shown and logged.
pub(super) fn media_url() -> Rule<String> {
    Rule::new(
        "a folder, or s3://BUCKET/FOLDER without a login",
        |text| {
            let known = match text.split_once("://") {
                Some(("s3", rest)) => !rest.is_empty() && !rest.contains(['@', '?', '#']),
                Some(("file", rest)) => rest.starts_with('/'),
                Some(_) => false,
                None => true,
            };
            (known && is_line(text)).then(|| text.to_owned())
        },
        String::clone,
    )
    // What is refused here may be refused for the password in it.
    .hidden(|url| Shown::Plain(url.clone()))
}

/// MIME types between commas; `image/*` is all of a family, `*` all there are.
pub(super) fn media_types() -> Rule<Vec<String>> {
    let one = |text: &str| {
        let name = |text: &str| {
            !text.is_empty()
                && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$&^_.+-".contains(&byte))
        };
        let known = text == "*"
            || text.split_once('/').is_some_and(|(kind, rest)| name(kind) && (rest == "*" || name(rest)));
        known.then(|| text.to_ascii_lowercase())
    };
    Rule::new(
        "MIME types between commas, like image/*, application/pdf; or * for all",
        move |text| text.split(',').map(|part| one(part.trim())).collect(),
        |types: &Vec<String>| types.join(", "),
    )
}

/// An address on the web, kept without a slash at its end. A login inside it is refused: it would be shown and logged.
pub(super) fn web_url() -> Rule<String> {
    Rule::new(
        "an http:// or https:// address without user name, password, `?` and `#`",
        |text| {
            let url = Url::parse(text).ok()?;
            let plain = matches!(url.scheme(), "http" | "https")
                && url.has_host()
                && url.username().is_empty()
                && url.password().is_none()
                && url.query().is_none()
                && url.fragment().is_none();
            plain.then(|| text.trim_end_matches('/').to_owned())
        },
        String::clone,
    )
    // What is refused here may be refused for the password in it.
    .hidden(|url| Shown::Plain(url.clone()))
}

/// A name of small letters, digits and `-`, which is also part of the name of an environment variable.
pub(super) fn name() -> Rule<String> {
    Rule::new(
        "up to 32 small letters, digits and `-`, a letter first",
        |text| {
            let fine = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
            let known = text.len() <= 32
                && text.starts_with(|c: char| c.is_ascii_lowercase())
                && text.bytes().all(fine);
            known.then(|| text.to_owned())
        },
        String::clone,
    )
}

/// Where an outlet is told, kept as it is. A login inside it is refused: it would be shown and logged.
pub(super) fn outlet_url() -> Rule<String> {
    Rule::new(
        "an https:// address without user name and password; http:// for an outlet that is `private`",
        |text| {
            let url = Url::parse(text).ok()?;
            let plain = matches!(url.scheme(), "http" | "https")
                && url.has_host()
                && url.username().is_empty()
                && url.password().is_none();
            plain.then(|| text.to_owned())
        },
        String::clone,
    )
    // What is refused here may be refused for the password in it.
    .hidden(|url| Shown::Plain(url.clone()))
}

/// Kinds of what those who listen are told, between commas; none is all.
pub(super) fn kinds() -> Rule<Vec<Kind>> {
    Rule::new(
        format!("kinds between commas, of {}; or none, for all", Kind::ALL.map(Kind::as_str).join(", ")),
        |text| listed(text, Kind::parse),
        |kinds: &Vec<Kind>| kinds.iter().map(|kind| kind.as_str()).collect::<Vec<_>>().join(", "),
    )
}

/// Meta's ids of numbers, between commas; none is all.
pub(super) fn meta_ids() -> Rule<Vec<String>> {
    Rule::new(
        "Meta's ids of numbers, between commas; or none, for all",
        |text| listed(text, |id| meta_id().read(id)),
        |ids: &Vec<String>| ids.join(", "),
    )
}

/// What stands between commas.
fn listed<T>(text: &str, read: impl Fn(&str) -> Option<T>) -> Option<Vec<T>> {
    if text.is_empty() {
        return Some(Vec::new());
    }
    text.split(',').map(|part| read(part.trim())).collect()
}

/// A version of the Graph API.
pub(super) fn graph_version() -> Rule<String> {
    Rule::new(
        "a Graph API version like v26.0",
        |text| {
            let (major, minor) = text.strip_prefix('v')?.split_once('.')?;
            let number = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
            (number(major) && number(minor)).then(|| text.to_owned())
        },
        String::clone,
    )
}

/// A file. Whether it is there is for whoever opens it to say.
pub(super) fn path() -> Rule<PathBuf> {
    Rule::new(
        "the path of a file, from the working directory",
        |text| is_line(text).then(|| PathBuf::from(text)),
        |path| path.display().to_string(),
    )
}

/// A filter of log lines.
pub(super) fn log_filter() -> Rule<String> {
    Rule::new(
        "error, warn, info, debug, trace or off, alone or by target, like info,switchboard::sender=debug",
        |text| telemetry::is_filter(text).then(|| text.to_owned()),
        String::clone,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_and_sizes_are_written_as_people_write_them() {
        let rule = duration(Duration::from_millis(1)..=Duration::from_hours(1));
        for (text, ms) in [("15m", 900_000), ("30s", 30_000), ("250ms", 250), ("1m 30s", 90_000)] {
            let span = Duration::from_millis(ms);
            assert_eq!(rule.read(text), Some(span));
            assert_eq!(rule.show(&span), Shown::Plain(text.to_owned()));
        }
        for wrong in ["30", "", "-5s", "2h", "0s", "soon", "5 parsecs"] {
            assert_eq!(rule.read(wrong), None, "{wrong}");
        }
        let rule = size(1..=64 * MIB);
        assert_eq!(rule.read("4MiB"), Some(4 * MIB));
        assert_eq!(rule.read("4 MiB"), Some(4 * MIB));
        assert_eq!(rule.read("700"), Some(700));
        assert_eq!(rule.read("99999999999999999999MiB"), None);
        assert_eq!(rule.show(&(512 * KIB)), Shown::Plain("512KiB".to_owned()));
    }

    #[test]
    fn what_is_nearly_right_is_still_wrong() {
        for wrong in ["+49170", "12 34", "", "your_id", "123456789012345678901234567890123"] {
            assert_eq!(meta_id().read(wrong), None, "{wrong}");
        }
        for wrong in ["26.0", "v26", "v.0", "vx.y", "v26.0/x"] {
            assert_eq!(graph_version().read(wrong), None, "{wrong}");
        }
        for wrong in ["ftp://x", "graph.facebook.com", "https://u:p@x", "https://x?y=1", "https://"] {
            assert_eq!(web_url().read(wrong), None, "{wrong}");
        }
        assert_eq!(web_url().read("http://127.0.0.1:9/"), Some("http://127.0.0.1:9".to_owned()));
        assert!(secret().read("a\nb").is_none() && secret().read("").is_none());
        assert_eq!(switch().read("TRUE"), Some(true));
        assert_eq!(switch().read("maybe"), None);
        assert_eq!(count("items", 1..=5_u32).read("6"), None);
    }
}
