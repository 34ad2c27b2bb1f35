//! A notice as JSON, the same in the event stream and in what outlets are posted: `{"id": …, "type": "message.received",
//! "timestamp": …, "data": …}`, as Standard Webhooks recommends (specification 1.0.0, "Payload structure").

use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::openapi::words::{ContactIdText, ConversationIdText, EventIdText, MessageIdText, StatusText};
use super::view::{ConversationView, MessageView, Time};
use crate::domain::delivery::{Failure, Status};
use crate::domain::ids::{ContactId, ConversationId, EventId, MessageId};
use crate::domain::notice::{Alarm, Kind, News};
use crate::feed::{Notice, Subject};
use crate::meta::failure::cause;
use crate::store::read::StoredMessage;

/// Something that happened.
#[derive(Serialize, ToSchema)]
#[schema(as = Notice)]
pub(super) struct NoticeView {
    /// The same wherever and however often it is told; for `Last-Event-ID`. `null` where it cannot be told again.
    #[schema(examples("ntc_7353703260274688-0"))]
    id: Option<String>,
    /// Its kind and what happened, such as `message.received`, `status.delivered`, `conversation.handed_off`,
    /// `alarm.quarantined`.
    #[schema(examples("message.received"))]
    r#type: String,
    /// When it was committed.
    timestamp: Time,
    /// What it is about, as it is stored when this is told.
    data: Data,
}

#[derive(Serialize, ToSchema)]
#[serde(untagged)]
enum Data {
    Message(Box<MessageView>),
    Status(Box<StatusNews>),
    Conversation(Box<ConversationView>),
    Alarm(Box<AlarmNews>),
}

/// What became of a message of ours.
#[derive(Serialize, ToSchema)]
struct StatusNews {
    #[schema(value_type = MessageIdText)]
    message_id: MessageId,
    wamid: Option<String>,
    #[schema(value_type = ConversationIdText)]
    conversation_id: ConversationId,
    #[schema(value_type = ContactIdText)]
    contact_id: ContactId,
    phone_number_id: String,
    #[schema(value_type = StatusText)]
    status: Status,
    /// When it came so far, by Meta's clock where Meta told it.
    at: Time,
    /// Why it did not go.
    #[schema(value_type = Option<Object>)]
    error: Option<Failure>,
    /// What is wrong and what helps, in a sentence.
    cause: Option<&'static str>,
    /// What Meta told of its price, as it came.
    #[schema(value_type = Option<Object>)]
    pricing: Option<Value>,
}

/// Something that a person should look at.
#[derive(Default, Serialize, ToSchema)]
struct AlarmNews {
    /// What is wrong, and what helps.
    detail: String,
    phone_number_id: Option<String>,
    #[schema(value_type = Option<ConversationIdText>)]
    conversation_id: Option<ConversationId>,
    #[schema(value_type = Option<EventIdText>)]
    event_id: Option<EventId>,
    #[schema(value_type = Option<MessageIdText>)]
    message_id: Option<MessageId>,
    /// The name of the outlet that it is about.
    outlet: Option<String>,
    /// Since when.
    since: Option<Time>,
}

/// This notice as JSON text without line breaks.
///
/// # Panics
/// Never: it has no keys but strings.
#[must_use]
pub fn notice_json(notice: &Notice) -> String {
    serde_json::to_string(&NoticeView::new(notice)).expect("a notice is always JSON")
}

/// What kind it is of, and what happened: `message.received`.
#[must_use]
pub fn notice_type(notice: &Notice) -> String {
    let what = match (&notice.news, &notice.subject) {
        (News::Message(_), Subject::Message(message)) if message.direction == "in" => "received",
        (News::Message(_), _) => "queued",
        (News::Status(_, status, _), _) => status.as_str(),
        (News::Conversation(_, change), _) => change.as_str(),
        (News::Alarm(alarm), _) => alarm.as_str(),
    };
    format!("{}.{what}", notice.kind.as_str())
}

impl NoticeView {
    fn new(notice: &Notice) -> Self {
        Self {
            id: Some(notice.id.to_string()),
            r#type: notice_type(notice),
            timestamp: Time(notice.happened_at),
            data: data(notice),
        }
    }

    /// That the database takes no writes, which can be written nowhere.
    pub(super) fn database_failing(at: i64) -> Self {
        let detail = "the database takes no writes: Meta's events are answered 503 and come again; see `health` and the log";
        Self {
            id: None,
            r#type: format!("{}.database_failing", Kind::Alarm.as_str()),
            timestamp: Time(at),
            data: Data::Alarm(Box::new(AlarmNews { detail: detail.to_owned(), ..AlarmNews::default() })),
        }
    }
}

fn data(notice: &Notice) -> Data {
    match (&notice.news, &notice.subject) {
        (News::Message(_), Subject::Message(message)) => Data::Message(Box::new((**message).clone().into())),
        (News::Status(_, status, at), Subject::Message(message)) => {
            Data::Status(Box::new(status_news(message, *status, Time(*at))))
        }
        (News::Conversation(..), Subject::Conversation(line)) => {
            Data::Conversation(Box::new((**line).clone().into()))
        }
        (news, subject) => Data::Alarm(Box::new(alarm_news(notice, news, subject))),
    }
}

fn status_news(message: &StoredMessage, status: Status, at: Time) -> StatusNews {
    let error = message.error.clone().filter(|_| status.is_failure());
    StatusNews {
        message_id: message.id,
        wamid: message.wamid.clone(),
        conversation_id: message.conversation,
        contact_id: message.contact,
        phone_number_id: message.phone_number_id.clone(),
        status,
        at,
        cause: error.as_ref().map(|error| cause(error.code)),
        error,
        pricing: message.pricing.clone(),
    }
}

fn alarm_news(notice: &Notice, news: &News, subject: &Subject) -> AlarmNews {
    let mut told = AlarmNews {
        phone_number_id: notice.phone_number_id.clone(),
        conversation_id: notice.conversation,
        ..AlarmNews::default()
    };
    let News::Alarm(alarm) = news else { return told };
    told.detail = match alarm {
        Alarm::NumberPaused(_) => {
            "Meta refuses the token of this number: nothing leaves from it until there is another one"
                .to_owned()
        }
        Alarm::NumberResumed(_) => "Meta takes the token of this number again".to_owned(),
        Alarm::Quarantined(event) => {
            told.event_id = Some(*event);
            let reason = if let Subject::Event(event) = subject { event.reason.clone() } else { None };
            format!(
                "an event was put aside ({}); look at it under `webhooks`, mend the cause, and retry it",
                reason.as_deref().unwrap_or("it was taken up again since")
            )
        }
        Alarm::DeadLetter(message) => {
            told.message_id = Some(*message);
            let error = if let Subject::Message(message) = subject { message.error.as_ref() } else { None };
            error.map_or_else(
                || "a message failed, and was sent again or discarded since".to_owned(),
                |error| format!("a message failed ({error}): {}", cause(error.code)),
            )
        }
        Alarm::DatabaseRecovered(since) => {
            told.since = Some(Time(*since));
            "the database takes writes again".to_owned()
        }
        Alarm::DeliveryDead(outlet) => {
            told.outlet = Some(outlet.clone());
            "this outlet did not take something until the deadline; `deliveries?state=dead` has it, to be sent again".to_owned()
        }
        Alarm::OutletMissed(outlet) => {
            told.outlet = Some(outlet.clone());
            "this outlet was too far behind: what it was to be told next is kept no longer; read the lists once".to_owned()
        }
    };
    told
}
