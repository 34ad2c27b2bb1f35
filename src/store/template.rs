//! Templates: what Meta's list says of them, written over what is known, and the news that its webhooks tell between two
//! readings of the list. The rows are never removed: what the list does not name any more has the status *deleted*.

use std::collections::{HashMap, HashSet};

use sea_orm::{ActiveModelTrait, ColumnTrait, DbErr, EntityTrait, QueryFilter, QueryOrder};

use crate::clock::Millis;
use crate::domain::ids::TemplateId;
use crate::domain::template::{Category, Change, News, Status, Template};
use crate::store::batch::{Reply, Scope};
use crate::store::entity::template::{ActiveModel, Column, Entity, Model};
use crate::store::request::Request;
use crate::store::{Error, Hint, Store, bulk, text};

/// A template, as stored.
#[derive(Debug, Clone)]
pub struct StoredTemplate {
    /// Its id.
    pub id: TemplateId,
    /// The business account that it belongs to.
    pub business_account_id: String,
    /// It.
    pub template: Template,
    /// When we first knew of it.
    pub created_at: Millis,
    /// When anything of it last changed.
    pub updated_at: Millis,
    /// When Meta's list last named it.
    pub synced_at: Millis,
}

/// Which templates.
#[derive(Debug, Clone, Default)]
pub struct TemplateFilter {
    /// Of this name.
    pub name: Option<String>,
    /// In this language.
    pub language: Option<String>,
    /// With this status.
    pub status: Option<Status>,
}

/// What Meta's list said.
#[derive(Debug, Clone)]
pub struct TemplateList {
    /// Whose list.
    pub business_account_id: String,
    /// When it was asked for: news that were told since are newer than it.
    pub asked_at: Millis,
    /// What stands in it.
    pub templates: Vec<Template>,
    /// Whether that is all: then what is missing is deleted.
    pub whole: bool,
}

impl Store {
    /// A template by its id.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn find_template(&self, id: TemplateId) -> Result<Option<StoredTemplate>, Error> {
        self.read(move |db| async move { Ok(Entity::find_by_id(id.0).one(&db).await?.map(stored)) }).await
    }

    /// Every template of every account, the deleted ones too.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn all_templates(&self) -> Result<Vec<StoredTemplate>, Error> {
        self.read(move |db| async move {
            let rows = Entity::find().order_by_asc(Column::Id).all(&db).await?;
            Ok(rows.into_iter().map(stored).collect())
        })
        .await
    }

    /// Writes what Meta's list says over what is known.
    ///
    /// # Errors
    /// When the database refuses: nothing of the list was kept.
    pub async fn keep_templates(&self, list: TemplateList) -> Result<(), Error> {
        self.ask(Request::Templates(list)).await.map(drop)
    }
}

/// Writes down a list.
pub(crate) async fn keep(scope: &Scope<'_>, list: &TemplateList) -> Result<Reply, DbErr> {
    let rows = Entity::find()
        .filter(Column::BusinessAccountId.eq(list.business_account_id.as_str()))
        .all(scope.tx)
        .await?;
    let mut known: HashMap<(String, String), Model> =
        rows.into_iter().map(|row| ((row.name.clone(), row.language.clone()), row)).collect();
    let mut seen = HashSet::new();
    let mut fresh: Vec<ActiveModel> = Vec::new();
    for template in &list.templates {
        let key = (text(&template.name), text(&template.language));
        if !seen.insert(key.clone()) {
            continue;
        }
        match known.remove(&key) {
            Some(row) => update(scope, &row, listed(row.clone(), template, list.asked_at)).await?,
            None => fresh.push(ActiveModel::from(new_row(scope, list, template)).reset_all()),
        }
    }
    for part in bulk::parts(&fresh) {
        Entity::insert_many(part.iter().cloned()).exec_without_returning(scope.tx).await?;
    }
    for row in known.into_values().filter(|row| list.whole && !is_newer(row, list.asked_at)) {
        let gone = Model { status: Status::Deleted.as_str().to_owned(), ..row.clone() };
        update(scope, &row, gone).await?;
    }
    Entity::update_many()
        .col_expr(Column::SyncedAt, list.asked_at.into())
        .filter(Column::BusinessAccountId.eq(list.business_account_id.as_str()))
        .filter(Column::Status.ne(Status::Deleted.as_str()))
        .exec(scope.tx)
        .await?;
    Ok(Reply::Unit)
}

/// Whether news of it were told after the list was asked for.
fn is_newer(row: &Model, asked_at: Millis) -> bool {
    row.told_at.is_some_and(|told_at| told_at >= asked_at)
}

