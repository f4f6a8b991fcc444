//! The SIMs: a table that the server pages, and what narrows it down.
use askama::Template;
use axum::{extract::RawQuery, http::StatusCode, response::Response};
use serde::Deserialize;

use super::{
    Frame, Here, Source, StatusIn, Visitor,
    ask::{Answer, Refused},
    call::Call,
    filters::Filters,
    format::{Format, told},
    page_of,
    routers::When,
    turns::{PLACE, Pages},
};
use crate::domain::Timestamp;

#[derive(Template)]
#[template(path = "sims.html")]
struct SimsPage {
    frame: Frame,
    filters: Filters,
    list: Result<List, Refused>,
    facets: Vec<Facet>,
    orders: [(&'static str, String, bool); 2],
    silences: Vec<(&'static str, String, bool)>,
    q: String,
    /// The parameters that a search keeps.
    kept: Vec<(&'static str, String)>,
}

struct List {
    rows: Vec<Row>,
    pages: Pages,
    source: Source,
}

/// A SIM in the table.
struct Row {
    number: Number,
    name: String,
    group: String,
    country: String,
    network: String,
    apn: String,
    today: (String, String),
    month: (String, String),
    last_seen: Option<When>,
}

/// A SIM's number, as people read it.
pub(super) struct Number {
    pub(super) giccid: String,
    /// All but the last four digits, in groups.
    pub(super) head: String,
    /// The last four.
    pub(super) tail: String,
}

impl Number {
    pub(super) fn of(giccid: String) -> Self {
        let digits: Vec<char> = giccid.chars().collect();
        let (head, tail) = digits.split_at(digits.len().saturating_sub(4));
        let head: Vec<String> = head.chunks(4).map(|four| four.iter().collect()).collect();
        let tail = tail.iter().collect();
        Self { giccid, head: head.join(" "), tail }
    }
}

/// A SIM as the API tells of it.
#[derive(Deserialize)]
pub(super) struct SimIn {
    pub(super) giccid: String,
    pub(super) imsi: Option<String>,
    pub(super) name: Option<String>,
    pub(super) sim_group: Option<String>,
    pub(super) country_code: Option<String>,
    pub(super) mcc: Option<String>,
    pub(super) mnc: Option<String>,
    pub(super) apn: Option<String>,
    pub(super) data_usage_today: i64,
    pub(super) data_usage_this_month: i64,
    pub(super) first_seen: Option<String>,
    pub(super) last_seen: Option<String>,
    pub(super) device_sn: Option<String>,
}

impl SimIn {
    /// The last network, `460-01`.
    pub(super) fn network(&self) -> String {
        let mnc = self.mnc.as_deref().unwrap_or_default();
        self.mcc.as_ref().map(|mcc| format!("{mcc}-{mnc}")).unwrap_or_default()
    }
}

/// The largest values of one field, each a filter.
struct Facet {
    title: &'static str,
    is_country: bool,
    values: Vec<(String, String, String)>,
}

#[derive(Deserialize)]
struct SumIn {
    #[serde(default)]
    data_usage: i64,
    sim_group: Option<String>,
    country_code: Option<String>,
    network: Option<String>,
    apn: Option<String>,
    #[serde(default)]
    other: bool,
}

const OWN: [&str; 3] = ["sort", "silent_for", "q"];
/// The filters that the list of SIMs knows.
const KNOWN: [&str; 5] = ["sim_group", "country_code", "mcc", "mnc", "apn"];
const SILENCES: [&str; 4] = ["24h", "3d", "7d", "30d"];

/// `GET /sims`
pub(super) async fn show(visitor: Visitor, RawQuery(query): RawQuery) -> Response {
    let words = visitor.look.words;
    let filters = Filters::of("/sims", query.as_deref(), &[OWN.as_slice(), &PLACE].concat(), words);
    let (status, list, facets) = tokio::join!(
        StatusIn::of(&visitor.api),
        list(&visitor, &filters),
        facets(&visitor, &filters)
    );
    let sort = filters.value("sort");
    let top = || top(&filters);
    let silent = filters.value("silent_for");
    let silence =
        |span: &'static str| (span, top().set("silent_for", span).uri(), silent == Some(span));
    let anybody = (words.sims.anybody, top().without("silent_for").uri(), silent.is_none());
    let kept = ["sort", "silent_for"].into_iter().chain(KNOWN);
    let page = SimsPage {
        frame: visitor.frame(Here::Sims, words.nav.sims, &status),
        orders: [
            (words.sims.newest_first, top().without("sort").uri(), sort.is_none()),
            (words.sims.most_first, top().set("sort", "data_usage").uri(), sort.is_some()),
        ],
        silences: [anybody].into_iter().chain(SILENCES.map(silence)).collect(),
        q: filters.value("q").unwrap_or_default().to_owned(),
        kept: kept.filter_map(|name| Some((name, filters.value(name)?.to_owned()))).collect(),
        list,
        facets,
        filters,
    };
    page_of(StatusCode::OK, &page)
}

/// This page at its beginning.
fn top(filters: &Filters) -> Call {
    PLACE.into_iter().fold(filters.here.clone(), Call::without)
}

async fn list(visitor: &Visitor, filters: &Filters) -> Result<List, Refused> {
    let call = filters.on(Call::to("/v1/sims")).without("giccid");
    let names = OWN.into_iter().chain(PLACE);
    let call = names.fold(call, |call, name| call.with_some(name, filters.value(name)));
    let call = call.with("tz", visitor.format().zone_name());
    let answer: Answer<Vec<SimIn>> = visitor.api.get(&call).await?;
    let format = visitor.format();
    let pages = Pages::of(&answer, &filters.here, &format);
    let rows = answer.body.into_iter().map(|sim| row(sim, &format)).collect();
    Ok(List { rows, pages, source: visitor.source(&call) })
}

fn row(sim: SimIn, format: &Format) -> Row {
    let volume = |bytes| (format.bytes(bytes).to_string(), format.exactly(bytes));
    Row {
        network: sim.network(),
        today: volume(sim.data_usage_today),
        month: volume(sim.data_usage_this_month),
        last_seen: sim.last_seen.as_deref().map(|at| When::of(at, format)),
        number: Number::of(sim.giccid),
        name: sim.name.unwrap_or_default(),
        group: sim.sim_group.unwrap_or_default(),
        country: sim.country_code.unwrap_or_default(),
        apn: sim.apn.unwrap_or_default(),
    }
}

/// What there is most of, by use in the last 30 days.
async fn facets(visitor: &Visitor, filters: &Filters) -> Vec<Facet> {
    const MONTH_MS: i64 = 30 * 24 * 3_600_000;
    const DAY_MS: i64 = 24 * 3_600_000;
    let common = &visitor.look.words.common;
    // From the start of a day, so that the same question is asked all day.
    let today_ms = visitor.format().now.unix_ms().div_euclid(DAY_MS) * DAY_MS;
    let from = Timestamp::from_unix_ms(today_ms - MONTH_MS);
    let fields = [
        ("sim_group", common.group),
        ("country_code", common.country),
        ("network", common.network),
        ("apn", common.apn),
    ];
    let mut facets = Vec::new();
    for (field, title) in fields {
        let call = Call::to("/v1/data-usage/aggregate").with("interval", "none");
        let call = call.with("from", from).with("group_by", field).with("top", 8);
        // A facet that cannot be told is left out: the table is what matters.
        let Ok(sums) = visitor.api.get_recent::<Vec<SumIn>>(&call).await else { continue };
        let mut sums = sums.body;
        sums.sort_by_key(|sum| std::cmp::Reverse(sum.data_usage));
        let values = sums.into_iter().filter_map(|sum| value(sum, field, visitor, filters));
        facets.push(Facet { title, is_country: field == "country_code", values: values.collect() });
    }
    facets
}

fn value(
    sum: SumIn,
    field: &'static str,
    visitor: &Visitor,
    filters: &Filters,
) -> Option<(String, String, String)> {
    let value = match field {
        "sim_group" => sum.sim_group,
        "country_code" => sum.country_code,
        "network" => sum.network,
        _ => sum.apn,
    };
    let value = value.filter(|value| !sum.other && !value.is_empty())?;
    let address = match (field, value.split_once('-')) {
        ("network", Some((mcc, mnc))) => top(filters).set("mcc", mcc).set("mnc", mnc),
        _ => top(filters).set(field, &value),
    };
    Some((value, address.uri(), visitor.format().bytes(sum.data_usage).to_string()))
}

/// A moment as the API tells it, for a person.
pub(super) fn when(at: Option<&String>, format: &Format) -> String {
    at.and_then(|at| told(at)).map(|at| format.moment(at)).unwrap_or_default()
}
