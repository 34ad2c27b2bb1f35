//! Where the store's work is done: on the runtime that runs the program, or under the eyes of a [`Director`], which decides
//! when each piece of it happens and whether the database then fails. The program has no director, and each place where
//! one could step in is the test of an `Option`.
//!
//! With a director, a run of the program is a function of what the director decides: that is what a simulation stands on.

use std::sync::Arc;

use futures_util::future::BoxFuture;
use sea_orm::DbErr;

/// A moment of the store's work at which a director may step in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Moment {
    /// A batch of so many jobs is about to begin.
    Begin(usize),
    /// All of a batch is written, and nothing of it is committed.
    Commit,
    /// A batch is committed, and nobody knows it yet. What fails here is a commit whose answer is lost.
    Committed,
    /// The writer is about to look whether a batch whose commit was not answered is committed.
    Doubt,
    /// Something is about to be read.
    Read,
    /// Something was read, and is about to be handed over.
    HandOver,
}

/// Who decides when the store's work happens, and whether it fails.
pub trait Director: Send + Sync {
    /// The store is at `moment` and goes on when this is ready. An error is the database's, with this reason; what is
    /// never ready is a program that has died.
    fn pass(&self, moment: Moment) -> BoxFuture<'static, Result<(), String>>;

    /// Does this work to its end before it returns.
    fn finish<'a>(&self, work: BoxFuture<'a, ()>);

    /// Whether a turn on an outdated state is refused, as it always is in the program. One who says no finds out whether
    /// anybody notices.
    fn fences(&self) -> bool {
        true
    }
}

/// The program's own way, or a director's.
#[derive(Clone, Default)]
pub(crate) struct Stage(Option<Arc<dyn Director>>);

impl Stage {
    pub(crate) fn new(director: Option<Arc<dyn Director>>) -> Self {
        Self(director)
    }

    pub(crate) fn is_directed(&self) -> bool {
        self.0.is_some()
    }

    pub(crate) fn is_fenced(&self) -> bool {
        self.0.as_ref().is_none_or(|director| director.fences())
    }

    pub(crate) async fn pass(&self, moment: Moment) -> Result<(), DbErr> {
        match &self.0 {
            None => Ok(()),
            Some(director) => director.pass(moment).await.map_err(DbErr::Custom),
        }
    }

    pub(crate) async fn work<T: Send>(&self, work: impl Future<Output = T> + Send) -> T {
        let Some(director) = &self.0 else { return work.await };
        let mut done = None;
        director.finish(Box::pin(async { done = Some(work.await) }));
        done.expect("a director does work to its end")
    }
}
