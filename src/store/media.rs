//! Files: the row that is written with the message that brings one, what became of fetching it, files that are given to us
//! to send, and the ids under which Meta knows what was uploaded. The bytes are not here; `sha256` says where they are.

use std::collections::HashMap;

use sea_orm::sea_query::OnConflict;
use sea_orm::{
    ColumnTrait, DatabaseConnection, DbErr, EntityTrait, QueryFilter, QueryOrder, QuerySelect, Set,
};

use crate::clock::Millis;
use crate::domain::ids::MediaId;
use crate::domain::inbound::{Media, MediaKind};
use crate::store::batch::{Reply, Scope};
use crate::store::entity::{media, media_upload};
use crate::store::privacy::remove;
use crate::store::request::Request;
use crate::store::{Error, Hint, Store, bulk, text};

/// How far a file has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MediaState {
    /// It is to be fetched from Meta.
    Wanted,
    /// It is kept.
    Ready,
    /// It will not be fetched.
    Failed,
}

impl MediaState {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Wanted, Self::Ready, Self::Failed];

    /// As stored and shown.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Wanted => "wanted",
            Self::Ready => "ready",
            Self::Failed => "failed",
        }
    }

    /// The state with this name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == name)
    }
}

/// A file, as stored.
#[derive(Debug, Clone)]
pub struct StoredMedia {
    /// Its id.
    pub id: MediaId,
    /// `in` (a person sent it; its message has the same number as its id) or `out`.
    pub direction: String,
    /// How far it has come.
    pub state: MediaState,
    /// Its kind, as on Meta's wire.
    pub kind: String,
    /// Our number that it came to.
    pub phone_number_id: Option<String>,
    /// Meta's id under which it came.
    pub meta_id: Option<String>,
    /// MIME type.
    pub mime_type: Option<String>,
    /// Its name.
    pub filename: Option<String>,
    /// Base64 of its SHA-256, as Meta told it.
    pub promised: Option<String>,
    /// The SHA-256 of what is kept, in hex.
    pub sha256: Option<String>,
    /// Its size in bytes.
    pub size: Option<u64>,
    /// How often fetching it has failed.
    pub attempts: u32,
    /// Why it is not there.
    pub reason: Option<String>,
    /// When we first knew of it.
    pub created_at: Millis,
    /// When it was kept.
    pub ready_at: Option<Millis>,
}

/// Which files.
#[derive(Debug, Clone, Default)]
pub struct MediaFilter {
    /// `in` or `out`.
    pub direction: Option<String>,
    /// That have come so far.
    pub state: Option<MediaState>,
    /// Of this kind.
    pub kind: Option<String>,
    /// With this content: its SHA-256 in hex.
    pub sha256: Option<String>,
}

/// What is kept of a file's content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    /// Its SHA-256 in hex.
    pub sha256: String,
    /// Its size in bytes.
    pub size: u64,
}

/// A file that was given to us to send; its content is kept already.
#[derive(Debug, Clone)]
pub struct GivenFile {
    /// Its kind.
    pub kind: MediaKind,
    /// MIME type.
    pub mime_type: String,
    /// Its name, if it has one.
    pub filename: Option<String>,
    /// Its content.
    pub content: Kept,
}

/// Meta's id of an uploaded file.
#[derive(Debug, Clone)]
pub struct Upload {
    /// The file.
    pub media: MediaId,
    /// The number that it was uploaded for.
    pub phone_number_id: String,
    /// Meta's id.
    pub meta_id: String,
    /// When Meta forgets it.
    pub expires_at: Millis,
}

/// What is to be written about files.
#[derive(Debug, Clone)]
pub(crate) enum MediaWrite {
    Given(GivenFile),
    Fetched { id: MediaId, mime_type: Option<String>, content: Kept },
    Later { id: MediaId, due_at: Millis, reason: String },
    GivenUp { id: MediaId, reason: String },
    Again(MediaId),
    Uploaded(Upload),
    Forget { media: MediaId, phone_number_id: String, meta_id: String },
}

