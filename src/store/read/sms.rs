use sqlx::{FromRow, QueryBuilder, Sqlite};

use super::{
    Store,
    filter::{self, Columns},
    page,
    portion::{HasText, Portion, unless_long},
    tally,
};
use crate::{
    domain::{Filter, Giccid, ShortText, SmsRecord, Stored, Timestamp, Walk},
    store::{
        StoreError,
        push::{origin, push_column},
    },
};

const SELECT: &str = concat!(
    "select sms.id, received_ms, giccid, imsi, sim_group, from_msisdn, to_msisdn, event_ms, ",
    unless_long!("extra"),
    ", h, date_push_s, ",
    push_column!("sms")
);
const FROM: &str = " from sms join sim on sim.id = sms.sim_id where true";

const COLUMNS: Columns = Columns {
    table: "sms",
    own_ms: "sms.event_ms",
    received_ms: "sms.received_ms",
    fields: &[
        ("sms.sim_group", |filter| &filter.sim_group),
        ("sms.from_msisdn", |filter| &filter.from_msisdn),
        ("sms.to_msisdn", |filter| &filter.to_msisdn),
    ],
    words_in: Some("sms.extra"),
};

#[derive(FromRow)]
struct Row {
    id: i64,
    received_ms: i64,
    giccid: String,
    imsi: String,
    sim_group: String,
    from_msisdn: String,
    to_msisdn: String,
    event_ms: i64,
    extra: Option<String>,
    text_bytes: Option<i64>,
    h: i64,
    date_push_s: i64,
    push: Option<String>,
}

impl Store {
    /// One page of messages, the newest first.
    pub async fn sms(
        &self,
        filter: &Filter,
        walk: &Walk,
    ) -> Result<Portion<Stored<SmsRecord>>, StoreError> {
        let mut sql = question(SELECT, filter);
        page::narrow(&mut sql, "sms.id", walk);
        self.portion::<Row, _>(sql, Some(walk)).await
    }

    /// One message.
    pub async fn sms_by_id(&self, id: i64) -> Result<Option<Stored<SmsRecord>>, StoreError> {
        let mut sql = question(SELECT, &Filter::default());
        sql.push(" and sms.id = ").push_bind(id);
        Ok(self.portion::<Row, _>(sql, None).await?.rows.pop())
    }

    /// Messages by their ids.
    pub(super) async fn sms_by_ids(
        &self,
        ids: &[i64],
    ) -> Result<Vec<Stored<SmsRecord>>, StoreError> {
        let mut sql = question(SELECT, &Filter::default());
        sql.push(" and sms.id in ");
        page::push_ids(&mut sql, ids);
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        Ok(self.portion::<Row, _>(sql, None).await?.rows)
    }

    /// How many messages a filter leaves, up to an id.
    pub async fn sms_count(&self, filter: &Filter, top: i64) -> Result<u64, StoreError> {
        if *filter == Filter::default() {
            return tally::kept_count(self, "sms", Some("mo-sms"), top).await;
        }
        let mut sql = question("select count(*)", filter);
        sql.push(" and sms.id <= ").push_bind(top);
        self.count(sql).await
    }
}

fn question(select: &str, filter: &Filter) -> QueryBuilder<Sqlite> {
    let mut sql = QueryBuilder::new(select);
    sql.push(FROM);
    if filter::is_of_sims(filter) {
        sql.push(" and sms.sim_id in (");
        filter::push_sims(&mut sql, filter);
        sql.push(")");
    }
    filter::narrow(&mut sql, &COLUMNS, filter);
    sql
}

impl HasText for Row {
    const TEXT_OF_ID: &'static str = "select extra from sms where id = $1";

    fn id(&self) -> i64 {
        self.id
    }

    fn text(&mut self) -> (&mut Option<String>, Option<i64>) {
        (&mut self.extra, self.text_bytes)
    }
}

impl TryFrom<Row> for Stored<SmsRecord> {
    type Error = StoreError;

    fn try_from(row: Row) -> Result<Self, StoreError> {
        let corrupt = || StoreError::Corrupt { table: "sms", id: row.id };
        let text = |text: &str| ShortText::try_from(text).map_err(|_| corrupt());
        Ok(Self {
            id: row.id,
            received_at: Timestamp::from_unix_ms(row.received_ms),
            identity: row.h,
            date_push_s: row.date_push_s,
            push: origin(row.push.as_deref()),
            record: SmsRecord {
                giccid: row.giccid.parse::<Giccid>().map_err(|_| corrupt())?,
                imsi: text(&row.imsi)?,
                sim_group: text(&row.sim_group)?,
                from_msisdn: text(&row.from_msisdn)?,
                to_msisdn: text(&row.to_msisdn)?,
                event_ms: row.event_ms,
                extra: row.extra.map(Into::into),
            },
        })
    }
}
