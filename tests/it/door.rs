//! The webhook door as Meta and strangers find it, over real sockets. After every bad thing the next good one works.

use serde_json::{Value, json};
use switchboard::meta::signature::AppSecret;
use switchboard::store::read::EventFilter;

use crate::support::database::on_both;
use crate::support::door::{ALL, answered, kept, next_good_one_works, post, signed, start, start_on_sqlite};
use crate::support::run;
use crate::support::wire::{self, ours, value};

const PHONE: &str = "4915199000001";

#[test]
fn without_the_right_signature_nothing_gets_in_and_nothing_is_told() {
    run(async {
        let test = start_on_sqlite().await;
        let body = wire::body(wire::NUMBER, &[wire::text(PHONE, "wamid.1", "hi")]);
        let right = test.meta.sign(&body);
        let digits = right.strip_prefix("sha256=").unwrap();
        let of_another_body = test.meta.sign(b"another body");
        let of_another_app = AppSecret::new("another secret").sign(&body);
        let sha1 = format!("sha1={digits}");
        for (signature, status) in [
            (None, 401),
            (Some(""), 403),
            (Some("sha256="), 403),
            (Some("sha256=what?"), 403),
            (Some(digits), 403),
            (Some(&sha1), 403),
            (Some(&right[..right.len() - 2]), 403),
            (Some(&of_another_body), 403),
            (Some(&of_another_app), 403),
        ] {
            let answer = post(&test, body.clone(), signature).await;
            assert_eq!(answer.status(), status, "{signature:?}");
            let told = format!("{:?} {}", answer.headers().clone(), answer.text().await.unwrap());
            assert!(!told.contains(digits), "{told}");
        }
        let changed = wire::body(wire::NUMBER, &[wire::text(PHONE, "wamid.1", "ho")]);
        assert_eq!(post(&test, changed, Some(&right)).await.status(), 403);
        assert!(kept(&test).await.is_empty());
        next_good_one_works(&test).await;
        assert!(test.replies(PHONE).is_empty());
        test.stop().await;
    });
}

#[test]
fn the_address_is_verified_with_our_token_only() {
    run(async {
        let test = start_on_sqlite().await;
        assert_eq!(test.meta.verify_webhook().await, Ok(true));
        let token = test.meta.settings().verify_token.clone();
        for query in [
            String::new(),
            "?hub.mode=subscribe&hub.challenge=4711".to_owned(),
            "?hub.mode=subscribe&hub.challenge=4711&hub.verify_token=".to_owned(),
            format!("?hub.mode=subscribe&hub.challenge=4711&hub.verify_token={token}x"),
            format!("?hub.mode=unsubscribe&hub.challenge=4711&hub.verify_token={token}"),
            format!("?hub.challenge=4711&hub.verify_token={token}"),
            format!("?hub.mode=subscribe&hub.verify_token={token}"),
        ] {
            let answer = test.http.get(format!("{}{query}", test.webhook_url())).send().await.unwrap();
            assert_eq!(answer.status(), 403, "{query}");
            let text = answer.text().await.unwrap();
            assert!(!text.contains("4711") && !text.contains(&token), "{text}");
        }
        let answer = test.http.put(test.webhook_url()).send().await.unwrap();
        assert_eq!(answer.status(), 405);
        next_good_one_works(&test).await;
        test.stop().await;
    });
}

on_both!(what_is_signed_and_unreadable_is_kept_with_its_reason, async |database: Database| {
    let test = start(database).await;
    let good = wire::body(wire::NUMBER, &[wire::text(PHONE, "wamid.1", "hi")]);
    let bodies: [(&str, Vec<u8>); 7] = [
        ("nothing", Vec::new()),
        ("truncated", good[..good.len() / 2].to_vec()),
        ("invalid UTF-8", [&good[..40], &[0xff, 0xfe], &good[40..]].concat()),
        ("a list", b"[]".to_vec()),
        ("null", b"null".to_vec()),
        ("not JSON, with NUL", b"{\"entry\": \0".to_vec()),
        ("two in one", [&good[..], &good[..]].concat()),
    ];
    for (what, body) in &bodies {
        assert_eq!(signed(&test, body.clone()).await, 200, "{what}");
        // Meta repeats what it thinks we have not got.
        assert_eq!(signed(&test, body.clone()).await, 200, "{what}");
        next_good_one_works(&test).await;
    }
    let (status, list) = test.get("/webhooks?state=ignored").await;
    assert_eq!(status, 200);
    let rows = list["data"].as_array().unwrap();
    assert_eq!(rows.len(), bodies.len(), "{list}");
    for row in rows {
        assert_eq!(row["type"], "unreadable");
        assert!(row["reason"].as_str().is_some_and(|reason| reason.starts_with("it is not")), "{row}");
    }
    let (_, whole) = test.get(&format!("/webhooks/{}", rows[5]["id"].as_str().unwrap())).await;
    assert_eq!(whole["payload"], String::from_utf8_lossy(&bodies[1].1).into_owned(), "{whole}");
    assert!(test.replies(PHONE).is_empty());
    test.stop().await;
});

