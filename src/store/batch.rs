//! What the parts of a batch work with: its transaction, what it adds up, and what is to happen once it is committed.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use sea_orm::{DatabaseTransaction, DbErr};

use crate::clock::{Ids, Millis};
use crate::domain::ids::{KeyId, MediaId, MessageId};
use crate::domain::notice::News;
use crate::store::counters::Tally;
use crate::store::directory::{Directory, Learnt};
use crate::store::privacy::tombstone;
use crate::store::{Accepted, Claim, Deed, Erasure, Hint, Parted, Scrubbed, TurnReply};

/// What a batch changes outside the database, once it is committed.
#[derive(Default)]
pub(crate) struct Aftermath {
    pub(crate) hints: Vec<Hint>,
    pub(crate) open_delta: i64,
    pub(crate) open_counted: Option<i64>,
    pub(crate) parked_delta: i64,
    /// Lanes that became part of another one, before anything of `lanes` happened.
    pub(crate) merged_lanes: Vec<(i64, i64)>,
    pub(crate) lanes: HashMap<i64, i64>,
    /// Conversations for which a message is held from here on.
    pub(crate) held: Vec<i64>,
    /// Conversations for which none is held any more.
    pub(crate) released: Vec<i64>,
    pub(crate) learnt: Vec<Learnt>,
    /// Whether messages were written.
    pub(crate) said: bool,
    pub(crate) notes: Vec<Note>,
    /// Whether there is something in the feed for those who listen.
    pub(crate) told: bool,
    /// Whether a delivery is to be made again.
    pub(crate) again: bool,
    /// Until when the last of the tombstones that were written stands.
    pub(crate) buried_until: Millis,
    /// Whether an opt-out of an erased person was marked.
    pub(crate) marked: bool,
    /// What is in the audit log now.
    pub(crate) deeds: Vec<Arc<Deed>>,
}

impl Aftermath {
    /// Whether the commit changes something that others rely on.
    pub(crate) fn matters(&self) -> bool {
        let Self {
            hints,
            open_delta,
            open_counted: _,
            parked_delta,
            merged_lanes,
            lanes,
            held,
            released,
            learnt,
            notes: _,
            deeds,
            said,
            told,
            again,
            buried_until,
            marked,
        } = self;
        *said
            || *told
            || *again
            || *marked
            || *buried_until != Millis::default()
            || *parked_delta != 0
            || *open_delta != 0
            || !(hints.is_empty()
                && merged_lanes.is_empty()
                && lanes.is_empty()
                && held.is_empty()
                && released.is_empty()
                && learnt.is_empty()
                && deeds.is_empty())
    }
}

/// Something to count in the metrics after the commit.
pub(crate) enum Note {
    Accepted(&'static str),
    Ignored,
    Duplicate,
    Status(&'static str),
    Parked,
    Replied(Millis),
}

/// What applying a batch works with.
pub(crate) struct Scope<'a> {
    pub(crate) tx: &'a DatabaseTransaction,
    pub(crate) now: Millis,
    pub(crate) ids: &'a Ids,
    pub(crate) directory: &'a mut Directory,
    pub(crate) open_lanes: &'a HashMap<i64, i64>,
    /// Conversations for which messages may be held.
    pub(crate) held: &'a HashSet<i64>,
    pub(crate) window_margin: Duration,
    /// What is known of the erased.
    pub(crate) erased: &'a tombstone::Memory,
    pub(crate) claim_at_once: bool,
    /// Statuses that wait for their message, or more.
    pub(crate) parked: i64,
    /// Whether a turn on an outdated state is refused: see [`Director::fences`](crate::store::stage::Director::fences).
    pub(crate) is_fenced: bool,
    pub(crate) after: Aftermath,
    pub(crate) tally: Tally,
    /// What those who listen are to be told, in order.
    pub(crate) news: Vec<News>,
}

/// What a request came to, held back until the commit.
#[derive(Debug)]
pub(crate) enum Reply {
    Unit,
    Accepted(Vec<Accepted>),
    Turn(TurnReply),
    Attempts(Option<u32>),
    Changed(bool),
    Claimed(Claim),
    Discarded(Vec<MessageId>),
    Number(i64),
    Media(MediaId, bool),
    Key(KeyId),
    Erasure(Option<Box<Erasure>>),
    Parted(Parted),
    Scrubbed(Scrubbed),
}

/// Why a batch was not committed.
pub(crate) enum Abort {
    /// The database does not begin a transaction: it is none of the jobs' doing, and the next one would fare no better.
    Away(DbErr),
    /// The database said no.
    Database(DbErr),
    /// One of the jobs has an answer that undoes its batch; alone, this is its answer.
    Refused(Reply),
}

impl From<DbErr> for Abort {
    fn from(error: DbErr) -> Self {
        Self::Database(error)
    }
}
