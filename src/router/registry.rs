//! Which conversations are in memory, the most recently used first.

use std::sync::Arc;

use actix::Addr;
use lru::LruCache;

use crate::clock::Millis;
use crate::conversation::actor::{ConversationActor, Workload};
use crate::domain::ids::ConversationId;

/// Entries looked at, at the most, in the search for one that may leave: the busy ones are at most as many as the limit
/// of unfinished events, so a search that finds none is soon worth repeating.
const SEARCH_MAX: usize = 64;

/// A conversation in memory.
pub(crate) struct Entry {
    pub(crate) address: Addr<ConversationActor>,
    pub(crate) workload: Arc<Workload>,
    used_at: Millis,
}

/// The conversations in memory.
pub(crate) struct Registry {
    entries: LruCache<ConversationId, Entry>,
    active_max: usize,
    idle_ms: Millis,
}

impl Registry {
    pub(crate) fn new(active_max: usize, idle_ms: Millis) -> Self {
        Self { entries: LruCache::unbounded(), active_max: active_max.max(1), idle_ms }
    }

    /// The living actor of `conversation`, marked as used. One that has died is forgotten here.
    pub(crate) fn find(&mut self, conversation: ConversationId, now: Millis) -> Option<&Entry> {
        if self.entries.peek(&conversation).is_some_and(|entry| !entry.address.connected()) {
            self.entries.pop(&conversation);
        }
        let entry = self.entries.get_mut(&conversation)?;
        entry.used_at = now;
        Some(entry)
    }

    /// Takes a new conversation in; over the limit, idle ones leave, the least recently used first.
    pub(crate) fn insert(
        &mut self,
        conversation: ConversationId,
        address: Addr<ConversationActor>,
        workload: Arc<Workload>,
        now: Millis,
    ) {
        self.entries.push(conversation, Entry { address, workload, used_at: now });
        while self.entries.len() > self.active_max {
            let idle = self.entries.iter().rev().take(SEARCH_MAX).find(|(_, entry)| entry.workload.is_idle());
            let Some(conversation) = idle.map(|(conversation, _)| *conversation) else { break };
            self.entries.pop(&conversation);
        }
    }

    /// Lets those leave that were idle for too long, and forgets the dead.
    pub(crate) fn passivate(&mut self, now: Millis) {
        let leaving: Vec<ConversationId> = self
            .entries
            .iter()
            .rev()
            .take_while(|(_, entry)| now - entry.used_at >= self.idle_ms)
            .filter(|(_, entry)| entry.workload.is_idle() || !entry.address.connected())
            .map(|(conversation, _)| *conversation)
            .collect();
        for conversation in leaving {
            self.entries.pop(&conversation);
        }
    }

    /// Lets `conversation` go, whatever it has in hand.
    pub(crate) fn forget(&mut self, conversation: ConversationId) {
        self.entries.pop(&conversation);
    }

    /// Whether `conversation` is alive and has work in hand, which includes whatever is stored as not done.
    pub(crate) fn is_busy(&self, conversation: ConversationId) -> bool {
        self.entries
            .peek(&conversation)
            .is_some_and(|entry| entry.address.connected() && !entry.workload.is_idle())
    }

    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether nobody has anything in hand.
    pub(crate) fn is_idle(&self) -> bool {
        self.entries.iter().all(|(_, entry)| entry.workload.is_idle() || !entry.address.connected())
    }

    /// Forgets everyone.
    pub(crate) fn clear(&mut self) {
        self.entries.clear();
    }
}
