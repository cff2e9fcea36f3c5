//! How many sequences a model has accepted: the bound of its queue.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// The places of one model: its slots and its queue together.
#[derive(Debug)]
pub(crate) struct Seats {
    taken: AtomicUsize,
    capacity: usize,
}

/// One taken place, given back on drop.
#[derive(Debug)]
pub(crate) struct Seat {
    seats: Arc<Seats>,
}

impl Seats {
    pub fn new(capacity: usize) -> Arc<Self> {
        Arc::new(Self { taken: AtomicUsize::new(0), capacity })
    }

    pub fn capacity(&self) -> usize {
        self.capacity
    }

    pub fn taken(&self) -> usize {
        self.taken.load(Ordering::Relaxed)
    }

    /// Takes `count` places, all or none.
    pub fn take(self: &Arc<Self>, count: usize) -> Option<Vec<Seat>> {
        self.taken
            .fetch_update(Ordering::AcqRel, Ordering::Relaxed, |taken| {
                taken.checked_add(count).filter(|after| *after <= self.capacity)
            })
            .ok()?;
        Some((0..count).map(|_| Seat { seats: self.clone() }).collect())
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.seats.taken.fetch_sub(1, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_taken_together_and_come_back() {
        let seats = Seats::new(3);
        let two = seats.take(2).unwrap();
        assert!(seats.take(2).is_none());
        assert_eq!(seats.taken(), 2);
        drop(two);
        assert_eq!(seats.take(3).map(|all| all.len()), Some(3));
    }
}
