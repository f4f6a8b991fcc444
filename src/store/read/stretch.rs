//! Usage records that a filter by time or network context leaves, stretch by stretch of the table.
//!
//! A question that few records answer would otherwise look at every record there is. What lies in
//! each stretch is known (see `usage_block`), so those that cannot hold an answer are passed over;
//! the records after the last stretch are always looked at.
use std::collections::VecDeque;

use serde::de::DeserializeOwned;
use sqlx::{Connection, FromRow, QueryBuilder, Sqlite, SqliteConnection};

use super::{COUNT_TIME_MAX, Store, filter::push_list, packed, page};
use crate::{
    domain::{Filter, Place, Walk},
    store::{StoreError, error::of_read},
};

/// How many stretches are looked up at once, at most.
const LOOKED_UP_MAX: i64 = 64;

/// The part of a walk's question that does not depend on where it stands: everything up to the
/// conditions on `usage.id`, and whatever else the filter asks.
pub(super) type Question = fn(&'static str, &Filter) -> QueryBuilder<Sqlite>;

/// Neighbouring ids, both ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromRow)]
struct Stretch {
    first_id: i64,
    last_id: i64,
}

/// Whether a filter asks for what is known of each stretch.
pub(super) fn is_told_by_stretches(filter: &Filter) -> bool {
    has_times(filter) || has_series(filter)
}

/// One page of a walk, in the order in which it was read.
pub(super) async fn rows<R: DeserializeOwned>(
    moment: &mut SqliteConnection,
    (select, columns): (&'static str, usize),
    question: Question,
    filter: &Filter,
    walk: &Walk,
) -> Result<Vec<R>, StoreError> {
    let mut stretches = Stretches::new(moment, filter, walk).await?;
    let wanted = walk.size.rows() as usize;
    let mut skip = match walk.place {
        Place::Skip(rows) => i64::from(rows),
        _ => 0,
    };
    let mut found: Vec<R> = Vec::new();
    while found.len() < wanted {
        let Some(stretch) = stretches.next(moment).await? else { break };
        if skip > 0 {
            let there = count_in(moment, question, filter, stretch).await?;
            if there <= skip {
                skip -= there;
                continue;
            }
        }
        let order = if stretches.is_upwards { "" } else { " desc" };
        let mut sql = within(question(select, filter), stretch);
        sql.push(format_args!(" order by usage.id{order} limit "))
            .push_bind((wanted - found.len()) as i64)
            .push(" offset ")
            .push_bind(std::mem::take(&mut skip));
        found.extend(packed::<R>(sql.build(), columns, moment).await?);
    }
    Ok(found)
}

/// How many records a filter leaves, up to an id. Stretches that lie in the asked times as a whole
/// have been counted.
pub(super) async fn count(
    store: &Store,
    question: Question,
    filter: &Filter,
    top: i64,
) -> Result<u64, StoreError> {
    #[derive(FromRow)]
    struct Counted {
        #[sqlx(flatten)]
        stretch: Stretch,
        /// None where only a part of it is meant.
        records: Option<i64>,
    }
    let mut sql = QueryBuilder::new("select first_id, last_id, iif(last_id <= ");
    sql.push_bind(top);
    push_times(&mut sql, filter, Overlap::Whole);
    if has_series(filter) {
        sql.push(
            ", (select coalesce(sum(inside.records), 0) from usage_block_series as inside where ",
        );
        push_inside(&mut sql, filter);
        sql.push(")");
    } else {
        sql.push(", block.records");
    }
    sql.push(", null) as records from usage_block as block where first_id <= ").push_bind(top);
    push_times(&mut sql, filter, Overlap::Part);
    let mut reader = store.reader(COUNT_TIME_MAX).await?;
    let mut moment = reader.begin().await.map_err(of_read)?;
    let blocks: Vec<Counted> =
        sql.build_query_as().fetch_all(&mut *moment).await.map_err(of_read)?;
    let tail = Stretch { first_id: mark(&mut moment).await? + 1, last_id: top };
    let mut count = count_in(&mut moment, question, filter, tail).await?;
    for block in blocks {
        count += match block.records {
            Some(records) => records,
            None => {
                let stretch = Stretch { last_id: block.stretch.last_id.min(top), ..block.stretch };
                count_in(&mut moment, question, filter, stretch).await?
            }
        };
    }
    Ok(count.unsigned_abs())
}

/// The stretches that may hold what a walk asks for, in its direction.
struct Stretches<'f> {
    filter: &'f Filter,
    is_upwards: bool,
    /// Between these ids; what was handed out is no longer in it.
    left: Stretch,
    /// The last id that any stretch covers.
    mark: i64,
    ready: VecDeque<Stretch>,
    /// How many to look up next.
    look_up: i64,
    is_tail_due: bool,
}

impl<'f> Stretches<'f> {
    async fn new(
        moment: &mut SqliteConnection,
        filter: &'f Filter,
        walk: &Walk,
    ) -> Result<Self, StoreError> {
        let (first_id, last_id) = match walk.place {
            Place::OlderThan(id) => (0, walk.top.min(id.saturating_sub(1))),
            Place::NewerThan(id) => (id.saturating_add(1), walk.top),
            Place::Newest | Place::Skip(_) | Place::Oldest => (0, walk.top),
        };
        Ok(Self {
            filter,
            is_upwards: page::is_upwards(walk),
            left: Stretch { first_id, last_id },
            mark: mark(moment).await?,
            ready: VecDeque::new(),
            look_up: 1,
            is_tail_due: true,
        })
    }

    async fn next(&mut self, moment: &mut SqliteConnection) -> Result<Option<Stretch>, StoreError> {
        if !self.is_upwards && std::mem::take(&mut self.is_tail_due) {
            return Ok(Some(self.tail()));
        }
        if self.ready.is_empty() {
            self.look_up(moment).await?;
        }
        if let Some(stretch) = self.ready.pop_front() {
            return Ok(Some(stretch));
        }
        let is_tail_due = std::mem::take(&mut self.is_tail_due);
        Ok(is_tail_due.then(|| self.tail()))
    }

    /// The records that no stretch covers yet.
    fn tail(&self) -> Stretch {
        Stretch { first_id: self.left.first_id.max(self.mark + 1), last_id: self.left.last_id }
    }

    async fn look_up(&mut self, moment: &mut SqliteConnection) -> Result<(), StoreError> {
        if self.left.first_id > self.left.last_id {
            return Ok(());
        }
        let mut sql = QueryBuilder::new("select max(first_id, ");
        sql.push_bind(self.left.first_id)
            .push(") as first_id, min(last_id, ")
            .push_bind(self.left.last_id)
            .push(") as last_id from usage_block as block where last_id >= ")
            .push_bind(self.left.first_id)
            .push(" and first_id <= ")
            .push_bind(self.left.last_id);
        push_times(&mut sql, self.filter, Overlap::Part);
        if has_series(self.filter) {
            sql.push(" and exists (select 1 from usage_block_series as inside where ");
            push_inside(&mut sql, self.filter);
            sql.push(")");
        }
        let order = if self.is_upwards { "" } else { " desc" };
        sql.push(format_args!(" order by block.last_id{order} limit ")).push_bind(self.look_up);
        let found: Vec<Stretch> = sql.build_query_as().fetch_all(moment).await.map_err(of_read)?;
        if let Some(farthest) = found.last() {
            match self.is_upwards {
                true => self.left.first_id = farthest.last_id + 1,
                false => self.left.last_id = farthest.first_id - 1,
            }
        }
        self.look_up = (self.look_up * 2).min(LOOKED_UP_MAX);
        self.ready.extend(found);
        Ok(())
    }
}

/// How much of a stretch lies in the asked times.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Overlap {
    /// Perhaps some of it.
    Part,
    /// All of it.
    Whole,
}

