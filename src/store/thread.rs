//! The writer's own thread. A batch goes to the database and back a dozen times: on a runtime that others use as well, it would
//! queue behind them at every return.

use tokio::runtime::{Builder, Handle};
use tokio::sync::oneshot;

use crate::store::Error;
use crate::store::stage::Stage;

/// Where the writer and its connection live.
pub(crate) struct Thread {
    runtime: Handle,
    /// It ends when this is dropped; under a director there is none.
    end: Option<oneshot::Sender<()>>,
}

impl Thread {
    /// Starts the thread. Under a director everything stays on the current one.
    pub(crate) fn start(stage: &Stage) -> Result<Self, Error> {
        if stage.is_directed() {
            return Ok(Self { runtime: Handle::current(), end: None });
        }
        let failed =
            |error: std::io::Error| Error::Setup(format!("the writer's thread does not start: {error}"));
        let runtime = Builder::new_current_thread().enable_all().build().map_err(failed)?;
        let handle = runtime.handle().clone();
        let (end, ended) = oneshot::channel::<()>();
        let work = move || drop(runtime.block_on(ended));
        std::thread::Builder::new().name("writer".to_owned()).spawn(work).map_err(failed)?;
        Ok(Self { runtime: handle, end: Some(end) })
    }

    /// Does `work` here and answers what it came to.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        stage: &Stage,
        work: impl Future<Output = Result<T, Error>> + Send + 'static,
    ) -> Result<T, Error> {
        if stage.is_directed() {
            return stage.work(work).await;
        }
        self.runtime.spawn(work).await.map_err(|_| Error::Closed)?
    }

    /// Does `work` here to its end, with which the thread ends.
    pub(crate) fn end_with(self, work: impl Future<Output = ()> + Send + 'static) {
        let Self { runtime, end } = self;
        runtime.spawn(async move {
            work.await;
            drop(end);
        });
    }
}
