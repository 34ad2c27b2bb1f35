//! Files: image, video, audio and voice, document, sticker.

use serde::Serialize;

use super::fields::Fields;
use super::invalid::{Invalid, OTHER_TEXT_MAX, address, check, perhaps};
use crate::domain::ids::MediaId;
use crate::domain::inbound::MediaKind;

/// Characters in a caption. Source: Meta's OpenAPI of the Cloud API, 2026.
pub const CAPTION_MAX: usize = 1024;

/// Where a file is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// Meta's id of an uploaded file: digits. An upload lives 30 days, one that came in a webhook 7. Source: Meta, page
    /// "media", 2026.
    Id(String),
    /// An `https` address from which Meta fetches it.
    Link(String),
    /// A file of our own store. It has to be exchanged for Meta's id before it goes out: [`super::Message::with_file`].
    Media(MediaId),
}

impl Source {
    fn check(&self) -> Result<(), Invalid> {
        match self {
            Self::Id(id) => {
                check("id", id, OTHER_TEXT_MAX)?;
                if id.bytes().all(|b| b.is_ascii_digit()) {
                    Ok(())
                } else {
                    Err(Invalid::wrong("id", "has to be Meta's id of an uploaded file: digits"))
                }
            }
            Self::Link(link) => address("link", link, &["https://"]),
            Self::Media(_) => Ok(()),
        }
    }

    /// `id`, `link` or `media`, exactly one of them.
    fn read(fields: &mut Fields) -> Result<Self, Invalid> {
        let id = fields.optional_text("id")?;
        let link = fields.optional_text("link")?;
        let media = fields.optional_text("media")?;
        match (id, link, media) {
            (Some(id), None, None) => Ok(Self::Id(id)),
            (None, Some(link), None) => Ok(Self::Link(link)),
            (None, None, Some(media)) => {
                let id = media.parse().map_err(|_| {
                    Invalid::wrong("media", "has to be the id of a stored file, such as `med_17`")
                })?;
                Ok(Self::Media(id))
            }
            (None, None, None) => Err(Invalid::wrong(
                "link",
                "is missing: give `link` (https), `id` (Meta's) or `media` (a stored file)",
            )),
            (Some(_), ..) => {
                Err(Invalid::wrong("id", "is one too many: give only one of `id`, `link`, `media`"))
            }
            (None, ..) => {
                Err(Invalid::wrong("media", "is one too many: give only one of `id`, `link`, `media`"))
            }
        }
    }
}

/// A file. The JSON type is the kind: `{"type":"image","link":"https://…","caption":"…"}`; a document may have a
/// `filename`, an audio `voice`. Audio and stickers have no caption. Source: Meta, message reference of each, 2026.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Media {
    #[serde(skip)]
    kind: MediaKind,
    #[serde(flatten)]
    source: Source,
    #[serde(skip_serializing_if = "Option::is_none")]
    caption: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    filename: Option<String>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    voice: bool,
}

impl Media {
    /// A file without words.
    ///
    /// # Errors
    /// When the source cannot be one.
    pub fn new(kind: MediaKind, source: Source) -> Result<Self, Invalid> {
        source.check()?;
        Ok(Self { kind, source, caption: None, filename: None, voice: false })
    }

    /// With a text of up to [`CAPTION_MAX`] characters under it.
    ///
    /// # Errors
    /// When it is empty or too long, or the file is a sound or sticker.
    pub fn with_caption(mut self, caption: Option<String>) -> Result<Self, Invalid> {
        if caption.is_some() && matches!(self.kind, MediaKind::Audio | MediaKind::Sticker) {
            let kind = self.kind.as_str();
            return Err(Invalid::wrong(
                "caption",
                format!("is not possible with {kind}: send a text beside it"),
            ));
        }
        self.caption = perhaps("caption", caption, CAPTION_MAX)?;
        Ok(self)
    }

    /// With a name, which only documents have.
    ///
    /// # Errors
    /// When it is empty or too long, or the file is no document.
    pub fn with_filename(mut self, filename: Option<String>) -> Result<Self, Invalid> {
        if filename.is_some() && self.kind != MediaKind::Document {
            return Err(Invalid::wrong("filename", "is for documents only"));
        }
        self.filename = perhaps("filename", filename, OTHER_TEXT_MAX)?;
        Ok(self)
    }

    /// As a voice message (`true`), which only a sound can be.
    ///
    /// # Errors
    /// When the file is no sound.
    pub fn as_voice(mut self, voice: bool) -> Result<Self, Invalid> {
        if voice && self.kind != MediaKind::Audio {
            return Err(Invalid::wrong("voice", "is for audio only"));
        }
        self.voice = voice;
        Ok(self)
    }

    pub(super) fn read(kind: MediaKind, fields: &mut Fields) -> Result<Self, Invalid> {
        let media = Self::new(kind, Source::read(fields)?)?;
        // Known only where they are possible, so that a field of another kind is refused as such.
        match kind {
            MediaKind::Image | MediaKind::Video => media.with_caption(fields.optional_text("caption")?),
            MediaKind::Audio => media.as_voice(fields.flag("voice")?),
            MediaKind::Sticker => Ok(media),
            MediaKind::Document => media
                .with_caption(fields.optional_text("caption")?)?
                .with_filename(fields.optional_text("filename")?),
        }
    }

    /// What kind of file.
    #[must_use]
    pub fn kind(&self) -> MediaKind {
        self.kind
    }

    /// Where it is.
    #[must_use]
    pub fn source(&self) -> &Source {
        &self.source
    }

    pub(super) fn source_mut(&mut self) -> &mut Source {
        &mut self.source
    }

    /// The text under it.
    #[must_use]
    pub fn caption(&self) -> Option<&str> {
        self.caption.as_deref()
    }

    /// The name of a document.
    #[must_use]
    pub fn filename(&self) -> Option<&str> {
        self.filename.as_deref()
    }

    /// Whether a sound is sent as a voice message.
    #[must_use]
    pub fn voice(&self) -> bool {
        self.voice
    }
}
