//! The factory bot as its customers and operators see it: over the local Meta, with real rows, answered word by word.

use serde_json::{Value, json};
use switchboard::app::Parts;
use switchboard::clock::Clock;
use switchboard::flow::Flow;
use switchboard::sandbox::{CannotSay, LocalMeta, Media, Outcome, Rule, Times};
use switchboard::store::demo;

use crate::support::app::TestApp;
use crate::support::database::{Database, on_both};
use crate::support::{flows, wire};

/// Sunday, 22 November 2026, 08:49:47 UTC: the demo rows lie around it.
const TODAY: i64 = 1_795_337_387_000;
const ADA: &str = "4915112345001";
const BO: &str = "4915112345002";
/// Someone who has ordered nothing.
const STRANGER: &str = "4915199999999";

const ADAS_MENU: &str = "Hello Ada! 👋\nWelcome to our factory service. What can I do for you?";
const ORDERS: &str = "📦 *Order status*\nHow would you like to look?";
const DEFECTS: &str =
    "🛠️ *Report defect*\nWe are sorry that something is not right. What would you like to do?";
const SCHEDULE: &str = "🏭 *Production schedule*\nWhat would you like to see?";
const SUPPORT: &str = "💬 *Help & support*\nHow can we help?";
const QUESTIONS: &str = "❓ *Common questions*";
const HINT: &str =
    "Sorry, I did not understand that. Please choose one of the options, or type *menu* to start over.";

/// The factory with its demo rows, on a day that does not pass.
async fn factory(database: Database) -> TestApp {
    let (clock, _) = Clock::manual(TODAY);
    let parts = Parts { clock, ..Parts::new(Flow::factory()) };
    let test = TestApp::start_with(database, parts, |config| config.pacing.pair = false).await;
    let phones = test.meta.settings().phones.clone();
    let phones = phones.iter().map(|phone| (phone.wa_id.as_str(), phone.name.as_str()));
    demo::fill(test.app.store(), phones).await.unwrap();
    test
}

/// Someone with a phone in their hand.
struct Person<'a> {
    test: &'a TestApp,
    phone: &'static str,
}

impl TestApp {
    fn person(&self, phone: &'static str) -> Person<'_> {
        Person { test: self, phone }
    }
}

impl Person<'_> {
    /// What the bot answers to this.
    async fn says(&self, text: &str) -> Vec<String> {
        self.does(|meta| meta.say(self.phone, text)).await
    }

    /// What it answers to the last of these.
    async fn says_all(&self, texts: &[&str]) -> Vec<String> {
        let mut answer = Vec::new();
        for text in texts {
            answer = self.says(text).await;
        }
        answer
    }

    async fn presses(&self, title: &str) -> Vec<String> {
        self.does(|meta| meta.press(self.phone, title)).await
    }

    async fn sends_a_photo(&self) -> Vec<String> {
        self.does(|meta| meta.send_media(self.phone, Media::Image, None)).await
    }

    async fn does(&self, act: impl FnOnce(&LocalMeta) -> Result<String, CannotSay>) -> Vec<String> {
        let before = self.test.replies(self.phone).len();
        act(&self.test.meta).unwrap();
        self.test.quiet().await;
        self.test.replies(self.phone).split_off(before)
    }

    /// What can be pressed under the newest message.
    fn options(&self) -> Vec<String> {
        let newest = self.test.meta.transcript(self.phone).pop().unwrap();
        newest.content.options.into_iter().map(|option| option.title).collect()
    }
}

