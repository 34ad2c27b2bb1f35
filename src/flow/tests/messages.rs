//! What the check says of messages of every type, and of what goes with them: its words, its line, and what the caret is under.

use super::check::{HEAD, only, only_in_state, problems_in_state, problems_of};
use super::*;

/// A `say` with this `send`, which a menu leads to.
fn only_in_send(send: &str, expected: &str) {
    only_in_state(&format!("{{ send: {send}, go: z }}"), expected);
}

/// A flow whose start says this, and waits.
fn says(state: &str) -> String {
    format!(
        "states:\n  main: {{ {state}, go: wait }}\n  wait: {{ ask: 'Well?', save: x, go: bye }}\n  bye: {{ end: '${{ x }}' }}\n"
    )
}

#[test]
fn messages_of_every_type_pass_whether_their_fields_are_fixed_or_templates() {
    for send in [
        "{ type: text, body: Hi, preview_url: on }",
        "{ type: text, body: '${ x }', preview_url: '${ true }' }",
        "{ type: image, link: 'https://a.example/p.jpg', caption: '${ x }' }",
        "{ type: image, media: '${ x }' }",
        "{ type: video, link: 'https://a.example/${ x }' }",
        "{ type: audio, id: '${ x }', voice: on }",
        "{ type: document, media: med_1, filename: '${ x }.pdf' }",
        "{ type: sticker, link: '${ x }' }",
        "{ type: location, latitude: 52.5, longitude: '${ x }', name: Works }",
        "{ type: contacts, contacts: [{ name: '${ x }', phones: [{ phone: '${ x }', type: WORK }] }] }",
        "{ type: contacts, contacts: [{ name: { formatted_name: Ada, first_name: '${ x }' }, org: { company: '${ x }' } }] }",
        "{ type: reaction, emoji: 👍 }",
        "{ type: reaction, emoji: '' }",
        "{ type: reaction, emoji: '${ x }', message_id: '${ event.id }' }",
        "{ type: cta_url, header: { image: { media: '${ x }' } }, body: '${ x }', footer: f, button: '${ x }', url: '${ x }' }",
        "{ type: location_request, body: '${ x }' }",
        "{ type: contact_request, body: '${ x }' }",
        "{ type: flow, body: b, button: '${ x }', flow_id: '${ x }', mode: '${ x }', screen: S, data: { rows: '${ [1] }', n: 1 } }",
        "{ type: template, name: '${ x }', language: '${ x }', header: { text: '${ x }' }, body: ['${ x }'], \
         buttons: [{ index: '${ x }', url: '${ x }' }, { payload: main#1 }, { flow: { token: '${ x }', data: { a: '${ x }' } } }] }",
        "{ type: template, name: a, language: en, header: { location: { latitude: '${ x }', longitude: 1 } }, \
         body: { customer: '${ x }', due: { date_time: '${ x }' }, price: { currency: { code: '${ x }', amount_1000: '${ x }', fallback: '${ x }' } } } }",
        // Whichever comes to something.
        "{ type: image, link: '${ x }', media: '${ x }' }",
        "[{ type: text, body: 1 }, { type: template, name: a, language: en, body: ~ }]",
    ] {
        assert_eq!(problems_of(&says(&format!("send: {send}"))), [""; 0], "{send}");
    }
}

#[test]
fn a_message_has_a_type_that_a_flow_can_send() {
    only_in_send("{ type: imag }", "7: imag: `send` has no type `imag`");
    only_in_send("{ type: buttons, body: b }", "7: buttons: `send` has no type `buttons`");
    only_in_send("{ type: '${ now }' }", "7: '${ now }': `send` has no type `${ now }`");
    only_in_send("{ typ: text }", "7: send: the message has no `type`");
    only_in_send("[{ body: text }]", "7: {: the message has no `type`");
    only_in_send("Hello", "7: Hello: `send` has to be a map of the fields of a message, not a text");
    only_in_state("{ send: , go: z }", "7: a: state `a` has no `say`");
    only_in_send("[]", "7: send: `send` needs 1 to 10 messages, it has 0");
    only_in_state(
        "{ menu: M, send: { type: text, body: b }, options: [{ label: Z, go: z }] }",
        "7: send: state `a` has no use for `send`",
    );
    let shown =
        Flow::parse(&format!("{}{}", HEAD, says("send: { type: read }")), "t.yaml").unwrap_err().to_string();
    assert!(shown.contains("help: say `read_receipts: read` at the top of the file"), "{shown}");
}

