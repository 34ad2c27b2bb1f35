//! Templates: kept in step with Meta by its list and its webhooks, and checked before one is sent.

use std::time::Duration;

use sea_orm::{ConnectionTrait, DatabaseConnection, Statement};
use serde_json::{Value, json};
use switchboard::app::Parts;
use switchboard::clock::{Clock, Hand, Ids, MINUTE};
use switchboard::config::Secret;
use switchboard::domain::contact::Address;
use switchboard::domain::outbound;
use switchboard::domain::template::{Category, Status, Template};
use switchboard::flow::Flow;
use switchboard::meta::client::{Client, Settings as ClientSettings};
use switchboard::meta::request;
use switchboard::meta::template::wants;
use switchboard::meta::webhook::{Body, parse};
use switchboard::sandbox::{Outcome, Rule, Times};
use switchboard::store::read::Page;
use switchboard::store::{
    HashKey, Hint, Incoming, IncomingBody, Settings, Store, StoredTemplate, TemplateFilter, TemplateList,
};
use switchboard::telemetry::Metrics;
use tokio::sync::mpsc::UnboundedReceiver;

use crate::support::app::{TestApp, local_meta};
use crate::support::database::{Database, on_both};
use crate::support::{door, run, until, wire};

const NOW: i64 = 1_795_337_387_000;
/// The business account, as [`switchboard::sandbox::Settings::made_up`] has it.
const ACCOUNT: &str = "102290129340398";
const ALL: Page = Page::newest(1_000);

/// A body as Meta posts it, about templates: `second` is when it happened.
fn change(account: &str, second: i64, field: &str, value: &Value) -> Vec<u8> {
    let changes = json!([{"field": field, "value": value}]);
    let entry = json!({"id": account, "time": second, "changes": changes});
    json!({"object": "whatsapp_business_account", "entry": [entry]}).to_string().into_bytes()
}

fn status(id: u64, event: &str) -> Value {
    json!({"event": event, "message_template_id": id, "message_template_name": format!("t{id}"),
        "message_template_language": "en-US", "reason": "NONE"})
}

/// A store alone, with its clock.
struct House {
    store: Store,
    hints: UnboundedReceiver<Hint>,
    hand: Hand,
    clock: Clock,
}

impl House {
    async fn open(database: &Database) -> Self {
        let (clock, hand) = Clock::manual(NOW);
        let settings = Settings {
            url: database.url.clone(),
            migrate: true,
            reader_connections: 2,
            batch_max: 64,
            directory_cache: 100,
            unfinished_max: 1_000,
            queued_max: i64::MAX,
            window_margin: Duration::ZERO,
            hash_key: HashKey::default(),
            scrub_max_bytes: 0,
        };
        let ids = Ids::new(clock.clone());
        let (store, hints) = Store::open(&settings, clock.clone(), ids, Metrics::new()).await.unwrap();
        Self { store, hints, hand, clock }
    }

    /// Takes in a list of Meta's that was asked for so long ago.
    async fn listed(&self, templates: Vec<Template>, whole: bool, ago: i64) {
        let asked_at = self.clock.now() - ago;
        let list = TemplateList { business_account_id: ACCOUNT.into(), asked_at, templates, whole };
        self.store.keep_templates(list).await.unwrap();
    }

    /// Takes in a body of Meta's, and says whether the list has to be read.
    async fn told(&mut self, account: &str, second: i64, field: &str, value: &Value) -> bool {
        let bring = |item: switchboard::meta::webhook::Item| {
            let Body::Template { field: kind, news } = item.body else { panic!("{item:?}") };
            let business_account_id = item.business_account_id.unwrap();
            let body = IncomingBody::Template { kind, business_account_id, news };
            Incoming { dedupe_key: item.dedupe_key, payload: item.payload, body }
        };
        let body = change(account, second, field, value);
        let incoming = parse(&body).unwrap().into_iter().map(bring).collect();
        self.store.accept(incoming, self.store.reserve(0).unwrap()).await.unwrap();
        match self.hints.recv().await {
            Some(Hint::TemplatesTold { look }) => look,
            other => panic!("{other:?}"),
        }
    }

    async fn all(&self) -> Vec<StoredTemplate> {
        let mut rows = self.store.list_templates(TemplateFilter::default(), ALL).await.unwrap().rows;
        rows.reverse();
        rows
    }

    /// Every template: name and status.
    async fn shown(&self) -> Vec<String> {
        let rows = self.all().await;
        rows.iter().map(|row| format!("{} {}", row.template.name, row.template.status.as_str())).collect()
    }
}

/// Template `t<id>` as Meta lists it.
fn listed(id: u64, status: Status) -> Template {
    Template {
        meta_id: Some(id.to_string()),
        name: format!("t{id}"),
        language: "en_US".into(),
        category: Category::Utility,
        status,
        quality: Some("GREEN".into()),
        reason: None,
        format: Some("POSITIONAL".into()),
        components: r#"[{"type":"BODY","text":"caf\u00e9"}]"#.into(),
    }
}

