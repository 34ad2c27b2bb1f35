//! People whose ids change: aliases move, contacts that turn out to be one person become one, and nobody's messages are
//! lost, doubled or out of order meanwhile.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};
use switchboard::flow::Flow;
use switchboard::sandbox::{Outcome, Rule, Times};
use tokio::task::JoinSet;

use crate::load::Dice;
use crate::support::app::TestApp;
use crate::support::database::{Database, on_both};
use crate::support::{until, wire};

const ANN: &str = "4915112345001";
const NEW: &str = "4915112345009";

/// What somebody else says, so that the local Meta knows a phone.
const FOREIGN: &str = "not from the app";

/// Answers every text with itself.
const ECHO: &str = r#"
switchboard: 1
bot: echo
start: answer
states:
  answer:
    say: "re ${ event.text }"
    go: listen
  listen:
    ask: "${ '' }"
    expect: text
    save: heard
    globals: off
    go: answer
"#;

fn flow() -> Flow {
    Flow::parse(ECHO, "echo").unwrap()
}

async fn start(database: Database) -> TestApp {
    TestApp::start(database, flow(), |_| {}).await
}

/// Who a message is from: a phone, a user id, or both.
#[derive(Clone, Copy)]
struct From<'a> {
    phone: Option<&'a str>,
    user: Option<&'a str>,
}

const fn phone(phone: &str) -> From<'_> {
    From { phone: Some(phone), user: None }
}

const fn user(user: &str) -> From<'_> {
    From { phone: None, user: Some(user) }
}

const fn both<'a>(phone: &'a str, user: &'a str) -> From<'a> {
    From { phone: Some(phone), user: Some(user) }
}

/// A text as Meta posts it, with the sender's contact.
fn text(from: From<'_>, text: &str) -> Vec<u8> {
    let mut message = json!({"id": format!("wamid.{text}"), "timestamp": "1795337387", "type": "text", "text": {"body": text}});
    let mut contact = json!({"profile": {"name": "Ann"}});
    if let Some(phone) = from.phone {
        message["from"] = phone.into();
        contact["wa_id"] = phone.into();
    }
    if let Some(user) = from.user {
        message["from_user_id"] = user.into();
        contact["user_id"] = user.into();
    }
    wire::ours(json!({"contacts": [contact], "messages": [message]}))
}

/// An account change as Meta posts it: without contacts.
fn change(from: Option<&str>, system: Value) -> Vec<u8> {
    let id = format!("wamid.{system}");
    let mut message = json!({"id": id, "timestamp": "1795337387", "type": "system", "system": system});
    if let Some(phone) = from {
        message["from"] = phone.into();
    }
    wire::ours(json!({"messages": [message]}))
}

impl TestApp {
    async fn hears(&self, body: Vec<u8>) {
        assert_eq!(wire::post(&self.http, &self.meta, &self.webhook_url(), body).await.unwrap(), 200);
    }

    /// The rows of a list of the API, oldest first.
    async fn rows(&self, list: &str) -> Vec<Value> {
        let glue = if list.contains('?') { '&' } else { '?' };
        let (mut rows, mut cursor) = (Vec::new(), String::new());
        loop {
            let (status, page) = self.get(&format!("/{list}{glue}limit=100{cursor}")).await;
            assert_eq!(status, 200, "{list}: {page}");
            rows.extend(page["data"].as_array().unwrap().clone());
            let Some(next) = page["next_cursor"].as_str() else { break };
            cursor = format!("&cursor={next}");
        }
        rows.reverse();
        rows
    }

    /// Everyone, oldest first, as `wa_id user_id`.
    async fn people(&self) -> Vec<String> {
        let shown = |row: &Value| {
            let ids = [&row["wa_id"], &row["user_id"]].map(|id| id.as_str().unwrap_or("-").to_owned());
            ids.join(" ")
        };
        self.rows("contacts").await.iter().map(shown).collect()
    }

    /// The user id that the local Meta has for a phone, which it gets to know by a message that is not the app's.
    async fn user_id(&self, phone: &str) -> String {
        let settings = self.meta.settings();
        let url = format!("{}/v26.0/{}/messages", self.meta.graph_url(), settings.phone_number_id);
        let message =
            json!({"messaging_product": "whatsapp", "to": phone, "type": "text", "text": {"body": FOREIGN}});
        let answer = self.http.post(url).bearer_auth(&settings.token).json(&message).send().await.unwrap();
        assert_eq!(answer.status(), 200);
        self.meta.phones().into_iter().find(|known| known.wa_id == phone).unwrap().user_id
    }

    /// What the app has sent to a phone, by its number or its user id, in order.
    fn heard(&self, phone: &str) -> Vec<String> {
        self.replies(phone).into_iter().filter(|reply| reply != FOREIGN).collect()
    }

