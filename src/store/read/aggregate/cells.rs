//! What each kind of sum has to say, in the form of a question.
use serde::Serialize;
use sqlx::{QueryBuilder, Sqlite};

use super::{
    found::Found,
    plan::{Piece, WholeDay, by_key_day},
};
use crate::{
    domain::{AggregateQuestion, Filter, GroupBy, Span},
    store::read::{
        filter::{self, Field, push_list},
        rollup::Dimension,
    },
};

/// Adds up in the form of a [`Cell`](super::fold::Cell), or gives each sum alone: `[sim_id]` and
/// `[data_usage]` of all of them as two texts, because one row of two texts costs a tenth of what
/// many rows cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    Cells,
    Sims,
}

impl Shape {
    /// How many days one statement sums. Where each sum is given alone, the next are read while
    /// these are taken in.
    pub(super) fn days_at_once(self) -> usize {
        match self {
            Self::Cells => 32,
            Self::Sims => 5,
        }
    }
}

/// A question on its way into SQL.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cells<'q> {
    pub(super) question: &'q AggregateQuestion,
    pub(super) shape: Shape,
}

type Sql = QueryBuilder<Sqlite>;

/// The names of what is summed.
struct Source {
    key: String,
    sim_id: &'static str,
    data_usage: &'static str,
    records: &'static str,
}

/// What is known of a network context.
pub(super) const SERIES: &[Field] = &[
    ("series.sim_group", |filter| &filter.sim_group),
    ("series.country_code", |filter| &filter.country_code),
    ("series.mcc", |filter| &filter.mcc),
    ("series.mnc", |filter| &filter.mnc),
    ("series.apn", |filter| &filter.apn),
];

