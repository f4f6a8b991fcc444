//! The routers: how many are in which state, and what each was in the last hours.
use askama::Template;
use axum::{extract::RawQuery, http::StatusCode, response::Response};
use serde::Deserialize;

use super::{
    Frame, Here, Source, StatusIn, Visitor,
    ask::{Answer, Refused},
    beats::{self, Beats, Span},
    call::Call,
    filters::Filters,
    format::{Format, told},
    page_of,
    turns::{PLACE, Pages},
    words::Words,
};
use crate::{
    domain::{DeviceState, Timestamp},
    http::query_string::list_item,
};

#[derive(Template)]
#[template(path = "routers.html")]
struct RoutersPage {
    frame: Frame,
    /// None where RCMS is not set up; then there is no list either.
    fleet: Option<Result<Fleet, Refused>>,
    list: Result<List, Refused>,
    /// A link for each state, and whether it is the one that is shown.
    states: Vec<(&'static str, String, bool)>,
    asked: Asked,
    /// How far back the bars go.
    hours: String,
}

/// What the form has in its fields.
struct Asked {
    state: String,
    group: String,
    model: String,
    q: String,
    /// Whether any of it narrows the list.
    is_any: bool,
}

/// All routers in figures.
struct Fleet {
    figures: Vec<Figure>,
    polled: Option<String>,
    /// Since when RCMS does not answer, and what it is.
    failing: Option<(String, String)>,
    source: Source,
}

struct Figure {
    title: &'static str,
    value: String,
    note: String,
    /// The routers it counts.
    address: Option<String>,
}

struct List {
    rows: Vec<Row>,
    pages: Pages,
    source: Source,
}

struct Row {
    sn: String,
    name: Option<String>,
    model: Option<(String, String)>,
    group: Option<(String, String)>,
    firmware: Option<String>,
    state: State,
    beats: Option<Beats>,
}

/// A state with its word, and since when it is so.
pub(super) struct State {
    pub(super) class: &'static str,
    pub(super) word: &'static str,
    pub(super) since: When,
}

/// A moment, for a person and for programs.
pub(super) struct When {
    /// RFC 3339.
    pub(super) at: String,
    pub(super) text: String,
    pub(super) full: String,
}

/// A router as the API tells of it.
#[derive(Debug, Deserialize)]
pub(super) struct DeviceIn {
    pub(super) sn: String,
    pub(super) name: Option<String>,
    pub(super) model: Option<String>,
    pub(super) group: Option<String>,
    pub(super) firmware_version: Option<String>,
    pub(super) description: Option<String>,
    pub(super) state: String,
    pub(super) state_since: String,
    pub(super) status: Option<SampleIn>,
}

/// What it told last of itself.
#[derive(Debug, Deserialize)]
pub(super) struct SampleIn {
    pub(super) as_of: String,
    pub(super) sampled_at: Option<String>,
    pub(super) system: SystemIn,
    pub(super) active_link: LinkIn,
}

#[derive(Debug, Deserialize)]
pub(super) struct SystemIn {
    pub(super) uptime: Option<String>,
}

#[derive(Debug, Deserialize)]
pub(super) struct LinkIn {
    pub(super) ip: Option<String>,
    pub(super) link_uptime: Option<String>,
}

#[derive(Debug, Deserialize)]
struct SummaryIn {
    #[serde(rename = "deviceTotal")]
    devices: Option<i64>,
    #[serde(rename = "onlineTotal")]
    online: Option<i64>,
    #[serde(rename = "offlineTotal")]
    offline: Option<i64>,
    #[serde(rename = "registeredTotal")]
    registered: Option<i64>,
    #[serde(rename = "unRegisteredTotal")]
    not_registered: Option<i64>,
    #[serde(rename = "userTotal")]
    users: Option<i64>,
    polled_at: Option<String>,
    stale: bool,
    poll_error: Option<String>,
    known: KnownIn,
    listed_at: Option<String>,
}

#[derive(Debug, Deserialize)]
struct KnownIn {
    online: i64,
    offline: i64,
    unknown: i64,
}

/// The filters of this page.
const KNOWN: [&str; 4] = ["state", "group", "model", "q"];

/// `GET /routers`
pub(super) async fn show(visitor: Visitor, RawQuery(query): RawQuery) -> Response {
    let words = visitor.look.words;
    let names = [KNOWN.as_slice(), &PLACE].concat();
    let filters = Filters::of("/routers", query.as_deref(), &names, words);
    let (status, fleet, list) =
        tokio::join!(StatusIn::of(&visitor.api), fleet(&visitor), list(&visitor, &filters));
    let frame = visitor.frame(Here::Routers, words.nav.routers, &status);
    let value = |name| filters.value(name).unwrap_or_default().to_owned();
    let asked = Asked {
        state: value("state"),
        group: value("group"),
        model: value("model"),
        q: value("q"),
        is_any: KNOWN.iter().any(|name| filters.value(name).is_some()),
    };
    let hours = (words.routers.last_hours)(Span::SIX_HOURS.hours);
    let page = RoutersPage { frame, fleet, list, states: states(&filters, words), asked, hours };
    page_of(StatusCode::OK, &page)
}

/// None where RCMS is not set up, and nothing of it is known from before.
async fn fleet(visitor: &Visitor) -> Option<Result<Fleet, Refused>> {
    let call = Call::to("/v1/devices/summary");
    let answer: Result<Answer<SummaryIn>, _> = visitor.api.get_recent(&call).await;
    match answer {
        Err(refused) if refused.status == StatusCode::CONFLICT => None,
        Err(refused) => Some(Err(refused)),
        Ok(answer) => Some(Ok(Fleet::of(&answer.body, &visitor.format(), visitor.source(&call)))),
    }
}

impl Fleet {
    fn of(summary: &SummaryIn, format: &Format, source: Source) -> Self {
        let words = &format.words.routers;
        let figure = |nth: usize, value: Option<i64>, note: String, state: Option<&str>| Figure {
            title: words.figures[nth],
            value: value.map_or_else(|| "–".to_owned(), |value| format.count(value).to_string()),
            note,
            address: state.map(|state| Call::to("/routers").with("state", state).uri()),
        };
        let count = |count: i64| format.count(count).to_string();
        let counted = |value: Option<i64>| match value {
            Some(value) => (words.rcms_counts)(&count(value)),
            None => words.not_said.to_owned(),
        };
        let by_rcms = words.by_rcms.to_owned();
        let not_registered =
            summary.not_registered.map(|value| (words.not_registered)(&count(value)));
        let known = &summary.known;
        let figures = vec![
            figure(0, Some(known.online), counted(summary.online), Some("online")),
            figure(1, Some(known.offline), counted(summary.offline), Some("offline")),
            figure(2, Some(known.unknown), words.not_said.to_owned(), Some("unknown")),
            figure(3, summary.devices, by_rcms.clone(), None),
            figure(4, summary.registered, not_registered.unwrap_or_default(), None),
            figure(5, summary.users, by_rcms, None),
        ];
        let at = |text: &Option<String>| told(text.as_deref()?);
        let last = at(&summary.polled_at).max(at(&summary.listed_at));
        let polled = last.map(|at| (words.polled)(&(format.words.common.ago)(&format.since(at))));
        Self { figures, polled, failing: failing(summary, last, format), source }
    }
}

/// What to say where what is shown is old.
fn failing(
    summary: &SummaryIn,
    last: Option<Timestamp>,
    format: &Format,
) -> Option<(String, String)> {
    if !summary.stale && summary.poll_error.is_none() {
        return None;
    }
    let words = format.words;
    let since = match last {
        Some(at) => (words.routers.failing_since)(&format.moment(at)),
        None => words.overview.rcms_waits.to_owned() + ".",
    };
    Some((since, summary.poll_error.clone().unwrap_or_default()))
}

async fn list(visitor: &Visitor, filters: &Filters) -> Result<List, Refused> {
    let listed = |name| filters.value(name).map(list_item);
    let call = ["state", "group", "model"]
        .into_iter()
        .fold(Call::to("/v1/devices"), |call, name| call.with_some(name, listed(name)))
        .with_some("q", filters.value("q"));
    let call = PLACE.into_iter().fold(call, |call, name| call.with_some(name, filters.value(name)));
    let answer: Answer<Vec<DeviceIn>> = visitor.api.get(&call).await?;
    let now = answer.body.iter().map(|device| device.now());
    let beats = beats::for_devices(visitor, now).await;
    let format = visitor.format();
    let pages = Pages::of(&answer, &filters.here, &format);
    let rows = answer.body.into_iter().zip(beats);
    let rows = rows.map(|(device, beats)| Row::of(device, beats, filters, &format)).collect();
    Ok(List { rows, pages, source: visitor.source(&call) })
}

impl DeviceIn {
    /// As far as its bars need it.
    pub(super) fn now(&self) -> beats::Now<'_> {
        beats::Now { sn: &self.sn, state: &self.state, since: &self.state_since }
    }

