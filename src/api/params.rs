//! Query parameters: each known, given once, and not empty.

use actix_web::HttpRequest;
use actix_web::web::Query;
use jiff::Timestamp;
use reqwest::Url;

use super::problem::Problem;
use crate::clock::Millis;
use crate::domain::contact::{is_user_id, phone_digits};
use crate::domain::ids::ConversationId;
use crate::store::read::{Times, Who};

/// Values of one parameter, at the most.
const LIST_MAX: usize = 20;

/// The query parameters of one request.
#[derive(Debug)]
pub(super) struct Params(Vec<(String, String)>);

impl Params {
    /// Those of `request`, when every one of them is among `known`.
    pub(super) fn of(request: &HttpRequest, known: &[&str]) -> Result<Self, Problem> {
        Self::parse(request.query_string(), known)
    }

    pub(super) fn parse(query: &str, known: &[&str]) -> Result<Self, Problem> {
        // Pairs of text can always be read; what is no valid encoding is read as it stands.
        let pairs =
            Query::<Vec<(String, String)>>::from_query(query).map(Query::into_inner).unwrap_or_default();
        for (place, (name, value)) in pairs.iter().enumerate() {
            if !known.contains(&name.as_str()) {
                return Err(Problem::parameter(name, unknown(name, known)));
            }
            if value.is_empty() {
                return Err(Problem::parameter(
                    name,
                    format!("`{name}` is empty; give a value or leave it out"),
                ));
            }
            if pairs[..place].iter().any(|(other, _)| other == name) {
                return Err(Problem::parameter(name, format!("`{name}` is there twice; give it once")));
            }
        }
        Ok(Self(pairs))
    }

    /// The value of `name`.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// The value of `name` as `read` understands it; `wanted` says what is understood.
    pub(super) fn parsed<T>(
        &self,
        name: &str,
        wanted: &str,
        read: impl FnOnce(&str) -> Option<T>,
    ) -> Result<Option<T>, Problem> {
        let Some(value) = self.get(name) else { return Ok(None) };
        let wrong = || Problem::parameter(name, format!("`{name}` has to be {wanted}"));
        read(value).map(Some).ok_or_else(wrong)
    }

    /// The value of `name`, which has to be one of `words`, as `read` understands it.
    pub(super) fn one_of<T>(
        &self,
        name: &str,
        words: &[&str],
        read: impl FnOnce(&str) -> Option<T>,
    ) -> Result<Option<T>, Problem> {
        self.parsed(name, &one_of(words), read)
    }

    /// The value of `name`, which has to be one of `words`, as it stands.
    pub(super) fn word(&self, name: &str, words: &[&str]) -> Result<Option<String>, Problem> {
        self.one_of(name, words, |text| words.contains(&text).then(|| text.to_owned()))
    }

    /// The values of `name`, which stand with commas between them, each as `read` understands it; none when it is not there.
    pub(super) fn list<T>(
        &self,
        name: &str,
        wanted: &str,
        read: impl Fn(&str) -> Option<T>,
    ) -> Result<Vec<T>, Problem> {
        let wanted = format!("{wanted}, or up to {LIST_MAX} of these with commas between them");
        let values = self.parsed(name, &wanted, |text| {
            let values: Option<Vec<T>> = text.split(',').map(|value| read(value.trim())).collect();
            values.filter(|values| values.len() <= LIST_MAX)
        })?;
        Ok(values.unwrap_or_default())
    }

    /// The value of `name` as a time.
    pub(super) fn time(&self, name: &str) -> Result<Option<Millis>, Problem> {
        let wanted = "a time such as 2027-01-31T18:00:00Z (a `+` in it is written %2B)";
        self.parsed(name, wanted, |text| text.parse().ok().map(Timestamp::as_millisecond))
    }

    /// `since` and `until`.
    pub(super) fn times(&self) -> Result<Times, Problem> {
        let times = Times { since: self.time("since")?, until: self.time("until")? };
        match times {
            Times { since: Some(since), until: Some(until) } if since >= until => {
                Err(Problem::parameter("until", "`until` has to be later than `since`".to_owned()))
            }
            times => Ok(times),
        }
    }

    /// The value of `name` as yes or no.
    pub(super) fn flag(&self, name: &str) -> Result<Option<bool>, Problem> {
        self.parsed(name, "`true` or `false`", |text| text.parse().ok())
    }

    /// Whom `contact` means.
    pub(super) fn contact(&self) -> Result<Option<Who>, Problem> {
        self.parsed("contact", "a contact's id (`con_…`), a phone number or a user id", |text| {
            let id = text.parse().ok().map(Who::Contact);
            let user = || is_user_id(text).then(|| Who::Alias(text.to_owned()));
            id.or_else(user).or_else(|| phone_digits(text).map(Who::Alias))
        })
    }

    /// Which conversation `conversation` means.
    pub(super) fn conversation(&self) -> Result<Option<ConversationId>, Problem> {
        self.parsed("conversation", "the id of a conversation (`cnv_…`)", |id| id.parse().ok())
    }

    /// The value of `name` as it stands.
    pub(super) fn text(&self, name: &str) -> Option<String> {
        self.get(name).map(str::to_owned)
    }

    /// `path` with these parameters, but with this `cursor`.
    pub(super) fn with_cursor(&self, path: &str, cursor: &str) -> String {
        let mut url = Url::parse("http://here").expect("it is a URL");
        url.set_path(path);
        let others = self.0.iter().filter(|(name, _)| name != "cursor");
        url.query_pairs_mut().extend_pairs(others).append_pair("cursor", cursor);
        format!("{}?{}", url.path(), url.query().unwrap_or_default())
    }
}

/// How a refusal says which words there are.
pub(super) fn one_of(words: &[&str]) -> String {
    format!("one of `{}`", words.join("`, `"))
}

fn unknown(name: &str, known: &[&str]) -> String {
    match known {
        [] => format!("`{name}` is not known here; this endpoint takes no parameters"),
        known => format!("`{name}` is not known here; known are `{}`", known.join("`, `")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_known_given_once_and_not_empty() {
        let fine = Params::parse("contact=%2B49%20170&limit=5", &["contact", "limit"]).unwrap();
        assert_eq!(
            (fine.get("contact"), fine.get("limit"), fine.get("cursor")),
            (Some("+49 170"), Some("5"), None)
        );
        for (query, words) in [
            ("contakt=1", "`contakt` is not known here; known are `contact`, `limit`"),
            ("limit=1&limit=2", "`limit` is there twice; give it once"),
            ("contact=&limit=1", "`contact` is empty; give a value or leave it out"),
            ("contact", "`contact` is empty; give a value or leave it out"),
        ] {
            assert_eq!(Params::parse(query, &["contact", "limit"]).unwrap_err().to_string(), words);
        }
    }

    #[test]
    fn the_next_page_keeps_the_other_parameters_and_escapes_them() {
        let params =
            Params::parse("type=a%3Eb%22c&cursor=old&limit=5", &["type", "cursor", "limit"]).unwrap();
        assert_eq!(
            params.with_cursor("/api/whatsapp/messages", "new"),
            "/api/whatsapp/messages?type=a%3Eb%22c&limit=5&cursor=new"
        );
    }
}
