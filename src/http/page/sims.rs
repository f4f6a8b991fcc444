//! The SIMs: a table that the server pages, and what narrows it down.
use std::cmp::Reverse;

use askama::Template;
use axum::{extract::RawQuery, http::StatusCode, response::Response};
use serde::{Deserialize, de::DeserializeOwned};

use super::{
    Frame, Here, Source, StatusIn, Visitor,
    ask::{Answer, Refused},
    call::Call,
    filters::{Filters, Range},
    format::Format,
    page_of,
    routers::When,
    turns::{PLACE, Rows},
    words::Words,
};

#[derive(Template)]
#[template(path = "sims.html")]
struct SimsPage {
    frame: Frame,
    filters: Filters,
    list: Result<Rows<Row>, Refused>,
    facets: [Facet; 4],
    orders: [(&'static str, String, bool); 3],
    silences: Vec<(&'static str, String, bool)>,
    q: String,
    /// Whether not all SIMs are asked for.
    is_narrowed: bool,
    /// The parameters that a search keeps.
    kept: Vec<(&'static str, String)>,
}

/// A SIM in the table.
struct Row {
    number: Number,
    name: String,
    group: Option<Link>,
    country: Option<Link>,
    network: Option<Link>,
    apn: Option<Link>,
    today: (String, String),
    month: (String, String),
    last_seen: Option<When>,
}

/// Where something leads, and what it is.
pub(super) type Link = (String, String);

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
    fn network(&self) -> String {
        let mnc = self.mnc.as_deref().unwrap_or_default();
        self.mcc.as_ref().map(|mcc| format!("{mcc}-{mnc}")).unwrap_or_default()
    }

    /// The same with the way to all SIMs in it.
    pub(super) fn network_link(&self, top: &Call) -> Option<Link> {
        let mcc = self.mcc.as_ref()?;
        let there = top.clone().set("mcc", mcc).without("mnc").with_some("mnc", self.mnc.as_ref());
        Some((there.uri(), self.network()))
    }
}

/// The largest values of one field, each a filter.
struct Facet {
    title: &'static str,
    is_country: bool,
    /// With how much each used.
    values: Result<Vec<(Link, String)>, Refused>,
    source: Source,
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
    let others = [OWN.as_slice(), &PLACE].concat();
    let filters = Filters::among(&KNOWN, "/sims", query.as_deref(), &others, words);
    let facet = |field, title| facet(&visitor, &filters, field, title);
    let (status, list, groups, countries, networks, apns) = tokio::join!(
        StatusIn::of(&visitor.api),
        list(&visitor, &filters),
        facet("sim_group", words.common.group),
        facet("country_code", words.common.country),
        facet("network", words.common.network),
        facet("apn", words.common.apn),
    );
    let silent = filters.value("silent_for");
    let silence = |span: &'static str| {
        (span, filters.top().set("silent_for", span).uri(), silent == Some(span))
    };
    let anybody = (words.sims.anybody, filters.top().without("silent_for").uri(), silent.is_none());
    let kept = ["sort", "silent_for"].into_iter().chain(KNOWN);
    let page = SimsPage {
        frame: visitor.frame(Here::Sims, words.nav.sims, &status),
        orders: orders(&filters, words),
        silences: [anybody].into_iter().chain(SILENCES.map(silence)).collect(),
        q: filters.value("q").unwrap_or_default().to_owned(),
        is_narrowed: filters.is_any() || silent.or(filters.value("q")).is_some(),
        kept: kept.filter_map(|name| Some((name, filters.value(name)?.to_owned()))).collect(),
        list,
        facets: [groups, countries, networks, apns],
        filters,
    };
    page_of(StatusCode::OK, &page)
}

/// The orders that the API knows; the first is its own.
fn orders(filters: &Filters, words: &Words) -> [(&'static str, String, bool); 3] {
    let asked = filters.value("sort").filter(|sort| *sort != "newest");
    let order = |word, sort: Option<&str>| {
        (word, filters.top().without("sort").with_some("sort", sort).uri(), asked == sort)
    };
    [
        order(words.sims.newest_first, None),
        order(words.sims.last_first, Some("last_seen")),
        order(words.sims.most_first, Some("data_usage")),
    ]
}

async fn list(visitor: &Visitor, filters: &Filters) -> Result<Rows<Row>, Refused> {
    let call = filters.on_list(Call::to("/v1/sims"), &OWN);
    let (call, answer): (Call, Answer<Vec<SimIn>>) = in_readers_zone(visitor, call).await?;
    let format = visitor.format();
    Ok(Rows::of(visitor, filters, &call, answer, |sim| row(sim, &filters.top(), &format)))
}

/// Today and this month are those of the reader; where records are kept for so short a time that
/// nobody knows them any more, those of the server.
pub(super) async fn in_readers_zone<T: DeserializeOwned>(
    visitor: &Visitor,
    call: Call,
) -> Result<(Call, Answer<T>), Refused> {
    let zoned = call.clone().with("tz", visitor.format().zone_name());
    match visitor.api.get(&zoned).await {
        Err(refused) if refused.status == StatusCode::CONFLICT => {
            let answer = visitor.api.get(&call).await?;
            Ok((call, answer))
        }
        answer => Ok((zoned, answer?)),
    }
}

fn row(sim: SimIn, top: &Call, format: &Format) -> Row {
    let volume = |bytes| (format.bytes(bytes).to_string(), format.exactly(bytes));
    Row {
        network: sim.network_link(top),
        today: volume(sim.data_usage_today),
        month: volume(sim.data_usage_this_month),
        last_seen: sim.last_seen.as_deref().map(|at| When::of(at, format)),
        number: Number::of(sim.giccid),
        name: sim.name.unwrap_or_default(),
        group: narrowed(top, "sim_group", sim.sim_group),
        country: narrowed(top, "country_code", sim.country_code),
        apn: narrowed(top, "apn", sim.apn),
    }
}

/// This page with one more filter.
pub(super) fn narrowed(top: &Call, name: &'static str, value: Option<String>) -> Option<Link> {
    let value = value.filter(|value| !value.is_empty())?;
    Some((top.clone().set(name, &value).uri(), value))
}

/// What there is most of in a field, by use in the last 30 days.
async fn facet(
    visitor: &Visitor,
    filters: &Filters,
    field: &'static str,
    title: &'static str,
) -> Facet {
    // From the start of a day, so that the same question is asked all day.
    let starts = Range::Month.starts(&visitor.format());
    let call = Call::to("/v1/data-usage/aggregate").with_some("from", starts.first());
    let call = call.with("group_by", field).with("top", 8);
    let sums = visitor.api.get_recent::<Vec<SumIn>>(&call).await;
    let value = |sum| value(sum, field, visitor, &filters.top());
    let values = |mut sums: Vec<SumIn>| {
        sums.sort_by_key(|sum| Reverse(sum.data_usage));
        sums.into_iter().filter_map(value).collect()
    };
    Facet {
        title,
        is_country: field == "country_code",
        values: sums.map(|sums| values(sums.body)),
        source: visitor.source(&call),
    }
}

fn value(sum: SumIn, field: &'static str, visitor: &Visitor, top: &Call) -> Option<(Link, String)> {
    let value = match field {
        "sim_group" => sum.sim_group,
        "country_code" => sum.country_code,
        "network" => sum.network,
        _ => sum.apn,
    };
    let value = value.filter(|_| !sum.other);
    let link = match value.as_deref().and_then(|value| value.split_once('-')) {
        Some((mcc, mnc)) if field == "network" => {
            let address = top.clone().set("mcc", mcc).set("mnc", mnc).uri();
            (address, value.unwrap_or_default())
        }
        _ => narrowed(top, field, value)?,
    };
    Some((link, visitor.format().bytes(sum.data_usage).to_string()))
}
