//! What is known of a message does not depend on the order in which it became known, nor on how often it was told: tried on
//! the real store, with statuses and settles in every order and batch.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use switchboard::clock::{Clock, Ids};
use switchboard::domain::delivery::Failure;
use switchboard::domain::ids::MessageId;
use switchboard::domain::outbound::Message;
use switchboard::meta::webhook::{Body, Item, parse};
use switchboard::store::read::StoredMessage;
use switchboard::store::{
    Attempted, Incoming, IncomingBody, Outgoing, QueueState, Session, Settings, Settle, SettleOutcome, Store,
    TimerChange, Turn, TurnReply,
};
use switchboard::telemetry::Metrics;

use crate::cases;
use crate::dice::Dice;

const NOW: i64 = 1_795_337_387_000;
const NUMBER: &str = "106540352242922";

/// One thing that becomes known of a message.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Fact {
    /// Meta told this status, with our id of the message or without.
    Told(&'static str, bool),
    /// The sender got Meta's id.
    Accepted,
    /// The sender got no answer.
    Unanswered,
}

fn facts(dice: &mut Dice) -> Vec<Fact> {
    let mut facts = vec![Fact::Accepted];
    if dice.chance(30) {
        facts.push(Fact::Unanswered);
    }
    for status in ["sent", "delivered", "read", "failed", "played"] {
        if dice.chance(50) {
            facts.push(Fact::Told(status, dice.chance(70)));
        }
    }
    facts
}

fn shuffled(dice: &mut Dice, facts: &[Fact]) -> Vec<Fact> {
    let mut rest: Vec<Fact> = facts.to_vec();
    // Now and then something is told twice.
    for fact in facts.iter().filter(|fact| matches!(fact, Fact::Told(..))) {
        if dice.chance(30) {
            rest.push(*fact);
        }
    }
    let mut order = Vec::with_capacity(rest.len());
    while !rest.is_empty() {
        let place = dice.below(rest.len());
        order.push(rest.swap_remove(place));
    }
    order
}

fn incoming(value: &Value) -> Vec<Incoming> {
    let mut whole = json!({"messaging_product": "whatsapp", "metadata": {"phone_number_id": NUMBER}});
    whole.as_object_mut().unwrap().extend(value.as_object().unwrap().clone());
    let body = json!({"object": "whatsapp_business_account", "entry": [{"id": "1", "changes": [{"field": "messages", "value": whole}]}]});
    let bring = |item: Item| Incoming {
        dedupe_key: item.dedupe_key,
        payload: item.payload,
        body: match item.body {
            Body::Message(message) => IncomingBody::Message { phone_number_id: NUMBER.to_owned(), message },
            Body::Status(update) => IncomingBody::Status { phone_number_id: item.phone_number_id, update },
            other => panic!("{other:?}"),
        },
    };
    parse(body.to_string().as_bytes()).unwrap().into_iter().map(bring).collect()
}

async fn accept(store: &Store, value: &Value) {
    let incoming = incoming(value);
    let room = store.reserve(incoming.len()).unwrap();
    store.accept(incoming, room).await.unwrap();
}

/// A person wrote, and one answer to them is under way.
async fn answer_under_way(store: &Store, phone: &str) -> MessageId {
    let message = json!({"from": phone, "id": format!("wamid.in.{phone}"), "timestamp": "1795337387", "type": "text", "text": {"body": "hi"}});
    let incoming = incoming(&json!({"contacts": [{"wa_id": phone}], "messages": [message]}));
    let room = store.reserve(1).unwrap();
    let accepted = store.accept(incoming, room).await.unwrap().remove(0);
    let session = store.activate(accepted.conversation.unwrap()).await.unwrap().unwrap().session;
    let id = MessageId(store.ids().next());
    let turn = Turn {
        event: accepted.id,
        accepted_at: NOW,
        session: Session { version: session.version + 1, last_inbound_at: Some(NOW), ..session },
        identity_changed: false,
        messages: vec![Outgoing::new(id, Arc::new(Message::text("hello").unwrap()), None)],
        timer: TimerChange::Keep,
        writes: Vec::new(),
        chosen: Vec::new(),
        consent: None,
        changes: Vec::new(),
    };
    assert_eq!(store.commit_turn(turn).await.unwrap(), TurnReply::Committed);
    id
}

