//! The one socket to the Graph API.
//!
//! The sender calls [`Client::send`], once per attempt; here nothing is retried. What an attempt came to is one of four:
//! Meta took it, Meta refused it, it never left, or nobody knows. The last two are kept apart with care: what never left
//! may be sent again at once, what nobody knows may not.
//!
//! The token is in a header that is marked as sensitive, and in no error. There are no redirects: they would carry a
//! message, and its token, to where nobody configured.

mod look;
mod media;
mod settings;
mod templates;
#[cfg(test)]
mod tests;

use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use futures_util::future::BoxFuture;
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderValue, RETRY_AFTER};
use reqwest::{RequestBuilder, Response, Url, redirect};
use serde_json::Value;

use super::failure::{self, Refused};
use super::object::Object;
use crate::config::Secret;
pub use look::Sight;
pub use media::{Download, MediaInfo, Trouble, Upload};
pub use settings::{BadSetting, Settings};
use settings::{bearer, graph_url, is_loopback, is_version};
pub use templates::Listing;

/// Bytes of an answer that are read, but for a list; Meta's are well under 2 KiB.
const ANSWER_MAX: usize = 64 * 1024;
/// Idle connections are closed before the other side does it: a message that meets a closing one is ambiguous. Below the
/// 5 s after which common servers close.
const IDLE_TIMEOUT: Duration = Duration::from_secs(4);
/// Idle connections that are kept: at 1,000 messages/s and 250 ms an answer, so many are in use.
const IDLE_MAX: usize = 256;

/// What an attempt came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// Meta took it and will tell its fate by status webhooks.
    Accepted {
        /// Meta's id of the message; none for a request that gets none, which is [`crate::meta::request::mark_read`].
        wamid: Option<String>,
        /// The person's phone number as Meta knows it, in digits.
        wa_id: Option<String>,
        /// The person's business-scoped id.
        user_id: Option<String>,
    },
    /// Meta answered that it did not take it.
    Refused(Refused),
    /// It did not reach Meta: there was no connection. May be sent again without fear of doing so twice.
    NotSent(String),
    /// It may have reached Meta or not: the answer is missing or says nothing.
    Ambiguous(String),
}

/// A way to the Graph API that is no network, but somebody in this process who decides what becomes of each request. The
/// program has none; a simulation does.
pub trait Wire: Send + Sync + std::fmt::Debug {
    /// The answer to `request`, or what the attempt came to without one.
    fn exchange(&self, request: reqwest::Request) -> BoxFuture<'static, Result<Response, Outcome>>;
}

/// A handle on the Graph API; clones share connections and token.
#[derive(Clone, Debug)]
pub struct Client {
    http: reqwest::Client,
    wire: Option<Arc<dyn Wire>>,
    root: Url,
    token: Arc<RwLock<HeaderValue>>,
}

impl Client {
    /// A client with these settings; it connects when it first sends. Has to be used within one tokio runtime.
    ///
    /// # Errors
    /// When the address, version or token cannot be one, the address would show the token to the network, the time-outs
    /// do not fit, or the machine has no CA certificates.
    pub fn new(settings: &Settings) -> Result<Self, BadSetting> {
        let mut root = graph_url(&settings.graph_url)?;
        if !is_version(&settings.version) {
            return Err(BadSetting::Version(settings.version.clone()));
        }
        if settings.connect_timeout >= settings.timeout {
            return Err(BadSetting::Timeouts { connect: settings.connect_timeout, whole: settings.timeout });
        }
        path(&mut root, &[&settings.version]);
        let token = bearer(&settings.token)?;
        // The first one installed serves the whole process; that another room was faster is no error.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut builder = reqwest::Client::builder()
            .user_agent(concat!("switchboard/", env!("CARGO_PKG_VERSION")))
            .redirect(redirect::Policy::none())
            .retry(reqwest::retry::never())
            // One message per connection at a time: a connection that breaks makes one message ambiguous, not hundreds.
            .http1_only()
            .tcp_nodelay(true)
            .timeout(settings.timeout)
            .connect_timeout(settings.connect_timeout)
            .pool_idle_timeout(IDLE_TIMEOUT)
            .pool_max_idle_per_host(IDLE_MAX);
        if is_loopback(&root) {
            // A proxy is for the world outside, and so are certificates where there is no TLS.
            builder = builder.no_proxy();
        }
        if root.scheme() == "http" {
            builder = builder.tls_certs_only([]);
        }
        let http = builder.build().map_err(|e| BadSetting::Http(chain(&e)))?;
        Ok(Self { http, wire: None, root, token: Arc::new(RwLock::new(token)) })
    }

    /// The same client, which asks `wire` instead of the network.
    #[must_use]
    pub fn over(self, wire: Arc<dyn Wire>) -> Self {
        Self { wire: Some(wire), ..self }
    }

    /// Uses `token` from the next attempt on, in all clones.
    ///
    /// # Errors
    /// When it cannot be a token; the one before stays.
    pub fn set_token(&self, token: &Secret) -> Result<(), BadSetting> {
        let token = bearer(token)?;
        *self.token.write().unwrap_or_else(PoisonError::into_inner) = token;
        Ok(())
    }

