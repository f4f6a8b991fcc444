use std::collections::HashMap;

use jiff::tz::TimeZone;
use sqlx::{Connection, FromRow, QueryBuilder, SqliteConnection};

use super::{
    READ_TIME_MAX, Store,
    aside::aside,
    serial_number,
    sim_tail::{CardTail, kept_states},
    sim_usage::{Span, Unit},
};
use crate::{
    domain::{
        Giccid, NetworkContext, SerialNumber, ShortText, Sim, SimLabel, SimSeen, Timestamp,
        UsageSum,
    },
    store::{
        StoreError,
        card::{CardSeen, reversed},
        error::of_read,
        rollup::Sum,
    },
};

/// When a question about SIMs is asked, and in which zone today and this month are meant.
#[derive(Clone, Debug)]
pub struct SimMoment {
    /// The moment.
    pub now: Timestamp,
    /// The zone.
    pub zone: TimeZone,
}

/// How many SIMs of one router are told.
const SIMS_OF_DEVICE_MAX: i64 = 100;

#[derive(FromRow)]
struct Row {
    card_id: i64,
    giccid: String,
    first_ms: i64,
    last_ms: i64,
    imsi: String,
    sim_group: String,
    country_code: String,
    mcc: String,
    mnc: String,
    apn: String,
    name: String,
    device_sn: String,
}

impl Store {
    /// One SIM; none that has neither a record nor a name or a router.
    pub async fn sim(&self, giccid: &Giccid, as_of: &SimMoment) -> Result<Option<Sim>, StoreError> {
        let (store, giccid, as_of) = (self.clone(), giccid.clone(), as_of.clone());
        aside(async move { store.find_sim(&giccid, &as_of).await }).await
    }

    async fn find_sim(
        &self,
        giccid: &Giccid,
        as_of: &SimMoment,
    ) -> Result<Option<Sim>, StoreError> {
        const CARD: &str = "select id from card where giccid_reversed = $1";
        const LABEL: &str = "select name, device_sn from sim_label where giccid = $1";
        let mut reader = self.reader(READ_TIME_MAX).await?;
        let mut moment = reader.begin().await?;
        let card: Option<i64> = sqlx::query_scalar(CARD)
            .bind(reversed(giccid.as_str(), usize::MAX))
            .fetch_optional(&mut *moment)
            .await
            .map_err(of_read)?;
        if let Some(card_id) = card {
            let tail = self.card_tail(&mut moment).await?;
            return Ok(self.told(&mut moment, &tail, &[card_id], as_of).await?.pop());
        }
        let label: Option<(String, String)> = sqlx::query_as(LABEL)
            .bind(giccid.as_str())
            .fetch_optional(&mut *moment)
            .await
            .map_err(of_read)?;
        label
            .map(|(name, device_sn)| {
                let label = label_of(&name, &device_sn, 0)?;
                let (giccid, none) = (giccid.clone(), UsageSum::default());
                Ok(Sim { giccid, label, seen: None, today: none, this_month: none })
            })
            .transpose()
    }

    /// The SIMs that people say sit in a router, by giccid: the first hundred.
    pub async fn sims_of_device(
        &self,
        sn: &SerialNumber,
    ) -> Result<Vec<(Giccid, SimLabel)>, StoreError> {
        let mut sql = QueryBuilder::new(
            "select giccid, name, device_sn from sim_label where device_sn <> '' and ",
        );
        serial_number::push_equal(&mut sql, "device_sn", sn.as_str());
        sql.push(" order by giccid limit ").push_bind(SIMS_OF_DEVICE_MAX);
        let mut reader = self.reader(READ_TIME_MAX).await?;
        let rows: Vec<(String, String, String)> =
            sql.build_query_as().fetch_all(&mut *reader).await.map_err(of_read)?;
        rows.into_iter()
            .map(|(giccid, name, device_sn)| {
                let corrupt = |_| StoreError::Corrupt { table: "sim_label", id: 0 };
                Ok((giccid.parse().map_err(corrupt)?, label_of(&name, &device_sn, 0)?))
            })
            .collect()
    }

