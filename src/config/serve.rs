//! What `switchboard serve` needs before it may meet the world.

use std::fmt;
use std::net::IpAddr;

use reqwest::Url;

use super::table::{Config, GROUPS};

/// What is missing or unsafe, one sentence each. Never empty, and never holds a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Missing {
    /// The sentences.
    pub problems: Vec<String>,
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("`switchboard serve` cannot start:")?;
        self.problems.iter().try_for_each(|problem| write!(f, "\n  - {problem}"))?;
        f.write_str("\n`switchboard sandbox` needs none of this and makes up its own.")
    }
}

impl std::error::Error for Missing {}

impl Config {
    /// Whether everything is there that a server for real people needs.
    ///
    /// # Errors
    /// Names everything that is missing, with its environment variable, and a Graph API address that would carry the
    /// token over the network unencrypted.
    pub fn require_for_serve(&self) -> Result<(), Missing> {
        let mut problems = Vec::new();
        if self.meta.app_secret.is_none() {
            problems.push(not_set("app_secret"));
        }
        if self.meta.verify_token.is_none() {
            problems.push(not_set("verify_token"));
        }
        if self.numbers.is_empty() {
            problems.push(not_set("phone_number_id"));
            if self.meta.token.is_none() {
                problems.push(not_set("token"));
            }
        } else if self.numbers.iter().all(|number| number.token.is_none()) {
            problems.push(not_set("token"));
        } else {
            let without = self.numbers.iter().filter(|number| number.token.is_none());
            problems.extend(without.map(|number| {
                let id = &number.phone_number_id;
                format!(
                    "the number {id} has no token: set `token` in its [[numbers]] entry or WHATSAPP_API_TOKEN"
                )
            }));
        }
        if is_exposed(&self.meta.graph_url) {
            let url = &self.meta.graph_url;
            problems.push(format!(
                "WHATSAPP_GRAPH_URL is {url}: the token would cross the network unencrypted; use https"
            ));
        }
        if problems.is_empty() { Ok(()) } else { Err(Missing { problems }) }
    }
}

fn not_set(field: &str) -> String {
    let row = GROUPS
        .iter()
        .filter(|group| group.name == "meta")
        .flat_map(|group| group.settings)
        .find(|row| row.field == field)
        .expect("the fields asked for here are in the table");
    format!("{} (`meta.{field}`) is not set:{}", row.env, row.doc)
}

/// Whether requests to `url` would cross a network in plain text.
fn is_exposed(url: &str) -> bool {
    let Ok(url) = Url::parse(url) else { return true };
    let host = url.host_str().unwrap_or_default().trim_start_matches('[').trim_end_matches(']');
    let loopback = host == "localhost" || host.parse().is_ok_and(|ip: IpAddr| ip.is_loopback());
    url.scheme() != "https" && !loopback
}

#[cfg(test)]
mod tests {
    use super::super::from_texts;
    use super::*;

    #[test]
    fn everything_that_is_missing_is_named_at_once() {
        let missing = Config::default().require_for_serve().unwrap_err();
        assert_eq!(missing.problems.len(), 4);
        let text = missing.to_string();
        for name in [
            "WHATSAPP_APP_SECRET",
            "WHATSAPP_WEBHOOK_VERIFY_TOKEN",
            "WHATSAPP_PHONE_NUMBER_ID",
            "WHATSAPP_API_TOKEN",
        ] {
            assert!(text.contains(name), "{name}: {text}");
        }
    }

    #[test]
    fn every_number_needs_a_token() {
        let text = "[meta]\napp_secret = 's'\nverify_token = 'v'\n[[numbers]]\nphone_number_id = 1\ntoken = 't'\n\
                    [[numbers]]\nphone_number_id = 2\n";
        let config = from_texts(text, &[]).unwrap();
        let missing = config.require_for_serve().unwrap_err();
        assert_eq!(missing.problems.len(), 1);
        assert!(missing.problems[0].contains("number 2"), "{missing}");
        assert!(from_texts(text, &[("WHATSAPP_API_TOKEN", "t")]).unwrap().require_for_serve().is_ok());
    }

    #[test]
    fn plain_http_is_for_this_machine_only() {
        for fine in ["https://graph.facebook.com", "http://127.0.0.1:1", "http://[::1]:1", "http://localhost"]
        {
            assert!(!is_exposed(fine), "{fine}");
        }
        for wrong in
            ["http://graph.facebook.com", "http://10.0.0.1", "http://127.0.0.1.example.com", "nothing"]
        {
            assert!(is_exposed(wrong), "{wrong}");
        }
    }
}
