//! What clients see of what is stored. Ids are opaque strings, times RFC 3339 in UTC with milliseconds; what is not
//! known is `null`, so that every row of a list has the same fields.

use jiff::Timestamp;
use serde::{Serialize, Serializer};
use serde_json::{Map, Value};
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{KnownFormat, ObjectBuilder, Schema, SchemaFormat, Type};
use utoipa::{PartialSchema, ToSchema};

use super::openapi::words::{
    AliasKindText, ByText, ContactIdText, ConversationIdText, DirectionText, EventIdText, MediaIdText,
    MediaStateText, MessageIdText, QueueStateText, StatusText,
};

use crate::clock::Millis;
use crate::domain::contact::Identity;
use crate::domain::delivery::{Failure, Status};
use crate::domain::ids::{ContactId, ConversationId, EventId, MediaId, MessageId};
use crate::meta::failure::cause;
use crate::store::read::{
    QueuedMessage, StoredAttempt, StoredContact, StoredConversation, StoredMessage, StoredSession,
};
use crate::store::{MediaState, StoredMedia};

/// A time as clients see it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Time(pub(super) Millis);

impl PartialSchema for Time {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new()
            .schema_type(Type::String)
            .format(Some(SchemaFormat::KnownFormat(KnownFormat::DateTime)))
            .examples(["2026-11-26T10:15:30.000Z"])
            .into()
    }
}

impl ToSchema for Time {}

impl Serialize for Time {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let end = if self.0 < 0 { Timestamp::MIN } else { Timestamp::MAX };
        serializer.collect_str(&format_args!("{:.3}", Timestamp::from_millisecond(self.0).unwrap_or(end)))
    }
}

/// How long it is from `since` to `now`, in seconds; never negative, whatever the clocks say.
pub(super) fn age_seconds(now: Millis, since: Millis) -> f64 {
    (now - since).max(0) as f64 / 1_000.0
}

/// Why a message did not go, in Meta's words.
#[derive(ToSchema)]
#[schema(as = Failure)]
#[expect(dead_code, reason = "for the document: the domain's own type knows nothing of documents")]
struct FailureShape {
    /// Meta's error code; 0 when there is none, below 0 when the reason is ours.
    #[schema(examples(131_026))]
    code: i64,
    title: String,
    #[schema(nullable = false)]
    details: Option<String>,
    /// Meta's `fbtrace_id`.
    #[schema(nullable = false)]
    trace: Option<String>,
}

/// A message.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Message)]
pub(super) struct MessageView {
    #[schema(value_type = MessageIdText)]
    id: MessageId,
    #[schema(value_type = ConversationIdText)]
    conversation_id: ConversationId,
    #[schema(value_type = ContactIdText)]
    contact_id: ContactId,
    phone_number_id: String,
    #[schema(value_type = EventIdText)]
    event_id: EventId,
    #[schema(value_type = DirectionText)]
    direction: String,
    /// What kind of message: of those that can be sent, or what Meta calls it.
    #[schema(examples("text"))]
    r#type: String,
    /// The words in it: the text, a caption, the title of what was pressed.
    #[schema(examples("Your order is ready."))]
    body: Option<String>,
    /// All of it.
    #[schema(value_type = Option<Object>)]
    content: Option<Value>,
    /// The file that the person sent.
    media: Option<FileView>,
    /// Meta's id of it.
    wamid: Option<String>,
    /// The `wamid` of the message that it answers to.
    reply_to: Option<String>,
    #[schema(value_type = StatusText)]
    status: Status,
    /// Why it did not go.
    #[schema(value_type = Option<FailureShape>)]
    error: Option<Failure>,
    /// What is wrong and what helps, in a sentence.
    cause: Option<&'static str>,
    /// What Meta told of its price, as it came.
    #[schema(value_type = Option<Object>)]
    pricing: Option<Value>,
    /// The failed message in whose place it was sent.
    #[schema(value_type = Option<MessageIdText>)]
    resend_of: Option<MessageId>,
    /// The message that was sent in its place.
    #[schema(value_type = Option<MessageIdText>)]
    resent_as: Option<MessageId>,
    created_at: Time,
    accepted_at: Option<Time>,
    sent_at: Option<Time>,
    delivered_at: Option<Time>,
    read_at: Option<Time>,
    failed_at: Option<Time>,
}

impl From<StoredMessage> for MessageView {
    fn from(row: StoredMessage) -> Self {
        Self {
            id: row.id,
            conversation_id: row.conversation,
            contact_id: row.contact,
            phone_number_id: row.phone_number_id,
            event_id: row.event,
            direction: row.direction,
            r#type: row.kind,
            body: row.body,
            content: row.content,
            media: row.media.map(FileView::new),
            wamid: row.wamid,
            reply_to: row.reply_to,
            status: row.status,
            cause: row.error.as_ref().map(|error| cause(error.code)),
            error: row.error,
            pricing: row.pricing,
            resend_of: row.resend_of,
            resent_as: row.resent_as,
            created_at: Time(row.created_at),
            accepted_at: row.accepted_at.map(Time),
            sent_at: row.sent_at.map(Time),
            delivered_at: row.delivered_at.map(Time),
            read_at: row.read_at.map(Time),
            failed_at: row.failed_at.map(Time),
        }
    }
}

