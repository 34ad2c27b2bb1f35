//! `GET` and `POST /api/whatsapp/keys`, and `DELETE /api/whatsapp/keys/{id}`.

use actix_web::http::header::LOCATION;
use actix_web::web::{Data, Json, Path};
use actix_web::{HttpRequest, HttpResponse};
use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::body::{self, Body};
use super::named;
use super::openapi::words::{KeyIdText, ScopeText};
use super::page::{PageQuery, Paged, Window};
use super::params::Params;
use super::problem::Problem;
use super::view::Time;
use crate::domain::access::{BadKey, KEY_NAME_MAX, KEY_RATE_MAX, NewKey, Scope, Scopes};
use crate::domain::ids::KeyId;
use crate::domain::outbound::Fields;
use crate::store::{Store, StoredKey};

/// A key, of which the secret itself is known to its owner alone.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Key)]
pub(super) struct KeyView {
    #[schema(value_type = KeyIdText)]
    id: KeyId,
    #[schema(examples("billing"))]
    name: String,
    /// What it may do. `admin` implies the others.
    #[schema(value_type = Vec<ScopeText>)]
    scopes: Vec<&'static str>,
    /// Its own limit of requests per second; without one, that of the settings holds.
    requests_per_second: Option<u32>,
    created_at: Time,
    /// From when on it opens nothing.
    expires_at: Option<Time>,
    /// Since when it opens nothing, because it was revoked.
    revoked_at: Option<Time>,
    /// When it was last used, to the minute.
    last_used_at: Option<Time>,
}

impl From<StoredKey> for KeyView {
    fn from(row: StoredKey) -> Self {
        Self {
            id: row.id,
            name: row.name,
            scopes: row.scopes.iter().map(Scope::as_str).collect(),
            requests_per_second: row.requests_per_second,
            created_at: Time(row.created_at),
            expires_at: row.expires_at.map(Time),
            revoked_at: row.revoked_at.map(Time),
            last_used_at: row.last_used_at.map(Time),
        }
    }
}

/// A key that was just made, with the secret, which is told this once.
#[derive(Serialize, ToSchema)]
pub(super) struct CreatedKey {
    #[serde(flatten)]
    view: KeyView,
    /// Send it as `Authorization: Bearer …`. It is not stored and cannot be told again.
    #[schema(examples("sb_5f0c3a8e9d1b7462c0ffee0f1e2d3c4b5a69788796a5b4c3d2e1f00112233445"))]
    key: String,
}

/// A key that is wanted.
#[derive(ToSchema)]
#[serde(deny_unknown_fields)]
#[expect(
    dead_code,
    reason = "it is read field by field, so that a refusal can name one; this is for the document"
)]
pub(super) struct KeyRequest {
    /// What people are to call it.
    #[schema(min_length = 1, max_length = 64, pattern = r"\S", examples("billing"))]
    name: String,
    /// What it may do. `admin` implies the others.
    #[schema(value_type = Vec<ScopeText>, min_items = 1)]
    scopes: Vec<String>,
    /// From when on it opens nothing; without it, never.
    #[schema(value_type = Option<Time>)]
    expires_at: Option<String>,
    /// Its own limit of requests per second; without it, that of the settings holds.
    #[schema(minimum = 1, maximum = 100_000)]
    requests_per_second: Option<u32>,
}

const _: () = assert!(KEY_NAME_MAX == 64 && KEY_RATE_MAX == 100_000, "the document says so");

/// A page of keys, newest first. Revoked ones stay in it.
#[utoipa::path(
    get,
    path = "/api/whatsapp/keys",
    params(PageQuery),
    responses((status = 200, description = "The page.", body = Paged<KeyView>))
)]
pub(super) async fn list(request: HttpRequest, store: Data<Store>) -> Result<HttpResponse, Problem> {
    let params = Params::of(&request, &["order", "limit", "cursor"])?;
    let window = Window::of("keys", &params)?;
    let found = store.list_keys(window.page()).await?;
    Ok(window.answer::<_, KeyView>(&request, &params, found, |row| row.id.0))
}

/// Makes a key. The answer holds the key itself, this once; it is good at once.
#[utoipa::path(
    post,
    path = "/api/whatsapp/keys",
    request_body(content = KeyRequest, example = json!({"name": "billing", "scopes": ["read", "send"]})),
    responses((
        status = 201,
        description = "It is made.",
        body = CreatedKey,
        headers(("Location" = String, description = "Where it is."))
    ))
)]
pub(super) async fn create(
    request: HttpRequest,
    body: Json<Body>,
    store: Data<Store>,
) -> Result<HttpResponse, Problem> {
    Params::of(&request, &[])?;
    let mut fields = body::fields(body.into_inner().0)?;
    let wanted = read(&mut fields)?;
    fields.finish()?;
    let wanted = NewKey::new(
        &wanted.name,
        wanted.scopes,
        wanted.expires_at.map(Timestamp::as_millisecond),
        wanted.requests_per_second,
        store.clock().now(),
    )?;
    let (id, key) = store.create_key(wanted).await?;
    let stored = store.find_key(id).await?;
    let view = stored.ok_or_else(|| Problem::internal("a key that was just made is not there"))?.into();
    let location = format!("{}/{id}", request.path());
    Ok(HttpResponse::Created().insert_header((LOCATION, location)).json(CreatedKey { view, key }))
}

/// Takes a key's power away, for good. Asked twice, it is as it was.
#[utoipa::path(
    delete,
    path = "/api/whatsapp/keys/{id}",
    params(("id" = KeyIdText, Path, description = "The key.")),
    responses((status = 200, description = "It opens nothing any more.", body = KeyView))
)]
pub(super) async fn revoke(
    request: HttpRequest,
    id: Path<String>,
    store: Data<Store>,
) -> Result<HttpResponse, Problem> {
    Params::of(&request, &[])?;
    let revoke = async |id| {
        store.revoke_key(id).await?;
        store.find_key(id).await
    };
    let stored = named::find("key", &id, revoke).await?;
    Ok(HttpResponse::Ok().json(KeyView::from(stored)))
}

struct Wanted {
    name: String,
    scopes: Scopes,
    expires_at: Option<Timestamp>,
    requests_per_second: Option<u32>,
}

fn read(fields: &mut Fields) -> Result<Wanted, Problem> {
    let name = fields.text("name")?;
    let one = |name: &Value| name.as_str().and_then(Scope::parse);
    let scopes = fields.take("scopes");
    let scopes = scopes.as_ref().and_then(Value::as_array).and_then(|names| names.iter().map(one).collect());
    let scopes: Scopes = scopes.ok_or_else(|| {
        Problem::field("scopes", "`scopes` has to be a list of `read`, `send`, `operate`, `admin`")
    })?;
    let expires_at = fields.optional_text("expires_at")?;
    let expires_at = expires_at.map(|text| text.parse()).transpose().map_err(|_| {
        Problem::field(
            "expires_at",
            "`expires_at` has to be a time as in RFC 3339, like 2027-01-31T12:00:00Z",
        )
    })?;
    let rate = fields.optional_integer("requests_per_second")?;
    // What does not fit into the type is as wrong as what is over the limit, and is told the same.
    let requests_per_second = rate.map(|rate| u32::try_from(rate).unwrap_or(0));
    Ok(Wanted { name, scopes, expires_at, requests_per_second })
}

impl From<BadKey> for Problem {
    fn from(bad: BadKey) -> Self {
        Self::field(bad.field, bad.to_string())
    }
}
