//! How late records arrive.
use std::time::Duration;

use super::{READ_TIME_MAX, Store};
use crate::{
    domain::Timestamp,
    store::{StoreError, error::of_read},
};

/// What was pushed longer ago came from a file, or was held: it tells nothing of how late records
/// arrive.
const PUSH_AGE_MS_MAX: i64 = 8 * 86_400_000;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

impl Store {
    /// The moment before which 95 % of the usage records of the last day had arrived, as the newest
    /// 2,000 of them tell: an estimate. `None` if there was none.
    pub async fn usage_arrived_through(
        &self,
        now: Timestamp,
    ) -> Result<Option<Timestamp>, StoreError> {
        const NEWEST: &str = "
            select received_ms, start_ms, date_push_s from usage order by id desc limit 2000";
        self.arrived_through(NEWEST, now).await
    }

    /// The same for messages.
    pub async fn sms_arrived_through(
        &self,
        now: Timestamp,
    ) -> Result<Option<Timestamp>, StoreError> {
        const NEWEST: &str = "
            select received_ms, event_ms, date_push_s from sms order by id desc limit 2000";
        self.arrived_through(NEWEST, now).await
    }

    async fn arrived_through(
        &self,
        newest: &'static str,
        now: Timestamp,
    ) -> Result<Option<Timestamp>, StoreError> {
        let mut reader = self.reader(READ_TIME_MAX).await?;
        let newest: Vec<(i64, i64, i64)> =
            sqlx::query_as(newest).fetch_all(&mut *reader).await.map_err(of_read)?;
        let day_ago = now.minus(DAY).unix_ms();
        let mut delays: Vec<Duration> = newest
            .into_iter()
            .filter(|(received_ms, _, date_push_s)| {
                *received_ms >= day_ago && received_ms - date_push_s * 1000 <= PUSH_AGE_MS_MAX
            })
            .map(|(received_ms, own_ms, _)| {
                Timestamp::from_unix_ms(received_ms).since(Timestamp::from_unix_ms(own_ms))
            })
            .collect();
        delays.sort_unstable();
        let nearly_all = (delays.len() * 95).div_ceil(100);
        let delay = nearly_all.checked_sub(1).and_then(|last| delays.get(last));
        Ok(delay.map(|delay| now.minus(*delay)))
    }
}
