//! What is remembered of the erased, as keyed hashes: which events may be told once more and are known, and which ids wanted
//! no messages.
//!
//! The key is a salt of this database and the setting `privacy.hash_key`. Ids of messages are long and random, and a hash tells
//! nothing of them. A phone number is not: who has the salt can try all numbers out, so the setting, which is not in the
//! database, is what keeps the numbers of those who opted out to themselves.

use std::collections::HashSet;
use std::fmt;

use hmac::{Hmac, KeyInit, Mac};
use sea_orm::{
    ColumnTrait, ConnectionTrait, DatabaseConnection, DbErr, EntityTrait, QueryFilter, Set, Statement, Value,
};
use sha2::Sha256;
use uuid::Uuid;

use crate::clock::{HOUR, Millis};
use crate::domain::consent::Consent;
use crate::domain::contact::Identity;
use crate::domain::identity::Alias;
use crate::store::batch::Scope;
use crate::store::consent::opted_out;
use crate::store::entity::{contact, opt_out_mark};
use crate::store::{Incoming, IncomingBody, bulk, text};

/// How long an event that came in is known after it was erased: Meta repeats for 7 days. Source: Meta, webhooks, "Retry", 2026.
pub(crate) const REPEATED_FOR: Millis = 8 * 24 * HOUR;
/// How long a message of ours is known after it was erased: Meta tries for 30 days to deliver it, and tells what came of it.
/// So long, too, an idempotency key is known to be used. Source: Meta, "Templates", time to live, 2026.
pub(crate) const TOLD_OF_FOR: Millis = 40 * 24 * HOUR;
/// Bytes of a hash that are kept.
const HASH_BYTES: usize = 16;
/// The row of the salt.
const SALT_ID: i64 = 1;

/// What goes into the key beside the salt; shown to nobody.
#[derive(Clone, Default)]
pub struct HashKey(String);

impl HashKey {
    /// This text, which may be empty.
    #[must_use]
    pub fn new(text: &str) -> Self {
        Self(text.to_owned())
    }
}

impl fmt::Debug for HashKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HashKey(…)")
    }
}

/// Makes the hashes.
#[derive(Clone)]
pub(crate) struct Hasher(Hmac<Sha256>);

impl Hasher {
    /// The hasher of this database; its salt is made where there is none.
    pub(crate) async fn open(writer: &DatabaseConnection, key: &HashKey) -> Result<Self, DbErr> {
        let backend = writer.get_database_backend();
        let made_up = format!("{}{}", Uuid::new_v4().simple(), Uuid::new_v4().simple());
        let keep = "insert into salt (id, value) values ($1, $2) on conflict (id) do nothing";
        let values = [SALT_ID.into(), made_up.into()];
        writer.execute_raw(Statement::from_sql_and_values(backend, keep, values)).await?;
        let read =
            Statement::from_sql_and_values(backend, "select value from salt where id = $1", [SALT_ID.into()]);
        let row = writer.query_one_raw(read).await?;
        let salt: String = row.ok_or(DbErr::RecordNotInserted)?.try_get_by_index(0)?;
        Ok(Self::new(&salt, key))
    }

    fn new(salt: &str, key: &HashKey) -> Self {
        let of_both = keyed(key.0.as_bytes()).chain_update(salt).finalize().into_bytes();
        Self(keyed(&of_both))
    }