on_both!(wrong_types_anywhere_are_kept_and_harm_nobody, async |database: Database| {
    let test = start(database).await;
    let strange =
        [json!(null), json!(5), json!("x"), json!(true), json!([]), json!([[]]), json!({"a": [null]})];
    let mut bodies: Vec<Vec<u8>> = Vec::new();
    for odd in &strange {
        let text = wire::text(PHONE, "wamid.odd", "hi");
        bodies.push(json!({"object": odd}).to_string().into_bytes());
        bodies.push(json!({"object": "o", "entry": odd}).to_string().into_bytes());
        bodies.push(json!({"entry": [{"id": odd, "changes": odd}]}).to_string().into_bytes());
        bodies.push(json!({"entry": [{"changes": [{"field": odd, "value": odd}]}]}).to_string().into_bytes());
        bodies.push(value(odd));
        bodies.push(value(&json!({"metadata": odd, "messages": [text]})));
        bodies.push(ours(json!({"messages": odd, "statuses": odd, "errors": odd, "contacts": odd})));
        bodies.push(ours(json!({"messages": [odd], "statuses": [odd], "errors": [odd], "contacts": [odd]})));
        for field in ["from", "id", "timestamp", "type", "text", "context"] {
            let mut message = wire::text(PHONE, "wamid.odd", "hi");
            message[field] = odd.clone();
            bodies.push(ours(json!({"messages": [message], "contacts": odd})));
        }
        bodies.push(ours(json!({"statuses": [{"id": odd, "status": odd, "timestamp": odd, "errors": odd}]})));
        bodies.push(ours(json!({"messages": [{"from": PHONE, "type": "image", "image": odd}]})));
        bodies.push(ours(json!({"messages": [{"from": PHONE, "type": "interactive", "interactive": odd}]})));
    }
    for body in bodies {
        assert_eq!(signed(&test, body.clone()).await, 200, "{}", String::from_utf8_lossy(&body));
    }
    next_good_one_works(&test).await;
    test.settle().await;
    let events = test.app.store().list_events(EventFilter::default(), ALL).await.unwrap().rows;
    assert!(events.len() > strange.len() * 8, "{}", events.len());
    for event in events {
        let told = matches!(event.state.as_str(), "done") || event.reason.is_some();
        assert!(told && event.state != "quarantined", "{event:?}");
    }
    test.stop().await;
});

#[test]
fn a_body_over_the_limit_is_refused_whole_and_one_as_large_as_metas_is_taken() {
    run(async {
        let test = start_on_sqlite().await;
        let padded = |mebibytes: usize| {
            let padding = "x".repeat(mebibytes << 20);
            ours(json!({"messages": [wire::text(PHONE, "wamid.1", "hi")], "padding": padding}))
        };
        assert_eq!(signed(&test, padded(5)).await, 413);
        assert!(kept(&test).await.is_empty());
        next_good_one_works(&test).await;
        assert_eq!(signed(&test, padded(3)).await, 200);
        answered(&test, PHONE, &["hi, before that nothing"]).await;
        test.stop().await;
    });
}

