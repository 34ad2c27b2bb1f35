//! The handle on a running local Meta.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tokio::sync::{mpsc, oneshot, watch};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::counted::{BadRule, Standing};
use super::courier::{BATCH_MAX, BadWebhookUrl, Delivered, Posting, webhook_url};
use super::entry::{Entry, Side, Status};
use super::faults::{Endpoint, Placed, Rule};
use super::graph::Received;
use super::limits::Limits;
use super::media::{Media, Sent};
use super::parts::Parts;
use super::phones::{CannotSay, NewIds, PhoneSummary, TRANSCRIPT_MAX};
use super::said::{Beside, Said};
use super::server::{self, Errand};
use super::settings::Settings;
use super::statuses::StatusRule;
use super::templates::BadTemplate;
use super::words::Words;
use crate::clock::{Clock, Millis};

/// A running local Meta. Clones are handles on the same one; it stops when the last is dropped.
#[derive(Clone)]
pub struct LocalMeta {
    addr: SocketAddr,
    settings: Arc<Settings>,
    parts: Parts,
    errands: mpsc::UnboundedSender<Errand>,
    stop: CancellationToken,
    _guard: Arc<DropGuard>,
    alive: watch::Receiver<()>,
}

impl std::fmt::Debug for LocalMeta {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LocalMeta").field("addr", &self.addr).finish_non_exhaustive()
    }
}

/// Why a body got no HTTP answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the webhook gave no answer: {0}")]
pub struct Undelivered(String);

