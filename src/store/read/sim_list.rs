//! SIMs in order. What the summary has is read in the order of an index; the cards of the tail, whose
//! places the summary does not know, are sorted in memory and put between.
use std::{
    cmp::Ordering,
    collections::{HashMap, HashSet},
};

use sqlx::{Connection, QueryBuilder, Sqlite, SqliteConnection};

use super::{
    COUNT_TIME_MAX, READ_TIME_MAX, SimMoment, Store,
    filter::push_list,
    page::is_upwards,
    sim_tail::CardTail,
    sim_usage::{Span, Unit},
};
use crate::{
    domain::{Giccid, Place, Sim, SimFilter, SimSort, SimSpot, Walk},
    store::{StoreError, error::of_read},
};

/// The most rows that are read at once on the way to a page.
const CHUNK_ROWS_MAX: usize = 4_096;

/// Which SIMs, in which order, as of when.
#[derive(Clone, Copy, Debug)]
pub struct SimQuestion<'a> {
    /// Which.
    pub filter: &'a SimFilter,
    /// In which order.
    pub sort: SimSort,
    /// As of when, and where.
    pub as_of: &'a SimMoment,
}

/// A card at its place.
type Placed = (SimSpot, i64);

impl Store {
    /// One page of the SIMs that have records, each with its place.
    pub async fn sims(
        &self,
        ask: SimQuestion<'_>,
        walk: &Walk<SimSpot>,
    ) -> Result<Vec<(SimSpot, Sim)>, StoreError> {
        let mut reader = self.reader(READ_TIME_MAX).await?;
        let mut moment = reader.begin().await?;
        let tail = self.card_tail(&mut moment).await?;
        let page = match ask.sort {
            SimSort::DataUsage => self.by_usage(&mut moment, &tail, ask, walk).await?,
            SimSort::LastSeen | SimSort::Giccid => by_index(&mut moment, &tail, ask, walk).await?,
        };
        let (spots, card_ids): (Vec<_>, Vec<_>) = page.into_iter().unzip();
        let sims = self.told(&mut moment, &tail, &card_ids, ask.as_of).await?;
        Ok(spots.into_iter().zip(sims).collect())
    }

    /// How many SIMs with records a filter leaves, up to a number of [`Store::sim_top`].
    pub async fn sim_count(&self, ask: SimQuestion<'_>, top: i64) -> Result<u64, StoreError> {
        const ALL: &str = "
            select (select count(*) from card) - (select count(*) from card where id > $1)";
        let mut reader = self.reader(COUNT_TIME_MAX).await?;
        let mut moment = reader.begin().await?;
        if *ask.filter == SimFilter::default() {
            let count: i64 =
                sqlx::query_scalar(ALL).bind(top).fetch_one(&mut *moment).await.map_err(of_read)?;
            return Ok(count.unsigned_abs());
        }
        let tail = self.card_tail(&mut moment).await?;
        let matching = tail.matching(&mut moment, ask, top).await?;
        let in_tail = tail.cards(&matching, top).count() as u64;
        let ids: Vec<_> = tail.giccids.keys().collect();
        let mut sql = QueryBuilder::new("select count(*) from card_seen as seen");
        push_joins(&mut sql, "cross join card on card.id = seen.card_id");
        narrow(&mut sql, ask, top);
        sql.push(" and card.id not in (select value from json_each(")
            .push_bind(serde_json::to_string(&ids)?)
            .push("))");
        let kept: i64 = sql.build_query_scalar().fetch_one(&mut *moment).await.map_err(of_read)?;
        Ok(kept.unsigned_abs() + in_tail)
    }

    /// The number of the SIM that was first heard of last.
    pub async fn sim_top(&self) -> Result<i64, StoreError> {
        let mut reader = self.reader(READ_TIME_MAX).await?;
        sqlx::query_scalar("select coalesce(max(id), 0) from card")
            .fetch_one(&mut *reader)
            .await
            .map_err(of_read)
    }

