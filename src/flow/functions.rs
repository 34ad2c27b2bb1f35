//! What templates and expressions can call: Rust functions of the embedding program, and our own filters.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use jiff::civil;
use jiff::fmt::strtime;
use jiff::tz::TimeZone;
use minijinja::value::{Rest, Serde, Value, ValueKind};
use minijinja::{Environment, Error, ErrorKind};

use crate::clock::Millis;

/// How the `date` filter writes a day when it is not told otherwise: `12 Mar 2026`.
const DATE_FORMAT: &str = "%-d %b %Y";

type Function = Arc<dyn Fn(Vec<serde_json::Value>) -> Result<serde_json::Value, String> + Send + Sync>;

/// Rust functions that a flow can call by name in its templates and expressions: `${ price(order.number) }`.
///
/// They run inside the pure step and may run again when a turn is tried again: they must be quick, must not wait, and
/// must give the same answer for the same arguments. Whatever needs I/O belongs into a connector.
#[derive(Clone, Default)]
pub struct Functions(BTreeMap<String, Function>);

impl Functions {
    /// Adds a function. It gets its arguments as JSON and answers JSON, or an error in words for the operator.
    pub fn add<F>(&mut self, name: impl Into<String>, function: F) -> &mut Self
    where
        F: Fn(Vec<serde_json::Value>) -> Result<serde_json::Value, String> + Send + Sync + 'static,
    {
        self.0.insert(name.into(), Arc::new(function));
        self
    }

    pub(super) fn install(&self, environment: &mut Environment<'static>) {
        for (name, function) in &self.0 {
            let function = Arc::clone(function);
            environment.add_function(name.clone(), move |arguments: Rest<Value>| {
                let arguments = arguments.iter().map(json).collect::<Result<_, _>>()?;
                let answer =
                    function(arguments).map_err(|told| Error::new(ErrorKind::InvalidOperation, told))?;
                Ok::<_, Error>(Value::from(Serde(answer)))
            });
        }
        environment.add_filter("date", date);
        environment.add_filter("truncate", truncate);
    }
}

impl fmt::Debug for Functions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

/// A template value as JSON.
pub(super) fn json(value: &Value) -> Result<serde_json::Value, Error> {
    serde_json::to_value(value).map_err(|error| {
        Error::new(ErrorKind::BadSerialization, "the value has no JSON form").with_source(error)
    })
}

/// The day of a time, in UTC.
pub(super) fn day(at: Millis) -> Option<civil::Date> {
    let at = jiff::Timestamp::from_millisecond(at).ok()?;
    Some(at.to_zoned(TimeZone::UTC).date())
}

/// `${ order.promised_on | date }`: a day from epoch milliseconds or from text that begins with `YYYY-MM-DD`; nothing
/// stays nothing. The optional argument is an strftime format.
fn date(value: &Value, format: Option<&str>) -> Result<String, Error> {
    if value.is_none() {
        return Ok(String::new());
    }
    let refused = || {
        Error::new(ErrorKind::InvalidOperation, format!("`{value}` is no date: YYYY-MM-DD or milliseconds"))
    };
    let day = match value.kind() {
        ValueKind::Number => value.as_i64().and_then(day),
        ValueKind::String => {
            value.as_str().and_then(|text| text.get(..10)).and_then(|text| text.parse().ok())
        }
        _ => None,
    }
    .ok_or_else(refused)?;
    strtime::format(format.unwrap_or(DATE_FORMAT), day).map_err(|error| {
        Error::new(ErrorKind::InvalidOperation, format!("`date` cannot write this: {error}"))
    })
}

/// `${ row.description | truncate(80) }`: at most so many characters, the last one `…` when something was cut.
fn truncate(text: &str, limit: usize) -> String {
    if text.chars().count() <= limit {
        return text.to_owned();
    }
    let kept: String = text.chars().take(limit.saturating_sub(1)).collect();
    format!("{}…", kept.trim_end())
}
