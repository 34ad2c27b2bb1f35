//! Forms, ids and limits without a socket.

use super::samples::sample;
use super::*;

fn body(text: &str) -> Bytes {
    Bytes::copy_from_slice(text.as_bytes())
}

#[test]
fn a_form_is_read_to_the_byte() {
    let form = body(
        "preamble\r\n--XyZ\r\nContent-Disposition: form-data; name=\"messaging_product\"\r\n\r\nwhatsapp\r\n--XyZ\r\n\
         content-disposition: form-data; name=file; filename=\"a b.png\"\r\nContent-Type: image/png\r\n\r\n\
         \r\n--Xy\r\n\0end\r\n\r\n--XyZ--\r\n",
    );
    let boundary = multipart::boundary("multipart/form-data; boundary=\"XyZ\"").unwrap();
    let parts = multipart::parts(&form, &boundary).unwrap();
    assert_eq!((parts.len(), &*parts[0].text(), &*parts[1].name), (2, "whatsapp", "file"));
    assert_eq!(parts[1].filename.as_deref(), Some("a b.png"));
    assert_eq!(
        (parts[1].content_type.as_deref(), &*parts[1].bytes),
        (Some("image/png"), &b"\r\n--Xy\r\n\0end\r\n"[..])
    );
}

#[test]
fn a_form_that_is_cut_off_or_none_is_not_read() {
    let whole = "--b\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\nx\r\n--b--";
    assert_eq!(multipart::parts(&body(whole), "b").unwrap()[0].text(), "x");
    for length in 0..whole.len() {
        assert_eq!(multipart::parts(&body(&whole[..length]), "b"), None, "{length}");
    }
    let empty = "--b\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n\r\n--b--";
    assert_eq!(multipart::parts(&body(empty), "b").unwrap()[0].text(), "");
    for other in [
        "application/json",
        "multipart/mixed; boundary=b",
        "multipart/form-data",
        "multipart/form-data; boundary=",
    ] {
        assert_eq!(multipart::boundary(other), None, "{other}");
    }
}

#[test]
fn every_sample_is_what_it_says_and_meta_would_take_it() {
    let begins: [(Media, &[u8]); 5] = [
        (Media::Image, b"\xff\xd8\xff"),
        (Media::Video, b"\0\0\0 ftyp"),
        (Media::Voice, b"OggS"),
        (Media::Document, b"%PDF-"),
        (Media::Sticker, b"RIFF"),
    ];
    for (media, beginning) in begins {
        let (mime_type, name, bytes) = sample(media);
        assert!(bytes.starts_with(beginning) && bytes.len() < 10_000, "{name}");
        rules::check(&rules::bare(mime_type), bytes).unwrap();
    }
}

#[test]
fn types_and_sizes_are_metas() {
    let code = |mime_type: &str, size: usize| {
        rules::check(mime_type, &vec![0; size]).err().map(|refusal| refusal.code)
    };
    let mb = 1 << 20;
    for (mime_type, max) in [
        ("image/jpeg", 5 * mb),
        ("audio/ogg", 16 * mb),
        ("video/mp4", 16 * mb),
        ("application/pdf", 100 * mb),
        ("image/webp", 100 << 10),
    ] {
        assert_eq!((code(mime_type, max), code(mime_type, max + 1)), (None, Some(131_053)), "{mime_type}");
    }
    assert_eq!((code("image/gif", 1), code("image/jpeg", 0)), (Some(100), Some(100)));
    let mut moving = vec![0; 500 << 10];
    moving[12..16].copy_from_slice(b"VP8X");
    moving[20] = 0b10;
    assert!(rules::check("image/webp", &moving).is_ok());
    moving.push(0);
    assert_eq!(rules::check("image/webp", &moving).unwrap_err().code, 131_053);
}

#[test]
fn ids_live_as_long_as_where_they_came_from_and_addresses_five_minutes() {
    let (clock, hand) = Clock::manual(1_790_000_000_000);
    let files = Files::new("http://127.0.0.1:1", clock);
    let sent = files.keep(Source::Webhook, "image/png", None, body("a"));
    let uploaded = files.keep(Source::Upload, "image/png", Some("a\"/\\\n.png"), body("b"));
    assert_eq!(uploaded.name.as_deref(), Some("a.png"));
    let ends = 1_790_000_300;
    let hash = files.sealed(&sent.id, ends);
    assert!(
        files.address(&sent).ends_with(&format!("mid={}&source=webhook&ext={ends}&hash={hash}", sent.id))
    );
    hand.advance(std::time::Duration::from_millis(299_999));
    assert_eq!(files.open(&sent.id, ends, &hash), Some(sent.clone()));
    assert_eq!(files.open(&sent.id, ends + 1, &hash), None, "an address cannot be made to last");
    assert_eq!(files.open(&uploaded.id, ends, &hash), None);
    hand.advance(std::time::Duration::from_millis(1));
    assert_eq!(files.open(&sent.id, ends, &hash), None);
    let day = |days: u64| std::time::Duration::from_secs(days * 86_400);
    hand.advance(day(7));
    assert_eq!((files.find(&sent.id), files.find(&uploaded.id).is_some()), (None, true));
    hand.advance(day(23));
    assert_eq!(files.find(&uploaded.id), None);
}

#[test]
fn every_place_where_a_file_can_stand_is_looked_at() {
    let named = |body: Value| -> Vec<String> {
        mentioned::mentioned(&body).iter().map(|mention| mention.refusal().message).collect()
    };
    let header = json!({"type": "interactive", "interactive": {"type": "button", "header": {"type": "video", "video": {"id": "2"}}}});
    let template = json!({"type": "template", "template": {"components": [
        {"type": "header", "parameters": [{"type": "image", "image": {"id": "3"}}]}]}});
    for (body, path) in [
        (json!({"type": "sticker", "sticker": {"id": "1"}}), "sticker['id']"),
        (header, "interactive['header']['video']['id']"),
        (template, "template['components'][0]['parameters'][0]['image']['id']"),
    ] {
        let found = named(body);
        assert!(found.len() == 1 && found[0].contains(path), "{found:?}");
    }
    assert!(named(json!({"type": "image", "image": {"link": "https://a.example/"}})).is_empty());
    assert!(named(json!({"text": {"body": "x"}})).is_empty());
}
