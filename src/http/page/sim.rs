//! One SIM: what is known of it, its last 30 days, and one story of everything.
use std::collections::BTreeMap;

use askama::Template;
use axum::{
    Form,
    extract::{Path, RawQuery},
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use jiff::ToSpan;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    Frame, Here, Source, StatusIn, Visitor,
    ask::{Answer, Refused},
    call::Call,
    chart::{Bars, Interval, Tick},
    failed,
    filters::Filters,
    format::{Format, as_f64, told},
    page_of, place_of,
    routers::When,
    sims::{Number, SimIn, when},
    turns::{PLACE, Pages},
};
use crate::domain::Timestamp;

#[derive(Template)]
#[template(path = "sim.html")]
struct SimPage {
    frame: Frame,
    number: Number,
    sim: SimIn,
    group: Option<(String, String)>,
    network: String,
    today: (String, String),
    month: (String, String),
    first_seen: String,
    last_seen: String,
    router: Option<(String, String)>,
    chart: Result<Chart, Refused>,
    story: Result<Story, Refused>,
    said: Option<String>,
}

/// The last 30 days.
struct Chart {
    bars: Bars,
    x_ticks: Vec<Tick>,
    summary: String,
    source: Source,
    table: Option<Vec<(String, String, String)>>,
    other_view: String,
}

/// Everything, in pieces.
struct Story {
    events: Vec<Event>,
    pages: Pages,
    source: Source,
}

struct Event {
    when: When,
    class: &'static str,
    word: String,
    /// The text, and whether somebody else wrote it.
    text: String,
    exactly: String,
    place: String,
}

#[derive(Deserialize)]
struct EventIn {
    kind: String,
    received_at: String,
    start_time: Option<i64>,
    event_time: Option<i64>,
    data_usage: Option<i64>,
    country_code: Option<String>,
    mcc: Option<String>,
    mnc: Option<String>,
    text: Option<String>,
    from_msisdn: Option<String>,
    to_msisdn: Option<String>,
    payload: Option<BTreeMap<String, Value>>,
}

#[derive(Deserialize)]
struct DeviceIn {
    sn: String,
    name: Option<String>,
}

#[derive(Deserialize)]
struct OneSimIn {
    #[serde(flatten)]
    sim: SimIn,
    device: Option<DeviceIn>,
}

#[derive(Deserialize)]
struct DayIn {
    start: Option<String>,
    data_usage: i64,
    records: i64,
}

/// `GET /sims/{giccid}`
pub(super) async fn show(
    visitor: Visitor,
    Path(giccid): Path<String>,
    RawQuery(query): RawQuery,
) -> Response {
    page(&visitor, &giccid, query.as_deref(), None).await
}

async fn page(
    visitor: &Visitor,
    giccid: &str,
    query: Option<&str>,
    said: Option<String>,
) -> Response {
    let words = visitor.look.words;
    let path = address(giccid);
    let call = Call::to(format!("/v1/sims/{giccid}")).with("tz", visitor.format().zone_name());
    let sim: OneSimIn = match visitor.api.get(&call).await {
        Ok(answer) => answer.body,
        Err(refused) => return failed(visitor, &refused),
    };
    let filters = Filters::of("", query, &[PLACE.as_slice(), &["view"]].concat(), words);
    let (status, chart, story) = tokio::join!(
        StatusIn::of(&visitor.api),
        chart(visitor, giccid, &filters, &path),
        story(visitor, giccid, &filters, &path)
    );
    let format = visitor.format();
    let volume = |bytes| (format.bytes(bytes).to_string(), format.exactly(bytes));
    let OneSimIn { sim, device } = sim;
    let group = sim.sim_group.clone();
    let router = device.map(|device| {
        let name = device.name.filter(|name| !name.is_empty());
        (format!("/routers/{}", device.sn), name.unwrap_or(device.sn))
    });
    let page = SimPage {
        frame: visitor.frame(
            Here::Sims,
            &format!("…{}", Number::of(giccid.to_owned()).tail),
            &status,
        ),
        number: Number::of(sim.giccid.clone()),
        group: group.map(|group| (Call::to("/sims").with("sim_group", &group).uri(), group)),
        network: sim.network(),
        today: volume(sim.data_usage_today),
        month: volume(sim.data_usage_this_month),
        first_seen: when(sim.first_seen.as_ref(), &format),
        last_seen: when(sim.last_seen.as_ref(), &format),
        router,
        sim,
        chart,
        story,
        said,
    };
    page_of(StatusCode::OK, &page)
}

