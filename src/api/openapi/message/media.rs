//! Files.

use serde_json::{Value, json};
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::Schema;

use super::Kind;
use crate::api::openapi::schema::{Field, exactly_one, flag, may, named, object, text, word};
use crate::domain::outbound::{CAPTION_MAX, OTHER_TEXT_MAX, URL_MAX};

/// Where a file is: one of these.
pub(super) const SOURCE: &[&str] = &["link", "id", "media"];

pub(super) fn kinds() -> Vec<Kind> {
    let caption = || may("caption", text(CAPTION_MAX, "The text under it."));
    let kind = |name, about, more: Vec<Field>, examples: Vec<Value>| Kind {
        name,
        about,
        fields: source().into_iter().chain(more).collect(),
        either: vec![SOURCE],
        examples,
    };
    vec![
        kind(
            "image",
            "A picture: JPEG or PNG, up to 5 MiB.",
            vec![caption()],
            vec![
                json!({"link": "https://shop.example/gearbox.jpg", "caption": "Gearbox housing GH-20"}),
                json!({"media": "med_7353703260274688"}),
            ],
        ),
        kind(
            "video",
            "A film: MP4 or 3GPP, up to 16 MiB.",
            vec![caption()],
            vec![json!({"link": "https://shop.example/assembly.mp4"})],
        ),
        kind(
            "audio",
            "A sound, or a voice message: up to 16 MiB.",
            vec![may("voice", flag("Whether it is shown as a voice message (Ogg with Opus)."))],
            vec![json!({"id": "1013859600285441", "voice": true})],
        ),
        kind(
            "document",
            "A document of any kind, up to 100 MiB.",
            vec![
                caption(),
                may("filename", text(OTHER_TEXT_MAX, "The name under which the person gets it.")),
            ],
            vec![
                json!({"link": "https://shop.example/17.pdf", "filename": "offer-17.pdf", "caption": "Our offer"}),
            ],
        ),
        kind("sticker", "A sticker: WebP.", vec![], vec![json!({"id": "1013859600285441"})]),
    ]
}

/// The fields that say where a file is.
pub(super) fn source() -> [Field; 3] {
    [
        may(
            "link",
            word("An address from which Meta fetches it.")
                .pattern(Some(r"^https://[^\s/?#]+[^\s]*$"))
                .max_length(Some(URL_MAX)),
        ),
        may("id", word("Meta's id of a file that was uploaded to it.").pattern(Some("^[0-9]{1,64}$"))),
        may("media", named("MediaId")),
    ]
}

pub(super) fn shared() -> Vec<(String, RefOr<Schema>)> {
    let file = object(source()).description(Some("A file above a text."));
    let document = source().into_iter().chain([may("filename", text(OTHER_TEXT_MAX, "Its name."))]);
    let document = object(document).description(Some("A document above a text."));
    vec![
        ("File".to_owned(), exactly_one(file, &[SOURCE])),
        ("DocumentFile".to_owned(), exactly_one(document, &[SOURCE])),
    ]
}
