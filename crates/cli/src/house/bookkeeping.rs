//! The thread where rows are made and committed, apart from those that answer requests.

use std::future::Future;

use tokio::runtime::Runtime;

use crate::Error;

/// A runtime of one thread for the recorder, the gateway's scribe and the lake's group commits.
///
/// On the threads that serve requests, a batch of rows to encode held up whoever was answered on the same thread: on
/// two busy cores that was most of the slowest hundredth of calls.
pub struct Bookkeeping(Option<Runtime>);

impl Bookkeeping {
    /// Starts the thread.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn start() -> Result<Self, Error> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("bookkeeping")
            .enable_all()
            .build()
            .map_err(|cause| Error::doing("starting the bookkeeping thread", cause))?;
        Ok(Self(Some(runtime)))
    }

    /// Runs `open` there, so that the tasks it starts stay there.
    ///
    /// # Panics
    /// When `open` does.
    pub async fn host<T: Send + 'static>(&self, open: impl Future<Output = T> + Send + 'static) -> T {
        let runtime = self.0.as_ref().expect("the runtime is there until it is dropped");
        match runtime.spawn(open).await {
            Ok(opened) => opened,
            Err(failed) => std::panic::resume_unwind(failed.into_panic()),
        }
    }
}

impl Drop for Bookkeeping {
    fn drop(&mut self) {
        // By now all is drained and closed; waiting for a thread is not allowed where this may be dropped.
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}
