//! Reading a JSON object field by field, so that a refusal can name the field, say what is there and what is wanted.

use serde_json::{Map, Value};

use super::problem::Problem;

/// The fields of an object that are still to be read.
#[derive(Debug)]
pub(super) struct Fields {
    /// Where the object is: empty for the body itself, else `buttons[0].`.
    place: String,
    map: Map<String, Value>,
    known: Vec<&'static str>,
}

impl Fields {
    /// Those of the request body.
    pub(super) fn of_body(body: Value) -> Result<Self, Problem> {
        match body {
            Value::Object(map) => Ok(Self { place: String::new(), map, known: Vec::new() }),
            other => Err(Problem::body(format!("the body has to be a JSON object, not {}", kind(&other)))),
        }
    }

    /// What `name` holds; `null` is the same as absent.
    fn take(&mut self, name: &'static str) -> Option<Value> {
        self.known.push(name);
        self.map.remove(name).filter(|value| !value.is_null())
    }

    fn wrong(&self, name: &str, wanted: &str, given: &Value) -> Problem {
        let field = format!("{}{name}", self.place);
        let detail = format!("`{field}` has to be {wanted}, not {}", kind(given));
        Problem::field(field, detail)
    }

    /// Text that may be absent.
    pub(super) fn optional_text(&mut self, name: &'static str) -> Result<Option<String>, Problem> {
        match self.take(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(other) => Err(self.wrong(name, "a string", &other)),
        }
    }

    /// Text that has to be there.
    pub(super) fn text(&mut self, name: &'static str) -> Result<String, Problem> {
        self.optional_text(name)?.ok_or_else(|| self.missing(name))
    }

    /// Yes or no; absent is no.
    pub(super) fn flag(&mut self, name: &'static str) -> Result<bool, Problem> {
        match self.take(name) {
            None => Ok(false),
            Some(Value::Bool(flag)) => Ok(flag),
            Some(other) => Err(self.wrong(name, "true or false", &other)),
        }
    }

    /// A list of objects that has to be there, each read by `read`.
    pub(super) fn list<T>(
        &mut self,
        name: &'static str,
        read: impl Fn(&mut Self) -> Result<T, Problem>,
    ) -> Result<Vec<T>, Problem> {
        let entries = match self.take(name) {
            None => return Err(self.missing(name)),
            Some(Value::Array(entries)) => entries,
            Some(other) => return Err(self.wrong(name, "a list", &other)),
        };
        let mut list = Vec::with_capacity(entries.len());
        for (place, entry) in entries.into_iter().enumerate() {
            let name = format!("{name}[{place}]");
            let map = match entry {
                Value::Object(map) => map,
                other => return Err(self.wrong(&name, "an object", &other)),
            };
            let mut fields = Self { place: format!("{}{name}.", self.place), map, known: Vec::new() };
            list.push(read(&mut fields)?);
            fields.finish()?;
        }
        Ok(list)
    }

    /// Everything was read; what is left is not known.
    pub(super) fn finish(self) -> Result<(), Problem> {
        let Some(name) = self.map.keys().next() else { return Ok(()) };
        let field = format!("{}{name}", self.place);
        let detail = format!("`{field}` is not known here; known are `{}`", self.known.join("`, `"));
        Err(Problem::field(field, detail))
    }

    fn missing(&self, name: &str) -> Problem {
        let field = format!("{}{name}", self.place);
        let detail = format!("`{field}` is missing");
        Problem::field(field, detail)
    }
}

fn kind(value: &Value) -> &'static str {
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

    fn read(body: Value) -> Result<(String, Vec<String>), Problem> {
        let mut fields = Fields::of_body(body)?;
        fields.flag("loud")?;
        let read = (fields.text("name")?, fields.list("rows", |row| row.text("id"))?);
        fields.finish().map(|()| read)
    }

    #[test]
    fn what_is_wrong_is_named_with_its_place() {
        let fine = read(json!({"name": "n", "rows": [{"id": "1"}], "loud": null})).unwrap();
        assert_eq!(fine, ("n".to_owned(), vec!["1".to_owned()]));
        for (body, words) in [
            (json!([]), "the body has to be a JSON object, not a list"),
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
}