impl Store {
    /// A file by its id.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn find_media(&self, id: MediaId) -> Result<Option<StoredMedia>, Error> {
        self.read(move |db| async move { Ok(media::Entity::find_by_id(id.0).one(&db).await?.map(stored)) })
            .await
    }

    /// Files that are to be fetched at `now`, up to `limit`, those that are due longest first.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn wanted_media(&self, now: Millis, limit: u64) -> Result<Vec<StoredMedia>, Error> {
        self.read(move |db| async move {
            let rows = media::Entity::find()
                .filter(media::Column::State.eq(MediaState::Wanted.as_str()))
                .filter(media::Column::DueAt.lte(now))
                .order_by_asc(media::Column::DueAt)
                .limit(limit)
                .all(&db)
                .await?;
            Ok(rows.into_iter().map(stored).collect())
        })
        .await
    }

    /// Meta's id of an uploaded file, if it lives at `now`.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn find_upload(
        &self,
        media: MediaId,
        phone_number_id: &str,
        now: Millis,
    ) -> Result<Option<String>, Error> {
        let key = (media.0, phone_number_id.to_owned());
        self.read(move |db| async move {
            let row = media_upload::Entity::find_by_id(key).one(&db).await?;
            Ok(row.filter(|row| row.expires_at > now).map(|row| row.meta_id))
        })
        .await
    }

    /// Keeps a file that was given to us to send, and returns its id and whether it is new: the same content with the same
    /// name and type is there once.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn keep_media(&self, file: GivenFile) -> Result<(MediaId, bool), Error> {
        match self.ask(Request::Media(MediaWrite::Given(file))).await? {
            Reply::Media(id, is_new) => Ok((id, is_new)),
            _ => Err(Error::Closed),
        }
    }

    /// Writes down that a file has been fetched. `mime_type` is what Meta says of it now, if it does.
    ///
    /// # Errors
    /// When the database refuses: it is fetched once more.
    pub async fn media_fetched(
        &self,
        id: MediaId,
        mime_type: Option<String>,
        content: Kept,
    ) -> Result<(), Error> {
        self.ask(Request::Media(MediaWrite::Fetched { id, mime_type, content })).await.map(drop)
    }

    /// Writes down that fetching a file has failed and is to be tried again, not before `due_at`.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn media_later(&self, id: MediaId, due_at: Millis, reason: String) -> Result<(), Error> {
        self.ask(Request::Media(MediaWrite::Later { id, due_at, reason })).await.map(drop)
    }

    /// Writes down that a file will not be fetched.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn media_given_up(&self, id: MediaId, reason: String) -> Result<(), Error> {
        self.ask(Request::Media(MediaWrite::GivenUp { id, reason })).await.map(drop)
    }

    /// Wants a file that was given up again, with all attempts before it. False when it was not given up.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn want_media_again(&self, id: MediaId) -> Result<bool, Error> {
        match self.ask(Request::Media(MediaWrite::Again(id))).await? {
            Reply::Changed(changed) => Ok(changed),
            _ => Err(Error::Closed),
        }
    }

    /// Remembers Meta's id of an uploaded file.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn keep_upload(&self, upload: Upload) -> Result<(), Error> {
        self.ask(Request::Media(MediaWrite::Uploaded(upload))).await.map(drop)
    }

    /// Forgets this id of Meta's, which is no longer good. Another one that was kept meanwhile stays.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn forget_upload(
        &self,
        media: MediaId,
        phone_number_id: &str,
        meta_id: &str,
    ) -> Result<(), Error> {
        let (phone_number_id, meta_id) = (phone_number_id.to_owned(), meta_id.to_owned());
        self.ask(Request::Media(MediaWrite::Forget { media, phone_number_id, meta_id })).await.map(drop)
    }
}

