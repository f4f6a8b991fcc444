//! Sums: what the mark has passed from the rollups, the rest from the tail, in one read
//! transaction.
use std::collections::BTreeMap;

use sqlx::{Connection, FromRow, SqliteConnection};

use super::{READ_TIME_MAX, Store};
use crate::store::{
    StoreError,
    error::of_read,
    rollup::{HOUR_MS, NetworkSums, SimSums, Sum, TailUsage},
};

/// The sum of one quarter of an hour in one network context.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct QuarterHour {
    /// Where it begins, milliseconds since 1970, UTC.
    pub start_ms: i64,
    /// Group, country, mcc, mnc and apn.
    pub series: [String; 5],
    /// The sum of volumes.
    pub data_usage: i64,
    /// How many records it is made of.
    pub records: i64,
}

/// What hourly sums are kept by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dimension {
    /// The customer's label for a group of SIMs.
    SimGroup,
    /// The visited country.
    CountryCode,
    /// The visited network, such as `460-10`.
    Network,
    /// The access point name.
    Apn,
}

/// The sum of one hour for one value of a dimension.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct DimensionHour {
    /// Where it begins, milliseconds since 1970, UTC.
    pub start_ms: i64,
    /// The value.
    pub value: String,
    /// The sum of volumes.
    pub data_usage: i64,
    /// How many records it is made of.
    pub records: i64,
}

/// The sum of one SIM's day in the store's zone.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SimDay {
    /// Days since 1970 in the store's zone.
    pub day: i64,
    /// The SIM.
    pub giccid: String,
    /// The subscriber.
    pub imsi: String,
    /// The sum of volumes.
    pub data_usage: i64,
    /// How many records it is made of.
    pub records: i64,
}

#[derive(FromRow)]
struct SumRow {
    first: i64,
    second: i64,
    data_usage: i64,
    records: i64,
}

impl Store {
    /// Sums by quarter of an hour and network context, of the records that start at `from_ms` or
    /// later and before `to_ms`, both multiples of a quarter of an hour.
    pub async fn quarter_hours(
        &self,
        from_ms: i64,
        to_ms: i64,
    ) -> Result<Vec<QuarterHour>, StoreError> {
        const KEPT: &str = "
            select start_ms as first, series_id as second, data_usage, records
            from usage_quarter_hour where start_ms >= $1 and start_ms < $2";
        let mut reader = self.reader(READ_TIME_MAX).await?;
        let mut moment = reader.begin().await?;
        let mut fold = network_tail(&mut moment).await?;
        fold.by_quarter_hour.retain(|(start_ms, _), _| (from_ms..to_ms).contains(start_ms));
        add_kept(&mut fold.by_quarter_hour, KEPT, from_ms, to_ms, &mut moment).await?;
        let names = series_names(&mut moment).await?;
        fold.by_quarter_hour
            .into_iter()
            .map(|((start_ms, series_id), Sum { data_usage, records })| {
                let series = named(&names, series_id, "series")?;
                Ok(QuarterHour { start_ms, series, data_usage, records })
            })
            .collect()
    }

    /// Sums by hour and value of one dimension, of the records that start at `from_ms` or later and
    /// before `to_ms`, both multiples of an hour.
    pub async fn dimension_hours(
        &self,
        dimension: Dimension,
        from_ms: i64,
        to_ms: i64,
    ) -> Result<Vec<DimensionHour>, StoreError> {
        const KEPT: &str = "
            select start_ms, value, data_usage, records from usage_hour
            where dimension = $1 and start_ms >= $2 and start_ms < $3";
        let mut reader = self.reader(READ_TIME_MAX).await?;
        let mut moment = reader.begin().await?;
        let names = series_names(&mut moment).await?;
        let mut sums: BTreeMap<(i64, String), Sum> = BTreeMap::new();
        for ((start_ms, series_id), sum) in network_tail(&mut moment).await?.by_quarter_hour {
            if (from_ms..to_ms).contains(&start_ms) {
                let value = dimension.of(&named(&names, series_id, "series")?);
                sums.entry((start_ms - start_ms.rem_euclid(HOUR_MS), value)).or_default().add(sum);
            }
        }
        let kept: Vec<(i64, String, i64, i64)> = sqlx::query_as(KEPT)
            .bind(dimension.as_str())
            .bind(from_ms)
            .bind(to_ms)
            .fetch_all(&mut *moment)
            .await
            .map_err(of_read)?;
        for (start_ms, value, data_usage, records) in kept {
            sums.entry((start_ms, value)).or_default().add(Sum { data_usage, records });
        }
        let hour = |((start_ms, value), Sum { data_usage, records })| DimensionHour {
            start_ms,
            value,
            data_usage,
            records,
        };
        Ok(sums.into_iter().map(hour).collect())
    }

