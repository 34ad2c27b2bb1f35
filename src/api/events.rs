//! `GET /api/whatsapp/events`: what happens, as server-sent events (WHATWG HTML, "Server-sent events").
//!
//! A client that was cut off comes back with the id of the last event that it saw, and goes on behind it: nothing is missed
//! and nothing comes twice. An id comes with every sign of life too, without an event, so that a filter that lets little
//! through does not leave a client with an old one. What is older than is kept is said with an event `reset`.
//!
//! Each reader pulls what it has room for. One whose buffer is full and that takes nothing for a while is let go: it
//! comes back and misses nothing. When a key is revoked its readers are let go with the next sign of life.

use std::convert::Infallible;

use actix_web::http::Method;
use actix_web::http::header::AUTHORIZATION;
use actix_web::web::{Bytes, Data};
use actix_web::{HttpRequest, HttpResponse};
use futures_util::stream;
use serde_json::json;
use tokio::sync::mpsc;
use utoipa::IntoParams;

use super::auth::ApiKeys;
use super::notice::{NoticeView, notice_json};
use super::params::{Params, one_of};
use super::problem::Problem;
use crate::domain::ids::ContactId;
use crate::domain::notice::{Kind, NoticeId};
use crate::feed::{Feed, Filter};
use crate::store::Store;
use crate::store::read::Who;
use crate::telemetry::Metrics;

/// Where a client says what it saw last; browsers send it by themselves.
const LAST_EVENT_ID: &str = "Last-Event-ID";
/// How long a client waits before it comes back, in milliseconds.
const COME_BACK_MS: u32 = 2_000;

/// Which events, and from where on.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "for the document; parameters are read one by one")]
pub(super) struct EventsQuery {
    /// Of these kinds, with commas between them: `message`, `status`, `conversation`, `alarm`.
    kind: Option<String>,
    /// About these numbers of ours, with commas between them.
    phone_number_id: Option<String>,
    /// About this person: a contact's id, a phone number or a user id.
    contact: Option<String>,
    /// What comes behind this event; the header `Last-Event-ID` wins over it. Without either, what happens from now on.
    last_event_id: Option<String>,
    /// `false`: the answer ends with what has happened so far.
    follow: Option<bool>,
}

/// What happens, as server-sent events: messages, what becomes of them, conversations, and what a person should look at. Each
/// event has an `id`, its kind as `event`, and a notice as `data`. An event `reset` says that something between the asked id
/// and the next event is not kept any more.
#[utoipa::path(
    get,
    path = "/api/whatsapp/events",
    params(
        EventsQuery,
        ("Last-Event-ID" = Option<String>, Header, description = "The id of the last event that was seen.")
    ),
    responses((status = 200, description = "Events, for as long as the client listens.", body = NoticeView, content_type = "text/event-stream"))
)]
pub(super) async fn stream(
    request: HttpRequest,
    store: Data<Store>,
    feed: Data<Feed>,
    keys: Data<ApiKeys>,
    metrics: Data<Metrics>,
) -> Result<HttpResponse, Problem> {
    let params = Params::of(&request, &["kind", "phone_number_id", "contact", "last_event_id", "follow"])?;
    let filter = filter(&store, &params).await?;
    let asked = asked(&request, &params)?;
    let follow = params.flag("follow")?.unwrap_or(true);
    let mut answer = HttpResponse::Ok();
    // Whatever stands between must not hold events back until there are many.
    answer.content_type("text/event-stream").insert_header(("X-Accel-Buffering", "no"));
    if request.method() == Method::HEAD {
        return Ok(answer.finish());
    }
    let Some(seat) = feed.admit() else {
        return Err(Problem::unavailable("there are as many readers of the event stream as are allowed"));
    };
    let (place, is_other) = match asked {
        Some(place) => feed.resume(place).await?,
        None => (feed.end().await?, false),
    };
    let (frames, waiting) = mpsc::channel(feed.limits().buffer);
    let header =
        request.headers().get(AUTHORIZATION).and_then(|value| value.to_str().ok()).map(str::to_owned);
    let reader = Reader {
        feed: feed.as_ref().clone(),
        store: store.as_ref().clone(),
        keys: keys.as_ref().clone(),
        metrics: metrics.as_ref().clone(),
        header,
        filter,
        follow,
        place,
        frames,
    };
    actix_web::rt::spawn(reader.run(asked.filter(|_| is_other)));
    let body = stream::unfold((waiting, seat), |(mut waiting, seat)| async move {
        waiting.recv().await.map(|frame| (Ok::<Bytes, Infallible>(frame), (waiting, seat)))
    });
    Ok(answer.streaming(body))
}

/// Where a client goes on: its header, else its parameter.
fn asked(request: &HttpRequest, params: &Params) -> Result<Option<NoticeId>, Problem> {
    let wanted = "the id of an event, unchanged (`ntc_…`)";
    let header = request.headers().get(LAST_EVENT_ID).map(|value| value.to_str().unwrap_or("?"));
    if let Some(given) = header.filter(|given| !given.is_empty()) {
        let wrong = |()| {
            Problem::header(
                LAST_EVENT_ID,
                "`Last-Event-ID` has to be the id of an event, unchanged (`ntc_…`)",
            )
        };
        return given.parse().map(Some).map_err(wrong);
    }
    params.parsed("last_event_id", wanted, |text| text.parse().ok())
}