#[test]
fn the_fields_of_a_message_are_judged_by_its_type_with_a_caret_under_each() {
    only_in_send(
        "{ type: image }",
        "7: send: `link` is missing: give `link` (https), `id` (Meta's) or `media` (a stored file)",
    );
    only_in_send("{ type: sticker, id: 1, caption: c }", "7: caption: `caption` is not known here");
    only_in_send("{ type: sticker, id: 1, caption: '${ now }' }", "7: caption: `caption` is not known here");
    only_in_send(
        "{ type: image, link: 'https://a.example/p', media: med_1 }",
        "7: media: `media` is one too many: give only one of `id`, `link`, `media`",
    );
    only_in_send(
        "{ type: image, link: 'http://a.example/p' }",
        "7: 'http://a.example/p': `link` has to be a web address that begins with `https://`",
    );
    only_in_send(
        "{ type: reaction, emoji: ok }",
        "7: ok: `emoji` has to be one emoji, or empty to take a reaction back",
    );
    only_in_send(
        "{ type: flow, body: b, button: o, flow_id: 1, mode: drft }",
        "7: drft: `mode` has to be `draft` or `published`",
    );
    only_in_send(
        "{ type: template, name: a, language: en, header: { image: { caption: c, id: 1 } } }",
        "7: caption: `header.image.caption` is not possible in a header: say it in the body",
    );
    let long = "b".repeat(4097);
    only_in_send(
        &format!("{{ type: text, body: {long} }}"),
        &format!("7: {long}: `body` has 4097 characters, 4096 are allowed"),
    );
    let six = ["{ name: A, phones: [{ phone: 1 }] }"; 6].join(", ");
    only_in_send(
        &format!("{{ type: contacts, contacts: [{six}] }}"),
        "7: contacts: `contacts` has 6 entries, 1 to 5 are allowed",
    );
}

#[test]
fn a_misspelt_field_is_offered_the_right_one() {
    let source = format!("{HEAD}{}", says("send: { type: text, bdy: '${ now }' }"));
    let problems = Flow::parse(&source, "t.yaml").unwrap_err();
    let helps: Vec<_> = problems.iter().map(|problem| problem.help.as_deref()).collect();
    assert_eq!(helps, [None, Some("did you mean `body`?")], "{problems}");
}

#[test]
fn all_mistakes_of_all_messages_are_told_at_once() {
    let found = problems_of(&says(
        "say: Look, send: [{ type: location, latitude: 91, longitude: east, nam: n }, { type: text, body: '${ nam }', preview_url: perhaps },\n    \
         { type: contacts, contacts: [{ name: Ada, phones: [{ phone: 1 }, { phon: 2 }] }] },\n    { type: text, body: '${ event.txt }' }]",
    ));
    assert_eq!(
        found,
        [
            "5: 91: `latitude` has to be degrees from -90 to 90, not 91",
            "5: east: `longitude` has to be a number, not a string",
            "5: nam: `nam` is not known here",
            "5: nam: no state saves a variable `nam`",
            "5: perhaps: `preview_url` has to be true or false, not a string",
            "6: {: `contacts[0].phones[1].phone` is missing",
            "6: phon: `contacts[0].phones[1].phon` is not known here",
            "7: event.txt: `event` has no `txt`",
        ]
    );
}

#[test]
fn a_message_over_several_lines_is_pointed_into() {
    only_in_state(
        "\n    send:\n      - type: text\n        body: fine\n      - type: image\n        caption: c\n    go: z",
        "11: type: `link` is missing: give `link` (https), `id` (Meta's) or `media` (a stored file)",
    );
    only_in_state(
        "\n    send:\n      type: cta_url\n      body: b\n      button: This is a long button\n      url: https://a.example\n    go: z",
        "11: This is a long button: `button` has 21 characters, 20 are allowed",
    );
}

#[test]
fn what_stands_around_a_prompt_is_checked() {
    let menu = |more: &str| format!("{{ menu: M, {more}, options: [{{ label: Z, go: z }}] }}");
    let long = "h".repeat(61);
    only_in_state(
        &menu(&format!("header: {long}")),
        &format!("7: {long}: `header` has 61 characters, 60 are allowed"),
    );
    only_in_state(
        &menu(&format!("footer: {long}")),
        &format!("7: {long}: `footer` has 61 characters, WhatsApp allows 60"),
    );
    only_in_state(
        &menu("header: { image: { link: pic.jpg } }"),
        "7: pic.jpg: `header.image.link` has to be a web address that begins with `https://`",
    );
    assert_eq!(
        problems_in_state(&menu("header: { audio: { id: 1 } }")),
        ["7: header: `header.text` is missing", "7: audio: `header.audio` is not known here"]
    );
    only_in_state(&menu("header: [a]"), "7: [: `header` has to be a string or an object, not a list");
    only_in_state(&menu("footer: '${ nam }'"), "7: nam: no state saves a variable `nam`");
    only_in_state("{ say: S, header: H, go: z }", "7: header: state `a` has no use for `header`");
}

