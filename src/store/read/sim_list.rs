//! SIMs in order. What the summary has is read in order by the database; the cards whose places it
//! does not know, those with newer records, are sorted in memory and put between.
use std::collections::{BTreeMap, HashMap, HashSet};

use sqlx::{Connection, QueryBuilder, Sqlite, SqliteConnection};

use super::{
    COUNT_TIME_MAX, READ_TIME_MAX, SimMoment, Store,
    aside::aside,
    filter::push_list,
    packed,
    page::is_upwards,
    sim_tail::{CardTail, kept_states},
    sim_usage::{Span, Unit},
};
use crate::{
    domain::{Place, Sim, SimFilter, SimSort, SimSpot, Walk},
    store::{StoreError, card::CardSeen, error::of_read},
};

/// The fewest rows that are read at once on the way to a page: an order by usage looks at all SIMs
/// for every such chunk.
const CHUNK_ROWS_MIN: usize = 128;
/// The most.
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

/// The same for a thread that outlives whoever asked.
struct OwnedQuestion {
    filter: SimFilter,
    sort: SimSort,
    as_of: SimMoment,
}

impl OwnedQuestion {
    fn of(SimQuestion { filter, sort, as_of }: SimQuestion<'_>) -> Self {
        Self { filter: filter.clone(), sort, as_of: as_of.clone() }
    }

    fn ask(&self) -> SimQuestion<'_> {
        SimQuestion { filter: &self.filter, sort: self.sort, as_of: &self.as_of }
    }
}

/// The cards whose places the summary does not know.
struct Moved {
    card_ids: HashSet<i64>,
    /// The places of those that the question leaves.
    spots: Vec<SimSpot>,
}

impl Store {
    /// One page of the SIMs that have records, each with its place.
    pub async fn sims(
        &self,
        ask: SimQuestion<'_>,
        walk: &Walk<SimSpot>,
    ) -> Result<Vec<(SimSpot, Sim)>, StoreError> {
        let (store, question, walk) = (self.clone(), OwnedQuestion::of(ask), *walk);
        aside(async move { store.page_of_sims(question.ask(), &walk).await }).await
    }

    async fn page_of_sims(
        &self,
        ask: SimQuestion<'_>,
        walk: &Walk<SimSpot>,
    ) -> Result<Vec<(SimSpot, Sim)>, StoreError> {
        let mut reader = self.reader(READ_TIME_MAX).await?;
        let mut moment = reader.begin().await?;
        let tail = self.card_tail(&mut moment).await?;
        let SimMoment { now, zone } = ask.as_of;
        let month = Span::of(Unit::Month, *now, zone, &self.days_in(&mut moment).await?);
        let month = month.filter(|_| ask.sort == SimSort::DataUsage);
        let moved = Moved::find(&mut moment, &tail, ask, month.as_ref(), walk.top).await?;
        let month = month.map(|span| span.number);
        let spots = page(&mut moment, &moved, ask, month, walk).await?;
        let card_ids: Vec<_> = spots.iter().map(|spot| spot.number).collect();
        let sims = self.told(&mut moment, &tail, &card_ids, ask.as_of).await?;
        Ok(spots.into_iter().zip(sims).collect())
    }

    /// How many SIMs with records a filter leaves, up to a number of [`Store::sim_top`].
    pub async fn sim_count(&self, ask: SimQuestion<'_>, top: i64) -> Result<u64, StoreError> {
        let (store, question) = (self.clone(), OwnedQuestion::of(ask));
        aside(async move { store.count_sims(question.ask(), top).await }).await
    }

    async fn count_sims(&self, ask: SimQuestion<'_>, top: i64) -> Result<u64, StoreError> {
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
        let ask = SimQuestion { sort: SimSort::Newest, ..ask };
        let moved = Moved::find(&mut moment, &tail, ask, None, top).await?;
        let mut sql = QueryBuilder::new("select count(*) from card_seen as seen");
        narrow(&mut sql, ask, top);
        sql.push(" and seen.card_id not in (select value from json_each(")
            .push_bind(serde_json::to_string(&moved.card_ids)?)
            .push("))");
        let kept: i64 = sql.build_query_scalar().fetch_one(&mut *moment).await.map_err(of_read)?;
        Ok(kept.unsigned_abs() + moved.spots.len() as u64)
    }

    /// The number of the SIM that was first heard of last.
    pub async fn sim_top(&self) -> Result<i64, StoreError> {
        let mut reader = self.reader(READ_TIME_MAX).await?;
        sqlx::query_scalar("select coalesce(max(id), 0) from card")
            .fetch_one(&mut *reader)
            .await
            .map_err(of_read)
    }
}

