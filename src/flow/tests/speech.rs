//! What states say, how, and what answers to it.

use crate::domain::consent::Wish;
use crate::domain::window::Outside;

use super::*;

/// What a message came to, as JSON.
fn forms(effects: &[Effect]) -> Vec<Value> {
    sent(effects).into_iter().map(|message| serde_json::to_value(message).unwrap()).collect()
}

/// Types a text whose message has this id.
fn writes(talk: &mut Talk<'_>, text: &str, wamid: &str) -> Vec<Effect> {
    talk.turn(&Input::Message(&InboundMessage { wamid: Some(wamid.into()), ..message(typed(text)) }))
}

/// Per message sent: its type, what it quotes, and what becomes of it outside of the window.
fn fates(effects: &[Effect]) -> Vec<(&str, Option<&str>, &Outside)> {
    effects
        .iter()
        .filter_map(|effect| match effect {
            Effect::Send { message, reply_to, outside } => {
                Some((message.kind(), reply_to.as_deref(), outside))
            }
            _ => None,
        })
        .collect()
}

/// A template that stands in for what cannot go.
fn in_place(name: &str) -> Outside {
    let template = json!({"type": "template", "name": name, "language": "en", "body": ["Ada"]});
    Outside::Template(Box::new(Message::try_from(template).unwrap()))
}

#[test]
fn a_send_is_filled_in_when_it_is_said_and_goes_after_the_text() {
    let flow = flow_of(
        "",
        "  main:
    set: { n: '1 + 1', none_yet: none }
    say: Look
    send:
      - { type: image, link: 'https://a.example/${ n }.jpg', caption: '${ none_yet }' }
      - { type: location, latitude: 52.5, longitude: '${ n }', name: Works }
      - { type: contacts, contacts: [{ name: '${ contact.name }', phones: [{ phone: '+49 1' }] }] }
      - { type: flow, body: b, button: Open, flow_id: 17, screen: FIRST,
          data: { rows: '${ [n, 3] }', count: '${ n }', text: 'n is ${ n }', fixed: 2 } }
      - { type: template, name: sale, language: en, body: ['${ n }'] }
      - { type: template, name: sale, language: en, body: { data: '${ n }' }, buttons: [{ flow: { data: { n: '${ n }' } } }] }
    go: bye
  bye: { end: Bye }
",
    );
    let effects = Talk::new(&flow).send(typed("x"));
    assert_eq!(
        forms(&effects),
        [
            json!({"type": "text", "body": "Look", "preview_url": false}),
            json!({"type": "image", "link": "https://a.example/2.jpg"}),
            json!({"type": "location", "latitude": 52.5, "longitude": 2.0, "name": "Works"}),
            json!({"type": "contacts", "contacts": [
                {"name": {"formatted_name": "Ada", "first_name": "Ada"}, "phones": [{"phone": "+49 1"}]},
            ]}),
            json!({"type": "flow", "body": "b", "button": "Open", "flow_id": "17", "screen": "FIRST",
                "data": {"rows": [2, 3], "count": 2, "text": "n is 2", "fixed": "2"}}),
            json!({"type": "template", "name": "sale", "language": "en", "body": ["2"]}),
            json!({"type": "template", "name": "sale", "language": "en", "body": {"data": "2"},
                "buttons": [{"index": 0, "flow": {"data": {"n": 2}}}]}),
            json!({"type": "text", "body": "Bye", "preview_url": false}),
        ]
    );
}

#[test]
fn what_people_write_in_a_message_is_never_run_and_never_makes_fields() {
    let flow = flow_of(
        "",
        "  main: { ask: Q, save: text, go: echo }
  echo: { send: { type: image, link: 'https://a.example/p', caption: '${ text }' }, go: main }
",
    );
    let mut talk = Talk::new(&flow);
    talk.says("x");
    let said = "${ contact.phone }\", \"media\": \"med_1";
    assert_eq!(forms(&talk.send(typed(said)))[0]["caption"], said);
}

#[test]
fn a_message_that_cannot_be_is_trouble_that_names_the_field() {
    let flow = flow_of(
        "",
        "  main: { ask: Q, save: text, go: echo }
  echo: { say: First, send: [{ type: sticker, id: 1 }, { type: image, link: '${ text }' }], go: main }
",
    );
    let mut talk = Talk::new(&flow);
    talk.says("x");
    let effects = talk.send(typed("nowhere"));
    assert_eq!(
        troubles(&effects),
        ["state `echo`: `send`, message 2: `link` has to be a web address that begins with `https://`"]
    );
    // Nothing of the state is said when it cannot be said whole.
    assert_eq!(bodies(&effects), ["Sorry, something went wrong on our side. Let's start again.", "Q"]);
}

