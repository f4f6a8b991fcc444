use std::{ops::RangeInclusive, sync::Arc};

use serde::Deserialize;
use sqlx::{FromRow, QueryBuilder, SqliteConnection};

use super::{Store, packed};
use crate::store::{StoreError, error::of_read};

/// The ids up to which each summary is complete.
#[derive(Clone, Copy, Debug, FromRow)]
pub(super) struct Marks {
    pub(super) keys: i64,
    pub(super) sums: i64,
    pub(super) sims: i64,
}

/// A usage record that some summary does not have yet.
#[derive(Clone, Copy, Debug, Deserialize)]
pub(super) struct TailRecord {
    pub(super) id: i64,
    pub(super) received_ms: i64,
    pub(super) sim_id: i64,
    pub(super) series_id: i64,
    pub(super) start_ms: i64,
    pub(super) data_usage: i64,
}

/// What came after the mark of the summary that is furthest behind. It is kept from one question to
/// the next, which then reads only what came since: the tail can be long.
#[derive(Clone, Debug, Default)]
pub(super) struct UsageTail {
    /// The mark that it begins after, and the id up to which it is complete.
    after: i64,
    to: i64,
    /// In the order of ids.
    records: Vec<TailRecord>,
}

/// A tail as one snapshot sees it.
#[derive(Clone, Debug)]
pub(super) struct SeenTail {
    pub(super) marks: Marks,
    /// The newest id of the snapshot.
    to: i64,
    tail: Arc<UsageTail>,
}

impl Store {
    /// The tail as of this moment's snapshot.
    pub(super) async fn usage_tail(
        &self,
        moment: &mut SqliteConnection,
    ) -> Result<SeenTail, StoreError> {
        #[derive(FromRow)]
        struct Reach {
            #[sqlx(flatten)]
            marks: Marks,
            last: i64,
        }
        const REACH: &str = "
            select max(iif(summary = 'keys', complete_to, 0)) as keys,
                max(iif(summary = 'sums', complete_to, 0)) as sums,
                max(iif(summary = 'sims', complete_to, 0)) as sims,
                (select last from seq) as last
            from mark";
        let Reach { marks, last: to } =
            sqlx::query_as(REACH).fetch_one(&mut *moment).await.map_err(of_read)?;
        let after = marks.keys.min(marks.sums).min(marks.sims);
        let mut known = self.usage_tail.lock().await;
        if known.after > after {
            // This snapshot is older than what another question has seen already.
            drop(known);
            let mut tail = UsageTail { after, to: after, records: Vec::new() };
            tail.read_on(moment, to).await?;
            return Ok(SeenTail { marks, to, tail: Arc::new(tail) });
        }
        if known.after < after || known.to < to {
            let tail = Arc::make_mut(&mut known);
            tail.forget(after);
            tail.read_on(moment, to).await?;
        }
        Ok(SeenTail { marks, to, tail: Arc::clone(&known) })
    }
}

impl UsageTail {
    /// Leaves out what a mark has passed.
    fn forget(&mut self, after: i64) {
        let passed = self.records.partition_point(|record| record.id <= after);
        self.records.drain(..passed);
        self.after = after;
        self.to = self.to.max(after);
    }

    /// Takes in what came up to this id. A read that fails, or is given up, changes nothing.
    async fn read_on(&mut self, moment: &mut SqliteConnection, to: i64) -> Result<(), StoreError> {
        if self.to < to {
            let mut sql = QueryBuilder::new(
                "select id, received_ms, sim_id, series_id, start_ms, data_usage from usage where id > ",
            );
            sql.push_bind(self.to).push(" and id <= ").push_bind(to).push(" order by id");
            self.records.extend(packed::<TailRecord>(sql.build(), 6, moment).await?);
            self.to = to;
        }
        Ok(())
    }
}

impl SeenTail {
    /// The records after a mark.
    pub(super) fn after(&self, mark: i64) -> &[TailRecord] {
        self.between(mark + 1..=self.to)
    }

    /// The records with these ids, as far as they are in the tail.
    pub(super) fn between(&self, ids: RangeInclusive<i64>) -> &[TailRecord] {
        let records = &self.tail.records;
        let first = records.partition_point(|record| record.id < *ids.start());
        let end = records.partition_point(|record| record.id <= *ids.end());
        &records[first..end.max(first)]
    }
}
