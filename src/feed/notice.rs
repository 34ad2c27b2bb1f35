//! A notice: news, with what they are about as it is stored when they are told.

use std::collections::HashMap;
use std::sync::Arc;

use crate::clock::Millis;
use crate::domain::ids::{ContactId, ConversationId, EventId, MessageId};
use crate::domain::notice::{Alarm, Kind, News, NoticeId};
use crate::store::read::{StoredConversation, StoredEvent, StoredMessage};
use crate::store::{Error, Store, Wanted};

/// Something that those who listen are told.
#[derive(Debug, Clone)]
pub struct Notice {
    /// Its place in the order of all, and what it is known by.
    pub id: NoticeId,
    /// When it was committed.
    pub happened_at: Millis,
    /// Its kind.
    pub kind: Kind,
    /// What happened.
    pub news: News,
    /// The number of ours that it is about.
    pub phone_number_id: Option<String>,
    /// The person that it is about.
    pub contact: Option<ContactId>,
    /// The conversation that it is about: the line in which it is delivered.
    pub conversation: Option<ConversationId>,
    /// What it is about.
    pub subject: Subject,
}

/// What a notice is about, as stored.
#[derive(Debug, Clone)]
pub enum Subject {
    /// A message.
    Message(Box<StoredMessage>),
    /// A conversation.
    Conversation(Box<StoredConversation>),
    /// An event.
    Event(Box<StoredEvent>),
    /// Nothing that is stored.
    Nothing,
}

/// Which notices somebody wants; an empty list stands for all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    /// Of these kinds.
    pub kinds: Vec<Kind>,
    /// About these numbers of ours.
    pub numbers: Vec<String>,
    /// About this person.
    pub contact: Option<ContactId>,
}

impl Filter {
    /// Whether somebody wants this one. An alarm that is about no number and no person is for everybody who wants alarms.
    #[must_use]
    pub fn wants(&self, notice: &Notice) -> bool {
        let kind = self.kinds.is_empty() || self.kinds.contains(&notice.kind);
        let number = match &notice.phone_number_id {
            Some(number) => self.numbers.is_empty() || self.numbers.contains(number),
            None => true,
        };
        let person = match (self.contact, notice.contact) {
            (None, _) => true,
            (Some(wanted), Some(contact)) => wanted == contact,
            (Some(_), None) => notice.kind == Kind::Alarm && notice.phone_number_id.is_none(),
        };
        kind && number && person
    }
}

/// Notices of these news, in their order. News of something that is not there any more are left out: it was erased.
///
/// # Errors
/// When the database cannot be read.
pub async fn notices(store: &Store, news: Vec<(NoticeId, Millis, News)>) -> Result<Vec<Arc<Notice>>, Error> {
    if news.is_empty() {
        return Ok(Vec::new());
    }
    let mut wanted = Wanted::default();
    for (.., news) in &news {
        match news {
            News::Message(id) | News::Status(id, ..) | News::Alarm(Alarm::DeadLetter(id)) => {
                wanted.messages.push(*id)
            }
            News::Conversation(id, _) => wanted.conversations.push(*id),
            News::Alarm(Alarm::Quarantined(id)) => wanted.events.push(*id),
            News::Alarm(_) => {}
        }
    }
    wanted.messages.sort_unstable();
    wanted.messages.dedup();
    wanted.conversations.sort_unstable();
    wanted.conversations.dedup();
    let found = store.look_up(wanted).await?;
    let stored = Stored {
        messages: found.messages.into_iter().map(|message| (message.id, message)).collect(),
        conversations: found.conversations.into_iter().map(|line| (line.id, line)).collect(),
        events: found.events.into_iter().map(|event| (event.id, event)).collect(),
    };
    Ok(news.into_iter().filter_map(|(id, at, news)| stored.notice(id, at, news)).map(Arc::new).collect())
}

struct Stored {
    messages: HashMap<MessageId, StoredMessage>,
    conversations: HashMap<ConversationId, StoredConversation>,
    events: HashMap<EventId, StoredEvent>,
}

impl Stored {
    fn notice(&self, id: NoticeId, happened_at: Millis, news: News) -> Option<Notice> {
        let (number, contact, conversation, subject) = match &news {
            News::Message(message) | News::Status(message, ..) | News::Alarm(Alarm::DeadLetter(message)) => {
                let message = self.messages.get(message)?.clone();
                let (number, contact) = (message.phone_number_id.clone(), message.contact);
                let line = message.conversation;
                (Some(number), Some(contact), Some(line), Subject::Message(Box::new(message)))
            }
            News::Conversation(line, _) => {
                let line = self.conversations.get(line)?.clone();
                let (number, contact) = (line.phone_number_id.clone(), line.contact);
                let id = line.merged_into.unwrap_or(line.id);
                (Some(number), Some(contact), Some(id), Subject::Conversation(Box::new(line)))
            }
            News::Alarm(Alarm::Quarantined(event)) => {
                let event = self.events.get(event)?.clone();
                (event.phone_number_id.clone(), None, event.conversation, Subject::Event(Box::new(event)))
            }
            News::Alarm(Alarm::NumberPaused(number) | Alarm::NumberResumed(number)) => {
                (Some(number.clone()), None, None, Subject::Nothing)
            }
            News::Alarm(_) => (None, None, None, Subject::Nothing),
        };
        let kind = news.kind();
        Some(Notice { id, happened_at, kind, news, phone_number_id: number, contact, conversation, subject })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn notice(kind: Kind, number: Option<&str>, contact: Option<i64>) -> Notice {
        Notice {
            id: NoticeId { commit: 1, place: 0 },
            happened_at: 0,
            kind,
            news: News::Alarm(Alarm::DatabaseRecovered(0)),
            phone_number_id: number.map(str::to_owned),
            contact: contact.map(ContactId),
            conversation: None,
            subject: Subject::Nothing,
        }
    }

    #[test]
    fn a_filter_lets_through_what_it_names_and_alarms_about_everything() {
        let message = notice(Kind::Message, Some("1"), Some(7));
        let alarm = notice(Kind::Alarm, None, None);
        let of_number = notice(Kind::Alarm, Some("2"), None);
        let all = Filter::default();
        assert!([&message, &alarm, &of_number].into_iter().all(|notice| all.wants(notice)));
        let messages = Filter { kinds: vec![Kind::Message], ..Filter::default() };
        assert!(messages.wants(&message) && !messages.wants(&alarm));
        let number = Filter { numbers: vec!["1".into()], ..Filter::default() };
        assert!(number.wants(&message) && number.wants(&alarm) && !number.wants(&of_number));
        let person = Filter { contact: Some(ContactId(7)), ..Filter::default() };
        assert!(person.wants(&message) && person.wants(&alarm) && !person.wants(&of_number));
        assert!(!person.wants(&notice(Kind::Status, Some("1"), Some(8))));
    }
}