/// The row as the list has it, but for what was told since.
fn listed(mut row: Model, template: &Template, asked_at: Millis) -> Model {
    let status = text(template.status.as_str());
    if !is_newer(&row, asked_at) {
        // The list has reasons of rejections only; why one rests was told by a webhook.
        if template.reason.is_some() || row.status != status {
            row.reason = template.reason.as_deref().map(text);
        }
        row.status = status;
        row.category = text(template.category.as_str());
        row.quality = template.quality.as_deref().map(text);
    }
    row.meta_id = template.meta_id.as_deref().map(text);
    row.format = template.format.as_deref().map(text);
    row.components = text(&template.components);
    row
}

fn new_row(scope: &Scope<'_>, list: &TemplateList, template: &Template) -> Model {
    let row = Model {
        id: scope.ids.next(),
        business_account_id: text(&list.business_account_id),
        name: text(&template.name),
        language: text(&template.language),
        meta_id: None,
        category: String::new(),
        status: String::new(),
        quality: None,
        reason: None,
        format: None,
        components: String::new(),
        status_at: None,
        category_at: None,
        quality_at: None,
        told_at: None,
        created_at: scope.now,
        updated_at: scope.now,
        synced_at: list.asked_at,
    };
    listed(row, template, list.asked_at)
}

/// Writes `after` where it says something else than `before`.
async fn update(scope: &Scope<'_>, before: &Model, mut after: Model) -> Result<(), DbErr> {
    if *before != after {
        after.updated_at = scope.now;
        Entity::update(ActiveModel::from(after).reset_all()).exec(scope.tx).await?;
    }
    Ok(())
}

/// Takes in news, in the transaction that accepts them; each with the account that it is of.
pub(crate) async fn tell(scope: &mut Scope<'_>, told: &[(&str, &News)]) -> Result<(), DbErr> {
    let mut look = false;
    for (account, news) in told {
        match find(scope, account, news).await? {
            Some(row) => {
                look |= news.change == Change::Unclear;
                update(scope, &row, changed(row.clone(), news, scope.now)).await?;
            }
            None => look = true,
        }
    }
    if !told.is_empty() {
        scope.after.hints.push(Hint::TemplatesTold { look });
    }
    Ok(())
}

/// The template that news are of: by Meta's id, else by its name and language where no other template has them now.
async fn find(scope: &Scope<'_>, account: &str, news: &News) -> Result<Option<Model>, DbErr> {
    let of_account = || Entity::find().filter(Column::BusinessAccountId.eq(account));
    if let Some(id) = &news.meta_id {
        let row = of_account().filter(Column::MetaId.eq(id.as_str())).one(scope.tx).await?;
        if row.is_some() {
            return Ok(row);
        }
    }
    let Some((name, language)) = news.name.as_deref().zip(news.language.as_deref()) else { return Ok(None) };
    let named = of_account().filter(Column::Name.eq(name)).filter(Column::Language.eq(language));
    let row = named.one(scope.tx).await?;
    Ok(row.filter(|row| row.meta_id.is_none() || news.meta_id.is_none()))
}

/// The row after the news. Of two on the same thing, the one that happened later counts, whichever comes first.
fn changed(mut row: Model, news: &News, now: Millis) -> Model {
    let at = news.at.unwrap_or(now);
    let is_late = |known: Option<Millis>| known.is_some_and(|known| known > at);
    match &news.change {
        Change::Status(status, reason) if !is_late(row.status_at) => {
            row.status = text(status.as_str());
            row.reason = reason.as_deref().map(text);
            row.status_at = Some(at);
        }
        Change::Category(category) if !is_late(row.category_at) => {
            row.category = text(category.as_str());
            row.category_at = Some(at);
        }
        Change::Quality(quality) if !is_late(row.quality_at) => {
            row.quality = Some(text(quality));
            row.quality_at = Some(at);
        }
        Change::Status(..) | Change::Category(_) | Change::Quality(_) | Change::Unclear => return row,
    }
    row.told_at = Some(now);
    row
}

pub(super) fn stored(row: Model) -> StoredTemplate {
    StoredTemplate {
        id: TemplateId(row.id),
        business_account_id: row.business_account_id,
        template: Template {
            meta_id: row.meta_id,
            name: row.name,
            language: row.language,
            category: Category::of(&row.category),
            status: Status::of(&row.status),
            quality: row.quality,
            reason: row.reason,
            format: row.format,
            components: row.components,
        },
        created_at: row.created_at,
        updated_at: row.updated_at,
        synced_at: row.synced_at,
    }
}
