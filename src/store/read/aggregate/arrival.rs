//! How late records arrive.
use std::time::Duration;

use sqlx::QueryBuilder;

use super::{READ_TIME_MAX, Store};
use crate::{
    domain::Timestamp,
    store::{StoreError, error::of_read, rollup::DAY_MS},
};

/// What was pushed longer ago came from a file, or was held: it tells nothing of how late records
/// arrive.
const PUSH_AGE_MS_MAX: i64 = 8 * DAY_MS;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

impl Store {
    /// The moment before which 95 % of the usage records of the last day had arrived, as the newest
    /// 2,000 of them tell: an estimate. `None` if there was none. A repeat is no row, so while nothing
    /// new comes this stands still, whatever the clock says.
    pub async fn usage_arrived_through(
        &self,
        now: Timestamp,
    ) -> Result<Option<Timestamp>, StoreError> {
        const NEWEST: &str = "
            select received_ms, start_ms as own_ms, date_push_s from usage
            order by id desc limit 2000";
        self.arrived_through(NEWEST, now).await
    }

    /// The same for messages.
    pub async fn sms_arrived_through(
        &self,
        now: Timestamp,
    ) -> Result<Option<Timestamp>, StoreError> {
        const NEWEST: &str = "
            select received_ms, event_ms as own_ms, date_push_s from sms
            order by id desc limit 2000";
        self.arrived_through(NEWEST, now).await
    }

    async fn arrived_through(
        &self,
        newest: &'static str,
        now: Timestamp,
    ) -> Result<Option<Timestamp>, StoreError> {
        let mut sql = QueryBuilder::new(
            "with delay(ms, received_ms) as materialized (
                select max(received_ms - own_ms, 0), received_ms from (",
        );
        sql.push(newest)
            .push(") where received_ms >= ")
            .push_bind(now.minus(DAY).unix_ms())
            .push(" and received_ms - date_push_s * 1000 <= ")
            .push_bind(PUSH_AGE_MS_MAX)
            .push(") select ms, (select max(received_ms) from delay) from delay order by ms limit 1 offset max(((select count(*) from delay) * 95 + 99) / 100 - 1, 0)");
        let mut reader = self.reader(READ_TIME_MAX).await?;
        let found: Option<(i64, i64)> =
            sql.build_query_as().fetch_optional(&mut *reader).await.map_err(of_read)?;
        Ok(found.map(|(delay_ms, newest_ms)| {
            let newest = Timestamp::from_unix_ms(newest_ms).min(now);
            newest.minus(Duration::from_millis(delay_ms.unsigned_abs()))
        }))
    }
}