    /// Its state, to be shown.
    pub(super) fn shown_state(&self, format: &Format) -> State {
        State::of(&self.state, &self.state_since, format)
    }
}

impl State {
    /// A state since a moment, both as the API tells them.
    pub(super) fn of(state: &str, since: &str, format: &Format) -> Self {
        let (class, word) = word_of(state, format.words);
        let mut since = When::of(since, format);
        since.text = (format.words.routers.since)(&since.text);
        Self { class, word, since }
    }
}

/// The class and the word of a state.
fn word_of(state: &str, words: &Words) -> (&'static str, &'static str) {
    let words = &words.overview;
    match state.parse() {
        Ok(DeviceState::Online) => ("", words.online),
        Ok(DeviceState::Offline) => ("alarm", words.offline),
        Ok(DeviceState::Unknown) | Err(_) => ("plain", words.unknown),
    }
}

impl When {
    /// A moment as the API tells it.
    pub(super) fn of(at: &str, format: &Format) -> Self {
        let shown = |tell: fn(&Format, Timestamp) -> String| told(at).map(|at| tell(format, at));
        Self {
            at: at.to_owned(),
            text: shown(Format::moment).unwrap_or_default(),
            full: shown(Format::full).unwrap_or_default(),
        }
    }

    /// The same with its day and its second, for lists that are searched for one.
    pub(super) fn full(at: &str, format: &Format) -> Self {
        let when = Self::of(at, format);
        Self { text: when.full.clone(), ..when }
    }
}

impl Row {
    fn of(device: DeviceIn, beats: Option<Beats>, filters: &Filters, format: &Format) -> Self {
        let state = device.shown_state(format);
        let narrowed = |name, value: Option<String>| {
            value.map(|value| (top(filters).set(name, &value).uri(), value))
        };
        Self {
            state,
            beats,
            model: narrowed("model", device.model),
            group: narrowed("group", device.group),
            firmware: device.firmware_version,
            name: device.name,
            sn: device.sn,
        }
    }
}

/// This page at its beginning.
fn top(filters: &Filters) -> Call {
    PLACE.into_iter().fold(filters.here.clone(), Call::without)
}

fn states(filters: &Filters, words: &Words) -> Vec<(&'static str, String, bool)> {
    let asked = filters.value("state");
    let one = |state: DeviceState| {
        let (_, word) = word_of(state.as_str(), words);
        let address = top(filters).set("state", state.as_str()).uri();
        (word, address, asked == Some(state.as_str()))
    };
    let all = (words.common.all, top(filters).without("state").uri(), asked.is_none());
    [all].into_iter().chain(DeviceState::ALL.map(one)).collect()
}
