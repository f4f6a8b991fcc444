use std::collections::BTreeMap;

use sqlx::{Connection, QueryBuilder, Sqlite, SqliteConnection};

use super::{COUNT_TIME_MAX, READ_TIME_MAX, Store, page, portion::Portion};
use crate::{
    domain::{Filter, Giccid, TimelineEntry, Walk},
    store::{StoreError, error::of_read},
};

impl Store {
    /// One page of all that is stored of a SIM, the last that was stored first.
    pub async fn timeline(
        &self,
        giccid: &Giccid,
        walk: &Walk,
    ) -> Result<Portion<TimelineEntry>, StoreError> {
        let mut reader = self.reader(READ_TIME_MAX).await?;
        let mut moment = reader.begin().await?;
        let mut sql = self.entries(giccid, "select id, source", &mut moment).await?;
        page::narrow(&mut sql, "id", walk);
        let mut page: Vec<(i64, i64)> =
            sql.build_query_as().fetch_all(&mut *moment).await.map_err(of_read)?;
        // Records are never changed: what they say is the same in a moment of their own.
        drop(moment);
        drop(reader);
        page.sort_unstable_by(|one, other| other.cmp(one));
        let all: Vec<i64> = page.iter().map(|(id, _)| *id).collect();
        let left = all[self.fitting(&all).await?..].to_vec();
        page.truncate(all.len() - left.len());
        let ids = |source| page.iter().filter(|row| row.1 == source).map(|row| row.0).collect();
        let (usage, sms, notifications): (Vec<_>, Vec<_>, Vec<_>) = (ids(0), ids(1), ids(2));
        let mut told = BTreeMap::new();
        for row in self.usage_by_ids(&usage).await? {
            told.insert(row.id, TimelineEntry::Usage(row));
        }
        for row in self.sms_by_ids(&sms).await? {
            told.insert(row.id, TimelineEntry::Sms(row));
        }
        for row in self.notifications_by_ids(&notifications).await? {
            told.insert(row.id, TimelineEntry::Notification(row));
        }
        Ok(Portion { rows: told.into_values().rev().collect(), left })
    }

    /// How much is stored of a SIM, up to an id.
    pub async fn timeline_count(&self, giccid: &Giccid, top: i64) -> Result<u64, StoreError> {
        let mut reader = self.reader(COUNT_TIME_MAX).await?;
        let mut moment = reader.begin().await?;
        let mut sql = self.entries(giccid, "select count(*)", &mut moment).await?;
        sql.push(" and id <= ").push_bind(top);
        let count: i64 = sql.build_query_scalar().fetch_one(&mut *moment).await.map_err(of_read)?;
        Ok(count.unsigned_abs())
    }

    /// The ids of all that is stored of a SIM, each with the table that it lies in.
    async fn entries(
        &self,
        giccid: &Giccid,
        select: &'static str,
        moment: &mut SqliteConnection,
    ) -> Result<QueryBuilder<Sqlite>, StoreError> {
        let filter = Filter { giccid: vec![giccid.to_string()], ..Filter::default() };
        let mut sql = self.history(&filter, moment).await?;
        sql.push(
            ", entry(id, source) as (
                select id, 0 from history
                union all select sms.id, 1 from sms where sim_id in (select sim_id from asked)
                union all select id, 2 from notification where giccid = ",
        )
        .push_bind(giccid.to_string())
        .push(") ")
        .push(select)
        .push(" from entry where true");
        Ok(sql)
    }
}
