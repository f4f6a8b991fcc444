use sqlx::{Connection, FromRow, QueryBuilder, Sqlite};

use super::{
    READ_TIME_MAX, Store,
    aside::aside,
    filter::push_list,
    page,
    portion::{HasText, Portion, unless_long},
    serial_number,
};
use crate::{
    domain::{
        Device, DeviceFilter, DeviceState, Fleet, FleetTotals, Freshness, KnownDevice,
        ListedDevice, NewestSample, SerialNumber, ShortText, StatusFacts, Timestamp, Walk,
    },
    store::{StoreError, error::of_read},
};

const SELECT_LISTED: &str = concat!(
    "select id, sn, name, model, device_group, firmware_version, description, create_time, ",
    unless_long!("extra"),
    ", state_now as state,
        iif(state_now = state, state_ms, coalesce(until_ms, state_ms)) as state_ms,
        is_listed, seen_ms, status_asked_ms"
);
const SELECT_STATUS: &str = ",
        status_ms, status_system_time, status_device_model, status_firmware_version, status_uptime,
        status_ip, status_gateway, status_link_uptime, status_has_own_time";

#[derive(FromRow)]
struct ListedRow {
    id: i64,
    sn: String,
    name: String,
    model: String,
    device_group: String,
    firmware_version: String,
    description: String,
    create_time: String,
    extra: Option<String>,
    text_bytes: Option<i64>,
    state: String,
    state_ms: i64,
    is_listed: bool,
    seen_ms: Option<i64>,
    status_asked_ms: Option<i64>,
}

#[derive(FromRow)]
struct Row {
    #[sqlx(flatten)]
    listed: ListedRow,
    status_ms: Option<i64>,
    status_system_time: String,
    status_device_model: String,
    status_firmware_version: String,
    status_uptime: String,
    status_ip: String,
    status_gateway: String,
    status_link_uptime: String,
    status_has_own_time: Option<bool>,
}

#[derive(FromRow)]
struct FleetRow {
    totals_ms: Option<i64>,
    device_total: Option<i64>,
    online_total: Option<i64>,
    offline_total: Option<i64>,
    registered_total: Option<i64>,
    un_registered_total: Option<i64>,
    user_total: Option<i64>,
    listed_ms: Option<i64>,
}

impl Store {
    /// One page of devices, the one that was first seen last first.
    pub async fn devices(
        &self,
        filter: &DeviceFilter,
        freshness: Freshness,
        walk: &Walk,
    ) -> Result<Portion<Device>, StoreError> {
        let mut sql = QueryBuilder::new(SELECT_LISTED);
        push_devices(sql.push(SELECT_STATUS), freshness);
        narrow(&mut sql, filter);
        page::narrow(&mut sql, "id", walk);
        self.portion::<Row, _>(sql, Some(walk)).await
    }

    /// How many devices a filter leaves, up to a number.
    pub async fn device_count(
        &self,
        filter: &DeviceFilter,
        freshness: Freshness,
        top: i64,
    ) -> Result<u64, StoreError> {
        let mut sql = QueryBuilder::new("select count(*)");
        push_devices(&mut sql, freshness);
        narrow(&mut sql, filter);
        sql.push(" and id <= ").push_bind(top);
        self.count(sql).await
    }

    /// The newest number of a device.
    pub async fn device_top(&self) -> Result<i64, StoreError> {
        let mut reader = self.reader(READ_TIME_MAX).await?;
        sqlx::query_scalar("select coalesce(max(id), 0) from device")
            .fetch_one(&mut *reader)
            .await
            .map_err(of_read)
    }

    /// One device, in whatever case its letters are written.
    pub async fn device(
        &self,
        sn: &SerialNumber,
        freshness: Freshness,
    ) -> Result<Option<Device>, StoreError> {
        let mut sql = QueryBuilder::new(SELECT_LISTED);
        push_devices(sql.push(SELECT_STATUS), freshness);
        sql.push(" and ");
        serial_number::push_equal(&mut sql, "sn", sn.as_str());
        // Older versions kept spellings apart: the one that is asked for goes before the others.
        sql.push(" order by sn <> ").push_bind(sn.as_str()).push(", id desc");
        Ok(self.portion::<Row, _>(sql, None).await?.rows.into_iter().next())
    }

    /// All devices, as the poller compares them with the list.
    pub async fn known_devices(
        &self,
        freshness: Freshness,
    ) -> Result<Vec<KnownDevice>, StoreError> {
        let store = self.clone();
        aside(async move {
            let mut sql = QueryBuilder::new(SELECT_LISTED);
            push_devices(&mut sql, freshness);
            sql.push(" order by id");
            Ok(store.portion::<ListedRow, _>(sql, None).await?.rows)
        })
        .await
    }

    /// All devices together, at one moment.
    pub async fn fleet(&self, freshness: Freshness) -> Result<Fleet, StoreError> {
        const FLEET: &str = "
            select totals_ms, device_total, online_total, offline_total, registered_total,
                un_registered_total, user_total, listed_ms
            from fleet";
        let mut states = QueryBuilder::new(
            "select state_now, count(*), count(iif(seen_ms > state_ms, 1, null))",
        );
        push_devices(&mut states, freshness);
        states.push(" group by state_now");
        let mut reader = self.reader(READ_TIME_MAX).await?;
        let mut moment = reader.begin().await?;
        let row: FleetRow = sqlx::query_as(FLEET).fetch_one(&mut *moment).await.map_err(of_read)?;
        let states: Vec<(String, i64, i64)> =
            states.build_query_as().fetch_all(&mut *moment).await.map_err(of_read)?;
        let mut fleet = row.fleet();
        for (state, devices, confirmed) in states {
            let corrupt = |_| StoreError::Corrupt { table: "device", id: 0 };
            let counter = match state.parse::<DeviceState>().map_err(corrupt)? {
                DeviceState::Online => &mut fleet.online,
                DeviceState::Offline => {
                    fleet.offline_confirmed = confirmed.unsigned_abs();
                    &mut fleet.offline
                }
                DeviceState::Unknown => &mut fleet.unknown,
            };
            *counter = devices.unsigned_abs();
        }
        Ok(fleet)
    }
}

