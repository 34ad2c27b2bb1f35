//! Who a person is to the business: the profile, a hidden number, a new number or id, and whether marketing is wanted.

use serde::Deserialize;
use serde_json::{Value, json};

use super::book::{Book, new_wamid, user_id};
use super::{CannotSay, Phones, number};
use crate::sandbox::entry::{Content, Entry, Side, Status};
use crate::sandbox::lock;
use crate::sandbox::payload::{preference, system};
use crate::sandbox::validate::is_user_id;

/// What can be set about a person; what is absent stays.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::sandbox) struct Profile {
    name: Option<String>,
    /// An empty one takes it away.
    username: Option<String>,
    /// Whether the business is told no number, as with people who go by a username.
    hides_number: Option<bool>,
    /// The id under a managed business; an empty one takes it away.
    parent_user_id: Option<String>,
}

/// What changes about a person.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::sandbox) struct NewIds {
    pub(in crate::sandbox) wa_id: Option<String>,
    pub(in crate::sandbox) user_id: Option<String>,
}

impl Phones {
    /// Sets a profile; the phone comes to be when it is not there yet.
    pub(in crate::sandbox) fn set_profile(&self, phone: &str, profile: Profile) -> Result<(), CannotSay> {
        let wa_id = number(phone)?;
        if let Some(id) = profile.parent_user_id.as_ref().filter(|id| !id.is_empty() && !is_user_id(id)) {
            return Err(CannotSay::NotAUserId(id.clone()));
        }
        let mut book = lock(&self.book);
        let phone = book.phone(&wa_id);
        let some = |text: String| Some(text).filter(|text| !text.is_empty());
        if let Some(name) = profile.name {
            phone.name = name;
        }
        if let Some(username) = profile.username {
            phone.username = some(username);
        }
        if let Some(parent) = profile.parent_user_id {
            phone.parent_user_id = some(parent);
        }
        phone.hides_number = profile.hides_number.unwrap_or(phone.hides_number);
        drop(book);
        self.beat();
        Ok(())
    }

    /// The person gets another number, and with it another user id; or another user id alone. The business is told, and
    /// the old ones lead nowhere. The answer is the wamid of the system message.
    pub(in crate::sandbox) fn change(&self, phone: &str, to: &NewIds) -> Result<String, CannotSay> {
        let old_wa_id = number(phone)?;
        let new_wa_id = to.wa_id.as_deref().map(number).transpose()?;
        let new_user_id = match (&to.user_id, &new_wa_id) {
            (Some(id), _) if is_user_id(id) => id.clone(),
            (Some(id), _) => return Err(CannotSay::NotAUserId(id.clone())),
            // Meta makes a new one with a new number.
            (None, Some(wa_id)) => user_id(wa_id),
            (None, None) => return Err(CannotSay::NothingChanges),
        };
        let mut book = lock(&self.book);
        book.phone(&old_wa_id);
        if let Some(taken) = new_wa_id.as_ref().filter(|wa_id| book.by_number.contains_key(*wa_id)) {
            return Err(CannotSay::Taken(taken.clone()));
        }
        if book.by_user_id.contains_key(&new_user_id) {
            return Err(CannotSay::Taken(new_user_id));
        }
        let at = book.by_number[&old_wa_id];
        let node = book.move_to(at, new_wa_id.as_deref(), new_user_id);
        let text = node["body"].as_str().unwrap_or_default().to_owned();
        let entry = Entry {
            wamid: new_wamid(),
            from: Side::Phone,
            content: Content { kind: "system".into(), text, ..Content::default() },
            context: None,
            to: None,
            callback_data: None,
            status: Status::Accepted,
            at: self.clock.now(),
        };
        let phone = &book.phones[at];
        // With a mere change of id, who it was is in `system` alone.
        let from = (new_wa_id.is_some() && !phone.hides_number).then_some(&*old_wa_id);
        let update = system(&phone.lane, &entry, from, node);
        let (wamid, wa_id) = (entry.wamid.clone(), phone.wa_id.clone());
        book.write(&wa_id, entry);
        self.courier.enqueue([update]);
        drop(book);
        self.beat();
        Ok(wamid)
    }

    /// The person stops or resumes marketing, and the business is told. Templates of that category fail while it is
    /// stopped.
    pub(in crate::sandbox) fn set_marketing(&self, phone: &str, wanted: bool) -> Result<(), CannotSay> {
        let wa_id = number(phone)?;
        let mut book = lock(&self.book);
        let phone = book.phone(&wa_id);
        phone.stops_marketing = !wanted;
        let value = if wanted { "resume" } else { "stop" };
        self.courier.enqueue([preference(&phone.person(), value, self.clock.now())]);
        drop(book);
        self.beat();
        Ok(())
    }
}

impl Book {
    /// Gives the phone `at` its new ids. The answer is the node of the system message.
    fn move_to(&mut self, at: usize, new_wa_id: Option<&str>, new_user_id: String) -> Value {
        let phone = &mut self.phones[at];
        let old_user_id = std::mem::replace(&mut phone.user_id, new_user_id.clone());
        self.by_user_id.remove(&old_user_id);
        self.by_user_id.insert(new_user_id.clone(), at);
        let mut node = json!({"user_id": new_user_id, "previous_user_id": old_user_id});
        if let Some(parent) = &phone.parent_user_id {
            node["parent_user_id"] = json!(parent);
            node["previous_parent_user_id"] = json!(parent);
        }
        let Some(wa_id) = new_wa_id else {
            node["type"] = json!("user_changed_user_id");
            node["body"] = json!(format!("User {} changed from {old_user_id} to {new_user_id}", phone.name));
            return node;
        };
        let old_wa_id = std::mem::replace(&mut phone.wa_id, wa_id.to_owned());
        node["type"] = json!("user_changed_number");
        node["body"] = json!(format!("User {} changed from {old_wa_id} to {wa_id}", phone.name));
        if !phone.hides_number {
            node["wa_id"] = json!(wa_id);
        }
        self.by_number.remove(&old_wa_id);
        self.by_number.insert(wa_id.to_owned(), at);
        self.given_up.insert(old_wa_id);
        self.given_up.remove(wa_id);
        node
    }
}
