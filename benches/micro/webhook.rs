//! The door: signature and parsing, of one message and of a full batch of statuses.

use std::hint::black_box;

use criterion::{Criterion, Throughput};
use serde_json::{Value, json};
use switchboard::meta::signature::AppSecret;
use switchboard::meta::webhook::parse;

/// A body with this in its value.
fn body(members: &Value) -> Vec<u8> {
    let mut value = json!({
        "messaging_product": "whatsapp",
        "metadata": {"display_phone_number": "15550783881", "phone_number_id": "106540352242922"},
    });
    for (name, member) in members.as_object().into_iter().flatten() {
        value[name] = member.clone();
    }
    let change = json!({"value": value, "field": "messages"});
    let entry = json!({"id": "102290129340398", "changes": [change]});
    json!({"object": "whatsapp_business_account", "entry": [entry]}).to_string().into_bytes()
}

/// A text of one person.
pub(crate) fn text(person: usize, number: usize) -> Vec<u8> {
    let (phone, user) = (format!("49151{person:08}"), format!("DE.{person:020}"));
    body(&json!({
        "contacts": [{"profile": {"name": "Someone"}, "wa_id": phone, "user_id": user}],
        "messages": [{
            "from": phone, "from_user_id": user, "id": format!("wamid.HBgNNDkxNTE{number:032X}AA=="),
            "timestamp": "1795337387", "type": "text", "text": {"body": "What about my order?"},
        }],
    }))
}

fn statuses(count: usize) -> Vec<u8> {
    let status = |number: usize| {
        json!({
            "id": format!("wamid.HBgNNDkxNTE{number:032X}AA=="), "status": "delivered", "timestamp": "1795337387",
            "recipient_id": "4915100000001", "biz_opaque_callback_data": format!("msg_{number:019}"),
            "pricing": {"billable": false, "pricing_model": "PMP", "type": "free_customer_service", "category": "service"},
        })
    };
    body(&json!({"statuses": (0..count).map(status).collect::<Vec<_>>()}))
}

pub(crate) fn bench(criterion: &mut Criterion) {
    let secret = AppSecret::new("b1e9a2c4d7f0835612ab34cd56ef7890");
    let bodies = [("text", text(1, 1)), ("status", statuses(1)), ("1000 statuses", statuses(1_000))];
    let mut group = criterion.benchmark_group("webhook");
    for (name, body) in &bodies {
        let signature = secret.sign(body);
        group.throughput(Throughput::Bytes(body.len() as u64));
        group.bench_function(format!("verify/{name}"), |bencher| {
            bencher.iter(|| secret.verify(Some(black_box(&signature)), black_box(body)));
        });
        group.bench_function(format!("parse/{name}"), |bencher| bencher.iter(|| parse(black_box(body))));
    }
    group.finish();
}
