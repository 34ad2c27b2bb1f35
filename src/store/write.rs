//! What can be asked of the writer, one method each. Every one returns after the commit.

use crate::clock::Millis;
use crate::domain::consent::Change;
use crate::domain::ids::{ContactId, EventId, MessageId};
use crate::store::batch::Reply;
use crate::store::request::Request;
use crate::store::{
    Accepted, Claim, Error, Incoming, KnownFlow, Reservation, Settle, Store, Turn, TurnReply,
};

impl Store {
    /// Accepts `incoming`, all or nothing: when this returns, each of them is on disk. The answers are in the order of
    /// `incoming`.
    ///
    /// # Errors
    /// When the database refuses: nothing was kept.
    pub async fn accept(&self, incoming: Vec<Incoming>, room: Reservation) -> Result<Vec<Accepted>, Error> {
        match self.ask(Request::Accept(incoming, room)).await? {
            Reply::Accepted(accepted) => Ok(accepted),
            _ => Err(Error::Closed),
        }
    }

    /// Commits a turn: the event done, the new state, the replies, the timer and the business writes, or nothing.
    ///
    /// # Errors
    /// When the database fails. Whether the turn was committed is then unknown: forget what is in memory and reload.
    pub async fn commit_turn(&self, turn: Turn) -> Result<TurnReply, Error> {
        match self.ask(Request::Turn(Box::new(turn))).await? {
            Reply::Turn(reply) => Ok(reply),
            _ => Err(Error::Closed),
        }
    }

    /// Asks whether `message` may be posted now, and writes down that it is about to be, or why it is not.
    ///
    /// # Errors
    /// When the database refuses: do not post.
    pub async fn claim(&self, message: MessageId) -> Result<Claim, Error> {
        match self.ask(Request::Claim(message)).await? {
            Reply::Claimed(claim) => Ok(claim),
            _ => Err(Error::Closed),
        }
    }

    /// Takes messages out of the queue that wait in it, are held or failed, and returns those that went: what may be under
    /// way stays.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn discard(&self, messages: Vec<MessageId>) -> Result<Vec<MessageId>, Error> {
        match self.ask(Request::Discard(messages)).await? {
            Reply::Discarded(messages) => Ok(messages),
            _ => Err(Error::Closed),
        }
    }

    /// Keeps what a person wants to be sent. False when there is no such person, or a newer word of theirs is known.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn change_consent(&self, contact: ContactId, change: Change) -> Result<bool, Error> {
        self.changed(Request::Consent(contact, change)).await
    }

    /// Writes down what became of an attempt to send.
    ///
    /// # Errors
    /// When the database refuses: try again, the message stays claimed.
    pub async fn settle(&self, settle: Settle) -> Result<(), Error> {
        self.ask(Request::Settle(Box::new(settle))).await.map(drop)
    }

    /// Counts one more attempt at the turn of `event`, before it is made, and returns how many that makes; `None` when
    /// the event is not open.
    ///
    /// # Errors
    /// When the database refuses: do not begin.
    pub async fn count_attempt(&self, event: EventId) -> Result<Option<u32>, Error> {
        match self.ask(Request::Attempt(event)).await? {
            Reply::Attempts(attempts) => Ok(attempts),
            _ => Err(Error::Closed),
        }
    }

    /// Puts `event` aside with its reason, where a person can see it. False when it was not open.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn quarantine(&self, event: EventId, reason: &str) -> Result<bool, Error> {
        self.changed(Request::Quarantine(event, reason.to_owned())).await
    }

    /// Takes a quarantined event up again: it is dispatched as if it had just been accepted. False when it was not
    /// quarantined.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn retry_event(&self, event: EventId) -> Result<bool, Error> {
        self.changed(Request::Retry(event)).await
    }

    /// Puts a quarantined event away for good: it counts as ignored, and its row says why it had been put aside. False when
    /// it was not quarantined.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn discard_event(&self, event: EventId) -> Result<bool, Error> {
        self.changed(Request::DiscardEvent(event)).await
    }

    pub(super) async fn changed(&self, request: Request) -> Result<bool, Error> {
        match self.ask(request).await? {
            Reply::Changed(changed) => Ok(changed),
            _ => Err(Error::Closed),
        }
    }

    /// The next number of the named sequence, from 1. A number that is given and not used stays unused.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn next_number(&self, sequence: &str) -> Result<i64, Error> {
        match self.ask(Request::Number(sequence.to_owned())).await? {
            Reply::Number(number) => Ok(number),
            _ => Err(Error::Closed),
        }
    }

    /// Keeps a flow, so that sessions pinned to it can go on after the file has changed.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn keep_flow(&self, flow: KnownFlow) -> Result<(), Error> {
        self.ask(Request::Flow(flow)).await.map(drop)
    }

    /// Writes down that whatever was claimed when the program last ended is ambiguous, with a grace until `until`.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn adopt_orphans(&self, until: Millis) -> Result<(), Error> {
        self.ask(Request::Orphans(until)).await.map(drop)
    }

    /// Counts the open events afresh, so that the limit of unfinished events is kept on what is really there.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn recount(&self) -> Result<(), Error> {
        self.ask(Request::Recount).await.map(drop)
    }
}