/// One message, with the attempts at it that did not end with Meta's id.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct MessageWithAttempts {
    #[serde(flatten)]
    message: MessageView,
    attempts: Vec<AttemptView>,
}

impl MessageWithAttempts {
    pub(super) fn new(message: StoredMessage, attempts: Vec<StoredAttempt>) -> Self {
        Self { message: message.into(), attempts: attempts.into_iter().map(AttemptView::from).collect() }
    }
}

/// An attempt to send that did not end with Meta's id.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Attempt)]
struct AttemptView {
    at: Time,
    /// What it ended with.
    outcome: String,
    /// Meta's error code.
    code: Option<i64>,
    reason: String,
    /// Meta's `fbtrace_id`.
    trace: Option<String>,
}

impl From<StoredAttempt> for AttemptView {
    fn from(row: StoredAttempt) -> Self {
        let StoredAttempt { at, outcome, code, reason, trace } = row;
        Self { at: Time(at), outcome, code, reason, trace }
    }
}

/// A message in the queue.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = QueuedMessage)]
pub(super) struct QueuedView {
    #[schema(value_type = MessageIdText)]
    message_id: MessageId,
    #[schema(value_type = ConversationIdText)]
    conversation_id: ConversationId,
    phone_number_id: String,
    #[schema(value_type = QueueStateText)]
    state: &'static str,
    #[schema(examples("text"))]
    r#type: String,
    /// `reply` or `bulk`.
    #[schema(examples("reply"))]
    priority: &'static str,
    /// Attempts that failed.
    attempts: i32,
    /// When it is tried next; for one that is held, since when it is.
    due_at: Time,
    accepted_at: Time,
    /// Why it is in this state.
    reason: Option<String>,
    #[schema(value_type = Option<FailureShape>)]
    error: Option<Failure>,
    /// What is wrong and what helps, in a sentence.
    cause: Option<&'static str>,
}

impl From<QueuedMessage> for QueuedView {
    fn from(row: QueuedMessage) -> Self {
        Self {
            message_id: row.id,
            conversation_id: row.conversation,
            phone_number_id: row.phone_number_id,
            state: row.state.as_str(),
            r#type: row.kind,
            priority: row.priority.as_str(),
            attempts: row.attempts,
            due_at: Time(row.due_at),
            accepted_at: Time(row.event_accepted_at),
            reason: row.reason,
            cause: row.error.as_ref().map(|error| cause(error.code)),
            error: row.error,
        }
    }
}

/// A file, without its content.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Media)]
pub(super) struct MediaView {
    #[schema(value_type = MediaIdText)]
    id: MediaId,
    #[schema(value_type = DirectionText)]
    direction: String,
    /// `image`, `video`, `audio`, `document` or `sticker`.
    #[schema(examples("image"))]
    r#type: String,
    #[schema(value_type = MediaStateText)]
    state: &'static str,
    mime_type: Option<String>,
    filename: Option<String>,
    size: Option<u64>,
    sha256: Option<String>,
    /// Where its content is, once it is kept.
    content_url: Option<String>,
    /// The message that brought it.
    #[schema(value_type = Option<MessageIdText>)]
    message_id: Option<MessageId>,
    phone_number_id: Option<String>,
    /// Meta's id under which it came.
    meta_id: Option<String>,
    attempts: u32,
    reason: Option<String>,
    created_at: Time,
    ready_at: Option<Time>,
}

impl From<StoredMedia> for MediaView {
    fn from(row: StoredMedia) -> Self {
        let (came, ready) = (row.direction == "in", row.state == MediaState::Ready);
        Self {
            id: row.id,
            message_id: came.then_some(MessageId(row.id.0)),
            content_url: ready.then(|| content_url(row.id)),
            direction: row.direction,
            r#type: row.kind,
            state: row.state.as_str(),
            mime_type: row.mime_type,
            filename: row.filename,
            size: row.size,
            sha256: row.sha256,
            phone_number_id: row.phone_number_id,
            meta_id: row.meta_id,
            attempts: row.attempts,
            reason: row.reason,
            created_at: Time(row.created_at),
            ready_at: row.ready_at.map(Time),
        }
    }
}

/// Where the content of a file is read.
fn content_url(id: MediaId) -> String {
    format!("/api/whatsapp/media/{id}/content")
}

/// The file in a message.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = MediaOfMessage)]
struct FileView {
    #[schema(value_type = MediaIdText)]
    id: MediaId,
    #[schema(value_type = MediaStateText)]
    state: &'static str,
    content_url: Option<String>,
}

impl FileView {
    fn new((id, state): (MediaId, MediaState)) -> Self {
        let ready = state == MediaState::Ready;
        Self { id, state: state.as_str(), content_url: ready.then(|| content_url(id)) }
    }
}

