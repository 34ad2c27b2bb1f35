//! `GET` and `POST /api/whatsapp/media`, `/media/{id}`, `/media/{id}/content` and `POST /media/{id}/fetch`.

use actix_web::http::header::{CONTENT_TYPE, LOCATION};
use actix_web::web::{Data, Path, Payload};
use actix_web::{HttpRequest, HttpResponse};
use futures_util::StreamExt as _;
use utoipa::IntoParams;

use super::download;
use super::named;
use super::openapi::Bytes;
use super::openapi::words::{DirectionText, MediaIdText, MediaStateText};
use super::page::{PageQuery, Paged, Window};
use super::params::Params;
use super::problem::Problem;
use super::view::MediaView;
use crate::media::library::{Gift, Library, Refused};
use crate::media::vault::VaultError;
use crate::store::{MediaFilter, MediaState, Store, StoredMedia};

const PARAMS: [&str; 7] = ["direction", "state", "type", "sha256", "order", "limit", "cursor"];

/// Which files.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "for the document; parameters are read one by one")]
struct MediaQuery {
    /// Sent by people (`in`) or given to us to be sent.
    #[param(value_type = Option<DirectionText>)]
    direction: Option<String>,
    /// That have come so far.
    #[param(value_type = Option<MediaStateText>)]
    state: Option<String>,
    /// Of this kind: `image`, `video`, `audio`, `document` or `sticker`.
    #[param(min_length = 1, example = "image")]
    r#type: Option<String>,
    /// With this content.
    #[param(pattern = "^[0-9a-fA-F]{64}$")]
    sha256: Option<String>,
}

/// A page of files of both directions, newest first.
#[utoipa::path(
    get,
    path = "/api/whatsapp/media",
    params(MediaQuery, PageQuery),
    responses((status = 200, description = "The page.", body = Paged<MediaView>))
)]
pub(super) async fn list(request: HttpRequest, store: Data<Store>) -> Result<HttpResponse, Problem> {
    let params = Params::of(&request, &PARAMS)?;
    let window = Window::of("media", &params)?;
    let found = store.list_media(filter(&params)?, window.page()).await?;
    Ok(window.answer::<_, MediaView>(&request, &params, found, |row| row.id.0))
}

/// One file, without its content.
#[utoipa::path(
    get,
    path = "/api/whatsapp/media/{id}",
    params(("id" = MediaIdText, Path, description = "The file.")),
    responses((status = 200, description = "The file.", body = MediaView))
)]
pub(super) async fn one(
    request: HttpRequest,
    id: Path<String>,
    store: Data<Store>,
) -> Result<HttpResponse, Problem> {
    Params::of(&request, &[])?;
    Ok(HttpResponse::Ok().json(MediaView::from(find(&store, &id).await?)))
}

/// The content of a file, as a download, or a range of it (`Range`, one at a time).
#[utoipa::path(
    get,
    path = "/api/whatsapp/media/{id}/content",
    params(("id" = MediaIdText, Path, description = "The file.")),
    responses(
        (status = 200, description = "The whole content.", body = inline(Bytes), content_type = "*/*"),
        (status = 206, description = "The range that was asked for.", body = inline(Bytes), content_type = "*/*"),
        (status = 409, description = "The content is not there (yet)."),
        (status = 416, description = "The range begins behind the end.")
    )
)]
pub(super) async fn content(
    request: HttpRequest,
    id: Path<String>,
    store: Data<Store>,
    library: Data<Library>,
) -> Result<HttpResponse, Problem> {
    Params::of(&request, &[])?;
    let file = find(&store, &id).await?;
    let size = match (file.state, file.size) {
        (MediaState::Ready, Some(size)) => size,
        _ => return Err(Problem::conflict(missing(&file))),
    };
    let Ok(range) = download::range(&request, size) else { return Ok(download::unsatisfiable(size)) };
    let bytes = library.read(&file, range.clone()).await.map_err(away)?;
    let bytes = bytes.ok_or_else(|| Problem::internal(&format!("the bytes of {} are gone", file.id)))?;
    Ok(download::answer(&file, size, range, bytes))
}

