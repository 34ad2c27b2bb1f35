//! The HTTP server on a thread and a runtime of its own, so that it serves callers on any runtime or none.

use std::io;
use std::net::{IpAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use actix_web::body::MessageBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::StatusCode;
use actix_web::middleware::{DefaultHeaders, Next, from_fn};
use actix_web::web::{self, Data, PayloadConfig, ServiceConfig};
use actix_web::{App, Error, HttpServer, error};
use reqwest::Client;
use tokio::sync::{mpsc, oneshot, watch};
use tokio_util::sync::CancellationToken;

use super::apps;
use super::control;
use super::courier::{Courier, POST_TIMEOUT};
use super::graph::{self, Desk};
use super::levers;
use super::media;
use super::nodes;
use super::page;
use super::parts::Parts;
use super::templates;

/// How long an idle connection is kept open.
const KEEP_ALIVE: std::time::Duration = std::time::Duration::from_secs(75);

/// Threads that answer requests.
const WORKERS: usize = 2;
/// The largest request body, in bytes.
const BODY_MAX: usize = 4 << 20;
/// The largest body with a file in it; the rest is for the form around it.
const FORM_MAX: usize = media::UPLOAD_MAX + (1 << 20);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Everything on the page comes from this server; nothing may frame it.
const CONTENT_SECURITY_POLICY: &str =
    "default-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'self'";

/// A body to sign and post, and where its answer goes.
pub(super) type Errand = (Vec<u8>, oneshot::Sender<Result<u16, String>>);

/// Starts the thread. It ends after `stop` and then drops its end of `alive`.
pub(super) fn spawn(
    listener: TcpListener,
    parts: Parts,
    errands: mpsc::UnboundedReceiver<Errand>,
    stop: CancellationToken,
    alive: watch::Sender<()>,
) -> io::Result<()> {
    let client = client().map_err(io::Error::other)?;
    std::thread::Builder::new().name("local-meta".into()).spawn(move || {
        let outcome = actix_web::rt::System::new().block_on(serve(listener, parts, client, errands, stop));
        if let Err(error) = outcome {
            tracing::error!(%error, "the local Meta ended");
        }
        drop(alive);
    })?;
    Ok(())
}

/// An HTTP client for the webhook. It belongs to the runtime that first uses it.
pub(super) fn client() -> reqwest::Result<Client> {
    // The process has one TLS provider; whoever comes first installs it, and the others find it there.
    rustls::crypto::ring::default_provider().install_default().ok();
    Client::builder()
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .connect_timeout(CONNECT_TIMEOUT)
        .timeout(POST_TIMEOUT)
        .build()
}

async fn serve(
    listener: TcpListener,
    parts: Parts,
    client: Client,
    errands: mpsc::UnboundedReceiver<Errand>,
    stop: CancellationToken,
) -> io::Result<()> {
    let phones = parts.phones.clone();
    let arrived = move |updates: &[_]| phones.arrived(updates);
    let carry = parts.courier.clone().run(client.clone(), parts.clock.clone(), stop.clone(), arrived);
    actix_web::rt::spawn(carry);
    actix_web::rt::spawn(parts.teller.clone().run(stop.clone()));
    actix_web::rt::spawn(run_errands(parts.courier.clone(), client, errands));

    let desk = Desk {
        gate: parts.gate.clone(),
        phones: parts.phones.clone(),
        templates: parts.templates.clone(),
        files: parts.files.clone(),
        faults: parts.faults.clone(),
        record: parts.record.clone(),
    };
    let subscription = apps::Subscription::default();
    let server = HttpServer::new(move || {
        App::new()
            .wrap(from_fn(turn_strangers_away))
            .wrap(
                DefaultHeaders::new()
                    .add(("Content-Security-Policy", CONTENT_SECURITY_POLICY))
                    .add(("X-Content-Type-Options", "nosniff"))
                    .add(("Referrer-Policy", "no-referrer")),
            )
            .app_data(PayloadConfig::new(BODY_MAX))
            .app_data(Data::new(desk.clone()))
            .app_data(Data::new(parts.gate.clone()))
            .app_data(Data::new(parts.phones.clone()))
            .app_data(Data::new(parts.teller.clone()))
            .app_data(Data::new(parts.templates.clone()))
            .app_data(Data::new(parts.files.clone()))
            .app_data(Data::new(parts.faults.clone()))
            .app_data(Data::new(parts.record.clone()))
            .app_data(Data::new(subscription.clone()))
            .app_data(Data::from(parts.courier.clone()))
            .configure(routes)
    })
    .workers(WORKERS)
    // As long as Meta's: the program under test decides when a connection has idled enough.
    .keep_alive(KEEP_ALIVE)
    .disable_signals()
    .listen(listener)?
    .run();
    let handle = server.handle();
    actix_web::rt::spawn(async move {
        stop.cancelled().await;
        handle.stop(false).await;
    });
    server.await
}

fn routes(to: &mut ServiceConfig) {
    to.configure(graph_routes)
        .configure(phone_routes)
        .configure(lever_routes)
        .configure(page::routes)
        .default_service(web::to(nodes::elsewhere));
}

/// Meta's own.
fn graph_routes(to: &mut ServiceConfig) {
    let templates = web::resource(r"/{version:v\d+\.\d+}/{account}/message_templates")
        .route(web::get().to(templates::graph::list))
        .route(web::post().to(templates::graph::create))
        .route(web::delete().to(templates::graph::delete));
    let apps = web::resource(r"/{version:v\d+\.\d+}/{account}/subscribed_apps")
        .route(web::get().to(apps::subscribed))
        .route(web::post().to(apps::subscribe))
        .route(web::delete().to(apps::unsubscribe));
    let node = web::resource(r"/{version:v\d+\.\d+}/{id}")
        .route(web::get().to(nodes::get))
        .route(web::post().to(templates::graph::edit))
        .route(web::delete().to(media::graph::delete));
    let upload = web::resource(r"/{version:v\d+\.\d+}/{phone_number_id}/media")
        .app_data(PayloadConfig::new(FORM_MAX))
        .route(web::post().to(media::graph::upload));
    to.route(r"/{version:v\d+\.\d+}/{phone_number_id}/messages", web::post().to(graph::messages))
        .route(media::PLACE, web::get().to(media::graph::download))
        .service(upload)
        .service(templates)
        .service(apps)
        .route(r"/{version:v\d+\.\d+}/debug_token", web::get().to(apps::debug_token))
        .service(node);
}

/// What a person does on a phone.
fn phone_routes(to: &mut ServiceConfig) {
    let files = web::resource("/phones/{wa_id}/media")
        .app_data(PayloadConfig::new(FORM_MAX))
        .route(web::post().to(control::send_file));
    to.service(files)
        .route("/files/{media_id}", web::get().to(media::graph::show))
        .route("/phones", web::get().to(control::list))
        .route("/phones", web::post().to(control::add))
        .route("/phones/{wa_id}", web::put().to(control::set_profile))
        .route("/phones/{wa_id}/change", web::post().to(control::change))
        .route("/phones/{wa_id}/preferences", web::post().to(control::preferences))
        .route("/phones/{wa_id}/messages", web::get().to(control::transcript))
        .route("/phones/{wa_id}/messages", web::post().to(control::say))
        .route("/phones/{wa_id}/open", web::post().to(control::open))
        .route("/phones/{wa_id}/play", web::post().to(control::play))
        .route("/events", web::get().to(control::events));
}

/// What sets how the local Meta behaves.
fn lever_routes(to: &mut ServiceConfig) {
    to.route("/requests", web::get().to(control::requests))
        .route("/rules", web::get().to(control::list_rules))
        .route("/rules", web::post().to(control::add_rule))
        .route("/rules", web::delete().to(control::remove_rules))
        .route("/rules/{id}", web::delete().to(control::remove_rule))
        .route("/status-rules", web::get().to(levers::status_rules))
        .route("/status-rules", web::post().to(levers::add_status_rule))
        .route("/status-rules", web::delete().to(levers::remove_status_rules))
        .route("/status-rules/{id}", web::delete().to(levers::remove_status_rule))
        .route("/webhook", web::get().to(levers::webhook))
        .route("/webhook", web::put().to(levers::set_webhook))
        .route("/limits", web::get().to(levers::limits))
        .route("/limits", web::put().to(levers::set_limits))
        .route("/token", web::get().to(levers::token))
        .route("/token", web::post().to(levers::add_token))
        .route("/token", web::delete().to(levers::expire_tokens))
        .route("/templates", web::get().to(templates::levers::list))
        .route("/templates", web::post().to(templates::levers::add))
        .route("/templates", web::put().to(templates::levers::set_review))
        .route("/templates/{id}/status", web::post().to(templates::levers::status))
        .route("/templates/{id}/quality", web::post().to(templates::levers::quality))
        .route("/templates/{id}/category", web::post().to(templates::levers::category));
}

/// Posts single bodies for [`super::LocalMeta::deliver`], each on its own.
async fn run_errands(courier: Arc<Courier>, client: Client, mut errands: mpsc::UnboundedReceiver<Errand>) {
    while let Some((body, answer)) = errands.recv().await {
        let (courier, client) = (courier.clone(), client.clone());
        actix_web::rt::spawn(async move {
            // Nobody may be waiting for it any more.
            answer.send(courier.post(&client, body).await).ok();
        });
    }
}

/// Only this machine asks by name, and no other site's page may send anything: a browser puts a foreign `Origin` on
/// what such a page sends, and a foreign `Host` on what comes in through a rebound name.
async fn turn_strangers_away(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<impl MessageBody>, Error> {
    let header = |name: &str| request.headers().get(name).and_then(|value| value.to_str().ok());
    let host = header("host").unwrap_or_default().to_owned();
    let own_page = header("origin").is_none_or(|origin| origin.strip_prefix("http://") == Some(&host));
    if own_page && is_this_machine(&host) {
        return next.call(request).await;
    }
    let refusal =
        control::problem(StatusCode::FORBIDDEN, "the local Meta answers this machine and its own page only");
    Err(error::InternalError::from_response("a stranger", refusal).into())
}

fn is_this_machine(host: &str) -> bool {
    let name = host
        .rsplit_once(':')
        .filter(|(_, port)| port.bytes().all(|b| b.is_ascii_digit()))
        .map_or(host, |(name, _)| name);
    let name = name.trim_matches(['[', ']']);
    name == "localhost" || name.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_of_this_machine_are_answered() {
        for own in ["localhost:8001", "127.0.0.1:8001", "127.0.0.1", "[::1]:8001", "[::1]"] {
            assert!(is_this_machine(own), "{own}");
        }
        for foreign in
            ["", "example.com:8001", "10.0.0.1", "localhost.example.com", "127.0.0.1.example.com:80"]
        {
            assert!(!is_this_machine(foreign), "{foreign}");
        }
    }
}
