//! The phones: what each has written and received, and what that sets off towards the receiver.
//!
//! One lock holds the book of all phones. Webhooks are queued under it, so that the order in a transcript is the order on
//! the wire.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex};

use serde::Serialize;
use sha2::{Digest, Sha256};
use tokio::sync::watch;
use uuid::Uuid;

use super::courier::Courier;
use super::entry::{Choice, Entry, Side, Status};
use super::limits::{Admission, Limiter};
use super::payload::{Person, Update, message, status};
use super::refusal::Refusal;
use super::said::{Said, Under};
use super::validate::{Outgoing, Recipient, digits};
use super::{DemoPhone, lock};
use crate::clock::{Clock, Millis, SECOND};

/// Entries kept per phone; the oldest go first.
pub const TRANSCRIPT_MAX: usize = 10_000;
/// How long a typing indicator shows (Meta, "Typing indicators").
const TYPING: Millis = 25 * SECOND;

/// A phone in the list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PhoneSummary {
    /// Its number, digits only.
    pub wa_id: String,
    /// Its business-scoped user id; the same in every run.
    pub user_id: String,
    /// The name in its profile.
    pub name: String,
    /// Messages from the business that it has not opened.
    pub unread: usize,
    /// The newest entry.
    pub last: Option<Entry>,
    /// Whether the business shows that it is typing.
    pub typing: bool,
}

/// What watchers of a phone are told.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Seen {
    /// Messages from the business so far.
    pub(super) replies: usize,
}

struct Phone {
    wa_id: String,
    user_id: String,
    name: String,
    entries: VecDeque<Entry>,
    typing_until: Millis,
    /// When it last wrote: what opens the 24-hour window.
    written_at: Option<Millis>,
    seen: watch::Sender<Seen>,
}

#[derive(Default)]
struct Book {
    phones: HashMap<String, Phone>,
    /// In the order in which they came.
    order: Vec<String>,
    by_user_id: HashMap<String, String>,
    by_wamid: HashMap<String, String>,
}

/// Why a phone cannot do what it was asked to.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CannotSay {
    /// The number is none.
    #[error("`{0}` is not a phone number; write 5 to 15 digits")]
    NotAPhone(String),
    /// No message that this phone received has this button or row.
    #[error(
        "nothing that this phone received has `{0}` to press; `options` of the last reply lists what there is"
    )]
    NothingToPress(String),
}

/// All phones.
#[derive(Clone)]
pub(super) struct Phones {
    book: Arc<Mutex<Book>>,
    courier: Arc<Courier>,
    limiter: Limiter,
    clock: Clock,
    display_phone_number: Arc<str>,
    statuses: bool,
    pulse: Arc<watch::Sender<u64>>,
}

impl Phones {
    pub(super) fn new(
        courier: Arc<Courier>,
        limiter: Limiter,
        clock: Clock,
        display_phone_number: &str,
        statuses: bool,
    ) -> Self {
        let pulse = Arc::new(watch::Sender::new(0));
        Self {
            book: Arc::default(),
            courier,
            limiter,
            clock,
            display_phone_number: display_phone_number.into(),
            statuses,
            pulse,
        }
    }

    /// Puts a phone in the list, or renames it.
    pub(super) fn add(&self, phone: &DemoPhone) -> Result<(), CannotSay> {
        let wa_id = number(&phone.wa_id)?;
        lock(&self.book).phone(&wa_id).name.clone_from(&phone.name);
        Ok(())
    }

    /// A phone writes; a phone that is not there yet comes to be. The answer is the wamid.
    pub(super) fn say(&self, phone: &str, said: Said) -> Result<String, CannotSay> {
        let wa_id = number(phone)?;
        let mut book = lock(&self.book);
        let phone = book.phone(&wa_id);
        let (context, said) = match said {
            Said::Press(wanted) => {
                let (wamid, said) = phone.find_option(&wanted).ok_or(CannotSay::NothingToPress(wanted))?;
                (Some(wamid), said)
            }
            Said::Reaction { ref wamid, .. } => (Some(wamid.clone()), said),
            other => (None, other),
        };
        let now = self.clock.now();
        phone.written_at = Some(now);
        self.limiter.count_inbound(now);
        let wamid = new_wamid();
        let entry = Entry {
            wamid: wamid.clone(),
            from: Side::Phone,
            content: said.shown(),
            context,
            callback_data: None,
            status: Status::Accepted,
            at: now,
        };
        let (wire_type, node) = said.node();
        // A reaction names its message inside its node, not in `context`.
        let business = (wire_type != "reaction").then_some(&*self.display_phone_number);
        let update = message(&phone.person(), &entry, wire_type, node, business);
        book.write(&wa_id, entry);
        self.courier.enqueue([update]);
        self.beat();
        Ok(wamid)
    }