fn status(fact: Fact, id: MessageId, wamid: &str) -> Option<Value> {
    let Fact::Told(status, named) = fact else { return None };
    let second = 1_795_337_390 + i64::try_from(status.len()).unwrap();
    let mut told = json!({"id": wamid, "status": status, "timestamp": second.to_string()});
    if named {
        told["biz_opaque_callback_data"] = json!(id.to_string());
    }
    if status == "failed" {
        told["errors"] = json!([{"code": 131_026, "title": "Message undeliverable"}]);
    }
    Some(told)
}

/// Tells the store everything in this order; statuses that follow each other come in one body, or not.
async fn tell(store: &Store, dice: &mut Dice, id: MessageId, wamid: &str, order: &[Fact]) -> StoredMessage {
    let mut together: Vec<Value> = Vec::new();
    for fact in order {
        if let Some(told) = status(*fact, id, wamid) {
            together.push(told);
            if dice.chance(50) {
                continue;
            }
        }
        if !together.is_empty() {
            accept(store, &json!({"statuses": std::mem::take(&mut together)})).await;
        }
        let outcome = match fact {
            Fact::Told(..) => continue,
            Fact::Accepted => SettleOutcome::Accepted { wamid: wamid.to_owned() },
            Fact::Unanswered => SettleOutcome::Ambiguous {
                until: NOW,
                attempt: Attempted { outcome: "ambiguous", failure: Failure::default() },
            },
        };
        store.settle(Settle { id, outcome }).await.unwrap();
    }
    if !together.is_empty() {
        accept(store, &json!({"statuses": together})).await;
    }
    store.find_message(id).await.unwrap().unwrap()
}

/// What is known of it, but for its ids.
fn known(message: &StoredMessage) -> String {
    format!(
        "{:?}",
        (
            message.status,
            message.sent_at,
            message.delivered_at,
            message.read_at,
            message.failed_at,
            &message.error,
            message.wamid.is_some(),
        )
    )
}

#[tokio::test]
async fn what_is_known_of_a_message_does_not_depend_on_the_order() {
    let folder = tempfile::tempdir().unwrap();
    let settings = Settings {
        url: format!("sqlite://{}?mode=rwc", folder.path().join("test.db").display()),
        migrate: true,
        reader_connections: 1,
        batch_max: 64,
        directory_cache: 100,
        unfinished_max: 1_000_000,
        queued_max: 1_000_000,
        window_margin: Duration::from_secs(60),
        hash_key: switchboard::store::HashKey::default(),
        scrub_max_bytes: 0,
    };
    let (clock, _) = Clock::manual(NOW);
    let (store, _hints) =
        Store::open(&settings, clock.clone(), Ids::new(clock), Metrics::new()).await.unwrap();
    for case in 0..cases(150) {
        let mut dice = Dice::new(case);
        let facts = facts(&mut dice);
        let mut outcomes = Vec::new();
        for copy in 0..2 {
            let order = shuffled(&mut dice, &facts);
            let id = answer_under_way(&store, &format!("4915{copy}{case:08}")).await;
            let message = tell(&store, &mut dice, id, &format!("wamid.{copy}.{case}"), &order).await;
            // What has failed is a dead letter, and nothing else is left in the queue.
            let left = store.find_queued(id).await.unwrap().map(|queued| queued.state);
            let expected = message.status.is_failure().then_some(QueueState::Dead);
            assert_eq!(left, expected, "case {case}: {order:?}");
            outcomes.push((known(&message), order));
        }
        assert_eq!(outcomes[0].0, outcomes[1].0, "case {case}: {:?} and {:?}", outcomes[0].1, outcomes[1].1);
    }
    let backlog = store.backlog().await.unwrap();
    assert!(backlog.by_state.keys().all(|state| state == "dead"), "{:?}", backlog.by_state);
}
