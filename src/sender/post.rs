//! One attempt to send one message: durable claim, POST, settle.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;

use crate::clock::Millis;
use crate::domain::ids::{ConversationId, MessageId};
use crate::domain::outbound::Message;
use crate::media::upload::Uploads;
use crate::meta::client::Outcome;
use crate::meta::request;
use crate::sender::verdict::{self, OfNumber, Verdict};
use crate::sender::{Limits, Number};
use crate::store::{Attempted, Claim, Error, Outbound, QueueState, Settle, SettleOutcome, Store};
use crate::telemetry::{Metrics, SendOutcome};
use crate::template::Book;

/// How long a settle that the store refused waits before it is tried again.
const SETTLE_PAUSE: Duration = Duration::from_secs(1);
/// What is noted of an attempt that panicked.
const PANICKED: &str = "the program broke down while it was being sent";

/// What an attempt works with.
pub struct Counter {
    /// Where claims and outcomes are kept.
    pub store: Store,
    /// Who exchanges files of ours for Meta's ids of them.
    pub uploads: Uploads,
    /// Who knows which templates Meta would take.
    pub templates: Book,
    /// What is counted.
    pub metrics: Metrics,
    /// The limits.
    pub limits: Limits,
}

/// What became of a head of line.
#[derive(Debug)]
pub struct Landed {
    /// Its lane.
    pub conversation: ConversationId,
    /// The message.
    pub message: MessageId,
    /// Its number.
    pub phone_number_id: Arc<str>,
    /// What its lane does.
    pub next: Next,
    /// What it tells of its number.
    pub of_number: OfNumber,
}

/// What a lane does after an attempt at its head.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// The head is gone; the next one may go.
    GoOn,
    /// The head stays, in this state, and the lane sleeps until this moment.
    Sleep {
        /// Until when.
        until: Millis,
        /// The state of the head's row.
        state: QueueState,
        /// Attempts at it so far.
        attempts: u32,
    },
}

/// Makes one attempt. What it returns is written down before it returns.
pub async fn attempt(counter: Arc<Counter>, number: Number, mut outbound: Outbound) -> Landed {
    let store = &counter.store;
    let given_up = verdict::before_attempt(&outbound, &counter.limits, store.clock().now())
        .or_else(|| misfit(&counter.templates, &outbound));
    let (next, of_number) = if let Some(outcome) = given_up {
        (settle(&counter, &outbound, outcome).await, OfNumber::NotAsked)
    } else {
        match claim(&counter, &mut outbound).await {
            Ok(Claim::Admitted) => leave(&counter, &number, &outbound).await,
            // The template that goes in its place was not asked about before.
            Ok(Claim::AdmittedAs(_)) => match misfit(&counter.templates, &outbound) {
                Some(outcome) => (settle(&counter, &outbound, outcome).await, OfNumber::NotAsked),
                None => leave(&counter, &number, &outbound).await,
            },
            // What became of it is written down; its lane goes on without it.
            Ok(Claim::Held | Claim::Gone) => (Next::GoOn, OfNumber::NotAsked),
            Ok(Claim::Withheld(refusal)) => {
                counter.metrics.send(SendOutcome::Withheld);
                tracing::info!(message = %outbound.id, conversation = %outbound.conversation, reason = refusal.name(), "a message is not sent");
                (Next::GoOn, OfNumber::NotAsked)
            }
            Err(error) => {
                tracing::error!(message = %outbound.id, %error, "a message waits for the store");
                let until = store.clock().now() + crate::clock::duration_ms(SETTLE_PAUSE);
                let next = Next::Sleep { until, state: outbound.state, attempts: outbound.attempts };
                (next, OfNumber::NotAsked)
            }
        }
    };
    Landed {
        conversation: outbound.conversation,
        message: outbound.id,
        phone_number_id: Arc::clone(&outbound.phone_number_id),
        next,
        of_number,
    }
}

/// Posts what may leave, and writes down what came of it. Where the post panics, it may have reached Meta or not.
async fn leave(counter: &Counter, number: &Number, outbound: &Outbound) -> (Next, OfNumber) {
    let posted = AssertUnwindSafe(post(counter, number, outbound)).catch_unwind().await;
    let outcome = posted.unwrap_or_else(|_| {
        tracing::error!(message = %outbound.id, conversation = %outbound.conversation, "an attempt to send panicked");
        Outcome::Ambiguous(PANICKED.to_owned())
    });
    counter.metrics.send(class(&outcome));
    let now = counter.store.clock().now();
    let Verdict { settle: outcome, of_number } = verdict::judge(outcome, outbound, &counter.limits, now);
    (settle(counter, outbound, outcome).await, of_number)
}

