//! Files over real sockets: uploaded, told of, fetched, deleted, sent by phones, and refused.

use reqwest::Response;
use reqwest::multipart::{Form, Part};

use crate::clock::Hand;

use super::*;

const PNG: &[u8] = b"\x89PNG\r\n\x1a\n and so on";

async fn start_on_a_clock(webhook_url: Option<String>) -> (LocalMeta, Hand) {
    let (clock, hand) = Clock::manual(1_790_000_000_000);
    let made_up = Settings::made_up(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)));
    let settings = Settings { webhook_url, limits: Limits::none(), ..made_up };
    (LocalMeta::start(settings, clock).await.unwrap(), hand)
}

fn form(mime_type: &str, bytes: &'static [u8]) -> Form {
    let file = Part::bytes(bytes).file_name("picture.png").mime_str(mime_type).unwrap();
    Form::new().text("messaging_product", "whatsapp").text("type", mime_type.to_owned()).part("file", file)
}

async fn upload(meta: &LocalMeta, form: Form) -> (u16, Value) {
    let url = format!("{}/v26.0/{}/media", meta.graph_url(), meta.settings().phone_number_id);
    let request = server::client().unwrap().post(url).bearer_auth(&meta.settings().token).multipart(form);
    let answer = request.send().await.unwrap();
    (answer.status().as_u16(), answer.json().await.unwrap())
}

async fn ask(meta: &LocalMeta, method: &str, path: &str) -> (u16, Value) {
    let url = format!("{}/v26.0/{path}", meta.graph_url());
    let request = server::client().unwrap().request(method.parse().unwrap(), url);
    let answer = request.bearer_auth(&meta.settings().token).send().await.unwrap();
    (answer.status().as_u16(), answer.json().await.unwrap())
}

async fn fetch(meta: &LocalMeta, url: &str, token: Option<&str>) -> Response {
    let request = server::client().unwrap().get(url);
    request.bearer_auth(token.unwrap_or(&meta.settings().token)).send().await.unwrap()
}

fn image(id: &str) -> Value {
    json!({"messaging_product": "whatsapp", "to": ADA, "type": "image", "image": {"id": id, "caption": "look"}})
}

#[actix_web::test]
async fn an_upload_is_told_of_fetched_sent_shown_and_deleted() {
    let (meta, hand) = start_on_a_clock(None).await;
    let (status, answer) = upload(&meta, form("image/png", PNG)).await;
    assert_eq!(status, 200, "{answer}");
    let id = answer["id"].as_str().unwrap();
    let number = meta.settings().phone_number_id.clone();
    let (status, node) = ask(&meta, "GET", &format!("{id}?phone_number_id={number}")).await;
    assert_eq!((status, &node["mime_type"], &node["id"]), (200, &json!("image/png"), &json!(id)));
    assert_eq!((&node["file_size"], &node["messaging_product"]), (&json!(PNG.len()), &json!("whatsapp")));
    assert_eq!(node["sha256"].as_str().unwrap().len(), 44, "base64 of 32 bytes");

    let url = node["url"].as_str().unwrap();
    let answer = fetch(&meta, url, None).await;
    assert_eq!(
        (answer.status().as_u16(), &answer.headers()["content-type"]),
        (200, &"image/png".parse().unwrap())
    );
    assert_eq!(answer.bytes().await.unwrap(), PNG);
    assert_eq!(fetch(&meta, url, Some("wrong")).await.status(), 401);
    assert_eq!(fetch(&meta, &url.replace("hash=", "hash=0"), None).await.status(), 404);
    hand.advance(Duration::from_secs(300));
    assert_eq!(fetch(&meta, url, None).await.status(), 404, "an address is good for five minutes");

    assert_eq!(send(&meta, image(id)).await.unwrap().0, 200);
    let entry = meta.transcript(ADA).remove(0);
    assert_eq!((entry.content.media.as_deref(), &*entry.content.text), (Some(id), "look"));
    let shown =
        server::client().unwrap().get(format!("{}/files/{id}", meta.graph_url())).send().await.unwrap();
    assert_eq!(shown.headers()["content-disposition"], "inline; filename=\"picture.png\"");
    assert_eq!(shown.bytes().await.unwrap(), PNG);

    assert_eq!(ask(&meta, "GET", &format!("{id}?phone_number_id=7")).await.1["error"]["error_subcode"], 33);
    assert_eq!(ask(&meta, "DELETE", id).await, (200, json!({"success": true})));
    assert_eq!(ask(&meta, "DELETE", id).await.0, 400);
    let (status, refusal) = send(&meta, image(id)).await.unwrap();
    assert_eq!((status, &refusal["error"]["code"]), (400, &json!(100)));
    let words = "(#100) Param image['id'] is not a valid whatsapp business account media attachment ID";
    assert_eq!(refusal["error"]["message"], words);
}