    async fn sends(&self, to: &str, body: &str) -> Value {
        let field = if to.contains('.') { "user_id" } else { "to" };
        let (status, sent) = self.post("/send", &json!({field: to, "type": "text", "body": body})).await;
        assert_eq!(status, 202, "{sent}");
        sent
    }
}

on_both!(a_changed_number_takes_the_conversation_along, async |database: Database| {
    let test = start(database).await;
    let (old, new) = (test.user_id(ANN).await, test.user_id(NEW).await);
    test.hears(text(both(ANN, &old), "one")).await;
    test.quiet().await;
    let system = json!({"type": "user_changed_number", "body": "changed", "wa_id": NEW, "user_id": new, "previous_user_id": old});
    test.hears(change(Some(ANN), system)).await;
    test.hears(text(both(NEW, &new), "two")).await;
    // Somebody else has the old number now.
    test.hears(text(phone(ANN), "three")).await;
    test.quiet().await;
    assert_eq!(test.people().await, [format!("{NEW} {new}"), format!("{ANN} -")]);
    assert_eq!(test.heard(ANN), ["re one", "re three"]);
    assert_eq!(test.heard(NEW), ["re two"]);
    let conversations = test.rows("conversations").await;
    let turns: Vec<i64> = test
        .rows("messages?direction=in")
        .await
        .iter()
        .map(|row| {
            let of = |conversation: &Value| conversation["id"] == row["conversation_id"];
            i64::try_from(conversations.iter().position(of).unwrap()).unwrap()
        })
        .collect();
    assert_eq!(turns, [0, 0, 0, 1], "the notice and what follows it are on the first line");
    // What was accepted before is not news when it comes again.
    test.hears(text(both(ANN, &old), "one")).await;
    test.quiet().await;
    assert_eq!(test.people().await, [format!("{NEW} {new}"), format!("{ANN} -")]);
    test.stop().await;
});

on_both!(a_changed_user_id_is_the_same_person, async |database: Database| {
    let test = start(database).await;
    let id = test.user_id(ANN).await;
    test.hears(text(both(ANN, "US.1"), "one")).await;
    test.hears(change(
        None,
        json!({"type": "user_changed_user_id", "user_id": id, "previous_user_id": "US.1"}),
    ))
    .await;
    test.hears(text(user(&id), "two")).await;
    // Late, under the id of before.
    test.hears(text(user("US.1"), "three")).await;
    test.quiet().await;
    assert_eq!(test.people().await, [format!("{ANN} {id}")]);
    assert_eq!(test.heard(ANN), ["re one", "re two", "re three"]);
    test.stop().await;
});

on_both!(a_recycled_number_goes_to_its_new_owner_alone, async |database: Database| {
    let test = start(database).await;
    let mine = test.user_id(NEW).await;
    test.hears(text(both(ANN, &mine), "one")).await;
    test.quiet().await;
    let yours = test.user_id(ANN).await;
    test.hears(text(both(ANN, &yours), "two")).await;
    test.quiet().await;
    assert_eq!(test.people().await, [format!("- {mine}"), format!("{ANN} {yours}")]);
    test.hears(text(phone(ANN), "three")).await;
    test.hears(text(user(&mine), "four")).await;
    test.quiet().await;
    assert_eq!(test.heard(ANN), ["re one", "re two", "re three"]);
    assert_eq!(test.heard(NEW), ["re four"], "the earlier owner is answered by their id");
    assert_eq!(test.rows("conversations").await.len(), 2);
    test.stop().await;
});

on_both!(the_conversation_that_is_no_more_leads_to_the_other_one, async |database: Database| {
    let test = start(database).await;
    let id = test.user_id(ANN).await;
    test.hears(text(phone(ANN), "one")).await;
    test.quiet().await;
    test.hears(text(user(&id), "two")).await;
    test.quiet().await;
    let rows = test.rows("conversations").await;
    let [stays, goes] = [0, 1].map(|i| rows[i]["id"].as_str().unwrap().to_owned());
    let contact = rows[1]["contact"]["id"].as_str().unwrap().to_owned();
    assert_eq!(test.post(&format!("/conversations/{goes}/handoff"), &Value::Null).await.0, 202);
    test.quiet().await;
    test.hears(text(both(ANN, &id), "three")).await;
    test.quiet().await;

    assert_eq!(test.people().await, [format!("{ANN} {id}")]);
    let rows = test.rows("conversations").await;
    assert_eq!(rows.len(), 1);
    assert_eq!((&rows[0]["id"], &rows[0]["handed_off"]), (&json!(stays), &json!(true)));
    let said = test.rows("messages").await;
    let bodies: Vec<&str> = said.iter().map(|row| row["body"].as_str().unwrap()).collect();
    assert_eq!(bodies, ["one", "re one", "two", "re two", "three"]);
    assert!(
        said.iter().all(|row| row["conversation_id"] == json!(stays) && row["contact_id"] != json!(contact))
    );
    let statistics = test.app.store().statistics(None).await.unwrap();
    assert_eq!((statistics.contacts, statistics.received, statistics.sent), (1, 3, 2));

    // Whoever still holds the old id.
    let (status, answer) = test.get(&format!("/conversations/{goes}")).await;
    assert_eq!((status, &answer["id"]), (200, &json!(stays)), "redirected: {answer}");
    let (status, answer) = test.post(&format!("/conversations/{goes}/release"), &Value::Null).await;
    assert_eq!((status, &answer["conversation_id"]), (202, &json!(stays)), "{answer}");
    test.quiet().await;
    test.hears(text(phone(ANN), "four")).await;
    test.hears(text(user(&id), "five")).await;
    test.quiet().await;
    assert_eq!(test.heard(ANN)[2..], ["re four", "re five"]);
    test.stop().await;
});

