//! Who is who, carried out: what [`crate::domain::identity`] plans, done to contacts, aliases and sessions within the
//! accepting transaction. Every session whose person has other ids than before gets a new version, so that whoever holds
//! it in memory reads it again before anything more is sent.

use sea_orm::{ColumnTrait, ConnectionTrait, DbErr, EntityTrait, QueryFilter, Statement, Value};

use crate::domain::contact::{Address, AliasKind, Identity};
use crate::domain::identity::{Alias, Known, Plan, Told};
use crate::domain::ids::{ContactId, ConversationId};
use crate::store::batch::Scope;
use crate::store::entity::{alias, contact, session};
use crate::store::merge::{self, Moved};
use crate::store::read::identity;
use crate::store::{Hint, Redirected, bulk, text};

/// The contacts that the told ids lead to, as they are stored.
pub(crate) async fn known(scope: &Scope<'_>, told: Told<'_>) -> Result<Vec<Known>, DbErr> {
    let ids: Vec<Alias> = told
        .before
        .into_iter()
        .chain([told.now])
        .flat_map(Identity::aliases)
        .map(|(kind, id)| (kind, text(id)))
        .collect();
    let rows = alias::Entity::find()
        .filter(alias::Column::Value.is_in(ids.iter().map(|(_, id)| id.as_str())))
        .all(scope.tx)
        .await?;
    let owners =
        rows.into_iter().filter(|row| ids.iter().any(|id| id.0.as_str() == row.kind && id.1 == row.value));
    let mut owners: Vec<i64> = owners.map(|row| row.contact_id).collect();
    owners.sort_unstable();
    owners.dedup();

    let people = contact::Entity::find()
        .filter(contact::Column::Id.is_in(owners.iter().copied()))
        .all(scope.tx)
        .await?;
    let aliases = alias::Entity::find()
        .filter(alias::Column::ContactId.is_in(owners.iter().copied()))
        .all(scope.tx)
        .await?;
    let known = people.into_iter().map(|person| {
        let own = aliases.iter().filter(|row| row.contact_id == person.id);
        Known {
            id: ContactId(person.id),
            aliases: own.filter_map(|row| Some((AliasKind::parse(&row.kind)?, row.value.clone()))).collect(),
            ids: identity(person),
        }
    });
    Ok(known.collect())
}

/// Does what `plan` says to the contacts that are stored, all but the gained aliases, which may be a new contact's.
/// Returns the conversations that moved.
pub(crate) async fn carry_out(scope: &mut Scope<'_>, plan: &Plan) -> Result<Vec<Moved>, DbErr> {
    let mut others = Vec::new();
    for (owner, (kind, id)) in &plan.lost {
        let values = [Value::from(id.clone()), kind.as_str().into()];
        execute(scope, "delete from alias where value = $1 and kind = $2", values).await?;
        if Some(*owner) != plan.contact && !plan.merged.contains(owner) {
            let column = kind.as_str();
            let sql = format!(
                "update contact set {column} = null, updated_at = $1 where {column} = $2 and id = $3"
            );
            execute(scope, &sql, [scope.now.into(), id.clone().into(), owner.0.into()]).await?;
            others.push(owner.0);
        }
    }
    let mut moved = Vec::new();
    if let Some(contact) = plan.contact {
        save_ids(scope, contact, &plan.ids).await?;
        moved = merge::contacts(scope, contact, &plan.merged, plan.ids.address()).await?;
        touch(scope, contact.0, plan.ids.address()).await?;
    }
    for other in others {
        let person = contact::Entity::find_by_id(other).one(scope.tx).await?;
        touch(scope, other, person.and_then(|person| identity(person).address())).await?;
    }
    Ok(moved)
}

async fn save_ids(scope: &Scope<'_>, contact: ContactId, ids: &Identity) -> Result<(), DbErr> {
    let sql =
        "update contact set wa_id = $1, user_id = $2, parent_user_id = $3, updated_at = $4 where id = $5";
    let values = [
        Value::from(ids.wa_id.as_deref().map(text)),
        ids.user_id.as_deref().map(text).into(),
        ids.parent_user_id.as_deref().map(text).into(),
        scope.now.into(),
        contact.0.into(),
    ];
    execute(scope, sql, values).await.map(drop)
}

/// Makes everyone who holds a conversation of this contact in memory read it again, and the sender take the new address.
async fn touch(scope: &mut Scope<'_>, contact: i64, address: Option<Address>) -> Result<(), DbErr> {
    let sql = "update session set version = version + 1 where contact_id in ({ids}) returning id";
    let rows = bulk::returning_ids(scope.tx, sql, &[contact]).await?;
    let mut redirected = Vec::with_capacity(rows.len());
    for row in rows {
        let conversation = ConversationId(row.try_get_by_index(0)?);
        redirected.push(Redirected { from: conversation, to: conversation, address: address.clone() });
    }
    if !redirected.is_empty() {
        scope.after.hints.push(Hint::Redirected(redirected));
    }
    Ok(())
}

/// The conversation of this contact with this number of ours.
pub(crate) async fn find_conversation(
    scope: &Scope<'_>,
    contact: ContactId,
    number: &str,
) -> Result<Option<i64>, DbErr> {
    let row = session::Entity::find()
        .filter(session::Column::ContactId.eq(contact.0))
        .filter(session::Column::PhoneNumberId.eq(number))
        .one(scope.tx)
        .await?;
    Ok(row.map(|row| row.id))
}

pub(crate) async fn execute(
    scope: &Scope<'_>,
    sql: &str,
    values: impl IntoIterator<Item = Value>,
) -> Result<u64, DbErr> {
    let statement = Statement::from_sql_and_values(scope.tx.get_database_backend(), sql, values);
    Ok(scope.tx.execute_raw(statement).await?.rows_affected())
}
