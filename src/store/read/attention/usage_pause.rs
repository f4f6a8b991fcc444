use std::time::Duration;

use jiff::tz::TimeZone;
use sqlx::{Connection, SqliteConnection};

use super::usual_days;
use crate::{
    domain::{PushPause, Span, Timestamp, usual_of},
    store::{
        Store, StoreError,
        error::of_read,
        read::{READ_TIME_MAX, aside::aside},
        rollup::QUARTER_HOUR_MS,
    },
};

impl Store {
    /// Since when no usage record has come, and how long the longest pause of a day usually is: by
    /// the records' own times, to the quarter of an hour. None where that is not known.
    pub async fn usage_pause(&self, now: Timestamp) -> Result<Option<PushPause>, StoreError> {
        let store = self.clone();
        aside(async move { store.find_usage_pause(now).await }).await
    }

    async fn find_usage_pause(&self, now: Timestamp) -> Result<Option<PushPause>, StoreError> {
        const LAST: &str = "select last_received_ms from tally where kind = 'data-usage'";
        let mut reader = self.reader(READ_TIME_MAX).await?;
        let mut moment = reader.begin().await?;
        let last_ms: Option<i64> =
            sqlx::query_scalar(LAST).fetch_optional(&mut *moment).await.map_err(of_read)?;
        // Where all came from files, no push has ever come.
        let Some(last_ms) = last_ms.filter(|last_ms| *last_ms > 0) else { return Ok(None) };
        let since = Timestamp::from_unix_ms(last_ms);
        // What was usual before the silence, or a long one would make itself usual.
        let usual = usual_usage_pause(&mut moment, since.min(now), &self.zone()).await?;
        Ok(usual.map(|usual| PushPause { since, usual }))
    }
}

/// How long the longest pause of a day usually is.
pub(super) async fn usual_usage_pause(
    moment: &mut SqliteConnection,
    now: Timestamp,
    zone: &TimeZone,
) -> Result<Option<Duration>, StoreError> {
    let days = usual_days(now, zone);
    let (Some(first), Some(last)) = (days.first(), days.last()) else { return Ok(None) };
    let whole = Span { start_ms: first.start_ms, end_ms: last.end_ms };
    let busy = busy_quarter_hours(moment, whole).await?;
    Ok(usual_pause(&days, &busy))
}

/// The same by the quarters of an hour in which something came. None where too few days are known.
pub(super) fn usual_pause(days: &[Span], busy: &[i64]) -> Option<Duration> {
    let pauses = days.iter().filter_map(|day| longest_pause_ms(*day, busy)).collect();
    usual_of(pauses).map(|usual_ms| Duration::from_millis(usual_ms.unsigned_abs()))
}

/// The starts of the quarters of an hour with usage, in order.
async fn busy_quarter_hours(
    moment: &mut SqliteConnection,
    Span { start_ms, end_ms }: Span,
) -> Result<Vec<i64>, StoreError> {
    // From one to the next: each has a row for every network context.
    const BUSY: &str = "
        with recursive busy(start_ms) as (
            select min(start_ms) from usage_quarter_hour where start_ms >= $1
            union all
            select (select min(later.start_ms) from usage_quarter_hour as later
                where later.start_ms > busy.start_ms)
            from busy where start_ms < $2)
        select start_ms from busy where start_ms < $2
        union
        select start_ms - start_ms % $3 from usage
        where id > (select complete_to from mark where summary = 'sums')
            and start_ms >= $1 and start_ms < $2
        order by 1";
    sqlx::query_scalar(BUSY)
        .bind(start_ms)
        .bind(end_ms)
        .bind(QUARTER_HOUR_MS)
        .fetch_all(moment)
        .await
        .map_err(of_read)
}

/// The longest stretch of a day without usage. None for a day without any.
fn longest_pause_ms(day: Span, busy: &[i64]) -> Option<i64> {
    let from = busy.partition_point(|start_ms| *start_ms < day.start_ms);
    let to = busy.partition_point(|start_ms| *start_ms < day.end_ms);
    let mut longest_ms = None;
    let mut idle_from_ms = day.start_ms;
    for start_ms in &busy[from..to] {
        longest_ms = longest_ms.max(Some(start_ms - idle_from_ms));
        idle_from_ms = start_ms + QUARTER_HOUR_MS;
    }
    longest_ms.map(|longest_ms| longest_ms.max(day.end_ms - idle_from_ms))
}
