//! What we can send. A message that Meta would refuse for its length or count cannot be built: the constructors check
//! Meta's limits and name the field, what it has and what is allowed. Lengths are counted in characters.
//!
//! There is one JSON form of a message, which the API takes, flows write and the store keeps, and one way to read it:
//! [`Message::read`], which ends in the same constructors. The table of all types is `docs/messages.md`.
//!
//! Limits: Meta, message reference pages of each type, 2026.

mod button;
mod fields;
mod interactive;
mod invalid;
mod media;
mod place;
mod priority;
mod reaction;
mod template;
#[cfg(test)]
mod tests;
mod text;

pub use button::{ButtonParameter, CODE_MAX, PAYLOAD_MAX, TemplateButton};
pub use fields::{Fields, kind};
pub use interactive::{
    BUTTON_ID_MAX, BUTTON_TITLE_MAX, BUTTONS_MAX, Button, Buttons, CTA_BUTTON_MAX, ContactRequest, CtaUrl,
    FLOW_BUTTON_MAX, FOOTER_MAX, Flow, FlowMode, FlowName, FlowStart, Frame, HEADER_TEXT_MAX, Header,
    INTERACTIVE_BODY_MAX, LIST_ROWS_MAX, LIST_SECTIONS_MAX, List, LocationRequest, ROW_DESCRIPTION_MAX,
    ROW_ID_MAX, ROW_TITLE_MAX, Row, SECTION_TITLE_MAX, Section,
};
pub use invalid::{Invalid, OTHER_TEXT_MAX, URL_MAX};
pub use media::{CAPTION_MAX, Media, Source};
pub use place::{CARD_ENTRIES_MAX, CARDS_MAX, Card, Contacts, Degrees, Location};
pub use priority::Priority;
pub use reaction::{EMOJI_MAX, Reaction, Read};
pub use template::{
    LANGUAGE_MAX, PARAMETER_MAX, PARAMETER_SPACES_MAX, PARAMETERS_MAX, Parameter, Parameters,
    TEMPLATE_BUTTONS_MAX, TEMPLATE_NAME_MAX, Template, TemplateHeader,
};
pub use text::{TEXT_BODY_MAX, Text};

use serde::{Deserialize, Serialize, Serializer};
use serde_json::Value;

use crate::domain::ids::MediaId;
use crate::domain::inbound::MediaKind;

/// One message to one person.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Value")]
pub enum Message {
    /// Plain text.
    Text(Text),
    /// A file.
    Media(Media),
    /// A place.
    Location(Location),
    /// Contact cards.
    Contacts(Contacts),
    /// A reaction to a message, or its end.
    Reaction(Reaction),
    /// Text with up to three reply buttons.
    Buttons(Buttons),
    /// Text with a button that opens a list of up to ten rows.
    List(List),
    /// Text with a button that opens an address.
    CtaUrl(CtaUrl),
    /// Asks where the person is.
    LocationRequest(LocationRequest),
    /// Asks for the person's contact card.
    ContactRequest(ContactRequest),
    /// Text with a button that opens a WhatsApp Flow.
    Flow(Flow),
    /// What was approved beforehand.
    Template(Template),
    /// Not a message: the mark that we have read one, perhaps with a sign that we write.
    Read(Read),
}

impl Message {
    /// The types, as in the field `type`.
    pub const KINDS: [&str; 17] = [
        "text",
        "image",
        "video",
        "audio",
        "document",
        "sticker",
        "location",
        "contacts",
        "reaction",
        "buttons",
        "list",
        "cta_url",
        "location_request",
        "contact_request",
        "flow",
        "template",
        "read",
    ];

    /// A plain text message.
    ///
    /// # Errors
    /// When it is empty or too long.
    pub fn text(body: impl Into<String>) -> Result<Self, Invalid> {
        Text::new(body).map(Self::Text)
    }

    /// Reads a message from its fields; what else is among them stays unread.
    ///
    /// # Errors
    /// When the type is unknown, or a field of it is missing, of the wrong kind, or over Meta's limits.
    pub fn read(fields: &mut Fields) -> Result<Self, Invalid> {
        let kind = fields.text("type")?;
        match kind.as_str() {
            "text" => Text::read(fields).map(Self::Text),
            "image" => Media::read(MediaKind::Image, fields).map(Self::Media),
            "video" => Media::read(MediaKind::Video, fields).map(Self::Media),
            "audio" => Media::read(MediaKind::Audio, fields).map(Self::Media),
            "document" => Media::read(MediaKind::Document, fields).map(Self::Media),
            "sticker" => Media::read(MediaKind::Sticker, fields).map(Self::Media),
            "location" => Location::read(fields).map(Self::Location),
            "contacts" => Contacts::read(fields).map(Self::Contacts),
            "reaction" => Reaction::read(fields).map(Self::Reaction),
            "buttons" => Buttons::read(fields).map(Self::Buttons),
            "list" => List::read(fields).map(Self::List),
            "cta_url" => CtaUrl::read(fields).map(Self::CtaUrl),
            "location_request" => LocationRequest::read(fields).map(Self::LocationRequest),
            "contact_request" => ContactRequest::read(fields).map(Self::ContactRequest),
            "flow" => Flow::read(fields).map(Self::Flow),
            "template" => Template::read(fields).map(Self::Template),
            "read" => Read::of(fields).map(Self::Read),
            _ => Err(Invalid::wrong("type", format!("has to be one of `{}`", Self::KINDS.join("`, `")))),
        }
    }

