//! Where rows wait for their group commit: bounded by bytes, refusing at once when full.

use std::sync::Arc;

use arrow::array::RecordBatch;
use parking_lot::Mutex;
use qd_base::TableName;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};

use crate::Error;

/// These rows are on disk: they survive a crash of the process and of the machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ack {
    /// How many rows the batch had.
    pub rows: usize,
}

/// A queue that is full is empty again after about this long.
const RETRY_AFTER_MS: u64 = 50;

/// A batch on its way into the staging table.
pub(crate) struct Pending {
    pub table: TableName,
    pub batch: RecordBatch,
    pub bytes: usize,
    pub ack: oneshot::Sender<Result<Ack, Error>>,
    /// Its place in the queue, free again when the batch is committed.
    pub room: OwnedSemaphorePermit,
}

/// The end of the queue where batches come in.
#[derive(Debug)]
pub(crate) struct Queue {
    /// `None` once the lake is closed.
    sender: Mutex<Option<mpsc::UnboundedSender<Pending>>>,
    room: Arc<Semaphore>,
    limit_bytes: usize,
}

impl Queue {
    pub fn new(limit_bytes: usize) -> (Self, mpsc::UnboundedReceiver<Pending>) {
        // A semaphore counts permits with 32 bits at a time; a queue of 2 GiB is more than enough.
        let limit_bytes = limit_bytes.min(i32::MAX as usize);
        let (sender, receiver) = mpsc::unbounded_channel();
        (Self { sender: Mutex::new(Some(sender)), room: Arc::new(Semaphore::new(limit_bytes)), limit_bytes }, receiver)
    }

    /// Queues a batch, or says at once why not.
    pub fn push(
        &self,
        table: TableName,
        batch: RecordBatch,
        bytes: usize,
    ) -> Result<oneshot::Receiver<Result<Ack, Error>>, Error> {
        let permits = u32::try_from(bytes).ok().filter(|_| bytes <= self.limit_bytes);
        let permits = permits.ok_or(Error::TooLarge { bytes, limit_bytes: self.limit_bytes })?;
        let sender = self.sender.lock();
        let sender = sender.as_ref().ok_or(Error::Closed)?;
        let room = Arc::clone(&self.room)
            .try_acquire_many_owned(permits)
            .map_err(|_| Error::Full { retry_after_ms: RETRY_AFTER_MS })?;
        let (ack, acked) = oneshot::channel();
        sender.send(Pending { table, batch, bytes, ack, room }).map_err(|_| Error::Closed)?;
        Ok(acked)
    }

    /// Refuses batches from now on; those that are queued are still committed.
    pub fn close(&self) {
        *self.sender.lock() = None;
    }

    pub fn limit_bytes(&self) -> usize {
        self.limit_bytes
    }

    pub fn waiting_bytes(&self) -> usize {
        self.limit_bytes - self.room.available_permits()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::{events, events_table};

    #[test]
    fn a_full_queue_refuses_at_once_and_has_room_again_when_a_batch_leaves() {
        let (queue, mut batches) = Queue::new(1000);
        let push = |bytes| queue.push(events_table().name, events(0..1), bytes);
        assert!(matches!(push(1001), Err(Error::TooLarge { limit_bytes: 1000, .. })));
        let _first = push(600).unwrap();
        assert!(matches!(push(600), Err(Error::Full { .. })));
        assert_eq!(queue.waiting_bytes(), 600);
        drop(batches.try_recv().unwrap());
        let _second = push(600).unwrap();
        queue.close();
        assert!(matches!(push(1), Err(Error::Closed)));
        assert!(batches.try_recv().is_ok(), "what was queued is still there");
    }
}
