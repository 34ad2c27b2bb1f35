//! Reading a JSON object field by field, so that a refusal can name the field, say what is there and what is wanted.
//!
//! Numbers and yes/no may also be written as strings (`"52.5"`, `"true"`): flows write their values as text.

use serde_json::{Map, Value};

use super::invalid::Invalid;

/// The fields of an object that are still to be read.
#[derive(Debug)]
pub struct Fields {
    map: Map<String, Value>,
    known: Vec<&'static str>,
}

impl Fields {
    /// Those of an object.
    #[must_use]
    pub fn new(map: Map<String, Value>) -> Self {
        Self { map, known: Vec::new() }
    }

    /// What `read` makes of `value`, which has to be an object of which nothing is left unread.
    ///
    /// # Errors
    /// When it is no object, `read` refuses it, or it has a field that `read` does not know. The path is from `value` on.
    pub fn whole<T>(value: Value, read: impl Fn(&mut Self) -> Result<T, Invalid>) -> Result<T, Invalid> {
        let Value::Object(map) = value else {
            return Err(Invalid::wrong("", format!("has to be an object, not {}", kind(&value))));
        };
        let mut fields = Self::new(map);
        let whole = read(&mut fields)?;
        fields.finish()?;
        Ok(whole)
    }

    /// What `name` holds; `null` is the same as absent.
    pub fn take(&mut self, name: &'static str) -> Option<Value> {
        if !self.known.contains(&name) {
            self.known.push(name);
        }
        self.map.remove(name).filter(|value| !value.is_null())
    }

