//! `GET` and `POST /api/whatsapp/media`, `/media/{id}`, `/media/{id}/content` and `POST /media/{id}/fetch`.

use actix_web::http::header::{CONTENT_TYPE, LOCATION};
use actix_web::web::{self, Data, Path, Payload};
use actix_web::{HttpRequest, HttpResponse, Resource, guard};
use futures_util::StreamExt as _;

use super::download;
use super::page::Window;
use super::params::Params;
use super::problem::{self, Problem};
use super::view::MediaView;
use crate::domain::ids::MediaId;
use crate::media::library::{Gift, Library, Refused};
use crate::media::vault::VaultError;
use crate::store::{MediaFilter, MediaState, Store, StoredMedia};

const PARAMS: [&str; 7] = ["direction", "state", "type", "sha256", "order", "limit", "cursor"];

/// The list of files, to which one can be added.
pub(super) fn collection(path: &str) -> Resource {
    web::resource(path)
        .route(web::route().guard(guard::Any(guard::Get()).or(guard::Head())).to(list))
        .route(web::post().to(give))
        .default_service(web::to(|| async { problem::wrong_method("GET, HEAD, POST") }))
}

/// Handler: a page of files, newest first.
async fn list(request: HttpRequest, store: Data<Store>) -> Result<HttpResponse, Problem> {
    let params = Params::of(&request, &PARAMS)?;
    let window = Window::of("media", &params)?;
    let found = store.list_media(filter(&params)?, window.page()).await?;
    Ok(window.answer::<_, MediaView>(&request, &params, found, |row| row.id.0))
}

/// Handler: one file, without its content.
pub(super) async fn one(
    request: HttpRequest,
    id: Path<String>,
    store: Data<Store>,
) -> Result<HttpResponse, Problem> {
    Params::of(&request, &[])?;
    Ok(HttpResponse::Ok().json(MediaView::from(find(&store, &id).await?)))
}

/// Handler: the content of a file, or a range of it.
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

/// Handler: takes a file that is to be sent: 201, or 200 for one that is there already.
async fn give(
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

/// Handler: 202 once a file that was given up is wanted again.
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
    let unknown = || Problem::not_found("id", format!("there is no file `{id}`"));
    let known: MediaId = id.parse().map_err(|_| unknown())?;
    store.find_media(known).await?.ok_or_else(unknown)
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
    let states = MediaState::ALL.map(MediaState::as_str).join("`, `");
    let hash = |text: &str| {
        let hex = text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        hex.then(|| text.to_ascii_lowercase())
    };
    Ok(MediaFilter {
        direction: params.parsed("direction", "`in` or `out`", |text| {
            matches!(text, "in" | "out").then(|| text.to_owned())
        })?,
        state: params.parsed("state", &format!("one of `{states}`"), MediaState::parse)?,
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