    /// Sums by SIM and day, from one day up to and without another.
    pub async fn sim_days(&self, from_day: i64, to_day: i64) -> Result<Vec<SimDay>, StoreError> {
        const KEPT: &str = "
            select day as first, sim_id as second, data_usage, records
            from usage_sim_day where day >= $1 and day < $2";
        let mut reader = self.reader(READ_TIME_MAX).await?;
        let mut moment = reader.begin().await?;
        let days = self.days_in(&mut moment).await?;
        let mut fold = SimSums::of(&usage_tail(&mut moment, "sims").await?, &days);
        fold.by_day.retain(|(day, _), _| (from_day..to_day).contains(day));
        add_kept(&mut fold.by_day, KEPT, from_day, to_day, &mut moment).await?;
        let names = sim_names(&mut moment).await?;
        fold.by_day
            .into_iter()
            .map(|((day, sim_id), Sum { data_usage, records })| {
                let (giccid, imsi) = named(&names, sim_id, "sim")?;
                Ok(SimDay { day, giccid, imsi, data_usage, records })
            })
            .collect()
    }
}

/// What came after the mark of the sums by time and network.
async fn network_tail(moment: &mut SqliteConnection) -> Result<NetworkSums, StoreError> {
    Ok(NetworkSums::of(&usage_tail(moment, "sums").await?))
}

/// The usage records that a summary does not have.
async fn usage_tail(
    moment: &mut SqliteConnection,
    summary: &'static str,
) -> Result<Vec<TailUsage>, StoreError> {
    const USAGE: &str = "
        select sim_id, card_id, series_id, start_ms, data_usage
        from usage join sim on sim.id = usage.sim_id
        where usage.id > (select complete_to from mark where summary = $1)";
    sqlx::query_as(USAGE).bind(summary).fetch_all(moment).await.map_err(of_read)
}

impl Dimension {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::SimGroup => "sim_group",
            Self::CountryCode => "country_code",
            Self::Network => "network",
            Self::Apn => "apn",
        }
    }

    fn of(self, [sim_group, country_code, mcc, mnc, apn]: &[String; 5]) -> String {
        match self {
            Self::SimGroup => sim_group.clone(),
            Self::CountryCode => country_code.clone(),
            Self::Network => format!("{mcc}-{mnc}"),
            Self::Apn => apn.clone(),
        }
    }
}

async fn add_kept(
    sums: &mut BTreeMap<(i64, i64), Sum>,
    kept: &'static str,
    from: i64,
    to: i64,
    moment: &mut SqliteConnection,
) -> Result<(), StoreError> {
    let rows: Vec<SumRow> =
        sqlx::query_as(kept).bind(from).bind(to).fetch_all(moment).await.map_err(of_read)?;
    for SumRow { first, second, data_usage, records } in rows {
        sums.entry((first, second)).or_default().add(Sum { data_usage, records });
    }
    Ok(())
}

async fn series_names(
    moment: &mut SqliteConnection,
) -> Result<BTreeMap<i64, [String; 5]>, StoreError> {
    const ALL: &str = "select id, sim_group, country_code, mcc, mnc, apn from series";
    let rows: Vec<(i64, String, String, String, String, String)> =
        sqlx::query_as(ALL).fetch_all(moment).await.map_err(of_read)?;
    Ok(rows.into_iter().map(|(id, a, b, c, d, e)| (id, [a, b, c, d, e])).collect())
}

async fn sim_names(
    moment: &mut SqliteConnection,
) -> Result<BTreeMap<i64, (String, String)>, StoreError> {
    let rows: Vec<(i64, String, String)> = sqlx::query_as("select id, giccid, imsi from sim")
        .fetch_all(moment)
        .await
        .map_err(of_read)?;
    Ok(rows.into_iter().map(|(id, giccid, imsi)| (id, (giccid, imsi))).collect())
}

fn named<T: Clone>(
    names: &BTreeMap<i64, T>,
    id: i64,
    table: &'static str,
) -> Result<T, StoreError> {
    names.get(&id).cloned().ok_or(StoreError::Corrupt { table, id })
}
