//! Who is who: from what a webhook says about a person to the contact and the conversation, within the accepting
//! transaction. What was found is remembered, up to a limit; only the writer reads and changes this.

use std::collections::{HashMap, HashSet};
use std::num::NonZeroUsize;

use lru::LruCache;
use sea_orm::{ColumnTrait, DbErr, EntityTrait, QueryFilter, QuerySelect, Set};
use sha2::{Digest, Sha256};

use crate::clock::Millis;
use crate::domain::contact::{AliasKind, Identity};
use crate::domain::dedupe::DedupeKey;
use crate::domain::identity::{Alias, Known, Plan, Told, plan};
use crate::domain::ids::{ContactId, ConversationId};
use crate::domain::notice::{self, News};
use crate::store::batch::Scope;
use crate::store::entity::{alias, contact, opt_out_mark, session, webhook};
use crate::store::merge::Moved;
use crate::store::privacy::tombstone;
use crate::store::read::name_key;
use crate::store::{Session, bulk, consent, identity, text};

/// The person in a conversation and the number of ours that it is with.
type Line = (i64, String);

/// What the writer remembers of who is who, in few bytes, because it is of many people.
pub(crate) struct Directory {
    /// From an alias to the contact.
    people: LruCache<Key, i64>,
    /// From a contact and the place of our number among `numbers` to the conversation, and the hour in which its person is
    /// known to have written.
    lines: LruCache<(i64, usize), (i64, Millis)>,
    /// Our numbers: few.
    numbers: Vec<String>,
}

/// An alias, in sixteen bytes whatever its length: half of its SHA-256. Of a thousand million, two agree with a probability of
/// 10⁻²¹.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Key([u8; 16]);

impl Key {
    pub(crate) fn of(kind: AliasKind, id: &str) -> Self {
        Self::stored(kind.as_str(), &text(id))
    }

    /// Of an alias as it is stored.
    fn stored(kind: &str, value: &str) -> Self {
        let hash = Sha256::new().chain_update(kind).chain_update(":").chain_update(value).finalize();
        Self(std::array::from_fn(|place| hash[place]))
    }
}

/// Something to remember, or to forget, once it is committed.
pub(crate) enum Learnt {
    Alias(Key, i64),
    Line(Line, i64),
    NoAlias(Key),
    NoLine(Line),
    /// The hour in which the person of this line wrote.
    Active(Line, Millis),
}

impl Directory {
    pub(crate) fn new(capacity: usize) -> Self {
        let capacity = NonZeroUsize::new(capacity).unwrap_or(NonZeroUsize::MIN);
        Self { people: LruCache::new(capacity), lines: LruCache::new(capacity), numbers: Vec::new() }
    }

    pub(crate) fn learn(&mut self, learnt: Vec<Learnt>) {
        for fact in learnt {
            match fact {
                Learnt::Alias(alias, contact) => _ = self.people.put(alias, contact),
                Learnt::Line((contact, number), conversation) => {
                    let place = self.place(&number).unwrap_or_else(|| {
                        self.numbers.push(number);
                        self.numbers.len() - 1
                    });
                    self.lines.put((contact, place), (conversation, Millis::MIN));
                }
                Learnt::NoAlias(alias) => _ = self.people.pop(&alias),
                Learnt::NoLine((contact, number)) => {
                    if let Some(place) = self.place(&number) {
                        self.lines.pop(&(contact, place));
                    }
                }
                Learnt::Active((contact, number), hour) => {
                    let place = self.place(&number);
                    if let Some(line) = place.and_then(|place| self.lines.get_mut(&(contact, place))) {
                        line.1 = hour;
                    }
                }
            }
        }
    }

    fn place(&self, number: &str) -> Option<usize> {
        self.numbers.iter().position(|known| known == number)
    }

    /// The contact that this alias leads to.
    fn contact(&mut self, alias: Key) -> Option<i64> {
        self.people.get(&alias).copied()
    }

    /// The conversation of this line.
    fn conversation(&mut self, (contact, number): &Line) -> Option<i64> {
        let place = self.place(number)?;
        self.lines.get(&(*contact, place)).map(|(conversation, _)| *conversation)
    }

    /// Whether it is known that this person has written to this number of ours in `hour`, which began then.
    pub(crate) fn is_active(&self, contact: i64, number: &str, hour: Millis) -> bool {
        let line = self.place(number).and_then(|place| self.lines.peek(&(contact, place)));
        line.is_some_and(|(_, known)| *known >= hour)
    }
}

/// A conversation that was found or begun.
#[derive(Clone)]
pub(crate) struct Found {
    pub(crate) conversation: ConversationId,
    pub(crate) contact: ContactId,
    /// The session, when it was begun just here.
    pub(crate) fresh: Option<Session>,
}