on_both!(a_thousand_events_in_one_post_are_all_answered, async |database: Database| {
    let test = start(database).await;
    let phone = |i: usize| format!("49153{i:08}");
    let text = |i: usize| wire::text(&phone(i), &format!("wamid.{i}"), &format!("hi {i}"));
    let messages: Vec<Value> = (0..1_000).map(text).collect();
    assert_eq!(signed(&test, wire::body(wire::NUMBER, &messages)).await, 200);
    assert_eq!(kept(&test).await.len(), messages.len());
    test.settle().await;
    for i in 0..messages.len() {
        assert_eq!(test.replies(&phone(i)), [format!("hi {i}, before that nothing")]);
    }
    next_good_one_works(&test).await;
    test.stop().await;
});

#[test]
fn deep_nesting_costs_nothing() {
    run(async {
        let test = start_on_sqlite().await;
        let deep = format!("{}{}", "[".repeat(200_000), "]".repeat(200_000));
        for place in ["object", "entry", "\u{e4}"] {
            assert_eq!(signed(&test, format!("{{\"{place}\":{deep}}}")).await, 200, "{place}");
        }
        let marked = ours(json!({"messages": [wire::text(PHONE, "wamid.1", "hi"), "DEEP"], "new": "DEEP"}));
        let nested = String::from_utf8(marked).unwrap().replace("\"DEEP\"", &deep);
        assert_eq!(signed(&test, nested).await, 200);
        answered(&test, PHONE, &["hi, before that nothing"]).await;
        next_good_one_works(&test).await;
        test.stop().await;
    });
}

on_both!(what_is_not_for_us_is_kept_and_nobody_answers, async |database: Database| {
    let test = start(database).await;
    let foreign = wire::body("999999999999999", &[wire::text(PHONE, "wamid.1", "hi")]);
    let account = json!({"field": "account_update", "value": {"event": "VERIFIED_ACCOUNT"}});
    let account = json!({"entry": [{"id": "1", "time": 1_795_337_387, "changes": [account]}]});
    let nobodys = value(&json!({"messages": [wire::text(PHONE, "wamid.2", "hi")]}));
    let group =
        json!({"from": PHONE, "group_id": "g", "id": "wamid.3", "type": "text", "text": {"body": "hi"}});
    let nameless = json!({"id": "wamid.4", "type": "text", "text": {"body": "hi"}});
    for (body, kind, reason) in [
        (foreign, "message", "not one of ours"),
        (account.to_string().into_bytes(), "account_update", "nothing acts on this kind"),
        (nobodys, "message", "does not say which number"),
        (ours(json!({"messages": [group]})), "messages", "it is of a group"),
        (ours(json!({"messages": [nameless]})), "messages", "it names no single person"),
    ] {
        assert_eq!(signed(&test, body).await, 200, "{reason}");
        let event = kept(&test).await.remove(0);
        assert_eq!((event.kind.as_str(), event.state.as_str()), (kind, "ignored"));
        assert!(event.reason.as_ref().is_some_and(|told| told.contains(reason)), "{event:?}");
        next_good_one_works(&test).await;
    }
    assert!(test.replies(PHONE).is_empty());
    test.stop().await;
});

#[test]
fn a_malformed_message_between_two_good_ones_harms_neither() {
    run(async {
        let test = start_on_sqlite().await;
        for (i, malformed) in
            [json!(5), json!({}), json!({"from": {}, "id": []}), json!({"id": "w"})].into_iter().enumerate()
        {
            let (before, after) = (format!("491540000{i:04}"), format!("491541000{i:04}"));
            let (first, last) = (format!("wamid.a{i}"), format!("wamid.b{i}"));
            let messages = [wire::text(&before, &first, "one"), malformed, wire::text(&after, &last, "two")];
            assert_eq!(signed(&test, wire::body(wire::NUMBER, &messages)).await, 200);
            answered(&test, &before, &["one, before that nothing"]).await;
            answered(&test, &after, &["two, before that nothing"]).await;
        }
        test.stop().await;
    });
}

