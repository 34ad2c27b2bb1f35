//! Meta, as a simulation needs it: it hands out webhooks until they are answered 200, takes, refuses or loses what is
//! posted to it, and remembers both. What becomes of a post depends on the seed, its text and how often it came.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use serde_json::{Value, json};
use switchboard::meta::client::{Outcome, Wire};

use crate::dice::Dice;
use crate::fate::{Broken, Fate};

pub(crate) const NUMBER: &str = "106540352242922";

/// Posts of one text that may go wrong; the next one does not.
const TROUBLES_MAX: usize = 3;

/// One thing that Meta has to tell.
pub(crate) struct Parcel {
    pub(crate) about: About,
    entry: Value,
    contact: Option<Value>,
    /// The moment it was first posted.
    pub(crate) first_sent: Option<u64>,
    /// The body with which it was first posted, and its place in it.
    pub(crate) first_body: Option<(usize, usize)>,
    /// The moment of its first 200.
    pub(crate) acknowledged: Option<u64>,
    under_way: usize,
}

/// What it is about.
#[derive(Debug, Clone)]
pub(crate) enum About {
    /// Somebody wrote, and told Meta's webhook so much of who they are.
    Written { person: usize, text: String, shown: Shown },
    /// What became of a message of ours.
    Told { callback: String, wamid: String, status: &'static str, named: bool },
}

/// Which of their ids a person shows with a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shown {
    /// The phone number alone.
    Phone,
    /// The business-scoped id alone: somebody else, until both are seen together.
    User,
    /// Both: whoever was two people by these is one from here on.
    Both,
}

/// What Meta did with a post of ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Fortune {
    /// It has it, under this id.
    Taken(String),
    /// It will never have it.
    Refused,
}

/// A post of ours that reached Meta and whose fate is sealed.
#[derive(Debug, Clone)]
pub(crate) struct Said {
    pub(crate) callback: String,
    pub(crate) to: String,
    pub(crate) text: String,
    pub(crate) fortune: Fortune,
}

/// A webhook body that was posted and is not answered yet.
struct Posted {
    parcels: Vec<usize>,
    /// The first 200 of a body says that what is in it was accepted in that order.
    all_new: bool,
}

#[derive(Default)]
struct Inner {
    parcels: Vec<Parcel>,
    posted: Vec<Posted>,
    /// Bodies that were answered 200 and held only what had never been posted before.
    accepted_in_order: Vec<usize>,
    said: Vec<Said>,
    attempts: BTreeMap<(String, String), usize>,
    /// Posts that left and have not arrived.
    travelling: BTreeMap<usize, Value>,
    departures: usize,
    next_wamid: usize,
}

pub(crate) struct Meta {
    fate: Arc<Fate>,
    inner: Mutex<Inner>,
}

