use crate::{
    domain::{HeldTally, Timestamp},
    store::{Store, StoreError, error::of_read, read::READ_TIME_MAX},
};

impl Store {
    /// The quarantined pushes, and those refused that first came since then, by reason.
    pub async fn held_by_reason(
        &self,
        refused_since: Timestamp,
    ) -> Result<Vec<HeldTally>, StoreError> {
        const BY_REASON: &str = "
            select class, reason, count(*), min(received_ms) from held
            where class = 'quarantined' or received_ms >= $1
            group by class, reason order by count(*) desc, reason";
        let mut reader = self.reader(READ_TIME_MAX).await?;
        let rows: Vec<(String, String, i64, i64)> = sqlx::query_as(BY_REASON)
            .bind(refused_since.unix_ms())
            .fetch_all(&mut *reader)
            .await
            .map_err(of_read)?;
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