on_both!(a_list_is_written_over_what_is_known, async |database: Database| {
    let house = House::open(&database).await;
    let approved = |id| listed(id, Status::Approved);
    // Meta's pages may shift while they are read, so that one template stands on two of them.
    house.listed(vec![approved(1), approved(2), approved(1), approved(3)], true, 0).await;
    assert_eq!(house.shown().await, ["t1 APPROVED", "t2 APPROVED", "t3 APPROVED"]);
    let first = house.all().await;
    assert_eq!(first[0].template, approved(1), "as it was given");

    house.hand.advance(Duration::from_secs(60));
    let edited = Template { components: "[]".into(), ..approved(2) };
    house.listed(vec![approved(1), edited.clone(), approved(4)], true, 0).await;
    assert_eq!(house.shown().await, ["t1 APPROVED", "t2 APPROVED", "t3 DELETED", "t4 APPROVED"]);
    let second = house.all().await;
    assert_eq!((second[0].id, second[0].updated_at, second[0].synced_at), (first[0].id, NOW, NOW + MINUTE));
    assert_eq!((second[1].id, second[1].updated_at), (first[1].id, NOW + MINUTE));
    assert_eq!((&second[1].template, second[2].synced_at), (&edited, NOW));

    // What is missing in half a list may be there.
    house.listed(vec![approved(3), listed(1, Status::of("FROZEN"))], false, 0).await;
    assert_eq!(house.shown().await, ["t1 FROZEN", "t2 APPROVED", "t3 APPROVED", "t4 APPROVED"]);
    assert_eq!(house.all().await[2].id, first[2].id);

    // Each account has its own.
    let other = TemplateList {
        business_account_id: "7".into(),
        asked_at: NOW,
        templates: vec![approved(1)],
        whole: true,
    };
    house.store.keep_templates(other).await.unwrap();
    assert_eq!(house.shown().await.len(), 5);
    let filter = TemplateFilter { status: Some(Status::of("frozen")), ..TemplateFilter::default() };
    assert_eq!(house.store.list_templates(filter, ALL).await.unwrap().rows.len(), 1);
});

on_both!(news_hold_from_their_commit_on_and_count_by_metas_time, async |database: Database| {
    let mut house = House::open(&database).await;
    house.listed(vec![listed(1, Status::Approved), listed(2, Status::Approved)], true, 0).await;
    let field = "message_template_status_update";
    let paused = json!({"event": "PAUSED", "message_template_id": 1, "reason": "NONE",
        "other_info": {"title": "FIRST_PAUSE", "description": "It is paused."}});
    assert!(!house.told(ACCOUNT, 1_000, field, &paused).await);
    assert_eq!(house.shown().await, ["t1 PAUSED", "t2 APPROVED"]);
    assert_eq!(house.all().await[0].template.reason.as_deref(), Some("It is paused."));

    // Told in the other order than it happened.
    assert!(!house.told(ACCOUNT, 3_000, field, &status(1, "APPROVED")).await);
    assert!(!house.told(ACCOUNT, 2_000, field, &status(1, "DISABLED")).await);
    assert_eq!(house.shown().await[0], "t1 APPROVED");
    // Another matter has a time of its own.
    let quality = json!({"new_quality_score": "RED", "message_template_id": 1});
    house.told(ACCOUNT, 1_500, "message_template_quality_update", &quality).await;
    let category = json!({"new_category": "MARKETING", "message_template_id": 1});
    house.told(ACCOUNT, 1_500, "template_category_update", &category).await;
    let row = house.all().await.remove(0).template;
    assert_eq!((row.quality.as_deref(), row.category), (Some("RED"), Category::Marketing));

    // A list that was asked for before does not undo it, one that was asked for since does.
    house.told(ACCOUNT, 4_000, field, &status(1, "DISABLED")).await;
    house.listed(vec![listed(1, Status::Approved), listed(2, Status::Approved)], true, 1).await;
    assert_eq!(house.shown().await, ["t1 DISABLED", "t2 APPROVED"]);
    house.hand.advance(Duration::from_millis(1));
    house.listed(vec![listed(1, Status::Paused)], true, 0).await;
    assert_eq!(house.shown().await, ["t1 PAUSED", "t2 DELETED"]);
    // It says nothing of why.
    house.told(ACCOUNT, 5_000, field, &paused).await;
    house.hand.advance(Duration::from_millis(1));
    house.listed(vec![listed(1, Status::Paused)], true, 0).await;
    assert_eq!(house.all().await[0].template.reason.as_deref(), Some("It is paused."));
});

