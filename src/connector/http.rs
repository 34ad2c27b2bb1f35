//! Asking a service over HTTP: one request, one answer in JSON, within a time and a size.
//!
//! Nothing is repeated and no redirect is followed. A value comes into an address encoded, and cannot be the end of a path or lead
//! up in it. Secrets are read from the environment at the moment of the call, and are in no log and no error.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::IpAddr;
use std::sync::{Arc, OnceLock};

use reqwest::header::{ACCEPT, HeaderName, HeaderValue};
use reqwest::{Client, ClientBuilder, RequestBuilder, Response, StatusCode, Url, redirect};
use serde_json::{Map, Value};

use crate::config::Secret;
use crate::flow::{Connector, Flow, Method, Service, VARIABLE_BYTES_MAX};

/// Bytes of an answer that are read. What is taken of it may be smaller still: [`VARIABLE_BYTES_MAX`].
pub const ANSWER_MAX: usize = 256 * 1024;
/// The name under which a `POST` says which call it is (IETF draft "The Idempotency-Key HTTP Header Field").
const IDEMPOTENCY_KEY: &str = "Idempotency-Key";

/// The environment: the value of a variable.
pub type Variables = Arc<dyn Fn(&str) -> Option<Secret> + Send + Sync>;

/// What is needed to ask services. Has to be used within one tokio runtime. Who asks is made when a flow first has a service
/// to ask: that reads all of the machine's CA certificates.
pub struct Services {
    /// For the world, through the proxy of the environment where there is one.
    outside: OnceLock<Client>,
    /// For this machine: no proxy.
    here: OnceLock<Client>,
    variables: Variables,
    plain_http: Vec<String>,
}

impl Services {
    /// With this environment, and these hosts that may be asked over plain http beside those of this machine.
    #[must_use]
    pub fn new(variables: Variables, plain_http: Vec<String>) -> Self {
        Self { outside: OnceLock::new(), here: OnceLock::new(), variables, plain_http }
    }

    /// What keeps the services of a flow from being asked, one sentence each: secrets that are not set, hosts to which
    /// everything would go unencrypted, and that the machine has no CA certificates.
    #[must_use]
    pub fn unfit(&self, flow: &Flow) -> Vec<String> {
        let mut problems = Vec::new();
        for (name, connector) in flow.connectors() {
            let Connector::Http(service) = connector else { continue };
            for (header, variable) in &service.secrets {
                if let Err(problem) = self.secret(variable) {
                    problems.push(format!("connector `{name}`, header `{header}`: {problem}"));
                }
            }
            let sample = service.address.replace(['{', '}'], "");
            if let Err(problem) =
                Url::parse(&sample).map_err(|error| error.to_string()).and_then(|url| self.client(&url))
            {
                problems.push(format!("connector `{name}`: {problem}"));
            }
        }
        problems
    }

    /// Asks `service` with these values. A service that has no such thing (404 to a `GET`) answers nothing.
    ///
    /// # Errors
    /// In words for the operator: it cannot be reached or takes too long, it refuses, its answer is too large or no JSON, or a
    /// value does not fit into the address.
    pub(super) async fn ask(
        &self,
        service: &Service,
        params: &BTreeMap<String, Value>,
        key: &str,
    ) -> Result<Value, String> {
        let (url, rest) = address(&service.address, params)?;
        let request = match service.method {
            Method::Get => self.client(&url)?.get(url),
            Method::Post => self.client(&url)?.post(url).header(IDEMPOTENCY_KEY, key).json(&rest),
        };
        let request = self.with_headers(request, service)?.timeout(service.timeout);
        let response = request.send().await.map_err(told)?;
        match response.status() {
            StatusCode::NOT_FOUND if service.method == Method::Get => return Ok(Value::Null),
            status if !status.is_success() => return Err(format!("the service answered {status}")),
            _ => {}
        }
        let body = body(response).await?;
        if body.is_empty() {
            return Ok(Value::Null);
        }
        let answer =
            serde_json::from_slice(&body).map_err(|error| format!("its answer is no JSON: {error}"))?;
        let taken = take(answer, &service.take);
        match taken.to_string().len() {
            bytes if bytes > VARIABLE_BYTES_MAX => Err(format!(
                "what is taken of its answer has {bytes} bytes, {VARIABLE_BYTES_MAX} are allowed; `take` less of it"
            )),
            _ => Ok(taken),
        }
    }

