//! Reading over the real path: lists are walked to the end and back while rows come in, every mixture of filters finds what
//! a look at all rows finds, and searches find what is there, whatever is typed.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};
use switchboard::domain::search::Search;
use switchboard::flow::Flow;
use switchboard::sandbox::{Media, Outcome, Rule, Times};

use crate::load::Dice;
use crate::support::app::{API_KEY, TestApp};
use crate::support::database::on_both;
use crate::support::{flows, until, wire};

/// Rows of each list before anybody walks.
const ROWS: usize = 23;
/// Rows in a page: it divides nothing evenly.
const LIMIT: usize = 7;
/// Mixtures of filters that are tried on each list.
const MIXTURES: usize = 120;

fn phone(person: usize) -> String {
    format!("49176{person:08}")
}

fn echo() -> Flow {
    Flow::parse(flows::ECHO, "echo").unwrap()
}

/// A page, and the pages that its header `Link` names.
struct Page {
    ids: Vec<String>,
    next_cursor: Option<String>,
    prev_cursor: Option<String>,
    links: BTreeMap<String, String>,
}

/// GET of a list below `/api/whatsapp`.
async fn page(app: &TestApp, path: &str) -> Page {
    let url = format!("http://{}/api/whatsapp/{path}", app.app.addr());
    page_at(app, &url).await
}

async fn page_at(app: &TestApp, url: &str) -> Page {
    let answer = app.http.get(url).bearer_auth(API_KEY).send().await.unwrap();
    assert_eq!(answer.status(), 200, "{url}");
    let link = answer.headers().get("link").map_or("", |link| link.to_str().unwrap()).to_owned();
    let links = link.split(", ").filter_map(|one| {
        let (url, rel) = one.split_once(">; rel=\"")?;
        Some((rel.trim_end_matches('"').to_owned(), url.trim_start_matches('<').to_owned()))
    });
    let links = links.collect();
    let body: Value = answer.json().await.unwrap();
    let id = |row: &Value| {
        let id = row.get("id").filter(|id| id.is_string()).unwrap_or(&row["message_id"]);
        id.as_str().unwrap().to_owned()
    };
    let cursor = |name: &str| body[name].as_str().map(str::to_owned);
    Page {
        ids: body["data"].as_array().unwrap().iter().map(id).collect(),
        next_cursor: cursor("next_cursor"),
        prev_cursor: cursor("prev_cursor"),
        links,
    }
}

/// The whole list in one order, in the pages that `Link` names.
async fn whole(app: &TestApp, path: &str) -> Vec<String> {
    let mut here = page(app, path).await;
    let mut ids = std::mem::take(&mut here.ids);
    while let Some(next) = here.links.get("next") {
        here = page_at(app, &format!("http://{}{next}", app.app.addr())).await;
        ids.append(&mut here.ids);
    }
    assert_eq!(here.next_cursor, None);
    ids
}

/// Waits until all is done and sent but for what waits until its person writes.
async fn settle_but_for_held(app: &TestApp) {
    until("the rest to be done and sent", async || {
        let done = app.app.store().backlog().await.unwrap().oldest_unfinished_at.is_none();
        let waits = app.app.store().backlog().await.unwrap().waiting() > 0;
        (done && !waits && app.meta.delivered().pending == 0).then_some(())
    })
    .await;
}

/// One row more for every list.
async fn one_more(app: &TestApp, place: usize) {
    // A person of their own, and one whose conversation gets longer.
    app.meta.say(&phone(place), "hello").unwrap();
    app.meta.say(&phone(0), &format!("line {place}")).unwrap();
    let stranger = format!("49177{place:08}");
    let held = json!({"to": stranger, "type": "text", "body": "when you write", "outside_window": "wait"});
    let (status, sent) = app.post("/send", &held).await;
    assert_eq!(status, 202, "{sent}");
    let message = format!("/messages/{}", sent["id"].as_str().unwrap());
    until("the message to be in the queue", async || (app.get(&message).await.0 == 200).then_some(())).await;
    let (status, key) = app.post("/keys", &json!({"name": format!("key {place}"), "scopes": ["read"]})).await;
    assert_eq!(status, 201, "{key}");
    let file = app.http.post(format!("http://{}/api/whatsapp/media", app.app.addr()));
    let file = file.bearer_auth(API_KEY).header("Content-Type", "text/plain").body(format!("file {place}"));
    assert_eq!(file.send().await.unwrap().status(), 201);
}

