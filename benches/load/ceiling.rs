//! What the same libraries do when nothing is kept: the ceilings that the program is measured against.
//!
//! *verify*: actix-web takes the webhook, checks its signature, parses it, and answers 200. *echo*: verify, and every text
//! is answered with reqwest. Both use the program's own signature, parser, request builder and client, and as many
//! workers. A process of its own (`load ceiling`).

use std::sync::Arc;
use std::time::Duration;

use actix_web::web::{self, Bytes, Data, PayloadConfig};
use actix_web::{App, HttpRequest, HttpResponse, HttpServer};
use anyhow::Context as _;
use switchboard::config::Secret;
use switchboard::domain::outbound::Message;
use switchboard::meta::client::{Client, Settings};
use switchboard::meta::request;
use switchboard::meta::signature::AppSecret;
use switchboard::meta::webhook::{Body, parse};
use switchboard::webhook;

use crate::wire;

/// The largest body, as the program has it.
const BODY_MAX: usize = 4 << 20;

/// Which ceiling.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Ceiling {
    Verify,
    Echo,
}

struct Door {
    secret: AppSecret,
    /// Of the worker's own runtime; none for *verify*.
    client: Option<Client>,
}

/// Serves until it is killed. The first line that it prints is its address.
pub(crate) fn serve(ceiling: Ceiling, graph_url: &str, workers: usize) -> anyhow::Result<()> {
    let graph_url: Arc<str> = graph_url.into();
    actix_web::rt::System::new().block_on(async move {
        let server = HttpServer::new(move || {
            let client = (ceiling == Ceiling::Echo).then(|| client(&graph_url));
            let door = Door { secret: AppSecret::new(wire::APP_SECRET), client };
            let resource = web::resource(webhook::PATH)
                .app_data(PayloadConfig::new(BODY_MAX))
                .app_data(Data::new(door))
                .route(web::post().to(receive));
            App::new().service(resource)
        });
        let server = server.workers(workers).bind("127.0.0.1:0")?;
        let addr = server.addrs().first().copied().context("the listener has an address")?;
        crate::report::say(&addr.to_string());
        server.run().await?;
        Ok(())
    })
}

fn client(graph_url: &str) -> Client {
    let settings = Settings {
        graph_url: graph_url.to_owned(),
        version: "v26.0".to_owned(),
        token: Secret::new(wire::TOKEN).expect("it is not empty"),
        timeout: Duration::from_secs(30),
        connect_timeout: Duration::from_secs(5),
    };
    Client::new(&settings).expect("the settings of a run are right")
}

async fn receive(request: HttpRequest, body: Bytes, door: Data<Door>) -> HttpResponse {
    let header = request.headers().get("X-Hub-Signature-256").and_then(|value| value.to_str().ok());
    if door.secret.verify(header, &body).is_err() {
        return HttpResponse::Forbidden().finish();
    }
    let Ok(items) = parse(&body) else { return HttpResponse::BadRequest().finish() };
    for item in items {
        if let (Some(client), Body::Message(message)) = (&door.client, item.body)
            && let (Some(said), Some(to)) = (message.content.text(), message.sender.address())
        {
            let reply = Message::text(said).expect("a run says short texts");
            let (client, body) = (client.clone(), request::body(&reply, &to, None, "ceiling"));
            actix_web::rt::spawn(async move { drop(client.send(wire::NUMBER, &body).await) });
        }
    }
    HttpResponse::Ok().finish()
}