    fn with_headers(&self, mut request: RequestBuilder, service: &Service) -> Result<RequestBuilder, String> {
        request = request.header(ACCEPT, "application/json");
        for (name, value) in &service.headers {
            request = request.header(name, value);
        }
        for (name, variable) in &service.secrets {
            let name = HeaderName::try_from(name).map_err(|_| format!("`{name}` is no header"))?;
            request = request.header(name, self.secret(variable)?);
        }
        Ok(request)
    }

    fn secret(&self, variable: &str) -> Result<HeaderValue, String> {
        let secret = (self.variables)(variable)
            .ok_or_else(|| format!("the environment variable {variable} is not set"))?;
        let mut value = HeaderValue::try_from(secret.expose())
            .map_err(|_| format!("the environment variable {variable} holds what no header may hold"))?;
        value.set_sensitive(true);
        Ok(value)
    }

    /// Who asks there, if it may be asked.
    fn client(&self, url: &Url) -> Result<&Client, String> {
        let host = url.host_str().unwrap_or_default();
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        if bare == "localhost" || bare.parse().is_ok_and(|ip: IpAddr| ip.is_loopback()) {
            return made(&self.here, || settings().no_proxy());
        }
        if url.scheme() == "https" || self.plain_http.iter().any(|allowed| allowed == host) {
            return made(&self.outside, settings);
        }
        Err(format!(
            "`{host}` would be asked over plain http; use https, or name it in SWITCHBOARD_PLAIN_HTTP_HOSTS"
        ))
    }
}

/// The client in `place`, made with these settings where nobody has asked before.
fn made(place: &OnceLock<Client>, settings: impl FnOnce() -> ClientBuilder) -> Result<&Client, String> {
    if let Some(client) = place.get() {
        return Ok(client);
    }
    let client = settings().build().map_err(told)?;
    Ok(place.get_or_init(|| client))
}

fn settings() -> ClientBuilder {
    // The first one installed serves the whole process; that another room was faster is no error.
    let _ = rustls::crypto::ring::default_provider().install_default();
    Client::builder()
        .user_agent(concat!("switchboard/", env!("CARGO_PKG_VERSION")))
        .redirect(redirect::Policy::none())
        .retry(reqwest::retry::never())
}

/// What went wrong on the way, without the address: a person's words may be in it.
fn told(error: reqwest::Error) -> String {
    if error.is_timeout() {
        return "the service did not answer in time".to_owned();
    }
    let error = error.without_url();
    let mut text = error.to_string();
    let mut cause: Option<&dyn std::error::Error> = std::error::Error::source(&error);
    while let Some(deeper) = cause {
        // Writing to a string cannot fail.
        let _ = write!(text, ": {deeper}");
        cause = deeper.source();
    }
    text
}

