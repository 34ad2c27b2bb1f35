//! Templates: a few thousand at the most, looked at one by one.

use super::{Clause, Found, Page, Span, Way, in_order, rows_of, walk};
use crate::domain::template::Status;
use crate::store::entity::template;
use crate::store::template::stored;
use crate::store::{Error, Store, StoredTemplate, TemplateFilter};

impl Store {
    /// A page of templates, in the order in which we came to know of them.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn list_templates(
        &self,
        filter: TemplateFilter,
        page: Page,
    ) -> Result<Found<StoredTemplate>, Error> {
        self.list(move |db| async move {
            let wanted = [
                ("name", filter.name.as_deref()),
                ("language", filter.language.as_deref()),
                ("status", filter.status.as_ref().map(Status::as_str)),
            ];
            let rest = wanted
                .into_iter()
                .filter_map(|(column, wanted)| Some(Clause::new(format!("{column} = ?"), [wanted?.into()])))
                .collect();
            let way = Way::along("template", "id", Vec::new(), rest);
            let found = walk(&db, &[way], Span::default(), &page).await?;
            let rows = rows_of::<template::Entity>(&db, template::Column::Id, &found.keys).await?;
            let rows = rows.into_iter().map(stored).collect();
            let rows = in_order(rows, &found.keys, &page, |row| row.id.0);
            Ok(Found { rows, rest: found.rest })
        })
        .await
    }
}
