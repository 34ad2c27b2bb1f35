//! API keys, and the audit log.

use super::{Clause, Found, Page, Span, Way, in_order, rows_of, walk};
use crate::store::entity::{api_key, audit};
use crate::store::{DeedFilter, Error, Store, StoredDeed, StoredKey};
use crate::store::{audit as deeds, keys};

impl Store {
    /// A page of keys, in the order in which they were made, with those that are revoked.
    ///
    /// # Errors
    /// When the database cannot be read, or a row does not read back.
    pub async fn list_keys(&self, page: Page) -> Result<Found<StoredKey>, Error> {
        self.list(move |db| async move {
            let way = Way::along("api_key", "id", Vec::new(), Vec::new());
            let found = walk(&db, &[way], Span::default(), &page).await?;
            let rows = rows_of::<api_key::Entity>(&db, api_key::Column::Id, &found.keys).await?;
            let rows = rows.into_iter().map(keys::stored).collect::<Result<_, _>>()?;
            let rows = in_order(rows, &found.keys, &page, |row| row.id.0);
            Ok(Found { rows, rest: found.rest })
        })
        .await
    }

    /// A page of the audit log, in the order in which it was written.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn list_deeds(&self, filter: DeedFilter, page: Page) -> Result<Found<StoredDeed>, Error> {
        self.list(move |db| async move {
            let span = Span::of(&db, "audit", "id", "at", filter.times).await?;
            let found = walk(&db, &[way(&filter)], span, &page).await?;
            let rows = rows_of::<audit::Entity>(&db, audit::Column::Id, &found.keys).await?;
            let rows = rows.into_iter().map(deeds::stored).collect();
            let rows = in_order(rows, &found.keys, &page, |row| row.id.0);
            Ok(Found { rows, rest: found.rest })
        })
        .await
    }
}

/// How deeds are found: by what they were done to, else by the key, else by what was done, else from the newest on.
fn way(filter: &DeedFilter) -> Way {
    let outcome = filter.outcome.map(|outcome| outcome.as_str().to_owned());
    let wanted = [
        ("target", &filter.target),
        ("action", &filter.action),
        ("outcome", &outcome),
        ("actor", &filter.actor),
    ];
    let mut clauses: Vec<(&str, Clause)> = wanted
        .into_iter()
        .filter_map(|(column, wanted)| Some((column, wanted.as_deref()?)))
        .map(|(column, wanted)| (column, Clause::new(format!("{column} = ?"), [wanted.into()])))
        .collect();
    clauses.extend(filter.key.map(|key| ("key_id", Clause::new("key_id = ?", [key.0.into()]))));
    let indexed = ["target", "key_id", "action"]
        .into_iter()
        .find_map(|indexed| clauses.iter().position(|(column, _)| *column == indexed));
    let on = indexed.map(|place| clauses.remove(place).1);
    Way::along(
        "audit",
        "id",
        on.into_iter().collect(),
        clauses.into_iter().map(|(_, clause)| clause).collect(),
    )
}
