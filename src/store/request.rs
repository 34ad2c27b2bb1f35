//! What can be asked of the writer, and who waits for the answer.

use std::sync::Arc;

use tokio::sync::oneshot;

use crate::clock::Millis;
use crate::domain::consent::Change;
use crate::domain::ids::{ContactId, EventId, MessageId};
use crate::store::batch::Reply;
use crate::store::delivery::DeliveryWrite;
use crate::store::keys::KeyWrite;
use crate::store::media::MediaWrite;
use crate::store::privacy::erase::EraseWrite;
use crate::store::privacy::waste::WasteWrite;
use crate::store::template::TemplateList;
use crate::store::{Deed, Error, Incoming, KnownFlow, Reservation, Settle, SqlWrite, TokenPause, Turn};

/// Something to write.
pub(crate) enum Request {
    /// Keep these events.
    Accept(Vec<Incoming>, #[expect(dead_code, reason = "held until the job is answered")] Reservation),
    /// Commit this turn.
    Turn(Box<Turn>),
    /// This message wants to be posted.
    Claim(MessageId),
    /// What became of this attempt.
    Settle(Box<Settle>),
    /// These messages are not wanted any more.
    Discard(Vec<MessageId>),
    /// What a person wants to be sent.
    Consent(ContactId, Change),
    /// A turn for this event is about to be tried again; answers how often that was so.
    Attempt(EventId),
    /// This event is put aside, for this reason.
    Quarantine(EventId, String),
    DiscardEvent(EventId),
    /// This event is taken up again.
    Retry(EventId),
    /// The next number of this sequence.
    Number(String),
    /// Remember this flow.
    Flow(KnownFlow),
    /// A number's token was refused, or is taken again.
    TokenPause(TokenPause),
    /// What was in flight when the program ended is ambiguous until this moment.
    Orphans(Millis),
    /// Run these writes to the business's tables.
    Writes(Vec<SqlWrite>),
    /// Something about files.
    Media(MediaWrite),
    /// Keep the words of messages that came since the last time.
    Follow,
    /// Something about what outlets are told.
    Delivery(DeliveryWrite),
    /// Drop what was told up to this commit.
    ForgetFeed(i64),
    /// What Meta's list of templates says.
    Templates(TemplateList),
    /// Something about API keys.
    Key(KeyWrite),
    /// A step in the erasing of a person.
    Erase(EraseWrite),
    /// What contents no file has any more.
    Waste(WasteWrite),
    /// Clean the files of the database of what was deleted.
    Scrub,
    /// What somebody did, of which nothing else is written.
    Note(audit::Note),
    /// Count the open events afresh.
    Recount,
}

/// A request, and who waits for what it comes to.
pub(crate) struct Job {
    pub(crate) request: Request,
    /// Who wants it, where that is to be noted.
    pub(crate) on_behalf: Option<Arc<Deed>>,
    pub(crate) answer: oneshot::Sender<Result<Reply, Error>>,
}

impl Job {
    /// A waiter that has gone away does not need its answer.
    pub(crate) fn answer(self, reply: Result<Reply, Error>) {
        let _ = self.answer.send(reply);
    }
}

impl Request {
    pub(crate) fn incoming(&self) -> Option<&[Incoming]> {
        if let Self::Accept(incoming, _) = self { Some(incoming) } else { None }
    }

    pub(crate) fn turn(&self) -> Option<&Turn> {
        if let Self::Turn(turn) = self { Some(turn) } else { None }
    }

    pub(crate) fn settle(&self) -> Option<&Settle> {
        if let Self::Settle(settle) = self { Some(settle) } else { None }
    }

    pub(crate) fn claim(&self) -> Option<MessageId> {
        if let Self::Claim(id) = self { Some(*id) } else { None }
    }
}
