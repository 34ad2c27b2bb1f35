//! Who is who, decided: from what a webhook says of a person's ids, and from which contacts those ids lead to, to what is
//! to become of contacts and aliases. Pure; the store reads what is known and does what is planned.
//!
//! The rules. A business-scoped user id is stronger than a phone number: a phone that comes with another user id than its
//! contact's has a new owner, moves to them, and the history stays with the earlier one. Ids that lead to several contacts
//! make them one, unless their user ids contradict; the oldest of them stays. A parent id is shared by all businesses of
//! its owner, so it never settles a contradiction and never moves. An account change says itself that one user id became
//! the other. A contact has one phone and one parent id, and may keep its earlier user ids: Meta never gives one twice.
//! What comes with an earlier user id is outdated: it finds the person, and teaches nothing.
//! Source of what the ids are: Meta, business-scoped user ids, 2026.

use super::contact::{AliasKind, Identity};
use super::ids::ContactId;

/// One of a person's ids.
pub type Alias = (AliasKind, String);

/// What a webhook says of a person's ids.
#[derive(Debug, Clone, Copy)]
pub struct Told<'a> {
    /// Who they were, where the webhook is about a change.
    pub before: Option<&'a Identity>,
    /// Who they are.
    pub now: &'a Identity,
}

/// A contact that one of the told ids leads to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Known {
    /// Its id: the older, the smaller.
    pub id: ContactId,
    /// Its present ids.
    pub ids: Identity,
    /// Everything that leads to it.
    pub aliases: Vec<Alias>,
}

/// What is to become of contacts and aliases.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// The person; `None` for one whom nobody knows yet.
    pub contact: Option<ContactId>,
    /// Contacts that are the same person: what they have becomes `contact`'s.
    pub merged: Vec<ContactId>,
    /// Aliases that lead to `contact` from now on, whomever they led to.
    pub gained: Vec<Alias>,
    /// Aliases that lead to this contact no longer. One that is among the `gained` too has moved.
    pub lost: Vec<(ContactId, Alias)>,
    /// The present ids of `contact`, after this.
    pub ids: Identity,
}

impl Plan {
    /// Nothing but: this is them.
    fn is_them(known: &Known) -> Self {
        Self {
            contact: Some(known.id),
            merged: Vec::new(),
            gained: Vec::new(),
            lost: Vec::new(),
            ids: known.ids.clone(),
        }
    }

    /// Whether everything is so already, given the `contact` as it is known.
    #[must_use]
    pub fn changes_nothing(&self, contact: &Known) -> bool {
        self.merged.is_empty()
            && self.gained.is_empty()
            && self.lost.is_empty()
            && AliasKind::ALL.iter().all(|kind| self.ids.id(*kind) == contact.ids.id(*kind))
    }
}

impl Known {
    fn owns(&self, kind: AliasKind, value: &str) -> bool {
        self.aliases.iter().any(|(own, id)| *own == kind && id == value)
    }

    fn user_ids(&self) -> impl Iterator<Item = &str> {
        let own = self.aliases.iter().filter(|(kind, _)| *kind == AliasKind::UserId);
        own.map(|(_, id)| id.as_str()).chain(self.ids.user_id.as_deref())
    }
}

