//! The shell of a conversation: a mailbox, one turn at a time, and the restart after a broken one.
//!
//! `ctx.wait` keeps the mailbox shut while a turn runs, so turns exclude each other. After a broken turn the actor stops, its
//! supervisor restarts it with the mailbox as it was, and [`Supervised::restarting`] drops the memory; `pending` stays,
//! because it holds what is stored as not done. Each stop follows an attempt that was counted, so it cannot go on for ever.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use actix::{
    Actor, ActorContext, ActorFutureExt, AsyncContext, Context, Handler, Message, Supervised, WrapFuture,
};

use crate::conversation::Desk;
use crate::conversation::memory::{Memory, Read, Rested};
use crate::conversation::pause::retry_pause;
use crate::conversation::turn::{self, Ended};
use crate::domain::event::Event;
use crate::domain::ids::{ConversationId, EventId};
use crate::store::{Dispatch, Error};

/// How many of its events a conversation has in hand. The router adds and looks; the actor takes off.
#[derive(Debug, Default)]
pub struct Workload(AtomicI64);

impl Workload {
    /// One more is on its way.
    pub fn add(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    /// One is dealt with.
    fn done(&self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }

    /// Whether there is nothing in hand and nothing on its way.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.0.load(Ordering::Relaxed) <= 0
    }
}

/// An event for this conversation.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Deliver(pub Dispatch);

/// One conversation.
pub struct ConversationActor {
    id: ConversationId,
    desk: Arc<Desk>,
    workload: Arc<Workload>,
    memory: Option<Box<Rested>>,
    /// `None` while there is nothing to do, as mostly.
    busy: Option<Box<Busy>>,
    /// The newest event that was dealt with: an event that is not newer is looked up before it is run.
    finished: Option<EventId>,
}

/// What a conversation has in hand.
#[derive(Default)]
struct Busy {
    /// In their order.
    pending: Vec<Event>,
    /// The event whose turn was begun and has not ended, in this incarnation or an earlier one.
    begun: Option<EventId>,
    /// How long to wait before the next turn.
    pause: Duration,
}

impl Busy {
    /// Where the event is among the pending, or would be.
    fn place(&self, event: EventId) -> Result<usize, usize> {
        self.pending.binary_search_by_key(&event, |pending| pending.id)
    }
}

impl ConversationActor {
    /// A conversation that has not been read yet.
    #[must_use]
    pub fn new(id: ConversationId, desk: Arc<Desk>, workload: Arc<Workload>) -> Self {
        Self { id, desk, workload, memory: None, busy: None, finished: None }
    }

    fn busy(&mut self) -> &mut Busy {
        self.busy.get_or_insert_default()
    }

    /// Takes an event in; one that is here already is not here twice.
    fn take(&mut self, event: Event) {
        let busy = self.busy();
        match busy.place(event.id) {
            Err(place) => busy.pending.insert(place, event),
            Ok(_) => self.workload.done(),
        }
    }

    /// Begins the next turn, if there is one to begin.
    fn go_on(&mut self, ctx: &mut Context<Self>) {
        let Some(busy) = &mut self.busy else { return };
        let Some(event) = busy.pending.first().cloned() else { return };
        let pause = std::mem::take(&mut busy.pause);
        if !pause.is_zero() {
            let clock = self.desk.store.clock().clone();
            let rest = async move { clock.sleep(pause).await };
            ctx.wait(rest.into_actor(self).map(|(), actor, ctx| actor.go_on(ctx)));
            return;
        }
        let Some(memory) = self.memory.take() else { return self.load(ctx) };
        let again = event.recovered
            || busy.begun == Some(event.id)
            || self.finished.is_some_and(|finished| event.id <= finished);
        busy.begun = Some(event.id);
        let turn = turn::attend(Arc::clone(&self.desk), memory, event.clone(), again);
        ctx.wait(turn.into_actor(self).map(move |ended, actor, ctx| actor.conclude(&event, ended, ctx)));
    }

    fn load(&self, ctx: &mut Context<Self>) {
        let (desk, id) = (Arc::clone(&self.desk), self.id);
        let pending = self.busy.iter().flat_map(|busy| &busy.pending);
        let waiting: Vec<EventId> = pending.map(|event| event.id).collect();
        let load = async move { Loaded::of(&desk, id, waiting).await };
        ctx.wait(load.into_actor(self).map(|loaded, actor, ctx| {
            actor.loaded(loaded);
            actor.go_on(ctx);
        }));
    }

