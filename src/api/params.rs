//! Query parameters: each known, given once, and not empty.

use actix_web::HttpRequest;
use actix_web::web::Query;
use reqwest::Url;

use super::problem::Problem;

/// The query parameters of one request.
#[derive(Debug)]
pub(super) struct Params(Vec<(String, String)>);

impl Params {
    /// Those of `request`, when every one of them is among `known`.
    pub(super) fn of(request: &HttpRequest, known: &[&str]) -> Result<Self, Problem> {
        Self::parse(request.query_string(), known)
    }

    fn parse(query: &str, known: &[&str]) -> Result<Self, Problem> {
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

    /// `path` with these parameters, but with this `cursor`.
    pub(super) fn with_cursor(&self, path: &str, cursor: &str) -> String {
        let mut url = Url::parse("http://here").expect("it is a URL");
        url.set_path(path);
        let others = self.0.iter().filter(|(name, _)| name != "cursor");
        url.query_pairs_mut().extend_pairs(others).append_pair("cursor", cursor);
        format!("{}?{}", url.path(), url.query().unwrap_or_default())
    }
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
