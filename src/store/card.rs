//! What is known of each card, folded in memory: the same way for the writer that moves a mark and
//! for a reader that adds the tail.
use std::collections::BTreeMap;

use jiff::{Span, civil::Date};
use serde::Deserialize;
use sqlx::FromRow;

use super::{
    days::StoreDays,
    rollup::{Days, Sum, TailUsage},
};

/// The most digits of an IMSI (ITU-T E.212).
pub(super) const IMSI_DIGITS_MAX: usize = 15;

/// The last so many characters, backwards: as the tables have giccids and IMSIs, so that an index
/// finds them by their last characters and by all of them.
pub(super) fn reversed(text: &str, most: usize) -> String {
    text.chars().rev().take(most).collect()
}

/// What a card's fold needs to know of a message.
#[derive(Clone, Copy, Debug, Deserialize, FromRow)]
pub(super) struct TailSms {
    pub(super) sim_id: i64,
    pub(super) card_id: i64,
    pub(super) event_ms: i64,
}

/// A card's first and last record. Of records of one millisecond the one with the larger number
/// counts as the last, so that it does not matter in which order they are folded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct CardSeen {
    pub(super) first_ms: i64,
    /// Own time of the last record, and its subscriber's number.
    pub(super) last: (i64, i64),
    /// Own time of the last usage record, and its network context's number.
    pub(super) usage: Option<(i64, i64)>,
}

impl CardSeen {
    /// Both together.
    pub(super) fn and(self, other: Self) -> Self {
        Self {
            first_ms: self.first_ms.min(other.first_ms),
            last: self.last.max(other.last),
            usage: self.usage.max(other.usage),
        }
    }
}

/// What records say of cards.
#[derive(Clone, Debug, Default)]
pub(super) struct CardSums {
    /// By day in the store's zone and card.
    pub(super) by_day: BTreeMap<(i64, i64), Sum>,
    pub(super) seen: BTreeMap<i64, CardSeen>,
}

impl CardSums {
    pub(super) fn of(usage: &[TailUsage], sms: &[TailSms], days: &StoreDays) -> Self {
        let mut sums = Self::default();
        sums.add(usage, sms, days);
        sums
    }

    /// Adds records that it is not made of yet.
    pub(super) fn add(&mut self, usage: &[TailUsage], sms: &[TailSms], days: &StoreDays) {
        let mut days = Days::new(days);
        for &TailUsage { sim_id, card_id, series_id, start_ms, data_usage } in usage {
            let sum = self.by_day.entry((days.of(start_ms), card_id)).or_default();
            sum.add(Sum { data_usage, records: 1 });
            let (last, usage) = ((start_ms, sim_id), Some((start_ms, series_id)));
            self.see(card_id, CardSeen { first_ms: start_ms, last, usage });
        }
        for &TailSms { sim_id, card_id, event_ms } in sms {
            let last = (event_ms, sim_id);
            self.see(card_id, CardSeen { first_ms: event_ms, last, usage: None });
        }
    }

    fn see(&mut self, card_id: i64, record: CardSeen) {
        let seen = self.seen.entry(card_id).or_insert(record);
        *seen = seen.and(record);
    }

    /// `[month, card_id, data_usage, records]`
    pub(super) fn months(&self) -> Vec<[i64; 4]> {
        let mut by_month: BTreeMap<(i64, i64), Sum> = BTreeMap::new();
        let mut known = (i64::MIN, 0);
        for (&(day, card_id), sum) in &self.by_day {
            if known.0 != day {
                known = (day, month_of(day));
            }
            by_month.entry((known.1, card_id)).or_default().add(*sum);
        }
        by_month
            .into_iter()
            .map(|((month, card_id), sum)| [month, card_id, sum.data_usage, sum.records])
            .collect()
    }
}

const EPOCH: Date = Date::constant(1970, 1, 1);

/// The number of the month in which a day lies: year × 12 + month − 1.
pub(super) fn month_of(day: i64) -> i64 {
    month_number(date_of(day))
}

/// The date of the day with this number.
pub(super) fn date_of(day: i64) -> Date {
    Span::new().try_days(day).and_then(|span| EPOCH.checked_add(span)).unwrap_or(EPOCH)
}

/// The number of a date's month.
pub(super) fn month_number(date: Date) -> i64 {
    i64::from(date.year()) * 12 + i64::from(date.month()) - 1
}

/// The number of a date's day, counted from 1970.
pub(super) fn day_number(date: Date) -> i64 {
    EPOCH.duration_until(date).as_hours() / 24
}
