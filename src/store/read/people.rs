//! People, and the conversations that we have with them.

use std::collections::BTreeMap;

use sea_orm::{ColumnTrait, DatabaseConnection, EntityTrait, QueryFilter, QueryOrder, QuerySelect};

use super::{Page, page};
use crate::clock::Millis;
use crate::domain::consent::Consent;
use crate::domain::contact::{AliasKind, Identity};
use crate::domain::identity::Alias;
use crate::domain::ids::{ContactId, ConversationId};
use crate::store::consent::consent_of;
use crate::store::entity::{alias, contact, session};
use crate::store::privacy::tombstone;
use crate::store::{Error, Store, Target, gate, text};

/// A stored person.
#[derive(Debug, Clone)]
pub struct StoredContact {
    /// Their id.
    pub id: ContactId,
    /// Who they are.
    pub identity: Identity,
    /// What they want to be sent.
    pub consent: Consent,
    /// When they first wrote or were written to.
    pub created_at: Millis,
    /// All ids under which they are found, those that they had earlier among them.
    pub aliases: Vec<Alias>,
}

/// Whether and what a person may be sent.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Standing {
    /// What they want.
    pub consent: Consent,
    /// When they last wrote: the 24-hour window counts from here.
    pub last_inbound_at: Option<Millis>,
}

/// A stored conversation.
#[derive(Debug, Clone)]
pub struct StoredConversation {
    /// Its id.
    pub id: ConversationId,
    /// The person.
    pub contact: ContactId,
    /// Who they are.
    pub identity: Identity,
    /// Our number.
    pub phone_number_id: String,
    /// Turns committed.
    pub version: i64,
    /// Where its flow stands.
    pub state: Option<String>,
    /// Whether a person has taken over.
    pub handed_off: bool,
    /// When the bot answers again by itself, where someone has said so.
    pub handed_off_until: Option<Millis>,
    /// When the person last wrote.
    pub last_inbound_at: Option<Millis>,
    /// When it began.
    pub created_at: Millis,
    /// When it last changed.
    pub updated_at: Millis,
    /// The conversation that it became part of, when its person turned out to be another one's.
    pub merged_into: Option<ConversationId>,
}

