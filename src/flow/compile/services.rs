//! Connectors of the kind `http`: where a service is, how it is asked, what is taken of its answer.
//!
//! The host is fixed in the file, and values come into path and query encoded, so that nothing that a person writes leads
//! elsewhere. Secrets are named here and held by the environment.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::Arc;

use super::{Compiler, help};
use crate::flow::definition::{Connector, Declared, Method, Service};
use crate::flow::fields::{self, Fields};
use crate::flow::template::has_code;
use crate::flow::words::did_you_mean;
use crate::flow::yaml::{Node, Span, Yaml};

const SCHEMES: [&str; 2] = ["https://", "http://"];
/// Headers that a request has by itself.
const OWN_HEADERS: [&str; 7] = [
    "accept",
    "connection",
    "content-length",
    "content-type",
    "host",
    "idempotency-key",
    "transfer-encoding",
];
/// How the names of our own settings begin: what they hold is not for others.
const OWN_VARIABLES: [&str; 3] = ["SWITCHBOARD_", "WHATSAPP_", "DATABASE_"];

impl Compiler<'_> {
    pub(super) fn http(&mut self, fields: &mut Fields<'_>) -> Option<Declared> {
        let node = fields.need("http", &mut self.report)?;
        let expressions = self.params(fields.take("params"));
        let method = fields.take("method").map_or(Some(Method::Get), |node| self.method(node));
        let headers = fields.take("headers").map_or(Some(Vec::new()), |node| self.headers(node));
        let secrets = fields.take("secrets").map_or(Some(Vec::new()), |node| self.secrets(node));
        let take = fields.take("take").map_or(Some(Vec::new()), |node| self.path_of_answer(node));
        let timeout = self.call_timeout(fields.take("timeout"));
        let address = fields::scalar(node, "http", &mut self.report)?.trim();
        let places = self.address(node, address)?;
        let mut bound = BTreeSet::new();
        for (name, place) in places {
            if !expressions.contains_key(&name) {
                let at = node.part(self.report.source(), address, place);
                let problem = self.report.error(&at, format!("the parameter `{{{name}}}` is not declared"));
                let near = did_you_mean(&name, expressions.keys().map(String::as_str));
                problem.help(near.unwrap_or_else(|| format!("add `params: {{ {name}: … }}`")));
            }
            bound.insert(name);
        }
        let unused = expressions.iter().filter(|(name, _)| !bound.contains(*name));
        for (name, (at, _)) in unused.filter(|_| method == Some(Method::Get)) {
            let problem = self.report.error(at, format!("the address has no `{{{name}}}`"));
            let near = did_you_mean(name, bound.iter().map(String::as_str));
            help(
                problem,
                near.or_else(|| Some("a `GET` has no body; say `method: POST` to send one".to_owned())),
            );
        }
        let params: Option<BTreeMap<_, _>> =
            expressions.into_iter().map(|(name, (_, expression))| Some((name, expression?))).collect();
        let service = Service {
            address: address.to_owned(),
            method: method?,
            headers: headers?,
            secrets: secrets?,
            take: take?,
            timeout: timeout?,
        };
        Some(Declared { connector: Connector::Http(Arc::new(service)), params: params? })
    }

    /// The parameters in an address, each with its place.
    fn address(&mut self, node: &Node, address: &str) -> Option<Vec<(String, Range<usize>)>> {
        let Some(rest) = SCHEMES.iter().find_map(|scheme| address.strip_prefix(scheme)) else {
            let problem = self.report.error(&node.at, "an address begins with `https://`");
            problem.help("write it whole, like `https://api.example.com/orders/{number}`");
            return None;
        };
        let host = rest.split(['/', '?']).next().unwrap_or_default();
        let is_host = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | ':' | '[' | ']');
        if host.is_empty() || !host.chars().all(is_host) {
            let problem = self.report.error(&node.at, format!("`{host}` cannot be a host"));
            problem.help("the host is fixed: values come after it, and a login goes into `secrets`");
            return None;
        }
        if let Some(wrong) = address.chars().find(|c| c.is_whitespace() || c.is_control() || *c == '#') {
            self.report.error(&node.at, format!("an address holds no {wrong:?}"));
            return None;
        }
        let mut places = Vec::new();
        let mut from = 0;
        while let Some(open) = address[from..].find(['{', '}']).map(|at| from + at) {
            let name =
                address[open..].strip_prefix('{').and_then(|rest| rest.split_once('}')).map(|(name, _)| name);
            let is_name =
                |name: &&str| !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
            let Some(name) = name.filter(is_name) else {
                let at = node.part(self.report.source(), address, open..address.len());
                self.report.error(&at, "a parameter is written `{name}`");
                return None;
            };
            from = open + name.len() + 2;
            places.push((name.to_owned(), open..from));
        }
        Some(places)
    }

    fn method(&mut self, node: &Node) -> Option<Method> {
        match fields::scalar(node, "method", &mut self.report)? {
            "GET" => Some(Method::Get),
            "POST" => Some(Method::Post),
            other => {
                self.report.error(&node.at, format!("`method` is `GET` or `POST`, not `{other}`"));
                None
            }
        }
    }

    fn headers(&mut self, node: &Node) -> Option<Vec<(String, String)>> {
        let read = |compiler: &mut Self, node: &Node| {
            let value = fields::scalar(node, "headers", &mut compiler.report)?;
            if has_code(value) {
                let problem = compiler.report.error(&node.at, "a header is the same for every call");
                problem.help("values of a call go into `params`, and secrets into `secrets`");
                return None;
            }
            let fine = value.chars().all(|c| c == ' ' || c.is_ascii_graphic());
            if !fine {
                compiler
                    .report
                    .error(&node.at, "a header holds ASCII letters, digits and signs, in one line");
            }
            fine.then(|| value.to_owned())
        };
        self.named_headers(node, "headers", read)
    }

    fn secrets(&mut self, node: &Node) -> Option<Vec<(String, String)>> {
        let read = |compiler: &mut Self, node: &Node| {
            let name = fields::scalar(node, "secrets", &mut compiler.report)?;
            let is_name = name.starts_with(|c: char| c.is_ascii_uppercase())
                && name.chars().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_');
            if !is_name {
                let message = format!("`{name}` cannot be the name of an environment variable");
                let problem = compiler.report.error(&node.at, message);
                problem.help("the secret itself stands in the environment, and its name here: capitals, digits and `_`");
                return None;
            }
            if OWN_VARIABLES.iter().any(|own| name.starts_with(own)) {
                let problem = compiler.report.error(&node.at, format!("`{name}` is for the program alone"));
                problem.help("put what the service wants into a variable of its own");
                return None;
            }
            Some(name.to_owned())
        };
        self.named_headers(node, "secrets", read)
    }

    fn named_headers(
        &mut self,
        node: &Node,
        what: &str,
        read: impl Fn(&mut Self, &Node) -> Option<String>,
    ) -> Option<Vec<(String, String)>> {
        let Yaml::Map(entries) = &node.value else {
            self.report.error(&node.at, format!("`{what}` has to be a map by header, not {}", node.kind()));
            return None;
        };
        let entries = fields::entries_once(entries, &format!("`{what}`"), &mut self.report);
        let headers: Vec<_> = entries
            .into_iter()
            .map(|(key, node)| {
                let named = self.header_named(&key.name, &key.at);
                let value = read(self, node)?;
                named.then(|| (key.name.clone(), value))
            })
            .collect();
        headers.into_iter().collect()
    }

    fn header_named(&mut self, name: &str, at: &Span) -> bool {
        let fine = !name.is_empty()
            && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_');
        if !fine {
            self.report.error(at, format!("`{name}` cannot be the name of a header"));
        } else if OWN_HEADERS.contains(&name.to_ascii_lowercase().as_str()) {
            self.report.error(at, format!("the header `{name}` is set by itself"));
            return false;
        }
        fine
    }

    fn path_of_answer(&mut self, node: &Node) -> Option<Vec<String>> {
        let text = fields::scalar(node, "take", &mut self.report)?;
        let parts: Vec<String> = text.split('.').map(|part| part.trim().to_owned()).collect();
        if parts.iter().any(String::is_empty) {
            let problem = self.report.error(&node.at, format!("`take` leads nowhere: `{text}`"));
            problem.help("names of fields and places in lists, with dots: `orders.0.items`");
            return None;
        }
        Some(parts)
    }
}
