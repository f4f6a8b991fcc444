use std::{collections::BTreeMap, time::Duration};

use sqlx::{Connection, SqliteConnection};

use super::{
    DAY_MS,
    usage_pause::{usual_pause, usual_usage_pause},
    usual_days,
};
use crate::{
    domain::{Kind, Timestamp},
    store::{
        Store, StoreError,
        error::of_read,
        read::{READ_TIME_MAX, aside::aside},
        rollup::QUARTER_HOUR_MS,
    },
};

/// How far back pauses are looked for, for kinds that do not come every day.
const SPAN_MS: i64 = 90 * DAY_MS;
/// How many of a kind's newest notifications are looked at.
const NOTIFICATIONS_MAX: i64 = 20_000;
/// How many pauses have to be known where they are not known by day.
const PAUSES_MIN: usize = 8;
/// What was looked at for so long may not hold a night.
const SHORT_SPAN_MS: i64 = 2 * DAY_MS;
/// How long a night is.
const NIGHT: Duration = Duration::from_secs(12 * 60 * 60);

impl Store {
    /// When each kind was last pushed. Kinds that came from files alone are not there.
    pub async fn last_pushes(&self) -> Result<Vec<(Kind, Timestamp)>, StoreError> {
        const LAST: &str =
            "select kind, last_received_ms from tally where last_received_ms > 0 order by kind";
        let mut reader = self.reader(READ_TIME_MAX).await?;
        let rows: Vec<(String, i64)> =
            sqlx::query_as(LAST).fetch_all(&mut *reader).await.map_err(of_read)?;
        let corrupt = |_| StoreError::Corrupt { table: "tally", id: 0 };
        rows.into_iter()
            .map(|(kind, ms)| Ok((kind.parse().map_err(corrupt)?, Timestamp::from_unix_ms(ms))))
            .collect()
    }

    /// How long the longest pause of each of these kinds usually is: that of a day, where the kind
    /// comes on most days, else the longest that there was; up to when the kind last came, or a long
    /// silence would make itself usual. Kinds of which too little is known are not there.
    pub async fn usual_pauses(
        &self,
        pushes: &[(Kind, Timestamp)],
        now: Timestamp,
    ) -> Result<BTreeMap<Kind, Duration>, StoreError> {
        let (store, pushes) = (self.clone(), pushes.to_vec());
        aside(async move { store.find_usual_pauses(&pushes, now).await }).await
    }

    async fn find_usual_pauses(
        &self,
        pushes: &[(Kind, Timestamp)],
        now: Timestamp,
    ) -> Result<BTreeMap<Kind, Duration>, StoreError> {
        let mut reader = self.reader(READ_TIME_MAX).await?;
        let mut moment = reader.begin().await?;
        let mut usual = BTreeMap::new();
        for (kind, last) in pushes {
            let until = now.min(*last);
            let days = usual_days(until, &self.zone());
            let pause = match kind.as_str() {
                "data-usage" => usual_usage_pause(&mut moment, until, &self.zone()).await?,
                "mo-sms" => {
                    let busy = sms_quarter_hours(&mut moment, until).await?;
                    usual_pause(&days, &busy).or_else(|| longest_pause(&busy))
                }
                other => {
                    let busy = notification_quarter_hours(&mut moment, other, until).await?;
                    usual_pause(&days, &busy).or_else(|| longest_pause(&busy))
                }
            };
            usual.extend(pause.map(|pause| (kind.clone(), pause)));
        }
        Ok(usual)
    }
}

/// The quarters of an hour of messages' own times, in order.
async fn sms_quarter_hours(
    moment: &mut SqliteConnection,
    now: Timestamp,
) -> Result<Vec<i64>, StoreError> {
    // From one to the next: each has a row for every group.
    const BUSY: &str = "
        with recursive busy(start_ms) as (
            select min(start_ms) from sms_quarter_hour where start_ms >= $1
            union all
            select (select min(later.start_ms) from sms_quarter_hour as later
                where later.start_ms > busy.start_ms)
            from busy where start_ms <= $2)
        select start_ms from busy where start_ms <= $2";
    sqlx::query_scalar(BUSY)
        .bind(now.unix_ms() - SPAN_MS)
        .bind(now.unix_ms())
        .fetch_all(moment)
        .await
        .map_err(of_read)
}

/// The quarters of an hour in which notifications of a kind came, in order.
async fn notification_quarter_hours(
    moment: &mut SqliteConnection,
    kind: &str,
    now: Timestamp,
) -> Result<Vec<i64>, StoreError> {
    const BUSY: &str = "
        select distinct received_ms - received_ms % $4 as start_ms from (
            select received_ms from notification where kind = $1 order by id desc limit $2)
        where received_ms >= $3 order by start_ms";
    sqlx::query_scalar(BUSY)
        .bind(kind)
        .bind(NOTIFICATIONS_MAX)
        .bind(now.unix_ms() - SPAN_MS)
        .bind(QUARTER_HOUR_MS)
        .fetch_all(moment)
        .await
        .map_err(of_read)
}

/// The longest stretch between two of these quarters of an hour. None where there are too few.
fn longest_pause(busy: &[i64]) -> Option<Duration> {
    if busy.len() <= PAUSES_MIN {
        return None;
    }
    let longest_ms = busy.windows(2).map(|two| two[1] - two[0] - QUARTER_HOUR_MS).max()?;
    let longest = Duration::from_millis(longest_ms.unsigned_abs());
    let looked_at_ms = busy.last()? - busy.first()?;
    Some(if looked_at_ms < SHORT_SPAN_MS { longest.max(NIGHT) } else { longest })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One more each day, so that the last pause is the longest.
    fn rising(count: i64) -> Vec<i64> {
        (0..count).map(|nth| nth * (nth + 1) / 2 * DAY_MS).collect()
    }

    #[test]
    fn eight_pauses_have_to_be_known_and_the_longest_is_usual() {
        assert_eq!(longest_pause(&rising(8)), None);
        let expected = u64::try_from(8 * DAY_MS - QUARTER_HOUR_MS).expect("positive");
        assert_eq!(longest_pause(&rising(9)), Some(Duration::from_millis(expected)));
    }

    #[test]
    fn what_was_looked_at_for_a_day_may_pause_for_a_night() {
        let busy: Vec<i64> = (0..20).map(|nth| nth * QUARTER_HOUR_MS).collect();
        assert_eq!(longest_pause(&busy), Some(NIGHT));
    }
}