/// How far those of the files with these ids have come that are there.
pub(crate) async fn states(
    db: &DatabaseConnection,
    ids: Vec<i64>,
) -> Result<HashMap<i64, MediaState>, DbErr> {
    if ids.is_empty() {
        return Ok(HashMap::new());
    }
    let rows: Vec<(i64, String)> = media::Entity::find()
        .select_only()
        .columns([media::Column::Id, media::Column::State])
        .filter(media::Column::Id.is_in(ids))
        .into_tuple()
        .all(db)
        .await?;
    Ok(rows.into_iter().filter_map(|(id, state)| Some((id, MediaState::parse(&state)?))).collect())
}

/// The row of a file that the accepted message `id` brings.
pub(crate) fn wanted(scope: &Scope<'_>, id: i64, phone_number_id: &str, file: &Media) -> media::ActiveModel {
    media::ActiveModel {
        id: Set(id),
        direction: Set("in".to_owned()),
        state: Set(MediaState::Wanted.as_str().to_owned()),
        kind: Set(file.kind.as_str().to_owned()),
        phone_number_id: Set(Some(text(phone_number_id))),
        meta_id: Set(Some(text(&file.id))),
        mime_type: Set(file.mime_type.as_deref().map(text)),
        filename: Set(file.filename.as_deref().map(text)),
        promised: Set(file.sha256.as_deref().map(text)),
        sha256: Set(None),
        size: Set(None),
        attempts: Set(0),
        due_at: Set(scope.now),
        reason: Set(None),
        created_at: Set(scope.now),
        ready_at: Set(None),
    }
}

/// Writes the rows of files that accepted messages bring.
pub(crate) async fn want(scope: &mut Scope<'_>, rows: &[media::ActiveModel]) -> Result<(), DbErr> {
    for part in bulk::parts(rows) {
        media::Entity::insert_many(part.iter().cloned()).exec_without_returning(scope.tx).await?;
    }
    if !rows.is_empty() {
        scope.after.hints.push(Hint::MediaWanted);
    }
    Ok(())
}

pub(crate) async fn write(scope: &mut Scope<'_>, write: &MediaWrite) -> Result<Reply, DbErr> {
    match write {
        MediaWrite::Given(file) => given(scope, file).await,
        MediaWrite::Fetched { id, mime_type, content } => {
            let mut row = media::ActiveModel {
                state: Set(MediaState::Ready.as_str().to_owned()),
                sha256: Set(Some(content.sha256.clone())),
                size: Set(i64::try_from(content.size).ok()),
                reason: Set(None),
                ready_at: Set(Some(scope.now)),
                ..media::ActiveModel::default()
            };
            if let Some(mime_type) = mime_type {
                row.mime_type = Set(Some(text(mime_type)));
            }
            let reply = changed(scope, *id, MediaState::Wanted, row).await?;
            if matches!(reply, Reply::Changed(false)) {
                // Its person was erased while it was fetched.
                remove::waste(scope, std::slice::from_ref(&content.sha256)).await?;
            }
            Ok(reply)
        }
        MediaWrite::Later { id, due_at, reason } => {
            let Some(stored) = media::Entity::find_by_id(id.0).one(scope.tx).await? else {
                return Ok(Reply::Changed(false));
            };
            let row = media::ActiveModel {
                attempts: Set(stored.attempts.saturating_add(1)),
                due_at: Set(*due_at),
                reason: Set(Some(text(reason))),
                ..media::ActiveModel::default()
            };
            changed(scope, *id, MediaState::Wanted, row).await
        }
        MediaWrite::GivenUp { id, reason } => {
            let row = media::ActiveModel {
                state: Set(MediaState::Failed.as_str().to_owned()),
                reason: Set(Some(text(reason))),
                ..media::ActiveModel::default()
            };
            changed(scope, *id, MediaState::Wanted, row).await
        }
        MediaWrite::Again(id) => {
            let row = media::ActiveModel {
                state: Set(MediaState::Wanted.as_str().to_owned()),
                attempts: Set(0),
                due_at: Set(scope.now),
                ..media::ActiveModel::default()
            };
            scope.after.hints.push(Hint::MediaWanted);
            changed(scope, *id, MediaState::Failed, row).await
        }
        MediaWrite::Uploaded(upload) => uploaded(scope, upload).await,
        MediaWrite::Forget { media, phone_number_id, meta_id } => {
            media_upload::Entity::delete_by_id((media.0, phone_number_id.clone()))
                .filter(media_upload::Column::MetaId.eq(meta_id.as_str()))
                .exec(scope.tx)
                .await?;
            Ok(Reply::Unit)
        }
    }
}

