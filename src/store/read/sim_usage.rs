//! What SIMs used today and this month, in any zone: the sums by day or month of the store's own
//! zone, and the records of the hours that only one of the two zones counts in.
use std::collections::HashMap;

use jiff::{Timestamp, civil::Date, tz::TimeZone};
use sqlx::{QueryBuilder, SqliteConnection};

use super::{kept::need_from, packed, sim_tail::CardTail};
use crate::{
    domain,
    store::{
        StoreError,
        card::{date_of, day_number, month_number},
        days::StoreDays,
        rollup::{DAY_MS, Sum},
    },
};

/// What a span is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unit {
    Day,
    Month,
}

/// A day or a month of some zone, as one of the store's own zone and what that has too many or too
/// few.
#[derive(Clone, Debug)]
pub(super) struct Span {
    unit: Unit,
    /// The number of the store's day or month.
    pub(super) number: i64,
    /// Its days.
    days: std::ops::Range<i64>,
    edges: Vec<Edge>,
    /// All that is asked for.
    whole: Edge,
}

/// Records that have to be added, or taken away.
#[derive(Clone, Copy, Debug)]
struct Edge {
    from_ms: i64,
    to_ms: i64,
    sign: i64,
}

/// A day or a month by a zone's calendar.
struct Civil {
    first: Date,
    next: Date,
    from_ms: i64,
    to_ms: i64,
}

impl Civil {
    fn around(at_ms: i64, zone: &TimeZone, unit: Unit) -> Result<Self, jiff::Error> {
        let date = zone.to_datetime(Timestamp::from_millisecond(at_ms)?).date();
        let (first, last) = match unit {
            Unit::Day => (date, date),
            Unit::Month => (date.first_of_month(), date.last_of_month()),
        };
        let next = last.tomorrow()?;
        let start_ms = |date: Date| {
            date.to_zoned(zone.clone()).map(|start| start.timestamp().as_millisecond())
        };
        Ok(Self { first, next, from_ms: start_ms(first)?, to_ms: start_ms(next)? })
    }

    /// The same by the days of a store.
    fn of_store(at_ms: i64, days: &StoreDays, unit: Unit) -> Option<Self> {
        if days.is_of_one_zone() {
            return Self::around(at_ms, days.zone(), unit).ok();
        }
        let date = date_of(days.number_of(days.span_of(at_ms)));
        let (first, last) = match unit {
            Unit::Day => (date, date),
            Unit::Month => (date.first_of_month(), date.last_of_month()),
        };
        let next = last.tomorrow().ok()?;
        let [from_ms, to_ms] = [first, next].map(|date| days.start_of(day_number(date)));
        Some(Self { first, next, from_ms, to_ms })
    }
}

impl Span {
    /// The day or month of `zone` in which `now` lies. A clock beyond what a calendar can tell has
    /// none.
    pub(super) fn of(
        unit: Unit,
        now: domain::Timestamp,
        zone: &TimeZone,
        stores: &StoreDays,
    ) -> Option<Self> {
        let asked = Civil::around(now.unix_ms(), zone, unit).ok()?;
        let middle_ms = asked.from_ms.midpoint(asked.to_ms);
        let kept = Civil::of_store(middle_ms, stores, unit)?;
        let number = match unit {
            Unit::Day => day_number(kept.first),
            Unit::Month => month_number(kept.first),
        };
        // The two overlap, because they share a moment.
        let edges = [
            Edge { from_ms: asked.from_ms, to_ms: kept.from_ms, sign: 1 },
            Edge { from_ms: kept.from_ms, to_ms: asked.from_ms, sign: -1 },
            Edge { from_ms: kept.to_ms, to_ms: asked.to_ms, sign: 1 },
            Edge { from_ms: asked.to_ms, to_ms: kept.to_ms, sign: -1 },
        ];
        Some(Self {
            unit,
            number,
            days: day_number(kept.first)..day_number(kept.next),
            edges: edges.into_iter().filter(|edge| edge.from_ms < edge.to_ms).collect(),
            whole: Edge { from_ms: asked.from_ms, to_ms: asked.to_ms, sign: 1 },
        })
    }

    /// The sums of these cards; one without usage may be left out.
    pub(super) async fn sums(
        &self,
        moment: &mut SqliteConnection,
        tail: &CardTail,
        card_ids: &[i64],
    ) -> Result<HashMap<i64, Sum>, StoreError> {
        const DAY: &str = "
            select sim.card_id, sum(kept.data_usage), sum(kept.records)
            from json_each($2) as asked cross join sim on sim.card_id = asked.value
            cross join usage_sim_day as kept on kept.day = $1 and kept.sim_id = sim.id
            group by sim.card_id";
        const MONTH: &str = "
            select kept.card_id, kept.data_usage, kept.records
            from json_each($2) as asked
            cross join usage_card_month as kept
                on kept.month = $1 and kept.card_id = asked.value";
        let kept = if self.unit == Unit::Day { DAY } else { MONTH };
        let kept = sqlx::query(kept).bind(self.number).bind(serde_json::to_string(card_ids)?);
        if !self.has_all_edges(moment).await? {
            let rows = self.whole.records(moment, Some(card_ids)).await?;
            return Ok(rows.into_iter().map(told).collect());
        }
        let rows: Vec<(i64, i64, i64)> = packed(kept, 3, moment).await?;
        let mut sums = HashMap::with_capacity(rows.len());
        for (card_id, data_usage, records) in rows {
            sums.insert(card_id, Sum { data_usage, records });
        }
        for card_id in card_ids.iter().filter(|card_id| tail.sums.seen.contains_key(card_id)) {
            for sum in self.days.clone().filter_map(|day| tail.sums.by_day.get(&(day, *card_id))) {
                sums.entry(*card_id).or_default().add(*sum);
            }
        }
        self.add_edges(moment, Some(card_ids), &mut sums).await?;
        Ok(sums)
    }