    /// The hash of `thing`, which is of this `kind`, in hexadecimal digits.
    fn hash(&self, kind: &str, thing: impl AsRef<[u8]>) -> String {
        let hash =
            self.0.clone().chain_update(kind).chain_update([0]).chain_update(thing).finalize().into_bytes();
        hash[..HASH_BYTES].iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// Of an event, by its dedupe key.
    fn of_event(&self, dedupe_key: &[u8]) -> String {
        self.hash("event", dedupe_key)
    }

    /// Of a message, by Meta's id of it.
    fn of_message(&self, wamid: &str) -> String {
        self.hash("message", text(wamid))
    }

    /// Of one of the ids of a person.
    pub(crate) fn of_person(&self, kind: &str, id: &str) -> String {
        self.hash(kind, id)
    }
}

fn keyed(key: &[u8]) -> Hmac<Sha256> {
    Hmac::new_from_slice(key).expect("HMAC takes a key of any length")
}

/// What the writer knows of the erased between two batches.
pub(crate) struct Memory {
    pub(crate) hasher: Hasher,
    /// Until when the last of the tombstones stands: later than that, none has to be looked for.
    pub(crate) until: Millis,
    /// Whether there is a mark of any opt-out.
    pub(crate) marked: bool,
}

impl Memory {
    /// What is stored.
    pub(crate) async fn read(db: &DatabaseConnection, hasher: Hasher) -> Result<Self, DbErr> {
        let one = async |sql: &str| -> Result<Option<i64>, DbErr> {
            let row = db.query_one_raw(Statement::from_string(db.get_database_backend(), sql)).await?;
            row.map_or(Ok(None), |row| row.try_get_by_index(0))
        };
        let until = one("select max(until) from tombstone").await?.unwrap_or(0);
        let marks = one("select count(*) from opt_out_mark").await?.unwrap_or(0);
        Ok(Self { hasher, until, marked: marks > 0 })
    }
}

/// Something that is erased and may be told once more.
pub(crate) enum Grave<'a> {
    /// An event, by its dedupe key.
    Event(&'a [u8]),
    /// An event that a client asked for, by its dedupe key.
    Asked(&'a [u8]),
    /// A message, by Meta's id of it.
    Message(&'a str),
}

/// Remembers these as known.
pub(crate) async fn bury(scope: &mut Scope<'_>, graves: &[Grave<'_>]) -> Result<(), DbErr> {
    if graves.is_empty() {
        return Ok(());
    }
    let hasher = &scope.erased.hasher;
    let rows: Vec<(String, Millis)> = graves
        .iter()
        .map(|grave| match grave {
            Grave::Event(key) => (hasher.of_event(key), scope.now + REPEATED_FOR),
            Grave::Asked(key) => (hasher.of_event(key), scope.now + TOLD_OF_FOR),
            Grave::Message(wamid) => (hasher.of_message(wamid), scope.now + TOLD_OF_FOR),
        })
        .collect();
    let last = rows.iter().map(|(_, until)| *until).max().unwrap_or(0);
    scope.after.buried_until = scope.after.buried_until.max(last);
    let mut seen = HashSet::new();
    let rows = rows.into_iter().filter(|(hash, _)| seen.insert(hash.clone()));
    let rows = rows.map(|(hash, until)| vec![Value::from(hash), until.into()]).collect();
    let known = "on conflict (hash) do update set until = excluded.until";
    bulk::insert(scope.tx, "tombstone", &["hash", "until"], rows, known).await?;
    Ok(())
}

/// Which of these events, by their places, are of something that was erased: they are known, and nothing of them is kept.
pub(crate) async fn buried(scope: &Scope<'_>, all: &[&Incoming]) -> Result<HashSet<usize>, DbErr> {
    if scope.erased.until <= scope.now {
        return Ok(HashSet::new());
    }
    let hasher = &scope.erased.hasher;
    let mut places = Vec::with_capacity(all.len());
    for (place, incoming) in all.iter().enumerate() {
        places.push((hasher.of_event(incoming.dedupe_key.as_bytes()), place));
        if let IncomingBody::Status { update, .. } = &incoming.body {
            places.push((hasher.of_message(&update.wamid), place));
        }
    }
    let mut standing = HashSet::new();
    for part in bulk::parts(&places) {
        let list: Vec<String> = (2..part.len() + 2).map(|i| format!("${i}")).collect();
        let sql = format!("select hash from tombstone where until > $1 and hash in ({})", list.join(", "));
        let hashes = part.iter().map(|(hash, _)| Value::from(hash.as_str()));
        let values = std::iter::once(Value::from(scope.now)).chain(hashes);
        let statement = Statement::from_sql_and_values(scope.tx.get_database_backend(), sql, values);
        for row in scope.tx.query_all_raw(statement).await? {
            standing.insert(row.try_get_by_index::<String>(0)?);
        }
    }
    Ok(places.into_iter().filter(|(hash, _)| standing.contains(hash)).map(|(_, place)| place).collect())
}

/// Marks that this person, who is being erased, wanted no messages: whoever has one of their ids later wants none either.
pub(crate) async fn mark(scope: &mut Scope<'_>, person: &contact::Model, ids: &[Alias]) -> Result<(), DbErr> {
    if person.opted_out_at.is_none() && person.marketing_opted_out_at.is_none() {
        return Ok(());
    }
    let columns = [
        "hash",
        "opted_out_at",
        "opted_out_by",
        "marketing_opted_out_at",
        "marketing_opted_out_by",
        "marketing_changed_at",
    ];
    let row = |(kind, id): &Alias| {
        vec![
            scope.erased.hasher.of_person(kind.as_str(), id).into(),
            person.opted_out_at.into(),
            person.opted_out_by.clone().into(),
            person.marketing_opted_out_at.into(),
            person.marketing_opted_out_by.clone().into(),
            person.marketing_changed_at.into(),
        ]
    };
    let rows: Vec<Vec<Value>> = ids.iter().map(row).collect();
    scope.after.marked = true;
    bulk::insert(scope.tx, "opt_out_mark", &columns, rows, "on conflict (hash) do nothing").await?;
    Ok(())
}

/// What the ids of a person say that they wanted, from before they were erased. The marks go: from here on it stands with the
/// person.
pub(crate) async fn unmark(scope: &Scope<'_>, ids: &[Alias]) -> Result<Option<opt_out_mark::Model>, DbErr> {
    if ids.is_empty() || !(scope.erased.marked || scope.after.marked) {
        return Ok(None);
    }
    let hashes: Vec<String> =
        ids.iter().map(|(kind, id)| scope.erased.hasher.of_person(kind.as_str(), &text(id))).collect();
    let wanted = || opt_out_mark::Column::Hash.is_in(hashes.iter().map(String::as_str));
    let marks = opt_out_mark::Entity::find().filter(wanted()).all(scope.tx).await?;
    if marks.is_empty() {
        return Ok(None);
    }
    opt_out_mark::Entity::delete_many().filter(wanted()).exec(scope.tx).await?;
    let all = marks.iter().filter(|mark| mark.opted_out_at.is_some()).min_by_key(|mark| mark.opted_out_at);
    let marketing = marks
        .iter()
        .filter(|mark| mark.marketing_opted_out_at.is_some())
        .min_by_key(|mark| mark.marketing_opted_out_at);
    Ok(Some(opt_out_mark::Model {
        hash: String::new(),
        opted_out_at: all.and_then(|mark| mark.opted_out_at),
        opted_out_by: all.and_then(|mark| mark.opted_out_by.clone()),
        marketing_opted_out_at: marketing.and_then(|mark| mark.marketing_opted_out_at),
        marketing_opted_out_by: marketing.and_then(|mark| mark.marketing_opted_out_by.clone()),
        marketing_changed_at: marks.iter().filter_map(|mark| mark.marketing_changed_at).max(),
    }))
}

/// What these ids say that their person wanted, before they were erased.
pub(crate) async fn marked(
    db: &DatabaseConnection,
    hasher: &Hasher,
    identity: &Identity,
) -> Result<Consent, DbErr> {
    let hashes: Vec<String> =
        identity.aliases().map(|(kind, id)| hasher.of_person(kind.as_str(), &text(id))).collect();
    let marks = opt_out_mark::Entity::find().filter(opt_out_mark::Column::Hash.is_in(hashes)).all(db).await?;
    let mut wants = Consent::default();
    for mark in marks {
        wants.all = wants.all.or(opted_out(mark.opted_out_at, mark.opted_out_by));
        wants.marketing =
            wants.marketing.or(opted_out(mark.marketing_opted_out_at, mark.marketing_opted_out_by));
    }
    Ok(wants)
}

/// What a mark says, as the columns of the person whom it is about.
pub(crate) fn onto(person: &mut contact::ActiveModel, mark: opt_out_mark::Model) {
    person.opted_out_at = Set(mark.opted_out_at);
    person.opted_out_by = Set(mark.opted_out_by);
    person.marketing_opted_out_at = Set(mark.marketing_opted_out_at);
    person.marketing_opted_out_by = Set(mark.marketing_opted_out_by);
    person.marketing_changed_at = Set(mark.marketing_changed_at);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_depends_on_salt_key_kind_and_text() {
        let hasher = |salt: &str, key: &str| Hasher::new(salt, &HashKey::new(key));
        let first = hasher("salt", "").hash("wa_id", "4915112345001");
        assert_eq!(first.len(), 2 * HASH_BYTES);
        assert_eq!(first, hasher("salt", "").hash("wa_id", "4915112345001"));
        for other in [
            hasher("other", "").hash("wa_id", "4915112345001"),
            hasher("salt", "key").hash("wa_id", "4915112345001"),
            hasher("salt", "").hash("user_id", "4915112345001"),
            hasher("salt", "").hash("wa_id", "4915112345002"),
            hasher("salt", "").hash("wa_id4915112345001", ""),
        ] {
            assert_ne!(first, other);
        }
        assert_eq!(format!("{:?}", HashKey::new("hush")), "HashKey(…)");
    }
}
