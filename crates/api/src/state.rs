//! What the surface itself keeps beside the rooms: whether it is stopping, how much it is answering, who tried to sign in.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use qd_prompt::Prompts;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use crate::app::App;
use crate::attempts::Attempts;
use crate::authentication;
use crate::error::{Error, Result};
use crate::examples::Kept;

/// The state of every handler; one pointer to clone.
pub(crate) type Shared = Arc<Surface>;

/// The application and the life of its HTTP surface.
pub(crate) struct Surface {
    pub app: App,
    pub lifecycle: Lifecycle,
    pub attempts: Attempts,
    /// Which version of a prompt is meant, from memory.
    pub prompts: Prompts,
    /// Prompts that are rendered at once: each may hold some tens of megabytes while it is.
    pub rendering: Arc<Semaphore>,
    /// Few-shot examples and their vectors.
    pub examples: Kept,
    /// The name of the cookie of browsers that are signed in here.
    pub cookie: String,
    pub started: Instant,
    in_flight: AtomicUsize,
}

/// Two moments at the end of a server's life.
#[derive(Clone, Default)]
pub(crate) struct Lifecycle {
    /// The server has been told to stop: new requests are refused, feeds without an end of their own are closed.
    pub stopping: CancellationToken,
    /// The time to drain is over: streams in flight are ended.
    pub cut: CancellationToken,
}

impl Surface {
    pub fn shared(app: App) -> Shared {
        Arc::new(Self {
            cookie: authentication::cookie_name(&app.catalog),
            prompts: Prompts::new(app.catalog.clone()),
            rendering: Arc::new(Semaphore::new(
                std::thread::available_parallelism().map_or(2, NonZeroUsize::get).max(2),
            )),
            examples: Kept::default(),
            app,
            lifecycle: Lifecycle::default(),
            attempts: Attempts::default(),
            started: Instant::now(),
            in_flight: AtomicUsize::new(0),
        })
    }

    /// Requests being answered now, streams included.
    pub fn in_flight(&self) -> usize {
        self.in_flight.load(Ordering::Relaxed)
    }

    /// Takes one of the places for requests.
    pub fn take_slot(self: &Arc<Self>) -> Result<Slot> {
        let limit = self.app.config.limits.in_flight;
        if self.lifecycle.stopping.is_cancelled() {
            return Err(Error::Stopping);
        }
        let slot = Slot { surface: self.clone() };
        match self.in_flight.fetch_add(1, Ordering::Relaxed) < limit {
            true => Ok(slot),
            false => Err(Error::Full { limit }),
        }
    }
}

/// A place among the requests being answered, given back when dropped.
pub(crate) struct Slot {
    surface: Shared,
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.surface.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}
