//! What comes to the phones from the business, and the statuses that go back.

use tokio::sync::watch;

use super::Phones;
use super::book::{Book, Phone, new_wamid};
use crate::clock::{Millis, SECOND};
use crate::sandbox::entry::{Entry, Side, Status};
use crate::sandbox::limits::Admission;
use crate::sandbox::lock;
use crate::sandbox::payload::{Update, status};
use crate::sandbox::refusal::Refusal;
use crate::sandbox::validate::{Outgoing, Recipient, digits};

/// How long a typing indicator shows (Meta, "Typing indicators").
const TYPING: Millis = 25 * SECOND;

/// A message that was taken.
pub(in crate::sandbox) struct Taken {
    pub(in crate::sandbox) wamid: String,
    pub(in crate::sandbox) wa_id: String,
    pub(in crate::sandbox) user_id: String,
    /// What has to arrive before the send is answered.
    pub(in crate::sandbox) awaited: Vec<watch::Receiver<bool>>,
}

impl Phones {
    /// Delivers a message of the business.
    pub(in crate::sandbox) fn receive(&self, message: &Outgoing) -> Result<Taken, Refusal> {
        let mut book = lock(&self.book);
        let wa_id = self.recipient(&book, &message.recipient)?;
        let is_given_up = book.given_up.contains(&wa_id);
        let phone = book.phone(&wa_id);
        let now = self.clock.now();
        let free_form = message.content.kind != "template";
        let admission = self.limiter.admit(&wa_id, phone.written_at, free_form, now)?;
        let failure = match admission {
            Admission::FailLate(refusal) => Some(refusal),
            Admission::Deliver => self.failure(phone, message, is_given_up),
        };
        phone.typing_until = 0;
        let to_number = matches!(message.recipient, Recipient::Phone { .. });
        let entry = Entry {
            wamid: new_wamid(),
            from: Side::Business,
            content: message.content.clone(),
            context: message.context.clone(),
            callback_data: message.callback_data.clone(),
            to: to_number.then(|| wa_id.clone()),
            status: match &failure {
                Some(_) => Status::Failed,
                None if self.statuses => Status::Delivered,
                None => Status::Accepted,
            },
            at: now,
        };
        let fates: &[Status] = match &failure {
            Some(_) => &[Status::Failed],
            None if self.statuses => &[Status::Sent, Status::Delivered],
            None => &[],
        };
        let told = |to: &Status| (*to, status(&phone.person(), &entry, *to, failure.as_ref(), now));
        let awaited = self.teller.tell(&wa_id, fates.iter().map(told).collect());
        let taken = Taken {
            wamid: entry.wamid.clone(),
            wa_id: wa_id.clone(),
            user_id: phone.user_id.clone(),
            awaited,
        };
        book.write(&wa_id, entry);
        self.beat();
        Ok(taken)
    }

    /// The number of the phone that is meant.
    fn recipient(&self, book: &Book, recipient: &Recipient) -> Result<String, Refusal> {
        let wa_id = match recipient {
            Recipient::Phone { wa_id, .. } => wa_id.clone(),
            Recipient::UserId(id) => match book.by_user_id.get(id) {
                Some(at) => book.phones[*at].wa_id.clone(),
                None => {
                    let words = format!("{id} is not a user id that this business has met.");
                    return Err(Refusal::of(131_026).details(words));
                }
            },
        };
        if *wa_id == *self.display_phone_number {
            return Err(Refusal::of(131_021).details("The recipient is this very number."));
        }
        Ok(wa_id)
    }

    /// Why a message that the limits let through fails all the same, after it was taken.
    fn failure(&self, phone: &Phone, message: &Outgoing, is_given_up: bool) -> Option<Refusal> {
        if let Some(failure) = &message.fails {
            return Some(failure.clone());
        }
        if is_given_up {
            return Some(Refusal::of(131_026).details("The person has given this number up."));
        }
        if phone.stops_marketing && message.content.category.as_deref() == Some("marketing") {
            let words = "The person has chosen to stop receiving marketing messages from your business.";
            return Some(Refusal::of(131_050).details(words));
        }
        let code = self.teller.failure(&phone.wa_id)?;
        Some(Refusal::of(code).details("Set by a status rule of the local Meta."))
    }

