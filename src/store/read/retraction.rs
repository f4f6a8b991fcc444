use std::net::IpAddr;

use sqlx::{FromRow, QueryBuilder};

use super::{COUNT_TIME_MAX, READ_TIME_MAX, Store, page};
use crate::{
    domain::{RetractCount, RetractQuestion, Retracted, RetractedPushes},
    store::{StoreError, error::of_read, push::source_of, writer::push_pushes},
};

#[derive(FromRow)]
struct Row {
    id: i64,
    date_push_s: i64,
    source: Vec<u8>,
}

impl Store {
    /// All that was retracted.
    pub async fn retracted(&self) -> Result<Retracted, StoreError> {
        const ALL: &str = "select distinct date_push_s, source from retracted";
        let mut reader = self.reader(READ_TIME_MAX).await?;
        let rows: Vec<(i64, Vec<u8>)> =
            sqlx::query_as(ALL).fetch_all(&mut *reader).await.map_err(of_read)?;
        Ok(rows.iter().map(|(date_push_s, source)| question(*date_push_s, source)).collect())
    }

    /// What a retraction would take out, by source.
    pub async fn retract_counts(
        &self,
        of: RetractQuestion,
    ) -> Result<Vec<RetractCount>, StoreError> {
        let mut sql = QueryBuilder::new("select source");
        for table in ["usage", "sms", "notification"] {
            sql.push(format_args!(
                ", sum((select count(*) from {table} as pushed
                    where pushed.id between push.id and push.id + push.ids - 1
                        and pushed.date_push_s = push.date_push_s))"
            ));
        }
        sql.push(" from push where ");
        push_pushes(&mut sql, of);
        sql.push(" group by source order by source");
        let mut reader = self.reader(COUNT_TIME_MAX).await?;
        let rows: Vec<(Vec<u8>, i64, i64, i64)> =
            sql.build_query_as().fetch_all(&mut *reader).await.map_err(of_read)?;
        let count = |(source, usage, sms, notifications): (Vec<u8>, i64, i64, i64)| RetractCount {
            source: source_of(&source),
            usage: usage.unsigned_abs(),
            sms: sms.unsigned_abs(),
            notifications: notifications.unsigned_abs(),
        };
        Ok(rows.into_iter().map(count).collect())
    }

    /// Retractions by their ids.
    pub(super) async fn retractions_by_ids(
        &self,
        ids: &[i64],
    ) -> Result<Vec<RetractedPushes>, StoreError> {
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let mut sql =
            QueryBuilder::new("select id, date_push_s, source from retracted where id in ");
        page::push_ids(&mut sql, ids);
        self.rows::<Row, _>(sql).await
    }
}

impl TryFrom<Row> for RetractedPushes {
    type Error = StoreError;

    fn try_from(Row { id, date_push_s, source }: Row) -> Result<Self, StoreError> {
        Ok(Self { id, of: question(date_push_s, &source) })
    }
}

fn question(date_push_s: i64, source: &[u8]) -> RetractQuestion {
    let source: Option<IpAddr> = source_of(source);
    RetractQuestion { date_push_s, source }
}
