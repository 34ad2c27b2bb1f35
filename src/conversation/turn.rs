//! A turn: one event, from the state before it to the commit of everything it leads to.
//!
//! What is decided, is decided by the pure [`flow::step`] on a copy; here it is fed, its calls are made,
//! and what comes out is committed. A panic in it, or a wait that does not end, leads to [`Ended::Broken`], with nothing changed.

use std::collections::BTreeSet;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use tracing::Instrument as _;

use crate::clock::Millis;
use crate::connector::{self, Called, Rehearsal};
use crate::conversation::Desk;
use crate::conversation::memory::{Memory, Rested};
use crate::conversation::pause::{RETRY_PAUSE_MAX, retry_pause};
use crate::domain::consent::{By, Change, OptedOut, Scope, Wish};
use crate::domain::contact::{Identity, masked};
use crate::domain::event::{Command, Event, Input};
use crate::domain::ids::MessageId;
use crate::domain::inbound::{Content, InboundMessage};
use crate::domain::notice;
use crate::domain::outbound::{Message, Priority};
use crate::domain::window::Outside;
use crate::flow::{self, CallResult, Effect, Step, Transition};
use crate::store::{self, Error, Outgoing, SqlWrite, TimerChange, Turn, TurnReply};
use crate::telemetry::TurnOutcome;
use crate::template::Book;

/// How often one turn is worked out again because a business write of it was refused.
const REFUSED_WRITES_MAX: usize = 8;

/// How a turn ended.
pub enum Ended {
    /// Committed: this is the conversation after it.
    Done(Box<Rested>),
    /// The event was done or put aside before: nothing to do. The conversation, where it is still known to be right.
    NotOpen(Option<Box<Rested>>),
    /// What was in memory is not what is stored: forget, and begin again.
    Again,
    /// The store cannot be reached, which is nothing that the event can do about: forget, pause, begin again.
    Waits(Duration),
    /// It panicked, hung or failed: nothing happened. The actor restarts, and begins again after this pause.
    Broken(Duration),
    /// It was broken too often and was put aside. The actor restarts.
    Quarantined,
}

/// Attends to `event`, which must be the oldest one of its conversation that is not done. `again` says that its turn may
/// have been begun before. Every line that is logged meanwhile carries the conversation, the event and the masked person.
pub async fn attend(desk: Arc<Desk>, memory: Box<Rested>, event: Event, again: bool) -> Ended {
    let memory = memory.wake();
    let identity = memory.iter().map(|memory| &memory.session.identity);
    let person = identity.flat_map(Identity::aliases).next().map(|(_, id)| masked(id)).unwrap_or_default();
    let span = tracing::error_span!("turn", conversation = %event.conversation, event = %event.id, person);
    attempt(desk, memory, event, again).instrument(span).await
}

async fn attempt(desk: Arc<Desk>, memory: Result<Memory, Error>, event: Event, again: bool) -> Ended {
    // Held to the end: see `Desk::suspects`.
    let _alone = if event.attempts > 0 { desk.suspects.acquire().await.ok() } else { None };
    let attempts = match begin(&desk, &event, again).await {
        Ok(Some(attempts)) => attempts,
        Ok(None) => return Ended::NotOpen(memory.ok().map(Memory::rest)),
        Err(error) => return unreachable_store(&desk, &error),
    };
    // Beyond the limit, not at it: the first attempt on record was made beside others (`Desk::suspects`), and the end of the
    // program in the middle of it proves nothing.
    if attempts > desk.attempts_max {
        return quarantine(&desk, &event, "its turn was begun and not ended, again and again").await;
    }
    let turn = AssertUnwindSafe(run(&desk, memory, &event)).catch_unwind();
    let reason = match desk.store.clock().within(desk.turn_timeout, turn).await {
        Some(Ok(Ok(ended))) => return ended,
        Some(Ok(Err(error @ Error::Database(_)))) if !can_write(&desk).await => {
            return unreachable_store(&desk, &error);
        }
        Some(Ok(Err(error @ Error::Database(_)))) => {
            return broken(&desk, &event, attempts, &error.to_string(), RETRY_PAUSE_MAX).await;
        }
        Some(Ok(Err(error))) => error.to_string(),
        Some(Err(panic)) => format!("panic: {}", panic_text(panic.as_ref())),
        None => format!("the turn took longer than {:?}", desk.turn_timeout),
    };
    broken(&desk, &event, attempts, &reason, retry_pause(attempts)).await
}