on_both!(news_that_do_not_tell_everything_have_the_list_read, async |database: Database| {
    let mut house = House::open(&database).await;
    house.listed(vec![listed(1, Status::Approved)], true, 0).await;
    let field = "message_template_status_update";
    assert!(house.told(ACCOUNT, 1, field, &status(9, "APPROVED")).await, "it is not known");
    assert!(house.told(ACCOUNT, 2, field, &status(1, "UNARCHIVED")).await);
    assert!(house.told("7", 3, field, &status(1, "PAUSED")).await, "it is another account's");
    let edited = json!({"message_template_id": 1, "message_template_element": "Hi {{1}}"});
    assert!(house.told(ACCOUNT, 4, "message_template_components_update", &edited).await);
    assert_eq!(house.shown().await, ["t1 APPROVED"]);

    // By name and language where no id is told; not where another template has them now.
    let named =
        json!({"event": "PAUSED", "message_template_name": "t1", "message_template_language": "en-US"});
    assert!(!house.told(ACCOUNT, 5, field, &named).await);
    assert_eq!(house.shown().await, ["t1 PAUSED"]);
    let mut before = status(1, "DELETED");
    before["message_template_id"] = 777.into();
    assert!(house.told(ACCOUNT, 6, field, &before).await);
    assert_eq!(house.shown().await, ["t1 PAUSED"]);
    // What is told twice is told once.
    let again = parse(&change(ACCOUNT, 5, field, &named)).unwrap().remove(0);
    let Body::Template { field: kind, news } = again.body else { panic!() };
    let body = IncomingBody::Template { kind, business_account_id: ACCOUNT.into(), news };
    let incoming = Incoming { dedupe_key: again.dedupe_key, payload: again.payload, body };
    let accepted = house.store.accept(vec![incoming], house.store.reserve(0).unwrap()).await.unwrap();
    assert!(accepted[0].duplicate);
});

/// A flow that says nothing by itself.
const SILENT: &str = r#"
switchboard: 1
bot: silent
start: listen
states:
  listen:
    ask: "${ '' }"
    expect: text
    save: heard
    globals: off
    go: listen
"#;

const ANN: &str = "4915112345001";
const BEN: &str = "4915112345002";

fn parts(clock: Clock) -> Parts {
    Parts { clock, ..Parts::new(Flow::parse(SILENT, "silent").unwrap()) }
}

/// An app whose number belongs to the local Meta's business account and that has read its list, and the hand of its clock.
/// The local Meta has no templates but those that a test adds.
async fn start(database: Database) -> (TestApp, Hand) {
    let (clock, hand) = Clock::manual(NOW);
    let test = TestApp::start_with(database, parts(clock), |config| {
        config.numbers[0].business_account_id = Some(ACCOUNT.into());
    });
    let test = test.await;
    until("the first list", async || test.syncs_that("done").then_some(())).await;
    (test, hand)
}

fn body(text: &str) -> Value {
    json!({"type": "BODY", "text": text})
}

fn template(name: &str, category: &str, components: Value) -> Value {
    json!({"name": name, "language": "en", "category": category, "components": components})
}

fn order_ready() -> Value {
    template("order_ready", "UTILITY", json!([body("Hello {{1}}, your order {{2}} is ready.")]))
}

/// A request to send a template.
fn send(to: &str, name: &str, parts: Value) -> Value {
    let mut message = json!({"to": to, "type": "template", "name": name, "language": "en"});
    message.as_object_mut().unwrap().extend(parts.as_object().unwrap().clone());
    message
}

fn ready(to: &str) -> Value {
    send(to, "order_ready", json!({"body": ["Ada", "A-17"]}))
}

impl TestApp {
    /// Has Meta's list read, and waits until so many of it are known to whoever asks.
    async fn syncs(&self, templates: usize) {
        assert_eq!(self.post("/templates/sync", &Value::Null).await, (202, json!({"status": "asked"})));
        let listed = async || (self.templates("").await.len() == templates).then_some(());
        until("the templates", listed).await;
        for template in self.templates("&status=approved").await {
            let mut nowhere = send(ANN, template["name"].as_str().unwrap(), json!({}));
            nowhere["language"] = json!("xx");
            let known = async || (self.refuses(&nowhere).await["field"] == "language").then_some(());
            until("a template to be known", known).await;
        }
    }

    async fn templates(&self, query: &str) -> Vec<Value> {
        let (status, page) = self.get(&format!("/templates?limit=200{query}")).await;
        assert_eq!(status, 200, "{page}");
        page["data"].as_array().unwrap().clone()
    }

    /// Waits until sending this is refused, and returns the refusal.
    async fn refuses(&self, message: &Value) -> Value {
        until("a refusal", async || {
            let (status, refusal) = self.post("/send", message).await;
            (status == 422).then_some(refusal)
        })
        .await
    }

    /// Waits until this may be sent.
    async fn takes(&self, message: &Value) -> Value {
        until("it to be taken", async || {
            let (status, taken) = self.post("/send", message).await;
            (status == 202).then_some(taken)
        })
        .await
    }

    /// Waits until a message is shown as failed.
    async fn failed(&self, id: &Value) -> Value {
        let path = format!("/messages/{}", id.as_str().unwrap());
        until("the failure", async || {
            let (_, message) = self.get(&path).await;
            (message["status"] == "failed").then_some(message)
        })
        .await
    }

    fn syncs_that(&self, outcome: &str) -> bool {
        let line = format!("switchboard_template_syncs_total{{outcome=\"{outcome}\"}} 0");
        !self.app.metrics().encode().lines().any(|known| known == line)
    }
}

