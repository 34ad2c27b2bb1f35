//! The shell of the sender: messages come in, heads of line go out, outcomes come back.

use std::collections::HashMap;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use actix::{
    Actor, ActorFutureExt, AsyncContext, Context, Handler, Message, SpawnHandle, Supervised, WrapFuture,
};
use futures_util::FutureExt;

use crate::clock::{Clock, Millis, duration_ms};
use crate::config::Secret;
use crate::domain::ids::{ConversationId, MessageId};
use crate::meta::client::BadSetting;
use crate::sender::lanes::{Lanes, Left};
use crate::sender::pacing::{NumberPacing, PairPacing};
use crate::sender::post::{self, Counter, Landed, Next};
use crate::sender::token::{Change, TokenWatch};
use crate::sender::verdict::OfNumber;
use crate::sender::{Board, Number, reconcile};
use crate::store::{Outbound, QueueState, Redirected, TokenPause};

/// How often those who look are told how the numbers are doing.
const TELLING: Duration = Duration::from_secs(1);
/// How often rested pairs are forgotten.
const FORGETTING: Duration = Duration::from_secs(60);

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

/// So many messages came in at each of these numbers: Meta counts them against what may leave.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Heard(pub Vec<(Arc<str>, usize)>);

/// Use this token for a number from here on.
#[derive(Message)]
#[rtype(result = "Result<(), TokenRefused>")]
pub struct SetToken {
    /// The number.
    pub phone_number_id: String,
    /// Its new token.
    pub token: Secret,
}

/// Why a token was not taken.
#[derive(Debug, thiserror::Error)]
pub enum TokenRefused {
    /// The number is none of ours.
    #[error("this is not one of our numbers")]
    NotOurs,
    /// It cannot be a token.
    #[error("{0}")]
    Bad(#[from] BadSetting),
}

/// Whether so many messages are known to wait, none of them is under way, and none could leave before the clock moves on.
#[derive(Message)]
#[rtype(result = "bool")]
pub struct IsStill(pub i64);

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
struct Returned(Landed, Left);

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
    /// A sender for `numbers`, whose tokens were refused in these `pauses`.
    #[must_use]
    pub fn new(counter: Arc<Counter>, numbers: Vec<Number>, pauses: &[TokenPause], board: Board) -> Self {
        let clock = counter.store.clock().clone();
        let mut lanes = Lanes::new(PairPacing::new(counter.limits.pair_pacing, clock.clone()));
        for number in &numbers {
            let pacing = NumberPacing::new(number.messages_per_second, clock.clone());
            let its = pauses.iter().filter(|pause| pause.phone_number_id == number.phone_number_id);
            let times: Vec<_> = its.map(|pause| (pause.began_at, pause.ended_at)).collect();
            let token = TokenWatch::new(&times);
            lanes.add_number(
                Arc::clone(&number.phone_number_id),
                pacing,
                token,
                counter.limits.in_flight_max,
            );
        }
        let numbers =
            numbers.into_iter().map(|number| (Arc::clone(&number.phone_number_id), number)).collect();
        let mut sender = Self { counter, clock, numbers, lanes, board, alarm: None, halted: false };
        sender.tell();
        sender
    }

    /// Tells those who look how the numbers are doing.
    fn tell(&mut self) {
        let now = self.clock.now();
        for (number, state) in self.lanes.states(now) {
            self.counter.metrics.number(number, &state.gauges(now));
            self.board.set(number, state);
        }
    }

    /// A number's token was refused, or is taken again: it is logged, shown and written down.
    fn note(&mut self, number: &Arc<str>, change: Change) {
        let (began_at, ended_at) = match change {
            Change::Paused { at, why } => {
                tracing::warn!(number = &**number, why, "Meta refuses the token: the number is paused");
                (at, None)
            }
            Change::Resumed { since, at } => {
                tracing::info!(number = &**number, "the number is paused no more");
                (since, Some(at))
            }
        };
        self.tell();
        let pause = TokenPause { phone_number_id: Arc::clone(number), began_at, ended_at };
        tokio::spawn(reconcile::keep_pause(self.counter.store.clone(), pause));
    }

