//! What is due later, on the local Meta's own clock.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::Notify;

use super::lock;
use crate::clock::{Clock, Millis};

/// Things by the time at which they are due; those of one time in the order in which they came.
pub(super) struct Timetable<T> {
    due: Mutex<BTreeMap<(Millis, u64), T>>,
    /// How many there have been.
    count: AtomicU64,
    changed: Notify,
}

impl<T> Default for Timetable<T> {
    fn default() -> Self {
        Self { due: Mutex::default(), count: AtomicU64::new(0), changed: Notify::new() }
    }
}

impl<T> Timetable<T> {
    pub(super) fn add(&self, at: Millis, thing: T) {
        let mut due = lock(&self.due);
        due.insert((at, self.count.fetch_add(1, Ordering::Relaxed)), thing);
        drop(due);
        self.changed.notify_one();
    }

    /// Waits for the next thing that is due. For one caller at a time.
    pub(super) async fn next(&self, clock: &Clock) -> T {
        loop {
            let first = match lock(&self.due).first_entry() {
                Some(entry) if entry.key().0 <= clock.now() => return entry.remove(),
                first => first.map(|entry| entry.key().0),
            };
            match first {
                None => self.changed.notified().await,
                Some(at) => tokio::select! {
                    () = clock.sleep_until(at) => {}
                    () = self.changed.notified() => {}
                },
            }
        }
    }
}
