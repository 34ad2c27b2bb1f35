//! A value in a request that knows its own path, so that every refusal names the parameter as Meta does:
//! `interactive['action']['buttons'][0]['reply']['title']`.

use serde_json::Value;

use super::refusal::Refusal;

/// What a check answers.
pub(super) type Checked<T> = Result<T, Refusal>;

/// One value and where it stands.
pub(super) struct Param<'a> {
    path: String,
    value: &'a Value,
}

impl<'a> Param<'a> {
    /// The whole request body.
    pub(super) fn root(value: &'a Value) -> Self {
        Self { path: String::new(), value }
    }

    /// A value that stands at `path` in a request.
    pub(super) fn at(path: &str, value: &'a Value) -> Self {
        Self { path: path.to_owned(), value }
    }

    pub(super) fn path(&self) -> &str {
        &self.path
    }

    /// The value itself.
    pub(super) fn value(&self) -> &'a Value {
        self.value
    }

    fn path_of(&self, key: &str) -> String {
        if self.path.is_empty() { key.to_owned() } else { format!("{}['{key}']", self.path) }
    }

    /// The member `key`; a JSON null counts as absent.
    pub(super) fn find(&self, key: &str) -> Option<Param<'a>> {
        let value = self.value.get(key).filter(|value| !value.is_null())?;
        Some(Param { path: self.path_of(key), value })
    }

    /// The member `key`, which has to be there.
    pub(super) fn need(&self, key: &str) -> Checked<Param<'a>> {
        self.find(key).ok_or_else(|| Refusal::missing(&self.path_of(key)))
    }

    /// Refuses a value that is no object, and members other than `keys`.
    pub(super) fn only(&self, keys: &[&str]) -> Checked<()> {
        let Some(members) = self.value.as_object() else {
            return Err(self.shape("must be a JSON object"));
        };
        match members.keys().find(|key| !keys.contains(&key.as_str())) {
            None => Ok(()),
            Some(key) => {
                Err(Refusal::of(100).details(format!("Unexpected key \"{key}\" on param \"{}\".", self.path)))
            }
        }
    }

    /// A string.
    pub(super) fn string(&self) -> Checked<&'a str> {
        self.value.as_str().ok_or_else(|| self.shape("must be a string"))
    }

    /// A string of 1 to `max` characters.
    pub(super) fn text(&self, max: usize) -> Checked<&'a str> {
        let text = self.string()?;
        match text.chars().count() {
            0 => Err(self.bad("must not be empty")),
            count if count > max => Err(self.bad(&format!("must be at most {max} characters long"))),
            _ => Ok(text),
        }
    }

    /// A string of 1 to `max` characters under `key`, or nothing.
    pub(super) fn text_at(&self, key: &str, max: usize) -> Checked<Option<&'a str>> {
        self.find(key).map(|param| param.text(max)).transpose()
    }

    /// A list of 1 to `max` values.
    pub(super) fn items(&self, max: usize) -> Checked<Vec<Param<'a>>> {
        let items = self.value.as_array().ok_or_else(|| self.shape("must be an array"))?;
        if items.is_empty() || items.len() > max {
            return Err(self.bad(&format!("must have between 1 and {max} items")));
        }
        let item = |(index, value)| Param { path: format!("{}[{index}]", self.path), value };
        Ok(items.iter().enumerate().map(item).collect())
    }

    /// A string out of `allowed`.
    pub(super) fn one_of(&self, allowed: &[&str]) -> Checked<&'a str> {
        let given = self.string()?;
        if allowed.contains(&given) {
            return Ok(given);
        }
        Err(self.shape(&format!("must be one of {{{}}} - got \"{given}\"", allowed.join(", "))))
    }

    /// A word out of `allowed`, in capitals or not.
    pub(super) fn word(&self, allowed: &[&'static str]) -> Checked<&'static str> {
        let given = self.string()?;
        let known = allowed.iter().find(|word| word.eq_ignore_ascii_case(given)).copied();
        known.ok_or_else(|| {
            self.shape(&format!("must be one of {{{}}} - got \"{given}\"", allowed.join(", ")))
        })
    }

    /// A number between `-limit` and `limit`; Meta takes digits in a string as well.
    pub(super) fn degrees(&self, limit: f64) -> Checked<f64> {
        let number = self.value.as_f64().or_else(|| self.value.as_str().and_then(|text| text.parse().ok()));
        let number = number.ok_or_else(|| self.shape("must be a number"))?;
        if number.abs() <= limit {
            return Ok(number);
        }
        Err(self.bad(&format!("must be between -{limit} and {limit}")))
    }

    /// A refusal of this value.
    pub(super) fn bad(&self, rule: &str) -> Refusal {
        Refusal::value(&self.path, rule)
    }

    /// A refusal of this value's JSON type.
    pub(super) fn shape(&self, rule: &str) -> Refusal {
        Refusal::shape(&self.path, rule)
    }
}