on_both!(a_customer_sees_their_orders_and_nobody_elses, async |database: Database| {
    let test = factory(database).await;
    let ada = test.person(ADA);
    assert_eq!(ada.says("hi").await, [ADAS_MENU]);
    let main = ["Order status", "Report defect", "Production schedule", "Help & support", "Back to menu"];
    assert_eq!(ada.options(), main);
    assert_eq!(ada.says("1").await, [ORDERS]);
    assert_eq!(
        ada.options(),
        ["View recent orders", "Track by order number", "Delivery dates", "Back to menu"]
    );
    assert!(ada.says("2").await[0].starts_with("Please send me your order number"));
    let order = "📦 *Order ORD-001*\n\nCustomer: Ada\nProduct: Gearbox housing GH-20\nQuantity: 120\n\
                 Status: *in production*\nLine: Line A\nOrdered: 10 Nov 2026\nPromised: 28 Nov 2026";
    assert_eq!(ada.says("ord-001").await, [order, ORDERS]);

    let recent = "📋 *Your recent orders*\n\n\
                  *ORD-004* – Pump cover PC-11 × 60\nStatus: planned, due 10 Dec 2026\n\n\
                  *ORD-001* – Gearbox housing GH-20 × 120\nStatus: in production, due 28 Nov 2026\n\n\
                  *ORD-002* – Drive shaft DS-7 × 400\nStatus: shipped, due 23 Nov 2026\n\n\
                  *ORD-003* – Bearing plate BP-3 × 1000\nStatus: delivered, delivered 12 Nov 2026";
    assert_eq!(ada.says("1").await, [recent, ORDERS]);
    let dates = "🚚 *Delivery dates*\n\n*23 Nov 2026* – ORD-002, Drive shaft DS-7 (shipped)\n\
                 *28 Nov 2026* – ORD-001, Gearbox housing GH-20 (in production)\n\
                 *10 Dec 2026* – ORD-004, Pump cover PC-11 (planned)";
    assert_eq!(ada.says("3").await, [dates, ORDERS]);

    let bos = "I found no order *ORD-005* for your number. Please check it and try again.";
    assert_eq!(ada.says_all(&["2", "ORD-005"]).await, [bos, ORDERS]);
    let bo = test.person(BO);
    assert!(bo.says_all(&["hi", "1", "2", "ORD-005"]).await[0].contains("Customer: Bo"));
    let stranger = test.person(STRANGER);
    for (choice, answer) in
        [("1", "I found no orders for your number."), ("3", "Nothing is on its way to you")]
    {
        assert!(stranger.says_all(&["hi", "1", choice]).await[0].starts_with(answer), "{choice}");
    }
    test.stop().await;
});

on_both!(a_defect_is_reported_with_and_without_a_photo, async |database: Database| {
    let test = factory(database).await;
    let ada = test.person(ADA);
    assert_eq!(ada.says_all(&["hi", "2"]).await, [DEFECTS]);
    let begin = ada.says("1").await;
    assert!(begin[0].starts_with("Let us write it down") && begin[1].starts_with("*1 of 3*"), "{begin:?}");
    assert!(ada.says("ORD-001").await[0].starts_with("*2 of 3*"));
    assert!(ada.says("It's cracked; DROP TABLE defects").await[0].starts_with("*3 of 3*"));
    let hint = ada.says("which photo?").await;
    assert!(hint[0].contains("*SKIP*") && hint[1].starts_with("*3 of 3*"), "{hint:?}");
    let done = "✅ Thank you! Your report has the number *DEF-000001*.\n\nAbout: ORD-001\n\
                Problem: It's cracked; DROP TABLE defects\nPhoto: received\n\n\
                Our quality team will look into it and come back to you here.";
    assert_eq!(ada.sends_a_photo().await, [done, ADAS_MENU]);
    let second = ada.says_all(&["2", "1", "Shaft", "Too long", "SKIP"]).await;
    assert!(second[0].contains("*DEF-000002*") && second[0].contains("Photo: none"), "{second:?}");

    let history = "📋 *Your defect reports*\n\n\
                   *DEF-000002* – Shaft, 22 Nov 2026\nToo long\nStatus: received\n\n\
                   *DEF-000001* – ORD-001, 22 Nov 2026\nIt's cracked; DROP TABLE defects\nStatus: received";
    assert_eq!(ada.says_all(&["2", "2"]).await, [history, DEFECTS]);
    let report = "🛠️ *Report DEF-000001*\n\nAbout: ORD-001\nProblem: It's cracked; DROP TABLE defects\n\
                  Photo: received\nReported: 22 Nov 2026\nStatus: *received*";
    assert_eq!(ada.says_all(&["3", "def-000001"]).await, [report, DEFECTS]);
    let bo = test.person(BO);
    let unknown = "I found no report *DEF-000001* of yours. Please check the number and try again.";
    assert_eq!(bo.says_all(&["hi", "2", "3", "DEF-000001"]).await, [unknown, DEFECTS]);
    assert!(bo.says("2").await[0].starts_with("You have not reported any defects."));

    let sql = "select customer_phone, media_id is not null as photo from defects order by id";
    let limit = std::time::Duration::from_secs(5);
    let rows = test.app.store().query(sql, &std::collections::BTreeMap::new(), 10, limit).await.unwrap();
    let photos: Vec<bool> =
        rows.iter().map(|row| row["photo"] == json!(true) || row["photo"] == json!(1)).collect();
    assert_eq!((photos, &rows[0]["customer_phone"]), (vec![true, false], &json!(ADA)));
    test.stop().await;
});

