//! Sums of messages: by quarter of an hour and group from their rollup, which has no tail.
use sqlx::{Connection, QueryBuilder, Sqlite, SqliteConnection};

use super::{
    READ_TIME_MAX, Store, aside,
    cells::{key, push_asked, with_pieces},
    fold::{CELL_COLUMNS, Cell, Fold, asked},
    packed,
    plan::{Edges, Kept, Piece, Plan},
};
use crate::{
    domain::{AggregateQuestion, AggregateRow, Calendar, Filter, GroupBy, Span},
    store::{
        StoreError,
        error::of_read,
        read::{
            filter::{self, Columns, Field},
            kept::need_from,
        },
        rollup::{HOUR_MS, Sum},
    },
};

/// How much time is summed by one statement.
const RECORDS_PORTION_MS: i64 = 32 * 24 * HOUR_MS;

const GROUP: &[Field] = &[("sms.sim_group", |filter| &filter.sim_group)];
const REST: Columns = Columns {
    table: "sms",
    own_ms: "sms.event_ms",
    received_ms: "sms.received_ms",
    fields: &[
        GROUP[0],
        ("sms.from_msisdn", |filter| &filter.from_msisdn),
        ("sms.to_msisdn", |filter| &filter.to_msisdn),
    ],
    words_in: Some("sms.extra"),
};

impl Store {
    /// Counts of messages, in order of time and group, that of others last.
    pub async fn sms_aggregate(
        &self,
        question: &AggregateQuestion,
    ) -> Result<Vec<AggregateRow>, StoreError> {
        let (store, question) = (self.clone(), question.clone());
        aside(async move { store.sms_sums(&question).await }).await
    }

    pub(super) async fn sms_sums(
        &self,
        question: &AggregateQuestion,
    ) -> Result<Vec<AggregateRow>, StoreError> {
        if asked(question).is_empty() {
            return Ok(Vec::new());
        }
        let mut reader = self.reader(READ_TIME_MAX).await?;
        let mut moment = reader.begin().await?;
        let calendar = Calendar::new(question.zone.clone(), question.interval);
        let range = asked(question).and(extent(&mut moment).await?);
        let kept = if is_of_groups(question) { Kept::Network(None) } else { Kept::Nothing };
        let days = self.days_in(&mut moment).await?;
        let plan = Plan::new(kept, Edges::Added, &calendar, range, &days);
        need_from(plan.first_record_ms(), "mo-sms", &mut moment).await?;
        let mut fold = Fold::new(&calendar, question.group_by.len());
        if !plan.quarters.is_empty() {
            let mut sql = quarters(question, &plan.quarters);
            fold.add(packed::<Cell>(sql.build(), CELL_COLUMNS, &mut moment).await?)?;
        }
        for pieces in super::portions(&plan.records, RECORDS_PORTION_MS) {
            let mut sql = messages(question, &pieces);
            fold.add(packed::<Cell>(sql.build(), CELL_COLUMNS, &mut moment).await?)?;
        }
        Ok(match question.top {
            Some(top) => fold.top_rows(question, top, |Sum { records, .. }| records),
            None => fold.rows(question),
        })
    }
}

/// Whether it asks for nothing that only the messages know.
fn is_of_groups(question: &AggregateQuestion) -> bool {
    let Filter { from_ms, to_ms, sim_group, .. } = &question.filter;
    let of_groups = Filter {
        from_ms: *from_ms,
        to_ms: *to_ms,
        sim_group: sim_group.clone(),
        ..Filter::default()
    };
    question.filter == of_groups && !question.group_by.contains(&GroupBy::Giccid)
}

async fn extent(moment: &mut SqliteConnection) -> Result<Span, StoreError> {
    const ENDS: &str = "
        select coalesce((select min(start_ms) from sms_quarter_hour), 0),
            coalesce((select max(start_ms) + 900000 from sms_quarter_hour), 0)";
    let (start_ms, end_ms) = sqlx::query_as(ENDS).fetch_one(moment).await.map_err(of_read)?;
    Ok(Span { start_ms, end_ms })
}

fn quarters(question: &AggregateQuestion, pieces: &[Piece]) -> QueryBuilder<Sqlite> {
    let mut sql = with_pieces(pieces);
    push_select(&mut sql, question, "sum(sms.records)", "sms.start_ms", pieces);
    sql.push(
        " from piece cross join sms_quarter_hour as sms
        on sms.start_ms >= piece.first and sms.start_ms < piece.last where true",
    );
    filter::narrow_fields(&mut sql, GROUP, &question.filter);
    sql.push(" group by 1, 2, 3");
    sql
}

fn messages(question: &AggregateQuestion, pieces: &[Piece]) -> QueryBuilder<Sqlite> {
    let filter = &question.filter;
    let has_sims = filter::is_of_sims(filter);
    let mut sql = with_pieces(pieces);
    if has_sims {
        sql.push(", ");
        push_asked(&mut sql, filter);
    }
    push_select(&mut sql, question, "count(*)", "sms.event_ms", pieces);
    // The messages of a SIM are few: they are found by SIM, all others by time.
    sql.push(if has_sims {
        " from asked cross join sms indexed by sms_of_sim on sms.sim_id = asked.sim_id
        cross join piece on sms.event_ms >= piece.first and sms.event_ms < piece.last"
    } else {
        " from piece cross join sms indexed by sms_key
        on sms.event_ms >= piece.first and sms.event_ms < piece.last"
    });
    if question.group_by.contains(&GroupBy::Giccid) {
        sql.push(" cross join sim on sim.id = sms.sim_id");
    }
    sql.push(" where true");
    let no_own_times = Filter { from_ms: None, to_ms: None, ..filter.clone() };
    filter::narrow(&mut sql, &REST, &no_own_times);
    sql.push(" group by 1, 2, 3");
    sql
}

fn push_select(
    sql: &mut QueryBuilder<Sqlite>,
    question: &AggregateQuestion,
    records: &'static str,
    at: &'static str,
    pieces: &[Piece],
) {
    let mut columns = question.group_by.iter().map(|by| match by {
        GroupBy::Giccid => "sim.giccid",
        _ => "sms.sim_group",
    });
    let [first, second] = [(); 2].map(|()| columns.next().unwrap_or("''"));
    sql.push(format_args!(" select {}, {first}, {second}, 0, {records}", key(at, pieces)));
}
