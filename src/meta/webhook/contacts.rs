//! Who sent a message: what the message says itself, completed by the entry of `contacts[]` that is about the same person.
//!
//! Since 2026 the phone number may be absent or empty, and a business-scoped id has been seen in its place.
//! Source: Meta, business-scoped user ids.

use std::collections::HashMap;

use serde_json::value::RawValue;

use crate::domain::contact::{Identity, is_user_id, phone_digits};
use crate::meta::object::Object;

/// What a managed business's id has after the country.
const PARENT_MARK: &str = ".ENT.";

/// The `contacts[]` of one change.
pub(super) struct Contacts<'a> {
    all: Vec<Contact<'a>>,
    by_id: HashMap<String, usize>,
}

/// One entry of `contacts[]`.
pub(super) struct Contact<'a> {
    /// As Meta sent it.
    pub(super) raw: &'a RawValue,
    identity: Identity,
}

impl<'a> Contacts<'a> {
    /// Reads the entries of `contacts[]`; one that is not an object is left out.
    pub(super) fn read(entries: &[&'a RawValue]) -> Self {
        let mut contacts = Self { all: Vec::with_capacity(entries.len()), by_id: HashMap::new() };
        for raw in entries {
            let Some(entry) = Object::read(raw) else { continue };
            let identity = identity_of_contact(&entry);
            for (_, id) in identity.aliases() {
                contacts.by_id.entry(id.to_owned()).or_insert(contacts.all.len());
            }
            contacts.all.push(Contact { raw, identity });
        }
        contacts
    }

    /// The entry about the person whom `told` names.
    ///
    /// When no id matches, the only entry is taken if nothing speaks against it: Meta's phone number and `wa_id` of one
    /// person can differ. `alone` says that the change holds no other message, so that the entry cannot be another's.
    pub(super) fn find(&self, told: &Identity, alone: bool) -> Option<&Contact<'a>> {
        if let Some(index) = told.aliases().find_map(|(_, id)| self.by_id.get(id)) {
            return self.all.get(*index);
        }
        let [only] = self.all.as_slice() else { return None };
        let differ = matches!((&told.user_id, &only.identity.user_id), (Some(a), Some(b)) if a != b);
        (!differ && (alone || !told.is_known())).then_some(only)
    }
}

impl Contact<'_> {
    /// `told`, completed by this entry. Its `wa_id` wins over the phone number of the message.
    pub(super) fn complete(&self, told: Identity) -> Identity {
        let entry = self.identity.clone();
        Identity {
            wa_id: entry.wa_id.or(told.wa_id),
            user_id: told.user_id.or(entry.user_id),
            parent_user_id: told.parent_user_id.or(entry.parent_user_id),
            name: entry.name,
            username: entry.username,
        }
    }
}

/// The ids in the three fields of `object` that name a person; the first may be a phone number or an id of either kind.
pub(super) fn identity(object: &Object<'_>, phone: &str, user: &str, parent: &str) -> Identity {
    let mut identity =
        Identity { user_id: object.text(user), parent_user_id: object.text(parent), ..Identity::default() };
    if let Some(given) = object.text(phone) {
        if let Some(digits) = phone_digits(&given) {
            identity.wa_id = Some(digits);
        } else if is_user_id(&given) {
            let parent = given.contains(PARENT_MARK);
            let place = if parent { &mut identity.parent_user_id } else { &mut identity.user_id };
            place.get_or_insert(given);
        }
    }
    identity
}

/// The phone number in the field `name` of `object`, in digits.
pub(super) fn phone(object: &Object<'_>, name: &str) -> Option<String> {
    object.text(name).and_then(|given| phone_digits(&given))
}

fn identity_of_contact(entry: &Object<'_>) -> Identity {
    let mut identity = identity(entry, "wa_id", "user_id", "parent_user_id");
    if let Some(profile) = entry.object("profile") {
        identity.name = profile.text("name");
        identity.username = profile.text("username");
    }
    identity
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::meta::object::list;

    fn sender(message: &str, contacts: &str, alone: bool) -> Identity {
        let contacts: Box<RawValue> = serde_json::from_str(contacts).unwrap();
        let contacts = Contacts::read(&list(&contacts).unwrap());
        let told = identity(&Object::parse(message).unwrap(), "from", "from_user_id", "from_parent_user_id");
        match contacts.find(&told, alone) {
            Some(contact) => contact.complete(told),
            None => told,
        }
    }

    const TWO: &str = r#"[{"wa_id":"491111111","user_id":"DE.1","profile":{"name":"Ann"}},
                          {"user_id":"DE.2","parent_user_id":"DE.ENT.2","profile":{"name":"Bob","username":"bob"}}]"#;

    #[test]
    fn a_phone_finds_its_contact_and_takes_its_ids() {
        let ann = sender(r#"{"from":"+49 1111111"}"#, TWO, false);
        assert_eq!((ann.name.as_deref(), ann.user_id.as_deref()), (Some("Ann"), Some("DE.1")));
        assert_eq!(ann.wa_id.as_deref(), Some("491111111"));
    }

    #[test]
    fn a_hidden_phone_may_be_absent_empty_or_replaced_by_the_id() {
        for message in [
            r#"{"from_user_id":"DE.2"}"#,
            r#"{"from":"","from_user_id":"DE.2"}"#,
            r#"{"from":null,"from_user_id":"DE.2"}"#,
            r#"{"from":"DE.2"}"#,
            r#"{"from":"DE.ENT.2"}"#,
        ] {
            let bob = sender(message, TWO, false);
            assert_eq!(bob.username.as_deref(), Some("bob"), "{message}");
            assert_eq!((bob.user_id.as_deref(), bob.wa_id.as_deref()), (Some("DE.2"), None), "{message}");
            assert_eq!(bob.parent_user_id.as_deref(), Some("DE.ENT.2"), "{message}");
        }
    }

    #[test]
    fn the_contacts_wa_id_wins_over_a_phone_that_is_written_another_way() {
        let only = r#"[{"wa_id":"5211234567","profile":{"name":"Eva"}}]"#;
        assert_eq!(sender(r#"{"from":"521234567"}"#, only, true).wa_id.as_deref(), Some("5211234567"));
    }

    #[test]
    fn the_only_contact_is_not_given_to_somebody_else() {
        let only = r#"[{"wa_id":"491111111","user_id":"DE.1","profile":{"name":"Ann"}}]"#;
        assert_eq!(sender(r#"{"from":"492222222"}"#, only, false).name, None);
        assert_eq!(sender(r#"{"from_user_id":"DE.9"}"#, only, true).name, None);
        assert_eq!(sender("{}", only, false).name.as_deref(), Some("Ann"));
    }

    #[test]
    fn nobody_is_nobody() {
        assert!(!sender(r#"{"from":{"a":1}}"#, "[5,{}]", true).is_known());
        assert!(!sender(r#"{"from":"?"}"#, TWO, true).is_known());
    }
}