impl LocalMeta {
    /// Starts one on a thread of its own; it can be called on any runtime. It serves once this returns.
    ///
    /// # Errors
    /// When the address is taken or not this machine's, the webhook address is not on this machine, a demo phone's
    /// number is none, or a template's definition is not good.
    #[expect(
        clippy::unused_async,
        reason = "starting may come to wait for the server without a change for callers"
    )]
    pub async fn start(settings: Settings, clock: Clock) -> io::Result<Self> {
        if !settings.listen.ip().is_loopback() {
            let message = format!(
                "the local Meta asks for no key, so it cannot listen on {}; use 127.0.0.1",
                settings.listen
            );
            return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
        }
        let listener = TcpListener::bind(settings.listen)?;
        let addr = listener.local_addr()?;
        let parts = Parts::new(&settings, addr, clock)?;
        let stop = CancellationToken::new();
        let (errands, errand_queue) = mpsc::unbounded_channel();
        let (alive_sender, alive) = watch::channel(());
        server::spawn(listener, parts.clone(), errand_queue, stop.clone(), alive_sender)?;
        let guard = Arc::new(stop.clone().drop_guard());
        Ok(Self { addr, settings: Arc::new(settings), parts, errands, stop, _guard: guard, alive })
    }

    /// Where it listens.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// The base of its Graph API: what `WHATSAPP_GRAPH_URL` has to be.
    #[must_use]
    pub fn graph_url(&self) -> String {
        format!("http://{}", self.addr)
    }

    /// What it was started with.
    #[must_use]
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Where webhooks go from here on. What was waiting for an address, or for the old one, goes there at once.
    ///
    /// # Errors
    /// When it is not an `http` address of this machine.
    pub fn set_webhook_url(&self, url: &str) -> Result<(), BadWebhookUrl> {
        self.parts.courier.set_url(webhook_url(url)?);
        Ok(())
    }

    /// A phone types; it comes to be when it is not there yet. The webhook is queued. The answer is the wamid.
    ///
    /// # Errors
    /// When `phone` is no number.
    pub fn say(&self, phone: &str, text: &str) -> Result<String, CannotSay> {
        self.act(phone, Said::Text(text.to_owned()))
    }

    /// A phone presses the newest button or list row with this id, or else with this title.
    ///
    /// # Errors
    /// When it has received no such button or row, or is no number.
    pub fn press(&self, phone: &str, id: &str) -> Result<String, CannotSay> {
        self.act(phone, Said::Press(id.to_owned()))
    }

    /// A phone sends one of the files that every phone has at hand.
    ///
    /// # Errors
    /// When `phone` is no number.
    pub fn send_media(&self, phone: &str, media: Media, caption: Option<&str>) -> Result<String, CannotSay> {
        let sent = Sent::sample(&self.parts.files, media, caption.map(str::to_owned));
        self.act(phone, Said::File(Box::new(sent)))
    }

    /// A phone sends a file with these bytes; its type decides whether it is a picture, a film, a sound, a sticker or a
    /// document. The `name` shows with a document.
    ///
    /// # Errors
    /// When `phone` is no number.
    pub fn send_file(
        &self,
        phone: &str,
        mime_type: &str,
        name: Option<&str>,
        bytes: Vec<u8>,
        caption: Option<&str>,
    ) -> Result<String, CannotSay> {
        let caption = caption.map(str::to_owned);
        let sent = Sent::file(&self.parts.files, mime_type, name, bytes.into(), caption, false);
        self.act(phone, Said::File(Box::new(sent)))
    }

    /// The bytes of a file, by Meta's id of it, as long as that lives.
    #[must_use]
    pub fn file(&self, media_id: &str) -> Option<Vec<u8>> {
        self.parts.files.find(media_id).map(|file| file.bytes.to_vec())
    }

    /// A phone reacts to a message; an empty emoji takes the reaction back.
    ///
    /// # Errors
    /// When `phone` is no number.
    pub fn react(&self, phone: &str, wamid: &str, emoji: &str) -> Result<String, CannotSay> {
        self.act(phone, Said::Reaction { wamid: wamid.to_owned(), emoji: emoji.to_owned() })
    }

    fn act(&self, phone: &str, said: Said) -> Result<String, CannotSay> {
        self.parts.phones.say(phone, said, &Beside::default())
    }

    /// A phone does what `words` say, as `POST /phones/{wa_id}/messages` takes them: `{"order":{…}}`,
    /// `{"text":"hi","quote":"wamid…"}`, `{"raw":{"type":…}}`.
    ///
    /// # Errors
    /// In words: when they make no sense, the phone cannot do so, or it is no number.
    pub fn does(&self, phone: &str, words: Value) -> Result<String, String> {
        let words: Words = serde_json::from_value(words).map_err(|error| error.to_string())?;
        let (said, beside) = words.said(&self.parts.files)?;
        self.parts.phones.say(phone, said, &beside).map_err(|error| error.to_string())
    }

    /// A person gets another number, and with it another user id; the webhook tells so, and the old number leads nowhere.
    ///
    /// # Errors
    /// When either is no number, or the new one has an owner.
    pub fn change_number(&self, phone: &str, to: &str) -> Result<String, CannotSay> {
        self.parts.phones.change(phone, &NewIds { wa_id: Some(to.to_owned()), user_id: None })
    }

    /// A person stops or resumes marketing; the webhook tells so.
    ///
    /// # Errors
    /// When `phone` is no number.
    pub fn set_marketing(&self, phone: &str, wanted: bool) -> Result<(), CannotSay> {
        self.parts.phones.set_marketing(phone, wanted)
    }

    /// A phone wrote at this time, before this Meta was there.
    pub fn recall(&self, phone: &str, written_at: Millis) {
        self.parts.phones.recall(phone, written_at);
    }

    /// A phone is looked at: what was delivered becomes read, with the status webhooks. The answer is how many.
    #[must_use]
    pub fn open(&self, phone: &str) -> usize {
        self.parts.phones.open(phone)
    }

    /// A person listens to the voice note `wamid`, or to all of them, with the status webhooks. The answer is how many.
    #[must_use]
    pub fn play(&self, phone: &str, wamid: Option<&str>) -> usize {
        self.parts.phones.play(phone, wamid)
    }

    /// Queues one status webhook for a message of the business, in whatever order and as often as a test likes; an error
    /// `code` belongs to [`Status::Failed`]. False when there is no such message.
    #[must_use]
    pub fn post_status(&self, wamid: &str, status: Status, code: Option<u32>) -> bool {
        self.parts.phones.post_status(wamid, status, code)
    }

    /// Signs any body and posts it once, past the queue. The answer is the HTTP status.
    ///
    /// # Errors
    /// When no webhook address is set, no HTTP answer came, or the local Meta has stopped.
    pub async fn deliver(&self, body: Vec<u8>) -> Result<u16, Undelivered> {
        self.webhook_url()?;
        let (sender, answer) = oneshot::channel();
        let stopped = || Undelivered("the local Meta has stopped".into());
        self.errands.send((body, sender)).map_err(|_| stopped())?;
        answer.await.map_err(|_| stopped())?.map_err(Undelivered)
    }

    /// Asks the webhook to verify itself, as Meta does when an address is set: true when it answered 200 and the
    /// challenge, unchanged.
    ///
    /// # Errors
    /// When no address is set or no HTTP answer came.
    pub async fn verify_webhook(&self) -> Result<bool, Undelivered> {
        let url = self.webhook_url()?;
        let challenge = uuid::Uuid::new_v4().as_u128().to_string();
        let client = server::client().map_err(|error| Undelivered(error.to_string()))?;
        let mut url = reqwest::Url::parse(&url).map_err(|error| Undelivered(error.to_string()))?;
        url.query_pairs_mut()
            .append_pair("hub.mode", "subscribe")
            .append_pair("hub.challenge", &challenge)
            .append_pair("hub.verify_token", &self.settings.verify_token);
        let answer = client.get(url).send().await.map_err(|error| Undelivered(error.to_string()))?;
        let accepted = answer.status() == reqwest::StatusCode::OK;
        let echoed = answer.text().await.map_err(|error| Undelivered(error.to_string()))?;
        Ok(accepted && echoed == challenge)
    }

    fn webhook_url(&self) -> Result<String, Undelivered> {
        self.parts.courier.url().ok_or_else(|| Undelivered("no webhook address is set".into()))
    }

    /// The value of `X-Hub-Signature-256` for a body.
    #[must_use]
    pub fn sign(&self, body: &[u8]) -> String {
        self.parts.courier.sign(body)
    }

    /// Everything a phone has written and received, oldest first; empty when it is not known.
    #[must_use]
    pub fn transcript(&self, phone: &str) -> Vec<Entry> {
        self.parts.phones.transcript(phone, TRANSCRIPT_MAX)
    }

    /// Every phone, in the order in which they came.
    #[must_use]
    pub fn phones(&self) -> Vec<PhoneSummary> {
        self.parts.phones.list(usize::MAX)
    }

    /// Requests that came to `/messages`, refused ones included.
    #[must_use]
    pub fn received_count(&self) -> usize {
        self.parts.record.count()
    }

    /// The newest [`super::REQUESTS_KEPT`] of them, oldest first.
    #[must_use]
    pub fn requests(&self) -> Vec<Received> {
        self.parts.record.all()
    }

    /// How the webhooks fare.
    #[must_use]
    pub fn delivered(&self) -> Delivered {
        self.parts.courier.delivered()
    }

    /// Waits until a phone has received `count` messages in all, or `limit` has passed; the answer is what it has then.
    ///
    /// # Panics
    /// When called outside of a tokio runtime with time.
    pub async fn wait_for(&self, phone: &str, count: usize, limit: Duration) -> Vec<Entry> {
        if let Ok(mut watch) = self.parts.phones.watch(phone) {
            // Running out of time is no failure: what has come so far is the answer.
            tokio::time::timeout(limit, watch.wait_for(|seen| seen.replies >= count)).await.ok();
        }
        self.transcript(phone).into_iter().filter(|entry| entry.from == Side::Business).collect()
    }

    /// Sets an error rule for sends. The answer is its number.
    ///
    /// # Errors
    /// When one of its numbers makes no sense, or there are too many rules.
    pub fn set_rule(&self, rule: Rule) -> Result<u64, BadRule> {
        self.parts.faults.add(Endpoint::Messages, rule)
    }

    /// Sets an error rule for other requests than sends. The answer is its number.
    ///
    /// # Errors
    /// When one of its numbers makes no sense, or there are too many rules.
    pub fn set_rule_at(&self, at: Endpoint, rule: Rule) -> Result<u64, BadRule> {
        self.parts.faults.add(at, rule)
    }

    /// The error rules that stand.
    #[must_use]
    pub fn rules(&self) -> Vec<Standing<Placed>> {
        self.parts.faults.list()
    }

    /// Takes away every error rule.
    pub fn clear_rules(&self) {
        self.parts.faults.remove(None);
    }

    /// Sets a rule for how statuses are told. The answer is its number.
    ///
    /// # Errors
    /// When one of its numbers makes no sense, or there are too many rules.
    pub fn set_status_rule(&self, rule: StatusRule) -> Result<u64, BadRule> {
        self.parts.teller.add(rule)
    }

    /// The status rules that stand.
    #[must_use]
    pub fn status_rules(&self) -> Vec<Standing<StatusRule>> {
        self.parts.teller.list()
    }

    /// Takes away every status rule; what they held to shuffle it is told.
    pub fn clear_status_rules(&self) {
        self.parts.teller.remove(None);
    }

    /// How webhooks are posted.
    #[must_use]
    pub fn posting(&self) -> Posting {
        self.parts.courier.posting()
    }

    /// Posts webhooks otherwise from here on. A batch of no update is one of one.
    pub fn set_posting(&self, posting: Posting) {
        self.parts
            .courier
            .set_posting(Posting { batch_max: posting.batch_max.clamp(1, BATCH_MAX), ..posting });
    }

    /// Posts nothing until [`LocalMeta::resume_webhooks`]; what is on its way arrives.
    pub fn pause_webhooks(&self) {
        self.set_posting(Posting { paused: true, ..self.posting() });
    }

    /// Posts what has waited, and goes on.
    pub fn resume_webhooks(&self) {
        self.set_posting(Posting { paused: false, ..self.posting() });
    }

    /// The limits that are kept.
    #[must_use]
    pub fn limits(&self) -> Limits {
        self.parts.gate.limiter.limits()
    }

    /// Keeps other limits from here on; what was used up stays used up.
    pub fn set_limits(&self, limits: Limits) {
        self.parts.gate.limiter.set(limits);
    }

    /// How many requests to `/messages` the local Meta itself has refused with `code`, late failures of the 24-hour
    /// window (131047) included; what error rules refuse is counted by them ([`Standing::met`]).
    #[must_use]
    pub fn refusals(&self, code: u32) -> u64 {
        self.parts.gate.limiter.refusals().get(&code).copied().unwrap_or_default()
    }

    /// Every template as Meta lists it, in the order in which they came.
    #[must_use]
    pub fn templates(&self) -> Vec<Value> {
        self.parts.templates.all()
    }

    /// Puts a template there that is approved already, without a webhook: a definition as Meta takes it, in which
    /// examples can be left out. The answer is its id.
    ///
    /// # Errors
    /// When Meta would not take it.
    pub fn add_template(&self, definition: &Value) -> Result<String, BadTemplate> {
        self.parts.templates.add(definition)
    }

    /// Tells a status event of Meta's about a template, such as `PAUSED`, `DISABLED` or `REINSTATED`, and sets the
    /// status that comes with it.
    ///
    /// # Errors
    /// When there is no such template or no such event.
    pub fn set_template_status(&self, name: &str, language: &str, event: &str) -> Result<(), BadTemplate> {
        self.parts.templates.change_named(name, language, event)
    }

    /// Makes a token valid beside those that are, for so long or without an end.
    pub fn add_token(&self, token: &str, lifetime: Option<Duration>) {
        self.parts.gate.tokens.add(token, lifetime);
    }

    /// Ends every token: from here on they are refused with 190, subcode 463.
    pub fn expire_tokens(&self) {
        self.parts.gate.tokens.expire();
    }

    /// Stops serving and posting, and waits until the sockets are closed. What was not acknowledged is forgotten.
    pub async fn stop(&self) {
        self.stop.cancel();
        let mut alive = self.alive.clone();
        // The thread never writes to the channel: it ends by dropping it.
        while alive.changed().await.is_ok() {}
    }
}
