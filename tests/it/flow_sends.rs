//! What flows send beside text, and how: every type at the phone, quotes, read receipts, files that come back, what becomes of
//! it all outside of the window, and what answers to it.

use std::time::Duration;

use serde_json::{Value, json};
use switchboard::app::Parts;
use switchboard::clock::{Clock, Hand};
use switchboard::flow::Flow;
use switchboard::sandbox::{Entry, Side, Status};

use crate::support::app::TestApp;
use crate::support::database::{Database, on_both};
use crate::support::shelf::{Mishap, Shelf};
use crate::support::{door, shelf, until, wire};

const NOW: i64 = 1_795_337_387_000;
const ANN: &str = "4915112345001";

fn flow(rest: &str) -> Flow {
    let source = format!("switchboard: 1\nbot: sends\nstart: main\n{rest}");
    Flow::parse(&source, "sends").unwrap_or_else(|problems| panic!("{problems}"))
}

async fn start(database: Database, rest: &str) -> TestApp {
    TestApp::start(database, flow(rest), |_| {}).await
}

/// An app whose time is moved by the hand.
async fn start_by_hand(database: Database, rest: &str) -> (TestApp, Hand) {
    let (clock, hand) = Clock::manual(NOW);
    (TestApp::start_with(database, Parts { clock, ..Parts::new(flow(rest)) }, |_| {}).await, hand)
}

/// What the bot sends to this.
async fn answers(test: &TestApp, text: &str) -> Vec<Entry> {
    let before = test.meta.transcript(ANN).len();
    test.meta.say(ANN, text).unwrap();
    test.quiet().await;
    let new = test.meta.transcript(ANN).split_off(before);
    new.into_iter().filter(|entry| entry.from == Side::Business).collect()
}

/// What it sends to a message that Meta tells of like this.
async fn answers_to(test: &TestApp, id: &str, kind: &str, node: Value) -> Vec<Entry> {
    let before = test.meta.transcript(ANN).len();
    let mut message = json!({"from": ANN, "id": id, "timestamp": "1795337387", "type": kind});
    message[kind] = node;
    assert_eq!(door::signed(test, wire::body(wire::NUMBER, &[message])).await, 200);
    test.quiet().await;
    test.meta.transcript(ANN).split_off(before)
}

fn kinds(entries: &[Entry]) -> Vec<&str> {
    entries.iter().map(|entry| entry.content.kind.as_str()).collect()
}

const ALL_TYPES: &str = r#"
states:
  main:
    say: "Hello ${ contact.name }"
    reply: on
    send:
      - { type: reaction, emoji: 👋 }
      - { type: text, body: "See https://a.example/${ event.text }", preview_url: on }
      - { type: image, link: "https://a.example/${ event.text }.jpg", caption: "for ${ contact.name }" }
      - { type: video, link: "https://a.example/v.mp4" }
      - { type: audio, link: "https://a.example/a.ogg", voice: on }
      - { type: document, link: "https://a.example/d.pdf", filename: "${ event.text }.pdf" }
      - { type: sticker, link: "https://a.example/s.webp" }
      - { type: location, latitude: "${ 50 + 2.5 }", longitude: 13.4, name: Works }
      - { type: contacts, contacts: [{ name: "${ contact.name }", phones: [{ phone: "+4917", type: WORK }] }] }
    go: more
  more:
    send:
      - { type: cta_url, header: Top, body: Your invoice, footer: Small, button: Open, url: "https://a.example/?x=${ event.text }" }
      - { type: location_request, body: Where? }
      - { type: contact_request, body: Who? }
      - { type: flow, body: More, button: Fill in, flow_id: 17, screen: FIRST, data: { rows: "${ [1, 2] }" } }
      - { type: template, name: order_ready, language: en, body: ["${ contact.name }"] }
    go: choose
  choose:
    menu: Choose
    header: { image: { link: "https://a.example/h.jpg" } }
    footer: "For ${ contact.name }"
    options: [{ label: Again, go: main }]
"#;