impl Moved {
    /// Those with records after the mark, and for an order by usage those that the asked month
    /// counts otherwise than the store's own.
    async fn find(
        moment: &mut SqliteConnection,
        tail: &CardTail,
        ask: SimQuestion<'_>,
        month: Option<&Span>,
        top: i64,
    ) -> Result<Self, StoreError> {
        let mut seen: BTreeMap<i64, CardSeen> = tail.sums.seen.clone();
        let mut usage = HashMap::new();
        if let Some(span) = month {
            usage = span.beyond_kept(moment, tail).await?;
            let unread: Vec<i64> =
                usage.keys().copied().filter(|id| !seen.contains_key(id)).collect();
            seen.extend(kept_states(moment, &unread).await?);
        }
        let card_ids = seen.keys().copied().collect();
        leave_matching(moment, &mut seen, ask, top).await?;
        let mut kept = HashMap::new();
        if let Some(span) = month {
            let asked: Vec<_> = seen.keys().collect();
            kept = month_sums(moment, span.number, &asked).await?;
        }
        let spot = |(&number, seen): (&i64, &CardSeen)| {
            let beyond = usage.get(&number).map_or(0, |sum| sum.data_usage);
            let value = match ask.sort {
                SimSort::Newest => 0,
                SimSort::LastSeen => seen.last.0,
                SimSort::DataUsage => kept.get(&number).copied().unwrap_or_default() + beyond,
            };
            SimSpot { value, number }
        };
        Ok(Self { card_ids, spots: seen.iter().map(spot).collect() })
    }
}

