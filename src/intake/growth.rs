//! How the database grows, and until when the disk lasts. What counts are the bytes that hold something in
//! the database, over up to a week, which the store keeps from one start to the next: no copy is taken
//! for growth, nor is room that is used again. The copies that are still to come are counted in. Held by
//! `tests/it/disk/forecast.rs`.
use std::{
    error::Error,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use tokio::time::{MissedTickBehavior, interval};

use super::{Intake, chores::Upkeep};
use crate::{
    domain::Timestamp,
    store::{OwnCopies, RoomNote},
};

/// How often it is looked how large the database is.
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// How often that is noted …
const NOTE_EVERY: Duration = Duration::from_secs(60 * 60);
/// … for how long each of the notes is kept, and after that one a day …
const ALL_KEPT: Duration = Duration::from_secs(2 * 24 * 60 * 60);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);
/// … and how far they go back: days of a week are not alike.
const NOTES_OVER: Duration = Duration::from_secs(7 * 24 * 60 * 60);
/// What a shorter time tells says nothing of the next days.
const RATE_OVER_MIN: Duration = Duration::from_secs(60 * 60);
/// Who needs longer than this to fill a disk will not be told when.
const FULL_WITHIN: Duration = Duration::from_secs(10 * 365 * 24 * 60 * 60);

/// Until when the disk of the database has room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lasts {
    /// Nobody can tell yet: the database has not been looked at for long enough.
    Unknown,
    /// The database does not grow, or so slowly that it takes many years.
    ForAges,
    /// Then nothing but the reserve is left.
    Until(Timestamp),
}

impl Lasts {
    /// When nothing but the reserve is left, if that can be told.
    pub fn full_at(self) -> Option<Timestamp> {
        match self {
            Self::Until(at) => Some(at),
            Self::Unknown | Self::ForAges => None,
        }
    }
}

/// What is known of the size of the database.
#[derive(Debug, Default)]
pub(super) struct Growth(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    /// The oldest first.
    notes: Vec<RoomNote>,
    /// Bytes that hold something, and that hold nothing, by the last look.
    used: u64,
    inside: u64,
    /// What our copies take on the disk of the database, if they lie there.
    copies_bytes: Option<u64>,
}

impl Known {
    /// Adds what was found, if it is time; gives the notes, if they are others now.
    fn note(&mut self, now: Timestamp) -> Option<Vec<RoomNote>> {
        // A clock that was set back begins anew.
        self.notes.retain(|note| note.at <= now);
        if self.notes.last().is_some_and(|last| now.since(last.at) < NOTE_EVERY) {
            return None;
        }
        self.notes.push(RoomNote { at: now, used_bytes: self.used });
        let mut kept: Option<Timestamp> = None;
        self.notes.retain(|note| {
            let age = now.since(note.at);
            let is_apart = kept.is_none_or(|kept| note.at.since(kept) >= DAY);
            let stays = age <= NOTES_OVER && (age <= ALL_KEPT || is_apart);
            if stays {
                kept = Some(note.at);
            }
            stays
        });
        Some(self.notes.clone())
    }

    /// When only the reserve is left. `copies_kept` is how many copies of it there are to be.
    fn lasts(&self, now: Timestamp, free: u64, reserve: u64, copies_kept: u64) -> Lasts {
        let Some(first) = self.notes.first().filter(|first| first.at <= now) else {
            return Lasts::Unknown;
        };
        let took = now.since(first.at);
        if took < RATE_OVER_MIN {
            return Lasts::Unknown;
        }
        let grown = self.used.saturating_sub(first.used_bytes);
        if grown == 0 {
            return Lasts::ForAges;
        }
        let (copies_there, copies_kept) = match self.copies_bytes {
            Some(bytes) => (bytes, copies_kept),
            None => (0, 0),
        };
        let copies_to_come = self.used.saturating_mul(copies_kept).saturating_sub(copies_there);
        let taken = reserve.saturating_add(copies_to_come);
        let left = u128::from(free.saturating_add(self.inside).saturating_sub(taken));
        // Each copy grows with the database.
        let grown = u128::from(grown) * u128::from(copies_kept + 1);
        let left_ms = left * took.as_millis() / grown;
        let left = Duration::from_millis(u64::try_from(left_ms).unwrap_or(u64::MAX));
        if left > FULL_WITHIN { Lasts::ForAges } else { Lasts::Until(now.plus(left)) }
    }
}