on_both!(every_type_that_a_flow_sends_reaches_the_phone_in_order, async |database: Database| {
    let test = start(database, ALL_TYPES).await;
    let sent = answers(&test, "first").await;
    assert_eq!(
        kinds(&sent),
        [
            "text",
            "reaction",
            "text",
            "image",
            "video",
            "audio",
            "document",
            "sticker",
            "location",
            "contacts",
            "cta_url",
            "location_request_message",
            "request_contact_info",
            "flow",
            "template",
            "button",
        ]
    );
    let said = test.meta.transcript(ANN)[0].wamid.clone();
    // The first of the turn quotes; a reaction is to the message by its nature.
    let about: Vec<Option<&str>> = sent.iter().map(|entry| entry.context.as_deref()).collect();
    assert_eq!(about[..3], [Some(&*said), Some(&*said), None]);
    assert!(about[3..].iter().all(Option::is_none), "{about:?}");
    let shown: Vec<&str> = sent.iter().map(|entry| entry.content.text.as_str()).collect();
    assert_eq!(shown[..3], ["Hello Ada", "👋", "See https://a.example/first"]);
    assert_eq!((shown[3], shown[6]), ("for Ada", "first.pdf"));
    assert_eq!(sent[3].content.url.as_deref(), Some("https://a.example/first.jpg"));
    assert_eq!((shown[8], shown[9]), ("Works (52.5, 13.4)", "Ada"));
    let link = &sent[10].content;
    assert_eq!((link.header.as_deref(), link.footer.as_deref()), (Some("Top"), Some("Small")));
    assert_eq!(link.url.as_deref(), Some("https://a.example/?x=first"));
    assert_eq!(shown[14], "[template order_ready, en]\nAda");
    let menu = &sent[15].content;
    assert_eq!((menu.header.as_deref(), menu.footer.as_deref()), (Some("[image]"), Some("For Ada")));

    let bodies: Vec<Value> = test.meta.requests().into_iter().map(|request| request.body).collect();
    assert_eq!(
        (&bodies[2]["text"]["preview_url"], &bodies[5]["audio"]["voice"]),
        (&json!(true), &json!(true))
    );
    let form = &bodies[13]["interactive"]["action"]["parameters"];
    assert_eq!(form["flow_action_payload"], json!({"screen": "FIRST", "data": {"rows": [1, 2]}}));
    test.stop().await;
});

const ASKS: &str = r#"
read_receipts: typing
states:
  main: { ask: Where?, expect: location, request: on, save: place, go: who }
  who: { ask: Who?, expect: contact, request: on, save: person, go: what }
  what:
    ask: What?
    expect: form
    request: { button: Fill in, flow_id: 17, screen: FIRST, data: { place: "${ place.name }" } }
    save: order
    go: noted
  noted: { say: "${ order.size } for ${ person.name } at ${ place.latitude }", reply: on, go: main }
"#;

on_both!(places_contacts_and_forms_are_asked_for_and_understood, async |database: Database| {
    let test = start(database, ASKS).await;
    assert_eq!(kinds(&answers(&test, "hi").await), ["location_request_message"]);
    // The phone sees that it was read, and the receipt went before the answer.
    assert_eq!(test.meta.transcript(ANN)[0].status, Status::Read);
    let receipt = test.meta.requests()[0].body.clone();
    assert_eq!((&receipt["status"], &receipt["typing_indicator"]["type"]), (&json!("read"), &json!("text")));
    assert_eq!(test.meta.requests().len(), 2);

    let place = json!({"latitude": 52.5, "longitude": 13.4, "name": "Works"});
    assert_eq!(kinds(&answers_to(&test, "wamid.place", "location", place).await), ["request_contact_info"]);
    let cards = json!([{"name": {"formatted_name": "Bo"}, "phones": [{"phone": "+49 2"}]}]);
    assert_eq!(kinds(&answers_to(&test, "wamid.card", "contacts", cards).await), ["flow"]);
    let form = json!({"type": "nfm_reply", "nfm_reply": {"name": "flow", "body": "Sent", "response_json": "{\"size\":\"L\"}"}});
    let noted = answers_to(&test, "wamid.form", "interactive", form).await;
    assert_eq!(noted[0].content.text, "L for Bo at 52.5");
    assert_eq!(noted[0].context.as_deref(), Some("wamid.form"));
    assert_eq!(kinds(&noted), ["text", "location_request_message"]);
    test.stop().await;
});

const ALBUM: &str = r#"
states:
  main: { ask: A photo, expect: image, save: photo, go: back }
  back: { send: { type: image, media: "${ photo.id }", caption: "You sent ${ photo.caption }" }, go: main }
"#;

on_both!(a_photo_that_was_saved_comes_back_to_the_phone_byte_by_byte, async |database: Database| {
    let test = start(database, ALBUM).await;
    answers(&test, "hi").await;
    let before = test.meta.transcript(ANN).len();
    let picture: Vec<u8> = (0..20_000_u32).map(|i| u8::try_from(i % 251).unwrap()).collect();
    test.meta.send_file(ANN, "image/png", None, picture.clone(), Some("the gate")).unwrap();
    test.quiet().await;
    let [sent, back, _] = &test.meta.transcript(ANN).split_off(before)[..] else { panic!("not three") };
    assert_eq!((&*back.content.kind, &*back.content.text), ("image", "You sent the gate"));
    let (sent, back) = (sent.content.media.as_deref().unwrap(), back.content.media.as_deref().unwrap());
    assert_ne!(sent, back, "it was uploaded anew");
    assert_eq!(test.meta.file(back), Some(picture));
    test.stop().await;
});