#[test]
fn a_saved_photo_is_sent_back_and_one_that_was_not_saved_is_trouble() {
    let flow = flow_of(
        "",
        "  main: { ask: Q, expect: { type: image, or: [skip] }, save: photo, go: echo }
  echo: { send: { type: image, media: '${ photo.id }' }, go: main }
",
    );
    let mut talk = Talk::new(&flow);
    talk.says("x");
    assert_eq!(forms(&talk.send(photo()))[0], json!({"type": "image", "media": "med_1"}));
    assert!(troubles(&talk.send(typed("skip")))[0].contains("state `echo`: "));
}

#[test]
fn a_reaction_is_to_the_message_of_the_turn_and_is_left_out_where_there_is_none() {
    let flow = flow_of(
        "timeout: { after: 1m, go: thumb }",
        "  main: { ask: Q, save: text, go: thumb }
  thumb: { reply: on, send: [{ type: reaction, emoji: 👍 }, { type: text, body: '${ text }' }], go: main }
",
    );
    let mut talk = Talk::new(&flow);
    talk.says("x");
    let effects = writes(&mut talk, "hello", "wamid.2");
    assert_eq!(forms(&effects)[0], json!({"type": "reaction", "message_id": "wamid.2", "emoji": "👍"}));
    // A reaction does not quote; the first message that can, does.
    let fail = &Outside::Fail;
    assert_eq!(
        fates(&effects),
        [("reaction", None, fail), ("text", Some("wamid.2"), fail), ("text", None, fail)]
    );
    let silence = talk.turn(&Input::Timeout);
    assert_eq!(fates(&silence), [("text", None, fail), ("text", None, fail)]);
    assert_eq!(troubles(&silence), [""; 0]);
}

#[test]
fn every_state_that_speaks_can_quote_and_a_turn_quotes_once() {
    let flow = flow_of(
        "",
        "  main: { menu: M, reply: on, options: [{ label: Ask, go: ask }, { label: Person, go: person }, { label: End, go: end }] }
  ask: { ask: A, reply: on, save: text, go: said }
  said: { say: 'S ${ text }', reply: on, go: main }
  person: { handoff: H, reply: on, go: main }
  end: { end: E, reply: on }
",
    );
    let mut talk = Talk::new(&flow);
    for (text, quoting) in [("x", 1), ("ask", 1), ("hello", 2), ("end", 1), ("x", 1), ("person", 1)] {
        let effects = writes(&mut talk, text, "wamid.1");
        let quoted: Vec<_> = fates(&effects).into_iter().map(|(_, reply_to, _)| reply_to).collect();
        assert_eq!(quoted.len(), quoting, "{text}");
        assert!(
            quoted[0] == Some("wamid.1") && quoted[1..].iter().all(Option::is_none),
            "{text}: {quoted:?}"
        );
    }
}

#[test]
fn what_becomes_of_a_message_outside_of_the_window_is_said_at_the_top_and_by_the_state() {
    let flow = flow_of(
        "outside_window: { template: { name: back, language: en, body: ['${ contact.name }'] } }",
        "  main: { say: One, send: { type: template, name: sale, language: en }, go: two }
  two: { say: Two, outside_window: skip, go: three }
  three: { say: Three, outside_window: { template: { name: other, language: en, body: ['${ contact.name }'] } }, go: four }
  four: { ask: Four, outside_window: wait, expect: number, save: n, go: five }
  five: { end: '${ n }' }
",
    );
    let mut talk = Talk::new(&flow);
    let effects = talk.send(typed("x"));
    assert_eq!(
        fates(&effects),
        [
            ("text", None, &in_place("back")),
            // It is a template itself: the window is nothing to it.
            ("template", None, &Outside::Fail),
            ("text", None, &Outside::Skip),
            ("text", None, &in_place("other")),
            ("text", None, &Outside::Wait),
        ]
    );
    let hint = talk.send(typed("many"));
    assert_eq!(fates(&hint), [("text", None, &Outside::Wait), ("text", None, &Outside::Wait)]);
    assert_eq!(fates(&talk.send(typed("4"))), [("text", None, &in_place("back"))]);
}