/// Somebody who walks a list.
struct Walk {
    path: String,
    /// What was in the list when they set out.
    before: Vec<String>,
    here: Page,
    seen: Vec<String>,
}

impl Walk {
    async fn new(app: &TestApp, list: &str, order: &str) -> Self {
        let joint = if list.contains('?') { '&' } else { '?' };
        let path = format!("{list}{joint}order={order}&limit={LIMIT}");
        let before = whole(app, &path).await;
        assert!(before.len() >= ROWS, "{path}: {}", before.len());
        let here = page(app, &path).await;
        assert!(!here.links.contains_key("prev"), "{path}: nothing is before the first page");
        Self { seen: here.ids.clone(), path, before, here }
    }

    async fn go_on(&mut self, app: &TestApp) {
        if let Some(cursor) = &self.here.next_cursor {
            self.here = page(app, &format!("{}&cursor={cursor}", self.path)).await;
            assert!(self.here.ids.len() <= LIMIT);
            self.seen.extend(self.here.ids.iter().cloned());
        }
    }

    /// From the end to the beginning, and on to what came in where that is before it.
    async fn go_back(mut self, app: &TestApp, news_come_first: bool) {
        let (path, seen, before) = (&self.path, &self.seen, &self.before);
        if news_come_first {
            assert_eq!(seen, before, "{path}: what came in belongs to no later page");
        } else {
            assert_eq!(&seen[..before.len()], before, "{path}");
        }
        let mut back = self.here.ids.clone();
        while self.here.links.contains_key("prev") {
            let cursor = self.here.prev_cursor.clone().unwrap();
            self.here = page(app, &format!("{path}&cursor={cursor}")).await;
            back.splice(0..0, self.here.ids.iter().cloned());
        }
        let after = whole(app, path).await;
        let end = if news_come_first { after.len() } else { seen.len() };
        assert_eq!(back, after[..end], "{path}: and back");
    }
}

on_both!(every_list_is_walked_to_its_end_and_back_while_rows_come_in, async |database: Database| {
    let app = TestApp::start(database, echo(), |_| {}).await;
    for place in 0..ROWS {
        one_more(&app, place).await;
    }
    settle_but_for_held(&app).await;
    let conversation = app.get(&format!("/conversations?contact={}", phone(0))).await.1;
    let conversation = conversation["data"][0]["id"].as_str().unwrap().to_owned();
    let lists = [
        "messages".to_owned(),
        "contacts".into(),
        "conversations".into(),
        format!("conversations/{conversation}/messages"),
        "webhooks".into(),
        "queue?state=held".into(),
        "media".into(),
        "keys".into(),
        "audit".into(),
        "messages?direction=out".into(),
        "webhooks?state=done".into(),
        format!("messages?contact={}", phone(0)),
    ];
    let mut made = ROWS;
    for order in ["desc", "asc"] {
        let mut walks = Vec::new();
        for list in &lists {
            walks.push(Walk::new(&app, list, order).await);
        }
        // To the end, while rows come in.
        let mut steps = 0;
        while walks.iter().any(|walk| walk.here.next_cursor.is_some()) {
            if steps < 3 {
                one_more(&app, made).await;
                made += 1;
            }
            steps += 1;
            for walk in &mut walks {
                walk.go_on(&app).await;
            }
        }
        one_more(&app, made).await;
        made += 1;
        settle_but_for_held(&app).await;
        for walk in walks {
            walk.go_back(&app, order == "desc").await;
        }
    }
    app.stop().await;
});