/// Takes away the cards that a question does not leave.
async fn leave_matching(
    moment: &mut SqliteConnection,
    seen: &mut BTreeMap<i64, CardSeen>,
    ask: SimQuestion<'_>,
    top: i64,
) -> Result<(), StoreError> {
    if *ask.filter == SimFilter::default() {
        seen.retain(|card_id, _| *card_id <= top);
        return Ok(());
    }
    let states: Vec<_> = seen
        .iter()
        .map(|(id, seen)| (id, seen.last.0, seen.usage.map(|(_, series_id)| series_id)))
        .collect();
    let mut sql = QueryBuilder::new(
        "with seen(card_id, last_ms, series_id) as materialized (
            select value ->> 0, value ->> 1, value ->> 2 from json_each(",
    );
    sql.push_bind(serde_json::to_string(&states)?).push(")) select seen.card_id from seen");
    narrow(&mut sql, ask, top);
    let ids: Vec<[i64; 1]> = packed(sql.build(), 1, moment).await?;
    let ids: HashSet<[i64; 1]> = ids.into_iter().collect();
    seen.retain(|card_id, _| ids.contains(&[*card_id]));
    Ok(())
}

/// Reads the summary in order, past the cards that have moved, until the page is full.
async fn page(
    moment: &mut SqliteConnection,
    moved: &Moved,
    ask: SimQuestion<'_>,
    month: Option<i64>,
    walk: &Walk<SimSpot>,
) -> Result<Vec<SimSpot>, StoreError> {
    let need = rows_to(walk);
    let mut between: Vec<_> =
        moved.spots.iter().copied().filter(|spot| is_in_walk(*spot, walk)).collect();
    keep_first(&mut between, need, walk);
    let mut page = Vec::new();
    let mut place = match walk.place {
        Place::OlderThan(spot) | Place::NewerThan(spot) => Some(spot),
        Place::Newest | Place::Skip(_) | Place::Oldest => None,
    };
    let mut rows = need.clamp(CHUNK_ROWS_MIN, CHUNK_ROWS_MAX);
    loop {
        let chunk = kept(moment, ask, month, walk, place, rows).await?;
        let is_end = chunk.len() < rows;
        let last = chunk.last().copied();
        page.extend(chunk.into_iter().filter(|spot| !moved.card_ids.contains(&spot.number)));
        // What has moved is enough where all that follows comes behind it.
        let is_enough = between.len() >= need
            && last.zip(between.last()).is_some_and(|(kept, moved)| {
                if is_upwards(walk) { kept > *moved } else { kept < *moved }
            });
        if is_end || page.len() >= need || is_enough {
            break;
        }
        place = last;
        rows = (rows * 4).min(CHUNK_ROWS_MAX);
    }
    page.extend(between);
    keep_first(&mut page, need, walk);
    if let Place::Skip(skipped) = walk.place {
        page.drain(..usize::try_from(skipped).unwrap_or(usize::MAX).min(page.len()));
    }
    if is_upwards(walk) {
        page.reverse();
    }
    Ok(page)
}

/// So many cards of the summary, in the order in which the walk reads.
async fn kept(
    moment: &mut SqliteConnection,
    ask: SimQuestion<'_>,
    month: Option<i64>,
    walk: &Walk<SimSpot>,
    place: Option<SimSpot>,
    rows: usize,
) -> Result<Vec<SimSpot>, StoreError> {
    let (comparison, order) = if is_upwards(walk) { (">", "") } else { ("<", " desc") };
    let value = match ask.sort {
        SimSort::Newest => "0",
        SimSort::LastSeen => "seen.last_ms",
        SimSort::DataUsage => "coalesce(month.data_usage, 0)",
    };
    let mut sql = QueryBuilder::new("");
    sql.push(format_args!("select {value}, seen.card_id from card_seen as seen"));
    if ask.sort == SimSort::DataUsage {
        sql.push(
            " left join usage_card_month as month on month.card_id = seen.card_id and month.month = ",
        )
        .push_bind(month);
    }
    // One upper end: of two, SQLite would seek to the first and pass over all rows to the other.
    let newest = match place {
        Some(SimSpot { number, .. }) if ask.sort == SimSort::Newest && !is_upwards(walk) => {
            walk.top.min(number.saturating_sub(1))
        }
        _ => walk.top,
    };
    narrow(&mut sql, ask, newest);
    if let Some(SimSpot { value: than, number }) = place {
        if ask.sort == SimSort::Newest {
            if is_upwards(walk) {
                sql.push(" and seen.card_id > ").push_bind(number);
            }
        } else {
            sql.push(format_args!(" and ({value}, seen.card_id) {comparison} ("));
            sql.push_bind(than).push(", ").push_bind(number).push(")");
        }
    }
    sql.push(" order by ");
    if ask.sort != SimSort::Newest {
        sql.push(format_args!("1{order}, "));
    }
    sql.push(format_args!("seen.card_id{order} limit "));
    sql.push_bind(i64::try_from(rows).unwrap_or(i64::MAX));
    let rows: Vec<(i64, i64)> = packed(sql.build(), 2, moment).await?;
    Ok(rows.into_iter().map(|(value, number)| SimSpot { value, number }).collect())
}

async fn month_sums(
    moment: &mut SqliteConnection,
    month: i64,
    card_ids: &[&i64],
) -> Result<HashMap<i64, i64>, StoreError> {
    const SUMS: &str = "
        select card_id, data_usage from json_each($2) as asked
        cross join usage_card_month on month = $1 and card_id = asked.value";
    let sums = sqlx::query(SUMS).bind(month).bind(serde_json::to_string(card_ids)?);
    let rows: Vec<(i64, i64)> = packed(sums, 2, moment).await?;
    Ok(rows.into_iter().collect())
}

/// ` join … where …`: what a question leaves of `seen`, whether that is the summary or the cards
/// that have moved.
fn narrow(sql: &mut QueryBuilder<Sqlite>, ask: SimQuestion<'_>, top: i64) {
    let filter = ask.filter;
    if *filter != SimFilter::default() {
        sql.push(
            " cross join card on card.id = seen.card_id
            left join series on series.id = seen.series_id
            left join sim_label as label on label.giccid = card.giccid",
        );
    }
    sql.push(" where seen.card_id <= ").push_bind(top);
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
            // One router, in whatever case the letters of its serial number are written.
            let case = if column == "label.device_sn" { " collate nocase" } else { "" };
            sql.push(format_args!(" and coalesce({column}, ''){case} in "));
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

fn is_in_walk(spot: SimSpot, walk: &Walk<SimSpot>) -> bool {
    match walk.place {
        Place::OlderThan(place) => spot < place,
        Place::NewerThan(place) => spot > place,
        Place::Newest | Place::Skip(_) | Place::Oldest => true,
    }
}

/// How many rows from its place on a walk has to see.
fn rows_to(walk: &Walk<SimSpot>) -> usize {
    let skipped = if let Place::Skip(rows) = walk.place { rows } else { 0 };
    usize::try_from(u64::from(skipped) + u64::from(walk.size.rows())).unwrap_or(usize::MAX)
}

/// Sorts in the order in which the walk reads, and cuts off what it does not need.
fn keep_first(spots: &mut Vec<SimSpot>, need: usize, walk: &Walk<SimSpot>) {
    let order = |a: &SimSpot, b: &SimSpot| if is_upwards(walk) { a.cmp(b) } else { b.cmp(a) };
    if spots.len() > need {
        spots.select_nth_unstable_by(need, order);
        spots.truncate(need);
    }
    spots.sort_unstable_by(order);
}
