use sqlx::{FromRow, QueryBuilder, Sqlite};

use super::{Store, page, serial_number};
use crate::{
    domain::{
        DeviceEvent, DeviceEventKind, DeviceEventWord, HistoryFilter, SampleRun, SerialNumber,
        Timestamp, Walk,
    },
    store::StoreError,
};

const SELECT: &str = "select id, at_ms, what, state, sample, until_ms, samples, has_own_time";

#[derive(FromRow)]
struct Row {
    id: i64,
    at_ms: i64,
    what: String,
    state: Option<String>,
    sample: Option<String>,
    until_ms: Option<i64>,
    samples: Option<i64>,
    has_own_time: Option<bool>,
}

#[derive(FromRow)]
struct RowOfDevice {
    sn: String,
    #[sqlx(flatten)]
    row: Row,
}

impl Store {
    /// One page of a device's history, the newest first; empty for a device that is not there.
    pub async fn device_history(
        &self,
        sn: &SerialNumber,
        filter: &HistoryFilter,
        walk: &Walk,
    ) -> Result<Vec<DeviceEvent>, StoreError> {
        let mut sql = question(SELECT, sn, filter);
        page::narrow(&mut sql, "id", walk);
        Ok(page::newest_first(walk, self.rows::<Row, _>(sql).await?))
    }

    /// The entries of any history with these ids, and whose each is.
    pub(super) async fn device_events_by_ids(
        &self,
        ids: &[i64],
    ) -> Result<Vec<(SerialNumber, DeviceEvent)>, StoreError> {
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let mut sql = QueryBuilder::new(
            "select history.id, at_ms, what, history.state, sample, until_ms, samples, has_own_time,
                sn
            from device_history as history join device on device.id = device_id
            where history.id in ",
        );
        page::push_ids(&mut sql, ids);
        self.rows::<RowOfDevice, _>(sql).await
    }

    /// How many entries a filter leaves of a device's history, up to an id.
    pub async fn device_history_count(
        &self,
        sn: &SerialNumber,
        filter: &HistoryFilter,
        top: i64,
    ) -> Result<u64, StoreError> {
        let mut sql = question("select count(*)", sn, filter);
        sql.push(" and id <= ").push_bind(top);
        self.count(sql).await
    }
}

fn question(select: &str, sn: &SerialNumber, filter: &HistoryFilter) -> QueryBuilder<Sqlite> {
    let mut sql = QueryBuilder::new(select);
    sql.push(" from device_history where device_id = (select id from device where ");
    serial_number::push_equal(&mut sql, "sn", sn.as_str());
    sql.push(" order by sn <> ").push_bind(sn.as_str().to_owned()).push(", id desc limit 1)");
    if let Some(word) = filter.only {
        sql.push(" and what = ").push_bind(word.as_str());
    }
    // What began before may still have been said then.
    if let Some(from_ms) = filter.from_ms {
        sql.push(" and coalesce(until_ms, at_ms) >= ").push_bind(from_ms);
    }
    if let Some(to_ms) = filter.to_ms {
        sql.push(" and at_ms < ").push_bind(to_ms);
    }
    sql
}

impl TryFrom<RowOfDevice> for (SerialNumber, DeviceEvent) {
    type Error = StoreError;

    fn try_from(RowOfDevice { sn, row }: RowOfDevice) -> Result<Self, StoreError> {
        let corrupt = StoreError::Corrupt { table: "device_history", id: row.id };
        Ok((sn.parse().map_err(|_| corrupt)?, row.try_into()?))
    }
}

impl TryFrom<Row> for DeviceEvent {
    type Error = StoreError;

    fn try_from(row: Row) -> Result<Self, StoreError> {
        let corrupt = || StoreError::Corrupt { table: "device_history", id: row.id };
        let word = row.what.parse::<DeviceEventWord>().map_err(|_| corrupt())?;
        let what = match (word, row.state, row.sample) {
            (DeviceEventWord::State, Some(state), None) => {
                DeviceEventKind::State(state.parse().map_err(|_| corrupt())?)
            }
            (DeviceEventWord::Status, None, Some(sample)) => DeviceEventKind::Status(SampleRun {
                whole: sample.into(),
                until: Timestamp::from_unix_ms(row.until_ms.unwrap_or(row.at_ms)),
                samples: row.samples.unwrap_or(1),
                has_own_time: row.has_own_time.unwrap_or_default(),
            }),
            _ => return Err(corrupt()),
        };
        Ok(Self { id: row.id, at: Timestamp::from_unix_ms(row.at_ms), what })
    }
}
