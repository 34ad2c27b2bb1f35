//! The phones: what each has written and received, and what that sets off towards the receiver.
//!
//! Saying is here, receiving and statuses are in [`inbox`]. One lock holds the book of all phones. Webhooks are queued under
//! it, so that the order in a transcript is the order on the wire.

mod book;
mod identity;
mod inbox;

use std::sync::{Arc, Mutex};

use serde::Serialize;
use tokio::sync::watch;

use self::book::{Book, new_wamid};
pub(super) use self::identity::{NewIds, Profile};
use super::courier::Courier;
use super::entry::{Entry, Side, Status};
use super::limits::Limiter;
use super::payload::message;
use super::said::{Beside, Said};
use super::statuses::Teller;
use super::validate::digits;
use super::{DemoPhone, lock};
use crate::clock::{Clock, Millis};

/// Entries kept per phone; the oldest go first.
pub const TRANSCRIPT_MAX: usize = 10_000;

/// A phone in the list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PhoneSummary {
    /// Its number, digits only.
    pub wa_id: String,
    /// Its business-scoped user id; the same in every run.
    pub user_id: String,
    /// The name in its profile.
    pub name: String,
    /// The name that the person goes by instead of the number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub username: Option<String>,
    /// Whether the business is told no number.
    pub hides_number: bool,
    /// Whether the person wants no marketing.
    pub stops_marketing: bool,
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
    /// The number or user id has an owner already.
    #[error("another phone has `{0}` already")]
    Taken(String),
    /// The user id is none.
    #[error(
        "`{0}` is not a user id; write two letters of a country, a dot, and up to 128 letters and digits"
    )]
    NotAUserId(String),
    /// Nothing is to change.
    #[error("say what changes: `wa_id`, `user_id` or both")]
    NothingChanges,
}

/// All phones.
#[derive(Clone)]
pub(super) struct Phones {
    book: Arc<Mutex<Book>>,
    courier: Arc<Courier>,
    teller: Teller,
    limiter: Limiter,
    clock: Clock,
    display_phone_number: Arc<str>,
    statuses: bool,
    pulse: Arc<watch::Sender<u64>>,
}

impl Phones {
    pub(super) fn new(
        courier: Arc<Courier>,
        teller: Teller,
        limiter: Limiter,
        clock: Clock,
        display_phone_number: &str,
        statuses: bool,
    ) -> Self {
        let pulse = Arc::new(watch::Sender::new(0));
        Self {
            book: Arc::default(),
            courier,
            teller,
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

    /// A phone wrote at this time, before all this was there.
    pub(super) fn recall(&self, phone: &str, written_at: Millis) {
        lock(&self.book).phone(phone).written_at = Some(written_at);
    }

    /// A phone writes; a phone that is not there yet comes to be. The answer is the wamid.
    pub(super) fn say(&self, phone: &str, said: Said, beside: &Beside) -> Result<String, CannotSay> {
        let wa_id = number(phone)?;
        let mut book = lock(&self.book);
        book.given_up.remove(&wa_id);
        let phone = book.phone(&wa_id);
        let asked = said.answers().and_then(|kind| phone.asked(kind));
        let (answered, said) = match said {
            Said::Press(wanted) => {
                let (wamid, said) = phone.find_option(&wanted).ok_or(CannotSay::NothingToPress(wanted))?;
                (Some(wamid), said)
            }
            Said::Reaction { ref wamid, .. } => (Some(wamid.clone()), said),
            Said::OwnContact => (asked, Said::Contacts(vec![phone.own_card()])),
            other => (asked, other),
        };
        let context = beside.quote.clone().or(answered.filter(|_| !beside.without_context));
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
            to: None,
            status: Status::Accepted,
            at: now,
        };
        let wire = said.wire(beside, entry.context.as_deref(), &self.display_phone_number);
        let update = message(&phone.person(), &entry, wire);
        book.write(&wa_id, entry);
        self.courier.enqueue([update]);
        self.beat();
        Ok(wamid)
    }

    /// A phone's newest `last` entries, oldest first.
    pub(super) fn transcript(&self, phone: &str, last: usize) -> Vec<Entry> {
        let mut book = lock(&self.book);
        let entries = digits(phone).and_then(|wa_id| book.find(&wa_id)).map(|phone| &phone.entries);
        entries
            .map_or_else(Vec::new, |all| all.iter().skip(all.len().saturating_sub(last)).cloned().collect())
    }

    /// The first `limit` phones, in the order in which they came.
    pub(super) fn list(&self, limit: usize) -> Vec<PhoneSummary> {
        let book = lock(&self.book);
        let now = self.clock.now();
        book.phones.iter().take(limit).map(|phone| phone.summary(now)).collect()
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

fn number(phone: &str) -> Result<String, CannotSay> {
    digits(phone).ok_or_else(|| CannotSay::NotAPhone(phone.to_owned()))
}