on_both!(what_meta_has_is_listed_with_what_it_wants, async |database: Database| {
    let (test, _hand) = start(database).await;
    test.meta.add_template(&order_ready()).unwrap();
    let offer = template(
        "spring_offer",
        "MARKETING",
        json!([{"type": "HEADER", "format": "IMAGE"}, body("Only {{1}} left"), {"type": "BUTTONS", "buttons": [
            {"type": "QUICK_REPLY", "text": "Tell me more"},
            {"type": "URL", "text": "See it", "url": "https://example.com/{{1}}"}]}]),
    );
    test.meta.add_template(&offer).unwrap();
    let mut german = order_ready();
    german["language"] = json!("de");
    test.meta.add_template(&german).unwrap();
    test.syncs(3).await;

    let named = test.templates("&name=spring_offer&language=en&status=approved").await;
    assert_eq!(named.len(), 1);
    let shown = &named[0];
    assert_eq!(
        (&shown["category"], &shown["status"], &shown["business_account_id"]),
        (&json!("MARKETING"), &json!("APPROVED"), &json!(ACCOUNT))
    );
    let buttons = json!([{"label": "Tell me more", "wants": "payload"}, {"label": "See it", "wants": "url"}]);
    assert_eq!(shown["wants"], json!({"header": "image", "body": 1, "buttons": buttons}));
    let at_meta = test.meta.templates().into_iter().find(|known| known["name"] == "spring_offer").unwrap();
    assert_eq!((&shown["components"], &shown["meta_id"]), (&at_meta["components"], &at_meta["id"]));
    let (status, one) = test.get(&format!("/templates/{}", shown["id"].as_str().unwrap())).await;
    assert_eq!((status, &one), (200, shown));
    assert_eq!(test.get("/templates/tpl_1").await.0, 404);
    assert_eq!(test.templates("&language=de").await.len(), 1);
    assert_eq!(test.templates("&status=PAUSED").await.len(), 0);
    let (_, first) = test.get("/templates?limit=2").await;
    let cursor = first["next_cursor"].as_str().unwrap();
    let (_, second) = test.get(&format!("/templates?limit=2&cursor={cursor}")).await;
    assert_eq!((second["data"].as_array().unwrap().len(), &second["next_cursor"]), (1, &Value::Null));
    test.stop().await;
});

on_both!(a_template_that_does_not_fit_is_refused_at_the_door, async |database: Database| {
    let (test, _hand) = start(database).await;
    test.meta.add_template(&order_ready()).unwrap();
    let with_all = json!([{"type": "HEADER", "format": "IMAGE"}, body("Hi"), {"type": "BUTTONS", "buttons": [
        {"type": "URL", "text": "See it", "url": "https://example.com/{{1}}"}]}]);
    test.meta.add_template(&template("offer", "MARKETING", with_all)).unwrap();
    test.syncs(2).await;
    let image = json!({"image": {"link": "https://example.com/a.jpg"}});
    let ready = |parts: Value| send(ANN, "order_ready", parts);
    let offer = |parts: Value| send(ANN, "offer", parts);
    let mut other_language = ready(json!({"body": ["Ada", "A-17"]}));
    other_language["language"] = json!("fr");
    for (message, field, says) in [
        (ready(json!({"body": ["Ada"]})), "body", "`body` has 1 parameter, the template wants 2"),
        (ready(json!({})), "body", "`body` has no parameters, the template wants 2"),
        (ready(json!({"body": {"a": "b", "c": "d"}})), "body", "named parameters"),
        (ready(json!({"body": ["a", "b"], "header": image})), "header", "nothing to fill in"),
        (ready(json!({"body": ["a", "b"], "buttons": [{"payload": "x"}]})), "buttons[0]", "has no buttons"),
        (offer(json!({"buttons": [{"url": "x"}]})), "header", "`header` is missing: the template wants"),
        (offer(json!({"header": image})), "buttons", "has nothing for button 0 (\"See it\")"),
        (offer(json!({"header": image, "buttons": [{"payload": "x"}]})), "buttons[0]", "its end as `url`"),
        (send(ANN, "order_redy", json!({})), "name", "names no template of the business account"),
        (other_language, "language", "there is `en`"),
    ] {
        let (status, refusal) = test.post("/send", &message).await;
        assert_eq!((status, refusal["field"].as_str()), (422, Some(field)), "{refusal}");
        assert!(refusal["detail"].as_str().unwrap().contains(says), "{refusal}");
    }
    // What goes in a message's place is checked as well.
    let mut instead = json!({"to": ANN, "type": "text", "body": "x"});
    instead["outside_window"] =
        json!({"template": {"name": "order_ready", "language": "en", "body": ["Ada"]}});
    let (status, refusal) = test.post("/send", &instead).await;
    assert_eq!((status, refusal["field"].as_str()), (422, Some("outside_window.template.body")), "{refusal}");

    assert_eq!(test.meta.received_count(), 0, "none of it reached Meta");
    assert!(test.get("/messages").await.1["data"].as_array().unwrap().is_empty());
    assert_eq!(test.post("/send", &ready(json!({"body": ["Ada", "A-17"]}))).await.0, 202);
    assert_eq!(test.post("/send", &offer(json!({"header": image, "buttons": [{"url": "x"}]}))).await.0, 202);
    test.quiet().await;
    assert_eq!(test.replies(ANN).len(), 2);
    test.stop().await;
});

