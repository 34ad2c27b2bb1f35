//! API keys. A key is made here, handed out once and forgotten: what is kept is its hash.

use sea_orm::{ColumnTrait, Condition, DbErr, EntityTrait, QueryFilter, Set};
use uuid::Uuid;

use crate::clock::Millis;
use crate::domain::access::{KEY_PREFIX, KeyHash, NewKey, Scopes};
use crate::domain::ids::KeyId;
use crate::store::batch::{Reply, Scope};
use crate::store::entity::api_key;
use crate::store::request::Request;
use crate::store::{Error, Store, text};

/// A key, as stored.
#[derive(Debug, Clone)]
pub struct StoredKey {
    /// Its id.
    pub id: KeyId,
    /// What people call it.
    pub name: String,
    /// What it may do.
    pub scopes: Scopes,
    /// What it is told by.
    pub hash: KeyHash,
    /// Its own rate, if it has one.
    pub requests_per_second: Option<u32>,
    /// When it was made.
    pub created_at: Millis,
    /// From when on it opens nothing, if ever.
    pub expires_at: Option<Millis>,
    /// Since when it opens nothing, because somebody said so.
    pub revoked_at: Option<Millis>,
    /// When it was last used, to the minute.
    pub last_used_at: Option<Millis>,
}

/// What is to be written about keys.
#[derive(Debug, Clone)]
pub(crate) enum KeyWrite {
    Created(NewKey, KeyHash),
    Revoked(KeyId),
    Used(KeyId, Millis),
}

impl Store {
    /// A key by its id.
    ///
    /// # Errors
    /// When the database cannot be read, or the row does not read back.
    pub async fn find_key(&self, id: KeyId) -> Result<Option<StoredKey>, Error> {
        self.read(move |db| async move {
            api_key::Entity::find_by_id(id.0).one(&db).await?.map(stored).transpose()
        })
        .await
    }

    /// The key of which this is the hash, revoked or not.
    ///
    /// # Errors
    /// When the database cannot be read, or the row does not read back.
    pub async fn find_key_by_hash(&self, hash: KeyHash) -> Result<Option<StoredKey>, Error> {
        let found = self
            .read(move |db| async move {
                let handle = api_key::Column::Handle.eq(hash.handle());
                api_key::Entity::find().filter(handle).one(&db).await?.map(stored).transpose()
            })
            .await?;
        Ok(found.filter(|key| key.hash.is(hash)))
    }

    /// Makes a key. What is returned beside its id is the key itself: it is nowhere else, and never told again.
    ///
    /// # Errors
    /// When the database refuses: there is no such key then.
    pub async fn create_key(&self, wanted: NewKey) -> Result<(KeyId, String), Error> {
        let key = fresh();
        match self.ask(Request::Key(KeyWrite::Created(wanted, KeyHash::of(&key)))).await? {
            Reply::Key(id) => Ok((id, key)),
            _ => Err(Error::Closed),
        }
    }

    /// Takes a key's power away. False when it has none, or there is no such key.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn revoke_key(&self, id: KeyId) -> Result<bool, Error> {
        match self.ask(Request::Key(KeyWrite::Revoked(id))).await? {
            Reply::Changed(changed) => Ok(changed),
            _ => Err(Error::Closed),
        }
    }

    /// Writes down that a key was used at `at`.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn key_used(&self, id: KeyId, at: Millis) -> Result<(), Error> {
        self.ask(Request::Key(KeyWrite::Used(id, at))).await.map(drop)
    }
}

/// 256 bits that nobody can guess: three random ids have 366, and the hash of them is as long as a key.
fn fresh() -> String {
    let random: String = (0..3).map(|_| Uuid::new_v4().simple().to_string()).collect();
    format!("{KEY_PREFIX}{}", KeyHash::of(&random).to_hex())
}

pub(crate) async fn write(scope: &Scope<'_>, write: &KeyWrite) -> Result<Reply, DbErr> {
    match write {
        KeyWrite::Created(wanted, hash) => {
            let id = scope.ids.next();
            let row = api_key::ActiveModel {
                id: Set(id),
                name: Set(text(wanted.name())),
                handle: Set(hash.handle()),
                hash: Set(hash.to_hex()),
                scopes: Set(wanted.scopes().to_string()),
                requests_per_second: Set(wanted.requests_per_second().map(i64::from)),
                created_at: Set(scope.now),
                expires_at: Set(wanted.expires_at()),
                revoked_at: Set(None),
                last_used_at: Set(None),
            };
            api_key::Entity::insert(row).exec_without_returning(scope.tx).await?;
            Ok(Reply::Key(KeyId(id)))
        }
        KeyWrite::Revoked(id) => {
            let row =
                api_key::ActiveModel { revoked_at: Set(Some(scope.now)), ..api_key::ActiveModel::default() };
            let open = Condition::all().add(api_key::Column::RevokedAt.is_null());
            update(scope, *id, row, open).await.map(Reply::Changed)
        }
        KeyWrite::Used(id, at) => {
            let row =
                api_key::ActiveModel { last_used_at: Set(Some(*at)), ..api_key::ActiveModel::default() };
            let last = api_key::Column::LastUsedAt;
            let later = Condition::any().add(last.is_null()).add(last.lt(*at));
            update(scope, *id, row, later).await.map(Reply::Changed)
        }
    }
}

/// Writes `row` over the key `id` where `condition` holds, and says whether it did.
async fn update(
    scope: &Scope<'_>,
    id: KeyId,
    row: api_key::ActiveModel,
    condition: Condition,
) -> Result<bool, DbErr> {
    let written = api_key::Entity::update_many()
        .set(row)
        .filter(api_key::Column::Id.eq(id.0))
        .filter(condition)
        .exec(scope.tx)
        .await?;
    Ok(written.rows_affected > 0)
}

pub(super) fn stored(row: api_key::Model) -> Result<StoredKey, Error> {
    let corrupt =
        |what: &str| Error::Corrupt { what: "key", id: row.id, reason: format!("its {what} is none") };
    Ok(StoredKey {
        id: KeyId(row.id),
        scopes: Scopes::parse(&row.scopes).ok_or_else(|| corrupt("list of scopes"))?,
        hash: KeyHash::from_hex(&row.hash).ok_or_else(|| corrupt("hash"))?,
        requests_per_second: row
            .requests_per_second
            .map(|rate| u32::try_from(rate).map_err(|_| corrupt("rate")))
            .transpose()?,
        name: row.name,
        created_at: row.created_at,
        expires_at: row.expires_at,
        revoked_at: row.revoked_at,
        last_used_at: row.last_used_at,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_key_is_made_twice_and_each_has_64_digits() {
        let keys: std::collections::BTreeSet<String> = (0..1_000).map(|_| fresh()).collect();
        assert_eq!(keys.len(), 1_000);
        for key in keys {
            let digits = key.strip_prefix(KEY_PREFIX).unwrap();
            assert!(digits.len() == 64 && digits.bytes().all(|digit| digit.is_ascii_hexdigit()), "{key}");
        }
    }
}
