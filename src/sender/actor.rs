//! The shell of the sender: messages come in, heads of line go out, outcomes come back.

use std::collections::HashMap;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use actix::{
    Actor, ActorFutureExt, AsyncContext, Context, Handler, Message, SpawnHandle, Supervised, WrapFuture,
};
use futures_util::FutureExt;

use crate::clock::{Clock, Millis};
use crate::domain::ids::{ConversationId, MessageId};
use crate::sender::lanes::Lanes;
use crate::sender::pacing::{NumberPacing, PairPacing};
use crate::sender::post::{self, Counter, Landed, Next};
use crate::sender::{Board, Number};
use crate::store::{Outbound, QueueState, Redirected};

/// How often the board is written and rested pairs are forgotten.
const HOUSEKEEPING: Duration = Duration::from_secs(1);

/// These messages are committed and wait to leave.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Queue(pub Vec<Outbound>);

/// A status has settled these messages.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Settled(pub Vec<(ConversationId, MessageId)>);

/// These conversations go by another lane, or to another address.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Redirect(pub Vec<Redirected>);

/// How many messages wait or are under way.
#[derive(Message)]
#[rtype(result = "usize")]
pub struct CountWaiting;

/// Which of these the sender does not know of, and could send.
#[derive(Message)]
#[rtype(result = "Vec<Outbound>")]
pub struct FindUnknown(pub Vec<Outbound>);

/// Post nothing more. Answers whether nothing is under way.
#[derive(Message)]
#[rtype(result = "bool")]
pub struct Halt;

#[derive(Message)]
#[rtype(result = "()")]
struct Returned(Landed);

/// The sender.
pub struct SenderActor {
    counter: Arc<Counter>,
    clock: Clock,
    numbers: HashMap<Arc<str>, Number>,
    lanes: Lanes,
    board: Board,
    alarm: Option<(Millis, SpawnHandle)>,
    halted: bool,
}

impl SenderActor {
    /// A sender for `numbers`.
    #[must_use]
    pub fn new(counter: Arc<Counter>, numbers: Vec<Number>, board: Board) -> Self {
        let clock = counter.store.clock().clone();
        let mut lanes = Lanes::new(PairPacing::new(counter.limits.pair_pacing, clock.clone()));
        for number in &numbers {
            let pacing = NumberPacing::new(number.messages_per_second, clock.clone());
            lanes.add_number(Arc::clone(&number.phone_number_id), pacing, counter.limits.in_flight_max);
            board.update(&number.phone_number_id, |_| {});
        }
        let numbers =
            numbers.into_iter().map(|number| (Arc::clone(&number.phone_number_id), number)).collect();
        Self { counter, clock, numbers, lanes, board, alarm: None, halted: false }
    }

    /// Lets go what may go, and sets the alarm for what may go next.
    fn pump(&mut self, ctx: &mut Context<Self>) {
        if self.halted {
            return;
        }
        let now = self.clock.now();
        for outbound in self.lanes.depart(now) {
            let Some(number) = self.numbers.get(&outbound.phone_number_id).cloned() else { continue };
            let back = ctx.address();
            let counter = Arc::clone(&self.counter);
            // A task of its own, not of the actor: an actor polls all of its futures whenever one of them wakes.
            tokio::spawn(async move {
                let attempt = post::attempt(Arc::clone(&counter), number, outbound.clone());
                let landed = match AssertUnwindSafe(attempt).catch_unwind().await {
                    Ok(landed) => landed,
                    Err(_) => post::strand(&counter, &outbound).await,
                };
                back.do_send(Returned(landed));
            });
        }
        self.counter.store.claim_at_once(self.lanes.is_flowing(now));
        self.set_alarm(ctx);
    }

    fn set_alarm(&mut self, ctx: &mut Context<Self>) {
        let next = self.lanes.next_departure();
        if self.alarm.map(|(at, _)| at) == next {
            return;
        }
        if let Some((_, alarm)) = self.alarm.take() {
            ctx.cancel_future(alarm);
        }
        if let Some(at) = next {
            let clock = self.clock.clone();
            let ring = async move { clock.sleep_until(at).await };
            let alarm = ctx.spawn(ring.into_actor(self).map(|(), sender, ctx| {
                sender.alarm = None;
                sender.pump(ctx);
            }));
            self.alarm = Some((at, alarm));
        }
    }
}