/// Meta takes its time, so that lanes fill up.
fn slow(test: &TestApp, ms: u64) {
    test.meta.set_rule(Rule { phone: None, times: Times::Always, outcome: Outcome::Delay { ms } }).unwrap();
}

on_both!(what_waits_to_leave_goes_by_one_lane_in_the_order_of_both, async |database: Database| {
    let test = start(database).await;
    let id = test.user_id(ANN).await;
    // Both lines are open for what follows.
    test.hears(text(phone(ANN), "by phone")).await;
    test.hears(text(user(&id), "by id")).await;
    test.quiet().await;
    slow(&test, 60);
    let texts: Vec<String> = (0..20).map(|i| format!("news {i}")).collect();
    for (i, body) in texts.iter().enumerate() {
        test.sends(if i % 2 == 0 { ANN } else { &id }, body).await;
    }
    // They turn out to be one while all but the first ones wait.
    test.hears(text(both(ANN, &id), "hello")).await;
    test.quiet().await;
    let replies = test.heard(ANN).split_off(2);
    let mut sorted = replies.clone();
    sorted.sort_unstable();
    let mut expected: Vec<String> = texts.iter().cloned().chain(["re hello".to_owned()]).collect();
    expected.sort_unstable();
    assert_eq!(sorted, expected, "each once");
    assert_eq!(replies.last().unwrap(), "re hello");
    // Those of each lane are in order from the beginning, and all of them from where the lanes became one.
    for half in 0..2 {
        let own: Vec<&String> = replies
            .iter()
            .filter(|said| texts.iter().skip(half).step_by(2).any(|text| text == *said))
            .collect();
        assert_eq!(own, texts.iter().skip(half).step_by(2).collect::<Vec<_>>());
    }
    let places: Vec<usize> =
        texts.iter().map(|text| replies.iter().position(|said| said == text).unwrap()).collect();
    assert!(places[12..].is_sorted(), "{replies:?}");
    test.stop().await;
});

const PEOPLE: usize = 10;
const BEFORE: usize = 16;
const AFTER: usize = 6;

/// What one person does: writes under the phone and under the user id at the same time, is revealed to be one, and goes on
/// under either.
struct Traffic {
    phone: String,
    user: String,
    /// The texts of the two lines before they are one, and those after.
    lines: [Vec<String>; 2],
    after: Vec<String>,
}

impl Traffic {
    async fn of(test: &TestApp, person: usize) -> Self {
        let phone = crate::load::phone(person);
        let texts = |line: &str, count: usize| (0..count).map(|i| format!("{person} {line} {i}")).collect();
        Self {
            user: test.user_id(&phone).await,
            phone,
            lines: [texts("phone", BEFORE), texts("user", BEFORE)],
            after: texts("both", AFTER),
        }
    }

    async fn of_all(test: &TestApp) -> Arc<Vec<Self>> {
        let mut people = Vec::with_capacity(PEOPLE);
        for person in 0..PEOPLE {
            people.push(Self::of(test, person).await);
        }
        Arc::new(people)
    }

    /// Posts a text; one in four is told twice.
    async fn post(&self, poster: &Poster, from: From<'_>, body: &str, dice: &mut Dice) {
        let times = if dice.below(4) == 0 { 2 } else { 1 };
        for _ in 0..times {
            poster.post(text(from, body)).await;
        }
    }