on_both!(the_production_schedule_is_shown_by_day_week_and_line, async |database: Database| {
    let test = factory(database).await;
    let ada = test.person(ADA);
    assert_eq!(ada.says_all(&["hi", "3"]).await, [SCHEDULE]);
    let today = "🏭 *Today, 22 Nov 2026*\n\n\
                 *Line A*, early: Gearbox housing GH-20\n20 of 40 – running\n\
                 *Line A*, late: Gearbox housing GH-22\n17 of 35 – running\n\
                 *Line B*, early: Drive shaft DS-7\n75 of 150 – running\n\
                 *Line C*, early: Pump cover PC-11\n15 of 30 – running";
    assert_eq!(ada.says("1").await, [today, SCHEDULE]);
    let week = ada.says("this week").await;
    assert!(week[0].starts_with(
        "🏭 *The next seven days*\n\n*Sun 22 Nov*\n• Line A, early: Gearbox housing GH-20 × 40\n"
    ));
    assert!(week[0].contains("\n\n*Sat 28 Nov*\n"), "{}", week[0]);
    assert_eq!(week[0].matches("• ").count(), 7 * 4);
    let lines = "🏭 *Status per line, 22 Nov 2026*\n\n\
                 *Line A*: 37 of 75 (49 %)\n*Line B*: 75 of 150 (50 %)\n*Line C*: 15 of 30 (50 %)";
    assert_eq!(ada.says("3").await, [lines, SCHEDULE]);
    test.stop().await;
});

on_both!(a_colleague_takes_over_and_gives_back, async |database: Database| {
    let test = factory(database).await;
    let ada = test.person(ADA);
    assert_eq!(ada.says_all(&["hi", "4"]).await, [SUPPORT]);
    assert_eq!(ada.says("1").await, [QUESTIONS]);
    for (number, answer) in
        ["*Where is my order?*", "*Can I change an order?*", "*What about returns"].iter().enumerate()
    {
        let said = ada.says(&(number + 1).to_string()).await;
        assert!(said[0].starts_with(answer) && said[1] == QUESTIONS, "{said:?}");
    }
    assert_eq!(ada.says("back").await, [SUPPORT]);
    assert!(ada.says("2").await[0].starts_with("☎️ *Contact us*"));
    let handed = ada.says_all(&["3", "The gate is locked"]).await;
    assert!(handed.len() == 1 && handed[0].contains("_The gate is locked_"), "{handed:?}");

    let (_, list) = test.get("/conversations").await;
    let conversation = &list["data"][0];
    assert_eq!(
        (&conversation["handed_off"], &conversation["contact"]["name"]),
        (&json!(true), &json!("Ada"))
    );
    let ask = async |what: &str| {
        let path = format!("/conversations/{}/{what}", conversation["id"].as_str().unwrap());
        assert_eq!(test.post(&path, &json!({})).await.0, 202, "{what}");
        test.quiet().await;
    };
    assert!(ada.says_all(&["hello?", "menu"]).await.is_empty());
    let answer = json!({"to": ADA, "type": "text", "body": "Bo is on the way with the key."});
    assert_eq!(test.post("/send", &answer).await.0, 202);
    test.quiet().await;
    assert_eq!(test.replies(ADA).last().unwrap(), "Bo is on the way with the key.");
    ask("release").await;
    assert_eq!(ada.says("thanks").await, [ADAS_MENU]);
    ask("handoff").await;
    assert!(ada.says("1").await.is_empty());
    ask("release").await;
    ask("reset").await;
    assert_eq!(ada.says("anything").await, [ADAS_MENU]);
    assert_eq!(ada.says("agent").await.len(), 1);
    assert!(ada.says("menu").await.is_empty());
    test.stop().await;
});

on_both!(nobody_gets_lost_in_the_menus, async |database: Database| {
    let test = factory(database).await;
    let ada = test.person(ADA);
    for (path, back) in [
        (&["1"][..], Some(ADAS_MENU)),
        (&["2"], Some(ADAS_MENU)),
        (&["3"], Some(ADAS_MENU)),
        (&["4"], Some(ADAS_MENU)),
        (&["4", "1"], Some(SUPPORT)),
        (&["1", "2"], None),
        (&["2", "1", "ORD-001", "It is cracked"], None),
        (&["4", "3"], None),
    ] {
        for word in ["0", "menu", "Hi", "HELLO!"] {
            assert_eq!(ada.says("hi").await, [ADAS_MENU]);
            ada.says_all(path).await;
            assert_eq!(ada.says(word).await, [ADAS_MENU], "{word} after {path:?}");
        }
        if let Some(above) = back {
            ada.says_all(path).await;
            assert_eq!(ada.says("back").await, [above], "back after {path:?}");
        }
    }
    assert_eq!(ada.says_all(&["hi", "5"]).await, [ADAS_MENU]);
    ada.says("orders").await;
    for _ in 0..2 {
        assert_eq!(ada.says("whatever").await, [HINT, ORDERS]);
    }
    assert_eq!(ada.says("whatever").await, [HINT, ADAS_MENU], "after three the way out");
    assert_eq!(ada.sends_a_photo().await, [HINT, ADAS_MENU]);

    assert_eq!(ada.presses("Order status").await, [ORDERS]);
    assert!(ada.presses("Track by order number").await[0].starts_with("Please send me your order number"));
    assert_eq!(ada.presses("Report defect").await, [DEFECTS], "a button of a menu that was left");
    assert_eq!(ada.presses("Delivery dates").await.pop().unwrap(), ORDERS);
    test.stop().await;
});

