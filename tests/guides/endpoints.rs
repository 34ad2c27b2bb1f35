//! The examples and the Postman collection have every endpoint of the OpenAPI document, and nothing that is not there.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::LazyLock;

use regex::Regex;
use serde_json::Value;

use crate::page::Page;
use crate::session::Session;

const EXAMPLES: &str = "docs/api-examples.md";
const COLLECTION: &str = "docs/api.postman_collection.json";
const API: &str = "/api/whatsapp";
/// Where the key has to be that the examples use.
const START: &str = "SWITCHBOARD_API_KEY=try-it switchboard sandbox";

/// Method and path, with `{}` for what varies.
type Endpoint = (String, String);

static DOCUMENT: LazyLock<Value> =
    LazyLock::new(|| serde_json::from_str(&switchboard::api::openapi_document()).unwrap());
static BRACES: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"\{+\w+\}+").unwrap());

/// Every endpoint with its description.
fn endpoints() -> BTreeMap<Endpoint, &'static Value> {
    let paths = DOCUMENT["paths"].as_object().unwrap();
    let all = paths.iter().flat_map(|(path, item)| {
        let path = BRACES.replace_all(path, "{}").into_owned();
        item.as_object()
            .unwrap()
            .iter()
            .map(move |(method, described)| ((method.to_uppercase(), path.clone()), described))
    });
    all.collect()
}

/// What is asked by `curl` in these commands.
fn asked(script: &str) -> Vec<Endpoint> {
    let address = Regex::new(r"(?:\$API|http://127\.0\.0\.1:8000)(/[^?\s\x22']*)").unwrap();
    let method = Regex::new(r"(?:-X|--request) ([A-Z]+)").unwrap();
    let body = Regex::new(r" (?:-d|--data|--data-binary) ").unwrap();
    let varies = Regex::new(r"\$\([^)]*\)|\$\{?\w+\}?|\b\d{9,}\b").unwrap();
    let calls = script.split("curl ").skip(1);
    let ask = |call: &str| {
        let found = address
            .captures(&varies.replace_all(&call.replace("$API", "@API"), "{}").replace("@API", "$API"))?
            .get(1)?
            .as_str()
            .to_owned();
        let path = if call.contains("$API/") { format!("{API}{found}") } else { found };
        let method = method.captures(call).map_or_else(
            || if body.is_match(call) { "POST".to_owned() } else { "GET".to_owned() },
            |named| named[1].to_owned(),
        );
        Some((method, path))
    };
    calls.filter_map(ask).collect()
}

#[test]
fn every_endpoint_has_an_example() {
    let examples = Page::read(EXAMPLES);
    let asked: BTreeSet<Endpoint> = examples.examples().flat_map(|example| asked(&example.script)).collect();
    let there = endpoints();
    let missing: Vec<&Endpoint> = there.keys().filter(|endpoint| !asked.contains(*endpoint)).collect();
    assert!(missing.is_empty(), "{EXAMPLES} has no example with curl for {missing:?}; found {asked:?}");
    // Meta's door is no part of the document.
    let unknown: Vec<&Endpoint> = asked
        .iter()
        .filter(|asked| !there.contains_key(*asked) && asked.1 != format!("{API}/webhook"))
        .collect();
    assert!(unknown.is_empty(), "{EXAMPLES} asks for {unknown:?}, which is not in the document");
}

/// A request of the collection.
struct Request<'a> {
    name: String,
    request: &'a Value,
    script: String,
}

impl Request<'_> {
    fn method(&self) -> &str {
        self.request["method"].as_str().unwrap()
    }

    fn address(&self) -> &str {
        self.request["url"]["raw"].as_str().unwrap()
    }

    fn body(&self) -> Option<&str> {
        self.request["body"]["raw"].as_str()
    }

    fn headers(&self) -> impl Iterator<Item = (&str, &str)> {
        let headers = self.request["header"].as_array().unwrap();
        headers.iter().map(|header| (header["key"].as_str().unwrap(), header["value"].as_str().unwrap()))
    }

    fn wants_key(&self) -> bool {
        self.request["auth"]["type"] != "noauth"
    }

    /// The status that its test wants.
    fn status(&self) -> &str {
        let (_, rest) =
            self.script.split_once("to.have.status(").unwrap_or_else(|| panic!("{}: no test", self.name));
        &rest[..3]
    }

    /// The variables that it sets, each with the place in the answer.
    fn sets(&self) -> Vec<(String, String)> {
        let set = Regex::new(r#"collectionVariables\.set\("(\w+)", pm\.response\.json\(\)\.([\w.\[\]]+)\)"#)
            .unwrap();
        let pointer =
            |place: &str| format!("/{}", place.replace('[', ".").replace(']', "").replace('.', "/"));
        set.captures_iter(&self.script).map(|found| (found[1].to_owned(), pointer(&found[2]))).collect()
    }
}

fn collection() -> Value {
    let text = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(COLLECTION)).unwrap();
    serde_json::from_str(&text).unwrap()
}

