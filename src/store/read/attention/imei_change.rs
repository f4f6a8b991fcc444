use std::collections::HashSet;

use crate::{
    domain::{Giccid, ImeiChange, Timestamp},
    store::{Store, StoreError, error::of_read, read::READ_TIME_MAX},
};

impl Store {
    /// The SIMs that we were told since then to be in another device, the last first.
    pub async fn imei_changes(
        &self,
        kind: &str,
        since: Timestamp,
        most: usize,
    ) -> Result<Vec<ImeiChange>, StoreError> {
        /// Of the newest notifications so many are looked at.
        const LOOKED_AT_MAX: i64 = 1000;
        // History that was read in from a file is no news, though it came just now.
        const NEWEST: &str = "
            select id, giccid, received_ms from (
                select * from notification where kind = $1 order by id desc limit $2)
            where received_ms >= $3 and date_push_s >= $4 order by id desc";
        let pushed_since_s = since.minus(std::time::Duration::from_secs(86_400)).unix_seconds();
        let mut reader = self.reader(READ_TIME_MAX).await?;
        let rows: Vec<(i64, Option<String>, i64)> = sqlx::query_as(NEWEST)
            .bind(kind)
            .bind(LOOKED_AT_MAX)
            .bind(since.unix_ms())
            .bind(pushed_since_s)
            .fetch_all(&mut *reader)
            .await
            .map_err(of_read)?;
        let mut told = HashSet::new();
        let mut changes = Vec::new();
        for (id, giccid, received_ms) in rows {
            let corrupt = |_| StoreError::Corrupt { table: "notification", id };
            let giccid = giccid.map(|giccid| giccid.parse::<Giccid>()).transpose();
            let giccid = giccid.map_err(corrupt)?;
            if changes.len() < most
                && giccid.as_ref().is_none_or(|giccid| told.insert(giccid.to_string()))
            {
                changes.push(ImeiChange { id, giccid, at: Timestamp::from_unix_ms(received_ms) });
            }
        }
        Ok(changes)
    }
}
