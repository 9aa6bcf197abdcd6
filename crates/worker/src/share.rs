//! The share of a run in its device, where the pool trains several runs on one device at once: each process divides the cores by the number
//! of runs that train there now.
//!
//! A process holds a lock on `workers/<slot>.training` while its run trains; a paused run gives its cores back. All processes of a device use
//! the same folder and count these locks twice a second. So they need no server to agree, and a process that is killed counts no more.

use std::fs::{File, OpenOptions, TryLockError};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::time::{MissedTickBehavior, interval};
use wire::Slot;

use crate::outbox::Outbox;
use crate::training::Trainer;

const EVERY: Duration = Duration::from_millis(500);

fn path(data: &Path, slot: &Slot) -> PathBuf {
    data.join("workers").join(format!("{slot}.training"))
}

/// The share of one slot.
struct Share {
    data: PathBuf,
    slot: Slot,
    /// Locked while the run trains.
    held: Option<File>,
}

impl Share {
    /// Takes or releases the lock, and returns how many runs train on the device, with this one.
    fn update(&mut self, is_training: bool) -> usize {
        match (is_training, &self.held) {
            (true, None) => self.held = take(&path(&self.data, &self.slot)),
            (false, Some(_)) => self.held = None,
            _ => {}
        }
        let others = Slot::all(&self.slot.device).filter(|slot| *slot != self.slot);
        1 + others.filter(|slot| is_held(&path(&self.data, slot))).count()
    }
}

/// The lock; `None` while another process looks at it, or where the file cannot be written: then the others do not count this run.
fn take(path: &Path) -> Option<File> {
    let file = OpenOptions::new().create(true).truncate(false).write(true).open(path).ok()?;
    file.try_lock().ok().map(|()| file)
}

fn is_held(path: &Path) -> bool {
    File::open(path).is_ok_and(|file| matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock)))
}

/// Keeps the share of a run up to date until it is over.
pub(crate) async fn keep(data: PathBuf, slot: Slot, outbox: Weak<Outbox>, trainer: Arc<dyn Trainer>) {
    let mut share = Share { data, slot, held: None };
    let mut clock = interval(EVERY);
    clock.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        clock.tick().await;
        let Some(outbox) = outbox.upgrade().filter(|outbox| !outbox.is_over()) else { return };
        trainer.share(share.update(!outbox.is_paused()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_that_train_on_a_device_are_counted_and_paused_ones_are_not() {
        let data = tempfile::tempdir().unwrap();
        std::fs::create_dir(data.path().join("workers")).unwrap();
        let share = |device: &str, number| Share {
            data: data.path().to_owned(),
            slot: Slot { device: device.parse().unwrap(), number },
            held: None,
        };
        let (mut first, mut third, mut other) = (share("cpu", 1), share("cpu", 3), share("gpu-0", 1));
        assert_eq!((first.update(true), third.update(true), other.update(true)), (1, 2, 1));
        assert_eq!(first.update(true), 2);
        assert_eq!(third.update(false), 2, "it would share with the first");
        assert_eq!(first.update(true), 1, "the third is paused");
        assert_eq!((third.update(true), first.update(true)), (2, 2));
        drop(third);
        assert_eq!(first.update(true), 1, "a process that has ended releases its lock");
    }
}