async fn body(mut response: Response) -> Result<Vec<u8>, String> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(told)? {
        if body.len() + chunk.len() > ANSWER_MAX {
            return Err(format!("its answer is larger than {ANSWER_MAX} bytes"));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

/// The part of an answer to which these names and places lead; nothing where they lead nowhere.
fn take(mut answer: Value, path: &[String]) -> Value {
    for step in path {
        let part = match &mut answer {
            Value::Object(fields) => fields.get_mut(step),
            Value::Array(entries) => step.parse().ok().and_then(|place: usize| entries.get_mut(place)),
            _ => None,
        };
        answer = part.map(Value::take).unwrap_or_default();
    }
    answer
}

/// The address with its values in it, and the values that it does not hold.
fn address(template: &str, params: &BTreeMap<String, Value>) -> Result<(Url, Map<String, Value>), String> {
    let mut rest: Map<String, Value> =
        params.iter().map(|(name, value)| (name.clone(), value.clone())).collect();
    let mut filled = String::with_capacity(template.len() + 32);
    let mut left = template;
    while let Some((before, after)) = left.split_once('{') {
        let (name, behind) = after.split_once('}').unwrap_or((after, ""));
        filled.push_str(before);
        let text = text(name, params.get(name).unwrap_or(&Value::Null))?;
        if !filled.contains('?') && matches!(text.trim(), "" | "." | "..") {
            return Err(format!("`{name}` is `{text}`, which cannot be a part of a path"));
        }
        encode(&text, &mut filled);
        rest.remove(name);
        left = behind;
    }
    filled.push_str(left);
    Url::parse(&filled).map(|url| (url, rest)).map_err(|error| error.to_string())
}

fn text(name: &str, value: &Value) -> Result<String, String> {
    match value {
        Value::Null => Ok(String::new()),
        Value::String(text) => Ok(text.clone()),
        Value::Bool(_) | Value::Number(_) => Ok(value.to_string()),
        Value::Array(_) | Value::Object(_) => {
            Err(format!("`{name}` is a list or a map, which no address can hold"))
        }
    }
}

/// Everything but the unreserved characters of RFC 3986 becomes `%` and two digits.
fn encode(text: &str, into: &mut String) {
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
                into.push(char::from(byte))
            }
            // Writing to a string cannot fail.
            _ => _ = write!(into, "%{byte:02X}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn filled(template: &str, values: Value) -> Result<(String, Value), String> {
        let params = values.as_object().unwrap().clone().into_iter().collect();
        address(template, &params).map(|(url, rest)| (url.to_string(), rest.into()))
    }

    #[test]
    fn a_value_stays_where_it_was_put() {
        let template = "https://a.example/o/{n}/x?q={q}";
        let (url, rest) =
            filled(template, json!({"n": "../../etc?a#b", "q": "ä&b=c d", "more": [1]})).unwrap();
        assert_eq!(url, "https://a.example/o/..%2F..%2Fetc%3Fa%23b/x?q=%C3%A4%26b%3Dc%20d");
        assert_eq!(rest, json!({"more": [1]}));
        let (url, _) = filled(template, json!({"n": 7, "q": null})).unwrap();
        assert_eq!(url, "https://a.example/o/7/x?q=");
        for wrong in [json!(".."), json!("."), json!(""), json!(null), json!(" "), json!([1]), json!({})] {
            assert!(filled(template, json!({"n": wrong, "q": 1})).is_err(), "{wrong}");
        }
    }

    #[test]
    fn plain_http_is_for_this_machine_and_for_whom_it_is_allowed() {
        let services = Services::new(Arc::new(|_| None), vec!["erp.internal".to_owned()]);
        let may = |url: &str| services.client(&Url::parse(url).unwrap()).is_ok();
        for fine in [
            "https://a.example/",
            "http://localhost:1/",
            "http://127.0.0.1/",
            "http://[::1]/",
            "http://erp.internal:80/",
        ] {
            assert!(may(fine), "{fine}");
        }
        for wrong in
            ["http://a.example/", "http://10.0.0.1/", "http://localhost.a.example/", "http://xerp.internal/"]
        {
            assert!(!may(wrong), "{wrong}");
        }
    }

    #[test]
    fn a_part_is_taken_by_names_and_places() {
        let answer = json!({"orders": [{"n": 1}, {"n": 2}]});
        let part = |path: &[&str]| {
            take(answer.clone(), &path.iter().map(|step| (*step).to_owned()).collect::<Vec<_>>())
        };
        assert_eq!(part(&[]), answer);
        assert_eq!(part(&["orders", "1", "n"]), json!(2));
        assert_eq!(
            (part(&["orders", "2"]), part(&["orders", "n"]), part(&["x", "y"])),
            (json!(null), json!(null), json!(null))
        );
    }

    #[test]
    fn what_is_missing_is_named_with_its_connector() {
        let source = "switchboard: 1\nbot: b\nstart: s\nconnectors:\n  find: { http: 'http://erp.example/{n}', params: { n: now }, \
                      secrets: { Authorization: ERP_LOGIN } }\nstates:\n  s: { call: find, on: { ok: e, error: e } }\n  e: { end: E }\n";
        let flow = Flow::parse(source, "b").unwrap();
        let services = |secret: &'static str| {
            Services::new(
                Arc::new(move |name| Secret::new(if name == "ERP_LOGIN" { secret } else { "" })),
                Vec::new(),
            )
        };
        let told = services("").unfit(&flow).join("\n");
        for part in [
            "connector `find`",
            "header `Authorization`",
            "ERP_LOGIN is not set",
            "`erp.example`",
            "SWITCHBOARD_PLAIN_HTTP_HOSTS",
        ] {
            assert!(told.contains(part), "{part}: {told}");
        }
        let told = services("hush\nhush").unfit(&flow).join("\n");
        assert!(told.contains("ERP_LOGIN holds") && !told.contains("hush"), "{told}");
        assert_eq!(services("Bearer hush").unfit(&flow).len(), 1);
    }
}