#[test]
fn whatsapps_own_buttons_fit_what_is_asked_for() {
    let ask = |rest: &str| format!("{{ ask: Q, save: x, go: b, {rest} }}\n  b: {{ end: '${{ x }}' }}");
    for good in [
        "expect: location, request: on",
        "expect: { type: contact, or: [skip] }, request: off",
        "expect: form",
    ] {
        assert_eq!(problems_of(&format!("states:\n  main: {}\n", ask(good))), [""; 0], "{good}");
    }
    only_in_state(&ask("request: on"), "7: request: `request` has no button for this answer");
    only_in_state(&ask("expect: location, request: here"), "7: here: `request` is `on` or `off`, not `here`");
    only_in_state(&ask("expect: form, request: on"), "7: on: `request` has to be a map here, not a text");
    assert_eq!(
        problems_in_state(&ask("expect: form, request: { button: Open, flow: 1 }")),
        ["7: request: `request.flow_id` is missing", "7: flow: `request.flow` is not known here"]
    );
    only_in_state(
        &ask("expect: form, request: { button: Open, flow_id: 1, body: b }"),
        "7: body: `request` has no use for `body`",
    );
    only_in_state(
        &ask("expect: form, request: { button: Open, flow_id: 1, mode: on }"),
        "7: on: `request.mode` has to be `draft` or `published`",
    );
    let long = "q".repeat(1025);
    only_in_state(
        &format!(
            "{{ ask: {long}, save: x, go: b, expect: location, request: on }}\n  b: {{ end: '${{ x }}' }}"
        ),
        &format!("7: {long}: the text is longer than 1024 characters: sent without the button"),
    );
    only_in_state(
        &format!(
            "{{ ask: {long}, save: x, go: b, expect: form, request: {{ button: Open, flow_id: 1 }} }}\n  b: {{ end: '${{ x }}' }}"
        ),
        &format!("7: {long}: the text is longer than 1024 characters"),
    );
}

#[test]
fn what_becomes_of_messages_outside_of_the_window_is_checked() {
    let rest = "states:\n  main: { end: M }\n";
    for good in
        ["fail", "wait", "skip", "{ template: { name: a, language: en, body: ['${ contact.name }'] } }"]
    {
        assert_eq!(problems_of(&format!("outside_window: {good}\n{rest}")), [""; 0], "{good}");
    }
    only(&format!("outside_window: drop\n{rest}"), "4: drop: `outside_window` cannot be `drop`");
    assert_eq!(
        problems_of(&format!("outside_window: {{ tmplate: {{}} }}\n{rest}")),
        [
            "4: outside_window: `outside_window` has no `template`",
            "4: tmplate: `outside_window` has no use for `tmplate`",
        ]
    );
    only(
        &format!("outside_window: {{ template: {{ name: Big, language: en }} }}\n{rest}"),
        "4: Big: `template.name` may hold lowercase letters, digits and `_` only",
    );
    only(
        &format!("outside_window: {{ template: {{ name: a }} }}\n{rest}"),
        "4: template: `template.language` is missing",
    );
    for state in [
        "{ menu: M, outside_window: now, options: [{ label: Z, go: z }] }",
        "{ ask: Q, outside_window: now, save: x, go: z }",
        "{ say: S, outside_window: now, go: z }",
        "{ end: E, outside_window: now }",
        "{ handoff: H, outside_window: now, go: z }",
    ] {
        only_in_state(state, "7: now: `outside_window` cannot be `now`");
    }
    only_in_state(
        "{ branch: [{ else: z }], outside_window: fail }",
        "7: outside_window: state `a` has no use for `outside_window`",
    );
}

#[test]
fn opt_out_receipts_and_hand_off_times_are_checked() {
    let rest = "states:\n  main: { end: M }\n";
    assert_eq!(
        problems_of(&format!(
            "opt_out: {{ stopped: 'Bye ${{ contact.name }}' }}\nread_receipts: off\n{rest}"
        )),
        [""; 0]
    );
    only(&format!("opt_out: {{ stoped: Bye }}\n{rest}"), "4: stoped: `opt_out` has no use for `stoped`");
    let long = "s".repeat(4097);
    only(
        &format!("opt_out: {{ started: {long} }}\n{rest}"),
        &format!("4: {long}: `started` has 4097 characters, WhatsApp allows 4096"),
    );
    only(&format!("read_receipts: on\n{rest}"), "4: on: `read_receipts` cannot be `on`");
    only(
        &format!("globals: {{ 'bye | stop': main }}\n{rest}"),
        "4: 'bye | stop': `stop` is a word by which people opt out, and never gets here",
    );
    let handoff = |time: &str| format!("{{ handoff: H, for: {time}, go: z }}");
    only_in_state(&handoff("721h"), "7: 721h: `for` is out of range: `721h`");
    only_in_state(&handoff("500ms"), "7: 500ms: `for` is out of range: `500ms`");
    only_in_state(&handoff("soon"), "7: soon: `for` is no duration: `soon`");
    only_in_state("{ say: S, reply: perhaps, go: z }", "7: perhaps: `reply` is `on` or `off`, not `perhaps`");
}