impl Cells<'_> {
    /// Sums by hour of one dimension.
    pub(super) fn hours(&self, dimension: Dimension, pieces: &[Piece]) -> Sql {
        let mut sql = with_pieces(pieces);
        let source = kept_source("hour", key("hour.start_ms", pieces));
        self.push_head(&mut sql, &source, |_| "hour.value");
        sql.push(" from piece cross join usage_hour as hour on hour.dimension = ")
            .push_bind(dimension.as_str())
            .push(" and hour.start_ms >= piece.first and hour.start_ms < piece.last where true");
        self.push_values(&mut sql);
        self.push_tail(&mut sql);
        sql
    }

    /// The same without groups: each hour of one range, in the order of the tree.
    pub(super) fn hours_of_all(&self, dimension: Dimension, span: Span) -> Sql {
        let mut sql = QueryBuilder::new(
            "select start_ms, '', '', sum(data_usage), sum(records) from usage_hour as hour
            where dimension = ",
        );
        sql.push_bind(dimension.as_str());
        self.push_values(&mut sql);
        push_range(&mut sql, "start_ms", span);
        sql.push(" group by start_ms");
        sql
    }

    /// Sums by quarter of an hour.
    pub(super) fn quarters(&self, pieces: &[Piece]) -> Sql {
        let mut sql = with_pieces(pieces);
        let source = kept_source("quarter", key("quarter.start_ms", pieces));
        self.push_head(&mut sql, &source, column);
        sql.push(
            " from piece cross join usage_quarter_hour as quarter
            on quarter.start_ms >= piece.first and quarter.start_ms < piece.last",
        );
        self.push_series(&mut sql, "quarter.series_id");
        sql.push(" where true");
        filter::narrow_fields(&mut sql, SERIES, &self.question.filter);
        self.push_tail(&mut sql);
        sql
    }

    /// The same without groups: each quarter of an hour of one range, in the order of the tree.
    pub(super) fn quarters_of_all(&self, span: Span) -> Sql {
        let mut sql = QueryBuilder::new(
            "select quarter.start_ms, '', '', sum(quarter.data_usage), sum(quarter.records)
            from usage_quarter_hour as quarter",
        );
        self.push_series(&mut sql, "quarter.series_id");
        sql.push(" where true");
        filter::narrow_fields(&mut sql, SERIES, &self.question.filter);
        push_range(&mut sql, "quarter.start_ms", span);
        sql.push(" group by quarter.start_ms");
        sql
    }

    /// Sums by SIM and day. They are added up by SIM before its name is looked up.
    pub(super) fn days(&self, days: &[WholeDay]) -> Sql {
        let mut sql = QueryBuilder::new("with piece(day, key) as materialized (");
        push_json(&mut sql, &["0", "1"], &days);
        sql.push(")");
        self.push_asked(&mut sql, ", ");
        let by_sim = self.shape == Shape::Cells && !self.question.group_by.is_empty();
        if by_sim {
            sql.push(
                " select sum.key, sim.giccid, '', sum.data_usage, sum.records from (
                select piece.key as key, day.sim_id as sim_id, sum(day.data_usage) as data_usage,
                    sum(day.records) as records",
            );
        } else {
            let source = kept_source("day", "piece.key".to_owned());
            self.push_head(&mut sql, &source, column);
        }
        sql.push(" from piece");
        if self.has_sims() {
            sql.push(" cross join asked");
        }
        sql.push(" cross join usage_sim_day as day on day.day = piece.day");
        if self.has_sims() {
            sql.push(" and day.sim_id = asked.sim_id");
        }
        if by_sim {
            sql.push(" group by 1, 2) as sum cross join sim on sim.id = sum.sim_id");
        } else {
            self.push_tail(&mut sql);
        }
        sql
    }

    /// Records with an id up to `top`, as far as they are found so.
    pub(super) fn records(&self, pieces: &[Piece], found: Found, top: i64) -> Sql {
        match found {
            Found::ByKey => self.records_by_key(pieces, top),
            Found::ByStretch => self.records_by_stretch(pieces, top),
        }
    }

    fn records_by_stretch(&self, pieces: &[Piece], top: i64) -> Sql {
        let mut sql = with_pieces(pieces);
        self.push_head(&mut sql, &record_source(key("usage.start_ms", pieces)), column);
        sql.push(
            " from piece cross join usage_block as block
            on block.start_max_ms >= piece.first and block.start_min_ms < piece.last
            cross join usage on usage.id between block.first_id and block.last_id
            and usage.start_ms >= piece.first and usage.start_ms < piece.last and usage.id <= ",
        )
        .push_bind(top);
        self.push_names_and_filter(&mut sql);
        self.push_tail(&mut sql);
        sql
    }

    fn records_by_key(&self, pieces: &[Piece], top: i64) -> Sql {
        let mut sql = QueryBuilder::new("with ");
        push_pieces(&mut sql, "day, ", &by_key_day(pieces));
        self.push_asked(&mut sql, ", ");
        self.push_head(&mut sql, &record_source(key("usage.start_ms", pieces)), column);
        sql.push(" from piece");
        if self.has_sims() {
            sql.push(" cross join asked");
        }
        sql.push(" cross join usage_key as key on key.day = piece.day");
        if self.has_sims() {
            sql.push(" and key.sim_id = asked.sim_id");
        }
        sql.push(" and key.start_ms >= piece.first and key.start_ms < piece.last and key.id <= ")
            .push_bind(top)
            .push(" cross join usage on usage.id = key.id");
        self.push_names_and_filter(&mut sql);
        self.push_tail(&mut sql);
        sql
    }

    fn has_sims(&self) -> bool {
        filter::is_of_sims(&self.question.filter)
    }

    /// `asked(sim_id) as (…)`: the SIMs that the filter names, if it does.
    fn push_asked(&self, sql: &mut Sql, before: &'static str) {
        if self.has_sims() {
            sql.push(before);
            push_asked(sql, &self.question.filter);
        }
    }

    fn push_head(&self, sql: &mut Sql, source: &Source, column: fn(GroupBy) -> &'static str) {
        let Source { key, sim_id, data_usage, records } = source;
        if self.shape == Shape::Sims {
            sql.push(format_args!(
                " select json_group_array(sim_id), json_group_array(data_usage)
                from (select {sim_id} as sim_id, {data_usage} as data_usage"
            ));
            return;
        }
        let mut columns = self.question.group_by.iter().map(|by| column(*by));
        let [first, second] = [(); 2].map(|()| columns.next().unwrap_or("''"));
        sql.push(format_args!(" select {key}, {first}, {second}, sum({data_usage}), {records}"));
    }

    fn push_tail(&self, sql: &mut Sql) {
        sql.push(match (self.shape, self.question.group_by.len()) {
            (Shape::Sims, _) => ")",
            (Shape::Cells, 0) => " group by 1",
            (Shape::Cells, 1) => " group by 1, 2",
            (Shape::Cells, _) => " group by 1, 2, 3",
        });
    }

    fn push_series(&self, sql: &mut Sql, series_id: &'static str) {
        let filter = &self.question.filter;
        let is_asked = self.shape == Shape::Cells
            && self.question.group_by.iter().any(|by| *by != GroupBy::Giccid)
            || SERIES.iter().any(|(_, values)| !values(filter).is_empty());
        if is_asked {
            sql.push(format_args!(" cross join series on series.id = {series_id}"));
        }
    }

    /// What a record refers to, and ` where` with all of the filter but own times and SIMs.
    fn push_names_and_filter(&self, sql: &mut Sql) {
        if self.shape == Shape::Cells && self.question.group_by.contains(&GroupBy::Giccid) {
            sql.push(" cross join sim on sim.id = usage.sim_id");
        }
        self.push_series(sql, "usage.series_id");
        sql.push(" where true");
        let filter = &self.question.filter;
        filter::narrow_fields(sql, SERIES, filter);
        let received = Span {
            start_ms: filter.received_from_ms.unwrap_or(i64::MIN),
            end_ms: filter.received_to_ms.unwrap_or(i64::MAX),
        };
        push_range(sql, "usage.received_ms", received);
    }

    /// The values of the one dimension that is asked about.
    fn push_values(&self, sql: &mut Sql) {
        for (_, values) in SERIES {
            let values = values(&self.question.filter);
            if !values.is_empty() {
                sql.push(" and hour.value in ");
                push_list(sql, values);
            }
        }
    }
}