/// `from … where true`: the devices with their states as of now. One that nobody confirmed for too
/// long is unknown, whether or not the writer has already noted that it lapsed.
fn push_devices(sql: &mut QueryBuilder<Sqlite>, freshness: Freshness) {
    let oldest_ms = freshness.oldest().unix_ms();
    sql.push(" from (select *, iif(seen_ms >= ")
        .push_bind(oldest_ms)
        .push(", state, 'unknown') as state_now, seen_ms + ")
        .push_bind(freshness.now.unix_ms().saturating_sub(oldest_ms))
        .push(" as until_ms from device_seen) as device where true");
}

fn narrow(sql: &mut QueryBuilder<Sqlite>, filter: &DeviceFilter) {
    let states: Vec<_> = filter.state.iter().map(|state| state.as_str().to_owned()).collect();
    let fields =
        [("state_now", &states), ("model", &filter.model), ("device_group", &filter.group)];
    for (column, values) in fields {
        if !values.is_empty() {
            sql.push(format_args!(" and {column} in "));
            push_list(sql, values);
        }
    }
    let mut separator = " and (";
    for word in &filter.q {
        for column in ["sn", "name", "description"] {
            sql.push(format_args!("{separator}instr(lower({column}), lower("))
                .push_bind(word.clone())
                .push(")) > 0");
            separator = " or ";
        }
    }
    if !filter.q.is_empty() {
        sql.push(")");
    }
}

impl HasText for ListedRow {
    const TEXT_OF_ID: &'static str = "select extra from device where id = $1";

    fn id(&self) -> i64 {
        self.id
    }

    fn text(&mut self) -> (&mut Option<String>, Option<i64>) {
        (&mut self.extra, self.text_bytes)
    }
}

impl HasText for Row {
    const TEXT_OF_ID: &'static str = ListedRow::TEXT_OF_ID;

    fn id(&self) -> i64 {
        self.listed.id
    }

    fn text(&mut self) -> (&mut Option<String>, Option<i64>) {
        self.listed.text()
    }
}

impl ListedRow {
    fn listed(&self) -> Result<ListedDevice, StoreError> {
        let corrupt = || StoreError::Corrupt { table: "device", id: self.id };
        let text = |text: &str| ShortText::try_from(text).map_err(|_| corrupt());
        Ok(ListedDevice {
            sn: self.sn.parse().map_err(|_| corrupt())?,
            name: text(&self.name)?,
            model: text(&self.model)?,
            group: text(&self.device_group)?,
            firmware_version: text(&self.firmware_version)?,
            description: text(&self.description)?,
            create_time: text(&self.create_time)?,
            state: self.state.parse().map_err(|_| corrupt())?,
            extra: self.extra.as_deref().map(Box::from),
        })
    }
}

impl TryFrom<ListedRow> for KnownDevice {
    type Error = StoreError;

    fn try_from(row: ListedRow) -> Result<Self, StoreError> {
        Ok(Self {
            listed: row.listed()?,
            is_listed: row.is_listed,
            status_asked_to: row.status_asked_ms.map(Timestamp::from_unix_ms),
        })
    }
}

impl TryFrom<Row> for Device {
    type Error = StoreError;

    fn try_from(row: Row) -> Result<Self, StoreError> {
        let id = row.listed.id;
        let corrupt = |_| StoreError::Corrupt { table: "device", id };
        let text = |text: &str| ShortText::try_from(text).map_err(corrupt);
        let facts = StatusFacts {
            system_time: text(&row.status_system_time)?,
            device_model: text(&row.status_device_model)?,
            firmware_version: text(&row.status_firmware_version)?,
            uptime: text(&row.status_uptime)?,
            ip: text(&row.status_ip)?,
            gateway: text(&row.status_gateway)?,
            link_uptime: text(&row.status_link_uptime)?,
        };
        Ok(Self {
            id,
            listed: row.listed.listed()?,
            state_since: Timestamp::from_unix_ms(row.listed.state_ms),
            listed_at: row.listed.seen_ms.map(Timestamp::from_unix_ms),
            is_listed: row.listed.is_listed,
            status_asked_to: row.listed.status_asked_ms.map(Timestamp::from_unix_ms),
            status: row.status_ms.map(|ms| NewestSample {
                as_of: Timestamp::from_unix_ms(ms),
                has_own_time: row.status_has_own_time.unwrap_or_default(),
                facts,
            }),
        })
    }
}

impl FleetRow {
    fn fleet(self) -> Fleet {
        let totals = FleetTotals {
            device_total: self.device_total,
            online_total: self.online_total,
            offline_total: self.offline_total,
            registered_total: self.registered_total,
            un_registered_total: self.un_registered_total,
            user_total: self.user_total,
        };
        Fleet {
            totals: self.totals_ms.map(|ms| (Timestamp::from_unix_ms(ms), totals)),
            listed_at: self.listed_ms.map(Timestamp::from_unix_ms),
            ..Fleet::default()
        }
    }
}
