//! Which of some records are stored.
use std::collections::BTreeSet;

use sqlx::Connection;

use super::{READ_TIME_MAX, Store};
use crate::{
    domain::{NewRecord, Record},
    store::{StoreError, error::of_read, rollup::DAY_MS},
};

/// Keys of usage records. The key tree has them up to its mark; the pending ones are few.
const USAGE: &str = "
    select key.h, key.start_ms from json_each($1) as asked
    cross join sim on sim.giccid = asked.value ->> 2 and sim.imsi = asked.value ->> 3
    cross join usage_key as key on key.day = asked.value ->> 4 and key.sim_id = sim.id
        and key.start_ms = asked.value ->> 1 and key.h = asked.value ->> 0
    union all
    select h, start_ms from usage
    where id > (select complete_to from mark where summary = 'keys') and (h, start_ms) in (
        select asked.value ->> 0, asked.value ->> 1 from json_each($1) as asked)";

const SMS: &str = "
    select sms.h, sms.event_ms from json_each($1) as asked
    cross join sim on sim.giccid = asked.value ->> 2 and sim.imsi = asked.value ->> 3
    cross join sms on sms.event_ms = asked.value ->> 1 and sms.sim_id = sim.id
        and sms.h = asked.value ->> 0";

const NOTIFICATIONS: &str = "
    select notification.h, key_ms from json_each($1) as asked
    cross join notification on key_ms = asked.value ->> 1 and notification.h = asked.value ->> 0";

impl Store {
    /// The keys of those records that are stored; see [`NewRecord::key`].
    pub async fn stored_among(
        &self,
        records: &[&NewRecord],
    ) -> Result<BTreeSet<(i64, i64)>, StoreError> {
        let (mut usage, mut sms, mut notifications) = (Vec::new(), Vec::new(), Vec::new());
        for new in records {
            let (identity, own_ms) = new.key();
            let (asked, giccid, imsi) = match &new.record {
                Record::Usage(it) => (&mut usage, it.giccid.as_str(), &*it.imsi),
                Record::Sms(it) => (&mut sms, it.giccid.as_str(), &*it.imsi),
                Record::Notification(_) => (&mut notifications, "", ""),
            };
            asked.push((identity, own_ms, giccid, imsi, own_ms.div_euclid(DAY_MS)));
        }
        let mut reader = self.reader(READ_TIME_MAX).await?;
        let mut snapshot = reader.begin().await?;
        let mut stored = BTreeSet::new();
        for (sql, asked) in [(USAGE, usage), (SMS, sms), (NOTIFICATIONS, notifications)] {
            if asked.is_empty() {
                continue;
            }
            let asked = serde_json::to_string(&asked)?;
            let keys: Vec<(i64, i64)> =
                sqlx::query_as(sql).bind(asked).fetch_all(&mut *snapshot).await.map_err(of_read)?;
            stored.extend(keys);
        }
        Ok(stored)
    }
}
