//! The rules case by case, and whatever chance makes of them.

use std::collections::BTreeMap;

use super::*;

/// Ids as they are written in the cases: `+1` is a phone, `U1` a user id, `E1` a parent id.
fn alias(text: &str) -> Alias {
    let kind = match text.as_bytes()[0] {
        b'+' => AliasKind::WaId,
        b'E' => AliasKind::ParentUserId,
        _ => AliasKind::UserId,
    };
    (kind, text.to_owned())
}

fn identity(text: &str) -> Identity {
    let mut identity = Identity::default();
    for (kind, id) in text.split_whitespace().map(alias) {
        identity.set_id(kind, Some(id));
    }
    identity
}

/// Everyone, and what leads to them; what a plan says is done at once.
#[derive(Default)]
struct Book {
    people: BTreeMap<i64, Identity>,
    aliases: BTreeMap<Alias, i64>,
    next: i64,
}

impl Book {
    /// Contacts in the order of their age, as `id id; id id`; the last user id of one is its present one.
    fn of(contacts: &str) -> Self {
        let mut book = Self::default();
        for contact in contacts.split(';').filter(|contact| !contact.trim().is_empty()) {
            book.next += 1;
            book.people.insert(book.next, identity(contact));
            for id in contact.split_whitespace() {
                book.aliases.insert(alias(id), book.next);
            }
        }
        book
    }

    fn known(&self, told: Told<'_>) -> Vec<Known> {
        let told = told.before.into_iter().chain([told.now]).flat_map(Identity::aliases);
        let mut ids: Vec<i64> =
            told.filter_map(|(kind, id)| self.aliases.get(&(kind, id.to_owned())).copied()).collect();
        ids.sort_unstable();
        ids.dedup();
        ids.into_iter().map(|id| self.contact(id)).collect()
    }

    fn contact(&self, id: i64) -> Known {
        let aliases = self.aliases.iter().filter(|(_, owner)| **owner == id).map(|(alias, _)| alias.clone());
        Known { id: ContactId(id), ids: self.people[&id].clone(), aliases: aliases.collect() }
    }

    /// Hears it, and says who it was.
    fn hear(&mut self, told: Told<'_>) -> (i64, Plan) {
        let plan = plan(&self.known(told), told);
        for (owner, lost) in &plan.lost {
            assert_eq!(self.aliases.remove(lost), Some(owner.0), "{plan:?}");
            let person = self.people.get_mut(&owner.0).unwrap();
            if person.id(lost.0) == Some(&lost.1) {
                person.set_id(lost.0, None);
            }
        }
        let id = plan.contact.map_or_else(|| self.next + 1, |id| id.0);
        self.next = self.next.max(id);
        for merged in &plan.merged {
            assert!(self.people.remove(&merged.0).is_some(), "{plan:?}");
            self.aliases.values_mut().filter(|owner| **owner == merged.0).for_each(|owner| *owner = id);
        }
        for gained in &plan.gained {
            assert_eq!(self.aliases.insert(gained.clone(), id), None, "{plan:?}");
        }
        self.people.insert(id, plan.ids.clone());
        (id, plan)
    }

    /// As [`Book::of`] takes it, with the present ids in brackets behind all that leads there.
    fn shown(&self) -> String {
        let one = |id: &i64| {
            let aliases: Vec<String> = self.contact(*id).aliases.into_iter().map(|(_, id)| id).collect();
            let present: Vec<&str> = self.people[id].aliases().map(|(_, id)| id).collect();
            format!("{id}: {} [{}]", aliases.join(" "), present.join(" "))
        };
        self.people.keys().map(one).collect::<Vec<_>>().join("; ")
    }
}

