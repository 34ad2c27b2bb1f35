//! All phones, and under which numbers, ids and messages they are found.

use std::collections::{HashMap, HashSet, VecDeque};

use sha2::{Digest, Sha256};
use tokio::sync::watch;
use uuid::Uuid;

use super::{PhoneSummary, Seen, TRANSCRIPT_MAX};
use crate::clock::Millis;
use crate::sandbox::entry::{Choice, Entry, Side, Status};
use crate::sandbox::payload::Person;
use crate::sandbox::said::{Card, Said, Under};

/// One phone and the person who has it.
pub(super) struct Phone {
    /// The name of its lane to the receiver, which stays when its number changes.
    pub(super) lane: String,
    pub(super) wa_id: String,
    pub(super) user_id: String,
    pub(super) parent_user_id: Option<String>,
    pub(super) name: String,
    pub(super) username: Option<String>,
    /// Whether the business is told no number.
    pub(super) hides_number: bool,
    /// Whether the person wants no marketing.
    pub(super) stops_marketing: bool,
    pub(super) entries: VecDeque<Entry>,
    pub(super) typing_until: Millis,
    /// When it last wrote: what opens the 24-hour window.
    pub(super) written_at: Option<Millis>,
    pub(super) seen: watch::Sender<Seen>,
}

/// The phones in the order in which they came; none ever goes.
#[derive(Default)]
pub(super) struct Book {
    pub(super) phones: Vec<Phone>,
    pub(super) by_number: HashMap<String, usize>,
    pub(super) by_user_id: HashMap<String, usize>,
    by_wamid: HashMap<String, usize>,
    /// Numbers that nobody has any more.
    pub(super) given_up: HashSet<String>,
}

impl Book {
    /// The phone with this number, which comes to be when it is not there yet.
    pub(super) fn phone(&mut self, wa_id: &str) -> &mut Phone {
        let at = self.by_number.get(wa_id).copied().unwrap_or_else(|| {
            let at = self.phones.len();
            let user_id = user_id(wa_id);
            self.by_number.insert(wa_id.to_owned(), at);
            self.by_user_id.insert(user_id.clone(), at);
            self.phones.push(Phone {
                lane: format!("phone {at}"),
                wa_id: wa_id.to_owned(),
                user_id,
                parent_user_id: None,
                name: format!("+{wa_id}"),
                username: None,
                hides_number: false,
                stops_marketing: false,
                entries: VecDeque::new(),
                typing_until: 0,
                written_at: None,
                seen: watch::Sender::default(),
            });
            at
        });
        &mut self.phones[at]
    }

    /// The phone with this number, if it is there.
    pub(super) fn find(&mut self, wa_id: &str) -> Option<&mut Phone> {
        let at = *self.by_number.get(wa_id)?;
        self.phones.get_mut(at)
    }

    /// The phone that has this message in its transcript.
    pub(super) fn phone_of(&mut self, wamid: &str) -> Option<&mut Phone> {
        let at = *self.by_wamid.get(wamid)?;
        self.phones.get_mut(at)
    }

    /// Writes an entry into the transcript of the phone with this number.
    pub(super) fn write(&mut self, wa_id: &str, entry: Entry) {
        self.phone(wa_id);
        let at = self.by_number[wa_id];
        self.by_wamid.insert(entry.wamid.clone(), at);
        let from = entry.from;
        let phone = &mut self.phones[at];
        phone.entries.push_back(entry);
        let oldest = if phone.entries.len() > TRANSCRIPT_MAX { phone.entries.pop_front() } else { None };
        phone.seen.send_modify(|seen| seen.replies += usize::from(from == Side::Business));
        if let Some(oldest) = oldest {
            self.by_wamid.remove(&oldest.wamid);
        }
    }
}

impl Phone {
    /// As webhooks know it.
    pub(super) fn person(&self) -> Person<'_> {
        Person {
            lane: &self.lane,
            wa_id: (!self.hides_number).then_some(&*self.wa_id),
            user_id: &self.user_id,
            parent_user_id: self.parent_user_id.as_deref(),
            name: &self.name,
            username: self.username.as_deref(),
        }
    }

    pub(super) fn summary(&self, now: Millis) -> PhoneSummary {
        let unread = |entry: &&Entry| entry.from == Side::Business && entry.is_unread();
        PhoneSummary {
            wa_id: self.wa_id.clone(),
            user_id: self.user_id.clone(),
            name: self.name.clone(),
            username: self.username.clone(),
            hides_number: self.hides_number,
            stops_marketing: self.stops_marketing,
            unread: self.entries.iter().rev().take_while(unread).count(),
            last: self.entries.back().cloned(),
            typing: self.typing_until > now,
        }
    }

    /// The newest message of the business, if it is of this kind: what the next answer is about.
    pub(super) fn asked(&self, kind: &str) -> Option<String> {
        let newest = self.entries.iter().rev().find(|entry| entry.from == Side::Business)?;
        (newest.content.kind == kind).then(|| newest.wamid.clone())
    }

    /// The person's own card, as one that was asked for.
    pub(super) fn own_card(&self) -> Card {
        Card { name: self.name.clone(), phone: self.wa_id.clone(), origin: "contact_request" }
    }

    /// The newest button or row with this id, or else with this title, and the message that it stands under.
    pub(super) fn find_option(&self, wanted: &str) -> Option<(String, Said)> {
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
    pub(super) fn is_unread(&self) -> bool {
        self.from == Side::Business
            && matches!(self.status, Status::Accepted | Status::Sent | Status::Delivered)
    }
}

/// A business-scoped user id that is the same for a number in every run: two letters of a country, a dot, digits.
pub(super) fn user_id(wa_id: &str) -> String {
    let hash = Sha256::digest(wa_id.as_bytes());
    let digits = hash.iter().take(8).fold(0_u64, |sum, byte| (sum << 8) | u64::from(*byte));
    format!("US.{digits:020}")
}

pub(super) fn new_wamid() -> String {
    format!("wamid.HBgL{}", Uuid::new_v4().simple().to_string().to_uppercase())
}
