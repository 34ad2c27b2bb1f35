//! The shell of the router: an event comes in, the conversation's actor gets it.

use std::sync::Arc;
use std::time::Duration;

use actix::{
    Actor, ActorFutureExt, Arbiter, AsyncContext, Context, Handler, Message, Supervised, Supervisor,
    WrapFuture,
};

use crate::clock::duration_ms;
use crate::conversation::Desk;
use crate::conversation::actor::{ConversationActor, Deliver, Workload};
use crate::domain::ids::ConversationId;
use crate::router::registry::Registry;
use crate::store::Dispatch;

/// How often idle conversations are looked for.
const PASSIVATE_EVERY: Duration = Duration::from_secs(1);

/// These events wait for their conversations.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Route(pub Vec<Dispatch>);

/// These events were found in the store, not done: deliver those that nobody has in hand.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Recover(pub Vec<Dispatch>);

/// The person in these conversations is no more: whatever is remembered of them goes.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Forget(pub Vec<ConversationId>);

/// Whether nobody has anything in hand.
#[derive(Message)]
#[rtype(result = "bool")]
pub struct IsIdle;

/// How many conversations are in memory.
#[derive(Message)]
#[rtype(result = "usize")]
pub struct CountActive;

/// Take no more events, and drop every conversation.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Close;

/// The router.
pub struct RouterActor {
    desk: Arc<Desk>,
    arbiters: Vec<actix::ArbiterHandle>,
    registry: Registry,
    closed: bool,
}

impl RouterActor {
    /// A router that places conversations on `arbiters`, keeps up to `active_max` of them in memory, and lets an idle one
    /// go after `idle`.
    #[must_use]
    pub fn new(
        desk: Arc<Desk>,
        arbiters: Vec<actix::ArbiterHandle>,
        active_max: usize,
        idle: Duration,
    ) -> Self {
        Self { desk, arbiters, registry: Registry::new(active_max, duration_ms(idle)), closed: false }
    }

    fn deliver(&mut self, dispatch: Dispatch) {
        if self.closed {
            return;
        }
        let conversation = dispatch.event.conversation;
        let now = self.desk.store.clock().now();
        if let Some(entry) = self.registry.find(conversation, now) {
            entry.workload.add();
            entry.address.do_send(Deliver(dispatch));
            return;
        }
        let workload = Arc::new(Workload::default());
        workload.add();
        let address = self.activate(conversation, Arc::clone(&workload));
        address.do_send(Deliver(dispatch));
        self.registry.insert(conversation, address, workload, now);
    }

    fn passivate_later(&self, ctx: &mut Context<Self>) {
        let clock = self.desk.store.clock().clone();
        let wait = async move { clock.sleep(PASSIVATE_EVERY).await };
        ctx.spawn(wait.into_actor(self).map(|(), router, ctx| {
            router.registry.passivate(router.desk.store.clock().now());
            router.passivate_later(ctx);
        }));
    }

    fn activate(
        &self,
        conversation: ConversationId,
        workload: Arc<Workload>,
    ) -> actix::Addr<ConversationActor> {
        let desk = Arc::clone(&self.desk);
        let start =
            move |_: &mut Context<ConversationActor>| ConversationActor::new(conversation, desk, workload);
        let shard = usize::from(conversation.shard().unsigned_abs());
        match self.arbiters.get(shard % self.arbiters.len().max(1)) {
            Some(arbiter) => Supervisor::start_in_arbiter(arbiter, start),
            None => Supervisor::start_in_arbiter(&Arbiter::current(), start),
        }
    }
}

impl Actor for RouterActor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        self.passivate_later(ctx);
    }
}

impl Supervised for RouterActor {}

impl Handler<Route> for RouterActor {
    type Result = ();

    fn handle(&mut self, Route(dispatches): Route, _: &mut Self::Context) {
        for dispatch in dispatches {
            self.deliver(dispatch);
        }
    }
}

impl Handler<Recover> for RouterActor {
    type Result = ();

    fn handle(&mut self, Recover(dispatches): Recover, _: &mut Self::Context) {
        // Asked before the first delivery: a conversation that is idle now gets all of its events, in order.
        let lost: Vec<Dispatch> = dispatches
            .into_iter()
            .filter(|dispatch| !self.registry.is_busy(dispatch.event.conversation))
            .collect();
        for dispatch in lost {
            self.deliver(dispatch);
        }
    }
}

impl Handler<Forget> for RouterActor {
    type Result = ();

    fn handle(&mut self, Forget(conversations): Forget, _: &mut Self::Context) {
        // One that is in the middle of a turn ends it, cannot commit it, and is gone then: nobody has its address any more.
        for conversation in conversations {
            self.registry.forget(conversation);
        }
    }
}

impl Handler<IsIdle> for RouterActor {
    type Result = bool;

    fn handle(&mut self, _: IsIdle, _: &mut Self::Context) -> bool {
        self.registry.is_idle()
    }
}

impl Handler<CountActive> for RouterActor {
    type Result = usize;

    fn handle(&mut self, _: CountActive, _: &mut Self::Context) -> usize {
        self.registry.len()
    }
}

impl Handler<Close> for RouterActor {
    type Result = ();

    fn handle(&mut self, _: Close, _: &mut Self::Context) {
        self.closed = true;
        self.registry.clear();
    }
}