    /// The first of `names` that is there. All of them count as known from now on.
    pub fn first_of(&mut self, names: &[&'static str]) -> Option<&'static str> {
        self.known.extend(names);
        names.iter().copied().find(|name| self.map.get(*name).is_some_and(|value| !value.is_null()))
    }

    /// Text that may be absent.
    ///
    /// # Errors
    /// When it is not a string.
    pub fn optional_text(&mut self, name: &'static str) -> Result<Option<String>, Invalid> {
        match self.take(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(other) => Err(wrong(name, "a string", &other)),
        }
    }

    /// Text that has to be there.
    ///
    /// # Errors
    /// When it is missing or not a string.
    pub fn text(&mut self, name: &'static str) -> Result<String, Invalid> {
        self.optional_text(name)?.ok_or_else(|| missing(name))
    }

    /// Yes or no; absent is no.
    ///
    /// # Errors
    /// When it is something else.
    pub fn flag(&mut self, name: &'static str) -> Result<bool, Invalid> {
        match self.take(name) {
            None => Ok(false),
            Some(Value::Bool(flag)) => Ok(flag),
            Some(Value::String(text)) if matches!(text.as_str(), "true" | "on") => Ok(true),
            Some(Value::String(text)) if matches!(text.as_str(), "false" | "off") => Ok(false),
            Some(other) => Err(wrong(name, "true or false", &other)),
        }
    }

    /// A number that has to be there.
    ///
    /// # Errors
    /// When it is missing or no number.
    pub fn number(&mut self, name: &'static str) -> Result<f64, Invalid> {
        let value = self.take(name).ok_or_else(|| missing(name))?;
        let number = match &value {
            Value::Number(number) => number.as_f64(),
            Value::String(text) => text.trim().parse().ok(),
            _ => None,
        };
        number.filter(|number: &f64| number.is_finite()).ok_or_else(|| wrong(name, "a number", &value))
    }

    /// A whole number that may be absent.
    ///
    /// # Errors
    /// When it is something else.
    pub fn optional_integer(&mut self, name: &'static str) -> Result<Option<i64>, Invalid> {
        let Some(value) = self.take(name) else { return Ok(None) };
        let number = match &value {
            Value::Number(number) => number.as_i64(),
            Value::String(text) => text.trim().parse().ok(),
            _ => None,
        };
        number.map(Some).ok_or_else(|| wrong(name, "a whole number", &value))
    }

    /// An object that may be absent, read by `read`.
    ///
    /// # Errors
    /// When it is no object or `read` refuses it.
    pub fn object<T>(
        &mut self,
        name: &'static str,
        read: impl Fn(&mut Self) -> Result<T, Invalid>,
    ) -> Result<Option<T>, Invalid> {
        self.take(name).map(|value| Self::whole(value, read)).transpose().map_err(|e| e.under(name))
    }

    /// A list that may be absent, each entry read by `entry`.
    ///
    /// # Errors
    /// When it is no list or `entry` refuses one.
    pub fn optional_values<T>(
        &mut self,
        name: &'static str,
        entry: impl Fn(Value) -> Result<T, Invalid>,
    ) -> Result<Option<Vec<T>>, Invalid> {
        let entries = match self.take(name) {
            None => return Ok(None),
            Some(Value::Array(entries)) => entries,
            Some(other) => return Err(wrong(name, "a list", &other)),
        };
        let read = |(at, value)| entry(value).map_err(|e| e.under(&format!("{name}[{at}]")));
        entries.into_iter().enumerate().map(read).collect::<Result<_, _>>().map(Some)
    }

    /// A list of objects that may be absent, each read by `read`.
    ///
    /// # Errors
    /// When it is no list of objects or `read` refuses one.
    pub fn optional_list<T>(
        &mut self,
        name: &'static str,
        read: impl Fn(&mut Self) -> Result<T, Invalid>,
    ) -> Result<Option<Vec<T>>, Invalid> {
        self.optional_values(name, |value| Self::whole(value, &read))
    }

    /// A list of objects that has to be there, each read by `read`.
    ///
    /// # Errors
    /// As [`Fields::optional_list`], and when it is missing.
    pub fn list<T>(
        &mut self,
        name: &'static str,
        read: impl Fn(&mut Self) -> Result<T, Invalid>,
    ) -> Result<Vec<T>, Invalid> {
        self.optional_list(name, read)?.ok_or_else(|| missing(name))
    }

    /// Everything was read; what is left is not known.
    ///
    /// # Errors
    /// When something is left.
    pub fn finish(self) -> Result<(), Invalid> {
        let Some(name) = self.map.keys().next() else { return Ok(()) };
        Err(Invalid::Unknown { field: name.clone(), known: self.known })
    }
}

/// `name` has to be there.
pub(super) fn missing(name: &str) -> Invalid {
    Invalid::wrong(name, "is missing")
}

pub(super) fn wrong(name: &str, wanted: &str, given: &Value) -> Invalid {
    Invalid::wrong(name, format!("has to be {wanted}, not {}", kind(given)))
}

/// What a value is, for people.
#[must_use]
pub fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(body: Value) -> Result<(String, Vec<String>), Invalid> {
        Fields::whole(body, |fields| {
            fields.flag("loud")?;
            Ok((fields.text("name")?, fields.list("rows", |row| row.text("id"))?))
        })
    }

    #[test]
    fn what_is_wrong_is_named_with_its_place() {
        let fine = read(json!({"name": "n", "rows": [{"id": "1"}], "loud": null})).unwrap();
        assert_eq!(fine, ("n".to_owned(), vec!["1".to_owned()]));
        for (body, words) in [
            (json!({}), "`name` is missing"),
            (json!({"name": 5}), "`name` has to be a string, not a number"),
            (json!({"name": null}), "`name` is missing"),
            (json!({"loud": "yes"}), "`loud` has to be true or false, not a string"),
            (json!({"name": "n"}), "`rows` is missing"),
            (json!({"name": "n", "rows": {}}), "`rows` has to be a list, not an object"),
            (json!({"name": "n", "rows": [1]}), "`rows[0]` has to be an object, not a number"),
            (json!({"name": "n", "rows": [{"id": "1"}, {}]}), "`rows[1].id` is missing"),
            (
                json!({"name": "n", "rows": [{"id": "1", "x": 1}]}),
                "`rows[0].x` is not known here; known are `id`",
            ),
            (
                json!({"name": "n", "rows": [], "nam": 1}),
                "`nam` is not known here; known are `loud`, `name`, `rows`",
            ),
        ] {
            assert_eq!(read(body.clone()).unwrap_err().to_string(), words, "{body}");
        }
    }

    #[test]
    fn numbers_and_flags_may_be_written_as_strings() {
        let read =
            |body| Fields::whole(body, |f| Ok((f.number("x")?, f.optional_integer("n")?, f.flag("on")?)));
        assert_eq!(read(json!({"x": "52.5", "n": "3", "on": "true"})), Ok((52.5, Some(3), true)));
        assert_eq!(read(json!({"x": 52.5})), Ok((52.5, None, false)));
        for wrong in [json!({"x": "NaN"}), json!({"x": true}), json!({"x": 1, "n": 1.5})] {
            assert!(read(wrong.clone()).is_err(), "{wrong}");
        }
    }
}
