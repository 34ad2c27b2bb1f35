//! The table of all endpoints: one line each, with who may use it. Its path, method and description stand beside its
//! handler, in `utoipa::path`; what is mounted, what is checked and what is documented all come from both.

use std::sync::Arc;

use actix_web::body::BoxBody;
use actix_web::dev::{Extensions, ServiceRequest, ServiceResponse};
use actix_web::http::Method;
use actix_web::middleware::{Next, from_fn};
use actix_web::web::{self, Data};
use actix_web::{Error, HttpMessage as _, Resource, ResponseError as _, Route, guard};
use utoipa::OpenApi;

use super::auth::Caller;
use super::problem::{self, Problem, Slug};
use super::request_id::RequestId;
use super::{
    audit, contacts, conversations, deliveries, events, health, keys, media, messages, metrics, numbers,
    openapi, queue, replay, send, stats, templates, webhooks,
};
use crate::domain::access::Scope;
use crate::store::{Deed, Outcome, Store};

/// Characters of a target that the audit log keeps: no id of ours is as long.
const TARGET_MAX: usize = 64;

/// Who may use an endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Access {
    /// Everybody, without a key.
    Open,
    Read,
    Send,
    Operate,
    Admin,
}

impl Access {
    fn scope(self) -> Option<Scope> {
        match self {
            Self::Open => None,
            Self::Read => Some(Scope::Read),
            Self::Send => Some(Scope::Send),
            Self::Operate => Some(Scope::Operate),
            Self::Admin => Some(Scope::Admin),
        }
    }
}

/// An endpoint, as it is mounted.
#[derive(Debug, Clone)]
pub(super) struct Endpoint {
    /// The scope that it needs; `None` where no key is needed.
    pub(super) scope: Option<Scope>,
    /// The file and the handler: what the audit log calls it, and the document.
    pub(super) name: &'static str,
    /// The method; a `GET` is a `HEAD` as well.
    pub(super) method: Method,
    /// From the root on, with `{…}` for what varies.
    pub(super) path: String,
    route: fn() -> Route,
}

/// Writes the table. Each line makes a document of one operation, from which path and method are read.
macro_rules! endpoints {
    ($($access:ident $room:ident::$handler:ident;)+) => {
        /// Every endpoint, with its part of the document.
        pub(super) fn table() -> Vec<(Endpoint, utoipa::openapi::OpenApi)> {
            vec![$({
                #[derive(OpenApi)]
                #[openapi(paths($room::$handler))]
                struct Annotated;
                let name = concat!(stringify!($room), ".", stringify!($handler));
                let route: fn() -> Route = || web::route().to($room::$handler);
                endpoint(Access::$access, name, route, Annotated::openapi())
            }),+]
        }
    };
}

endpoints! {
    Open health::health;
    Open health::live;
    Open health::ready;
    Read openapi::document;
    Read metrics::show;

    Send send::send;
    Read messages::list;
    Read messages::one;
    Operate messages::read;
    Operate queue::resend;
    Operate queue::discard;
    Read queue::list;
    Operate queue::resend_many;
    Operate queue::discard_many;
    Read contacts::list;
    Read contacts::one;
    Operate contacts::opt_out;
    Operate contacts::opt_in;
    Admin contacts::export;
    Admin contacts::erase;
    Read conversations::list;
    Read conversations::one;
    Read conversations::transcript;
    Operate conversations::hand_off;
    Operate conversations::release;
    Operate conversations::reset;
    Admin replay::replay;
    Read numbers::list;
    Admin numbers::set_token;
    Read media::list;
    Send media::give;
    Read media::one;
    Read media::content;
    Operate media::fetch;
    Read templates::list;
    Operate templates::sync;
    Read templates::one;
    Read webhooks::list;
    Read webhooks::one;
    Operate webhooks::retry;
    Operate webhooks::discard;
    Read stats::stats;
    Read events::stream;
    Read deliveries::list;
    Read deliveries::one;
    Operate deliveries::resend;

    Admin keys::list;
    Admin keys::create;
    Admin keys::revoke;
    Admin audit::list;
}

fn endpoint(
    access: Access,
    name: &'static str,
    route: fn() -> Route,
    part: utoipa::openapi::OpenApi,
) -> (Endpoint, utoipa::openapi::OpenApi) {
    let (path, item) = part.paths.paths.iter().next().expect("an annotation has a path");
    let methods = [
        (Method::GET, item.get.is_some()),
        (Method::POST, item.post.is_some()),
        (Method::PUT, item.put.is_some()),
        (Method::PATCH, item.patch.is_some()),
        (Method::DELETE, item.delete.is_some()),
    ];
    let method = methods.into_iter().find_map(|(method, there)| there.then_some(method));
    let method = method.expect("an annotation has a method");
    (Endpoint { scope: access.scope(), name, method, path: path.clone(), route }, part)
}

