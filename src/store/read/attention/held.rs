use crate::{
    domain::{HeldTally, Timestamp},
    store::{Store, StoreError, error::of_read, read::READ_TIME_MAX},
};

impl Store {
    /// The authentic pushes that are held, and those refused that first came since then, by reason.
    pub async fn held_by_reason(
        &self,
        refused_since: Timestamp,
    ) -> Result<Vec<HeldTally>, StoreError> {
        const BY_REASON: &str = "
            select class, reason, sum(pushes), min(since_ms) from (
                select class, reason, received_ms as since_ms,
                    case class when 'refused' then count else 1 end as pushes
                from held where class <> 'refused' or received_ms >= $1
                union all
                select 'refused', reason, max(hour_ms, $1), pushes
                from dropped_push where ring <> 'stale' and hour_ms > $1 - 3600000)
            group by class, reason order by sum(pushes) desc, reason";
        self.held_tallies(BY_REASON, refused_since.unix_ms()).await
    }

    /// How many authentic pushes were pushed out of their ring since then, to the hour, and when that
    /// began.
    pub async fn authentic_dropped(
        &self,
        since: Timestamp,
    ) -> Result<Option<(u64, Timestamp)>, StoreError> {
        const DROPPED: &str = "
            select sum(pushes), min(max(hour_ms, $1)) from dropped_push
            where ring = 'stale' and hour_ms > $1 - 3600000";
        let mut reader = self.reader(READ_TIME_MAX).await?;
        let (pushes, since_ms): (Option<i64>, Option<i64>) = sqlx::query_as(DROPPED)
            .bind(since.unix_ms())
            .fetch_one(&mut *reader)
            .await
            .map_err(of_read)?;
        let dropped = pushes.zip(since_ms);
        Ok(dropped.map(|(pushes, ms)| (pushes.unsigned_abs(), Timestamp::from_unix_ms(ms))))
    }

    /// Which authentic pushes are held, by reason, counted up to so many of each class: cheap, however
    /// many there are.
    pub async fn authentic_held_by_reason(
        &self,
        count_max: u32,
    ) -> Result<Vec<HeldTally>, StoreError> {
        const BY_REASON: &str = "
            with some as (
                select * from (select class, reason, received_ms from held
                    where class = 'quarantined' limit $1)
                union all
                select * from (select class, reason, received_ms from held
                    where class = 'stale' limit $1))
            select class, reason, count(*), min(received_ms) from some
            group by class, reason order by count(*) desc, reason";
        self.held_tallies(BY_REASON, i64::from(count_max)).await
    }

    async fn held_tallies(
        &self,
        sql: &'static str,
        bound: i64,
    ) -> Result<Vec<HeldTally>, StoreError> {
        let mut reader = self.reader(READ_TIME_MAX).await?;
        let rows: Vec<(String, String, i64, i64)> =
            sqlx::query_as(sql).bind(bound).fetch_all(&mut *reader).await.map_err(of_read)?;
        let corrupt = |_| StoreError::Corrupt { table: "held", id: 0 };
        rows.into_iter()
            .map(|(class, reason, pushes, since_ms)| {
                Ok(HeldTally {
                    class: class.parse().map_err(corrupt)?,
                    reason: reason.parse().map_err(corrupt)?,
                    pushes,
                    since: Timestamp::from_unix_ms(since_ms),
                })
            })
            .collect()
    }
}
