//! The kinds of file that Meta takes, by MIME type, and how large they may be. Source: Meta, "Media", supported types, 2026.

use crate::domain::inbound::MediaKind;

const KIB: u64 = 1024;
const MIB: u64 = 1024 * KIB;

/// MIME type, kind, the ending of a name, and bytes at the most.
const KNOWN: [(&str, MediaKind, &str, u64); 13] = [
    ("image/jpeg", MediaKind::Image, "jpg", 5 * MIB),
    ("image/png", MediaKind::Image, "png", 5 * MIB),
    // A still one may have 100 KB, an animated one 500 KB; which it is, Meta tells.
    ("image/webp", MediaKind::Sticker, "webp", 500 * KIB),
    ("video/mp4", MediaKind::Video, "mp4", 16 * MIB),
    ("video/3gpp", MediaKind::Video, "3gp", 16 * MIB),
    ("audio/aac", MediaKind::Audio, "aac", 16 * MIB),
    ("audio/amr", MediaKind::Audio, "amr", 16 * MIB),
    ("audio/mpeg", MediaKind::Audio, "mp3", 16 * MIB),
    ("audio/mp4", MediaKind::Audio, "m4a", 16 * MIB),
    ("audio/ogg", MediaKind::Audio, "ogg", 16 * MIB),
    ("application/pdf", MediaKind::Document, "pdf", DOCUMENT_MAX),
    ("text/plain", MediaKind::Document, "txt", DOCUMENT_MAX),
    ("text/csv", MediaKind::Document, "csv", DOCUMENT_MAX),
];

/// Bytes in a document.
const DOCUMENT_MAX: u64 = 100 * MIB;

/// `audio/ogg` of `Audio/Ogg; codecs=opus`.
#[must_use]
pub fn essence(mime_type: &str) -> String {
    mime_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

/// Whether `mime_type` is one: two names with a slash between them, and perhaps parameters.
#[must_use]
pub fn is_mime_type(mime_type: &str) -> bool {
    let token = |text: &str| {
        !text.is_empty()
            && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$&^_.+-".contains(&byte))
    };
    let visible = mime_type.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic());
    visible && essence(mime_type).split_once('/').is_some_and(|(kind, name)| token(kind) && token(name))
}

/// The kind that Meta takes files of this type as, and how many bytes it takes; `None` when it takes none.
#[must_use]
pub fn sendable(mime_type: &str) -> Option<(MediaKind, u64)> {
    let essence = essence(mime_type);
    let known = KNOWN.iter().find(|(known, ..)| *known == essence).map(|(_, kind, _, limit)| (*kind, *limit));
    let document = essence.starts_with("application/") || essence.starts_with("text/");
    known.or(document.then_some((MediaKind::Document, DOCUMENT_MAX)))
}

/// The ending that a file of this type has; `bin` where it is not known.
#[must_use]
pub fn ending(mime_type: &str) -> &'static str {
    let essence = essence(mime_type);
    KNOWN.iter().find(|(known, ..)| *known == essence).map_or("bin", |(_, _, ending, _)| ending)
}

/// Whether one of `patterns` (`*`, `image/*`, `image/png`) means `mime_type`.
#[must_use]
pub fn matches(patterns: &[String], mime_type: &str) -> bool {
    let essence = essence(mime_type);
    patterns.iter().any(|pattern| match pattern.strip_suffix('*') {
        Some(beginning) => essence.starts_with(beginning),
        None => essence == *pattern,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_type_is_known_with_and_without_parameters() {
        assert_eq!(sendable("audio/ogg; codecs=opus"), Some((MediaKind::Audio, 16 * MIB)));
        assert_eq!(sendable("IMAGE/PNG"), Some((MediaKind::Image, 5 * MIB)));
        assert_eq!(sendable("application/vnd.ms-excel"), Some((MediaKind::Document, DOCUMENT_MAX)));
        assert_eq!(sendable("image/gif"), None);
        assert_eq!((ending("image/jpeg"), ending("x/y")), ("jpg", "bin"));
    }

    #[test]
    fn patterns_mean_all_a_family_or_one() {
        let patterns = |list: &[&str]| list.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
        assert!(matches(&patterns(&["*"]), "a/b"));
        assert!(matches(&patterns(&["text/plain", "image/*"]), "Image/Png; x=y"));
        assert!(!matches(&patterns(&["text/plain", "image/*"]), "text/plainer"));
        assert!(!matches(&patterns(&[]), "a/b"));
    }

    #[test]
    fn a_header_cannot_hold_more_than_a_type() {
        for good in [
            "a/b",
            "audio/ogg; codecs=opus",
            "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
        ] {
            assert!(is_mime_type(good), "{good}");
        }
        for bad in ["", "a", "a/", "/b", "a b/c", "a/b\r\nX: y", "a/b; ü"] {
            assert!(!is_mime_type(bad), "{bad}");
        }
    }
}
