//! Which files Meta takes, how large, and for which kind of message (Meta, "Media: supported media types", 2026).

use crate::sandbox::param::Checked;
use crate::sandbox::refusal::Refusal;

const KB: usize = 1 << 10;
const MB: usize = 1 << 20;
const AUDIO_MAX: usize = 16 * MB;
const DOCUMENT_MAX: usize = 100 * MB;
const IMAGE_MAX: usize = 5 * MB;
const VIDEO_MAX: usize = 16 * MB;
const STICKER_MAX: usize = 100 * KB;
const MOVING_STICKER_MAX: usize = 500 * KB;
/// The largest file of all, in bytes.
pub const UPLOAD_MAX: usize = DOCUMENT_MAX;

/// Type, the kind of message that it is for, and the most bytes.
const TYPES: &[(&str, &str, usize)] = &[
    ("audio/aac", "audio", AUDIO_MAX),
    ("audio/mp4", "audio", AUDIO_MAX),
    ("audio/mpeg", "audio", AUDIO_MAX),
    ("audio/amr", "audio", AUDIO_MAX),
    ("audio/ogg", "audio", AUDIO_MAX),
    ("audio/opus", "audio", AUDIO_MAX),
    ("application/vnd.ms-powerpoint", "document", DOCUMENT_MAX),
    ("application/msword", "document", DOCUMENT_MAX),
    ("application/vnd.openxmlformats-officedocument.wordprocessingml.document", "document", DOCUMENT_MAX),
    ("application/vnd.openxmlformats-officedocument.presentationml.presentation", "document", DOCUMENT_MAX),
    ("application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", "document", DOCUMENT_MAX),
    ("application/pdf", "document", DOCUMENT_MAX),
    ("text/plain", "document", DOCUMENT_MAX),
    ("application/vnd.ms-excel", "document", DOCUMENT_MAX),
    ("image/jpeg", "image", IMAGE_MAX),
    ("image/png", "image", IMAGE_MAX),
    ("image/webp", "sticker", MOVING_STICKER_MAX),
    ("video/mp4", "video", VIDEO_MAX),
    ("video/3gpp", "video", VIDEO_MAX),
];

/// A MIME type without its parameters, in lower case: `audio/ogg` of `audio/ogg; codecs=opus`.
pub(super) fn bare(mime_type: &str) -> String {
    mime_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

/// Checks an upload. A type that is none is a 100, as users have shown; what is too large is a media upload error.
pub(super) fn check(mime_type: &str, bytes: &[u8]) -> Checked<()> {
    let Some((_, kind, max)) = TYPES.iter().find(|(known, ..)| *known == mime_type) else {
        let known: Vec<&str> = TYPES.iter().map(|(known, ..)| *known).collect();
        let message = format!(
            "(#100) Param file must be a file with one of the following types: {}. Received file of type '{mime_type}'.",
            known.join(", ")
        );
        return Err(Refusal::saying(400, 100, None, message));
    };
    let max = if *kind == "sticker" && !moves(bytes) { STICKER_MAX } else { *max };
    match bytes.len() {
        0 => Err(Refusal::of(100).details("Param file must not be empty.")),
        size if size > max => {
            let words = format!("The file has {size} bytes; a {kind} of type {mime_type} can have {max}.");
            Err(Refusal::of(131_053).details(words))
        }
        _ => Ok(()),
    }
}

/// Whether a WebP picture moves: its extended header says so (RFC 9649, section 2.7).
pub(super) fn moves(webp: &[u8]) -> bool {
    webp.get(12..16) == Some(b"VP8X") && webp.get(20).is_some_and(|flags| flags & 0b10 != 0)
}

/// The kind of message that a phone makes of a file: what is no picture, film or sound is a document.
pub(super) fn kind_of(mime_type: &str) -> &'static str {
    match bare(mime_type).split_once('/') {
        Some(("image", "webp")) => "sticker",
        Some(("image", _)) => "image",
        Some(("video", _)) => "video",
        Some(("audio", _)) => "audio",
        _ => "document",
    }
}

/// Whether a message of this kind can carry a file of this type; a document carries any.
pub(super) fn can_be(kind: &str, mime_type: &str) -> bool {
    kind == "document" || TYPES.iter().any(|(known, of, _)| *known == bare(mime_type) && *of == kind)
}

pub(super) fn wrong_kind(kind: &str, mime_type: &str) -> Refusal {
    let good: Vec<&str> = TYPES.iter().filter(|(_, of, _)| *of == kind).map(|(known, ..)| *known).collect();
    let words = format!("Unsupported {kind} mime type {mime_type}. Please use one of {}.", good.join(", "));
    Refusal::of(131_053).details(words)
}

/// Whether a browser can show it without running anything that is in it: an SVG is a picture and a program.
pub(super) fn is_shown(mime_type: &str) -> bool {
    TYPES.iter().any(|(known, kind, _)| *known == bare(mime_type) && *kind != "document")
}
