//! The store under direction: each piece of its work is done to its end before anything else happens, and at each moment
//! between two pieces it may have to wait, fail, or see the program die.

use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::Thread;
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use switchboard::store::stage::{Director, Moment};
use tokio::runtime::Handle;

use crate::fate::{Broken, Fate};

/// A waker may have been put aside by the runtime whose thread waits here: look again after so long.
const LOOK_AGAIN: Duration = Duration::from_millis(1);

pub(crate) struct Stage {
    pub(crate) fate: Arc<Fate>,
    /// Where the connections live.
    pub(crate) database: Handle,
}

impl Director for Stage {
    fn pass(&self, moment: Moment) -> BoxFuture<'static, Result<(), String>> {
        let fate = Arc::clone(&self.fate);
        async move {
            fate.linger(|| format!("{moment:?}")).await;
            fate.may_die(|| format!("{moment:?}")).await;
            let temper = &fate.temper;
            let per_cent = match moment {
                Moment::Begin(_) | Moment::Commit | Moment::Doubt | Moment::Read => temper.fail,
                Moment::Committed => temper.lose_commit,
                Moment::HandOver => 0,
            };
            if fate.fault(per_cent) {
                fate.note(format_args!("fails: {moment:?}"));
                return Err(format!("simulated, at {moment:?}"));
            }
            Ok(())
        }
        .boxed()
    }

    fn finish<'a>(&self, work: BoxFuture<'a, ()>) {
        let _there = self.database.enter();
        block_on(tokio::task::unconstrained(work));
    }

    fn fences(&self) -> bool {
        self.fate.broken != Some(Broken::Unfenced)
    }
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Waits for `work` on this thread, and lets nothing else run on it meanwhile.
pub(crate) fn block_on<T>(work: impl Future<Output = T>) -> T {
    let mut work = pin!(work);
    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    let mut context = Context::from_waker(&waker);
    loop {
        if let Poll::Ready(done) = work.as_mut().poll(&mut context) {
            return done;
        }
        std::thread::park_timeout(LOOK_AGAIN);
    }
}