    /// Lets go what may go, and sets the alarm for what may go next.
    fn pump(&mut self, ctx: &mut Context<Self>) {
        if self.halted {
            return;
        }
        let now = self.clock.now();
        let until = now + duration_ms(self.counter.limits.ambiguous_grace);
        for (outbound, left) in self.lanes.depart(now) {
            let Some(number) = self.numbers.get(&outbound.phone_number_id).cloned() else { continue };
            let back = ctx.address();
            // A task of its own, not of the actor: an actor polls all of its futures whenever one of them wakes.
            let stranded = Landed {
                conversation: outbound.conversation,
                message: outbound.id,
                phone_number_id: Arc::clone(&outbound.phone_number_id),
                next: Next::Sleep { until, state: QueueState::Ambiguous, attempts: outbound.attempts },
                of_number: OfNumber::Nothing,
            };
            let attempt = AssertUnwindSafe(post::attempt(Arc::clone(&self.counter), number, outbound));
            tokio::spawn(async move {
                back.do_send(Returned(attempt.catch_unwind().await.unwrap_or(stranded), left));
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

impl Actor for SenderActor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.run_interval(TELLING, |sender, _| sender.tell());
        ctx.run_interval(FORGETTING, |sender, _| sender.lanes.forget_rested_pairs());
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

    fn handle(&mut self, Returned(landed, left): Returned, ctx: &mut Self::Context) {
        let now = self.clock.now();
        let number = landed.phone_number_id;
        if let OfNumber::Slow { why, .. } = &landed.of_number
            && !self.lanes.is_resting(&number, now)
        {
            tracing::warn!(
                number = &*number,
                why,
                "a number is too fast for Meta: it rests, and goes on more slowly"
            );
        }
        let change = self.lanes.told(&number, left, landed.of_number, now);
        match landed.next {
            Next::GoOn => self.lanes.finish(landed.conversation, landed.message, now),
            Next::Sleep { until, state, attempts } => {
                self.lanes.delay(landed.conversation, landed.message, now, until, |head| {
                    head.state = state;
                    head.attempts = attempts;
                });
            }
        }
        if let Some(change) = change {
            self.note(&number, change);
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

impl Handler<Heard> for SenderActor {
    type Result = ();

    fn handle(&mut self, Heard(counts): Heard, _: &mut Self::Context) {
        for (number, count) in counts {
            self.lanes.heard(&number, count);
        }
    }
}

impl Handler<SetToken> for SenderActor {
    type Result = Result<(), TokenRefused>;

    fn handle(&mut self, wish: SetToken, ctx: &mut Self::Context) -> Self::Result {
        let number = self.numbers.get(&*wish.phone_number_id).ok_or(TokenRefused::NotOurs)?;
        number.client.set_token(&wish.token)?;
        let number = Arc::clone(&number.phone_number_id);
        tracing::info!(number = &*number, "a number has another token");
        if let Some(change) = self.lanes.renewed(&number, self.clock.now()) {
            self.note(&number, change);
        }
        self.pump(ctx);
        Ok(())
    }
}

impl Handler<IsStill> for SenderActor {
    type Result = bool;

    fn handle(&mut self, IsStill(waiting): IsStill, ctx: &mut Self::Context) -> bool {
        self.pump(ctx);
        let idle = self.lanes.next_departure().is_none_or(|at| at > self.clock.now());
        idle && self.lanes.is_landed() && i64::try_from(self.lanes.depth()) == Ok(waiting)
    }
}

impl Handler<CountWaiting> for SenderActor {
    type Result = usize;

    fn handle(&mut self, _: CountWaiting, _: &mut Self::Context) -> usize {
        self.lanes.depth()
    }
}

impl Handler<FindUnknown> for SenderActor {
    type Result = Vec<Outbound>;

    fn handle(&mut self, FindUnknown(mut stored): FindUnknown, _: &mut Self::Context) -> Vec<Outbound> {
        stored.retain(|outbound| {
            self.numbers.contains_key(&outbound.phone_number_id) && !self.lanes.knows(outbound.id)
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