async fn filter(store: &Store, params: &Params) -> Result<Filter, Problem> {
    let contact = match params.contact()? {
        None => None,
        Some(who) => Some(find(store, who).await?),
    };
    Ok(Filter {
        kinds: params.list("kind", &one_of(&Kind::ALL.map(Kind::as_str)), Kind::parse)?,
        numbers: params
            .list("phone_number_id", "a number of ours, by Meta's id", |id| Some(id.to_owned()))?,
        contact,
    })
}

async fn find(store: &Store, who: Who) -> Result<ContactId, Problem> {
    let unknown = || Problem::parameter("contact", "`contact` is nobody who is known here".to_owned());
    store.find_contact_id(who).await?.ok_or_else(unknown)
}

/// Why a reader is let go.
enum Left {
    /// It left.
    Gone,
    /// It took nothing for too long.
    Stalled,
    /// It has heard all that it wanted, or may hear no more.
    Done,
}

/// One who listens.
struct Reader {
    feed: Feed,
    store: Store,
    keys: ApiKeys,
    metrics: Metrics,
    header: Option<String>,
    filter: Filter,
    follow: bool,
    place: NoticeId,
    frames: mpsc::Sender<Bytes>,
}

impl Reader {
    async fn run(mut self, unknown: Option<NoticeId>) {
        self.metrics.reader_came();
        if let Left::Stalled = self.listen(unknown).await {
            self.metrics.reader_stalled();
            tracing::warn!("a reader of the event stream takes nothing and is let go");
        }
        self.metrics.reader_left();
    }

    async fn listen(&mut self, unknown: Option<NoticeId>) -> Left {
        match self.tell_all(unknown).await {
            Ok(never) => match never {},
            Err(left) => left,
        }
    }

    async fn tell_all(&mut self, unknown: Option<NoticeId>) -> Result<Infallible, Left> {
        let mut told = self.feed.told();
        let mut closed = self.feed.closed();
        let mut is_writing = true;
        self.send(format!("retry: {COME_BACK_MS}\nid: {}\n\n", self.place)).await?;
        if let Some(unknown) = unknown {
            self.send(reset(unknown, self.place)).await?;
        }
        loop {
            told.mark_unchanged();
            if *closed.borrow() {
                return Err(Left::Done);
            }
            if is_writing != self.store.is_writing() {
                is_writing = !is_writing;
                if !is_writing {
                    self.send_failing().await?;
                }
            }
            let at_end = self.tell_next().await?;
            if !at_end {
                continue;
            }
            if !self.follow {
                return Err(Left::Done);
            }
            tokio::select! {
                _ = told.changed() => {}
                _ = closed.changed() => {}
                () = self.frames.closed() => return Err(Left::Gone),
                () = self.store.clock().sleep(self.feed.limits().heartbeat) => self.be_alive().await?,
            }
        }
    }

    /// Sends what comes next; true when there is no more for now.
    async fn tell_next(&mut self) -> Result<bool, Left> {
        let page = match self.feed.after(self.place).await {
            Ok(page) => page,
            Err(error) => {
                // It comes back, and goes on where it was.
                tracing::warn!(%error, "the event stream cannot be read");
                return Err(Left::Done);
            }
        };
        if let Some(begins) = page.missed {
            self.send(reset(self.place, begins)).await?;
        }
        for notice in page.notices {
            if self.filter.wants(&notice) {
                let kind = notice.kind.as_str();
                self.send(format!("id: {}\nevent: {kind}\ndata: {}\n\n", notice.id, notice_json(&notice)))
                    .await?;
            }
        }
        self.place = page.upto;
        Ok(page.at_end)
    }

    async fn be_alive(&self) -> Result<(), Left> {
        if !self.keys.still_open(self.header.as_deref()).await {
            return Err(Left::Done);
        }
        self.send(format!(": still here\nid: {}\n\n", self.place)).await
    }

    async fn send_failing(&self) -> Result<(), Left> {
        if !self.filter.kinds.is_empty() && !self.filter.kinds.contains(&Kind::Alarm) {
            return Ok(());
        }
        let notice = NoticeView::database_failing(self.store.clock().now());
        let data = serde_json::to_string(&notice).unwrap_or_default();
        // Without an id: it is written nowhere, and cannot be told again.
        self.send(format!("event: {}\ndata: {data}\n\n", Kind::Alarm.as_str())).await
    }

    /// Puts a frame into the reader's buffer, waiting for room as long as that may take.
    async fn send(&self, frame: String) -> Result<(), Left> {
        let room = match self.frames.try_reserve() {
            Ok(room) => room,
            Err(mpsc::error::TrySendError::Closed(())) => return Err(Left::Gone),
            Err(mpsc::error::TrySendError::Full(())) => {
                let mut closed = self.feed.closed();
                tokio::select! {
                    room = self.frames.reserve() => room.map_err(|_| Left::Gone)?,
                    () = self.store.clock().sleep(self.feed.limits().stalled_after) => return Err(Left::Stalled),
                    _ = closed.wait_for(|closed| *closed) => return Err(Left::Done),
                }
            }
        };
        room.send(Bytes::from(frame));
        Ok(())
    }
}

/// That what is between these two is not told.
fn reset(asked: NoticeId, place: NoticeId) -> String {
    let data = json!({
        "asked": asked.to_string(),
        "goes_on_behind": place.to_string(),
        "detail": "what came between is kept no longer, or was never here; read the lists once, then go on listening",
    });
    format!("id: {place}\nevent: reset\ndata: {data}\n\n")
}