    /// The type by which messages are listed and counted: one of [`Message::KINDS`].
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Text(_) => "text",
            Self::Media(media) => media.kind().as_str(),
            Self::Location(_) => "location",
            Self::Contacts(_) => "contacts",
            Self::Reaction(_) => "reaction",
            Self::Buttons(_) => "buttons",
            Self::List(_) => "list",
            Self::CtaUrl(_) => "cta_url",
            Self::LocationRequest(_) => "location_request",
            Self::ContactRequest(_) => "contact_request",
            Self::Flow(_) => "flow",
            Self::Template(_) => "template",
            Self::Read(_) => "read",
        }
    }

    /// The words in it, as a reader would want to see and search them: the text, the caption or else the file's name, the
    /// place, the names on cards, the emoji, the template's name. Empty where there are none.
    #[must_use]
    pub fn body(&self) -> &str {
        match self {
            Self::Text(text) => text.body(),
            Self::Media(media) => media.caption().or(media.filename()).unwrap_or_default(),
            Self::Location(location) => location.label(),
            Self::Contacts(contacts) => contacts.names(),
            Self::Reaction(reaction) => reaction.emoji(),
            Self::Buttons(buttons) => buttons.body(),
            Self::List(list) => list.body(),
            Self::CtaUrl(link) => link.frame().body(),
            Self::LocationRequest(request) => request.body(),
            Self::ContactRequest(request) => request.body(),
            Self::Flow(flow) => flow.frame().body(),
            Self::Template(template) => template.name(),
            Self::Read(_) => "",
        }
    }

    /// The file of our own store that it needs, if any: the message can be sent once [`Message::with_file`] has put Meta's
    /// id in its place.
    #[must_use]
    pub fn file(&self) -> Option<MediaId> {
        match self.clone().source_mut()? {
            Source::Media(file) => Some(*file),
            Source::Id(_) | Source::Link(_) => None,
        }
    }

    /// The same with Meta's id `id` for the file of our own store that it needs; else unchanged.
    #[must_use]
    pub fn with_file(mut self, id: &str) -> Self {
        if let Some(source @ Source::Media(_)) = self.source_mut() {
            *source = Source::Id(id.to_owned());
        }
        self
    }

    /// Where its file is; no type has more than one.
    fn source_mut(&mut self) -> Option<&mut Source> {
        let frame = match self {
            Self::Media(media) => return Some(media.source_mut()),
            Self::Template(template) => {
                return match template.header_mut()? {
                    TemplateHeader::Media(media) => Some(media.source_mut()),
                    TemplateHeader::Text(..) | TemplateHeader::Location(_) => None,
                };
            }
            Self::Buttons(buttons) => buttons.frame_mut(),
            Self::CtaUrl(link) => link.frame_mut(),
            Self::Flow(flow) => flow.frame_mut(),
            Self::Text(_)
            | Self::Location(_)
            | Self::Contacts(_)
            | Self::Reaction(_)
            | Self::List(_)
            | Self::LocationRequest(_)
            | Self::ContactRequest(_)
            | Self::Read(_) => return None,
        };
        match frame.header_mut()? {
            Header::Media(media) => Some(media.source_mut()),
            Header::Text(_) => None,
        }
    }
}

impl TryFrom<Value> for Message {
    type Error = Invalid;

    fn try_from(value: Value) -> Result<Self, Invalid> {
        Fields::whole(value, Self::read)
    }
}

impl Serialize for Message {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Tagged<'a, T> {
            r#type: &'static str,
            #[serde(flatten)]
            content: &'a T,
        }
        fn tagged<S: Serializer, T: Serialize>(
            kind: &'static str,
            content: &T,
            serializer: S,
        ) -> Result<S::Ok, S::Error> {
            Tagged { r#type: kind, content }.serialize(serializer)
        }
        let kind = self.kind();
        match self {
            Self::Text(content) => tagged(kind, content, serializer),
            Self::Media(content) => tagged(kind, content, serializer),
            Self::Location(content) => tagged(kind, content, serializer),
            Self::Contacts(content) => tagged(kind, content, serializer),
            Self::Reaction(content) => tagged(kind, content, serializer),
            Self::Buttons(content) => tagged(kind, content, serializer),
            Self::List(content) => tagged(kind, content, serializer),
            Self::CtaUrl(content) => tagged(kind, content, serializer),
            Self::LocationRequest(content) => tagged(kind, content, serializer),
            Self::ContactRequest(content) => tagged(kind, content, serializer),
            Self::Flow(content) => tagged(kind, content, serializer),
            Self::Template(content) => tagged(kind, content, serializer),
            Self::Read(content) => tagged(kind, content, serializer),
        }
    }
}
