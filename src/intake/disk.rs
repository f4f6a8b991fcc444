//! The room on the disk, and until when it lasts.
use std::{
    collections::VecDeque,
    path::Path,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use super::{Intake, folders::FolderRoom};
use crate::{
    domain::Timestamp,
    store::{database_bytes, free_bytes},
};

/// How often the disk is looked at.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// How often its room is noted …
const NOTE_EVERY: Duration = Duration::from_secs(60);
/// … and how many of the notes are kept: those of a day.
const NOTES_MAX: usize = 24 * 60;
/// What a shorter time tells says nothing of the next days.
const RATE_OVER_MIN: Duration = Duration::from_secs(10 * 60);
/// Who needs longer than this to fill a disk will not be told when.
const FULL_WITHIN: Duration = Duration::from_secs(10 * 365 * 24 * 60 * 60);

/// How the disk stands that holds the database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DiskState {
    /// Bytes that are free for us.
    pub free_bytes: Option<u64>,
    /// Bytes that are to be left free.
    pub reserve_bytes: u64,
    /// What database and log take.
    pub database_bytes: u64,
    /// When nothing but the reserve is left, if the disk fills as it did in the last day.
    pub full_at: Option<Timestamp>,
    /// The folders that simdeck writes to, each with the room on its own disk.
    pub folders: Vec<FolderRoom>,
}

/// How much was free, and when: a day back at most.
#[derive(Default)]
pub(super) struct DiskNotes {
    notes: Mutex<VecDeque<(Timestamp, u64)>>,
}

impl DiskNotes {
    fn note(&self, now: Timestamp, free: u64) {
        let mut notes = self.notes.lock().unwrap_or_else(PoisonError::into_inner);
        let is_due = notes.back().is_none_or(|(at, _)| {
            // A clock that was set back begins anew.
            *at > now || now.since(*at) >= NOTE_EVERY
        });
        if is_due {
            notes.retain(|(at, _)| *at <= now);
            notes.push_back((now, free));
            if notes.len() > NOTES_MAX {
                notes.pop_front();
            }
        }
    }

    /// When so much less is free than now that only the reserve is left.
    fn full_at(&self, now: Timestamp, free: u64, reserve: u64) -> Option<Timestamp> {
        let notes = self.notes.lock().unwrap_or_else(PoisonError::into_inner);
        let (began, at_first) = *notes.front()?;
        let took = now.since(began);
        let used = at_first.checked_sub(free).filter(|used| *used > 0)?;
        if took < RATE_OVER_MIN {
            return None;
        }
        let left = u128::from(free.saturating_sub(reserve));
        let left_ms = left * took.as_millis() / u128::from(used);
        let left = Duration::from_millis(u64::try_from(left_ms).unwrap_or(u64::MAX));
        (left <= FULL_WITHIN).then(|| now.plus(left))
    }
}

impl Intake {
    /// How the disk stands, and when it will be full.
    pub fn disk(&self) -> DiskState {
        let options = &self.shared.options;
        let free = free_bytes(self.database_folder()).ok();
        let reserve_bytes = options.disk_reserve_bytes;
        let notes = &self.shared.disk_notes;
        DiskState {
            free_bytes: free,
            reserve_bytes,
            database_bytes: database_bytes(&options.keep.database),
            full_at: free.and_then(|free| notes.full_at(self.now(), free, reserve_bytes)),
            folders: self.folder_rooms(),
        }
    }

    /// Where pushes are written to: the reserve is left free on this disk.
    pub(super) fn database_folder(&self) -> &Path {
        let folder = self.shared.options.keep.database.parent();
        folder.filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
    }

    /// Looks at the room on the disk for as long as the process lives.
    pub(super) async fn watch_disk(&self) {
        let mut look = tokio::time::interval(LOOK_EVERY);
        loop {
            look.tick().await;
            self.check_files();
            match free_bytes(self.database_folder()) {
                Ok(free) => {
                    self.shared.disk_notes.note(self.now(), free);
                    let is_low = self.is_low(free).await;
                    self.note_disk(is_low);
                }
                Err(error) => tracing::warn!(%error, "Cannot tell how much room the disk has"),
            }
        }
    }

    /// Whether new records would eat the reserve. Room within the database, which a prune has made,
    /// is as good as room on the disk, as long as there is some for the log.
    async fn is_low(&self, free: u64) -> bool {
        let reserve = self.shared.options.disk_reserve_bytes;
        if free >= reserve {
            return false;
        }
        let inside = self.shared.store.free_inside().await.unwrap_or_default();
        eats_reserve(free, inside, reserve)
    }
}