    /// Which phone a recipient is, for error rules; empty for a user id that nobody has.
    pub(in crate::sandbox) fn resolve(&self, recipient: &Recipient) -> String {
        match recipient {
            Recipient::Phone { wa_id, .. } => wa_id.clone(),
            Recipient::UserId(id) => {
                let book = lock(&self.book);
                book.by_user_id.get(id).map_or_else(String::new, |at| book.phones[*at].wa_id.clone())
            }
        }
    }

    /// The person looks at the phone: what was delivered becomes read, and the receiver hears so. The answer is how many.
    pub(in crate::sandbox) fn open(&self, phone: &str) -> usize {
        let is_unread = |entry: &Entry| entry.is_unread();
        self.progress(phone, Status::Read, is_unread)
    }

    /// The person listens to the voice note `wamid`, or to all of them: the receiver hears so. The answer is how many.
    pub(in crate::sandbox) fn play(&self, phone: &str, wamid: Option<&str>) -> usize {
        self.progress(phone, Status::Played, |entry| {
            entry.from == Side::Business
                && entry.content.voice
                && entry.status < Status::Played
                && wamid.is_none_or(|wamid| wamid == entry.wamid)
        })
    }

    fn progress(&self, phone: &str, to: Status, which: impl Fn(&Entry) -> bool) -> usize {
        let mut book = lock(&self.book);
        let Some(phone) = digits(phone).and_then(|wa_id| book.find(&wa_id)) else {
            return 0;
        };
        let now = self.clock.now();
        let mut changed = Vec::new();
        for entry in phone.entries.iter_mut().filter(|entry| which(entry)) {
            entry.status = to;
            changed.push(entry.clone());
        }
        let told = |entry: &Entry| (to, status(&phone.person(), entry, to, None, now));
        // Nobody's answer waits for these.
        let _ = self.teller.tell(&phone.wa_id, changed.iter().map(told).collect());
        drop(book);
        if !changed.is_empty() {
            self.beat();
        }
        changed.len()
    }

    /// Posts a status for a message of the business, whether it makes sense or not, past all rules; a code makes it a
    /// failure. False when there is no such message.
    pub(in crate::sandbox) fn post_status(&self, wamid: &str, to: Status, code: Option<u32>) -> bool {
        let mut book = lock(&self.book);
        let now = self.clock.now();
        let Some(phone) = book.phone_of(wamid) else {
            return false;
        };
        let Some(at) = phone.entries.iter().position(|entry| entry.wamid == wamid) else {
            return false;
        };
        phone.entries[at].status = phone.entries[at].status.max(to);
        let failure = code.map(Refusal::of);
        let update = status(&phone.person(), &phone.entries[at], to, failure.as_ref(), now);
        self.courier.enqueue([update]);
        drop(book);
        self.beat();
        true
    }

    /// The business has read a phone's message, and everything before it. False when there is no such message.
    pub(in crate::sandbox) fn mark_read(&self, wamid: &str, typing: bool) -> bool {
        let mut book = lock(&self.book);
        let until = self.clock.now() + TYPING;
        let Some(phone) = book.phone_of(wamid) else {
            return false;
        };
        let Some(at) = phone.entries.iter().position(|e| e.wamid == wamid && e.from == Side::Phone) else {
            return false;
        };
        phone
            .entries
            .iter_mut()
            .take(at + 1)
            .filter(|e| e.from == Side::Phone)
            .for_each(|e| e.status = Status::Read);
        if typing {
            phone.typing_until = until;
        }
        drop(book);
        self.beat();
        true
    }

    /// The receiver has answered 200 for these.
    pub(in crate::sandbox) fn arrived(&self, updates: &[Update]) {
        let mut book = lock(&self.book);
        for update in updates {
            let Some(phone) = book.phone_of(&update.wamid) else {
                continue;
            };
            let mut newest_first = phone.entries.iter_mut().rev();
            let entry = newest_first.find(|entry| entry.wamid == update.wamid && entry.from == Side::Phone);
            if let Some(entry) = entry.filter(|entry| entry.status == Status::Accepted) {
                entry.status = Status::Delivered;
            }
        }
        drop(book);
        self.beat();
    }
}