    /// All that is told of these cards, in the same order.
    pub(super) async fn told(
        &self,
        moment: &mut SqliteConnection,
        tail: &CardTail,
        card_ids: &[i64],
        as_of: &SimMoment,
    ) -> Result<Vec<Sim>, StoreError> {
        if card_ids.is_empty() {
            return Ok(Vec::new());
        }
        let rows = rows(moment, tail, card_ids).await?;
        let days = self.days_in(moment).await?;
        let mut sums = [HashMap::new(), HashMap::new()];
        for (sums, unit) in sums.iter_mut().zip([Unit::Day, Unit::Month]) {
            if let Some(span) = Span::of(unit, as_of.now, &as_of.zone, &days) {
                *sums = span.sums(moment, tail, card_ids).await?;
            }
        }
        rows.into_iter()
            .map(|row| {
                let [today, this_month] = sums.each_ref().map(|sums| {
                    let Sum { data_usage, records } =
                        sums.get(&row.card_id).copied().unwrap_or_default();
                    UsageSum { data_usage, records }
                });
                Ok(Sim { today, this_month, ..Sim::try_from(row)? })
            })
            .collect()
    }
}

/// What summary, tail and labels say of these cards, in the same order.
async fn rows(
    moment: &mut SqliteConnection,
    tail: &CardTail,
    card_ids: &[i64],
) -> Result<Vec<Row>, StoreError> {
    const ROWS: &str = "
        select card.id as card_id, card.giccid, row.value ->> 1 as first_ms,
            row.value ->> 2 as last_ms, sim.imsi,
            coalesce(sim_group, '') as sim_group, coalesce(country_code, '') as country_code,
            coalesce(mcc, '') as mcc, coalesce(mnc, '') as mnc, coalesce(apn, '') as apn,
            coalesce(label.name, '') as name, coalesce(label.device_sn, '') as device_sn
        from json_each(";
    const JOINS: &str = ") as row cross join card on card.id = row.value ->> 0
        cross join sim on sim.id = row.value ->> 3
        left join series on series.id = row.value ->> 4
        left join sim_label as label on label.giccid = card.giccid
        order by row.key";
    let in_summary: Vec<i64> =
        card_ids.iter().copied().filter(|id| !tail.sums.seen.contains_key(id)).collect();
    let kept: HashMap<i64, CardSeen> =
        kept_states(moment, &in_summary).await?.into_iter().collect();
    let states: Vec<_> = card_ids
        .iter()
        .filter_map(|id| {
            let seen = tail.sums.seen.get(id).or_else(|| kept.get(id))?;
            let series_id = seen.usage.map(|(_, series_id)| series_id);
            Some((id, seen.first_ms, seen.last.0, seen.last.1, series_id))
        })
        .collect();
    let mut sql = QueryBuilder::new(ROWS);
    sql.push_bind(serde_json::to_string(&states)?).push(JOINS);
    sql.build_query_as().fetch_all(moment).await.map_err(of_read)
}

impl TryFrom<Row> for Sim {
    type Error = StoreError;

    fn try_from(row: Row) -> Result<Self, StoreError> {
        let corrupt = || StoreError::Corrupt { table: "card", id: row.card_id };
        let text = |text: &str| ShortText::try_from(text).map_err(|_| corrupt());
        Ok(Self {
            giccid: row.giccid.parse().map_err(|_| corrupt())?,
            label: label_of(&row.name, &row.device_sn, row.card_id)?,
            seen: Some(SimSeen {
                first: Timestamp::from_unix_ms(row.first_ms),
                last: Timestamp::from_unix_ms(row.last_ms),
                imsi: text(&row.imsi)?,
                network: NetworkContext {
                    sim_group: text(&row.sim_group)?,
                    country_code: text(&row.country_code)?,
                    mcc: text(&row.mcc)?,
                    mnc: text(&row.mnc)?,
                    apn: text(&row.apn)?,
                },
            }),
            today: UsageSum::default(),
            this_month: UsageSum::default(),
        })
    }
}

fn label_of(name: &str, device_sn: &str, id: i64) -> Result<SimLabel, StoreError> {
    let corrupt = || StoreError::Corrupt { table: "sim_label", id };
    let name = ShortText::try_from(name).map_err(|_| corrupt())?;
    let device_sn = match device_sn {
        "" => None,
        sn => Some(sn.parse().map_err(|_| corrupt())?),
    };
    Ok(SimLabel { name, device_sn })
}