/// Adds ` and …` for each end of the asked times.
fn push_times(sql: &mut QueryBuilder<Sqlite>, filter: &Filter, overlap: Overlap) {
    let ends = [
        ("start", filter.from_ms, filter.to_ms),
        ("received", filter.received_from_ms, filter.received_to_ms),
    ];
    for (time, from_ms, to_ms) in ends {
        let (reaches_from, reaches_to) = match overlap {
            Overlap::Part => ("max", "min"),
            Overlap::Whole => ("min", "max"),
        };
        if let Some(ms) = from_ms {
            sql.push(format_args!(" and {time}_{reaches_from}_ms >= ")).push_bind(ms);
        }
        if let Some(ms) = to_ms {
            sql.push(format_args!(" and {time}_{reaches_to}_ms < ")).push_bind(ms);
        }
    }
}

/// `inside` is of this block and of an asked network context.
fn push_inside(sql: &mut QueryBuilder<Sqlite>, filter: &Filter) {
    sql.push(
        "inside.last_id = block.last_id and inside.series_id in (select id from series where true",
    );
    for (column, values) in series_fields(filter) {
        if !values.is_empty() {
            sql.push(format_args!(" and {column} in "));
            push_list(sql, values);
        }
    }
    sql.push(")");
}

fn series_fields(filter: &Filter) -> [(&'static str, &Vec<String>); 5] {
    [
        ("sim_group", &filter.sim_group),
        ("country_code", &filter.country_code),
        ("mcc", &filter.mcc),
        ("mnc", &filter.mnc),
        ("apn", &filter.apn),
    ]
}

fn has_series(filter: &Filter) -> bool {
    series_fields(filter).iter().any(|(_, values)| !values.is_empty())
}

fn has_times(filter: &Filter) -> bool {
    let Filter { from_ms, to_ms, received_from_ms, received_to_ms, .. } = filter;
    [from_ms, to_ms, received_from_ms, received_to_ms].iter().any(|end| end.is_some())
}

fn within(mut sql: QueryBuilder<Sqlite>, stretch: Stretch) -> QueryBuilder<Sqlite> {
    sql.push(" and usage.id between ")
        .push_bind(stretch.first_id)
        .push(" and ")
        .push_bind(stretch.last_id);
    sql
}

async fn count_in(
    moment: &mut SqliteConnection,
    question: Question,
    filter: &Filter,
    stretch: Stretch,
) -> Result<i64, StoreError> {
    let mut sql = within(question("select count(*)", filter), stretch);
    sql.build_query_scalar().fetch_one(moment).await.map_err(of_read)
}

async fn mark(moment: &mut SqliteConnection) -> Result<i64, StoreError> {
    sqlx::query_scalar("select complete_to from mark where summary = 'sums'")
        .fetch_one(moment)
        .await
        .map_err(of_read)
}
