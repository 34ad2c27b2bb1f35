//! Looking at what Meta has of us: single requests of somebody who wants to know whether all is set, not of the runtime.

use reqwest::Url;
use reqwest::header::DATE;
use serde_json::Value;

use super::{Client, Outcome, chain, path, read};
use crate::clock::Millis;
use crate::config::Secret;

/// Bytes of a callback's answer that are read.
const CHALLENGE_MAX: usize = 4 * 1024;

/// What Meta shows.
#[derive(Debug, Clone)]
pub struct Sight {
    /// Its answer.
    pub body: Value,
    /// What time it was at Meta's, by the header `Date`, to the second.
    pub date: Option<Millis>,
}

impl Client {
    /// What Meta shows at `place`, a path below the version, with this query.
    ///
    /// # Errors
    /// What the attempt came to instead.
    pub async fn look(&self, place: &[&str], query: &[(&str, &str)]) -> Result<Sight, Outcome> {
        let mut url = self.root.clone();
        path(&mut url, place);
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        let (answer, headers) = self.answer_whole(self.http.get(url), super::ANSWER_MAX).await?;
        let date = headers.get(DATE).and_then(|date| date.to_str().ok());
        let date = date.and_then(|date| jiff::fmt::rfc2822::parse(date).ok());
        let body = serde_json::from_slice(&answer)
            .map_err(|error| Outcome::Ambiguous(format!("an answer that is no JSON: {error}")))?;
        Ok(Sight { body, date: date.map(|date| date.timestamp().as_millisecond()) })
    }

    /// Asks `callback` what Meta asks it when it is set: whether it knows `verify_token`, and repeats `challenge`.
    /// Source: Meta, "create a webhook endpoint", 2026.
    ///
    /// # Errors
    /// In words, when it does not.
    pub async fn knock(&self, callback: &str, verify_token: &Secret, challenge: &str) -> Result<(), String> {
        let mut url = Url::parse(callback).map_err(|_| "it is no address".to_owned())?;
        url.query_pairs_mut()
            .append_pair("hub.mode", "subscribe")
            .append_pair("hub.verify_token", verify_token.expose())
            .append_pair("hub.challenge", challenge);
        // Without the access token: this is not Meta's.
        let mut response = self.http.get(url).send().await.map_err(|error| chain(&error))?;
        let status = response.status();
        let answer = read(&mut response, CHALLENGE_MAX).await.map_err(|error| chain(&error))?;
        match status.as_u16() {
            200 if answer == challenge.as_bytes() => Ok(()),
            200 => Err("it answers 200, but not with the challenge: something else answers there".to_owned()),
            403 => Err("it answers 403: the verify token there is another one".to_owned()),
            other => Err(format!("it answers {other}")),
        }
    }
}
