//! What the client has to be told, and what is wrong with it if it cannot be used.

use std::net::IpAddr;
use std::time::Duration;

use reqwest::Url;
use reqwest::header::HeaderValue;

use crate::config::Secret;

/// How to reach the Graph API.
#[derive(Debug, Clone)]
pub struct Settings {
    /// `https://graph.facebook.com`; plain `http` only to this machine.
    pub graph_url: String,
    /// `v26.0`.
    pub version: String,
    /// The access token.
    pub token: Secret,
    /// How long an attempt may take in all. What is then without an answer is ambiguous.
    pub timeout: Duration,
    /// How long making a connection may take, less than `timeout`. What then has none was not sent.
    pub connect_timeout: Duration,
}

/// A setting that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum BadSetting {
    /// The address is not one.
    #[error("the Graph API address `{0}` is not an `https://` address without login, query and fragment")]
    GraphUrl(String),
    /// A token would be readable on its way.
    #[error(
        "the Graph API address `{0}` is plain http, which would show the token to the network; use https"
    )]
    Insecure(String),
    /// The version is not one.
    #[error("the Graph API version `{0}` does not look like `v26.0`")]
    Version(String),
    /// The token is not one.
    #[error(
        "the access token is empty or has characters that no token has; copy it again, without line breaks"
    )]
    Token,
    /// An attempt would end before its connection attempt does, so that nothing could be told to be not sent.
    #[error(
        "the connect time-out ({connect:?}) has to be shorter than the time-out of the whole attempt ({whole:?})"
    )]
    Timeouts {
        /// For the connection.
        connect: Duration,
        /// For the whole attempt.
        whole: Duration,
    },
    /// The machine lacks something.
    #[error("the HTTP client cannot be built: {0}; are CA certificates installed?")]
    Http(String),
}

/// The header that carries `token`, marked so that it is not printed.
pub(super) fn bearer(token: &Secret) -> Result<HeaderValue, BadSetting> {
    let token = token.expose().trim();
    if token.is_empty() || !token.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(BadSetting::Token);
    }
    let mut value = HeaderValue::from_str(&format!("Bearer {token}")).map_err(|_| BadSetting::Token)?;
    value.set_sensitive(true);
    Ok(value)
}

/// The address, if it can be one and keeps the token from the network.
pub(super) fn graph_url(given: &str) -> Result<Url, BadSetting> {
    let bad = || BadSetting::GraphUrl(given.to_owned());
    let url = Url::parse(given).map_err(|_| bad())?;
    let plain = url.username().is_empty()
        && url.password().is_none()
        && url.query().is_none()
        && url.fragment().is_none()
        && url.has_host();
    match url.scheme() {
        "https" if plain => Ok(url),
        "http" if plain && is_loopback(&url) => Ok(url),
        "http" if plain => Err(BadSetting::Insecure(given.to_owned())),
        // A login in the address is a secret too.
        _ if !url.username().is_empty() || url.password().is_some() => {
            Err(BadSetting::GraphUrl("(an address with a login)".to_owned()))
        }
        _ => Err(bad()),
    }
}

/// Whether `url` is on this machine: `localhost`, 127.0.0.0/8 or `::1`.
pub(super) fn is_loopback(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    let ip = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    host == "localhost" || ip.is_ok_and(|ip| ip.is_loopback())
}

/// Whether `text` looks like `v26.0`.
pub(super) fn is_version(text: &str) -> bool {
    let is_number = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    text.strip_prefix('v')
        .and_then(|rest| rest.split_once('.'))
        .is_some_and(|(a, b)| is_number(a) && is_number(b))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_http_goes_to_this_machine_only() {
        for good in [
            "https://graph.facebook.com",
            "http://127.0.0.1:9000/x",
            "http://127.9.9.9",
            "http://[::1]:1",
            "http://localhost",
        ] {
            assert!(graph_url(good).is_ok(), "{good}");
        }
        for insecure in
            ["http://graph.facebook.com", "http://localhost.evil.example", "http://10.0.0.1", "http://[::2]"]
        {
            assert!(matches!(graph_url(insecure), Err(BadSetting::Insecure(_))), "{insecure}");
        }
        for bad in ["", "graph.facebook.com", "ftp://x", "https://x?a=1", "https://x#a", "file:///etc"] {
            assert!(matches!(graph_url(bad), Err(BadSetting::GraphUrl(_))), "{bad}");
        }
    }

    #[test]
    fn a_login_in_the_address_is_refused_and_not_repeated() {
        let refused = graph_url("https://me:hunter2@x").unwrap_err().to_string();
        assert!(!refused.contains("hunter2"), "{refused}");
    }

    #[test]
    fn a_token_with_a_line_break_or_without_anything_is_refused_and_not_repeated() {
        for bad in ["  ", "hunter2\nx", "hunter2 x", "hunter2é"] {
            let refused = bearer(&Secret::new(bad).unwrap()).unwrap_err();
            assert!(!format!("{refused} {refused:?}").contains("hunter2"));
        }
        let header = bearer(&Secret::new(" hunter2\n").unwrap()).unwrap();
        assert!(!format!("{header:?}").contains("hunter2"));
        assert_eq!(header.to_str().unwrap(), "Bearer hunter2");
    }

    #[test]
    fn versions_look_like_metas() {
        assert!(is_version("v26.0"));
        for bad in ["26.0", "v26", "v.0", "v26.x", "v26.0/..", ""] {
            assert!(!is_version(bad), "{bad}");
        }
    }
}
