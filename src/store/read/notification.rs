use sqlx::{FromRow, QueryBuilder, Sqlite};

use super::{
    Store,
    filter::{self, Columns},
    page,
    portion::{HasText, Portion, unless_long},
    tally,
};
use crate::{
    domain::{Filter, Giccid, Kind, Notification, ShortText, Stored, Timestamp, Walk},
    store::{
        StoreError,
        push::{origin, push_column},
    },
};

const SELECT: &str = concat!(
    "select id, received_ms, kind, pushed_as, giccid, imsi, event_ms, ",
    unless_long!("payload"),
    ", h, date_push_s, ",
    push_column!("notification")
);

const COLUMNS: Columns = Columns {
    table: "notification",
    // One without a time of its own is placed by when it was pushed.
    own_ms: "key_ms",
    received_ms: "received_ms",
    fields: &[
        ("kind", |filter| &filter.kind),
        ("giccid", |filter| &filter.giccid),
        ("imsi", |filter| &filter.imsi),
    ],
    words_in: None,
};

#[derive(FromRow)]
struct Row {
    id: i64,
    received_ms: i64,
    kind: String,
    pushed_as: Option<String>,
    giccid: Option<String>,
    imsi: String,
    event_ms: Option<i64>,
    payload: Option<String>,
    text_bytes: Option<i64>,
    h: i64,
    date_push_s: i64,
    push: Option<String>,
}

impl Store {
    /// One page of notifications, the newest first.
    pub async fn notifications(
        &self,
        filter: &Filter,
        walk: &Walk,
    ) -> Result<Portion<Stored<Notification>>, StoreError> {
        let mut sql = question(SELECT, filter);
        page::narrow(&mut sql, "id", walk);
        self.portion::<Row, _>(sql, Some(walk)).await
    }

    /// One notification.
    pub async fn notification_by_id(
        &self,
        id: i64,
    ) -> Result<Option<Stored<Notification>>, StoreError> {
        let mut sql = question(SELECT, &Filter::default());
        sql.push(" and id = ").push_bind(id);
        Ok(self.portion::<Row, _>(sql, None).await?.rows.pop())
    }

    /// Notifications by their ids.
    pub(super) async fn notifications_by_ids(
        &self,
        ids: &[i64],
    ) -> Result<Vec<Stored<Notification>>, StoreError> {
        let mut sql = question(SELECT, &Filter::default());
        sql.push(" and id in ");
        page::push_ids(&mut sql, ids);
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        Ok(self.portion::<Row, _>(sql, None).await?.rows)
    }

    /// How many notifications a filter leaves, up to an id.
    pub async fn notification_count(&self, filter: &Filter, top: i64) -> Result<u64, StoreError> {
        if *filter == Filter::default() {
            return tally::kept_count(self, "notification", None, top).await;
        }
        let mut sql = question("select count(*)", filter);
        sql.push(" and id <= ").push_bind(top);
        self.count(sql).await
    }
}

fn question(select: &str, filter: &Filter) -> QueryBuilder<Sqlite> {
    let mut sql = QueryBuilder::new(select);
    sql.push(" from notification where true");
    filter::narrow(&mut sql, &COLUMNS, filter);
    sql
}

impl HasText for Row {
    const TEXT_OF_ID: &'static str = "select payload from notification where id = $1";

    fn id(&self) -> i64 {
        self.id
    }

    fn text(&mut self) -> (&mut Option<String>, Option<i64>) {
        (&mut self.payload, self.text_bytes)
    }
}

impl TryFrom<Row> for Stored<Notification> {
    type Error = StoreError;

    fn try_from(row: Row) -> Result<Self, StoreError> {
        let corrupt = || StoreError::Corrupt { table: "notification", id: row.id };
        let kind = |text: &str| text.parse::<Kind>().map_err(|_| corrupt());
        let giccid = row.giccid.as_deref().map(str::parse::<Giccid>).transpose();
        let pushed_as = row.pushed_as.as_deref().map(kind).transpose()?;
        // Earlier versions kept such kinds under their own name.
        let (kind, pushed_as) = match kind(&row.kind)? {
            reserved if reserved.is_reserved() => (Kind::other(), Some(reserved)),
            kind => (kind, pushed_as),
        };
        Ok(Self {
            id: row.id,
            received_at: Timestamp::from_unix_ms(row.received_ms),
            identity: row.h,
            date_push_s: row.date_push_s,
            push: origin(row.push.as_deref()),
            record: Notification {
                kind,
                pushed_as,
                giccid: giccid.map_err(|_| corrupt())?,
                imsi: ShortText::try_from(&*row.imsi).map_err(|_| corrupt())?,
                event_ms: row.event_ms,
                payload: row.payload.ok_or_else(corrupt)?.into(),
            },
        })
    }
}
