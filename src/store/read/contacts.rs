//! People.

use std::collections::BTreeMap;

use sea_orm::{ColumnTrait, DatabaseConnection, EntityTrait, QueryFilter, QueryOrder};

use super::walk::{SCAN_MAX, are_more_than};
use super::{Clause, Found, Page, Span, Way, in_order, walk};
use crate::clock::Millis;
use crate::domain::consent::Consent;
use crate::domain::contact::{AliasKind, Identity};
use crate::domain::identity::Alias;
use crate::domain::ids::ContactId;
use crate::store::consent::consent_of;
use crate::store::entity::{alias, contact, session};
use crate::store::privacy::tombstone;
use crate::store::{Error, Store, Target, bulk, gate, text};

/// Characters of a name by which it is found.
const NAME_CHARS_MAX: usize = 100;

/// A person, by one of their ids.
#[derive(Debug, Clone)]
pub enum Who {
    /// By ours.
    Contact(ContactId),
    /// By a phone number (digits) or a business-scoped id.
    Alias(String),
}

impl Who {
    /// Their contact, or that of the one whom they turned out to be.
    pub(super) async fn find(&self, db: &DatabaseConnection) -> Result<Option<i64>, Error> {
        let row = match self {
            Self::Contact(id) => contact::Entity::find_by_id(id.0).one(db).await?,
            Self::Alias(id) => {
                let alias = alias::Entity::find().filter(alias::Column::Value.eq(id.as_str()));
                let Some(alias) = alias.one(db).await? else { return Ok(None) };
                contact::Entity::find_by_id(alias.contact_id).one(db).await?
            }
        };
        Ok(row.map(|row| row.merged_into.unwrap_or(row.id)))
    }
}

/// Which people.
#[derive(Debug, Clone, Default)]
pub struct ContactFilter {
    /// Whose name begins like this, in capitals or not.
    pub name: Option<String>,
    /// Who has, or had, a phone number that begins with these digits.
    pub phone: Option<String>,
    /// Who has, or had, a business-scoped id, of their own or their parent's, that begins like this.
    pub user_id: Option<String>,
    /// Who wants no messages, or who takes them.
    pub opted_out: Option<bool>,
    /// Who wants no marketing, or who takes it.
    pub marketing_opted_out: Option<bool>,
}

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

impl Store {
    /// A page of people, in the order in which they came to be known; one who turned out to be another one is that one.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn list_contacts(
        &self,
        filter: ContactFilter,
        page: Page,
    ) -> Result<Found<StoredContact>, Error> {
        self.list(move |db| async move {
            let way = way(&db, &filter).await?;
            let found = walk(&db, &[way], Span::default(), &page).await?;
            let mut rows = Vec::with_capacity(found.keys.len());
            for part in bulk::parts(&found.keys) {
                let some = contact::Entity::find().filter(contact::Column::Id.is_in(part.iter().copied()));
                rows.extend(stored(&db, some.all(&db).await?).await?);
            }
            let rows = in_order(rows, &found.keys, &page, |row| row.id.0);
            Ok(Found { rows, rest: found.rest })
        })
        .await
    }

    /// Whom this means: the contact, or the one whom it turned out to be.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn find_contact_id(&self, who: Who) -> Result<Option<ContactId>, Error> {
        self.read(move |db| async move { Ok(who.find(&db).await?.map(ContactId)) }).await
    }

    /// A person by their id, or the one whom they turned out to be.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn find_contact(&self, id: ContactId) -> Result<Option<StoredContact>, Error> {
        self.read(move |db| async move {
            let Some(row) = contact::Entity::find_by_id(id.0).one(&db).await? else { return Ok(None) };
            let row = match row.merged_into {
                Some(into) => contact::Entity::find_by_id(into).one(&db).await?,
                None => Some(row),
            };
            Ok(stored(&db, row.into_iter().collect()).await?.pop())
        })
        .await
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
}

/// Those of whom something begins like this.
struct Beginning {
    /// Their ids, as a statement of its own.
    ids: Clause,
    /// As a condition on a person's row.
    of_row: Clause,
}

impl Beginning {
    /// Of an id of these kinds.
    fn of_id(kinds: &[AliasKind], start: &str) -> Self {
        let kinds = Clause::any_of("kind", kinds.iter().map(|kind| kind.as_str()));
        let this = Clause::plain("contact_id = contact.id");
        let conditions = [between("value", start), kinds, this];
        Self {
            ids: Clause::select("select contact_id from alias", &conditions[..2]),
            of_row: Clause::select("select 1 from alias", &conditions).exists(),
        }
    }

    fn of_name(start: &str) -> Self {
        let condition = between("name_key", &name_key(start));
        Self {
            ids: Clause::select("select id from contact", std::slice::from_ref(&condition)),
            of_row: condition,
        }
    }
}

/// That `column`, which is ordered by its bytes, begins like this.
fn between(column: &str, start: &str) -> Clause {
    let end = format!("{start}{}", char::MAX);
    Clause::new(format!("{column} >= ? and {column} < ?"), [start.into(), end.into()])
}

/// A name as it is searched.
pub(in crate::store) fn name_key(name: &str) -> String {
    text(name.trim()).to_lowercase().chars().take(NAME_CHARS_MAX).collect()
}

/// How people are found: by how one of their ids or their name begins, as long as those are few; else among those who have
/// opted out; else from the newest on.
async fn way(db: &DatabaseConnection, filter: &ContactFilter) -> Result<Way, Error> {
    let phone = filter.phone.as_deref().map(|start| Beginning::of_id(&[AliasKind::WaId], start));
    let user = [AliasKind::UserId, AliasKind::ParentUserId];
    let user = filter.user_id.as_deref().map(|start| Beginning::of_id(&user, start));
    let name = filter.name.as_deref().map(Beginning::of_name);

    let mut on = vec![Clause::plain("merged_into is null")];
    let mut rest = Vec::new();
    let mut few = false;
    for beginning in [phone, user, name].into_iter().flatten() {
        if few || are_more_than(db, beginning.ids.clone(), SCAN_MAX).await? {
            rest.push(beginning.of_row);
        } else {
            on.push(beginning.ids.holds("id"));
            few = true;
        }
    }
    for (column, wanted) in
        [("opted_out_at", filter.opted_out), ("marketing_opted_out_at", filter.marketing_opted_out)]
    {
        match wanted {
            Some(true) if !few && on.len() == 1 => on.push(Clause::plain(format!("{column} is not null"))),
            Some(true) => rest.push(Clause::plain(format!("{column} is not null"))),
            Some(false) => rest.push(Clause::plain(format!("{column} is null"))),
            None => {}
        }
    }
    Ok(Way { from: "contact", key: "id", on, rest, few })
}

/// These people, with all ids under which they are found.
async fn stored(db: &DatabaseConnection, rows: Vec<contact::Model>) -> Result<Vec<StoredContact>, Error> {
    let found = alias::Entity::find()
        .filter(alias::Column::ContactId.is_in(rows.iter().map(|row| row.id)))
        .order_by_asc(alias::Column::Kind)
        .order_by_asc(alias::Column::Value)
        .all(db)
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