    /// Delivers a message of the business. The answer is the phone's number, its user id and the wamid.
    pub(super) fn receive(&self, message: &Outgoing) -> Result<(String, String, String), Refusal> {
        let mut book = lock(&self.book);
        let wa_id = match &message.recipient {
            Recipient::Phone { wa_id, .. } => wa_id.clone(),
            Recipient::UserId(id) => book.by_user_id.get(id).cloned().ok_or_else(|| {
                Refusal::of(131_026).details(format!("{id} is not a user id that this business has met."))
            })?,
        };
        if *wa_id == *self.display_phone_number {
            return Err(Refusal::of(131_021).details("The recipient is this very number."));
        }
        let phone = book.phone(&wa_id);
        let now = self.clock.now();
        let free_form = message.content.kind != "template";
        let admission = self.limiter.admit(&wa_id, phone.written_at, free_form, now)?;
        let admission = message.fails.clone().map_or(admission, Admission::FailLate);
        phone.typing_until = 0;
        let entry = Entry {
            wamid: new_wamid(),
            from: Side::Business,
            content: message.content.clone(),
            context: message.context.clone(),
            callback_data: message.callback_data.clone(),
            status: match &admission {
                Admission::FailLate(_) => Status::Failed,
                Admission::Deliver if self.statuses => Status::Delivered,
                Admission::Deliver => Status::Accepted,
            },
            at: now,
        };
        let answer = (wa_id.clone(), phone.user_id.clone(), entry.wamid.clone());
        if let Admission::FailLate(refusal) = admission {
            self.courier.enqueue([status(&phone.person(), &entry, Status::Failed, Some(&refusal), now)]);
        } else if self.statuses {
            let updates =
                [Status::Sent, Status::Delivered].map(|to| status(&phone.person(), &entry, to, None, now));
            self.courier.enqueue(updates);
        }
        book.write(&wa_id, entry);
        self.beat();
        Ok(answer)
    }

    /// Which phone a recipient is, for error rules; empty for a user id that nobody has.
    pub(super) fn resolve(&self, recipient: &Recipient) -> String {
        match recipient {
            Recipient::Phone { wa_id, .. } => wa_id.clone(),
            Recipient::UserId(id) => lock(&self.book).by_user_id.get(id).cloned().unwrap_or_default(),
        }
    }