/// Takes a file that is to be sent. The body is the file, `Content-Type` its type.
#[utoipa::path(
    post,
    path = "/api/whatsapp/media",
    params(("filename" = Option<String>, Query, min_length = 1, description = "The name of the file.", example = "offer.pdf")),
    request_body(
        description = "The file as it is, with its own type as `Content-Type`.",
        content((inline(Bytes) = "application/octet-stream"), (inline(Bytes) = "image/jpeg"), (inline(Bytes) = "application/pdf"))
    ),
    responses(
        (status = 200, description = "The same file is there already.", body = MediaView,
            headers(("Location" = String, description = "Where it is."))),
        (status = 201, description = "It is kept.", body = MediaView,
            headers(("Location" = String, description = "Where it is.")))
    )
)]
pub(super) async fn give(
    request: HttpRequest,
    body: Payload,
    store: Data<Store>,
    library: Data<Library>,
) -> Result<HttpResponse, Problem> {
    let params = Params::of(&request, &["filename"])?;
    let header = request.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let mime_type = header.ok_or_else(|| {
        Problem::header("Content-Type", "say of what type the file is, like `Content-Type: image/jpeg`")
    })?;
    let mut gift = library.take(mime_type, params.get("filename")).await?;
    if let Err(problem) = pour(body, &mut gift).await {
        gift.discard().await;
        return Err(problem);
    }
    let (id, is_new) = gift.keep(&store).await?;
    let file = find(&store, &id.to_string()).await?;
    let mut answer = if is_new { HttpResponse::Created() } else { HttpResponse::Ok() };
    answer.insert_header((LOCATION, format!("{}/{id}", request.path())));
    Ok(answer.json(MediaView::from(file)))
}

async fn pour(mut body: Payload, gift: &mut Gift) -> Result<(), Problem> {
    while let Some(bytes) = body.next().await {
        let bytes = bytes.map_err(|error| Problem::malformed(format!("the body cannot be read: {error}")))?;
        gift.write(&bytes).await.map_err(Refused::from)?;
    }
    Ok(())
}

/// Fetches a file from Meta again that was given up.
#[utoipa::path(
    post,
    path = "/api/whatsapp/media/{id}/fetch",
    params(("id" = MediaIdText, Path, description = "The file.")),
    responses(
        (status = 202, description = "It is wanted again.", body = MediaView),
        (status = 409, description = "It was not given up.")
    )
)]
pub(super) async fn fetch(
    request: HttpRequest,
    id: Path<String>,
    store: Data<Store>,
) -> Result<HttpResponse, Problem> {
    Params::of(&request, &[])?;
    let file = find(&store, &id).await?;
    if !store.want_media_again(file.id).await? {
        let state = file.state.as_str();
        return Err(Problem::conflict(format!(
            "{} is {state}; only a failed file can be fetched again",
            file.id
        )));
    }
    Ok(HttpResponse::Accepted().json(MediaView::from(find(&store, &id).await?)))
}

async fn find(store: &Store, id: &str) -> Result<StoredMedia, Problem> {
    named::find("file", id, async |id| store.find_media(id).await).await
}

fn missing(file: &StoredMedia) -> String {
    let reason = file.reason.as_deref().map(|reason| format!(": {reason}")).unwrap_or_default();
    match file.state {
        MediaState::Failed => format!("{} was given up{reason}", file.id),
        MediaState::Wanted | MediaState::Ready => {
            format!("{} is still to be fetched from Meta{reason}", file.id)
        }
    }
}

fn filter(params: &Params) -> Result<MediaFilter, Problem> {
    let hash = |text: &str| {
        let hex = text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        hex.then(|| text.to_ascii_lowercase())
    };
    Ok(MediaFilter {
        direction: params.parsed("direction", "`in` or `out`", |text| {
            matches!(text, "in" | "out").then(|| text.to_owned())
        })?,
        state: params.one_of("state", &MediaState::ALL.map(MediaState::as_str), MediaState::parse)?,
        kind: params.get("type").map(str::to_owned),
        sha256: params.parsed("sha256", "64 hexadecimal digits", hash)?,
    })
}

fn away(error: VaultError) -> Problem {
    tracing::error!(%error, "a request failed: the media store does not answer");
    Problem::unavailable("the media store does not answer; try again soon")
}

impl From<Refused> for Problem {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::Type(why) => Self::media_type(why),
            Refused::Filename => Self::parameter("filename", refused.to_string()),
            Refused::Content(VaultError::TooLarge { limit }) => {
                Self::too_large(format!("files of this type may have up to {limit} bytes"), limit)
            }
            Refused::Content(VaultError::Empty) => Self::body("the file is empty".to_owned()),
            Refused::Content(error) => away(error),
            Refused::Store(error) => error.into(),
        }
    }
}