on_both!(a_webhook_pauses_a_template_and_takes_it_up_again, async |database: Database| {
    let (test, _hand) = start(database).await;
    test.meta.add_template(&order_ready()).unwrap();
    test.syncs(1).await;
    test.takes(&ready(ANN)).await;
    test.meta.set_template_status("order_ready", "en", "PAUSED").unwrap();
    let refusal = test.refuses(&ready(ANN)).await;
    assert_eq!(refusal["field"], "name");
    let detail = refusal["detail"].as_str().unwrap();
    assert!(
        detail.contains("is PAUSED (The template is paused because people marked it as spam.)"),
        "{detail}"
    );
    assert_eq!(test.templates("&status=PAUSED").await.len(), 1);
    let (_, events) = test.get("/webhooks?limit=200").await;
    let of_templates = |event: &&Value| event["type"] == "message_template_status_update";
    let told = events["data"].as_array().unwrap().iter().find(of_templates).unwrap().clone();
    assert_eq!(told["state"], "done");
    test.meta.set_template_status("order_ready", "en", "REINSTATED").unwrap();
    test.takes(&ready(ANN)).await;

    // Two other accounts' news: one is told of ours, and is not.
    let paused =
        json!({"event": "PAUSED", "message_template_name": "order_ready", "message_template_language": "en"});
    let news = change("7", 1_900_000_000, "message_template_status_update", &paused);
    assert_eq!(door::signed(&test, news).await, 200);
    // Statuses of what was sent may come behind it.
    let (_, events) = test.get("/webhooks?limit=200").await;
    let told = events["data"].as_array().unwrap().iter().find(of_templates).unwrap();
    assert_eq!(told["state"], "ignored");
    assert!(told["reason"].as_str().unwrap().contains("WHATSAPP_BUSINESS_ACCOUNT_ID"), "{told}");
    test.takes(&ready(BEN)).await;
    test.quiet().await;
    test.stop().await;
});

on_both!(what_turned_bad_in_the_queue_is_not_posted_and_says_why, async |database: Database| {
    let (test, hand) = start(database).await;
    for name in ["first", "paused", "edited"] {
        test.meta.add_template(&template(name, "UTILITY", json!([body("Hi {{1}} there")]))).unwrap();
    }
    test.syncs(3).await;
    let named = |name: &str| send(ANN, name, json!({"body": ["Ada"]}));
    // The first has to be tried again, which takes until the clock moves: all others wait behind it.
    let trouble = Outcome::Error { code: 131_000, status: None };
    test.meta.set_rule(Rule { phone: None, times: Times::Next(1), outcome: trouble }).unwrap();
    let first = test.takes(&named("first")).await;
    until("the first to be refused", async || (test.meta.received_count() == 1).then_some(())).await;
    let paused = test.takes(&named("paused")).await;
    let edited = test.takes(&named("edited")).await;
    let mut instead = json!({"to": ANN, "type": "text", "body": "in a window that is not open"});
    instead["outside_window"] = json!({"template": {"name": "paused", "language": "en", "body": ["Ada"]}});
    let instead = test.takes(&instead).await;
    let last = test.takes(&named("first")).await;

    test.meta.set_template_status("paused", "en", "PAUSED").unwrap();
    test.refuses(&named("paused")).await;
    edit(&test, "edited", "Hi {{1}} and {{2}} there").await;
    test.syncs(3).await;
    test.refuses(&named("edited")).await;
    hand.advance(Duration::from_secs(5));

    for (message, code, says) in [
        (&paused, -3, "is PAUSED"),
        (&edited, -4, "`body` has 1 parameter, the template wants 2"),
        (&instead, -3, "is PAUSED"),
    ] {
        let failed = test.failed(&message["id"]).await;
        assert_eq!(failed["error"]["code"], code, "{failed}");
        assert!(failed["error"]["details"].as_str().unwrap().contains(says), "{failed}");
        assert_eq!(failed["attempts"][0]["outcome"], "withheld", "{failed}");
    }
    test.quiet().await;
    assert_eq!(test.replies(ANN), ["Hi Ada there", "Hi Ada there"]);
    for sent in [first, last] {
        let (_, message) = test.get(&format!("/messages/{}", sent["id"].as_str().unwrap())).await;
        assert_eq!(message["status"], "delivered", "{message}");
    }
    // Once it is in order it is sent again.
    test.meta.set_template_status("paused", "en", "REINSTATED").unwrap();
    test.takes(&named("paused")).await;
    let path = format!("/messages/{}/resend", paused["id"].as_str().unwrap());
    assert_eq!(test.post(&path, &Value::Null).await.0, 202);
    test.quiet().await;
    assert_eq!(test.replies(ANN).len(), 4);
    test.stop().await;
});