    /// The business has read a phone's message, and everything before it. False when there is no such message.
    pub(super) fn mark_read(&self, wamid: &str, typing: bool) -> bool {
        let mut book = lock(&self.book);
        let Some(wa_id) = book.by_wamid.get(wamid).cloned() else {
            return false;
        };
        let phone = book.phone(&wa_id);
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
            phone.typing_until = self.clock.now() + TYPING;
        }
        drop(book);
        self.beat();
        true
    }

    /// The person looks at the phone: what was delivered becomes read, and the receiver hears so. The answer is how many.
    pub(super) fn open(&self, phone: &str) -> usize {
        let mut book = lock(&self.book);
        let Some(phone) = digits(phone).and_then(|wa_id| book.phones.get_mut(&wa_id)) else {
            return 0;
        };
        let now = self.clock.now();
        let mut opened = Vec::new();
        for entry in phone.entries.iter_mut().filter(|entry| entry.is_unread()) {
            entry.status = Status::Read;
            opened.push(entry.clone());
        }
        let read = |entry: &Entry| status(&phone.person(), entry, Status::Read, None, now);
        self.courier.enqueue(opened.iter().map(read).collect::<Vec<Update>>());
        drop(book);
        if !opened.is_empty() {
            self.beat();
        }
        opened.len()
    }

    /// Posts a status for a message of the business, whether it makes sense or not; a code makes it a failure.
    /// False when there is no such message.
    pub(super) fn post_status(&self, wamid: &str, to: Status, code: Option<u32>) -> bool {
        let mut book = lock(&self.book);
        let Some(wa_id) = book.by_wamid.get(wamid).cloned() else {
            return false;
        };
        let now = self.clock.now();
        let phone = book.phone(&wa_id);
        let person = Person { wa_id: &phone.wa_id, user_id: &phone.user_id, name: &phone.name };
        let Some(entry) = phone.entries.iter_mut().find(|entry| entry.wamid == wamid) else {
            return false;
        };
        entry.status = entry.status.max(to);
        self.courier.enqueue([status(&person, entry, to, code.map(Refusal::of).as_ref(), now)]);
        drop(book);
        self.beat();
        true
    }

    /// The receiver has answered 200 for these.
    pub(super) fn arrived(&self, updates: &[Update]) {
        let mut book = lock(&self.book);
        for update in updates {
            let Some(phone) = book.phones.get_mut(&update.phone) else {
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

    /// A phone's newest `last` entries, oldest first.
    pub(super) fn transcript(&self, phone: &str, last: usize) -> Vec<Entry> {
        let book = lock(&self.book);
        let entries = digits(phone).and_then(|wa_id| book.phones.get(&wa_id)).map(|phone| &phone.entries);
        entries
            .map_or_else(Vec::new, |all| all.iter().skip(all.len().saturating_sub(last)).cloned().collect())
    }

    /// The first `limit` phones, in the order in which they came.
    pub(super) fn list(&self, limit: usize) -> Vec<PhoneSummary> {
        let book = lock(&self.book);
        let now = self.clock.now();
        book.order
            .iter()
            .take(limit)
            .filter_map(|wa_id| book.phones.get(wa_id))
            .map(|phone| phone.summary(now))
            .collect()
    }

    /// Tells of every message that this phone receives; the phone comes to be when it is not there yet.
    pub(super) fn watch(&self, phone: &str) -> Result<watch::Receiver<Seen>, CannotSay> {
        Ok(lock(&self.book).phone(&number(phone)?).seen.subscribe())
    }

    /// Tells of every change of any phone.
    pub(super) fn pulse(&self) -> watch::Receiver<u64> {
        self.pulse.subscribe()
    }

    fn beat(&self) {
        self.pulse.send_modify(|beat| *beat += 1);
    }
}

impl Book {
    /// The phone, which comes to be when it is not there yet.
    fn phone(&mut self, wa_id: &str) -> &mut Phone {
        self.phones.entry(wa_id.to_owned()).or_insert_with(|| {
            let user_id = user_id(wa_id);
            self.order.push(wa_id.to_owned());
            self.by_user_id.insert(user_id.clone(), wa_id.to_owned());
            Phone {
                wa_id: wa_id.to_owned(),
                user_id,
                name: format!("+{wa_id}"),
                entries: VecDeque::new(),
                typing_until: 0,
                written_at: None,
                seen: watch::Sender::default(),
            }
        })
    }

    fn write(&mut self, wa_id: &str, entry: Entry) {
        self.by_wamid.insert(entry.wamid.clone(), wa_id.to_owned());
        let from = entry.from;
        let phone = self.phone(wa_id);
        phone.entries.push_back(entry);
        let oldest = if phone.entries.len() > TRANSCRIPT_MAX { phone.entries.pop_front() } else { None };
        phone.seen.send_modify(|seen| seen.replies += usize::from(from == Side::Business));
        if let Some(oldest) = oldest {
            self.by_wamid.remove(&oldest.wamid);
        }
    }
}

impl Phone {
    fn person(&self) -> Person<'_> {
        Person { wa_id: &self.wa_id, user_id: &self.user_id, name: &self.name }
    }

    fn summary(&self, now: Millis) -> PhoneSummary {
        PhoneSummary {
            wa_id: self.wa_id.clone(),
            user_id: self.user_id.clone(),
            name: self.name.clone(),
            unread: self
                .entries
                .iter()
                .rev()
                .take_while(|e| e.from == Side::Business && e.is_unread())
                .count(),
            last: self.entries.back().cloned(),
            typing: self.typing_until > now,
        }
    }

    /// The newest button or row with this id, or else with this title.
    fn find_option(&self, wanted: &str) -> Option<(String, Said)> {
        let received = || self.entries.iter().rev().filter(|entry| entry.from == Side::Business);
        let find = |same: &dyn Fn(&Choice) -> bool| {
            received().find_map(|entry| {
                let choice = entry.content.options.iter().find(|choice| same(choice))?.clone();
                Some((entry.wamid.clone(), Said::Pressed { choice, under: Under::of(&entry.content) }))
            })
        };
        let wanted_lower = wanted.to_lowercase();
        find(&|choice| choice.id == wanted)
            .or_else(|| find(&|choice| choice.title.to_lowercase() == wanted_lower))
    }
}

impl Entry {
    fn is_unread(&self) -> bool {
        self.from == Side::Business
            && matches!(self.status, Status::Accepted | Status::Sent | Status::Delivered)
    }
}

fn number(phone: &str) -> Result<String, CannotSay> {
    digits(phone).ok_or_else(|| CannotSay::NotAPhone(phone.to_owned()))
}

/// A business-scoped user id that is the same for a number in every run: two letters of a country, a dot, digits.
fn user_id(wa_id: &str) -> String {
    let hash = Sha256::digest(wa_id.as_bytes());
    let digits = hash.iter().take(8).fold(0_u64, |sum, byte| (sum << 8) | u64::from(*byte));
    format!("US.{digits:020}")
}

fn new_wamid() -> String {
    format!("wamid.HBgL{}", Uuid::new_v4().simple().to_string().to_uppercase())
}