/// Writes `row` over the file `id` if it is in this state.
async fn changed(
    scope: &Scope<'_>,
    id: MediaId,
    state: MediaState,
    row: media::ActiveModel,
) -> Result<Reply, DbErr> {
    let written = media::Entity::update_many()
        .set(row)
        .filter(media::Column::Id.eq(id.0))
        .filter(media::Column::State.eq(state.as_str()))
        .exec(scope.tx)
        .await?;
    Ok(Reply::Changed(written.rows_affected > 0))
}

async fn given(scope: &Scope<'_>, file: &GivenFile) -> Result<Reply, DbErr> {
    let (mime_type, filename) = (text(&file.mime_type), file.filename.as_deref().map(text));
    let same = media::Entity::find()
        .filter(media::Column::Sha256.eq(file.content.sha256.as_str()))
        .filter(media::Column::Direction.eq("out"))
        .filter(media::Column::MimeType.eq(mime_type.as_str()))
        .all(scope.tx)
        .await?;
    if let Some(known) = same.into_iter().find(|row| row.filename == filename) {
        return Ok(Reply::Media(MediaId(known.id), false));
    }
    let id = scope.ids.next();
    let row = media::ActiveModel {
        id: Set(id),
        direction: Set("out".to_owned()),
        state: Set(MediaState::Ready.as_str().to_owned()),
        kind: Set(file.kind.as_str().to_owned()),
        phone_number_id: Set(None),
        meta_id: Set(None),
        mime_type: Set(Some(mime_type)),
        filename: Set(filename),
        promised: Set(None),
        sha256: Set(Some(file.content.sha256.clone())),
        size: Set(i64::try_from(file.content.size).ok()),
        attempts: Set(0),
        due_at: Set(scope.now),
        reason: Set(None),
        created_at: Set(scope.now),
        ready_at: Set(Some(scope.now)),
    };
    media::Entity::insert(row).exec_without_returning(scope.tx).await?;
    Ok(Reply::Media(MediaId(id), true))
}

async fn uploaded(scope: &Scope<'_>, upload: &Upload) -> Result<Reply, DbErr> {
    let row = media_upload::ActiveModel {
        media_id: Set(upload.media.0),
        phone_number_id: Set(upload.phone_number_id.clone()),
        meta_id: Set(text(&upload.meta_id)),
        expires_at: Set(upload.expires_at),
    };
    let key = [media_upload::Column::MediaId, media_upload::Column::PhoneNumberId];
    let mut replace = OnConflict::columns(key);
    replace.update_columns([media_upload::Column::MetaId, media_upload::Column::ExpiresAt]);
    media_upload::Entity::insert(row).on_conflict(replace).exec_without_returning(scope.tx).await?;
    Ok(Reply::Unit)
}

pub(super) fn stored(row: media::Model) -> StoredMedia {
    StoredMedia {
        id: MediaId(row.id),
        direction: row.direction,
        state: MediaState::parse(&row.state).unwrap_or(MediaState::Failed),
        kind: row.kind,
        phone_number_id: row.phone_number_id,
        meta_id: row.meta_id,
        mime_type: row.mime_type,
        filename: row.filename,
        promised: row.promised,
        sha256: row.sha256,
        size: row.size.and_then(|size| u64::try_from(size).ok()),
        attempts: u32::try_from(row.attempts).unwrap_or(0),
        reason: row.reason,
        created_at: row.created_at,
        ready_at: row.ready_at,
    }
}