    /// All SIMs are looked at: their sums change too often for an index.
    async fn by_usage(
        &self,
        moment: &mut SqliteConnection,
        tail: &CardTail,
        ask: SimQuestion<'_>,
        walk: &Walk<SimSpot>,
    ) -> Result<Vec<Placed>, StoreError> {
        let SimMoment { now, zone } = ask.as_of;
        let span = Span::of(Unit::Month, *now, zone, &self.zone);
        let mut sql = QueryBuilder::new(
            "select seen.card_id, coalesce(month.data_usage, 0), card.giccid from card_seen as seen",
        );
        push_joins(&mut sql, "cross join card on card.id = seen.card_id");
        sql.push(
            " left join usage_card_month as month on month.card_id = card.id and month.month = ",
        )
        .push_bind(span.as_ref().map(|span| span.number));
        narrow(&mut sql, ask, walk.top);
        let kept: Vec<(i64, i64, String)> =
            sql.build_query_as().fetch_all(&mut *moment).await.map_err(of_read)?;
        let beyond = match &span {
            Some(span) => span.beyond_kept(moment, tail).await?,
            None => HashMap::new(),
        };
        let matching = tail.matching(moment, ask, walk.top).await?;
        let mut kept_of_tail = HashMap::new();
        let mut all = Vec::with_capacity(kept.len());
        let value =
            |card_id, kept: i64| kept + beyond.get(&card_id).map_or(0, |sum| sum.data_usage);
        for (card_id, data_usage, giccid) in kept {
            if tail.giccids.contains_key(&card_id) {
                kept_of_tail.insert(card_id, data_usage);
                continue;
            }
            let giccid = ordinal(card_id, &giccid)?;
            all.push((SimSpot { value: value(card_id, data_usage), giccid }, card_id));
        }
        // A filter may have left out of the summary what it leaves of the tail.
        let in_tail: Vec<_> = tail.cards(&matching, walk.top).collect();
        let missing: Vec<_> = in_tail
            .iter()
            .map(|(card_id, _)| *card_id)
            .filter(|card_id| !kept_of_tail.contains_key(card_id))
            .collect();
        if let (Some(span), false) = (&span, missing.is_empty()) {
            kept_of_tail.extend(month_sums(moment, span.number, &missing).await?);
        }
        for (card_id, giccid) in in_tail {
            let kept = kept_of_tail.get(&card_id).copied().unwrap_or_default();
            all.push((SimSpot { value: value(card_id, kept), giccid }, card_id));
        }
        all.retain(|(spot, _)| is_in_walk(*spot, ask.sort, walk));
        Ok(cut(all, ask.sort, walk))
    }
}

/// Reads the summary in the order of its index, past the cards of the tail, until the page is full.
async fn by_index(
    moment: &mut SqliteConnection,
    tail: &CardTail,
    ask: SimQuestion<'_>,
    walk: &Walk<SimSpot>,
) -> Result<Vec<Placed>, StoreError> {
    let need = rows_to(walk);
    let matching = tail.matching(moment, ask, walk.top).await?;
    let mut in_tail: Vec<Placed> = tail
        .cards(&matching, walk.top)
        .filter_map(|(card_id, giccid)| Some((tail.spot(card_id, giccid, ask.sort)?, card_id)))
        .filter(|(spot, _)| is_in_walk(*spot, ask.sort, walk))
        .collect();
    let order = |a: &Placed, b: &Placed| read_order(a.0, b.0, ask.sort, walk);
    keep_first(&mut in_tail, need, order);
    let mut page = Vec::new();
    let mut place = match walk.place {
        Place::OlderThan(spot) | Place::NewerThan(spot) => Some(spot),
        Place::Newest | Place::Skip(_) | Place::Oldest => None,
    };
    let mut rows = need.min(CHUNK_ROWS_MAX);
    loop {
        let chunk = kept(moment, ask, walk, place, rows).await?;
        let is_end = chunk.len() < rows;
        let last = chunk.last().copied();
        page.extend(chunk.into_iter().filter(|(_, id)| !tail.giccids.contains_key(id)));
        // What the tail has is enough where all that follows comes behind it.
        let tail_is_enough = in_tail.len() >= need
            && last.zip(in_tail.last()).is_some_and(|(kept, tail)| order(&kept, tail).is_gt());
        if is_end || page.len() >= need || tail_is_enough {
            break;
        }
        place = last.map(|(spot, _)| spot);
        rows = (rows * 4).clamp(64, CHUNK_ROWS_MAX);
    }
    page.extend(in_tail);
    Ok(cut(page, ask.sort, walk))
}