on_both!(a_photo_is_sent_back_even_before_it_is_here, async |database: Database| {
    let shelf = Shelf::start().await;
    let (clock, hand) = Clock::manual(NOW);
    let parts = Parts { clock, ..Parts::new(flow(ALBUM)) };
    let test = TestApp::start_with(database, parts, |config| shelf.serve(config)).await;
    let hears = async |message: Value| assert_eq!(door::signed(&test, shelf::body(&[message])).await, 200);
    hears(wire::text(ANN, "wamid.hi", "hi")).await;
    until("the question", async || (shelf.sent().len() == 1).then_some(())).await;

    // The message waits for its file.
    shelf.next_downloads(&[Mishap::Broken]);
    hears(shelf.photo(ANN, "11", b"a picture")).await;
    let attempts = async || test.get("/media").await.1["data"][0]["attempts"].as_i64().filter(|n| *n == 1);
    until("the download to fail", attempts).await;
    assert_eq!(shelf.sent().len(), 1);
    until("the photo to leave", async || {
        hand.advance(Duration::from_secs(2));
        (shelf.sent().len() == 3).then_some(())
    })
    .await;
    let image = shelf.sent()[1].clone();
    assert_eq!((&image["type"], &image["image"]["caption"]), (&json!("image"), &json!("You sent look")));
    assert!(!shelf.forgotten_or_unknown(&image["image"]["id"]));
    test.stop().await;
});

const LATE: &str = r#"
timeout: { after: 23h, say: "Still there?", go: bye }
outside_window: { template: { name: order_ready, language: en, body: ["${ contact.name }"] } }
states:
  main: { ask: "Well?", save: answer, go: bye }
  bye: { say: "Bye ${ answer or 'then' }", send: { type: sticker, link: "https://a.example/s.webp" }, go: end }
  end: { end: "The end.", outside_window: fail }
"#;

on_both!(outside_of_the_window_a_template_goes_once_in_place_of_all, async |database: Database| {
    let (clock, hand) = Clock::manual(NOW);
    let parts = Parts { clock, ..Parts::new(flow(LATE)) };
    let change =
        |config: &mut switchboard::config::Config| config.limits.window_margin = Duration::from_hours(1);
    let test = TestApp::start_with(database, parts, change).await;
    assert_eq!(kinds(&answers(&test, "hi").await), ["text"]);
    hand.advance(Duration::from_hours(23));
    // Whoever looks for waits that are over may have looked just before.
    until("the template", async || {
        hand.advance(Duration::from_secs(1));
        (test.replies(ANN).len() == 2).then_some(())
    })
    .await;
    test.quiet().await;
    assert_eq!(test.replies(ANN), ["Well?", "[template order_ready, en]\nAda"]);
    let (_, list) = test.get(&format!("/messages?contact={ANN}")).await;
    let newest: Vec<(&str, &str)> = list["data"]
        .as_array()
        .unwrap()
        .iter()
        .take(4)
        .map(|row| (row["type"].as_str().unwrap(), row["status"].as_str().unwrap()))
        .collect();
    let failed = "failed";
    assert_eq!(
        newest,
        [("text", failed), ("sticker", failed), ("text", failed), ("template", "delivered")],
        "{list}"
    );
    // Only the one that was to fail asks for someone's attention.
    let (_, dead) = test.get("/queue?state=dead").await;
    assert_eq!(dead["data"].as_array().unwrap().len(), 1, "{dead}");

    let again = answers(&test, "hi").await;
    assert_eq!(again[0].content.text, "Well?");
    test.stop().await;
});

const LEAVES: &str = r#"
opt_out: { stopped: "Silence, ${ contact.name }.", started: "There you are, ${ contact.name }." }
states:
  main: { menu: Hello, options: [{ label: Person, go: person }] }
  person: { handoff: "A colleague will write.", for: 2h, go: main }
"#;

on_both!(a_flow_says_its_own_words_to_who_leaves_and_takes_people_back, async |database: Database| {
    let (test, hand) = start_by_hand(database, LEAVES).await;
    let says = async |text: &str| {
        answers(&test, text).await.into_iter().map(|entry| entry.content.text).collect::<Vec<String>>()
    };
    assert_eq!(says("hi").await, ["Hello"]);
    assert_eq!(says("STOP").await, ["Silence, Ada."]);
    assert_eq!(says("hi").await, [""; 0]);
    assert_eq!(says("start").await, ["There you are, Ada.", "Hello"]);
    assert_eq!(says("person").await, ["A colleague will write."]);
    assert_eq!(says("hello?").await, [""; 0]);
    hand.advance(Duration::from_hours(2));
    until("the end of the hand-off", async || {
        hand.advance(Duration::from_secs(1));
        let (_, list) = test.get("/conversations").await;
        (list["data"][0]["handed_off"] == json!(false)).then_some(())
    })
    .await;
    assert_eq!(says("hello?").await, ["Hello"]);
    test.stop().await;
});
