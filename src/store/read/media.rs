//! Files of both directions.

use super::{Clause, Found, Page, Span, Way, in_order, rows_of, walk};
use crate::store::entity::media;
use crate::store::media::stored;
use crate::store::{Error, MediaFilter, MediaState, Store, StoredMedia};

impl Store {
    /// A page of files, in the order in which we came to know of them.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn list_media(&self, filter: MediaFilter, page: Page) -> Result<Found<StoredMedia>, Error> {
        self.list(move |db| async move {
            let found = walk(&db, &[way(&filter)], Span::default(), &page).await?;
            let rows = rows_of::<media::Entity>(&db, media::Column::Id, &found.keys).await?;
            let rows = rows.into_iter().map(stored).collect();
            let rows = in_order(rows, &found.keys, &page, |row| row.id.0);
            Ok(Found { rows, rest: found.rest })
        })
        .await
    }
}

/// How files are found: by their content, else by a state that few are in, else from the newest on.
fn way(filter: &MediaFilter) -> Way {
    let mut on = Vec::new();
    let mut rest = Vec::new();
    let few = filter.sha256.is_some() || filter.state == Some(MediaState::Wanted);
    match (&filter.sha256, filter.state) {
        (Some(sha256), state) => {
            on.push(Clause::new("sha256 = ?", [sha256.as_str().into()]));
            rest.extend(state.map(|state| Clause::new("state = ?", [state.as_str().into()])));
        }
        (None, Some(MediaState::Wanted)) => on.push(Clause::plain("state = 'wanted'")),
        (None, Some(MediaState::Failed)) => on.push(Clause::plain("state = 'failed'")),
        (None, Some(MediaState::Ready)) => rest.push(Clause::plain("state = 'ready'")),
        (None, None) => {}
    }
    for (column, wanted) in [("direction", &filter.direction), ("kind", &filter.kind)] {
        if let Some(wanted) = wanted {
            rest.push(Clause::new(format!("{column} = ?"), [wanted.as_str().into()]));
        }
    }
    Way { from: "media", key: "id", on, rest, few }
}
