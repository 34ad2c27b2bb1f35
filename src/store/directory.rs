//! Who is who: from what a webhook says about a person to the contact and the conversation, within the accepting
//! transaction. What was found is remembered, up to a limit; only the writer reads and changes this.

use std::collections::HashMap;
use std::num::NonZeroUsize;

use lru::LruCache;
use sea_orm::{ColumnTrait, DbErr, EntityTrait, QueryFilter, Set};

use crate::domain::contact::Identity;
use crate::domain::ids::{ContactId, ConversationId};
use crate::store::batch::Scope;
use crate::store::entity::{alias, contact, session};
use crate::store::{Session, bulk, text};

/// The person in a conversation and the number of ours that it is with.
type Line = (i64, String);

/// What the writer remembers of who is who.
pub(crate) struct Directory {
    /// From an alias (`kind:value`) to the contact.
    people: LruCache<String, i64>,
    /// From a line to the conversation.
    lines: LruCache<Line, i64>,
}

/// Something to remember once it is committed.
pub(crate) enum Learnt {
    Alias(String, i64),
    Line(Line, i64),
}

impl Directory {
    pub(crate) fn new(capacity: usize) -> Self {
        let capacity = NonZeroUsize::new(capacity).unwrap_or(NonZeroUsize::MIN);
        Self { people: LruCache::new(capacity), lines: LruCache::new(capacity) }
    }

    pub(crate) fn learn(&mut self, learnt: Vec<Learnt>) {
        for fact in learnt {
            match fact {
                Learnt::Alias(alias, contact) => _ = self.people.put(alias, contact),
                Learnt::Line(line, conversation) => _ = self.lines.put(line, conversation),
            }
        }
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

/// The lines of one batch.
#[derive(Default)]
pub(crate) struct Lookup {
    people: HashMap<String, i64>,
    lines: HashMap<Line, Found>,
    new_contacts: Vec<contact::ActiveModel>,
    new_aliases: Vec<alias::ActiveModel>,
    new_sessions: Vec<session::ActiveModel>,
}

fn keys(identity: &Identity) -> impl Iterator<Item = String> {
    identity.aliases().map(|(kind, value)| format!("{}:{value}", kind.as_str()))
}

impl Lookup {
    /// Reads, in two statements at the most, what is not remembered about these people.
    pub(crate) async fn prepare(scope: &mut Scope<'_>, wanted: &[(&Identity, &str)]) -> Result<Self, DbErr> {
        let mut lookup = Self::default();
        let mut unknown = Vec::new();
        for (identity, _) in wanted {
            for (kind, value) in identity.aliases() {
                let key = format!("{}:{value}", kind.as_str());
                if let Some(contact) = scope.directory.people.get(&key) {
                    lookup.people.insert(key, *contact);
                } else if !lookup.people.contains_key(&key) {
                    unknown.push(value.to_owned());
                }
            }
        }
        for part in bulk::parts(&unknown) {
            let rows = alias::Entity::find().filter(alias::Column::Value.is_in(part)).all(scope.tx).await?;
            for row in rows {
                let key = format!("{}:{}", row.kind, row.value);
                scope.after.learnt.push(Learnt::Alias(key.clone(), row.contact_id));
                lookup.people.insert(key, row.contact_id);
            }
        }

        let mut unread = Vec::new();
        for (identity, number) in wanted {
            let Some(contact) = keys(identity).find_map(|key| lookup.people.get(&key).copied()) else {
                continue;
            };
            let line = (contact, (*number).to_owned());
            match scope.directory.lines.get(&line) {
                Some(conversation) => lookup.found(line, *conversation),
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
        Ok(lookup)
    }

    fn found(&mut self, line: Line, conversation: i64) {
        let contact = ContactId(line.0);
        let conversation = ConversationId(conversation);
        self.lines.insert(line, Found { conversation, contact, fresh: None });
    }

    /// The conversation of this person with this number; contact, aliases and session are begun where they are missing.
    pub(crate) fn line(&mut self, scope: &mut Scope<'_>, identity: &Identity, number: &str) -> Found {
        let contact = match keys(identity).find_map(|key| self.people.get(&key).copied()) {
            Some(contact) => contact,
            None => self.begin_contact(scope, identity, number),
        };
        for (kind, value) in identity.aliases() {
            let key = format!("{}:{value}", kind.as_str());
            if !self.people.contains_key(&key) {
                self.people.insert(key.clone(), contact);
                scope.after.learnt.push(Learnt::Alias(key, contact));
                self.new_aliases.push(alias::ActiveModel {
                    value: Set(text(value)),
                    kind: Set(kind.as_str().to_owned()),
                    contact_id: Set(contact),
                });
            }
        }
        let line = (contact, number.to_owned());
        if let Some(found) = self.lines.get(&line) {
            return found.clone();
        }
        let session = self.begin_session(scope, contact, identity, number);
        let found =
            Found { conversation: session.conversation, contact: session.contact, fresh: Some(session) };
        scope.after.learnt.push(Learnt::Line(line.clone(), found.conversation.0));
        self.lines.insert(line, found.clone());
        found
    }

    fn begin_contact(&mut self, scope: &mut Scope<'_>, identity: &Identity, number: &str) -> i64 {
        let id = scope.ids.next();
        scope.tally.add(number, "contacts", 1);
        self.new_contacts.push(contact::ActiveModel {
            id: Set(id),
            wa_id: Set(identity.wa_id.as_deref().map(text)),
            user_id: Set(identity.user_id.as_deref().map(text)),
            parent_user_id: Set(identity.parent_user_id.as_deref().map(text)),
            name: Set(identity.name.as_deref().map(text)),
            username: Set(identity.username.as_deref().map(text)),
            opted_out_at: Set(None),
            opted_out_by: Set(None),
            marketing_opted_out_at: Set(None),
            marketing_opted_out_by: Set(None),
            marketing_changed_at: Set(None),
            created_at: Set(scope.now),
            updated_at: Set(scope.now),
        });
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
        });
        scope.tally.add(number, "conversations", 1);
        Session {
            conversation,
            contact: ContactId(contact),
            phone_number_id: number.into(),
            identity: identity.clone(),
            version: 0,
            flow_hash: String::new(),
            state: None,
            snapshot: String::new(),
            handed_off: false,
            timer_generation: 0,
            last_inbound_at: None,
        }
    }

    /// Writes what was begun.
    pub(crate) async fn write(self, scope: &Scope<'_>) -> Result<(), DbErr> {
        for part in bulk::parts(&self.new_contacts) {
            contact::Entity::insert_many(part.iter().cloned()).exec_without_returning(scope.tx).await?;
        }
        for part in bulk::parts(&self.new_aliases) {
            alias::Entity::insert_many(part.iter().cloned()).exec_without_returning(scope.tx).await?;
        }
        for part in bulk::parts(&self.new_sessions) {
            session::Entity::insert_many(part.iter().cloned()).exec_without_returning(scope.tx).await?;
        }
        Ok(())
    }
}