/// What an event says of who it is about.
#[derive(Clone, Copy)]
pub(crate) struct Person<'a> {
    /// Their ids, and who they were where the event is about a change of these.
    pub(crate) told: Told<'a>,
    /// Our number.
    pub(crate) number: &'a str,
    /// What makes the event the same as another one.
    pub(crate) dedupe_key: DedupeKey,
}

impl Person<'_> {
    fn aliases(&self) -> impl Iterator<Item = (AliasKind, &str)> {
        self.told.before.into_iter().chain([self.told.now]).flat_map(Identity::aliases)
    }

    /// Their aliases, as remembered and looked up.
    fn keys(&self) -> impl Iterator<Item = Key> {
        self.aliases().map(|(kind, id)| Key::of(kind, id))
    }
}

/// The lines of one batch.
#[derive(Default)]
pub(crate) struct Lookup {
    people: HashMap<Key, i64>,
    lines: HashMap<Line, Found>,
    /// Lines of which `lines` says whether there is one.
    looked_up: HashSet<Line>,
    /// Events that say something new of who is who, and whether they were accepted before: then it is not news.
    duplicates: HashMap<DedupeKey, bool>,
    new_contacts: Vec<contact::ActiveModel>,
    /// Contacts that were begun within this batch: nothing is stored of them that the batch does not know.
    begun: HashSet<i64>,
    new_aliases: Vec<alias::ActiveModel>,
    new_sessions: Vec<session::ActiveModel>,
    /// Conversations that became part of another one within this batch.
    successors: HashMap<i64, Found>,
    /// Contacts whose ids changed within this batch.
    touched: HashSet<i64>,
}