#[test]
fn the_rules_case_by_case() {
    // Known before; told (`before > now` for a change); who it was; known after.
    let cases = [
        ("", "+1 U1", 1, "1: +1 U1 [U1 +1]"),
        ("+1 U1", "+1 U1", 1, "1: +1 U1 [U1 +1]"),
        ("+1", "+1 U1", 1, "1: +1 U1 [U1 +1]"),
        ("U1", "+1 U1 E1", 1, "1: +1 U1 E1 [U1 E1 +1]"),
        ("+1 U1", "+1", 1, "1: +1 U1 [U1 +1]"),
        ("+1 U1", "U1", 1, "1: +1 U1 [U1 +1]"),
        // Two that are one: the older stays, whichever id is the stronger.
        ("+1; U1", "+1 U1", 1, "1: +1 U1 [U1 +1]"),
        ("U1; +1", "+1 U1", 1, "1: +1 U1 [U1 +1]"),
        ("+1; U2; E1", "+1 U2 E1", 1, "1: +1 U2 E1 [U2 E1 +1]"),
        ("E1 +1; U1", "U1 E1", 1, "1: +1 U1 E1 [U1 E1 +1]"),
        // The same person with another phone, and nobody said so.
        ("+1 U1", "+2 U1", 1, "1: +2 U1 [U1 +2]"),
        ("+1 U1; +2", "+2 U1", 1, "1: +2 U1 [U1 +2]"),
        // A recycled phone: it moves, the person who had it keeps all else.
        ("+1 U1", "+1 U2", 2, "1: U1 [U1]; 2: +1 U2 [U2 +1]"),
        ("+1 U1; U2", "+1 U2", 2, "1: U1 [U1]; 2: +1 U2 [U2 +1]"),
        ("+1 U1; +2 U2", "+1 U2", 2, "1: U1 [U1]; 2: +1 U2 [U2 +1]"),
        // A parent id alone joins nobody whose user ids contradict, and stays where it is.
        ("U1 E1", "U2 E1", 2, "1: U1 E1 [U1 E1]; 2: U2 [U2 E1]"),
        ("U1 E1; U2", "U2 E1", 2, "1: U1 E1 [U1 E1]; 2: U2 [U2 E1]"),
        ("E1", "U2 E1", 1, "1: U2 E1 [U2 E1]"),
        ("U1 E1; U2 +1", "E1 +1", 1, "1: U1 E1 [U1 E1]; 2: +1 U2 [U2 +1]"),
        // An earlier user id finds the person and teaches nothing.
        ("U1 U2 +2", "U1 +1", 1, "1: +2 U1 U2 [U2 +2]"),
        ("U1 U2 +2; +1", "U1 +1", 1, "1: +2 U1 U2 [U2 +2]; 2: +1 [+1]"),
        // A changed number.
        ("+1 U1", "+1 > +2", 1, "1: +2 U1 [U1 +2]"),
        ("+1", "+1 > +2", 1, "1: +2 [+2]"),
        ("+1 U1", "U1 > U2 +2", 1, "1: +2 U1 U2 [U2 +2]"),
        ("+1 U1; +2", "+1 > +2", 1, "1: +2 U1 [U1 +2]"),
        ("+1 U1; +2 U2", "U1 > U1 +2", 1, "1: +2 U1 [U1 +2]; 2: U2 [U2]"),
        ("+1 U1; +2 U2", "+1 U1 > U2 +2", 1, "1: +2 U1 U2 [U2 +2]"),
        ("", "+1 > +2", 1, "1: +2 [+2]"),
        ("+2 U2", "+1 > U2 +2", 1, "1: +2 U2 [U2 +2]"),
        // The earlier phone has a new owner already.
        ("U1; +1 U3", "+1 U1 > U2 +2", 1, "1: +2 U1 U2 [U2 +2]; 2: +1 U3 [U3 +1]"),
        // A changed id, heard of after the first message under the new one.
        ("+1 U1", "U1 > U2", 1, "1: +1 U1 U2 [U2 +1]"),
        ("U1; +1 U2", "U1 > U2", 1, "1: +1 U1 U2 [U2 +1]"),
        ("U1 E1", "U1 E1 > U2 E2", 1, "1: U1 U2 E2 [U2 E2]"),
        ("", "U1 > U2", 1, "1: U1 U2 [U2]"),
        // Changes that are told in the wrong order.
        ("+1 U1; U2 U3 +3", "U1 > U2 +2", 1, "1: +3 U1 U2 U3 [U3 +3]"),
        ("U1 U3 +3", "U1 > U2 +2", 1, "1: +3 U1 U2 U3 [U3 +3]"),
    ];
    for (known, told, who, after) in cases {
        let mut book = Book::of(known);
        let (before, now) = match told.split_once('>') {
            Some((before, now)) => (Some(identity(before)), identity(now)),
            None => (None, identity(told)),
        };
        let told = Told { before: before.as_ref(), now: &now };
        let (id, _) = book.hear(told);
        assert_eq!((id, book.shown().as_str()), (who, after), "{known} + {told:?}");
        let again = book.hear(told);
        assert_eq!(again.0, id, "{known} + {told:?}, again");
        assert_eq!(book.shown(), after, "{known} + {told:?}, again");
    }
}

/// A few people, phones that change hands, and ids that come alone or together, in any order.
#[test]
fn whatever_is_told_leaves_everyone_with_one_phone_and_nobody_with_anothers_user_id() {
    let mut state = 1_u64;
    let mut dice = |sides: u64| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % sides
    };
    for _ in 0..400 {
        let mut book = Book::default();
        for _ in 0..40 {
            let mut some = |letter: &str| match dice(9) {
                0..=4 => format!("{letter}{} ", dice(4)),
                _ => String::new(),
            };
            let now = identity(&format!("{}{}{}", some("U"), some("E"), some("+")));
            let before = identity(&format!("{}{}", some("U"), some("+")));
            if !now.is_known() {
                continue;
            }
            let before = (dice(4) == 0 && before.is_known()).then_some(before);
            let told = Told { before: before.as_ref(), now: &now };
            let shown = book.shown();
            let people = book.people.clone();
            let (id, plan) = book.hear(told);

            let mut user_ids: Vec<&str> = plan
                .merged
                .iter()
                .chain(&plan.contact)
                .filter_map(|id| people[&id.0].user_id.as_deref())
                .collect();
            user_ids.sort_unstable();
            user_ids.dedup();
            assert!(before.is_some() || user_ids.len() <= 1, "{shown} + {told:?} -> {plan:?}");
            assert!(plan.merged.iter().all(|merged| merged.0 > id), "{shown} + {told:?} -> {plan:?}");
            if let Some(user_id) = &now.user_id {
                assert_eq!(book.aliases.get(&alias(user_id)), Some(&id), "{shown} + {told:?}");
            }
            for id in book.people.keys() {
                let contact = book.contact(*id);
                for kind in [AliasKind::WaId, AliasKind::ParentUserId] {
                    let own: Vec<_> = contact.aliases.iter().filter(|alias| alias.0 == kind).collect();
                    assert!(own.len() <= 1, "{shown} + {told:?} -> {}", book.shown());
                    assert!(
                        own.iter().all(|alias| contact.ids.id(kind) == Some(&alias.1)),
                        "{}",
                        book.shown()
                    );
                }
            }
            let after = book.shown();
            let (again, _) = book.hear(told);
            if before.is_none() {
                assert_eq!((again, book.shown()), (id, after), "{shown} + {told:?}, again");
            }
        }
    }
}