/// What of this list answers to a filter, by a look at the row: parameter, the values that are tried, and the look.
type Filters = Vec<(&'static str, Vec<String>, fn(&Value, &str) -> bool)>;

fn is(row: &Value, field: &str, wanted: &str) -> bool {
    row[field].as_str() == Some(wanted)
}

fn is_among(row: &Value, field: &str, wanted: &str) -> bool {
    wanted.split(',').any(|one| is(row, field, one))
}

fn time(text: &str) -> jiff::Timestamp {
    text.parse().unwrap()
}

fn values(rows: &[Value], field: &str) -> Vec<String> {
    let all: BTreeSet<&str> = rows.iter().filter_map(|row| row[field].as_str()).collect();
    all.into_iter().map(str::to_owned).collect()
}

/// Tries mixtures of filters by chance, each walked in small pages.
async fn try_mixtures(app: &TestApp, list: &str, rows: &[Value], filters: &Filters, dice: &mut Dice) {
    let mut not_empty = 0;
    for _ in 0..MIXTURES {
        let mut query = format!("limit={}", dice.below(20) + 1);
        let mut expected: Vec<&Value> = rows.iter().collect();
        for (name, values, holds) in filters {
            if dice.below(3) == 0 && !values.is_empty() {
                let value = &values[dice.below(values.len())];
                let encoded: String = url_encoded(value);
                query.push_str(&format!("&{name}={encoded}"));
                expected.retain(|row| holds(row, value));
            }
        }
        if dice.below(2) == 0 {
            query.push_str("&order=asc");
            expected.reverse();
        }
        // A range whose end is not behind its beginning is refused: that is tried elsewhere.
        if query.contains("since=") && query.contains("until=") {
            continue;
        }
        let found = whole(app, &format!("{list}?{query}")).await;
        let expected: Vec<&str> = expected.iter().map(|row| row["id"].as_str().unwrap()).collect();
        assert_eq!(found, expected, "{list}?{query}");
        not_empty += usize::from(!found.is_empty());
    }
    assert!(not_empty >= MIXTURES / 10, "only {not_empty} mixtures of {list} found anything");
}

fn url_encoded(text: &str) -> String {
    let mut url = reqwest::Url::parse("http://here").unwrap();
    url.query_pairs_mut().append_pair("v", text);
    url.query().unwrap()["v=".len()..].to_owned()
}

/// All rows of a list, newest first, as shown.
async fn rows(app: &TestApp, list: &str) -> Vec<Value> {
    let mut rows = Vec::new();
    let mut path = format!("/{list}?limit=200");
    loop {
        let (status, page) = app.get(&path).await;
        assert_eq!(status, 200, "{page}");
        rows.extend(page["data"].as_array().unwrap().iter().cloned());
        let Some(cursor) = page["next_cursor"].as_str() else { return rows };
        path = format!("/{list}?limit=200&cursor={cursor}");
    }
}

on_both!(every_mixture_of_filters_finds_what_a_look_at_all_rows_finds, async |database: Database| {
    let app = TestApp::start(database, echo(), |config| config.limits.send_attempts = 1).await;
    let mut dice = Dice(612);
    for round in 0..4 {
        for person in 0..9 {
            match dice.below(5) {
                0 => app.meta.send_media(&phone(person), Media::Image, Some("look")).unwrap(),
                1 => app.meta.send_media(&phone(person), Media::Sticker, None).unwrap(),
                _ => app.meta.say(&phone(person), &format!("round {round}")).unwrap(),
            };
        }
        app.quiet().await;
        for person in 0..9 {
            if dice.below(3) == 0 {
                _ = app.meta.open(&phone(person));
            }
        }
        for person in [3, 4] {
            let template = json!({"to": phone(20 + person + round), "type": "template", "name": "hello", "language": "en"});
            assert_eq!(app.post("/send", &template).await.0, 202);
        }
    }
    app.meta
        .set_rule(Rule {
            phone: None,
            times: Times::Always,
            outcome: Outcome::Error { code: 131_026, status: None },
        })
        .unwrap();
    for person in 0..4 {
        let text = json!({"to": phone(person), "type": "text", "body": "lost"});
        assert_eq!(app.post("/send", &text).await.0, 202);
    }
    app.quiet().await;

    let messages = rows(&app, "messages").await;
    let events = rows(&app, "webhooks").await;
    let contacts: Vec<String> = (0..4).map(phone).collect();
    let contact_of: BTreeMap<String, String> = rows(&app, "contacts")
        .await
        .iter()
        .filter_map(|row| Some((row["id"].as_str()?.to_owned(), row["wa_id"].as_str()?.to_owned())))
        .collect();
    assert!(values(&messages, "status").contains(&"failed".to_owned()), "{:?}", values(&messages, "status"));
    assert!(contact_of.len() >= 9);
    let of_contact = values(&messages, "contact_id");
    let mut kinds = values(&messages, "type");
    kinds.extend(["text,image".to_owned(), "template,sticker".into()]);
    let mut statuses = values(&messages, "status");
    statuses.extend(["delivered,read,sent".to_owned(), "failed,queued".into()]);
    let times: Vec<String> = values(&messages, "created_at");
    let filters: Filters = vec![
        ("contact", of_contact, |row, id| is(row, "contact_id", id)),
        ("conversation", values(&messages, "conversation_id"), |row, id| is(row, "conversation_id", id)),
        ("direction", vec!["in".into(), "out".into()], |row, way| is(row, "direction", way)),
        ("type", kinds, |row, kinds| is_among(row, "type", kinds)),
        ("status", statuses, |row, statuses| is_among(row, "status", statuses)),
        ("phone_number_id", vec![wire::NUMBER.into(), "1".into()], |row, id| is(row, "phone_number_id", id)),
        ("since", times.clone(), |row, at| time(row["created_at"].as_str().unwrap()) >= time(at)),
        ("until", times, |row, at| time(row["created_at"].as_str().unwrap()) < time(at)),
    ];
    try_mixtures(&app, "messages", &messages, &filters, &mut dice).await;
    for contact in contacts {
        let by_phone = whole(&app, &format!("messages?contact=%2B{contact}&limit=5")).await;
        let id = contact_of.iter().find(|(_, phone)| **phone == contact).unwrap().0;
        assert_eq!(by_phone, whole(&app, &format!("messages?contact={id}")).await, "{contact}");
    }

    let times: Vec<String> = values(&events, "accepted_at");
    let filters: Filters = vec![
        ("state", values(&events, "state"), |row, state| is(row, "state", state)),
        ("type", values(&events, "type"), |row, kind| is(row, "type", kind)),
        ("conversation", values(&events, "conversation_id"), |row, id| is(row, "conversation_id", id)),
        ("phone_number_id", vec![wire::NUMBER.into(), "1".into()], |row, id| is(row, "phone_number_id", id)),
        ("since", times.clone(), |row, at| time(row["accepted_at"].as_str().unwrap()) >= time(at)),
        ("until", times, |row, at| time(row["accepted_at"].as_str().unwrap()) < time(at)),
    ];
    try_mixtures(&app, "webhooks", &events, &filters, &mut dice).await;
    app.stop().await;
});

/// What people write, and what is found by it.
const TEXTS: [&str; 12] = [
    "Where is my order ORD-001?",
    "ORDER ord-002 is late",
    "Müller & Söhne, bitte zurückrufen",
    "mueller; MULLER",
    "E\u{301}mile was here",
    "ПРИВЕТ, где мой заказ?",
    "订单 123号 在哪里",
    "क्या हिन्दी चलेगी",
    "a 'quoted' \"word\" -- and; DROP TABLE message;",
    "50% off_now \\ backslash * star",
    "NEAR(order late) AND NOT gear OR gears",
    "👍🏽",
];

on_both!(searches_find_what_is_there_whatever_is_typed, async |database: Database| {
    let app = TestApp::start(database, echo(), |_| {}).await;
    for (person, text) in TEXTS.iter().enumerate() {
        app.meta.say(&phone(person), text).unwrap();
    }
    app.meta.say(&phone(0), "the last of all").unwrap();
    app.quiet().await;
    until("the words of the last message to be kept", async || {
        (whole(&app, "messages?direction=in&q=last").await.len() == 1).then_some(())
    })
    .await;

    let all = rows(&app, "messages").await;
    let body = |id: &str| all.iter().find(|row| row["id"] == id).unwrap()["body"].as_str().unwrap();
    for (q, expected) in [
        ("order", vec![TEXTS[10], TEXTS[1], TEXTS[0]]),
        ("ORDER late", vec![TEXTS[10], TEXTS[1]]),
        ("ord-001", vec![TEXTS[0]]),
        ("ord*", vec![TEXTS[10], TEXTS[1], TEXTS[0]]),
        ("muller", vec![TEXTS[3], TEXTS[2]]),
        ("MÜLL*", vec![TEXTS[3], TEXTS[2]]),
        ("émile", vec![TEXTS[4]]),
        ("привет", vec![TEXTS[5]]),
        ("订单", vec![TEXTS[6]]),
        ("हिन्दी", vec![TEXTS[7]]),
        ("drop table", vec![TEXTS[8]]),
        ("near", vec![TEXTS[10]]),
        ("gea*", vec![TEXTS[10]]),
        ("nowhere", vec![]),
        ("order nowhere*", vec![]),
    ] {
        let found = whole(&app, &format!("messages?direction=in&q={}&limit=1", url_encoded(q))).await;
        let found: BTreeSet<&str> = found.iter().map(|id| body(id)).collect();
        assert_eq!(found, expected.into_iter().collect(), "{q}");
    }

    // Whatever is typed is searched for or refused by name, and what is found is what a look at every message finds.
    let odd = [
        "\"",
        "'",
        "''",
        "\"order",
        "order\"",
        "*",
        "**",
        "a*",
        "or*",
        "order*",
        "order**",
        "-order",
        "order OR late",
        "AND",
        "NOT",
        "NEAR",
        "NEAR(a b)",
        "words:order",
        "{words}:order",
        "^order",
        "(order",
        "order)",
        "order & late",
        "order | late",
        "!order",
        "<->",
        ":*",
        "%",
        "_",
        "\\",
        "\u{0}",
        "order\u{0}late",
        "\u{feff}order",
        "👍",
        "👍🏽",
        ";--",
        "1",
        "001",
        "ORD 002",
        "ﬁ",
        "İ",
        "ß",
        "\u{301}",
        "e\u{301}mile",
        "в",
        "где*",
        "单",
        "单*",
        "ा",
        "हि*",
        "order\torder\norder",
        &"order ".repeat(30),
        &"x".repeat(200),
        &"x".repeat(201),
        &"w ".repeat(11),
        "a b c d e f g h i j k",
    ];
    for q in odd {
        let path = format!("/messages?q={}&limit=200", url_encoded(q));
        let (status, answer) = app.get(&path).await;
        match Search::parse(q) {
            Ok(search) => {
                assert_eq!(status, 200, "{q:?}: {answer}");
                let found: Vec<&str> = answer["data"]
                    .as_array()
                    .unwrap()
                    .iter()
                    .map(|row| row["id"].as_str().unwrap())
                    .collect();
                let expected: Vec<&str> = all
                    .iter()
                    .filter(|row| search.matches(row["body"].as_str().unwrap_or_default()))
                    .map(|row| row["id"].as_str().unwrap())
                    .collect();
                assert_eq!(found, expected, "{q:?}");
            }
            Err(why) => {
                assert_eq!((status, &answer["field"]), (400, &json!("q")), "{q:?}");
                assert!(answer["detail"].as_str().unwrap().contains(&why.to_string()), "{q:?}: {answer}");
            }
        }
    }
    app.stop().await;
});