impl Lookup {
    /// Reads, in three statements at the most, what is not remembered about these people.
    pub(crate) async fn prepare(scope: &mut Scope<'_>, wanted: &[Person<'_>]) -> Result<Self, DbErr> {
        let mut lookup = Self::default();
        let mut unknown = Vec::new();
        for (kind, value) in wanted.iter().flat_map(Person::aliases) {
            let key = Key::of(kind, value);
            if let Some(contact) = scope.directory.contact(key) {
                lookup.people.insert(key, contact);
            } else if !lookup.people.contains_key(&key) {
                unknown.push(text(value));
            }
        }
        for part in bulk::parts(&unknown) {
            let rows = alias::Entity::find().filter(alias::Column::Value.is_in(part)).all(scope.tx).await?;
            for row in rows {
                let key = Key::stored(&row.kind, &row.value);
                scope.after.learnt.push(Learnt::Alias(key, row.contact_id));
                lookup.people.insert(key, row.contact_id);
            }
        }

        let mut unread = Vec::new();
        let mut news = Vec::new();
        for person in wanted {
            let Some(contact) = lookup.settled(person) else {
                news.push(person.dedupe_key);
                continue;
            };
            let line = (contact, person.number.to_owned());
            lookup.looked_up.insert(line.clone());
            match scope.directory.conversation(&line) {
                Some(conversation) => lookup.found(line, conversation),
                None => unread.push(contact),
            }
        }
        for part in bulk::parts(&unread) {
            let rows =
                session::Entity::find().filter(session::Column::ContactId.is_in(part)).all(scope.tx).await?;
            for row in rows {
                let line = (row.contact_id, row.phone_number_id);
                scope.after.learnt.push(Learnt::Line(line.clone(), row.id));
                lookup.found(line, row.id);
            }
        }
        lookup.look_for_duplicates(scope, &news).await?;
        Ok(lookup)
    }

    async fn look_for_duplicates(&mut self, scope: &Scope<'_>, keys: &[DedupeKey]) -> Result<(), DbErr> {
        for part in bulk::parts(keys) {
            let known: Vec<Vec<u8>> = webhook::Entity::find()
                .select_only()
                .column(webhook::Column::DedupeKey)
                .filter(webhook::Column::DedupeKey.is_in(part.iter().map(DedupeKey::as_bytes)))
                .into_tuple()
                .all(scope.tx)
                .await?;
            let is_known = |key: &DedupeKey| known.iter().any(|known| known == key.as_bytes());
            self.duplicates.extend(part.iter().map(|key| (*key, is_known(key))));
        }
        Ok(())
    }

    /// The contact of a person of whom nothing new is told: all their ids lead to it.
    fn settled(&self, person: &Person<'_>) -> Option<i64> {
        let mut keys = person.keys();
        let contact = keys.next().and_then(|key| self.people.get(&key).copied())?;
        keys.all(|key| self.people.get(&key) == Some(&contact)).then_some(contact)
    }

    fn found(&mut self, line: Line, conversation: i64) {
        let contact = ContactId(line.0);
        let conversation = ConversationId(conversation);
        self.lines.insert(line, Found { conversation, contact, fresh: None });
    }

    /// The conversation of this person with this number; contact, aliases and session are begun where they are missing,
    /// and what the event reveals of who is who is done. `None` for a person nobody knows, from an event that was
    /// accepted before.
    pub(crate) async fn line(
        &mut self,
        scope: &mut Scope<'_>,
        person: &Person<'_>,
    ) -> Result<Option<Found>, DbErr> {
        let contact = match self.settled(person) {
            Some(contact) => contact,
            None if self.is_duplicate(scope, person).await? => {
                let Some(contact) = person.keys().find_map(|key| self.people.get(&key).copied()) else {
                    return Ok(None);
                };
                contact
            }
            None => self.learn(scope, person).await?,
        };
        let line = (contact, person.number.to_owned());
        if let Some(found) = self.lines.get(&line) {
            return Ok(Some(found.clone()));
        }
        if !self.looked_up.contains(&line)
            && let Some(conversation) =
                identity::find_conversation(scope, ContactId(contact), person.number).await?
        {
            scope.after.learnt.push(Learnt::Line(line.clone(), conversation));
            self.found(line.clone(), conversation);
            return Ok(self.lines.get(&line).cloned());
        }
        let session = self.begin_session(scope, contact, person.told.now, person.number);
        let (conversation, contact) = (session.conversation, session.contact);
        let fresh = self.begun.contains(&contact.0).then_some(session);
        let found = Found { conversation, contact, fresh };
        scope.after.learnt.push(Learnt::Line(line.clone(), found.conversation.0));
        self.lines.insert(line, found.clone());
        Ok(Some(found))
    }

    async fn is_duplicate(&mut self, scope: &Scope<'_>, person: &Person<'_>) -> Result<bool, DbErr> {
        if !self.duplicates.contains_key(&person.dedupe_key) {
            self.look_for_duplicates(scope, &[person.dedupe_key]).await?;
        }
        // What is the same within this batch is a duplicate from the second on.
        Ok(self.duplicates.insert(person.dedupe_key, true).unwrap_or(false))
    }

    /// Takes in what is new about this person, and returns who it is.
    async fn learn(&mut self, scope: &mut Scope<'_>, person: &Person<'_>) -> Result<i64, DbErr> {
        let strangers = person.keys().all(|key| !self.people.contains_key(&key));
        let known = if strangers {
            Vec::new()
        } else {
            self.flush(scope).await?;
            identity::known(scope, person.told).await?
        };
        let plan = plan(&known, person.told);
        let before = plan.contact.and_then(|id| known.iter().find(|contact| contact.id == id));
        let changes = before.is_none_or(|before| !plan.changes_nothing(before));
        // An erased person who wanted no messages still wants none.
        let mark = tombstone::unmark(scope, &plan.gained).await?;
        let contact = match plan.contact {
            Some(contact) => {
                if let Some(mark) = mark {
                    consent::recall(scope, contact, mark).await?;
                }
                contact.0
            }
            None => {
                let contact = self.begin_contact(scope, &plan.ids, person, mark);
                self.looked_up.insert((contact, person.number.to_owned()));
                contact
            }
        };
        if !changes {
            return Ok(contact);
        }
        if !known.is_empty() {
            let moved = identity::carry_out(scope, &plan).await?;
            self.forget(scope, &known, &plan, moved);
        }
        for (kind, id) in plan.gained {
            let key = Key::of(kind, &id);
            self.people.insert(key, contact);
            scope.after.learnt.push(Learnt::Alias(key, contact));
            self.new_aliases.push(alias::ActiveModel {
                value: Set(text(&id)),
                kind: Set(kind.as_str().to_owned()),
                contact_id: Set(contact),
            });
        }
        Ok(contact)
    }

    /// What was carried out for the contacts that were `known`, as this batch and the batches after it have to know it.
    fn forget(&mut self, scope: &mut Scope<'_>, known: &[Known], plan: &Plan, moved: Vec<Moved>) {
        for (_, (kind, id)) in &plan.lost {
            let key = Key::of(*kind, id);
            self.people.remove(&key);
            scope.after.learnt.push(Learnt::NoAlias(key));
        }
        self.touched.extend(known.iter().map(|contact| contact.id.0));
        for found in self.lines.values_mut().filter(|found| self.touched.contains(&found.contact.0)) {
            found.fresh = None;
        }
        let Some(survivor) = plan.contact else { return };
        for contact in known.iter().filter(|contact| plan.merged.contains(&contact.id)) {
            let kept = |alias: &&Alias| !plan.lost.iter().any(|(_, lost)| lost == *alias);
            for (kind, id) in contact.aliases.iter().filter(kept) {
                let key = Key::of(*kind, id);
                self.people.insert(key, survivor.0);
                scope.after.learnt.push(Learnt::Alias(key, survivor.0));
            }
        }
        for Moved { contact_before, number, from, to } in moved {
            let (before, now) = ((contact_before, number.clone()), (survivor.0, number));
            let found = Found { conversation: ConversationId(to), contact: survivor, fresh: None };
            self.lines.remove(&before);
            self.lines.insert(now.clone(), found.clone());
            self.successors.values_mut().filter(|found| found.conversation.0 == from).for_each(|earlier| {
                *earlier = found.clone();
            });
            self.successors.insert(from, found);
            scope.after.learnt.push(Learnt::NoLine(before));
            scope.after.learnt.push(Learnt::Line(now, to));
        }
    }

    /// The line that was `found` earlier in this batch, as it is at its end.
    pub(crate) fn at_the_end(&self, found: Found) -> Found {
        if let Some(successor) = self.successors.get(&found.conversation.0) {
            return successor.clone();
        }
        let fresh = found.fresh.filter(|_| !self.touched.contains(&found.contact.0));
        Found { fresh, ..found }
    }

    /// Those of these conversations that are there, each with the one that it became part of, in this batch or before.
    pub(crate) async fn standing(
        &self,
        scope: &Scope<'_>,
        conversations: &[i64],
    ) -> Result<HashMap<i64, Option<ConversationId>>, DbErr> {
        let mut standing = HashMap::new();
        for part in bulk::parts(conversations) {
            let rows: Vec<(i64, Option<i64>)> = session::Entity::find()
                .select_only()
                .columns([session::Column::Id, session::Column::MergedInto])
                .filter(session::Column::Id.is_in(part.iter().copied()))
                .into_tuple()
                .all(scope.tx)
                .await?;
            standing.extend(rows.into_iter().map(|(id, into)| (id, into.map(ConversationId))));
        }
        Ok(standing)
    }

    fn begin_contact(
        &mut self,
        scope: &mut Scope<'_>,
        ids: &Identity,
        person: &Person<'_>,
        mark: Option<opt_out_mark::Model>,
    ) -> i64 {
        let id = scope.ids.next();
        if mark.is_none() {
            self.begun.insert(id);
        }
        scope.tally.add(person.number, "contacts", 1);
        let mut row = contact::ActiveModel {
            id: Set(id),
            wa_id: Set(ids.wa_id.as_deref().map(text)),
            user_id: Set(ids.user_id.as_deref().map(text)),
            parent_user_id: Set(ids.parent_user_id.as_deref().map(text)),
            name: Set(person.told.now.name.as_deref().map(text)),
            username: Set(person.told.now.username.as_deref().map(text)),
            opted_out_at: Set(None),
            opted_out_by: Set(None),
            marketing_opted_out_at: Set(None),
            marketing_opted_out_by: Set(None),
            marketing_changed_at: Set(None),
            created_at: Set(scope.now),
            updated_at: Set(scope.now),
            merged_into: Set(None),
            name_key: Set(person.told.now.name.as_deref().map(name_key)),
        };
        if let Some(mark) = mark {
            tombstone::onto(&mut row, mark);
        }
        self.new_contacts.push(row);
        id
    }

    fn begin_session(
        &mut self,
        scope: &mut Scope<'_>,
        contact: i64,
        identity: &Identity,
        number: &str,
    ) -> Session {
        let conversation = ConversationId(scope.ids.next());
        self.new_sessions.push(session::ActiveModel {
            id: Set(conversation.0),
            contact_id: Set(contact),
            phone_number_id: Set(number.to_owned()),
            shard: Set(conversation.shard()),
            version: Set(0),
            flow_hash: Set(String::new()),
            state: Set(None),
            snapshot: Set(String::new()),
            handed_off: Set(false),
            handed_off_until: Set(None),
            timer_generation: Set(0),
            last_inbound_at: Set(None),
            created_at: Set(scope.now),
            updated_at: Set(scope.now),
            merged_into: Set(None),
            active_at: Set(None),
        });
        scope.tally.add(number, "conversations", 1);
        scope.news.push(News::Conversation(conversation, notice::Change::Started));
        Session::begun(conversation, ContactId(contact), number.into(), identity.clone())
    }

    /// Writes what was begun.
    pub(crate) async fn flush(&mut self, scope: &Scope<'_>) -> Result<(), DbErr> {
        bulk::insert_models(scope.tx, std::mem::take(&mut self.new_contacts), "").await?;
        let moved = "on conflict (value, kind) do update set contact_id = excluded.contact_id";
        bulk::insert_models(scope.tx, std::mem::take(&mut self.new_aliases), moved).await?;
        bulk::insert_models(scope.tx, std::mem::take(&mut self.new_sessions), "").await?;
        Ok(())
    }
}
