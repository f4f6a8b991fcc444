//! A sum as the client reads it: as JSON, and as cells of a table.
use serde::{Serialize, Serializer, ser::SerializeMap};
use utoipa::ToSchema;

use super::{cells::Cells, doc::words};
use crate::domain::{
    AggregateQuestion, AggregateRow, Calendar, ComparedRow, Group, GroupBy, Interval, Timestamp,
};

/// What is the same for all rows of an answer.
pub(super) struct Table {
    question: AggregateQuestion,
    /// Tells the local dates.
    days: Calendar,
    has_volume: bool,
    has_usual: bool,
}

impl Table {
    /// Of the answer to this question, with or without volumes, and with or without what is usual.
    pub(super) fn new(question: AggregateQuestion, has_volume: bool, has_usual: bool) -> Self {
        let days = Calendar::new(question.zone.clone(), Interval::Day);
        Self { question, days, has_volume, has_usual }
    }

    /// Whether a row may be that of other groups.
    fn has_others(&self) -> bool {
        self.question.top.is_some() && !self.question.group_by.is_empty()
    }

    /// The names of its columns.
    pub(super) fn columns(&self) -> Vec<&'static str> {
        let mut names = vec!["start", "end", "day"];
        names.extend(self.question.group_by.iter().map(|by| name_of(*by)));
        names.extend(self.has_volume.then_some("data_usage"));
        names.push("records");
        if self.has_usual {
            names.extend(["usual_p10", "usual_p90"]);
        }
        names.extend(self.has_others().then_some("other"));
        names
    }

    /// A row as cells, as many as there are columns.
    pub(super) fn cells(&self, ComparedRow { row, usual }: &ComparedRow, cells: &mut Cells) {
        let [start, end, day] = self.times(row);
        for text in [start, end, day] {
            cells.text(&text.unwrap_or_default());
        }
        for (_, value) in self.groups(row) {
            cells.text(value.unwrap_or_default());
        }
        if self.has_volume {
            cells.integer(row.data_usage);
        }
        cells.integer(row.records);
        if self.has_usual {
            for value in [usual.map(|it| it.p10), usual.map(|it| it.p90)] {
                cells.text(&value.map(|it| it.to_string()).unwrap_or_default());
            }
        }
        if self.has_others() {
            cells.text(if row.group == Group::Others { "true" } else { "" });
        }
    }

    /// Start, end and the local day of the start. What was left open has none.
    fn times(&self, row: &AggregateRow) -> [Option<String>; 3] {
        let ends = [row.span.start_ms, row.span.end_ms];
        let [start, end] = ends.map(|ms| Some(ms).filter(|ms| ![i64::MIN, i64::MAX].contains(ms)));
        let shown = |ms| Timestamp::from_unix_ms(ms).to_string();
        let day = start.map(|start_ms| self.days.date_at(start_ms).to_string());
        [start.map(shown), end.map(shown), day]
    }

    /// The values that a row is grouped by. A field that was not sent has none.
    fn groups<'r>(
        &self,
        row: &'r AggregateRow,
    ) -> impl Iterator<Item = (&'static str, Option<&'r str>)> {
        self.question.group_by.iter().enumerate().map(|(place, by)| {
            let value = match &row.group {
                Group::One(values) => values.get(place).map(String::as_str),
                Group::Others => None,
            };
            let nothing = if *by == GroupBy::Network { "-" } else { "" };
            (name_of(*by), value.filter(|value| *value != nothing))
        })
    }
}