/// The address of a SIM's page; its number is digits, or there is no such SIM.
fn address(giccid: &str) -> String {
    Call::to("/sims").uri() + "/" + giccid
}

async fn chart(
    visitor: &Visitor,
    giccid: &str,
    filters: &Filters,
    path: &str,
) -> Result<Chart, Refused> {
    const DAYS: i64 = 30;
    let format = visitor.format();
    let today = format.zoned(format.now).and_then(|now| now.start_of_day().ok());
    let day = |ago: i64| today.as_ref().and_then(|today| today.checked_sub(ago.days()).ok());
    let starts: Vec<Timestamp> = (-1..DAYS)
        .rev()
        .filter_map(day)
        .map(|at| Timestamp::from_unix_ms(at.timestamp().as_millisecond()))
        .collect();
    let ends = starts.first().zip(starts.last());
    let call = Call::to("/v1/data-usage/aggregate").with("interval", "1d").with("giccid", giccid);
    let call = call.with_some("from", ends.map(|(from, _)| from));
    let call = call.with_some("to", ends.map(|(_, to)| to)).with("tz", format.zone_name());
    let days: Vec<DayIn> = visitor.api.get_recent(&call).await?.body;
    let days: BTreeMap<i64, i64> = days
        .iter()
        .filter(|day| day.records > 0)
        .filter_map(|day| Some((told(day.start.as_deref()?)?.unix_ms(), day.data_usage)))
        .collect();
    let starts = &starts[..starts.len().saturating_sub(1)];
    let used = |at: &Timestamp| days.get(&at.unix_ms()).copied();
    let gap = format.words.overview.gap;
    let word =
        |at: &Timestamp| used(at).map_or(gap.to_owned(), |used| format.bytes(used).to_string());
    let interval = |(nth, at): (usize, &Timestamp)| Interval {
        value: used(at).map(as_f64),
        is_partial: nth + 1 == starts.len(),
        title: format!("{} · {}", format.day(*at), word(at)),
        ..Interval::default()
    };
    let intervals: Vec<Interval> = starts.iter().enumerate().map(interval).collect();
    let label =
        |value: f64| format.bytes(format!("{value:.0}").parse().unwrap_or_default()).to_string();
    let tick = |(nth, at): (usize, &Timestamp)| Tick {
        at: format!("{:.2}", nth as f64 / starts.len() as f64 * 100.0),
        label: format.day(*at),
    };
    let most = days.iter().max_by_key(|(_, used)| **used);
    let summary = match most {
        None => format.words.overview.no_usage.to_owned(),
        Some((at, most)) => (format.words.sims.chart_summary)(
            &format.bytes(days.values().sum()).to_string(),
            &format.bytes(*most).to_string(),
            &format.day(Timestamp::from_unix_ms(*at)),
        ),
    };
    let is_table = filters.value("view") == Some("table");
    let exactly = |at: &Timestamp| used(at).map(|it| format.exactly(it)).unwrap_or_default();
    let line = |at: &Timestamp| (format.day(*at), word(at), exactly(at));
    Ok(Chart {
        bars: Bars::of(&intervals, f64::from(format.base.bytes()), label),
        x_ticks: starts.iter().enumerate().step_by(5).map(tick).collect(),
        summary,
        source: visitor.source(&call),
        table: is_table.then(|| starts.iter().map(line).collect()),
        other_view: if is_table { path.to_owned() } else { format!("{path}?view=table") },
    })
}