on_both!(a_person_without_a_phone_number_is_answered_at_their_id, async |database: Database| {
    let test = start(database).await;
    let phones = test.meta.phones();
    let mut expected = 0;
    for (phone, message) in phones.iter().zip([
        json!({"from_user_id": phones[0].user_id}),
        json!({"from": "", "from_user_id": phones[1].user_id}),
        json!({"from": phones[2].user_id}),
    ]) {
        for text in ["one", "two"] {
            let mut message = message.clone();
            message["id"] = json!(format!("wamid.{}.{text}", phone.user_id));
            message["type"] = json!("text");
            message["text"] = json!({"body": text});
            let contact = json!({"user_id": phone.user_id, "profile": {"name": "Kim"}});
            assert_eq!(signed(&test, ours(json!({"contacts": [contact], "messages": [message]}))).await, 200);
            expected += 1;
        }
        answered(&test, &phone.wa_id, &["one, before that nothing", "two, before that one"]).await;
        let sent = test.meta.requests().pop().unwrap();
        assert_eq!(sent.body["recipient"], phone.user_id);
        assert!(sent.body.get("to").is_none(), "{:?}", sent.body);
    }
    assert_eq!(test.meta.received_count(), expected);
    next_good_one_works(&test).await;
    test.stop().await;
});

on_both!(what_meta_repeats_happens_once, async |database: Database| {
    let test = start(database).await;
    let message = wire::text(PHONE, "wamid.1", "hi");
    let twice = wire::body(wire::NUMBER, &[message.clone(), message.clone()]);
    let once = wire::body(wire::NUMBER, &[message]);
    for body in [twice, once.clone(), once] {
        assert_eq!(signed(&test, body).await, 200);
    }
    answered(&test, PHONE, &["hi, before that nothing"]).await;
    test.quiet().await;
    assert_eq!(kept(&test).await.len(), 1);
    assert_eq!(test.replies(PHONE).len(), 1);

    let wamid = test.meta.transcript(PHONE).pop().unwrap().wamid;
    let read = json!({"id": wamid, "status": "read", "timestamp": "1795337399", "recipient_id": PHONE});
    for statuses in [json!([read, read]), json!([read])] {
        assert_eq!(signed(&test, ours(json!({"statuses": statuses}))).await, 200);
    }
    let mut told = 0;
    for event in test.app.store().list_events(EventFilter::default(), ALL).await.unwrap().rows {
        let whole = test.app.store().find_event_by_id(event.id).await.unwrap().unwrap();
        told += usize::from(whole.payload.unwrap().contains("\"read\""));
    }
    assert_eq!(told, 1);
    let (_, list) = test.get("/messages?direction=out").await;
    assert_eq!(list["data"][0]["status"], "read", "{list}");
    assert_eq!(list["data"][0]["read_at"], "2026-11-22T08:49:59.000Z");
    let (_, stats) = test.get("/stats").await;
    assert_eq!(stats["messages"]["sent_by_status"], json!({"read": 1}));
    next_good_one_works(&test).await;
    test.stop().await;
});

#[test]
fn a_body_with_metas_escapes_is_verified_as_it_came() {
    run(async {
        let test = start_on_sqlite().await;
        let plain = wire::body(wire::NUMBER, &[wire::text(PHONE, "wamid.1", "SAID")]);
        let escaped = r"gr\u00fc\u00df\u0065 a\/b \ud83d\ude00";
        let body = String::from_utf8(plain).unwrap().replace("SAID", escaped);
        assert_eq!(signed(&test, body).await, 200);
        answered(&test, PHONE, &["grüße a/b 😀, before that nothing"]).await;
        test.stop().await;
    });
}

on_both!(nul_characters_do_no_harm, async |database: Database| {
    let test = start(database).await;
    for (i, text) in ["a\0b", "\0"].into_iter().enumerate() {
        let contact = json!({"wa_id": PHONE, "profile": {"name": "N\0l", "username": "\0"}});
        let message = wire::text(PHONE, &format!("wamid.\0{i}"), text);
        let body = ours(json!({"contacts": [contact], "messages": [message], "n\0w": "\0"}));
        assert!(String::from_utf8_lossy(&body).contains("\\u0000"));
        assert_eq!(signed(&test, body).await, 200);
    }
    answered(&test, PHONE, &["a\u{fffd}b, before that nothing", "\u{fffd}, before that a\u{fffd}b"]).await;
    let (_, contacts) = test.get("/contacts").await;
    assert_eq!(contacts["data"][0]["name"], "N\u{fffd}l", "{contacts}");
    let (_, list) = test.get("/messages?direction=in").await;
    assert_eq!(list["data"][1]["body"], "a\u{fffd}b", "{list}");
    next_good_one_works(&test).await;
    test.stop().await;
});