    /// What the store's sums lack of any card: the tail, and what its zone counts otherwise.
    pub(super) async fn beyond_kept(
        &self,
        moment: &mut SqliteConnection,
        tail: &CardTail,
    ) -> Result<HashMap<i64, Sum>, StoreError> {
        let mut sums: HashMap<i64, Sum> = HashMap::new();
        if !self.has_all_edges(moment).await? {
            sums.extend(self.whole.records(moment, None).await?.into_iter().map(told));
            for (card_id, data_usage, records) in self.all_kept(moment).await? {
                let kept = Sum { data_usage: -data_usage, records: -records };
                sums.entry(card_id).or_default().add(kept);
            }
            return Ok(sums);
        }
        let days = (self.days.start, i64::MIN)..(self.days.end, i64::MIN);
        for ((_, card_id), sum) in tail.sums.by_day.range(days) {
            sums.entry(*card_id).or_default().add(*sum);
        }
        self.add_edges(moment, None, &mut sums).await?;
        Ok(sums)
    }

    /// Whether the records at all edges are kept. Where those are gone that the store's sums have too
    /// many, all that is asked for may still be there, to be added up by itself.
    async fn has_all_edges(&self, moment: &mut SqliteConnection) -> Result<bool, StoreError> {
        let first_ms = self.edges.iter().map(|edge| edge.from_ms).min();
        match need_from(first_ms, "data-usage", moment).await {
            Err(StoreError::Pruned { .. }) => {
                let done = need_from(Some(self.whole.from_ms), "data-usage", moment).await;
                done.map(|()| false).map_err(|error| match error {
                    StoreError::Pruned { from_ms, .. } => {
                        StoreError::Pruned { what: "sims", from_ms }
                    }
                    error => error,
                })
            }
            done => done.map(|()| true),
        }
    }

    /// The store's sums of this month or day, of all cards.
    async fn all_kept(
        &self,
        moment: &mut SqliteConnection,
    ) -> Result<Vec<(i64, i64, i64)>, StoreError> {
        const DAY: &str = "
            select sim.card_id, sum(kept.data_usage), sum(kept.records)
            from usage_sim_day as kept join sim on sim.id = kept.sim_id
            where kept.day = $1 group by sim.card_id";
        const MONTH: &str = "
            select card_id, data_usage, records from usage_card_month where month = $1";
        let kept = if self.unit == Unit::Day { DAY } else { MONTH };
        packed(sqlx::query(kept).bind(self.number), 3, moment).await
    }

    async fn add_edges(
        &self,
        moment: &mut SqliteConnection,
        card_ids: Option<&[i64]>,
        sums: &mut HashMap<i64, Sum>,
    ) -> Result<(), StoreError> {
        for edge in &self.edges {
            for (card_id, data_usage, records) in edge.records(moment, card_ids).await? {
                let (data_usage, records) = (edge.sign * data_usage, edge.sign * records);
                sums.entry(card_id).or_default().add(Sum { data_usage, records });
            }
        }
        Ok(())
    }
}

/// A row as a sum of a card.
fn told((card_id, data_usage, records): (i64, i64, i64)) -> (i64, Sum) {
    (card_id, Sum { data_usage, records })
}

impl Edge {
    /// Card, volume and number of the records that start here: of the asked cards, or of all.
    async fn records(
        &self,
        moment: &mut SqliteConnection,
        card_ids: Option<&[i64]>,
    ) -> Result<Vec<(i64, i64, i64)>, StoreError> {
        let Self { from_ms, to_ms, .. } = *self;
        let days: Vec<i64> =
            (from_ms.div_euclid(DAY_MS)..=(to_ms - 1).div_euclid(DAY_MS)).collect();
        let mut sql = QueryBuilder::new("with asked(sim_id, card_id) as materialized (");
        match card_ids {
            Some(ids) => sql
                .push("select sim.id, sim.card_id from json_each(")
                .push_bind(serde_json::to_string(ids)?)
                .push(") as asked cross join sim on sim.card_id = asked.value"),
            None => sql.push("select null, null where false"),
        };
        sql.push("), found(id, card_id) as (");
        match card_ids {
            Some(_) => sql.push("select key.id, asked.card_id from asked cross join json_each("),
            None => sql.push("select key.id, sim.card_id from json_each("),
        };
        sql.push_bind(serde_json::to_string(&days)?)
            .push(") as day cross join usage_key as key on key.day = day.value");
        match card_ids {
            Some(_) => sql.push(" and key.sim_id = asked.sim_id where true"),
            None => sql.push(" cross join sim on sim.id = key.sim_id where true"),
        };
        push_span(&mut sql, "key.start_ms", from_ms, to_ms);
        sql.push(
            " union all select usage.id, sim.card_id from usage join sim on sim.id = usage.sim_id
            where usage.id > (select complete_to from mark where summary = 'keys')",
        );
        if card_ids.is_some() {
            sql.push(" and usage.sim_id in (select sim_id from asked)");
        }
        push_span(&mut sql, "usage.start_ms", from_ms, to_ms);
        sql.push(
            ") select card_id, sum(data_usage), count(*)
            from found cross join usage on usage.id = found.id group by card_id",
        );
        packed(sql.build(), 3, moment).await
    }
}

fn push_span(sql: &mut QueryBuilder<sqlx::Sqlite>, column: &str, from_ms: i64, to_ms: i64) {
    sql.push(format_args!(" and {column} >= ")).push_bind(from_ms);
    sql.push(format_args!(" and {column} < ")).push_bind(to_ms);
}
