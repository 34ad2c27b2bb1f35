//! What stands above the body of an interactive message.

use serde::Serialize;
use serde::ser::{SerializeMap, Serializer};
use serde_json::Value;

use crate::domain::inbound::MediaKind;
use crate::domain::outbound::fields::{Fields, missing, wrong};
use crate::domain::outbound::invalid::{Invalid, filled};
use crate::domain::outbound::media::Media;

/// Characters in a header of text.
pub const HEADER_TEXT_MAX: usize = 60;

/// JSON: a string, `{"text":"Hello"}`, or `{"image":{"link":"https://…"}}` (also `video`, `document`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Header {
    /// A line of text.
    Text(String),
    /// A picture, video or document, without caption.
    Media(Media),
}

impl Header {
    /// A line of up to [`HEADER_TEXT_MAX`] characters.
    ///
    /// # Errors
    /// When it is empty or too long.
    pub fn text(text: impl Into<String>) -> Result<Self, Invalid> {
        filled("text", text.into(), HEADER_TEXT_MAX).map(Self::Text)
    }

    /// A file.
    ///
    /// # Errors
    /// When it is a sound or sticker, or has a caption.
    pub fn media(media: Media) -> Result<Self, Invalid> {
        if matches!(media.kind(), MediaKind::Audio | MediaKind::Sticker) {
            return Err(Invalid::wrong("", "can be text, image, video or document"));
        }
        if media.caption().is_some() {
            let path = format!("{}.caption", media.kind().as_str());
            return Err(Invalid::wrong(&path, "is not possible in a header: say it in the body"));
        }
        Ok(Self::Media(media))
    }

    /// The `header` of an object, if it has one.
    pub(in crate::domain::outbound) fn read_from(fields: &mut Fields) -> Result<Option<Self>, Invalid> {
        fields.take("header").map(Self::try_from).transpose().map_err(|e| e.under("header"))
    }

    fn read(fields: &mut Fields) -> Result<Self, Invalid> {
        match fields.first_of(&["text", "image", "video", "document"]) {
            None => Err(missing("text")),
            Some("text") => Self::text(fields.text("text")?),
            Some(name) => Self::media(media(name, fields)?),
        }
    }
}

impl TryFrom<Value> for Header {
    type Error = Invalid;

    fn try_from(value: Value) -> Result<Self, Invalid> {
        match value {
            Value::String(text) => filled("", text, HEADER_TEXT_MAX).map(Self::Text),
            Value::Object(_) => Fields::whole(value, Self::read),
            other => Err(wrong("", "a string or an object", &other)),
        }
    }
}

/// The file under `name`, which is a kind.
pub(in crate::domain::outbound) fn media(name: &'static str, fields: &mut Fields) -> Result<Media, Invalid> {
    let kind = match name {
        "image" => MediaKind::Image,
        "video" => MediaKind::Video,
        _ => MediaKind::Document,
    };
    fields.object(name, |fields| Media::read(kind, fields))?.ok_or_else(|| missing(name))
}

impl Serialize for Header {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(1))?;
        match self {
            Self::Text(text) => map.serialize_entry("text", text)?,
            Self::Media(media) => map.serialize_entry(media.kind().as_str(), media)?,
        }
        map.end()
    }
}