/// The column of a record, once its names are joined.
pub(super) fn column(by: GroupBy) -> &'static str {
    match by {
        GroupBy::Giccid => "sim.giccid",
        GroupBy::SimGroup => "series.sim_group",
        GroupBy::CountryCode => "series.country_code",
        GroupBy::Network => "series.mcc || '-' || series.mnc",
        GroupBy::Apn => "series.apn",
    }
}

fn record_source(key: String) -> Source {
    let (sim_id, data_usage) = ("usage.sim_id", "usage.data_usage");
    Source { key, sim_id, data_usage, records: "count(*)" }
}

fn kept_source(table: &'static str, key: String) -> Source {
    let (data_usage, records) = match table {
        "hour" => ("hour.data_usage", "sum(hour.records)"),
        "quarter" => ("quarter.data_usage", "sum(quarter.records)"),
        _ => ("day.data_usage", "sum(day.records)"),
    };
    Source { key, sim_id: "day.sim_id", data_usage, records }
}

/// A moment of the interval to which a moment within a piece belongs.
pub(super) fn key(at: &str, pieces: &[Piece]) -> String {
    if pieces.iter().all(|piece| piece.is_of_one_interval()) {
        return "piece.first".to_owned();
    }
    format!("max(piece.first, piece.origin + ({at} - piece.origin) / piece.step * piece.step)")
}

/// `with piece(first, last, origin, step) as (…)`
pub(super) fn with_pieces(pieces: &[Piece]) -> Sql {
    let mut sql = QueryBuilder::new("with ");
    push_pieces(&mut sql, "", pieces);
    sql
}

/// `asked(sim_id) as (…)`: the SIMs that a filter names.
pub(super) fn push_asked(sql: &mut Sql, filter: &Filter) {
    sql.push("asked(sim_id) as materialized (");
    filter::push_sims(sql, filter);
    sql.push(")");
}

/// ` and … >= … and … < …`, where the ends are not open.
pub(super) fn push_range(sql: &mut Sql, column: &'static str, span: Span) {
    if span.start_ms > i64::MIN {
        sql.push(format_args!(" and {column} >= ")).push_bind(span.start_ms);
    }
    if span.end_ms < i64::MAX {
        sql.push(format_args!(" and {column} < ")).push_bind(span.end_ms);
    }
}

fn push_pieces<T: Serialize>(sql: &mut Sql, more: &'static str, pieces: &[T]) {
    sql.push(format_args!("piece({more}first, last, origin, step) as materialized ("));
    let columns = ["0", "1", "2", "3", "4"];
    push_json(sql, if more.is_empty() { &columns[..4] } else { &columns }, &pieces);
    sql.push(")");
}

fn push_json<T: Serialize>(sql: &mut Sql, columns: &[&'static str], rows: &T) {
    let columns: Vec<_> = columns.iter().map(|nth| format!("value ->> {nth}")).collect();
    // Numbers in arrays: there is nothing in them that JSON could not say.
    let json = serde_json::to_string(rows).unwrap_or_default();
    sql.push(format_args!("select {} from json_each(", columns.join(", ")))
        .push_bind(json)
        .push(")");
}