fn statement(db: &DatabaseConnection, sql: &str) -> Statement {
    Statement::from_string(db.get_database_backend(), sql)
}

/// Edits a template at Meta.
async fn edit(test: &TestApp, name: &str, text: &str) {
    let id = test.meta.templates().into_iter().find(|known| known["name"] == name).unwrap()["id"].clone();
    let url = format!("{}/v26.0/{}", test.meta.graph_url(), id.as_str().unwrap());
    let examples: Vec<String> = (0..text.matches("{{").count()).map(|n| n.to_string()).collect();
    let mut body = body(text);
    body["example"] = json!({"body_text": [examples]});
    let request = test.http.post(url).bearer_auth(&test.meta.settings().token);
    let answer = request.json(&json!({"components": [body]})).send().await.unwrap();
    assert_eq!(answer.status(), 200, "{}", answer.text().await.unwrap());
}

on_both!(a_restart_without_meta_knows_what_was_known, async |database: Database| {
    let (test, _hand) = start(database).await;
    test.meta.add_template(&order_ready()).unwrap();
    test.meta.add_template(&template("paused", "UTILITY", json!([body("x")]))).unwrap();
    test.syncs(2).await;
    test.meta.set_template_status("paused", "en", "PAUSED").unwrap();
    test.refuses(&send(ANN, "paused", json!({}))).await;
    test.meta.stop().await;
    let (clock, _hand) = Clock::manual(NOW + MINUTE);
    let test = test.restart_with(parts(clock)).await;
    for (message, field) in [
        (send(ANN, "order_ready", json!({"body": ["Ada"]})), "body"),
        (send(ANN, "paused", json!({})), "name"),
        (send(ANN, "nothing", json!({})), "name"),
    ] {
        let (status, refusal) = test.post("/send", &message).await;
        assert_eq!((status, refusal["field"].as_str()), (422, Some(field)), "{refusal}");
    }
    assert_eq!(test.post("/send", &ready(ANN)).await.0, 202, "it waits for Meta");
    until("a list that cannot be read", async || test.syncs_that("failed").then_some(())).await;
    assert_eq!(test.post("/send", &send(ANN, "order_ready", json!({}))).await.0, 422, "what is known stays");
    test.app.stop().await;
});

on_both!(nothing_is_refused_before_the_list_was_read, async |database: Database| {
    let (clock, hand) = Clock::manual(NOW);
    let wrong = Secret::new("EAA-not-valid");
    let test = TestApp::start_with(database, parts(clock), |config| {
        config.numbers[0].business_account_id = Some(ACCOUNT.into());
        config.numbers[0].token = wrong;
    });
    let test = test.await;
    until("a list that cannot be read", async || test.syncs_that("failed").then_some(())).await;
    assert_eq!(test.post("/send", &send(ANN, "anything", json!({"body": ["x"]}))).await.0, 202);
    test.meta.add_template(&order_ready()).unwrap();
    test.meta.add_token("EAA-not-valid", None);
    // Not before the pause after a failure is over.
    hand.advance(Duration::from_secs(10));
    let refusal = test.refuses(&send(ANN, "anything", json!({"body": ["x"]}))).await;
    assert_eq!(refusal["field"], "name");
    assert_eq!(test.templates("").await.len(), 1);
    test.app.stop().await;
    test.meta.stop().await;
});

on_both!(without_an_account_templates_are_metas_to_judge, async |database: Database| {
    let (clock, _hand) = Clock::manual(NOW);
    let test = TestApp::start_with(database, parts(clock), |_| {}).await;
    test.meta.add_template(&order_ready()).unwrap();
    let (status, refusal) = test.post("/templates/sync", &Value::Null).await;
    assert_eq!(status, 409);
    assert!(refusal["detail"].as_str().unwrap().contains("WHATSAPP_BUSINESS_ACCOUNT_ID"), "{refusal}");
    let sent = test.takes(&send(ANN, "order_ready", json!({"body": ["Ada"]}))).await;
    assert_eq!(test.failed(&sent["id"]).await["error"]["code"], 132_000, "Meta's own");
    assert!(test.templates("").await.is_empty());
    test.stop().await;
});