/// Counts the attempt where one may have been begun before, and says how many that makes; `None` when the event is not
/// open. A first attempt costs no write: if it takes the process down, the second is counted.
async fn begin(desk: &Desk, event: &Event, again: bool) -> Result<Option<u32>, Error> {
    if again { desk.store.count_attempt(event.id).await } else { Ok(Some(0)) }
}

/// Whether the store takes a write at all: then what it refused was this turn, and not everything.
async fn can_write(desk: &Desk) -> bool {
    desk.store.next_number(store::WRITE_PROBE).await.is_ok()
}

fn unreachable_store(desk: &Desk, error: &Error) -> Ended {
    desk.metrics.turn(TurnOutcome::Retried, 0.0);
    tracing::error!(%error, "a turn waits for the store");
    Ended::Waits(RETRY_PAUSE_MAX)
}

async fn broken(desk: &Desk, event: &Event, attempts: u32, reason: &str, pause: Duration) -> Ended {
    let attempts = attempts + 1;
    tracing::error!(attempts, reason, "a turn broke");
    desk.metrics.turn(TurnOutcome::Panicked, 0.0);
    if attempts >= desk.attempts_max {
        return quarantine(desk, event, reason).await;
    }
    Ended::Broken(pause)
}

async fn quarantine(desk: &Desk, event: &Event, reason: &str) -> Ended {
    match desk.store.quarantine(event.id, reason).await {
        Ok(true) => {
            tracing::error!(reason, "an event is quarantined");
            desk.metrics.turn(TurnOutcome::Quarantined, 0.0);
            Ended::Quarantined
        }
        Ok(false) => Ended::NotOpen(None),
        Err(error) => unreachable_store(desk, &error),
    }
}