    /// Makes one attempt to send `body` ([`crate::meta::request::body`]) from our number `phone_number_id`.
    pub async fn send(&self, phone_number_id: &str, body: &Value) -> Outcome {
        let gets_an_id = body.get("status").is_none();
        match self.post(phone_number_id, body).await {
            Ok(answer) => accepted(&answer, gets_an_id)
                .unwrap_or_else(|| Outcome::Ambiguous("a success that says nothing".to_owned())),
            Err(outcome) => outcome,
        }
    }

    async fn post(&self, phone_number_id: &str, body: &Value) -> Result<Vec<u8>, Outcome> {
        let mut url = self.root.clone();
        path(&mut url, &[phone_number_id, "messages"]);
        self.answer(self.http.post(url).json(body)).await
    }

    fn token(&self) -> HeaderValue {
        self.token.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    async fn exchange(&self, request: RequestBuilder) -> Result<Response, Outcome> {
        match &self.wire {
            None => request.send().await.map_err(|e| unanswered(&e)),
            Some(wire) => wire.exchange(request.build().map_err(|e| unanswered(&e))?).await,
        }
    }

    /// Makes one attempt at `request`, with the token. The body of a successful answer that holds no error, or what the
    /// attempt came to instead.
    async fn answer(&self, request: RequestBuilder) -> Result<Vec<u8>, Outcome> {
        self.answer_up_to(request, ANSWER_MAX).await
    }

    /// As [`Client::answer`], for an answer that may have `bytes_max` bytes.
    async fn answer_up_to(&self, request: RequestBuilder, bytes_max: usize) -> Result<Vec<u8>, Outcome> {
        self.answer_whole(request, bytes_max).await.map(|(answer, _)| answer)
    }

    /// The same, with the headers.
    async fn answer_whole(
        &self,
        request: RequestBuilder,
        bytes_max: usize,
    ) -> Result<(Vec<u8>, HeaderMap), Outcome> {
        let mut response = self.exchange(request.header(AUTHORIZATION, self.token())).await?;
        let status = response.status();
        let headers = std::mem::take(response.headers_mut());
        let retry_after = retry_after(&headers);
        let answer = read(&mut response, bytes_max).await;
        let missing = |e: &reqwest::Error| format!("HTTP {status}, but the rest is missing: {}", chain(e));
        if status.is_success() {
            let answer = answer.map_err(|e| Outcome::Ambiguous(missing(&e)))?;
            return match failure::metas_error(&answer) {
                Some(failure) => {
                    Err(Outcome::Refused(Refused { http_status: status.as_u16(), failure, retry_after }))
                }
                None => Ok((answer, headers)),
            };
        }
        let reason = answer.as_ref().err().map(missing);
        let refused = failure::refused(status.as_u16(), retry_after, &answer.unwrap_or_default());
        Err(refused.map_or_else(
            || Outcome::Ambiguous(reason.unwrap_or_else(|| format!("HTTP {status} that is not Meta's own"))),
            Outcome::Refused,
        ))
    }
}

/// What an attempt without any answer came to.
fn unanswered(error: &reqwest::Error) -> Outcome {
    // An error while connecting (name, refusal, TLS, time-out) or building the request: not a byte of it has left.
    if error.is_connect() || error.is_builder() {
        Outcome::NotSent(chain(error))
    } else {
        Outcome::Ambiguous(chain(error))
    }
}

/// The answer's body, up to `bytes_max` bytes.
async fn read(response: &mut Response, bytes_max: usize) -> Result<Vec<u8>, reqwest::Error> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await? {
        let room = bytes_max.saturating_sub(body.len());
        body.extend_from_slice(&chunk[..chunk.len().min(room)]);
        if chunk.len() > room {
            break;
        }
    }
    Ok(body)
}

/// `{"contacts":[{"input":…,"wa_id":…,"user_id":…}],"messages":[{"id":…}]}`, or `{"success":true}` where there is no id.
/// Source: Meta, "send messages" and "mark messages as read".
fn accepted(answer: &[u8], gets_an_id: bool) -> Option<Outcome> {
    let answer = Object::parse(std::str::from_utf8(answer).ok()?).ok()?;
    if !gets_an_id {
        let done = Outcome::Accepted { wamid: None, wa_id: None, user_id: None };
        return answer.flag("success").then_some(done);
    }
    let first = |name| answer.list(name).first().and_then(|raw| Object::read(raw));
    let contact = first("contacts");
    let of_contact = |name| contact.as_ref().and_then(|contact| contact.text(name));
    Some(Outcome::Accepted {
        wamid: Some(first("messages")?.text("id")?),
        wa_id: of_contact("wa_id"),
        user_id: of_contact("user_id"),
    })
}

/// `Retry-After` in seconds; Meta does not document it, gateways and emulators send it.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds: u64 = headers.get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds).min(failure::RETRY_AFTER_MAX))
}

/// An error with its causes, and without the address: that is ours and always the same.
fn chain(error: &reqwest::Error) -> String {
    use std::error::Error as _;
    let mut text = match (error.is_timeout(), error.is_connect()) {
        (true, true) => "no connection in time".to_owned(),
        (true, false) => "no answer in time".to_owned(),
        (false, true) => "no connection".to_owned(),
        (false, false) => "the exchange failed".to_owned(),
    };
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}

/// Adds `segments` to the path, escaped.
fn path(url: &mut Url, segments: &[&str]) {
    if let Ok(mut path) = url.path_segments_mut() {
        path.pop_if_empty().extend(segments);
    }
}