impl SenderActor {
    fn keep_house_later(&self, ctx: &mut Context<Self>) {
        let clock = self.clock.clone();
        let wait = async move { clock.sleep(HOUSEKEEPING).await };
        ctx.spawn(wait.into_actor(self).map(|(), sender, ctx| {
            sender.keep_house();
            sender.keep_house_later(ctx);
        }));
    }

    fn keep_house(&self) {
        let now = self.clock.now();
        self.lanes.forget_rested_pairs();
        for (number, waiting) in self.lanes.waiting() {
            self.board.update(&number, |state| {
                state.waiting = waiting;
                state.paused = state.paused.take().filter(|(_, until)| *until > now);
            });
        }
    }
}

impl Actor for SenderActor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        self.keep_house_later(ctx);
    }
}

impl Supervised for SenderActor {}

impl Handler<Queue> for SenderActor {
    type Result = ();

    fn handle(&mut self, Queue(messages): Queue, ctx: &mut Self::Context) {
        for outbound in messages {
            let (message, number) = (outbound.id, Arc::clone(&outbound.phone_number_id));
            if !self.lanes.push(outbound) {
                tracing::error!(%message, number = &*number, "a message waits for a number that is not configured");
            }
        }
        self.pump(ctx);
    }
}

impl Handler<Returned> for SenderActor {
    type Result = ();

    fn handle(&mut self, Returned(landed): Returned, ctx: &mut Self::Context) {
        let now = self.clock.now();
        match landed.next {
            Next::GoOn => self.lanes.finish(landed.conversation, landed.message, now),
            Next::Sleep { until, state, attempts } => {
                self.lanes.delay(landed.conversation, landed.message, now, until, |head| {
                    head.state = state;
                    head.attempts = attempts;
                    head.due_at = until;
                });
            }
        }
        if let Some((until, why)) = landed.pause {
            tracing::warn!(number = &*landed.phone_number_id, why, "a number rests");
            self.lanes.pause(&landed.phone_number_id, until);
            self.board.update(&landed.phone_number_id, |state| state.paused = Some((why, until)));
        }
        self.pump(ctx);
    }
}

impl Handler<Settled> for SenderActor {
    type Result = ();

    fn handle(&mut self, Settled(messages): Settled, ctx: &mut Self::Context) {
        let now = self.clock.now();
        for (conversation, message) in messages {
            self.lanes.settled(conversation, message, now);
        }
        self.pump(ctx);
    }
}

impl Handler<Redirect> for SenderActor {
    type Result = ();

    fn handle(&mut self, Redirect(conversations): Redirect, ctx: &mut Self::Context) {
        let now = self.clock.now();
        for Redirected { from, to, address } in conversations {
            if let Some(address) = address {
                self.lanes.redirect(from, to, &address, now);
            }
        }
        self.pump(ctx);
    }
}

impl Handler<CountWaiting> for SenderActor {
    type Result = usize;

    fn handle(&mut self, _: CountWaiting, _: &mut Self::Context) -> usize {
        self.lanes.waiting().values().sum()
    }
}

impl Handler<FindUnknown> for SenderActor {
    type Result = Vec<Outbound>;

    fn handle(&mut self, FindUnknown(mut stored): FindUnknown, _: &mut Self::Context) -> Vec<Outbound> {
        stored.retain(|outbound| {
            self.numbers.contains_key(&outbound.phone_number_id) && !self.lanes.knows(outbound)
        });
        stored
    }
}

impl Handler<Halt> for SenderActor {
    type Result = bool;

    fn handle(&mut self, _: Halt, _: &mut Self::Context) -> bool {
        self.halted = true;
        self.lanes.is_landed()
    }
}

/// A row that was found claimed, and that this process has not claimed, may have been posted: it waits for a status first.
#[must_use]
pub fn adopted(mut found: Vec<Outbound>, until: Millis) -> Vec<Outbound> {
    for outbound in &mut found {
        if outbound.state == QueueState::Claimed {
            outbound.state = QueueState::Ambiguous;
            outbound.due_at = until;
        }
    }
    found
}
