//! What the document says of ids and of words from a fixed list. The domain, which has them, knows nothing of documents.

use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{ObjectBuilder, Schema, Type};
use utoipa::{PartialSchema, ToSchema};

use crate::domain::access::Scope;
use crate::domain::contact::AliasKind;
use crate::domain::delivery::Status;
use crate::store::read::EVENT_STATES;
use crate::store::{Actor, DeliveryState, ErasureState, MediaState, Outcome, QueueState};

/// A type that stands for text in the document, and is nothing else.
macro_rules! text {
    ($($(#[$doc:meta])* $name:ident, $shown:literal, $schema:expr;)+) => {$(
        $(#[$doc])*
        pub(in crate::api) struct $name;

        impl PartialSchema for $name {
            fn schema() -> RefOr<Schema> {
                $schema.into()
            }
        }

        impl ToSchema for $name {
            fn name() -> std::borrow::Cow<'static, str> {
                $shown.into()
            }
        }
    )+};
}

text! {
    /// An event.
    EventIdText, "EventId", id("evt_");
    /// A conversation.
    ConversationIdText, "ConversationId", id("cnv_");
    /// A contact.
    ContactIdText, "ContactId", id("con_");
    /// A message.
    MessageIdText, "MessageId", id("msg_");
    /// A file.
    MediaIdText, "MediaId", id("med_");
    /// A template.
    TemplateIdText, "TemplateId", id("tpl_");
    /// An API key.
    KeyIdText, "KeyId", id("key_");
    /// An entry of the audit log.
    DeedIdText, "DeedId", id("aud_");
    /// Which of a person's ids.
    AliasKindText, "AliasKind", one_of(AliasKind::ALL.map(AliasKind::as_str));
    /// What a key may do.
    ScopeText, "Scope", one_of(Scope::ALL.map(Scope::as_str));
    /// How far a message has come.
    StatusText, "Status", one_of(statuses());
    /// Where a message comes from.
    DirectionText, "Direction", one_of(["in", "out"]);
    /// How far a file has come.
    MediaStateText, "MediaState", one_of(MediaState::ALL.map(MediaState::as_str));
    /// What a person's wish is about.
    ConsentScopeText, "ConsentScope", one_of(["all", "marketing"]);
    /// By whose word somebody is opted out.
    ByText, "By", one_of(["person", "operator", "meta"]);
    /// Where a message in the queue stands.
    QueueStateText, "QueueState", one_of(QueueState::ALL.map(QueueState::as_str));
    /// What became of an event.
    EventStateText, "EventState", one_of(EVENT_STATES);
    /// How far the erasing of a person has come.
    ErasureStateText, "ErasureState", one_of(ErasureState::ALL.map(ErasureState::as_str));
    /// In which order a list is shown.
    OrderText, "Order", one_of(["asc", "desc"]);
    /// By what a range of statistics is divided.
    EveryText, "Every", one_of(["hour", "day", "total"]);
    /// Something that an outlet is told.
    DeliveryIdText, "DeliveryId", id("dlv_");
    /// How far a delivery has come.
    DeliveryStateText, "DeliveryState", one_of(DeliveryState::ALL.map(DeliveryState::as_str));
    /// Who does something.
    ActorText, "Actor", one_of(Actor::KINDS);
    /// What became of what somebody did.
    OutcomeText, "Outcome", one_of(Outcome::ALL.map(Outcome::as_str));
}

fn id(prefix: &str) -> ObjectBuilder {
    ObjectBuilder::new()
        .schema_type(Type::String)
        .pattern(Some(format!("^{prefix}[0-9]{{1,19}}$")))
        .examples([format!("{prefix}7353703260274688")])
}

/// One of these words.
pub(super) fn one_of(words: impl IntoIterator<Item = &'static str>) -> ObjectBuilder {
    ObjectBuilder::new().schema_type(Type::String).enum_values(Some(words))
}

/// Each name once: two of the domain's are shown as `failed`.
fn statuses() -> Vec<&'static str> {
    let mut names = Vec::new();
    for name in Status::ALL.map(Status::as_str) {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    names
}