async fn story(
    visitor: &Visitor,
    giccid: &str,
    filters: &Filters,
    path: &str,
) -> Result<Story, Refused> {
    let call = Call::to(format!("/v1/sims/{giccid}/timeline")).with("size", 50);
    let places = PLACE.into_iter().filter(|name| *name != "size");
    let call = places.fold(call, |call, name| call.with_some(name, filters.value(name)));
    let answer: Answer<Vec<EventIn>> = visitor.api.get(&call).await?;
    let format = visitor.format();
    let pages = Pages::of(&answer, &Call::to(path), &format);
    let events = answer.body.into_iter().map(|event| event_of(event, &format)).collect();
    Ok(Story { events, pages, source: visitor.source(&call) })
}

fn event_of(event: EventIn, format: &Format) -> Event {
    let words = format.words;
    let own =
        event.start_time.or(event.event_time).map(|ms| Timestamp::from_unix_ms(ms).to_string());
    let network = event.mcc.map(|mcc| format!("{mcc}-{}", event.mnc.unwrap_or_default()));
    let place: Vec<String> = event.country_code.into_iter().chain(network).collect();
    let base = Event {
        when: When::of(&own.unwrap_or(event.received_at), format),
        class: "plain",
        word: event.kind.clone(),
        text: String::new(),
        exactly: String::new(),
        place: place.join(" "),
    };
    match (event.kind.as_str(), event.data_usage) {
        ("data-usage", Some(used)) => Event {
            class: "",
            word: words.live.data.to_owned(),
            text: format!("+{}", format.bytes(used)),
            exactly: format.exactly(used),
            ..base
        },
        ("mo-sms", _) => Event {
            class: "sms",
            word: words.live.sms.to_owned(),
            text: event.text.map(|text| format!("“{text}”")).unwrap_or_default(),
            place: [event.from_msisdn, event.to_msisdn.map(|to| format!("→ {to}"))]
                .into_iter()
                .flatten()
                .collect::<Vec<_>>()
                .join(" "),
            ..base
        },
        (kind, _) => Event {
            class: if kind == "imei-change" { "alarm" } else { "plain" },
            text: event.payload.map(members).unwrap_or_default(),
            ..base
        },
    }
}

/// What a notification says, but for what the page says anyway.
pub(super) fn members(payload: BTreeMap<String, Value>) -> String {
    const SAID: [&str; 4] = ["giccid", "event_time", "imsi", "sim_group"];
    let member = |(name, value): (String, Value)| match value {
        _ if SAID.contains(&name.as_str()) => None,
        Value::String(text) => Some(format!("{name}: {text}")),
        value => Some(format!("{name}: {value}")),
    };
    payload.into_iter().filter_map(member).collect::<Vec<_>>().join(" · ")
}

/// What the form sends.
#[derive(Deserialize)]
pub(super) struct Label {
    name: String,
    device_sn: String,
}

/// `POST /sims/{giccid}`: what a person calls it, and the router it sits in.
pub(super) async fn label(
    visitor: Visitor,
    Path(giccid): Path<String>,
    Form(label): Form<Label>,
) -> Response {
    let given = |text: String| Some(text.trim().to_owned()).filter(|text| !text.is_empty());
    let body = json!({"name": given(label.name), "device_sn": given(label.device_sn)});
    let done = visitor.api.put::<Value>(&format!("/v1/sims/{giccid}"), body).await;
    match done {
        Ok(_) => (StatusCode::SEE_OTHER, [(header::LOCATION, place_of(&address(&giccid)))])
            .into_response(),
        Err(refused) => {
            let said = (visitor.look.words.sims.not_saved)(refused.told());
            page(&visitor, &giccid, None, Some(said)).await
        }
    }
}
