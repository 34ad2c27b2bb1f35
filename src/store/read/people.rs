//! People, and the conversations that we have with them.

use std::collections::BTreeMap;

use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect};

use super::{Page, page};
use crate::clock::Millis;
use crate::domain::contact::{AliasKind, Identity};
use crate::domain::identity::Alias;
use crate::domain::ids::{ContactId, ConversationId};
use crate::store::entity::{alias, contact, session};
use crate::store::{Error, Store};

/// A stored person.
#[derive(Debug, Clone)]
pub struct StoredContact {
    /// Their id.
    pub id: ContactId,
    /// Who they are.
    pub identity: Identity,
    /// When they asked for silence.
    pub opted_out_at: Option<Millis>,
    /// When they first wrote or were written to.
    pub created_at: Millis,
    /// All ids under which they are found, those that they had earlier among them.
    pub aliases: Vec<Alias>,
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
                opted_out_at: row.opted_out_at,
                created_at: row.created_at,
                identity: identity(row),
            };
            Ok(rows.into_iter().map(view).collect())
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