    fn loaded(&mut self, loaded: Loaded) {
        match loaded {
            Loaded::Read(memory, unfinished) => {
                for event in unfinished {
                    self.workload.add();
                    self.take(event);
                }
                self.memory = Some(memory);
            }
            Loaded::SetAside(events) => events.into_iter().for_each(|event| self.finish(event)),
            Loaded::Merged(into) => {
                tracing::debug!(conversation = %self.id, %into, "a conversation became part of another one");
                let events = self.busy.take().unwrap_or_default().pending;
                events.iter().for_each(|_| self.workload.done());
                self.finished = self.finished.max(events.last().map(|event| event.id));
            }
            Loaded::Waits => self.busy().pause = retry_pause(u32::MAX),
        }
    }

    fn conclude(&mut self, event: &Event, ended: Ended, ctx: &mut Context<Self>) {
        match ended {
            Ended::Done(memory) => {
                self.finish(event.id);
                self.memory = Some(memory);
                self.go_on(ctx);
            }
            Ended::NotOpen(memory) => {
                self.finish(event.id);
                self.memory = memory;
                self.go_on(ctx);
            }
            Ended::Again => self.go_on(ctx),
            Ended::Waits(pause) => {
                let busy = self.busy();
                busy.begun = None;
                if let Ok(place) = busy.place(event.id) {
                    busy.pending[place].recovered = false;
                }
                busy.pause = pause;
                self.go_on(ctx);
            }
            Ended::Broken(pause) => {
                self.busy().pause = pause;
                ctx.stop();
            }
            Ended::Quarantined => {
                self.finish(event.id);
                ctx.stop();
            }
        }
    }

    fn finish(&mut self, event: EventId) {
        if let Some(busy) = &mut self.busy {
            if let Ok(place) = busy.place(event) {
                busy.pending.remove(place);
                self.workload.done();
            }
            busy.begun = None;
            if busy.pending.is_empty() {
                self.busy = None;
            }
        }
        self.finished = self.finished.max(Some(event));
    }
}

/// What came of reading a conversation.
enum Loaded {
    /// It, and its events that are not done.
    Read(Box<Rested>, Vec<Event>),
    /// It became part of this one, whose actor has its events.
    Merged(ConversationId),
    /// It cannot be read, and will not be: its events were put aside.
    SetAside(Vec<EventId>),
    /// The store cannot be reached.
    Waits,
}

impl Loaded {
    async fn of(desk: &Desk, id: ConversationId, waiting: Vec<EventId>) -> Self {
        let reason = match Memory::load(&desk.store, &desk.flows, id).await {
            Ok(Read::Found(memory, unfinished)) => return Self::Read(memory, unfinished),
            Ok(Read::Merged(into)) => return Self::Merged(into),
            Ok(Read::Unknown) => "its conversation does not exist".to_owned(),
            Err(error @ Error::Corrupt { .. }) => error.to_string(),
            Err(error) => {
                tracing::error!(conversation = %id, %error, "a conversation waits for the store");
                return Self::Waits;
            }
        };
        tracing::error!(conversation = %id, reason, "a conversation cannot be read; its events are quarantined");
        for event in &waiting {
            if let Err(error) = desk.store.quarantine(*event, &reason).await {
                tracing::error!(conversation = %id, %event, %error, "an event cannot be put aside yet");
                return Self::Waits;
            }
        }
        Self::SetAside(waiting)
    }
}

impl Actor for ConversationActor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        self.desk.metrics.actor_started();
        self.go_on(ctx);
    }

    fn stopped(&mut self, _: &mut Self::Context) {
        self.desk.metrics.actor_stopped();
    }
}

impl Supervised for ConversationActor {
    fn restarting(&mut self, _: &mut Self::Context) {
        self.memory = None;
    }
}

impl Handler<Deliver> for ConversationActor {
    type Result = ();

    fn handle(&mut self, Deliver(dispatch): Deliver, ctx: &mut Self::Context) {
        // Only the first event of a conversation that this actor has never read can be the one that began it.
        if let (None, None, Some(session)) = (&self.memory, self.finished, dispatch.fresh)
            && self.busy.is_none()
        {
            self.memory = Some(Memory::fresh(Arc::unwrap_or_clone(session), &self.desk.flows).rest());
        }
        self.take(dispatch.event);
        self.go_on(ctx);
    }
}
