//! How stored records go, and what is noted then.
use std::collections::BTreeMap;

use sqlx::{FromRow, SqliteConnection};

use super::{Writer, tail::UsageKey};
use crate::store::{StoreError, rollup::DAY_MS};

/// A usage record that goes.
#[derive(Clone, Copy, Debug, FromRow)]
pub(super) struct GoingUsage {
    pub(super) id: i64,
    pub(super) sim_id: i64,
    pub(super) start_ms: i64,
    pub(super) h: i64,
    pub(super) series_id: i64,
    pub(super) data_usage: i64,
}

impl Writer {
    /// Takes usage records, which are in all summaries, out of the tables that list them, inside the
    /// open transaction. Their sums stay.
    pub(super) async fn remove_usage(&mut self, going: &[GoingUsage]) -> Result<(), StoreError> {
        const ROWS: &str = "delete from usage where id in (select value from json_each($1))";
        const KEYS: &str = "
            delete from usage_key where (day, sim_id, start_ms, h) in (
                select row.value ->> 0, row.value ->> 1, row.value ->> 2, row.value ->> 3
                from json_each($1) as row)";
        let ids: Vec<i64> = going.iter().map(|record| record.id).collect();
        let key = |record: &GoingUsage| {
            [record.start_ms.div_euclid(DAY_MS), record.sim_id, record.start_ms, record.h]
        };
        let keys: Vec<[i64; 4]> = going.iter().map(key).collect();
        for (statement, rows) in
            [(ROWS, serde_json::to_string(&ids)?), (KEYS, serde_json::to_string(&keys)?)]
        {
            sqlx::query(statement).bind(rows).execute(&mut self.connection).await?;
        }
        let key = |record: &GoingUsage| {
            let GoingUsage { sim_id, start_ms, h, .. } = *record;
            UsageKey { sim_id, start_ms, h }
        };
        // A repeat of it may have come since the keys were last written.
        self.tail.forget_keys(going.iter().map(key));
        self.forget_repeats(&ids).await?;
        note_gone(&mut self.connection, "data-usage", going.len()).await?;
        self.shrink_stretches(going).await
    }

    /// Makes room in the sums for others: these records are in none of them any more.
    pub(super) async fn shrink_volume(&mut self, going: &[GoingUsage]) -> Result<(), StoreError> {
        const SHRINK: &str =
            "update tally set data_usage = data_usage - $1 where kind = 'data-usage'";
        // It cannot overflow: all of them were in the volume.
        let gone: i64 = going.iter().map(|record| record.data_usage).sum();
        sqlx::query(SHRINK).bind(gone).execute(&mut self.connection).await?;
        // Whatever fails from here on, it is read again.
        self.volume -= gone;
        Ok(())
    }

    /// Says how many records are left in each stretch of the usage table.
    async fn shrink_stretches(&mut self, going: &[GoingUsage]) -> Result<(), StoreError> {
        const LAST: &str = "
            select asked.value, (
                select last_id from usage_block where last_id >= asked.value
                order by last_id limit 1)
            from json_each($1) as asked";
        const SERIES: &str = "
            update usage_block_series set records = records - (row.value ->> 2)
            from json_each($1) as row
            where last_id = row.value ->> 0 and series_id = row.value ->> 1";
        const STRETCHES: &str = "
            update usage_block set records = usage_block.records - gone.records from (
                select row.value ->> 0 as last_id, sum(row.value ->> 2) as records
                from json_each($1) as row group by 1) as gone
            where usage_block.last_id = gone.last_id";
        const NO_SERIES: &str = "
            delete from usage_block_series where records = 0
                and last_id in (select row.value ->> 0 from json_each($1) as row)";
        const NO_STRETCHES: &str = "
            delete from usage_block where records = 0
                and last_id in (select row.value ->> 0 from json_each($1) as row)";
        let ids: Vec<i64> = going.iter().map(|record| record.id).collect();
        let lasts: Vec<(i64, Option<i64>)> = sqlx::query_as(LAST)
            .bind(serde_json::to_string(&ids)?)
            .fetch_all(&mut self.connection)
            .await?;
        let lasts: BTreeMap<i64, Option<i64>> = lasts.into_iter().collect();
        let mut gone: BTreeMap<(i64, i64), i64> = BTreeMap::new();
        for record in going {
            if let Some(Some(last_id)) = lasts.get(&record.id) {
                *gone.entry((*last_id, record.series_id)).or_default() += 1;
            }
        }
        let gone: Vec<[i64; 3]> =
            gone.into_iter().map(|((last, series), records)| [last, series, records]).collect();
        let gone = serde_json::to_string(&gone)?;
        for statement in [SERIES, STRETCHES, NO_SERIES, NO_STRETCHES] {
            sqlx::query(statement).bind(&gone).execute(&mut self.connection).await?;
        }
        Ok(())
    }

    /// Takes notifications out inside the open transaction.
    pub(super) async fn remove_notifications(
        &mut self,
        rows: &[(i64, String)],
    ) -> Result<(), StoreError> {
        let ids: Vec<i64> = rows.iter().map(|(id, _)| *id).collect();
        sqlx::query("delete from notification where id in (select value from json_each($1))")
            .bind(serde_json::to_string(&ids)?)
            .execute(&mut self.connection)
            .await?;
        self.forget_repeats(&ids).await?;
        let mut kinds: BTreeMap<&str, usize> = BTreeMap::new();
        for (_, kind) in rows {
            *kinds.entry(kind).or_default() += 1;
        }
        for (kind, records) in kinds {
            note_gone(&mut self.connection, kind, records).await?;
        }
        Ok(())
    }
}

/// Of this push category so many records less are kept.
pub(super) async fn note_gone(
    connection: &mut SqliteConnection,
    kind: &str,
    records: usize,
) -> Result<(), StoreError> {
    sqlx::query("update tally set gone = gone + $2 where kind = $1")
        .bind(kind)
        .bind(i64::try_from(records).unwrap_or(i64::MAX))
        .execute(connection)
        .await?;
    Ok(())
}

/// Records of this sort are complete only from this own time on.
pub(super) async fn note_kept_from(
    connection: &mut SqliteConnection,
    what: &'static str,
    from_ms: i64,
) -> Result<(), StoreError> {
    const MOVE: &str = "
        insert into kept (what, from_ms) values ($1, $2)
        on conflict (what) do update set from_ms = max(from_ms, excluded.from_ms)";
    sqlx::query(MOVE).bind(what).bind(from_ms).execute(connection).await?;
    Ok(())
}

/// Whoever follows the changes and has not come as far as this id has missed something.
pub(super) async fn note_removed(
    connection: &mut SqliteConnection,
    last_id: i64,
) -> Result<(), StoreError> {
    const NOTE: &str = "insert into removed (last_id) values ($1)";
    const FORGET: &str = "
        delete from removed
        where last_id <= $1 and generation < (select max(generation) from removed)";
    for statement in [NOTE, FORGET] {
        sqlx::query(statement).bind(last_id).execute(&mut *connection).await?;
    }
    Ok(())
}