impl Meta {
    pub(crate) fn new(fate: Arc<Fate>) -> Self {
        Self { fate, inner: Mutex::default() }
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A person writes.
    pub(crate) fn write(&self, person: usize, number: usize, text: &str, shown: Shown) {
        let (phone, user) = (phone(person), user(person));
        self.fate.note(format_args!("{phone} writes, showing {shown:?}: {text}"));
        let mut entry = json!({"id": format!("wamid.in.{person}.{number}"), "timestamp": "1795337387",
                               "type": "text", "text": {"body": text}});
        let mut contact = json!({"profile": {"name": format!("Person {person}")}});
        if shown != Shown::User {
            entry["from"] = json!(phone);
            contact["wa_id"] = json!(phone);
        }
        if shown != Shown::Phone {
            entry["from_user_id"] = json!(user);
            contact["user_id"] = json!(user);
        }
        let about = About::Written { person, text: text.to_owned(), shown };
        self.inner().parcels.push(Parcel::new(about, entry, Some(contact)));
    }

    /// Parcels that could be posted now. With `in_turn`, a person's next message waits for the one before.
    pub(crate) fn deliverable(&self) -> Vec<usize> {
        let inner = self.inner();
        let is_open = |parcel: &Parcel| parcel.acknowledged.is_none();
        let mut blocked = Vec::new();
        let mut open = Vec::new();
        for (id, parcel) in inner.parcels.iter().enumerate().filter(|(_, parcel)| is_open(parcel)) {
            if let About::Written { person, .. } = parcel.about {
                if self.fate.temper.in_turn && blocked.contains(&person) {
                    continue;
                }
                blocked.push(person);
            }
            // While one copy is under way, another one seldom is.
            if parcel.under_way == 0 {
                open.push(id);
            }
        }
        open
    }

    /// Parcels that were answered 200.
    pub(crate) fn delivered(&self) -> Vec<usize> {
        let inner = self.inner();
        let done = inner.parcels.iter().enumerate().filter(|(_, parcel)| parcel.acknowledged.is_some());
        done.map(|(id, _)| id).collect()
    }

    /// People who wrote something that was taken, and whose phone number is known.
    pub(crate) fn writers(&self) -> Vec<usize> {
        let inner = self.inner();
        let mut people: Vec<usize> = inner
            .parcels
            .iter()
            .filter(|parcel| parcel.acknowledged.is_some())
            .filter_map(|parcel| match parcel.about {
                About::Written { person, shown, .. } if shown != Shown::User => Some(person),
                About::Written { .. } | About::Told { .. } => None,
            })
            .collect();
        people.dedup();
        people
    }

    pub(crate) fn is_all_delivered(&self) -> bool {
        self.inner().parcels.iter().all(|parcel| parcel.acknowledged.is_some())
    }

    /// The body that holds these parcels, and the number under which it was posted.
    pub(crate) fn post(&self, parcels: Vec<usize>) -> (usize, Vec<u8>) {
        let moment = self.fate.moment();
        let mut inner = self.inner();
        let body = inner.posted.len();
        let all_new = parcels.iter().all(|id| inner.parcels[*id].first_sent.is_none());
        let (mut contacts, mut messages, mut statuses) = (Vec::new(), Vec::new(), Vec::new());
        for (place, id) in parcels.iter().enumerate() {
            let parcel = &mut inner.parcels[*id];
            parcel.under_way += 1;
            parcel.first_sent.get_or_insert(moment);
            parcel.first_body.get_or_insert((body, place));
            contacts.extend(parcel.contact.clone());
            match parcel.about {
                About::Written { .. } => messages.push(parcel.entry.clone()),
                About::Told { .. } => statuses.push(parcel.entry.clone()),
            }
        }
        inner.posted.push(Posted { parcels, all_new });
        let value = json!({
            "messaging_product": "whatsapp",
            "metadata": {"display_phone_number": "15550783881", "phone_number_id": NUMBER},
            "contacts": contacts, "messages": messages, "statuses": statuses,
        });
        let change = json!({"field": "messages", "value": value});
        let entry = json!({"id": "102290129340398", "changes": [change]});
        let whole = json!({"object": "whatsapp_business_account", "entry": [entry]});
        (body, whole.to_string().into_bytes())
    }

    /// A webhook was answered; `None` when the program died before it was.
    pub(crate) fn answered(&self, body: usize, status: Option<u16>) {
        self.fate.note(format_args!("webhook {body} is answered {status:?}"));
        let moment = self.fate.moment();
        let mut inner = self.inner();
        for id in inner.posted[body].parcels.clone() {
            let parcel = &mut inner.parcels[id];
            parcel.under_way = parcel.under_way.saturating_sub(1);
            if status == Some(200) {
                parcel.acknowledged.get_or_insert(moment);
            }
        }
        if status == Some(200) && inner.posted[body].all_new {
            inner.accepted_in_order.push(body);
        }
    }

    pub(crate) fn has_lost_the_program(&self) -> bool {
        self.fate.is_dead()
    }

    /// The program died: nothing comes back from it, and what it has posted last arrives late, or never.
    pub(crate) fn lose_the_program(&self) {
        let travelling = {
            let mut inner = self.inner();
            inner.parcels.iter_mut().for_each(|parcel| parcel.under_way = 0);
            std::mem::take(&mut inner.travelling)
        };
        for request in travelling.into_values() {
            if self.fate.throw(|dice| dice.chance(50)) {
                self.fate.note(format_args!("a post of the dead program arrives"));
                self.take(&request);
            }
        }
    }

    pub(crate) fn said(&self) -> Vec<Said> {
        self.inner().said.clone()
    }

    /// Looks at everything that was to be told.
    pub(crate) fn look<T>(&self, look: impl FnOnce(&[Parcel], &[usize]) -> T) -> T {
        let inner = self.inner();
        look(&inner.parcels, &inner.accepted_in_order)
    }

    /// What goes wrong with this attempt.
    fn trouble(&self, request: &Value) -> (Option<Trouble>, Dice) {
        let (to, text) = (recipient(request), text(request));
        let attempt = {
            let mut inner = self.inner();
            let attempts = inner.attempts.entry((to.clone(), text.clone())).or_default();
            *attempts += 1;
            *attempts
        };
        let mut dice = dice_about(self.fate.seed, &[&to, &text, &attempt.to_string()]);
        let temper = &self.fate.temper;
        let trouble = if self.fate.is_calm() || attempt > TROUBLES_MAX {
            None
        } else if dice.chance(temper.refuse_for_good) {
            Some(Trouble::RefusedForGood)
        } else if dice.chance(temper.refuse) {
            Some(*dice.pick(&[
                Trouble::NotSent,
                Trouble::Refused(131_056, 400),
                Trouble::Refused(130_429, 429),
                Trouble::Refused(131_000, 500),
                Trouble::Refused(190, 401),
            ]))
        } else if dice.chance(temper.lose_post) {
            Some(*dice.pick(&[Trouble::Lost, Trouble::AnswerLost, Trouble::Unreadable]))
        } else if dice.chance(temper.panic) {
            Some(*dice.pick(&[Trouble::PanicBefore, Trouble::PanicAfter]))
        } else {
            None
        };
        (trouble, dice)
    }

    /// Takes a message: from here on it is the person's, and its statuses are on their way.
    fn take(&self, request: &Value) -> String {
        let (to, text, callback) = (recipient(request), text(request), callback(request));
        let mut inner = self.inner();
        inner.next_wamid += 1;
        let wamid = format!("wamid.out.{}", inner.next_wamid);
        let mut dice = dice_about(self.fate.seed, &["status", &to, &text, &wamid]);
        let fates: [&[&'static str]; 5] = [
            &["sent", "delivered", "read"],
            &["sent", "delivered"],
            &["delivered", "sent", "read"],
            &["sent"],
            &["sent", "failed"],
        ];
        for status in *dice.pick(&fates) {
            if dice.chance(self.fate.temper.lose_status) {
                continue;
            }
            let mut entry = json!({"id": wamid, "status": status, "timestamp": "1795337400",
                                   "recipient_id": to, "biz_opaque_callback_data": callback});
            if *status == "failed" {
                entry["errors"] = json!([{"code": 131_026, "title": "Message undeliverable"}]);
            }
            // Meta repeats our id; that it always does is nothing to rely on.
            let named = !dice.chance(15);
            if !named {
                entry.as_object_mut().unwrap().remove("biz_opaque_callback_data");
            }
            let about = About::Told { callback: callback.clone(), wamid: wamid.clone(), status, named };
            inner.parcels.push(Parcel::new(about, entry, None));
        }
        let fortune = Fortune::Taken(wamid.clone());
        inner.said.push(Said { callback, to, text, fortune });
        wamid
    }

    fn refuse(&self, request: &Value) {
        let said = Said {
            callback: callback(request),
            to: recipient(request),
            text: text(request),
            fortune: Fortune::Refused,
        };
        self.inner().said.push(said);
    }

    async fn exchange(self: Arc<Self>, request: Value) -> Result<reqwest::Response, Outcome> {
        let fate = &self.fate;
        let (trouble, _) = self.trouble(&request);
        let (to, said) = (recipient(&request), text(&request));
        fate.note(format_args!("posts to {to}: {said} ({trouble:?})"));
        let departure = {
            let mut inner = self.inner();
            inner.departures += 1;
            let departure = inner.departures;
            inner.travelling.insert(departure, request.clone());
            departure
        };
        fate.linger(|| format!("the post to {to}: {said}")).await;
        fate.may_die(|| format!("the post to {to}: {said}")).await;
        self.inner().travelling.remove(&departure);
        match trouble {
            Some(Trouble::NotSent) => return Err(Outcome::NotSent("simulated: no connection".to_owned())),
            Some(Trouble::Lost) => return Err(Outcome::Ambiguous("simulated: lost".to_owned())),
            Some(Trouble::PanicBefore) => panic!("simulated: before the post"),
            Some(Trouble::Refused(code, status)) => return Ok(refusal(code, status)),
            Some(Trouble::RefusedForGood) => {
                self.refuse(&request);
                return Ok(refusal(131_026, 400));
            }
            Some(Trouble::AnswerLost | Trouble::Unreadable | Trouble::PanicAfter) | None => {}
        }
        let wamid = self.take(&request);
        fate.note(format_args!("Meta takes {wamid}: {said}"));
        fate.linger(|| format!("the answer about {wamid}")).await;
        fate.may_die(|| format!("the answer about {wamid}")).await;
        match trouble {
            Some(Trouble::AnswerLost) => Err(Outcome::Ambiguous("simulated: cut".to_owned())),
            Some(Trouble::Unreadable) => Ok(answer(200, "<html>".to_owned())),
            Some(Trouble::PanicAfter) => panic!("simulated: after the post"),
            _ => {
                let told = json!({"messaging_product": "whatsapp", "contacts": [{"input": to, "wa_id": to}],
                                  "messages": [{"id": wamid}]});
                Ok(answer(200, told.to_string()))
            }
        }
    }
}

/// [`Meta`] as the sender meets it.
pub(crate) struct Line(pub(crate) Arc<Meta>);

impl std::fmt::Debug for Line {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Line")
    }
}

impl Wire for Line {
    fn exchange(&self, request: reqwest::Request) -> BoxFuture<'static, Result<reqwest::Response, Outcome>> {
        let meta = Arc::clone(&self.0);
        let body = request.body().and_then(|body| body.as_bytes()).unwrap_or_default();
        let body: Value = serde_json::from_slice(body).expect("the sender posts JSON");
        async move {
            if meta.fate.is_dead() {
                return std::future::pending().await;
            }
            if meta.fate.broken == Some(Broken::SettlesFirst) {
                let told = json!({"messages": [{"id": format!("wamid.promised.{}", callback(&body))}]});
                tokio::spawn(meta.exchange(body));
                return Ok(answer(200, told.to_string()));
            }
            meta.exchange(body).await
        }
        .boxed()
    }
}