/// Whether so little is free, on the disk and inside the database, that new records eat the reserve.
fn eats_reserve(free: u64, inside: u64, reserve: u64) -> bool {
    free < reserve / 4 || free.saturating_add(inside) < reserve
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_unix_ms(1_725_499_848_000);
    const GIB: u64 = 1 << 30;

    fn after(minutes: u64) -> Timestamp {
        NOW.plus(Duration::from_secs(60 * minutes))
    }

    #[test]
    fn a_disk_that_loses_a_gigabyte_an_hour_is_full_when_only_the_reserve_is_left() {
        let notes = DiskNotes::default();
        notes.note(NOW, 10 * GIB);
        assert_eq!(notes.full_at(after(60), 9 * GIB, GIB), Some(after(9 * 60)));
        assert_eq!(notes.full_at(after(60), GIB / 2, GIB), Some(after(60)));
    }

    #[test]
    fn nothing_is_foretold_of_a_disk_that_does_not_fill_or_was_looked_at_for_minutes_only() {
        let notes = DiskNotes::default();
        assert_eq!(notes.full_at(NOW, 9 * GIB, GIB), None);
        notes.note(NOW, 10 * GIB);
        assert_eq!(notes.full_at(after(9), 9 * GIB, GIB), None);
        assert_eq!(notes.full_at(after(60), 10 * GIB, GIB), None);
        assert_eq!(notes.full_at(after(60), 11 * GIB, GIB), None);
        assert_eq!(notes.full_at(after(600), 10 * GIB - 1, GIB), None);
    }

    #[test]
    fn room_inside_the_database_is_as_good_while_a_quarter_of_the_reserve_is_free() {
        for (free, inside, is_low) in [
            (0, u64::MAX, true),
            (99, 1_000, true),
            (100, 1_000, false),
            (100, 300, false),
            (100, 299, true),
            (399, 0, true),
            (399, 1, false),
            (400, 0, false),
            (500, 0, false),
        ] {
            assert_eq!(eats_reserve(free, inside, 400), is_low, "{free} and {inside}");
        }
        assert!(!eats_reserve(0, 0, 0));
    }

    #[test]
    fn what_is_foretold_are_ten_minutes_to_ten_years() {
        let notes = DiskNotes::default();
        notes.note(NOW, 10 * GIB);
        let almost = after(10).minus(Duration::from_millis(1));
        assert_eq!(notes.full_at(almost, 9 * GIB, GIB), None);
        assert_eq!(notes.full_at(after(10), 9 * GIB, GIB), Some(after(10 + 80)));
        let years_10_minutes = FULL_WITHIN.as_secs() / 60;
        let (used, left) = (1_000, 1_000 * years_10_minutes / 10);
        let notes = DiskNotes::default();
        notes.note(NOW, left + used);
        assert_eq!(notes.full_at(after(10), left, 0), Some(after(10 + years_10_minutes)));
        assert_eq!(notes.full_at(after(10).plus(Duration::from_millis(1)), left, 0), None);
    }

    #[test]
    fn a_note_is_taken_every_minute() {
        let notes = DiskNotes::default();
        let many = |notes: &DiskNotes| notes.notes.lock().map(|notes| notes.len()).ok();
        notes.note(NOW, GIB);
        notes.note(NOW, GIB);
        notes.note(after(1).minus(Duration::from_millis(1)), GIB);
        assert_eq!(many(&notes), Some(1));
        notes.note(after(1), GIB);
        assert_eq!(many(&notes), Some(2));
        // The clock goes back by less than there are notes of.
        notes.note(NOW, GIB);
        assert_eq!(many(&notes), Some(2));
    }

    #[test]
    fn notes_go_back_a_day_and_begin_anew_where_the_clock_was_set_back() {
        let notes = DiskNotes::default();
        for minute in 0..3_000 {
            notes.note(after(minute), 10 * GIB);
        }
        let first = notes.notes.lock().map(|notes| notes.front().copied()).ok().flatten();
        assert_eq!(first, Some((after(3_000 - 1_440), 10 * GIB)));
        notes.note(NOW, GIB);
        let first = notes.notes.lock().map(|notes| notes.front().copied()).ok().flatten();
        assert_eq!(first, Some((NOW, GIB)));
    }
}