fn panic_text(panic: &(dyn std::any::Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("without a message")
}

/// Works the turn out and commits it. Where a business write is refused, it is worked out again with that write failing,
/// so that the flow takes its own way out.
async fn run(desk: &Desk, memory: Result<Memory, Error>, event: &Event) -> Result<Ended, Error> {
    let memory = memory?;
    let mut refused = BTreeSet::new();
    for _ in 0..=REFUSED_WRITES_MAX {
        let calls = Calls::Made { refused: &refused };
        let (turn, after) = work_out(desk, &memory, event, calls, desk.store.clock().now()).await?;
        match desk.store.commit_turn(turn).await? {
            TurnReply::Committed => {
                let seconds =
                    Duration::from_millis((desk.store.clock().now() - event.accepted_at).unsigned_abs());
                desk.metrics.turn(TurnOutcome::Done, seconds.as_secs_f64());
                return Ok(Ended::Done(after.rest()));
            }
            TurnReply::AlreadyDone => return Ok(Ended::NotOpen(None)),
            TurnReply::Conflict => {
                tracing::warn!("the stored session is another one");
                desk.metrics.turn(TurnOutcome::Conflict, 0.0);
                return Ok(Ended::Again);
            }
            TurnReply::WriteFailed { connector, error } => {
                tracing::warn!(connector, error, "a write of a flow was refused");
                refused.insert(connector);
            }
        }
    }
    Err(Error::Setup("the flow's writes are refused again and again".to_owned()))
}

/// What `event` would lead to, and the conversation after it. Nothing is committed, and no call leaves a trace. Its waits
/// begin when it was accepted.
///
/// # Errors
/// In words: when it panics, takes too long or fails.
pub async fn rehearse(
    desk: &Desk,
    memory: &Memory,
    event: &Event,
    rehearsal: &Rehearsal,
) -> Result<(Turn, Memory), String> {
    let turn =
        AssertUnwindSafe(work_out(desk, memory, event, Calls::Rehearsed(rehearsal), event.accepted_at));
    match desk.store.clock().within(desk.turn_timeout, turn.catch_unwind()).await {
        Some(Ok(Ok(turn))) => Ok(turn),
        Some(Ok(Err(error))) => Err(error.to_string()),
        Some(Err(panic)) => Err(format!("panic: {}", panic_text(panic.as_ref()))),
        None => Err(format!("the turn took longer than {:?}", desk.turn_timeout)),
    }
}

/// How the calls of a flow are made.
#[derive(Clone, Copy)]
enum Calls<'a> {
    /// For good, but for the writes of these connectors, which were refused.
    Made { refused: &'a BTreeSet<String> },
    /// Without a trace.
    Rehearsed(&'a Rehearsal),
}

/// What a turn is being made of.
struct Draft<'a> {
    memory: Memory,
    event: &'a Event,
    calls: Calls<'a>,
    now: Millis,
    identity_changed: bool,
    messages: Vec<Outgoing>,
    timer: TimerChange,
    writes: Vec<SqlWrite>,
    chosen: Vec<(String, String)>,
    consent: Option<Change>,
}

async fn work_out(
    desk: &Desk,
    memory: &Memory,
    event: &Event,
    calls: Calls<'_>,
    now: Millis,
) -> Result<(Turn, Memory), Error> {
    let mut draft = Draft {
        memory: memory.clone(),
        event,
        calls,
        now,
        identity_changed: false,
        messages: Vec::new(),
        timer: TimerChange::Keep,
        writes: Vec::new(),
        chosen: Vec::new(),
        consent: None,
    };
    match &*event.input {
        Input::Message(message) => {
            draft.meet(&message.sender);
            if message.content.opens_window() {
                draft.memory.session.last_inbound_at = Some(event.accepted_at);
            }
            draft.message(desk, message).await?;
        }
        Input::Timer { generation } if *generation == draft.memory.session.timer_generation => {
            draft.wait_is_over(desk).await?;
        }
        // A wait that the conversation has left behind.
        Input::Timer { .. } => {}
        Input::Command(Command::Send { message_id, message, reply_to, priority, outside, resend_of }) => {
            draft.messages.push(Outgoing {
                priority: *priority,
                outside: outside.clone(),
                resend_of: *resend_of,
                ..Outgoing::new(*message_id, Arc::new(message.clone()), reply_to.clone())
            });
        }
        Input::Command(Command::HandOff { until }) => {
            draft.memory.snapshot.handed_off = true;
            draft.hand_off(*until);
        }
        Input::Command(Command::Release) => draft.flow(desk, &flow::Input::Released).await?,
        Input::Command(Command::Reset) => {
            draft.begin_anew(desk, false);
            draft.clear_timer();
        }
    }
    draft.mark_marketing(&desk.templates);
    draft.finish(memory)
}

impl Draft<'_> {
    /// Takes in what a webhook says about the person's name; what it does not say stays. Their ids are the accepting
    /// transaction's: here, events of before a change may come after it.
    fn meet(&mut self, told: &Identity) {
        let known = &mut self.memory.session.identity;
        let before = known.clone();
        for (field, told) in [(&mut known.name, &told.name), (&mut known.username, &told.username)] {
            if told.is_some() {
                field.clone_from(told);
            }
        }
        // The first turn writes no identity: the accepting transaction has just done so.
        self.identity_changed = *known != before;
    }

    /// What the person wrote: a word of STOP or START is the runtime's, all else the flow's. A person who has opted out gets no
    /// answer from a flow.
    async fn message(&mut self, desk: &Desk, message: &InboundMessage) -> Result<(), Error> {
        let silent = self.memory.session.consent.all.is_some();
        let text = if let Content::Text { body } = &message.content { body.as_str() } else { "" };
        match (desk.words.wish(text), silent) {
            (Some(Wish::Stop), false) => {
                self.change_consent(desk, Wish::Stop);
                let handed_off = self.memory.snapshot.handed_off;
                self.begin_anew(desk, handed_off);
                if !handed_off {
                    self.clear_timer();
                }
                return Ok(());
            }
            (Some(Wish::Start), true) => self.change_consent(desk, Wish::Start),
            (_, true) => return Ok(()),
            (_, false) => {}
        }
        if message.content.wants_answer() {
            self.memory.repin(&desk.flows);
            self.flow(desk, &flow::Input::Message(message)).await?;
        }
        Ok(())
    }

    /// The wait that was asked for is over: of a hand-off, or for an answer.
    async fn wait_is_over(&mut self, desk: &Desk) -> Result<(), Error> {
        if self.memory.session.handed_off {
            return self.flow(desk, &flow::Input::Released).await;
        }
        if self.memory.session.consent.all.is_some() {
            return Ok(());
        }
        self.flow(desk, &flow::Input::Timeout).await
    }

    /// The person opts out or in, and is told so.
    fn change_consent(&mut self, desk: &Desk, wish: Wish) {
        let opted_out = wish == Wish::Stop;
        let at = self.event.accepted_at;
        let change = Change { scope: Scope::All, opted_out, by: By::Person, at };
        self.memory.session.consent.all = opted_out.then_some(OptedOut { at, by: By::Person });
        self.consent = Some(change);
        tracing::info!(opted_out, "the person has changed what they want to be sent");
        let session = &self.memory.session;
        let context =
            flow::Context { contact: &session.identity, phone_number_id: &session.phone_number_id, now: at };
        let message = self.memory.flow.opt_out_text(wish, &context);
        let outgoing = Outgoing::new(MessageId(desk.store.ids().next()), Arc::new(message), None);
        self.messages.push(Outgoing { despite_opt_out: true, ..outgoing });
    }

    /// Forgets where the conversation stood.
    fn begin_anew(&mut self, desk: &Desk, handed_off: bool) {
        self.memory.snapshot = flow::Snapshot { handed_off, ..flow::Snapshot::default() };
        self.memory.flow = desk.flows.current(&self.memory.session.phone_number_id);
    }

    /// A person has the conversation in hand from here on, until then or until it is released.
    fn hand_off(&mut self, until: Option<Millis>) {
        self.memory.session.handed_off_until = until;
        match until {
            Some(until) => self.set_timer(until),
            None => self.clear_timer(),
        }
    }

    fn say(&mut self, id: MessageId, message: Message, reply_to: Option<String>, outside: Outside) {
        // What a flow says is an answer, even where it is a template.
        let outgoing = Outgoing::new(id, Arc::new(message), reply_to);
        self.messages.push(Outgoing { priority: Priority::Reply, outside, ..outgoing });
    }

    /// Says what is marketing, or would be in its place: a person can be out of that alone.
    fn mark_marketing(&mut self, templates: &Book) {
        let number = &self.memory.session.phone_number_id;
        for outgoing in &mut self.messages {
            outgoing.marketing = templates.is_marketing(number, &outgoing.message, &outgoing.outside);
        }
    }

    fn clear_timer(&mut self) {
        self.memory.session.timer_generation += 1;
        self.timer = TimerChange::Clear;
    }

    fn set_timer(&mut self, due_at: Millis) {
        self.memory.session.timer_generation += 1;
        self.timer = TimerChange::Set(due_at);
    }

    async fn flow(&mut self, desk: &Desk, input: &flow::Input<'_>) -> Result<(), Error> {
        let identity = self.memory.session.identity.clone();
        let number = Arc::clone(&self.memory.session.phone_number_id);
        let context =
            flow::Context { contact: &identity, phone_number_id: &number, now: self.event.accepted_at };
        let flow = Arc::clone(&self.memory.flow);
        let mut step = flow::step(&flow, &self.memory.snapshot, input, &context);
        let mut calls = 0_usize;
        let transition = loop {
            match step {
                Step::Done(transition) => break transition,
                Step::Call(call) => {
                    let (name, connector) = call.connector();
                    calls += 1;
                    // The same when the turn is worked out again: the step is deterministic, and an event has one turn.
                    let key = format!("{}-{calls}", self.event.id);
                    let services = desk.services.as_ref();
                    let called = match self.calls {
                        Calls::Made { refused } if refused.contains(name) => {
                            Called::Result(CallResult::Failed("the database refused the write".to_owned()))
                        }
                        Calls::Made { .. } => {
                            connector::call(&desk.store, services, name, connector, call.params(), &key)
                                .await?
                        }
                        Calls::Rehearsed(rehearsal) => {
                            rehearsal.call(&desk.store, name, connector, call.params()).await?
                        }
                    };
                    let result = match called {
                        Called::Result(result) => result,
                        Called::Write(write) => {
                            self.writes.push(write);
                            CallResult::Written
                        }
                    };
                    step = call.resume(&flow, &context, result);
                }
            }
        };
        self.take(desk, transition);
        Ok(())
    }

    fn take(&mut self, desk: &Desk, transition: Transition) {
        let was_handed_off = self.memory.snapshot.handed_off;
        self.memory.snapshot = transition.snapshot;
        let mut timeout = None;
        for effect in transition.effects {
            match effect {
                Effect::Send { message, reply_to, outside } => {
                    self.say(MessageId(desk.store.ids().next()), message, reply_to, outside);
                }
                Effect::HandOff { for_ms } => {
                    tracing::info!(for_ms, "handed off to a person");
                    return self.hand_off(for_ms.map(|for_ms| self.counted_from() + for_ms));
                }
                Effect::Timeout { after_ms } => timeout = Some(after_ms),
                Effect::Chose { state, option } => self.chosen.push((state, option)),
                Effect::Trouble(trouble) => {
                    tracing::error!(trouble, "the flow failed");
                }
            }
        }
        match timeout {
            // The wait that runs is the end of the hand-off.
            _ if was_handed_off && self.memory.snapshot.handed_off => {}
            Some(after_ms) => self.set_timer(self.counted_from() + after_ms),
            // A wait that was never set needs no clearing.
            None if self.memory.session.timer_generation == 0 => {}
            None => self.clear_timer(),
        }
    }

    /// When the waits that this turn asks for begin.
    fn counted_from(&self) -> Millis {
        self.event.accepted_at.max(self.now)
    }

    /// How the conversation is other than `before`, for those who listen.
    fn changes(&self, before: &Memory) -> Vec<notice::Change> {
        let is_reset = matches!(&*self.event.input, Input::Command(Command::Reset));
        let (was, is) = (&before.snapshot, &self.memory.snapshot);
        let ended = was.state.is_some() && is.state.is_none() && !is.handed_off && !is_reset;
        [
            (is_reset, notice::Change::Reset),
            (!was.handed_off && is.handed_off, notice::Change::HandedOff),
            (was.handed_off && !is.handed_off, notice::Change::Released),
            (ended, notice::Change::Ended),
        ]
        .into_iter()
        .filter_map(|(holds, change)| holds.then_some(change))
        .collect()
    }

    fn finish(self, before: &Memory) -> Result<(Turn, Memory), Error> {
        let changes = self.changes(before);
        let Self { mut memory, event, identity_changed, messages, timer, writes, chosen, consent, .. } = self;
        let session = &mut memory.session;
        session.version += 1;
        memory.flow.hash().clone_into(&mut session.flow_hash);
        session.state.clone_from(&memory.snapshot.state);
        session.handed_off = memory.snapshot.handed_off;
        session.handed_off_until = session.handed_off_until.filter(|_| session.handed_off);
        session.snapshot = serde_json::to_string(&memory.snapshot).map_err(|error| Error::Corrupt {
            what: "snapshot",
            id: session.conversation.0,
            reason: error.to_string(),
        })?;
        let turn = Turn {
            event: event.id,
            accepted_at: event.accepted_at,
            session: session.clone(),
            identity_changed,
            messages,
            timer,
            writes,
            chosen,
            consent,
            changes,
        };
        Ok((turn, memory))
    }
}