#[derive(Debug, Clone, Copy)]
enum Trouble {
    NotSent,
    Lost,
    AnswerLost,
    Unreadable,
    PanicBefore,
    PanicAfter,
    /// By Meta's code, with this HTTP status.
    Refused(i64, u16),
    RefusedForGood,
}

impl Parcel {
    /// Meta's id of it.
    pub(crate) fn id(&self) -> &str {
        self.entry["id"].as_str().unwrap_or_default()
    }

    fn new(about: About, entry: Value, contact: Option<Value>) -> Self {
        Self { about, entry, contact, first_sent: None, first_body: None, acknowledged: None, under_way: 0 }
    }
}

/// Dice that depend on these words as well, and on nothing that was thrown before.
pub(crate) fn dice_about(seed: u64, words: &[&str]) -> Dice {
    // FNV-1a: the standard hasher does not promise to stay the same.
    let bytes = words.iter().flat_map(|word| word.bytes().chain([0xff]));
    let hash = bytes.fold(seed ^ 0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    Dice::new(hash)
}

pub(crate) fn phone(person: usize) -> String {
    format!("49151{person:08}")
}

pub(crate) fn user(person: usize) -> String {
    format!("DE.{person}")
}

fn recipient(request: &Value) -> String {
    let to = request["to"].as_str().or(request["recipient"].as_str()).unwrap_or_default();
    to.trim_start_matches('+').to_owned()
}

fn text(request: &Value) -> String {
    request["text"]["body"].as_str().unwrap_or_default().to_owned()
}

fn callback(request: &Value) -> String {
    request["biz_opaque_callback_data"].as_str().unwrap_or_default().to_owned()
}

fn refusal(code: i64, status: u16) -> reqwest::Response {
    let error = json!({"error": {"code": code, "message": "simulated", "type": "OAuthException",
                                 "fbtrace_id": "simulated"}});
    answer(status, error.to_string())
}

fn answer(status: u16, body: String) -> reqwest::Response {
    http::Response::builder().status(status).body(body).expect("a status of HTTP").into()
}
