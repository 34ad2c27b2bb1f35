//! Templates: kept in step with Meta by its list and its webhooks, and checked before one is sent.

use std::time::Duration;

use serde_json::{Value, json};
use switchboard::clock::{Clock, Hand, Ids, MINUTE};
use switchboard::domain::template::{Category, Status, Template};
use switchboard::meta::webhook::{Body, parse};
use switchboard::store::read::Page;
use switchboard::store::{
    Hint, Incoming, IncomingBody, Settings, Store, StoredTemplate, TemplateFilter, TemplateList,
};
use switchboard::telemetry::Metrics;
use tokio::sync::mpsc::UnboundedReceiver;

use crate::support::database::{Database, on_both};

const NOW: i64 = 1_795_337_387_000;
/// The business account, as [`switchboard::sandbox::Settings::made_up`] has it.
const ACCOUNT: &str = "102290129340398";
const ALL: Page = Page { before: None, limit: 1_000 };

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
            window_margin: Duration::ZERO,
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
        let mut rows = self.store.list_templates(TemplateFilter::default(), ALL).await.unwrap();
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
    assert_eq!(house.store.list_templates(filter, ALL).await.unwrap().len(), 1);
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