impl Store {
    /// A page of people, newest first; one who turned out to be another one is that one.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn list_contacts(&self, page: Page) -> Result<Vec<StoredContact>, Error> {
        self.read(move |db| async move {
            let living = contact::Entity::find().filter(contact::Column::MergedInto.is_null());
            let rows = page!(living, contact::Column::Id, page).all(&db).await?;
            let found = alias::Entity::find()
                .filter(alias::Column::ContactId.is_in(rows.iter().map(|row| row.id)))
                .order_by_asc(alias::Column::Kind)
                .order_by_asc(alias::Column::Value)
                .all(&db)
                .await?;
            let mut aliases: BTreeMap<i64, Vec<Alias>> = BTreeMap::new();
            for row in found {
                let alias = AliasKind::parse(&row.kind).map(|kind| (kind, row.value));
                aliases.entry(row.contact_id).or_default().extend(alias);
            }
            let view = |row: contact::Model| StoredContact {
                id: ContactId(row.id),
                aliases: aliases.remove(&row.id).unwrap_or_default(),
                consent: consent_of(&row),
                created_at: row.created_at,
                identity: identity(row),
            };
            Ok(rows.into_iter().map(view).collect())
        })
        .await
    }

    /// A person by their id, or by the one whom they turned out to be.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn find_contact(&self, id: ContactId) -> Result<Option<StoredContact>, Error> {
        let merged = self.read(move |db| async move {
            let row = contact::Entity::find_by_id(id.0).one(&db).await?;
            Ok(row.map(|row| row.merged_into.unwrap_or(row.id)))
        });
        let Some(id) = merged.await? else { return Ok(None) };
        let page = Page { before: Some(id.saturating_add(1)), limit: 1 };
        Ok(self.list_contacts(page).await?.into_iter().find(|contact| contact.id.0 == id))
    }

    /// The person to whom any of these ids leads.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn find_person(&self, identity: Identity) -> Result<Option<ContactId>, Error> {
        self.read(move |db| async move { Ok(owner(&db, &identity).await?.map(ContactId)) }).await
    }

    /// What is known of the person in a conversation that may or may not exist yet: when they last wrote to this number, and
    /// what they want to be sent.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn standing(&self, target: &Target) -> Result<Standing, Error> {
        let (target, hasher) = (target.clone(), self.0.hasher.clone());
        self.read(move |db| async move {
            let line = match &target {
                Target::Conversation(id) => {
                    let row = session::Entity::find_by_id(id.0).one(&db).await?;
                    match row.as_ref().and_then(|row| row.merged_into) {
                        Some(into) => session::Entity::find_by_id(into).one(&db).await?,
                        None => row,
                    }
                }
                Target::Person { phone_number_id, identity } => {
                    let Some(contact) = owner(&db, identity).await? else {
                        let consent = tombstone::marked(&db, &hasher, identity).await?;
                        return Ok(Standing { consent, last_inbound_at: None });
                    };
                    let line = session::Entity::find()
                        .filter(session::Column::ContactId.eq(contact))
                        .filter(session::Column::PhoneNumberId.eq(phone_number_id.as_str()));
                    let Some(line) = line.one(&db).await? else {
                        let person = contact::Entity::find_by_id(contact).one(&db).await?;
                        let consent = person.as_ref().map(consent_of).unwrap_or_default();
                        return Ok(Standing { consent, last_inbound_at: None });
                    };
                    Some(line)
                }
            };
            let Some(line) = line else { return Ok(Standing::default()) };
            let person = contact::Entity::find_by_id(line.contact_id).one(&db).await?;
            let newest = gate::newest_inbound(&db, line.id).await?;
            Ok(Standing {
                consent: person.as_ref().map(consent_of).unwrap_or_default(),
                last_inbound_at: line.last_inbound_at.max(newest),
            })
        })
        .await
    }

    /// A page of conversations, the newest begun first; or the one with this id, even where it became part of another one.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn list_conversations(
        &self,
        id: Option<ConversationId>,
        page: Page,
    ) -> Result<Vec<StoredConversation>, Error> {
        self.read(move |db| async move {
            let mut select = page!(session::Entity::find(), session::Column::Id, page);
            select = match id {
                Some(id) => select.filter(session::Column::Id.eq(id.0)),
                None => select.filter(session::Column::MergedInto.is_null()),
            };
            let rows = select.all(&db).await?;
            let people = contact::Entity::find()
                .filter(contact::Column::Id.is_in(rows.iter().map(|row| row.contact_id)))
                .all(&db)
                .await?;
            let people: BTreeMap<i64, contact::Model> = people.into_iter().map(|row| (row.id, row)).collect();
            let view = |row: session::Model| StoredConversation {
                id: ConversationId(row.id),
                contact: ContactId(row.contact_id),
                identity: people.get(&row.contact_id).cloned().map(identity).unwrap_or_default(),
                phone_number_id: row.phone_number_id,
                version: row.version,
                state: row.state,
                handed_off: row.handed_off,
                handed_off_until: row.handed_off_until,
                last_inbound_at: row.last_inbound_at,
                created_at: row.created_at,
                updated_at: row.updated_at,
                merged_into: row.merged_into.map(ConversationId),
            };
            Ok(rows.into_iter().map(view).collect())
        })
        .await
    }
}

/// The contact to whom any of these ids leads.
async fn owner(db: &DatabaseConnection, identity: &Identity) -> Result<Option<i64>, Error> {
    for (kind, id) in identity.aliases() {
        let row = alias::Entity::find_by_id((text(id), kind.as_str().to_owned())).one(db).await?;
        if let Some(row) = row {
            return Ok(Some(row.contact_id));
        }
    }
    Ok(None)
}

/// Who a row says that a person is.
pub(in crate::store) fn identity(row: contact::Model) -> Identity {
    Identity {
        wa_id: row.wa_id,
        user_id: row.user_id,
        parent_user_id: row.parent_user_id,
        name: row.name,
        username: row.username,
    }
}