/// What becomes of a template that Meta would refuse: it is not posted.
fn misfit(templates: &Book, outbound: &Outbound) -> Option<SettleOutcome> {
    let (refusal, invalid) = templates.check(&outbound.phone_number_id, &outbound.message).err()?;
    let failure = refusal.failure(Some(invalid.to_string()));
    Some(SettleOutcome::Failed { attempt: Attempted { outcome: Attempted::WITHHELD, failure } })
}

/// The request itself; before it, Meta gets the file of ours that the message holds, unless it has it already.
async fn post(counter: &Counter, number: &Number, outbound: &Outbound) -> Outcome {
    let callback = outbound.id.to_string();
    let body = |message: &Message| {
        request::body(message, &outbound.address, outbound.reply_to.as_deref(), &callback)
    };
    let (client, from, message) = (&number.client, &*outbound.phone_number_id, &*outbound.message);
    match message.file() {
        None => client.send(from, &body(message)).await,
        Some(file) => {
            let with_file = |id: &str| body(&message.clone().with_file(id));
            counter.uploads.send(client, from, file, with_file).await
        }
    }
}

/// Passes the gate: the message may leave, and the claim is on disk. One that was committed as claimed has passed it.
async fn claim(counter: &Counter, outbound: &mut Outbound) -> Result<Claim, Error> {
    if outbound.state == QueueState::Claimed {
        return Ok(Claim::Admitted);
    }
    let claim = counter.store.claim(outbound.id).await?;
    match &claim {
        Claim::Admitted => {}
        Claim::AdmittedAs(template) => outbound.message = Arc::clone(template),
        Claim::Held | Claim::Withheld(_) | Claim::Gone => return Ok(claim),
    }
    if outbound.state == QueueState::Ambiguous {
        tracing::warn!(message = %outbound.id, conversation = %outbound.conversation, "an ambiguous message is sent again");
        counter.metrics.resent_after_ambiguity();
    }
    outbound.attempts += 1;
    outbound.state = QueueState::Claimed;
    Ok(claim)
}

/// Writes the outcome down, however long that takes: until then the row says that the message may have been sent.
async fn settle(counter: &Counter, outbound: &Outbound, outcome: SettleOutcome) -> Next {
    if let SettleOutcome::Failed { attempt } = &outcome {
        let withheld = attempt.outcome == Attempted::WITHHELD;
        counter.metrics.send(if withheld { SendOutcome::Withheld } else { SendOutcome::Failed });
        tracing::warn!(message = %outbound.id, conversation = %outbound.conversation, reason = %attempt.failure, "a message failed");
    }
    let settle = Settle { id: outbound.id, outcome: outcome.clone() };
    loop {
        match counter.store.settle(settle.clone()).await {
            Ok(()) | Err(Error::Closed) => break,
            Err(error) => {
                tracing::error!(message = %outbound.id, %error, "an outcome waits for the store");
                counter.store.clock().sleep(SETTLE_PAUSE).await;
            }
        }
    }
    let attempts = outbound.attempts;
    match outcome {
        SettleOutcome::Accepted { .. } | SettleOutcome::Done | SettleOutcome::Failed { .. } => Next::GoOn,
        SettleOutcome::Retry { due_at, counted, .. } => {
            let attempts = if counted { attempts } else { attempts.saturating_sub(1) };
            Next::Sleep { until: due_at, state: QueueState::Ready, attempts }
        }
        SettleOutcome::Ambiguous { until, .. } => {
            Next::Sleep { until, state: QueueState::Ambiguous, attempts }
        }
    }
}

fn class(outcome: &Outcome) -> SendOutcome {
    match outcome {
        Outcome::Accepted { .. } => SendOutcome::Accepted,
        Outcome::Refused(_) => SendOutcome::Refused,
        Outcome::NotSent(_) => SendOutcome::NotSent,
        Outcome::Ambiguous(_) => SendOutcome::Ambiguous,
    }
}