/// One resource for each path: its methods, and a refusal of all others that names them. Beside it the path, and whether a
/// key is needed.
pub(super) fn resources(endpoints: &[Endpoint]) -> Vec<(String, bool, Resource)> {
    let mut paths: Vec<&str> = Vec::new();
    for endpoint in endpoints {
        if !paths.contains(&endpoint.path.as_str()) {
            paths.push(&endpoint.path);
        }
    }
    let resource = |path: &str| {
        let here = || endpoints.iter().filter(|endpoint| endpoint.path == path);
        let keyed = here().all(|endpoint| endpoint.scope.is_some());
        // All that need a key are in a scope of their own, which begins with this.
        let resource = web::resource(path.strip_prefix("/api").unwrap_or(path));
        let resource = here().fold(resource, |resource, endpoint| resource.route(mounted(endpoint)));
        let allow: Vec<&str> = here()
            .flat_map(|endpoint| match endpoint.method {
                Method::GET => vec!["GET", "HEAD"],
                ref other => vec![other.as_str()],
            })
            .collect();
        let allow = allow.join(", ");
        let refusal = move || {
            let allow = allow.clone();
            async move { problem::wrong_method(allow) }
        };
        (path.to_owned(), keyed, resource.default_service(web::to(refusal)))
    };
    paths.into_iter().map(resource).collect()
}

fn mounted(endpoint: &Endpoint) -> Route {
    let route = (endpoint.route)();
    let route = match endpoint.method {
        Method::GET => route.guard(guard::Any(guard::Get()).or(guard::Head())),
        ref other => route.method(other.clone()),
    };
    let Some(scope) = endpoint.scope else { return route };
    let (name, is_action) = (endpoint.name, endpoint.method != Method::GET);
    route.wrap(from_fn(move |request, next: Next<BoxBody>| admit(scope, name, is_action, request, next)))
}

/// Middleware of each endpoint: turns away whose key has not the scope, and has every action noted with who asked for it.
async fn admit(
    scope: Scope,
    name: &'static str,
    is_action: bool,
    mut request: ServiceRequest,
    next: Next<BoxBody>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let Some(caller) = request.extensions().get::<Caller>().cloned() else {
        return Ok(answer(request, &Problem::internal("an endpoint was reached without a key")));
    };
    let allowed = caller.scopes.allow(scope);
    let deed = if is_action { deed(&mut request, caller.clone(), name) } else { None };
    let response = if allowed {
        next.call(request).await?
    } else {
        let held = caller.scopes.iter().map(Scope::as_str).collect::<Vec<_>>().join("`, `");
        let wanted = scope.as_str();
        let detail = format!("this needs the scope `{wanted}`; this key has `{held}`");
        answer(request, &Problem::forbidden(detail))
    };
    if let Some((store, deed)) = deed.filter(|(_, deed)| !deed.is_noted()) {
        note(store, deed, &response).await;
    }
    Ok(response)
}

fn answer(request: ServiceRequest, problem: &Problem) -> ServiceResponse<BoxBody> {
    request.into_response(problem.error_response())
}

/// From here on, what the handler takes for the store notes what it writes.
fn deed(request: &mut ServiceRequest, caller: Caller, name: &str) -> Option<(Store, Arc<Deed>)> {
    let store = request.app_data::<Data<Store>>()?.get_ref().clone();
    let target = request.match_info().get("id").map(|id| id.chars().take(TARGET_MAX).collect());
    let deed = Arc::new(Deed::new(caller.actor, name, target, RequestId::of(request)));
    let mut its_own = Extensions::new();
    its_own.insert(Data::new(store.on_behalf(Arc::clone(&deed))));
    request.add_data_container(std::rc::Rc::new(its_own));
    Some((store, deed))
}

/// Notes what was asked for and changed nothing.
async fn note(store: Store, deed: Arc<Deed>, response: &ServiceResponse<BoxBody>) {
    let status = response.status();
    let reason = response.response().extensions().get::<Slug>().map(|slug| slug.0.to_owned());
    let outcome = if status.is_success() {
        Outcome::Done
    } else if status.is_server_error() {
        Outcome::Failed
    } else {
        Outcome::Refused
    };
    let noted = async move {
        if let Err(error) = store.note(deed, outcome, reason).await {
            tracing::warn!(%error, "an action could not be noted in the audit log");
        }
    };
    if outcome == Outcome::Failed {
        // The database may be what failed. Nobody has to wait for it a second time.
        actix_web::rt::spawn(noted);
    } else {
        noted.await;
    }
}
