//! The files of `docs/deployment/` name what is there: paths, the program, its ports and settings, and its metrics. No container
//! is built here.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use regex::Regex;
use serde_json::Value;
use switchboard::config::Config;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).to_owned()
}

fn read(name: &str) -> String {
    std::fs::read_to_string(root().join("docs/deployment").join(name)).unwrap()
}

fn yaml(name: &str) -> Value {
    serde_saphyr::from_str(&read(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// The port on which it listens when nothing is said.
fn port() -> String {
    Config::default().listen.port().to_string()
}

#[test]
fn the_settings_that_the_files_name_are_there() {
    let listing = Config::default().listing();
    let name = Regex::new(r"\b(?:SWITCHBOARD|WHATSAPP|DATABASE)_[A-Z_]+\b").unwrap();
    let known: BTreeSet<&str> = name.find_iter(&listing).map(|found| found.as_str()).collect();
    let mut looked_at = 0;
    for entry in std::fs::read_dir(root().join("docs/deployment")).unwrap() {
        let path = entry.unwrap().path();
        let text = std::fs::read_to_string(&path).unwrap();
        for found in name.find_iter(&text) {
            looked_at += 1;
            assert!(
                known.contains(found.as_str()),
                "{} names {}, which is no setting",
                path.display(),
                found.as_str()
            );
        }
    }
    assert!(looked_at > 4, "only {looked_at} names were found: the search is broken");
}

#[test]
fn the_image_is_made_of_what_is_there() {
    let file = read("Dockerfile");
    let instruction = |word: &str| -> Vec<String> {
        let lines =
            file.lines().filter_map(|line| line.strip_prefix(word)?.strip_prefix(' ').map(str::to_owned));
        lines.collect()
    };
    let manifest: toml::Table = std::fs::read_to_string(root().join("Cargo.toml")).unwrap().parse().unwrap();
    // What is built has to be copied, and not kept out by the list of what is ignored.
    let copied: Vec<String> = instruction("COPY")
        .into_iter()
        .filter(|line| !line.starts_with("--from"))
        .flat_map(|line| {
            line.split(' ')
                .map(str::to_owned)
                .collect::<Vec<_>>()
                .into_iter()
                .rev()
                .skip(1)
                .collect::<Vec<_>>()
        })
        .collect();
    let allowed = read("Dockerfile.dockerignore");
    for path in &copied {
        assert!(root().join(path).exists(), "the Dockerfile copies {path}, which is not there");
        assert!(allowed.lines().any(|line| line == format!("!{path}")), "{path} is copied and ignored");
    }
    let members =
        manifest["workspace"]["members"].as_array().unwrap().iter().map(|member| member.as_str().unwrap());
    for needed in members.chain(["Cargo.toml", "Cargo.lock", "src"]) {
        assert!(copied.iter().any(|path| Path::new(needed).starts_with(path)), "the build needs {needed}");
    }
    let wanted = manifest["workspace"]["package"]["rust-version"].as_str().unwrap();
    let from = &instruction("FROM")[0];
    assert!(from.starts_with(&format!("rust:{wanted}-")), "it is built by {from}, and needs Rust {wanted}");

    let program = manifest["package"]["name"].as_str().unwrap();
    assert!(file.contains(&format!("cp target/release/{program} /{program}")));
    assert_eq!(instruction("ENTRYPOINT"), [format!("[\"{program}\"]")]);
    assert_eq!(instruction("CMD"), ["[\"serve\"]"]);
    assert_eq!(instruction("EXPOSE"), [port()]);
    assert_eq!(instruction("ENV"), [format!("SWITCHBOARD_LISTEN=0.0.0.0:{}", port())]);
    assert!(file.contains(&format!("curl -fsS http://127.0.0.1:{}/api/whatsapp/health", port())));
    assert!(switchboard::api::openapi_document().contains("\"/api/whatsapp/health\""));
    assert_eq!(instruction("USER").len(), 1, "it does not run as root");
    assert_eq!(instruction("WORKDIR")[1], instruction("VOLUME")[0]);
}

#[test]
fn compose_unit_and_proxies_agree_with_the_program() {
    let compose = yaml("compose.yaml");
    let service = &compose["services"]["switchboard"];
    let place = root().join("docs/deployment").join(service["build"]["context"].as_str().unwrap());
    assert!(place.join(service["build"]["dockerfile"].as_str().unwrap()).exists());
    assert_eq!(service["ports"][0], format!("127.0.0.1:{0}:{0}", port()));
    assert_eq!(service["volumes"][0], "data:/data");
    assert_eq!(compose["services"]["caddy"]["environment"]["UPSTREAM"], format!("switchboard:{}", port()));
    for volume in ["data", "certificates", "rows"] {
        assert!(compose["volumes"].get(volume).is_some(), "{volume}");
    }
    // Whoever stops it waits longer than it takes.
    let end = Config::default().limits.shutdown_timeout.as_secs();
    let grace: u64 = service["stop_grace_period"].as_str().unwrap().trim_end_matches('s').parse().unwrap();
    let unit = read("switchboard.service");
    let setting =
        |name: &str| unit.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('=')).unwrap();
    assert!(grace > end && setting("TimeoutStopSec").parse::<u64>().unwrap() > end);
    assert_eq!(setting("ExecStart"), "/usr/local/bin/switchboard serve");
    assert_eq!(setting("WorkingDirectory"), format!("/var/lib/{}", setting("StateDirectory")));

    let address = format!("127.0.0.1:{}", port());
    for proxy in ["Caddyfile", "nginx.conf"] {
        let text = read(proxy);
        assert!(
            text.contains(&address) && text.contains("api/whatsapp/") && text.contains("docs"),
            "{proxy}"
        );
        assert!(text.contains("101"), "{proxy}: files of 100 MiB have to pass");
        assert!(!text.contains("metrics {") && !text.contains("/metrics"), "{proxy}: metrics stay inside");
    }
}

/// The metrics that a text names, each with the label values that it wants.
fn metrics(text: &str) -> Vec<(String, Vec<String>)> {
    let metric = Regex::new(r"\b(switchboard_[a-z_]+)(\{[^}]*\})?").unwrap();
    let value = Regex::new(r#"(\w+)=~?"([^"]+)""#).unwrap();
    let found = metric.captures_iter(text).map(|found| {
        let labels = found.get(2).map_or("", |labels| labels.as_str());
        let pairs = value.captures_iter(labels);
        let each = pairs.flat_map(|pair| {
            pair[2].split('|').map(|one| format!("{}=\"{one}\"", &pair[1])).collect::<Vec<_>>()
        });
        (found[1].to_owned(), each.collect())
    });
    found.collect()
}

#[test]
fn every_metric_that_is_watched_is_there() {
    let Some(mut session) = crate::with_tools("docs/deployment/prometheus-rules.yaml") else { return };
    session.serve_beside("SWITCHBOARD_API_KEY=try-it switchboard sandbox");
    // Some series begin with the first of their kind.
    let say =
        "curl -s 'http://127.0.0.1:8001/phones/4915112345001/messages?wait=60000' -d '{\"text\": \"hi\"}'";
    session.ask(say);
    let shown = session.ask("curl -s http://127.0.0.1:8000/metrics -H 'Authorization: Bearer try-it'");
    let rules = yaml("prometheus-rules.yaml");
    let rules: Vec<&Value> = rules["groups"]
        .as_array()
        .unwrap()
        .iter()
        .flat_map(|group| group["rules"].as_array().unwrap())
        .collect();
    assert!(rules.len() > 10);
    let guide = |name: &str| std::fs::read_to_string(root().join("docs").join(name)).unwrap();
    let mut texts: Vec<String> = rules.iter().map(|rule| rule["expr"].as_str().unwrap().to_owned()).collect();
    texts.extend([guide("deployment.md"), guide("troubleshooting.md")]);
    let mut looked_at = 0;
    for (name, labels) in texts.iter().flat_map(|text| metrics(text)) {
        looked_at += 1;
        let lines: Vec<&str> =
            shown.lines().filter(|line| line.starts_with(&name) && !line.starts_with('#')).collect();
        assert!(!lines.is_empty(), "there is no metric `{name}`");
        for label in labels {
            assert!(lines.iter().any(|line| line.contains(&label)), "`{name}` has no {label}");
        }
    }
    assert!(looked_at > 20, "only {looked_at} metrics were found: the search is broken");
}