on_both!(what_is_new_at_metas_is_known_soon, async |database: Database| {
    let (test, hand) = start(database).await;
    // Nobody tells of it, but it is asked for.
    test.meta.add_template(&order_ready()).unwrap();
    assert_eq!(test.refuses(&ready(ANN)).await["field"], "name");
    hand.advance(Duration::from_secs(60));
    test.takes(&ready(ANN)).await;
    // A webhook tells of another one.
    test.meta.add_template(&template("second", "UTILITY", json!([body("x")]))).unwrap();
    test.meta.set_template_status("second", "en", "APPROVED").unwrap();
    test.quiet().await;
    hand.advance(Duration::from_secs(60));
    test.takes(&send(ANN, "second", json!({}))).await;
    test.quiet().await;
    // What is gone is known with the next list.
    let url = format!("{}/v26.0/{ACCOUNT}/message_templates?name=second", test.meta.graph_url());
    let answer = test.http.delete(url).bearer_auth(&test.meta.settings().token).send().await.unwrap();
    assert_eq!(answer.status(), 200);
    // Its news come first, and the list is younger than they are.
    test.quiet().await;
    hand.advance(Duration::from_secs(1));
    test.syncs(2).await;
    until("it to be gone", async || (test.templates("&status=deleted").await.len() == 1).then_some(())).await;
    assert_eq!(test.refuses(&send(ANN, "second", json!({}))).await["field"], "name");
    test.stop().await;
});

on_both!(marketing_does_not_go_to_who_is_out_of_it, async |database: Database| {
    let (test, hand) = start(database).await;
    test.meta.add_template(&order_ready()).unwrap();
    test.meta.add_template(&template("sale", "MARKETING", json!([body("Sale!")]))).unwrap();
    test.syncs(2).await;
    let sale = |to: &str| send(to, "sale", json!({}));
    // The first of each person has to be tried again, so that the others wait in the queue.
    let trouble = Outcome::Error { code: 131_000, status: None };
    test.meta.set_rule(Rule { phone: None, times: Times::Next(1), outcome: trouble }).unwrap();
    let first = test.takes(&ready(ANN)).await;
    until("the first to be refused", async || (test.meta.received_count() == 1).then_some(())).await;
    let waiting = test.takes(&sale(ANN)).await;
    let mut instead = json!({"to": ANN, "type": "text", "body": "x"});
    instead["outside_window"] = json!({"template": {"name": "sale", "language": "en"}});
    let instead = test.takes(&instead).await;
    let db = test.database.connect().await;
    for (message, marketing) in [(&first, false), (&waiting, true), (&instead, true)] {
        let id = message["id"].as_str().unwrap().trim_start_matches("msg_");
        let sql = format!("select marketing from queue where id = {id}");
        let row =
            until("the row in the queue", async || db.query_one_raw(statement(&db, &sql)).await.unwrap())
                .await;
        assert_eq!(row.try_get_by_index::<bool>(0).unwrap(), marketing, "{message}");
    }
    let preference = json!({"wa_id": ANN, "detail": "x", "category": "marketing_messages", "value": "stop",
        "timestamp": 1_795_337_387});
    let value = json!({"messaging_product": "whatsapp", "metadata": {"phone_number_id": wire::NUMBER},
        "contacts": [{"wa_id": ANN}], "user_preferences": [preference]});
    assert_eq!(door::signed(&test, change(ACCOUNT, 1, "user_preferences", &value)).await, 200);
    let (status, refusal) = test.post("/send", &sale(ANN)).await;
    assert_eq!(
        (status, refusal["type"].as_str()),
        (409, Some("urn:switchboard:problem:opted_out")),
        "{refusal}"
    );
    hand.advance(Duration::from_secs(5));
    for message in [&waiting, &instead] {
        assert_eq!(test.failed(&message["id"]).await["error"]["code"], -2);
    }
    test.takes(&ready(ANN)).await;
    test.takes(&sale(BEN)).await;
    test.quiet().await;
    assert_eq!((test.replies(ANN).len(), test.replies(BEN).len()), (2, 1));
    test.stop().await;
});