    async fn run(&self, poster: Poster, seed: u64) {
        let line = async |from: From<'_>, texts: &[String], seed: u64| {
            let mut dice = Dice(seed);
            for body in texts {
                self.post(&poster, from, body, &mut dice).await;
            }
        };
        let one = From { phone: Some(&self.phone), user: None };
        let other = From { phone: None, user: Some(&self.user) };
        tokio::join!(line(one, &self.lines[0], seed), line(other, &self.lines[1], seed + 1));
        let mut dice = Dice(seed + 2);
        for (i, body) in self.after.iter().enumerate() {
            let from = match i % 3 {
                0 => From { phone: Some(&self.phone), user: Some(&self.user) },
                1 => one,
                _ => other,
            };
            self.post(&poster, from, body, &mut dice).await;
        }
    }

    fn check(&self, test: &TestApp) {
        let replies = test.heard(&self.phone);
        let count = BEFORE * 2 + AFTER;
        let places: BTreeMap<&str, usize> = replies
            .iter()
            .enumerate()
            .map(|(place, reply)| (reply.strip_prefix("re ").unwrap(), place))
            .collect();
        assert_eq!((replies.len(), places.len()), (count, count), "each is answered once: {replies:?}");
        for texts in self.lines.iter().chain([&self.after]) {
            assert!(texts.is_sorted_by_key(|text| places[text.as_str()]), "in order: {replies:?}");
        }
        let after: Vec<String> = self.after.iter().map(|text| format!("re {text}")).collect();
        assert_eq!(replies[BEFORE * 2..], after, "what came before they were one is answered before");
    }
}

#[derive(Clone)]
struct Poster {
    http: reqwest::Client,
    meta: switchboard::sandbox::LocalMeta,
    url: Arc<Mutex<String>>,
}

impl Poster {
    fn new(test: &TestApp) -> Self {
        let url = Arc::new(Mutex::new(test.webhook_url()));
        Self { http: test.http.clone(), meta: test.meta.clone(), url }
    }

    /// As Meta does: again and again until there is a 200.
    async fn post(&self, body: Vec<u8>) {
        loop {
            let url = self.url.lock().unwrap().clone();
            if matches!(wire::post(&self.http, &self.meta, &url, body.clone()).await, Ok(200)) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

async fn check(test: &TestApp, people: &[Traffic]) {
    people.iter().for_each(|person| person.check(test));
    let count = PEOPLE * (BEFORE * 2 + AFTER);
    let statistics = test.app.store().statistics(None).await.unwrap();
    let counted = (statistics.received, statistics.sent, statistics.contacts);
    let (messages, people) = (i64::try_from(count).unwrap(), i64::try_from(PEOPLE).unwrap());
    assert_eq!(counted, (messages, messages, people));
    assert_eq!(test.rows("contacts").await.len(), PEOPLE);
    let conversations = test.rows("conversations").await;
    assert_eq!(conversations.len(), PEOPLE);
    let said = test.rows("messages").await;
    assert_eq!(said.len(), count * 2);
    for message in said {
        let known = |conversation: &&Value| conversation["id"] == message["conversation_id"];
        let conversation = conversations.iter().find(known).expect("a conversation that is there");
        assert_eq!(conversation["contact"]["id"], message["contact_id"]);
    }
    assert!(test.rows("webhooks?state=quarantined").await.is_empty());
}

/// Everybody's traffic at once, in the background.
fn traffic(people: &Arc<Vec<Traffic>>, poster: &Poster) -> JoinSet<()> {
    let mut running = JoinSet::new();
    for person in 0..PEOPLE {
        let (people, poster) = (Arc::clone(people), poster.clone());
        running.spawn(async move { people[person].run(poster, person as u64 * 1_000).await });
    }
    running
}

on_both!(two_who_turn_out_to_be_one_are_merged_in_the_middle_of_traffic, async |database: Database| {
    let test = start(database).await;
    let people = Traffic::of_all(&test).await;
    slow(&test, 5);
    traffic(&people, &Poster::new(&test)).join_all().await;
    test.quiet().await;
    check(&test, &people).await;
    assert_eq!(test.meta.received_count() - PEOPLE, PEOPLE * (BEFORE * 2 + AFTER), "posts to the Graph API");
    test.stop().await;
});

on_both!(a_merge_survives_an_end_in_the_middle, async |database: Database| {
    let mut test = start(database).await;
    let people = Traffic::of_all(&test).await;
    slow(&test, 10);
    let poster = Poster::new(&test);
    let running = traffic(&people, &poster);
    for share in 1..4 {
        let some = PEOPLE * (BEFORE * 2 + AFTER) * share / 4;
        until("some of it to arrive", async || {
            let received = test.app.store().statistics(None).await.unwrap().received;
            (usize::try_from(received).unwrap() >= some).then_some(())
        })
        .await;
        test = test.restart(flow()).await;
        *poster.url.lock().unwrap() = test.webhook_url();
    }
    running.join_all().await;
    test.quiet().await;
    check(&test, &people).await;
    test.stop().await;
});