impl Growth {
    fn known<T>(&self, look: impl FnOnce(&mut Known) -> T) -> T {
        look(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Intake {
    /// Bytes within the database that hold nothing, by the last look.
    pub(super) fn known_inside(&self) -> u64 {
        self.shared.growth.known(|known| known.inside)
    }

    /// When only the reserve is left on the disk of the database, if it goes on as in the last week.
    pub(super) fn disk_lasts(&self, free: u64) -> Lasts {
        let options = &self.shared.options;
        let copies_kept = match options.keep.backup_every {
            Some(_) => options.keep.backups_kept.max(1) as u64,
            None => 0,
        };
        let (now, reserve) = (self.now(), options.disk_reserve_bytes);
        self.shared.growth.known(|known| known.lasts(now, free, reserve, copies_kept))
    }

    /// Looks at how large the database is for as long as the process lives.
    pub(super) async fn watch_growth(&self) {
        let mut look = interval(LOOK_EVERY);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut is_read = false;
        loop {
            look.tick().await;
            let done = async {
                if !is_read {
                    let notes = self.shared.store.room_notes().await?;
                    self.shared.growth.known(|known| known.notes = notes);
                    is_read = true;
                }
                self.shared.store.bytes_inside().await
            };
            match done.await {
                Ok(bytes) => self.note_growth(bytes, &self.own_copies().await).await,
                Err(error) => {
                    let error = &error as &dyn Error;
                    tracing::debug!(error, "The size of the database is not known now");
                }
            }
        }
    }

    async fn note_growth(&self, (used, inside): (u64, u64), copies: &OwnCopies) {
        let now = self.now();
        let notes = self.shared.growth.known(|known| {
            (known.used, known.inside) = (used, inside);
            known.copies_bytes = copies.backup_bytes();
            known.note(now)
        });
        let Some(notes) = notes else { return };
        if let Err(error) = self.keep_up(|reply| Upkeep::KeepRoomNotes { notes, reply }).await {
            let error = &error as &dyn Error;
            tracing::debug!(error, "How large the database is was not kept");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_unix_ms(1_725_499_848_000);
    const GIB: u64 = 1 << 30;

    fn after(minutes: u64) -> Timestamp {
        NOW.plus(Duration::from_secs(60 * minutes))
    }

    /// A database that had this when it was first noted, and has that now.
    fn grown(first: u64, used: u64) -> Known {
        let notes = vec![RoomNote { at: NOW, used_bytes: first }];
        Known { notes, used, ..Known::default() }
    }

    #[test]
    fn a_database_that_grows_by_a_gigabyte_an_hour_fills_the_disk_when_only_the_reserve_is_left() {
        let known = grown(GIB, 2 * GIB);
        assert_eq!(known.lasts(after(60), 9 * GIB, GIB, 0), Lasts::Until(after(9 * 60)));
        assert_eq!(known.lasts(after(60), GIB / 2, GIB, 0), Lasts::Until(after(60)));
        let inside = Known { inside: 3 * GIB, ..grown(GIB, 2 * GIB) };
        assert_eq!(inside.lasts(after(60), 9 * GIB, GIB, 0), Lasts::Until(after(12 * 60)));
    }

    #[test]
    fn the_copies_that_are_to_come_take_their_room_and_grow_with_the_database() {
        let known = Known { copies_bytes: Some(GIB), ..grown(GIB, 2 * GIB) };
        // Three copies of 2 GiB, of which 1 GiB is there, and four files that grow.
        assert_eq!(known.lasts(after(60), 14 * GIB, GIB, 3), Lasts::Until(after(60 + 2 * 60)));
        let elsewhere = Known { copies_bytes: None, ..grown(GIB, 2 * GIB) };
        assert_eq!(elsewhere.lasts(after(60), 9 * GIB, GIB, 3), Lasts::Until(after(9 * 60)));
    }

    #[test]
    fn nothing_is_foretold_of_a_database_that_does_not_grow_or_was_looked_at_for_minutes_only() {
        assert_eq!(grown(GIB, 2 * GIB).lasts(after(59), 9 * GIB, GIB, 0), Lasts::Unknown);
        assert_eq!(grown(GIB, GIB).lasts(after(60), 9 * GIB, GIB, 7), Lasts::ForAges);
        assert_eq!(grown(2 * GIB, GIB).lasts(after(60), 9 * GIB, GIB, 0), Lasts::ForAges);
        assert_eq!(Known::default().lasts(NOW, 9 * GIB, GIB, 0), Lasts::Unknown);
        assert_eq!(
            grown(GIB, GIB + 1).lasts(after(600), 10 * GIB, GIB, 0),
            Lasts::ForAges,
            "in ages"
        );
    }

    #[test]
    fn a_note_is_taken_every_hour_and_after_two_days_one_a_day_stays_for_a_week() {
        let mut known = Known::default();
        let mut kept = 0;
        for minute in 0..10 * 24 * 60 {
            kept += u32::from(known.note(after(minute)).is_some());
        }
        assert_eq!(kept, 240);
        let now = after(10 * 24 * 60 - 1);
        let ages: Vec<u64> =
            known.notes.iter().map(|note| now.since(note.at).as_secs() / 3_600).collect();
        assert!(ages[0] >= 6 * 24 && ages[0] <= 7 * 24, "{ages:?}");
        assert_eq!(ages.iter().filter(|age| **age < 48).count(), 48, "{ages:?}");
        assert!(ages.len() <= 48 + 6, "{ages:?}");
        // The clock was ahead.
        assert!(known.note(NOW).is_none() && known.notes.is_empty() || known.notes.len() == 1);
    }
}