/// Templates of many shapes, with what may be filled in: right, and wrong in every way.
#[expect(clippy::too_many_lines, reason = "a table")]
fn cases() -> Vec<(Value, Vec<Value>)> {
    let image = || json!({"image": {"link": "https://example.com/a.jpg"}});
    let place =
        || json!({"location": {"latitude": 52.5, "longitude": 13.4, "name": "Here", "address": "There 1"}});
    let video = || json!({"video": {"link": "https://example.com/a.mp4"}});
    let document = || json!({"document": {"link": "https://example.com/a.pdf"}});
    let buttons = |list: Value| json!({"type": "BUTTONS", "buttons": list});
    let reply = || json!({"type": "QUICK_REPLY", "text": "Yes"});
    let link = || json!({"type": "URL", "text": "Track", "url": "https://example.com/{{1}}"});
    let fixed = || json!({"type": "URL", "text": "Shop", "url": "https://example.com/shop"});
    let call = || json!({"type": "PHONE_NUMBER", "text": "Call", "phone_number": "+15550783881"});
    let named = |components: Value| {
        let mut named = template("named", "UTILITY", components);
        named["parameter_format"] = json!("NAMED");
        named
    };
    let bodies = || {
        vec![
            json!({}),
            json!({"body": ["a"]}),
            json!({"body": ["a", "b"]}),
            json!({"body": ["a", "b", "c"]}),
            json!({"body": {"customer": "a"}}),
            json!({"body": {"customer": "a", "order": "b"}}),
            json!({"body": {"customer": "a", "order": "b", "x": "c"}}),
            json!({"body": {"customer": "a", "x": "b"}}),
            json!({"body": ["a", {"date_time": "Monday"}]}),
        ]
    };
    let headers = || {
        vec![
            json!({}),
            json!({"header": {"text": "a"}}),
            json!({"header": image()}),
            json!({"header": video()}),
            json!({"header": document()}),
            json!({"header": place()}),
            json!({"header": {"text": "a", "parameter": "shop"}}),
            json!({"header": {"text": "a", "parameter": "store"}}),
        ]
    };
    let fillings = || {
        vec![
            json!({}),
            json!({"buttons": [{"payload": "p"}]}),
            json!({"buttons": [{"url": "u"}]}),
            json!({"buttons": [{"index": 1, "url": "u"}]}),
            json!({"buttons": [{"payload": "p"}, {"url": "u"}]}),
            json!({"buttons": [{"index": 2, "url": "u"}]}),
            json!({"buttons": [{"code": "25OFF"}]}),
            json!({"buttons": [{"index": 9, "payload": "p"}]}),
            json!({"buttons": [{"index": 1, "payload": "p"}]}),
            json!({"buttons": [{"index": 1, "url": "u"}, {"index": 2, "payload": "p"}]}),
        ]
    };
    let of = |components: Value| template("shape", "MARKETING", components);
    let mut cases: Vec<(Value, Vec<Value>)> = vec![
        (of(json!([body("Hello")])), bodies()),
        (of(json!([body("Hello {{1}}, {{2}} is here")])), bodies()),
        (named(json!([body("Hello {{customer}}, {{order}}, {{customer}}, bye")])), bodies()),
        (
            named(json!([{"type": "HEADER", "format": "TEXT", "text": "At {{shop}} now"}, body("Hello")])),
            headers(),
        ),
    ];
    for format in ["IMAGE", "VIDEO", "DOCUMENT", "LOCATION"] {
        cases.push((of(json!([{"type": "HEADER", "format": format}, body("Hello")])), headers()));
    }
    for text in ["Hello", "Hello {{1}} there"] {
        cases.push((
            of(json!([{"type": "HEADER", "format": "TEXT", "text": text}, body("Hello")])),
            headers(),
        ));
    }
    for list in [
        json!([reply(), reply()]),
        json!([reply(), link()]),
        json!([fixed(), link()]),
        json!([call(), link()]),
        json!([{"type": "COPY_CODE", "example": "25OFF"}]),
        json!([link(), call(), reply()]),
        json!([call()]),
    ] {
        cases.push((of(json!([body("Hello"), buttons(list)])), fillings()));
    }
    let code = json!([{"type": "BODY", "add_security_recommendation": true},
        {"type": "BUTTONS", "buttons": [{"type": "OTP", "otp_type": "COPY_CODE"}]}]);
    let codes = vec![
        json!({"body": ["123456"], "buttons": [{"url": "123456"}]}),
        json!({"body": ["123456"]}),
        json!({"buttons": [{"url": "123456"}]}),
        json!({"body": ["123456"], "buttons": [{"code": "123456"}]}),
    ];
    cases.push((template("shape", "AUTHENTICATION", code), codes));
    cases
}

#[test]
fn what_is_refused_in_advance_is_what_meta_refuses() {
    run(async {
        let (mut fits, mut refused) = (0, 0);
        for (definition, fillings) in cases() {
            let meta = local_meta().await;
            meta.add_template(&definition).unwrap_or_else(|error| panic!("{error}: {definition}"));
            let settings = meta.settings();
            let client = Client::new(&ClientSettings {
                graph_url: meta.graph_url(),
                version: "v26.0".into(),
                token: Secret::new(settings.token.clone()).unwrap(),
                timeout: Duration::from_secs(30),
                connect_timeout: Duration::from_secs(5),
            })
            .unwrap();
            let listing = client.templates(ACCOUNT).await.unwrap();
            assert!(listing.whole && listing.templates.len() == 1);
            let wants = wants(&listing.templates[0]).unwrap();
            for filling in fillings {
                let mut given = json!({"name": definition["name"], "language": "en"});
                given.as_object_mut().unwrap().extend(filling.as_object().unwrap().clone());
                let given = outbound::Template::try_from(given).unwrap();
                let ours = wants.check(&given);
                let says = ours.as_ref().map_or_else(ToString::to_string, |()| String::new());
                // Meta does not look at names where there are none. Here they tell that something is mixed up.
                if says.contains("named parameters") || says.contains("have no names") {
                    continue;
                }
                let to = Address::Phone(ANN.into());
                let request = request::body(&outbound::Message::Template(given), &to, None, "");
                let metas = client.send(&settings.phone_number_id, &request).await;
                let taken = matches!(metas, switchboard::meta::client::Outcome::Accepted { .. });
                assert_eq!(ours.is_ok(), taken, "{definition}\n{filling}\nours: {ours:?}\nMeta's: {metas:?}");
                if taken { fits += 1 } else { refused += 1 }
            }
            meta.stop().await;
        }
        assert!(fits >= 20 && refused >= 100, "{fits} fit, {refused} do not");
    });
}