fn requests<'a>(item: &'a Value, name: &str, found: &mut Vec<Request<'a>>) {
    let name = format!("{name} / {}", item["name"].as_str().unwrap_or(COLLECTION));
    for item in item["item"].as_array().into_iter().flatten() {
        requests(item, &name, found);
    }
    if item["request"].is_object() {
        let lines = item["event"]
            .as_array()
            .into_iter()
            .flatten()
            .flat_map(|event| event["script"]["exec"].as_array().unwrap());
        let script: Vec<&str> = lines.map(|line| line.as_str().unwrap()).collect();
        found.push(Request { name, request: &item["request"], script: script.join("\n") });
    }
}

#[test]
fn the_collection_is_that_of_the_document() {
    let (collection, there) = (collection(), endpoints());
    let mut found = Vec::new();
    requests(&collection, "", &mut found);
    let mut missing: BTreeSet<&Endpoint> = there.keys().collect();
    for request in found.iter().filter(|request| request.address().starts_with("{{base}}")) {
        let name = &request.name;
        let (path, query) =
            request.address()["{{base}}".len()..].split_once('?').unwrap_or((&request.address()[8..], ""));
        let endpoint = (request.method().to_owned(), BRACES.replace_all(path, "{}").into_owned());
        let described = *there.get(&endpoint).unwrap_or_else(|| panic!("{name}: there is no {endpoint:?}"));
        missing.remove(&endpoint);
        let parameters: Vec<(&str, &str)> = described["parameters"]
            .as_array()
            .into_iter()
            .flatten()
            .map(|known| (known["in"].as_str().unwrap(), known["name"].as_str().unwrap()))
            .collect();
        let keys =
            query.split('&').filter(|pair| !pair.is_empty()).map(|pair| pair.split_once('=').unwrap().0);
        for key in keys {
            assert!(parameters.contains(&("query", key)), "{name}: the document knows no parameter `{key}`");
        }
        for (header, _) in request.headers().filter(|(header, _)| *header != "Content-Type") {
            assert!(
                parameters.contains(&("header", header)),
                "{name}: the document knows no header `{header}`"
            );
        }
        assert_eq!(
            request.wants_key(),
            described["security"][0]["api_key"].is_array(),
            "{name}: with a key or without"
        );
        let required = described["requestBody"]["required"] == true;
        let allowed = described["requestBody"].is_object();
        assert!(
            request.body().map_or(!required, |_| allowed),
            "{name}: a body is {}",
            if required { "wanted" } else { "not taken" }
        );
        assert!(
            described["responses"][request.status()].is_object(),
            "{name}: {} is not in the document",
            request.status()
        );
        let parts: Vec<&str> = request.request["url"]["path"]
            .as_array()
            .unwrap()
            .iter()
            .map(|part| part.as_str().unwrap())
            .collect();
        assert_eq!(parts.join("/"), path.trim_start_matches('/'), "{name}: the two forms of the address");
    }
    assert!(missing.is_empty(), "{COLLECTION} has no request for {missing:?}");
}

#[test]
fn the_collection_runs_from_top_to_bottom() {
    let Some(mut session) = crate::with_tools(COLLECTION) else { return };
    session.serve_beside(START);
    let collection = collection();
    let mut found = Vec::new();
    requests(&collection, "", &mut found);
    let mut variables: BTreeMap<String, String> = BTreeMap::from([("$guid".to_owned(), "a-guid".to_owned())]);
    for variable in collection["variable"].as_array().unwrap() {
        variables.insert(
            variable["key"].as_str().unwrap().to_owned(),
            variable["value"].as_str().unwrap().to_owned(),
        );
    }
    for request in &found {
        let fill = |text: &str| {
            variables
                .iter()
                .fold(text.to_owned(), |text, (name, value)| text.replace(&format!("{{{{{name}}}}}"), value))
        };
        let mut command = format!(
            "curl -s -o answer -w '%{{http_code}}' -X {} '{}'",
            request.method(),
            fill(request.address())
        );
        if request.wants_key() {
            command += &format!(" -H 'Authorization: Bearer {}'", variables["key"]);
        }
        for (name, value) in request.headers() {
            command += &format!(" -H '{name}: {}'", fill(value));
        }
        if let Some(body) = request.body() {
            command += &format!(" --data-binary '{}'", fill(body));
        }
        assert!(!command.contains("{{"), "{}: a variable is not set: {command}", request.name);
        let set = run(&mut session, request, &command);
        variables.extend(set);
    }
    assert!(found.len() >= endpoints().len());
}

/// Makes a request, again until what is to be read from its answer is there, and says what that is.
fn run(session: &mut Session, request: &Request<'_>, command: &str) -> Vec<(String, String)> {
    let mut answer = String::new();
    for _ in 0..crate::session::TRIES {
        let status = session.ask(command);
        answer = session.ask("cat answer 2> /dev/null || true");
        assert_eq!(status, request.status(), "{}: {command}\n{answer}", request.name);
        let parsed: Value = serde_json::from_str(&answer).unwrap_or_default();
        let sets = request.sets();
        let set: Vec<(String, String)> = sets
            .iter()
            .filter_map(|(name, place)| Some((name.clone(), parsed.pointer(place)?.as_str()?.to_owned())))
            .collect();
        if set.len() == sets.len() {
            return set;
        }
        crate::session::pause(crate::session::PAUSE);
    }
    panic!("{}: what it sets is not in the answer:\n{answer}", request.name)
}
