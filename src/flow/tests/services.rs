//! Services in a file: what the check finds, and where a call leads by what came back.

use super::check::{only, problems_of};
use super::*;
use crate::flow::{Method, Service};

const STATES: &str =
    "states:\n  main: { call: c, save: x, on: { ok: e, error: e } }\n  e: { end: '${ x }' }\n";

fn declared(connector: &str) -> String {
    format!("connectors:\n  c: {{ {connector} }}\n{STATES}")
}

#[test]
fn a_service_is_read_whole() {
    let flow = Flow::parse(
        &format!(
            "switchboard: 1\nbot: t\nstart: main\n{}",
            declared(
                "http: 'https://a.example:8443/o/{n}?q={q}', method: POST, params: { n: now, q: today, more: now }, \
                 headers: { X-Shop: Mill 7 }, secrets: { Authorization: SHOP_LOGIN }, take: orders.0, timeout: 5s"
            )
        ),
        "t",
    )
    .unwrap();
    let (name, connector) = flow.connectors().next().unwrap();
    let Connector::Http(service) = connector else { panic!("{name} is another kind") };
    assert_eq!(
        **service,
        Service {
            address: "https://a.example:8443/o/{n}?q={q}".into(),
            method: Method::Post,
            headers: vec![("X-Shop".into(), "Mill 7".into())],
            secrets: vec![("Authorization".into(), "SHOP_LOGIN".into())],
            take: vec!["orders".into(), "0".into()],
            timeout: std::time::Duration::from_secs(5),
        }
    );
}

#[test]
fn mistakes_in_a_service_are_found() {
    for (connector, expected) in [
        ("http: 'ftp://a.example/'", "5: 'ftp://a.example/': an address begins with `https://`"),
        (
            "http: 'https://{h}.example/', params: { h: now }",
            "5: 'https://{h}.example/': `{h}.example` cannot be a host",
        ),
        ("http: 'https://u:p@a.example/'", "5: 'https://u:p@a.example/': `u:p@a.example` cannot be a host"),
        ("http: 'https://a.example/#x'", "5: 'https://a.example/#x': an address holds no '#'"),
        ("http: 'https://a.example/{n'", "5: {n: a parameter is written `{name}`"),
        ("http: 'https://a.example/{n}'", "5: {n}: the parameter `{n}` is not declared"),
        ("http: 'https://a.example/', params: { n: now }", "5: n: the address has no `{n}`"),
        ("http: 'https://a.example/', method: PUT", "5: PUT: `method` is `GET` or `POST`, not `PUT`"),
        ("http: 'https://a.example/', headers: { Host: a }", "5: Host: the header `Host` is set by itself"),
        (
            "http: 'https://a.example/', headers: { X: '${ now }' }",
            "5: '${ now }': a header is the same for every call",
        ),
        (
            "http: 'https://a.example/', secrets: { X: hush }",
            "5: hush: `hush` cannot be the name of an environment variable",
        ),
        (
            "http: 'https://a.example/', secrets: { X: WHATSAPP_API_TOKEN }",
            "5: WHATSAPP_API_TOKEN: `WHATSAPP_API_TOKEN` is for the program alone",
        ),
        ("http: 'https://a.example/', take: a..b", "5: a..b: `take` leads nowhere: `a..b`"),
        ("http: 'https://a.example/', timeout: 11s", "5: 11s: `timeout` is out of range: `11s`"),
        ("http: 'https://a.example/', rows: 1", "5: rows: connector `c` has no use for `rows`"),
    ] {
        only(&declared(connector), expected);
    }
    let post = declared("http: 'https://a.example/', method: POST, params: { n: now }");
    assert_eq!(problems_of(&post), [""; 0]);
}

#[test]
fn nothing_and_an_empty_list_are_empty_and_the_first_of_a_list_can_be_taken() {
    let flow = flow_of(
        "connectors:\n  c: { http: 'https://a.example/' }",
        "  main: { menu: A, options: [{ label: All, go: all }, { label: One, go: one }] }
  all: { call: c, save: x, on: { ok: show, empty: none } }
  one: { call: c, save: x, first: on, on: { ok: show, empty: none } }
  show: { say: '${ x }', go: main }
  none: { say: none, go: main }
",
    );
    let mut talk = Talk::with(&flow, |_, _| CallResult::Value(json!([{"n": 1}, {"n": 2}])));
    talk.says("x");
    assert_eq!(talk.says("all")[0], r#"[{"n":1},{"n":2}]"#);
    assert_eq!(talk.says("one")[0], r#"{"n":1}"#);
    talk.answer = |_, _| CallResult::Value(json!([]));
    assert_eq!((talk.says("all")[0].as_str(), talk.says("one")[0].as_str()), ("none", "none"));
    talk.answer = |_, _| CallResult::Value(json!(null));
    assert_eq!(talk.says("all")[0], "none");
    talk.answer = |_, _| CallResult::Value(json!({"n": 3}));
    assert_eq!((talk.says("all")[0].as_str(), talk.says("one")[0].as_str()), (r#"{"n":3}"#, r#"{"n":3}"#));
}
