//! The shell of a conversation: a mailbox, one turn at a time, and the restart after a broken one.
//!
//! `ctx.wait` keeps the mailbox shut while a turn runs, so turns exclude each other. After a broken turn the actor stops, its
//! supervisor restarts it with the mailbox as it was, and [`Supervised::restarting`] drops the memory; `pending` stays,
//! because it holds what is stored as not done. Each stop follows an attempt that was counted, so it cannot go on for ever.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use actix::{
    Actor, ActorContext, ActorFutureExt, AsyncContext, Context, Handler, Message, Supervised, WrapFuture,
};

use crate::conversation::Desk;
use crate::conversation::memory::Memory;
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
    memory: Option<Memory>,
    pending: BTreeMap<EventId, Event>,
    /// The newest event that was dealt with: an event that is not newer is looked up before it is run.
    finished: Option<EventId>,
    /// The event whose turn was begun and has not ended, in this incarnation or an earlier one.
    begun: Option<EventId>,
    pause: Duration,
}

impl ConversationActor {
    /// A conversation that has not been read yet.
    #[must_use]
    pub fn new(id: ConversationId, desk: Arc<Desk>, workload: Arc<Workload>) -> Self {
        Self {
            id,
            desk,
            workload,
            memory: None,
            pending: BTreeMap::new(),
            finished: None,
            begun: None,
            pause: Duration::ZERO,
        }
    }

    /// Takes an event in; one that is here already is not here twice.
    fn take(&mut self, event: Event) {
        match self.pending.entry(event.id) {
            Entry::Vacant(place) => _ = place.insert(event),
            Entry::Occupied(_) => self.workload.done(),
        }
    }

    /// Begins the next turn, if there is one to begin.
    fn go_on(&mut self, ctx: &mut Context<Self>) {
        let Some(event) = self.pending.values().next().cloned() else { return };
        let pause = std::mem::take(&mut self.pause);
        if !pause.is_zero() {
            let clock = self.desk.store.clock().clone();
            let rest = async move { clock.sleep(pause).await };
            ctx.wait(rest.into_actor(self).map(|(), actor, ctx| actor.go_on(ctx)));
            return;
        }
        let Some(memory) = self.memory.take() else { return self.load(ctx) };
        let again = event.recovered
            || self.begun == Some(event.id)
            || self.finished.is_some_and(|finished| event.id <= finished);
        self.begun = Some(event.id);
        let turn = turn::attend(Arc::clone(&self.desk), memory, event.clone(), again);
        ctx.wait(turn.into_actor(self).map(move |ended, actor, ctx| actor.conclude(&event, ended, ctx)));
    }

    fn load(&self, ctx: &mut Context<Self>) {
        let (desk, id) = (Arc::clone(&self.desk), self.id);
        let load = async move { Memory::load(&desk.store, &desk.flows, id).await };
        ctx.wait(load.into_actor(self).map(|loaded, actor, ctx| actor.loaded(loaded, ctx)));
    }

    fn loaded(&mut self, loaded: Result<Option<(Memory, Vec<Event>)>, Error>, ctx: &mut Context<Self>) {
        match loaded {
            Ok(Some((memory, unfinished))) => {
                for event in unfinished {
                    self.workload.add();
                    self.take(event);
                }
                self.memory = Some(memory);
            }
            Ok(None) => {
                tracing::error!(conversation = %self.id, "no such conversation; its events wait for a person");
                self.pending.values().for_each(|_| self.workload.done());
                self.pending.clear();
            }
            Err(error) => {
                tracing::error!(conversation = %self.id, %error, "a conversation cannot be read");
                self.pause = turn::retry_pause(u32::MAX);
            }
        }
        self.go_on(ctx);
    }

    fn conclude(&mut self, event: &Event, ended: Ended, ctx: &mut Context<Self>) {
        match ended {
            Ended::Done(memory) => {
                self.finish(event.id);
                self.memory = Some(*memory);
                self.go_on(ctx);
            }
            Ended::NotOpen => {
                self.finish(event.id);
                self.go_on(ctx);
            }
            Ended::Again(pause) => {
                self.pause = pause;
                self.go_on(ctx);
            }
            Ended::Broken { attempts } => {
                self.pause = turn::retry_pause(attempts);
                ctx.stop();
            }
            Ended::Quarantined => {
                self.finish(event.id);
                ctx.stop();
            }
        }
    }

    fn finish(&mut self, event: EventId) {
        if self.pending.remove(&event).is_some() {
            self.workload.done();
        }
        self.finished = self.finished.max(Some(event));
        self.begun = None;
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
            && self.pending.is_empty()
        {
            self.memory = Some(Memory::fresh(Arc::unwrap_or_clone(session), &self.desk.flows));
        }
        self.take(dispatch.event);
        self.go_on(ctx);
    }
}
