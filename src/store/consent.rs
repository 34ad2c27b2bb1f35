//! What a person wants to be sent, as it is kept with the contact. Every change makes whoever holds a conversation of theirs in
//! memory read it again.

use sea_orm::{DbErr, Value};

use crate::clock::Millis;
use crate::domain::consent::{By, Change, Consent, OptedOut, Scope as Of};
use crate::domain::contact::Identity;
use crate::domain::identity::Told;
use crate::domain::ids::{ContactId, ConversationId};
use crate::store::batch::Scope;
use crate::store::entity::{contact, opt_out_mark};
use crate::store::identity::{execute, known};

/// Since when and by whose word, from its two columns; a word that this version does not know is an operator's.
pub(crate) fn opted_out(at: Option<Millis>, by: Option<String>) -> Option<OptedOut> {
    let by = by.as_deref().and_then(By::parse).unwrap_or(By::Operator);
    at.map(|at| OptedOut { at, by })
}

/// What a stored person wants.
pub(crate) fn consent_of(row: &contact::Model) -> Consent {
    Consent {
        all: opted_out(row.opted_out_at, row.opted_out_by.clone()),
        marketing: opted_out(row.marketing_opted_out_at, row.marketing_opted_out_by.clone()),
    }
}

/// Keeps `change`. False when nobody has this id, or a newer word on marketing is known. The conversation `within`, whose turn
/// this is, needs no new version.
pub(crate) async fn change(
    scope: &Scope<'_>,
    contact: ContactId,
    change: Change,
    within: Option<ConversationId>,
) -> Result<bool, DbErr> {
    let (at, by) = if change.opted_out { (Some(change.at), Some(change.by.as_str())) } else { (None, None) };
    let changed = match change.scope {
        Of::All => {
            let sql =
                "update contact set opted_out_at = $1, opted_out_by = $2, updated_at = $3 where id = $4";
            let values = [Value::from(at), by.into(), scope.now.into(), contact.0.into()];
            execute(scope, sql, values).await?
        }
        // Meta's word may come late: only a newer one counts.
        Of::Marketing => {
            let sql = "update contact set marketing_opted_out_at = $1, marketing_opted_out_by = $2, \
                       marketing_changed_at = $3, updated_at = $4 \
                       where id = $5 and (marketing_changed_at is null or marketing_changed_at < $6)";
            let values = [
                Value::from(at),
                by.into(),
                change.at.into(),
                scope.now.into(),
                contact.0.into(),
                change.at.into(),
            ];
            execute(scope, sql, values).await?
        }
    };
    let outdated = "update session set version = version + 1 where contact_id = $1 and id <> $2";
    execute(scope, outdated, [contact.0.into(), within.map_or(0, |id| id.0).into()]).await?;
    Ok(changed > 0)
}

/// Keeps what this person, who was erased and is known again by one of their ids, wanted before.
pub(crate) async fn recall(
    scope: &Scope<'_>,
    contact: ContactId,
    mark: opt_out_mark::Model,
) -> Result<(), DbErr> {
    let by = |by: &Option<String>| by.as_deref().and_then(By::parse).unwrap_or(By::Operator);
    let silent = mark.opted_out_at.map(|at| (Of::All, at, by(&mark.opted_out_by)));
    let marketing =
        mark.marketing_opted_out_at.map(|at| (Of::Marketing, at, by(&mark.marketing_opted_out_by)));
    for (of, at, by) in silent.into_iter().chain(marketing) {
        change(scope, contact, Change { scope: of, opted_out: true, by, at }, None).await?;
    }
    Ok(())
}

/// Keeps what a person told Meta. False when nobody of these ids is known.
pub(crate) async fn told(scope: &Scope<'_>, identity: &Identity, wish: Change) -> Result<bool, DbErr> {
    let people = known(scope, Told { before: None, now: identity }).await?;
    for person in &people {
        change(scope, person.id, wish, None).await?;
    }
    Ok(!people.is_empty())
}