#[actix_web::test]
async fn an_id_of_an_upload_is_good_for_thirty_days() {
    let (meta, hand) = start_on_a_clock(None).await;
    let id = upload(&meta, form("image/png", PNG)).await.1["id"].as_str().unwrap().to_owned();
    hand.advance(Duration::from_secs(30 * 24 * 3_600 - 1));
    assert_eq!(send(&meta, image(&id)).await.unwrap().0, 200);
    hand.advance(Duration::from_secs(1));
    assert_eq!(send(&meta, image(&id)).await.unwrap().0, 400);
    assert_eq!(ask(&meta, "GET", &id).await.1["error"]["error_subcode"], 33);
}

#[actix_web::test]
async fn what_meta_would_not_take_is_refused_and_what_it_cannot_convert_fails_late() {
    let mut receiver = Receiver::start(0);
    let (meta, _) = start_on_a_clock(Some(receiver.url())).await;
    let (status, refusal) = upload(&meta, form("image/gif", b"GIF89a")).await;
    assert_eq!((status, &refusal["error"]["code"]), (400, &json!(100)));
    assert!(refusal["error"]["message"].as_str().unwrap().ends_with("Received file of type 'image/gif'."));
    static LARGE: [u8; (5 << 20) + 1] = [0; (5 << 20) + 1];
    assert_eq!(upload(&meta, form("image/png", &LARGE)).await.1["error"]["code"], 131_053);
    for form in [
        Form::new().text("messaging_product", "whatsapp").text("type", "image/png"),
        Form::new().text("type", "image/png").part("file", Part::bytes(PNG)),
        Form::new().text("messaging_product", "sms").text("type", "image/png").part("file", Part::bytes(PNG)),
    ] {
        assert_eq!(upload(&meta, form).await.0, 400);
    }
    // Without a type of its own, the file has that of the form.
    let bare = Form::new()
        .text("messaging_product", "whatsapp")
        .text("type", "\"image/png\"")
        .part("file", Part::bytes(PNG));
    let (status, answer) = upload(&meta, bare).await;
    assert_eq!(status, 200);
    let video =
        json!({"messaging_product": "whatsapp", "to": ADA, "type": "video", "video": {"id": answer["id"]}});
    assert_eq!(send(&meta, video).await.unwrap().0, 200);
    let (_, statuses) = receiver.updates("statuses", 1).await;
    assert_eq!(
        (&statuses[0]["status"], &statuses[0]["errors"][0]["code"]),
        (&json!("failed"), &json!(131_053))
    );
}

#[actix_web::test]
async fn what_phones_send_has_bytes_that_can_be_fetched_for_seven_days() {
    let mut receiver = Receiver::start(0);
    let (meta, hand) = start_on_a_clock(Some(receiver.url())).await;
    for media in [Media::Image, Media::Video, Media::Voice, Media::Document, Media::Sticker] {
        meta.send_media(ADA, media, Some("look")).unwrap();
    }
    let body = server::client()
        .unwrap()
        .post(format!("{}/phones/{ADA}/media?wait=0&caption=mine", meta.graph_url()));
    let sent = body.header("Content-Type", "image/png").body(PNG).send().await.unwrap();
    assert_eq!(sent.json::<Value>().await.unwrap()["sent"]["text"], "mine");
    let (_, messages) = receiver.updates("messages", 6).await;
    let kinds: Vec<&str> = messages.iter().map(|message| message["type"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["image", "video", "audio", "document", "sticker", "image"]);
    for message in &messages {
        let node = &message[message["type"].as_str().unwrap()];
        let id = node["id"].as_str().unwrap();
        let (_, told) = ask(&meta, "GET", id).await;
        assert_eq!((&told["sha256"], &told["mime_type"]), (&node["sha256"], &node["mime_type"]));
        let bytes = fetch(&meta, node["url"].as_str().unwrap(), None).await.bytes().await.unwrap();
        assert_eq!(meta.file(id), Some(bytes.to_vec()));
        assert_eq!(told["file_size"], bytes.len());
    }
    assert_eq!(messages[5]["image"]["caption"], "mine");
    let id = messages[0]["image"]["id"].as_str().unwrap();
    assert_eq!(send(&meta, image(id)).await.unwrap().0, 200, "what came in can be sent on");
    hand.advance(Duration::from_secs(7 * 24 * 3_600));
    assert_eq!(ask(&meta, "GET", id).await.0, 400);
    assert_eq!(meta.file(id), None);
}

#[actix_web::test]
async fn a_file_needs_a_type_and_bytes() {
    let (meta, _) = start_on_a_clock(None).await;
    let post = || server::client().unwrap().post(format!("{}/phones/{ADA}/media", meta.graph_url()));
    for request in [post().body("x"), post().header("Content-Type", "image/png")] {
        assert_eq!(request.send().await.unwrap().status(), 400);
    }
    assert_eq!(meta.transcript(ADA), []);
    // A document of a phone is never run as a page of ours.
    meta.send_file(ADA, "text/html", Some("a.html"), b"<script>".to_vec(), None).unwrap();
    let id = meta.transcript(ADA)[0].content.media.clone().unwrap();
    let shown =
        server::client().unwrap().get(format!("{}/files/{id}", meta.graph_url())).send().await.unwrap();
    assert_eq!(shown.headers()["content-type"], "application/octet-stream");
    assert_eq!(shown.headers()["content-disposition"], "attachment; filename=\"a.html\"");
}