/// Who a person is.
#[derive(Debug, Serialize, ToSchema)]
struct Person {
    #[schema(value_type = ContactIdText)]
    id: ContactId,
    wa_id: Option<String>,
    user_id: Option<String>,
    parent_user_id: Option<String>,
    name: Option<String>,
    username: Option<String>,
}

impl Person {
    fn new(id: ContactId, identity: Identity) -> Self {
        let Identity { wa_id, user_id, parent_user_id, name, username } = identity;
        Self { id, wa_id, user_id, parent_user_id, name, username }
    }
}

/// A person, in the list of them.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Contact)]
pub(super) struct ContactView {
    #[serde(flatten)]
    person: Person,
    /// Since when they want no messages.
    opted_out_at: Option<Time>,
    /// By whose word: the person's own, an operator's, or Meta's.
    #[schema(value_type = Option<ByText>)]
    opted_out_by: Option<&'static str>,
    marketing_opted_out_at: Option<Time>,
    #[schema(value_type = Option<ByText>)]
    marketing_opted_out_by: Option<&'static str>,
    created_at: Time,
    aliases: Vec<AliasView>,
}

/// One of the ids that lead to a person.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Alias)]
struct AliasView {
    #[schema(value_type = AliasKindText)]
    kind: &'static str,
    id: String,
}

impl From<StoredContact> for ContactView {
    fn from(row: StoredContact) -> Self {
        Self {
            person: Person::new(row.id, row.identity),
            opted_out_at: row.consent.all.map(|out| Time(out.at)),
            opted_out_by: row.consent.all.map(|out| out.by.as_str()),
            marketing_opted_out_at: row.consent.marketing.map(|out| Time(out.at)),
            marketing_opted_out_by: row.consent.marketing.map(|out| out.by.as_str()),
            created_at: Time(row.created_at),
            aliases: row
                .aliases
                .into_iter()
                .map(|(kind, id)| AliasView { kind: kind.as_str(), id })
                .collect(),
        }
    }
}

/// A conversation.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Conversation)]
pub(super) struct ConversationView {
    #[schema(value_type = ConversationIdText)]
    id: ConversationId,
    contact: Person,
    phone_number_id: String,
    state: Option<String>,
    handed_off: bool,
    handed_off_until: Option<Time>,
    turns: i64,
    last_inbound_at: Option<Time>,
    created_at: Time,
    updated_at: Time,
}

impl From<StoredConversation> for ConversationView {
    fn from(row: StoredConversation) -> Self {
        Self {
            id: row.id,
            contact: Person::new(row.contact, row.identity),
            phone_number_id: row.phone_number_id,
            state: row.state,
            handed_off: row.handed_off,
            handed_off_until: row.handed_off_until.map(Time),
            turns: row.version,
            last_inbound_at: row.last_inbound_at.map(Time),
            created_at: Time(row.created_at),
            updated_at: Time(row.updated_at),
        }
    }
}

/// One conversation, with what its flow remembers.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ConversationWithSession {
    #[serde(flatten)]
    conversation: ConversationView,
    session: SessionView,
}

/// What a flow remembers of a conversation.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Session)]
struct SessionView {
    /// The flow that it is pinned to; `null` before its first turn.
    flow: Option<FlowView>,
    /// By name.
    #[schema(value_type = Object)]
    variables: Value,
    /// How many inputs in a row were not understood.
    misses: u64,
    /// When the flow goes on although the person is silent.
    waits_until: Option<Time>,
}

/// A flow that a conversation is pinned to.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Flow)]
struct FlowView {
    hash: String,
    #[schema(examples("factory"))]
    name: Option<String>,
}

impl ConversationWithSession {
    pub(super) fn new(conversation: StoredConversation, session: Option<StoredSession>) -> Self {
        let snapshot = session.as_ref().and_then(|session| session.snapshot.clone()).unwrap_or_default();
        let variables = snapshot.get("vars").cloned().unwrap_or_else(|| Value::Object(Map::new()));
        let misses = snapshot.get("misses").and_then(Value::as_u64).unwrap_or(0);
        let waits_until = session.as_ref().and_then(|session| session.waits_until).map(Time);
        let flow = session.filter(|session| !session.flow_hash.is_empty());
        let flow = flow.map(|session| FlowView { hash: session.flow_hash, name: session.flow_name });
        let session = SessionView { flow, variables, misses, waits_until };
        Self { conversation: conversation.into(), session }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_has_milliseconds_and_says_utc() {
        for (millis, shown) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (1_700_000_000_050, "2023-11-14T22:13:20.050Z"),
            (i64::MAX, "9999-12-30T22:00:00.999Z"),
        ] {
            assert_eq!(serde_json::to_value(Time(millis)).unwrap(), shown);
        }
    }

    #[test]
    fn an_age_is_never_negative() {
        assert!((age_seconds(5_500, 4_000) - 1.5).abs() < f64::EPSILON);
        assert!(age_seconds(4_000, 5_500).abs() < f64::EPSILON);
    }
}