on_both!(every_message_and_count_is_there_to_be_read, async |database: Database| {
    let test = factory(database).await;
    let ada = test.person(ADA);
    ada.says_all(&["hi", "1", "2", "ORD-001"]).await;
    let (_, list) = test.get(&format!("/messages?contact={ADA}")).await;
    let rows = list["data"].as_array().unwrap();
    let oldest_first =
        rows.iter().rev().map(|row| (row["direction"].as_str().unwrap(), row["status"].as_str().unwrap()));
    let (said, answered) = (("in", "received"), ("out", "delivered"));
    let expected = [said, answered, said, answered, said, answered, said, answered, answered];
    assert_eq!(oldest_first.collect::<Vec<_>>(), expected, "{list}");
    assert_eq!((&rows[2]["body"], &rows[2]["type"]), (&json!("ORD-001"), &json!("text")));
    assert!(rows[1]["body"].as_str().unwrap().starts_with("📦 *Order ORD-001*"));
    let known: Vec<String> = test.meta.transcript(ADA).into_iter().map(|entry| entry.wamid).collect();
    assert!(rows.iter().rev().map(|row| row["wamid"].as_str().unwrap()).eq(known.iter()), "{list}");

    let counts = async || {
        let (_, mut stats) = test.get("/stats").await;
        assert_eq!((&stats["queue"]["by_state"], &stats["unfinished_events"]), (&json!({}), &json!(0)));
        stats["messages"]["options"] = stats["menu_options"].take();
        stats["messages"]["contacts"] = stats["unique_contacts"].take();
        stats["messages"]["responses"] = stats["response_time_ms"]["count"].take();
        stats["messages"].take()
    };
    let mut expected = json!({
        "received": 4, "sent": 5, "received_by_type": {"text": 4}, "sent_by_type": {"list": 3, "text": 2},
        "sent_by_status": {"delivered": 5}, "contacts": 1, "responses": 5,
        "options": [
            {"state": "main", "option": "Order status", "count": 1},
            {"state": "orders", "option": "Track by order number", "count": 1},
        ],
    });
    assert_eq!(counts().await, expected);

    assert_eq!(test.meta.open(ADA), 5);
    test.person(BO).says("hi").await;
    test.person(BO).presses("Order status").await;
    expected["received"] = json!(6);
    expected["sent"] = json!(7);
    expected["received_by_type"] = json!({"choice": 1, "text": 5});
    expected["sent_by_type"] = json!({"list": 5, "text": 2});
    expected["sent_by_status"] = json!({"delivered": 2, "read": 5});
    expected["contacts"] = json!(2);
    expected["responses"] = json!(7);
    expected["options"][0]["count"] = json!(2);
    assert_eq!(counts().await, expected);
    test.stop().await;
});

on_both!(what_people_and_scripts_want_leaves_in_the_order_in_which_it_came, async |database: Database| {
    let test = TestApp::start(database, Flow::parse(flows::ECHO, "echo").unwrap(), |_| {}).await;
    // Meta's trouble in between holds the line up and does not change it.
    let rule = |outcome| Rule { phone: None, times: Times::Next(1), outcome };
    test.meta.set_rule(rule(Outcome::Error { code: 131_000, status: None })).unwrap();
    let mut expected: Vec<String> = Vec::new();
    let mut before = "nothing".to_owned();
    for i in 0..10 {
        let text = format!("person {i}");
        let body = wire::body(wire::NUMBER, &[wire::text(STRANGER, &format!("wamid.{i}"), &text)]);
        assert_eq!(wire::post(&test.http, &test.meta, &test.webhook_url(), body).await.unwrap(), 200);
        expected.push(format!("{text}, before that {before}"));
        before = text;
        let script = format!("script {i}");
        let (status, queued) =
            test.post("/send", &json!({"to": STRANGER, "type": "text", "body": script})).await;
        assert_eq!((status, &queued["status"]), (202, &Value::from("queued")));
        expected.push(script);
    }
    test.quiet().await;
    assert_eq!(test.replies(STRANGER), expected);
    test.stop().await;
});