/// So many cards of the summary, in the order in which the walk reads.
async fn kept(
    moment: &mut SqliteConnection,
    ask: SimQuestion<'_>,
    walk: &Walk<SimSpot>,
    place: Option<SimSpot>,
    rows: usize,
) -> Result<Vec<Placed>, StoreError> {
    let goes_up = goes_up(ask.sort, walk);
    let (comparison, order) = if goes_up { (">", "") } else { ("<", " desc") };
    let is_by_time = ask.sort == SimSort::LastSeen;
    let mut sql = QueryBuilder::new("select seen.card_id, seen.last_ms, card.giccid from ");
    if is_by_time {
        sql.push("card_seen as seen");
        push_joins(&mut sql, "cross join card on card.id = seen.card_id");
    } else {
        sql.push("card");
        push_joins(&mut sql, "cross join card_seen as seen on seen.card_id = card.id");
    }
    narrow(&mut sql, ask, walk.top);
    if let Some(spot) = place {
        let giccid = giccid_of(spot)?;
        if is_by_time {
            // The first half lets the index find the place.
            sql.push(format_args!(" and seen.last_ms {comparison}= ")).push_bind(spot.value);
            sql.push(format_args!(" and (seen.last_ms {comparison} ")).push_bind(spot.value);
            sql.push(format_args!(" or card.giccid {comparison} "));
            sql.push_bind(giccid.to_string()).push(")");
        } else {
            sql.push(format_args!(" and card.giccid {comparison} "));
            sql.push_bind(giccid.to_string());
        }
    }
    sql.push(" order by ");
    if is_by_time {
        sql.push(format_args!("seen.last_ms{order}, "));
    }
    sql.push(format_args!("card.giccid{order} limit "));
    sql.push_bind(i64::try_from(rows).unwrap_or(i64::MAX));
    let rows: Vec<(i64, i64, String)> =
        sql.build_query_as().fetch_all(moment).await.map_err(of_read)?;
    rows.into_iter()
        .map(|(card_id, last_ms, giccid)| {
            let giccid = ordinal(card_id, &giccid)?;
            let value = if is_by_time { last_ms } else { 0 };
            Ok((SimSpot { value, giccid }, card_id))
        })
        .collect()
}

async fn month_sums(
    moment: &mut SqliteConnection,
    month: i64,
    card_ids: &[i64],
) -> Result<Vec<(i64, i64)>, StoreError> {
    const SUMS: &str = "
        select card_id, data_usage from json_each($2) as asked
        cross join usage_card_month on month = $1 and card_id = asked.value";
    sqlx::query_as(SUMS)
        .bind(month)
        .bind(serde_json::to_string(card_ids)?)
        .fetch_all(moment)
        .await
        .map_err(of_read)
}

impl CardTail {
    /// The cards in it that a question's filter leaves; none where it has no filter.
    async fn matching(
        &self,
        moment: &mut SqliteConnection,
        ask: SimQuestion<'_>,
        top: i64,
    ) -> Result<Option<HashSet<i64>>, StoreError> {
        if *ask.filter == SimFilter::default() {
            return Ok(None);
        }
        let states: Vec<_> = self
            .sums
            .seen
            .iter()
            .map(|(id, seen)| (id, seen.last.0, seen.usage.map(|(_, series_id)| series_id)))
            .collect();
        let mut sql = QueryBuilder::new(
            "with seen(card_id, last_ms, series_id) as materialized (
                select value ->> 0, value ->> 1, value ->> 2 from json_each(",
        );
        sql.push_bind(serde_json::to_string(&states)?).push(")) select seen.card_id from seen");
        push_joins(&mut sql, "cross join card on card.id = seen.card_id");
        narrow(&mut sql, ask, top);
        let ids: Vec<i64> = sql.build_query_scalar().fetch_all(moment).await.map_err(of_read)?;
        Ok(Some(ids.into_iter().collect()))
    }

    /// The cards in it that a question leaves, with their giccids.
    fn cards<'a>(
        &'a self,
        matching: &'a Option<HashSet<i64>>,
        top: i64,
    ) -> impl Iterator<Item = (i64, u128)> + 'a {
        let all = self.giccids.iter().map(|(card_id, giccid)| (*card_id, *giccid));
        all.filter(move |(card_id, _)| match matching {
            None => *card_id <= top,
            Some(ids) => ids.contains(card_id),
        })
    }

    fn spot(&self, card_id: i64, giccid: u128, sort: SimSort) -> Option<SimSpot> {
        let value = match sort {
            SimSort::LastSeen => self.sums.seen.get(&card_id)?.last.0,
            SimSort::DataUsage | SimSort::Giccid => 0,
        };
        Some(SimSpot { value, giccid })
    }
}

