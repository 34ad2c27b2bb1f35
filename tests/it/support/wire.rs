//! Webhook bodies as Meta posts them, written here once more so that the tests depend on nobody's idea of them.

use serde_json::{Value, json};
use switchboard::sandbox::LocalMeta;

/// One of our numbers, as [`switchboard::sandbox::Settings::made_up`] has it.
pub(crate) const NUMBER: &str = "106540352242922";

/// A text message from `phone`.
pub(crate) fn text(phone: &str, wamid: &str, text: &str) -> Value {
    json!({"from": phone, "id": wamid, "timestamp": "1795337387", "type": "text", "text": {"body": text}})
}

/// One body that holds these messages, each with its sender's contact.
pub(crate) fn body(number: &str, messages: &[Value]) -> Vec<u8> {
    let contacts: Vec<Value> = messages
        .iter()
        .filter_map(|message| message["from"].as_str())
        .map(|phone| json!({"wa_id": phone, "profile": {"name": format!("Person {phone}")}}))
        .collect();
    let value = json!({
        "messaging_product": "whatsapp",
        "metadata": {"display_phone_number": "15550783881", "phone_number_id": number},
        "contacts": contacts,
        "messages": messages,
    });
    let body = json!({
        "object": "whatsapp_business_account",
        "entry": [{"id": "102290129340398", "changes": [{"field": "messages", "value": value}]}],
    });
    serde_json::to_vec(&body).unwrap()
}

/// A body of the field `messages` with this value.
pub(crate) fn value(value: &Value) -> Vec<u8> {
    let change = json!({"field": "messages", "value": value});
    let entry = json!({"id": "102290129340398", "changes": [change]});
    json!({"object": "whatsapp_business_account", "entry": [entry]}).to_string().into_bytes()
}

/// The value of a body for our number, with these members besides.
pub(crate) fn ours(members: Value) -> Vec<u8> {
    let mut whole = json!({"messaging_product": "whatsapp", "metadata": {"phone_number_id": NUMBER}});
    whole.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
    value(&whole)
}

/// An HTTP client for tests.
pub(crate) fn client() -> reqwest::Client {
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder().no_proxy().build().unwrap()
}

/// Posts `body` to `url`, signed.
pub(crate) async fn post(
    client: &reqwest::Client,
    meta: &LocalMeta,
    url: &str,
    body: Vec<u8>,
) -> reqwest::Result<u16> {
    let signature = meta.sign(&body);
    let request =
        client.post(url).header("X-Hub-Signature-256", signature).header("Content-Type", "application/json");
    Ok(request.body(body).send().await?.status().as_u16())
}
