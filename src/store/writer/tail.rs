use std::collections::{HashMap, hash_map::Entry};

use sqlx::SqliteConnection;

use crate::{store::StoreError, store::rollup::TailUsage};

/// How many records may come after the mark. Readers fold as many for each answer, so it stays
/// small; each move of the mark writes sorted, so it should not be tiny.
pub(super) const RECORDS_MAX: usize = 4096;

/// What makes a usage record unique.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct UsageKey {
    pub(super) sim_id: i64,
    pub(super) start_ms: i64,
    pub(super) h: i64,
}

/// The records after the mark: what is not yet in `usage_key` and the rollups.
#[derive(Debug, Default)]
pub(super) struct Tail {
    /// Their keys, and those of repeats of older ones, with the `datePush` they came under first.
    keys: HashMap<UsageKey, i64>,
    pub(super) usage: Vec<TailUsage>,
    /// SIM and own time of each message.
    pub(super) sms: Vec<(i64, i64)>,
    /// The newest id.
    pub(super) last_id: i64,
}

impl Tail {
    /// Reads the tail that an earlier process left.
    pub(super) async fn load(connection: &mut SqliteConnection) -> Result<Self, StoreError> {
        const USAGE: &str = "
            select id, sim_id, start_ms, h, date_push_s, series_id, data_usage from usage
            where id > (select rolled_up_to from mark) order by id";
        const SMS: &str = "
            select sim_id, event_ms from sms where id > (select rolled_up_to from mark)";
        let mut tail = Self::default();
        let rows: Vec<(i64, i64, i64, i64, i64, i64, i64)> =
            sqlx::query_as(USAGE).fetch_all(&mut *connection).await?;
        for (_, sim_id, start_ms, h, date_push_s, series_id, data_usage) in rows {
            tail.keys.insert(UsageKey { sim_id, start_ms, h }, date_push_s);
            tail.usage.push(TailUsage { sim_id, series_id, start_ms, data_usage });
        }
        tail.sms = sqlx::query_as(SMS).fetch_all(&mut *connection).await?;
        tail.last_id =
            sqlx::query_scalar("select last from seq").fetch_one(&mut *connection).await?;
        Ok(tail)
    }

    /// Takes a key in; false if it was there.
    pub(super) fn take(&mut self, key: UsageKey, date_push_s: i64) -> bool {
        match self.keys.entry(key) {
            Entry::Occupied(_) => false,
            Entry::Vacant(free) => {
                free.insert(date_push_s);
                true
            }
        }
    }

    /// Notes that a key taken in stands before the mark already, under this `datePush`.
    pub(super) fn came_first_under(&mut self, key: UsageKey, date_push_s: i64) {
        self.keys.insert(key, date_push_s);
    }

    /// The `datePush` that a key came under first.
    pub(super) fn first_date_push_s(&self, key: UsageKey) -> Option<i64> {
        self.keys.get(&key).copied()
    }

    /// Repeats of records before the mark count too: they hold memory like the others.
    pub(super) fn is_full(&self, records_max: usize) -> bool {
        self.keys.len() + self.sms.len() >= records_max
    }

    /// Forgets what the mark has passed.
    pub(super) fn clear(&mut self) {
        self.keys.clear();
        self.usage.clear();
        self.sms.clear();
    }
}