#[test]
fn a_template_stands_in_once_for_all_that_a_turn_says() {
    let flow = flow_of(
        "outside_window: { template: { name: back, language: en, body: ['${ contact.name }'] } }",
        "  main: { say: One, send: [{ type: text, body: Two }, { type: sticker, id: 1 }], go: more }
  more: { menu: Three, options: [{ label: Z, go: main }] }
",
    );
    let effects = Talk::new(&flow).send(typed("x"));
    let skip = &Outside::Skip;
    assert_eq!(
        fates(&effects),
        [
            ("text", None, &in_place("back")),
            ("text", None, skip),
            ("sticker", None, skip),
            ("buttons", None, skip)
        ]
    );
}

#[test]
fn a_wrong_template_for_later_does_not_keep_a_person_from_what_can_be_said_now() {
    let flow = flow_of(
        "outside_window: { template: { name: back, language: en, body: ['${ contact.username }'] } }",
        "  main: { end: Hello }\n",
    );
    let effects = Talk::new(&flow).send(typed("x"));
    assert_eq!(
        (fates(&effects), bodies(&effects)),
        (vec![("text", None, &Outside::Fail)], vec!["Hello".into()])
    );
    assert_eq!(troubles(&effects), ["`outside_window`: `template.body[0]` is empty; write something there"]);
}

#[test]
fn without_a_word_about_it_what_cannot_go_fails() {
    let flow = flow_of("", "  main: { end: Hello }\n");
    assert_eq!(fates(&Talk::new(&flow).send(typed("x"))), [("text", None, &Outside::Fail)]);
}

#[test]
fn a_message_is_marked_as_read_before_it_is_answered_and_typing_shows_where_an_answer_comes() {
    let states = "  main: { menu: M, options: [{ label: P, go: person }, { label: N, go: nothing }] }
  person: { handoff: H, go: main }
  nothing: { end: '${ event.media }' }
";
    for (word, typing) in [("read", false), ("typing", true)] {
        let flow = flow_of(&format!("read_receipts: {word}\ntimeout: {{ after: 1m, go: nothing }}"), states);
        let mut talk = Talk::new(&flow);
        let effects = writes(&mut talk, "x", "wamid.1");
        let read = |id: &str, typing| json!({"type": "read", "message_id": id, "typing": typing});
        assert_eq!((&forms(&effects)[0], sent(&effects)[1].body()), (&read("wamid.1", typing), "M"));
        // Nothing is answered: nobody is typing.
        assert_eq!(forms(&writes(&mut talk, "n", "wamid.2")), [read("wamid.2", false)]);
        writes(&mut talk, "x", "wamid.3");
        assert_eq!(forms(&writes(&mut talk, "p", "wamid.4")).len(), 2);
        // From here on, a colleague reads.
        assert_eq!(writes(&mut talk, "hello?", "wamid.5"), []);
        talk.turn(&Input::Released);
        writes(&mut talk, "x", "wamid.6");
        assert_eq!(forms(&talk.turn(&Input::Timeout)), [Value::Null; 0]);
        assert_eq!(forms(&talk.send(typed("no id"))).len(), 1);
    }
    let off = flow_of("", states);
    assert_eq!(sent(&writes(&mut Talk::new(&off), "x", "wamid.1"))[0].kind(), "buttons");
}

#[test]
fn places_contacts_and_forms_are_answers() {
    let flow = flow_of(
        "",
        "  main: { ask: Where?, expect: location, request: on, save: place, go: who }
  who: { ask: Who?, expect: { type: contact, or: [skip] }, request: on, save: person, go: form }
  form: { ask: What?, header: Order, footer: '${ none_yet }', expect: form, save: order, go: done,
    request: { button: Open, flow_id: 17, screen: FIRST, data: { place: '${ place.name }' } } }
  done: { set: { none_yet: none }, say: '${ place.latitude } ${ place.longitude } ${ person.name } ${ person.phone } ${ order.size }', go: main }
",
    );
    let mut talk = Talk::new(&flow);
    let place =
        Content::Location { latitude: 52.5, longitude: 13.4, name: Some("Works".into()), address: None };
    let card = json!([{"name": {"formatted_name": "Bo"}, "phones": [{"phone": "+49 2", "wa_id": "492"}]}]);
    assert_eq!(forms(&talk.send(typed("x"))), [json!({"type": "location_request", "body": "Where?"})]);
    assert_eq!(talk.says("here"), ["Please send a location.", "Where?"]);
    assert_eq!(forms(&talk.send(place)), [json!({"type": "contact_request", "body": "Who?"})]);
    assert_eq!(bodies(&talk.send(Content::Contacts(json!([]))))[0], "Please send a contact, or type *skip*.");
    let asked = talk.send(Content::Contacts(card.clone()));
    assert_eq!(
        forms(&asked),
        [
            json!({"type": "flow", "header": {"text": "Order"}, "body": "What?", "button": "Open", "flow_id": "17",
            "screen": "FIRST", "data": {"place": "Works"}})
        ]
    );
    assert_eq!(
        talk.snapshot.vars["person"],
        json!({"name": "Bo", "phone": "+49 2", "wa_id": "492", "cards": card})
    );
    assert_eq!(talk.says("large")[0], "Please fill in the form.");
    let done = talk.send(Content::Form { data: json!({"size": "L"}) });
    assert_eq!(bodies(&done)[0], "52.5 13.4 Bo +49 2 L");
}