/// Joins what a filter may ask about; the first join is `seen`'s or the card's.
fn push_joins(sql: &mut QueryBuilder<Sqlite>, first: &'static str) {
    sql.push(" ").push(first).push(
        " left join series on series.id = seen.series_id
        left join sim_label as label on label.giccid = card.giccid",
    );
}

/// `where …`: what a question leaves, whether `seen` is the summary or the tail.
fn narrow(sql: &mut QueryBuilder<Sqlite>, ask: SimQuestion<'_>, top: i64) {
    let filter = ask.filter;
    sql.push(" where +card.id <= ").push_bind(top); // with the plus no way to find rows by
    for (column, values) in [
        ("series.sim_group", &filter.sim_group),
        ("series.country_code", &filter.country_code),
        ("series.mcc", &filter.mcc),
        ("series.mnc", &filter.mnc),
        ("series.apn", &filter.apn),
        ("label.name", &filter.name),
        ("label.device_sn", &filter.device_sn),
    ] {
        if !values.is_empty() {
            sql.push(format_args!(" and coalesce({column}, '') in "));
            push_list(sql, values);
        }
    }
    if let Some(span) = filter.silent_for {
        sql.push(" and seen.last_ms < ").push_bind(ask.as_of.now.minus(span).unix_ms());
    }
    let mut separator = " and (";
    for word in &filter.q {
        sql.push(format_args!("{separator}instr(card.giccid, ")).push_bind(word.clone());
        sql.push(") > 0 or instr(lower(label.name), lower(").push_bind(word.clone());
        sql.push(")) > 0");
        separator = " or ";
    }
    if !filter.q.is_empty() {
        sql.push(")");
    }
}

/// Whether a walk reads from small to large.
fn goes_up(sort: SimSort, walk: &Walk<SimSpot>) -> bool {
    (sort == SimSort::Giccid) != is_upwards(walk)
}

fn read_order(a: SimSpot, b: SimSpot, sort: SimSort, walk: &Walk<SimSpot>) -> Ordering {
    if goes_up(sort, walk) { a.cmp(&b) } else { b.cmp(&a) }
}

fn is_in_walk(spot: SimSpot, sort: SimSort, walk: &Walk<SimSpot>) -> bool {
    match walk.place {
        Place::OlderThan(place) | Place::NewerThan(place) => {
            read_order(spot, place, sort, walk).is_gt()
        }
        Place::Newest | Place::Skip(_) | Place::Oldest => true,
    }
}

/// How many rows from its place on a walk has to see.
fn rows_to(walk: &Walk<SimSpot>) -> usize {
    let skipped = if let Place::Skip(rows) = walk.place { rows } else { 0 };
    usize::try_from(u64::from(skipped) + u64::from(walk.size.rows())).unwrap_or(usize::MAX)
}

/// The page itself, of rows that begin where it begins.
fn cut(mut rows: Vec<Placed>, sort: SimSort, walk: &Walk<SimSpot>) -> Vec<Placed> {
    keep_first(&mut rows, rows_to(walk), |a, b| read_order(a.0, b.0, sort, walk));
    if let Place::Skip(skipped) = walk.place {
        rows.drain(..usize::try_from(skipped).unwrap_or(usize::MAX).min(rows.len()));
    }
    if is_upwards(walk) {
        rows.reverse();
    }
    rows
}

fn keep_first(rows: &mut Vec<Placed>, need: usize, order: impl Fn(&Placed, &Placed) -> Ordering) {
    if rows.len() > need {
        rows.select_nth_unstable_by(need, &order);
        rows.truncate(need);
    }
    rows.sort_unstable_by(order);
}

fn ordinal(card_id: i64, giccid: &str) -> Result<u128, StoreError> {
    let giccid: Result<Giccid, _> = giccid.parse();
    let corrupt = |_| StoreError::Corrupt { table: "card", id: card_id };
    giccid.map(|giccid| giccid.ordinal()).map_err(corrupt)
}

/// A place that came in a token of ours names a giccid.
fn giccid_of(spot: SimSpot) -> Result<Giccid, StoreError> {
    Giccid::of_ordinal(spot.giccid).map_err(|_| StoreError::Corrupt { table: "card", id: 0 })
}