/// A sum of usage. The members of `group_by` are there where it names them; no start, end or day
/// where the question left it open.
#[derive(ToSchema)]
#[schema(examples(json!({
    "start": "2024-09-04T16:00:00.000Z", "end": "2024-09-05T16:00:00.000Z", "day": "2024-09-05",
    "country_code": "CN", "data_usage": 52_118, "records": 40,
})))]
#[expect(dead_code, reason = "it is written member by member, as many as the question has")]
pub(super) struct UsageSumOut {
    #[schema(format = DateTime)]
    start: Option<String>,
    #[schema(format = DateTime)]
    end: Option<String>,
    #[schema(format = Date)]
    day: Option<String>,
    #[schema(schema_with = words::text_or_null, required = false)]
    giccid: Option<String>,
    #[schema(schema_with = words::text_or_null, required = false)]
    sim_group: Option<String>,
    #[schema(schema_with = words::text_or_null, required = false)]
    country_code: Option<String>,
    #[schema(schema_with = words::text_or_null, required = false)]
    network: Option<String>,
    #[schema(schema_with = words::text_or_null, required = false)]
    apn: Option<String>,
    data_usage: i64,
    records: i64,
    /// With `usual=true`: in nine of ten such weeks it is more; null where four are not known.
    #[schema(schema_with = words::integer_or_null, required = false)]
    usual_p10: Option<i64>,
    /// With `usual=true`: in nine of ten such weeks it is less.
    #[schema(schema_with = words::integer_or_null, required = false)]
    usual_p90: Option<i64>,
    /// True in the row of those that `top` left.
    #[schema(nullable = false)]
    other: Option<bool>,
}

/// A sum of messages. The members of `group_by` are there where it names them; no start, end or day
/// where the question left it open.
#[derive(ToSchema)]
#[schema(examples(json!({
    "start": "2024-09-04T16:00:00.000Z", "end": "2024-09-05T16:00:00.000Z", "day": "2024-09-05",
    "sim_group": "groupA", "records": 40,
})))]
#[expect(dead_code, reason = "it is written member by member, as many as the question has")]
pub(super) struct SmsSumOut {
    #[schema(format = DateTime)]
    start: Option<String>,
    #[schema(format = DateTime)]
    end: Option<String>,
    #[schema(format = Date)]
    day: Option<String>,
    #[schema(schema_with = words::text_or_null, required = false)]
    giccid: Option<String>,
    #[schema(schema_with = words::text_or_null, required = false)]
    sim_group: Option<String>,
    records: i64,
    /// With `usual=true`: in nine of ten such weeks it is more; null where four are not known.
    #[schema(schema_with = words::integer_or_null, required = false)]
    usual_p10: Option<i64>,
    /// With `usual=true`: in nine of ten such weeks it is less.
    #[schema(schema_with = words::integer_or_null, required = false)]
    usual_p90: Option<i64>,
    /// True in the row of those that `top` left.
    #[schema(nullable = false)]
    other: Option<bool>,
}

/// A sum as JSON.
pub(super) struct RowOut<'a> {
    /// The table that it belongs to.
    pub(super) table: &'a Table,
    /// The sum.
    pub(super) row: &'a ComparedRow,
}

impl Serialize for RowOut<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self { table, row: ComparedRow { row, usual } } = self;
        let mut members = serializer.serialize_map(None)?;
        for (name, time) in ["start", "end", "day"].into_iter().zip(table.times(row)) {
            members.serialize_entry(name, &time)?;
        }
        for (name, value) in table.groups(row) {
            members.serialize_entry(name, &value)?;
        }
        if table.has_volume {
            members.serialize_entry("data_usage", &row.data_usage)?;
        }
        members.serialize_entry("records", &row.records)?;
        if table.has_usual {
            members.serialize_entry("usual_p10", &usual.map(|it| it.p10))?;
            members.serialize_entry("usual_p90", &usual.map(|it| it.p90))?;
        }
        if row.group == Group::Others {
            members.serialize_entry("other", &true)?;
        }
        members.end()
    }
}

fn name_of(by: GroupBy) -> &'static str {
    match by {
        GroupBy::Giccid => "giccid",
        GroupBy::SimGroup => "sim_group",
        GroupBy::CountryCode => "country_code",
        GroupBy::Network => "network",
        GroupBy::Apn => "apn",
    }
}