#[test]
fn a_question_with_a_button_has_a_text_above_it_and_does_without_one_when_the_text_is_too_long() {
    let flow = flow_of(
        "",
        "  main: { ask: '${ event.text }', header: Top, expect: location, request: on, save: place, go: done }
  done: { end: '${ place.name }' }
",
    );
    let bare = flow_of(
        "",
        "  main: { ask: '${ event.media }', expect: contact, request: on, save: x, go: done }\n  done: { end: '${ x }' }\n",
    );
    assert_eq!(forms(&Talk::new(&flow).send(typed("Hi")))[0]["body"], "*Top*\n\nHi");
    assert_eq!(sent(&Talk::new(&flow).send(typed(&"x".repeat(1025))))[0].kind(), "text");
    assert_eq!(forms(&Talk::new(&bare).send(typed("x")))[0]["body"], "Please send a contact.");
}

#[test]
fn a_header_and_a_footer_stand_around_prompts_and_a_blank_one_is_left_out() {
    let flow = flow_of(
        "",
        "  main: { ask: Photo, header: Top, expect: image, save: photo, go: menu }
  menu: { menu: M, header: { image: { media: '${ photo.id }' } }, footer: 'For ${ contact.name }', options: [{ label: A, go: ask }] }
  ask: { ask: A, header: '${ contact.username }', footer: F, expect: { choice: [One, Two] }, save: choice, go: main }
",
    );
    let mut talk = Talk::new(&flow);
    assert_eq!(talk.says("x"), ["*Top*\n\nPhoto"]);
    let menu = &forms(&talk.send(photo()))[0];
    assert_eq!(
        (&menu["header"], &menu["footer"]),
        (&json!({"image": {"media": "med_1"}}), &json!("For Ada"))
    );
    let ask = &forms(&talk.send(typed("a")))[0];
    assert_eq!((ask.get("header"), &ask["footer"]), (None, &json!("F")));
}

#[test]
fn a_hand_off_ends_by_itself_when_the_flow_says_so() {
    let flow = flow_of(
        "",
        "  main: { menu: M, options: [{ label: Short, go: short }, { label: Long, go: long }] }
  short: { handoff: H, for: 1h 30m, go: main }
  long: { handoff: H, go: main }
",
    );
    let mut talk = Talk::new(&flow);
    talk.says("x");
    let effects = talk.send(typed("short"));
    assert_eq!(effects.last(), Some(&Effect::HandOff { for_ms: Some(5_400_000) }));
    assert!(talk.turn(&Input::Released).is_empty());
    assert_eq!(talk.says("thanks"), ["M"]);
    assert_eq!(talk.send(typed("long")).last(), Some(&Effect::HandOff { for_ms: None }));
}

#[test]
fn people_who_opt_out_or_in_are_told_so_in_the_words_of_the_flow() {
    let contact = Identity { name: Some("Ada".into()), ..Identity::default() };
    let context = Context { contact: &contact, phone_number_id: "100", now: NOW };
    let states = "  main: { ask: Q, save: text, go: end }\n  end: { end: '${ text }' }\n";
    let built_in = flow_of("", states);
    assert_eq!(
        [Wish::Stop, Wish::Start].map(|wish| built_in.opt_out_text(wish, &context).body().to_owned()),
        [
            "You will get no more messages from us. Write START to get them again.",
            "Welcome back! You will get our messages again.",
        ]
    );
    let flow = flow_of("opt_out: { stopped: 'Bye ${ contact.name }.', started: '${ text }' }", states);
    assert_eq!(flow.opt_out_text(Wish::Stop, &context).body(), "Bye Ada.");
    assert_eq!(
        flow.opt_out_text(Wish::Start, &context).body(),
        "Welcome back! You will get our messages again.",
        "a text that comes to nothing"
    );
}