/// What is to become of contacts and aliases, given that `known` are the contacts that the told ids lead to.
#[must_use]
pub fn plan(known: &[Known], told: Told<'_>) -> Plan {
    let owner = |kind: AliasKind, id: &str| known.iter().find(|contact| contact.owns(kind, id));
    let by_user_id = |identity: &Identity| {
        let id = identity.user_id.as_deref();
        id.and_then(|id| owner(AliasKind::UserId, id))
    };
    let owner_now = by_user_id(told.now);
    let owner_before = told.before.and_then(by_user_id);

    // The contact by whose user id the person is found has moved on since: what is told is outdated.
    let (found, found_by) = match (owner_now, owner_before) {
        (Some(contact), _) => (Some(contact), told.now),
        (None, before) => (before, told.before.unwrap_or(told.now)),
    };
    let outdated = found.is_some_and(|contact| contact.ids.user_id != found_by.user_id);
    if let (true, None, Some(contact)) = (outdated, told.before, found) {
        return Plan::is_them(contact);
    }

    // Whom the told ids lead to, the strongest first, and the present before the past.
    let mut claimants: Vec<&Known> = owner_now.into_iter().chain(owner_before).collect();
    if !outdated {
        for identity in std::iter::once(told.now).chain(told.before) {
            claimants.extend(identity.aliases().filter_map(|(kind, id)| owner(kind, id)));
        }
    }
    let mut user_ids: Vec<&str> =
        owner_now.into_iter().chain(owner_before).flat_map(Known::user_ids).collect();
    user_ids.extend(told.now.user_id.as_deref());
    user_ids.extend(told.before.and_then(|before| before.user_id.as_deref()));
    if user_ids.is_empty() {
        user_ids.extend(claimants.iter().find_map(|contact| contact.ids.user_id.as_deref()));
    }
    let mut person: Vec<&Known> = Vec::new();
    for contact in claimants {
        let agrees = contact.ids.user_id.as_deref().is_none_or(|id| user_ids.contains(&id));
        if agrees && !person.iter().any(|other| other.id == contact.id) {
            person.push(contact);
        }
    }

    let mut ids = if outdated { Identity::default() } else { ids_of(told.now) };
    let phone_owner = told.now.wa_id.as_deref().and_then(|id| owner(AliasKind::WaId, id));
    if !has_phone_now(told)
        && phone_owner.is_some_and(|owner| person.iter().all(|other| other.id != owner.id))
    {
        ids.wa_id = None;
    }
    for kind in AliasKind::ALL {
        if ids.id(kind).is_none() {
            let kept = person.iter().find_map(|contact| contact.ids.id(kind));
            ids.set_id(kind, kept.map(str::to_owned));
        }
    }
    let (gained, lost) = aliases(known, &person, told, &ids, outdated);
    let contact = person.iter().map(|contact| contact.id).min();
    let merged = person.iter().map(|contact| contact.id).filter(|id| Some(*id) != contact).collect();
    Plan { contact, merged, gained, lost, ids }
}

/// The aliases that `person` gains, and those that are lost.
fn aliases(
    known: &[Known],
    person: &[&Known],
    told: Told<'_>,
    ids: &Identity,
    outdated: bool,
) -> (Vec<Alias>, Vec<(ContactId, Alias)>) {
    let mut gained: Vec<Alias> = Vec::new();
    let mut lost = Vec::new();
    let earlier = told.before.and_then(|before| before.user_id.as_deref());
    let present = told.now.aliases().filter(|(kind, _)| !outdated || *kind == AliasKind::UserId);
    for (kind, id) in present.chain(earlier.map(|id| (AliasKind::UserId, id))) {
        let alias = (kind, id.to_owned());
        if person.iter().any(|contact| contact.owns(kind, id)) || gained.contains(&alias) {
            continue;
        }
        if let Some(other) = known.iter().find(|contact| contact.owns(kind, id)) {
            // Nobody else's id is taken, but for a phone.
            if kind != AliasKind::WaId || !has_phone_now(told) {
                continue;
            }
            lost.push((other.id, alias.clone()));
        }
        gained.push(alias);
    }
    for contact in person {
        let of_the_past =
            |(kind, id): &&Alias| *kind != AliasKind::UserId && ids.id(*kind) != Some(id.as_str());
        lost.extend(contact.aliases.iter().filter(of_the_past).map(|alias| (contact.id, alias.clone())));
    }
    (gained, lost)
}

/// Whether it is certain that the told phone is that of the person now, whoever had it before.
fn has_phone_now(told: Told<'_>) -> bool {
    told.now.user_id.is_some() || told.before.is_some()
}

fn ids_of(identity: &Identity) -> Identity {
    Identity { name: None, username: None, ..identity.clone() }
}

#[cfg(test)]
mod tests;
