//! The files that phones have at hand: small, and real enough for any program that looks into them.

use super::sent::Media;

/// Type, name and bytes of a file that every phone has.
pub(super) fn sample(media: Media) -> (&'static str, &'static str, &'static [u8]) {
    match media {
        Media::Image => ("image/jpeg", "photo.jpg", include_bytes!("samples/photo.jpg")),
        Media::Video => ("video/mp4", "film.mp4", include_bytes!("samples/film.mp4")),
        Media::Voice => ("audio/ogg; codecs=opus", "voice.ogg", include_bytes!("samples/voice.ogg")),
        Media::Document => ("application/pdf", "document.pdf", include_bytes!("samples/document.pdf")),
        Media::Sticker => ("image/webp", "sticker.webp", include_bytes!("samples/sticker.webp")),
    }
}
